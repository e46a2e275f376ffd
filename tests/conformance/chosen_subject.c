// The subject of one test, which the build names: tools/bazel/conformance.bzl compiles this for each, and
// conformance_main.cc once.
#include <ringfence/conformance.h>

const rf_conformance_subject *RF_CONFORMANCE_SUBJECT(void);
const rf_conformance_subject *rf_conformance_chosen_subject(void);

const rf_conformance_subject *rf_conformance_chosen_subject(void) {
  return RF_CONFORMANCE_SUBJECT();
}
