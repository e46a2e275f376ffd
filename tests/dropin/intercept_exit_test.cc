// The program's entry and its exits (checkers/dropin/process/intercept_exit.c), as they are where the drop-in is linked
// in: what the process is told, with which status and from where on the stack, and what the system is asked then. The C
// library, the system and the process are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/process/lifecycle.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/stack_layout.h"
#include "checkers/os/stack_rules.h"
}
#undef _Static_assert

#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using Main = int (*)(int, char **, char **);
using Calls = std::vector<std::string>;

constexpr uintptr_t kMark = 0x1122334455667788 & UINTPTR_MAX;

struct World {
  Calls calls;
  uintptr_t sp = 0;           // of the last leaving
  bool mark_is_above = false; // kMark, on the stack from there on
  int status = -77;           // to end with
  bool closes = true;
  uintptr_t caller = 0;
  Main main = nullptr; // as the C library was given it
  std::pair<uintptr_t, uintptr_t> root;
  uintptr_t learnt = 0; // the return address of a rule
};

World world;
jmp_buf out;

void call(const std::string &what) {
  world.calls.push_back(what);
}

// For what never returns.
Calls calls_of(const std::function<void()> &act) {
  world.calls.clear();
  if (setjmp(out) == 0) {
    act();
  }
  return world.calls;
}

} // namespace

extern "C" {

rf_process_state rf_process;
extern const char __start_rf_entry[];
extern const char __stop_rf_entry[];

[[noreturn]] void __wrap_exit(int status);
[[noreturn]] void __wrap__exit(int status);
[[noreturn]] void __wrap__Exit(int status);
int __wrap_fclose(FILE *stream);
int __wrap___libc_start_main(Main main, int argc, char **argv, void (*init)(), void (*fini)(), void (*loader_fini)(),
                             void *stack_end);

[[noreturn]] void __real_exit(int status) {
  call("exit " + std::to_string(status));
  longjmp(out, 1);
}

int __real_fclose(FILE *stream) {
  call(stream == stderr ? "fclose stderr" : "fclose");
  return 5;
}

int __real___libc_start_main(Main main, int argc, char **argv, void (*init)(), void (*fini)(), void (*loader_fini)(),
                             void *stack_end) {
  call("start " + std::to_string(argc) + (init != nullptr ? " init" : "") + (fini != nullptr ? " fini" : "") +
       (loader_fini != nullptr ? " loader" : "") + (stack_end == &world ? " stack" : ""));
  world.main = main;
  return main(argc, argv, argv + 1);
}

void __wrap_rf_stack_set_root(uintptr_t start, uintptr_t end) {
  world.root = {start, end};
}

#if RF_STACK_RULES
void __real_rf_stack_rule_learn(uintptr_t pc, uintptr_t size);
void __wrap_rf_stack_rule_learn(uintptr_t pc, uintptr_t size) {
  world.learnt = pc;
  __real_rf_stack_rule_learn(pc, size);
}
#endif

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  call("system " + std::to_string(number) + " " + std::to_string(va_arg(list, int)));
  va_end(list);
  longjmp(out, 1);
}

__attribute__((no_sanitize_address, noinline)) void rf_process_leaving(uintptr_t sp, int status) {
  call("leaving " + std::to_string(status));
  world.sp = sp;
  for (auto const *at = reinterpret_cast<const volatile uintptr_t *>(sp); at < reinterpret_cast<uintptr_t *>(sp) + 32;
       at++) {
    world.mark_is_above = world.mark_is_above || *at == kMark;
  }
}

int rf_process_end(rf_process_ending ending, int status) {
  call("end " + std::to_string(ending) + " " + std::to_string(status));
  return world.status == -77 ? status : world.status;
}

bool rf_process_closes(FILE *, const rf_origin *origin) {
  call("closes");
  world.caller = origin->caller;
  return world.closes;
}
}

