// Stacks by rules are those that the unwinder of the compiler finds, in code of all kinds.
#include "checkers/os/stack_layout.h"
#include "checkers/os/stack_rules.h"

#include "tests/checkers/handler_stack.h"
#include "tests/checkers/single_step.h"
#include "tests/checkers/stack_subjects.h"

#include <gtest/gtest.h>

#if RF_STACK_RULES

#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <link.h>
#include <random>
#include <sys/mman.h>
#include <thread>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>
#include <vector>

namespace ringfence {
namespace {

using Frames = std::vector<uintptr_t>;

constexpr unsigned kDepth = 32;

struct Unwinding {
  uintptr_t from;
  uintptr_t frames[kDepth];
  unsigned count;
};

_Unwind_Reason_Code unwound(struct _Unwind_Context *context, void *argument) {
  auto *const u = static_cast<Unwinding *>(argument);
  uintptr_t const pc = _Unwind_GetIP(context);
  if (pc == 0 || u->count == kDepth) {
    return _URC_END_OF_STACK;
  }
  if (u->count != 0 || pc == u->from) {
    u->frames[u->count++] = pc;
  }
  return _URC_NO_REASON;
}

// The result of the last call of compare: by each way, and by the unwinder.
struct Found {
  Unwinding expected;
  uintptr_t captured[kDepth];
  unsigned captured_count;
  uintptr_t kept[2][kDepth];
  unsigned kept_count[2];
};

Found found;
rf_stack_depot depot;

// Called in signal handlers as well: allocates nothing.
__attribute__((noinline)) void compare(const rf_origin *origin) {
  found.expected = {origin->caller, {}, 0};
  (void)_Unwind_Backtrace(unwound, &found.expected);
  found.captured_count = rf_stack_capture(origin, found.captured, kDepth);
  for (int i = 0; i < 2; i++) { // the second time it is known
    uint32_t const id = rf_stack_depot_put_from(&depot, origin, kDepth);
    found.kept_count[i] = rf_stack_depot_get(&depot, id, found.kept[i], kDepth);
  }
}

#define COMPARE_HERE()                                                                                                 \
  rf_origin const origin = {nullptr, reinterpret_cast<uintptr_t>(__builtin_return_address(0)),                         \
                            __builtin_frame_address(0)};                                                               \
  compare(&origin)

bool all_equal() {
  auto const same = [](const uintptr_t *frames, unsigned count) {
    return count == found.expected.count && std::equal(frames, frames + count, found.expected.frames);
  };
  return found.expected.count != 0 && same(found.captured, found.captured_count) &&
         same(found.kept[0], found.kept_count[0]) && same(found.kept[1], found.kept_count[1]);
}

std::string difference() {
  std::string text;
  for (unsigned i = 0; i < std::max(found.expected.count, found.captured_count); i++) {
    char line[160];
    (void)snprintf(line, sizeof line, "%lx captured %lx kept %lx, again %lx\n",
                   static_cast<unsigned long>(i < found.expected.count ? found.expected.frames[i] : 0),
                   static_cast<unsigned long>(i < found.captured_count ? found.captured[i] : 0),
                   static_cast<unsigned long>(i < found.kept_count[0] ? found.kept[0][i] : 0),
                   static_cast<unsigned long>(i < found.kept_count[1] ? found.kept[1][i] : 0));
    text += line;
  }
  return text;
}

jmp_buf back;

void compare_and_return(const stack_step * /*step*/) {
  COMPARE_HERE();
}

void compare_and_jump(const stack_step * /*step*/) {
  COMPARE_HERE();
  longjmp(back, 1);
}

__attribute__((noinline)) void start(const stack_step *steps) {
  if (setjmp(back) == 0) {
    steps->run(steps);
  }
}

class StackRules : public testing::Test {
protected:
  StackRules() : memory_(1 << 17) { EXPECT_EQ(rf_stack_depot_init(&depot, memory_.data(), memory_.size() * 8), RF_OK); }

