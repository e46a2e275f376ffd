// Steering of a process while it runs (checkers/dropin/malloc/steer.c), with a policy, a clock and a heap that are this
// test's own. Each test has a process of its own, since what a process took stays.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/steer.h"
#include "checkers/dropin/runtime/output.h"
#include "checkers/dropin/runtime/site_choice.h"
#include "checkers/dropin/runtime/state.h"
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr pid_t kProcess = 77;
constexpr uint64_t kSecond = 1000000000;
constexpr uint64_t kStart = 1000 * kSecond;

using Steps = std::vector<std::pair<uint32_t, std::string>>;

struct World {
  uint64_t now = kStart;
  pid_t process = kProcess;
  bool has_policy = true;
  bool limited = false;  // by the policy
  bool readable = true;  // the policy is whole
  bool writes = true;    // snapshots
  bool collector = true; // is named
  rf_policy live = {};
  rf_steering_wish wish = {};
  uint32_t read_generation = 0; // 0: the one that was seen
  std::function<void()> in_read;
  std::function<void()> in_process_now;
  unsigned reads = 0;
  uint32_t sites = 1; // in the policy, of keys from 4711 on
  unsigned sweeps = 0;
  std::vector<uint32_t> near;
  std::vector<std::string> snapshots;
  std::vector<std::string> regular;
  std::string limited_to;
  std::string said;
  Steps steps;

  Steps take_steps() { return std::exchange(steps, {}); }
};

World world;

} // namespace

extern "C" {

rf_process_state rf_process;
rf_steering rf_steering_now;
rf_guarded_blocks_state rf_guarded_blocks;

pid_t rf_process_now() {
  if (world.in_process_now) {
    std::exchange(world.in_process_now, nullptr)();
  }
  return world.process;
}

// The linker puts these in front of those of //checkers and //lib/port.
uint64_t __wrap_rf_port_now_ns(void);
void __wrap_rf_collector_step(uint32_t rule, const char *done);
bool __wrap_rf_collector_is_named(void);

uint64_t __wrap_rf_port_now_ns() {
  return world.now;
}

void rf_steering_attach() {
  rf_steering_now.live = world.has_policy ? &world.live : nullptr;
}

bool rf_steering_limits(const rf_live_options * /*options*/, rf_mode /*mode*/) {
  return world.limited;
}

bool rf_steering_read(rf_steering_wish *wish, void (*site)(const rf_policy_site *site), uint32_t *generation) {
  world.reads++;
  *wish = world.wish;
  *generation = world.read_generation != 0 ? world.read_generation : world.live.generation;
  for (uint32_t i = 0; i < world.sites; i++) {
    rf_policy_site const one = {1, 4711 + i, 2};
    site(&one);
  }
  if (world.in_read) {
    std::exchange(world.in_read, nullptr)();
  }
  return world.readable;
}

void rf_site_set_near(uint32_t key) {
  world.near.push_back(key);
}

void rf_site_limit_to(const char *modules, size_t length) {
  world.limited_to = std::string(modules, length);
}

void __wrap_rf_collector_step(uint32_t rule, const char *done) {
  world.steps.emplace_back(rule, done);
}

bool __wrap_rf_collector_is_named() {
  return world.collector;
}

void rf_output_say(const char *text, size_t size) {
  world.said += std::string(text, size);
}
}

namespace {

void sweep() {
  world.sweeps++;
}

bool snapshot(const char *name) {
  world.snapshots.emplace_back(name);
  return world.writes;
}

void regular_snapshot(const char *name) {
  world.regular.emplace_back(name);
}

const rf_steer_actions kActions = {sweep, snapshot, regular_snapshot};

// A process that begins in this mode, with a rate of one in 1000 and no wish of the policy's but these.
void in_process(rf_mode mode, const std::function<void()> &test) {
  ringfence_test::alone([&] {
    static int store;
    rf_process.id = kProcess;
    rf_process.checked = mode == RF_MODE_GUARD || mode == RF_MODE_PAGE;
    rf_process.start_ns = kStart - 5 * kSecond;
    rf_process.options.mode = mode;
    rf_process.options.sample_rate = 1000;
    rf_process.options.watch = 2000;
    rf_process.options.raise = 1;
    rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&store);
    world.live.generation = 2;
    world.wish.options = {1000, 2000, 1, 0};
    test();
  });
}

void begin() {
  rf_steer_begin(&kActions);
}

rf_steer_turn look() {
  int32_t left = 0;
  return rf_steer_look(&left);
}

// A new policy, and this thread looks at it.
rf_steer_turn look_at_new(const rf_live_options &options, uint32_t rule) {
  world.wish.options = options;
  world.wish.rule = rule;
  world.live.generation += 2;
  return look();
}

// ---- Rates ----

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

// ---- What is read, and when ----

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

// ---- Actions ----

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

// Where no snapshot can be had, the collector is told that the process goes on.
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

// ---- Stretches ----

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
