// The rule kept for a row of .eh_frame, and when the tables of a module count as other ones. The modules
// are made by hand; the dynamic linker's answers are the test's.
#include "checkers/os/stack_rules.h"

#include "tests/checkers/eh_module.h"
#include "tests/checkers/linker_answers.h"

#include <gtest/gtest.h>

#if RF_STACK_RULES && defined(RF_CAN_ANSWER)

#include <algorithm>
#include <cerrno>
#include <sys/mman.h>
#include <vector>

extern "C" {
int __real_madvise(void *start, size_t size, int advice);
int __wrap_madvise(void *start, size_t size, int advice);
}

static std::vector<int> advices; // for the whole table

int __wrap_madvise(void *start, size_t size, int advice) {
  if (start == rf_stack_rule_table && size == sizeof rf_stack_rule_table) {
    advices.push_back(advice);
    errno = EINVAL; // an older kernel
    return -1;
  }
  return __real_madvise(start, size, advice);
}

namespace ringfence {
namespace {

constexpr uint32_t sp_rule(unsigned n, unsigned m) {
  return m << 18 | RF_RULE_OF_N(RF_RULE_SP, n);
}

constexpr uint32_t bp_rule(unsigned n, unsigned m) {
  return m << 18 | RF_RULE_OF_N(RF_RULE_BP, n);
}

// An offset in words, as LEB128 of five bytes.
Bytes long_number(int64_t words) {
  Bytes out;
  auto value = static_cast<uint64_t>(words * kWord);
  for (int i = 0; i < 4; i++, value >>= 7) {
    out.push_back(static_cast<unsigned char>(0x80 | (value & 0x7F)));
  }
  out.push_back(static_cast<unsigned char>(value & 0x7F));
  return out;
}

// The CFA is the word at the frame pointer + `offset`, the caller's frame pointer at the frame pointer.
Bytes behind(const Bytes &offset, const Bytes &rest = {0x06}, const Bytes &bp = {0x10, kBp, 2, 0x70 | kBp, 0}) {
  Bytes const expression = Bytes{0x70 | kBp} + offset + rest;
  return Bytes{0x0F, static_cast<unsigned char>(expression.size())} + expression + bp;
}

class StackRuleKinds : public testing::Test {
protected:
  StackRuleKinds() {
    (void)rf_stack_rule_find(reinterpret_cast<uintptr_t>(&rf_stack_rule_find) + 1); // the real linker is found
    rf_stack_rules_forget();
  }
  ~StackRuleKinds() override {
    std::fill(std::begin(made), std::end(made), MadeModule{});
    rf_stack_rules_forget();
  }

  void show() {
    rf_eh_module const m = module.make();
    made[0] = {m.start, m.start + kCode + 0x10000, m.header, m.end};
  }

  // The rule of a call in the first function, made of these instructions.
  uint32_t rule_of(const Bytes &instructions) {
    module.functions[0].instructions = instructions;
    show();
    rf_stack_rules_forget();
    uint32_t const rule = rf_stack_rule_find(module.code() + 1);
    EXPECT_EQ(rf_stack_rule(module.code() + 1), rule) << "as it is kept";
    return rule;
  }

