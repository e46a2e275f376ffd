// Handlers of fork (checkers/dropin/process/fork.c): the order in which they take and give back locks, that no signal
// handler runs meanwhile, and the parts that begin anew in a child. All functions that they call are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/heap_dump.h"
#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/inspect/process_snapshot.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/steer.h"
#include "checkers/dropin/malloc/trace_hook.h"
#include "checkers/dropin/process/fork.h"
#include "checkers/dropin/process/start.h"
#include "checkers/dropin/process/stream_list.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/os/seen_sites.h"
#include "checkers/os/stack_modules.h"
#include "checkers/report/collector.h"
}
#undef _Static_assert
#include "tests/dropin/calls.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <gtest/gtest.h>
#include <ringfence/port.h>
#include <string>
#include <unistd.h>

using ringfence_test::Calls;
using ringfence_test::calls_of;
using ringfence_test::RecordsCalls;

namespace {

struct World {
  bool masked = true; // at each of them
  bool streams = true;
  bool traced = false;    // its lock is held
  bool dump = false;      // is under way
  unsigned refusals = 0;  // by a thread that stays inside the heap
  unsigned recording = 0; // refusals by a thread that stays inside the recorder
  unsigned page_refusals = 0;
  rf_fork_kind kind = RF_FORK_OF_ONE;
  bool renewed = true; // rf_process is the child's where it must be
  unsigned naps = 0;
};

World world;

void (*prepare)();
void (*parent)();
void (*child)();
void *module_of_handlers = &world;

constexpr uint64_t kNow = 12345;
constexpr int kSome[] = {SIGHUP, SIGALRM, SIGUSR1, SIGSEGV, SIGPROF, 40};

bool all_blocked() {
  sigset_t now;
  EXPECT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &now), 0);
  return std::all_of(std::begin(kSome), std::end(kSome), [&](int number) { return sigismember(&now, number) == 1; });
}

void call(const std::string &name) {
  ringfence_test::call(name);
  world.masked = world.masked && all_blocked();
  errno = EBUSY;
}

// Notes the call of a part that tells who it is, or writes in this process's name.
void call_as_child(const char *name) {
  call(name);
  world.renewed = world.renewed && rf_process.id == getpid() && rf_process.forked && !rf_process.ended &&
                  rf_process.ends == 0 && rf_process.findings == 0 && rf_process.start_ns == kNow;
}

} // namespace

extern "C" {

rf_process_state rf_process;

pid_t rf_process_now() {
  return getpid();
}

int __wrap___register_atfork(void (*before)(), void (*in_parent)(), void (*in_child)(), void *module) {
  prepare = before;
  parent = in_parent;
  child = in_child;
  module_of_handlers = module;
  return 0;
}

bool rf_stream_list_lock() {
  call("streams");
  return world.streams;
}
void rf_stream_list_unlock() {
  call("streams");
}
void rf_stream_list_reset() {
  call("streams");
}

bool rf_tracing_fork_prepare(unsigned ms) {
  EXPECT_NE(ms, 0U);
  if (world.recording != 0) {
    world.recording--;
    call("no tracing");
    return false;
  }
  call("tracing");
  world.traced = true;
  return true;
}
void rf_tracing_fork_parent() {
  if (world.traced) {
    call("tracing");
  }
  world.traced = false;
}
void rf_tracing_fork_child() {
  call_as_child("tracing");
}

bool rf_own_cache_fork_prepare(unsigned /*ms*/) {
  call("heap");
  bool const done = world.refusals == 0;
  world.refusals -= done ? 0 : 1;
  return done;
}
void rf_own_cache_fork_parent() {
  call("heap");
}
rf_fork_kind rf_own_cache_fork_child() {
  call("heap");
  return world.kind;
}

bool rf_page_try_lock_all() {
  call("pages");
  bool const done = world.page_refusals == 0;
  world.page_refusals -= done ? 0 : 1;
  return done;
}
void rf_page_unlock_all() {
  call("pages");
}
void rf_page_unlock_all_in_child() {
  call("pages");
}

void rf_guarded_blocks_forked() {
  call("guarded blocks");
}
void rf_guarded_blocks_inherit() {
  call("inherited");
}

int __wrap_nanosleep(const timespec *, timespec *) {
  world.naps++;
  return 0;
}

uint64_t __wrap_rf_port_now_ns() {
  return kNow;
}

void __wrap_rf_host_report_lock_reset() {
  call("report lock");
}
void __wrap_rf_log_reporter_forked() {
  call("reporter");
}
void __wrap_rf_reserve_stack_forked() {
  call("reserve stack");
}
#if RF_STACK_RULES
void __wrap_rf_stack_modules_reset() {
  call("stack modules");
}
#endif
void __wrap_rf_modules_forked() {
  call("modules");
}
void rf_process_log_forked() {
  call_as_child("log");
}
void __wrap_rf_seen_sites_forget() {
  call("seen sites");
}
void rf_steer_forked() {
  call_as_child("steering");
}
void __wrap_rf_collector_forked() {
  call_as_child("collector");
}
void rf_heap_dump_forked() {
  call_as_child("dump");
}
void rf_process_snapshot_forked() {
  call("snapshot");
}
bool rf_heap_dump_is_under_way() {
  return world.dump;
}
}

