// sigaction, signal and masks, as a program under the library sees them (checkers/dropin/process/intercept_signal.c).
#include "tests/dropin/intercept_signal_world.h"

#include <cerrno>
#include <csignal>
#include <gtest/gtest.h>
#include <pthread.h>
#include <string>

extern "C" {
int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_sigaction(int sig, const struct sigaction *act, struct sigaction *oact);
}

namespace ringfence_test {
namespace {

// ---- Handlers ----

TEST_F(InterceptSignal, OurHandlersAreTheDefaultToTheProgram) {
  be_ours(SIGTERM, true);
  EXPECT_EQ(get(SIGTERM).sa_handler, SIG_DFL);
  EXPECT_EQ(get(SIGTERM).sa_flags, 0);
  EXPECT_EQ(signal(SIGTERM, program_handler), SIG_DFL);
  EXPECT_EQ(world.actions[SIGTERM].sa_handler, program_handler);
  EXPECT_EQ(get(SIGTERM).sa_handler, program_handler);
  EXPECT_EQ(signal(SIGTERM, other_handler), program_handler);
  EXPECT_EQ(signal(SIGUSR1, other_handler), SIG_DFL);
  EXPECT_EQ(signal(SIGUSR1, SIG_DFL), other_handler);
}

TEST_F(InterceptSignal, TheDefaultIsOursAgainWhereWeSaidSo) {
  for (bool const again : {true, false}) {
    be_ours(SIGTERM, again);
    set(SIGTERM, action_of(program_handler));
    set(SIGTERM, action_of(SIG_DFL));
    EXPECT_EQ(world.actions[SIGTERM].sa_sigaction == our_handler, again);
    set(SIGTERM, action_of(SIG_IGN));
    EXPECT_EQ(world.actions[SIGTERM].sa_handler, SIG_IGN);
    EXPECT_EQ(signal(SIGTERM, SIG_DFL), SIG_IGN);
    EXPECT_EQ(world.actions[SIGTERM].sa_sigaction == our_handler, again);
    EXPECT_EQ((world.actions[SIGTERM].sa_flags & SA_ONSTACK) != 0, again) << "as it was installed";
  }
}

TEST_F(InterceptSignal, TheStoresHandlerIsTheProgramsBehindIt) {
  for (int const number : {SIGSEGV, SIGBUS}) {
    world.actions[number].sa_handler = front;
    EXPECT_EQ(get(number).sa_handler, program_handler);
    EXPECT_EQ(signal(number, other_handler), program_handler);
  }
  world.actions[SIGTERM].sa_handler = front;
  EXPECT_EQ(get(SIGTERM).sa_handler, front) << "no handler of faults";
}

TEST_F(InterceptSignal, ACallThatFailsChangesNothing) {
  world.error = EINVAL;
  struct sigaction const action = action_of(program_handler, kFaults);
  EXPECT_EQ(sigaction(SIGSEGV, &action, nullptr), -1);
  EXPECT_EQ(sigaction(SIGTERM, &action, nullptr), -1);
  EXPECT_EQ(signal(SIGTERM, program_handler), SIG_ERR);
  EXPECT_EQ(signal(SIGSEGV, SIG_ERR), SIG_ERR);
  world.error = 0;
  EXPECT_TRUE(recorded.empty());
  EXPECT_EQ(word_of(get(SIGTERM).sa_mask), 0U);
  rf_guarded_blocks.store = nullptr;
  EXPECT_TRUE(comes_to_us()) << "no handler of the program's";
}

TEST_F(InterceptSignal, ThoseWhoStandInFrontAreToldOfHandlersOfFaults) {
  Calls const told = {"signals changed", "handlers changed"};
  for (int const number : {SIGSEGV, SIGBUS}) {
    recorded.clear();
    set(number, action_of(program_handler));
    EXPECT_EQ(recorded, told);
    recorded.clear();
    (void)signal(number, program_handler);
    EXPECT_EQ(recorded, told);
    recorded.clear();
    (void)get(number);
    EXPECT_TRUE(recorded.empty());
  }
  set(SIGTERM, action_of(program_handler));
  EXPECT_TRUE(recorded.empty());
}

TEST_F(InterceptSignal, TheEndIsToldOfTheProgramsHandlers) {
  set(SIGTERM, action_of(program_handler));
  (void)signal(SIGUSR1, other_handler);
  EXPECT_EQ(world.handled, bit(SIGTERM) | bit(SIGUSR1));
  world.error = EINVAL;
  set(SIGTERM, action_of(SIG_DFL));
  (void)signal(SIGUSR1, SIG_IGN);
  world.error = 0;
  EXPECT_EQ(world.handled, bit(SIGTERM) | bit(SIGUSR1));
  set(SIGTERM, action_of(SIG_IGN));
  EXPECT_EQ(world.handled, bit(SIGUSR1));
  (void)signal(SIGUSR1, SIG_DFL);
  EXPECT_EQ(world.handled, 0U);
}

// ---- Faults ----

// To us unless the program handles them and no block has pages of its own.
TEST_F(InterceptSignal, FaultsComeToUsOrToTheProgram) {
  for (int const number : {SIGSEGV, SIGBUS}) {
    for (bool const by_signal : {false, true}) {
      rf_guarded_blocks.store = nullptr;
      EXPECT_TRUE(comes_to_us());
      if (by_signal) {
        (void)signal(number, program_handler);
      } else {
        set(number, action_of(program_handler));
      }
      EXPECT_FALSE(comes_to_us());
      sigset_t set_of_test;
      sigemptyset(&set_of_test);
      (void)sigprocmask(SIG_BLOCK, &set_of_test, nullptr);
      EXPECT_FALSE(world.comes_to_us);
      rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
      EXPECT_TRUE(comes_to_us());
      world.comes_to_us = false;
      (void)sigprocmask(SIG_BLOCK, &set_of_test, nullptr);
      EXPECT_TRUE(world.comes_to_us);
      if (by_signal) {
        (void)signal(number, SIG_DFL);
      } else {
        set(number, action_of(SIG_DFL));
      }
    }
  }
}

TEST_F(InterceptSignal, FaultsStayOpenInHandlersThatBelieveThemBlocked) {
  uint64_t const wanted = bit(SIGSEGV) | bit(SIGUSR2);
  set(SIGTERM, action_of(program_handler, wanted));
  EXPECT_EQ(word_of(world.actions[SIGTERM].sa_mask), bit(SIGUSR2)) << "in truth";
  EXPECT_EQ(word_of(get(SIGTERM).sa_mask), wanted) << "to the program";
  struct sigaction old = {};
  struct sigaction const next = action_of(other_handler, bit(SIGBUS));
  EXPECT_EQ(sigaction(SIGTERM, &next, &old), 0);
  EXPECT_EQ(word_of(old.sa_mask), wanted);
  EXPECT_EQ(word_of(get(SIGTERM).sa_mask), bit(SIGBUS));
  EXPECT_EQ(word_of(get(SIGUSR1).sa_mask), 0U) << "of another signal";
}

TEST_F(InterceptSignal, SignalBlocksNoFaultInItsHandler) {
  set(SIGTERM, action_of(program_handler, kFaults));
  (void)signal(SIGTERM, other_handler);
  EXPECT_EQ(word_of(get(SIGTERM).sa_mask), 0U);
}

// As the C library's function allows.
TEST_F(InterceptSignal, OneStructureMayBeBothArguments) {
  struct sigaction action = action_of(program_handler);
  struct sigaction *volatile same = &action;
  rf_guarded_blocks.store = nullptr;
  EXPECT_EQ(sigaction(SIGSEGV, same, &action), 0);
  EXPECT_EQ(action.sa_handler, SIG_DFL);
  EXPECT_FALSE(comes_to_us()) << "the program handles faults";
}

TEST_F(InterceptSignal, FaultsAreBlockedAsAskedForWhereTheyAreNotOurs) {
  set(SIGTERM, action_of(SIG_DFL, kFaults));
  EXPECT_EQ(word_of(world.actions[SIGTERM].sa_mask), kFaults) << "no handler runs";
  set(SIGSEGV, action_of(program_handler, kFaults));
  EXPECT_EQ(word_of(world.actions[SIGSEGV].sa_mask), kFaults) << "that of a fault";
  EXPECT_EQ(word_of(get(SIGSEGV).sa_mask), kFaults);
  rf_guarded_blocks.store = nullptr;
  set(SIGTERM, action_of(program_handler, kFaults));
  EXPECT_EQ(word_of(world.actions[SIGTERM].sa_mask), kFaults) << "they go to the program";
}

// ---- Masks ----

TEST_F(InterceptSignal, MasksGiveTheirErrorsAsTheCLibraryDoes) {
  sigset_t some;
  sigemptyset(&some);
  errno = 5;
  EXPECT_EQ(sigprocmask(SIG_BLOCK, &some, nullptr), 0);
  EXPECT_EQ(pthread_sigmask(SIG_UNBLOCK, &some, nullptr), 0);
  EXPECT_EQ(errno, 5);
  world.mask_error = EINVAL;
  EXPECT_EQ(pthread_sigmask(SIG_BLOCK, &some, nullptr), EINVAL);
  EXPECT_EQ(errno, 5);
  EXPECT_EQ(sigprocmask(SIG_BLOCK, &some, nullptr), -1);
  EXPECT_EQ(errno, EINVAL);
  Calls const block = {"mask " + std::to_string(SIG_BLOCK)};
  EXPECT_EQ(Calls(recorded.end() - 1, recorded.end()), block);
}

void *one_up(void *number) {
  ++*static_cast<int *>(number);
  return nullptr;
}

TEST_F(InterceptSignal, AThreadIsCreatedWithTheMaskThatItsCreatorBelieves) {
  pthread_t thread;
  int number = 1;
  for (bool const holds : {false, true}) {
    world.holds = holds;
    EXPECT_EQ(calls_of([&] { EXPECT_EQ(pthread_create(&thread, nullptr, one_up, &number), 0); }),
              holds ? (Calls{"block those held", "open those held"}) : Calls{"block those held"});
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
  }
  EXPECT_EQ(number, 3);
}

// The drop-in's own calls.
TEST_F(InterceptSignal, OurOwnCallsMeanWhatTheySay) {
  sigset_t some;
  sigemptyset(&some);
  world.mask_error = EINVAL;
  EXPECT_EQ(__wrap_pthread_sigmask(SIG_SETMASK, &some, nullptr), EINVAL);
  EXPECT_EQ(__wrap_sigprocmask(SIG_SETMASK, &some, nullptr), -1);
  std::string const truly = "true mask " + std::to_string(SIG_SETMASK);
  EXPECT_EQ(recorded, (Calls{truly, truly}));
  struct sigaction const action = action_of(other_handler, kFaults);
  be_ours(SIGTERM, true);
  EXPECT_EQ(__wrap_sigaction(SIGTERM, &action, nullptr), 0);
  EXPECT_EQ(word_of(world.actions[SIGTERM].sa_mask), kFaults);
}

} // namespace
} // namespace ringfence_test
