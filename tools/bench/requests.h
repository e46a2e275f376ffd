/* Random requests of loads, the same in every run. */
#ifndef RINGFENCE_TOOLS_BENCH_REQUESTS_H
#define RINGFENCE_TOOLS_BENCH_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525U + 1013904223U;
  return *seed >> 8;
}

/* A size, mostly small: one twice as large comes half as often. */
static inline size_t power_law(uint32_t *seed) {
  unsigned const zeros = (unsigned)__builtin_ctz(next_random(seed) | 0x200U);
  return ((size_t)16 << zeros) + next_random(seed) % 16;
}

#endif
