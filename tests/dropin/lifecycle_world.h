// Tests of the drop-in's lifecycle.c alone. The functions that it calls, and the clock, are in lifecycle_world.cc: they
// note their calls, and answer as `world` says.
#ifndef RINGFENCE_TESTS_DROPIN_LIFECYCLE_WORLD_H
#define RINGFENCE_TESTS_DROPIN_LIFECYCLE_WORLD_H

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/leak_check.h"
#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/steer.h"
#include "checkers/dropin/process/lifecycle.h"
#include "checkers/dropin/runtime/process_reporter.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/steering.h"
#include "checkers/os/forbidden_calls.h"
}
#undef _Static_assert
#include "tests/dropin/calls.h"

#include <sys/types.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace ringfence_test {

constexpr pid_t kThis = 4711;
constexpr uint64_t kMs = 1000 * 1000;

struct World {
  pid_t process = kThis;
  uint64_t now = kMs;
  uint64_t heap_takes = 0;
  uint64_t pages_take = 0;
  bool locks = true;
  bool freed = false; // the stream
  bool stale = true;  // what was freed is reported
  uint64_t allocations = 0;
  size_t heap_findings = 0;
  size_t page_findings = 0;
  uintptr_t pages_caller = 0; // of a sweep of blocks on pages of their own
  uintptr_t caller = 0;
  uintptr_t sp = 0;        // below which leaks are not looked for
  rf_leak_summary leaks{}; // found, and told
  bool leaks_told = false;
  bool collector_is_named = false;
  std::string unchecked;
  rf_process_exit exit{};
  uint64_t findings_told = 0;
  bool ending = false;      // while blocks are checked
  bool cancellable = false; // meanwhile
  bool tool = false;
  bool replaced = false;
  const char *sanitizer = nullptr;
  int sanitizer_told = 0; // by lines on standard error
  const char *policy = nullptr;
  bool snapshot_done = true;
  bool library = false;         // when options are read
  bool handles_signals = false; // the program
  void (*dying)(int) = nullptr;
  void (*terminated)(int) = nullptr;
  bool (*is_late)() = nullptr;              // a signal that is to end the process
  std::function<void()> at_clock;           // once, when the time is asked for
  unsigned naps = 0;                        // of who waits for an end; accessed atomically
  bool nap_is_long = false;                 // after one the end is no recent one
  std::function<void()> before_log = [] {}; // at the end
  const rf_steer_actions *actions = nullptr;
  std::string log;
};

extern World world;

class Lifecycle : public RecordsCalls {
protected:
  Lifecycle() {
    world = World();
    rf_process_leaving(0, 0); // not left yet
    rf_process = rf_process_state();
    rf_process.ready = true;
    rf_process.checked = true;
    rf_process.id = kThis;
    rf_options_default(&rf_process.options);
    rf_process.options.mode = RF_MODE_GUARD;
    rf_process.options.sweep = true;
    rf_process.options.leaks = RF_LEAKS_LOST;
    rf_process.options.exitcode = 99;
    rf_forward.now = RF_FORWARD_NOTHING;
    rf_steering_now.rules[0] = '\0';
    rf_forbidden_calls = 0;
  }
  ~Lifecycle() override { rf_forbidden_calls = 0; }

  // Only the calls that have one of these words at their beginning.
  static Calls calls(const std::vector<std::string> &words) {
    Calls some;
    for (const std::string &each : recorded) {
      if (std::any_of(words.begin(), words.end(), [&](const std::string &w) { return each.rfind(w, 0) == 0; })) {
        some.push_back(each);
      }
    }
    return some;
  }
  static bool has(const std::string &word) { return !calls({word}).empty(); }
  static Calls looks() { return calls({"pages", "lock", "heap", "newest", "unlock", "leaks", "all streams"}); }

  static Calls looks_at(rf_process_ending ending, int status = 0) {
    recorded.clear();
    rf_process.ended = false;
    (void)rf_process_end(ending, status);
    return looks();
  }

  static std::string told() { return std::string(world.exit.kind != nullptr ? world.exit.kind : "none"); }
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_LIFECYCLE_WORLD_H
