// Stacks by rules in handlers of signals, on either stack, and at each instruction that a signal interrupts.
#include "tests/checkers/handler_stack.h"
#include "tests/checkers/put_rule.h"
#include "tests/checkers/single_step.h"
#include "tests/checkers/stack_rules_fixture.h"

#if RF_STACK_RULES

#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <string>

namespace ringfence {
namespace {

void on_signal(int /*number*/) {
  COMPARE_HERE();
}

void raise_usr1(const stack_step * /*step*/) {
  (void)raise(SIGUSR1);
}

void raise_usr1_and_jump(const stack_step * /*step*/) {
  (void)raise(SIGUSR1);
  longjmp(back, 1);
}

void handle(int number, void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  (void)sigaction(number, &action, nullptr);
}

TEST_F(StackRules, HoldInSignalHandlersOnEitherStack) {
  HandlerStack const other;
  stack_step const steps[] = {{stack_subjects_o2[1].run, 1}, {stack_subjects_o0[2].run, 9}, {raise_usr1, 0}};
  for (int const flags : {0, SA_ONSTACK}) {
    handle(SIGUSR1, on_signal, flags);
    start(steps);
    EXPECT_TRUE(all_equal()) << difference();
    EXPECT_GT(found.expected.count, 6U);
  }
  handle(SIGUSR1, SIG_DFL, 0);
}

// Behind the handler's frame the stack is the thread's again, as code without tables shows.
TEST_F(StackRules, HoldBehindAHandlersFrameForCodeWithoutTables) {
  HandlerStack const other;
  handle(SIGUSR1, on_signal, SA_ONSTACK);
  const stack_subject &plain = stack_subjects_pointers[0];
  stack_step const steps[] = {{plain.run, 9}, {plain.run, 9}, {plain.run, 9}, {raise_usr1_and_jump, 0}};
  start(steps);
  EXPECT_TRUE(all_equal()) << difference();
  auto const first = reinterpret_cast<uintptr_t>(plain.run);
  uintptr_t *const end = found.expected.frames + found.expected.count;
  const uintptr_t *const pc =
      std::find_if(found.expected.frames, end, [first](uintptr_t at) { return at > first && at < first + 256; });
  ASSERT_NE(pc, end);
  put_rule(*pc, RF_RULE_POINTERS);
  start(steps);
  EXPECT_TRUE(all_equal()) << difference();
  rf_stack_rules_forget();
  handle(SIGUSR1, SIG_DFL, 0);
}

// The tables of i386 do not hold at every instruction: the unwinder itself faults there.
#ifdef RF_CAN_STEP

// Every instruction of some code, calls through the linkage table included, as if a signal came there.
struct {
  unsigned steps;
  unsigned differences;
  std::string first;
} stepping;

void on_step(int /*number*/) {
  COMPARE_HERE();
  stepping.steps++;
  if (!all_equal() && stepping.differences++ == 0) {
    stepping.first = difference();
  }
}

int by_value(const void *a, const void *b) {
  return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

using ringfence_test::set_stepping;

void sort_in_steps(const stack_step * /*step*/) {
  int values[] = {3, 1, 2};
  set_stepping(true);
  qsort(values, 3, sizeof values[0], by_value);
  set_stepping(false);
}

TEST_F(StackRules, HoldAtEveryInstructionThatASignalInterrupts) {
  stack_step const steps[] = {{stack_subjects_o2[1].run, 1}, {stack_subjects_o2[4].run, 1}, {sort_in_steps, 0}};
  stepping = {};
  handle(SIGTRAP, on_step, 0);
  start(steps);
  handle(SIGTRAP, SIG_DFL, 0);
  EXPECT_GT(stepping.steps, 100U);
  EXPECT_EQ(stepping.differences, 0U) << stepping.first;
}

#endif

} // namespace
} // namespace ringfence

#endif // RF_STACK_RULES
