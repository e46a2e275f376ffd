// Signals of the process (checkers/dropin/runtime/signals.c), beside what signal_masks_test has: who is told of a stack
// for handlers, faults that are held, and calls that a sandbox forbids. Who is told is this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/signals.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/page/page_store.h"
void __wrap_rf_page_signals_stack_freed(uintptr_t end);
void __wrap_rf_page_signals_use_stack(bool uses);
void __wrap_rf_page_give_stack(void);
}
#undef _Static_assert

#include "tests/dropin/alone.h"
#include "tests/dropin/signal_set.h"

#include <cerrno>
#include <csignal>
#include <gtest/gtest.h>
#include <pthread.h>
#include <string>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

Calls calls;

} // namespace

extern "C" {

void __wrap_rf_page_signals_stack_freed(uintptr_t end) {
  calls.push_back("freed up to " + std::to_string(end));
}
void __wrap_rf_page_signals_use_stack(bool uses) {
  calls.emplace_back(uses ? "use a stack" : "use no stack");
}
void __wrap_rf_page_give_stack() {
  calls.emplace_back("give a stack");
}
int __wrap_raise(int number) {
  calls.push_back("raise " + std::to_string(number));
  return 0;
}
int __wrap_kill(pid_t process, int number) {
  calls.push_back((process == getpid() ? "kill this by " : "kill another by ") + std::to_string(number));
  return 0;
}
}

namespace ringfence_test {
namespace {

std::string text_of(const sigset_t &set) {
  return std::string(sigismember(&set, SIGSEGV) == 1 ? "segv " : "") + (sigismember(&set, SIGBUS) == 1 ? "bus " : "") +
         (sigismember(&set, SIGUSR1) == 1 ? "usr1 " : "");
}

// As the program believes it to be, and as it is.
std::string mask() {
  sigset_t now;
  EXPECT_EQ(rf_signals_mask(SIG_BLOCK, nullptr, &now, true), 0);
  return text_of(now);
}

std::string true_mask() {
  sigset_t now;
  EXPECT_EQ(rf_signals_mask_truly(SIG_BLOCK, nullptr, &now), 0);
  return text_of(now);
}

void block_truly(std::initializer_list<int> numbers) {
  sigset_t const set = set_of(numbers);
  EXPECT_EQ(rf_signals_mask_truly(SIG_BLOCK, &set, nullptr), 0);
}

TEST(Signals, ThoseOfPagesAreToldOfAStackThatWasFreed) {
  alone([] {
    rf_signals_note_stack(1000, 2000);
    EXPECT_EQ(calls, Calls{"freed up to 0"}) << "a new one is not";
    calls.clear();
    rf_signals_freed(2000, 10);
    EXPECT_EQ(calls, Calls());
    rf_signals_freed(1500, 10);
    EXPECT_EQ(calls, (Calls{"freed up to 2000", "use no stack"}));
  });
}

// ---- Faults stay open ----

TEST(Signals, AFaultIsHeldOnlyWhereFaultsAreToldByUs) {
  alone([] {
    block_truly({SIGSEGV, SIGUSR1});
    rf_signals_begin_thread();
    EXPECT_EQ(calls, Calls()) << "not yet";
    EXPECT_EQ(true_mask(), "segv usr1 ");
    rf_signals_keep_faults_open();
    EXPECT_EQ(calls, Calls{"give a stack"});
    EXPECT_EQ(true_mask(), "usr1 ");
    EXPECT_EQ(mask(), "segv usr1 ");
  });
}

TEST(Signals, NoOtherSignalIsHeld) {
  alone([] {
    block_truly({SIGSEGV, SIGUSR1});
    rf_signals_keep_faults_open();
    sigset_t const usr1 = set_of({SIGUSR1});
    EXPECT_EQ(rf_signals_mask(SIG_UNBLOCK, &usr1, nullptr, true), 0);
    EXPECT_EQ(mask(), "segv ");
  });
}

TEST(Signals, WhatIsHeldStaysSoWhereFaultsAreOpenedAgain) {
  alone([] {
    sigset_t const segv = set_of({SIGSEGV});
    rf_signals_keep_faults_open();
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &segv, nullptr, true), 0);
    block_truly({SIGBUS});
    rf_signals_open_faults();
    EXPECT_EQ(mask(), "segv bus ");
    EXPECT_EQ(true_mask(), "");
  });
}

