/* Repeats whose finding has not come yet: a process may write the two to different folders, and segments are read in
 * any order. They wait in the store, and count when their finding comes.
 *
 * Algorithm: a row for each finding that is missing and each day of its repeats, found by the hash of the finding's id;
 * the row's text is the first of these records, which differ in time and count alone.
 * Overhead: at most RF_ORPHANS_MOST rows, each with a text of RF_ORPHAN_BYTES at most, for RF_ORPHAN_MS.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_ORPHANS_H
#define RINGFENCE_TOOLS_SERVICE_ORPHANS_H

#include "tools/service/intake/envelope.h"
#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_ORPHANS_MOST = 10000, RF_ORPHAN_BYTES = 8192, RF_ORPHAN_MS = RF_DAY_MS };

/* Starts as zeros, and is set to zeros when the transaction ends. */
typedef struct rf_orphans {
  bool counted;
  int64_t rows; /* where they are counted */
} rf_orphans;

/* Keeps the repeat `e`, whose record is `line`, within the open transaction. Returns how many findings are lost by it:
 * its own where it cannot wait, or those of the row that waited longest where there are too many. */
int64_t rf_orphans_keep(rf_orphans *orphans, rf_store *store, const rf_envelope *e, const char *line, size_t length);

/* Takes out a repeat of the record `id`, with the count and the last time of all in its row, within the open
 * transaction. False where none waits. */
bool rf_orphans_take(rf_orphans *orphans, rf_store *store, rf_bump_arena *arena, const char *id, rf_envelope *e);

/* True where a row has waited too long at `now`. */
bool rf_orphans_are_due(rf_store *store, int64_t now);

/* Deletes the row that has waited longest, within the open transaction. Returns its count. */
int64_t rf_orphans_drop(rf_store *store);

#ifdef __cplusplus
}
#endif

#endif
