#include "tools/ringfence/cli/check_options.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/option_table.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/run/environment.h"

#include "checkers/os/memory_tags.h"

#include <ringfence/options.h>
#include <ringfence/sink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The options ---- */

typedef enum row_id {
  MODE,
  CONTINUE,
  NO_HALT,
  HALT,
  LEAKS,
  NO_LEAKS,
  QUARANTINE,
  STACK_DEPTH,
  EXITCODE,
  ERROR_EXITCODE,
  OPTION,
  SUPPRESSIONS,
  SKIP_FRAMES,
  BASELINE,
  WRITE_BASELINE,
  FORMAT,
  COLOR,
  OUTPUT,
  SARIF,
  JUNIT,
  HTML,
  JSON,
  TRACE,
  LOG,
  QUIET,
  VERBOSE,
  KEEP,
  NO_POOLS,
  STRICT,
  WAIT,
  HUNT,
  LIBRARY,
  HELP,
  ROWS
} row_id;

static const rf_option rows[ROWS] = {
    [MODE] = {"mode", 'm', "MODE",
              "how to check: guard (the default), page, mte (on processors with memory\ntags), sample or off", "mode="},
    [CONTINUE] = {"continue", 'c', NULL, "continue after a finding; every process ends as it would unchecked",
                  "halt=0"},
    [NO_HALT] = {"no-halt", '\0', NULL, "the same as --continue", "halt=0"},
    [HALT] = {"halt", '\0', NULL, "end a process at its first finding (the default)", "halt=1"},
    [LEAKS] = {"leaks", '\0', "WHICH",
               "leaks to report: 1, those of the user's code that has names (the default);\n"
               "all; reachable, also blocks still in use at the end; 0, none",
               "leaks="},
    [NO_LEAKS] = {"no-leaks", '\0', NULL, "the same as --leaks=0", "leaks=0"},
    [QUARANTINE] = {"quarantine", '\0', "BYTES", "freed memory to hold back and watch for writes; K, M or G after it",
                    "quarantine="},
    [STACK_DEPTH] = {"stack-depth", '\0', "N", "return addresses to record of each allocation and free",
                     "stack_depth="},
    [EXITCODE] = {"exitcode", 'e', "N", "exit status after findings (default 99); 0: the program's own", "exitcode="},
    [ERROR_EXITCODE] = {"error-exitcode", '\0', "N", "the same as --exitcode, by Valgrind's name", "exitcode="},
    [OPTION] = {"option", 'o', "KEY=VALUE", "any option of the library; help=1 lists them", ""},
    [SUPPRESSIONS] = {"suppressions", '\0', "FILE", "hide findings that match a rule in FILE; may be repeated", NULL},
    [SKIP_FRAMES] = {"skip-frames", '\0', "FILE",
                     "functions and modules in FILE do not count when findings are compared", NULL},
    [BASELINE] = {"baseline", '\0', "FILE",
                  "findings in FILE are known: only new ones count for the exit status;\n"
                  "the program continues after a finding, unless --halt is given as well",
                  NULL},
    [WRITE_BASELINE] = {"write-baseline", '\0', "FILE",
                        "write all findings of this run to FILE as known, and exit as the\n"
                        "program does, which continues after a finding",
                        NULL},
    [FORMAT] = {"format", 'f', "FORMAT",
                "print, or write to --output: text (the default), json, sarif,\n"
                "junit, html, pprof (of snapshots), or github (text, and annotations of\n"
                "GitHub Actions)",
                NULL},
    [COLOR] = {"color", '\0', "WHEN", "colours in text: auto (the default; none with NO_COLOR), always or never", NULL},
    [OUTPUT] = {"output", '\0', "FILE",
                "also write a report to FILE, in the format that its name ends in\n"
                "(.txt .json .sarif .xml .html .pb.gz) or --format says; may be repeated",
                NULL},
    [SARIF] = {"sarif", '\0', "FILE", "also write a report to FILE as SARIF 2.1.0, whatever its name", NULL},
    [JUNIT] = {"junit", '\0', "FILE", "the same as JUnit XML", NULL},
    [HTML] = {"html", '\0', "FILE", "the same as one HTML page", NULL},
    [JSON] = {"json", 'j', "FILE", "also write findings and summary to FILE, one JSON object a line", NULL},
    [TRACE] = {"trace", '\0', "FILE",
               "record all requests for memory to FILE, for `ringfence replay`; %p in\n"
               "its name becomes the process id, so that each process has its own",
               "trace="},
    [LOG] = {"log", 'l', "FILE", "print to FILE instead of standard error", NULL},
    [QUIET] = {"quiet", 'q', NULL, "print nothing when nothing (new) was found, and no known findings", NULL},
    [VERBOSE] = {"verbose", 'v', NULL, "print each step, the processes and whole stacks", NULL},
    [KEEP] = {"keep", 'k', NULL, "keep the records of the processes, and print where they are", NULL},
    [NO_POOLS] = {"no-pools", '\0', NULL,
                  "have Python, PHP, GLib, libstdc++ and NSS ask malloc for each block,\n"
                  "instead of pools of their own that cannot be checked",
                  NULL},
    [STRICT] = {"strict", '\0', NULL, "exit with 2 instead of 0 if a program was started that cannot be checked", NULL},
    [WAIT] = {"wait", '\0', "[=SECONDS]",
              "wait until processes that outlive the program have ended, at most\n"
              "SECONDS",
              NULL},
    [HUNT] = {"hunt", '\0', "[=RUNS]",
              "run the program several times, each block on closed pages once at either\n"
              "end, at most RUNS times (8); it must do the same each time",
              NULL},
    [LIBRARY] = {"library", '\0', "FILE", "the libringfence.so to use", NULL},
    [HELP] = {"help", 'h', NULL, "print this and exit", NULL},
};

