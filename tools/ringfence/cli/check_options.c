#include "tools/ringfence/cli/check_options.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/suggest.h"
#include "tools/ringfence/cli/check_options_table.h"

#include <getopt.h>
#include <ringfence/options.h>
#include <ringfence/sink.h>
#include <string.h>

/* ---- Telling the library ---- */

/* Keys by which the library hands its findings to the command; NULL: not for use here. */
static const char *instead_of(const char *key, size_t length) {
  static const char *const keys[][2] = {{"log", "--log"},
                                        {"format", "--format"},
                                        {"summary", "the command"},
                                        {"help", "`ringfence help check`"},
                                        {"suppressions", "--suppressions"}};
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
  rf_diag("%s: %s cannot be used; %s", option, item, reason == NULL ? warning : reason + strlen("is ignored; "));
}

static bool pass(rf_check_options *out, rf_bump_arena *arena, const rf_option_row *r, const char *argument) {
  const char *const value = argument == NULL ? "" : argument;
  const char *const item = rf_bump_arena_print(arena, "%s%s", r->passed, value);
  const char *const instead = instead_of(item, strcspn(item, "="));
  char warning[1024];
  rf_sink_buffer warnings;
  rf_options unused;
  if (instead != NULL) {
    rf_diag("--option %s: this is what %s is for", item, instead);
    return false;
  }
  /* A colon would begin another option behind this one's back. */
  if (strchr(item, ':') != NULL) {
    rf_diag("--%s %s: give one option at a time, without colons", r->name, value);
    return false;
  }
  rf_sink_buffer_init(&warnings, warning, sizeof warning);
  rf_options_default(&unused);
  if (rf_options_parse(&unused, item, r->name, &warnings.sink) != 0) {
    say_refused(rf_bump_arena_print(arena, "--%s", r->name), item, warning);
    return false;
  }
  out->passed = rf_bump_arena_print(arena, "%s%s%s", out->passed, out->passed[0] == '\0' ? "" : ":", item);
  return true;
}

/* ---- Reading ---- */

static bool set_format(rf_check_options *out, const char *format) {
  out->format_given = rf_output_format_from_name(format, &out->format);
  if (!out->format_given) {
    rf_diag("--format %s: there are text, json, sarif, junit and html", format);
  }
  return out->format_given;
}

/* A file for the command's output. */
static bool set_file(const char **out, const rf_option_row *r, const char *path) {
  if (path[0] == '\0' || strcmp(path, "-") == 0) {
    rf_diag("--%s needs the name of a file; standard output belongs to the program", r->name);
    return false;
  }
  *out = path;
  return true;
}

static bool add_output(rf_check_options *out, rf_bump_arena *arena, const char *path) {
  const char *checked = NULL;
  if (!set_file(&checked, &rf_option_rows[RF_OPTION_OUTPUT], path)) {
    return false;
  }
  rf_outputs_add(&out->outputs, arena, checked);
  return true;
}

static bool add_output_as(rf_check_options *out, rf_bump_arena *arena, rf_option_id id, const char *path) {
  const char *checked = NULL;
  if (!set_file(&checked, &rf_option_rows[id], path)) {
    return false;
  }
  rf_outputs_add_as(&out->outputs, arena, checked,
                    id == RF_OPTION_SARIF   ? RF_OUTPUT_SARIF
                    : id == RF_OPTION_JUNIT ? RF_OUTPUT_JUNIT
                                            : RF_OUTPUT_HTML);
  return true;
}

static bool add_suppressions(rf_check_options *out, rf_bump_arena *arena, const char *path) {
  out->suppressions =
      (const char **)rf_bump_arena_grow(arena, out->suppressions, out->suppressions_count, sizeof(const char *));
  out->suppressions[out->suppressions_count++] = path;
  return true;
}

