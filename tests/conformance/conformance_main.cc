// One GoogleTest per check of the suite, on the subject that chosen_subject.c names.
#include "tests/conformance/suite.h"

#include <gtest/gtest.h>

namespace ringfence::conformance {
namespace {

class CheckTest : public testing::Test {
public:
  CheckTest(const Check &check, const Subject &subject) : check_(check), subject_(subject) {}

  void TestBody() override {
    std::optional<std::string> const failure = run(check_, subject_);
    EXPECT_FALSE(failure.has_value()) << *failure;
  }

private:
  Check check_;
  const Subject &subject_;
};

} // namespace
} // namespace ringfence::conformance

extern "C" {

const rf_conformance_subject *rf_conformance_chosen_subject();

// Requests that cannot be served are part of the suite: sanitizers shall answer them with NULL.
const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}

const char *__tsan_default_options() {
  return "allocator_may_return_null=1";
}
}

int main(int argc, char **argv) {
  using namespace ringfence::conformance;
  testing::InitGoogleTest(&argc, argv);
  const Subject &subject = *rf_conformance_chosen_subject();
  for (const Check &check : all_checks()) {
    if (applies(check, subject)) {
      testing::RegisterTest(
          subject.name, check.name, nullptr, nullptr, __FILE__, __LINE__,
          [check, &subject]() -> testing::Test * { return new ringfence::conformance::CheckTest(check, subject); });
    }
  }
  return RUN_ALL_TESTS();
}
