#ifndef RINGFENCE_TESTS_CHECKERS_GUARD_SUBJECTS_H
#define RINGFENCE_TESTS_CHECKERS_GUARD_SUBJECTS_H

#include <ringfence/conformance.h>

#ifdef __cplusplus
extern "C" {
#endif

const rf_conformance_subject *rf_guard_simple_subject(void);
const rf_conformance_subject *rf_guard_std_subject(void);
const rf_conformance_subject *rf_guard_tlsf_subject(void);
const rf_conformance_subject *rf_guard_quarantine_subject(void);
const rf_conformance_subject *rf_asan_simple_subject(void);
const rf_conformance_subject *rf_asan_std_subject(void);
const rf_conformance_subject *rf_asan_tlsf_subject(void);
const rf_conformance_subject *rf_mte_simple_subject(void);
const rf_conformance_subject *rf_mte_std_subject(void);
const rf_conformance_subject *rf_mte_tlsf_subject(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_CHECKERS_GUARD_SUBJECTS_H */
