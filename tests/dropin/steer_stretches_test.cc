// How often a thread looks for a new policy (checkers/dropin/malloc/steer.c): the stretches of its countdown.
#include "tests/dropin/steer_world.h"

#include <vector>

namespace ringfence_test {
namespace {

// Runs the countdown of a thread whose allocations are so far apart: the stretches until it is due.
std::vector<int32_t> stretches_of(int32_t drawn, uint64_t apart_ns) {
  std::vector<int32_t> all;
  int32_t left = rf_steer_stretch(drawn);
  rf_steer_turn turn = RF_STEER_WAIT;
  while (turn == RF_STEER_WAIT && all.size() < 100000) {
    all.push_back(left);
    world.now += static_cast<uint64_t>(left) * apart_ns;
    turn = rf_steer_look(&left);
  }
  EXPECT_EQ(turn, RF_STEER_DUE);
  return all;
}

int64_t sum(const std::vector<int32_t> &all) {
  int64_t result = 0;
  for (int32_t const one : all) {
    result += one;
  }
  return result;
}

void warm_up() {
  (void)look();
  (void)stretches_of(1, 1000);
}

TEST(Steer, ACountdownIsInOnePieceWhereNobodySteers) {
  in_process(RF_MODE_GUARD, [] {
    world.has_policy = false;
    begin();
    EXPECT_FALSE(rf_steer_paces());
    EXPECT_EQ(rf_steer_stretch(5000), 5000);
    rf_steering_now.limited = true;
    EXPECT_TRUE(rf_steer_paces());
    EXPECT_EQ(rf_steer_stretch(5000), 1);
  });
  in_process(RF_MODE_GUARD, [] {
    world.has_policy = false;
    rf_process.options.raise = 2;
    begin();
    EXPECT_TRUE(rf_steer_paces());
  });
}

TEST(Steer, StretchesGrowLittleByLittle) {
  in_process(RF_MODE_GUARD, [] {
    begin();
    EXPECT_TRUE(rf_steer_paces());
    warm_up();
    std::vector<int32_t> const all = stretches_of(5000, 1000);
    EXPECT_EQ(all, std::vector<int32_t>({2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024, 906}));
    EXPECT_EQ(sum(all), 5000);
  });
}

// A change is seen a tenth of a second after it was made.
TEST(Steer, AThreadThatAllocatesSeldomLooksAfterFewer) {
  in_process(RF_MODE_GUARD, [] {
    begin();
    warm_up();
    (void)stretches_of(3000, 1000);
    std::vector<int32_t> const all = stretches_of(50, 10000000 - 1);
    EXPECT_EQ(all, std::vector<int32_t>({50})); // one more of the present stretch
    EXPECT_EQ(stretches_of(35, 10000000 - 1), std::vector<int32_t>({10, 10, 10, 5}));
    (void)stretches_of(1, kSecond);
    EXPECT_EQ(stretches_of(3, kSecond), std::vector<int32_t>({1, 1, 1}));
  });
}

// No policy, and no raising of sites, may make a thread look at more than one allocation in 200 microseconds.
TEST(Steer, APolicyIsFollowedNoMoreOftenThanItMayCost) {
  struct Case {
    bool limited;
    uint32_t raise;
    uint32_t seed;
    int64_t expected;
  };
  for (Case const &c : std::vector<Case>{{false, 1, 0, 1}, {true, 1, 0, 200}, {false, 2, 0, 200}, {true, 2, 5, 1}}) {
    in_process(RF_MODE_SAMPLE, [&c] {
      rf_process.options.raise = c.raise;
      rf_process.options.sample_seed = c.seed;
      world.limited = c.limited;
      rf_steering_now.limited = c.limited;
      world.wish.options.raise = c.raise;
      begin();
      (void)look();
      for (int i = 0; i < 20; i++) {
        (void)stretches_of(1, 999);
      }
      EXPECT_EQ(sum(stretches_of(1, 999)), c.expected) << c.limited << c.raise << c.seed;
      EXPECT_EQ(sum(stretches_of(1000, 999)), 1000) << c.limited << c.raise << c.seed;
    });
  }
}

TEST(Steer, WhereEachAllocationIsWatchedNotEachOneLooks) {
  in_process(RF_MODE_SAMPLE, [] {
    begin();
    unsigned const before = world.reads;
    unsigned ticks = 0;
    std::vector<unsigned> looks;
    for (unsigned generation = 4; looks.size() < 8; generation += 2) {
      world.live.generation = generation;
      for (ticks = 0; world.reads == before + looks.size() && ticks < 5000; ticks++) {
        world.now += 1000;
        rf_steer_tick();
      }
      looks.push_back(ticks);
    }
    EXPECT_EQ(looks, std::vector<unsigned>({1, 2, 3, 5, 9, 17, 33, 65}));
  });
  in_process(RF_MODE_SAMPLE, [] {
    world.has_policy = false;
    begin();
    for (int i = 0; i < 10; i++) {
      rf_steer_tick();
    }
    EXPECT_EQ(rf_steer_stretch(7), 7);
  });
}

} // namespace
} // namespace ringfence_test
