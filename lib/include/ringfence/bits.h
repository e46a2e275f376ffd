/* Bit scans on a machine word. Compilers turn them into one or two instructions where the core has them (a short
 * library call on Cortex-M0+). */
#ifndef RINGFENCE_BITS_H
#define RINGFENCE_BITS_H

#include <limits.h>
#include <stddef.h>

#define RF_SIZE_BITS ((unsigned)(sizeof(size_t) * CHAR_BIT))

/* Index of the lowest set bit of `x`, which must not be 0. */
static inline unsigned rf_ctz(size_t x) {
#if defined(__LP64__)
  return (unsigned)__builtin_ctzl(x);
#else
  return sizeof x == sizeof(unsigned) ? (unsigned)__builtin_ctz((unsigned)x)
                                      : (unsigned)__builtin_ctzll((unsigned long long)x);
#endif
}

/* Index of the highest set bit of `x` (floor of log2), which must not be 0. */
static inline unsigned rf_log2(size_t x) {
#if defined(__LP64__)
  return 63U ^ (unsigned)__builtin_clzl(x);
#else
  return sizeof x == sizeof(unsigned) ? 31U ^ (unsigned)__builtin_clz((unsigned)x)
                                      : 63U ^ (unsigned)__builtin_clzll((unsigned long long)x);
#endif
}

#endif /* RINGFENCE_BITS_H */
