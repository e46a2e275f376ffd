// A failed check, where exceptions are to be had.
#ifndef RINGFENCE_TESTS_CONFORMANCE_FAILURE_H
#define RINGFENCE_TESTS_CONFORMANCE_FAILURE_H

#include "tests/conformance/env.h"

#include <string>

namespace ringfence::conformance {

struct Failure {
  std::string text;
};

} // namespace ringfence::conformance

#endif // RINGFENCE_TESTS_CONFORMANCE_FAILURE_H
