// Limits of a child that reads others' files (tools/service/exchange/child_limits.c).
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/service/exchange/child_limits.h"

namespace {

// The limits as one word each, in a child that had all signals blocked.
std::string limits_of(unsigned seconds, unsigned gib) {
  int ends[2];
  char text[256];
  EXPECT_EQ(pipe(ends), 0);
  pid_t const child = fork();
  if (child == 0) {
    sigset_t all;
    rlimit time{};
    rlimit memory{};
    rlimit file{};
    int death = 0;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, nullptr);
    rf_child_limit(seconds, gib);
    (void)sigprocmask(SIG_SETMASK, nullptr, &all);
    (void)getrlimit(RLIMIT_CPU, &time);
    (void)getrlimit(RLIMIT_AS, &memory);
    (void)getrlimit(RLIMIT_FSIZE, &file);
    (void)prctl(PR_GET_PDEATHSIG, &death);
    int const length = std::snprintf(
        text, sizeof text, "alarm %u processor %llu %llu memory %llu %llu file %llu %llu parent %d blocked %d",
        alarm(0), static_cast<unsigned long long>(time.rlim_cur), static_cast<unsigned long long>(time.rlim_max),
        static_cast<unsigned long long>(memory.rlim_cur >> 30), static_cast<unsigned long long>(memory.rlim_max >> 30),
        static_cast<unsigned long long>(file.rlim_cur >> 30), static_cast<unsigned long long>(file.rlim_max >> 30),
        death, sigismember(&all, SIGTERM) + sigismember(&all, SIGALRM) + sigismember(&all, SIGXCPU));
    _exit(write(ends[1], text, static_cast<size_t>(length)) == length ? 0 : 1);
  }
  (void)close(ends[1]);
  ssize_t const got = read(ends[0], text, sizeof text);
  (void)close(ends[0]);
  (void)waitpid(child, nullptr, 0);
  return {text, got > 0 ? static_cast<size_t>(got) : 0};
}

TEST(ChildLimits, AreOfTimeMemoryAndFilesAndOfTheParentsLife) {
  std::string const rest = " file 4 4 parent " + std::to_string(SIGKILL) + " blocked 0";
  EXPECT_EQ(limits_of(7, 2), "alarm 7 processor 7 7 memory 2 2" + rest);
  EXPECT_EQ(limits_of(120, 4), "alarm 120 processor 120 120 memory 4 4" + rest);
}

} // namespace
