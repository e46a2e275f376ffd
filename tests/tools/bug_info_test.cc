// The texts of reports on each kind of finding.
#include "tools/ringfence/model/bug_info.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <utility>

namespace {

class Kinds : public testing::TestWithParam<unsigned> {
protected:
  rf_bug bug() const { return static_cast<rf_bug>(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Each, Kinds, testing::Range(0U, static_cast<unsigned>(RF_BUG_COUNT)),
                         [](const testing::TestParamInfo<unsigned> &it) {
                           std::string name = rf_bug_name(static_cast<rf_bug>(it.param));
                           for (char &c : name) {
                             c = c == '-' ? '_' : c;
                           }
                           return name;
                         });

TEST_P(Kinds, HasEveryText) {
  EXPECT_STRNE(rf_bug_title(bug()), "Unknown") << "add it to tools/ringfence/model/bug_info.c";
  for (const char *const text : {rf_bug_summary(bug()), rf_bug_meaning(bug()), rf_bug_advice(bug())}) {
    ASSERT_NE(text, nullptr);
    EXPECT_EQ(std::string(text).back(), '.');
  }
}

TEST_P(Kinds, HasASeverityThatCodeHostsUnderstand) {
  char *end = nullptr;
  double const severity = std::strtod(rf_bug_severity(bug()), &end);
  EXPECT_EQ(*end, '\0');
  EXPECT_GT(severity, 0);
  EXPECT_LE(severity, 10);
  EXPECT_TRUE(std::string("error warning").find(rf_bug_level(bug())) != std::string::npos);
}

TEST(KindsTogether, TitlesDiffer) {
  std::set<std::string> titles;
  for (unsigned bug = 0; bug < RF_BUG_COUNT; bug++) {
    titles.insert(rf_bug_title(static_cast<rf_bug>(bug)));
  }
  EXPECT_EQ(titles.size(), static_cast<size_t>(RF_BUG_COUNT));
}

TEST(KindsTogether, ALeakIsAWarningAndEveryOtherAnError) {
  for (unsigned bug = 0; bug < RF_BUG_COUNT; bug++) {
    EXPECT_STREQ(rf_bug_level(static_cast<rf_bug>(bug)), bug == RF_BUG_LEAK ? "warning" : "error") << bug;
  }
}

// Code hosts sort by it: what lets others write memory is worse than what ends the program.
TEST(KindsTogether, SeveritiesStay) {
  const std::pair<rf_bug, const char *> severities[] = {
      {RF_BUG_BUFFER_OVERFLOW, "8.8"},
      {RF_BUG_BUFFER_UNDERFLOW, "8.8"},
      {RF_BUG_USE_AFTER_FREE, "8.8"},
      {RF_BUG_DOUBLE_FREE, "8.1"},
      {RF_BUG_BAD_FREE, "7.5"},
      {RF_BUG_DEALLOC_MISMATCH, "6.5"},
      {RF_BUG_SIZE_MISMATCH, "6.5"},
      {RF_BUG_LEAK, "4.3"},
      {RF_BUG_METADATA, "8.8"},
      {RF_BUG_SIZE_TOO_BIG, "5.3"},
      {RF_BUG_CALLOC_OVERFLOW, "5.3"},
      {RF_BUG_BAD_ALIGNMENT, "3.1"},
      {RF_BUG_ENDED, "6.5"},
      {RF_BUG_STALE_HANDLE, "7.5"},
      {RF_BUG_BAD_HANDLE, "7.5"},
      {RF_BUG_USE_AFTER_MOVE, "8.1"},
      {RF_BUG_UNLOCK, "5.3"},
      {RF_BUG_FREE_LOCKED, "7.5"},
      {RF_BUG_REENTRY, "5.3"},
      {RF_BUG_BAD_USABLE_SIZE, "5.3"},
      {RF_BUG_SEGV, "6.5"},
      {RF_BUG_BUS, "5.3"},
      {RF_BUG_ILL, "5.3"},
      {RF_BUG_FPE, "5.3"},
      {RF_BUG_STOPPED_OVERFLOW, "5.3"},
      {RF_BUG_STACK_OVERFLOW, "8.8"},
  };
  EXPECT_EQ(sizeof severities / sizeof severities[0], static_cast<size_t>(RF_BUG_COUNT));
  for (const auto &[bug, severity] : severities) {
    EXPECT_STREQ(rf_bug_severity(bug), severity) << rf_bug_name(bug);
  }
}

TEST(KindsTogether, AKindOfALaterVersionIsToldAsSuch) {
  EXPECT_STREQ(rf_bug_title(RF_BUG_COUNT), "Unknown");
}

} // namespace
