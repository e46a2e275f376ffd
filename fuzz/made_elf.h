// An ELF file as linkers write it, drawn from an input, with what is in it; and damage to it.
#ifndef RINGFENCE_FUZZ_MADE_ELF_H
#define RINGFENCE_FUZZ_MADE_ELF_H

#include "made_bytes.h"

#include <optional>
#include <vector>

namespace ringfence::fuzz {

struct MadeSegment {
  uint32_t type;
  uint64_t offset;
  uint64_t address;
  uint64_t file_size;
  uint64_t memory_size;
};

struct MadeSection {
  Bytes name;
  uint32_t type;
  uint32_t link;
  uint64_t flags;
  uint64_t offset;
  uint64_t size;
  uint32_t name_at; // in the section of names
};

struct MadeSymbol {
  Bytes name;
  uint64_t address;
  uint64_t size;
  unsigned type;
  bool is_defined;
};

// A string that the dynamic section names.
struct MadeString {
  int64_t tag;
  Bytes text;
};

// A number of the file.
struct MadeField {
  uint32_t at;
  uint32_t width;
};

// A table of the file.
struct MadeEntries {
  size_t at;
  size_t entry; // bytes of one
  size_t count;
};

// Tables without entries are not in the file. Each table of symbols begins with the empty one.
struct MadeElf {
  bool is64 = true;
  bool is_swapped = false; // of the other byte order
  uint16_t machine = 0;
  uint16_t type = 0;
  bool has_plain_segments = true; // whose entries have the size that the format says
  bool has_plain_sections = true;
  size_t segments_at = 0;
  std::vector<MadeSegment> segments;
  std::vector<MadeSection> sections;
  size_t section_names = 0;
  std::vector<MadeSymbol> full;
  std::vector<MadeSymbol> dynamic;
  std::vector<MadeString> strings;
  Bytes interpreter;
  std::optional<Bytes> build_id;
  Bytes bytes;
  std::vector<MadeField> fields;
  std::vector<MadeEntries> tables;
};

inline bool is_little(const MadeElf &elf) {
  return (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) != elf.is_swapped;
}

// The position of byte `i`, counted from the lowest bits on, in a number of `width` bytes.
inline unsigned place_of_byte(const MadeElf &elf, unsigned width, unsigned i) {
  return is_little(elf) ? i : width - 1 - i;
}

MadeElf draw_elf(Reader &in);

// Other numbers, entries that are repeated, and an early end: nothing is known of such a file but where it ends.
void damage_elf(Reader &in, MadeElf *elf);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_MADE_ELF_H
