#include "tests/conformance/subjects/subjects.h"

#include <ringfence/simple.h>

static rf_allocator *make(void *state, void *arena, size_t size) {
  rf_simple *const heap = (rf_simple *)state;
  return rf_simple_init(heap, arena, size) == RF_OK ? &heap->base : NULL;
}

const rf_conformance_subject *rf_simple_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "simple",
      .traits = RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES |
                RF_SUBJECT_GROWS_IN_PLACE | RF_SUBJECT_TELLS_DOUBLE_FREE | RF_SUBJECT_HUGE,
      .state_size = sizeof(rf_simple),
      .make = make,
  };
  return &subject;
}
