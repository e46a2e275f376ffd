// eh_frame: tables of call frames (checkers/os/eh_frame.c, eh_step.c) as compilers write them, and damaged ones. The
// row of each place in code, the value of each expression, and the step from a frame to its caller's are as DWARF has
// them, nothing outside of the module and the stack is read, and a step that fails changes nothing.
// Processors without rules of stacks have nothing to test.
#if defined(__x86_64__) || defined(__i386__)

#include "blocks_model.h"
#include "made_table.h"

namespace {

using ringfence::fuzz::count_step;
using ringfence::fuzz::Expression;
using ringfence::fuzz::MadeFunction;
using ringfence::fuzz::MadeTable;
using ringfence::fuzz::Place;
using ringfence::fuzz::Reader;
using ringfence::fuzz::register_of;
using ringfence::fuzz::Row;
using ringfence::fuzz::uleb;
using ringfence::fuzz::value_of;
using ringfence::fuzz::word_at;

constexpr size_t kWords = 32;
uintptr_t stack[kWords];

uintptr_t stack_start() {
  return reinterpret_cast<uintptr_t>(stack);
}

// Mostly a place on the stack.
uintptr_t draw_word(Reader &in) {
  unsigned const drawn = in.u8();
  return drawn < 240 ? stack_start() + drawn % (sizeof stack / sizeof *stack) * sizeof *stack : drawn;
}

rf_unwind_registers draw_registers(Reader &in) {
  rf_unwind_registers r = {};
  for (uintptr_t &word : stack) {
    word = draw_word(in);
  }
  for (uintptr_t &value : r.values) {
    value = draw_word(in);
  }
  unsigned const drawn = in.u8();
  r.known = drawn < 128 ? (1U << RF_REGISTERS) - 1 : in.u16() | uint32_t{in.u8()} << 16;
  r.known &= (1U << RF_REGISTERS) - 1;
  r.low = stack_start() + drawn % 8;
  r.high = stack_start() + sizeof stack - drawn / 8 % 16;
  return r;
}

// ---- Rows ----

bool has_expression(const rf_eh_module &module, int32_t operand, const Expression &expression) {
  const char *at = reinterpret_cast<const char *>(module.start) + operand;
  while ((*at++ & 0x80) != 0) { // its length
  }
  return std::memcmp(at, expression.bytes.data(), expression.bytes.size()) == 0;
}

bool is_simple_as(const rf_eh_module &module, const rf_place &place, const Expression &expression) {
  for (unsigned const base : {RF_REGISTER_SP, RF_REGISTER_BP}) {
    for (bool const deref : {false, true}) {
      int32_t found = 0;
      int32_t wanted = 0;
      bool const is = rf_eh_frame_is_simple(&module, &place, base, deref, &found);
      if (is != ringfence::fuzz::is_simple(expression, base, deref, &wanted) || (is && found != wanted)) {
        return false;
      }
    }
  }
  return true;
}

void compare(const rf_eh_module &module, const rf_place &place, const Place &wanted) {
  RF_HOLDS(place.kind == wanted.kind);
  if (wanted.expression != nullptr) {
    RF_HOLDS(has_expression(module, place.operand, *wanted.expression));
    RF_HOLDS(is_simple_as(module, place, *wanted.expression));
  } else {
    RF_HOLDS(place.operand == wanted.operand && place.base == wanted.base);
  }
}

// ---- Steps ----

bool survives_calls(unsigned number) {
#if defined(__x86_64__)
  static constexpr unsigned kSurvive[] = {3, 6, 12, 13, 14, 15}; // the System V ABI, 3.2.1
#else
  static constexpr unsigned kSurvive[] = {3, 5, 6, 7};
#endif
  return std::find(std::begin(kSurvive), std::end(kSurvive), number) != std::end(kSurvive);
}

std::optional<uintptr_t> wanted_value(const Row &row, unsigned number, const rf_unwind_registers &before,
                                      uintptr_t cfa) {
  const Place &place = row.places[number];
  auto const offset = static_cast<uintptr_t>(static_cast<intptr_t>(place.operand));
  switch (place.kind) {
  case RF_PLACE_SAME:
    if (number == RF_REGISTER_SP) {
      return cfa;
    }
    return number != RF_REGISTER_PC && (row.is_signal_frame || survives_calls(number)) ? register_of(before, number)
                                                                                       : std::nullopt;
  case RF_PLACE_AT_CFA:
    return word_at(before, cfa + offset);
  case RF_PLACE_CFA_PLUS:
    return cfa + offset;
  case RF_PLACE_IN_REGISTER:
    return register_of(before, static_cast<uint64_t>(place.operand));
  case RF_PLACE_AT_EXPRESSION: {
    auto const at = value_of(*place.expression, before, cfa);
    return at ? word_at(before, *at) : std::nullopt;
  }
  case RF_PLACE_BY_EXPRESSION:
    return value_of(*place.expression, before, cfa);
  default:
    return std::nullopt;
  }
}

std::optional<uintptr_t> wanted_cfa(const Row &row, const rf_unwind_registers &before) {
  if (row.cfa.kind == RF_PLACE_BY_EXPRESSION) {
    return value_of(*row.cfa.expression, before, std::nullopt);
  }
  auto const base = register_of(before, row.cfa.base);
  auto const offset = static_cast<uintptr_t>(static_cast<intptr_t>(row.cfa.operand));
  return base ? std::optional(*base + offset) : std::nullopt;
}

void compare_step(const Row &row, const rf_unwind_registers &before, const rf_unwind_registers &after,
                  rf_unwind_result result) {
  auto const cfa = wanted_cfa(row, before);
  bool const is_end = row.places[RF_REGISTER_PC].kind == RF_PLACE_UNDEFINED;
  bool const steps = !is_end && cfa && wanted_value(row, RF_REGISTER_PC, before, *cfa) &&
                     wanted_value(row, RF_REGISTER_SP, before, *cfa);
  RF_HOLDS(result == (is_end ? RF_UNWIND_END : (steps ? RF_UNWIND_STEPPED : RF_UNWIND_FAILED)));
  RF_HOLDS(after.low == before.low && after.high == before.high);
  for (unsigned i = 0; i < RF_REGISTERS; i++) {
    auto const wanted = steps ? wanted_value(row, i, before, *cfa) : register_of(before, i);
    RF_HOLDS(register_of(after, i) == wanted);
  }
}

// ---- Whole tables ----

void ask(const MadeTable &table, uintptr_t pc, const rf_unwind_registers &registers) {
  rf_eh_row row;
  count_step();
  auto const wanted = table.row_at(pc);
  RF_HOLDS(rf_eh_frame_row(&table.module(), pc, &row) == wanted.has_value());
  if (!wanted) {
    return;
  }
  RF_HOLDS(row.is_signal_frame == wanted->is_signal_frame);
  compare(table.module(), row.cfa, wanted->cfa);
  for (unsigned i = 0; i < RF_REGISTERS; i++) {
    compare(table.module(), row.places[i], wanted->places[i]);
  }
  rf_unwind_registers after = registers;
  rf_unwind_result const result = rf_eh_frame_step(&table.module(), &row, &after);
  compare_step(*wanted, registers, after, result);
}

void ask_damaged(const MadeTable &table, uintptr_t pc, const rf_unwind_registers &registers) {
  rf_eh_row row;
  count_step();
  (void)rf_eh_frame_start(&table.module());
  if (rf_eh_frame_row(&table.module(), pc, &row)) {
    rf_unwind_registers after = registers;
    (void)rf_eh_frame_step(&table.module(), &row, &after);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  bool const is_damaged = in.u8() % 4 == 3;
  MadeTable table(in);
  auto const ask_one = is_damaged ? ask_damaged : ask;
  rf_unwind_registers const registers = draw_registers(in);
  if (is_damaged) {
    table.damage(in);
  }
  for (const MadeFunction &f : table.functions()) {
    uintptr_t const edges[] = {0, f.size - 1, f.size, 0 - uintptr_t{1}};
    ask_one(table, f.begin + edges[in.u8() % 4], registers);
    ask_one(table, f.begin + in.length() % f.size, registers);
  }
  return 0;
}

#else

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * /*data*/, size_t /*size*/) {
  return 0;
}

#endif
