// Rates of watching and modules, as a policy changes them while the process runs (checkers/dropin/malloc/steer.c).
#include "tests/dropin/steer_world.h"

#include <vector>

namespace ringfence_test {
namespace {

TEST(Steer, TheRateOfTheModeIsTakenAndTold) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_GUARD}) {
    in_process(mode, [mode] {
      begin();
      bool const sample = mode == RF_MODE_SAMPLE;
      EXPECT_EQ(rf_guarded_blocks.rate, sample ? 1000U : 2000U);
      (void)look();
      EXPECT_EQ(look(), RF_STEER_DUE);
      EXPECT_EQ(world.take_steps(), Steps());
      EXPECT_EQ(look_at_new({100, 300, 2, 0}, 7), RF_STEER_ANEW);
      EXPECT_EQ(rf_guarded_blocks.rate, sample ? 50U : 150U);
      EXPECT_EQ(rf_steer_raise(), 2U);
      EXPECT_EQ(world.take_steps(), Steps({{7, sample ? "sample_rate=100:raise=2" : "watch=300:raise=2"}}));
      EXPECT_EQ(look(), RF_STEER_DUE);
      EXPECT_EQ(world.said, "");
    });
  }
}

TEST(Steer, IsSaidWhereTheUserAskedForIt) {
  in_process(RF_MODE_SAMPLE, [] {
    rf_process.options.verbosity = 1;
    begin();
    (void)look_at_new({100, 2000, 1, 0}, 7);
    EXPECT_EQ(world.said, "ringfence: process 77: policy rule 7: sample_rate=100:raise=1\n");
  });
}

// Each allocation is watched where the user wants it, and by no policy.
TEST(Steer, TheRateIsOneInTwoAtMostUnlessTheUserWantsAll) {
  struct Case {
    uint32_t rate;
    uint32_t raise;
    bool limited;
    uint32_t expected;
  };
  for (Case const &c : std::vector<Case>{{0, 1, false, 0},
                                         {0, 3, true, 0},
                                         {1, 1, false, 1},
                                         {1, 4, false, 1},
                                         {1, 1, true, 2},
                                         {2, 1, true, 2},
                                         {3, 2, false, 2},
                                         {100, 3, true, 33},
                                         {100, 60, false, 2}}) {
    in_process(RF_MODE_SAMPLE, [&c] {
      begin();
      (void)look();
      world.limited = c.limited;
      EXPECT_EQ(look_at_new({c.rate, 2000, c.raise, 0}, 1), RF_STEER_ANEW);
      EXPECT_EQ(rf_guarded_blocks.rate, c.expected) << c.rate << " / " << c.raise << (c.limited ? ", limited" : "");
      EXPECT_EQ(rf_steering_now.limited, c.limited);
    });
    in_process(RF_MODE_SAMPLE, [&c] {
      rf_process.options.sample_rate = c.rate;
      rf_process.options.raise = c.raise;
      rf_steering_now.limited = c.limited;
      world.has_policy = false;
      begin();
      EXPECT_EQ(rf_guarded_blocks.rate, c.expected) << c.rate << " / " << c.raise << " at the beginning";
    });
  }
}

TEST(Steer, EachOfTheThreeIsAChange) {
  in_process(RF_MODE_SAMPLE, [] {
    begin();
    (void)look();
    EXPECT_EQ(look_at_new({500, 2000, 1, 0}, 1), RF_STEER_ANEW);
    EXPECT_EQ(look_at_new({500, 2001, 1, 0}, 2), RF_STEER_DUE); // it is guard's
    EXPECT_EQ(look_at_new({500, 2001, 2, 0}, 3), RF_STEER_ANEW);
    EXPECT_EQ(world.take_steps(),
              Steps({{1, "sample_rate=500:raise=1"}, {2, "sample_rate=500:raise=1"}, {3, "sample_rate=500:raise=2"}}));
    EXPECT_EQ(look_at_new({500, 2001, 2, 0}, 4), RF_STEER_DUE);
    EXPECT_EQ(world.take_steps(), Steps());
  });
}

TEST(Steer, WhereARuleHoldsNoMoreItIsToldAgain) {
  in_process(RF_MODE_SAMPLE, [] {
    begin();
    (void)look_at_new({100, 2000, 1, 20}, 7);
    world.take_steps();
    (void)look_at_new({1000, 2000, 1, 0}, 0);
    EXPECT_EQ(world.take_steps(),
              Steps({{7, "snapshot_every=0: this mode has no snapshots"}, {7, "sample_rate=1000:raise=1"}}));
    (void)look_at_new({100, 2000, 1, 0}, 9);
    (void)look_at_new({100, 2000, 1, 0}, 0);
    (void)look_at_new({1000, 2000, 1, 0}, 0);
    EXPECT_EQ(world.take_steps(), Steps({{9, "sample_rate=100:raise=1"}, {9, "sample_rate=1000:raise=1"}}));
  });
}

TEST(Steer, OtherModesAndThoseWithoutPagesHaveNoRate) {
  for (bool const page : {true, false}) {
    in_process(page ? RF_MODE_PAGE : RF_MODE_SAMPLE, [page] {
      rf_guarded_blocks.store = page ? rf_guarded_blocks.store : nullptr;
      rf_guarded_blocks.rate = page ? 1 : 0;
      rf_process.options.modules = "liba.so,libb.so";
      rf_process.options.modules_length = 7;
      begin();
      (void)look();
      EXPECT_EQ(look_at_new({5, 6, 7, 0}, 1), RF_STEER_DUE);
      EXPECT_EQ(rf_guarded_blocks.rate, page ? 1U : 0U);
      EXPECT_EQ(rf_steer_raise(), 1U);
      EXPECT_EQ(world.take_steps(), Steps());
      EXPECT_EQ(world.limited_to, "");
    });
  }
}

TEST(Steer, ModulesAreThoseOfTheOptions) {
  in_process(RF_MODE_GUARD, [] {
    rf_process.options.modules = "liba.so,libb.so";
    rf_process.options.modules_length = 7;
    begin();
    EXPECT_EQ(world.limited_to, "liba.so");
  });
}

} // namespace
} // namespace ringfence_test
