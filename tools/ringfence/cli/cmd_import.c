/* import: reports of other tools become records of a collector's spool (docs/service/format.md). */
#include "checkers/os/spool_file.h"
#include "checkers/report/fnv.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/option_table.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/read_file.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/subprocess.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/cli/command.h"
#include "tools/ringfence/cli/import_snapshots.h"
#include "tools/ringfence/model/foreign.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <ringfence/report_json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum row_id { COLLECTOR, DIRECTORY, ENVIRONMENT, VERSION, COMMIT, PROGRAM, RUN, HELP, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [COLLECTOR] = {"collector", '\0', "DIR",
                   "the collector's folder (default: RINGFENCE_COLLECTOR, else the user's own)", NULL},
    [DIRECTORY] = {"dir", '\0', "DIR", "the same as --collector, by the name of the service's commands", NULL},
    [ENVIRONMENT] = {"environment", '\0', "NAME", "where it ran (default: development)", NULL},
    [VERSION] = {"build-version", '\0', "TEXT", "version of the program", NULL},
    [COMMIT] = {"build-commit", '\0', "TEXT", "commit that the program was built from", NULL},
    [PROGRAM] = {"program", '\0', "PATH", "the program, if the report does not name it", NULL},
    [RUN] = {"run", '\0', "FUZZER", "a fuzzer to run on inputs in folders that have no report, to make their reports",
             NULL},
    [HELP] = {"help", 'h', NULL, "print this and exit", NULL},
};

RF_OPTION_TABLE(table, "import", rows, false);

typedef struct import {
  rf_bump_arena arena;
  const char *values[ROWS]; /* of the options; NULL: not given */
  rf_spool_file spool;
  const char *input; /* of a fuzzer, that the findings at hand are of; NULL: none */
  size_t findings;
  size_t snapshots;
  size_t other;
  size_t silent;  /* inputs without a report */
  size_t refused; /* files that cannot be read, or are no report */
} import;

static bool apply(void *context, size_t row, const char *argument) {
  ((import *)context)->values[row == DIRECTORY ? COLLECTOR : row] = argument == NULL ? "" : argument;
  return true;
}

static void help(void) {
  (void)puts(
      "Usage: ringfence import [OPTIONS] FILE|FOLDER...\n"
      "\n"
      "Takes reports of AddressSanitizer, LeakSanitizer (text) and Valgrind (--xml=yes) to a collector: their "
      "findings\n"
      "are listed with those of checked processes. A file that is taken in again counts once. A FOLDER stands for\n"
      "all reports in it, and the inputs that libFuzzer left there (crash-..., leak-...), which --run FUZZER runs.\n"
      "Snapshots in JSON lines of the library or of `ringfence check` are taken as well; findings there are not.\n");
  rf_option_table_help(&table);
  (void)puts("\n"
             "Exit status: 0; 2 if the command line is wrong, a file cannot be read or is no such report (the others\n"
             "are taken), or the collector's folder cannot be written.\n"
             "\n"
             "Examples:\n"
             "  valgrind --xml=yes --xml-file=found.xml ./program && ringfence import found.xml\n"
             "  ringfence import --environment ci --build-commit 4f2c9a1 asan.log");
}

/* ---- Records ---- */

static void put_text(const rf_sink *sink, const char *name, const char *text) {
  rf_sink_str(sink, ",\"");
  rf_sink_str(sink, name);
  rf_sink_str(sink, "\":");
  rf_json_string(text == NULL ? "" : text, sink);
}

static const char *program_name(const import *i, const rf_foreign *read, const rf_foreign_finding *f) {
  return i->values[PROGRAM] != NULL ? i->values[PROGRAM] : rf_foreign_program(read, f);
}

