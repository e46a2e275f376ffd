// Stacks by the tables alone, from the checker's own registers on; and by tables that are damaged.
#include "tests/checkers/stack_rules_fixture.h"

#if RF_STACK_RULES

#include <algorithm>
#include <csetjmp>
#include <link.h>
#include <random>
#include <utility>
#include <vector>

namespace ringfence {
namespace {

unsigned captured_by_tables;

__attribute__((noinline)) void compare_by_tables(const rf_origin *origin) {
  found.expected = {origin->caller, {}, 0};
  (void)_Unwind_Backtrace(unwound, &found.expected);
  captured_by_tables = rf_stack_rules_capture(origin, found.captured, kDepth);
  __asm__ volatile("" : : : "memory"); // no tail call
}

void compare_tables_and_jump(const stack_step * /*step*/) {
  rf_origin const origin = ORIGIN_HERE;
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
  rf_origin const origin = ORIGIN_HERE;
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
  rf_origin const origin = ORIGIN_HERE;
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

// ---- Damage ----

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

} // namespace
} // namespace ringfence

#endif // RF_STACK_RULES
