#include "tools/ringfence/options.h"

#include "tools/ringfence/nearest.h"
#include "tools/ringfence/say.h"

#include <getopt.h>
#include <ringfence/options.h>
#include <ringfence/sink.h>
#include <stdio.h>
#include <string.h>

typedef enum row_id {
  ROW_MODE,
  ROW_CONTINUE,
  ROW_NO_HALT,
  ROW_HALT,
  ROW_LEAKS,
  ROW_NO_LEAKS,
  ROW_QUARANTINE,
  ROW_STACK_DEPTH,
  ROW_EXITCODE,
  ROW_OPTION,
  ROW_FORMAT,
  ROW_JSON,
  ROW_LOG,
  ROW_QUIET,
  ROW_VERBOSE,
  ROW_KEEP,
  ROW_LIBRARY,
  ROW_HELP,
  ROWS
} row_id;

typedef struct row {
  const char *name;     /* behind "--" */
  char letter;          /* behind "-"; NUL for none */
  const char *argument; /* what it takes, for the manual; NULL for nothing */
  const char *passed;   /* what the library is told: "key=value", or "key=" before the argument; NULL: nothing */
  const char *help;
} row;

static const row rows[ROWS] = {
    [ROW_MODE] = {"mode", 'm', "MODE", "mode=", "how to check: guard (the default), or off"},
    [ROW_CONTINUE] = {"continue", 'c', NULL, "halt=0", "go on after a finding, and let every process end as it would"},
    [ROW_NO_HALT] = {"no-halt", '\0', NULL, "halt=0", "the same"},
    [ROW_HALT] = {"halt", '\0', NULL, "halt=1", "end a process at its first finding (the default)"},
    [ROW_LEAKS] = {"leaks", '\0', "WHICH", "leaks=",
                   "leaks to report: 1, those in code with names (the default);\n"
                   "all; reachable, also what is still in use at the end; 0, none"},
    [ROW_NO_LEAKS] = {"no-leaks", '\0', NULL, "leaks=0", "the same as --leaks=0"},
    [ROW_QUARANTINE] = {"quarantine", '\0', "BYTES",
                        "quarantine=", "freed memory to hold back and watch for writes; K, M and G count"},
    [ROW_STACK_DEPTH] = {"stack-depth", '\0', "N",
                         "stack_depth=", "return addresses to keep of each allocation and free"},
    [ROW_EXITCODE] = {"exitcode", 'e', "N",
                      "exitcode=", "status to exit with after findings (default 99); 0: the program's own"},
    [ROW_OPTION] = {"option", 'o', "KEY=VALUE", "", "any option of the library (docs/checkers/options.md)"},
    [ROW_FORMAT] = {"format", 'f', "FORMAT", NULL, "of what is printed: text (the default) or json"},
    [ROW_JSON] = {"json", 'j', "FILE", NULL, "write findings and summary to FILE as well, one JSON object a line"},
    [ROW_LOG] = {"log", 'l', "FILE", NULL, "print to FILE instead of standard error"},
    [ROW_QUIET] = {"quiet", 'q', NULL, NULL, "print nothing when nothing was found"},
    [ROW_VERBOSE] = {"verbose", 'v', NULL, NULL, "say what is done, list the processes, show whole stacks"},
    [ROW_KEEP] = {"keep", 'k', NULL, NULL, "keep what the processes recorded, and say where it is"},
    [ROW_LIBRARY] = {"library", '\0', "FILE", NULL, "the libringfence.so to use"},
    [ROW_HELP] = {"help", 'h', NULL, NULL, "print this and exit"},
};

/* ---- The manual ---- */

static void print_row(const row *r) {
  char words[64];
  char letter[5] = "    ";
  if (r->letter != '\0') {
    (void)snprintf(letter, sizeof letter, "-%c, ", r->letter);
  }
  (void)snprintf(words, sizeof words, "%s--%s%s%s", letter, r->name, r->argument == NULL ? "" : " ",
                 r->argument == NULL ? "" : r->argument);
  const char *line = r->help;
  for (const char *head = words; line[0] != '\0'; head = "") {
    size_t const length = strcspn(line, "\n");
    (void)printf("  %-23s %.*s\n", head, (int)length, line);
    line += length + (line[length] != '\0');
  }
}