  Module module;
};

TEST_F(StackRuleKinds, FollowFromTheRow) {
  module.cie.data_align = {0x7F}; // units of a byte, downwards
  module.cie.instructions = {0x0C, kSp, kWord, 0x80 | kPc, kWord};
  constexpr unsigned char w = kWord;
  Bytes const bp_at_2 = {0x80 | kBp, 2 * w};
  struct {
    const char *name;
    Bytes instructions;
    uint32_t rule;
  } const cases[] = {
      {"first instruction", {}, sp_rule(1, 0)},
      {"pushed words", {0x0E, 3 * w}, sp_rule(3, 0)},
      {"pushed frame pointer", Bytes{0x0E, 2 * w} + bp_at_2, sp_rule(2, 2)},
      {"frame pointer outside", Bytes{0x0E, w} + bp_at_2, RF_RULE_ROW},
      {"by the frame pointer", Bytes{0x0C, kBp, 2 * w} + bp_at_2, bp_rule(2, 2)},
      {"by the frame pointer, from above", Bytes{0x0C, kBp, w} + bp_at_2, bp_rule(1, 2)},
      {"by another register", Bytes{0x0C, 3, 2 * w} + bp_at_2, RF_RULE_ROW},
      {"no whole words", {0x0E, 2 * w + 1}, RF_RULE_ROW},
      {"no words", {0x0E, 0}, RF_RULE_ROW},
      {"most words", Bytes{0x0E} + long_number(0xFFFF), sp_rule(0xFFFF, 0)},
      {"too many", Bytes{0x0E} + long_number(0x10000), RF_RULE_ROW},
      {"frame pointer furthest", Bytes{0x0E} + long_number(0xFF) + Bytes{0x80 | kBp} + long_number(0xFF),
       sp_rule(0xFF, 0xFF)},
      {"frame pointer too far", Bytes{0x0E} + long_number(0x100) + Bytes{0x80 | kBp} + long_number(0x100), RF_RULE_ROW},
      {"frame pointer at no word", Bytes{0x0E, 4 * w, 0x80 | kBp, w + 1}, RF_RULE_ROW},
      {"frame pointer at the CFA", Bytes{0x0E, 4 * w, 0x80 | kBp, 0}, RF_RULE_ROW},
      {"frame pointer above", Bytes{0x0E, 4 * w, 0x11, kBp, 0x80 - w}, RF_RULE_ROW},
      {"frame pointer in a register", {0x0E, 4 * w, 0x09, kBp, 3}, RF_RULE_ROW},
      {"frame pointer of no value", {0x0E, 4 * w, 0x07, kBp}, RF_RULE_ROW},
      {"stack pointer elsewhere", {0x14, kSp, w}, RF_RULE_ROW},
      {"return address further down", {0x0E, 4 * w, 0x80 | kPc, 2 * w}, RF_RULE_ROW},
      {"return address in its register", {0x08, kPc}, RF_RULE_ROW},
      {"no return address", {0x07, kPc}, RF_RULE_END},
      {"behind", behind({0x80 - w}), RF_RULE_OF_N(RF_RULE_BEHIND, 1)},
      {"furthest behind", behind(long_number(-0xFFFF)), RF_RULE_OF_N(RF_RULE_BEHIND, 0xFFFF)},
      {"too far behind", behind(long_number(-0x10000)), RF_RULE_ROW},
      {"a tenth of that", behind(long_number(-0x1999)), RF_RULE_OF_N(RF_RULE_BEHIND, 0x1999)},
      {"not behind", behind({0}), RF_RULE_ROW},
      {"before", behind({w}), RF_RULE_ROW},
      {"behind by no whole words", behind({0x7F - w}), RF_RULE_ROW},
      {"behind, without the word", behind({0x80 - w}, {}), RF_RULE_ROW},
      {"behind, frame pointer a word further", behind({0x80 - w}, {0x06}, {0x10, kBp, 2, 0x70 | kBp, w}), RF_RULE_ROW},
      {"behind, frame pointer a value", behind({0x80 - w}, {0x06}, {0x16, kBp, 2, 0x70 | kBp, 0}), RF_RULE_ROW},
      {"behind, frame pointer by the stack's", behind({0x80 - w}, {0x06}, {0x10, kBp, 2, 0x70 | kSp, 0}), RF_RULE_ROW},
      {"behind, frame pointer as it is", behind({0x80 - w}, {0x06}, {}), RF_RULE_ROW},
      {"behind, return address further down", behind({0x80 - w}) + Bytes{0x80 | kPc, 2 * w}, RF_RULE_ROW},
  };
  for (const auto &c : cases) {
    EXPECT_EQ(rule_of(c.instructions), c.rule) << c.name;
  }
}

TEST_F(StackRuleKinds, OfASignalsFrameIsTheRow) {
  module.cie.letters = "zRS";
  EXPECT_EQ(rule_of({}), RF_RULE_ROW);
  EXPECT_EQ(rule_of(behind({0x80 - kWord})), RF_RULE_ROW);
}

TEST_F(StackRuleKinds, AreThoseOfTheCallBeforeTheReturnAddress) {
  module.functions = {{kCode, 0x10, {0x44, 0x0E, 3 * kWord}}, {kCode + 0x10, 0x10, {0x0E, 5 * kWord}}};
  show();
  EXPECT_EQ(rf_stack_rule_find(module.code()), RF_RULE_POINTERS) << "before all functions";
  EXPECT_EQ(rf_stack_rule_find(module.code() + 4), sp_rule(1, 0));
  EXPECT_EQ(rf_stack_rule_find(module.code() + 5), sp_rule(3, 0));
  EXPECT_EQ(rf_stack_rule_find(module.code() + 0x10), sp_rule(3, 0));
  EXPECT_EQ(rf_stack_rule_find(module.code() + 0x11), sp_rule(5, 0));
  EXPECT_EQ(rf_stack_rule_find(module.code() + 0x20), sp_rule(5, 0));
  EXPECT_EQ(rf_stack_rule_find(module.code() + 0x21), RF_RULE_POINTERS);
  made[0] = {};
  EXPECT_EQ(rf_stack_rule_find(64), RF_RULE_UNKNOWN);
}

// The table's memory comes at once when half of its first part is in use, and the rest is used from then on.
TEST_F(StackRuleKinds, TheTableGrowsOnce) {
  module.functions = {{kCode, 0x10000, {}}};
  show();
  EXPECT_EQ(rf_stack_rule_mask, 511U);
  EXPECT_TRUE(advices.empty());
  errno = 77;
  unsigned rules = 0;
  for (; rules < 512 && rf_stack_rule_mask == 511; rules++) {
    EXPECT_EQ(rf_stack_rule_find(module.code() + 1 + rules), sp_rule(1, 0));
  }
  EXPECT_GT(rules, 1U);
  EXPECT_EQ(advices, std::vector<int>{23}) << "MADV_POPULATE_WRITE";
  EXPECT_EQ(rf_stack_rule_mask, RF_RULES_SETS - 1);
  EXPECT_EQ(errno, 77);
  for (unsigned i = 0; i < 2000; i++) {
    EXPECT_EQ(rf_stack_rule_find(module.code() + 1 + i), sp_rule(1, 0));
  }
  EXPECT_EQ(advices.size(), 1U);
}

// ---- A step by the tables themselves ----

class TableSteps : public StackRuleKinds {
protected:
  TableSteps() {
    module.functions[0].instructions = {0x0E, 4 * kWord, 0x80 | kBp, 2};
    show();
    for (size_t i = 0; i < 32; i++) {
      stack[i] = 0x5000 + i;
    }
    frame.registers.values[kPc] = module.code() + 1;
    frame.registers.values[kSp] = at(4);
    frame.registers.values[kBp] = 0x777;
    frame.registers.known = 1U << kPc | 1U << kSp | 1U << kBp;
    frame.registers.low = at(4);
    frame.registers.high = at(20);
    frame.returned = true;
  }

