// Makes small ELF files for tests: what inspection and symbols look at, and nothing that could run.
#ifndef RINGFENCE_TESTS_TOOLS_ELF_FILE_H
#define RINGFENCE_TESTS_TOOLS_ELF_FILE_H

#include <cstdint>
#include <cstring>
#include <elf.h>
#include <string>
#include <vector>

namespace ringfence_test {

struct Symbol {
  std::string name;
  uint64_t address = 0;
  uint64_t size = 0;
  bool defined = true;
  unsigned char type = STT_FUNC;
  unsigned char binding = STB_GLOBAL;
};

struct Section {
  std::string name;
  uint32_t type = SHT_PROGBITS;
  std::string contents;
};

struct ElfFile {
  bool is64 = true;
  uint16_t machine = EM_X86_64;
  uint16_t type = ET_DYN;
  uint64_t entry = 64;
  std::string interpreter;
  std::string soname;
  uint64_t soname_at = 1;   // in the table of strings
  std::string build_id;     // bytes
  std::string other_note;   // bytes of a note before that of the build-id
  size_t string_tables = 1; // how often the dynamic section and the segments name the same ones
  size_t note_segments = 1;
  uint64_t split_at = 0; // where not 0, what is loaded from there on is a segment of its own
  std::vector<Section> named_sections;
  std::vector<Symbol> dynamic_symbols;
  std::vector<Symbol> symbols;

  std::string bytes() const { return is64 ? make<Wide>() : make<Narrow>(); }

private:
  struct Wide {
    using Ehdr = Elf64_Ehdr;
    using Phdr = Elf64_Phdr;
    using Shdr = Elf64_Shdr;
    using Sym = Elf64_Sym;
    using Dyn = Elf64_Dyn;
    static constexpr unsigned char kClass = ELFCLASS64;
  };
  struct Narrow {
    using Ehdr = Elf32_Ehdr;
    using Phdr = Elf32_Phdr;
    using Shdr = Elf32_Shdr;
    using Sym = Elf32_Sym;
    using Dyn = Elf32_Dyn;
    static constexpr unsigned char kClass = ELFCLASS32;
  };

  template <typename T> static void put(std::string &out, const T &value) {
    out.append(reinterpret_cast<const char *>(&value), sizeof value);
  }

  template <typename Elf> struct Builder {
    std::string body; // what follows the header
    std::vector<typename Elf::Phdr> segments;
    std::vector<typename Elf::Shdr> sections{typename Elf::Shdr{}};

    size_t here() const { return sizeof(typename Elf::Ehdr) + body.size(); }

    void segment(uint32_t kind, const std::string &contents) {
      typename Elf::Phdr p{};
      p.p_type = kind;
      p.p_offset = p.p_vaddr = static_cast<decltype(p.p_offset)>(here());
      p.p_filesz = p.p_memsz = static_cast<decltype(p.p_filesz)>(contents.size());
      segments.push_back(p);
      body += contents;
    }

    uint32_t section(uint32_t kind, uint32_t link, const std::string &contents) {
      typename Elf::Shdr s{};
      s.sh_type = kind;
      s.sh_link = link;
      s.sh_offset = static_cast<decltype(s.sh_offset)>(here());
      s.sh_size = static_cast<decltype(s.sh_size)>(contents.size());
      sections.push_back(s);
      body += contents;
      return static_cast<uint32_t>(sections.size() - 1);
    }

    void symbols(uint32_t kind, const std::vector<Symbol> &list) {
      std::string names(1, '\0');
      std::string table(sizeof(typename Elf::Sym), '\0');
      for (const Symbol &symbol : list) {
        typename Elf::Sym s{};
        s.st_name = static_cast<uint32_t>(names.size());
        s.st_value = static_cast<decltype(s.st_value)>(symbol.address);
        s.st_size = static_cast<decltype(s.st_size)>(symbol.size);
        s.st_info = static_cast<unsigned char>(ELF64_ST_INFO(symbol.binding, symbol.type));
        s.st_shndx = symbol.defined ? 1 : SHN_UNDEF;
        put(table, s);
        names += symbol.name + '\0';
      }
      section(kind, section(SHT_STRTAB, 0, names), table);
    }

    // Returns the index of the section with the names; 0 where there is none.
    size_t named(const std::vector<Section> &list) {
      std::string names(1, '\0');
      for (const Section &s : list) {
        sections[section(s.type, 0, s.contents)].sh_name = static_cast<uint32_t>(names.size());
        names += s.name + '\0';
      }
      return list.empty() ? 0 : section(SHT_STRTAB, 0, names);
    }

    void soname(const std::string &name, uint64_t at, size_t tables) {
      size_t const strings = here();
      body += '\0' + name + '\0';
      std::string table;
      std::vector<std::pair<int, uint64_t>> entries(tables, {DT_STRTAB, strings});
      entries.insert(entries.end(), {{DT_SONAME, at}, {DT_NULL, 0}});
      for (auto const &[tag, value] : entries) {
        typename Elf::Dyn d{};
        d.d_tag = tag;
        d.d_un.d_val = static_cast<decltype(d.d_un.d_val)>(value);
        put(table, d);
      }
      segment(PT_DYNAMIC, table);
    }
  };

