#include "made_elf.h"

#include <algorithm>
#include <elf.h>

namespace ringfence::fuzz {

namespace {

constexpr size_t kSymbols = 12;
constexpr size_t kNotes = 4;

Bytes draw_name(Reader &in) {
  unsigned const drawn = in.u8();
  Bytes const letters(1 + drawn % 8, static_cast<char>('a' + drawn / 8 % 16));
  return drawn < 248 ? letters + byte('0' + drawn % 10) : Bytes(in.below(1100) + 1, 'l');
}

// Bytes of a note's contents.
Bytes draw_contents(Reader &in) {
  unsigned const drawn = in.u8();
  Bytes out(drawn < 250 ? drawn % 33 : in.below(600), '\0');
  auto value = in.u8();
  for (char &c : out) {
    c = static_cast<char>(value);
    value = static_cast<uint8_t>(value * 5 + 1);
  }
  return out;
}

size_t aligned(size_t at, size_t to) {
  return (at + to - 1) / to * to;
}

// Names, each with its NUL; one that ends another shares its bytes.
class Names {
public:
  uint32_t add(const Bytes &name) {
    size_t const found = name.empty() ? 0 : bytes.find(name + '\0');
    if (found != Bytes::npos) {
      return static_cast<uint32_t>(found);
    }
    bytes += name + '\0';
    return static_cast<uint32_t>(bytes.size() - name.size() - 1);
  }

  Bytes bytes = Bytes(1, '\0');
};

class Maker {
public:
  explicit Maker(Reader &in) : in_(in) {}
  MadeElf make();

private:
  // A table, or a header.
  struct Numbers {
    Numbers() {
      bytes.reserve(1024);
      fields.reserve(128);
    }

    Bytes bytes;
    std::vector<MadeField> fields;
  };

  void number(Numbers *out, uint64_t value, unsigned width) const;
  void word(Numbers *out, uint64_t value) const { number(out, value, elf_.is64 ? 8 : 4); }
  void place(const Numbers &numbers, size_t at);
  void pad(size_t to) { elf_.bytes.resize(aligned(elf_.bytes.size(), to)); }
  uint64_t address_of(uint64_t offset) const { return base_ + offset + (offset >= split_ ? shift_ : 0); }

  void draw_head();
  void section(const Bytes &name, uint32_t type, const Bytes &contents, uint32_t link = 0);
  void segment(uint32_t type, uint64_t offset, uint64_t size);
  Bytes note(const Bytes &owner, uint32_t type, const Bytes &contents) const;
  void put_notes();
  void put_named(const Bytes &name);
  void put_link();
  std::vector<MadeSymbol> draw_symbols();
  void put_symbols(const std::vector<MadeSymbol> &all, bool is_dynamic);
  void put_dynamic();
  void put_segments();
  void put_sections();
  void put_header();

