// Fakes for the tests of checkers/dropin/process/intercept_signal.c: the C library below, and who is told of changes.
#ifndef RINGFENCE_TESTS_DROPIN_INTERCEPT_SIGNAL_WORLD_H
#define RINGFENCE_TESTS_DROPIN_INTERCEPT_SIGNAL_WORLD_H

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/runtime/signals.h"
}
#undef _Static_assert

#include "tests/dropin/calls.h"

#include <csignal>
#include <cstdint>
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <pthread.h>
#include <vector>

namespace ringfence_test {

struct World {
  std::map<int, struct sigaction> actions; // in truth
  std::vector<bool> own_stacks;            // a small stack serves a handler of the program's
  rf_handler ours = {};
  int ours_for = 0;
  int error = 0;
  int mask_error = 0;
  uint64_t mask_asked = 0;  // of a change of the thread's mask
  uint64_t mask_before = 0; // the thread's mask, as a change of it tells
  uint64_t handled = 0;     // by the program, as the end is told
  bool comes_to_us = false; // as the mask was told
  bool holds = false;       // faults are open that the program believes to be blocked
  bool freed = false;
  uintptr_t start = 1;
  uintptr_t end = 1;
  stack_t stack = {};    // the thread's, in truth
  void *given = nullptr; // that of ours
  sighandler_t of_go = nullptr;
};

extern World world;
inline char the_store;

inline void program_handler(int) {}
inline void other_handler(int) {}
inline void our_handler(int, siginfo_t *, void *) {}
inline void front(int) {} // the page store's, in front of the program's

constexpr uint64_t bit(int number) {
  return uint64_t{1} << (number - 1);
}
constexpr uint64_t kFaults = bit(SIGSEGV) | bit(SIGBUS);

inline uint64_t word_of(const sigset_t &set) {
  uint64_t word;
  std::memcpy(&word, &set, sizeof word);
  return word;
}

inline void set_word(sigset_t *set, uint64_t word) {
  std::memcpy(set, &word, sizeof word);
}

inline struct sigaction action_of(sighandler_t handler, uint64_t mask = 0) {
  struct sigaction action = {};
  action.sa_handler = handler;
  set_word(&action.sa_mask, mask);
  return action;
}

class InterceptSignal : public RecordsCalls {
protected:
  InterceptSignal() {
    world = World();
    rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
    for (int const number : {SIGSEGV, SIGBUS, SIGTERM, SIGUSR1}) {
      set(number, action_of(SIG_DFL));
    }
    world = World();
    recorded.clear();
  }

  static void set(int number, const struct sigaction &action) {
    struct sigaction const copy = action;
    (void)sigaction(number, &copy, nullptr);
  }

  static struct sigaction get(int number) {
    struct sigaction old = {};
    EXPECT_EQ(sigaction(number, nullptr, &old), 0);
    return old;
  }

  static void be_ours(int number, bool again) {
    world.ours_for = number;
    world.ours.action = {};
    world.ours.action.sa_sigaction = our_handler;
    world.ours.action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    world.ours.installed = true;
    world.ours.again = again;
    world.actions[number] = world.ours.action;
  }

  // Whether faults come to us, as a call that changes the mask is told.
  static bool comes_to_us() {
    (void)pthread_sigmask(SIG_BLOCK, nullptr, nullptr);
    return world.comes_to_us;
  }
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_INTERCEPT_SIGNAL_WORLD_H
