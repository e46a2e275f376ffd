/* The function symbols of one file, to name an address where no debugging information does. */
#ifndef RINGFENCE_TOOL_SYMBOLS_H
#define RINGFENCE_TOOL_SYMBOLS_H

#include "tools/ringfence/base/elf.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_symbols {
  rf_elf_symbol *sorted; /* by address */
  size_t count;
} rf_symbols;

/* Reads them from an open file: its full table, else the dynamic one. */
rf_symbols rf_symbols_read(const rf_elf *elf);

/* The name of the function that `offset` lies in, as linkers write it; NULL where it lies in none. */
const char *rf_symbols_find(const rf_symbols *symbols, uint64_t offset);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_SYMBOLS_H */