void rf_check_options_help(void) {
  (void)puts(
      "Usage: ringfence check [OPTIONS] -- PROGRAM [ARGUMENTS]\n"
      "\n"
      "Runs PROGRAM with a checked malloc in it and in all programs that it starts. Its input, output and\n"
      "arguments are left alone. What was found is printed to standard error at the end, with functions, files and\n"
      "lines where the program was built with -g, then one line that says what was checked.\n"
      "\n"
      "Options:");
  for (size_t i = 0; i < ROWS; i++) {
    print_row(&rows[i]);
  }
  (void)puts(
      "\n"
      "Exit status: that of PROGRAM (128 + N if signal N ended it); 99 or --exitcode if anything was found; 2 if\n"
      "PROGRAM cannot be checked or the command line is wrong; 126 if it cannot be executed; 127 if it is not there.\n"
      "\n"
      "Environment:\n"
      "  RINGFENCE_OPTIONS       options of the library, as key=value:key=value; the command line comes after them\n"
      "  RINGFENCE_LIB           as --library\n"
      "  TMPDIR                  where records are kept while PROGRAM runs\n"
      "\n"
      "Examples:\n"
      "  ringfence check -- ./program arguments\n"
      "  ringfence check --continue --json found.json -- make test");
}

/* ---- Telling the library ---- */

/* Keys by which the library hands its findings to the command; NULL: not for use here. */
static const char *instead_of(const char *key, size_t length) {
  static const char *const keys[][2] = {
      {"log", "--log"}, {"format", "--format"}, {"summary", "the command"}, {"help", "`ringfence help check`"}};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    if (strlen(keys[i][0]) == length && memcmp(keys[i][0], key, length) == 0) {
      return keys[i][1];
    }
  }
  return NULL;
}

/* The library says "ringfence: SOURCE: key=value is ignored; REASON". Here nothing is ignored: the command stops. */
static void say_refused(const char *option, const char *item, char *warning) {
  const char *const reason = strstr(warning, "is ignored; ");
  warning[strcspn(warning, "\n")] = '\0';
  rf_say("%s: %s cannot be used; %s", option, item, reason == NULL ? warning : reason + strlen("is ignored; "));
}

static bool pass(rf_check_options *out, rf_stash *stash, const row *r, const char *argument) {
  const char *const value = argument == NULL ? "" : argument;
  const char *const item = rf_stash_print(stash, "%s%s", r->passed, value);
  const char *const instead = instead_of(item, strcspn(item, "="));
  char warning[1024];
  rf_sink_buffer warnings;
  rf_options unused;
  if (instead != NULL) {
    rf_say("--option %s: this is what %s is for", item, instead);
    return false;
  }
  /* A colon would begin another option behind this one's back. */
  if (strchr(item, ':') != NULL) {
    rf_say("--%s %s: give one option at a time, without colons", r->name, value);
    return false;
  }
  rf_sink_buffer_init(&warnings, warning, sizeof warning);
  rf_options_default(&unused);
  if (rf_options_parse(&unused, item, r->name, &warnings.sink) != 0) {
    say_refused(rf_stash_print(stash, "--%s", r->name), item, warning);
    return false;
  }
  out->passed = rf_stash_print(stash, "%s%s%s", out->passed, out->passed[0] == '\0' ? "" : ":", item);
  return true;
}

/* ---- Reading ---- */

static bool set_format(rf_check_options *out, const char *format) {
  out->as_json = strcmp(format, "json") == 0;
  if (!out->as_json && strcmp(format, "text") != 0) {
    rf_say("--format %s: there are text and json", format);
    return false;
  }
  return true;
}

/* A file for the command's output. */
static bool set_file(const char **out, const row *r, const char *path) {
  if (path[0] == '\0' || strcmp(path, "-") == 0) {
    rf_say("--%s needs the name of a file; standard output belongs to the program", r->name);
    return false;
  }
  *out = path;
  return true;
}

