/* Page and sample over tlsf, for the conformance suite. Blocks lie elsewhere than in the arena. */
#include "tests/checkers/page_subjects.h"

#include <ringfence/sample.h>

#include "tests/conformance/subjects/subjects.h"

/* The allocator below stands behind the checker. */
typedef struct checked {
  rf_reporter reporter;
  union {
    rf_page page;
    rf_sample sample;
  };
  max_align_t inner[];
} checked;

static rf_action count_and_go_on(rf_reporter *self, const rf_finding *f) {
  (void)self;
  (void)f;
  return RF_ACTION_CONTINUE;
}

static size_t reports(void *state) {
  return (size_t)((const checked *)state)->reporter.sequence;
}

static rf_allocator *make_page(void *state, void *arena, size_t size) {
  checked *const c = (checked *)state;
  rf_page_options options;
  rf_allocator *const wrapped = rf_tlsf_subject()->make(c->inner, arena, size);
  if (wrapped == NULL) {
    return NULL;
  }
  c->reporter = (rf_reporter){count_and_go_on, NULL, 1, 0};
  rf_page_options_default(&options);
  options.reporter = &c->reporter;
  return rf_page_init(&c->page, wrapped, &options) == RF_OK ? &c->page.base : NULL;
}

/* Every other block is sampled, while there are slots. */
static rf_allocator *make_sample(void *state, void *arena, size_t size) {
  checked *const c = (checked *)state;
  rf_sample_options options;
  rf_allocator *const wrapped = rf_tlsf_subject()->make(c->inner, arena, size);
  if (wrapped == NULL) {
    return NULL;
  }
  c->reporter = (rf_reporter){count_and_go_on, NULL, 1, 0};
  rf_sample_options_default(&options);
  options.rate = 2;
  options.seed = 1;
  options.reporter = &c->reporter;
  return rf_sample_init(&c->sample, wrapped, &options) == RF_OK ? &c->sample.base : NULL;
}

static rf_conformance_subject subject_of(const char *name,
                                         rf_allocator *(*make)(void *state, void *arena, size_t size)) {
  rf_conformance_subject subject = *rf_tlsf_subject();
  subject.name = name;
  subject.traits = RF_SUBJECT_OWNS | RF_SUBJECT_TELLS_DOUBLE_FREE;
  subject.state_size += sizeof(checked);
  subject.make = make;
  subject.reports = reports;
  return subject;
}

const rf_conformance_subject *rf_page_subject(void) {
  static rf_conformance_subject subject;
  subject = subject_of("page", make_page);
  return &subject;
}

const rf_conformance_subject *rf_sample_subject(void) {
  static rf_conformance_subject subject;
  subject = subject_of("sample", make_sample);
  return &subject;
}
