// The reader of .eh_frame, its expressions, and the step from a frame to its caller's.
#include <gtest/gtest.h>

#if defined(__x86_64__) || defined(__i386__)

#include "checkers/os/eh_reader.h"
#include "tests/checkers/eh_bytes.h"

namespace ringfence {
namespace {

// ---- The reader ----

TEST(EhReader, ReadsEveryFormat) {
  struct {
    unsigned char encoding;
    Bytes bytes;
    uintptr_t value;
  } const cases[] = {
      {0x00, raw(static_cast<uintptr_t>(0xF1E2D3C4)), 0xF1E2D3C4},
      {0x01, {0xE5, 0x8E, 0x26}, 624485},
      {0x02, raw(uint16_t{0xFEDC}), 0xFEDC},
      {0x03, raw(uint32_t{0xFEDCBA98}), 0xFEDCBA98},
      {0x04, raw(uint64_t{0x76543210}), 0x76543210},
      {0x09, {0xC0, 0xBB, 0x78}, static_cast<uintptr_t>(-123456)},
      {0x0A, raw(int16_t{-2}), static_cast<uintptr_t>(-2)},
      {0x0B, raw(int32_t{-3}), static_cast<uintptr_t>(-3)},
      {0x0C, raw(int64_t{-4}), static_cast<uintptr_t>(-4)},
  };
  for (const auto &c : cases) {
    auto const at = reinterpret_cast<uintptr_t>(c.bytes.data());
    eh_cursor cursor = {at, at + c.bytes.size(), false};
    EXPECT_EQ(eh_value(&cursor, c.encoding), c.value) << +c.encoding;
    EXPECT_EQ(cursor.at, cursor.end) << +c.encoding;
    EXPECT_FALSE(cursor.bad) << +c.encoding;
    eh_cursor cut = {at, at + c.bytes.size() - 1, false};
    (void)eh_value(&cut, c.encoding);
    EXPECT_TRUE(cut.bad) << +c.encoding;
    EXPECT_EQ(eh_value(&cut, c.encoding), 0U) << "once bad, always bad";
  }
  for (uint8_t const encoding : Bytes{0x05, 0x08, 0x0D, 0x0F}) {
    unsigned char const zeros[16] = {};
    auto const at = reinterpret_cast<uintptr_t>(zeros);
    eh_cursor cursor = {at, at + sizeof zeros, false};
    EXPECT_EQ(eh_value(&cursor, encoding), 0U);
    EXPECT_TRUE(cursor.bad) << +encoding;
  }
}

// Relative to where they stand, or to the data; a pointer to a pointer is not followed.
TEST(EhReader, ReadsPointers) {
  struct {
    unsigned char encoding;
    bool known;
    bool from_here;
    uintptr_t data;
  } const cases[] = {{0x03, true, false, 0},  {0x13, true, true, 0},   {0x33, true, false, 0x1000},
                     {0x23, false, false, 0}, {0x43, false, false, 0}, {0x53, false, false, 0},
                     {0x83, false, false, 0}, {0x93, false, false, 0}, {0xB3, false, false, 0}};
  Bytes const bytes = raw(uint32_t{0x123});
  auto const at = reinterpret_cast<uintptr_t>(bytes.data());
  for (const auto &c : cases) {
    eh_cursor cursor = {at, at + bytes.size(), false};
    uintptr_t const value = eh_pointer(&cursor, c.encoding, 0x1000);
    EXPECT_EQ(cursor.bad, !c.known) << +c.encoding;
    EXPECT_EQ(value, c.known ? 0x123 + c.data + (c.from_here ? at : 0) : 0) << +c.encoding;
  }
}

TEST(EhReader, ReadsLeb128) {
  struct {
    Bytes bytes;
    uint64_t plain;
    int64_t with_sign;
  } const cases[] = {
      {{0x00}, 0, 0},
      {{0x02}, 2, 2},
      {{0x3F}, 63, 63},
      {{0x40}, 64, -64},
      {{0x7F}, 127, -1},
      {{0x80, 0x01}, 128, 128},
      {{0xFF, 0x00}, 127, 127},
      {{0x80, 0x7F}, 16256, -128},
      {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}, 0x7FFFFFFFFFFFFFFF, -1},
      {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, uint64_t{1} << 63, INT64_MIN},
      {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}, UINT64_MAX, -1},
      {{0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7F}, 1, 1}, // 77 bits
  };
  for (const auto &c : cases) {
    auto const at = reinterpret_cast<uintptr_t>(c.bytes.data());
    for (bool const is_signed : {false, true}) {
      eh_cursor cursor = {at, at + c.bytes.size(), false};
      uint64_t const value = is_signed ? static_cast<uint64_t>(eh_sleb(&cursor)) : eh_uleb(&cursor);
      EXPECT_EQ(value, is_signed ? static_cast<uint64_t>(c.with_sign) : c.plain) << hex(c.bytes) << is_signed;
      EXPECT_EQ(cursor.at, cursor.end) << hex(c.bytes);
      EXPECT_FALSE(cursor.bad);
    }
  }
}

