// Handlers of signals that interrupt a call of lock where it has no holder: in the mutex's own functions. The linker
// puts this file's in front of the port's; they run what stands for a handler, in the same thread.
#include <ringfence/lock.h>
#include <ringfence/simple.h>

#include "tests/checkers/single_step.h"
#include "tests/core/recorder.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <utility>

namespace {

std::function<void()> handler; // of the next signal

unsigned places_before; // it, where a signal may come

const rf_mutex *held; // the mutex that was locked last

void (*behind_lock)(); // called once when the mutex is locked; nullptr: nothing

void pass_place() {
  if (handler && places_before-- == 0) {
    std::exchange(handler, nullptr)();
  }
}

} // namespace

extern "C" {
void __real_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __real_rf_mutex_unlock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  if (held == mutex) {
    std::abort(); // it would wait for its own thread for ever
  }
  pass_place();
  __real_rf_mutex_lock(mutex);
  held = mutex;
  pass_place();
  if (behind_lock != nullptr) {
    std::exchange(behind_lock, nullptr)();
  }
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  pass_place();
  held = nullptr;
  __real_rf_mutex_unlock(mutex);
  pass_place();
}
}

namespace {

struct Heap {
  Heap() {
    EXPECT_EQ(rf_simple_init(&simple, arena, sizeof arena), RF_OK);
    EXPECT_EQ(rf_lock_init(&lock, &simple.base), RF_OK);
  }
  ~Heap() { rf_deinit(&lock.base); }
  Heap(const Heap &) = delete;
  Heap &operator=(const Heap &) = delete;

  alignas(16) unsigned char arena[1024];
  rf_simple simple;
  rf_lock lock;
};

class LockSignal : public testing::Test {
protected:
  // `call` is interrupted by `now` at a place of its mutex: before or after it is locked, before or after it is
  // unlocked.
  static void interrupted(unsigned place, std::function<void()> now, const std::function<void()> &call) {
    places_before = place;
    handler = std::move(now);
    call();
    EXPECT_FALSE(handler) << "it ran";
  }

  Heap one;
  Heap other;
  rf_allocator *const a = &one.lock.base;
  rf_allocator *const b = &other.lock.base;
  ringfence::testing::FaultRecorder recorder;
};

TEST_F(LockSignal, AHandlerThatInterruptsTheMutexOfItsOwnThreadIsRefused) {
  for (unsigned place = 0; place < 4; place++) {
    SCOPED_TRACE(place);
    void *p = nullptr;
    interrupted(
        place, [&] { EXPECT_EQ(rf_alloc(a, 10), nullptr); }, [&] { p = rf_alloc(a, 10); });
    EXPECT_EQ(recorder.take(), RF_ERR_BUSY);
    EXPECT_NE(p, nullptr) << "the call that was interrupted goes on";
    EXPECT_EQ(rf_free(a, p), RF_OK) << "and the lock is free";
  }
}

TEST_F(LockSignal, AHandlerMayUseAnotherLock) {
  for (unsigned place = 0; place < 4; place++) {
    SCOPED_TRACE(place);
    void *p = nullptr;
    void *q = nullptr;
    interrupted(
        place, [&] { q = rf_alloc(b, 10); }, [&] { p = rf_alloc(a, 10); });
    EXPECT_EQ(rf_free(b, q), RF_OK);
    EXPECT_EQ(rf_free(a, p), RF_OK);
    EXPECT_TRUE(recorder.faults().empty());
  }
}

#ifdef RF_CAN_STEP

// From the moment at which the mutex is locked until the lock has a holder, and beyond.
TEST_F(LockSignal, AHandlerIsRefusedAtEachInstructionBehindTheMutex) {
  static rf_allocator *interrupted_allocator;
  static void *q;
  static unsigned left;
  struct sigaction before;
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t *, void *context) {
    if (--left == 0) {
      ringfence_test::end_stepping(context);
      q = rf_alloc(interrupted_allocator, 10);
    }
  };
  interrupted_allocator = a;
  ASSERT_EQ(sigaction(SIGTRAP, &action, &before), 0);
  for (unsigned after = 1; after < 60; after++) {
    SCOPED_TRACE(after);
    void *p = nullptr;
    left = after;
    behind_lock = [] { ringfence_test::set_stepping(true); };
    p = rf_alloc(a, 10);
    ringfence_test::set_stepping(false);
    EXPECT_EQ(left, 0U);
    EXPECT_EQ(q, nullptr);
    EXPECT_EQ(recorder.take(), RF_ERR_BUSY);
    EXPECT_EQ(rf_free(a, p), RF_OK);
  }
  EXPECT_EQ(sigaction(SIGTRAP, &before, nullptr), 0);
}

#endif

// Its thread is a new one, which is in no call: before the mutex is taken, and once it is given back, the lock is free.
TEST_F(LockSignal, AHandlersChildMayUseTheLockThatItsParentWasAbout) {
  for (unsigned const place : {0U, 3U}) {
    SCOPED_TRACE(place);
    pid_t child = -1;
    auto const fork_and_allocate = [&] {
      child = fork();
      if (child == 0) {
        void *const p = rf_alloc(a, 10);
        _exit(p != nullptr && rf_free(a, p) == RF_OK && recorder.faults().empty() ? 0 : 1);
      }
    };
    void *p = nullptr;
    interrupted(place, fork_and_allocate, [&] { p = rf_alloc(a, 10); });
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(rf_free(a, p), RF_OK);
  }
}

TEST_F(LockSignal, AHandlerThatInterruptsAnotherHandlersMutexIsRefusedAtBoth) {
  for (unsigned place = 0; place < 4; place++) {
    SCOPED_TRACE(place);
    void *p = nullptr;
    void *q = nullptr;
    auto const inner = [&] {
      EXPECT_EQ(rf_alloc(a, 10), nullptr);
      EXPECT_EQ(recorder.take(), RF_ERR_BUSY);
      EXPECT_EQ(rf_alloc(b, 10), nullptr);
      EXPECT_EQ(recorder.take(), RF_ERR_BUSY);
    };
    auto const outer = [&] { interrupted(place, inner, [&] { q = rf_alloc(b, 10); }); };
    interrupted(place, outer, [&] { p = rf_alloc(a, 10); });
    EXPECT_EQ(rf_free(b, q), RF_OK);
    EXPECT_EQ(rf_free(a, p), RF_OK);
    EXPECT_TRUE(recorder.faults().empty());
  }
}

} // namespace
