#include "tools/ringfence/symbols/symbol_table.h"

#include <elf.h>
#include <stdlib.h>

static int by_address(const void *a, const void *b) {
  uint64_t const left = ((const rf_elf_symbol *)a)->address;
  uint64_t const right = ((const rf_elf_symbol *)b)->address;
  return (left > right) - (left < right);
}

static void read_table(const rf_elf *elf, uint32_t table, rf_symbol_table *out) {
  size_t const total = rf_elf_symbols(elf, table, &out->sorted);
  for (size_t i = 0; i < total; i++) {
    /* A function without a size is a mark in another's code. */
    if (out->sorted[i].function && out->sorted[i].defined && out->sorted[i].size != 0) {
      out->sorted[out->count] = out->sorted[i];
      out->sorted[out->count++].address &= ~rf_elf_mode_bit(elf);
    }
  }
}

rf_symbol_table rf_symbol_table_read(const rf_elf *elf) {
  rf_symbol_table symbols = {NULL, 0};
  read_table(elf, SHT_SYMTAB, &symbols);
  if (symbols.count == 0) {
    read_table(elf, SHT_DYNSYM, &symbols);
  }
  if (symbols.count != 0) {
    qsort(symbols.sorted, symbols.count, sizeof *symbols.sorted, by_address);
  }
  return symbols;
}

const char *rf_symbol_table_find(const rf_symbol_table *symbols, uint64_t offset) {
  size_t low = 0;
  size_t high = symbols->count;
  /* The first symbol beyond `offset`. */
  while (low < high) {
    size_t const middle = low + (high - low) / 2;
    if (symbols->sorted[middle].address <= offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  /* Aliases share an address, and may differ in size. */
  for (size_t i = low; i > 0; i--) {
    const rf_elf_symbol *const s = &symbols->sorted[i - 1];
    if (offset - s->address < s->size) {
      return s->name;
    }
    if (s->address != symbols->sorted[low - 1].address) {
      break;
    }
  }
  return NULL;
}
