/* The heap under the drop-in's arenas, for the conformance suite. */
#include "checkers/dropin/heap/growing_heap.h"

#include <ringfence/conformance.h>

const rf_conformance_subject *rf_sysheap_subject(void);

static rf_allocator *make(void *state, void *arena, size_t size) {
  rf_sysheap *const heap = (rf_sysheap *)state;
  (void)arena;
  (void)size;
  rf_sysheap_init(heap);
  return &heap->base;
}

const rf_conformance_subject *rf_sysheap_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "sysheap",
      .traits = RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_TELLS_DOUBLE_FREE,
      .state_size = sizeof(rf_sysheap),
      .make = make,
  };
  return &subject;
}
