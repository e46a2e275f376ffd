// The tables of .eh_frame: bytes made by hand, and the rows that the DWARF standard gives them.
#include <gtest/gtest.h>

#if defined(__x86_64__) || defined(__i386__)

#include "tests/checkers/eh_module.h"

namespace ringfence {
namespace {

// ---- Instructions ----

struct RowCase {
  const char *name;
  Bytes instructions;
  uint32_t before; // at this offset the row is that of the CIE ...
  uint32_t behind; // ... and at this one
  rf_place cfa;    // the CFA is this,
  unsigned number; // and the place of this register
  rf_place place;  // is this
};

std::string text_of(const rf_place &p) {
  return std::to_string(p.kind) + ":" + std::to_string(p.base) + ":" + std::to_string(p.operand);
}

constexpr rf_place kFirstCfa = cfa_at(kSp, kWord);

// The offset of the only function's first instruction in the module that RowCase makes.
constexpr int32_t kInstructions = 4 + 4 + 1 + 3 + 3 + 2 + 5 + 4 + 4 + 8 + 1;

// An expression that lies so many bytes behind it.
constexpr rf_place expr(int32_t behind) {
  return place(RF_PLACE_BY_EXPRESSION, kInstructions + behind);
}

constexpr rf_place at_expr(int32_t behind) {
  return place(RF_PLACE_AT_EXPRESSION, kInstructions + behind);
}

const RowCase kRows[] = {
    {"nothing", {}, 0, 0xFF, kFirstCfa, kBp, kSame},
    {"nop", {0, 0, 0x41, 0, 0x0E, 16}, 0, 1, cfa_at(kSp, 16), kBp, kSame},
    {"advance", {0x44, 0x0E, 16}, 3, 4, cfa_at(kSp, 16), kBp, kSame},
    {"advance by most", {0x7F, 0x0E, 16}, 62, 63, cfa_at(kSp, 16), kBp, kSame},
    {"advance by one byte", {0x02, 0x81, 0x0E, 16}, 0x80, 0x81, cfa_at(kSp, 16), kBp, kSame},
    {"advance by two bytes", {0x03, 0xF0, 0x00, 0x0E, 16}, 0xEF, 0xF0, cfa_at(kSp, 16), kBp, kSame},
    {"advance by four bytes", {0x04, 0xF1, 0, 0, 0, 0x0E, 16}, 0xF0, 0xF1, cfa_at(kSp, 16), kBp, kSame},
    {"advance twice", {0x42, 0x0E, 16, 0x43, 0x0E, 24}, 1, 4, cfa_at(kSp, 16), kBp, kSame},
    {"advanced twice", {0x42, 0x0E, 16, 0x43, 0x0E, 24}, 1, 5, cfa_at(kSp, 24), kBp, kSame},
    {"def_cfa", {0x41, 0x0C, kBp, 24}, 0, 1, cfa_at(kBp, 24), kBp, kSame},
    {"def_cfa, last register", {0x41, 0x0C, kPc, 24}, 0, 1, cfa_at(kPc, 24), kBp, kSame},
    {"def_cfa, largest", {0x0C, kBp, 0xFF, 0xFF, 0xFF, 0xFF, 7}, 0, 0, cfa_at(kBp, INT32_MAX), kBp, kSame},
    {"def_cfa_register", {0x41, 0x0D, kBp}, 0, 1, cfa_at(kBp, kWord), kBp, kSame},
    {"def_cfa_offset", {0x41, 0x0E, 0xAC, 0x02}, 0, 1, cfa_at(kSp, 300), kBp, kSame},
    {"def_cfa_offset, most in a byte", {0x41, 0x0E, 0x7F}, 0, 1, cfa_at(kSp, 127), kBp, kSame},
    {"def_cfa_offset, least in two", {0x41, 0x0E, 0x80, 0x01}, 0, 1, cfa_at(kSp, 128), kBp, kSame},
    {"def_cfa_offset, most in two", {0x41, 0x0E, 0xFF, 0x7F}, 0, 1, cfa_at(kSp, 16383), kBp, kSame},
    {"def_cfa_offset, three bytes", {0x41, 0x0E, 0x81, 0x80, 0x01}, 0, 1, cfa_at(kSp, 16385), kBp, kSame},
    {"def_cfa_offset of 0", {0x41, 0x0E, 0, 0x41, 0x0E, 16}, 0, 1, cfa_at(kSp, 0), kBp, kSame},
    {"def_cfa_offset of another register",
     {0x41, 0x0E, 24, 0x0D, kBp, 0x42, 0x0E, 32, 0x42, 0x0C, kSp, 8},
     0,
     3,
     cfa_at(kBp, 32),
     kBp,
     kSame},
    {"def_cfa_expression", {0x41, 0x0F, 2, 0x77, 8}, 0, 1, expr(2), kBp, kSame},
    {"behind an expression", {0x41, 0x0F, 2, 0x77, 8, 0x87, 3}, 0, 1, expr(2), 7, saved(-3)},
    {"def_cfa_sf", {0x41, 0x12, kBp, 0x7D}, 0, 1, cfa_at(kBp, 3 * kWord), kBp, kSame},
    {"def_cfa_offset_sf", {0x41, 0x13, 0x7B}, 0, 1, cfa_at(kSp, 5 * kWord), kBp, kSame},
    {"GNU_args_size", {0x41, 0x2E, 0x90, 0x01, 0x0E, 32}, 0, 1, cfa_at(kSp, 32), kBp, kSame},
    {"offset", {0x41, 0x80 | kBp, 2}, 0, 1, kFirstCfa, kBp, saved(-2)},
    {"offset of a vector", {0x41, 0xA1, 2, 0x0E, 16}, 0, 1, cfa_at(kSp, 16), kBp, kSame},
    {"offset_extended", {0x41, 0x05, kBp, 4}, 0, 1, kFirstCfa, kBp, saved(-4)},
    {"offset of the first register that is not kept",
     {0x41, 0x80 | RF_REGISTERS, 2, 0x05, RF_REGISTERS, 3, 0x0E, 16},
     0,
     1,
     cfa_at(kSp, 16),
     kBp,
     kSame},
    {"restore of the first register that is not kept",
     {0x41, 0x0A, 0xC0 | RF_REGISTERS, 0x06, RF_REGISTERS, 0x0E, 16},
     0,
     1,
     cfa_at(kSp, 16),
     kBp,
     kSame},
    {"restore", {0x80 | kBp, 2, 0x80 | kPc, 5, 0xC0 | kBp}, 0, 0, kFirstCfa, kBp, kSame},
    {"restore what the CIE set", {0x41, 0x80 | kPc, 5, 0x41, 0xC0 | kPc}, 0, 2, kFirstCfa, kPc, saved(-1)},
    {"before the restore", {0x41, 0x80 | kPc, 5, 0x41, 0xC0 | kPc}, 0, 1, kFirstCfa, kPc, saved(-5)},
    {"restore of a vector", {0x41, 0xE1, 0x0E, 16}, 0, 1, cfa_at(kSp, 16), kBp, kSame},
    {"restore_extended", {0x80 | kPc, 5, 0x06, kPc}, 0, 0, kFirstCfa, kPc, saved(-1)},
    {"undefined", {0x41, 0x07, kPc}, 0, 1, kFirstCfa, kPc, place(RF_PLACE_UNDEFINED)},
    {"same", {0x41, 0x08, kPc}, 0, 1, kFirstCfa, kPc, kSame},
    {"register", {0x41, 0x09, kBp, 3}, 0, 1, kFirstCfa, kBp, place(RF_PLACE_IN_REGISTER, 3)},
    {"register 0", {0x41, 0x09, 0, 3}, 0, 1, kFirstCfa, 0, place(RF_PLACE_IN_REGISTER, 3)},
    {"expression", {0x41, 0x10, kBp, 2, 0x77, 8, 0x0E, 16}, 0, 1, cfa_at(kSp, 16), kBp, at_expr(3)},
    {"offset_extended_sf", {0x41, 0x11, kBp, 0x7E}, 0, 1, kFirstCfa, kBp, saved(2)},
    {"val_offset", {0x41, 0x14, kSp, 3}, 0, 1, kFirstCfa, kSp, place(RF_PLACE_CFA_PLUS, -3 * kWord)},
    {"val_offset_sf", {0x41, 0x15, kSp, 0x7D}, 0, 1, kFirstCfa, kSp, place(RF_PLACE_CFA_PLUS, 3 * kWord)},
    {"val_expression", {0x41, 0x16, kSp, 1, 0x30, 0x0E, 16}, 0, 1, cfa_at(kSp, 16), kSp, expr(3)},
    {"GNU_negative_offset", {0x41, 0x2F, kBp, 2}, 0, 1, kFirstCfa, kBp, saved(2)},
    {"remembered", {0x41, 0x0A, 0x80 | kBp, 2, 0x0E, 32}, 0, 1, cfa_at(kSp, 32), kBp, saved(-2)},
    {"restored", {0x0A, 0x80 | kBp, 2, 0x0E, 32, 0x0B}, 0, 0, kFirstCfa, kBp, kSame},
    {"restored in turn", {0x41, 0x0E, 16, 0x0A, 0x0E, 24, 0x0A, 0x0E, 32, 0x0B}, 0, 1, cfa_at(kSp, 24), kBp, kSame},
    {"restored twice", {0x41, 0x0E, 16, 0x0A, 0x0E, 24, 0x0A, 0x0E, 32, 0x0B, 0x0B}, 0, 1, cfa_at(kSp, 16), kBp, kSame},
    {"remembered four times", {0x41, 0x0A, 0x0A, 0x0A, 0x0A, 0x0E, 32}, 0, 1, cfa_at(kSp, 32), kBp, kSame},
};

void expect_rows(const RowCase &c, const Bytes &behind) {
  Module module;
  module.functions[0].instructions = c.instructions + behind;
  rf_eh_row row;
  if (c.before != c.behind && c.before + 1 == c.behind) {
    ASSERT_TRUE(module.row(module.code() + c.before, &row)) << c.name;
    EXPECT_EQ(text_of(row.cfa), text_of(kFirstCfa)) << c.name << ", before";
    EXPECT_EQ(text_of(row.places[kPc]), text_of(saved(-1))) << c.name << ", before";
  }
  ASSERT_TRUE(module.row(module.code() + c.behind, &row)) << c.name;
  EXPECT_EQ(text_of(row.cfa), text_of(c.cfa)) << c.name;
  EXPECT_EQ(text_of(row.places[c.number]), text_of(c.place)) << c.name;
  unsigned char is_signal_frame = 0; // it lies behind the last place
  std::memcpy(&is_signal_frame, &row.is_signal_frame, 1);
  EXPECT_EQ(is_signal_frame, 0) << c.name;
}

// The last bytes of a function's instructions are read one by one, those before them in one go where they are common.
TEST(EhFrameRow, IsAsTheInstructionsSay) {
  for (const RowCase &c : kRows) {
    expect_rows(c, {});
    expect_rows(c, {0, 0, 0, 0});
  }
}

TEST(EhFrameRow, IsThatOfEachPlaceInALongFunction) {
  Module module;
  Bytes &all = module.functions[0].instructions;
  for (unsigned char i = 0; i < 100; i++) { // a call with a pushed argument, and from time to time an early return
    all = all + Bytes{0x41, 0x0E, static_cast<unsigned char>(16 + i)};
    if (i % 10 == 9) {
      all = all + Bytes{0x0A, 0x41, 0x0E, kWord, 0x41, 0x0B};
    }
  }
  uint32_t at = 0;
  auto const expect_offset = [&module, &at](int offset) {
    rf_eh_row row;
    ASSERT_TRUE(module.row(module.code() + at, &row)) << at;
    EXPECT_EQ(text_of(row.cfa), text_of(cfa_at(kSp, offset))) << at;
  };
  expect_offset(kWord);
  for (int i = 0; i < 100; i++) {
    at++;
    expect_offset(16 + i);
    if (i % 10 == 9) {
      at++;
      expect_offset(kWord);
      at++;
      expect_offset(16 + i);
    }
  }
}

TEST(EhFrameRow, UnitsOfCodeAndDataAreThoseOfTheCie) {
  Module module;
  module.cie.code_align = {4};
  module.cie.data_align = {0x7C};
  module.functions[0].instructions = {0x42, 0x80 | kBp, 5, 0x02, 3, 0x80 | kBp, 6};
  rf_eh_row row;
  ASSERT_TRUE(module.row(module.code() + 7, &row));
  EXPECT_EQ(row.places[kBp].kind, RF_PLACE_SAME);
  ASSERT_TRUE(module.row(module.code() + 8, &row));
  EXPECT_EQ(text_of(row.places[kBp]), text_of(place(RF_PLACE_AT_CFA, -20)));
  ASSERT_TRUE(module.row(module.code() + 20, &row));
  EXPECT_EQ(text_of(row.places[kBp]), text_of(place(RF_PLACE_AT_CFA, -24)));
}

// Bits beyond the sixty-fourth count for nothing.
TEST(EhFrameRow, NumbersMayBeLongerThanTheyNeed) {
  for (size_t const zeros : {1, 8, 9, 10, 20}) {
    Module module;
    module.cie.code_align = {0x82};
    module.cie.code_align.insert(module.cie.code_align.end(), zeros, 0x80);
    module.cie.code_align.push_back(0);
    module.functions[0].instructions = {0x43, 0x0E, 2 * kWord}; // three units on, the CFA is further
    rf_eh_row row;
    ASSERT_TRUE(module.row(module.code() + 5, &row)) << zeros;
    EXPECT_EQ(row.cfa.operand, kWord) << zeros;
    ASSERT_TRUE(module.row(module.code() + 6, &row)) << zeros;
    EXPECT_EQ(row.cfa.operand, 2 * kWord) << zeros;
  }
}

TEST(EhFrameRow, ALocationMayBeNamed) {
  Module module;
  for (int32_t const to : {6, 7}) {
    module.functions[0].instructions = {};
    (void)module.make();
    // The operand is relative to its own place, one byte behind the first instruction.
    Bytes const target = raw(static_cast<int32_t>(kCode) + to - (kInstructions + 1));
    module.functions[0].instructions = Bytes{0x01} + target + Bytes{0x0E, 16};
    rf_eh_row row;
    ASSERT_TRUE(module.row(module.code() + 6, &row));
    EXPECT_EQ(row.cfa.operand, to == 6 ? 16 : kWord);
  }
}

TEST(EhFrameRow, EveryRegisterHasAPlaceOfItsOwn) {
  Module module;
  for (unsigned char i = 0; i < RF_REGISTERS; i++) {
    Bytes &all = module.functions[0].instructions;
    all = all + Bytes{static_cast<unsigned char>(0x80 | i), static_cast<unsigned char>(i + 1)};
  }
  rf_eh_row row;
  ASSERT_TRUE(module.row(module.code(), &row));
  for (int i = 0; i < RF_REGISTERS; i++) {
    EXPECT_EQ(text_of(row.places[i]), text_of(place(RF_PLACE_AT_CFA, -(i + 1) * kWord))) << i;
  }
}

#if defined(__x86_64__)

// An expression is kept by its distance from the module's beginning, of 31 bits.
TEST(EhFrameRow, AnExpressionMayLieAsFarAsItsPlaceCanSay) {
  Module module;
  module.functions[0].instructions = {0x0F, 2, 0x77, 8};
  rf_eh_module made = module.make();
  rf_eh_row row;
  made.start -= static_cast<uintptr_t>(INT32_MAX) - (kInstructions + 1);
  ASSERT_TRUE(rf_eh_frame_row(&made, module.code(), &row));
  EXPECT_EQ(row.cfa.operand, INT32_MAX);
  made.start--;
  EXPECT_FALSE(rf_eh_frame_row(&made, module.code(), &row));
}

#endif

TEST(EhFrameRow, InstructionsOfUnknownFormMakeNoRow) {
  const Bytes refused[] = {
      {0x0C, RF_REGISTERS, 8},                // def_cfa, of a register that is not kept
      {0x0C, kSp, 0x80, 0x80, 0x80, 0x80, 8}, // beyond 32 bits
      {0x0D, RF_REGISTERS},                   //
      {0x0A, 0x0A, 0x0A, 0x0A, 0x0A},         // remembered too often
      {0x0B},                                 // nothing remembered
      {0x0A, 0x0B, 0x0B},                     //
      {0x0F, 1, 0x57, 0x0D, kBp},             // an expression, then a register without an offset
      {0x0F, 1, 0x57, 0x0E, 16},              // or an offset without a register
      {0x0F, 1, 0x57, 0x0E, 16, 0, 0},        // also where instructions follow
      {0x0F, 1, 0x57, 0x13, 0x7E},            //
      {0x17, 0},
      {0x1F, 0},
      {0x2D, 0},
      {0x30, 0},
      {0x3F}, // no such instructions
      {0x0E},
      {0x0C, kSp},
      {0x02},
      {0x03, 0},
      {0x04, 0, 0, 0},
      {0x05, kBp},
      {0x80 | kBp},
      {0x09, kBp},
      {0x06}, // cut
      {0x0F, 2, 0x77},
      {0x10, kBp, 9, 0x77}, // cut
  };
  for (const Bytes &instructions : refused) {
    Module module;
    module.functions[0].instructions = instructions;
    EXPECT_FALSE(module.has_row()) << hex(instructions);
    module.functions[0].instructions = Bytes{0x41} + instructions;
    EXPECT_TRUE(module.has_row(0)) << "behind what is asked: " << hex(instructions);
    EXPECT_FALSE(module.has_row(1)) << hex(instructions);
    module.functions[0].instructions = {};
    module.cie.instructions = instructions;
    EXPECT_FALSE(module.has_row()) << "in the CIE: " << hex(instructions);
  }
}

// ---- Descriptions ----

struct CieCase {
  const char *name;
  bool known;
  void (*change)(Module *);
};

const CieCase kCies[] = {
    {"version 1", true, [](Module *m) { m->cie.version = 1; }},
    {"version 3", true, [](Module *m) { m->cie.version = 3; }},
    {"version 3 with a long number", true,
     [](Module *m) {
       m->cie.version = 3;
       m->cie.return_register = {0x80 | kPc, 0};
     }},
    {"version 1 with a long number", false,
     [](Module *m) {
       m->cie.return_register = {0x80 | kPc, 0};
     }},
    {"version 0", false, [](Module *m) { m->cie.version = 0; }},
    {"version 2", false, [](Module *m) { m->cie.version = 2; }},
    {"version 4", false, [](Module *m) { m->cie.version = 4; }},
    {"an id", false, [](Module *m) { m->cie.id = 1; }},
    {"another return register", false, [](Module *m) { m->cie.return_register = {kPc - 1}; }},
    {"no such letter", false, [](Module *m) { m->cie.letters = "zX"; }},
    {"no such letter behind others", false,
     [](Module *m) {
       m->cie.letters = "zRX";
       m->cie.augmentation = {2, kPcRelative, 0};
     }},
    {"functions by the address of their address", false,
     [](Module *m) {
       m->cie.augmentation = {1, 0x80 | kPcRelative};
     }},
    {"frames by the address of their address", false, [](Module *m) { m->frame_encoding = 0x80 | kPcRelative; }},
    {"frames from the text", false, [](Module *m) { m->frame_encoding = 0x2B; }},
    {"letters of old", false, [](Module *m) { m->cie.letters = "eh"; }},
    {"R before z", false, [](Module *m) { m->cie.letters = "Rz"; }},
    {"language and personality", true,
     [](Module *m) {
       m->cie.letters = "zPLR";
       m->cie.augmentation = {7, 0x03, 0xAA, 0xAA, 0xAA, 0xAA, 0x1B, kPcRelative};
     }},
    {"a personality cut short", false,
     [](Module *m) {
       m->cie.letters = "zPLR";
       m->cie.augmentation = {1, 0x05, kPcRelative};
     }},
    {"more data than letters", true,
     [](Module *m) {
       m->cie.augmentation = {4, kPcRelative, 0x3F, 0x3F, 0x3F};
     }},
    {"more data than bytes", false,
     [](Module *m) {
       m->cie.augmentation = {0x7F, kPcRelative};
     }},
    {"seven letters", true,
     [](Module *m) {
       m->cie.letters = "zLLLLLR";
       m->cie.augmentation = {6, 0, 0, 0, 0, 0, kPcRelative};
     }},
    {"eight letters", false,
     [](Module *m) {
       m->cie.letters = "zLLLLLLR";
       m->cie.augmentation = {7, 0, 0, 0, 0, 0, 0, kPcRelative};
     }},
    {"data of the function", true,
     [](Module *m) {
       m->fde_augmentation = {3, 0x3F, 0x3F, 0x3F};
     }},
    {"data of the function cut short", false,
     [](Module *m) {
       m->fde_augmentation = {9, 0x3F};
     }},
    {"a length beyond the module", false, [](Module *m) { m->length_more = 0x1000; }},
    {"a length of the 64-bit form", false, [](Module *m) { m->length_more = -0x20; }},
    {"no CIE", false, [](Module *m) { m->names_no_cie = true; }},
    {"header of another version", false, [](Module *m) { m->version = 2; }},
    {"table of another form", false, [](Module *m) { m->table_encoding = 0x1B; }},
    {"no table", false, [](Module *m) { m->table_encoding = 0xFF; }},
    {"no frames", false, [](Module *m) { m->frame_encoding = 0xFF; }},
    {"no count", false, [](Module *m) { m->count_encoding = 0xFF; }},
    {"one entry too many", false, [](Module *m) { m->count_more = 1; }},
    {"no entry", false, [](Module *m) { m->count_more = -1; }},
};

TEST(EhFrameDescription, IsReadWhereItsFormIsKnown) {
  for (const CieCase &c : kCies) {
    Module module;
    module.functions[0].instructions = {0x41, 0x0E, 48};
    c.change(&module);
    rf_eh_row row;
    EXPECT_EQ(module.row(module.code() + 1, &row), c.known) << c.name;
    if (c.known) {
      EXPECT_EQ(text_of(row.cfa), text_of(cfa_at(kSp, 48))) << c.name;
      EXPECT_EQ(text_of(row.places[kPc]), text_of(saved(-1))) << c.name;
    }
  }
}

TEST(EhFrameDescription, OfASignalFrameSaysSo) {
  Module module;
  module.cie.letters = "zRS";
  rf_eh_row row;
  ASSERT_TRUE(module.row(module.code(), &row));
  EXPECT_TRUE(row.is_signal_frame);
}

// Addresses are whole words then.
TEST(EhFrameDescription, MayHaveNoAugmentation) {
  alignas(16) unsigned char memory[128] = {};
  auto const base = reinterpret_cast<uintptr_t>(memory);
  Bytes const cie = raw(uint32_t{0}) + Bytes{1, 0, 1, static_cast<unsigned char>(0x80 - kWord), kPc, 0x0C, kSp, kWord};
  Bytes all = raw(static_cast<uint32_t>(cie.size())) + cie;
  auto const fde_at = static_cast<int32_t>(all.size());
  Bytes const fde = raw(static_cast<uint32_t>(fde_at + 4)) + raw(base + kCode) + raw(uintptr_t{16}) + Bytes{0x0E, 40};
  all = all + raw(static_cast<uint32_t>(fde.size())) + fde;
  auto const header = static_cast<int32_t>(all.size());
  all = all + Bytes{1, kPcRelative, 0x03, 0x3B} + raw(int32_t{0}) + raw(uint32_t{1}) +
        raw(static_cast<int32_t>(kCode) - header) + raw(fde_at - header);
  std::memcpy(memory, all.data(), all.size());
  rf_eh_module const module = {base, base + all.size(), base + static_cast<uintptr_t>(header)};
  rf_eh_row row;
  ASSERT_TRUE(rf_eh_frame_row(&module, base + kCode + 15, &row));
  EXPECT_EQ(row.cfa.operand, 40);
  EXPECT_FALSE(rf_eh_frame_row(&module, base + kCode + 16, &row));
}

TEST(EhFrameDescription, IsThatOfTheFunctionAroundTheAddress) {
  Module module;
  module.functions.clear();
  for (uint32_t i = 0; i < 9; i++) {
    module.functions.push_back({kCode + 0x20 * i, 0x10 + i, {0x0E, static_cast<unsigned char>(8 * i + 8)}});
    for (uint32_t at = 0; at < 0x20 * (i + 1); at++) {
      rf_eh_row row;
      bool const inside = at % 0x20 < 0x10 + at / 0x20;
      ASSERT_EQ(module.row(module.code() + at, &row), inside) << at;
      EXPECT_TRUE(!inside || row.cfa.operand == static_cast<int32_t>(8 * (at / 0x20) + 8)) << at;
    }
    EXPECT_FALSE(module.has_row(0U - 1)) << "before the first";
  }
}

TEST(EhFrameDescription, NeedsAHeaderInsideOfTheModule) {
  Module module;
  rf_eh_module made = module.make();
  rf_eh_row row;
  ASSERT_TRUE(rf_eh_frame_row(&made, module.code(), &row));
  for (uintptr_t const less : {1, 8}) {
    rf_eh_module const cut = {made.start, made.end - less, made.header};
    EXPECT_FALSE(rf_eh_frame_row(&cut, module.code(), &row));
  }
  rf_eh_module const behind = {made.header + 1, made.end, made.header};
  EXPECT_FALSE(rf_eh_frame_row(&behind, module.code(), &row));
  EXPECT_EQ(rf_eh_frame_start(&behind), 0U);
  made.header = 0;
  EXPECT_FALSE(rf_eh_frame_row(&made, module.code(), &row));
}

TEST(EhFrameStart, IsAsTheHeaderEncodesIt) {
  alignas(16) unsigned char memory[64] = {};
  auto const base = reinterpret_cast<uintptr_t>(memory);
  auto const start_of = [&](unsigned char encoding, const Bytes &value, size_t end = sizeof memory) {
    Bytes const header = Bytes{1, encoding, 0x03, 0x3B} + value;
    std::memset(memory, 0, sizeof memory);
    std::memcpy(memory + 16, header.data(), header.size());
    rf_eh_module const module = {base, base + end, base + 16};
    return rf_eh_frame_start(&module);
  };
  EXPECT_EQ(start_of(0x1B, raw(int32_t{-20})), base) << "from its own place";
  EXPECT_EQ(start_of(0x3B, raw(int32_t{-16})), base) << "from the header";
  EXPECT_EQ(start_of(0x00, raw(base + 3)), base + 3);
  EXPECT_EQ(start_of(0x9B, raw(int32_t{-20})), 0U) << "a pointer to it is not followed";
  EXPECT_EQ(start_of(0x5B, raw(int32_t{-20})), 0U);
  EXPECT_EQ(start_of(0x1B, raw(int32_t{-20}), 24), base) << "up to the end of the module";
  EXPECT_EQ(start_of(0x1B, raw(int32_t{-20}), 23), 0U);
}

} // namespace
} // namespace ringfence

#endif
