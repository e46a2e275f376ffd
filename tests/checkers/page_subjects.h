#ifndef RINGFENCE_TESTS_CHECKERS_PAGE_SUBJECTS_H
#define RINGFENCE_TESTS_CHECKERS_PAGE_SUBJECTS_H

#include <ringfence/conformance.h>

#ifdef __cplusplus
extern "C" {
#endif

const rf_conformance_subject *rf_page_subject(void);
const rf_conformance_subject *rf_sample_subject(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_CHECKERS_PAGE_SUBJECTS_H */
