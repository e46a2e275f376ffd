// Faults of a process whose signals are blocked or whose stack is at its end, in each mode of the drop-in.
#include "tests/dropin/run.h"

#include <csignal>
#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

// The system ends a process whose fault is blocked, without a call of any handler.
TEST(DropinModes, AFaultIsAFindingThoughSignalsAreBlocked) {
  for (const char *const mode : {"mode=page", "mode=guard:watch=1:sample_seed=1", "mode=sample:sample_rate=1"}) {
    for (const char *const how : {"thread", "main", "handler", "timer", "timer_as_told", "parent"}) {
      SCOPED_TRACE(std::string(mode) + " " + how);
      Result const result = run({program("masks"), how}, with(std::string(mode) + ":leaks=0"));
      EXPECT_EQ(result.status, 99) << result.err;
      ASSERT_EQ(result.findings.size(), 1U);
      EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
      EXPECT_EQ(result.findings[0]["access"].text, "read");
    }
  }
}

// A handler needs a stack of its own then, which must be large enough for a report.
TEST(DropinModes, ACrashIsAFindingWhateverTheStack) {
  for (const char *const how : {"full", "full_thread", "small"}) {
    for (const char *const mode : {"guard", "guard:watch=0", "page"}) {
      SCOPED_TRACE(std::string(how) + " " + mode);
      Result const result = run({program("masks"), how, "good"}, with(std::string("leaks=0:mode=") + mode));
      EXPECT_EQ(result.status, 128 + SIGSEGV);
      ASSERT_EQ(result.findings.size(), 1U) << result.err;
      EXPECT_EQ(result.findings[0]["bug"].text, "SEGV");
      EXPECT_EQ(result.findings[0]["detail"].text.find("the stack is at its end") != std::string::npos,
                how != std::string("small"))
          << result.findings[0]["detail"].text;
      EXPECT_GE(result.findings[0]["found"]["frames"].items.size(), 2U);
    }
  }
}

// It is told of the mask that it set, and signals that were sent wait for it to let them.
TEST(DropinModes, MasksAreToTheProgramWhatItMadeThem) {
  for (const char *const what : {"told", "sent", "own", "inherited"}) {
    Result const bare = run_bare({program("masks"), what});
    for (const char *const mode : {"page", "guard", "guard:watch=0", "sample", "off", "page:signals=0",
                                   "guard:sweep_every=1000", "page:sweep_every=1000"}) {
      SCOPED_TRACE(std::string(what) + " " + mode);
      Result const result = run({program("masks"), what, "good"}, with(std::string("leaks=0:mode=") + mode));
      EXPECT_EQ(result.out, bare.out);
      EXPECT_EQ(result.status, bare.status);
      EXPECT_EQ(result.findings.size(), 0U);
    }
  }
}

} // namespace
} // namespace ringfence_test
