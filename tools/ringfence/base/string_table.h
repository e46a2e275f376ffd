/* A set of strings, each with an index: 0, 1, 2 … in the order in which they were added.
 *
 * Algorithm: open addressing with linear probing, at most half full. Complexity: O(length of the string).
 */
#ifndef RINGFENCE_TOOLS_BASE_STRING_TABLE_H
#define RINGFENCE_TOOLS_BASE_STRING_TABLE_H

#include "tools/ringfence/base/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Starts as zeros. */
typedef struct rf_string_table {
  const char **strings; /* by index */
  size_t count;
  size_t *slots; /* index + 1; 0: empty */
  size_t slot_count;
} rf_string_table;

/* The index of `text`, which is added where it is new: then the result is the former `count`. `text` must outlive the
 * table. */
size_t rf_string_table_index(rf_string_table *table, rf_bump_arena *arena, const char *text);

/* The same for a text that is not added: where it is new the result is `count`. */
size_t rf_string_table_find(const rf_string_table *table, const char *text);

#ifdef __cplusplus
}
#endif

#endif
