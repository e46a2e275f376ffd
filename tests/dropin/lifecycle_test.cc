// The beginning and the end of a process (checkers/dropin/process/lifecycle.c): what is checked at which end, for how
// long and behind which locks, with which status it ends, and whom it leaves to another tool. All that it calls, and
// the clock, are this test's own.
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
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/steering.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/os/forbidden_calls.h"
#include <ringfence/dropin.h>
bool rf_lock_all(unsigned ms);
void rf_unlock_all(void);
void __wrap_rf_options_name_policy(const char *rules);
bool __wrap_rf_options_begin_collector(const rf_options *options);
void __wrap_rf_log_reporter_read_suppressions(rf_log_reporter *reporter);
uint64_t __wrap_rf_port_now_ns(void);
void __wrap_rf_port_log(const char *text, size_t size);
void __wrap_rf_port_watch_forks(void);
}
#undef _Static_assert
#include "tests/dropin/calls.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <gtest/gtest.h>
#include <pthread.h>
#include <string>
#include <unistd.h>
#include <vector>

using ringfence_test::call;
using ringfence_test::Calls;
using ringfence_test::calls_of;
using ringfence_test::recorded;
using ringfence_test::RecordsCalls;

namespace {

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
  const rf_origin *origin = nullptr; // of the last sweep
  uintptr_t caller = 0;
  uintptr_t sp = 0;        // below which leaks are not looked for
  rf_leak_summary leaks{}; // found, and told
  bool leaks_told = false;
  std::string unchecked;
  rf_process_exit exit{};
  uint64_t findings_told = 0;
  bool ending = false;      // while blocks are checked
  bool cancellable = false; // meanwhile
  bool tool = false;
  const char *sanitizer = nullptr;
  const char *policy = nullptr;
  bool snapshot_done = true;
  bool library = false; // when options are read
  void (*dying)(int) = nullptr;
  void (*terminated)(int) = nullptr;
  const rf_steer_actions *actions = nullptr;
  std::string log;
};

World world;

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
  world.origin = origin;
  world.caller = origin->caller;
  world.now += world.heap_takes;
  return world.heap_findings;
}

} // namespace

extern "C" {

rf_process_state rf_process;
rf_reporter rf_process_reporter;
rf_forward_state rf_forward;
rf_steering rf_steering_now;

pid_t rf_process_now() {
  return world.process;
}

uint64_t __wrap_rf_port_now_ns() {
  return world.now;
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

size_t rf_guarded_blocks_sweep(uint64_t budget_ns) {
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
  return true;
}
bool rf_malloc_find_interception() {
  return world.tool;
}
const char *rf_sanitizer_check() {
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
void rf_terminating_signals_init(void (*check)(int)) {
  call("terminating");
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
  EXPECT_EQ(process, getpid());
  EXPECT_EQ(other, nullptr);
  call(std::string("unchecked: ") + why);
}
size_t __ringfence_snapshot(const char *name) {
  call(std::string("snapshot ") + name);
  return world.snapshot_done ? 1 : 0;
}
void rf_process_snapshot_regular(const char *) {}
}

namespace ringfence_test {
namespace {

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

// ---- What is checked at which end ----

TEST_F(Lifecycle, AnExitChecksEverythingAndTellsItInTheEnd) {
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 3), 3);
  EXPECT_EQ(recorded, (Calls{"restore stderr", "all streams", "pages 0", "lock 1000", "heap 0", "unlock", "leaks",
                             "end of trace", "end of sites", "log"}));
  EXPECT_TRUE(world.ending) << "findings do not end it again";
  EXPECT_FALSE(world.cancellable);
  int state = 0;
  ASSERT_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state), 0);
  EXPECT_EQ(state, PTHREAD_CANCEL_ENABLE) << "as before";
  EXPECT_NE(world.origin, nullptr);
}

