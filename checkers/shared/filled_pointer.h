/* Pointers whose bytes are a fill (RF_PATTERN_*): the program has read them from memory that has it. Internal to
 * checkers/. */
#ifndef RINGFENCE_FILLED_POINTER_H
#define RINGFENCE_FILLED_POINTER_H

#include <stdbool.h>
#include <stdint.h>

#define RF_READ_FROM_FREED "the pointer was read from freed memory, whose bytes are 0xcc"
#define RF_READ_FROM_NEW "the pointer was read from memory that was never written, whose bytes are 0xcd"
#define RF_READ_FROM_REDZONE "the pointer was read from the guard bytes beside a block, which are 0xfd"

/* True where `address` lies within `reach` bytes of that whose bytes are all `fill`, as a member or an element of
 * what such a pointer is to. */
static inline bool rf_filled_pointer_is_near(unsigned char fill, uintptr_t address, uintptr_t reach) {
  return address - UINTPTR_MAX / 0xFF * fill + reach < 2 * reach;
}

/* True where `ptr`, which is to no block, was read from freed memory. */
bool rf_filled_pointer_is_stale(const void *ptr);

/* A static phrase on the memory that `ptr`, which is to no block, was read from: freed, never written, or beside a
 * block. NULL where it has no such bytes, or where they are the address of memory. */
const char *rf_filled_pointer_source(const void *ptr);

#endif /* RINGFENCE_FILLED_POINTER_H */
