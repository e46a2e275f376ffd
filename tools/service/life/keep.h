/* The limits of the store: counters, and the first, last and richest event of each finding, for ever; the events
 * between them, and snapshots of memory, within limits. */
#ifndef RINGFENCE_TOOLS_SERVICE_KEEP_H
#define RINGFENCE_TOOLS_SERVICE_KEEP_H

#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_keep {
  int64_t days;  /* for events of the middle and snapshots; 0: no limit */
  int64_t bytes; /* of the database, above which the oldest of the middle go; 0: no limit */
} rf_keep;

/* Deletes at most a few hundred events and snapshots, in a transaction of its own. Returns their number; -1 with
 * store->error set. */
int64_t rf_keep_step(rf_store *store, const rf_keep *keep);

#ifdef __cplusplus
}
#endif

#endif
