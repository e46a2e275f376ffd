/* The bins of a cache (cache.h): taking slots out, putting freed ones in. Internal to the heap; inside the cache. */
#ifndef RINGFENCE_DROPIN_BINS_H
#define RINGFENCE_DROPIN_BINS_H

#include "cache.h"

#include "lib/core/compiler.h"

/* The number of a heap whose lock this thread does not hold: else it is a signal handler that interrupted itself. */
unsigned rf_cache_heap(const rf_cache *cache);

/* Slots to give out of a class that has none; false where there is no memory. */
bool rf_bins_refill(rf_cache *cache, unsigned class_number);

/* Room for one more in a ring that is full. False where there is none, which is so for handlers of signals alone: then
 * the slot is lost to the cache, which is lent to nobody until its owner is back. */
bool rf_bins_make_room(rf_cache *cache, unsigned number);

/* The next age begins: what has waited long enough may be given out. */
void rf_bins_age(rf_cache *cache);

/* Puts a slot back that may be given out again at once: no block is checked, or none waits in quarantine. */
void rf_bins_put_back(rf_cache *cache, unsigned class_number, rf_slot_place place);

/* A large block for which the lock could not be had. */
void rf_bins_put_large(rf_cache *cache, rf_slot_place place);

RF_INLINE rf_slot_place *rf_bin_at(const rf_bin *bin, uint32_t number) {
  return &bin->ring[number & bin->mask];
}

/* The first of those to give out is given out; no register need have held its number until now. */
RF_INLINE void rf_bin_take(rf_bin *bin) {
  RF_FORGET(bin);
  bin->first++;
}

RF_INLINE bool rf_bin_is_full(const rf_bin *bin) {
  return bin->end - bin->first == bin->mask + 1;
}

/* The block was freed, and waits; there is room. True where the next age is due. */
RF_INLINE bool rf_bin_wait(rf_cache *cache, rf_bin *bin, rf_slot_place place) {
  *rf_bin_at(bin, bin->end) = place;
  bin->end++;
  cache->age_left -= (ptrdiff_t)bin->weight;
  return cache->age_left < 0;
}

/* The same wherever there is room or not, and the age begins. Without a quarantine the slot is given out next. */
RF_INLINE void rf_bins_wait(rf_cache *cache, unsigned number, rf_slot_place place) {
  rf_bin *const bin = &cache->bins[number];
  if (RF_UNLIKELY(rf_cache_wait_now() == 0)) {
    rf_bins_put_back(cache, number, place);
    return;
  }
  if (RF_UNLIKELY(rf_bin_is_full(bin)) && !rf_bins_make_room(cache, number)) {
    return;
  }
  if (RF_UNLIKELY(rf_bin_wait(cache, bin, place))) {
    rf_bins_age(cache);
  }
}

#endif /* RINGFENCE_DROPIN_BINS_H */
