// The choice of blocks for pages of their own (checkers/dropin/malloc/guarded_blocks.c).
#include "tests/dropin/guarded_blocks_world.h"

#include "checkers/os/forbidden_calls.h"
#include "tests/dropin/alone.h"

#include <algorithm>
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

// ---- As time allows ----

TEST(GuardedBlocksChoice, GuardWatchesOneInSoLongATimeAndSavesUpSome) {
  begun(RF_MODE_GUARD, [] {
    EXPECT_EQ(looks_at_once(), kSaved);
    world.now += kEveryUs * kMicrosecond - 1;
    EXPECT_FALSE(is_looked_at());
    world.now += 1;
    EXPECT_EQ(looks_at_once(), 1U);
    world.now += 2 * kEveryUs * kMicrosecond;
    EXPECT_EQ(looks_at_once(), 2U);
    world.now += 1000 * kEveryUs * kMicrosecond;
    EXPECT_EQ(looks_at_once(), kSaved);
    world.now += (kEveryUs + 9000) * kMicrosecond; // a bit more than can be saved
    EXPECT_EQ(looks_at_once(), kSaved);
    world.now += kEveryUs * kMicrosecond - 1;
    EXPECT_FALSE(is_looked_at());
  });
}

TEST(GuardedBlocksChoice, TheClockMayWrap) {
  for (uint64_t const us : {(uint64_t{1} << 32) - 1000, (uint64_t{1} << 31) - 1000}) {
    ringfence_test::alone([us] {
      world.now = us * kMicrosecond;
      rf_process.options.mode = RF_MODE_GUARD;
      rf_process.options.signals = true;
      rf_process.options.watch = 16;
      begin();
      EXPECT_EQ(looks_at_once(), kSaved);
      world.now += 2 * kEveryUs * kMicrosecond;
      EXPECT_EQ(looks_at_once(), 2U);
    });
  }
}

TEST(GuardedBlocksChoice, ASeedTakesAllThatAreLookedAt) {
  in_process(RF_MODE_GUARD, [](rf_options &o) {
    o.sample_seed = 9;
    begin();
    world.is_new = false;
    EXPECT_EQ(looks_at_once(), 100U);
    EXPECT_EQ(world.asked_may.size(), 0U);
    world.sites_limited = true;
    EXPECT_EQ(looks_at_once(), 100U);
    EXPECT_EQ(world.asked_may.size(), 100U);
    EXPECT_EQ(world.added, 0U);
    world.may_be_watched = false;
    EXPECT_EQ(looks_at_once(), 0U);
  });
}

TEST(GuardedBlocksChoice, PathsThatWereWatchedAreWatchedSeldom) {
  begun(RF_MODE_GUARD, [] {
    world.is_new = false;
    std::vector<int> due;
    for (int i = 0; i < 34; i++) {
      world.now += 10000 * kMicrosecond;
      if (is_looked_at()) {
        due.push_back(i);
      }
    }
    EXPECT_EQ(due, std::vector<int>({0, 16, 32}));
    EXPECT_EQ(world.added, 34U);
    EXPECT_EQ(world.take_wants(), Looks());
    world.is_new = true;
    EXPECT_TRUE(is_looked_at());
  });
}

TEST(GuardedBlocksChoice, RaisedTheTableOfSitesSaysWhich) {
  begun(RF_MODE_GUARD, [] {
    world.raise = 3;
    EXPECT_TRUE(is_looked_at());
    EXPECT_EQ(world.take_wants(), Looks());
    world.is_new = false;
    EXPECT_TRUE(is_looked_at());
    world.wanted = false;
    EXPECT_FALSE(is_looked_at());
    EXPECT_EQ(world.take_wants(), Looks({{kKey, 48}, {kKey, 48}}));
  });
}

TEST(GuardedBlocksChoice, ASiteThatMayNotBeWatchedTakesNoTime) {
  begun(RF_MODE_GUARD, [] {
    world.may_be_watched = false;
    for (int i = 0; i < 20; i++) {
      EXPECT_FALSE(is_looked_at());
    }
    EXPECT_EQ(world.added, 0U);
    EXPECT_EQ(world.asked_may.back(), (std::pair<uint32_t, uintptr_t>(kKey, kCaller)));
    world.may_be_watched = true;
    world.is_new = false;
    world.raise = 2;
    world.wanted = false;
    for (int i = 0; i < 20; i++) {
      EXPECT_FALSE(is_looked_at());
    }
    world.wanted = true;
    EXPECT_EQ(looks_at_once(), kSaved);
  });
}

