/* slots: an allocator such as yours. SLOTS blocks of SLOT bytes, and a number for each that says how much was asked
 * for. */
#ifndef SLOTS_H
#define SLOTS_H

#include <ringfence/allocator.h>
#include <stdint.h>

#define SLOTS 512
#define SLOT ((size_t)256)

typedef struct slots {
  rf_allocator base; /* first */
  unsigned char *memory;
  size_t count;          /* how many fit the arena */
  uint16_t state[SLOTS]; /* requested bytes, or FREE */
  rf_counters counters;
} slots;

/* Makes an allocator of `size` bytes at `arena`; false where not one slot fits. */
bool slots_init(slots *self, void *arena, size_t size);

#endif
