/* Instructions that were told of and may come again at any rate, as the thread went on there. Internal to checkers/. */
#ifndef RINGFENCE_TOLD_PLACES_H
#define RINGFENCE_TOLD_PLACES_H

#include "lib/core/compiler.h"

#include <stdbool.h>
#include <stdint.h>

#define RF_TOLD_PLACES 256U

typedef struct rf_told_places {
  uint64_t places[RF_TOLD_PLACES] RF_ATOMIC_64; /* accessed atomically */
} rf_told_places;

/* True for an instruction and an allocation, a number, that were asked about before; a few are forgotten. Any thread,
 * signal handlers. */
static inline bool rf_told_before(rf_told_places *t, uintptr_t pc, uintptr_t allocation) {
  uint64_t const place = (uint64_t)pc ^ (uint64_t)allocation << 40;
  return __atomic_exchange_n(&t->places[(pc / 4 + allocation) % RF_TOLD_PLACES], place, __ATOMIC_RELAXED) == place;
}

#endif /* RINGFENCE_TOLD_PLACES_H */