TEST_F(Lifecycle, OtherEndsLookForNoLeaksAndLeaveStreamsAlone) {
  Calls const blocks = {"pages 0", "lock 1000", "heap 0", "unlock"};
  EXPECT_EQ(looks_at(RF_ENDING_ABRUPT), blocks);
  EXPECT_EQ(looks_at(RF_ENDING_EXEC), blocks);
  EXPECT_TRUE(has("log"));
  EXPECT_FALSE(world.leaks.checked);
}

TEST_F(Lifecycle, WithoutChecksOrSweepsBlocksAreNotLookedAt) {
  rf_process.options.sweep = false;
  EXPECT_EQ(looks_at(RF_ENDING_EXIT), (Calls{"all streams", "leaks"}));
  EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM), Calls());
  rf_process.options.sweep = true;
  rf_process.checked = false;
  EXPECT_EQ(looks_at(RF_ENDING_EXIT), (Calls{"all streams", "pages 0", "lock 1000", "unlock"})) << "mode sample";
  rf_process.options.mode = RF_MODE_OFF;
  EXPECT_EQ(looks_at(RF_ENDING_EXIT), Calls());
  rf_process.checked = true;
  rf_process.options.mode = RF_MODE_GUARD;
  rf_process.options.leaks = RF_LEAKS_NONE;
  EXPECT_FALSE(looks_at(RF_ENDING_EXIT).empty());
  EXPECT_FALSE(has("leaks"));
}

TEST_F(Lifecycle, AHeapThatCannotBeLockedIsLeftAlone) {
  world.locks = false;
  EXPECT_EQ(looks_at(RF_ENDING_EXIT), (Calls{"all streams", "pages 0", "lock 1000", "leaks"}));
}

// It may have died inside the heap: there is nothing left to lose.
TEST_F(Lifecycle, AFaultLooksAtTheHeapAsItStands) {
  EXPECT_EQ(looks_at(RF_ENDING_SIGNAL, SIGSEGV), (Calls{"pages 0", "lock 100", "heap 0", "unlock"}));
  world.locks = false;
  EXPECT_EQ(looks_at(RF_ENDING_SIGNAL, SIGSEGV), (Calls{"pages 0", "lock 100", "heap 0"}));
}

// ---- A signal of somebody who waits for the end ----

TEST_F(Lifecycle, ATerminatedProcessIsCheckedForATenthOfASecond) {
  world.heap_takes = 30 * kMs;
  EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM),
            (Calls{"lock 20", "newest 100000000", "unlock", "pages 70000000"}));
  EXPECT_EQ(world.unchecked, "");
  rf_process.checked = false;
  EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM), (Calls{"lock 20", "unlock", "pages 100000000"}));
}

TEST_F(Lifecycle, ATerminatedProcessSaysWhatItHadNoTimeFor) {
  for (uint64_t const takes : {100 * kMs - 1, 100 * kMs}) {
    bool const in_time = takes < 100 * kMs;
    world.heap_takes = takes;
    EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM).size(), in_time ? 4U : 3U);
    EXPECT_EQ(world.unchecked, in_time ? "" : "there was no time");
  }
  world.heap_takes = kMs;
  world.pages_take = 99 * kMs;
  EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM).size(), 4U);
  EXPECT_EQ(world.unchecked, "there was no time");
}

TEST_F(Lifecycle, ATerminatedProcessLeavesBlocksAloneThatAThreadIsAt) {
  world.locks = false;
  EXPECT_EQ(looks_at(RF_ENDING_TERMINATED, SIGTERM), (Calls{"lock 20"}));
  EXPECT_EQ(world.unchecked, "a thread was allocating");
}

// ---- Children of fork ----