static bool apply(rf_check_options *out, rf_stash *stash, row_id id, const char *argument) {
  if (rows[id].passed != NULL) {
    return pass(out, stash, &rows[id], argument);
  }
  switch (id) {
  case ROW_FORMAT:
    return set_format(out, argument);
  case ROW_JSON:
    return set_file(&out->json, &rows[id], argument);
  case ROW_LOG:
    return set_file(&out->log, &rows[id], argument);
  case ROW_QUIET:
    out->quiet = true;
    break;
  case ROW_VERBOSE:
    out->verbose = true;
    break;
  case ROW_KEEP:
    out->keep = true;
    break;
  case ROW_LIBRARY:
    out->library = argument;
    break;
  case ROW_HELP:
  default:
    out->help = true;
    break;
  }
  return true;
}

/* Tables for getopt_long, made of the rows: long options give back their row, behind all letters. */
enum { FIRST_LONG = 256 };

typedef struct getopt_tables {
  struct option words[ROWS + 1];
  char letters[2 * ROWS + 3];
} getopt_tables;

static void make_tables(getopt_tables *t) {
  size_t at = 0;
  *t = (getopt_tables){0};
  /* Stop at the program's name; tell a missing argument from an unknown option. */
  t->letters[at++] = '+';
  t->letters[at++] = ':';
  for (int i = 0; i < ROWS; i++) {
    bool const takes = rows[i].argument != NULL;
    t->words[i] = (struct option){rows[i].name, takes ? required_argument : no_argument, NULL, FIRST_LONG + i};
    if (rows[i].letter != '\0') {
      t->letters[at++] = rows[i].letter;
      if (takes) {
        t->letters[at++] = ':';
      }
    }
  }
}

static row_id row_of(int code) {
  for (int i = 0; i < ROWS; i++) {
    if (code == FIRST_LONG + i || (rows[i].letter != '\0' && code == rows[i].letter)) {
      return (row_id)i;
    }
  }
  return ROWS;
}

/* What getopt_long could not make sense of: `word` as it stands on the command line. */
static void say_unknown(rf_stash *stash, const char *word) {
  const char *names[ROWS];
  for (size_t i = 0; i < ROWS; i++) {
    names[i] = rows[i].name;
  }
  if (strncmp(word, "--", 2) != 0) {
    rf_say("there is no option -%c; see `ringfence help check`", optopt);
    return;
  }
  const char *const name = rf_stash_text(stash, word + 2, strcspn(word + 2, "="));
  row_id const known = row_of(optopt);
  if (known != ROWS) {
    rf_say("--%s takes no argument", rows[known].name);
    return;
  }
  const char *const nearest = rf_nearest(name, names, ROWS);
  if (nearest != NULL) {
    rf_say("there is no option --%s; did you mean --%s?", name, nearest);
  } else {
    rf_say("there is no option --%s; see `ringfence help check`", name);
  }
}

bool rf_check_options_parse(rf_check_options *out, rf_stash *stash, int argc, char **argv) {
  getopt_tables tables;
  make_tables(&tables);
  *out = (rf_check_options){.passed = ""};
  opterr = 0;
  optind = 1;
  for (;;) {
    const char *const word = optind < argc ? argv[optind] : "";
    optopt = 0;
    int const code = getopt_long(argc, argv, tables.letters, tables.words, NULL);
    if (code == -1) {
      break;
    }
    if (code == ':') {
      rf_say("%s needs an argument; see `ringfence help check`", word);
      return false;
    }
    row_id const id = code == '?' ? ROWS : row_of(code);
    if (id == ROWS) {
      say_unknown(stash, word);
      return false;
    }
    if (!apply(out, stash, id, optarg)) {
      return false;
    }
  }
  out->program = argv + optind;
  if (optind >= argc && !out->help) {
    rf_say("check which program? `ringfence check -- program arguments`");
    return false;
  }
  return true;
}
