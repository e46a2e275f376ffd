/* One trace on several allocators side by side; the figures of one. */
#ifndef RINGFENCE_TOOLS_CLI_REPLAY_COMPARE_H
#define RINGFENCE_TOOLS_CLI_REPLAY_COMPARE_H

#include "tools/ringfence/cli/trace_options.h"
#include "tools/trace/replay.h"
#include "tools/trace/trace.h"

typedef struct rf_replay_compare_options {
  const rf_subject_list *on;
  size_t arena;    /* bytes; those that keep their blocks elsewhere do not use it */
  size_t most;     /* the largest arena to try */
  unsigned runs;   /* 0: up to 7 */
  double limit;    /* seconds of processor time for one replay; 0: none */
  const char *svg; /* a file for memory over time; NULL: none */
} rf_replay_compare_options;

/* Ends the program by SIGABRT, after a message, where the allocator is wrong: its blocks overlap or are misaligned. */
replay_figures rf_replay_figures(const rf_replay_compare_options *o, const subject *s, const trace *t,
                                 replay_memory *m);

/* Prints a table to standard output, and writes the picture. Returns the exit status: 1 where requests failed in any of
 * them, or the limit ended a replay, RF_EXIT_USAGE after a message where the file cannot be written. */
int rf_replay_compare(const rf_replay_compare_options *o, const trace *t, rf_bump_arena *memory);

#endif /* RINGFENCE_TOOLS_CLI_REPLAY_COMPARE_H */
