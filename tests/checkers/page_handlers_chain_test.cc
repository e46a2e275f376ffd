// rf_page and handlers of the same signals that hand them on: to ours, which may stand before and behind them.
#include "tests/checkers/page_handlers_fixture.h"

#include <atomic>
#include <csignal>
#include <thread>
#include <unistd.h>

namespace ringfence {
namespace {

struct sigaction theirs;

// A handler that is not concerned and hands the signal to who was there before: us.
void not_mine(int number, siginfo_t *info, void *context) {
  theirs.sa_sigaction(number, info, context);
}

TEST_F(PageHandlers, HandlersThatCallEachOtherDoNotGoRoundInCircles) {
  EXPECT_EXIT(
      {
        struct sigaction action = {};
        action.sa_sigaction = not_mine;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGSEGV, &action, &theirs);
        rf_free(a(), rf_alloc(a(), 1));
        fault_elsewhere();
      },
      testing::KilledBySignal(SIGSEGV), "^$");
}

std::atomic<int> in_handlers;
bool alone; // nobody to wait for
thread_local int entered;
unsigned char *nested_page; // for a fault within the handler; nullptr: none

// Each of two threads, or one that has handled another fault meanwhile, hands its signal on while it handles it.
void hand_on(int number, siginfo_t *info, void *context) {
  if (nested_page != nullptr && info->si_addr == nested_page) {
    open_page(number, info, context);
    return;
  }
  if (entered++ != 0) {
    _exit(99); // its own signal came back
  }
  if (nested_page != nullptr) {
    poke(nested_page, 1);
    (void)!write(STDERR_FILENO, "opened", 6);
  } else {
    bool const waits = alone ? false : ++in_handlers == 2;
    while (waits || (!alone && in_handlers < 2)) { // the first one ends the process
      std::this_thread::yield();
    }
  }
  theirs.sa_sigaction(number, info, context);
}

// As a library does that is begun twice: the second time it finds ours, which stands in front of its own.
void install_twice(rf_allocator *a, void (*handler)(int, siginfo_t *, void *)) {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  for (int i = 0; i < 2; i++) {
    sigaction(SIGSEGV, &action, &theirs);
    rf_free(a, rf_alloc(a, 1)); // which finds it
  }
}

TEST_F(PageHandlers, OneThatWasInstalledTwiceDoesNotGoRoundInCircles) {
  EXPECT_EXIT(
      {
        install_twice(a(), hand_on);
        alone = true;
        fault_elsewhere();
      },
      testing::KilledBySignal(SIGSEGV), "^$");
}

TEST_F(PageHandlers, EachThreadKnowsWhatItHandsOn) {
  EXPECT_EXIT(
      {
        install_twice(a(), hand_on);
        alarm(60);
        std::thread first(fault_elsewhere); // handed on after the other one's has come
        while (in_handlers == 0) {
          std::this_thread::yield();
        }
        fault_elsewhere();
        first.join();
      },
      testing::KilledBySignal(SIGSEGV), "^$");
}

TEST_F(PageHandlers, WhatIsHandledWithinAHandlerIsForgottenThen) {
  EXPECT_EXIT(
      {
        nested_page = closed_page();
        install_twice(a(), hand_on);
        fault_elsewhere();
      },
      testing::KilledBySignal(SIGSEGV), "^opened$");
}

} // namespace
} // namespace ringfence
