// The allocation after a new stack, which is looked at for pages of its own (checkers/dropin/malloc/guarded_blocks.c).
#include "tests/dropin/guarded_blocks_world.h"

#include "checkers/os/forbidden_calls.h"

namespace {

using namespace ringfence_test;

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
