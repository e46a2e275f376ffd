#include "tools/ringfence/cli/check_options.h"
#include "tools/ringfence/cli/check_options_table.h"

#include <stdio.h>
#include <string.h>

/* Columns of the names; what is longer has a line of its own. */
enum { HEAD = 23 };

static void print_row(const rf_option_row *r) {
  char words[64];
  char letter[5] = "    ";
  if (r->letter != '\0') {
    (void)snprintf(letter, sizeof letter, "-%c, ", r->letter);
  }
  (void)snprintf(words, sizeof words, "%s--%s%s%s", letter, r->name, r->argument == NULL ? "" : " ",
                 r->argument == NULL ? "" : r->argument);
  const char *line = r->help;
  const char *head = words;
  if (strlen(words) > HEAD) {
    (void)printf("  %s\n", words);
    head = "";
  }
  for (; line[0] != '\0'; head = "") {
    size_t const length = strcspn(line, "\n");
    (void)printf("  %-*s %.*s\n", HEAD, head, (int)length, line);
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
  for (size_t i = 0; i < RF_OPTIONS; i++) {
    print_row(&rf_option_rows[i]);
  }
  (void)puts(
      "\n"
      "Exit status: that of PROGRAM (128 + N if signal N ended it); 99 or --exitcode if anything was found that\n"
      "--baseline does not know; 2 if PROGRAM cannot be checked or the command line is wrong; 126 if it cannot be\n"
      "executed; 127 if it is not there.\n"
      "\n"
      "Environment:\n"
      "  RINGFENCE_OPTIONS       options of the library, as key=value:key=value; the command line comes after them\n"
      "  RINGFENCE_LIB           as --library\n"
      "  TMPDIR                  where records are kept while PROGRAM runs\n"
      "\n"
      "Examples:\n"
      "  ringfence check -- ./program arguments\n"
      "  ringfence check --continue --json found.json -- make test\n"
      "  ringfence check --baseline known.txt --output found.sarif -- ./test");
}
