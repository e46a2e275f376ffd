// A library that is preloaded before ours has functions by the names of the system's, which allocate: what ours does
// for itself does not go through them, and at the end not through those of one that is preloaded behind.
#include "tests/dropin/run.h"

#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

How before_ours(const std::string &options) {
  How how = with(options);
  how.before = program("libwrappers.so");
  return how;
}

How behind_ours(const std::string &options) {
  How how = with(options);
  how.behind = program("libwrappers.so");
  return how;
}

// The library has ended before ours does.
TEST(DropinWrappers, ThatStandBehindAreNotMetAtTheEnd) {
  if (sizeof(void *) == 4) {
    GTEST_SKIP() << "the kernel's answer to fstat is not the C library's structure, so the one behind is asked";
  }
  for (const char *const mode : {"guard", "page", "sample", "off"}) {
    for (const char *const more : {":summary=1", ":verbosity=1"}) {
      SCOPED_TRACE(std::string(mode) + more);
      Result const result = run({program("bugs"), "leak", "bad"}, behind_ours(std::string("mode=") + mode + more));
      EXPECT_EQ(result.err.find("a wrapper was called"), std::string::npos) << result.err;
      bool const looks = mode == std::string("guard") || mode == std::string("page");
      EXPECT_EQ(result.status, looks ? 99 : 0) << result.err;
      EXPECT_EQ(result.findings.size(), looks ? 1U : 0U);
    }
  }
}

TEST(DropinWrappers, AreNotMetByWhatServesARequest) {
  for (const char *const mode : {"guard", "guard:watch=1:sample_seed=1", "page", "sample:sample_rate=1", "off"}) {
    SCOPED_TRACE(mode);
    Result const result = run({program("bugs"), "double_free", "good"}, before_ours(std::string("mode=") + mode));
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.findings.size(), 0U);
  }
}

TEST(DropinWrappers, AreNotMetByWhatReportsAFinding) {
  for (const char *const mode : {"guard", "page", "sample:sample_rate=1"}) {
    for (const char *const halt : {"1", "0"}) {
      SCOPED_TRACE(std::string(mode) + " halt=" + halt);
      Result const result =
          run({program("bugs"), "double_free", "bad"}, before_ours(std::string("halt=") + halt + ":mode=" + mode));
      EXPECT_EQ(result.err, "");
      ASSERT_EQ(result.findings.size(), 1U);
      EXPECT_EQ(result.findings[0]["bug"].text, "double-free");
    }
  }
}

TEST(DropinWrappers, AreNotMetByTheSearchForLeaks) {
  for (const char *const mode : {"guard", "page"}) {
    SCOPED_TRACE(mode);
    Result const result = run({program("bugs"), "leak", "bad"}, before_ours(std::string("mode=") + mode));
    EXPECT_EQ(result.err, "");
    ASSERT_EQ(result.findings.size(), 1U);
    EXPECT_EQ(result.findings[0]["bug"].text, "memory-leak");
  }
}

TEST(DropinWrappers, AreNotMetByForks) {
  for (const char *const mode : {"guard", "page"}) {
    Result const result =
        run({program("forks"), "10", "return", "bad"}, before_ours(std::string("leaks=0:mode=") + mode));
    EXPECT_EQ(result.err.find("a wrapper was called"), std::string::npos) << mode;
    EXPECT_FALSE(result.findings.empty()) << mode;
  }
}

} // namespace
} // namespace ringfence_test
