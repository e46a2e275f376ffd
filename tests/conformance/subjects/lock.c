#include "tests/conformance/subjects/subjects.h"

#include <ringfence/lock.h>

/* The lock first, what it wraps behind it. */
#define LOCK_BYTES ((sizeof(rf_lock) + RF_ALIGN_DEFAULT - 1) / RF_ALIGN_DEFAULT * RF_ALIGN_DEFAULT)

static rf_allocator *make_over(const rf_conformance_subject *inner, void *state, void *arena, size_t size) {
  rf_lock *const lock = (rf_lock *)state;
  rf_allocator *const wrapped = inner->make((unsigned char *)state + LOCK_BYTES, arena, size);
  return wrapped != NULL && rf_lock_init(lock, wrapped) == RF_OK ? &lock->base : NULL;
}

static rf_allocator *make_simple(void *state, void *arena, size_t size) {
  return make_over(rf_simple_subject(), state, arena, size);
}

static rf_allocator *make_std(void *state, void *arena, size_t size) {
  return make_over(rf_std_subject(), state, arena, size);
}

static rf_allocator *make_tlsf(void *state, void *arena, size_t size) {
  return make_over(rf_tlsf_subject(), state, arena, size);
}

/* As the inner allocator, and fit for threads. */
static rf_conformance_subject locked(const rf_conformance_subject *inner, const char *name,
                                     rf_allocator *(*make)(void *state, void *arena, size_t size)) {
  rf_conformance_subject subject = *inner;
  subject.name = name;
  subject.traits |= RF_SUBJECT_THREADS;
  subject.state_size += LOCK_BYTES;
  subject.make = make;
  return subject;
}

const rf_conformance_subject *rf_lock_simple_subject(void) {
  static rf_conformance_subject subject;
  subject = locked(rf_simple_subject(), "lock_simple", make_simple);
  return &subject;
}

const rf_conformance_subject *rf_lock_std_subject(void) {
  static rf_conformance_subject subject;
  subject = locked(rf_std_subject(), "lock_std", make_std);
  return &subject;
}

const rf_conformance_subject *rf_lock_tlsf_subject(void) {
  static rf_conformance_subject subject;
  subject = locked(rf_tlsf_subject(), "lock_tlsf", make_tlsf);
  return &subject;
}
