// Threads that the signal which stops them does not reach: the system's answers to it are this test's own, and so is
// the process of the drop-in.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/stop_the_world.h"
#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/thread.h"
}
#undef _Static_assert

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <gtest/gtest.h>
#include <string>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

rf_process_state rf_process;
RF_THREAD_LOCAL rf_thread rf_current_thread;

bool rf_process_has_ended() {
  return rf_process.ended;
}

namespace {

int refusal = 0; // the error of each signal to a thread; 0: it is sent

} // namespace

// The linker puts it in front of the C library's.
extern "C" long __real_syscall(long number, ...);
extern "C" long __wrap_syscall(long number, ...);
extern "C" long __wrap_syscall(long number, ...) {
  long words[6];
  va_list arguments;
  va_start(arguments, number);
  for (long &word : words) {
    word = va_arg(arguments, long);
  }
  va_end(arguments);
  if (number == SYS_tgkill && refusal != 0) {
    errno = refusal;
    return -1;
  }
  return __real_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

namespace {

// The first word of the action, as the kernel has it.
uintptr_t handler_now() {
  uintptr_t action[8] = {};
  EXPECT_EQ(__real_syscall(SYS_rt_sigaction, RF_LIBC_STOP_SIGNAL, nullptr, action, 8), 0);
  return action[0];
}

// A search with one other thread, to which no signal comes.
std::string stopped_where_signals_fail_with(int error, size_t *count) {
  std::atomic<bool> ends{false};
  std::thread other([&ends] {
    while (!ends) {
      std::this_thread::yield();
    }
  });
  rf_stopped_thread places[8] = {};
  rf_stopped stopped = {places, 8, 0};
  refusal = error;
  const char *const why = rf_stop_the_world(&stopped, 200);
  refusal = 0;
  if (why == nullptr) {
    rf_resume_the_world(&stopped);
  }
  *count = stopped.count;
  ends = true;
  other.join();
  return why == nullptr ? "" : why;
}

TEST(StopTheWorldAsking, AThreadThatIsGoneWhenItIsAskedIsNoneToWaitFor) {
  size_t count = 0;
  EXPECT_EQ(stopped_where_signals_fail_with(ESRCH, &count), "");
  EXPECT_EQ(count, 1U);
}

// No signal is on its way then.
TEST(StopTheWorldAsking, SaysWhereThereIsNoRoomForASignalAndLeavesItsActionAsItWas) {
  size_t count = 0;
  uintptr_t const before = handler_now();
  EXPECT_EQ(stopped_where_signals_fail_with(EAGAIN, &count),
            "the system has no room for the signal that stops a thread (ulimit -i)");
  EXPECT_EQ(handler_now(), before);
}

} // namespace