RF_OPTION_TABLE(table, "check", rows, true);

/* ---- Options of the library ---- */

/* Keys that the command sets itself; NULL for others. */
static const char *instead_of(const char *item) {
  static const char *const keys[][2] = {{"log", "use --log instead"},
                                        {"format", "use --format instead"},
                                        {"summary", "the command prints the summary"},
                                        {"suppressions", "use --suppressions instead"}};
  size_t const length = strcspn(item, "=");
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    if (strlen(keys[i][0]) == length && memcmp(keys[i][0], item, length) == 0) {
      return keys[i][1];
    }
  }
  return NULL;
}

/* The library takes guard instead; who asks for the mode by name is to know. */
static bool is_possible(rf_mode mode, const rf_option *o, const char *item) {
  const char *const why = mode == RF_MODE_MTE ? rf_memory_tags_why_not() : NULL;
  if (why != NULL) {
    rf_diag("--%s: %s cannot be used here: %s", o->name, item, why);
  }
  return why == NULL;
}

/* The library ignores a bad option with "ringfence: SOURCE: key=value is ignored; REASON"; the command stops. */
static bool is_valid(const rf_option *o, const char *item) {
  static const char ignored[] = "is ignored; ";
  char warning[1024];
  rf_sink_buffer warnings;
  rf_options unused;
  rf_sink_buffer_init(&warnings, warning, sizeof warning);
  rf_options_default(&unused);
  if (rf_options_parse(&unused, item, o->name, &warnings.sink) == 0) {
    return is_possible(unused.mode, o, item);
  }
  const char *const reason = strstr(warning, ignored);
  warning[strcspn(warning, "\n")] = '\0';
  rf_diag("--%s: %s cannot be used; %s", o->name, item, reason == NULL ? warning : reason + strlen(ignored));
  return false;
}

/* A value with a colon, which separates options, stands in quotes. */
static bool stands_in_quotes(const char *value) {
  size_t const length = strlen(value);
  return length >= 2 && (value[0] == '\'' || value[0] == '"') && strchr(value + 1, value[0]) == value + length - 1;
}

/* NULL where it cannot, since it has both kinds of them. */
static const char *in_quotes(rf_bump_arena *arena, const char *value) {
  if (strchr(value, ':') == NULL) {
    return value;
  }
  const char quote = strchr(value, '\'') == NULL ? '\'' : '"';
  return strchr(value, quote) == NULL ? rf_bump_arena_print(arena, "%c%s%c", quote, value, quote) : NULL;
}

/* The option KEY=VALUE for the library; NULL where it would be several there, which was said. */
static const char *item_of(rf_bump_arena *arena, const rf_option *o, const char *value) {
  if (o->passed[0] != '\0') {
    const char *const quoted = in_quotes(arena, value);
    if (quoted == NULL) {
      rf_diag("--%s %s: a name with a colon and both kinds of quotation marks cannot be given", o->name, value);
    }
    return quoted == NULL ? NULL : rf_bump_arena_print(arena, "%s%s", o->passed, quoted);
  }
  const char *const given = value + strcspn(value, "=");
  if (strchr(value, ':') != NULL && (given[0] == '\0' || !stands_in_quotes(given + 1))) {
    rf_diag("--%s %s: give one option at a time; a value with a colon stands in quotes, key='a:b'", o->name, value);
    return NULL;
  }
  return value;
}

