/* The ids of events that were taken in, so that a record that arrives twice counts once.
 *
 * Algorithm: a hash table of 64-bit hashes of ids, open addressing, at most half full; each transaction appends rows
 * with the hashes that it added. Beyond RF_SEEN_MOST ids all but the last RF_SEEN_LEAST, and those in one row with the
 * oldest of these, are forgotten: segments of the spool are told apart by their name and position, so only a record
 * that is posted again much later could count twice. Overhead: 16 bytes for each id on disk, 32 to 64 in memory. / */
#ifndef RINGFENCE_TOOLS_SERVICE_SEEN_H
#define RINGFENCE_TOOLS_SERVICE_SEEN_H

#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_SEEN_LEAST = 1 << 18, RF_SEEN_MOST = RF_SEEN_LEAST + RF_SEEN_LEAST / 8 };

typedef struct rf_seen_entry {
  uint64_t hash;   /* 0: a free slot */
  int64_t finding; /* the event's; 0: of a record that is no finding; -1: taken back */
} rf_seen_entry;

/* Starts as zeros. */
typedef struct rf_seen {
  rf_seen_entry *slots;
  size_t slot_count;
  size_t used;
  rf_seen_entry *pending; /* of the open transaction */
  size_t pending_count;
  size_t pending_room;
} rf_seen;

/* Reads the ids of the store. False with store->error set. */
bool rf_seen_load(rf_seen *seen, rf_store *store);
void rf_seen_free(rf_seen *seen);

uint64_t rf_seen_hash(const char *id);

/* True, with *finding set, if the id was taken in. */
bool rf_seen_find(const rf_seen *seen, uint64_t hash, int64_t *finding);

/* Adds an id within the open transaction. False where there is no memory. */
bool rf_seen_add(rf_seen *seen, uint64_t hash, int64_t finding);

/* Writes what was added, as part of the open transaction; the caller then commits and calls settle with the outcome. */
void rf_seen_write(rf_seen *seen, rf_store *store);
void rf_seen_settle(rf_seen *seen, bool committed);

#ifdef __cplusplus
}
#endif

#endif
