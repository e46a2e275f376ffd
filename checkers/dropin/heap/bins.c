#include "bins.h"

#include "checkers/dropin/os/pages.h"
#include "large.h"

#include <string.h>

#include "lib/core/random.h"

#define AGE_LEAST ((size_t)512) /* bytes */
#define BATCH_MOST 32U

static uint32_t places_of(const rf_bin *bin) {
  return bin->mask + 1;
}

static uint32_t held_by(const rf_bin *bin) {
  return bin->end - bin->first;
}

/* ---- Room ---- */

static size_t ring_bytes(unsigned log2) {
  return sizeof(rf_slot_place) << log2;
}

static rf_slot_place *take_ring(rf_cache *cache, unsigned log2) {
  rf_slot_place *const ring = cache->spare_rings[log2];
  if (ring == NULL) {
    return rf_record_alloc(ring_bytes(log2));
  }
  cache->spare_rings[log2] = ring->begin;
  return ring;
}

/* For another bin of the cache that grows. */
static void keep_ring(rf_cache *cache, rf_slot_place *ring, unsigned log2) {
  rf_record_empty(ring, ring_bytes(log2));
  ring->begin = cache->spare_rings[log2];
  cache->spare_rings[log2] = ring;
}

static bool grow(rf_cache *cache, rf_bin *bin) {
  uint32_t const had = places_of(bin);
  unsigned const log2 = had != 0 ? (unsigned)__builtin_ctz(had) + 1 : RF_RING_LEAST_LOG2;
  rf_slot_place *const ring = log2 <= RF_RING_MOST_LOG2 ? take_ring(cache, log2) : NULL;
  if (ring == NULL) {
    return false;
  }
  uint32_t const mask = (UINT32_C(1) << log2) - 1;
  rf_pages_populate((uintptr_t)ring, (uintptr_t)(ring + had));
  for (uint32_t i = bin->first; i != bin->end; i++) {
    ring[i & mask] = *rf_bin_at(bin, i);
  }
  if (had != 0) {
    keep_ring(cache, bin->ring, log2 - 1);
  }
  bin->ring = ring;
  bin->mask = mask;
  return true;
}

/* `count` of those to give out, or as many as lie in one piece, go to the heaps. False where a lock could not be
 * had. */
static bool give_piece(rf_cache *cache, rf_bin *bin, uint32_t count) {
  rf_slot_place *const places = rf_bin_at(bin, bin->first);
  uint32_t const to_wrap = places_of(bin) - (bin->first & bin->mask);
  unsigned const piece = count < to_wrap ? count : to_wrap;
  unsigned left = piece;
  bool const done = rf_slots_give(places, &left);
  memmove(places + (piece - left), places, left * sizeof *places);
  bin->first += piece - left;
  __atomic_store_n(&cache->stuck, !done, __ATOMIC_RELAXED);
  return done;
}

static bool give(rf_cache *cache, rf_bin *bin, uint32_t count) {
  uint32_t const end = bin->first + count;
  while (bin->first != end && give_piece(cache, bin, end - bin->first)) {
  }
  return bin->first == end;
}

bool rf_bins_make_room(rf_cache *cache, unsigned number) {
  rf_bin *const bin = &cache->bins[number];
  if (grow(cache, bin)) {
    return true;
  }
  if (held_by(bin) == 0 || number == RF_BIN_LARGE) {
    __atomic_store_n(&cache->stuck, true, __ATOMIC_RELAXED);
    return false;
  }
  uint32_t const some = held_by(bin) / 4;
  if ((int32_t)(bin->ripe - bin->first) < (int32_t)some) {
    bin->ripe = bin->first + some; /* memory is short: they do not wait any longer */
  }
  return give(cache, bin, some) || held_by(bin) < places_of(bin);
}

/* ---- Order ---- */

/* Below `most`. */
static uint32_t draw(rf_cache *cache, uint32_t most) {
  if (cache->random == 0) {
    cache->random = (uint64_t)cache->place << 32 | rf_heap_options_now.order_seed;
  }
  return (uint32_t)((rf_random_next(&cache->random) >> 32) * most >> 32);
}

static void swap(const rf_bin *bin, uint32_t one, uint32_t other) {
  rf_slot_place const place = *rf_bin_at(bin, one);
  *rf_bin_at(bin, one) = *rf_bin_at(bin, other);
  *rf_bin_at(bin, other) = place;
}

/* Shuffles the slots that may be given out, if a seed asks for it. */
static void shuffle(rf_cache *cache, const rf_bin *bin) {
  uint32_t const count = rf_heap_options_now.order_seed != 0 ? bin->ripe - bin->first : 0;
  for (uint32_t i = count; i > 1; i--) {
    swap(bin, bin->first + i - 1, bin->first + draw(cache, i));
  }
}

