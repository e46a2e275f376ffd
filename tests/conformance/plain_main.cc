// The suite without GoogleTest, for processors that the build's own is not: tools/try_aarch64.sh. Prints each check
// that fails, and how many there were. Arguments: checks to leave out.
#include "tests/conformance/suite.h"

#include <algorithm>
#include <cstdio>

extern "C" const rf_conformance_subject *RF_CONFORMANCE_SUBJECT();

int main(int argc, char **argv) {
  using namespace ringfence::conformance;
  const Subject &subject = *RF_CONFORMANCE_SUBJECT();
  size_t count = 0;
  size_t failed = 0;
  for (const Check &check : all_checks()) {
    bool const left_out =
        std::any_of(argv + 1, argv + argc, [&](const std::string &name) { return name == check.name; });
    if (applies(check, subject) && !left_out) {
      std::optional<std::string> const failure = run(check, subject);
      count++;
      if (failure.has_value()) {
        std::printf("%s: %s\n", check.name, failure->c_str());
        failed++;
      }
    }
  }
  std::printf("%zu checks of %s, %zu failed\n", count, subject.name, failed);
  return failed == 0 && count != 0 ? 0 : 1;
}
