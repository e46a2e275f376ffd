/* The allocators of Ringfence as subjects of the conformance suite. */
#ifndef RINGFENCE_TESTS_CONFORMANCE_SUBJECTS_H
#define RINGFENCE_TESTS_CONFORMANCE_SUBJECTS_H

#include <ringfence/conformance.h>

#ifdef __cplusplus
extern "C" {
#endif

const rf_conformance_subject *rf_blockgroup_subject(void);
const rf_conformance_subject *rf_guard_small_subject(void);
const rf_conformance_subject *rf_handle_subject(void);
const rf_conformance_subject *rf_lock_simple_subject(void);
const rf_conformance_subject *rf_lock_std_subject(void);
const rf_conformance_subject *rf_lock_tlsf_subject(void);
const rf_conformance_subject *rf_memblocks_subject(void);
const rf_conformance_subject *rf_memheap_of_three_subject(void);
const rf_conformance_subject *rf_memheap_subject(void);
const rf_conformance_subject *rf_mempool_subject(void);
const rf_conformance_subject *rf_oom_subject(void);
const rf_conformance_subject *rf_pool_subject(void);
const rf_conformance_subject *rf_simple_subject(void);
const rf_conformance_subject *rf_sizeclass_fallback_subject(void);
const rf_conformance_subject *rf_sizeclass_subject(void);
const rf_conformance_subject *rf_slab_subject(void);
const rf_conformance_subject *rf_smallmem_subject(void);
const rf_conformance_subject *rf_std_subject(void);
const rf_conformance_subject *rf_tlsf_subject(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_CONFORMANCE_SUBJECTS_H */
