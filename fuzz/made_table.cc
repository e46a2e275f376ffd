#include "made_table.h"

#include "blocks_model.h"

#include <sys/mman.h>
#include <unistd.h>

namespace ringfence::fuzz {

namespace {

constexpr uintptr_t kCode = 0x20000; // behind the tables: no code is there, and none is read
constexpr size_t kMemory = 32768;
constexpr size_t kFunctions = 3;
constexpr size_t kInstructions = 14;
constexpr size_t kRemembered = 4;            // rows
constexpr size_t kCie = 12 + 8 * kFunctions; // behind the header
constexpr uint8_t kPcRelative = 0x1B;        // signed, 4 bytes

// Between two pages that cannot be read.
char *memory() {
  static char *const start = [] {
    auto const page = static_cast<size_t>(getpagesize());
    void *const all = mmap(nullptr, kMemory + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    RF_HOLDS(all != MAP_FAILED);
    char *const inner = static_cast<char *>(all) + page;
    RF_HOLDS(mprotect(inner, kMemory, PROT_READ | PROT_WRITE) == 0);
    return inner;
  }();
  return start;
}

// Mostly one of those that functions save.
uint64_t draw_register(Reader &in) {
  static constexpr uint8_t kOften[] = {RF_REGISTER_BP, RF_REGISTER_PC, RF_REGISTER_SP, 3};
  unsigned const drawn = in.u8();
  return drawn < 192 ? kOften[drawn % 4] : drawn % 24;
}

} // namespace

// ---- Drawn ----

MadeTable::MadeTable(Reader &in) {
  char *const start = memory();
  bool const is_last = in.u8() % 2 != 0;
  base_ = reinterpret_cast<uintptr_t>(start);
  if (is_last) {
    Reader copy = in; // for the size
    draw(copy);
    base_ += kMemory - bytes_.size();
    size_t const size = bytes_.size();
    bytes_.clear();
    initial_.clear();
    functions_.clear();
    entries_.clear();
    draw(in);
    RF_HOLDS(bytes_.size() == size);
  } else {
    draw(in);
  }
  RF_HOLDS(bytes_.size() <= kMemory);
  std::memcpy(reinterpret_cast<void *>(base_), bytes_.data(), bytes_.size());
  module_ = {base_, base_ + bytes_.size(), base_};
}

void MadeTable::draw(Reader &in) {
  size_t const count = 1 + in.below(kFunctions);
  bytes_ = Bytes(kCie, '\0');
  draw_cie(in);
  uintptr_t begin = base_ + kCode;
  for (size_t i = 0; i < count; i++) {
    begin += in.below(3);
    draw_function(in, begin);
    begin += functions_.back().size;
  }
  Bytes header = byte(1) + byte(kPcRelative) + byte(0x03) + byte(0x3B);
  header += raw(static_cast<int32_t>(kCie - 4)) + raw(static_cast<uint32_t>(count));
  for (size_t i = 0; i < count; i++) {
    header += raw(static_cast<int32_t>(functions_[i].begin - base_)) + raw(static_cast<int32_t>(entries_[i]));
  }
  bytes_.replace(0, header.size(), header);
}

void MadeTable::damage(Reader &in) {
  static constexpr size_t kHead = 16; // of an entry, or of the header
  auto *const bytes = reinterpret_cast<unsigned char *>(base_);
  for (size_t i = 1 + in.below(8); i != 0; i--) {
    size_t const drawn = in.below(1 + entries_.size() + 2);
    size_t const part = drawn < entries_.size() ? entries_[drawn] : (drawn == entries_.size() ? kCie : 0);
    size_t const at = drawn <= entries_.size() + 1 ? part + in.u8() % kHead : in.u16();
    bytes[at % bytes_.size()] = in.u8();
  }
}

void MadeTable::put_entry(const Bytes &body) {
  bytes_ += raw(static_cast<uint32_t>(body.size())) + body;
}

// Has the same length for all values.
Bytes MadeTable::pointer(uintptr_t value, size_t at, bool is_size) const {
  uintptr_t number = value;
  if (!is_size && (encoding_ & 0x70) != 0) {
    number -= (encoding_ & 0x70) == 0x10 ? base_ + at : base_;
  }
  switch (encoding_ & 0x0F) {
  case 0x00:
    return raw(number);
  case 0x01:
    return uleb(number, 10);
  case 0x03:
  case 0x0B:
    return raw(static_cast<uint32_t>(number));
  default:
    return raw(static_cast<uint64_t>(number));
  }
}

void MadeTable::draw_cie(Reader &in) {
  static constexpr uint8_t kEncodings[] = {kPcRelative, 0x00, 0x3B, 0x1C, 0x04, 0x01, 0x14, 0x3C};
  static const char *const kLetters[] = {"zR", "zPLR", "zRS", "", "zR", "zLR", "z", "zRX"};
  unsigned const drawn = in.u8();
  Bytes const letters = kLetters[drawn % 8];
  encoding_ = letters.find('R') != Bytes::npos ? kEncodings[drawn / 8 % 8] : 0;
  has_data_ = !letters.empty();
  is_signal_frame_ = letters.find('S') != Bytes::npos;
  is_valid_ = letters != "zRX";
  code_align_ = in.u8() % 4 != 0 ? 1 : draw_number(in);
  data_align_ = in.u8() % 4 != 0 ? -static_cast<int64_t>(sizeof(uintptr_t)) : draw_signed(in);
  uint8_t const version = in.u8() % 2 != 0 ? 1 : 3;
  Bytes data;
  for (char const letter : letters) {
    data += letter == 'R' ? byte(encoding_) : Bytes();
    data += letter == 'P' ? byte(kPcRelative) + raw(in.u16()) : Bytes();
    data += letter == 'L' ? byte(kPcRelative) : Bytes();
  }
  Bytes body = raw(uint32_t{0}) + byte(version) + letters + byte(0) + uleb(code_align_) + sleb(data_align_);
  body += byte(RF_REGISTER_PC) + (has_data_ ? uleb(data.size()) + data : Bytes());
  if (in.u8() % 8 != 0) { // as all compilers begin
    body += byte(0x0C) + byte(RF_REGISTER_SP) + byte(sizeof(uintptr_t)) + byte(0x80 | RF_REGISTER_PC) + byte(1);
    Instruction frame;
    frame.act = Act::kCfa;
    frame.kind = RF_PLACE_AT_REGISTER;
    frame.number = RF_REGISTER_SP;
    frame.offset = sizeof(uintptr_t);
    Instruction saved;
    saved.act = Act::kPlace;
    saved.kind = RF_PLACE_AT_CFA;
    saved.number = RF_REGISTER_PC;
    saved.offset = data_align_;
    initial_ = {frame, saved};
  }
  body += draw_instructions(in, bytes_.size() + 4 + body.size(), &initial_);
  put_entry(body);
}

void MadeTable::draw_function(Reader &in, uintptr_t begin) {
  MadeFunction f = {begin, 1 + in.length() % 512, {}};
  size_t const start = bytes_.size();
  Bytes body = raw(static_cast<uint32_t>(start + 4 - kCie));
  body += pointer(f.begin, start + 4 + body.size());
  body += pointer(f.size, 0, true);
  if (has_data_) {
    Bytes const data(in.below(9), '\x7f');
    body += uleb(data.size()) + data;
  }
  body += draw_instructions(in, start + 4 + body.size(), &f.instructions);
  entries_.push_back(start);
  functions_.push_back(std::move(f));
  put_entry(body);
}

// ---- Instructions ----

Bytes MadeTable::draw_instructions(Reader &in, size_t at, std::vector<Instruction> *out) {
  Bytes bytes;
  for (size_t i = in.below(kInstructions); i != 0; i--) {
    Instruction one;
    bytes += draw_instruction(in, at + bytes.size(), &one);
    out->push_back(one);
  }
  return bytes;
}

Bytes MadeTable::draw_instruction(Reader &in, size_t at, Instruction *out) {
  unsigned const drawn = in.u8();
  switch (drawn % 8) {
  case 0:
  case 1:
    return draw_move(in, at, out);
  case 2:
  case 3:
  case 4:
    return draw_place(in, out);
  case 5:
  case 6:
    return draw_cfa(in, out);
  default:
    break;
  }
  switch (drawn / 8 % 8) {
  case 0:
  case 1:
    out->act = Act::kRemember;
    return byte(0x0A);
  case 2:
  case 3:
    out->act = Act::kRestoreAll;
    return byte(0x0B);
  case 4:
    out->act = Act::kRestore;
    out->number = draw_register(in);
    return byte(0xC0 | out->number);
  case 5:
    out->act = Act::kRestore;
    out->number = draw_register(in);
    return byte(0x06) + uleb(out->number);
  case 6:
    return byte(0x2E) + uleb(draw_number(in));
  default:
    out->act = in.u8() < 16 ? Act::kUnknown : Act::kNothing;
    return byte(out->act == Act::kUnknown ? 0x3F : 0);
  }
}

Bytes MadeTable::draw_move(Reader &in, size_t at, Instruction *out) {
  unsigned const drawn = in.u8();
  out->act = Act::kAdvance;
  switch (drawn < 192 ? 0 : drawn % 4) {
  case 0:
    out->distance = drawn < 128 ? drawn % 4 : drawn % 64;
    return byte(0x40 | out->distance);
  case 1:
    out->distance = in.u8();
    return byte(0x02) + byte(out->distance);
  case 2:
    out->distance = in.u16();
    return drawn % 8 < 4 ? byte(0x03) + raw(static_cast<uint16_t>(out->distance))
                         : byte(0x04) + raw(static_cast<uint32_t>(out->distance));
  default:
    out->act = Act::kGoTo;
    out->address = base_ + kCode + in.u16();
    return byte(0x01) + pointer(out->address, at + 1);
  }
}

Bytes MadeTable::scaled(Reader &in, bool is_signed, int64_t *out) const {
  int64_t const units = is_signed ? draw_signed(in) : static_cast<int64_t>(draw_number(in));
  *out = static_cast<int64_t>(static_cast<uint64_t>(units) * static_cast<uint64_t>(data_align_));
  return is_signed ? sleb(units) : uleb(static_cast<uint64_t>(units), 1 + in.u8() % 2U);
}

Bytes MadeTable::expression(Reader &in, const Expression **out) {
  expressions_.push_back(draw_expression(in));
  *out = &expressions_.back();
  return uleb((*out)->bytes.size(), 1 + in.u8() % 2U) + (*out)->bytes;
}

Bytes MadeTable::draw_place(Reader &in, Instruction *out) {
  unsigned const drawn = in.u8();
  uint64_t const number = draw_register(in);
  out->act = Act::kPlace;
  out->kind = RF_PLACE_AT_CFA;
  out->number = number;
  Bytes const name = uleb(number, 1 + drawn / 128);
  switch (drawn % 16) {
  case 0:
    out->kind = RF_PLACE_UNDEFINED;
    return byte(0x07) + name;
  case 1:
    out->kind = RF_PLACE_SAME;
    return byte(0x08) + name;
  case 2:
    out->kind = RF_PLACE_IN_REGISTER;
    out->offset = static_cast<int64_t>(draw_register(in));
    return byte(0x09) + name + uleb(static_cast<uint64_t>(out->offset));
  case 3:
    out->kind = RF_PLACE_AT_EXPRESSION;
    return byte(0x10) + name + expression(in, &out->expression);
  case 4:
    out->kind = RF_PLACE_BY_EXPRESSION;
    return byte(0x16) + name + expression(in, &out->expression);
  case 5:
    out->kind = RF_PLACE_CFA_PLUS;
    return byte(0x14) + name + scaled(in, false, &out->offset);
  case 6:
    out->kind = RF_PLACE_CFA_PLUS;
    return byte(0x15) + name + scaled(in, true, &out->offset);
  case 7:
    return byte(0x05) + name + scaled(in, false, &out->offset);
  case 8:
    return byte(0x11) + name + scaled(in, true, &out->offset);
  case 9: {
    Bytes const units = scaled(in, false, &out->offset);
    out->offset = static_cast<int64_t>(0 - static_cast<uint64_t>(out->offset));
    return byte(0x2F) + name + units;
  }
  default:
    return byte(0x80 | number) + scaled(in, false, &out->offset);
  }
}

Bytes MadeTable::draw_cfa(Reader &in, Instruction *out) {
  unsigned const drawn = in.u8();
  out->act = Act::kCfa;
  out->kind = RF_PLACE_AT_REGISTER;
  out->number = draw_register(in);
  switch (drawn % 8) {
  case 0:
    return byte(0x0C) + uleb(out->number) +
           uleb(static_cast<uint64_t>(out->offset = static_cast<int64_t>(draw_number(in))));
  case 1:
    return byte(0x12) + uleb(out->number) + scaled(in, true, &out->offset);
  case 2:
    out->keeps_offset = true;
    return byte(0x0D) + uleb(out->number);
  case 3:
    out->keeps_base = true;
    return byte(0x13) + scaled(in, true, &out->offset);
  case 4:
    out->kind = RF_PLACE_BY_EXPRESSION;
    return byte(0x0F) + expression(in, &out->expression);
  default:
    out->keeps_base = true;
    out->offset = static_cast<int64_t>(draw_number(in));
    return byte(0x0E) + uleb(static_cast<uint64_t>(out->offset), 1 + in.u8() % 2U);
  }
}

// ---- Run ----

namespace {

class Machine {
public:
  Machine(uintptr_t begin, uint64_t code_align) : location_(begin), code_align_(code_align) {}

