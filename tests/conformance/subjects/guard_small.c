#include "tests/conformance/subjects/subjects.h"

#include <ringfence/guard_small.h>

/* The guard first, what it wraps behind it. */
#define GUARD_BYTES ((sizeof(rf_guard_small) + RF_ALIGN_DEFAULT - 1) / RF_ALIGN_DEFAULT * RF_ALIGN_DEFAULT)

static void count(rf_guard_small *self, const rf_small_finding *finding) {
  (void)self; /* it counts itself */
  (void)finding;
}

static rf_allocator *make(void *state, void *arena, size_t size) {
  rf_guard_small *const guard = (rf_guard_small *)state;
  rf_allocator *const heap = rf_tlsf_subject()->make((unsigned char *)state + GUARD_BYTES, arena, size);
  if (heap == NULL || rf_guard_small_init(guard, heap, 256) != RF_OK) {
    return NULL;
  }
  guard->report = count;
  return &guard->base;
}

static size_t reports(void *state) {
  return ((rf_guard_small *)state)->findings;
}

const rf_conformance_subject *rf_guard_small_subject(void) {
  static rf_conformance_subject subject;
  subject = (rf_conformance_subject){
      .name = "guard_small",
      .traits = RF_SUBJECT_OWNS,
      .state_size = GUARD_BYTES + rf_tlsf_subject()->state_size,
      .max_align = (size_t)1 << 15,
      .make = make,
      .reports = reports,
  };
  return &subject;
}