  std::vector<uint64_t> memory_;
};

const stack_subject *const kWays[] = {stack_subjects_o0, stack_subjects_o2, stack_subjects_pointers,
                                      stack_subjects_no_pointers};

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
  Frames before;
  for (int i = 0; i < 20; i++) {
    stack_step const steps[] = {
        {stack_subjects_o2[i % 2].run, 1}, {stack_subjects_o0[2].run, i % 3 * size_t{64}}, {compare_and_return, 0}};
    start(steps);
    ASSERT_TRUE(all_equal()) << difference();
    Frames const now(found.captured, found.captured + found.captured_count);
    EXPECT_NE(now, before);
    before = now;
  }
}

uint32_t last_id;

void put_and_return(const stack_step * /*step*/) {
  rf_origin const origin = {nullptr, reinterpret_cast<uintptr_t>(__builtin_return_address(0)),
                            __builtin_frame_address(0)};
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

TEST_F(StackRules, HoldInThreads) {
  stack_step const steps[] = {{stack_subjects_o2[1].run, 1}, {stack_subjects_o2[3].run, 1}, {compare_and_return, 0}};
  for (int i = 0; i < 3; i++) {
    std::thread([&] { start(steps); }).join();
    EXPECT_TRUE(all_equal()) << difference();
  }
}

// ---- By the tables alone, from the checker's own registers on ----

unsigned captured_by_tables;

__attribute__((noinline)) void compare_by_tables(const rf_origin *origin) {
  found.expected = {origin->caller, {}, 0};
  (void)_Unwind_Backtrace(unwound, &found.expected);
  captured_by_tables = rf_stack_rules_capture(origin, found.captured, kDepth);
  __asm__ volatile("" : : : "memory"); // no tail call
}

void compare_tables_and_jump(const stack_step * /*step*/) {
  rf_origin const origin = {nullptr, reinterpret_cast<uintptr_t>(__builtin_return_address(0)),
                            __builtin_frame_address(0)};
  compare_by_tables(&origin);
  longjmp(back, 1);
}

TEST_F(StackRules, AreNotNeededWhereTheTablesThemselvesAreFollowed) {
  for (const stack_subject *const way : kWays) {
    for (int i = 0; i < STACK_SUBJECTS; i++) {
      stack_step const steps[] = {{way[i].run, 300}, {compare_tables_and_jump, 0}};
      start(steps);
      ASSERT_EQ(captured_by_tables, found.expected.count) << way[i].name;
      EXPECT_TRUE(std::equal(found.captured, found.captured + captured_by_tables, found.expected.frames));
    }
  }
}

// `depth` calls of itself from one place; the innermost one takes the stack from the call `levels` further out on.
__attribute__((noinline)) unsigned captured_from(unsigned depth, unsigned levels, const rf_origin *outer) {
  rf_origin const origin = {nullptr, reinterpret_cast<uintptr_t>(__builtin_return_address(0)),
                            __builtin_frame_address(0)};
  unsigned const count = depth == 0 ? rf_stack_rules_capture(outer, found.captured, kDepth)
                                    : captured_from(depth - 1, levels, depth > levels ? &origin : outer);
  __asm__ volatile("" : : "r"(&origin) : "memory");
  return count;
}

TEST_F(StackRules, TellTheFramesOfOnePlaceApartByTheStack) {
  unsigned const from_0 = captured_from(9, 0, nullptr);
  ASSERT_GT(from_0, 9U);
  for (unsigned levels = 1; levels < 9; levels++) {
    EXPECT_EQ(captured_from(9, levels, nullptr), from_0 - levels);
  }
}

TEST_F(StackRules, AnOriginThatIsNotMetHasNoFrames) {
  rf_origin const foreign = {nullptr, 0x123456, __builtin_frame_address(0)};
  EXPECT_EQ(rf_stack_rules_capture(&foreign, found.captured, kDepth), 0U);
  rf_origin const off = {nullptr, reinterpret_cast<uintptr_t>(__builtin_return_address(0)),
                         static_cast<char *>(__builtin_frame_address(0)) + sizeof(uintptr_t)};
  EXPECT_EQ(rf_stack_rules_capture(&off, found.captured, kDepth), 0U);
}

__attribute__((noinline)) unsigned captured_below(unsigned depth, const rf_origin *outer, unsigned max) {
  unsigned const count =
      depth == 0 ? rf_stack_rules_capture(outer, found.captured, max) : captured_below(depth - 1, outer, max);
  __asm__ volatile("" : : : "memory");
  return count;
}

TEST_F(StackRules, AnOriginIsLookedForAmongTheCheckersFramesAlone) {
  rf_origin const origin = {nullptr, reinterpret_cast<uintptr_t>(__builtin_return_address(0)),
                            __builtin_frame_address(0)};
  unsigned deepest = 0;
  for (unsigned depth = 0; depth < 40; depth++) {
    unsigned const count = captured_below(depth, &origin, kDepth);
    deepest = count != 0 ? depth : deepest;
    EXPECT_TRUE(count == 0 || found.captured[0] == origin.caller);
    EXPECT_EQ(count != 0, deepest == depth) << depth;
  }
  EXPECT_EQ(deepest, 29U) << "32 steps: out of the capture, of 30 calls and of this function";
  for (unsigned max = 1; max < 4; max++) {
    EXPECT_EQ(captured_below(2, &origin, max), max);
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

// ---- Signals ----

void put_rule(uintptr_t pc, uint32_t rule) {
  rf_stack_rule_set(pc)[0] = static_cast<uint64_t>(pc >> RF_RULES_FIRST_BITS) << RF_RULE_BITS | rule;
}

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

// ---- The tables ----

// A copy of this program as it is mapped: its tables hold distances, which are the same there.
struct Copy {
  std::vector<char> bytes;
  uintptr_t start = 0;
  uintptr_t header = 0;
  std::vector<std::pair<uintptr_t, uintptr_t>> code;
};

// Over what AddressSanitizer knows between objects. Volatile: not by memcpy, which it checks.
#if defined(__clang__)
__attribute__((no_sanitize("address")))
#endif
void copy_bytes(char *to, const volatile char *from, size_t size) {
  for (size_t i = 0; i < size; i++) {
    to[i] = from[i];
  }
}

int copy_program(struct dl_phdr_info *info, size_t /*size*/, void *argument) {
  auto *const copy = static_cast<Copy *>(argument);
  uintptr_t end = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) &p = info->dlpi_phdr[i];
    if (p.p_type == PT_LOAD) {
      copy->start = end == 0 ? info->dlpi_addr + p.p_vaddr : copy->start;
      end = info->dlpi_addr + p.p_vaddr + p.p_memsz;
    }
  }
  copy->bytes.resize(end - copy->start);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) &p = info->dlpi_phdr[i];
    uintptr_t const at = info->dlpi_addr + p.p_vaddr - copy->start;
    if (p.p_type == PT_LOAD && (p.p_flags & PF_W) == 0) {
      copy_bytes(&copy->bytes[at], reinterpret_cast<const volatile char *>(copy->start + at), p.p_filesz);
      if ((p.p_flags & PF_X) != 0) {
        copy->code.emplace_back(at, p.p_filesz);
      }
    } else if (p.p_type == PT_GNU_EH_FRAME) {
      copy->header = at;
    }
  }
  return 1; // the program is the first
}