TEST_F(Lifecycle, AChildLooksAtBlocksAsLongAsItsOwnAllocationsAllow) {
  rf_process.forked = true;
  EXPECT_EQ(looks_at(RF_ENDING_ABRUPT), (Calls{"pages 300000", "lock 1000", "newest 300000", "unlock"}));
  world.allocations = 1000;
  EXPECT_EQ(looks_at(RF_ENDING_ABRUPT), (Calls{"pages 2300000", "lock 1000", "newest 2300000", "unlock"}));
  (void)looks_at(RF_ENDING_EXIT);
  EXPECT_EQ(calls({"pages", "newest"}), (Calls{"pages 5000000", "newest 5000000"}));
}

TEST_F(Lifecycle, AChildThatAllocatedNothingLostNothing) {
  rf_process.forked = true;
  (void)looks_at(RF_ENDING_EXIT);
  EXPECT_FALSE(has("leaks"));
  EXPECT_TRUE(world.leaks.checked) << "and needs no search to know";
  world.allocations = 1;
  (void)looks_at(RF_ENDING_EXIT);
  EXPECT_TRUE(has("leaks"));
  world.allocations = 0;
  rf_process.options.leaks = RF_LEAKS_ALL;
  (void)looks_at(RF_ENDING_EXIT);
  EXPECT_TRUE(has("leaks"));
  rf_process.options.leaks = RF_LEAKS_LOST;
  rf_process.forked = false;
  (void)looks_at(RF_ENDING_EXIT);
  EXPECT_TRUE(has("leaks"));
}

// ---- Who ends, and how often ----

TEST_F(Lifecycle, EndsOnce) {
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 3), 3);
  recorded.clear();
  rf_process.findings = 1;
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 4), 4);
  EXPECT_TRUE(recorded.empty());
}

TEST_F(Lifecycle, AChildOfVforkEndsNothing) {
  world.process = kThis + 1;
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 4), 4);
  EXPECT_TRUE(recorded.empty());
  rf_process_leaving(0x5000, 4);
  world.process = kThis;
  (void)rf_process_end(RF_ENDING_EXIT, -1);
  EXPECT_EQ(told(), "unknown") << "nobody has left yet";
  EXPECT_NE(world.sp, 0x5000U);
}

TEST_F(Lifecycle, NothingEndsBeforeItsBeginOrWhereTheTimeMayNotBeRead) {
  rf_process.ready = false;
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 4), 4);
  rf_process.ready = true;
  rf_forbidden_calls = RF_CALL_CLOCK;
  EXPECT_EQ(rf_process_end(RF_ENDING_ABRUPT, 4), 4);
  EXPECT_TRUE(recorded.empty());
}

TEST_F(Lifecycle, AProcessWhoseExecFailedEndsAgain) {
  (void)rf_process_end(RF_ENDING_EXEC, 0);
  EXPECT_EQ(told(), "exec");
  world.process = kThis + 1;
  rf_process_resume();
  EXPECT_TRUE(rf_process.ended) << "a child of vfork resumes nothing";
  world.process = kThis;
  rf_process_resume();
  EXPECT_FALSE(rf_process.ending) << "findings end it as before";
  recorded.clear();
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 3), 3);
  EXPECT_TRUE(has("log"));
  EXPECT_EQ(told(), "status");
}

// ---- The status ----

TEST_F(Lifecycle, FindingsChangeTheStatusUnlessTheOptionSaysNot) {
  rf_process.findings = 2;
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 3), 99);
  EXPECT_EQ(world.findings_told, 2U);
  EXPECT_EQ(told() + " " + std::to_string(world.exit.number), "status 99");
  rf_process.options.exitcode = 0;
  rf_process.ended = false;
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, 3), 3);
  EXPECT_EQ(world.exit.number, 3);
}

