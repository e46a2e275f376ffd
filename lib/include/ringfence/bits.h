/* Bit scans on a machine word. Compilers turn them into one or two instructions where the core has them (a short
 * library call on Cortex-M0+). */
#ifndef RINGFENCE_BITS_H
#define RINGFENCE_BITS_H

#include <limits.h>
#include <ringfence/layout.h>
#include <stddef.h>

#define RF_SIZE_BITS RF_CAST(unsigned, sizeof(size_t) * CHAR_BIT)

/* Index of the lowest set bit of `x`, which must not be 0. */
static inline unsigned rf_ctz(size_t x) {
#if defined(__LP64__)
  return RF_CAST(unsigned, __builtin_ctzl(x));
#else
  return sizeof x == sizeof(unsigned) ? RF_CAST(unsigned, __builtin_ctz(RF_CAST(unsigned, x)))
                                      : RF_CAST(unsigned, __builtin_ctzll(x));
#endif
}

/* Index of the highest set bit of `x` (floor of log2), which must not be 0. */
static inline unsigned rf_log2(size_t x) {
#if defined(__LP64__)
  return 63U ^ RF_CAST(unsigned, __builtin_clzl(x));
#else
  return sizeof x == sizeof(unsigned) ? 31U ^ RF_CAST(unsigned, __builtin_clz(RF_CAST(unsigned, x)))
                                      : 63U ^ RF_CAST(unsigned, __builtin_clzll(x));
#endif
}

#endif /* RINGFENCE_BITS_H */