TEST_F(StackRules, OfDamagedTablesDoNoHarm) {
  Copy copy;
  (void)dl_iterate_phdr(copy_program, &copy);
  ASSERT_NE(copy.header, 0U);
  auto const base = reinterpret_cast<uintptr_t>(copy.bytes.data());
  rf_eh_module const module = {base, base + copy.bytes.size(), base + copy.header};
  std::vector<std::pair<size_t, char>> changed; // where, and what was there
  std::vector<uintptr_t> stack(4096);
  std::mt19937 random(7);
  size_t rows = 0;
  for (int round = 0; round < 20000; round++) {
    auto const &[at, size] = copy.code[random() % copy.code.size()];
    uintptr_t const pc = base + at + random() % size;
    size_t const damaged = copy.header + random() % (round % 2 == 0 ? 64 : copy.bytes.size() - copy.header);
    char const before = copy.bytes[damaged];
    copy.bytes[damaged] = static_cast<char>(random());
    rf_eh_row row;
    if (rf_eh_frame_row(&module, pc, &row)) {
      rf_unwind_registers registers = {};
      registers.low = reinterpret_cast<uintptr_t>(stack.data());
      registers.high = registers.low + stack.size() * sizeof stack[0];
      std::fill(std::begin(registers.values), std::end(registers.values), registers.low + 800);
      registers.known = ~0U;
      (void)rf_eh_frame_step(&module, &row, &registers);
      rows++;
    }
    changed.emplace_back(damaged, before);
    for (; round % 10 == 9 && !changed.empty(); changed.pop_back()) {
      copy.bytes[changed.back().first] = changed.back().second;
    }
  }
  EXPECT_GT(rows, 1000U);
}

// ---- The end of a stack ----

constexpr uintptr_t kFirst = 0x200000; // return addresses into no code
constexpr uintptr_t kSecond = 0x123450;

