/* Numbers that look random and are the same for the same seed, on every machine. Not secret: from some of them the
 * others follow. Private to lib, checkers and tools.
 *
 * Algorithm: splitmix64 (Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014), with the
 * constants of S. Vigna.
 * Period: 2^64, each 64-bit number once. Overhead: 8 bytes, any value of which is a seed.
 * Threads: one state for each, or a lock.
 */
#ifndef RINGFENCE_CORE_RANDOM_H
#define RINGFENCE_CORE_RANDOM_H

#include <stdint.h>

static inline uint64_t rf_random_next(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return z ^ z >> 31;
}

#endif /* RINGFENCE_CORE_RANDOM_H */
