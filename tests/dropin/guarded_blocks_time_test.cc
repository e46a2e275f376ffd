// Blocks on pages of their own, as time and sites allow (checkers/dropin/malloc/guarded_blocks.c).
#include "tests/dropin/guarded_blocks_world.h"

#include "tests/dropin/alone.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace {

using namespace ringfence_test;

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

// A server that nobody asked for an hour goes on as before.
TEST(GuardedBlocksChoice, GuardWatchesAtOnceAfterAPauseOfAnyLength) {
  constexpr uint64_t kMinute = 60000000;
  for (uint64_t const minutes : {1, 35, 36, 50, 71, 72, 120, 100000}) {
    begun(RF_MODE_GUARD, [minutes] {
      EXPECT_EQ(looks_at_once(), kSaved);
      world.now += minutes * kMinute * kMicrosecond;
      EXPECT_EQ(looks_at_once(), kSaved) << minutes;
    });
  }
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

} // namespace
