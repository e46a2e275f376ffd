#include "tests/conformance/subjects/subjects.h"

#include <ringfence/tlsf.h>

#ifndef RF_TLSF_SMALL
#define RF_TLSF_SMALL 0
#endif

static rf_allocator *make(void *state, void *arena, size_t size) {
  rf_tlsf *const heap = (rf_tlsf *)state;
  return rf_tlsf_init(heap, arena, size) == RF_OK ? &heap->base : NULL;
}

const rf_conformance_subject *rf_tlsf_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "tlsf",
      .traits = RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES |
                RF_SUBJECT_GROWS_IN_PLACE | RF_SUBJECT_TELLS_DOUBLE_FREE |
                (RF_TLSF_SMALL ? 0U : (unsigned)RF_SUBJECT_HUGE),
      .state_size = sizeof(rf_tlsf),
      .max_align = RF_TLSF_SMALL ? RF_ALIGN_DEFAULT : 0,
      .make = make,
  };
  return &subject;
}
