/* The choice of allocations to sample: a countdown of each thread, so that picking one costs a decrement and no
 * lock. Internal to checkers/.
 *
 * The distances between samples are drawn from the geometric distribution, of mean `rate`: at every allocation the
 * chance is the same, whatever came before, so no pattern of the program's can hide between samples, and a countdown
 * that is lost and drawn anew changes nothing.
 */
#ifndef RINGFENCE_SAMPLE_PICK_H
#define RINGFENCE_SAMPLE_PICK_H

#include <ringfence/bits.h>
#include <ringfence/sample.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/core/random.h"

/* A freed block's page is kept for the next one in its slot, as long as that is little memory: up to so many slots. */
#define RF_SAMPLE_KEEPS 1024U

/* All zero is one that was never drawn; it draws at its first use. */
typedef struct rf_sample_pick {
  uint32_t left; /* the next sample is this allocation (1), the one after it (2), and so on */
  uint32_t drawn;
  uint64_t random;
} rf_sample_pick;

/* Starts a sequence of its own for each seed. */
static inline void rf_sample_seed(rf_sample_pick *pick, uint64_t seed) {
  pick->random = seed * 0x9E3779B97F4A7C15U + 0xD1B54A32D192ED03U;
  pick->drawn = 0;
}

/* -log2(x / 2^32) in units of 1 / 65536, for x > 0: the logarithm of a mantissa m in [0, 1) is m + 0.34 m (1 - m) to
 * within half a percent. */
static inline uint32_t rf_sample_log(uint32_t x) {
  unsigned const top = rf_log2(x);
  uint64_t const m = ((uint64_t)x << (31 - top) & 0x7FFFFFFFU) >> 15;
  uint64_t const log2 = ((uint64_t)top << 16) + m + (m * (65536 - m) >> 16) * 22282 / 65536;
  return (uint32_t)(((uint64_t)32 << 16) - log2);
}

/* A distance of mean `rate`, from 1 to RF_SAMPLE_RATE_MOST. Rate 1 gives always 1. */
static inline uint32_t rf_sample_draw(rf_sample_pick *pick, uint32_t rate) {
  uint32_t const uniform = (uint32_t)(rf_random_next(&pick->random) >> 32) | 1U;
  if (rate <= 1) {
    return 1;
  }
  uint64_t const log = (uint64_t)rf_sample_log(uniform) * 45426 >> 16; /* times ln 2 */
  /* The exponential distribution, rounded up: its mean is then rate, but for terms of 1 / rate^3. */
  uint64_t const mean = ((uint64_t)rate << 16) - 32768 - 65536 / (12 * (uint64_t)rate);
  return (uint32_t)(log * mean >> 32) + 1;
}

/* The countdown has come to its end, or was never drawn. */
static inline bool rf_sample_due_slow(rf_sample_pick *pick, uint32_t rate) {
  if (pick->drawn == 0) {
    pick->drawn = 1;
    pick->left = rf_sample_draw(pick, rate);
    if (pick->left > 1) {
      pick->left--;
      return false;
    }
  }
  pick->left = rf_sample_draw(pick, rate);
  return true;
}

/* True where this allocation is to be sampled. */
static inline bool rf_sample_due(rf_sample_pick *pick, uint32_t rate) {
  if (__builtin_expect(pick->left > 1, 1)) {
    pick->left--;
    return false;
  }
  return rf_sample_due_slow(pick, rate);
}

#endif /* RINGFENCE_SAMPLE_PICK_H */