TEST_F(Lifecycle, IsToldAsTheSystemTellsIt) {
  struct {
    rf_process_ending ending;
    int status;
    std::string kind;
    int number;
  } const rows[] = {
      {RF_ENDING_EXIT, 0x105, "status", 5},     {RF_ENDING_ABRUPT, 300, "status", 44},
      {RF_ENDING_EXEC, 0, "exec", 0},           {RF_ENDING_EXEC, -1, "none", 0},
      {RF_ENDING_TERMINATED, 15, "signal", 15}, {RF_ENDING_SIGNAL, 11, "signal", 11},
      {RF_ENDING_EXIT, -1, "unknown", 0},
  };
  for (uint64_t const findings : {0, 1}) {
    for (auto const &row : rows) {
      SCOPED_TRACE(row.kind + " " + std::to_string(row.status));
      rf_process.ended = false;
      rf_process.findings = row.ending >= RF_ENDING_EXEC ? findings : 0;
      (void)rf_process_end(row.ending, row.status);
      EXPECT_EQ(told(), row.kind);
      EXPECT_EQ(world.exit.number, row.number);
    }
  }
}

TEST_F(Lifecycle, KnowsTheStackAndTheStatusThatItWasLeftWith) {
  rf_process_leaving(0x5000, 0x1FF);
  EXPECT_EQ(rf_process_end(RF_ENDING_EXIT, -1), -1);
  EXPECT_EQ(world.sp, 0x5000U);
  EXPECT_EQ(told(), "status");
  EXPECT_EQ(world.exit.number, 0xFF);
  rf_process.ended = false;
  (void)rf_process_end(RF_ENDING_ABRUPT, 4);
  EXPECT_EQ(world.exit.number, 4) << "this one is the last";
}

TEST_F(Lifecycle, LooksForLeaksFromItsOwnFrameWhereNobodyHasLeft) {
  (void)rf_process_end(RF_ENDING_EXIT, 0);
  auto const here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  EXPECT_LT(world.sp, here);
  EXPECT_GT(world.sp, here - 64 * 1024);
}

// ---- Streams ----

TEST_F(Lifecycle, KeepsStandardErrorThatIsClosedOnTheWayOut) {
  EXPECT_TRUE(rf_process_closes(stderr, nullptr));
  EXPECT_FALSE(has("keep stderr")) << "the program goes on";
  rf_process_leaving(0x5000, 0);
  EXPECT_TRUE(rf_process_closes(stdout, nullptr));
  world.process = kThis + 1;
  EXPECT_TRUE(rf_process_closes(stderr, nullptr));
  EXPECT_FALSE(has("keep stderr"));
  world.process = kThis;
  EXPECT_TRUE(rf_process_closes(stderr, nullptr));
  EXPECT_TRUE(has("keep stderr"));
}

TEST_F(Lifecycle, AClosedStreamIsNotClosedAgainAndNotUsed) {
  world.freed = true;
  errno = 0;
  EXPECT_FALSE(rf_process_closes(stdin, nullptr));
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(recorded, Calls{"free"});
  recorded.clear();
  errno = 0;
  EXPECT_FALSE(rf_process_uses(stdin, nullptr));
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(recorded, Calls{"stale read 1"});
  world.stale = false;
  EXPECT_TRUE(rf_process_uses(stdin, nullptr)) << "nobody has reported it";
  world.freed = false;
  recorded.clear();
  EXPECT_TRUE(rf_process_uses(stdin, nullptr));
  EXPECT_TRUE(recorded.empty());
  EXPECT_TRUE(rf_process_closes(stdin, nullptr));
  EXPECT_EQ(recorded, Calls{"stream"});
}

// ---- On demand ----

TEST_F(Lifecycle, ASweepOnDemandLooksAtAllAndCountsWhatItFinds) {
  world.heap_findings = 2;
  world.page_findings = 3;
  EXPECT_EQ(__ringfence_sweep(), 5U);
  EXPECT_EQ(recorded, (Calls{"pages 0", "lock 1000", "heap 0", "unlock"}));
  EXPECT_NE(world.caller, 0U) << "who asked is told";
  rf_process.options.mode = RF_MODE_OFF;
  recorded.clear();
  EXPECT_EQ(__ringfence_sweep(), 0U);
  EXPECT_TRUE(recorded.empty());
}

