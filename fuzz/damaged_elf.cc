// Damage to a made-up ELF file.
#include "made_elf.h"

namespace ringfence::fuzz {
namespace {

uint64_t get(const MadeElf &elf, const MadeField &field) {
  uint64_t value = 0;
  for (unsigned i = 0; i < field.width; i++) {
    value |= uint64_t{static_cast<unsigned char>(elf.bytes[field.at + i])} << 8 * place_of_byte(elf, field.width, i);
  }
  return value;
}

void set(MadeElf *elf, const MadeField &field, uint64_t value) {
  for (unsigned i = 0; i < field.width; i++) {
    elf->bytes[field.at + i] = static_cast<char>(value >> 8 * place_of_byte(*elf, field.width, i) & 0xFF);
  }
}

uint64_t draw_value(Reader &in, const MadeElf &elf, uint64_t now) {
  unsigned const drawn = in.u8();
  switch (drawn % 12) {
  case 0:
    return 0;
  case 1:
    return elf.bytes.size() - in.u8();
  case 2:
    return elf.bytes.size() - now; // what is left there, or begins there
  case 3:
    return 0 - uint64_t{in.u8()};
  case 4:
    return now + 1;
  case 5:
    return now - 1;
  case 6:
    return uint64_t{1} << drawn / 12 * 3;
  case 7:
    return get(elf, elf.fields[in.below(elf.fields.size())]);
  case 8:
    return elf.bytes.size() - now + 1;
  case 9:
    return 0 - now;
  case 10:
    return in.u8();
  default:
    return in.u16();
  }
}

} // namespace

void damage_elf(Reader &in, MadeElf *elf) {
  for (size_t i = 1 + in.below(6); i != 0; i--) {
    unsigned const drawn = in.u8();
    const MadeEntries &table = elf->tables[in.below(elf->tables.size())];
    if (drawn % 8 < 6) { // a number: mostly one of headers, which come last
      size_t const count = elf->fields.size();
      size_t const back = drawn % 8 < 3 ? in.below(13) : in.below(count);
      const MadeField &field = elf->fields[count - 1 - back % count];
      set(elf, field, draw_value(in, *elf, get(*elf, field)));
    } else if (drawn % 8 == 6 && table.count != 0) { // one entry again and again
      Bytes const entry = elf->bytes.substr(table.at + in.below(table.count) * table.entry, table.entry);
      size_t const from = in.below(table.count);
      for (size_t at = from; at < table.count; at++) {
        elf->bytes.replace(table.at + at * table.entry, table.entry, entry);
      }
    } else {
      elf->bytes[in.below(elf->bytes.size())] = static_cast<char>(in.u8());
    }
  }
  if (in.u8() % 4 == 0) {
    elf->bytes.resize(in.below(elf->bytes.size() + 1));
  }
}

} // namespace ringfence::fuzz
