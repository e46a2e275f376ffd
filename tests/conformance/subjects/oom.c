#include "tests/conformance/subjects/subjects.h"

#include <ringfence/oom.h>
#include <ringfence/tlsf.h>

typedef struct oom_state {
  rf_oom oom;
  rf_tlsf heap;
  rf_oom_callback callback;
} oom_state;

/* Asked, and has nothing to give: the request fails as it would have without. */
static bool nothing_left(void *context, unsigned attempt, size_t needed) {
  (void)context;
  (void)needed;
  return attempt == 1;
}

static rf_allocator *make(void *state, void *arena, size_t size) {
  oom_state *const s = (oom_state *)state;
  if (rf_tlsf_init(&s->heap, arena, size) != RF_OK || rf_oom_init(&s->oom, &s->heap.base, 0) != RF_OK ||
      rf_oom_add(&s->oom, &s->callback, nothing_left, NULL) != RF_OK) {
    return NULL;
  }
  return &s->oom.base;
}

const rf_conformance_subject *rf_oom_subject(void) {
  static rf_conformance_subject subject;
  subject = *rf_tlsf_subject();
  subject.name = "oom";
  subject.state_size = sizeof(oom_state);
  subject.make = make;
  return &subject;
}
