/* The command line of `ringfence check`. */
#ifndef RINGFENCE_TOOLS_CLI_CHECK_OPTIONS_H
#define RINGFENCE_TOOLS_CLI_CHECK_OPTIONS_H

#include "tools/ringfence/cli/common_options.h"

typedef struct rf_check_options {
  rf_common_options common;
  const char *library; /* --library, or NULL */
  const char *json;    /* --json, or NULL */
  const char *log;     /* --log, or NULL */
  bool keep;
  bool no_pools;      /* programs are to ask malloc for each block */
  bool strict;        /* a program that was not checked is a failure */
  bool wait;          /* for processes that outlive the program */
  unsigned wait_s;    /* at most so long; 0: until all have ended */
  unsigned hunt;      /* --hunt: at most so many runs; 0: one run as ever */
  bool keys;          /* --option help=1: the options of the library are to be listed, and nothing is run */
  const char *passed; /* for the library, in the form of RINGFENCE_OPTIONS; "" for nothing */
  char **program;     /* the program and its arguments, NULL at the end; at least one unless help is asked for */
} rf_check_options;

/* Reads the words behind `check` (argv[0] is "check"). False after a message. */
bool rf_check_options_parse(rf_check_options *out, rf_bump_arena *arena, int argc, char **argv);

/* Whether findings are to go to a folder, if anywhere; false after a message. */
bool rf_check_options_collector(const rf_check_options *given);

/* Writes the options of the library, with the values that they have in `given`, to standard output. */
void rf_check_options_keys(const rf_check_options *given);

/* Writes the manual of `check` to standard output. */
void rf_check_options_help(void);

#endif
