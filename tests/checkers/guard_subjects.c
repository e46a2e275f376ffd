/* Guard over each heap, for the conformance suite. */
#include "tests/checkers/guard_subjects.h"

#include <ringfence/asan.h>
#include <ringfence/guard.h>
#include <ringfence/mte.h>

#include "tests/conformance/subjects/subjects.h"

/* The allocator below stands behind its guard. */
typedef struct guarded {
  rf_guard guard;
  rf_reporter reporter;
  max_align_t inner[];
} guarded;

static rf_action count_and_go_on(rf_reporter *self, const rf_finding *f) {
  (void)self;
  (void)f;
  return RF_ACTION_CONTINUE;
}

static size_t reports(void *state) {
  return (size_t)((const guarded *)state)->reporter.sequence;
}

typedef rf_status (*guard_init)(rf_guard *guard, rf_allocator *inner, const rf_guard_options *options);

/* Guard itself in builds and on processors that do not have the mode of `init`. */
static rf_allocator *make_over(const rf_conformance_subject *inner, size_t quarantine, guard_init init, void *state,
                               void *arena, size_t size) {
  guarded *const g = (guarded *)state;
  rf_guard_options options;
  rf_allocator *const wrapped = inner->make(g->inner, arena, size);
  if (wrapped == NULL) {
    return NULL;
  }
  g->reporter = (rf_reporter){count_and_go_on, NULL, 1, 0};
  rf_guard_options_default(&options);
  options.quarantine = quarantine;
  options.move_below = quarantine == 0 ? 0 : options.move_below;
  options.reporter = &g->reporter;
  bool const made = init(&g->guard, wrapped, &options) == RF_OK || rf_guard_init(&g->guard, wrapped, &options) == RF_OK;
  return made ? &g->guard.base : NULL;
}

static rf_conformance_subject guarded_subject(const rf_conformance_subject *inner, const char *name,
                                              rf_allocator *(*make)(void *state, void *arena, size_t size)) {
  rf_conformance_subject subject = *inner;
  subject.name = name;
  subject.traits &= ~(unsigned)RF_SUBJECT_THREADS;
  subject.state_size += sizeof(guarded);
  subject.make = make;
  subject.reports = reports;
  return subject;
}

/* Without a quarantine guard keeps every promise that its inner allocator keeps. */
#define SUBJECT(mode, name)                                                                                            \
  static rf_allocator *make_##mode##_##name(void *state, void *arena, size_t size) {                                   \
    return make_over(rf_##name##_subject(), 0, rf_##mode##_init, state, arena, size);                                  \
  }                                                                                                                    \
  const rf_conformance_subject *rf_##mode##_##name##_subject(void) {                                                   \
    static rf_conformance_subject subject;                                                                             \
    subject = guarded_subject(rf_##name##_subject(), #mode "_" #name, make_##mode##_##name);                           \
    return &subject;                                                                                                   \
  }

SUBJECT(guard, simple)
SUBJECT(guard, std)
SUBJECT(guard, tlsf)
SUBJECT(asan, simple)
SUBJECT(asan, std)
SUBJECT(asan, tlsf)
SUBJECT(mte, simple)
SUBJECT(mte, std)
SUBJECT(mte, tlsf)

/* With one, free memory is kept back until it is needed: how much could be had at once is then not known beforehand. */
static rf_allocator *make_quarantine(void *state, void *arena, size_t size) {
  return make_over(rf_tlsf_subject(), 4096, rf_guard_init, state, arena, size);
}

const rf_conformance_subject *rf_guard_quarantine_subject(void) {
  static rf_conformance_subject subject;
  subject = guarded_subject(rf_tlsf_subject(), "guard_quarantine", make_quarantine);
  subject.traits = RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_TELLS_DOUBLE_FREE;
  return &subject;
}