  uintptr_t at(size_t i) const { return reinterpret_cast<uintptr_t>(stack + i); }

  uintptr_t stack[32] = {};
  rf_rules_frame frame = {};
};

TEST_F(TableSteps, LeadToTheCallersFrame) {
  ASSERT_EQ(rf_stack_rules_step(&frame), RF_UNWIND_STEPPED);
  EXPECT_EQ(frame.registers.values[kSp], at(8));
  EXPECT_EQ(frame.registers.values[kPc], 0x5007U);
  EXPECT_EQ(frame.registers.values[kBp], 0x5006U);
  EXPECT_EQ(frame.registers.low, at(8)) << "what is below is none of the caller's";
  EXPECT_EQ(frame.registers.high, at(20));
  EXPECT_TRUE(frame.returned);
}

TEST_F(TableSteps, LeadNowhereElse) {
  rf_rules_frame const before = frame;
  auto const fails = [&] {
    rf_rules_frame const asked = frame;
    bool const failed = rf_stack_rules_step(&frame) == RF_UNWIND_FAILED;
    EXPECT_EQ(std::memcmp(&asked, &frame, sizeof frame), 0) << "it is as before";
    frame = before;
    return failed;
  };
  stack[7] = 4095;
  EXPECT_TRUE(fails()) << "no code is there";
  stack[7] = 4096;
  EXPECT_EQ(rf_stack_rules_step(&frame), RF_UNWIND_STEPPED);
  frame = before;
  frame.registers.high = at(8);
  EXPECT_EQ(rf_stack_rules_step(&frame), RF_UNWIND_STEPPED) << "the last frame";
  frame = before;
  frame.registers.high = at(8) - 1;
  EXPECT_TRUE(fails()) << "it ends behind the stack";
  frame.registers.values[kPc] = 64;
  EXPECT_TRUE(fails()) << "of no module";
  frame.registers.values[kPc] = module.code();
  EXPECT_TRUE(fails()) << "of no function";
  frame.returned = false;
  frame.registers.values[kPc] = module.code();
  EXPECT_EQ(rf_stack_rules_step(&frame), RF_UNWIND_STEPPED) << "a signal came at its first instruction";
  EXPECT_TRUE(frame.returned);
  frame = before;
  module.functions[0].instructions = {0x0E, 0, 0x11, kPc, 0}; // the stack pointer stays
  show();
  EXPECT_TRUE(fails());
  module.functions[0].instructions = {0x0E, 4 * kWord, 0x14, kSp, 0x10}; // it goes down
  show();
  EXPECT_TRUE(fails());
  module.functions[0].instructions = {0x0E, 4 * kWord, 0x15, kSp, 0x7F}; // a word further up
  show();
  EXPECT_EQ(rf_stack_rules_step(&frame), RF_UNWIND_STEPPED);
  EXPECT_EQ(frame.registers.values[kSp], at(9));
  frame = before;
  module.cie.data_align = {0x7F};
  module.cie.instructions = {0x0C, kSp, 4 * kWord, 0x80 | kPc, kWord};
  module.functions[0].instructions = {0x15, kSp, 0x7F}; // a byte
  show();
  EXPECT_TRUE(fails()) << "misaligned";
  module.functions[0].instructions = {0x07, kPc};
  show();
  EXPECT_EQ(rf_stack_rules_step(&frame), RF_UNWIND_END);
}

// A signal may have come on another stack: the bounds are then those of the one that it interrupted, and what lies in
// its red zone may be read.
TEST_F(TableSteps, OfASignalLeadToTheStackThatItInterrupted) {
  module.cie.letters = "zRS";
  alignas(512) unsigned char here[512]; // a red zone in it is on one page, from which on the stack is known
  uintptr_t const other = reinterpret_cast<uintptr_t>(here) + 256;
  stack[8] = other;
  module.functions[0].instructions = {0x80 | kSp, 0x00, 0x0E, 4 * kWord};
  show();
  ASSERT_EQ(rf_stack_rules_step(&frame), RF_UNWIND_STEPPED);
  EXPECT_FALSE(frame.returned);
  EXPECT_EQ(frame.registers.values[kSp], other);
  EXPECT_EQ(frame.registers.low, other - (kWord == 8 ? 128 : 0));
  EXPECT_GT(frame.registers.high, other);
}

// ---- Tables that change ----

class ChangedTables : public StackRuleKinds {
protected:
  ChangedTables() {
    for (uint32_t i = 1; i < 90; i++) {
      module.functions.push_back({kCode + i * 0x100, 0x100, {}});
    }
    show();
    header = made[0].header - module.base();
  }

