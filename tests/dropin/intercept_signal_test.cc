// sigaction, signal, masks and stacks for handlers, as a program under the library sees them
// (checkers/dropin/process/intercept_signal.c). The C library below, and who is told of changes, are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/runtime/signals.h"
int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_sigaction(int sig, const struct sigaction *act, struct sigaction *oact);
}
#undef _Static_assert
#include "tests/dropin/calls.h"

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <pthread.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

using ringfence_test::call;
using ringfence_test::Calls;
using ringfence_test::recorded;
using ringfence_test::RecordsCalls;

namespace {

struct World {
  std::map<int, struct sigaction> actions; // in truth
  std::vector<bool> own_stacks;            // a small stack serves a handler of the program's
  rf_handler ours = {};
  int ours_for = 0;
  int error = 0;
  int mask_error = 0;
  bool comes_to_us = false; // as the mask was told
  bool freed = false;
  uintptr_t start = 1;
  uintptr_t end = 1;
  stack_t stack = {};    // the thread's, in truth
  void *given = nullptr; // that of ours
};

World world;
char the_store;

void program_handler(int) {}
void other_handler(int) {}
void our_handler(int, siginfo_t *, void *) {}
void front(int) {} // the page store's, in front of the program's

constexpr uint64_t bit(int number) {
  return uint64_t{1} << (number - 1);
}
constexpr uint64_t kFaults = bit(SIGSEGV) | bit(SIGBUS);

uint64_t word_of(const sigset_t &set) {
  uint64_t word;
  std::memcpy(&word, &set, sizeof word);
  return word;
}

void set_word(sigset_t *set, uint64_t word) {
  std::memcpy(set, &word, sizeof word);
}

} // namespace

