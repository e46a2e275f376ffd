#include "tests/conformance/subjects/subjects.h"

#include <ringfence/smallmem.h>

static rf_allocator *make(void *state, void *arena, size_t size) {
  rf_smallmem *const heap = (rf_smallmem *)state;
  return rf_smallmem_init(heap, arena, size) == RF_OK ? &heap->base : NULL;
}

const rf_conformance_subject *rf_smallmem_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "smallmem",
      .traits = RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES |
                RF_SUBJECT_GROWS_IN_PLACE | RF_SUBJECT_TELLS_DOUBLE_FREE | RF_SUBJECT_HUGE,
      .state_size = sizeof(rf_smallmem),
      .make = make,
  };
  return &subject;
}