// A stack of one page, and on it the frame that a call from kFirst has left. The frame of kFirst's function, whose last
// word is kSecond, ends `beyond` words behind the stack.
class LastFrame {
public:
  LastFrame()
      : page_(static_cast<size_t>(getpagesize())),
        pages_(static_cast<char *>(mmap(nullptr, 3 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    (void)mprotect(pages_ + page_, page_, PROT_READ | PROT_WRITE);
  }
  LastFrame(const LastFrame &) = delete;
  LastFrame &operator=(const LastFrame &) = delete;
  ~LastFrame() { (void)munmap(pages_, 3 * page_); }

  // `words` of kFirst's frame, and its frame pointer `pointer` words from its beginning.
  Frames captured(int words, int pointer, int beyond) {
    auto *const end = reinterpret_cast<uintptr_t *>(pages_ + 2 * page_);
    uintptr_t *const frame = end + beyond - words;
    std::fill(reinterpret_cast<uintptr_t *>(pages_ + page_), end, 0);
    frame[-2] = reinterpret_cast<uintptr_t>(frame + pointer);
    frame[-1] = kFirst;
    frame[0] = reinterpret_cast<uintptr_t>(end + beyond); // of the kind BEHIND
    end[-1] = kSecond;
    rf_origin const origin = {nullptr, kFirst, frame - 2};
    Frames frames(4);
    frames.resize(rf_stack_capture(&origin, frames.data(), 4));
    return frames;
  }

private:
  size_t page_;
  char *pages_;
};

TEST_F(StackRules, AFrameMayEndWithTheStackAndNoWordBehindIt) {
  struct Case {
    uint32_t rule;
    int words;
    int pointer;
  };
  Case const cases[] = {{RF_RULE_OF_N(RF_RULE_SP, 5), 5, 1},
                        {RF_RULE_OF_N(RF_RULE_SP, 5) | 3U << 18, 5, 1},
                        {RF_RULE_OF_N(RF_RULE_BP, 4), 5, 1},
                        {RF_RULE_OF_N(RF_RULE_BEHIND, 2), 5, 2},
                        {RF_RULE_POINTERS, 5, 3}};
  LastFrame stack;
  for (const Case &c : cases) {
    put_rule(kFirst, c.rule);
    EXPECT_EQ(stack.captured(c.words, c.pointer, 0), (Frames{kFirst, kSecond})) << c.rule;
    EXPECT_EQ(stack.captured(c.words, c.pointer, 1), Frames{kFirst}) << c.rule;
  }
  rf_stack_rules_forget();
}

// A return address alone is the smallest of all frames.
TEST_F(StackRules, AFrameMayBeAWord) {
  uintptr_t words[8] = {};
  words[0] = reinterpret_cast<uintptr_t>(words + 2);
  words[1] = kFirst;
  words[2] = kSecond;
  rf_origin const origin = {nullptr, kFirst, words};
  uintptr_t frames[2] = {};
  for (uint32_t const rule : {RF_RULE_OF_N(RF_RULE_SP, 1), RF_RULE_OF_N(RF_RULE_BP, 1)}) {
    put_rule(kFirst, rule);
    EXPECT_EQ(rf_stack_capture(&origin, frames, 2), 2U) << rule;
    EXPECT_EQ(frames[1], kSecond);
  }
  words[2] = 4096;
  EXPECT_EQ(rf_stack_capture(&origin, frames, 2), 2U);
  words[2] = 4095;
  EXPECT_EQ(rf_stack_capture(&origin, frames, 2), 1U) << "no code is there";
  words[2] = kSecond;
  put_rule(kFirst, RF_RULE_OF_N(RF_RULE_BP, 0));
  EXPECT_EQ(rf_stack_capture(&origin, frames, 2), 1U) << "no frame";
  rf_stack_rules_forget();
}

// ---- Layouts ----

#if defined(__x86_64__)

// A frame pointer is compared by its distance, or, where it points to nothing nearby, by itself: 31 bits of it.
TEST_F(StackRules, ALayoutHoldsAFramePointerThatPointsNowhere) {
  uintptr_t words[8] = {};
  words[1] = kFirst;
  rf_origin const origin = {nullptr, kFirst, words};
  put_rule(kFirst, RF_RULE_POINTERS);
  for (uintptr_t const pointer : {uintptr_t{0}, uintptr_t{1}, uintptr_t{64}, uintptr_t{INT32_MAX}}) {
    rf_stack_layout layout = {};
    uintptr_t frames[4];
    words[0] = pointer;
    EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, 4, &layout), 1U);
    EXPECT_TRUE(layout.fixed && layout.ended) << pointer;
    ASSERT_EQ(layout.checks, 1U);
    EXPECT_EQ(layout.check[0].slot, RF_CHECK_ABSOLUTE) << pointer;
    EXPECT_EQ(layout.check[0].value, static_cast<int32_t>(pointer));
  }
  rf_stack_layout layout = {};
  uintptr_t frames[4];
  words[0] = uintptr_t{INT32_MAX} + 2;
  EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, 4, &layout), 1U);
  EXPECT_FALSE(layout.fixed);
  words[0] = reinterpret_cast<uintptr_t>(words) - 3 * sizeof words[0];
  EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, 4, &layout), 1U);
  EXPECT_TRUE(layout.fixed);
  EXPECT_EQ(layout.check[0].slot, 0U);
  EXPECT_EQ(layout.check[0].value, -3);
  rf_stack_rules_forget();
}

