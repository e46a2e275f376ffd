#include "tools/ringfence/base/string_table.h"

#include "checkers/report/fnv.h"

#include <stdint.h>
#include <string.h>

/* The slot that holds `text`, or the empty one for it. */
static size_t *find_slot(const rf_string_table *table, const char *text) {
  uint64_t const hash = rf_fnv_text(RF_FNV_START, text);
  size_t at = (size_t)(hash ^ hash >> 32) & (table->slot_count - 1);
  while (table->slots[at] != 0 && strcmp(table->strings[table->slots[at] - 1], text) != 0) {
    at = (at + 1) & (table->slot_count - 1);
  }
  return &table->slots[at];
}

static void enlarge(rf_string_table *table, rf_bump_arena *arena) {
  enum { FIRST_SLOTS = 64 };
  table->slot_count = table->slot_count == 0 ? FIRST_SLOTS : 2 * table->slot_count;
  table->slots = (size_t *)rf_bump_arena_array(arena, table->slot_count, sizeof *table->slots);
  for (size_t i = 0; i < table->count; i++) {
    *find_slot(table, table->strings[i]) = i + 1;
  }
}

size_t rf_string_table_find(const rf_string_table *table, const char *text) {
  size_t const slot = table->slot_count == 0 ? 0 : *find_slot(table, text);
  return slot == 0 ? table->count : slot - 1;
}

size_t rf_string_table_index(rf_string_table *table, rf_bump_arena *arena, const char *text) {
  if (2 * table->count >= table->slot_count) {
    enlarge(table, arena);
  }
  size_t *const slot = find_slot(table, text);
  if (*slot == 0) {
    RF_APPENDED(arena, table->strings, table->count) = text;
    *slot = table->count;
  }
  return *slot - 1;
}
