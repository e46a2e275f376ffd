/* An ELF image as it lies in memory: its program headers, and where it ends. Internal to checkers/; Linux. */
#ifndef RINGFENCE_ELF_IMAGE_H
#define RINGFENCE_ELF_IMAGE_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>

#include "host.h"
#include "lib/core/compiler.h"

typedef ElfW(Ehdr) rf_elf_header;
typedef ElfW(Phdr) rf_program_header;

/* Modules may lie where a sanitizer has no shadow: nothing that it instruments or intercepts reads them. */
#define READS_IMAGE RF_NO_SANITIZE RF_RARE static __attribute__((unused))

READS_IMAGE bool rf_is_elf(const rf_elf_header *elf) {
  const unsigned char *const magic = elf->e_ident;
  return magic[0] == ELFMAG0 && magic[1] == ELFMAG1 && magic[2] == ELFMAG2 && magic[3] == ELFMAG3 &&
         elf->e_phentsize == sizeof(rf_program_header);
}

/* The program headers of the module whose file begins at `base`; NULL where they cannot be read, or lie at no address
 * for them. */
READS_IMAGE const rf_program_header *rf_program_headers(uintptr_t base, unsigned *count) {
  const rf_elf_header *const elf = (const rf_elf_header *)base;
  if (!rf_host_readable(elf, sizeof *elf) || !rf_is_elf(elf)) {
    return NULL;
  }
  const rf_program_header *const headers = (const rf_program_header *)(base + elf->e_phoff);
  *count = elf->e_phnum;
  bool const is_aligned = (uintptr_t)headers % __alignof__(rf_program_header) == 0;
  return is_aligned && rf_host_readable(headers, *count * sizeof *headers) ? headers : NULL;
}

/* The module's address less the one that it was linked for, by the segment at offset 0 of the file. */
READS_IMAGE uintptr_t rf_elf_bias(uintptr_t base, const rf_program_header *headers, unsigned count) {
  uintptr_t bias = base;
  for (unsigned i = 0; i < count; i++) {
    if (headers[i].p_type == PT_LOAD && headers[i].p_offset == 0) {
      bias = base - headers[i].p_vaddr;
    }
  }
  return bias;
}

/* The first byte behind the module's .bss; `base` where its headers cannot be read. */
READS_IMAGE uintptr_t rf_elf_image_end(uintptr_t base) {
  unsigned count = 0;
  const rf_program_header *const headers = rf_program_headers(base, &count);
  uintptr_t end = base;
  if (headers == NULL) {
    return end;
  }
  uintptr_t const bias = rf_elf_bias(base, headers, count);
  for (unsigned i = 0; i < count; i++) {
    uintptr_t const behind = bias + headers[i].p_vaddr + headers[i].p_memsz;
    if (headers[i].p_type == PT_LOAD && behind > end) {
      end = behind;
    }
  }
  return end;
}

/* Whether a mapping at `start` of the first page of a file is a further segment of the module whose first one is at
 * `base`. Linkers that do not pad (lld, mold) put the segments of a small file into one page, which is then mapped for
 * each of them. */
READS_IMAGE bool rf_elf_goes_on(uintptr_t base, uintptr_t start) {
  return start > base && start < rf_elf_image_end(base);
}

#endif /* RINGFENCE_ELF_IMAGE_H */
