// elf: ELF files as linkers write them, and damaged ones, by all three readers: the command's and the service's
// (tools/ringfence/base/elf.c), that of names in the process (checkers/os/symbols.c), and that of the process's own
// image (checkers/os/elf_image.h, modules_linux.c). Names, addresses, build ids and headers are those that the file was
// made of. A damaged file is not read beyond either end, and memory and time are in proportion to its size.
#include "blocks_model.h"
#include "made_elf.h"
#include "placed_elf.h"

#include "checkers/os/elf_image.h"
#include "checkers/os/modules.h"
#include "checkers/os/symbols.h"
#include "tools/ringfence/base/elf.h"
#include "tools/ringfence/symbols/symbol_table.h"

namespace {

using ringfence::fuzz::Bytes;
using ringfence::fuzz::count_step;
using ringfence::fuzz::MadeElf;
using ringfence::fuzz::MadeSection;
using ringfence::fuzz::MadeSegment;
using ringfence::fuzz::MadeString;
using ringfence::fuzz::MadeSymbol;
using ringfence::fuzz::PlacedElf;
using ringfence::fuzz::Reader;

bool is_own_class(const MadeElf &elf) {
  return elf.is64 == (sizeof(void *) == 8) && !elf.is_swapped;
}

// ---- Functions ----

bool is_function(const MadeSymbol &s) {
  return s.is_defined && (s.type == STT_FUNC || s.type == STT_GNU_IFUNC);
}

uint64_t start_of(const MadeElf &elf, const MadeSymbol &s) {
  return s.address & ~uint64_t{elf.machine == EM_ARM ? 1U : 0U};
}

bool covers(const MadeElf &elf, const MadeSymbol &s, uint64_t address) {
  return is_function(s) && address - start_of(elf, s) < s.size;
}

// Whether one of the functions there has this name; nullptr, that there is none.
bool is_named(const MadeElf &elf, const std::vector<MadeSymbol> &all, uint64_t address, const char *name) {
  bool any = false;
  for (const MadeSymbol &s : all) {
    any = any || covers(elf, s, address);
    if (name != nullptr && covers(elf, s, address) && s.name == name) {
      return true;
    }
  }
  return name == nullptr && !any;
}

uint64_t draw_address(Reader &in, const std::vector<MadeSymbol> &all) {
  if (all.empty()) {
    return in.u16();
  }
  const MadeSymbol &s = all[in.below(all.size())];
  uint64_t const edges[] = {0, s.size - 1, s.size, 0 - uint64_t{1}};
  return (s.address & ~uint64_t{1}) + edges[in.u8() % 4];
}

// ---- The command ----

// Memory and time of one question: how often it reads as much as the whole file.
class Bounded {
public:
  explicit Bounded(size_t readings) : readings_(readings) { rf_elf_file.read = rf_elf_file.taken = 0; }
  ~Bounded() {
    RF_HOLDS(rf_elf_file.read <= readings_ * rf_elf_file.announced);
    RF_HOLDS(rf_elf_file.taken <= 8 * rf_elf_file.announced + 1024);
  }
  Bounded(const Bounded &) = delete;
  Bounded &operator=(const Bounded &) = delete;

private:
  size_t readings_;
};

// An open file and the memory that it takes.
class Opened {
public:
  Opened() {
    Bounded const bounded(3); // the header, and tables that may overlap
    status = rf_elf_open(&elf, RF_ELF_PATH, &arena_);
  }
  ~Opened() {
    if (status == RF_ELF_OK) {
      rf_elf_close(&elf);
    }
    rf_bump_arena_free(&arena_);
    RF_HOLDS(rf_elf_file.open == 0);
  }
  Opened(const Opened &) = delete;
  Opened &operator=(const Opened &) = delete;

