/* Layout arithmetic: sums, products and alignments that are checked, so that no size ever wraps. */
#ifndef RINGFENCE_LAYOUT_H
#define RINGFENCE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The alignment of any object of a standard type, which malloc gives. */
#ifdef __cplusplus
#define RF_ALIGN_DEFAULT (alignof(max_align_t))
#else
#define RF_ALIGN_DEFAULT (_Alignof(max_align_t))
#endif

/* Casts of numbers, and of pointers to numbers: in C++ not C's, of which compilers warn there (-Wold-style-cast). */
#ifdef __cplusplus
#define RF_CAST(type, number) (static_cast<type>(number))
#define RF_ADDRESS(pointer) (reinterpret_cast<uintptr_t>(pointer))
#else
#define RF_CAST(type, number) ((type)(number))
#define RF_ADDRESS(pointer) ((uintptr_t)(pointer))
#endif

/* The largest size any allocator serves: what pointer differences can express. */
#define RF_SIZE_LIMIT RF_CAST(size_t, PTRDIFF_MAX)

/* True for 1, 2, 4, …; false for 0. */
static inline bool rf_is_pow2(size_t n) {
  return n != 0 && (n & (n - 1)) == 0;
}

/* *out = a + b; false, and *out untouched, where the sum wraps. */
static inline bool rf_add(size_t a, size_t b, size_t *out) {
  if (a > SIZE_MAX - b) {
    return false;
  }
  *out = a + b;
  return true;
}

/* *out = a * b; false, and *out untouched, where the product wraps. */
static inline bool rf_mul(size_t a, size_t b, size_t *out) {
  if (b != 0 && a > SIZE_MAX / b) {
    return false;
  }
  *out = a * b;
  return true;
}

/* *out = n rounded up to a multiple of `align` (a power of two); false where that wraps. */
static inline bool rf_round_up(size_t n, size_t align, size_t *out) {
  if (n > SIZE_MAX - (align - 1)) {
    return false;
  }
  *out = (n + (align - 1)) & ~(align - 1);
  return true;
}

/* n rounded down to a multiple of `align` (a power of two). */
static inline size_t rf_round_down(size_t n, size_t align) {
  return n & ~(align - 1);
}

/* True where `p` is a multiple of `align` (a power of two). */
static inline bool rf_is_aligned(const void *p, size_t align) {
  return (RF_ADDRESS(p) & (align - 1)) == 0;
}

/* How many bytes to skip from `p` to reach a multiple of `align` (a power of two). */
static inline size_t rf_align_gap(const void *p, size_t align) {
  return -RF_ADDRESS(p) & (align - 1);
}

#endif /* RINGFENCE_LAYOUT_H */
