// The choice of blocks for pages of their own (checkers/dropin/malloc/guarded_blocks.c): by lot, and steered.
#include "tests/dropin/guarded_blocks_world.h"

#include "checkers/os/forbidden_calls.h"

#include <algorithm>
#include <map>
#include <set>

namespace {

using namespace ringfence_test;

// ---- By lot ----

TEST(GuardedBlocksChoice, OneInTheRateIsSampled) {
  begun(RF_MODE_SAMPLE, [] {
    EXPECT_EQ(rf_guarded_blocks.rate, 16U);
    unsigned due = 0;
    for (int i = 0; i < 160000; i++) {
      due += allocates() ? 1 : 0;
    }
    EXPECT_NEAR(due, 10000, 500);
    EXPECT_EQ(world.looks, 0U);
    EXPECT_EQ(world.ticks, 0U);
  });
}

TEST(GuardedBlocksChoice, EachIsWhereTheRateIsOne) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_PAGE}) {
    in_process(mode, [](rf_options &o) {
      o.sample_rate = 1;
      begin();
      EXPECT_EQ(rf_guarded_blocks.rate, 1U);
      for (unsigned i = 1; i < 10; i++) {
        EXPECT_TRUE(allocates());
        EXPECT_EQ(world.ticks, i);
        EXPECT_EQ(rf_guarded_blocks_left, 0);
      }
      EXPECT_EQ(world.looks, 0U);
    });
  }
}

// Each power of two up to the rate is as likely as the others; after it, so are the numbers up to the next.
TEST(GuardedBlocksChoice, GuardMayBeginWithAnyOfTheFirst) {
  in_process(RF_MODE_GUARD, [](rf_options &) {
    begin();
    std::map<unsigned, unsigned> powers;
    std::set<unsigned> numbers;
    for (unsigned thread = 0; thread < 5000; thread++) {
      world.now += 10000 * kMicrosecond;
      unsigned const number = first_of_new_thread();
      numbers.insert(number);
      powers[number < 2 ? 0 : number < 4 ? 1 : number < 8 ? 2 : number < 16 ? 3 : number < 32 ? 4 : 5]++;
    }
    EXPECT_EQ(numbers.size(), 31U);
    EXPECT_EQ(*numbers.rbegin(), 31U);
    for (unsigned power = 0; power < 5; power++) {
      EXPECT_NEAR(powers[power], 1000, 150) << power;
    }
  });
}

TEST(GuardedBlocksChoice, SampleBeginsAsItGoesOn) {
  begun(RF_MODE_SAMPLE, [] {
    unsigned most = 0;
    double sum = 0;
    for (unsigned thread = 0; thread < 5000; thread++) {
      unsigned const number = first_of_new_thread();
      most = std::max(most, number);
      sum += number;
    }
    EXPECT_GT(most, 64U);
    EXPECT_NEAR(sum / 5000, 16, 1);
  });
}

TEST(GuardedBlocksChoice, AfterTheFirstTheRateHolds) {
  in_process(RF_MODE_GUARD, [](rf_options &o) {
    o.sample_seed = 5;
    begin();
    unsigned due = 0;
    for (int i = 0; i < 160000; i++) {
      due += allocates() ? 1 : 0;
    }
    EXPECT_NEAR(due, 10000, 500);
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 1U);
  });
}

// A seed picks the same for each thread, in the order in which threads begin.
TEST(GuardedBlocksChoice, ThreadsDrawNumbersOfTheirOwn) {
  in_process(RF_MODE_SAMPLE, [](rf_options &o) {
    o.sample_seed = 5;
    begin();
    for (uint64_t thread = 0; thread < 3; thread++) {
      become_new_thread();
      rf_sample_pick expected = {};
      rf_sample_seed(&expected, 5 + thread);
      unsigned next = 1;
      while (!rf_sample_due(&expected, 16)) {
        next++;
      }
      unsigned number = 1;
      while (!allocates()) {
        number++;
      }
      EXPECT_EQ(number, next);
      EXPECT_EQ(rf_guarded_blocks_pick.random, expected.random);
    }
  });
}

