// The functions that lifecycle.c calls. Each notes its call, and answers as the world says.
#define _Static_assert static_assert
extern "C" {
#include "checkers/checked/mode_options.h"
#include "checkers/dropin/heap/walk.h"
#include "checkers/dropin/inspect/heap_dump.h"
#include "checkers/dropin/inspect/leak_check.h"
#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/inspect/process_snapshot.h"
#include "checkers/dropin/inspect/roots.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/mallinfo.h"
#include "checkers/dropin/malloc/malloc_impl.h"
#include "checkers/dropin/malloc/steer.h"
#include "checkers/dropin/malloc/trace_hook.h"
#include "checkers/dropin/malloc/watched_sites.h"
#include "checkers/dropin/process/background_check.h"
#include "checkers/dropin/process/fatal_signals.h"
#include "checkers/dropin/process/fork.h"
#include "checkers/dropin/process/lifecycle.h"
#include "checkers/dropin/process/sanitizer_check.h"
#include "checkers/dropin/process/stream_buffer.h"
#include "checkers/dropin/runtime/caller.h"
#include "checkers/dropin/runtime/init.h"
#include "checkers/dropin/runtime/output.h"
#include "checkers/dropin/runtime/process_reporter.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/steering.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/os/forbidden_calls.h"
#include <ringfence/dropin.h>
bool rf_lock_all(unsigned ms);
void rf_unlock_all(void);
void __wrap_rf_options_name_policy(const char *rules);
bool __wrap_rf_options_begin_collector(const rf_options *options);
bool __wrap_rf_collector_is_named(void);
void __wrap_rf_log_reporter_read_suppressions(rf_log_reporter *reporter);
bool __wrap_rf_signals_block_handled(sigset_t *before);
void __wrap_rf_signals_open_handled(const sigset_t *before, bool drop);
uint64_t __wrap_rf_port_now_ns(void);
void __wrap_rf_port_log(const char *text, size_t size);
void __wrap_rf_port_watch_forks(void);
int __real_nanosleep(const struct timespec *time, struct timespec *rest);
int __wrap_nanosleep(const struct timespec *time, struct timespec *rest);
}
#undef _Static_assert
#include "tests/dropin/lifecycle_world.h"

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <pthread.h>
#include <string>
#include <unistd.h>
#include <utility>

using ringfence_test::call;
using ringfence_test::world;

ringfence_test::World ringfence_test::world;

namespace {

void look_meanwhile() {
  int before = 0;
  world.ending = world.ending || rf_process.ending;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  world.cancellable = world.cancellable || before == PTHREAD_CANCEL_ENABLE;
  (void)pthread_setcancelstate(before, nullptr);
}

size_t sweep_heap(const char *what, uint64_t budget, const rf_origin *origin) {
  call(what, budget);
  look_meanwhile();
  world.caller = origin->caller;
  world.now += world.heap_takes;
  return world.heap_findings;
}

} // namespace

