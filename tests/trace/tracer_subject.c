/* rf_tracer over tlsf, for the conformance suite. */
#include <ringfence/trace.h>

#include "tests/conformance/subjects/subjects.h"

#define MEMORY ((size_t)256 * 1024)

/* The allocator that it wraps comes after it. */
typedef struct traced {
  rf_tracer tracer;
  size_t memory[MEMORY / sizeof(size_t)];
  max_align_t inner[];
} traced;

static void nowhere(void *context, const char *bytes, size_t size) {
  (void)context;
  (void)bytes;
  (void)size;
}

static rf_allocator *make(void *state, void *arena, size_t size) {
  traced *const t = (traced *)state;
  rf_allocator *const inner = rf_tlsf_subject()->make(t->inner, arena, size);
  rf_tracer_options const options = {{nowhere, NULL}, t->memory, sizeof t->memory};
  return inner != NULL && rf_tracer_init(&t->tracer, inner, &options) == RF_OK ? &t->tracer.base : NULL;
}

const rf_conformance_subject *rf_tracer_subject(void);

const rf_conformance_subject *rf_tracer_subject(void) {
  static rf_conformance_subject subject;
  subject = *rf_tlsf_subject();
  subject.name = "tracer";
  subject.state_size += sizeof(traced);
  subject.make = make;
  return &subject;
}