namespace ringfence_test {
namespace {

// Runs first: handlers that were installed once stay.
TEST(ForkHandlersBefore, TheLibraryHasBegunThereIsNothingToPrepare) {
  EXPECT_EQ(calls_of([] { EXPECT_FALSE(rf_fork_unnoticed_prepare()); }), Calls());
}

class ForkHandlers : public RecordsCalls {
protected:
  ForkHandlers() {
    world = World();
    rf_process.id = 1;
    rf_process.forked = false;
    rf_process.ended = true;
    rf_process.ends = 1;
    rf_process.ending = true;
    rf_process.findings = 7;
    rf_process.start_ns = 1;
    rf_process.options.leaks = RF_LEAKS_LOST;
    rf_fork_init();
    rf_fork_child_also([] { call("C library"); });
  }

  static Calls sorted(Calls calls) {
    std::sort(calls.begin(), calls.end());
    return calls;
  }
};

TEST_F(ForkHandlers, StayWhenAnyModuleIsUnloaded) {
  EXPECT_EQ(module_of_handlers, nullptr);
}

// Streams first, whose functions allocate; then who records allocations, the heap, and the pages that it asks for.
TEST_F(ForkHandlers, TakeLocksFromTheOutsideInAndGiveThemBackTheOtherWay) {
  Calls const taken = calls_of(prepare);
  EXPECT_EQ(taken, (Calls{"streams", "tracing", "heap", "pages"}));
  EXPECT_EQ(calls_of(parent), Calls(taken.rbegin(), taken.rend()));
}

// glibc calls some twice where a module's handlers are taken away at that moment.
TEST_F(ForkHandlers, GiveNothingBackTwiceNorTakeIt) {
  EXPECT_EQ(calls_of(parent), Calls());
  (void)calls_of(prepare);
  EXPECT_EQ(calls_of(prepare), Calls());
  EXPECT_EQ(calls_of(parent).size(), 4U);
  EXPECT_EQ(calls_of(parent), Calls());
  (void)calls_of(prepare);
  (void)calls_of(child);
  EXPECT_EQ(calls_of(parent), Calls());
}

// A handler that interrupted a thread inside the heap, and forks, needs them.
TEST_F(ForkHandlers, LetGoOfStreamsWhileOthersStayInsideTheHeap) {
  world.refusals = 2;
  EXPECT_EQ(calls_of(prepare), (Calls{"streams", "tracing", "heap", "tracing", "streams", "streams", "tracing", "heap",
                                      "tracing", "streams", "streams", "tracing", "heap", "pages"}));
  EXPECT_TRUE(all_blocked());
  EXPECT_EQ(calls_of(parent), (Calls{"pages", "heap", "tracing", "streams"}));
}

TEST_F(ForkHandlers, LetGoOfStreamsWhileOthersStayInsideTheRecorder) {
  world.recording = 1;
  EXPECT_EQ(calls_of(prepare), (Calls{"streams", "no tracing", "streams", "streams", "tracing", "heap", "pages"}));
  EXPECT_TRUE(all_blocked());
  EXPECT_EQ(calls_of(parent), (Calls{"pages", "heap", "tracing", "streams"}));
}

// A handler that interrupted a thread with the lock of pages, and allocates, needs the heap.
TEST_F(ForkHandlers, LetGoOfTheHeapWhileOthersHavePages) {
  world.page_refusals = 1;
  EXPECT_EQ(calls_of(prepare), (Calls{"streams", "tracing", "heap", "pages", "heap", "tracing", "streams", "streams",
                                      "tracing", "heap", "pages"}));
  EXPECT_TRUE(all_blocked());
  EXPECT_EQ(calls_of(parent), (Calls{"pages", "heap", "tracing", "streams"}));
}

TEST_F(ForkHandlers, LeaveStreamsAloneThatWereNotLocked) {
  world.streams = false;
  (void)calls_of(prepare);
  EXPECT_EQ(calls_of(parent), (Calls{"pages", "heap", "tracing"}));
  (void)calls_of(prepare);
  Calls const again = calls_of(child);
  EXPECT_EQ(std::count(again.begin(), again.end(), "streams"), 0);
}

// A signal handler may make such a child while its thread is inside of a stream.
TEST_F(ForkHandlers, DoTheSameForChildrenThatTheyAreNotToldOfButForStreams) {
  Calls const taken = calls_of([] { EXPECT_TRUE(rf_fork_unnoticed_prepare()); });
  EXPECT_EQ(taken, (Calls{"tracing", "heap", "pages"}));
  EXPECT_FALSE(rf_fork_unnoticed_prepare()) << "they are under way";
  EXPECT_EQ(calls_of(rf_fork_unnoticed_parent), Calls(taken.rbegin(), taken.rend()));
  (void)calls_of([] { (void)rf_fork_unnoticed_prepare(); });
  rf_port_known_id = 1;
  Calls const done = calls_of(rf_fork_unnoticed_child);
  EXPECT_EQ(std::count(done.begin(), done.end(), "streams"), 0);
  EXPECT_EQ(std::count(done.begin(), done.end(), "log"), 1);
  EXPECT_EQ(rf_process.id, getpid());
  EXPECT_NE(rf_port_known_id, 1U);
}

// errno is the program's, or tells why no child was made.
TEST_F(ForkHandlers, LeaveErrnoAloneAroundACallThatMakesAChild) {
  for (void (*const after)() : {rf_fork_unnoticed_parent, rf_fork_unnoticed_child}) {
    errno = ENODEV;
    EXPECT_TRUE(rf_fork_unnoticed_prepare());
    EXPECT_EQ(errno, ENODEV);
    after();
    EXPECT_EQ(errno, ENODEV);
  }
}

TEST_F(ForkHandlers, WaitForThoseInsideWithoutACallThatASandboxForbids) {
  for (unsigned const forbidden : {0U, static_cast<unsigned>(RF_CALL_NANOSLEEP)}) {
    rf_forbidden_calls = forbidden;
    world.naps = 0;
    world.refusals = 2;
    (void)calls_of(prepare);
    EXPECT_EQ(world.naps, forbidden == 0 ? 2U : 0U);
    (void)calls_of(parent);
  }
  rf_forbidden_calls = 0;
}

TEST_F(ForkHandlers, LetNoHandlerRunUntilAllLocksAreFree) {
  for (void (*const after)() : {parent, child}) {
    sigset_t one;
    sigset_t now;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &one, nullptr), 0);
    (void)calls_of(prepare);
    EXPECT_TRUE(all_blocked());
    (void)calls_of(after);
    EXPECT_TRUE(world.masked);
    ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &now), 0);
    EXPECT_EQ(sigismember(&now, SIGUSR2), 1) << "as it was";
    for (int const number : kSome) {
      EXPECT_EQ(sigismember(&now, number), 0) << number;
    }
    sigemptyset(&one);
    ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &one, nullptr), 0);
  }
}

