// Children of fork under the drop-in: what they pay for their parent's blocks, and what they report.
#include "tests/dropin/run.h"

#include <cstdlib>
#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

const char kManyBlocks[] = "200000";

// Nanoseconds of the quickest child; 0 where there was none.
double quickest(const Result &result) {
  EXPECT_EQ(result.status, 0) << result.err;
  return std::strtod(result.out.c_str(), nullptr);
}

// A machine may be busy: some try is within the bound.
bool costs_at_most(const char *ending, double factor, double more_ns) {
  for (int i = 0; i < 10; i++) {
    double const bare = quickest(run_bare({program("forks"), kManyBlocks, ending}));
    if (quickest(run({program("forks"), kManyBlocks, ending})) <= factor * bare + more_ns) {
      return true;
    }
  }
  return false;
}

TEST(ProcessChildren, AChildPaysLittleForItsParentsBlocks) {
  EXPECT_TRUE(costs_at_most("_exit", 2, 1e6));
  EXPECT_TRUE(costs_at_most("exit", 1, 1e7));
}

TEST(ProcessChildren, DamageThatAChildDoesToItsParentsBlocksIsFound) {
  for (const char *const mode : {"guard", "page"}) {
    for (const char *const count : {"10", kManyBlocks}) {
      for (const char *const ending : {"_exit", "exit"}) {
        SCOPED_TRACE(std::string(mode) + " " + count + " " + ending);
        Result const result = run({program("forks"), count, ending, "bad"}, with(std::string("leaks=0:mode=") + mode));
        EXPECT_EQ(result.status, 99);
        ASSERT_FALSE(result.findings.empty());
        EXPECT_EQ(result.findings[0]["bug"].text, "heap-buffer-overflow");
      }
    }
  }
}

TEST(ProcessChildren, ChildrenOfForkReportWhatIsTheirs) {
  Result const result = run({program("process"), "fork"}, with("summary=1"));
  EXPECT_EQ(result.status, 9);
  ASSERT_EQ(result.findings.size(), 1U);
  long long const child = result.findings[0]["pid"].number;
  EXPECT_NE(child, result.last("start")["pid"].number);
}

TEST(ProcessChildren, ChildrenOfForkAreThreadsOfTheirOwn) {
  for (const char *const mode : {"guard", "page"}) {
    Result const result = run({program("process"), "twice_in_fork"}, with(std::string("mode=") + mode));
    EXPECT_EQ(result.status, 9);
    ASSERT_EQ(result.findings.size(), 1U);
    for (const char *const place : {"found", "released", "allocated"}) {
      EXPECT_EQ(result.findings[0][place]["thread"].number, result.findings[0]["pid"].number) << mode << ", " << place;
    }
  }
}

TEST(ProcessChildren, ChildrenOfForkEndAsIfTheirParentHadNoFindings) {
  Result const result = run({program("process"), "overflow_fork"}, with("summary=1:halt=0"));
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.first("summary")["findings"].number, 0); // the child's
  EXPECT_EQ(result.last("summary")["findings"].number, 1);
}

} // namespace
} // namespace ringfence_test