// Each way to change the mask, where two faults are held, or one.
TEST(Signals, WhatIsHeldFollowsTheProgramsMask) {
  struct {
    int how;
    bool both;
    const char *before;
    const char *after;
  } const cases[] = {
      {SIG_BLOCK, false, "bus ", "segv bus "},    {SIG_BLOCK, true, "", "segv bus "},
      {SIG_UNBLOCK, false, "segv bus ", "bus "},  {SIG_UNBLOCK, true, "segv bus ", ""},
      {SIG_SETMASK, false, "segv bus ", "segv "}, {SIG_SETMASK, false, "bus ", "segv "},
  };
  for (auto const &each : cases) {
    alone([&each] {
      std::string const before = each.before;
      sigset_t first = set_of({});
      if (before.find("segv") != std::string::npos) {
        (void)sigaddset(&first, SIGSEGV);
      }
      if (before.find("bus") != std::string::npos) {
        (void)sigaddset(&first, SIGBUS);
      }
      sigset_t const set = each.both ? set_of({SIGSEGV, SIGBUS}) : set_of({SIGSEGV});
      sigset_t old;
      rf_signals_keep_faults_open();
      EXPECT_EQ(rf_signals_mask(SIG_SETMASK, &first, nullptr, true), 0);
      EXPECT_EQ(rf_signals_mask(each.how, &set, &old, true), 0);
      EXPECT_EQ(text_of(old), before);
      EXPECT_EQ(mask(), each.after) << each.how;
      EXPECT_EQ(true_mask(), "");
    });
  }
}

int came;
bool was_held;

void ask_whether_held(int, siginfo_t *info, void *context) {
  came++;
  was_held = rf_signals_hold(info, context);
}

// A fault that was sent, and waits, comes within the call that lets it: what is held is then as after the call.
TEST(Signals, AFaultThatWaitsComesToWhatIsHeldThen) {
  struct {
    const char *what;
    int how;
    bool held;
  } const cases[] = {{"it was blocked before", -1, true},
                     {"it is blocked once more", SIG_SETMASK, true},
                     {"it is opened", SIG_UNBLOCK, false}};
  for (auto const &each : cases) {
    alone([&each] {
      sigset_t const segv = set_of({SIGSEGV});
      struct sigaction action = {};
      action.sa_sigaction = ask_whether_held;
      action.sa_flags = SA_SIGINFO;
      EXPECT_EQ(sigaction(SIGSEGV, &action, nullptr), 0);
      if (each.how != -1) {
        rf_signals_keep_faults_open();
      }
      if (each.how == SIG_UNBLOCK) {
        EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &segv, nullptr, true), 0);
      }
      block_truly({SIGSEGV}); // as one that is held, when its handler has returned
      EXPECT_EQ(pthread_kill(pthread_self(), SIGSEGV), 0);
      EXPECT_EQ(came, 0) << each.what;
      if (each.how == -1) {
        rf_signals_keep_faults_open();
      } else {
        EXPECT_EQ(rf_signals_mask(each.how, &segv, nullptr, true), 0);
      }
      EXPECT_EQ(came, 1) << each.what;
      EXPECT_EQ(was_held, each.held) << each.what;
    });
  }
}

// A thread that is created meanwhile believes the same.
TEST(Signals, WhatIsHeldIsBlockedInTruthForAWhile) {
  alone([] {
    sigset_t const segv = set_of({SIGSEGV});
    rf_signals_keep_faults_open();
    EXPECT_FALSE(rf_signals_block_held()) << "nothing is held";
    rf_signals_open_held();
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &segv, nullptr, true), 0);
    for (int round = 0; round < 2; round++) {
      EXPECT_TRUE(rf_signals_block_held());
      EXPECT_EQ(true_mask(), "segv ");
      rf_signals_open_faults();
      EXPECT_EQ(true_mask(), "segv ") << "not yet";
      rf_signals_open_held();
      EXPECT_EQ(true_mask(), "");
      EXPECT_EQ(mask(), "segv ");
    }
  });
}