/* The members that all records have, up to within "labels". */
static void put_sender(import *i, uint32_t process, const char *program, const char *mode, const rf_sink *sink) {
  rf_sink_str(sink, rf_bump_arena_print(&i->arena, ",\"pid\":%" PRIu32, process));
  put_text(sink, "host", "");
  put_text(sink, "program", program);
  put_text(sink, "mode", mode);
  put_text(sink, "environment", i->values[ENVIRONMENT] != NULL ? i->values[ENVIRONMENT] : "development");
  rf_sink_str(sink, ",\"build\":{\"tool\":");
  rf_json_string(mode == NULL ? "" : mode, sink);
  if (i->values[VERSION] != NULL) {
    put_text(sink, "version", i->values[VERSION]);
  }
  if (i->values[COMMIT] != NULL) {
    put_text(sink, "commit", i->values[COMMIT]);
  }
  rf_sink_str(sink, "},\"labels\":{");
}

static void put_record(import *i, const rf_foreign *read, size_t index, const char *start, const rf_sink *sink) {
  const rf_foreign_finding *const f = &read->findings[index];
  rf_sink_str(sink, "{\"record\":\"finding\",\"version\":1");
  put_text(sink, "id", rf_bump_arena_print(&i->arena, "%s-%zu", start, index + 1));
  const char *const program = program_name(i, read, f);
  put_sender(i, f->process, program, read->tool, sink);
  if (i->input != NULL) {
    rf_sink_str(sink, "\"input\":");
    rf_json_string(i->input, sink);
  }
  rf_sink_str(sink, "},\"count\":1,\"dropped\":0,\"windows\":\"none\",\"finding\":");
  rf_foreign_put(f, read->tool, program, sink);
}

static const char *time_of(rf_bump_arena *arena, const char *path) {
  struct stat st;
  const char *const text = stat(path, &st) == 0 ? rf_time_text(arena, st.st_mtime, "%Y-%m-%dT%H:%M:%S.000000Z") : NULL;
  return text == NULL ? "1970-01-01T00:00:00.000000Z" : text;
}

static bool append(import *i, rf_text_sink *line, const char *path, bool last) {
  put_text(&line->sink, "time", time_of(&i->arena, path));
  rf_sink_str(&line->sink, "}\n");
  if (!rf_spool_file_append(&i->spool, line->text + 1, line->length - 1, last)) {
    rf_diag("cannot write to the spool of the collector");
    return false;
  }
  return true;
}

static bool send(import *i, const rf_foreign *read, const char *path, uint64_t sum) {
  const char *const start = rf_bump_arena_print(&i->arena, "import-%016" PRIx64, sum);
  for (size_t index = 0; index < read->count; index++) {
    rf_text_sink line;
    rf_text_sink_init(&line, &i->arena);
    rf_sink_char(&line.sink, '\n'); /* the spool's own byte */
    put_record(i, read, index, start, &line.sink);
    if (!append(i, &line, path, index + 1 == read->count)) {
      return false;
    }
  }
  return true;
}

/* ---- Snapshots of the library's ---- */

/* False where there are none. The part of an id before the last hyphen is the process's. */
static bool import_snapshots(import *i, const char *path, const char *text, size_t length, bool *sent) {
  size_t count = 0;
  const rf_imported_snapshot *const list = rf_import_snapshots(&i->arena, text, length, &count);
  uint64_t const sum = rf_fnv_bytes(RF_FNV_START, text, length);
  *sent = true;
  for (size_t n = 0; n < count && *sent; n++) {
    rf_text_sink line;
    rf_text_sink_init(&line, &i->arena);
    rf_sink_str(&line.sink, "\n{\"record\":\"snapshot\",\"version\":1");
    put_text(&line.sink, "id",
             rf_bump_arena_print(&i->arena, "import-%016" PRIx64 "-%" PRIu32 "-%zu", sum, list[n].process, n + 1));
    put_sender(i, list[n].process, i->values[PROGRAM] != NULL ? i->values[PROGRAM] : list[n].program, list[n].mode,
               &line.sink);
    rf_sink_str(&line.sink, "},\"seconds\":0,\"snapshot\":");
    rf_sink_str(&line.sink, list[n].json);
    *sent = append(i, &line, path, n + 1 == count);
    i->snapshots++;
  }
  return count != 0;
}

/* ---- Folders of libFuzzer's ---- */

static bool is_input(const char *name) {
  static const char *const starts[] = {"crash-", "leak-", "oom-", "timeout-", "slow-unit-"};
  for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
    if (strncmp(name, starts[i], strlen(starts[i])) == 0) {
      return true;
    }
  }
  return false;
}