TEST(EhReader, StopsAtItsEnd) {
  unsigned char const bytes[] = {1, 2, 3, 4};
  auto const at = reinterpret_cast<uintptr_t>(bytes);
  eh_cursor cursor = {at, at + 4, false};
  eh_skip(&cursor, 3);
  EXPECT_FALSE(cursor.bad);
  EXPECT_EQ(eh_u8(&cursor), 4U);
  EXPECT_FALSE(cursor.bad);
  eh_skip(&cursor, 0);
  EXPECT_FALSE(cursor.bad);
  EXPECT_EQ(eh_u8(&cursor), 0U);
  EXPECT_TRUE(cursor.bad);
  cursor = {at + 1, at + 4, false};
  eh_skip(&cursor, 4);
  EXPECT_TRUE(cursor.bad);
  EXPECT_EQ(cursor.at, at + 4);
  cursor = {at + 4, at + 2, false};
  eh_skip(&cursor, 0);
  EXPECT_TRUE(cursor.bad) << "begins behind its end";
  cursor = {at + 4, at + 2, false};
  EXPECT_EQ(eh_u8(&cursor), 0U);
  EXPECT_TRUE(cursor.bad);
}

// ---- Expressions ----

class EhFrameStep : public testing::Test {
protected:
  EhFrameStep() {
    registers.low = reinterpret_cast<uintptr_t>(stack + 4);
    registers.high = reinterpret_cast<uintptr_t>(stack + 28);
    for (unsigned i = 0; i < RF_REGISTERS; i++) {
      registers.values[i] = 0x1000 + i;
    }
    registers.values[kSp] = reinterpret_cast<uintptr_t>(stack + 8);
    registers.known = (1U << RF_REGISTERS) - 1;
    for (size_t i = 0; i < 32; i++) {
      stack[i] = 0x5000 + i;
    }
    row.cfa = cfa_at(kSp, 4 * kWord);
    row.places[kPc] = saved(-1);
  }

  uintptr_t cfa() const { return reinterpret_cast<uintptr_t>(stack + 12); }

  // A module that holds one expression, 5 bytes behind its start.
  rf_eh_module module_of(const Bytes &expression) {
    text = Bytes(5, 0xEE);
    text.push_back(static_cast<unsigned char>(expression.size()));
    text = text + expression;
    auto const start = reinterpret_cast<uintptr_t>(text.data());
    return {start, start + text.size(), 0};
  }

  rf_unwind_result step(const Bytes &expression = {}) {
    rf_eh_module const module = module_of(expression);
    return rf_eh_frame_step(&module, &row, &registers);
  }

  // The return address by an expression.
  bool value(const Bytes &expression, uintptr_t *out) {
    rf_unwind_registers const before = registers;
    row.places[kPc] = place(RF_PLACE_BY_EXPRESSION, 5);
    bool const stepped = step(expression) == RF_UNWIND_STEPPED;
    *out = registers.values[kPc];
    if (!stepped) {
      EXPECT_EQ(std::memcmp(&before, &registers, sizeof before), 0) << "they are as before";
    }
    registers = before;
    return stepped;
  }

  uintptr_t stack[32] = {};
  rf_unwind_registers registers = {};
  rf_eh_row row = {};
  Bytes text;
};

