// sigaltstack, and on which stack handlers run, as a program under the library sees it
// (checkers/dropin/process/intercept_signal.c).
#include "tests/dropin/intercept_signal_world.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <gtest/gtest.h>
#include <unistd.h>
#include <vector>

namespace ringfence_test {
namespace {

stack_t stack_of(size_t size, int flags = 0) {
  stack_t stack = {};
  stack.ss_sp = reinterpret_cast<void *>(0x10000);
  stack.ss_size = size;
  stack.ss_flags = flags;
  return stack;
}

// ---- Handlers on a stack of their own: first, since a program that has made one has made it for good ----

// Its runtime makes stacks behind our back.
TEST_F(InterceptSignal, HandlersOfGoRunOnTheStackThatTheyAskFor) {
  auto const in_a_process = [] {
    struct sigaction action = action_of(program_handler);
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    set(SIGTERM, action);
    EXPECT_EQ(world.actions[SIGTERM].sa_flags, SA_RESTART);
    world.of_go = other_handler;
    struct sigaction go = action_of(other_handler);
    set(SIGUSR1, go);
    go.sa_flags = SA_ONSTACK | SA_SIGINFO;
    set(SIGSEGV, go);
    set(SIGUSR2, action_of(SIG_DFL));
    EXPECT_EQ(std::count(recorded.begin(), recorded.end(), "is it Go's"), 1) << "where it makes a difference";
    set(SIGUSR1, go);
    EXPECT_EQ(world.actions[SIGUSR1].sa_flags, go.sa_flags);
    EXPECT_EQ(world.actions[SIGTERM].sa_flags, action.sa_flags) << "and those from before";
    set(SIGUSR2, action);
    EXPECT_EQ(world.actions[SIGUSR2].sa_flags, action.sa_flags);
    EXPECT_EQ(std::count(recorded.begin(), recorded.end(), "is it Go's"), 2);
    _exit(HasFailure() ? 1 : 0);
  };
  EXPECT_EXIT(in_a_process(), testing::ExitedWithCode(0), "^$");
}

TEST_F(InterceptSignal, HandlersRunOnNoStackThatTheProgramHasNotMade) {
  struct sigaction action = action_of(program_handler);
  action.sa_flags = SA_ONSTACK | SA_RESTART;
  for (int const number : {SIGTERM, SIGUSR1, SIGSEGV, SIGRTMAX}) {
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
  stack = stack_of(size_t{1} << 20);
  EXPECT_EQ(sigaltstack(&stack, nullptr), 0);
  EXPECT_EQ(world.actions[SIGTERM].sa_flags, action.sa_flags);
  EXPECT_EQ(world.actions[SIGRTMAX].sa_flags, action.sa_flags);
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
  stack_t const own = stack_of(size_t{1} << 20);
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

// ---- Stacks for handlers ----

constexpr size_t kEnough = size_t{64} << 10;

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

// The system allows that.
TEST_F(InterceptSignal, OneStructureMayBeBothStacks) {
  stack_t stack = stack_of(kEnough);
  stack_t *volatile same = &stack;
  EXPECT_EQ(sigaltstack(same, &stack), 0);
  EXPECT_EQ(world.stack.ss_size, kEnough);
  EXPECT_EQ(world.end, 0x10000U + kEnough) << "of the one that is wanted";
  EXPECT_EQ(stack.ss_size, 0U) << "it holds the one from before";
}

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