  // False where the instructions up to `pc` are none that a table can have.
  bool run(const std::vector<Instruction> &all, uintptr_t pc) {
    for (const Instruction &one : all) {
      if (one.act == Act::kAdvance || one.act == Act::kGoTo) {
        location_ =
            one.act == Act::kGoTo ? one.address : location_ + static_cast<uintptr_t>(one.distance * code_align_);
        if (location_ > pc) {
          return true;
        }
      } else if (!apply(one)) {
        return false;
      }
    }
    return true;
  }

  void keep_initial() { initial_ = row.places; }

  Row row;

private:
  bool apply(const Instruction &one) {
    switch (one.act) {
    case Act::kPlace:
      if (one.number < RF_REGISTERS) {
        row.places[static_cast<size_t>(one.number)] = {one.kind, 0, static_cast<int32_t>(one.offset), one.expression};
      }
      return true;
    case Act::kRestore:
      if (one.number < RF_REGISTERS) {
        row.places[static_cast<size_t>(one.number)] = initial_[static_cast<size_t>(one.number)];
      }
      return true;
    case Act::kRemember:
      remembered_.push_back(row);
      return remembered_.size() <= kRemembered;
    case Act::kRestoreAll:
      if (remembered_.empty()) {
        return false;
      }
      row = remembered_.back();
      remembered_.pop_back();
      return true;
    case Act::kCfa:
      return set_cfa(one);
    default:
      return one.act == Act::kNothing;
    }
  }

