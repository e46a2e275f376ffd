#include "tools/ringfence/cli/report_options.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/suggest.h"

#include <errno.h>
#include <getopt.h>
#include <ringfence/finding.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCE_ROOT = 256, IMAGE, BASELINE, WRITE_BASELINE, SUPPRESSIONS, NO_SYMBOLS, FROM };

static const struct option words[] = {
    {"format", required_argument, NULL, 'f'},
    {"output", required_argument, NULL, 'o'},
    {"from", required_argument, NULL, FROM},
    {"image", required_argument, NULL, IMAGE},
    {"suppressions", required_argument, NULL, SUPPRESSIONS},
    {"baseline", required_argument, NULL, BASELINE},
    {"write-baseline", required_argument, NULL, WRITE_BASELINE},
    {"exitcode", required_argument, NULL, 'e'},
    {"source-root", required_argument, NULL, SOURCE_ROOT},
    {"no-symbols", no_argument, NULL, NO_SYMBOLS},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

enum { WORDS = sizeof words / sizeof words[0] - 1 };

static bool set_format(rf_report_command_options *out, const char *name) {
  out->format_given = rf_output_format_from_name(name, &out->format);
  if (!out->format_given) {
    rf_diag("--format %s: there are text, json, sarif, junit and html", name);
  }
  return out->format_given;
}

static bool set_from(rf_report_command_options *out, const char *name) {
  static const char *const forms[] = {"auto", "json", "serial"};
  for (unsigned i = 0; i < 3; i++) {
    if (strcmp(name, forms[i]) == 0) {
      out->from = (rf_input_form)i;
      return true;
    }
  }
  rf_diag("--from %s: there are auto, json and serial", name);
  return false;
}

static bool set_exitcode(rf_report_command_options *out, const char *text) {
  char *end = NULL;
  errno = 0;
  unsigned long const value = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > 255) {
    rf_diag("--exitcode %s: 0 to 255", text);
    return false;
  }
  out->exitcode = (unsigned)value;
  return true;
}

static bool set_file(const char **out, const char *path) {
  *out = path;
  return true;
}

static bool add_suppressions(rf_report_command_options *out, rf_bump_arena *arena, const char *path) {
  out->suppressions =
      (const char **)rf_bump_arena_grow(arena, out->suppressions, out->suppressions_count, sizeof(const char *));
  out->suppressions[out->suppressions_count++] = path;
  return true;
}

static bool add_output(rf_report_command_options *out, rf_bump_arena *arena, const char *path) {
  if (strcmp(path, "-") == 0) {
    out->standard = true;
  } else {
    rf_outputs_add(&out->outputs, arena, path);
  }
  return true;
}

static bool set_write_baseline(rf_report_command_options *out, const char *path) {
  if (path[0] == '\0' || strcmp(path, "-") == 0) {
    rf_diag("--write-baseline needs the name of a file; standard output is for the report");
    return false;
  }
  out->write_baseline = path;
  return true;
}

static bool apply(rf_report_command_options *out, rf_bump_arena *arena, int code, const char *argument) {
  switch (code) {
  case 'f':
    return set_format(out, argument);
  case 'o':
    return add_output(out, arena, argument);
  case FROM:
    return set_from(out, argument);
  case IMAGE:
    return set_file(&out->image, argument);
  case SUPPRESSIONS:
    return add_suppressions(out, arena, argument);
  case BASELINE:
    return set_file(&out->baseline, argument);
  case WRITE_BASELINE:
    return set_write_baseline(out, argument);
  case 'e':
    return set_exitcode(out, argument);
  case SOURCE_ROOT:
    return set_file(&out->source_root, argument);
  case NO_SYMBOLS:
    out->symbolize = false;
    break;
  case 'q':
    out->quiet = true;
    break;
  case 'v':
    out->verbose = true;
    break;
  default:
    out->help = true;
    break;
  }
  return true;
}

