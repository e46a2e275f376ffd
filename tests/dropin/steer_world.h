// Fakes for the tests of checkers/dropin/malloc/steer.c: its policy, clock, collector and heap. Each test runs in a
// process of its own, since what a process took stays.
#ifndef RINGFENCE_TESTS_DROPIN_STEER_WORLD_H
#define RINGFENCE_TESTS_DROPIN_STEER_WORLD_H

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/steer.h"
#include "checkers/dropin/runtime/site_choice.h"
#include "checkers/dropin/runtime/state.h"
}
#undef _Static_assert

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace ringfence_test {

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

extern World world;

// A process that begins in this mode, with a rate of one in 1000 and no wish of the policy's but these.
void in_process(rf_mode mode, const std::function<void()> &test);

void begin();

rf_steer_turn look();

// A new policy, and this thread looks at it.
rf_steer_turn look_at_new(const rf_live_options &options, uint32_t rule);

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_STEER_WORLD_H