  // Whether a change of the byte at `offset` is seen with the next rule.
  bool sees(size_t offset) {
    rf_stack_rules_forget();
    (void)rf_stack_rule_find(module.code() + 1);
    uint32_t const generation = rf_stack_generation;
    (void)rf_stack_rule_find(module.code() + 0x101);
    EXPECT_EQ(rf_stack_generation, generation) << "nothing has changed";
    unsigned char *const byte = module.bytes() + offset;
    *byte = static_cast<unsigned char>(*byte ^ 0x80);
    (void)rf_stack_rule_find(module.code() + 0x201);
    *byte = static_cast<unsigned char>(*byte ^ 0x80);
    return rf_stack_generation != generation;
  }

  size_t header = 0;
};

TEST_F(ChangedTables, AreOtherTablesIfTheirFirst512BytesAre) {
  for (size_t const i : {12U, 100U, 256U, 504U, 511U}) {
    EXPECT_TRUE(sees(header + i)) << i;
  }
  for (size_t const i : {20U, 100U, 256U, 504U, 511U}) {
    EXPECT_TRUE(sees(i)) << "of the frames: " << i;
  }
  EXPECT_FALSE(sees(header + 512));
  EXPECT_FALSE(sees(512));
}

TEST_F(ChangedTables, AreLookedAtInWholeOrNotAtAll) {
  module.functions.resize(2);
  show();
  header = made[0].header - module.base();
  ASSERT_LT(header, 500U);
  ASSERT_GT(header, 40U);
  made[0].said_end = made[0].start + 512;
  EXPECT_TRUE(sees(300));
  EXPECT_FALSE(sees(header + 511)) << "behind the module";
  made[0].said_end = made[0].start + 511;
  EXPECT_FALSE(sees(300));
  made[0].said_end = made[0].start + header + 512;
  EXPECT_TRUE(sees(540));
  made[0].said_end = made[0].start + header + 511;
  EXPECT_FALSE(sees(540));
  EXPECT_TRUE(sees(300)) << "the frames are looked at by themselves";
}

// A module of another size at the same place is another one, whatever its tables are.
TEST_F(ChangedTables, BelongToAModuleOfOneSize) {
  (void)rf_stack_rule_find(module.code() + 1);
  uint32_t const generation = rf_stack_generation;
  made[0].said_end += 8;
  (void)rf_stack_rule_find(module.code() + 0x101);
  EXPECT_NE(rf_stack_generation, generation);
}

// Behind the page in which they begin there may be a hole.
TEST_F(ChangedTables, AreReadNoFurtherThanTheirPage) {
  constexpr size_t kPage = 4096;
  auto *const pages = static_cast<unsigned char *>(
      mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(static_cast<void *>(pages), MAP_FAILED);
  module.functions.resize(2);
  rf_eh_module const m = module.make();
  size_t const size = m.end - m.start;
  ASSERT_EQ(mprotect(pages + kPage, 3 * kPage, PROT_NONE), 0);
  unsigned char *const at = pages + kPage - size;
  std::memcpy(at, module.bytes(), size);
  auto const start = reinterpret_cast<uintptr_t>(at);
  made[0] = {start, start + kCode + 0x10000, start + (m.header - m.start), start + 3 * kPage};
  EXPECT_EQ(rf_stack_rule_find(start + kCode + 1), sp_rule(1, 0));
  EXPECT_EQ(rf_stack_rule_find(start + kCode + 0x101), sp_rule(1, 0));
  (void)munmap(pages, 4 * kPage);
}

} // namespace
} // namespace ringfence

#endif // RF_STACK_RULES
