/* The command line of `ringfence report`. */
#ifndef RINGFENCE_TOOLS_CLI_REPORT_OPTIONS_H
#define RINGFENCE_TOOLS_CLI_REPORT_OPTIONS_H

#include "tools/ringfence/cli/common_options.h"
#include "tools/ringfence/model/input.h"

typedef struct rf_report_command_options {
  rf_common_options common;
  bool standard; /* also write to standard output, the default where there is no --output */
  rf_input_form from;
  const char *image;       /* NULL: none */
  const char *source_root; /* NULL: the folder that the command runs in */
  unsigned exitcode;
  bool symbolize;
  char **inputs;
  int input_count; /* at least one unless help is asked for */
} rf_report_command_options;

/* Reads the words behind `report` (argv[0] is "report"). False after a message. */
bool rf_report_command_options_parse(rf_report_command_options *out, rf_bump_arena *arena, int argc, char **argv);

/* Writes the manual of `report` to standard output. */
void rf_report_command_options_help(void);

#endif