TEST(GuardedBlocksChoice, NoneIsDrawnWhereTheCallsOfPagesAreForbidden) {
  for (uint32_t const call : {RF_CALL_MADVISE, RF_CALL_MPROTECT, RF_CALL_MMAP, RF_CALL_MUNMAP, RF_CALL_CLOCK}) {
    begun(RF_MODE_PAGE, [call] {
      rf_forbidden_calls = call;
      int32_t left = 5;
      EXPECT_FALSE(rf_guarded_blocks_draw(&left));
      EXPECT_EQ(left, INT32_MAX);
      EXPECT_FALSE(allocates());
      EXPECT_EQ(rf_guarded_blocks_left, INT32_MAX);
      EXPECT_EQ(world.ticks, 0U);
    });
  }
  begun(RF_MODE_PAGE, [] {
    rf_forbidden_calls = RF_CALL_GETPID | RF_CALL_MREMAP;
    EXPECT_TRUE(allocates());
  });
}

TEST(GuardedBlocksChoice, AllocationsBeforeTheEndOfTheCountdownPass) {
  begun(RF_MODE_PAGE, [] {
    rf_guarded_blocks_left = 3;
    EXPECT_TRUE(rf_guarded_blocks_passes());
    EXPECT_FALSE(rf_guarded_blocks_due(&kOrigin));
    EXPECT_EQ(rf_guarded_blocks_left, 2);
    EXPECT_TRUE(rf_guarded_blocks_passes());
    EXPECT_FALSE(rf_guarded_blocks_passes());
    EXPECT_TRUE(rf_guarded_blocks_due(&kOrigin));
    rf_guarded_blocks_left = -5;
    EXPECT_FALSE(rf_guarded_blocks_passes());
    EXPECT_EQ(rf_guarded_blocks_left, 0);
  });
}

// ---- Steered ----

TEST(GuardedBlocksChoice, AStretchThatEndsDrawsNothing) {
  begun(RF_MODE_SAMPLE, [] {
    world.paces = true;
    world.turn = RF_STEER_WAIT;
    EXPECT_FALSE(allocates());
    EXPECT_EQ(rf_guarded_blocks_left, 99);
    EXPECT_EQ(world.looks, 1U);
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 0U);
  });
}

TEST(GuardedBlocksChoice, ACountdownIsCutIntoStretches) {
  begun(RF_MODE_SAMPLE, [] {
    (void)allocates();
    world.paces = true;
    world.stretch = 1;
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 1U);
    for (int i = 0; i < 20; i++) {
      int32_t left = 0;
      EXPECT_TRUE(rf_guarded_blocks_draw(&left));
      EXPECT_EQ(left, 1);
    }
    world.stretch = INT32_MAX;
    int32_t left = 0;
    EXPECT_TRUE(rf_guarded_blocks_draw(&left));
    EXPECT_EQ(left, static_cast<int32_t>(rf_guarded_blocks_pick.left));
  });
}

TEST(GuardedBlocksChoice, ANewRateIsDrawnFromAndNobodysTurn) {
  begun(RF_MODE_SAMPLE, [] {
    (void)allocates();
    world.paces = true;
    world.turn = RF_STEER_ANEW;
    world.in_look = [] { rf_guarded_blocks.rate = 1000000; };
    uint64_t const before = rf_guarded_blocks_pick.random;
    int32_t left = 0;
    EXPECT_FALSE(rf_guarded_blocks_draw(&left));
    EXPECT_NE(rf_guarded_blocks_pick.random, before);
    EXPECT_GT(left, 1000);
    world.turn = RF_STEER_DUE;
    EXPECT_TRUE(rf_guarded_blocks_draw(&left));
  });
}

TEST(GuardedBlocksChoice, ARateOfNoneDrawsNothing) {
  begun(RF_MODE_SAMPLE, [] {
    (void)allocates();
    world.paces = true;
    world.in_look = [] { rf_guarded_blocks.rate = 0; };
    uint64_t const before = rf_guarded_blocks_pick.random;
    int32_t left = 0;
    EXPECT_FALSE(rf_guarded_blocks_draw(&left));
    EXPECT_EQ(left, INT32_MAX);
    EXPECT_EQ(rf_guarded_blocks_pick.random, before);
    world.stretch = 64;
    EXPECT_FALSE(rf_guarded_blocks_draw(&left));
    EXPECT_EQ(left, 64);
  });
}

} // namespace
