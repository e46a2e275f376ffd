// Tests that leak or leave damage fail by themselves, with the finding: seen from outside, for they are to fail.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <sys/wait.h>

namespace {

struct Outcome {
  int status;
  std::string out;
  bool has(const std::string &part) const { return out.find(part) != std::string::npos; }
  size_t count(const std::string &part) const {
    size_t found = 0;
    for (size_t at = out.find(part); at != std::string::npos; at = out.find(part, at + 1)) {
      found++;
    }
    return found;
  }
};

Outcome run(const std::string &program, const std::string &filter) {
  Outcome outcome = {-1, ""};
  std::string const line = "TEST_UNDECLARED_OUTPUTS_DIR= GTEST_OUTPUT= ASAN_OPTIONS=detect_leaks=0 ./tests/checkers/" +
                           program + " --gtest_color=no --gtest_filter='" + filter + "' 2>&1";
  std::FILE *const pipe = popen(line.c_str(), "r");
  char piece[4096];
  while (size_t const n = std::fread(piece, 1, sizeof piece, pipe)) {
    outcome.out.append(piece, n);
  }
  int const status = pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

Outcome own(const std::string &filter) {
  return run("gtest_subject", filter);
}

TEST(GtestListener, AGoodTestPasses) {
  Outcome const outcome = own("OwnHeap.Good");
  EXPECT_EQ(outcome.status, 0) << outcome.out;
  EXPECT_FALSE(outcome.has("Ringfence")) << outcome.out;
}

TEST(GtestListener, AnOverflowFailsTheTestWithTheFinding) {
  Outcome const outcome = own("OwnHeap.Overflow:OwnHeap.Good");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(outcome.has("[       OK ] OwnHeap.Good")) << outcome.out;
  EXPECT_TRUE(outcome.has("[  FAILED  ] OwnHeap.Overflow")) << outcome.out;
  EXPECT_TRUE(outcome.has("ERROR: Ringfence: heap-buffer-overflow on address")) << outcome.out;
  EXPECT_TRUE(outcome.has("0 bytes after 13-byte region")) << outcome.out;
  EXPECT_TRUE(outcome.has("gtest_subject.cc:")) << "at the place of the allocation" << outcome.out;
}

TEST(GtestListener, ALeakFailsTheTest) {
  Outcome const outcome = own("OwnHeap.Leak");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(outcome.has("memory-leak of 77 byte(s) in 1 object(s)")) << outcome.out;
}

TEST(GtestListener, ALeakFailsTheTestEachTimeItRuns) {
  Outcome const outcome = own("OwnHeap.Leak' --gtest_repeat='3");
  EXPECT_EQ(outcome.count("[  FAILED  ] OwnHeap.Leak ("), 3U) << outcome.out;
}

TEST(GtestListener, TheTestGoesOnAndEachFindingIsAFailure) {
  Outcome const outcome = own("OwnHeap.DoubleFreeAndMore");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.count("ERROR: Ringfence: double-free"), 1U) << outcome.out;
  EXPECT_EQ(outcome.count("ERROR: Ringfence: bad-free"), 1U) << outcome.out;
}

const Outcome &many() {
  static const Outcome outcome = own("OwnHeap.Many");
  return outcome;
}

TEST(GtestListener, TooManyFindingsAreCounted) {
  const Outcome &outcome = many();
  size_t const shown = outcome.count("ERROR: Ringfence: double-free");
  EXPECT_GT(shown, 50U);
  EXPECT_EQ(outcome.count("SUMMARY: Ringfence: double-free"), shown) << "one whose end is cut off is counted";
  EXPECT_TRUE(outcome.has("Ringfence: " + std::to_string(300 - shown) + " findings more")) << shown;
}

TEST(GtestListener, EachTestBeginsWithNoFindings) {
  const Outcome &once = many();
  Outcome const twice = own("OwnHeap.Many:OwnHeap.Good' --gtest_repeat='2");
  EXPECT_EQ(twice.count("[       OK ] OwnHeap.Good"), 2U) << twice.out;
  size_t const shown = once.count("ERROR: Ringfence: double-free");
  EXPECT_EQ(twice.count("ERROR: Ringfence: double-free"), 2 * shown);
  EXPECT_EQ(twice.count("Ringfence: " + std::to_string(300 - shown) + " findings more"), 2U) << twice.out;
}

// As without the listener: it is reported, and the process goes on where the options say so.
TEST(GtestListener, WhatIsFoundWhileNoTestRunsFailsNone) {
  setenv("RINGFENCE_OPTIONS", "halt=0", 1);
  Outcome const outcome = own("Between.*");
  unsetenv("RINGFENCE_OPTIONS");
  EXPECT_TRUE(outcome.has("0 bytes after 21-byte region")) << outcome.out;
  EXPECT_TRUE(outcome.has("[       OK ] Between.Silent")) << outcome.out;
  EXPECT_TRUE(outcome.has("[  FAILED  ] Between.Overflow")) << outcome.out;
  EXPECT_TRUE(outcome.has("0 bytes after 13-byte region")) << outcome.out;
  EXPECT_EQ(own("Between.Silent").status, 99) << "and ends it where not";
}

TEST(GtestListener, WhatIsSuppressedIsNoFailure) {
  std::string const rules = testing::TempDir() + "/gtest_rules";
  std::ofstream(rules) << "leak:TestBody\n";
  setenv("RINGFENCE_OPTIONS", ("suppressions=" + rules).c_str(), 1);
  EXPECT_EQ(own("OwnHeap.Leak").status, 0);
  EXPECT_EQ(own("OwnHeap.Overflow").status, 1);
  unsetenv("RINGFENCE_OPTIONS");
}

TEST(GtestListener, DeathTestsSeeTheEndOfTheProcess) {
  Outcome const outcome = own("OwnHeap.DeathTests*");
  EXPECT_EQ(outcome.status, 0) << outcome.out;
}

TEST(GtestListener, AGuardThatIsWatchedIsCheckedAfterEachTest) {
  Outcome const outcome = own("SharedHeap.*");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(outcome.has("[       OK ] SharedHeap.GoodBefore")) << outcome.out;
  EXPECT_TRUE(outcome.has("[  FAILED  ] SharedHeap.Leak")) << outcome.out;
  EXPECT_TRUE(outcome.has("[  FAILED  ] SharedHeap.Damage")) << outcome.out;
  EXPECT_TRUE(outcome.has("[       OK ] SharedHeap.GoodAfter")) << outcome.out;
  EXPECT_EQ(outcome.count("memory-leak of 78 byte(s)"), 1U) << outcome.out;
  EXPECT_EQ(outcome.count("ERROR: Ringfence: heap-buffer-overflow"), 1U) << outcome.out;
}

TEST(GtestListener, OneGuardIsForgottenAndTheOtherIsNot) {
  Outcome const outcome = own("SharedHeap.ForgetsAnother:SharedHeap.Leak");
  EXPECT_TRUE(outcome.has("[       OK ] SharedHeap.ForgetsAnother")) << outcome.out;
  EXPECT_TRUE(outcome.has("[  FAILED  ] SharedHeap.Leak")) << outcome.out;
}

TEST(GtestListener, WithoutTheDropInMallocIsNotLookedAt) {
  EXPECT_EQ(own("Malloc.Good:Malloc.Leak").status, 0);
}

#if RF_WITH_DROPIN
TEST(GtestListener, UnderTheDropInMallocIsCheckedAfterEachTest) {
  Outcome const outcome = run("gtest_subject_dropin", "Malloc.*");
  EXPECT_NE(outcome.status, 0);
  EXPECT_TRUE(outcome.has("[       OK ] Malloc.Good ")) << outcome.out;
  EXPECT_TRUE(outcome.has("[  FAILED  ] Malloc.Overflow")) << outcome.out;
  EXPECT_TRUE(outcome.has("0 bytes after 24-byte region")) << outcome.out;
  EXPECT_TRUE(outcome.has("[  FAILED  ] Malloc.Leak")) << outcome.out;
  EXPECT_TRUE(outcome.has("memory-leak of 79 byte(s) in 1 object(s)")) << outcome.out;
  EXPECT_TRUE(outcome.has("[       OK ] Malloc.GoodAfter")) << outcome.out;
}

TEST(GtestListener, UnderTheDropInALeakIsToldByItsTestAndNotAtExit) {
  Outcome const outcome = run("gtest_subject_dropin", "Malloc.Leak");
  EXPECT_EQ(outcome.status, 1) << "the test's own failure";
  EXPECT_EQ(outcome.count("memory-leak of 79 byte(s)"), 1U) << outcome.out;
}

TEST(GtestListener, UnderTheDropInEachTestTellsTheLeaksOfItsOwn) {
  Outcome const outcome = run("gtest_subject_dropin", "Malloc.Leak' --gtest_repeat='3");
  EXPECT_EQ(outcome.count("[  FAILED  ] Malloc.Leak ("), 3U) << outcome.out;
  EXPECT_EQ(outcome.count("memory-leak of 79 byte(s) in 1 object(s)"), 3U) << outcome.out;
}

// The room for texts is limited there as well.
TEST(GtestListener, UnderTheDropInTooManyFindingsAreCounted) {
  Outcome const outcome = run("gtest_subject_dropin", "ManyOfMalloc.*:Malloc.GoodAfter");
  size_t const shown = outcome.count("ERROR: Ringfence: double-free");
  EXPECT_GT(shown, 5U) << "each has three stacks of long names";
  EXPECT_EQ(outcome.count("SUMMARY: Ringfence: double-free"), shown) << outcome.out;
  EXPECT_TRUE(outcome.has("Ringfence: " + std::to_string(300 - shown) + " findings more")) << shown;
  EXPECT_TRUE(outcome.has("[       OK ] Malloc.GoodAfter")) << outcome.out;
}

TEST(GtestListener, UnderTheDropInGoodTestsPass) {
  Outcome const outcome = run("gtest_subject_dropin", "*.Good*");
  EXPECT_EQ(outcome.status, 0) << outcome.out;
}
#endif

} // namespace
