// A program that is built with AddressSanitizer runs under the drop-in as it runs without: AddressSanitizer checks it,
// and a line says that Ringfence does not.
#include "tests/dropin/run.h"

#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

const char kSaid[] = "ringfence: this program is built with AddressSanitizer, which has a malloc of its own: it is not "
                     "checked by Ringfence\n";

TEST(SanitizerCheck, AProgramWithAddressSanitizerRunsAsItDoesAlone) {
  Result const result = run({program("sanitized"), "one", "", "three"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, kSaid);
  EXPECT_EQ(result.out, "4 arguments, preload and options\n");
  EXPECT_TRUE(result.findings.empty());
}

TEST(SanitizerCheck, ItsErrorsAreAddressSanitizers) {
  Result const result = run({program("sanitized"), "wrong"});
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_EQ(result.err.find(kSaid), 0U) << result.err;
  EXPECT_NE(result.err.find("AddressSanitizer: heap-buffer-overflow"), std::string::npos) << result.err;
  EXPECT_TRUE(result.findings.empty());
}

} // namespace
} // namespace ringfence_test
