// Policies that a process reads while it runs (checkers/dropin/malloc/steer.c): when, by which thread, and damaged
// ones.
#include "tests/dropin/steer_world.h"

#include <vector>

namespace ringfence_test {
namespace {

TEST(Steer, APolicyIsReadOnce) {
  in_process(RF_MODE_GUARD, [] {
    begin();
    EXPECT_EQ(world.reads, 1U);
    EXPECT_EQ(world.near, std::vector<uint32_t>({4711}));
    (void)look();
    (void)look();
    EXPECT_EQ(world.reads, 1U);
    world.live.generation = 3; // being written
    (void)look();
    EXPECT_EQ(world.reads, 1U);
    world.live.generation = 4;
    world.read_generation = 6; // another one came meanwhile
    (void)look();
    EXPECT_EQ(world.reads, 2U);
    world.live.generation = 6;
    (void)look();
    EXPECT_EQ(world.reads, 2U);
  });
}

TEST(Steer, EachSiteOfAFullPolicyIsMarked) {
  in_process(RF_MODE_GUARD, [] {
    world.sites = RF_POLICY_SITES;
    begin();
    ASSERT_EQ(world.near.size(), RF_POLICY_SITES);
    EXPECT_EQ(world.near.back(), 4711 + RF_POLICY_SITES - 1);
  });
}

TEST(Steer, ADamagedPolicyIsReadOnceAndChangesNothing) {
  in_process(RF_MODE_SAMPLE, [] {
    begin();
    rf_steering_now.newest = 3;
    world.readable = false;
    world.wish.newest = 9;
    world.wish.sweep = 8;
    world.near.clear();
    (void)look_at_new({5, 6, 7, 8}, 9);
    (void)look();
    EXPECT_EQ(world.reads, 2U);
    EXPECT_TRUE(world.near.empty()) << "sites that it has are none";
    EXPECT_EQ(rf_guarded_blocks.rate, 1000U);
    EXPECT_EQ(rf_steering_now.newest, 3U);
    EXPECT_EQ(world.sweeps, 0U);
    EXPECT_EQ(world.take_steps(), Steps());
    world.readable = true;
    world.wish.sweep = 0;
    (void)look_at_new({1000, 2000, 1, 5}, 0);
    EXPECT_EQ(world.reads, 3U);
    EXPECT_EQ(world.near, std::vector<uint32_t>({4711}));
    EXPECT_EQ(rf_steering_now.newest, 9U);
    EXPECT_EQ(world.take_steps(), Steps({{0, "snapshot_every=5: this mode has no snapshots"}})); // not rule 9
  });
}

TEST(Steer, AProcessWithModeOffOrWithoutAPolicyReadsNone) {
  for (bool const off : {true, false}) {
    in_process(off ? RF_MODE_OFF : RF_MODE_GUARD, [off] {
      world.has_policy = off;
      begin();
      (void)look();
      EXPECT_EQ(world.reads, 0U);
      EXPECT_FALSE(rf_steer_paces());
    });
  }
  in_process(RF_MODE_PAGE, [] {
    begin();
    EXPECT_EQ(world.reads, 1U);
  });
}

TEST(Steer, AChildOfVforkLeavesItToItsParent) {
  in_process(RF_MODE_GUARD, [] {
    begin();
    (void)look();
    world.process = kProcess + 1;
    EXPECT_EQ(look_at_new({1, 2, 3, 4}, 5), RF_STEER_DUE);
    EXPECT_EQ(world.reads, 1U);
    world.process = kProcess;
    EXPECT_EQ(look(), RF_STEER_ANEW);
    EXPECT_EQ(world.reads, 2U);
  });
}

TEST(Steer, OneThreadReadsAndTheOthersGoOn) {
  in_process(RF_MODE_GUARD, [] {
    begin();
    (void)look();
    world.in_read = [] { EXPECT_EQ(look(), RF_STEER_DUE); };
    EXPECT_EQ(look_at_new({1, 2, 3, 4}, 5), RF_STEER_ANEW);
    EXPECT_EQ(world.reads, 2U);
  });
}

TEST(Steer, AForkWhileOneReadsLeavesNobodyAtIt) {
  in_process(RF_MODE_GUARD, [] {
    begin();
    world.in_read = [] {
      rf_steer_forked(); // in the child
      (void)look();
    };
    (void)look_at_new({1, 2, 3, 4}, 5);
    EXPECT_EQ(world.reads, 3U);
  });
}

} // namespace
} // namespace ringfence_test
