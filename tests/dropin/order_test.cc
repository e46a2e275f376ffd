// Option order_seed: in which order guard's heap gives out slots.
#include "tests/dropin/run.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

namespace ringfence_test {
namespace {

std::vector<unsigned> places(const std::string &output, const std::string &name) {
  std::istringstream words(output.substr(output.find(name + ":") + name.size() + 1));
  std::vector<unsigned> all;
  for (unsigned place = 0; words >> place;) {
    all.push_back(place);
  }
  return all;
}

std::string output_with(const std::string &options) {
  Result const result = run({program("order")}, with("mode=guard:watch=0:" + options));
  EXPECT_EQ(result.status, 0) << options << result.err;
  EXPECT_EQ(result.findings.size(), 0U) << options;
  EXPECT_NE(result.out.find("whole"), std::string::npos) << options << result.out;
  for (const char *const name : {"first", "later"}) {
    std::vector<unsigned> const all = places(result.out, name);
    EXPECT_EQ(std::set<unsigned>(all.begin(), all.end()).size(), 24U) << options << result.out;
  }
  return result.out;
}

bool rises(const std::vector<unsigned> &all) {
  return std::is_sorted(all.begin(), all.end());
}

TEST(Order, WithoutASeedBlocksLieInOrder) {
  std::string const out = output_with("order_seed=0");
  EXPECT_TRUE(rises(places(out, "first"))) << out;
  EXPECT_EQ(out, output_with(""));
}

class Seeded : public testing::TestWithParam<const char *> {};

TEST_P(Seeded, ASeedIsAnOrderOfItsOwn) {
  std::string const options = GetParam();
  std::string const one = output_with("order_seed=1:" + options);
  std::string const other = output_with("order_seed=2:" + options);
  EXPECT_FALSE(rises(places(one, "first"))) << one;
  EXPECT_NE(places(one, "first"), places(other, "first"));
  EXPECT_NE(places(one, "later"), places(other, "later"));
  EXPECT_NE(places(one, "later"), places(output_with(options), "later"));
  EXPECT_EQ(one, output_with("order_seed=1:" + options));
}

// Without a quarantine, slots come by other paths.
INSTANTIATE_TEST_SUITE_P(All, Seeded, testing::Values("", "quarantine=0", "quarantine=64", "fill=100"));

TEST(Order, DamageIsToldOfTheSameBlock) {
  for (const char *const seed : {"0", "1", "4294967295"}) {
    Result const result =
        run({program("bugs"), "overflow_by_one", "bad"}, with("mode=guard:order_seed=" + std::string(seed)));
    ASSERT_EQ(result.findings.size(), 1U) << seed;
    EXPECT_EQ(result.findings[0]["bug"].text, "heap-buffer-overflow");
    EXPECT_EQ(result.findings[0]["size"].number, 13);
  }
}

} // namespace
} // namespace ringfence_test
