// Mode page of the drop-in with a limit of memory or time, and the sweep in the background.
#include "tests/dropin/run.h"

#include <filesystem>
#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

TEST(DropinModes, WhatIsAboveTheMemoryOfPagesIsGuardedAndCounted) {
  Result const result = run({program("forks"), "1000", "exit"}, with("mode=page:page_memory=1M:summary=1"));
  EXPECT_EQ(result.status, 0);
  long long unpaged = 0; // of the parent: children count their own
  for (const Json &line : result.lines) {
    unpaged += line["unpaged_blocks"].number;
  }
  EXPECT_GT(unpaged, 700);
  EXPECT_LT(unpaged, 800);
  Result const bad = run({program("forks"), "1000", "exit", "bad"}, with("mode=page:page_memory=1M:leaks=0"));
  EXPECT_EQ(bad.status, 99);
  ASSERT_FALSE(bad.findings.empty());
  EXPECT_EQ(bad.findings[0]["mode"].text, "guard");
}

TEST(DropinModes, ABlockThatGrowsBeyondThePagesCountsOnceAndNotWhereItIsRefused) {
  for (const char *const way : {"granted", "refused"}) {
    Result const result = run({program("grown"), way}, with("mode=page:page_memory=16M:summary=1"));
    EXPECT_EQ(result.status, 0) << way;
    EXPECT_EQ(result.last("summary")["unpaged_blocks"].number, way == std::string("granted") ? 1 : 0) << way;
  }
}

// The program has 70,000 blocks; 20 ms serve some of them, and a hundredth; paths that come later are tried, too.
TEST(DropinModes, ALimitOfTimeLeavesTheRestToGuardAndCountsIt) {
  Result const result = run({std::filesystem::absolute("tools/bench/read_sites").string()},
                            with("mode=page:page_time=1:halt=0:exitcode=0:leaks=0:summary=1"));
  Json const summary = result.last("summary");
  EXPECT_EQ(result.status, 0);
  EXPECT_GT(summary["unpaged_blocks"].number, summary["allocations"].number / 4);
  EXPECT_LT(summary["unpaged_blocks"].number, summary["allocations"].number);
  EXPECT_FALSE(result.findings.empty());
}

TEST(DropinModes, ALimitOfTimeThatIsNotReachedLeavesNothingOut) {
  Result const result = run({program("reads"), "bad"}, with("mode=page:page_time=1:summary=1"));
  EXPECT_EQ(result.status, 99);
  ASSERT_FALSE(result.findings.empty());
  EXPECT_EQ(result.findings[0]["mode"].text, "page");
  EXPECT_EQ(result.last("summary")["unpaged_blocks"].number, 0);
}

TEST(DropinModes, TheSweepInTheBackgroundFindsDamageWhileTheProgramIsIdle) {
  for (const char *const mode : {"mode=guard", "mode=page:align=left"}) {
    std::string const options = std::string(mode) + ":sweep_every=1:sweep_budget=200";
    Result const result = run({program("idle"), "bad"}, with(options));
    EXPECT_EQ(result.status, 99);
    EXPECT_EQ(result.out, "") << "found only at the end";
    ASSERT_EQ(result.findings.size(), 1U);
    EXPECT_EQ(result.findings[0]["bug"].text, "heap-buffer-overflow");
    Result const good = run({program("idle"), "good"}, with(options));
    EXPECT_EQ(good.out, "end\n");
    EXPECT_EQ(good.status, 0);
    EXPECT_EQ(good.findings.size(), 0U);
  }
}

TEST(DropinModes, TheSweepInTheBackgroundDoesNotDisturbThreadsAndForks) {
  for (const char *const mode : {"mode=guard", "mode=page"}) {
    Result const result = run({program("threads")}, with(std::string(mode) + ":sweep_every=1"));
    EXPECT_EQ(result.out, "ok\n") << mode;
    EXPECT_EQ(result.status, 0) << mode;
    EXPECT_EQ(result.findings.size(), 0U) << mode;
  }
}

} // namespace
} // namespace ringfence_test
