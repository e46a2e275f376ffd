/* The malloc that a program would have without the drop-in: the C library's, or one that was preloaded behind ours. */
#ifndef RINGFENCE_DROPIN_NEXT_MALLOC_H
#define RINGFENCE_DROPIN_NEXT_MALLOC_H

#include <ringfence/allocator.h>
#include <stdbool.h>
#include <stddef.h>

/* One malloc: all its functions, or none. */
typedef struct rf_malloc_functions {
  void *(*malloc)(size_t size);
  void *(*calloc)(size_t count, size_t size);
  void *(*realloc)(void *ptr, size_t size);
  void (*free)(void *ptr);
  void *(*memalign)(size_t align, size_t size);
  void *(*aligned_alloc)(size_t align, size_t size);
  int (*posix_memalign)(void **out, size_t align, size_t size);
  size_t (*usable_size)(void *ptr);
  bool has_others; /* they take blocks that other functions of the same library make: jemalloc's mallocx, for one */
} rf_malloc_functions;

/* The power of two at or above `align` that is an alignment of malloc's at least; 0 where there is none. */
static inline size_t rf_next_power_above(size_t align) {
  size_t power = RF_ALIGN_DEFAULT;
  while (power != 0 && power < align) {
    power <<= 1;
  }
  return power;
}

/* Fills *next with functions whose blocks its free takes. False, as in a static program, where there are none. May
 * allocate by way of malloc. Once, before there are other threads. */
bool rf_next_malloc_find(rf_malloc_functions *next);

/* The same behind __libc_malloc and its like, which are ours, too: a malloc behind ours may be built on them, and they
 * must then lead to where they would without us. Functions that are missing are as in *next. */
void rf_next_malloc_find_libc(const rf_malloc_functions *next, rf_malloc_functions *libc);

#endif /* RINGFENCE_DROPIN_NEXT_MALLOC_H */
