/* The function symbols of one file, to name an address where no debugging information does. */
#ifndef RINGFENCE_TOOLS_SYMBOLS_SYMBOL_TABLE_H
#define RINGFENCE_TOOLS_SYMBOLS_SYMBOL_TABLE_H

#include "tools/ringfence/base/elf.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_symbol_table {
  rf_elf_symbol *sorted; /* by address */
  size_t count;
} rf_symbol_table;

/* Reads them from an open file: its full table, else the dynamic one. */
rf_symbol_table rf_symbol_table_read(const rf_elf *elf);

/* The name of the function that `offset` lies in, as linkers write it; NULL where it lies in none. */
const char *rf_symbol_table_find(const rf_symbol_table *symbols, uint64_t offset);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_SYMBOLS_SYMBOL_TABLE_H */