#endif

// Frames of three words of kFirst's function, each with the CFA in a word below its frame pointer.
TEST_F(StackRules, ALayoutHasAsManyChecksAsThereIsRoomFor) {
  constexpr unsigned kFrames = RF_TRACE_DEPTH + 2;
  uintptr_t words[2 + 4 * kFrames] = {};
  auto const at = [&](unsigned i) { return reinterpret_cast<uintptr_t>(words) + i * sizeof words[0]; };
  words[0] = at(2 + 1);
  words[1] = kFirst;
  for (unsigned i = 0; i < kFrames; i++) { // the CFA, the frame pointer, a word, the return address
    uintptr_t *const frame = words + 2 + 4 * i;
    frame[0] = at(2 + 4 * (i + 1));
    frame[1] = at(2 + 4 * (i + 1) + 1);
    frame[3] = kFirst;
  }
  put_rule(kFirst, RF_RULE_OF_N(RF_RULE_BEHIND, 1));
  rf_origin const origin = {nullptr, kFirst, words};
  for (unsigned max = 2; max <= RF_TRACE_DEPTH; max++) {
    struct {
      rf_stack_layout layout;
      uintptr_t behind[16];
    } out;
    std::memset(&out, 0x5A, sizeof out);
    uintptr_t frames[RF_TRACE_DEPTH];
    EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, max, &out.layout), max);
    bool const fits = 2 * (max - 1) <= RF_TRACE_DEPTH; // two for each step
    EXPECT_EQ(out.layout.fixed, fits) << max;
    EXPECT_EQ(out.layout.checks, std::min(2 * (max - 1), unsigned{RF_TRACE_DEPTH}));
    EXPECT_EQ(out.layout.asked, max);
    EXPECT_FALSE(out.layout.ended);
    for (unsigned i = 0; i < out.layout.checks; i++) {
      unsigned const frame = 2 + 4 * (i / 2);
      unsigned const previous = frame - 3;
      EXPECT_EQ(out.layout.check[i].slot, i % 2 == 1 ? frame : i == 0 ? 0 : previous) << i;
      EXPECT_EQ(out.layout.check[i].value, static_cast<int32_t>(i % 2 == 1 ? frame + 4 : frame + 1)) << i;
    }
    for (unsigned i = 0; i < max; i++) {
      EXPECT_EQ(out.layout.slots[i], 1 + 4 * i);
    }
    for (uintptr_t const word : out.behind) {
      EXPECT_EQ(word, UINTPTR_MAX / 0xFF * 0x5A);
    }
  }
  rf_stack_rules_forget();
}

// The function that calls main is told by a return address into it, wherever it is among the outermost frames.
TEST_F(StackRules, ALayoutEndsAtTheFunctionThatCallsMain) {
  constexpr unsigned kFrames = 7;
  constexpr uintptr_t kStep = 0x40;
  uintptr_t words[2 * kFrames + 1] = {};
  for (unsigned i = 0; i < kFrames; i++) {
    words[2 * i + 1] = kFirst + i * kStep;
    put_rule(kFirst + i * kStep, i + 1 < kFrames ? RF_RULE_OF_N(RF_RULE_SP, 2) : RF_RULE_END);
  }
  rf_origin const origin = {nullptr, kFirst, words};
  auto const frames_to = [&](uintptr_t start, uintptr_t end) {
    rf_stack_layout layout = {};
    uintptr_t frames[kFrames + 1];
    rf_stack_set_root(start, end);
    EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, kFrames + 1, &layout), kFrames);
    EXPECT_TRUE(layout.fixed && layout.ended);
    rf_stack_set_root(0, 0);
    return layout.rooted;
  };
  EXPECT_EQ(frames_to(0, 0), 0U);
  for (unsigned i = 0; i < kFrames; i++) {
    uintptr_t const pc = kFirst + i * kStep;
    unsigned const expected = i + 4 < kFrames ? 0 : i + 1; // four of them are looked at
    EXPECT_EQ(frames_to(pc - 8, pc), expected) << "the call is the last of the code";
    EXPECT_EQ(frames_to(pc - 1, pc + 8), expected);
    EXPECT_EQ(frames_to(pc, pc + 8), 0U) << "the call is before it";
    EXPECT_EQ(frames_to(pc - 8, pc - 1), 0U);
  }
  rf_stack_rules_forget();
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