static bool pass(rf_check_options *out, rf_bump_arena *arena, const rf_option *o, const char *argument) {
  const char *const item = item_of(arena, o, argument == NULL ? "" : argument);
  if (item == NULL) {
    return false;
  }
  const char *const instead = instead_of(item);
  if (instead != NULL) {
    rf_diag("--option %s: %s", item, instead);
    return false;
  }
  if (!is_valid(o, item)) {
    return false;
  }
  out->keys = out->keys || strcmp(item, "help=1") == 0;
  out->passed = rf_bump_arena_print(arena, "%s%s%s", out->passed, out->passed[0] == '\0' ? "" : ":", item);
  return true;
}

/* ---- Reading ---- */

typedef struct reader {
  rf_check_options *out;
  rf_bump_arena *arena;
} reader;

static bool set_file(const char **out, row_id id, const char *path) {
  return rf_common_options_file(out, rows[id].name, path, "standard output belongs to the program");
}

static bool add_output(const reader *r, row_id id, const char *path) {
  rf_outputs *const outputs = &r->out->common.outputs;
  const char *checked = NULL;
  if (!set_file(&checked, id, path)) {
    return false;
  }
  if (id == OUTPUT) {
    rf_outputs_add(outputs, r->arena, checked);
  } else {
    rf_outputs_add_as(outputs, r->arena, checked,
                      id == SARIF   ? RF_OUTPUT_SARIF
                      : id == JUNIT ? RF_OUTPUT_JUNIT
                                    : RF_OUTPUT_HTML);
  }
  return true;
}

static bool set_wait(rf_check_options *out, const char *seconds) {
  enum { DAY_S = 24 * 60 * 60 };
  char *end = NULL;
  unsigned long const value = seconds == NULL ? 0 : strtoul(seconds, &end, 10);
  if (seconds != NULL && (seconds[0] < '0' || seconds[0] > '9' || *end != '\0' || value == 0 || value > DAY_S)) {
    rf_diag("--wait=%s: use a number of seconds, at most %d", seconds, DAY_S);
    return false;
  }
  out->wait = true;
  out->wait_s = (unsigned)value;
  return true;
}

static bool set_hunt(rf_check_options *out, const char *runs) {
  enum { RUNS = 8, LEAST = 3, MOST = 1000 };
  char *end = NULL;
  unsigned long const value = runs == NULL ? RUNS : strtoul(runs, &end, 10);
  if (runs != NULL && (runs[0] < '0' || runs[0] > '9' || *end != '\0' || value < LEAST || value > MOST)) {
    rf_diag("--hunt=%s: use a number of runs from %d to %d", runs, LEAST, MOST);
    return false;
  }
  out->hunt = (unsigned)value;
  return true;
}

/* It chooses these itself. */
static bool leaves_to_hunt(const rf_check_options *out) {
  static const char *const keys[] = {"mode", "align", "halt", "trace", "page_seed", "page_time"};
  const char *item = out->passed;
  while (out->hunt != 0 && item[0] != '\0') {
    size_t const length = strcspn(item, "=:");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
      if (strlen(keys[i]) == length && memcmp(keys[i], item, length) == 0 && strncmp(item, "halt=0", 6) != 0) {
        rf_diag("--hunt chooses %s by itself", keys[i]);
        return false;
      }
    }
    item += strcspn(item, ":");
    item += item[0] == ':';
  }
  return true;
}

static void set_flag(rf_check_options *out, row_id id) {
  out->common.quiet = out->common.quiet || id == QUIET;
  out->common.verbose = out->common.verbose || id == VERBOSE;
  out->common.help = out->common.help || id == HELP;
  out->keep = out->keep || id == KEEP;
  out->strict = out->strict || id == STRICT;
  out->no_pools = out->no_pools || id == NO_POOLS;
}