TEST_F(EhFrameStep, ComputesWhatTheExpressionSays) {
  auto const word = [](intptr_t value) { return static_cast<uintptr_t>(value); };
  unsigned char const all = kWord == 8 ? 63 : 31;
  uintptr_t const top = uintptr_t{1} << all;
  struct {
    Bytes expression; // begins with the CFA on its stack
    uintptr_t value;
  } const cases[] = {
      {{}, cfa()},
      {{0x30}, 0},
      {{0x31}, 1},
      {{0x4F}, 31},
      {{0x70, 0}, 0x1000},
      {{0x70 | kBp, 0x02}, 0x1002 + uintptr_t{kBp}},
      {{0x70 | kBp, 0x7F}, 0xFFF + uintptr_t{kBp}},
      {{0x70 | kSp, 0x80, 0x01}, registers.values[kSp] + 128},
      {{0x70 + RF_REGISTER_PC, 0x00}, 0x1000 + uintptr_t{kPc}},
      {{0x08, 0xF0}, 0xF0},
      {{0x09, 0xF0}, word(-16)},
      {{0x0A, 0x01, 0xF0}, 0xF001},
      {{0x0B, 0x01, 0xF0}, word(-0xFFF)},
      {{0x0C, 0x01, 0, 0, 0xF0}, 0xF0000001},
      {{0x0D, 0x01, 0, 0, 0xF0}, word(-0x0FFFFFFF)},
      {{0x0E, 0x02, 0, 0, 0x70, 0, 0, 0, 0}, 0x70000002},
      {{0x0F, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, word(-2)},
      {{0x10, 0xC0, 0x01}, 192},
      {{0x11, 0x40}, word(-64)},
      {Bytes{0x03} + raw(uintptr_t{0x12345678}), 0x12345678},
      {{0x06}, 0x5000 + 12},                           // deref
      {{0x23, kWord, 0x06}, 0x5000 + 13},              // plus_uconst
      {{0x35, 0x36, 0x12, 0x1C}, 0},                   // dup
      {{0x35, 0x36, 0x12, 0x22, 0x22}, 17},            //
      {{0x35, 0x36, 0x13}, 5},                         // drop
      {{0x35, 0x36, 0x14}, 5},                         // over
      {{0x35, 0x36, 0x14, 0x13}, 6},                   //
      {{0x35, 0x36, 0x14, 0x13, 0x13}, 5},             //
      {{0x35, 0x36, 0x16}, 5},                         // swap
      {{0x35, 0x36, 0x16, 0x13}, 6},                   //
      {{0x3C, 0x3A, 0x1A}, 8},                         // and
      {{0x35, 0x36, 0x1C}, word(-1)},                  // minus
      {{0x35, 0x36, 0x1E}, 30},                        // mul
      {{0x35, 0x1F}, word(-5)},                        // neg
      {{0x35, 0x20}, word(-6)},                        // not
      {{0x3C, 0x3A, 0x21}, 14},                        // or
      {{0x35, 0x36, 0x22}, 11},                        // plus
      {{0x35, 0x23, 0x80, 0x01}, 133},                 // plus_uconst
      {{0x35, 0x36, 0x24}, 320},                       // shl
      {{0x31, 0x08, all, 0x24}, top},                  //
      {{0x31, 0x08, all, 0x31, 0x22, 0x24}, 0},        //
      {{0x08, 80, 0x33, 0x25}, 10},                    // shr
      {{0x11, 0x7F, 0x08, all, 0x25}, 1},              //
      {{0x11, 0x7F, 0x08, all, 0x31, 0x22, 0x25}, 0},  //
      {{0x3C, 0x3A, 0x27}, 6},                         // xor
      {{0x35, 0x96}, 5},                               // nop
      {{0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x37}, 7}, // as many as fit
  };
  for (const auto &c : cases) {
    uintptr_t found = 0;
    EXPECT_TRUE(value(c.expression, &found)) << hex(c.expression);
    EXPECT_EQ(found, c.value) << hex(c.expression);
  }
}

TEST_F(EhFrameStep, ComparesWithSign) {
  // eq, ge, gt, le, lt, ne of (less, more), (equal), (more, less)
  unsigned const expected[] = {0b010, 0b011, 0b001, 0b110, 0b100, 0b101};
  Bytes const pairs[] = {{0x11, 0x7F, 0x31}, {0x35, 0x35}, {0x31, 0x11, 0x7F}};
  for (unsigned char i = 0; i < 6; i++) {
    unsigned found = 0;
    for (const Bytes &pair : pairs) {
      uintptr_t result = 2;
      EXPECT_TRUE(value(pair + Bytes{static_cast<unsigned char>(0x29 + i)}, &result));
      ASSERT_LE(result, 1U);
      found = found << 1 | static_cast<unsigned>(result);
    }
    EXPECT_EQ(found, expected[i]) << +i;
  }
}

TEST_F(EhFrameStep, FailsWhereTheExpressionDoes) {
  registers.known &= ~(1U << 3);
  const Bytes refused[] = {
      {0x13},                                                 // nothing is left
      {0x13, 0x13, 0x31},                                     // dropped twice
      {0x22},                                                 // one operand for two
      {0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30},       // too many
      {0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x13}, //
      {0x73, 0},                                              // a register that is not known
      {0x70 + RF_REGISTERS, 0},                               // or not kept
      {0x31, 0x06},                                           // no address
      {0x31, 0x22, 0x06},                                     // misaligned
      {0x35, 0x35, 0x28},
      {0x35, 0x35, 0x2F},
      {0x35, 0x35, 0x15},
      {0x35, 0x35, 0x1B},
      {0x35, 0x35, 0xE0}, // unknown
      {0x08},
      {0x0A, 1},
      {0x10, 0x80},
      {0x23}, // cut
  };
  for (const Bytes &expression : refused) {
    uintptr_t found = 0;
    EXPECT_FALSE(value(expression, &found)) << hex(expression);
  }
  row.places[kPc] = place(RF_PLACE_BY_EXPRESSION, 5);
  rf_eh_module module = module_of({0x31, 0x32});
  module.end--;
  EXPECT_EQ(rf_eh_frame_step(&module, &row, &registers), RF_UNWIND_FAILED) << "longer than the module";
}

TEST_F(EhFrameStep, ReadsTheStackBetweenItsBoundsAlone) {
  for (int i = -8; i < 24; i++) {
    row.places[kPc] = place(RF_PLACE_AT_CFA, i * kWord);
    rf_unwind_registers const before = registers;
    bool const inside = 12 + i >= 4 && 12 + i < 28;
    EXPECT_EQ(step(), inside ? RF_UNWIND_STEPPED : RF_UNWIND_FAILED) << i;
    EXPECT_TRUE(!inside || registers.values[kPc] == static_cast<uintptr_t>(0x5000 + 12 + i)) << i;
    registers = before;
  }
  row.places[kPc] = place(RF_PLACE_AT_CFA, -kWord + 1);
  EXPECT_EQ(step(), RF_UNWIND_FAILED) << "misaligned";
  registers.high--;
  row.places[kPc] = saved(15);
  EXPECT_EQ(step(), RF_UNWIND_FAILED) << "half outside";
}

// ---- The step ----

TEST_F(EhFrameStep, KeepsTheRegistersThatSurviveACall) {
  ASSERT_EQ(step(), RF_UNWIND_STEPPED);
  EXPECT_EQ(registers.values[kSp], cfa());
  EXPECT_EQ(registers.values[kPc], 0x5000U + 11);
  uint32_t expected = 1U << 3 | 1U << kBp | 1U << kSp | 1U << kPc;
  expected |= kWord == 8 ? 0xFU << 12 : 1U << 6 | 1U << 7;
  EXPECT_EQ(registers.known, expected);
  EXPECT_EQ(registers.values[3], 0x1003U);
  EXPECT_EQ(registers.values[kBp], 0x1000U + kBp);
}

TEST_F(EhFrameStep, KeepsAllRegistersThatASignalInterrupted) {
  row.is_signal_frame = true;
  registers.known &= ~2U;
  ASSERT_EQ(step(), RF_UNWIND_STEPPED);
  EXPECT_EQ(registers.known, ((1U << RF_REGISTERS) - 1) & ~2U);
  EXPECT_EQ(registers.values[0], 0x1000U);
  EXPECT_EQ(registers.values[2], 0x1002U);
}

TEST_F(EhFrameStep, TakesEachRegisterFromItsPlace) {
  row.places[0] = place(RF_PLACE_UNDEFINED);
  row.places[1] = place(RF_PLACE_CFA_PLUS, -24);
  row.places[2] = place(RF_PLACE_IN_REGISTER, 3);
  row.places[3] = saved(2);
  row.places[kBp] = place(RF_PLACE_AT_EXPRESSION, 5);
  row.places[kSp] = place(RF_PLACE_BY_EXPRESSION, 5);
  ASSERT_EQ(step({0x23, 3 * kWord}), RF_UNWIND_STEPPED);
  EXPECT_EQ(registers.known & 0xFU, 0xEU);
  EXPECT_EQ(registers.values[1], cfa() - 24);
  EXPECT_EQ(registers.values[2], 0x1003U);
  EXPECT_EQ(registers.values[3], 0x5000U + 14);
  EXPECT_EQ(registers.values[kBp], 0x5000U + 15);
  EXPECT_EQ(registers.values[kSp], cfa() + 3 * kWord);
}

TEST_F(EhFrameStep, EndsWhereThereIsNoCaller) {
  row.places[kPc] = place(RF_PLACE_UNDEFINED);
  EXPECT_EQ(step(), RF_UNWIND_END);
  EXPECT_EQ(registers.values[kPc], 0x1000U + kPc);
}

TEST_F(EhFrameStep, NeedsTheReturnAddressAndTheStackPointer) {
  rf_unwind_registers const before = registers;
  row.places[kPc] = kSame;
  EXPECT_EQ(step(), RF_UNWIND_FAILED);
  row.places[kPc] = saved(-1);
  row.places[kSp] = place(RF_PLACE_UNDEFINED);
  EXPECT_EQ(step(), RF_UNWIND_FAILED);
  row.places[kSp] = kSame;
  row.places[kPc] = place(RF_PLACE_AT_REGISTER);
  EXPECT_EQ(step(), RF_UNWIND_FAILED);
  row.places[kPc] = saved(-1);
  registers.known &= ~(1U << kSp);
  EXPECT_EQ(step(), RF_UNWIND_FAILED) << "the CFA's register is not known";
  EXPECT_EQ(std::memcmp(registers.values, before.values, sizeof before.values), 0);
  registers.known = before.known;
  EXPECT_EQ(step(), RF_UNWIND_STEPPED);
}

TEST_F(EhFrameStep, TheCfaMayBeAnExpression) {
  row.cfa = place(RF_PLACE_BY_EXPRESSION, 5);
  ASSERT_EQ(step({0x70 | kSp, 5 * kWord}), RF_UNWIND_STEPPED);
  EXPECT_EQ(registers.values[kSp], reinterpret_cast<uintptr_t>(stack + 13));
  EXPECT_EQ(registers.values[kPc], 0x5000U + 12);
  EXPECT_EQ(step({}), RF_UNWIND_FAILED) << "nothing stands on its stack before";
}

TEST_F(EhFrameStep, TellsExpressionsThatAreRules) {
  struct {
    Bytes expression;
    bool deref;
    bool simple;
    int32_t offset;
  } const cases[] = {
      {{0x70 | kBp, 8}, false, true, 8},
      {{0x70 | kBp, 0x78}, false, true, -8},
      {{0x70 | kBp, 0x78, 0x06}, true, true, -8},
      {{0x70 | kBp, 0x78, 0x06}, false, false, -8},
      {{0x70 | kBp, 0x78}, true, false, -8},
      {{0x70 | kBp, 0x78, 0x96}, true, false, -8},
      {{0x70 | kBp, 0x78, 0x06, 0x96}, true, false, -8},
      {{0x70 | kSp, 8}, false, false, 8},
      {{0x70 | kBp}, false, false, 0},
      {{}, false, false, 0},
      {{0x70 | kBp, 0xFF, 0xFF, 0xFF, 0xFF, 0x07}, false, true, INT32_MAX},
      {{0x70 | kBp, 0x80, 0x80, 0x80, 0x80, 0x08}, false, false, INT32_MIN},
  };
  for (const auto &c : cases) {
    rf_eh_module const module = module_of(c.expression);
    rf_place const at = place(RF_PLACE_BY_EXPRESSION, 5);
    int32_t offset = 1;
    EXPECT_EQ(rf_eh_frame_is_simple(&module, &at, kBp, c.deref, &offset), c.simple) << hex(c.expression);
    EXPECT_EQ(offset, c.offset) << hex(c.expression);
  }
}

} // namespace
} // namespace ringfence

#endif
