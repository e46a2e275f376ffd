/* Looks up functions and lines of new events while their programs' files are there.
 *
 * A child process does it, with limits: symbolizers read what programs are made of, and may be slow. The collector
 * takes the answers into the store when the child has ended. Threads: one.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_SYMBOLS_H
#define RINGFENCE_TOOLS_SERVICE_SYMBOLS_H

#include "tools/service/store/store.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts as zeros. */
typedef struct rf_symbol_worker {
  pid_t child;   /* 0: none runs */
  int answers;   /* a file that the child writes */
  int64_t upto;  /* the last event that it looks at */
  int64_t after; /* and the one before the first */
  int64_t began;
} rf_symbol_worker;

/* Looks after the child, or starts the next. To be called every second or so. True if names came in. */
bool rf_symbol_worker_step(rf_symbol_worker *worker, rf_store *store);

/* Waits until all events are named. */
void rf_symbol_worker_finish(rf_symbol_worker *worker, rf_store *store);

/* Ends the child. */
void rf_symbol_worker_end(rf_symbol_worker *worker);

#ifdef __cplusplus
}
#endif

#endif
