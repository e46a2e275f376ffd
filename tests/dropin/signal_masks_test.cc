// Signals under the drop-in (checkers/dropin/runtime/signals.c): handlers that the program does not see, faults that
// stay open though the program blocks them, a stack for handlers that was freed.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/signals.h"
}
#undef _Static_assert

#include "tests/dropin/alone.h"
#include "tests/dropin/signal_set.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

namespace ringfence {
namespace {

using ringfence_test::alone;
using ringfence_test::set_of;

void nothing(int) {}
void something(int, siginfo_t *, void *) {}

TEST(DropinSignals, AreInstalledWhereTheDefaultIsInPlace) {
  alone([] {
    struct sigaction action {};
    struct sigaction now {};
    action.sa_handler = nothing;
    EXPECT_EQ(rf_handler_of(SIGUSR1), nullptr);
    rf_signals_install(SIGUSR1, &action, true);
    ASSERT_NE(rf_handler_of(SIGUSR1), nullptr);
    EXPECT_TRUE(rf_handler_of(SIGUSR1)->again);
    EXPECT_EQ(rf_handler_of(SIGUSR1)->action.sa_handler, &nothing);
    EXPECT_EQ(sigaction(SIGUSR1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, &nothing);
    rf_signals_install(1, &action, false); // the lowest number
    ASSERT_NE(rf_handler_of(1), nullptr);
    EXPECT_FALSE(rf_handler_of(1)->again);

    struct sigaction own {};
    own.sa_handler = SIG_IGN;
    EXPECT_EQ(sigaction(SIGUSR2, &own, nullptr), 0);
    rf_signals_install(SIGUSR2, &action, true);
    EXPECT_EQ(rf_handler_of(SIGUSR2), nullptr);
    EXPECT_EQ(sigaction(SIGUSR2, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, SIG_IGN);
    rf_signals_install(SIGKILL, &action, true); // the system refuses
    for (int const number : {-1, 0, static_cast<int>(SIGKILL), NSIG, NSIG + 1000}) {
      EXPECT_EQ(rf_handler_of(number), nullptr) << number;
    }
  });
}

TEST(DropinSignals, KnowTheDefaultAction) {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  EXPECT_TRUE(rf_signal_is_default(&action));
  action.sa_handler = SIG_IGN;
  EXPECT_FALSE(rf_signal_is_default(&action));
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = something;
  EXPECT_FALSE(rf_signal_is_default(&action));
  action.sa_flags = SA_RESTART;
  action.sa_handler = SIG_DFL;
  EXPECT_TRUE(rf_signal_is_default(&action));
}

// The system looks at the handler alone.
TEST(DropinSignals, AHandlerOfThreeArgumentsThatIsNoneIsTheDefaultAction) {
  pid_t const child = fork();
  if (child == 0) {
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = nullptr;
    bool const known = rf_signal_is_default(&action);
    (void)sigaction(SIGUSR1, &action, nullptr);
    (void)raise(known ? SIGUSR1 : SIGKILL);
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGUSR1);
}

// A block that is freed takes the stack with it where the two have a byte in common.
TEST(DropinSignals, KnowThatTheirStackWasFreed) {
  struct Freed {
    uintptr_t start, end;
    bool is_stack;
  };
  const Freed kFreed[] = {{1000, 2000, true}, {900, 2100, true},  {1100, 1200, true},  {900, 1001, true},
                          {1999, 2100, true}, {900, 1000, false}, {2000, 2100, false}, {1000, 1000, false}};
  for (const Freed &freed : kFreed) {
    alone([&] {
      rf_signals_freed(freed.start, freed.end - freed.start);
      EXPECT_FALSE(rf_signals_stack_was_freed()) << "it has none";
      rf_signals_note_stack(1000, 2000);
      rf_signals_freed(freed.start, freed.end - freed.start);
      EXPECT_EQ(rf_signals_stack_was_freed(), freed.is_stack) << freed.start << "-" << freed.end;
    });
  }
}

// As the program believes it to be.
std::string mask() {
  sigset_t now;
  EXPECT_EQ(rf_signals_mask(SIG_BLOCK, nullptr, &now, true), 0);
  return std::string(sigismember(&now, SIGSEGV) == 1 ? "segv " : "") + (sigismember(&now, SIGBUS) == 1 ? "bus " : "") +
         (sigismember(&now, SIGUSR1) == 1 ? "usr1 " : "");
}

std::string true_mask() {
  sigset_t now;
  EXPECT_EQ(rf_signals_mask_truly(SIG_BLOCK, nullptr, &now), 0);
  return std::string(sigismember(&now, SIGSEGV) == 1 ? "segv " : "") + (sigismember(&now, SIGBUS) == 1 ? "bus " : "") +
         (sigismember(&now, SIGUSR1) == 1 ? "usr1 " : "");
}

TEST(DropinSignals, FaultsThatTheProgramBlocksStayOpen) {
  alone([] {
    sigset_t const all = set_of({SIGSEGV, SIGBUS, SIGUSR1});
    sigset_t const segv = set_of({SIGSEGV});
    sigset_t const bus = set_of({SIGBUS});
    sigset_t old;
    rf_signals_keep_faults_open();
    EXPECT_EQ(mask(), "");
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &segv, nullptr, true), 0);
    EXPECT_EQ(mask(), "segv ");
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &all, &old, true), 0);
    EXPECT_EQ(sigismember(&old, SIGSEGV), 1);
    EXPECT_EQ(sigismember(&old, SIGBUS), 0);
    EXPECT_EQ(mask(), "segv bus usr1 ");
    EXPECT_EQ(true_mask(), "usr1 ");
    EXPECT_EQ(rf_signals_mask(SIG_UNBLOCK, &segv, nullptr, true), 0);
    EXPECT_EQ(mask(), "bus usr1 ");
    EXPECT_EQ(rf_signals_mask(77, &all, &old, true), EINVAL);
    EXPECT_EQ(mask(), "bus usr1 ") << "a call that fails changes nothing";
    EXPECT_EQ(rf_signals_mask(SIG_SETMASK, &segv, nullptr, true), 0);
    EXPECT_EQ(mask(), "segv ");
    EXPECT_EQ(true_mask(), "");
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &bus, nullptr, false), 0);
    EXPECT_EQ(mask(), "segv bus ");
    EXPECT_EQ(true_mask(), "bus ") << "faults that are not ours to tell are the program's to block";
    EXPECT_EQ(rf_signals_mask(SIG_UNBLOCK, &all, nullptr, true), 0);
    EXPECT_EQ(mask(), "");
    EXPECT_EQ(true_mask(), "");
  });
}