TEST_F(ForkHandlers, MakeAChildAProcessOfItsOwn) {
  (void)calls_of(prepare);
  Calls const done = calls_of(child);
  EXPECT_TRUE(world.renewed) << "before anybody tells who it is";
  EXPECT_EQ(rf_process.id, getpid());
  EXPECT_TRUE(rf_process.forked);
  EXPECT_FALSE(rf_process.ended);
  EXPECT_EQ(rf_process.ends, 0U) << "the parent's, which nobody is at here";
  EXPECT_FALSE(rf_process.ending) << "its own findings may end it";
  EXPECT_EQ(rf_process.findings, 0U);
  EXPECT_EQ(rf_process.start_ns, kNow);
  EXPECT_EQ(rf_process.options.leaks, RF_LEAKS_LOST);
  Calls all = {"pages",      "guarded blocks", "heap",      "report lock", "reserve stack", "log",
               "seen sites", "streams",        "steering",  "collector",   "tracing",       "dump",
               "snapshot",   "modules",        "C library", "reporter"};
  if (RF_STACK_RULES) {
    all.emplace_back("stack modules");
  }
  EXPECT_EQ(sorted(done), sorted(all));
  EXPECT_EQ((Calls{done.begin(), done.begin() + 3}), (Calls{"pages", "guarded blocks", "heap"}))
      << "the rest may allocate";
}

// A process that serves nothing has no lock, and nothing to begin anew but a dump.
TEST_F(ForkHandlers, TouchNextToNothingWhereAllRequestsAreHandedOn) {
  rf_process.hands_all_on = true;
  for (bool const dump : {false, true}) {
    world.dump = dump;
    EXPECT_EQ(calls_of(prepare), Calls());
    EXPECT_EQ(calls_of(parent), Calls());
    EXPECT_EQ(calls_of(child), (dump ? Calls{"dump"} : Calls()));
    EXPECT_EQ(rf_process.id, getpid());
    EXPECT_TRUE(rf_process.forked);
  }
  rf_process.hands_all_on = false;
}

// It leaks only what it allocates itself: threads that it does not have held the rest.
TEST_F(ForkHandlers, LeaveAChildOfSeveralThreadsWithBlocksThatAreNotItsOwn) {
  world.kind = RF_FORK_OF_MANY;
  (void)calls_of(prepare);
  Calls const done = calls_of(child);
  EXPECT_EQ(std::count(done.begin(), done.end(), "inherited"), 1);
  EXPECT_EQ(rf_process.options.leaks, RF_LEAKS_LOST);
}

TEST_F(ForkHandlers, LetNobodyLookForLeaksInAChildThatWasMadeInsideTheHeap) {
  world.kind = RF_FORK_INSIDE;
  (void)calls_of(prepare);
  Calls const done = calls_of(child);
  EXPECT_EQ(std::count(done.begin(), done.end(), "inherited"), 0);
  EXPECT_EQ(rf_process.options.leaks, RF_LEAKS_NONE);
}

} // namespace
} // namespace ringfence_test