TEST_F(Lifecycle, ASearchForLeaksOnDemandBeginsAtItsCaller) {
  world.leaks.findings = 4;
  EXPECT_EQ(__ringfence_check_leaks(), 4U);
  auto const here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  EXPECT_LT(world.sp, here);
  EXPECT_GT(world.sp, here - 4096);
  EXPECT_FALSE(world.cancellable);
  int state = 0;
  ASSERT_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state), 0);
  EXPECT_EQ(state, PTHREAD_CANCEL_ENABLE);
  rf_process.checked = false;
  recorded.clear();
  EXPECT_EQ(__ringfence_check_leaks(), 0U);
  EXPECT_TRUE(recorded.empty());
}

// ---- The beginning ----

class LifecycleBegin : public Lifecycle {
protected:
  Calls begin(bool library = true) {
    return calls_of([&] { rf_process_begin(library); });
  }
  static Calls handlers() { return calls({"fatal", "terminating", "snapshot signal", "snapshot warning", "dump"}); }
  static size_t place(const std::string &what) {
    return static_cast<size_t>(std::find(recorded.begin(), recorded.end(), what) - recorded.begin());
  }
};

TEST_F(LifecycleBegin, DoesEachThingOnceWhereWhatItNeedsIsThere) {
  rf_process.options.sweep_every = 500;
  rf_process.options.sweep_budget = 20;
  Calls const done = begin();
  EXPECT_EQ(done, (Calls{"watch forks",
                         "port watches forks",
                         "init",
                         "set stderr",
                         "configure",
                         "suppressions",
                         "forward",
                         "policy",
                         "collector",
                         "caller",
                         "roots",
                         "fatal",
                         "snapshot signal",
                         "snapshot warning",
                         "dump signal",
                         "terminating",
                         "trace",
                         "pages begin",
                         "steering",
                         "sampling",
                         "way",
                         "every 500",
                         "budget 20",
                         "begin"}));
  EXPECT_TRUE(world.library) << "known when options are read";
  EXPECT_NE(rf_process.halting, nullptr);
  EXPECT_EQ(world.log, "");
  EXPECT_EQ(world.policy, nullptr);
}

TEST_F(LifecycleBegin, ALibraryThatIsLinkedInLeavesSignalsThatEndAProcessAlone) {
  (void)begin(false);
  EXPECT_FALSE(world.library);
  EXPECT_EQ(handlers(), (Calls{"fatal", "snapshot signal", "snapshot warning", "dump signal"}));
}

TEST_F(LifecycleBegin, InstallsTheHandlersThatItsModeNeeds) {
  rf_process.options.mode = RF_MODE_OFF;
  rf_process.options.sweep_every = 500;
  (void)begin();
  EXPECT_EQ(handlers(), (Calls{"snapshot signal", "snapshot warning", "dump signal", "terminating"}));
  EXPECT_TRUE(has("every 0")) << "there is nothing to look at";
  rf_forward.now = RF_FORWARD_ON;
  (void)begin();
  EXPECT_EQ(handlers().front(), "fatal: abort") << "the C library's malloc ends the process by it";
  rf_process.options.mode = RF_MODE_SAMPLE;
  (void)begin();
  EXPECT_EQ(handlers().front(), "fatal");
  rf_process.options.signals = false;
  (void)begin();
  EXPECT_EQ(handlers(), (Calls{"snapshot signal", "snapshot warning"})) << "which the option itself names";
}

TEST_F(LifecycleBegin, ASignalEndsTheProcessAsItsKindAsks) {
  (void)begin();
  recorded.clear();
  world.dying(SIGFPE);
  EXPECT_TRUE(has("lock 100"));
  EXPECT_EQ(told() + std::to_string(world.exit.number), "signal" + std::to_string(SIGFPE));
  rf_process.ended = false;
  recorded.clear();
  world.terminated(SIGTERM);
  EXPECT_EQ(looks().front(), "lock 20");
  EXPECT_EQ(told() + std::to_string(world.exit.number), "signal" + std::to_string(SIGTERM));
}

