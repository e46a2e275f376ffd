#include "tests/dropin/steer_world.h"

extern "C" {
#include "checkers/dropin/runtime/output.h"
}

#include "tests/dropin/alone.h"

namespace ringfence_test {

World world;

} // namespace ringfence_test

using ringfence_test::kProcess;
using ringfence_test::world;

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

namespace ringfence_test {
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

} // namespace

void in_process(rf_mode mode, const std::function<void()> &test) {
  alone([&] {
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

rf_steer_turn look_at_new(const rf_live_options &options, uint32_t rule) {
  world.wish.options = options;
  world.wish.rule = rule;
  world.live.generation += 2;
  return look();
}

} // namespace ringfence_test