TEST(Signals, FaultsThatAreNotOursAreTheProgramsToBlock) {
  alone([] {
    sigset_t const segv = set_of({SIGSEGV});
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &segv, nullptr, true), 0);
    EXPECT_EQ(true_mask(), "segv ") << "nobody keeps them open";
    EXPECT_EQ(rf_signals_mask(SIG_UNBLOCK, &segv, nullptr, true), 0);
    rf_signals_keep_faults_open();
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &segv, nullptr, false), 0);
    EXPECT_EQ(true_mask(), "segv ") << "it comes to another";
    EXPECT_EQ(rf_signals_mask(SIG_UNBLOCK, &segv, nullptr, false), 0);
    EXPECT_EQ(true_mask(), "");
  });
}

TEST(Signals, ACallThatFailsChangesNothing) {
  alone([] {
    sigset_t const segv = set_of({SIGSEGV});
    sigset_t old = set_of({SIGUSR1});
    sigset_t const bus = set_of({SIGBUS});
    rf_signals_keep_faults_open();
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &bus, nullptr, true), 0);
    errno = 12;
    EXPECT_EQ(rf_signals_mask(77, &segv, &old, true), EINVAL);
    EXPECT_EQ(text_of(old), "usr1 ");
    EXPECT_EQ(errno, 12) << "the error is the result";
    EXPECT_EQ(mask(), "bus ");
  });
}

// To the same thread, or to any of the process's.
TEST(Signals, AFaultThatWasSentIsSentAgainAsItWas) {
  alone([] {
    siginfo_t info = {};
    ucontext_t context = {};
    sigset_t const segv = set_of({SIGSEGV});
    (void)sigemptyset(&context.uc_sigmask);
    info.si_signo = SIGSEGV;
    rf_signals_keep_faults_open();
    calls.clear();
    EXPECT_FALSE(rf_signals_hold(&info, &context)) << "it is not held";
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &segv, nullptr, true), 0);
    for (int const code : {SI_TKILL, SI_USER, SI_QUEUE}) {
      calls.clear();
      info.si_code = code;
      EXPECT_TRUE(rf_signals_hold(&info, &context));
      EXPECT_EQ(calls, Calls{(code == SI_TKILL ? "raise " : "kill this by ") + std::to_string(SIGSEGV)});
      EXPECT_EQ(sigismember(&context.uc_sigmask, SIGSEGV), 1);
    }
    info.si_signo = SIGBUS;
    EXPECT_FALSE(rf_signals_hold(&info, &context));
    EXPECT_EQ(sigismember(&context.uc_sigmask, SIGBUS), 0);
  });
}

TEST(Signals, WhereTheMaskMayNotBeAskedForNothingIsBlocked) {
  alone([] {
    sigset_t const segv = set_of({SIGSEGV});
    sigset_t old = set_of({SIGUSR1, SIGBUS});
    rf_signals_keep_faults_open();
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &segv, nullptr, true), 0);
    rf_forbid(RF_CALL_SIGNAL_MASK);
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, nullptr, &old, true), EPERM);
    EXPECT_EQ(text_of(old), "");
    EXPECT_EQ(rf_signals_mask_truly(SIG_BLOCK, &segv, nullptr), EPERM);
    rf_signals_open_faults(); // asks nobody
  });
}

// ---- At the end of the process ----

volatile sig_atomic_t handled;

void count(int) {
  handled++;
}

void handle(int number) {
  struct sigaction action = {};
  action.sa_handler = count;
  EXPECT_EQ(sigaction(number, &action, nullptr), 0);
  rf_signals_note_handler(number, true);
}

void send(int number) {
  EXPECT_EQ(pthread_kill(pthread_self(), number), 0);
}

