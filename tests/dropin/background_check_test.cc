// The check in the background (checkers/dropin/process/background_check.c): by which thread, how often, and behind
// which lock. The heap, the thread and its pauses are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/walk.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/process/background_check.h"
#include "checkers/dropin/runtime/state.h"
bool rf_lock_all(unsigned ms);
void rf_unlock_all(void);
}
#undef _Static_assert
#include "tests/dropin/calls.h"

#include <csignal>
#include <ctime>
#include <gtest/gtest.h>
#include <pthread.h>

using ringfence_test::call;
using ringfence_test::Calls;
using ringfence_test::calls_of;
using ringfence_test::RecordsCalls;

namespace {

struct World {
  bool locks = true;
  int rounds = 0; // until the process has ended
  timespec pause = {};
  void *(*run)(void *) = nullptr;
  void *argument = nullptr;
  size_t stack = 0;
  int state = -1;
  bool masked = false; // as its thread begins
};

World world;

} // namespace

extern "C" {

rf_process_state rf_process;

bool rf_process_has_ended() {
  return world.rounds-- <= 0;
}
bool rf_lock_all(unsigned ms) {
  call("lock", ms);
  return world.locks;
}
void rf_unlock_all() {
  call("unlock");
}
size_t rf_heap_sweep_step(uint64_t budget_ns, const rf_origin *origin) {
  EXPECT_NE(origin->caller, 0U);
  call("heap", budget_ns);
  return 0;
}
size_t rf_guarded_blocks_sweep(uint64_t budget_ns) {
  call("pages", budget_ns);
  return 0;
}

int __wrap_nanosleep(const timespec *pause, timespec *) {
  world.pause = *pause;
  call("pause");
  return 0;
}

// Runs when the test says so.
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  sigset_t now;
  world.run = run;
  world.argument = argument;
  (void)pthread_attr_getstacksize(attributes, &world.stack);
  (void)pthread_attr_getdetachstate(attributes, &world.state);
  (void)pthread_sigmask(SIG_SETMASK, nullptr, &now);
  world.masked = true;
  for (int const number : {SIGHUP, SIGTERM, SIGUSR1, SIGSEGV, SIGPROF, 40}) {
    world.masked = world.masked && sigismember(&now, number) == 1;
  }
  return 0;
}
}

namespace ringfence_test {
namespace {

class BackgroundCheck : public RecordsCalls {
protected:
  BackgroundCheck() {
    world = World();
    rf_process.checked = true;
  }

  // All turns of a process that ends after so many; two each make a round.
  static Calls turns(int count) {
    world.rounds = count;
    return calls_of([] { (void)world.run(world.argument); });
  }
};

TEST_F(BackgroundCheck, IsNoneUnlessAskedFor) {
  rf_background_check_begin(0, 100);
  EXPECT_EQ(world.run, nullptr);
}

TEST_F(BackgroundCheck, HasAThreadThatNobodyWaitsForAndThatTakesNoSignal) {
  sigset_t one;
  sigset_t now;
  sigemptyset(&one);
  sigaddset(&one, SIGUSR2);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &one, nullptr), 0);
  rf_background_check_begin(10, 100);
  ASSERT_NE(world.run, nullptr);
  EXPECT_TRUE(world.masked);
  EXPECT_EQ(world.state, PTHREAD_CREATE_DETACHED);
  EXPECT_EQ(world.stack, size_t{256} << 10) << "room for a finding";
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &now), 0);
  EXPECT_EQ(sigismember(&now, SIGUSR2), 1) << "the program's mask stays";
  EXPECT_EQ(sigismember(&now, SIGTERM), 0);
  sigemptyset(&one);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &one, nullptr), 0);
}

TEST_F(BackgroundCheck, LooksAtTheHeapAndAtPagesByTurns) {
  rf_background_check_begin(1500, 70);
  EXPECT_EQ(turns(4), (Calls{"lock 2", "heap 70000", "unlock", "pause", "pages 70000", "pause", "lock 2", "heap 70000",
                             "unlock", "pause", "pages 70000", "pause"}));
  EXPECT_EQ(world.pause.tv_sec, 1);
  EXPECT_EQ(world.pause.tv_nsec, 500000000);
}

TEST_F(BackgroundCheck, LeavesABusyHeapForAnotherTimeAndAnUncheckedOneAlone) {
  rf_background_check_begin(20, 70);
  world.locks = false;
  EXPECT_EQ(turns(2), (Calls{"lock 2", "pause", "pages 70000", "pause"}));
  EXPECT_EQ(world.pause.tv_sec, 0);
  EXPECT_EQ(world.pause.tv_nsec, 20000000);
  rf_process.checked = false;
  EXPECT_EQ(turns(2), (Calls{"pause", "pages 70000", "pause"}));
}

TEST_F(BackgroundCheck, EndsWithTheProcess) {
  rf_background_check_begin(20, 70);
  EXPECT_TRUE(turns(0).empty());
}

} // namespace
} // namespace ringfence_test
