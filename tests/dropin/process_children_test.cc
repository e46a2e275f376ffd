// Children of fork under the drop-in: what they pay for their parent's blocks, and what they report.
#include "tests/dropin/run.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

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

// Calls that make a child without the handlers of fork.
const std::vector<std::string> kUnnoticed = {"_Fork", "clone", "SYS_clone", "SYS_fork", "clone3"};

// The child's number and its status, as the program printed them.
std::pair<long, long> child_of(const Result &result) {
  char *end = nullptr;
  long const child = std::strtol(result.out.c_str(), &end, 10);
  return {child, std::strtol(end, nullptr, 16)};
}

TEST(ProcessChildren, ThoseThatNoHandlerOfForkIsToldOfReportWhatIsTheirs) {
  const struct {
    const char *what;
    const char *bug;
  } cases[] = {{"damages", "heap-buffer-overflow"}, {"leaks", "memory-leak"}, {"crashes", "SEGV"}};
  for (const std::string &way : kUnnoticed) {
    for (const auto &c : cases) {
      SCOPED_TRACE(way + " " + c.what);
      Result const result = run({program("clones"), way, c.what}, with("summary=1"));
      EXPECT_EQ(result.status, 0) << result.err;
      ASSERT_EQ(result.findings.size(), 1U);
      EXPECT_EQ(result.findings[0]["bug"].text, c.bug);
      EXPECT_EQ(result.findings[0]["pid"].number, child_of(result).first);
      EXPECT_EQ(result.first("summary")["pid"].number, child_of(result).first);
      EXPECT_NE(result.last("summary")["pid"].number, child_of(result).first);
    }
  }
}

TEST(ProcessChildren, ThoseThatNoHandlerOfForkIsToldOfEndAsEver) {
  for (const char *const mode : {"guard", "page", "sample", "off"}) {
    for (const std::string &way : kUnnoticed) {
      for (const char *const what : {"none", "returns", "_exit"}) {
        SCOPED_TRACE(std::string(mode) + " " + way + " " + what);
        Result const result = run({program("clones"), way, what}, with(std::string("summary=1:mode=") + mode));
        EXPECT_EQ(result.status, 0) << result.err;
        EXPECT_EQ(result.findings.size(), 0U) << "blocks that the parent's stack holds are no leaks";
        EXPECT_EQ(child_of(result).second, 7 << 8);
        EXPECT_EQ(result.first("summary")["pid"].number, child_of(result).first);
        EXPECT_EQ(result.first("summary")["findings"].number, 0);
      }
    }
  }
}

// The child ends when its last thread does.
TEST(ProcessChildren, OneWhoseFirstThreadReturnsIsCheckedWhenTheOthersEnd) {
  Result const result = run({program("clones"), "clone", "leaves"}, with("summary=1"));
  EXPECT_EQ(result.status, 0) << result.err;
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.findings[0]["bug"].text, "heap-buffer-overflow");
  EXPECT_EQ(result.findings[0]["pid"].number, child_of(result).first);
}

// A clone that fails releases the locks that were taken for the child.
TEST(ProcessChildren, OneThatTheSystemRefusesToMakeLeavesItsParentAsItWas) {
  for (const std::string mode : {"guard", "page"}) {
    for (const std::string way : {"clone", "SYS_clone", "clone3"}) {
      Result const result = run({program("clones"), way, "refused"}, with("leaks=0:mode=" + mode));
      EXPECT_EQ(result.status, 0) << result.err;
      EXPECT_EQ(result.out, way + ": Invalid argument\n");
    }
  }
}

// The child has no such thread, and waited for what that one held.
TEST(ProcessChildren, AreNotHeldUpByAThreadThatSweepsBlocks) {
  for (const std::string &way : kUnnoticed) {
    Result const result =
        run({program("clones"), way, "_exit", "100000"}, with("sweep_every=1:sweep_budget=1000000:leaks=0"));
    EXPECT_EQ(result.status, 0) << way << result.err;
    EXPECT_EQ(child_of(result).second, 7 << 8) << way;
  }
}

} // namespace
} // namespace ringfence_test
