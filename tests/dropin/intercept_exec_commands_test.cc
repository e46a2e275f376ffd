// Commands of a shell, run by system and popen (checkers/dropin/process/intercept_exec.c).
#include "tests/dropin/intercept_exec_world.h"

#include <cstdlib>
#include <pthread.h>

namespace ringfence_test {
namespace {

TEST_F(InterceptExec, ACommandIsTheCLibrarysToRun) {
  world.status = 7 << 8;
  int status = 0;
  EXPECT_EQ(calls_of([&] { status = system("c"); }), (Calls{"reserve stack", "find /bin/sh [M=0 M=1]", "system c"}));
  EXPECT_EQ(status, 7 << 8);
  EXPECT_EQ(calls_of([&] { status = system(nullptr); }), Calls{"system none"}) << "is there a shell?";
  world.unchecked = "static";
  EXPECT_EQ(calls_of([&] { status = system("c"); }),
            (Calls{"reserve stack", "find /bin/sh [M=0 M=1]", "reserve stack", "find /bin/sh [M=0 M=1]",
                   "unchecked 4711 /bin/sh static", "system c"}));
}

TEST_F(InterceptExec, ACommandThatTheSystemCouldNotReadIsLookedAt) {
  auto const looked = [] { return has(calls_of([] { (void)system("c"); }), "look at [c]"); };
  world.status = 127 << 8;
  EXPECT_FALSE(looked());
  watch();
  EXPECT_TRUE(looked()) << "the shell did not begin";
  world.status = 1 << 8;
  EXPECT_FALSE(looked());
  world.status = -1;
  world.error = EFAULT;
  EXPECT_TRUE(looked());
  world.error = EAGAIN;
  EXPECT_FALSE(looked());
  EXPECT_TRUE(has(calls_of([] { (void)popen("c", "r"); }), "look at [c]"));
  world.stream = stdin;
  EXPECT_FALSE(has(calls_of([] { (void)popen("c", "r"); }), "look at [c]"));
  world.stream = nullptr;
  rf_guarded_blocks.store = nullptr;
  EXPECT_FALSE(has(calls_of([] { (void)popen("c", "r"); }), "look at [c]"));
}

TEST_F(InterceptExec, AStreamOfACommandHasTheLibraryThatItsShellNeeds) {
  world.stream = stdin;
  FILE *stream = nullptr;
  EXPECT_EQ(calls_of([&] { stream = popen("c", "r"); }),
            (Calls{"reserve stack", "find /bin/sh [M=0 M=1]", "popen c r [M=0 M=1]"}));
  EXPECT_EQ(stream, stdin);
  world.other_preload = true;
  EXPECT_TRUE(has(calls_of([&] { stream = popen("c", "w"); }), "popen c w [M=0 LD_PRELOAD=other]"));
  EXPECT_EQ(stream, stdin);
  EXPECT_EQ(environ, mine) << "for that moment alone";
}

std::string numbered(const char *word, int number) {
  return word + (" " + std::to_string(number));
}

// As POSIX has it: SIGINT and SIGQUIT are ignored, SIGCHLD waits, and the shell begins with what was before.
TEST_F(InterceptExec, ACommandWhoseShellNeedsAnotherLibraryRunsAsBySystem) {
  sigset_t one;
  sigset_t now;
  sigemptyset(&one);
  sigaddset(&one, SIGUSR1);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &one, nullptr), 0);
  world.other_preload = true;
  world.error = 0;
  world.status = 3 << 8;
  world.waits = {"interrupted", "done"};
  world.ignored[1] = true;
  int status = 0;
  Calls const all = calls_of([&] { status = system("c"); });
  EXPECT_EQ(all,
            (Calls{"reserve stack", "find /bin/sh [M=0 M=1]", numbered("ignore", SIGINT), numbered("ignore", SIGQUIT),
                   "find /bin/sh [M=0 M=1]", "posix_spawn /bin/sh [sh -c c] [M=0 LD_PRELOAD=other]",
                   numbered("mask", SIGUSR1) + numbered(" defaults", SIGINT), "wait 4712 interrupted", "wait 4712 done",
                   numbered("restore", SIGINT), numbered("ignore", SIGQUIT)}));
  EXPECT_EQ(status, 3 << 8);
  EXPECT_EQ(sigismember(&world.mask_meanwhile, SIGCHLD), 1);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &now), 0);
  EXPECT_EQ(sigismember(&now, SIGCHLD), 0);
  EXPECT_EQ(sigismember(&now, SIGUSR1), 1);
  sigemptyset(&one);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &one, nullptr), 0);
  world.waits = {"none"};
  EXPECT_EQ(system("c"), -1);
  EXPECT_EQ(errno, ECHILD);
  world.error = EAGAIN;
  errno = 0;
  Calls const failed = calls_of([&] { status = system("c"); });
  EXPECT_EQ(status, -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(failed.back(), numbered("ignore", SIGQUIT)) << "handlers are put back";
}

} // namespace
} // namespace ringfence_test
