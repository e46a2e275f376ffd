/* A snapshot of live blocks by call site, read back from the library's form (docs/reports.md), and the difference of
 * two. */
#ifndef RINGFENCE_TOOLS_MODEL_SNAPSHOT_H
#define RINGFENCE_TOOLS_MODEL_SNAPSHOT_H

#include "tools/ringfence/model/record.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_snapshot_row {
  rf_record *origin; /* only its `allocated` counts */
  int64_t blocks;    /* in a difference: how many more or fewer */
  int64_t bytes;
} rf_snapshot_row;

typedef struct rf_snapshot_table {
  const char *name;
  const char *since; /* a difference: name of the earlier one; else NULL */
  const char *allocator;
  uint32_t process;
  const char *input; /* the file that it was read from; NULL for a folder of `check` */
  uint64_t time_ns;
  int64_t blocks; /* sums, with those that have no row */
  int64_t bytes;
  uint64_t omitted;      /* blocks for whose call sites there was no room */
  rf_snapshot_row *rows; /* most bytes first */
  size_t count;
} rf_snapshot_table;

/* Makes a table of a line of type "snapshot". */
rf_snapshot_table *rf_snapshot_table_read(rf_bump_arena *arena, const rf_json *line);

/* True for tables of one process, in one file, and one allocator. */
bool rf_snapshot_table_is_alike(const rf_snapshot_table *a, const rf_snapshot_table *b);

/* The difference of two tables of one process and allocator; rows without a difference are left out. */
rf_snapshot_table *rf_snapshot_table_since(rf_bump_arena *arena, const rf_snapshot_table *earlier,
                                           const rf_snapshot_table *later);

/* Adds, after each of the *count snapshots, its difference from the one before it of the same process and allocator,
 * unless the program wrote one itself. Returns the new list and sets *count. */
rf_snapshot_table **rf_snapshot_tables_compare(rf_bump_arena *arena, rf_snapshot_table **tables, size_t *count);

/* "4 blocks, 400 bytes"; of a difference "+1 block, -100 bytes". */
const char *rf_snapshot_table_sums(rf_bump_arena *arena, const rf_snapshot_table *table);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_SNAPSHOT_H */
