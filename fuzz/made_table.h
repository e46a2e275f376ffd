// A module's tables of call frames (.eh_frame and its header), drawn from an input, and what the DWARF standard
// (version 4, 6.4) has them mean: by an interpreter of its own, over instructions instead of bytes.
#ifndef RINGFENCE_FUZZ_MADE_TABLE_H
#define RINGFENCE_FUZZ_MADE_TABLE_H

#include "made_expression.h"

#include <array>
#include <deque>

namespace ringfence::fuzz {

// The place of a register, or of the frame: as rf_place has it, but with the expression itself.
struct Place {
  rf_place_kind kind = RF_PLACE_SAME;
  unsigned base = 0;
  int32_t operand = 0;
  const Expression *expression = nullptr;
};

struct Row {
  Place cfa;
  std::array<Place, RF_REGISTERS> places;
  bool is_signal_frame = false;
};

enum class Act { kNothing, kAdvance, kGoTo, kPlace, kRestore, kRemember, kRestoreAll, kCfa, kUnknown };

struct Instruction {
  Act act = Act::kNothing;
  uint64_t number = 0;   // of a register
  uint64_t distance = 0; // to advance, in units of the code's alignment
  uintptr_t address = 0; // to go to
  int64_t offset = 0;    // of a place or the frame
  rf_place_kind kind = RF_PLACE_SAME;
  const Expression *expression = nullptr;
  bool keeps_base = false;
  bool keeps_offset = false;
};

struct MadeFunction {
  uintptr_t begin; // address of its code
  uintptr_t size;
  std::vector<Instruction> instructions;
};

// The module lies at either end of memory that cannot be read beyond it.
class MadeTable {
public:
  explicit MadeTable(Reader &in);

  const rf_eh_module &module() const { return module_; }
  const std::vector<MadeFunction> &functions() const { return functions_; }

  // The row that should hold at `pc`; none where there is no function, or where its tables are damaged.
  std::optional<Row> row_at(uintptr_t pc) const;

  // Other bytes here and there: of such a module nothing is known but that it cannot be read beyond.
  void damage(Reader &in);

private:
  void draw(Reader &in);
  void draw_cie(Reader &in);
  void draw_function(Reader &in, uintptr_t begin);
  void put_entry(const Bytes &body);
  Bytes pointer(uintptr_t value, size_t at, bool is_size = false) const;
  Bytes draw_instructions(Reader &in, size_t at, std::vector<Instruction> *out);
  Bytes draw_instruction(Reader &in, size_t at, Instruction *out);
  Bytes draw_move(Reader &in, size_t at, Instruction *out);
  Bytes draw_place(Reader &in, Instruction *out);
  Bytes draw_cfa(Reader &in, Instruction *out);
  Bytes expression(Reader &in, const Expression **out);
  Bytes scaled(Reader &in, bool is_signed, int64_t *out) const;

  uintptr_t base_ = 0;
  Bytes bytes_;
  rf_eh_module module_ = {};
  bool is_valid_ = true;
  bool has_data_ = false; // of the augmentation
  bool is_signal_frame_ = false;
  uint8_t encoding_ = 0;
  uint64_t code_align_ = 1;
  int64_t data_align_ = 1;
  std::vector<Instruction> initial_;
  std::vector<MadeFunction> functions_;
  std::vector<size_t> entries_; // each function's, as an offset in the module
  std::deque<Expression> expressions_;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_MADE_TABLE_H
