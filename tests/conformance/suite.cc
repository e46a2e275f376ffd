#include "tests/conformance/checks.h"

namespace ringfence::conformance {

std::vector<Check> all_checks() {
  std::vector<Check> all;
  for (auto *const theme :
       {request_checks, realloc_checks, misuse_checks, account_checks, arena_checks, trace_checks, thread_checks}) {
    std::vector<Check> const checks = theme();
    all.insert(all.end(), checks.begin(), checks.end());
  }
  return all;
}

} // namespace ringfence::conformance
