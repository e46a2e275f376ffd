// Findings of a test that includes this are intended: no artifact of the run is to tell of them.
#ifndef RINGFENCE_TESTS_CHECKERS_FOUND_ON_PURPOSE_H
#define RINGFENCE_TESTS_CHECKERS_FOUND_ON_PURPOSE_H

#include <cstdlib>

namespace ringfence {

[[maybe_unused]] inline int const found_on_purpose = unsetenv("TEST_UNDECLARED_OUTPUTS_DIR");

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_FOUND_ON_PURPOSE_H