/* `word` as it stands on the command line. */
static bool refuse(rf_bump_arena *arena, const char *word) {
  const char *names[WORDS];
  for (size_t i = 0; i < WORDS; i++) {
    names[i] = words[i].name;
  }
  const char *const name =
      strncmp(word, "--", 2) == 0 ? rf_bump_arena_text(arena, word + 2, strcspn(word + 2, "=")) : "";
  const char *const nearest = name[0] == '\0' ? NULL : rf_suggest(name, names, WORDS);
  if (name[0] == '\0') {
    rf_diag("there is no option -%c; see `ringfence help report`", optopt);
  } else if (nearest != NULL && strcmp(nearest, name) == 0) {
    rf_diag("--%s takes no argument", name);
  } else if (nearest != NULL) {
    rf_diag("there is no option --%s; did you mean --%s?", name, nearest);
  } else {
    rf_diag("there is no option --%s; see `ringfence help report`", name);
  }
  return false;
}

bool rf_report_command_options_parse(rf_report_command_options *out, rf_bump_arena *arena, int argc, char **argv) {
  *out = (rf_report_command_options){.exitcode = RF_EXITCODE_DEFAULT, .symbolize = true};
  opterr = 0;
  optind = 1;
  for (;;) {
    int const code = getopt_long(argc, argv, ":f:o:e:qvh", words, NULL);
    if (code == -1) {
      break;
    }
    if (code == ':') {
      rf_diag("%s needs an argument; see `ringfence help report`", argv[optind - 1]);
      return false;
    }
    if (code == '?') {
      return refuse(arena, argv[optind - 1]);
    }
    if (!apply(out, arena, code, optarg)) {
      return false;
    }
  }
  out->inputs = argv + optind;
  out->input_count = argc - optind;
  if (out->input_count == 0 && !out->help) {
    rf_diag("report which files? `ringfence report FILE...`, - for standard input");
    return false;
  }
  return true;
}

void rf_report_command_options_help(void) {
  (void)puts(
      "Usage: ringfence report [OPTIONS] FILE...\n"
      "\n"
      "Reads findings from FILEs: JSON lines, and consoles or serial captures with #RF: lines among other text;\n"
      "- is standard input. Findings of one bug are merged and counted. They are printed to standard output, or\n"
      "written to files, with functions, files and lines where the programs are still there.\n"
      "\n"
      "Options:\n"
      "  -f, --format FORMAT     text (the default), json, sarif, junit or html\n"
      "  -o, --output FILE       write to FILE instead of standard output, in the format that its name ends in\n"
      "                          (.txt .json .sarif .xml .html) unless --format says another; - is standard output;\n"
      "                          may be repeated\n"
      "      --from FORM         what FILEs are: json, serial, or auto (the default), line by line\n"
      "      --image FILE        the program of a target without files, for its addresses\n"
      "      --suppressions FILE hide findings that a rule in FILE matches; may be repeated\n"
      "      --baseline FILE     findings in FILE are known: only new ones count for the exit status\n"
      "      --write-baseline FILE\n"
      "                          write to FILE that all of these findings are known, and exit with 0\n"
      "  -e, --exitcode N        status to exit with after (new) findings (default 99); 0: always 0\n"
      "      --source-root DIR   name files in DIR without it (default: the current folder)\n"
      "      --no-symbols        show only what the records themselves know\n"
      "  -q, --quiet             no summary line on standard error\n"
      "  -v, --verbose           show whole stacks, with what called main\n"
      "  -h, --help              print this and exit\n"
      "\n"
      "Exit status: 0 if nothing, or nothing new, was found; 99 or --exitcode if something was; 2 if the command\n"
      "line is wrong or a file cannot be read or written.\n"
      "\n"
      "Examples:\n"
      "  ringfence report --output found.sarif --output found.html found.json\n"
      "  ringfence report --baseline known.txt found.json\n"
      "  ringfence report --image firmware.elf /tmp/uart.log");
}
