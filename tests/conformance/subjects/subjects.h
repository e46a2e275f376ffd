/* The allocators of Ringfence as subjects of the conformance suite. */
#ifndef RINGFENCE_TESTS_CONFORMANCE_SUBJECTS_H
#define RINGFENCE_TESTS_CONFORMANCE_SUBJECTS_H

#include <ringfence/conformance.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every allocator of Ringfence, and those variants that differ. RF_SUBJECTS(X) is X(name) for each. */
#define RF_SUBJECTS(X)                                                                                                 \
  X(blockgroup)                                                                                                        \
  X(handle)                                                                                                            \
  X(lock_simple)                                                                                                       \
  X(lock_std)                                                                                                          \
  X(lock_tlsf)                                                                                                         \
  X(memblocks)                                                                                                         \
  X(memheap_of_three)                                                                                                  \
  X(memheap)                                                                                                           \
  X(mempool)                                                                                                           \
  X(oom)                                                                                                               \
  X(pool)                                                                                                              \
  X(simple)                                                                                                            \
  X(sizeclass)                                                                                                         \
  X(sizeclass_fallback)                                                                                                \
  X(slab)                                                                                                              \
  X(smallmem)                                                                                                          \
  X(std)                                                                                                               \
  X(tlsf)

#define RF_SUBJECT_DECLARED(name) const rf_conformance_subject *rf_##name##_subject(void);
RF_SUBJECTS(RF_SUBJECT_DECLARED)

/* The checkers that are tested as allocators. */
RF_SUBJECT_DECLARED(guard_small)
#undef RF_SUBJECT_DECLARED

/* Elements of an array: RF_SUBJECTS(RF_SUBJECT_CALLED) */
#define RF_SUBJECT_CALLED(name) rf_##name##_subject(),

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_CONFORMANCE_SUBJECTS_H */
