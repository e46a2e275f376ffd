/* Standard streams of a program that is run several times: the input is read once and given to each run, the output of
 * each is kept. One thread. */
#ifndef RINGFENCE_TOOLS_RUN_SPOOL_H
#define RINGFENCE_TOOLS_RUN_SPOOL_H

#include "tools/ringfence/base/arena.h"

#include <stdbool.h>
#include <sys/types.h>

typedef struct rf_spool {
  const char *input; /* the copy; NULL: standard input was closed */
  off_t began;       /* where standard input stood; negative where it has no position */
  bool joined;       /* standard error is the same file as standard output */
} rf_spool;

/* Reads standard input into a file in `folder`. False after a message: it is a terminal, larger than RF_SPOOL_MOST, or
 * there is no room. */
#define RF_SPOOL_MOST ((off_t)1 << 30)
bool rf_spool_begin(rf_spool *spool, rf_bump_arena *arena, const char *folder);

/* The streams of a run: the copy from its start, and files in `folder`; negative ones for streams that were closed.
 * False after a message. */
bool rf_spool_open(const rf_spool *spool, rf_bump_arena *arena, const char *folder, int streams[3]);
void rf_spool_close(int streams[3]);

/* Writes what the run of `folder`, whose streams are still open, wrote, and moves standard input to where it left the
 * copy. */
void rf_spool_emit(const rf_spool *spool, rf_bump_arena *arena, const char *folder, const int streams[3]);

/* How the output of run `b` differs from that of run `a`, as a text; NULL where it does not. */
const char *rf_spool_difference(const rf_spool *spool, rf_bump_arena *arena, const char *a, const char *b);

#endif /* RINGFENCE_TOOLS_RUN_SPOOL_H */
