/* import: reports of other tools become records of a collector's spool (docs/service/format.md). */
#include "checkers/os/spool_file.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/option_table.h"
#include "tools/ringfence/base/read_file.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/cli/command.h"
#include "tools/ringfence/model/checksum.h"
#include "tools/ringfence/model/foreign.h"

#include <errno.h>
#include <inttypes.h>
#include <ringfence/report_json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef enum row_id { COLLECTOR, ENVIRONMENT, VERSION, COMMIT, PROGRAM, HELP, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [COLLECTOR] = {"collector", '\0', "DIR",
                   "the collector's folder (default: RINGFENCE_COLLECTOR, else the user's own)", NULL},
    [ENVIRONMENT] = {"environment", '\0', "NAME", "where it ran (default: development)", NULL},
    [VERSION] = {"build-version", '\0', "TEXT", "version of the program", NULL},
    [COMMIT] = {"build-commit", '\0', "TEXT", "commit that the program was built from", NULL},
    [PROGRAM] = {"program", '\0', "PATH", "the program, where the report does not name it", NULL},
    [HELP] = {"help", 'h', NULL, "print this and exit", NULL},
};

static const rf_option_table table = {"import", rows, ROWS, false};

typedef struct import {
  rf_bump_arena arena;
  const char *values[ROWS]; /* of the options; NULL: not given */
  rf_spool_file spool;
  size_t findings;
  size_t other;
} import;

static bool apply(void *context, size_t row, const char *argument) {
  ((import *)context)->values[row] = argument == NULL ? "" : argument;
  return true;
}

static void help(void) {
  (void)puts("Usage: ringfence import [OPTIONS] FILE...\n"
             "\n"
             "Takes reports of AddressSanitizer, LeakSanitizer (text) and Valgrind (--xml=yes) to a collector: their "
             "findings\n"
             "are listed with those of checked processes. A file that is taken in again counts once.\n");
  rf_option_table_help(&table);
  (void)puts("\n"
             "Exit status: 0; 2 if the command line is wrong, a file cannot be read or is no such report, or the\n"
             "collector's folder cannot be written.\n"
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

/* The module of main, or of the first frame with one; NULL where none has. */
static const char *program_of(const rf_foreign_finding *f) {
  const char *program = NULL;
  for (size_t kind = 0; kind < 3; kind++) {
    for (size_t i = 0; i < f->stacks[kind].count; i++) {
      const rf_foreign_frame *const frame = &f->stacks[kind].frames[i];
      program = frame->module != NULL && program == NULL ? frame->module : program;
      if (frame->module != NULL && frame->function != NULL && strcmp(frame->function, "main") == 0) {
        return frame->module;
      }
    }
  }
  return program;
}

static const char *program_name(const import *i, const rf_foreign *read, const rf_foreign_finding *f) {
  const char *const module = program_of(f);
  return i->values[PROGRAM] != NULL ? i->values[PROGRAM] : module != NULL ? module : read->program;
}

static void put_record(import *i, const rf_foreign *read, size_t index, const char *start, const rf_sink *sink) {
  const rf_foreign_finding *const f = &read->findings[index];
  rf_sink_str(sink, "{\"record\":\"finding\",\"version\":1");
  put_text(sink, "id", rf_bump_arena_print(&i->arena, "%s-%zu", start, index + 1));
  rf_sink_str(sink, rf_bump_arena_print(&i->arena, ",\"pid\":%" PRIu32, f->process));
  put_text(sink, "host", "");
  put_text(sink, "program", program_name(i, read, f));
  put_text(sink, "mode", read->tool);
  put_text(sink, "environment", i->values[ENVIRONMENT] != NULL ? i->values[ENVIRONMENT] : "development");
  rf_sink_str(sink, ",\"build\":{\"tool\":");
  rf_json_string(read->tool, sink);
  if (i->values[VERSION] != NULL) {
    put_text(sink, "version", i->values[VERSION]);
  }
  if (i->values[COMMIT] != NULL) {
    put_text(sink, "commit", i->values[COMMIT]);
  }
  rf_sink_str(sink, "},\"labels\":{},\"count\":1,\"dropped\":0,\"windows\":\"none\",\"finding\":");
  rf_foreign_put(f, read->tool, sink);
}

static const char *time_of(rf_bump_arena *arena, const char *path) {
  struct stat st;
  const char *const text = stat(path, &st) == 0 ? rf_time_text(arena, st.st_mtime, "%Y-%m-%dT%H:%M:%S.000000Z") : NULL;
  return text == NULL ? "1970-01-01T00:00:00.000000Z" : text;
}

static bool send(import *i, const rf_foreign *read, const char *path, uint64_t sum) {
  const char *const start = rf_bump_arena_print(&i->arena, "import-%016" PRIx64, sum);
  for (size_t index = 0; index < read->count; index++) {
    rf_text_sink line;
    rf_text_sink_init(&line, &i->arena);
    rf_sink_char(&line.sink, '\n'); /* the spool's own byte */
    put_record(i, read, index, start, &line.sink);
    put_text(&line.sink, "time", time_of(&i->arena, path));
    rf_sink_str(&line.sink, "}\n");
    if (!rf_spool_file_append(&i->spool, line.text + 1, line.length - 1, index + 1 == read->count)) {
      rf_diag("cannot write to the spool of the collector");
      return false;
    }
  }
  return true;
}

static bool import_file(import *i, const char *path) {
  size_t length = 0;
  const char *const text = rf_read_file(&i->arena, path, &length);
  if (text == NULL) {
    rf_diag("cannot read %s: %s", path, strerror(errno));
    return false;
  }
  rf_foreign const read = rf_foreign_read(&i->arena, text, length);
  if (read.tool == NULL) {
    rf_diag("%s is no report of AddressSanitizer, LeakSanitizer or Valgrind (--xml=yes)", path);
    return false;
  }
  i->findings += read.count;
  i->other += read.other;
  return send(i, &read, path, rf_checksum_bytes(RF_CHECKSUM_START, text, length));
}

static int import_all(import *i, char **paths, int count) {
  const char *folder = i->values[COLLECTOR] != NULL ? i->values[COLLECTOR] : getenv("RINGFENCE_COLLECTOR");
  folder = folder == NULL ? "auto" : folder;
  rf_spool_file_init(&i->spool, folder, strlen(folder));
  for (int n = 0; n < count; n++) {
    if (!import_file(i, paths[n])) {
      return RF_EXIT_USAGE;
    }
  }
  rf_diag("%s taken to the collector%s", rf_counted(&i->arena, i->findings, "finding"),
          i->other == 0 ? ""
                        : rf_bump_arena_print(&i->arena, "; %s of other kinds left out",
                                              rf_counted(&i->arena, i->other, "error")));
  return 0;
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
