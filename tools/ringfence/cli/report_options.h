/* The command line of `ringfence report`. */
#ifndef RINGFENCE_TOOLS_CLI_REPORT_OPTIONS_H
#define RINGFENCE_TOOLS_CLI_REPORT_OPTIONS_H

#include "tools/ringfence/model/input.h"
#include "tools/ringfence/render/output.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_report_command_options {
  rf_output_format format;
  bool format_given;
  rf_outputs outputs;
  bool standard; /* standard output as well; it is the only one where there are no `outputs` */
  rf_input_form from;
  const char *image;          /* NULL: none */
  const char *baseline;       /* NULL: none */
  const char *write_baseline; /* NULL: none */
  const char *source_root;    /* NULL: the folder that the command runs in */
  const char **suppressions;
  size_t suppressions_count;
  unsigned exitcode;
  bool symbolize;
  bool quiet;
  bool verbose;
  bool help;
  char **inputs;
  int input_count; /* at least one where `help` is false */
} rf_report_command_options;

/* Reads the words behind `report` (argv[0] is "report"). False after a message. */
bool rf_report_command_options_parse(rf_report_command_options *out, rf_bump_arena *arena, int argc, char **argv);

/* Writes the manual of `report` to standard output. */
void rf_report_command_options_help(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_CLI_REPORT_OPTIONS_H */
