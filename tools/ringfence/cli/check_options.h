/* The command line of `ringfence check`. */
#ifndef RINGFENCE_TOOLS_CLI_CHECK_OPTIONS_H
#define RINGFENCE_TOOLS_CLI_CHECK_OPTIONS_H

#include "tools/ringfence/render/output.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_check_options {
  const char *library; /* --library, or NULL */
  const char *json;    /* --json, or NULL */
  const char *log;     /* --log, or NULL */
  rf_output_format format;
  bool format_given;
  rf_outputs outputs; /* --output */
  const char **suppressions;
  size_t suppressions_count;
  const char *baseline;       /* --baseline, or NULL */
  const char *write_baseline; /* --write-baseline, or NULL */
  bool keep;
  bool quiet;
  bool verbose;
  bool help;
  const char *passed; /* for the library, in the form of RINGFENCE_OPTIONS; "" for nothing */
  char **program;     /* the program and its arguments, NULL at the end; at least one where `help` is false */
} rf_check_options;

/* Reads the words behind `check` (argv[0] is "check"). False after a message. */
bool rf_check_options_parse(rf_check_options *out, rf_bump_arena *arena, int argc, char **argv);

/* Writes the manual of `check` to standard output. */
void rf_check_options_help(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_CLI_CHECK_OPTIONS_H */
