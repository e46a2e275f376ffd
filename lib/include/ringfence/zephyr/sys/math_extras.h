/* Zephyr: sums and products of sizes that are looked at. Each is true where the result does not fit; *result is then
 * what is left of it. */
#ifndef RINGFENCE_ZEPHYR_SYS_MATH_EXTRAS_H
#define RINGFENCE_ZEPHYR_SYS_MATH_EXTRAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool u32_add_overflow(uint32_t a, uint32_t b, uint32_t *result) {
  return __builtin_add_overflow(a, b, result);
}

static inline bool u32_mul_overflow(uint32_t a, uint32_t b, uint32_t *result) {
  return __builtin_mul_overflow(a, b, result);
}

static inline bool u64_add_overflow(uint64_t a, uint64_t b, uint64_t *result) {
  return __builtin_add_overflow(a, b, result);
}

static inline bool u64_mul_overflow(uint64_t a, uint64_t b, uint64_t *result) {
  return __builtin_mul_overflow(a, b, result);
}

static inline bool size_add_overflow(size_t a, size_t b, size_t *result) {
  return __builtin_add_overflow(a, b, result);
}

static inline bool size_mul_overflow(size_t a, size_t b, size_t *result) {
  return __builtin_mul_overflow(a, b, result);
}

#endif /* RINGFENCE_ZEPHYR_SYS_MATH_EXTRAS_H */