  template <typename Elf> std::string make() const {
    Builder<Elf> b;
    if (!interpreter.empty()) {
      b.segment(PT_INTERP, interpreter + '\0');
    }
    if (!soname.empty()) {
      b.soname(soname, soname_at, string_tables);
    }
    if (!build_id.empty()) {
      std::string note;
      if (!other_note.empty()) {
        put(note, Elf64_Nhdr{4, static_cast<uint32_t>(other_note.size()), NT_GNU_ABI_TAG});
        note += std::string("GNU\0", 4) + other_note + std::string(-other_note.size() % 4, '\0');
      }
      put(note, Elf64_Nhdr{4, static_cast<uint32_t>(build_id.size()), NT_GNU_BUILD_ID});
      b.segment(PT_NOTE, note + std::string("GNU\0", 4) + build_id);
      b.segments.resize(b.segments.size() + note_segments - 1, b.segments.back());
    }
    b.symbols(SHT_DYNSYM, dynamic_symbols);
    b.symbols(SHT_SYMTAB, symbols);
    size_t const section_names = b.named(named_sections);
    typename Elf::Phdr load{};
    uint64_t const all_loaded = b.here();
    uint64_t const first_part = split_at != 0 ? split_at : all_loaded;
    load.p_type = PT_LOAD;
    load.p_filesz = load.p_memsz = static_cast<decltype(load.p_filesz)>(first_part);
    b.segments.push_back(load);
    if (split_at != 0) {
      load.p_offset = load.p_vaddr = static_cast<decltype(load.p_offset)>(split_at);
      load.p_filesz = load.p_memsz = static_cast<decltype(load.p_filesz)>(all_loaded - split_at);
      b.segments.push_back(load);
    }

    typename Elf::Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = Elf::kClass;
    header.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    header.e_type = type;
    header.e_machine = machine;
    header.e_entry = static_cast<decltype(header.e_entry)>(entry);
    header.e_phoff = static_cast<decltype(header.e_phoff)>(b.here());
    header.e_phentsize = sizeof(typename Elf::Phdr);
    header.e_phnum = static_cast<uint16_t>(b.segments.size());
    header.e_shoff = static_cast<decltype(header.e_shoff)>(b.here() + b.segments.size() * sizeof load);
    header.e_shentsize = sizeof(typename Elf::Shdr);
    header.e_shstrndx = static_cast<uint16_t>(section_names);
    header.e_shnum = static_cast<uint16_t>(b.sections.size());
    std::string all;
    put(all, header);
    all += b.body;
    for (const auto &segment : b.segments) {
      put(all, segment);
    }
    for (const auto &section : b.sections) {
      put(all, section);
    }
    return all;
  }
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_TOOLS_ELF_FILE_H
