// An expression of DWARF (version 4, 2.5), drawn from an input, and its value.
#ifndef RINGFENCE_FUZZ_MADE_EXPRESSION_H
#define RINGFENCE_FUZZ_MADE_EXPRESSION_H

#include "checkers/os/eh_frame.h"
#include "made_bytes.h"

#include <optional>
#include <vector>

namespace ringfence::fuzz {

struct Operation {
  uint8_t code;
  uintptr_t operand;
};

// `bytes` without the length that stands before them. One that is cut ends within an operand.
struct Expression {
  std::vector<Operation> operations;
  Bytes bytes;
  bool is_cut = false;
};

Expression draw_expression(Reader &in);

// None where a register is needed that is not known, memory outside of the stack, or more operands than there are or
// can be. `pushed`, if any, is on the stack of operands before.
std::optional<uintptr_t> value_of(const Expression &expression, const rf_unwind_registers &registers,
                                  std::optional<uintptr_t> pushed);

// The word of the stack at `at`; none outside of it.
std::optional<uintptr_t> word_at(const rf_unwind_registers &registers, uintptr_t at);

std::optional<uintptr_t> register_of(const rf_unwind_registers &registers, uint64_t number);

// Whether it is "register `base` + *offset", or the word there.
bool is_simple(const Expression &expression, unsigned base, bool deref, int32_t *offset);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_MADE_EXPRESSION_H