extern "C" {

rf_guarded_blocks_state rf_guarded_blocks;

long __real_syscall(long number, ...);

long __wrap_syscall(long number, ...) {
  long a[6];
  va_list list;
  va_start(list, number);
  for (long &each : a) {
    each = va_arg(list, long);
  }
  va_end(list);
  if (number == SYS_sigaltstack) {
    call("sigaltstack");
    if (world.error == 0 && a[1] != 0) {
      *reinterpret_cast<stack_t *>(a[1]) = world.stack;
    }
    if (world.error == 0 && a[0] != 0) {
      world.stack = *reinterpret_cast<const stack_t *>(a[0]);
    }
    return world.error != 0 ? -1 : 0;
  }
  return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int rf_libc_sigaction(int number, const struct sigaction *action, struct sigaction *old) {
  if (world.error != 0) {
    errno = world.error;
    return -1;
  }
  struct sigaction const before = world.actions[number];
  if (action != nullptr) {
    world.actions[number] = *action;
  }
  if (old != nullptr) {
    *old = before;
  }
  return 0;
}

sighandler_t rf_libc_signal(int number, sighandler_t handler) {
  if (world.error != 0) {
    return SIG_ERR;
  }
  struct sigaction &now = world.actions[number];
  sighandler_t const before = now.sa_handler;
  now = {};
  now.sa_handler = handler;
  return before;
}

const rf_handler *rf_handler_of(int number) {
  return number == world.ours_for ? &world.ours : nullptr;
}

bool rf_signal_is_default(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == SIG_DFL;
}

rf_fault_set rf_signals_take_faults(sigset_t *set) {
  uint64_t const word = word_of(*set);
  set_word(set, word & ~kFaults);
  return word & kFaults;
}
void rf_signals_add_faults(sigset_t *set, rf_fault_set which) {
  set_word(set, word_of(*set) | which);
}
int rf_signals_mask(int how, const sigset_t *, sigset_t *, bool comes_to_us) {
  call("mask " + std::to_string(how));
  world.comes_to_us = comes_to_us;
  return world.mask_error;
}
int rf_signals_mask_truly(int how, const sigset_t *, sigset_t *) {
  call("true mask " + std::to_string(how));
  return world.mask_error;
}
void rf_signals_block_held() {
  call("block those held");
}
void rf_signals_open_held() {
  call("open those held");
}
bool rf_signals_stack_was_freed() {
  return world.freed;
}
void rf_signals_note_stack(uintptr_t start, uintptr_t end) {
  world.start = start;
  world.end = end;
}
void rf_signals_leave_small_stacks() {
  call("leave small stacks");
}

void rf_guarded_blocks_handlers_changed() {
  call("handlers changed");
}
void *__wrap_rf_page_given_stack(size_t *size) {
  *size = 4096;
  return world.given;
}
void __wrap_rf_page_signals_changed() {
  call("signals changed");
}
void __wrap_rf_page_signals_use_stack(bool uses) {
  world.own_stacks.push_back(uses);
}
void __wrap_rf_page_unwrap(int, struct sigaction *action) {
  if (action->sa_handler == front) {
    action->sa_handler = program_handler;
  }
}
}

namespace ringfence_test {
namespace {

struct sigaction action_of(sighandler_t handler, uint64_t mask = 0) {
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

// ---- Handlers on a stack of their own: first, since a program that has made one has made it for good ----

TEST_F(InterceptSignal, HandlersRunOnNoStackThatTheProgramHasNotMade) {
  struct sigaction action = action_of(program_handler);
  action.sa_flags = SA_ONSTACK | SA_RESTART;
  for (int const number : {SIGTERM, SIGUSR1, SIGSEGV}) {
    set(number, action);
    EXPECT_EQ(world.actions[number].sa_flags, number == SIGSEGV ? action.sa_flags : SA_RESTART) << number;
    EXPECT_EQ(get(number).sa_flags, action.sa_flags) << number;
  }
  EXPECT_EQ(signal(SIGUSR1, other_handler), program_handler);
  EXPECT_EQ(get(SIGUSR1).sa_flags, 0);
  be_ours(SIGALRM, true);
  set(SIGALRM, action_of(SIG_DFL));
  EXPECT_NE(world.actions[SIGALRM].sa_flags & SA_ONSTACK, 0) << "our own handler";
  stack_t stack = {};
  EXPECT_EQ(sigaltstack(nullptr, &stack), 0);
  stack.ss_flags = SS_DISABLE;
  EXPECT_EQ(sigaltstack(&stack, nullptr), 0);
  EXPECT_EQ(world.actions[SIGTERM].sa_flags, SA_RESTART) << "it has made none so far";
  stack.ss_flags = 0;
  stack.ss_sp = reinterpret_cast<void *>(0x10000);
  stack.ss_size = size_t{1} << 20;
  EXPECT_EQ(sigaltstack(&stack, nullptr), 0);
  EXPECT_EQ(world.actions[SIGTERM].sa_flags, action.sa_flags);
  EXPECT_EQ(world.actions[SIGUSR1].sa_flags, 0);
  EXPECT_EQ(get(SIGTERM).sa_flags, action.sa_flags);
  set(SIGUSR1, action);
  EXPECT_EQ(world.actions[SIGUSR1].sa_flags, action.sa_flags);
}

// A program that restores the stack it was told of has ours again.
TEST_F(InterceptSignal, OurStackIsNoneToTheProgram) {
  world.given = &the_store;
  world.stack.ss_sp = &the_store;
  world.stack.ss_size = 4096;
  stack_t old = {};
  EXPECT_EQ(sigaltstack(nullptr, &old), 0);
  EXPECT_EQ(old.ss_flags, SS_DISABLE);
  EXPECT_EQ(old.ss_sp, nullptr);
  EXPECT_EQ(old.ss_size, 0U);
  stack_t own = {};
  own.ss_sp = reinterpret_cast<void *>(0x10000);
  own.ss_size = size_t{1} << 20;
  EXPECT_EQ(sigaltstack(&own, &old), 0);
  EXPECT_EQ(old.ss_flags, SS_DISABLE);
  EXPECT_EQ(world.stack.ss_sp, own.ss_sp);
  stack_t then = {};
  EXPECT_EQ(sigaltstack(&old, &then), 0);
  EXPECT_EQ(then.ss_sp, own.ss_sp);
  EXPECT_EQ(world.stack.ss_sp, &the_store);
  EXPECT_EQ(world.stack.ss_size, 4096U);
  EXPECT_EQ(world.stack.ss_flags, 0);
  EXPECT_EQ(world.end, 0U);
  world.given = nullptr;
  EXPECT_EQ(sigaltstack(&old, nullptr), 0);
  EXPECT_EQ(world.stack.ss_flags, SS_DISABLE) << "it has none of ours";
}

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

// The drop-in's own calls.
void *one_up(void *number) {
  ++*static_cast<int *>(number);
  return nullptr;
}

TEST_F(InterceptSignal, AThreadIsCreatedWithTheMaskThatItsCreatorBelieves) {
  pthread_t thread;
  int number = 1;
  EXPECT_EQ(calls_of([&] { EXPECT_EQ(pthread_create(&thread, nullptr, one_up, &number), 0); }),
            (Calls{"block those held", "open those held"}));
  EXPECT_EQ(pthread_join(thread, nullptr), 0);
  EXPECT_EQ(number, 2);
}

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

// ---- Stacks for handlers ----

constexpr size_t kEnough = size_t{64} << 10;

stack_t stack_of(size_t size, int flags = 0) {
  stack_t stack = {};
  stack.ss_sp = reinterpret_cast<void *>(0x10000);
  stack.ss_size = size;
  stack.ss_flags = flags;
  return stack;
}

TEST_F(InterceptSignal, AStackIsKnownByItsPlace) {
  stack_t const stack = stack_of(kEnough);
  EXPECT_EQ(sigaltstack(&stack, nullptr), 0);
  EXPECT_EQ(world.start, 0x10000U);
  EXPECT_EQ(world.end, 0x10000U + kEnough);
  stack_t const none = stack_of(100, SS_DISABLE);
  EXPECT_EQ(sigaltstack(&none, nullptr), 0);
  EXPECT_EQ(world.end, 0U);
  EXPECT_EQ(recorded, (Calls{"sigaltstack", "sigaltstack"})) << "it is large enough, or none";
  world = World();
  recorded.clear();
  stack_t old = {};
  EXPECT_EQ(sigaltstack(nullptr, &old), 0);
  world.error = EPERM;
  EXPECT_EQ(sigaltstack(&stack, nullptr), -1);
  EXPECT_EQ(world.start, 1U) << "as before";
}

// For good: a program makes such a stack for each thread.
TEST_F(InterceptSignal, ASmallStackServesTheProgramsHandlersAlone) {
  stack_t const small = stack_of(kEnough - 1);
  EXPECT_EQ(sigaltstack(&small, nullptr), 0);
  EXPECT_EQ(recorded, (Calls{"sigaltstack", "leave small stacks"}));
  set(SIGSEGV, action_of(program_handler));
  (void)signal(SIGBUS, program_handler);
  set(SIGSEGV, action_of(SIG_DFL));
  (void)signal(SIGBUS, SIG_DFL);
  EXPECT_EQ(world.own_stacks, (std::vector<bool>{false, true, true, true, false}));
  world.own_stacks.clear();
  world.freed = true;
  set(SIGSEGV, action_of(program_handler));
  EXPECT_TRUE(world.own_stacks.empty()) << "nobody uses it any more";
}

} // namespace
} // namespace ringfence_test