static bool apply(void *context, size_t row, const char *argument) {
  const reader *const r = (const reader *)context;
  rf_check_options *const out = r->out;
  row_id const id = (row_id)row;
  const char *file = NULL;
  if (id == TRACE && !set_file(&file, id, argument)) {
    return false;
  }
  if (rows[id].passed != NULL) {
    return pass(out, r->arena, &rows[id], argument);
  }
  switch (id) {
  case FORMAT:
    return rf_common_options_format(&out->common, argument);
  case COLOR:
    return rf_common_options_colour(&out->common, argument);
  case OUTPUT:
  case SARIF:
  case JUNIT:
  case HTML:
    return add_output(r, id, argument);
  case SUPPRESSIONS:
    rf_common_options_suppressions(&out->common, r->arena, argument);
    return true;
  case SKIP_FRAMES:
    out->common.skip_frames = argument;
    return true;
  case BASELINE:
    out->common.baseline = argument;
    return true;
  case WRITE_BASELINE:
    return set_file(&out->common.write_baseline, id, argument);
  case JSON:
    return set_file(&out->json, id, argument);
  case LOG:
    return set_file(&out->log, id, argument);
  case WAIT:
    return set_wait(out, argument);
  case HUNT:
    return set_hunt(out, argument);
  case LIBRARY:
    out->library = argument;
    return true;
  default:
    set_flag(out, id);
    return true;
  }
}

bool rf_check_options_parse(rf_check_options *out, rf_bump_arena *arena, int argc, char **argv) {
  *out = (rf_check_options){.passed = ""};
  rf_common_options *const common = &out->common;
  reader r = {out, arena};
  int const first = rf_option_table_read(&table, argc, argv, apply, &r);
  if (first < 0) {
    return false;
  }
  if (common->baseline != NULL || common->write_baseline != NULL) {
    /* A known finding must not keep a new one from being found. First in the list, so that --halt overrides it. */
    out->passed = rf_bump_arena_print(arena, "halt=0%s%s", out->passed[0] == '\0' ? "" : ":", out->passed);
  }
  out->program = argv + first;
  if (first >= argc && !common->help && !out->keys) {
    rf_diag("no program given; try `ringfence check -- program arguments`");
    return false;
  }
  if (!leaves_to_hunt(out)) {
    return false;
  }
  return rf_outputs_settle(&common->outputs, common->format_given, common->format);
}

/* The options that the library is to have. It says itself if some are wrong. */
static rf_options options_of(const rf_check_options *given) {
  rf_sink const nothing = rf_null_sink();
  rf_options options = rf_environment_defaults();
  (void)rf_options_parse(&options, getenv("RINGFENCE_OPTIONS"), "RINGFENCE_OPTIONS", &nothing);
  (void)rf_options_parse(&options, given->passed, "check", &nothing);
  return options;
}

bool rf_check_options_collector(const rf_check_options *given) {
  rf_options const options = options_of(given);
  const char *const variable = rf_env_or("RINGFENCE_COLLECTOR", "");
  return options.collector != NULL
             ? rf_collector_is_folder("the option collector", options.collector, options.collector_length)
             : rf_collector_is_folder("RINGFENCE_COLLECTOR", variable, strlen(variable));
}

void rf_check_options_keys(const rf_check_options *given) {
  rf_options const options = options_of(given);
  rf_sink const out = rf_file_sink(stdout);
  rf_options_help(&options, &out);
}

void rf_check_options_help(void) {
  (void)puts(
      "Usage: ringfence check [OPTIONS] -- PROGRAM [ARGUMENTS]\n"
      "\n"
      "Runs PROGRAM, and all programs that it starts, with a checked malloc. Their input, output and arguments stay\n"
      "as they are. At the end it prints the findings to standard error, with functions, files and lines where the\n"
      "program was built with -g, then one line that sums up the run.\n");
  rf_option_table_help(&table);
  (void)puts(
      "\n"
      "Exit status: that of PROGRAM (128 + N if signal N ended it); 99 or --exitcode if anything was found that is\n"
      "not in --baseline; 2 if PROGRAM cannot be checked or the command line is wrong; 126 if PROGRAM cannot be\n"
      "executed; 127 if there is no such program.\n"
      "\n"
      "Environment:\n"
      "  RINGFENCE_OPTIONS       options of the library, as key=value:key=value; the command line overrides them\n"
      "  RINGFENCE_LIB           as --library\n"
      "  NO_COLOR                if not empty, no colours unless --color says so\n"
      "  TMPDIR                  folder for records while PROGRAM runs\n"
      "\n"
      "Examples:\n"
      "  ringfence check -- ./program arguments\n"
      "  ringfence check --continue --json found.json -- make test\n"
      "  ringfence check --hunt -- ./program < input\n"
      "  ringfence check --baseline known.txt --output found.sarif -- ./test");
}
