/* For the fuzzer: the same, and what it does not promise. */
#include "slots.h"

#include <ringfence/fuzz/target.h>

static slots heap;

static rf_allocator *make(void *context, void *arena, size_t size) {
  (void)context;
  return arena != NULL && slots_init(&heap, arena, size) ? &heap.base : NULL;
}

static rf_fuzz_target target(void) {
  rf_fuzz_target t = rf_fuzz_target_default("slots", make);
  t.min_arena = 2 * SLOT;
  t.default_align = SLOT;
  t.max_request = SLOT;
  return t;
}

RF_FUZZ_TARGET(target())
