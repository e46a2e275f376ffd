// Another thread looks between any two instructions of one that takes a change (checkers/dropin/malloc/steer.c).
#include "tests/checkers/single_step.h"
#include "tests/dropin/steer_world.h"

#ifdef RF_CAN_STEP

#include <algorithm>
#include <csignal>
#include <vector>

namespace ringfence_test {
namespace {

unsigned (*seen_by_other)(); // makes a look, and says what it was
std::vector<unsigned> seen;  // how often each was; allocated before

// From the moment on at which the policy is read: before that the other one would take the change itself.
void step_through(const rf_live_options &options, unsigned (*other)()) {
  static bool inside;
  inside = false;
  seen.assign(3, 0);
  seen_by_other = other;
  world.in_read = [] { inside = true; };
  struct sigaction action = {};
  action.sa_handler = [](int) {
    if (inside) {
      seen[std::min(seen_by_other(), 2U)]++;
    }
  };
  ASSERT_EQ(sigaction(SIGTRAP, &action, nullptr), 0);
  world.wish.options = options;
  world.live.generation += 2;
  int32_t left = 0;
  set_stepping(true);
  (void)rf_steer_look(&left);
  set_stepping(false);
}

TEST(SteerSteps, NoSnapshotIsMadeBeforeItsTime) {
  in_process(RF_MODE_GUARD, [] {
    begin();
    step_through({1000, 2000, 1, 30}, [] {
      (void)look();
      return static_cast<unsigned>(world.regular.size());
    });
    EXPECT_GT(seen[0], 100U);
    EXPECT_EQ(world.regular.size(), 0U);
    world.now += 30 * kSecond;
    (void)look();
    EXPECT_EQ(world.regular.size(), 1U);
  });
}

// A thread that is told of a change draws by the rate of that moment, and not again.
TEST(SteerSteps, WhoIsToldOfARateFindsTheNewOne) {
  in_process(RF_MODE_GUARD, [] {
    begin();
    (void)look();
    step_through({1000, 500, 1, 0},
                 [] { return look() == RF_STEER_ANEW ? rf_guarded_blocks.rate == 500 ? 1U : 2U : 0U; });
    EXPECT_GT(seen[0], 100U);
    EXPECT_EQ(seen[1], 1U);
    EXPECT_EQ(seen[2], 0U) << "by the rate before";
  });
}

} // namespace
} // namespace ringfence_test

#endif
