/* A snapshot of the process as a record for the collector (docs/service/format.md): call sites, sizes, the map of
 * memory. One at a time; the caller holds the lock of snapshots. */
#ifndef RINGFENCE_DROPIN_SNAPSHOT_RECORD_H
#define RINGFENCE_DROPIN_SNAPSHOT_RECORD_H

#include <ringfence/snapshot.h>

/* Makes ready for the blocks of a snapshot, of which `sites` is the largest number of call sites. Without a collector,
 * or memory, nothing is gathered or told. */
void rf_snapshot_record_begin(size_t sites);

/* A live block. Between begin and tell. */
void rf_snapshot_record_add(uintptr_t address, size_t size);

/* Tells the collector of it, where one was named and its folder can be written. */
void rf_snapshot_record_tell(const rf_snapshot *snapshot);

#endif /* RINGFENCE_DROPIN_SNAPSHOT_RECORD_H */
