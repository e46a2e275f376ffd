// A check that fails ends by an exception.
#include "tests/conformance/failure.h"

namespace ringfence::conformance {

void fail(const char *file, int line, const std::string &text) {
  throw Failure{failure_text(file, line, text)};
}

std::optional<std::string> run(const Check &check, const Subject &subject) {
  std::optional<std::string> result;
  begin_counting_faults();
  try {
    check.run(subject);
  } catch (const Failure &failure) {
    result = failure.text;
  }
  end_counting_faults();
  return result;
}

} // namespace ringfence::conformance
