// Call sites, in code that is built with them: see the copts of this target.
#include <ringfence/allocator.h>

#include <gtest/gtest.h>

namespace {

static_assert(RF_SITES == 1, "this test is built with sites");

const rf_site *here_one() {
  return RF_HERE;
}

TEST(SiteTest, NamesFileLineAndFunction) {
  const rf_site *const site = here_one();
  ASSERT_NE(site, nullptr);
  EXPECT_NE(std::string(site->file).find("site_test.cc"), std::string::npos);
  EXPECT_STREQ(site->function, "here_one");
  EXPECT_EQ(site->line, 11U);
}

TEST(SiteTest, IsOneRecordPerCallSite) {
  EXPECT_EQ(here_one(), here_one());
  EXPECT_NE(here_one(), RF_HERE);
}

} // namespace
