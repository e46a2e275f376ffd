/* A test of rf_conformance_test: a project's own sources, copts and local_defines go with the suite's. */
#include <ringfence/conformance.h>

#ifndef BY_COPTS
#error "copts did not come"
#endif

const rf_conformance_subject *OWN_SUBJECT(void);
const rf_conformance_subject *own_subject(void);

const rf_conformance_subject *own_subject(void) {
  return OWN_SUBJECT();
}