namespace ringfence_test {
namespace {

const std::string kEndAbrupt = "end " + std::to_string(RF_ENDING_ABRUPT) + " ";
const std::string kExitGroup = "system " + std::to_string(SYS_exit_group) + " ";

class InterceptExit : public testing::Test {
protected:
  InterceptExit() {
    world = World();
    rf_process = {};
  }
};

char *the_arguments[] = {nullptr, nullptr, nullptr};
uintptr_t frame_of_main;
uintptr_t return_of_main;

int the_main(int argc, char **argv, char **environment) {
  call("main " + std::to_string(argc) + (argv == the_arguments ? " arguments" : "") +
       (environment == the_arguments + 1 ? " environment" : ""));
  frame_of_main = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  return_of_main = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  return 42;
}

void nothing() {}

TEST_F(InterceptExit, TheProgramRunsBelowAFrameThatTellsItsEnd) {
  EXPECT_EQ(calls_of([] { __wrap___libc_start_main(the_main, 2, the_arguments, nothing, nullptr, nothing, &world); }),
            (Calls{"start 2 init loader stack", "main 2 arguments environment", "leaving 42", "exit 42"}));
  EXPECT_GT(world.sp, frame_of_main);
  EXPECT_LT(world.sp - frame_of_main, 4096U);
}

TEST_F(InterceptExit, ThatFrameIsKnownByItsSection) {
  Calls const calls =
      calls_of([] { __wrap___libc_start_main(the_main, 2, the_arguments, nullptr, nothing, nullptr, nullptr); });
  EXPECT_EQ(calls[0], "start 2 fini");
  EXPECT_EQ(rf_process.entry_start, reinterpret_cast<uintptr_t>(__start_rf_entry));
  EXPECT_EQ(rf_process.entry_end, reinterpret_cast<uintptr_t>(__stop_rf_entry));
  EXPECT_EQ(world.root, (std::pair<uintptr_t, uintptr_t>(rf_process.entry_start, rf_process.entry_end)));
  uintptr_t frames[] = {1, reinterpret_cast<uintptr_t>(world.main) + 1, 2};
  EXPECT_EQ(rf_process_without_entry(frames, 3), 2U);
  EXPECT_EQ(frames[1], 2U);
}

#if defined(__x86_64__) && !defined(__clang__)

// It is the one that the compiler's tables have, so that stacks are the same whichever is asked.
TEST_F(InterceptExit, TheRuleOfThatFrameIsKnownBeforehand) {
  rf_stack_rules_forget();
  (void)calls_of([] { __wrap___libc_start_main(the_main, 2, the_arguments, nullptr, nullptr, nullptr, nullptr); });
  EXPECT_EQ(return_of_main, world.learnt);
  uint32_t const rule = rf_stack_rule(world.learnt);
  EXPECT_EQ(rule & RF_RULE_KIND, RF_RULE_SP);
  EXPECT_EQ(rule, rf_stack_rule_find(world.learnt));
}

#endif

TEST_F(InterceptExit, ExitTellsWhereTheStackEndedAndGoesOn) {
  EXPECT_EQ(calls_of([] { __wrap_exit(3); }), (Calls{"leaving 3", "exit 3"}));
  EXPECT_LT(world.sp, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
}

#if defined(__x86_64__)

// A lost block would be found by the register alone.
__attribute__((noinline)) void exit_with_a_register() {
  __asm__ volatile("movabs $0x1122334455667788, %%rbx\n\t"
                   "mov $3, %%edi\n\t"
                   "and $-16, %%rsp\n\t"
                   "call __wrap_exit" ::
                       : "rbx", "rdi", "memory");
}

TEST_F(InterceptExit, RegistersOfTheProgramThatCallsExitAreOnTheStack) {
  EXPECT_EQ(calls_of(exit_with_a_register), (Calls{"leaving 3", "exit 3"}));
  EXPECT_TRUE(world.mark_is_above);
}

#endif

TEST_F(InterceptExit, AnAbruptOneEndsAllThreadsWithTheStatusOfTheEnd) {
  for (auto const each : {__wrap__exit, __wrap__Exit}) {
    world.status = -77;
    EXPECT_EQ(calls_of([&] { each(4); }), (Calls{kEndAbrupt + "4", kExitGroup + "4"}));
    world.status = 23;
    EXPECT_EQ(calls_of([&] { each(0); }), (Calls{kEndAbrupt + "0", kExitGroup + "23"}));
  }
}

TEST_F(InterceptExit, AStreamIsClosedUnlessItWasBefore) {
  EXPECT_EQ(__wrap_fclose(stderr), 5);
  EXPECT_EQ(world.calls, (Calls{"closes", "fclose stderr"}));
  EXPECT_NE(world.caller, 0U);
  world.closes = false;
  world.calls.clear();
  EXPECT_EQ(__wrap_fclose(stderr), EOF);
  EXPECT_EQ(world.calls, Calls{"closes"});
}

} // namespace
} // namespace ringfence_test