extern "C" {

bool __wrap_rf_signals_block_handled(sigset_t *before) {
  (void)sigemptyset(before);
  if (world.handles_signals) {
    call("block signals");
  }
  return world.handles_signals;
}
void __wrap_rf_signals_open_handled(const sigset_t *, bool drop) {
  call(drop ? "forget signals" : "open signals");
}

rf_process_state rf_process;
rf_reporter rf_process_reporter;
rf_forward_state rf_forward;
rf_steering rf_steering_now;

pid_t rf_process_now() {
  return world.process;
}
bool rf_process_has_ended() {
  return rf_process.ended;
}

uint64_t __wrap_rf_port_now_ns() {
  if (world.at_clock != nullptr) { // set while no other thread asks
    std::exchange(world.at_clock, nullptr)();
  }
  return world.now;
}
int __wrap_nanosleep(const struct timespec *time, struct timespec *rest) {
  __atomic_fetch_add(&world.naps, 1, __ATOMIC_RELEASE);
  if (!world.nap_is_long) {
    return __real_nanosleep(time, rest);
  }
  world.now += 6000 * ringfence_test::kMs;
  return 0;
}
void __wrap_rf_port_log(const char *text, size_t size) {
  world.log.append(text, size);
}
void __wrap_rf_port_watch_forks() {
  call("port watches forks");
}

// ---- The end ----

void rf_output_keep_standard_error() {
  call("keep stderr");
}
void rf_output_restore_standard_error() {
  call("restore stderr");
}
void rf_output_set_standard_error() {
  call("set stderr");
}

bool rf_malloc_impl_is_freed(const void *) {
  return world.freed;
}
void rf_malloc_impl_free(void *, rf_family, size_t, const rf_origin *) {
  call("free");
  errno = 77;
}
bool rf_malloc_impl_report_stale(const void *, size_t size, rf_access access, const rf_origin *) {
  call(access == RF_ACCESS_READ ? "stale read" : "stale", size);
  errno = 77;
  return world.stale;
}

void rf_stream_buffer_look(FILE *stream, const rf_origin *) {
  call(stream == nullptr ? "all streams" : "stream");
}

bool rf_lock_all(unsigned ms) {
  call("lock", ms);
  return world.locks;
}
void rf_unlock_all() {
  call("unlock");
}

size_t rf_guarded_blocks_sweep(uint64_t budget_ns, const rf_origin *origin) {
  world.pages_caller = origin->caller;
  call("pages", budget_ns);
  look_meanwhile();
  world.now += world.pages_take;
  return world.page_findings;
}
size_t rf_heap_sweep(const rf_origin *origin) {
  return sweep_heap("heap", 0, origin);
}
size_t rf_heap_sweep_newest(uint64_t budget_ns, const rf_origin *origin) {
  return sweep_heap("newest", budget_ns, origin);
}

uint64_t rf_process_log_allocations() {
  return world.allocations;
}

void rf_leak_check(rf_leaks, uintptr_t sp, rf_reporter *reporter, rf_leak_summary *out) {
  call("leaks");
  look_meanwhile();
  EXPECT_EQ(reporter, &rf_process_reporter);
  world.sp = sp;
  *out = world.leaks;
}

void rf_tracing_end() {
  call("end of trace");
}
void rf_watched_sites_end() {
  call("end of sites");
}

void rf_process_log_end(uint64_t findings, const rf_leak_summary *leaks, const char *unchecked,
                        const rf_process_exit *exit) {
  world.before_log();
  call("log");
  world.findings_told = findings;
  world.leaks_told = leaks != nullptr;
  world.leaks = leaks != nullptr ? *leaks : world.leaks;
  world.unchecked = unchecked != nullptr ? unchecked : "";
  world.exit = *exit;
}

// ---- The beginning ----

void rf_process_init() {
  call("init");
}
bool rf_process_configure() {
  call("configure");
  world.library = rf_process.library;
  rf_process.guard_options.depot = &rf_process.depot;
  return true;
}
bool rf_malloc_find_interception() {
  return world.tool;
}
bool rf_malloc_is_replaced() {
  return world.replaced;
}
const char *rf_sanitizer_name() {
  return world.sanitizer;
}
const char *rf_sanitizer_check() {
  world.sanitizer_told += world.sanitizer != nullptr ? 1 : 0;
  return world.sanitizer;
}
void __wrap_rf_log_reporter_read_suppressions(rf_log_reporter *reporter) {
  EXPECT_EQ(reporter, &rf_process.log);
  call("suppressions");
}
void __wrap_rf_options_name_policy(const char *rules) {
  call("policy");
  world.policy = rules;
}
bool __wrap_rf_collector_is_named() {
  return world.collector_is_named;
}

bool __wrap_rf_options_begin_collector(const rf_options *) {
  call("collector");
  return true;
}

void rf_forward_own(void (*own)(void)) {
  own();
}
void rf_fork_init() {
  call("watch forks");
}
void rf_forward_begin(const rf_options *) {
  call("forward");
}
void rf_mallinfo_begin() {
  call("mallinfo");
}
void rf_forward_begin_sampling() {
  call("sampling");
}
void rf_caller_init() {
  call("caller");
}
void rf_roots_init() {
  call("roots");
}
void rf_tag_faults_watch() {
  call("tags");
}
void rf_tracing_begin() {
  call("trace");
}
void rf_guarded_blocks_begin(const rf_options *, rf_stack_depot *depot, rf_reporter *reporter) {
  EXPECT_EQ(depot, &rf_process.depot);
  EXPECT_EQ(reporter, &rf_process_reporter);
  call("pages begin");
}
void rf_steer_begin(const rf_steer_actions *actions) {
  call("steering");
  world.actions = actions;
}
void rf_malloc_choose_way() {
  call("way");
}
void rf_background_check_begin(unsigned every_ms, unsigned budget_us) {
  call("every", every_ms);
  call("budget", budget_us);
}
void rf_fatal_signals_init(void (*check)(int), bool abort_only) {
  call(abort_only ? "fatal: abort" : "fatal");
  world.dying = check;
}
void rf_terminating_signals_init(bool (*is_late)(void), void (*check)(int)) {
  call("terminating");
  world.is_late = is_late;
  world.terminated = check;
}
void rf_process_snapshot_init() {
  call("snapshot signal");
}
void rf_process_snapshot_warn() {
  call("snapshot warning");
}
void rf_heap_dump_init() {
  call("dump signal");
}
void rf_process_log_begin() {
  call("begin");
}
void rf_process_log_unchecked(pid_t process, const char *other, const char *why, uint64_t) {
  EXPECT_EQ(process, rf_process.ending ? world.process : getpid());
  EXPECT_EQ(other, nullptr);
  call(std::string("unchecked: ") + why);
}
size_t __ringfence_snapshot(const char *name) {
  call(std::string("snapshot ") + name);
  return world.snapshot_done ? 1 : 0;
}
void rf_process_snapshot_regular(const char *) {}
}
