// Stacks by rules are those that the unwinder of the compiler finds, in code of all kinds; no rules are asked for where
// a stack was met before.
#include "tests/checkers/stack_rules_fixture.h"

#if RF_STACK_RULES

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <sys/mman.h>
#include <thread>
#include <ucontext.h>
#include <vector>

namespace ringfence {
namespace {

TEST_F(StackRules, FollowEveryKindOfFrame) {
  for (const stack_subject *const outer : kWays) {
    for (const stack_subject *const inner : kWays) {
      for (int i = 0; i < STACK_SUBJECTS * STACK_SUBJECTS; i++) {
        const stack_subject &a = outer[i / STACK_SUBJECTS];
        const stack_subject &b = inner[i % STACK_SUBJECTS];
        for (size_t const size : {size_t{0}, size_t{100}, size_t{5000}, size_t{100}}) {
          stack_step const steps[] = {{a.run, size}, {b.run, 3 * size}, {compare_and_jump, 0}};
          start(steps);
          ASSERT_TRUE(all_equal()) << a.name << ", " << b.name << ", " << size << "\n" << difference();
        }
      }
    }
  }
}

// Two ways to one place at the same depth, in turns: each is told from the other.
TEST_F(StackRules, TellCallersOfEqualDepthApart) {
  std::vector<uintptr_t> before;
  for (int i = 0; i < 20; i++) {
    stack_step const steps[] = {
        {stack_subjects_o2[i % 2].run, 1}, {stack_subjects_o0[2].run, i % 3 * size_t{64}}, {compare_and_return, 0}};
    start(steps);
    ASSERT_TRUE(all_equal()) << difference();
    std::vector<uintptr_t> const now(found.captured, found.captured + found.captured_count);
    EXPECT_NE(now, before);
    before = now;
  }
}

TEST_F(StackRules, HoldInThreads) {
  stack_step const steps[] = {{stack_subjects_o2[1].run, 1}, {stack_subjects_o2[3].run, 1}, {compare_and_return, 0}};
  for (int i = 0; i < 3; i++) {
    std::thread([&] { start(steps); }).join();
    EXPECT_TRUE(all_equal()) << difference();
  }
}

// ---- Frames that are found by a register that a walk does not know ----

#if defined(__x86_64__)

extern "C" void rf_test_framed_by_rbx(const stack_step *steps);

// As compilers write functions with more than one kind of room on the stack: its frame is found by rbx.
__asm__(".text\n"
        ".p2align 4\n"
        ".type rf_test_framed_by_rbx, @function\n"
        "rf_test_framed_by_rbx:\n"
        "  .cfi_startproc\n"
        "  pushq %rbx\n"
        "  .cfi_def_cfa_offset 16\n"
        "  .cfi_offset %rbx, -16\n"
        "  movq %rsp, %rbx\n"
        "  .cfi_def_cfa_register %rbx\n"
        "  subq $256, %rsp\n"
        "  andq $-64, %rsp\n"
        "  addq $16, %rdi\n"
        "  callq *(%rdi)\n"
        "  movq %rbx, %rsp\n"
        "  .cfi_def_cfa_register %rsp\n"
        "  popq %rbx\n"
        "  .cfi_def_cfa_offset 8\n"
        "  retq\n"
        "  .cfi_endproc\n"
        ".size rf_test_framed_by_rbx, . - rf_test_framed_by_rbx\n");

TEST_F(StackRules, HoldBehindAFrameThatIsFoundByAnotherRegister) {
  static_assert(sizeof(stack_step) == 16 && offsetof(stack_step, run) == 0, "as the code above has it");
  for (const stack_subject *const way : kWays) {
    stack_step const steps[] = {
        {way[1].run, 100}, {rf_test_framed_by_rbx, 0}, {way[0].run, 300}, {compare_and_jump, 0}};
    start(steps);
    ASSERT_GT(found.expected.count, 5U);
    EXPECT_TRUE(all_equal()) << difference();
  }
}

#endif

// ---- Stacks of coroutines ----

ucontext_t outside;
ucontext_t inside;
const stack_step *coroutine_steps;

void compare_twice(const stack_step *step) {
  compare_and_return(step);
  (void)swapcontext(&inside, &outside);
  compare_and_return(step);
}

void coroutine() {
  coroutine_steps->run(coroutine_steps);
}

TEST_F(StackRules, HoldInCoroutines) {
  size_t const size = size_t{1} << 20;
  void *const stack = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_step const steps[] = {{stack_subjects_o2[1].run, 1}, {stack_subjects_o0[4].run, 1}, {compare_twice, 0}};
  stack_step const own[] = {{stack_subjects_o2[2].run, 50}, {compare_and_return, 0}};
  coroutine_steps = steps;
  ASSERT_EQ(getcontext(&inside), 0);
  inside.uc_stack.ss_sp = stack;
  inside.uc_stack.ss_size = size;
  inside.uc_link = &outside;
  makecontext(&inside, coroutine, 0);
  for (int i = 0; i < 2; i++) {
    (void)swapcontext(&outside, &inside);
    EXPECT_TRUE(all_equal()) << difference();
    start(own);
    EXPECT_TRUE(all_equal()) << difference();
  }
  (void)munmap(stack, size);
}

// ---- Stacks that were met before ----

uint32_t last_id;

void put_and_return(const stack_step * /*step*/) {
  rf_origin const origin = ORIGIN_HERE;
  last_id = rf_stack_depot_put_from(&depot, &origin, kDepth);
}

bool rules_are_there() {
  return std::any_of(std::begin(rf_stack_rule_table), std::end(rf_stack_rule_table),
                     [](uint64_t word) { return word != 0; });
}

// How many of eight stacks of one place that were met are followed once more, which fills the table of rules. With each
// `room` on the stack below they have other keys, and seldom two that share an entry of the table.
__attribute__((noinline)) unsigned followed_again(size_t room) {
  constexpr unsigned kStacks = 8;
  auto *const below = static_cast<volatile char *>(__builtin_alloca(room + 1));
  below[room] = 1;
  std::vector<uint64_t> memory(1 << 22);
  EXPECT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * 8), RF_OK);
  uint32_t ids[kStacks] = {};
  unsigned followed = 0;
  for (unsigned i = 0; i < 2 * kStacks; i++) {
    stack_step const steps[] = {{stack_subjects_o2[i % 2].run, 1},
                                {stack_subjects_o2[i / 2 % 2].run, 1},
                                {stack_subjects_o2[i / 4 % 2].run, 1},
                                {put_and_return, 0}};
    std::fill(std::begin(rf_stack_rule_table), std::end(rf_stack_rule_table), 0);
    start(steps);
    if (i < kStacks) {
      EXPECT_EQ(std::count(ids, ids + i, last_id), 0) << i;
      ids[i] = last_id;
    } else {
      EXPECT_EQ(last_id, ids[i % kStacks]) << i;
      followed += rules_are_there() ? 1 : 0;
    }
  }
  return followed;
}