  Reader &in_;
  MadeElf elf_;
  Names dynamic_names_;
  Names section_names_;
  bool has_sections_ = true;
  bool has_segments_ = true;
  uint64_t base_ = 0;
  uint64_t split_ = UINT64_MAX; // from there on the file is loaded `shift_` further
  uint64_t shift_ = 0;
  size_t sections_at_ = 0;
  size_t segment_entry_ = 0;
  size_t section_entry_ = 0;
};

void Maker::number(Numbers *out, uint64_t value, unsigned width) const {
  unsigned char bytes[8];
  for (unsigned i = 0; i < width; i++) {
    bytes[i] = static_cast<unsigned char>(value >> 8 * place_of_byte(elf_, width, i));
  }
  out->fields.push_back({static_cast<uint32_t>(out->bytes.size()), width});
  out->bytes.append(reinterpret_cast<const char *>(bytes), width);
}

void Maker::place(const Numbers &numbers, size_t at) {
  for (const MadeField &f : numbers.fields) {
    elf_.fields.push_back({static_cast<uint32_t>(at + f.at), f.width});
  }
  elf_.bytes.resize(std::max(elf_.bytes.size(), at + numbers.bytes.size()));
  elf_.bytes.replace(at, numbers.bytes.size(), numbers.bytes);
}

void Maker::draw_head() {
  static constexpr uint16_t kWide[] = {EM_X86_64, EM_AARCH64, EM_RISCV, 0xFFF0};
  static constexpr uint16_t kNarrow[] = {EM_386, EM_ARM, EM_RISCV, EM_ARM};
  static constexpr uint16_t kTypes[] = {ET_DYN, ET_EXEC, ET_REL, ET_DYN};
  unsigned const drawn = in_.u8();
  bool const is_native = drawn % 8 != 7;
  elf_.is64 = (sizeof(void *) == 8) == is_native;
  elf_.machine = (elf_.is64 ? kWide : kNarrow)[drawn / 8 % 4];
  elf_.type = kTypes[drawn / 32 % 4];
  unsigned const shape = in_.u8();
  elf_.is_swapped = shape % 32 == 31;
  has_segments_ = shape / 32 % 8 != 7;
  has_sections_ = shape / 32 % 8 != 6;
  unsigned const room = in_.u8();
  elf_.has_plain_segments = room % 16 != 15;
  elf_.has_plain_sections = room / 16 % 16 != 15;
  segment_entry_ = (elf_.is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) + (elf_.has_plain_segments ? 0 : 5);
  section_entry_ = (elf_.is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)) + (elf_.has_plain_sections ? 0 : 3);
  base_ = elf_.type == ET_EXEC ? 0x400000 : 0;
}

void Maker::section(const Bytes &name, uint32_t type, const Bytes &contents, uint32_t link) {
  uint64_t const flags = type == SHT_SYMTAB || type == SHT_STRTAB ? 0 : SHF_ALLOC;
  elf_.sections.push_back({name, type, link, flags, elf_.bytes.size(), contents.size(), section_names_.add(name)});
  elf_.bytes += type == SHT_NOBITS ? Bytes() : contents;
}

void Maker::segment(uint32_t type, uint64_t offset, uint64_t size) {
  elf_.segments.push_back({type, offset, address_of(offset), size, size});
}

// ---- Parts ----

Bytes Maker::note(const Bytes &owner, uint32_t type, const Bytes &contents) const {
  Numbers out;
  number(&out, owner.size(), 4);
  number(&out, contents.size(), 4);
  number(&out, type, 4);
  Bytes bytes = out.bytes + owner;
  bytes.resize(aligned(bytes.size(), 4));
  bytes += contents;
  bytes.resize(aligned(bytes.size(), 4));
  return bytes;
}

// Up to two sections of them, in one segment or two. One note at most is the build id.
void Maker::put_notes() {
  static const Bytes kOwners[] = {Bytes("GNU", 4),  Bytes("Xen", 4), Bytes("stapsdt", 8), Bytes("Go\0", 4),
                                  Bytes("CORE", 5), Bytes(),         Bytes("G", 2),       Bytes("GNU", 4)};
  pad(4);
  size_t const start = elf_.bytes.size();
  bool const is_one = in_.u8() % 2 != 0;
  for (size_t sections = in_.below(3); sections != 0; sections--) {
    Bytes notes;
    for (size_t i = 1 + in_.below(kNotes); i != 0; i--) {
      unsigned const drawn = in_.u8();
      Bytes const contents = draw_contents(in_);
      bool const is_id = drawn % 16 >= 10 && !elf_.build_id;
      const Bytes &owner = kOwners[is_id ? 0 : drawn % 8];
      bool const is_gnu = owner.size() == 4 && owner[0] == 'G' && owner[1] == 'N';
      elf_.build_id = is_id ? contents : elf_.build_id;
      notes += note(owner, is_id || !is_gnu ? NT_GNU_BUILD_ID : 1 + drawn / 16 % 2, contents);
    }
    size_t const at = elf_.bytes.size();
    section(".note." + draw_name(in_), SHT_NOTE, notes);
    if (!is_one) {
      segment(PT_NOTE, at, notes.size());
    }
  }
  if (is_one) {
    segment(PT_NOTE, start, elf_.bytes.size() - start);
  }
}

// With contents, without, or in another file.
void Maker::put_named(const Bytes &name) {
  unsigned const drawn = in_.u8() % 4;
  section(name, drawn == 0 ? SHT_NOBITS : SHT_PROGBITS, Bytes(drawn == 1 ? 0 : 1 + in_.u8() % 24U, '\xC3'));
}

void Maker::put_link() {
  Bytes name = draw_name(in_) + '\0';
  name.resize(aligned(name.size(), 4));
  section(".gnu_debuglink", SHT_PROGBITS, name + Bytes(4, '\x5A'));
}

// Functions do not overlap, but some share their address, and some that have no size lie within others.
std::vector<MadeSymbol> Maker::draw_symbols() {
  static constexpr unsigned kOthers[] = {STT_OBJECT, STT_NOTYPE, STT_GNU_IFUNC, STT_SECTION};
  std::vector<MadeSymbol> all;
  uint64_t at = base_ + 0x1000;
  uint64_t before = at;
  for (size_t i = in_.below(kSymbols + 1); i != 0; i--) {
    unsigned const drawn = in_.u8();
    MadeSymbol s = {draw_name(in_), at, 2 + 2 * (drawn / 16 % 8), STT_FUNC, drawn % 16 != 15};
    if (drawn % 16 < 3) {
      s.type = kOthers[drawn / 16 % 4];
    } else if (drawn % 16 == 3) { // an alias
      s.address = before;
    } else if (drawn % 16 == 4) { // a mark within
      s.address = before + drawn / 16 % 4 * 2;
      s.size = 0;
    }
    if (s.address == at && s.size != 0) {
      before = at;
      at += s.size + (drawn % 16 == 5 ? 6 : 0);
    }
    if (s.address == before && drawn % 16 == 3) {
      at = std::max(at, before + s.size);
    }
    bool const is_thumb = elf_.machine == EM_ARM && drawn >= 64 && (s.type == STT_FUNC || s.type == STT_GNU_IFUNC);
    s.address |= is_thumb ? 1 : 0;
    all.insert(drawn % 2 != 0 ? all.end() : all.begin(), s);
  }
  all.insert(all.begin(), MadeSymbol{"", 0, 0, STT_NOTYPE, false});
  return all;
}

void Maker::put_symbols(const std::vector<MadeSymbol> &all, bool is_dynamic) {
  Names own;
  Names *const names = is_dynamic ? &dynamic_names_ : &own;
  Numbers table;
  for (const MadeSymbol &s : all) {
    number(&table, names->add(s.name), 4);
    if (!elf_.is64) {
      number(&table, s.address, 4);
      number(&table, s.size, 4);
    }
    number(&table, s.type | STB_GLOBAL << 4, 1);
    number(&table, 0, 1);
    number(&table, s.is_defined ? 1 : SHN_UNDEF, 2);
    if (elf_.is64) {
      number(&table, s.address, 8);
      number(&table, s.size, 8);
    }
  }
  pad(8);
  size_t const at = elf_.bytes.size();
  auto const next = static_cast<uint32_t>(elf_.sections.size() + 1);
  section(is_dynamic ? ".dynsym" : ".symtab", is_dynamic ? SHT_DYNSYM : SHT_SYMTAB, table.bytes, next);
  place(table, at);
  elf_.tables.push_back({at, table.bytes.size() / all.size(), all.size()});
  section(is_dynamic ? ".dynstr" : ".strtab", SHT_STRTAB, names->bytes);
}

// Follows the table of symbols whose strings it uses.
void Maker::put_dynamic() {
  const MadeSection strings = elf_.sections.back();
  bool const is_first = in_.u8() % 2 != 0;
  Numbers table;
  auto const entry = [&](uint64_t tag, uint64_t value) {
    word(&table, tag);
    word(&table, value);
  };
  if (is_first) {
    entry(DT_STRTAB, address_of(strings.offset));
  }
  for (const MadeString &s : elf_.strings) {
    entry(static_cast<uint64_t>(s.tag), dynamic_names_.add(s.text));
  }
  if (!is_first) {
    entry(DT_STRTAB, address_of(strings.offset));
  }
  for (size_t i = 1 + in_.u8() % 8U; i != 0; i--) {
    entry(DT_NULL, 0);
  }
  pad(8);
  size_t const at = elf_.bytes.size();
  section(".dynamic", SHT_DYNAMIC, table.bytes);
  place(table, at);
  size_t const size = elf_.is64 ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn);
  elf_.tables.push_back({at, size, table.bytes.size() / size});
  segment(PT_DYNAMIC, at, table.bytes.size());
}

