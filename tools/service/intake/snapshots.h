/* Processes of which snapshots of memory came, and these snapshots.
 *
 * Limits: of a process RF_SNAPSHOTS_WHOLE snapshots are kept whole (the first, the last and the highest, and of the
 * others those that lie furthest apart) and figures of RF_SNAPSHOTS_MOST; RF_PROCESSES_MOST processes, those heard of
 * last. Within a transaction.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_SNAPSHOTS_H
#define RINGFENCE_TOOLS_SERVICE_SNAPSHOTS_H

#include "tools/service/intake/batch.h"
#include "tools/service/intake/heap_snapshot.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_SNAPSHOTS_WHOLE = 32, RF_SNAPSHOTS_MOST = 1000, RF_PROCESSES_MOST = 1000, RF_ENDS_MOST = 10000 };

/* Takes a record of kind snapshot. False where it has none in it. */
bool rf_snapshots_take(rf_store *store, rf_bump_arena *arena, const rf_envelope *e, const rf_candidate *at,
                       const char *line, size_t length);

/* A process has ended: notes how, where it is one with snapshots. The last RF_ENDS_MOST ends of others are kept for
 * snapshots that are taken in later. */
void rf_snapshots_end(rf_store *store, const rf_envelope *e);

/* The snapshot that is kept whole under this number; NULL where there is none. Its strings live in `arena`. */
rf_heap_snapshot *rf_snapshots_read(rf_store *store, rf_bump_arena *arena, int64_t snapshot);

#ifdef __cplusplus
}
#endif

#endif
