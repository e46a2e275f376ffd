/* The options of `ringfence check`, in one table: what is read, what is told to the library, what the manual says. */
#ifndef RINGFENCE_TOOLS_CLI_CHECK_OPTIONS_TABLE_H
#define RINGFENCE_TOOLS_CLI_CHECK_OPTIONS_TABLE_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_option_id {
  RF_OPTION_MODE,
  RF_OPTION_CONTINUE,
  RF_OPTION_NO_HALT,
  RF_OPTION_HALT,
  RF_OPTION_LEAKS,
  RF_OPTION_NO_LEAKS,
  RF_OPTION_QUARANTINE,
  RF_OPTION_STACK_DEPTH,
  RF_OPTION_EXITCODE,
  RF_OPTION_OPTION,
  RF_OPTION_SUPPRESSIONS,
  RF_OPTION_BASELINE,
  RF_OPTION_WRITE_BASELINE,
  RF_OPTION_FORMAT,
  RF_OPTION_OUTPUT,
  RF_OPTION_SARIF,
  RF_OPTION_JUNIT,
  RF_OPTION_HTML,
  RF_OPTION_JSON,
  RF_OPTION_TRACE,
  RF_OPTION_LOG,
  RF_OPTION_QUIET,
  RF_OPTION_VERBOSE,
  RF_OPTION_KEEP,
  RF_OPTION_LIBRARY,
  RF_OPTION_HELP,
  RF_OPTIONS
} rf_option_id;

typedef struct rf_option_row {
  const char *name;     /* behind "--" */
  char letter;          /* behind "-"; NUL for none */
  const char *argument; /* what it takes, for the manual; NULL for nothing */
  const char *passed;   /* what the library is told: "key=value", or "key=" before the argument; NULL: nothing */
  const char *help;
} rf_option_row;

extern const rf_option_row rf_option_rows[RF_OPTIONS];

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_CLI_CHECK_OPTIONS_TABLE_H */