// ---- Headers ----

void Maker::put_segments() {
  Numbers table;
  for (MadeSegment &s : elf_.segments) {
    if (s.type == PT_PHDR) {
      s.file_size = s.memory_size = elf_.segments.size() * segment_entry_;
    }
    size_t const start = table.bytes.size();
    number(&table, s.type, 4);
    if (elf_.is64) {
      number(&table, PF_R, 4);
    }
    word(&table, s.offset);
    word(&table, s.address);
    word(&table, s.address);
    word(&table, s.file_size);
    word(&table, s.memory_size);
    if (!elf_.is64) {
      number(&table, PF_R, 4);
    }
    word(&table, 4);
    table.bytes.resize(start + segment_entry_, '\x77');
  }
  place(table, elf_.segments_at);
  elf_.tables.push_back({elf_.segments_at, segment_entry_, elf_.segments.size()});
}

void Maker::put_sections() {
  Numbers table;
  for (const MadeSection &s : elf_.sections) {
    size_t const start = table.bytes.size();
    number(&table, s.name_at, 4);
    number(&table, s.type, 4);
    word(&table, s.flags);
    word(&table, (s.flags & SHF_ALLOC) != 0 ? address_of(s.offset) : 0);
    word(&table, s.offset);
    word(&table, s.size);
    number(&table, s.link, 4);
    number(&table, 0, 4);
    word(&table, 1);
    word(&table, 0);
    table.bytes.resize(start + section_entry_, '\x77');
  }
  pad(8);
  sections_at_ = elf_.bytes.size();
  place(table, sections_at_);
  elf_.tables.push_back({sections_at_, section_entry_, elf_.sections.size()});
}

