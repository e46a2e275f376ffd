#include "tools/ringfence/base/suggest.h"

#include <gtest/gtest.h>

namespace {

const char *const commands[] = {"check", "help", "version"};

TEST(EditDistance, CountsLettersToChange) {
  EXPECT_EQ(rf_edit_distance("check", "check"), 0u);
  EXPECT_EQ(rf_edit_distance("chek", "check"), 1u);
  EXPECT_EQ(rf_edit_distance("checkk", "check"), 1u);
  EXPECT_EQ(rf_edit_distance("chack", "check"), 1u);
  EXPECT_EQ(rf_edit_distance("", "help"), 4u);
}

TEST(EditDistance, CountsSwappedNeighboursOnce) {
  EXPECT_EQ(rf_edit_distance("hcekc", "check"), 2u);
  EXPECT_EQ(rf_edit_distance("ab", "xa"), 2u) << "the other letter is another one";
  EXPECT_EQ(rf_edit_distance("xb", "by"), 2u);
}

TEST(EditDistance, ComparesLongNamesByTheirBeginning) {
  EXPECT_EQ(rf_edit_distance(std::string(63, 'a').c_str(), std::string(5000, 'a').c_str()), 0u);
}

TEST(Nearest, FindsWhatWasMeant) {
  EXPECT_STREQ(rf_suggest("chekc", commands, 3), "check");
  EXPECT_STREQ(rf_suggest("verison", commands, 3), "version");
}

TEST(Nearest, OneLetterInThreeMayBeWrong) {
  EXPECT_STREQ(rf_suggest("halp", commands, 3), "help");
  EXPECT_STREQ(rf_suggest("chxxk", commands, 3), "check");
  EXPECT_EQ(rf_suggest("cxxxk", commands, 3), nullptr);
  EXPECT_EQ(rf_suggest("hxxp", commands, 3), nullptr) << "half of them";
}

TEST(Nearest, DoesNotGuessWildly) {
  EXPECT_EQ(rf_suggest("frobnicate", commands, 3), nullptr);
  EXPECT_EQ(rf_suggest("", commands, 3), nullptr);
  EXPECT_EQ(rf_suggest("check", commands, 0), nullptr);
}

} // namespace
