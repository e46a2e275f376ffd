// The checks, by theme. Each function adds its own to the list.
#ifndef RINGFENCE_TESTS_CONFORMANCE_CHECKS_H
#define RINGFENCE_TESTS_CONFORMANCE_CHECKS_H

#include "tests/conformance/env.h"

namespace ringfence::conformance {

// A check is named as its function is.
#define RF_CHECK(function, traits)                                                                                     \
  Check {                                                                                                              \
#function, function, traits                                                                                        \
  }

std::vector<Check> request_checks();
std::vector<Check> realloc_checks();
std::vector<Check> misuse_checks();
std::vector<Check> account_checks();
std::vector<Check> arena_checks();
std::vector<Check> trace_checks();
std::vector<Check> thread_checks();

} // namespace ringfence::conformance

#endif // RINGFENCE_TESTS_CONFORMANCE_CHECKS_H
