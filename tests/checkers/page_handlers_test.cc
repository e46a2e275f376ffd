// rf_page and other handlers of the same signals: faults that are not about blocks, and what becomes of one that is.
#include "tests/checkers/found_on_purpose.h"
#include "tests/checkers/handler_stack.h"
#include "tests/checkers/page_handlers_fixture.h"

#include <ringfence/std.h>

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

extern "C" {
#include "checkers/os/timer_signals.h"
#include "checkers/page/page_impl.h"
}

namespace ringfence {
namespace {

TEST_F(PageHandlers, AFaultElsewhereEndsTheProcessAsEver) {
  EXPECT_EXIT(fault_elsewhere(), testing::KilledBySignal(SIGSEGV), "^$");
}

TEST_F(PageHandlers, ASignalThatWasSentEndsTheProcessAsEver) {
  EXPECT_EXIT(raise(SIGSEGV), testing::KilledBySignal(SIGSEGV), "^$");
  EXPECT_EXIT(kill(getpid(), SIGBUS), testing::KilledBySignal(SIGBUS), "^$");
}

TEST_F(PageHandlers, AnIgnoredSignalThatWasSentIsIgnored) {
  EXPECT_EXIT(
      {
        signal(SIGSEGV, SIG_IGN);
        rf_free(a(), rf_alloc(a(), 1));
        raise(SIGSEGV);
        _exit(3);
      },
      testing::ExitedWithCode(3), "^$");
}

sigjmp_buf back;
volatile sig_atomic_t handled;
const void *volatile handled_at;
volatile uintptr_t handled_in; // the handler's frame

void jump_back(int, siginfo_t *info, void *) {
  handled = handled + 1;
  handled_at = info->si_addr;
  handled_in = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  siglongjmp(back, 1);
}

void install(int flags) {
  struct sigaction action = {};
  action.sa_sigaction = jump_back;
  action.sa_flags = SA_SIGINFO | flags;
  ASSERT_EQ(sigaction(SIGSEGV, &action, nullptr), 0);
}

TEST_F(PageHandlers, TheProgramsOwnHandlerWorksAsOftenAsItIsNeeded) {
  struct sigaction before;
  sigaction(SIGSEGV, nullptr, &before);
  install(0);
  rf_free(a(), rf_alloc(a(), 1)); // which finds it
  unsigned char *const closed = closed_page();
  handled = 0;
  for (volatile int i = 0; i < 20; i = i + 1) {
    if (sigsetjmp(back, 1) == 0) {
      poke(closed + i, 1);
      FAIL() << "not reached";
    }
    EXPECT_EQ(handled_at, closed + i);
  }
  EXPECT_EQ(handled, 20);
  // And blocks are watched as before.
  unsigned char *const p = bytes(rf_alloc(a(), 8));
  rf_free(a(), p);
  poke(p, 1);
  EXPECT_EQ(handled, 20);
  EXPECT_EQ(take_one().bug, RF_BUG_USE_AFTER_FREE);
  sigaction(SIGSEGV, &before, nullptr);
}

void wrong_signal(int, siginfo_t *, void *) {
  _exit(77);
}

// Pages raise either signal, by the way that they were closed.
TEST_F(PageHandlers, AHandlerForOneOfTheTwoSignalsAloneIsFound) {
  for (int const signal : {SIGSEGV, SIGBUS}) {
    struct sigaction before;
    struct sigaction action = {};
    action.sa_sigaction = wrong_signal;
    action.sa_flags = SA_SIGINFO;
    ASSERT_EQ(sigaction(signal, &action, &before), 0);
    rf_free(a(), rf_alloc(a(), 1)); // which finds it
    struct sigaction now;
    ASSERT_EQ(sigaction(signal, nullptr, &now), 0);
    EXPECT_NE(now.sa_sigaction, wrong_signal) << signal;
    sigaction(signal, &before, nullptr);
  }
}

// The system does not let a fault be ignored.
TEST_F(PageHandlers, AFaultThatIsIgnoredEndsTheProcessAsEver) {
  EXPECT_EXIT(
      {
        signal(SIGSEGV, SIG_IGN);
        rf_free(a(), rf_alloc(a(), 1)); // which finds it
        alarm(50);
        fault_elsewhere();
      },
      testing::KilledBySignal(SIGSEGV), "^$");
}

// A program that puts it back again and again does not use up what stands before other handlers.
TEST_F(PageHandlers, TheSameStandsBeforeAHandlerEachTime) {
  struct sigaction before;
  sigaction(SIGSEGV, nullptr, &before);
  void (*first)(int, siginfo_t *, void *) = nullptr;
  for (int i = 0; i < 3; i++) {
    install(0);
    rf_free(a(), rf_alloc(a(), 1)); // which finds it
    struct sigaction now;
    ASSERT_EQ(sigaction(SIGSEGV, nullptr, &now), 0);
    EXPECT_NE(now.sa_sigaction, jump_back);
    first = first == nullptr ? now.sa_sigaction : first;
    EXPECT_EQ(now.sa_sigaction, first) << i;
  }
  sigaction(SIGSEGV, &before, nullptr);
}

TEST_F(PageHandlers, WithNothingIgnoredHandlersAreStillLookedFor) {
  struct sigaction before;
  sigaction(SIGSEGV, nullptr, &before);
  EXPECT_FALSE(rf_page_signals_ignore(true));
  install(0);
  rf_free(a(), rf_alloc(a(), 1));
  struct sigaction now;
  ASSERT_EQ(sigaction(SIGSEGV, nullptr, &now), 0);
  EXPECT_NE(now.sa_sigaction, jump_back);
  sigaction(SIGSEGV, &before, nullptr);
}

// Programs that switch stacks by themselves have handlers run where they are.
TEST_F(PageHandlers, RunOnAStackOfTheirOwnOrNotAsTheyAreTold) {
  rf_free(a(), rf_alloc(a(), 1));
  for (bool const use : {false, true, false, true}) {
    rf_page_signals_use_stack(use);
    for (int const number : {SIGSEGV, SIGBUS}) {
      struct sigaction now = {};
      ASSERT_EQ(sigaction(number, nullptr, &now), 0);
      EXPECT_EQ((now.sa_flags & SA_ONSTACK) != 0, use) << number;
      EXPECT_NE(now.sa_flags & SA_SIGINFO, 0);
    }
  }
}

bool lies_on(const HandlerStack &stack, uintptr_t address) {
  return address - reinterpret_cast<uintptr_t>(stack.start()) < stack.size();
}

// A collector of garbage looks for pointers from its handler's stack pointer up to the end of the thread's stack.
TEST_F(PageHandlers, AProgramsHandlerRunsOnTheStackThatItAskedFor) {
  HandlerStack const stack;
  struct sigaction before;
  sigaction(SIGSEGV, nullptr, &before);
  for (int const flag : {0, int{SA_ONSTACK}, 0}) {
    install(flag);
    rf_free(a(), rf_alloc(a(), 1)); // which finds it
    rf_page_signals_use_stack(false);
    rf_page_signals_use_stack(true);
    if (sigsetjmp(back, 1) == 0) {
      fault_elsewhere();
      FAIL() << "not reached";
    }
    EXPECT_EQ(lies_on(stack, handled_in), flag != 0);
  }
  sigaction(SIGSEGV, &before, nullptr);
}

TEST_F(PageHandlers, EachOfTheTwoSignalsGoesToItsOwnHandler) {
  for (int const number : {SIGSEGV, SIGBUS}) {
    EXPECT_EXIT(
        {
          signal(SIGSEGV, [](int signal) { _exit(signal == SIGSEGV ? 3 : 99); });
          signal(SIGBUS, [](int signal) { _exit(signal == SIGBUS ? 4 : 98); });
          rf_free(a(), rf_alloc(a(), 1)); // which finds them
          raise(number);
        },
        testing::ExitedWithCode(number == SIGSEGV ? 3 : 4), "^$");
  }
}

TEST_F(PageHandlers, OneOfTheTwoIsIgnoredAsBothAre) {
  for (int const number : {SIGSEGV, SIGBUS}) {
    struct sigaction before;
    sigaction(number, nullptr, &before);
    signal(number, SIG_IGN);
    rf_free(a(), rf_alloc(a(), 1)); // which finds it
    EXPECT_TRUE(rf_page_signals_ignore(false)) << number;
    sigaction(number, &before, nullptr);
  }
}

// For a program that comes by exec, and does not.
TEST_F(PageHandlers, WhatWasIgnoredForAWhileIsWatchedAgain) {
  struct sigaction before;
  struct sigaction now;
  sigaction(SIGSEGV, nullptr, &before);
  signal(SIGSEGV, SIG_IGN);
  rf_free(a(), rf_alloc(a(), 1)); // which finds it
  EXPECT_TRUE(rf_page_signals_ignore(true));
  ASSERT_EQ(sigaction(SIGSEGV, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_IGN);
  rf_page_signals_ignored();
  ASSERT_EQ(sigaction(SIGSEGV, nullptr, &now), 0);
  EXPECT_NE(now.sa_handler, SIG_IGN);
  sigaction(SIGSEGV, &before, nullptr);
}

TEST_F(PageHandlers, AHandlerThatCameBeforeTheyAreKeptIsFound) {
  struct sigaction before;
  struct sigaction now;
  sigaction(SIGSEGV, nullptr, &before);
  install(0);
  rf_page_signals_keep(true);
  ASSERT_EQ(sigaction(SIGSEGV, nullptr, &now), 0);
  EXPECT_NE(now.sa_sigaction, jump_back);
  rf_page_signals_keep(false);
  sigaction(SIGSEGV, &before, nullptr);
}

TEST_F(PageHandlers, TimersWaitForOurs) {
  rf_free(a(), rf_alloc(a(), 1));
  for (int const number : {SIGSEGV, SIGBUS}) {
    struct sigaction now = {};
    ASSERT_EQ(sigaction(number, nullptr, &now), 0);
    for (int const timer : rf_timer_signals) {
      EXPECT_TRUE(sigismember(&now.sa_mask, timer)) << number << " " << timer;
    }
    EXPECT_FALSE(sigismember(&now.sa_mask, SIGUSR1));
  }
}

// As without us, the program goes on with what its handler leaves.
TEST_F(PageHandlers, ErrnoIsTheProgramsBeforeAndAfterItsHandler) {
  static volatile int seen;
  struct sigaction before;
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int number, siginfo_t *info, void *context) {
    seen = errno;
    open_page(number, info, context);
    errno = 78;
  };
  ASSERT_EQ(sigaction(SIGSEGV, &action, &before), 0);
  unsigned char *const p = bytes(rf_alloc(a(), 8));
  errno = 77;
  rf_free(a(), p); // which finds the handler
  EXPECT_EQ(errno, 77);
  poke(p, 1);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(take_one().bug, RF_BUG_USE_AFTER_FREE);
  fault_elsewhere();
  EXPECT_EQ(seen, 77);
  EXPECT_EQ(errno, 78);
  sigaction(SIGSEGV, &before, nullptr);
}

// A freed block of an allocator that is made by default, in a process that it will end.
unsigned char *freed_by_default(size_t size) {
  static rf_std heap;
  static rf_page page;
  rf_std_init(&heap);
  rf_page_init(&page, &heap.base, nullptr);
  unsigned char *const p = bytes(rf_alloc(&page.base, size));
  rf_free(&page.base, p);
  return p;
}

#if defined(__x86_64__)

// A fault whose address the processor does not tell may be a handler that finds no stack: in the thread whose stack for
// handlers was freed.
TEST_F(PageHandlers, AnotherThreadsFreedStackIsNotTouchedByAFaultWithoutAnAddress) {
  unsigned char *const p = bytes(rf_alloc(a(), 64));
  rf_free(a(), p);
  std::thread([p] { rf_page_signals_stack_freed(reinterpret_cast<uintptr_t>(p + 64)); }).join();
  EXPECT_EXIT(poke(reinterpret_cast<unsigned char *>(uintptr_t{1} << 63), 1), testing::KilledBySignal(SIGSEGV), "^$");
  auto const in_this_thread = [] {
    rf_page_signals_stack_freed(reinterpret_cast<uintptr_t>(freed_by_default(64) + 64));
    poke(reinterpret_cast<unsigned char *>(uintptr_t{1} << 63), 1);
  };
  EXPECT_EXIT(in_this_thread(), testing::ExitedWithCode(RF_EXITCODE_DEFAULT), "heap-use-after-free");
}

#endif

TEST_F(PageHandlers, AHandlerThatIsToRunOnceRunsOnce) {
  EXPECT_EXIT(
      {
        install(static_cast<int>(SA_RESETHAND));
        rf_free(a(), rf_alloc(a(), 1));
        if (sigsetjmp(back, 1) == 0) {
          fault_elsewhere();
        }
        fault_elsewhere();
      },
      testing::KilledBySignal(SIGSEGV), "^$");
}

TEST_F(PageHandlers, AHandlerWithARecordThatIsToRunOnceRunsOnceForASignalThatIsSent) {
  EXPECT_EXIT(
      {
        struct sigaction action = {};
        action.sa_flags = SA_SIGINFO | static_cast<int>(SA_RESETHAND);
        action.sa_sigaction = [](int, siginfo_t *, void *) {};
        sigaction(SIGBUS, &action, nullptr);
        rf_free(a(), rf_alloc(a(), 1));
        raise(SIGBUS);
        raise(SIGBUS);
      },
      testing::KilledBySignal(SIGBUS), "^$");
}

// As the kernel has it: a handler's signal is blocked in it where its mask has it, or without SA_NODEFER.
TEST_F(PageHandlers, TheMaskOfTheProgramsHandlerIsInForce) {
  static volatile sig_atomic_t usr1;
  static volatile sig_atomic_t segv;
  struct sigaction before;
  sigaction(SIGSEGV, nullptr, &before);
  for (int const flags : {0, static_cast<int>(SA_NODEFER)}) {
    for (bool const named : {false, true}) {
      struct sigaction action = {};
      action.sa_flags = flags;
      sigemptyset(&action.sa_mask);
      sigaddset(&action.sa_mask, named ? SIGSEGV : SIGUSR1);
      action.sa_handler = [](int) {
        sigset_t now;
        pthread_sigmask(SIG_SETMASK, nullptr, &now);
        usr1 = sigismember(&now, SIGUSR1);
        segv = sigismember(&now, SIGSEGV);
        siglongjmp(back, 1);
      };
      sigaction(SIGSEGV, &action, nullptr);
      rf_free(a(), rf_alloc(a(), 1));
      if (sigsetjmp(back, 1) == 0) {
        fault_elsewhere();
      }
      EXPECT_EQ(usr1, named ? 0 : 1) << flags;
      EXPECT_EQ(segv, named || flags == 0 ? 1 : 0) << flags << " " << named;
    }
  }
  sigaction(SIGSEGV, &before, nullptr);
}

// Timers wait for our handler alone.
TEST_F(PageHandlers, TimersWaitInTheProgramsHandlerWhereItSaysSo) {
  static sigset_t now;
  struct sigaction before;
  sigset_t only;
  sigaction(SIGSEGV, nullptr, &before);
  struct sigaction action = {};
  action.sa_handler = [](int) {
    pthread_sigmask(SIG_SETMASK, nullptr, &now);
    siglongjmp(back, 1);
  };
  sigaddset(&action.sa_mask, SIGVTALRM);
  sigaction(SIGSEGV, &action, nullptr);
  sigemptyset(&only);
  sigaddset(&only, SIGPROF);
  pthread_sigmask(SIG_BLOCK, &only, nullptr);
  rf_free(a(), rf_alloc(a(), 1));
  if (sigsetjmp(back, 1) == 0) {
    fault_elsewhere();
  }
  EXPECT_FALSE(sigismember(&now, SIGALRM));
  EXPECT_TRUE(sigismember(&now, SIGVTALRM)) << "by its action";
  EXPECT_TRUE(sigismember(&now, SIGPROF)) << "as it was before";
  pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  sigaction(SIGSEGV, &before, nullptr);
}

void halt_at_fault() {
  (void)peek(freed_by_default(16));
  std::fputs("not reached\n", stderr);
}

TEST_F(PageHandlers, ByDefaultTheProcessEndsAtTheInstruction) {
  EXPECT_EXIT(halt_at_fault(), testing::ExitedWithCode(RF_EXITCODE_DEFAULT),
              "ERROR: Ringfence: heap-use-after-free on address.*\nREAD at .* by thread");
}

} // namespace
} // namespace ringfence
