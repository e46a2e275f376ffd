// The check in the background (checkers/dropin/process/background_check.c): by which thread, how often, and behind
// which lock. The heap, the thread and its pauses are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/walk.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/procfs.h"
#include "checkers/dropin/process/background_check.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/forbidden_calls.h"
bool rf_lock_all(unsigned ms);
void rf_unlock_all(void);
}
#undef _Static_assert
#include "tests/dropin/calls.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

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
  bool masked = false;  // as its thread begins
  int first_thread = 0; // 0: it runs; else why its memory cannot be read
  uint32_t threads = 2; // that are listed; 0: they cannot be
  int no_thread = 0;    // why none can be had
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
  EXPECT_EQ(origin->caller, 0U);
  call("heap", budget_ns);
  return 0;
}
size_t rf_guarded_blocks_sweep(uint64_t budget_ns, const rf_origin *origin) {
  EXPECT_EQ(origin->caller, 0U);
  call("pages", budget_ns);
  return 0;
}

int __wrap_nanosleep(const timespec *pause, timespec *) {
  world.pause = *pause;
  call("pause");
  return 0;
}

ssize_t __wrap_process_vm_readv(pid_t process, const iovec *, unsigned long, const iovec *, unsigned long,
                                unsigned long) {
  EXPECT_EQ(process, getpid());
  errno = world.first_thread;
  return world.first_thread != 0 ? -1 : 1;
}
bool rf_procfs_each_thread(void (*visit)(uint32_t id, void *context), void *context) {
  for (uint32_t id = 1; id <= world.threads; id++) {
    visit(id, context);
  }
  return world.threads != 0;
}

// Runs when the test says so.
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  sigset_t now;
  world.stack = 0;
  if (world.no_thread != 0) {
    return world.no_thread;
  }
  world.run = run;
  world.argument = argument;
  if (attributes != nullptr) {
    (void)pthread_attr_getstacksize(attributes, &world.stack);
    (void)pthread_attr_getdetachstate(attributes, &world.state);
  }
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

// With a stack and a mask as the program's threads have them.
TEST_F(BackgroundCheck, EndsAProcessOfWhichAllThreadsHaveEnded) {
  rf_background_check_begin(20, 70);
  void *(*const thread)(void *) = world.run;
  world.first_thread = ESRCH;
  EXPECT_EQ(turns(9), (Calls{"lock 2", "heap 70000", "unlock", "pause"}));
  EXPECT_NE(world.run, thread);
  EXPECT_EQ(world.stack, 0U);
  auto const end = [] {
    sigset_t now;
    sigfillset(&now);
    (void)pthread_sigmask(SIG_SETMASK, &now, nullptr);
    (void)std::atexit([] {
      sigset_t at_end;
      (void)pthread_sigmask(SIG_SETMASK, nullptr, &at_end);
      _exit(sigismember(&at_end, SIGTERM) == 0 ? 7 : 1);
    });
    (void)world.run(world.argument);
  };
  EXPECT_EXIT(end(), testing::ExitedWithCode(7), "");
  world.run = thread;
  world.no_thread = EAGAIN;
  EXPECT_EXIT(turns(9), testing::ExitedWithCode(0), "");
}

TEST_F(BackgroundCheck, DoesNotEndAProcessThatHasThreadsOrOfWhichNothingIsKnown) {
  rf_background_check_begin(20, 70);
  void *(*const thread)(void *) = world.run;
  auto const goes_on = [&] {
    bool const goes = turns(2).size() == 6 && world.run == thread;
    world.run = thread; // not what ends a process, the test's as well, with status 0
    return goes;
  };
  EXPECT_TRUE(goes_on()) << "the first";
  world.first_thread = EPERM;
  EXPECT_TRUE(goes_on());
  world.first_thread = ESRCH;
  for (uint32_t const threads : {0U, 1U, 3U}) {
    world.threads = threads;
    EXPECT_TRUE(goes_on()) << threads;
  }
  world.threads = 2;
  for (unsigned const call : {RF_CALL_GETPID, RF_CALL_OPEN, RF_CALL_OTHERS}) {
    rf_forbidden_calls = call;
    EXPECT_TRUE(goes_on()) << call;
  }
  rf_forbidden_calls = 0;
}

TEST_F(BackgroundCheck, EndsWithTheProcess) {
  rf_background_check_begin(20, 70);
  EXPECT_TRUE(turns(0).empty());
}

} // namespace
} // namespace ringfence_test
