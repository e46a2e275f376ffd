/* For the conformance suite: how a `slots` is made, and what it claims. */
#include "slots.h"

#include <ringfence/conformance.h>

static rf_allocator *make(void *state, void *arena, size_t size) {
  slots *const s = (slots *)state;
  return arena != NULL && slots_init(s, arena, size) ? &s->base : NULL;
}

const rf_conformance_subject *slots_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "slots",
      .traits =
          RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES | RF_SUBJECT_TELLS_DOUBLE_FREE,
      .state_size = sizeof(slots),
      .max_size = SLOT,
      .max_align = SLOT,
      .make = make,
  };
  return &subject;
}
