#include "tools/ringfence/symbols/image_site.h"

#include "tools/ringfence/base/elf.h"

#include <string.h>

#define TEXT_MOST 4096U /* of a path or a function's name */

/* A number of the target's width at `address`; false where the image has nothing there. */
static bool read_number(const rf_elf *elf, uint64_t address, size_t size, uint64_t *out) {
  *out = 0;
  return rf_elf_read(elf, address, out, size) == size; /* the low byte first, as rf_elf_open saw to it */
}

static const char *read_text(const rf_elf *elf, uint64_t address) {
  char text[TEXT_MOST];
  size_t const size = rf_elf_read(elf, address, text, sizeof text);
  const char *const end = memchr(text, '\0', size);
  return end != NULL ? rf_bump_arena_text(elf->arena, text, (size_t)(end - text)) : NULL;
}

/* rf_site: two pointers and an unsigned int. */
static const rf_site *read_site(const rf_elf *elf, uint64_t address) {
  size_t const word = elf->is64 ? 8 : 4;
  uint64_t file = 0;
  uint64_t function = 0;
  uint64_t line = 0;
  if (!read_number(elf, address, word, &file) || !read_number(elf, address + word, word, &function) ||
      !read_number(elf, address + 2 * word, 4, &line)) {
    return NULL;
  }
  rf_site *const site = (rf_site *)rf_bump_arena_alloc(elf->arena, sizeof *site);
  *site = (rf_site){read_text(elf, file), read_text(elf, function), (unsigned)line};
  return site->file != NULL && site->function != NULL ? site : NULL;
}

static void name(const rf_elf *elf, const rf_stack *stack, rf_trace *trace) {
  const rf_site *const site = stack->site != 0 ? read_site(elf, stack->site) : NULL;
  trace->site = site != NULL ? site : trace->site;
}

void rf_image_sites(rf_bump_arena *arena, rf_record *const *records, size_t count, const char *image) {
  rf_elf elf;
  if (image == NULL || rf_elf_open(&elf, image, arena) != RF_ELF_OK) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    name(&elf, &records[i]->found, &records[i]->finding.found);
    name(&elf, &records[i]->allocated, &records[i]->finding.allocated);
    name(&elf, &records[i]->released, &records[i]->finding.released);
  }
  rf_elf_close(&elf);
}