// ---- Sites in mode sample, and for callers outside the store ----

TEST(GuardedBlocksChoice, SitesThatAreAlikeAreNotAskedFor) {
  begun(RF_MODE_SAMPLE, [] {
    world.may_be_watched = false;
    world.wanted = false;
    EXPECT_TRUE(rf_guarded_blocks_want_site(&kOrigin));
    EXPECT_EQ(world.asked_may.size(), 0U);
    world.sites_limited = true;
    EXPECT_FALSE(rf_guarded_blocks_want_site(&kOrigin));
    world.may_be_watched = true;
    EXPECT_TRUE(rf_guarded_blocks_want_site(&kOrigin)); // limited, but not raised
    EXPECT_EQ(world.take_wants(), Looks());
    world.sites_limited = false;
    world.raise = 4;
    EXPECT_FALSE(rf_guarded_blocks_want_site(&kOrigin));
    world.wanted = true;
    EXPECT_TRUE(rf_guarded_blocks_want_site(&kOrigin));
    EXPECT_EQ(world.take_wants(), Looks({{kKey, 4}, {kKey, 4}}));
    world.may_be_watched = false;
    EXPECT_FALSE(rf_guarded_blocks_want_site(&kOrigin));
    EXPECT_EQ(world.take_wants(), Looks());
  });
}

TEST(GuardedBlocksChoice, SampleAsksForTheSiteOfTheProgramsOwnCall) {
  in_process(RF_MODE_SAMPLE, [](rf_options &o) {
    o.sample_rate = 1;
    begin();
    rf_runtimes[0] = {kCaller, 1};
    EXPECT_TRUE(allocates());
    EXPECT_EQ(world.unwound, 0U); // takes time, and nobody asks
    world.raise = 2;
    EXPECT_TRUE(allocates());
#if !RF_STACK_RULES
    EXPECT_EQ(world.unwound, 1U);
    EXPECT_EQ(world.asked_may.back(), (std::pair<uint32_t, uintptr_t>(kKey + 1, kCaller + 1)));
#endif
    world.wanted = false;
    EXPECT_FALSE(allocates());
  });
}

TEST(GuardedBlocksChoice, APolicyMayNotTakeMoreTimeThanGuardDoes) {
  in_process(RF_MODE_SAMPLE, [](rf_options &o) {
    o.sample_rate = 1;
    begin();
    for (int i = 0; i < 20; i++) {
      EXPECT_TRUE(allocates()); // as the user wants it
    }
    rf_steering_now.limited = true;
    for (unsigned i = 0; i < 20; i++) {
      EXPECT_EQ(allocates(), i < kSaved) << i;
    }
    world.now += kEveryUs * kMicrosecond;
    world.raise = 2;
    world.wanted = false;
    EXPECT_FALSE(allocates());
    world.wanted = true;
    EXPECT_TRUE(allocates()); // the one before took none
    EXPECT_FALSE(allocates());
    rf_steering_now.limited = false;
    EXPECT_TRUE(allocates());
  });
}

// ---- Mode page, of limited time ----

TEST(GuardedBlocksChoice, PageWatchesAllAsLongAsThereIsTime) {
  in_process(RF_MODE_PAGE, [](rf_options &o) {
    o.page_time = 30;
    begin();
    EXPECT_EQ(world.percent, 30U);
    EXPECT_EQ(rf_guarded_blocks.rate, 2U); // not 1, for the sake of the shortest way
    world.is_new = false;
    for (unsigned i = 1; i < 10; i++) {
      EXPECT_TRUE(allocates());
      EXPECT_EQ(world.ticks, i);
    }
    EXPECT_EQ(world.added, 0U);
    world.time_left = false;
    EXPECT_FALSE(allocates());
    EXPECT_GT(rf_guarded_blocks_left, 0);
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 1U);
    EXPECT_EQ(world.added, 1U);
    world.is_new = true;
    EXPECT_TRUE(is_looked_at());
  });
}