void Maker::put_header() {
  Numbers head;
  head.bytes = Bytes(ELFMAG) + byte(elf_.is64 ? ELFCLASS64 : ELFCLASS32);
  head.bytes += byte(is_little(elf_) ? ELFDATA2LSB : ELFDATA2MSB);
  head.bytes.resize(EI_NIDENT);
  number(&head, elf_.type, 2);
  number(&head, elf_.machine, 2);
  number(&head, EV_CURRENT, 4);
  word(&head, 0);
  word(&head, elf_.segments_at);
  word(&head, sections_at_);
  number(&head, 0, 4);
  number(&head, elf_.is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr), 2);
  number(&head, segment_entry_, 2);
  number(&head, elf_.segments.size(), 2);
  number(&head, section_entry_, 2);
  number(&head, elf_.sections.size(), 2);
  number(&head, elf_.section_names, 2);
  place(head, 0);
}

// ---- Whole files ----

MadeElf Maker::make() {
  elf_.fields.reserve(512);
  elf_.bytes.reserve(4096);
  draw_head();
  unsigned const parts = in_.u8();
  unsigned const others = in_.u8();
  size_t const fillers = others % 8 == 7 ? in_.u8() % 64U : 0; // segments without contents
  size_t const head = elf_.is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
  constexpr size_t kMost = 8; // other segments
  elf_.segments_at = head;
  elf_.bytes.resize(head + (has_segments_ ? (kMost + fillers) * segment_entry_ : 0));
  elf_.sections.push_back({"", SHT_NULL, 0, 0, 0, 0, 0});
  if (others / 8 % 4 != 0) {
    segment(PT_PHDR, head, 0);
  }
  if (parts % 2 != 0) {
    elf_.interpreter = "/lib/" + draw_name(in_);
    segment(PT_INTERP, elf_.bytes.size(), elf_.interpreter.size() + 1);
    section(".interp", SHT_PROGBITS, elf_.interpreter + '\0');
  }
  put_notes();
  if (others / 32 % 2 != 0) {
    pad(8);
    split_ = elf_.bytes.size();
    shift_ = 0x1000;
  }
  if (parts / 2 % 4 != 0) {
    elf_.dynamic = draw_symbols();
    for (const MadeSymbol &s : elf_.dynamic) {
      dynamic_names_.add(s.name);
    }
    for (size_t i = others / 64 == 3 ? in_.u8() % 64U : in_.below(5); i != 0; i--) {
      elf_.strings.push_back({in_.u8() % 4 == 0 ? DT_SONAME : DT_NEEDED, draw_name(in_)});
      dynamic_names_.add(elf_.strings.back().text);
    }
    put_symbols(elf_.dynamic, true);
    put_dynamic();
  }
  put_named(".text");
  uint64_t const loaded = elf_.bytes.size();
  uint64_t const first = std::min(split_, loaded);
  segment(PT_LOAD, 0, first);
  if (split_ < loaded) {
    segment(PT_LOAD, split_, loaded - split_);
  }
  if (parts / 8 % 4 == 1) {
    put_named(".debug_line");
  }
  if (parts / 32 % 2 != 0) {
    put_link();
  }
  if (parts / 64 % 2 != 0) {
    elf_.full = draw_symbols();
    put_symbols(elf_.full, false);
  }
  for (size_t i = 0; i < fillers; i++) {
    segment(PT_GNU_STACK, 0, 0);
  }
  elf_.section_names = elf_.sections.size();
  (void)section_names_.add(".shstrtab");
  section(".shstrtab", SHT_STRTAB, section_names_.bytes);
  if (has_segments_) {
    put_segments();
  } else {
    elf_.segments.clear();
    elf_.segments_at = 0;
  }
  if (has_sections_) {
    put_sections();
  } else {
    elf_.sections.clear();
    elf_.section_names = 0;
  }
  put_header();
  return std::move(elf_);
}

} // namespace

MadeElf draw_elf(Reader &in) {
  return Maker(in).make();
}

} // namespace ringfence::fuzz