TEST(DropinSignals, FaultsThatWereBlockedBeforeAreOpened) {
  alone([] {
    sigset_t const both = set_of({SIGSEGV, SIGUSR1});
    EXPECT_EQ(rf_signals_mask_truly(SIG_SETMASK, &both, nullptr), 0);
    rf_signals_keep_faults_open();
    EXPECT_EQ(mask(), "segv usr1 ");
    EXPECT_EQ(true_mask(), "usr1 ");
  });
}

// The C library's own signals, which its function would leave out of the set.
TEST(DropinSignals, ThoseOfTheCLibraryStayOpen) {
  alone([] {
    uint64_t word = uint64_t{0xF} << 30; // 31 to 34
    sigset_t set = set_of({});
    memcpy(&set, &word, sizeof word);
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &set, nullptr, true), 0);
    EXPECT_EQ(syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &word, sizeof word), 0);
    EXPECT_EQ(word, uint64_t{9} << 30);
  });
}

TEST(DropinSignals, FaultsAreTakenOutOfASetAndPutBack) {
  sigset_t set = set_of({SIGSEGV, SIGUSR1});
  rf_fault_set const taken = rf_signals_take_faults(&set);
  EXPECT_EQ(taken, rf_fault_set{1} << (SIGSEGV - 1));
  EXPECT_EQ(sigismember(&set, SIGSEGV), 0);
  EXPECT_EQ(sigismember(&set, SIGUSR1), 1);
  rf_signals_add_faults(&set, taken);
  EXPECT_EQ(sigismember(&set, SIGSEGV), 1);
  EXPECT_EQ(sigismember(&set, SIGBUS), 0);
}

// A fault that was sent while the program blocks it comes when it no longer does.
TEST(DropinSignals, AFaultThatWasSentIsHeldWhereTheProgramBlocksIt) {
  alone([] {
    siginfo_t info{};
    ucontext_t context;
    sigset_t pending;
    sigset_t const segv = set_of({SIGSEGV});
    rf_signals_keep_faults_open();
    info.si_signo = SIGSEGV;
    ASSERT_EQ(getcontext(&context), 0);
    EXPECT_FALSE(rf_signals_hold(&info, &context));
    EXPECT_EQ(sigismember(&context.uc_sigmask, SIGSEGV), 0);
    EXPECT_EQ(rf_signals_mask(SIG_BLOCK, &segv, nullptr, true), 0);
    EXPECT_EQ(rf_signals_mask_truly(SIG_BLOCK, &segv, nullptr), 0); // as while the handler runs
    EXPECT_TRUE(rf_signals_hold(&info, &context));
    EXPECT_EQ(sigismember(&context.uc_sigmask, SIGSEGV), 1);
    EXPECT_EQ(sigpending(&pending), 0);
    EXPECT_EQ(sigismember(&pending, SIGSEGV), 1);
  });
}

TEST(DropinSignals, LeaveAStackThatWasFreed) {
  alone([] {
    struct sigaction action {};
    struct sigaction now {};
    action.sa_handler = nothing;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    rf_signals_install(SIGUSR1, &action, true);
    rf_signals_install(SIGUSR2, &action, true);
    rf_signals_install(1, &action, true); // the lowest number
    struct sigaction own = action;
    own.sa_flags = SA_SIGINFO | SA_ONSTACK;
    own.sa_sigaction = something;
    EXPECT_EQ(sigaction(SIGUSR2, &own, nullptr), 0); // the program's, since
    rf_signals_note_stack(1000, 2000);
    rf_signals_freed(1000, 1000);
    EXPECT_EQ(sigaction(SIGUSR1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_flags & (SA_ONSTACK | SA_RESTART), SA_RESTART);
    EXPECT_EQ(now.sa_handler, &nothing);
    EXPECT_EQ(sigaction(1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_flags & (SA_ONSTACK | SA_RESTART), SA_RESTART);
    EXPECT_EQ(sigaction(SIGUSR2, nullptr, &now), 0);
    EXPECT_NE(now.sa_flags & SA_ONSTACK, 0);
    EXPECT_EQ(now.sa_sigaction, &something);
  });
}

} // namespace
} // namespace ringfence