/* The output of the fuzzer for one input; NULL where it cannot be run. */
static const char *output_of(import *i, const char *path) {
  static const char script[] = "timeout -s KILL 120 \"$0\" -timeout=60 \"$1\" 2>&1 | tr -d '\\0'; exit 0";
  const char *const fuzzer = i->values[RUN];
  const char *const here = strchr(fuzzer, '/') != NULL ? "" : "./";
  const char *const argv[] = {"sh", "-c", script, rf_bump_arena_print(&i->arena, "%s%s", here, fuzzer), path, NULL};
  return rf_subprocess_output(&i->arena, "/bin/sh", argv, "");
}

/* NULL after a message. */
static const char *read_file(import *i, const char *path, size_t *length) {
  const char *const text = rf_read_file(&i->arena, path, length);
  if (text == NULL) {
    rf_diag("cannot read %s: %s", path, strerror(errno));
    i->refused++;
  }
  return text;
}

/* Its id is of the input: reports have other addresses in each run. */
static bool import_input(import *i, const char *path, const char *name) {
  size_t length = 0;
  const char *const bytes = read_file(i, path, &length);
  if (bytes == NULL) {
    return true;
  }
  const char *const text = i->values[RUN] == NULL ? NULL : output_of(i, path);
  rf_foreign const none = {.tool = NULL};
  rf_foreign const read = text == NULL ? none : rf_foreign_read(&i->arena, text, strlen(text));
  i->other += read.other;
  if (read.tool == NULL || read.count == 0) {
    i->silent++;
    return true;
  }
  i->input = name;
  i->findings += read.count;
  uint64_t const fuzzer = rf_fnv_text(RF_FNV_START, rf_base_name(i->values[RUN]));
  bool const sent = send(i, &read, path, rf_fnv_bytes(fuzzer, bytes, length));
  i->input = NULL;
  return sent;
}

/* libFuzzer names the input behind its report. */
static const char *input_of(rf_bump_arena *arena, const char *text, size_t length) {
  static const char mark[] = "Test unit written to ";
  const char *const at = (const char *)memmem(text, length, mark, strlen(mark));
  const char *const path = at == NULL ? NULL : at + strlen(mark);
  return path == NULL ? NULL : rf_base_name(rf_bump_arena_text(arena, path, strcspn(path, "\r\n")));
}

/* False where it is none. */
static bool import_report(import *i, const char *path, const char *text, size_t length, bool *sent) {
  rf_foreign const read = rf_foreign_read(&i->arena, text, length);
  *sent = true;
  if (read.tool == NULL) {
    return false;
  }
  i->findings += read.count;
  i->other += read.other;
  i->input = input_of(&i->arena, text, length);
  *sent = send(i, &read, path, rf_fnv_bytes(RF_FNV_START, text, length));
  i->input = NULL;
  return true;
}

static bool import_entry(import *i, const char *folder, const char *name) {
  struct stat st;
  size_t length = 0;
  bool sent = true;
  const char *const path = rf_bump_arena_print(&i->arena, "%s/%s", folder, name);
  if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
    return true;
  }
  if (is_input(name)) {
    return import_input(i, path, name);
  }
  const char *const text = read_file(i, path, &length);
  if (text != NULL && !import_report(i, path, text, length, &sent)) {
    (void)import_snapshots(i, path, text, length, &sent);
  }
  return sent;
}

/* The names in a folder, in order; NULL, with errno set, where it cannot be read. */
static char **names_in(rf_bump_arena *arena, const char *path, size_t *count) {
  DIR *const d = opendir(path);
  if (d == NULL) {
    return NULL;
  }
  char **names = NULL; /* a folder has at least its own name */
  for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
    RF_APPENDED(arena, names, *count) = rf_bump_arena_copy(arena, e->d_name);
  }
  (void)closedir(d);
  if (*count != 0) {
    qsort(names, *count, sizeof *names, rf_by_name);
  }
  return names;
}

/* ---- Files ---- */