TEST_F(StackRules, AreNotAskedForAStackThatWasMetBeforeAmongOthersFromTheSamePlace) {
  unsigned least = UINT32_MAX;
  for (size_t room = 0; room < 6 * 112 && least != 0; room += 112) {
    least = std::min(least, followed_again(room));
  }
  EXPECT_EQ(least, 0U);
}

// Frames of all kinds and sizes: stacks part in words that others do not have, and in frame pointers. One in thirty may
// share an entry of the table with another.
TEST_F(StackRules, AreHardlyAskedForOnceHundredsOfStacksOfOnePlaceWereMet) {
  constexpr unsigned kStacks = 400;
  std::vector<uint64_t> memory(1 << 22);
  ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * 8), RF_OK);
  std::vector<uint32_t> ids(kStacks);
  unsigned followed = 0;
  for (unsigned i = 0; i < 4 * kStacks; i++) {
    unsigned const number = i * 7 % kStacks;
    stack_step const steps[] = {{kWays[number % 4][number / 4 % 5].run, number % 3 * size_t{100}},
                                {kWays[number / 20 % 4][number / 80 % 5].run, number % 2 * size_t{5000}},
                                {kWays[number / 3 % 4][number / 7 % 5].run, 1},
                                {put_and_return, 0}};
    std::fill(std::begin(rf_stack_rule_table), std::end(rf_stack_rule_table), 0);
    start(steps);
    if (i < kStacks) {
      ids[number] = last_id;
    } else {
      ASSERT_EQ(last_id, ids[number]) << number;
    }
    followed += i >= 3 * kStacks && rules_are_there() ? 1 : 0;
  }
  EXPECT_LE(followed, kStacks / 8);
}

// ---- Modules that go ----

TEST_F(StackRules, AreForgottenWithTheirGeneration) {
  stack_step const steps[] = {{stack_subjects_o2[1].run, 1}, {compare_and_return, 0}};
  start(steps);
  uint32_t const generation = rf_stack_generation;
  auto const used = [] {
    return std::count_if(std::begin(rf_stack_rule_table), std::end(rf_stack_rule_table),
                         [](uint64_t word) { return word != 0; });
  };
  EXPECT_GT(used(), 3);
  rf_stack_rules_forget();
  EXPECT_NE(rf_stack_generation, generation);
  EXPECT_EQ(used(), 0);
  start(steps);
  EXPECT_TRUE(all_equal()) << difference();
}

} // namespace
} // namespace ringfence

#endif // RF_STACK_RULES
