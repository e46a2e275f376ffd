/* A snapshot of what was live, by call site, as the library wrote it (docs/reports.md), read back, and the difference of
 * two. */
#ifndef RINGFENCE_TOOLS_MODEL_SNAPSHOT_H
#define RINGFENCE_TOOLS_MODEL_SNAPSHOT_H

#include "tools/ringfence/model/record.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_snapshot_row {
  rf_record *origin; /* only its `allocated` is meant */
  int64_t blocks;    /* in a difference: how many more or fewer */
  int64_t bytes;
} rf_snapshot_row;

typedef struct rf_snapshot_table {
  const char *name;
  const char *since; /* a difference: name of the earlier one; else NULL */
  const char *allocator;
  uint32_t process;
  uint64_t time_ns;
  int64_t blocks; /* sums, those included that have no row */
  int64_t bytes;
  uint64_t omitted;      /* blocks for whose call sites there was no room */
  rf_snapshot_row *rows; /* most bytes first */
  size_t count;
} rf_snapshot_table;

/* Makes a table of a line of type "snapshot". */
rf_snapshot_table *rf_snapshot_table_read(rf_bump_arena *arena, const rf_json *line);

/* What `later` has more or less than `earlier`, of the same process and allocator; rows without a difference are left out. */
rf_snapshot_table *rf_snapshot_table_since(rf_bump_arena *arena, const rf_snapshot_table *earlier,
                                           const rf_snapshot_table *later);

/* Adds behind each snapshot of `tables`, of which there are *count, its difference from the one before it of the same
 * process and allocator, unless the program wrote one itself. Returns the new list. */
rf_snapshot_table **rf_snapshot_tables_compare(rf_bump_arena *arena, rf_snapshot_table **tables, size_t *count);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_SNAPSHOT_H */
