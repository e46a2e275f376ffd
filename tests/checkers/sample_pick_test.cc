// The allocations that rf_sample picks (checkers/page/sample_pick.h): distances about the rate, equal for equal seeds.
#include "checkers/page/sample_pick.h"

#include <gtest/gtest.h>

namespace ringfence {
namespace {

TEST(SamplePick, TheMeanDistanceIsTheRate) {
  for (uint32_t const rate : {1U, 2U, 3U, 10U, 100U, 5000U}) {
    rf_sample_pick pick = {};
    rf_sample_seed(&pick, 42);
    uint64_t const wanted = rate < 100 ? 400000 : 40000;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < wanted; i++) {
      sum += rf_sample_draw(&pick, rate);
    }
    double const mean = static_cast<double>(sum) / static_cast<double>(wanted);
    EXPECT_NEAR(mean / rate, 1.0, rate == 1 ? 0 : 0.02) << "seed 42, rate " << rate;
  }
}

TEST(SamplePick, DistancesAreGeometric) {
  constexpr unsigned kRate = 100;
  rf_sample_pick pick = {};
  rf_sample_seed(&pick, 7);
  unsigned below = 0;
  unsigned far = 0;
  constexpr unsigned kDraws = 100000;
  for (unsigned i = 0; i < kDraws; i++) {
    uint32_t const distance = rf_sample_draw(&pick, kRate);
    below += distance <= kRate ? 1 : 0;
    far += distance > 3 * kRate ? 1 : 0;
  }
  EXPECT_NEAR(below / double{kDraws}, 1 - 0.366, 0.01) << "seed 7";
  EXPECT_NEAR(far / double{kDraws}, 0.049, 0.005) << "seed 7";
}

TEST(SamplePick, TheSameSeedPicksTheSame) {
  for (uint64_t const seed : {1U, 2U, 3U}) {
    rf_sample_pick one = {};
    rf_sample_pick two = {};
    rf_sample_seed(&one, seed);
    rf_sample_seed(&two, seed);
    for (unsigned i = 0; i < 1000; i++) {
      EXPECT_EQ(rf_sample_due(&one, 10), rf_sample_due(&two, 10));
    }
  }
}

TEST(SamplePick, DistancesCountFromTheFirstCall) {
  for (uint64_t seed = 1; seed < 200; seed++) {
    rf_sample_pick pick = {};
    rf_sample_seed(&pick, seed);
    rf_sample_pick distances = pick;
    for (unsigned round = 0; round < 3; round++) {
      uint32_t calls = 1;
      while (!rf_sample_due(&pick, 10)) {
        calls++;
      }
      EXPECT_EQ(calls, rf_sample_draw(&distances, 10)) << "seed " << seed << ", round " << round;
    }
  }
}

// A counter that begins as zeros, of a thread that never set a seed, begins with a distance, too.
TEST(SamplePick, WithoutASeedTheFirstIsNoExceptionEither) {
  for (unsigned rate = 2; rate < 200; rate++) {
    rf_sample_pick pick = {};
    rf_sample_pick distances = {};
    distances.drawn = 1;
    uint32_t const first = rf_sample_draw(&distances, rate);
    uint32_t calls = 1;
    while (!rf_sample_due(&pick, rate)) {
      calls++;
    }
    EXPECT_EQ(calls, first) << "rate " << rate;
  }
}

TEST(SamplePick, ExtremesStayInBounds) {
  rf_sample_pick pick = {};
  for (uint64_t seed = 0; seed < 2000; seed++) {
    rf_sample_seed(&pick, seed);
    EXPECT_GE(rf_sample_draw(&pick, RF_SAMPLE_RATE_MOST), 1U);
    EXPECT_EQ(rf_sample_draw(&pick, 1), 1U);
  }
  EXPECT_LT(rf_sample_log(UINT32_MAX), 4U);
  EXPECT_EQ(rf_sample_log(1), 32U << 16);
  EXPECT_EQ(rf_sample_log(1U << 31), 1U << 16);
}

} // namespace
} // namespace ringfence