  // A new base or a new offset alone must follow a frame that has both, and so no expression.
  bool set_cfa(const Instruction &one) {
    if (one.kind == RF_PLACE_BY_EXPRESSION) {
      row.cfa = {one.kind, 0, 0, one.expression};
      return true;
    }
    bool const is_partial = (one.keeps_base || one.keeps_offset) && row.cfa.kind == RF_PLACE_BY_EXPRESSION;
    uint64_t const base = one.keeps_base ? row.cfa.base : one.number;
    int64_t const offset = one.keeps_offset ? row.cfa.operand : one.offset;
    row.cfa = {RF_PLACE_AT_REGISTER, static_cast<unsigned>(base), static_cast<int32_t>(offset)};
    return !is_partial && base < RF_REGISTERS && offset == static_cast<int32_t>(offset);
  }

  uintptr_t location_;
  uint64_t code_align_;
  std::array<Place, RF_REGISTERS> initial_;
  std::vector<Row> remembered_;
};

} // namespace

std::optional<Row> MadeTable::row_at(uintptr_t pc) const {
  const MadeFunction *found = nullptr;
  for (const MadeFunction &f : functions_) {
    found = f.begin <= pc ? &f : found;
  }
  if (!is_valid_ || found == nullptr || pc - found->begin >= found->size) {
    return std::nullopt;
  }
  Machine machine(found->begin, code_align_);
  machine.row.is_signal_frame = is_signal_frame_;
  if (!machine.run(initial_, UINTPTR_MAX)) {
    return std::nullopt;
  }
  machine.keep_initial();
  return machine.run(found->instructions, pc) ? std::optional(machine.row) : std::nullopt;
}

} // namespace ringfence::fuzz
