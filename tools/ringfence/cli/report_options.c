#include "tools/ringfence/cli/report_options.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/option_table.h"

#include <errno.h>
#include <ringfence/finding.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum row_id {
  FORMAT,
  COLOR,
  OUTPUT,
  FROM,
  IMAGE,
  SUPPRESSIONS,
  SKIP_FRAMES,
  BASELINE,
  WRITE_BASELINE,
  EXITCODE,
  ERROR_EXITCODE,
  SOURCE_ROOT,
  NO_SYMBOLS,
  QUIET,
  VERBOSE,
  HELP,
  ROWS
} row_id;

static const rf_option rows[ROWS] = {
    [FORMAT] = {"format", 'f', "FORMAT", "text (the default), json, sarif, junit, html, github, or pprof (snapshots)",
                NULL},
    [COLOR] = {"color", '\0', "WHEN", "colours in text: auto (the default; none with NO_COLOR), always or never", NULL},
    [OUTPUT] = {"output", 'o', "FILE",
                "write to FILE instead of standard output, in the format that its name ends in\n"
                "(.txt .json .sarif .xml .html .pb.gz) unless --format is given; - is standard output;\n"
                "may be repeated",
                NULL},
    [FROM] = {"from", '\0', "FORM", "form of the FILEs: json, serial, or auto (the default), line by line", NULL},
    [IMAGE] = {"image", '\0', "FILE", "the program of a target without files, to name its addresses", NULL},
    [SUPPRESSIONS] = {"suppressions", '\0', "FILE", "hide findings that match a rule in FILE; may be repeated", NULL},
    [SKIP_FRAMES] = {"skip-frames", '\0', "FILE",
                     "functions and modules in FILE do not count when findings are compared", NULL},
    [BASELINE] = {"baseline", '\0', "FILE", "findings in FILE are known: only new ones count for the exit status",
                  NULL},
    [WRITE_BASELINE] = {"write-baseline", '\0', "FILE", "write these findings to FILE as known, and exit with 0", NULL},
    [EXITCODE] = {"exitcode", 'e', "N", "exit status after (new) findings (default 99); 0: always 0", NULL},
    [ERROR_EXITCODE] = {"error-exitcode", '\0', "N", "the same as --exitcode", NULL},
    [SOURCE_ROOT] = {"source-root", '\0', "DIR", "name files in DIR relative to it (default: the current folder)",
                     NULL},
    [NO_SYMBOLS] = {"no-symbols", '\0', NULL, "show only the names that the records hold", NULL},
    [QUIET] = {"quiet", 'q', NULL, "no summary line on standard error, and no known findings", NULL},
    [VERBOSE] = {"verbose", 'v', NULL, "show whole stacks, with the callers of main", NULL},
    [HELP] = {"help", 'h', NULL, "print this and exit", NULL},
};

RF_OPTION_TABLE(table, "report", rows, false);

typedef struct reader {
  rf_report_command_options *out;
  rf_bump_arena *arena;
} reader;

static bool set_from(rf_report_command_options *out, const char *name) {
  static const char *const forms[] = {"auto", "json", "serial"};
  for (unsigned i = 0; i < 3; i++) {
    if (strcmp(name, forms[i]) == 0) {
      out->from = (rf_input_form)i;
      return true;
    }
  }
  rf_diag("--from %s: use auto, json or serial", name);
  return false;
}

static bool set_exitcode(rf_report_command_options *out, const char *text) {
  char *end = NULL;
  errno = 0;
  unsigned long const value = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > 255) {
    rf_diag("--exitcode %s: use a number from 0 to 255", text);
    return false;
  }
  out->exitcode = (unsigned)value;
  return true;
}

static void add_output(const reader *r, const char *path) {
  if (strcmp(path, "-") == 0) {
    r->out->standard = true;
  } else {
    rf_outputs_add(&r->out->common.outputs, r->arena, path);
  }
}

static void set_flag(rf_report_command_options *out, row_id id) {
  out->symbolize = out->symbolize && id != NO_SYMBOLS;
  out->common.quiet = out->common.quiet || id == QUIET;
  out->common.verbose = out->common.verbose || id == VERBOSE;
  out->common.help = out->common.help || id == HELP;
}

static bool apply(void *context, size_t row, const char *argument) {
  const reader *const r = (const reader *)context;
  rf_report_command_options *const out = r->out;
  switch ((row_id)row) {
  case FORMAT:
    return rf_common_options_format(&out->common, argument);
  case OUTPUT:
    add_output(r, argument);
    return true;
  case FROM:
    return set_from(out, argument);
  case IMAGE:
    out->image = argument;
    return true;
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
    return rf_common_options_file(&out->common.write_baseline, rows[row].name, argument,
                                  "standard output is for the report");
  case COLOR:
    return rf_common_options_colour(&out->common, argument);
  case EXITCODE:
  case ERROR_EXITCODE:
    return set_exitcode(out, argument);
  case SOURCE_ROOT:
    out->source_root = argument;
    return true;
  default:
    set_flag(out, (row_id)row);
    return true;
  }
}

bool rf_report_command_options_parse(rf_report_command_options *out, rf_bump_arena *arena, int argc, char **argv) {
  *out = (rf_report_command_options){.exitcode = RF_EXITCODE_DEFAULT, .symbolize = true};
  reader r = {out, arena};
  int const first = rf_option_table_read(&table, argc, argv, apply, &r);
  if (first < 0) {
    return false;
  }
  out->inputs = argv + first;
  out->input_count = argc - first;
  if (out->input_count == 0 && !out->common.help) {
    rf_diag("no file given; try `ringfence report FILE...`, with - for standard input");
    return false;
  }
  return rf_outputs_settle(&out->common.outputs, out->common.format_given, out->common.format);
}

void rf_report_command_options_help(void) {
  (void)puts(
      "Usage: ringfence report [OPTIONS] FILE...\n"
      "\n"
      "Reads findings from FILEs: JSON lines, and console or serial captures with #RF: lines among other text;\n"
      "- is standard input. Merges and counts findings of one bug. Prints them to standard output, or writes them\n"
      "to files, with functions, files and lines where the programs are still there.\n");
  rf_option_table_help(&table);
  (void)puts(
      "\n"
      "Exit status: 0 if nothing (new) was found; 99 or --exitcode if anything was; 2 if the command line is wrong\n"
      "or a file cannot be read or written.\n"
      "\n"
      "Examples:\n"
      "  ringfence report --output found.sarif --output found.html found.json\n"
      "  ringfence report --baseline known.txt found.json\n"
      "  ringfence report --image firmware.elf /tmp/uart.log");
}