static bool apply(rf_check_options *out, rf_bump_arena *arena, rf_option_id id, const char *argument) {
  if (rf_option_rows[id].passed != NULL) {
    return pass(out, arena, &rf_option_rows[id], argument);
  }
  switch (id) {
  case RF_OPTION_FORMAT:
    return set_format(out, argument);
  case RF_OPTION_OUTPUT:
    return add_output(out, arena, argument);
  case RF_OPTION_SARIF:
  case RF_OPTION_JUNIT:
  case RF_OPTION_HTML:
    return add_output_as(out, arena, id, argument);
  case RF_OPTION_SUPPRESSIONS:
    return add_suppressions(out, arena, argument);
  case RF_OPTION_BASELINE:
    out->baseline = argument;
    break;
  case RF_OPTION_WRITE_BASELINE:
    return set_file(&out->write_baseline, &rf_option_rows[id], argument);
  case RF_OPTION_JSON:
    return set_file(&out->json, &rf_option_rows[id], argument);
  case RF_OPTION_LOG:
    return set_file(&out->log, &rf_option_rows[id], argument);
  case RF_OPTION_QUIET:
    out->quiet = true;
    break;
  case RF_OPTION_VERBOSE:
    out->verbose = true;
    break;
  case RF_OPTION_KEEP:
    out->keep = true;
    break;
  case RF_OPTION_LIBRARY:
    out->library = argument;
    break;
  case RF_OPTION_HELP:
  default:
    out->help = true;
    break;
  }
  return true;
}

/* Tables for getopt_long, made of the rows: long options give back their row, behind all letters. */
enum { FIRST_LONG = 256 };

typedef struct getopt_tables {
  struct option words[RF_OPTIONS + 1];
  char letters[2 * RF_OPTIONS + 3];
} getopt_tables;

static void make_tables(getopt_tables *t) {
  size_t at = 0;
  *t = (getopt_tables){0};
  /* Stop at the program's name; tell a missing argument from an unknown option. */
  t->letters[at++] = '+';
  t->letters[at++] = ':';
  for (int i = 0; i < RF_OPTIONS; i++) {
    bool const takes = rf_option_rows[i].argument != NULL;
    t->words[i] =
        (struct option){rf_option_rows[i].name, takes ? required_argument : no_argument, NULL, FIRST_LONG + i};
    if (rf_option_rows[i].letter != '\0') {
      t->letters[at++] = rf_option_rows[i].letter;
      if (takes) {
        t->letters[at++] = ':';
      }
    }
  }
}

static rf_option_id row_of(int code) {
  for (int i = 0; i < RF_OPTIONS; i++) {
    if (code == FIRST_LONG + i || (rf_option_rows[i].letter != '\0' && code == rf_option_rows[i].letter)) {
      return (rf_option_id)i;
    }
  }
  return RF_OPTIONS;
}

/* What getopt_long could not make sense of: `word` as it stands on the command line. */
static void say_unknown(rf_bump_arena *arena, const char *word) {
  const char *names[RF_OPTIONS];
  for (size_t i = 0; i < RF_OPTIONS; i++) {
    names[i] = rf_option_rows[i].name;
  }
  if (strncmp(word, "--", 2) != 0) {
    rf_diag("there is no option -%c; see `ringfence help check`", optopt);
    return;
  }
  const char *const name = rf_bump_arena_text(arena, word + 2, strcspn(word + 2, "="));
  rf_option_id const known = row_of(optopt);
  if (known != RF_OPTIONS) {
    rf_diag("--%s takes no argument", rf_option_rows[known].name);
    return;
  }
  const char *const nearest = rf_suggest(name, names, RF_OPTIONS);
  if (nearest != NULL) {
    rf_diag("there is no option --%s; did you mean --%s?", name, nearest);
  } else {
    rf_diag("there is no option --%s; see `ringfence help check`", name);
  }
}

bool rf_check_options_parse(rf_check_options *out, rf_bump_arena *arena, int argc, char **argv) {
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
      rf_diag("%s needs an argument; see `ringfence help check`", word);
      return false;
    }
    rf_option_id const id = code == '?' ? RF_OPTIONS : row_of(code);
    if (id == RF_OPTIONS) {
      say_unknown(arena, word);
      return false;
    }
    if (!apply(out, arena, id, optarg)) {
      return false;
    }
  }
  if (out->baseline != NULL || out->write_baseline != NULL) {
    /* What is known must not keep what is new from being found. First, so that --halt overrides it. */
    out->passed = rf_bump_arena_print(arena, "halt=0%s%s", out->passed[0] == '\0' ? "" : ":", out->passed);
  }
  out->program = argv + optind;
  if (optind >= argc && !out->help) {
    rf_diag("check which program? `ringfence check -- program arguments`");
    return false;
  }
  return rf_outputs_settle(&out->outputs, out->format_given, out->format);
}
