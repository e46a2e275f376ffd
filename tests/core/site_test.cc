// Call sites, in code that is built with them: see the copts of this target.
#include "tests/core/site_places.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

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
  EXPECT_EQ(site->line, 14U);
}

TEST(SiteTest, IsOneRecordPerCallSite) {
  EXPECT_EQ(here_one(), here_one());
  EXPECT_NE(here_one(), RF_HERE);
}

TEST(SiteTest, OutsideOfFunctions) {
  struct {
    const char *what;
    const rf_site *site;
    const char *function;
  } const places[] = {
      {"initialiser", places::initialiser, "(no function)"},
      {"initialiser of a second", places::second, "(no function)"},
      {"default member", places::Member().site, "Member"},
      {"default argument", places::argument(), ""}, // gcc: the function that calls
      {"base initialiser", places::Base().site, "Base"},
      {"lambda", places::in_lambda(), "operator()"},
      {"template", places::in_template<int>(), "in_template"},
  };
  for (auto const &p : places) {
    ASSERT_NE(p.site, nullptr) << p.what;
    EXPECT_NE(std::string(p.site->file).find("site_places.h"), std::string::npos) << p.what;
    // gcc: in_template<int>
    EXPECT_EQ(std::string(p.site->function).substr(0, std::string(p.function).size()), p.function) << p.what;
    EXPECT_STRNE(p.site->function, "") << p.what;
    EXPECT_GT(p.site->line, 0U) << p.what;
  }
  EXPECT_NE(places::initialiser, places::second);
  EXPECT_EQ(places::Member().site, places::Member().site);
}

TEST(SiteTest, IsNamedForEachThread) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([] {
      for (int n = 0; n < 1000; n++) {
        ASSERT_STREQ(here_one()->function, "here_one");
      }
    });
  }
  for (auto &t : threads) {
    t.join();
  }
}

} // namespace
