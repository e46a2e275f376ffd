/* Pointers whose bytes are a fill (RF_PATTERN_*): the program has read them from memory that has it. Internal to
 * checkers/. */
#ifndef RINGFENCE_FILLED_POINTER_H
#define RINGFENCE_FILLED_POINTER_H

#include <stdbool.h>

/* True where `ptr`, which is to no block, was read from freed memory. */
bool rf_filled_pointer_is_stale(const void *ptr);

/* A static phrase on the memory that `ptr`, which is to no block, was read from: freed, never written, or beside a
 * block. NULL where it has no such bytes, or where they are the address of memory. */
const char *rf_filled_pointer_source(const void *ptr);

#endif /* RINGFENCE_FILLED_POINTER_H */
