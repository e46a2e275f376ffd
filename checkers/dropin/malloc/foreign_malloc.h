/* Blocks that another malloc of the process made: the C library's own, which libraries loaded with RTLD_DEEPBIND use.
 * Ours never come from the program break, its small ones always do, so the two are told apart by address. */
#ifndef RINGFENCE_DROPIN_FOREIGN_MALLOC_H
#define RINGFENCE_DROPIN_FOREIGN_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Once, at the start: finds the functions behind ours. */
void rf_foreign_malloc_init(void);

/* True where `ptr`, which no arena owns, is for the other malloc. */
bool rf_foreign_malloc_owns(const void *ptr);

/* That malloc's functions, for its own blocks. */
void rf_foreign_malloc_free(void *ptr);
void *rf_foreign_malloc_realloc(void *ptr, size_t size);
size_t rf_foreign_malloc_usable_size(void *ptr);

#endif /* RINGFENCE_DROPIN_FOREIGN_MALLOC_H */
