#include "tests/conformance/subjects/subjects.h"

#include <ringfence/slab.h>

static rf_allocator *make(void *state, void *arena, size_t size) {
  rf_slab *const heap = (rf_slab *)state;
  return rf_slab_init(heap, arena, size) == RF_OK ? &heap->base : NULL;
}

const rf_conformance_subject *rf_slab_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "slab",
      .traits = RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES |
                RF_SUBJECT_TELLS_DOUBLE_FREE | RF_SUBJECT_HUGE,
      .state_size = sizeof(rf_slab),
      .make = make,
  };
  return &subject;
}
