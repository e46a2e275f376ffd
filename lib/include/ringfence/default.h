/* The default heap of a build: std where the C library has a malloc, else tlsf over the given arena. The program is the
 * same for both.
 *
 *     static unsigned char arena[RF_HAS_STD_MALLOC ? 1 : 64 * 1024];
 *     rf_default_heap heap;
 *     rf_default_heap_init(&heap, arena, sizeof arena);
 *     char *p = rf_alloc(&heap.base, 13);
 *
 * RF_HAS_STD_MALLOC is what AWTK calls HAS_STD_MALLOC. With Bazel it is set by --//lib/heaps:std_malloc (true unless
 * told otherwise); without, define it as 0 or 1, or let __STDC_HOSTED__ decide.
 */
#ifndef RINGFENCE_DEFAULT_H
#define RINGFENCE_DEFAULT_H

#ifndef RF_HAS_STD_MALLOC
#define RF_HAS_STD_MALLOC __STDC_HOSTED__
#endif

#if RF_HAS_STD_MALLOC

#include <ringfence/std.h>

typedef rf_std rf_default_heap;

/* As rf_std_init; the arena is not used, and may be NULL. */
static inline rf_status rf_default_heap_init(rf_default_heap *heap, void *arena, size_t size) {
  (void)arena;
  (void)size;
  return rf_std_init(heap);
}

#else

#include <ringfence/tlsf.h>

typedef rf_tlsf rf_default_heap;

/* As rf_tlsf_init. */
static inline rf_status rf_default_heap_init(rf_default_heap *heap, void *arena, size_t size) {
  return rf_tlsf_init(heap, arena, size);
}

#endif

#endif /* RINGFENCE_DEFAULT_H */
