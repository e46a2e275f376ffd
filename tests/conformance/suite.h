// The checks of the conformance suite, and how to run one. Knows nothing of GoogleTest: conformance_main.cc makes tests
// of the checks, suite_test.cc runs them on allocators that are broken on purpose.
#ifndef RINGFENCE_TESTS_CONFORMANCE_SUITE_H
#define RINGFENCE_TESTS_CONFORMANCE_SUITE_H

#include <ringfence/conformance.h>

#include <optional>
#include <string>
#include <vector>

namespace ringfence::conformance {

using Subject = rf_conformance_subject;

// One promise. A check fails by fail() (env.h), at the first thing that is not as promised.
struct Check {
  const char *name;             // a sentence in CamelCase
  void (*run)(const Subject &); // or it fails
  unsigned needs;               // traits without which the check does not apply
};

// Every check, in the order in which they are best read.
std::vector<Check> all_checks();

// Whether the subject claims what the check is about.
bool applies(const Check &check, const Subject &subject);

// Runs one check with a fault handler of its own, which is taken off afterwards. Nothing, or what went wrong.
std::optional<std::string> run(const Check &check, const Subject &subject);

} // namespace ringfence::conformance

#endif // RINGFENCE_TESTS_CONFORMANCE_SUITE_H
