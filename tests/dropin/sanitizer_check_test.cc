// A program that is built with a sanitizer runs under the drop-in as it runs without: the sanitizer checks it,
// and a line says that Ringfence does not.
#include "tests/dropin/run.h"

#include <cstdint>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

namespace ringfence_test {
namespace {

std::string said(const std::string &sanitizer) {
  return "ringfence: this program is built with " + sanitizer +
         ", which has a malloc of its own: it is not checked by Ringfence\n";
}

TEST(SanitizerCheck, AProgramWithAddressSanitizerRunsAsItDoesAlone) {
  Result const result = run({program("sanitized"), "one", "", "three"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, said("AddressSanitizer"));
  EXPECT_EQ(result.out, "4 arguments, preload and options\n");
  EXPECT_TRUE(result.findings.empty());
}

TEST(SanitizerCheck, ItsErrorsAreAddressSanitizers) {
  Result const result = run({program("sanitized"), "wrong"});
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_EQ(result.err.find(said("AddressSanitizer")), 0U) << result.err;
  EXPECT_NE(result.err.find("AddressSanitizer: heap-buffer-overflow"), std::string::npos) << result.err;
  EXPECT_TRUE(result.findings.empty());
}

TEST(SanitizerCheck, AProgramWithThreadSanitizerRunsAsItDoesAlone) {
#if UINTPTR_MAX == UINT32_MAX
  GTEST_SKIP() << "ThreadSanitizer has no 32-bit runtime";
#endif
  for (const char *const mode : {"mode=off", "mode=guard", "mode=page"}) {
    Result const result = run({program("sanitized_threads"), "one", "", "three"}, with(mode));
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.err, said("ThreadSanitizer"));
    EXPECT_EQ(result.out, "4 arguments, preload and options\n");
  }
}

// Both would crash, before either could say anything.
TEST(SanitizerCheck, ASanitizerAndALinkedInDropInEndTheProgramWithALineThatNamesBoth) {
  std::vector<std::pair<std::string, std::string>> programs = {{"sanitized_linked", "AddressSanitizer"}};
#if UINTPTR_MAX != UINT32_MAX
  programs.emplace_back("sanitized_threads_linked", "ThreadSanitizer");
#endif
  How how;
  how.preload = false;
  for (const auto &[name, sanitizer] : programs) {
    Result const result = run({program(name)}, how);
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(result.err, "ringfence: this program is built with " + sanitizer +
                              " and linked with Ringfence's malloc: only one of them can be in it\n");
    EXPECT_EQ(result.out, "");
  }
}

TEST(SanitizerCheck, NoFunctionOfARuntimeThatIsNotReadyIsCalled) {
  Result const result = run({program("unready"), "one"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, said("a sanitizer"));
  EXPECT_EQ(result.out, "2 arguments\n");
}

TEST(SanitizerCheck, ChildrenAreLookedAtAsWell) {
  if (sizeof(void *) == 4) {
    GTEST_SKIP() << "the shell is of 64 bit: a 32-bit library cannot go into it, and the loader says so";
  }
  Result const result = run({"/bin/sh", "-c", program("unready") + " one; echo done"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, said("a sanitizer"));
  EXPECT_EQ(result.out, "2 arguments\ndone\n");
}

} // namespace
} // namespace ringfence_test
