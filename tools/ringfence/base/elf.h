/* A reader for ELF files of this machine's byte order, 32 and 64 bit. It serves to tell whether a program can be
 * checked, and to name functions where no symbolizer is installed. It reads with pread, so that a file that shrinks
 * meanwhile is an error and not a signal, and checks every offset and size against the file.
 */
#ifndef RINGFENCE_TOOLS_BASE_ELF_H
#define RINGFENCE_TOOLS_BASE_ELF_H

#include "tools/ringfence/base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_elf_segment {
  uint32_t type;
  uint64_t offset;
  uint64_t address;
  uint64_t file_size;
  uint64_t memory_size;
} rf_elf_segment;

typedef struct rf_elf_section {
  uint32_t name; /* its place in the section of names */
  uint32_t type;
  uint32_t link;
  uint64_t flags;
  uint64_t offset;
  uint64_t size;
} rf_elf_section;

typedef struct rf_elf {
  rf_bump_arena *arena; /* holds everything that is read */
  int fd;
  uint64_t size;
  bool is64;
  uint16_t type;
  uint16_t machine;
  uint64_t entry; /* 0: it has no first instruction, as most shared libraries */
  rf_elf_segment *segments;
  size_t segment_count;
  rf_elf_section *sections; /* none where the file has no section table */
  size_t section_count;
  size_t section_names; /* the section that holds them; section_count or more where there is none */
} rf_elf;

typedef struct rf_elf_symbol {
  const char *name;
  uint64_t address;
  uint64_t size;
  bool function;
  bool defined;
  bool weak;
} rf_elf_symbol;

typedef enum rf_elf_status {
  RF_ELF_OK,
  RF_ELF_UNREADABLE, /* cannot be opened or read; errno says why */
  RF_ELF_NOT_ELF,    /* a script, data or the like */
  RF_ELF_BYTE_ORDER, /* of a machine with the other byte order; is64 and machine are filled in */
  RF_ELF_DAMAGED     /* ELF that contradicts itself */
} rf_elf_status;

/* Opens `path` and reads its header and tables. On RF_ELF_OK the caller closes it with rf_elf_close. */
rf_elf_status rf_elf_open(rf_elf *elf, const char *path, rf_bump_arena *arena);
void rf_elf_close(rf_elf *elf);

/* Reads up to `size` bytes of what the program has at `address` when it starts. Returns how many of them the file
 * has. */
size_t rf_elf_read(const rf_elf *elf, uint64_t address, void *out, size_t size);

/* The program's loader (PT_INTERP), or NULL where it has none. */
const char *rf_elf_interpreter(const rf_elf *elf);

/* Visits the values of one kind of dynamic entry that are strings: DT_NEEDED, DT_SONAME. Returns the first for which
 * `wanted` says true, or NULL. */
const char *rf_elf_dynamic_string(const rf_elf *elf, int64_t tag, bool (*wanted)(const char *text));

/* The symbols of one table: SHT_SYMTAB or SHT_DYNSYM. Empty where there is none. */
size_t rf_elf_symbols(const rf_elf *elf, uint32_t section_type, rf_elf_symbol **out);

/* True where a section has this name, and bytes in the file. */
bool rf_elf_has_section(const rf_elf *elf, const char *name);

/* The build id as lower case hexadecimal digits, or NULL. */
const char *rf_elf_build_id(const rf_elf *elf);

/* The bit of code addresses that tells the instruction set: 1 on 32-bit ARM, where it stands for Thumb; else 0. */
uint64_t rf_elf_mode_bit(const rf_elf *elf);

/* The common name of e_machine ("x86-64"), or "an unknown machine". */
const char *rf_elf_machine_name(uint16_t machine);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_BASE_ELF_H */