TEST(GuardedBlocksChoice, PageLooksAgainAfterAHundredAllocationsOrSo) {
  in_process(RF_MODE_PAGE, [](rf_options &o) {
    o.page_time = 30;
    begin();
    world.time_left = false;
    world.is_new = false;
    int32_t least = INT32_MAX;
    int32_t most = 0;
    double sum = 0;
    for (int i = 0; i < 5000; i++) {
      rf_guarded_blocks_left = 0;
      EXPECT_FALSE(rf_guarded_blocks_due(&kOrigin));
      least = std::min(least, rf_guarded_blocks_left);
      most = std::max(most, rf_guarded_blocks_left);
      sum += rf_guarded_blocks_left;
    }
    EXPECT_EQ(least, 1);
    EXPECT_EQ(most, 256);
    EXPECT_NEAR(sum / 5000, 128.5, 5);
  });
}

// ---- New stacks ----

TEST(GuardedBlocksChoice, AfterANewStackTheNextIsLookedAtAndTheDrawnOneIsToo) {
  begun(RF_MODE_GUARD, [] {
    ASSERT_NE(depot.added, nullptr);
    rf_guarded_blocks_left = 5;
    rf_sample_pick const before = rf_guarded_blocks_pick;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 1);
    depot.added(); // another one, before the next allocation
    EXPECT_EQ(rf_guarded_blocks_left, 1);
    EXPECT_TRUE(allocates());
    EXPECT_EQ(memcmp(&before, &rf_guarded_blocks_pick, sizeof before), 0); // nothing was drawn
    EXPECT_EQ(rf_guarded_blocks_left, 4);
    for (int i = 0; i < 3; i++) {
      EXPECT_FALSE(allocates());
    }
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 0U);
    (void)allocates();
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 1U);
  });
}

// The countdown may run on before another stack is new: the drawn one stays where it was.
TEST(GuardedBlocksChoice, TheDrawnOneIsNotLostWhereStacksAreNewInTurn) {
  begun(RF_MODE_GUARD, [] {
    rf_guarded_blocks_left = 5;
    depot.added();
    rf_guarded_blocks_left = 3; // as a draw in a signal handler leaves it
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 3);
    rf_guarded_blocks_left = 0;
    (void)rf_guarded_blocks_due(&kOrigin);
    EXPECT_EQ(rf_guarded_blocks_left, 4);
  });
}

TEST(GuardedBlocksChoice, ANewStackChangesNothingWhereTheNextIsDrawnAnyway) {
  begun(RF_MODE_GUARD, [] {
    for (int32_t const left : {1, 0}) {
      rf_guarded_blocks_left = left;
      depot.added();
      EXPECT_EQ(rf_guarded_blocks_left, left);
    }
    (void)allocates();
    EXPECT_EQ(rf_guarded_blocks_pick.drawn, 1U); // drawn, not taken for the stack's sake
  });
}

TEST(GuardedBlocksChoice, NoNewStackIsLookedAtWithoutTime) {
  begun(RF_MODE_GUARD, [] {
    EXPECT_EQ(looks_at_once(), kSaved);
    rf_guarded_blocks_left = 5;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 5);
    world.now += kEveryUs * kMicrosecond;
    rf_forbidden_calls = RF_CALL_MPROTECT;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 5);
    rf_forbidden_calls = 0;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 1);
  });
  in_process(RF_MODE_GUARD, [](rf_options &o) {
    o.sample_seed = 1;
    begin();
    world.now -= 100 * kEveryUs * kMicrosecond; // a seed asks for no time
    rf_guarded_blocks_left = 5;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 1);
  });
  in_process(RF_MODE_PAGE, [](rf_options &o) {
    o.page_time = 30;
    begin();
    world.now -= 100 * kEveryUs * kMicrosecond;
    rf_guarded_blocks_left = 5;
    depot.added();
    EXPECT_EQ(rf_guarded_blocks_left, 1);
  });
}

TEST(GuardedBlocksChoice, ANewStackIsNotLookedAtWhereCallsHaveBeenForbiddenSince) {
  begun(RF_MODE_GUARD, [] {
    rf_guarded_blocks_left = 5;
    depot.added();
    rf_forbidden_calls = RF_CALL_MPROTECT;
    EXPECT_FALSE(allocates());
    EXPECT_EQ(rf_guarded_blocks_left, INT32_MAX);
  });
}

TEST(GuardedBlocksChoice, NewStacksAreOfNoMeaningInSampleAndInPageWithoutALimit) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_PAGE}) {
    begun(mode, [] { EXPECT_EQ(depot.added, nullptr); });
  }
}

} // namespace
