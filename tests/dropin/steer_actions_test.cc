// Sweeps and snapshots that a policy or the time asks for (checkers/dropin/malloc/steer.c).
#include "tests/dropin/steer_world.h"

#include <string>
#include <vector>

namespace ringfence_test {
namespace {

TEST(Steer, SweepsAndSnapshotsAreMadeAndTold) {
  in_process(RF_MODE_GUARD, [] {
    begin();
    world.wish.sweep = 3;
    world.wish.newest = 3;
    (void)look_at_new(world.wish.options, 0);
    EXPECT_EQ(world.sweeps, 1U);
    EXPECT_EQ(rf_steering_now.newest, 3U);
    EXPECT_EQ(world.snapshots, std::vector<std::string>());
    EXPECT_EQ(world.take_steps(), Steps({{3, "sweep"}}));
    world.wish.sweep = 0;
    world.wish.snapshot = 4;
    (void)look_at_new(world.wish.options, 0);
    EXPECT_EQ(world.snapshots, std::vector<std::string>({"rule 4"}));
    EXPECT_EQ(world.take_steps(), Steps({{4, "snapshot"}}));
    world.writes = false;
    (void)look_at_new(world.wish.options, 0);
    EXPECT_EQ(world.sweeps, 1U);
    EXPECT_EQ(world.take_steps(), Steps({{4, "no snapshot: this mode has none"}}));
  });
}

void expect_regular(uint64_t seconds_from_start, size_t count, const std::string &last) {
  world.now = kStart + seconds_from_start * kSecond - 1;
  (void)look();
  EXPECT_EQ(world.regular.size(), count - 1) << seconds_from_start;
  world.now++;
  (void)look();
  (void)look();
  ASSERT_EQ(world.regular.size(), count) << seconds_from_start;
  EXPECT_EQ(world.regular.back(), last);
}

TEST(Steer, ASnapshotComesWheneverTheTimeHasPassed) {
  in_process(RF_MODE_GUARD, [] {
    rf_process.options.snapshot_every = 10;
    world.has_policy = false;
    begin();
    EXPECT_TRUE(rf_steer_paces());
    expect_regular(10, 1, "after 15 s"); // of the process
    expect_regular(20, 2, "after 25 s");
    world.now = kStart + 47 * kSecond;
    (void)look();
    EXPECT_EQ(world.regular.size(), 3U);
    expect_regular(57, 4, "after 62 s");
    world.now += 20 * kSecond;
    world.process = kProcess + 1; // a child of vfork
    (void)look();
    EXPECT_EQ(world.regular.size(), 4U);
    world.process = kProcess;
    rf_steer_forked();
    (void)look();
    EXPECT_EQ(world.regular.size(), 4U);
    expect_regular(87, 5, "after 92 s");
  });
}

TEST(Steer, APolicySaysHowOftenSnapshotsCome) {
  in_process(RF_MODE_GUARD, [] {
    begin();
    (void)look_at_new({1000, 2000, 1, 30}, 7);
    EXPECT_EQ(world.take_steps(), Steps({{7, "snapshot_every=30"}}));
    expect_regular(30, 1, "after 35 s");
    world.now += 20 * kSecond;
    (void)look_at_new({1000, 2000, 1, 30}, 7); // as before: the time goes on
    EXPECT_EQ(world.take_steps(), Steps());
    expect_regular(60, 2, "after 65 s");
    (void)look_at_new({1000, 2000, 1, 0}, 0);
    EXPECT_EQ(world.take_steps(), Steps({{7, "snapshot_every=0"}}));
    world.now += 100 * kSecond;
    (void)look();
    EXPECT_EQ(world.regular.size(), 2U);
  });
}

// If no snapshot can be had, the collector is told that the process goes on.
TEST(Steer, AModeWithoutSnapshotsHasTheirTimeForTheCollectorAlone) {
  for (bool const named : {true, false}) {
    in_process(RF_MODE_SAMPLE, [named] {
      world.collector = named;
      world.has_policy = false;
      rf_process.options.snapshot_every = 1;
      begin();
      world.now += 2 * kSecond;
      (void)look();
      EXPECT_EQ(world.regular.size(), named ? 1U : 0U);
    });
  }
}

// Another thread's look comes between this one's look at the time and its claim.
TEST(Steer, OfTwoThreadsOneTakesTheSnapshot) {
  in_process(RF_MODE_GUARD, [] {
    rf_process.options.snapshot_every = 10;
    world.has_policy = false;
    begin();
    world.now += 11 * kSecond;
    world.in_process_now = [] { (void)look(); };
    (void)look();
    EXPECT_EQ(world.regular.size(), 1U);
    EXPECT_FALSE(world.in_process_now);
  });
}

} // namespace
} // namespace ringfence_test
