#include "own_memory.h"

#include "checkers/dropin/heap/walk.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/pages.h"

#define SPARE_RANGES 4096U

static bool count_range(uintptr_t start, uintptr_t end, void *context) {
  (void)start;
  (void)end;
  ++*(size_t *)context;
  return true;
}

size_t rf_own_memory_count(void) {
  size_t count = SPARE_RANGES;
  (void)rf_heap_each_range(count_range, &count);
  return count;
}

static bool add(uintptr_t start, uintptr_t end, void *context) {
  return rf_ranges_add(context, start, end);
}

static bool add_store(rf_ranges *out, bool (*range)(const rf_page_store *, unsigned, uintptr_t *, uintptr_t *)) {
  bool room = true;
  uintptr_t start;
  uintptr_t end;
  for (unsigned i = 0; rf_guarded_blocks.store != NULL && range(rf_guarded_blocks.store, i, &start, &end); i++) {
    room = rf_ranges_add(out, start, end) && room;
  }
  return room;
}

bool rf_own_memory_add(rf_ranges *out) {
  uintptr_t start;
  uintptr_t end;
  bool room = rf_roots_add_library(out);
  for (unsigned i = 0; rf_record_range(i, &start, &end); i++) {
    room = rf_ranges_add(out, start, end) && room;
  }
  room = rf_heap_each_range(add, out) && room;
  room = add_store(out, rf_page_store_space) && room;
  return add_store(out, rf_page_store_own_memory) && room;
}