TEST_F(LifecycleBegin, NamesTheRulesThatHold) {
  std::snprintf(rf_steering_now.rules, sizeof rf_steering_now.rules, "3,7");
  (void)begin();
  EXPECT_STREQ(world.policy, "3,7");
  rf_process.options.help = true;
  (void)begin();
  EXPECT_NE(world.log.find("rules of the collector's policy that set some of these values: 3,7\n"), std::string::npos);
}

TEST_F(LifecycleBegin, LeavesAProgramToAToolThatServesItsMalloc) {
  world.tool = true;
  rf_process.options.trace = "trace";
  rf_process.options.summary = true;
  (void)begin();
  const rf_options &o = rf_process.options;
  EXPECT_EQ(o.mode, RF_MODE_OFF);
  EXPECT_EQ(o.heap, RF_HEAP_NEXT);
  EXPECT_EQ(o.trace, nullptr);
  EXPECT_FALSE(o.signals);
  EXPECT_FALSE(o.sweep);
  EXPECT_EQ(o.leaks, RF_LEAKS_NONE);
  EXPECT_FALSE(o.summary) << "one line says all";
  EXPECT_NE(world.log.find("it is not checked by Ringfence\n"), std::string::npos);
  EXPECT_EQ(recorded.back(), "unchecked: under a tool with its own malloc");
  EXPECT_FALSE(has("begin"));
}

TEST_F(LifecycleBegin, StepsAsideForASanitizerInTheProgram) {
  world.sanitizer = "MemorySanitizer";
  (void)begin();
  EXPECT_EQ(rf_process.options.mode, RF_MODE_GUARD) << "for what comes to it all the same";
  EXPECT_FALSE(rf_process.options.signals);
  EXPECT_FALSE(rf_process.options.sweep);
  EXPECT_EQ(rf_process.options.leaks, RF_LEAKS_NONE);
  EXPECT_EQ(handlers(), (Calls{"snapshot signal", "snapshot warning"}));
  EXPECT_EQ(recorded.back(), "begin");
}

TEST_F(LifecycleBegin, AFindingThatEndsTheProcessIsItsLastWord) {
  (void)begin();
  rf_process.findings = 1;
  for (int const code : {42, RF_EXITCODE_ABORT}) {
    recorded.clear();
    rf_process_reporter.exitcode = code;
    rf_process.halting();
    EXPECT_EQ(recorded, (Calls{"end of trace", "end of sites", "log"}));
    EXPECT_EQ(told(), code == 42 ? "status" : "signal");
    EXPECT_EQ(world.exit.number, code == 42 ? 42 : SIGABRT);
    EXPECT_EQ(world.findings_told, 1U);
    EXPECT_FALSE(world.leaks_told);
  }
}

TEST_F(LifecycleBegin, DoesWhatACollectorAsksFor) {
  (void)begin();
  recorded.clear();
  world.actions->sweep();
  EXPECT_EQ(recorded, (Calls{"pages 0", "lock 1000", "heap 0", "unlock"}));
  EXPECT_EQ(world.caller, 0U) << "nobody in the program has asked";
  rf_process.options.mode = RF_MODE_OFF;
  recorded.clear();
  world.actions->sweep();
  EXPECT_TRUE(recorded.empty());
  EXPECT_TRUE(world.actions->snapshot("a"));
  EXPECT_EQ(recorded, Calls{"snapshot a"});
  world.snapshot_done = false;
  EXPECT_FALSE(world.actions->snapshot("a"));
  EXPECT_EQ(world.actions->regular_snapshot, rf_process_snapshot_regular);
}

} // namespace
} // namespace ringfence_test
