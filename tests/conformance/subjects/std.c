#include "tests/conformance/subjects/subjects.h"

#include <ringfence/std.h>

static rf_allocator *make(void *state, void *arena, size_t size) {
  rf_std *const heap = (rf_std *)state;
  (void)arena;
  (void)size;
  return rf_std_init(heap) == RF_OK ? &heap->base : NULL;
}

const rf_conformance_subject *rf_std_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "std",
      .traits = RF_SUBJECT_THREADS,
      .state_size = sizeof(rf_std),
      .make = make,
  };
  return &subject;
}