static bool import_folder(import *i, const char *path) {
  size_t count = 0;
  bool fine = true;
  char **const names = names_in(&i->arena, path, &count);
  if (names == NULL) {
    rf_diag("cannot read %s: %s", path, strerror(errno));
    i->refused++;
  }
  for (size_t n = 0; names != NULL && n < count && fine; n++) {
    fine = import_entry(i, path, names[n]);
  }
  return fine;
}

/* False where the spool cannot be written. */
static bool import_file(import *i, const char *path) {
  struct stat st;
  bool sent = true;
  size_t length = 0;
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
    return import_folder(i, path);
  }
  const char *const text = read_file(i, path, &length);
  if (text != NULL && !import_report(i, path, text, length, &sent) && !import_snapshots(i, path, text, length, &sent)) {
    rf_diag("%s is no report of AddressSanitizer, LeakSanitizer or Valgrind (--xml=yes), and has no snapshots", path);
    i->refused++;
  }
  return sent;
}

static void say_taken(import *i) {
  if (i->snapshots != 0) {
    rf_diag("%s taken to the collector", rf_counted(&i->arena, i->snapshots, "snapshot"));
  }
  if (i->snapshots == 0 || i->findings != 0) {
    rf_diag("%s taken to the collector%s", rf_counted(&i->arena, i->findings, "finding"),
            i->other == 0 ? ""
                          : rf_bump_arena_print(&i->arena, "; %s of other kinds left out",
                                                rf_counted(&i->arena, i->other, "error")));
  }
}

/* The collector's folder, or "auto"; NULL after a message. A variable that is empty, or says that processes are to send
 * nothing, names none. */
static const char *choose_folder(const import *i) {
  const char *const given = i->values[COLLECTOR];
  const char *const variable = rf_env_or("RINGFENCE_COLLECTOR", "none");
  const char *const folder = given != NULL ? given : strcmp(variable, "none") == 0 ? "auto" : variable;
  if (folder[0] == '\0') {
    rf_diag("--collector has an empty name; is a variable not set?");
    return NULL;
  }
  return rf_collector_is_folder(given != NULL ? "--collector" : "RINGFENCE_COLLECTOR", folder, strlen(folder)) ? folder
                                                                                                               : NULL;
}

static int import_all(import *i, char **paths, int count) {
  const char *const folder = choose_folder(i);
  if (folder == NULL) {
    return RF_EXIT_USAGE;
  }
  if (i->values[RUN] != NULL && access(i->values[RUN], X_OK) != 0) {
    rf_diag("cannot run %s: %s", i->values[RUN], strerror(errno));
    return RF_EXIT_USAGE;
  }
  rf_spool_file_init(&i->spool, folder, strlen(folder));
  if (strcmp(folder, "auto") != 0) {
    /* Somebody looks at the result: what cannot be written there goes to no folder that was not asked for. */
    memset((void *)i->spool.shared, 0, sizeof i->spool.shared);
  }
  for (int n = 0; n < count; n++) {
    if (!import_file(i, paths[n])) {
      return RF_EXIT_USAGE;
    }
  }
  if (i->refused == 0 || i->findings != 0 || i->snapshots != 0 || i->other != 0) {
    say_taken(i);
  }
  if (i->silent != 0) {
    rf_diag(i->values[RUN] == NULL ? "%s of a fuzzer left out: --run FUZZER makes their reports"
                                   : "%s gave no report of a finding",
            rf_counted(&i->arena, i->silent, "input"));
  }
  return i->refused == 0 ? 0 : RF_EXIT_USAGE;
}

static int run(int argc, char **argv) {
import i = {.values = { NULL } };
  int status = RF_EXIT_USAGE;
  int const first = rf_option_table_read(&table, argc, argv, apply, &i);
  if (first >= 0 && i.values[HELP] != NULL) {
    help();
    status = 0;
  } else if (first >= 0 && first == argc) {
    rf_diag("no file given; try `ringfence import FILE...`");
  } else if (first >= 0) {
    status = import_all(&i, argv + first, argc - first);
  }
  rf_bump_arena_free(&i.arena);
  return status;
}

const rf_command rf_command_import = {"import", "take reports of other tools to the collector", run, help};
