/* Looks up functions and lines of new events and snapshots, in the files of symbols that were brought (symbol_files.h)
 * or while their programs' files are there; of old ones when a file comes in; and asks debuginfod servers for files.
 *
 * A child process does it, with limits: symbolizers read what programs are made of, and may be slow. The collector
 * takes the answers into the store when the child has ended. Threads: one.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_SYMBOLS_H
#define RINGFENCE_TOOLS_SERVICE_SYMBOLS_H

#include "tools/service/life/site_frames.h"
#include "tools/service/store/store.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_SYMBOL_TEXT ((size_t)1024)

typedef enum rf_symbol_job {
  RF_SYMBOL_IDLE,
  RF_SYMBOL_EVENTS,    /* new ones, `after` to `upto` */
  RF_SYMBOL_SNAPSHOTS, /* the same of snapshots */
  RF_SYMBOL_SITES,     /* new call sites of coverage */
  RF_SYMBOL_BUILD,     /* those that lack names of `build_id` */
  RF_SYMBOL_FETCH      /* the file of `build_id` */
} rf_symbol_job;

/* Starts as zeros, but for the first two. */
typedef struct rf_symbol_worker {
  const char *directory; /* the collector's */
  const char *servers;   /* of debuginfod, with blanks between, as DEBUGINFOD_URLS has them; NULL: none */
  rf_symbol_job job;
  char build_id[RF_SYMBOL_TEXT];
  char path[RF_SYMBOL_TEXT]; /* of the job BUILD: the file that has lines; "": one that was brought */
  int64_t wait_until;        /* no server answered */
  pid_t child;               /* 0: none runs */
  int answers;               /* a file that the child writes */
  int64_t upto;              /* the last event or snapshot that it looks at */
  int64_t after;             /* and the one before the first */
  int64_t began;
  rf_looked_sites sites; /* of the job SITES */
} rf_symbol_worker;

/* Looks after the child, or starts the next. To be called every second or so. True if names came in. */
bool rf_symbol_worker_step(rf_symbol_worker *worker, rf_store *store);

/* Waits until all events are named, and all servers asked. */
void rf_symbol_worker_finish(rf_symbol_worker *worker, rf_store *store);

/* Ends the child. */
void rf_symbol_worker_end(rf_symbol_worker *worker);

#ifdef __cplusplus
}
#endif

#endif