TEST(Signals, ThoseThatTheProgramHandlesWaitAtTheEndAndAreForgottenOrNot) {
  for (bool const drop : {true, false}) {
    alone([=] {
      sigset_t before;
      EXPECT_FALSE(rf_signals_block_handled(&before)) << "it handles none";
      handle(SIGUSR1);
      handle(SIGTERM);
      errno = 77;
      ASSERT_TRUE(rf_signals_block_handled(&before));
      EXPECT_EQ(text_of(before), "");
      EXPECT_EQ(true_mask(), "usr1 ");
      send(SIGUSR1);
      send(SIGTERM);
      EXPECT_EQ(handled, 0);
      rf_signals_open_handled(&before, drop);
      EXPECT_EQ(errno, 77);
      EXPECT_EQ(handled, drop ? 0 : 2);
      EXPECT_EQ(true_mask(), "");
      send(SIGUSR1);
      EXPECT_EQ(handled, drop ? 1 : 3);
    });
  }
}

TEST(Signals, ThoseThatTheProgramBlocksItselfWaitOnAfterTheEnd) {
  alone([] {
    sigset_t before;
    handle(SIGUSR1);
    handle(SIGUSR2);
    block_truly({SIGUSR1});
    send(SIGUSR1);
    ASSERT_TRUE(rf_signals_block_handled(&before));
    send(SIGUSR2);
    rf_signals_open_handled(&before, true);
    EXPECT_EQ(handled, 0);
    EXPECT_EQ(true_mask(), "usr1 ");
    sigset_t const usr1 = set_of({SIGUSR1});
    EXPECT_EQ(rf_signals_mask_truly(SIG_UNBLOCK, &usr1, nullptr), 0);
    EXPECT_EQ(handled, 1);
  });
}

TEST(Signals, ThoseWithoutAHandlerAndThoseOfTheThreadsOwnCodeComeAtTheEnd) {
  alone([] {
    sigset_t before;
    for (int const own : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS, 0, -1, NSIG}) {
      rf_signals_note_handler(own, true);
    }
    EXPECT_FALSE(rf_signals_block_handled(&before));
    rf_signals_note_handler(SIGUSR1, true);
    rf_signals_note_handler(SIGUSR2, true);
    rf_signals_note_handler(SIGUSR1, false); // the default again
    ASSERT_TRUE(rf_signals_block_handled(&before));
    EXPECT_EQ(true_mask(), "");
    rf_signals_note_handler(SIGUSR2, false);
    rf_signals_open_handled(&before, true);
    EXPECT_FALSE(rf_signals_block_handled(&before));
  });
}

TEST(Signals, OneThatCameWithARefusedWriteAndCouldNotBeTakenStaysBlockedAtTheEnd) {
  alone([] {
    sigset_t before;
    handle(SIGUSR1);
    ASSERT_TRUE(rf_signals_block_handled(&before));
    block_truly({SIGUSR1, SIGPIPE, SIGXFSZ}); // as the writer leaves them
    send(SIGXFSZ);
    rf_signals_open_handled(&before, true);
    sigset_t now;
    EXPECT_EQ(rf_signals_mask_truly(SIG_BLOCK, nullptr, &now), 0);
    EXPECT_EQ(sigismember(&now, SIGXFSZ), 1);
    EXPECT_EQ(sigismember(&now, SIGPIPE), 1);
    EXPECT_EQ(sigismember(&now, SIGUSR1), 0);
  });
  alone([] { // one that the program handles comes
    sigset_t before;
    handle(SIGXFSZ);
    ASSERT_TRUE(rf_signals_block_handled(&before));
    send(SIGXFSZ);
    rf_signals_open_handled(&before, false);
    EXPECT_EQ(handled, 1);
  });
}

TEST(Signals, WhereCallsAreForbiddenNothingWaitsOrNothingIsForgotten) {
  alone([] {
    sigset_t before;
    handle(SIGUSR1);
    ASSERT_TRUE(rf_signals_block_handled(&before));
    send(SIGUSR1);
    rf_forbid(RF_CALL_PENDING);
    rf_signals_open_handled(&before, true);
    EXPECT_EQ(handled, 1);
    rf_forbid(RF_CALL_SIGNAL_MASK);
    EXPECT_FALSE(rf_signals_block_handled(&before));
    send(SIGUSR1);
    EXPECT_EQ(handled, 2);
  });
}

} // namespace
} // namespace ringfence_test
