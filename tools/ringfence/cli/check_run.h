/* `ringfence check`: one run of the program, and what is known of it. */
#ifndef RINGFENCE_TOOLS_CLI_CHECK_RUN_H
#define RINGFENCE_TOOLS_CLI_CHECK_RUN_H

#include "tools/ringfence/cli/check_options.h"
#include "tools/ringfence/model/run.h"
#include "tools/ringfence/render/document.h"
#include "tools/ringfence/render/totals.h"
#include "tools/ringfence/run/child.h"

#include <ringfence/options.h>
#include <stdio.h>

typedef struct rf_check_state {
  rf_bump_arena arena;
  rf_check_options options;
  const char *program; /* file that is run */
  const char *library; /* libringfence.so */
  bool linked_in;      /* the program has it already */
  const char *root;    /* for everything that the command keeps while the program runs */
  const char *folder;  /* in it, for what the processes write */
  FILE *out;           /* for findings and summary */
  FILE *json;          /* for --json; or NULL */
  const int *streams;  /* of the program; NULL: those of the command */
  rf_options effective;
  int64_t began; /* seconds since 1970 */
  rf_child child;
  rf_run run;
  size_t running; /* processes that outlive the program */
  rf_document_options making;
  rf_document document;
  rf_totals totals;
} rf_check_state;

/* Runs the program with the options that are passed, waits for its children if so asked, and reads the records. 0, or
 * the status to exit with after a message. */
int rf_check_run(rf_check_state *c);

/* The process `id` of the run; NULL where there is none. */
rf_process *rf_check_process(rf_check_state *c, uint32_t id);

#endif /* RINGFENCE_TOOLS_CLI_CHECK_RUN_H */