/* ---- Taking from the heaps ---- */

unsigned rf_cache_heap(const rf_cache *cache) {
  unsigned number = cache->heap;
  for (unsigned i = 0; i < rf_heap_count && (rf_heaps_held >> number & 1U) != 0; i++) {
    number = (number + 1) % rf_heap_count;
  }
  return number;
}

/* A handler of a signal that cannot have one heap's lock takes them from another. */
static unsigned take(const rf_cache *cache, unsigned class_number, rf_slot_place *places, unsigned count) {
  unsigned const number = rf_cache_heap(cache);
  unsigned got = rf_slots_take(number, class_number, places, count);
  for (unsigned i = 1; got == 0 && rf_heaps_interrupted() && i < rf_heap_count; i++) {
    got = rf_slots_take((number + i) % rf_heap_count, class_number, places, count);
  }
  return got;
}

bool rf_bins_refill(rf_cache *cache, unsigned class_number) {
  rf_bin *const bin = &cache->bins[class_number];
  rf_slot_place fresh[BATCH_MOST];
  if (rf_cache_wait_now() == 0 && bin->ripe != bin->end) {
    bin->ripe = bin->end;
    shuffle(cache, bin);
    return true;
  }
  unsigned const batch = rf_size_classes[class_number].batch;
  while (places_of(bin) - held_by(bin) < batch && grow(cache, bin)) {
  }
  uint32_t const room = places_of(bin) - held_by(bin);
  unsigned got = take(cache, class_number, fresh, batch < room ? batch : room);
  bool const some = got != 0;
  while (got != 0) {
    *rf_bin_at(bin, --bin->first) = fresh[--got];
  }
  shuffle(cache, bin);
  return some;
}

/* ---- Ages ---- */

static void keep_large(rf_cache *cache) {
  rf_bin *const bin = &cache->bins[RF_BIN_LARGE];
  while (bin->first != bin->end && rf_large_keep(rf_span_of((uintptr_t)rf_bin_at(bin, bin->first)->begin))) {
    bin->first++;
  }
}

/* Slots that nobody asked for go, but for a few. */
static void give_idle(rf_cache *cache, unsigned class_number) {
  rf_bin *const bin = &cache->bins[class_number];
  uint32_t const idle = bin->ripe - bin->first;
  uint32_t const most = rf_size_classes[class_number].most;
  if (idle > most) {
    (void)give(cache, bin, idle - most);
  }
}

void rf_bins_age(rf_cache *cache) {
  size_t const wait = rf_cache_wait_now();
  size_t const length = wait / RF_AGES > AGE_LEAST ? wait / RF_AGES : AGE_LEAST;
  unsigned const lag = wait >= length * RF_AGES ? RF_AGES : (unsigned)((wait + length - 1) / length);
  unsigned const age = ++cache->age;
  cache->age_left = (ptrdiff_t)length;
  for (unsigned i = 0; i < RF_CLASSES; i++) {
    rf_bin *const bin = &cache->bins[i];
    uint32_t const mark = lag != 0 ? cache->marks[(age - lag) % RF_AGES][i] : bin->end;
    cache->marks[age % RF_AGES][i] = bin->end;
    if (bin->end != bin->first) {
      give_idle(cache, i);
      bin->ripe = (int32_t)(mark - bin->ripe) > 0 ? mark : bin->ripe;
      shuffle(cache, bin);
    }
  }
  keep_large(cache);
  rf_cache_count_more(cache);
}

/* ---- Others ---- */

void rf_bins_put_back(rf_cache *cache, unsigned class_number, rf_slot_place place) {
  rf_bin *const bin = &cache->bins[class_number];
  if (rf_bin_is_full(bin) && !rf_bins_make_room(cache, class_number)) {
    return;
  }
  *rf_bin_at(bin, --bin->first) = place;
  if (rf_heap_options_now.order_seed != 0) {
    swap(bin, bin->first, bin->first + draw(cache, bin->ripe - bin->first));
  }
  if (bin->ripe - bin->first > 2U * rf_size_classes[class_number].most) {
    give_idle(cache, class_number);
  }
}

void rf_bins_put_large(rf_cache *cache, rf_slot_place place) {
  rf_bin *const bin = &cache->bins[RF_BIN_LARGE];
  if (!rf_bin_is_full(bin) || rf_bins_make_room(cache, RF_BIN_LARGE)) {
    *rf_bin_at(bin, bin->end++) = place;
  }
}

void rf_cache_flush(rf_cache *cache) {
  for (unsigned i = 0; i < RF_CLASSES; i++) {
    rf_bin *const bin = &cache->bins[i];
    bin->ripe = bin->end;
    (void)give(cache, bin, held_by(bin));
  }
  keep_large(cache);
}
