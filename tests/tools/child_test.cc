// The end of the command as its program ended: no core of it, whatever the system does with cores.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define _Noreturn [[noreturn]]
extern "C" {
#include "tools/ringfence/run/child.h"
}
#undef _Noreturn

namespace {

int said = -1; // the end of a pipe

} // namespace

// The linker puts this in front of the C library's.
extern "C" {
int __wrap_prctl(int option, ...);

int __wrap_prctl(int option, ...) {
  rlimit limit = {};
  va_list list;
  va_start(list, option);
  unsigned long const value = va_arg(list, unsigned long);
  va_end(list);
  bool const limited = getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0;
  if (option == PR_SET_DUMPABLE && value == 0 && limited) {
    (void)!write(said, "no core, ", 9);
  }
  return 0;
}
}

namespace {

// How a process ends that ends so, and what it asked for before.
std::string end_alike(int wait_status, bool blocked = false) {
  int ends[2];
  char text[100] = "";
  EXPECT_EQ(pipe(ends), 0);
  (void)std::fflush(nullptr);
  pid_t const child = fork();
  if (child == 0) {
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &all, nullptr);
    (void)signal(SIGTERM, SIG_IGN);
    rlimit limit = {};
    (void)getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_CORE, &limit);
    said = ends[1];
    rf_child_exit_alike(wait_status);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  (void)close(ends[1]);
  (void)!read(ends[0], text, sizeof text - 1);
  (void)close(ends[0]);
  return std::string(text) + (WIFEXITED(status) ? "status " + std::to_string(WEXITSTATUS(status))
                                                : "signal " + std::to_string(WTERMSIG(status)));
}

TEST(EndAlike, BySignalsLeavesNoCoreWhereLimitsDoNotHold) {
  for (int const number : {SIGSEGV, SIGABRT, SIGTERM, SIGKILL}) {
    for (bool const blocked : {false, true}) {
      EXPECT_EQ(end_alike(number, blocked), "no core, signal " + std::to_string(number)) << blocked;
    }
  }
}

// A child that reports a core of its own has one more bit in its status.
TEST(EndAlike, IsBySignalWhetherTheProgramLeftACoreOrNot) {
  EXPECT_EQ(end_alike(SIGQUIT | 0x80), "no core, signal " + std::to_string(SIGQUIT));
}

TEST(EndAlike, HasTheExitStatus) {
  for (int const status : {0, 1, 77, 255}) {
    EXPECT_EQ(end_alike(status << 8), "status " + std::to_string(status));
  }
}

} // namespace