  rf_elf elf = {};
  rf_elf_status status;

private:
  rf_bump_arena arena_ = {nullptr};
};

std::vector<Bytes> visited;

bool visit(const char *text) {
  visited.emplace_back(text);
  return false;
}

bool has(const char *text, const std::optional<Bytes> &wanted) {
  return wanted ? text != nullptr && *wanted == text : text == nullptr;
}

void compare_headers(const MadeElf &made, const rf_elf &elf) {
  RF_HOLDS(elf.type == made.type && elf.machine == made.machine && elf.is64 == made.is64);
  RF_HOLDS(elf.segment_count == made.segments.size() && elf.section_count == made.sections.size());
  for (size_t i = 0; i < elf.segment_count; i++) {
    const MadeSegment &m = made.segments[i];
    const rf_elf_segment &s = elf.segments[i];
    RF_HOLDS(s.type == m.type && s.offset == m.offset && s.address == m.address);
    RF_HOLDS(s.file_size == m.file_size && s.memory_size == m.memory_size);
  }
  for (size_t i = 0; i < elf.section_count; i++) {
    const MadeSection &m = made.sections[i];
    const rf_elf_section &s = elf.sections[i];
    RF_HOLDS(s.name == m.name_at && s.type == m.type && s.link == m.link);
    RF_HOLDS(s.flags == m.flags && s.offset == m.offset && s.size == m.size);
  }
}

void compare_symbols(const rf_elf &elf, uint32_t type, const std::vector<MadeSymbol> &made, bool has_sections) {
  Bounded const bounded(2);
  rf_elf_symbol *found = nullptr;
  size_t const count = rf_elf_symbols(&elf, type, &found);
  RF_HOLDS(count == (has_sections ? made.size() : 0));
  for (size_t i = 0; i < count; i++) {
    RF_HOLDS(made[i].name == found[i].name && found[i].address == made[i].address && found[i].size == made[i].size);
    RF_HOLDS(found[i].defined == made[i].is_defined && !found[i].weak);
    RF_HOLDS(found[i].function == (made[i].type == STT_FUNC || made[i].type == STT_GNU_IFUNC));
  }
}

void compare_strings(const MadeElf &made, const rf_elf &elf, int64_t tag) {
  Bounded const bounded(2);
  std::vector<Bytes> wanted;
  for (const MadeString &s : made.strings) {
    if (s.tag == tag && !made.segments.empty()) {
      wanted.push_back(s.text);
    }
  }
  visited.clear();
  RF_HOLDS(rf_elf_dynamic_string(&elf, tag, visit) == nullptr);
  RF_HOLDS(visited == wanted);
}

bool is_in_file(const MadeElf &made, const Bytes &name) {
  return std::any_of(made.sections.begin(), made.sections.end(),
                     [&](const MadeSection &s) { return s.name == name && s.type != SHT_NOBITS && s.size != 0; });
}

void compare_sections(const MadeElf &made, const rf_elf &elf, Reader &in) {
  Bounded const bounded(1);
  static const Bytes kNames[] = {".text", ".debug_line", ".dynsym", ".debug", ".symtab", "x"};
  size_t const drawn = in.u8();
  Bytes const name = drawn % 2 != 0 && !made.sections.empty() ? made.sections[drawn / 2 % made.sections.size()].name
                                                              : kNames[drawn / 2 % 6];
  RF_HOLDS(rf_elf_has_section(&elf, name.c_str()) == is_in_file(made, name));
}

// Up to the end of the segment.
void compare_read(const MadeElf &made, const rf_elf &elf, Reader &in) {
  unsigned char out[16];
  uint64_t const drawn = in.u16();
  for (const MadeSegment &s : made.segments) {
    if (s.type != PT_LOAD || s.file_size == 0) {
      continue;
    }
    uint64_t const into =
        drawn % 4 == 0 ? s.file_size - 1 - drawn / 4 % std::min<uint64_t>(16, s.file_size) : drawn % s.file_size;
    size_t const wanted = std::min<size_t>(sizeof out, static_cast<size_t>(s.file_size - into));
    RF_HOLDS(rf_elf_read(&elf, s.address + into, out, sizeof out) == wanted);
    RF_HOLDS(std::memcmp(out, made.bytes.data() + s.offset + into, wanted) == 0);
  }
}

Bytes hex(const Bytes &bytes) {
  Bytes out;
  for (char const c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::optional<Bytes> id_of(const MadeElf &made) {
  return made.build_id ? std::optional(hex(*made.build_id)) : std::nullopt;
}

void compare_command(const MadeElf &made, Reader &in) {
  count_step();
  Opened opened;
  const rf_elf &elf = opened.elf;
  RF_HOLDS(opened.status == (made.is_swapped ? RF_ELF_BYTE_ORDER : RF_ELF_OK));
  if (opened.status != RF_ELF_OK) {
    RF_HOLDS(elf.machine == made.machine && elf.is64 == made.is64);
    return;
  }
  compare_headers(made, elf);
  bool const has_segments = !made.segments.empty();
  bool const has_loader = has_segments && !made.interpreter.empty();
  RF_HOLDS(has(rf_elf_interpreter(&elf), has_loader ? std::optional(made.interpreter) : std::nullopt));
  {
    Bounded const bounded(1);
    RF_HOLDS(has(rf_elf_build_id(&elf), has_segments ? id_of(made) : std::nullopt));
  }
  compare_strings(made, elf, DT_NEEDED);
  compare_strings(made, elf, DT_SONAME);
  compare_symbols(elf, SHT_SYMTAB, made.full, !made.sections.empty());
  compare_symbols(elf, SHT_DYNSYM, made.dynamic, !made.sections.empty());
  compare_sections(made, elf, in);
  compare_read(made, elf, in);
}

// The table that has functions, as the command chooses it.
const std::vector<MadeSymbol> &chosen(const MadeElf &made) {
  static const std::vector<MadeSymbol> none;
  bool const has_full = std::any_of(made.full.begin(), made.full.end(),
                                    [](const MadeSymbol &s) { return is_function(s) && s.size != 0; });
  return made.sections.empty() ? none : (has_full ? made.full : made.dynamic);
}

void compare_functions(const MadeElf &made, Reader &in) {
  Opened opened;
  if (opened.status != RF_ELF_OK) {
    return;
  }
  const std::vector<MadeSymbol> &by_command = chosen(made);
  bool const is_read = is_own_class(made) && made.has_plain_sections && !made.sections.empty();
  static const std::vector<MadeSymbol> none;
  const std::vector<MadeSymbol> &by_process = !is_read ? none : (made.full.empty() ? made.dynamic : made.full);
  rf_symbol_table const table = rf_symbol_table_read(&opened.elf);
  for (int i = 0; i < 3; i++) {
    char name[64] = "untouched";
    size_t const room = i == 2 ? in.below(sizeof name) : sizeof name;
    uint64_t const address = draw_address(in, by_command);
    const char *const found = rf_symbol_table_find(&table, address);
    RF_HOLDS(is_named(made, by_command, address, found));
    if (rf_symbols_function(RF_ELF_PATH, address, name, room)) {
      RF_HOLDS(std::strlen(name) < room);
      Bytes const cut = name;
      RF_HOLDS(std::any_of(by_process.begin(), by_process.end(), [&](const MadeSymbol &s) {
        return covers(made, s, address) && s.name.substr(0, room - 1) == cut;
      }));
    } else {
      RF_HOLDS(std::strcmp(name, "untouched") == 0);
      RF_HOLDS(room == 0 || is_named(made, by_process, address, nullptr));
    }
  }
}

// ---- The process ----

// Files for debuggers, in the order in which they are looked for.
std::vector<Bytes> wanted_paths(const MadeElf &made) {
  std::vector<Bytes> all;
  bool has_id = false;
  for (const MadeSection &s : made.sections) {
    Bytes const contents = made.bytes.substr(static_cast<size_t>(s.offset), static_cast<size_t>(s.size));
    bool const has_this = s.type == SHT_NOTE && made.build_id && !has_id &&
                          contents.find(Bytes("\3\0\0\0GNU", 8) + *made.build_id) != Bytes::npos;
    if (has_this && made.build_id->size() > 1) {
      Bytes const digits = hex(*made.build_id);
      all.push_back("/usr/lib/debug/.build-id/" + digits.substr(0, 2) + "/" + digits.substr(2) + ".debug");
    }
    has_id = has_id || has_this;
    if (s.type == SHT_PROGBITS && s.name == ".gnu_debuglink") {
      Bytes const name = contents.c_str();
      for (const char *const folder : {"/made/", "/made/.debug/", "/usr/lib/debug/made/"}) {
        all.push_back(folder + name);
      }
    }
  }
  all.erase(std::remove_if(all.begin(), all.end(), [](const Bytes &path) { return path.size() >= 1024; }), all.end());
  return all;
}

bool names_code(const MadeElf &made) {
  return std::any_of(made.sections.begin(), made.sections.end(), [](const MadeSection &s) {
    return s.type == SHT_SYMTAB || (s.type == SHT_PROGBITS && s.name == ".debug_line");
  });
}

// A file that has names, for the one that is found.
const Bytes &other_file() {
  static const Bytes bytes = [] {
    ElfW(Ehdr) head = {};
    ElfW(Shdr) section = {};
    std::memcpy(head.e_ident, ELFMAG, SELFMAG);
    head.e_ident[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    head.e_shentsize = sizeof section;
    head.e_shnum = 1;
    head.e_shoff = sizeof head;
    section.sh_type = SHT_SYMTAB;
    return ringfence::fuzz::raw(head) + ringfence::fuzz::raw(section);
  }();
  return bytes;
}

void be_asked_for_files(Reader &in) {
  alignas(8) static unsigned char other[256];
  std::memcpy(other, other_file().data(), other_file().size());
  unsigned const drawn = in.u8();
  rf_elf_file.others = 0;
  rf_elf_file.present = drawn % 2 != 0 ? 0 : 1 + drawn / 2 % 4;
  rf_elf_file.other = other;
  rf_elf_file.other_size = other_file().size();
}

void compare_debug_files(const MadeElf &made, Reader &in) {
  be_asked_for_files(in);
  bool const is_read = is_own_class(made) && made.has_plain_sections && !made.sections.empty();
  std::vector<Bytes> wanted = is_read && !names_code(made) ? wanted_paths(made) : std::vector<Bytes>();
  bool const is_there = rf_elf_file.present != 0 && rf_elf_file.present <= wanted.size();
  wanted.resize(is_there ? rf_elf_file.present : wanted.size());
  RF_HOLDS(rf_symbols_present(RF_ELF_PATH) == (is_there || (is_read && names_code(made))));
  RF_HOLDS(std::vector<Bytes>(rf_elf_file.paths, rf_elf_file.paths + rf_elf_file.others) == wanted);
  RF_HOLDS(rf_elf_file.open == 0);
}

Bytes program_id(const void *segments, size_t count) {
  char id[2 * RF_BUILD_ID_BYTES + 1];
  rf_elf_file.segments = segments;
  rf_elf_file.segment_count = static_cast<unsigned>(count);
  rf_modules_program_id(id);
  rf_elf_file.segments = nullptr;
  return id;
}

void compare_image(const MadeElf &made) {
  if (!is_own_class(made) || !made.has_plain_segments || made.segments.empty()) {
    return;
  }
  auto const base = reinterpret_cast<uintptr_t>(rf_elf_file.bytes);
  unsigned count = 0;
  const rf_program_header *const headers = rf_program_headers(base, &count);
  RF_HOLDS(headers == reinterpret_cast<const void *>(base + made.segments_at) && count == made.segments.size());
  uint64_t end = 0;
  uint64_t start = 0;
  bool has_headers = false;
  for (const MadeSegment &s : made.segments) {
    start = s.type == PT_LOAD && s.offset == 0 ? s.address : start;
    end = s.type == PT_LOAD ? s.address + s.memory_size : end;
    has_headers = has_headers || s.type == PT_PHDR;
  }
  RF_HOLDS(rf_elf_bias(base, headers, count) == base - start);
  RF_HOLDS(rf_elf_image_end(base) == base - start + end);
  Bytes const id = has_headers ? id_of(made).value_or("").substr(0, 2 * RF_BUILD_ID_BYTES) : "";
  RF_HOLDS(program_id(headers, count) == id);
}

// ---- Damaged files ----

// Asks of a file that may have shrunk since it was opened.
void ask_command(uint64_t address, Reader &in) {
  rf_elf_file.announced += in.u8() % 4 != 0 ? 0 : in.u8();
  Opened opened;
  const rf_elf &elf = opened.elf;
  if (opened.status != RF_ELF_OK) {
    return;
  }
  size_t length = 0;
  auto const read = [&](const char *text) { length += text != nullptr ? std::strlen(text) : 0; };
  auto const ask = [](size_t readings, auto question) {
    Bounded const bounded(readings);
    question();
  };
  ask(1, [&] { read(rf_elf_build_id(&elf)); });
  ask(2, [&] { (void)rf_elf_dynamic_string(&elf, DT_NEEDED, visit); });
  ask(1, [&] { read(rf_elf_interpreter(&elf)); });
  ask(1, [&] { (void)rf_elf_has_section(&elf, ".debug_line"); });
  ask(2, [&] {
    rf_elf_symbol *symbols = nullptr;
    for (size_t i = rf_elf_symbols(&elf, SHT_DYNSYM, &symbols); i != 0; i--) {
      read(symbols[i - 1].name);
    }
  });
  unsigned char out[16];
  RF_HOLDS(rf_elf_read(&elf, address, out, sizeof out) <= sizeof out);
  rf_symbol_table const table = rf_symbol_table_read(&elf);
  read(rf_symbol_table_find(&table, address));
  RF_HOLDS(length != SIZE_MAX); // names are read
  visited.clear();
}

void ask_damaged(const MadeElf &made, Reader &in) {
  count_step();
  uint64_t const address = draw_address(in, made.full.empty() ? made.dynamic : made.full);
  ask_command(address, in);
  rf_elf_file.announced = rf_elf_file.size;
  char name[64] = "untouched";
  bool const found = rf_symbols_function(RF_ELF_PATH, address, name, sizeof name);
  RF_HOLDS(std::memchr(name, '\0', sizeof name) != nullptr && (found || std::strcmp(name, "untouched") == 0));
  be_asked_for_files(in);
  (void)rf_symbols_present(RF_ELF_PATH);
  RF_HOLDS(rf_elf_file.open == 0);
  auto const base = reinterpret_cast<uintptr_t>(rf_elf_file.bytes);
  unsigned count = 0;
  const rf_program_header *const headers = rf_program_headers(base, &count);
  (void)rf_elf_image_end(base);
  if (headers != nullptr) {
    (void)program_id(headers, count);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  bool const is_damaged = in.u8() % 2 != 0;
  MadeElf made = ringfence::fuzz::draw_elf(in);
  if (is_damaged) {
    damage_elf(in, &made);
  }
  PlacedElf const placed(made.bytes, in);
  if (is_damaged) {
    ask_damaged(made, in);
  } else {
    compare_command(made, in);
    compare_functions(made, in);
    compare_debug_files(made, in);
    compare_image(made);
  }
  return 0;
}
