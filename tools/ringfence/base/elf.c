#include "tools/ringfence/base/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef EM_LOONGARCH /* musl before 1.2.4 */
#define EM_LOONGARCH 258
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_ORDER ELFDATA2LSB
#else
#define NATIVE_ORDER ELFDATA2MSB
#endif

/* Field of a structure that exists in both widths. */
#define FIELD(elf, raw, type, field)                                                                                   \
  ((elf)->is64 ? (uint64_t)((const Elf64_##type *)(raw))->field : (uint64_t)((const Elf32_##type *)(raw))->field)
#define SIZE_OF(elf, type) ((elf)->is64 ? sizeof(Elf64_##type) : sizeof(Elf32_##type))

typedef union either_ehdr {
  unsigned char bytes[sizeof(Elf64_Ehdr)];
  Elf64_Ehdr wide;
  Elf32_Ehdr narrow;
} either_ehdr;

typedef union either_phdr {
  Elf64_Phdr wide;
  Elf32_Phdr narrow;
} either_phdr;

typedef union either_shdr {
  Elf64_Shdr wide;
  Elf32_Shdr narrow;
} either_shdr;

static bool read_at(const rf_elf *elf, uint64_t offset, void *out, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t const n = pread(elf->fd, (char *)out + done, size - done, (off_t)(offset + done));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return false;
    }
    done += (size_t)n;
  }
  return true;
}

/* `size` bytes of the file, or NULL where they are not all there. One NUL follows them. */
static char *load(const rf_elf *elf, uint64_t offset, uint64_t size) {
  if (offset > elf->size || size > elf->size - offset) {
    return NULL;
  }
  char *const bytes = (char *)rf_bump_arena_alloc(elf->arena, (size_t)size + 1);
  return read_at(elf, offset, bytes, (size_t)size) ? bytes : NULL;
}

/* A table of `count` entries of `entry` bytes each, where at least `least` are what the format says. */
static char *load_table(const rf_elf *elf, uint64_t offset, uint64_t count, uint64_t entry, size_t least) {
  if (count == 0 || entry < least || count > elf->size / entry) {
    return NULL;
  }
  return load(elf, offset, count * entry);
}

static void read_segments(rf_elf *elf, const void *header) {
  uint64_t const count = FIELD(elf, header, Ehdr, e_phnum);
  uint64_t const entry = FIELD(elf, header, Ehdr, e_phentsize);
  const char *const table = load_table(elf, FIELD(elf, header, Ehdr, e_phoff), count, entry, SIZE_OF(elf, Phdr));
  if (table == NULL) {
    return;
  }
  elf->segments = (rf_elf_segment *)rf_bump_arena_array(elf->arena, (size_t)count, sizeof *elf->segments);
  elf->segment_count = (size_t)count;
  for (size_t i = 0; i < elf->segment_count; i++) {
    either_phdr entry_copy; /* entries may be of any size, and so lie anywhere */
    const void *const raw = &entry_copy;
    memcpy(&entry_copy, table + i * (size_t)entry, SIZE_OF(elf, Phdr));
    elf->segments[i] = (rf_elf_segment){
        .type = (uint32_t)FIELD(elf, raw, Phdr, p_type),
        .offset = FIELD(elf, raw, Phdr, p_offset),
        .address = FIELD(elf, raw, Phdr, p_vaddr),
        .file_size = FIELD(elf, raw, Phdr, p_filesz),
        .memory_size = FIELD(elf, raw, Phdr, p_memsz),
    };
  }
}

static void read_sections(rf_elf *elf, const void *header) {
  uint64_t const count = FIELD(elf, header, Ehdr, e_shnum);
  uint64_t const entry = FIELD(elf, header, Ehdr, e_shentsize);
  const char *const table = load_table(elf, FIELD(elf, header, Ehdr, e_shoff), count, entry, SIZE_OF(elf, Shdr));
  if (table == NULL) {
    return;
  }
  elf->sections = (rf_elf_section *)rf_bump_arena_array(elf->arena, (size_t)count, sizeof *elf->sections);
  elf->section_count = (size_t)count;
  elf->section_names = (size_t)FIELD(elf, header, Ehdr, e_shstrndx);
  for (size_t i = 0; i < elf->section_count; i++) {
    either_shdr entry_copy;
    const void *const raw = &entry_copy;
    memcpy(&entry_copy, table + i * (size_t)entry, SIZE_OF(elf, Shdr));
    elf->sections[i] = (rf_elf_section){
        .name = (uint32_t)FIELD(elf, raw, Shdr, sh_name),
        .type = (uint32_t)FIELD(elf, raw, Shdr, sh_type),
        .link = (uint32_t)FIELD(elf, raw, Shdr, sh_link),
        .flags = FIELD(elf, raw, Shdr, sh_flags),
        .offset = FIELD(elf, raw, Shdr, sh_offset),
        .size = FIELD(elf, raw, Shdr, sh_size),
    };
  }
}

static rf_elf_status read_header(rf_elf *elf) {
  either_ehdr file = {{0}};
  const unsigned char *const header = file.bytes;
  size_t const have = elf->size < sizeof file ? (size_t)elf->size : sizeof file;
  if (!read_at(elf, 0, file.bytes, have)) {
    return RF_ELF_UNREADABLE;
  }
  if (have < EI_NIDENT || memcmp(header, ELFMAG, SELFMAG) != 0) {
    return RF_ELF_NOT_ELF;
  }
  elf->is64 = header[EI_CLASS] == ELFCLASS64;
  if (have < SIZE_OF(elf, Ehdr)) {
    return RF_ELF_DAMAGED;
  }
  elf->machine = (uint16_t)FIELD(elf, &file, Ehdr, e_machine);
  if (header[EI_DATA] != NATIVE_ORDER) {
    elf->machine = (uint16_t)(elf->machine << 8 | elf->machine >> 8);
    return RF_ELF_BYTE_ORDER;
  }
  elf->type = (uint16_t)FIELD(elf, &file, Ehdr, e_type);
  elf->entry = FIELD(elf, &file, Ehdr, e_entry);
  read_segments(elf, &file);
  read_sections(elf, &file);
  return elf->segment_count == 0 && elf->section_count == 0 ? RF_ELF_DAMAGED : RF_ELF_OK;
}

rf_elf_status rf_elf_open(rf_elf *elf, const char *path, rf_bump_arena *arena) {
  *elf = (rf_elf){.arena = arena, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (elf->fd < 0) {
    return RF_ELF_UNREADABLE;
  }
  struct stat st;
  rf_elf_status status = RF_ELF_UNREADABLE;
  if (fstat(elf->fd, &st) == 0) {
    elf->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    status = read_header(elf);
  }
  if (status != RF_ELF_OK) {
    int const why = errno;
    rf_elf_close(elf);
    errno = why;
  }
  return status;
}

void rf_elf_close(rf_elf *elf) {
  if (elf->fd >= 0) {
    (void)close(elf->fd);
    elf->fd = -1;
  }
}

static const rf_elf_segment *find_segment(const rf_elf *elf, uint32_t type) {
  for (size_t i = 0; i < elf->segment_count; i++) {
    if (elf->segments[i].type == type) {
      return &elf->segments[i];
    }
  }
  return NULL;
}

size_t rf_elf_read(const rf_elf *elf, uint64_t address, void *out, size_t size) {
  for (size_t i = 0; i < elf->segment_count; i++) {
    const rf_elf_segment *const at = &elf->segments[i];
    uint64_t const skipped = address - at->address;
    if (at->type == PT_LOAD && address >= at->address && skipped < at->file_size) {
      uint64_t const left = at->file_size - skipped;
      size_t const part = left < size ? (size_t)left : size;
      return read_at(elf, at->offset + skipped, out, part) ? part : 0;
    }
  }
  return 0;
}

const char *rf_elf_interpreter(const rf_elf *elf) {
  const rf_elf_segment *const segment = find_segment(elf, PT_INTERP);
  return segment == NULL ? NULL : load(elf, segment->offset, segment->file_size);
}

/* The bytes of the file that are loaded at `address`, to the end of their segment. */
static char *load_address(const rf_elf *elf, uint64_t address, uint64_t *size) {
  for (size_t i = 0; i < elf->segment_count; i++) {
    const rf_elf_segment *const s = &elf->segments[i];
    if (s->type == PT_LOAD && address >= s->address && address - s->address < s->file_size) {
      uint64_t const into = address - s->address;
      *size = s->file_size - into;
      return load(elf, s->offset + into, *size);
    }
  }
  return NULL;
}

/* The last entry with the tag DT_STRTAB counts, as for the dynamic linker. */
static const char *dynamic_strings(const rf_elf *elf, const char *table, size_t count, uint64_t *size) {
  const char *last = NULL;
  for (size_t i = 0; i < count; i++) {
    const char *const entry = table + i * SIZE_OF(elf, Dyn);
    last = (int64_t)FIELD(elf, entry, Dyn, d_tag) == DT_STRTAB ? entry : last;
  }
  return last == NULL ? NULL : load_address(elf, FIELD(elf, last, Dyn, d_un.d_ptr), size);
}

const char *rf_elf_dynamic_string(const rf_elf *elf, int64_t tag, bool (*wanted)(const char *text)) {
  const rf_elf_segment *const segment = find_segment(elf, PT_DYNAMIC);
  const char *const table = segment == NULL ? NULL : load(elf, segment->offset, segment->file_size);
  if (table == NULL) {
    return NULL;
  }
  size_t const entry = SIZE_OF(elf, Dyn);
  size_t const count = (size_t)segment->file_size / entry;
  uint64_t strings_size = 0;
  const char *const strings = dynamic_strings(elf, table, count, &strings_size);
  for (size_t i = 0; strings != NULL && i < count; i++) {
    uint64_t const at = FIELD(elf, table + i * entry, Dyn, d_un.d_val);
    if ((int64_t)FIELD(elf, table + i * entry, Dyn, d_tag) == tag && at < strings_size && wanted(strings + at)) {
      return strings + at;
    }
  }
  return NULL;
}

static rf_elf_symbol read_symbol(const rf_elf *elf, const char *raw, const char *names, uint64_t names_size) {
  uint64_t const name = FIELD(elf, raw, Sym, st_name);
  /* Halves of st_info in both widths. */
  uint64_t const type = ELF64_ST_TYPE(FIELD(elf, raw, Sym, st_info));
  uint64_t const binding = ELF64_ST_BIND(FIELD(elf, raw, Sym, st_info));
  return (rf_elf_symbol){
      .name = name < names_size ? names + name : "",
      .address = FIELD(elf, raw, Sym, st_value),
      .size = FIELD(elf, raw, Sym, st_size),
      .function = type == STT_FUNC || type == STT_GNU_IFUNC,
      .defined = FIELD(elf, raw, Sym, st_shndx) != SHN_UNDEF,
      .weak = binding == STB_WEAK,
  };
}

size_t rf_elf_symbols(const rf_elf *elf, uint32_t section_type, rf_elf_symbol **out) {
  for (size_t i = 0; i < elf->section_count; i++) {
    const rf_elf_section *const section = &elf->sections[i];
    if (section->type != section_type || section->link >= elf->section_count) {
      continue;
    }
    const rf_elf_section *const strings = &elf->sections[section->link];
    const char *const raw = load(elf, section->offset, section->size);
    const char *const names = load(elf, strings->offset, strings->size);
    if (raw == NULL || names == NULL) {
      return 0;
    }
    size_t const entry = SIZE_OF(elf, Sym);
    size_t const count = (size_t)section->size / entry;
    *out = (rf_elf_symbol *)rf_bump_arena_array(elf->arena, count, sizeof **out);
    for (size_t s = 0; s < count; s++) {
      (*out)[s] = read_symbol(elf, raw + s * entry, names, strings->size);
    }
    return count;
  }
  return 0;
}

bool rf_elf_has_section(const rf_elf *elf, const char *name) {
  if (elf->section_names >= elf->section_count) {
    return false;
  }
  const rf_elf_section *const strings = &elf->sections[elf->section_names];
  const char *const names = load(elf, strings->offset, strings->size);
  for (size_t i = 0; i < elf->section_count && names != NULL; i++) {
    const rf_elf_section *const s = &elf->sections[i];
    if (s->name < strings->size && s->type != SHT_NOBITS && s->size != 0 && strcmp(names + s->name, name) == 0) {
      return true;
    }
  }
  return false;
}

static const char *hexadecimal(rf_bump_arena *arena, const unsigned char *bytes, size_t count) {
  char *const text = (char *)rf_bump_arena_alloc(arena, 2 * count + 1);
  for (size_t i = 0; i < count; i++) {
    (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  }
  return text;
}

/* Notes look the same in both widths: three words, then the name and the contents, each padded to four bytes. */
static const char *build_id_of_notes(const rf_elf *elf, const char *notes, uint64_t size) {
  uint64_t at = 0;
  Elf64_Nhdr note;
  while (size - at >= sizeof note) {
    memcpy(&note, notes + at, sizeof note);
    uint64_t const name = at + sizeof note;
    uint64_t const contents = name + (((uint64_t)note.n_namesz + 3) & ~(uint64_t)3);
    uint64_t const next = contents + (((uint64_t)note.n_descsz + 3) & ~(uint64_t)3);
    if (contents > size || note.n_descsz > size - contents) {
      return NULL;
    }
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof "GNU" && memcmp(notes + name, "GNU", 4) == 0) {
      return hexadecimal(elf->arena, (const unsigned char *)notes + contents, note.n_descsz);
    }
    at = next < size ? next : size;
  }
  return NULL;
}

/* Segments of a linker's do not overlap. Those of a made-up file are read until they sum up to its size. */
const char *rf_elf_build_id(const rf_elf *elf) {
  uint64_t left = elf->size;
  for (size_t i = 0; i < elf->segment_count; i++) {
    const rf_elf_segment *const segment = &elf->segments[i];
    if (segment->type != PT_NOTE || segment->file_size > left) {
      continue;
    }
    left -= segment->file_size;
    const char *const notes = load(elf, segment->offset, segment->file_size);
    const char *const id = notes == NULL ? NULL : build_id_of_notes(elf, notes, segment->file_size);
    if (id != NULL) {
      return id;
    }
  }
  return NULL;
}

uint64_t rf_elf_mode_bit(const rf_elf *elf) {
  return elf->machine == EM_ARM ? 1 : 0;
}

const char *rf_elf_machine_name(uint16_t machine) {
  static const struct {
    uint16_t machine;
    const char *name;
  } names[] = {
      {EM_386, "x86 (32 bit)"}, {EM_X86_64, "x86-64"},       {EM_ARM, "ARM (32 bit)"}, {EM_AARCH64, "ARM64"},
      {EM_RISCV, "RISC-V"},     {EM_PPC64, "PowerPC64"},     {EM_PPC, "PowerPC"},      {EM_S390, "S/390"},
      {EM_MIPS, "MIPS"},        {EM_LOONGARCH, "LoongArch"}, {EM_SPARCV9, "SPARC"},
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (names[i].machine == machine) {
      return names[i].name;
    }
  }
  return "an unknown machine";
}
