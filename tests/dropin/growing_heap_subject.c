/* The heap under the drop-in's arenas, for the conformance suite. */
#include "checkers/dropin/heap/growing_heap.h"

#include <ringfence/conformance.h>

const rf_conformance_subject *rf_growing_heap_subject(void);

static rf_allocator *make(void *state, void *arena, size_t size) {
  rf_growing_heap *const heap = (rf_growing_heap *)state;
  (void)arena;
  (void)size;
  rf_growing_heap_init(heap);
  return &heap->base;
}

const rf_conformance_subject *rf_growing_heap_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "growing_heap",
      .traits = RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_TELLS_DOUBLE_FREE,
      .state_size = sizeof(rf_growing_heap),
      .make = make,
  };
  return &subject;
}
