/* The common requests, up to RF_FAST_MOST bytes at the default alignment, without a call but for their stacks. Internal
 * to the heap and to malloc; where rf_heap_options_now.usual, inside the cache. */
#ifndef RINGFENCE_DROPIN_FAST_H
#define RINGFENCE_DROPIN_FAST_H

#include "bins.h"
#include "checkers/os/stack_guess.h"
#include "fill.h"

#define RF_PLAIN_MASK (RF_TRAITS_STATE | 63U << RF_TRAITS_ALIGN)
#define RF_PLAIN_FREED (RF_SLOT_FREED | RF_DEFAULT_ALIGN_LOG2 << RF_TRAITS_ALIGN)

RF_INLINE uint32_t rf_cache_keep_origin(const rf_origin *origin) {
  const rf_heap_options *const o = &rf_heap_options_now;
  return RF_LIKELY(o->stack_depth != 0) ? rf_stack_depot_put_from(o->depot, origin, o->stack_depth)
                                        : rf_stack_depot_put_caller(o->depot, origin->caller, false);
}

/* The same for a call that frees. */
RF_INLINE uint32_t rf_cache_keep_freeing(const rf_origin *origin) {
  const rf_heap_options *const o = &rf_heap_options_now;
  return RF_LIKELY(o->stack_depth != 0) ? rf_stack_depot_put_free_from(o->depot, origin, o->stack_depth)
                                        : rf_stack_depot_put_caller(o->depot, origin->caller, true);
}

/* Both of them inlined, where rf_heap_options_now.usual. `frees`: 0 or RF_FREES. */
RF_INLINE uint32_t rf_fast_keep(uintptr_t caller, const void *frame, unsigned frees) {
  const rf_heap_options *const o = &rf_heap_options_now;
  return RF_LIKELY(o->stack_depth != 0) ? rf_stack_guess(o->depot, caller, frame, o->stack_depth, frees)
                                        : rf_stack_depot_put_caller(o->depot, caller, frees != 0);
}

/* rf_cache_has_more tells what is to be done behind it. */
RF_INLINE void count_block(rf_cache *c, size_t size) {
  c->requested += size;
  c->allocations++;
  c->room -= (ptrdiff_t)size;
  c->block_room--;
}

RF_INLINE void count_free(rf_cache *c, size_t size) {
  c->room += (ptrdiff_t)size;
  c->block_room++;
}

/* The description of a small block at the default alignment. */
RF_INLINE void make_live(const rf_cache *cache, rf_slot *slot, size_t size, rf_family family, uint32_t stack) {
  slot->allocated = stack;
  slot->released = 0;
  rf_slot_set_word(slot, cache->stamp | size | (uint64_t)family << (RF_WORD_TRAITS + RF_TRAITS_FAMILY));
}

/* The description of a freed block: by the thread that claimed its slot. */
RF_INLINE void note_release(const rf_cache *cache, rf_slot *slot, uint32_t stack) {
  slot->released = stack;
  slot->released_by = cache->number;
}

/* The next request of the class will read this slot, which has waited long and is in no near cache. */
RF_INLINE void fetch_next(const rf_bin *bin, uint32_t number) {
  const rf_slot_place *const next = rf_bin_at(bin, number);
  __builtin_prefetch(next->begin, 1);
  __builtin_prefetch(next->slot, 1);
}

/* ---- Up to RF_SMALL_MOST bytes: four lanes hold any payload, and two its guard ---- */

#define RF_SMALL_MOST RF_STRIDE
#define RF_SMALL_SLOT_MOST (RF_SMALL_MOST + RF_TAIL_LEAST)

_Static_assert(RF_SMALL_SLOT_MOST <= RF_CLASS_FINE_MOST, "guards in such slots are at most 32 bytes long at first");

/* Not zero where a byte of the guard, no longer than two lanes, is another. */
RF_INLINE rf_lanes wrong_in_ends(const unsigned char *p, const unsigned char *end) {
  rf_lanes const lanes = lanes_of(RF_PATTERN_REDZONE);
  return (load(p) ^ lanes) | (load(end - RF_LANES) ^ lanes);
}

/* The same of a fill, behind which there are at least 16 bytes of guard. */
RF_INLINE rf_lanes wrong_in_small_fill(const unsigned char *p, size_t size) {
  size_t const whole = size < RF_LANES ? RF_LANES : size;
  size_t const edge = size < RF_LANES ? size : RF_LANES;
  return wrong_in_stride_at_most(p, whole, load(freed_edge + RF_LANES - edge));
}

RF_INLINE void write_small(unsigned char *p, size_t size, unsigned char byte) {
  rf_lanes const lanes = lanes_of(byte);
  size_t const whole = size < RF_LANES ? RF_LANES : size;
  size_t const second = rf_second_lane(whole);
  store(p, lanes);
  store(p + second, lanes);
  store(p + whole - RF_LANES - second, lanes);
  store(p + whole - RF_LANES, lanes);
}

/* The bin of the class, or of the span's; the compiler is kept from computing it for each of its fields. */
RF_INLINE rf_bin *bin_of(rf_cache *cache, unsigned class_number) {
  rf_bin *bin = &cache->bins[class_number];
  RF_FORGET(bin);
  return bin;
}

/* `stack` is the number of the caller's; the block is filled with `byte`. NULL, and nothing was done, where no slot is
 * there that is as usual. Else rf_cache_has_more tells whether there is more to do. */
RF_INLINE void *rf_fast_alloc_small(rf_cache *cache, size_t size, unsigned char byte, rf_family family,
                                    uint32_t stack) {
  rf_bin *const bin = bin_of(cache, (unsigned)(size - (size != 0)) >> 4);
  uint32_t const first = bin->first;
  if (RF_UNLIKELY(first == bin->ripe)) {
    return NULL;
  }
  rf_slot_place const place = *rf_bin_at(bin, first);
  unsigned char *const p = place.begin;
  unsigned char *const end = p + bin->slot_size;
  fetch_next(bin, first + 2);
  size_t const had = place.slot->size;
  unsigned char *const guard = p + had;
  if (RF_UNLIKELY((place.slot->traits & RF_PLAIN_MASK) != RF_PLAIN_FREED) ||
      RF_UNLIKELY((size_t)(end - guard) > 2 * RF_LANES) ||
      RF_UNLIKELY(!is_zero(wrong_in_ends(guard, end) | wrong_in_small_fill(p, had)))) {
    return NULL;
  }
  bin->first = first + 1;
  count_block(cache, size);
  write_small(p, size, byte);
  store(p + size, lanes_of(RF_PATTERN_REDZONE));
  store(end - RF_LANES, lanes_of(RF_PATTERN_REDZONE));
  make_live(cache, place.slot, size, family, stack);
  return p;
}

/* The guard of a block: mostly no more than two lanes. */
RF_INLINE rf_lanes wrong_in_tail(const unsigned char *p, const unsigned char *end) {
  size_t const size = (size_t)(end - p);
  if (RF_LIKELY(size <= 2 * RF_LANES)) {
    return wrong_in_ends(p, end);
  }
  rf_lanes const lanes = lanes_of(RF_PATTERN_REDZONE);
  return size <= RF_STRIDE ? wrong_in_stride_at_most(p, size, lanes) : wrong_in_strides(p, size, lanes);
}

typedef enum rf_fast_result {
  RF_FAST_NOT, /* nothing was done: that is no such block, or anything is wrong */
  RF_FAST_DONE,
  RF_FAST_AGE /* done, and rf_bins_age is to be called */
} rf_fast_result;

/* The slot of a plain live block at `ptr`, claimed, with nothing wrong around it; NULL, and nothing was done, where
 * there is none. `small`: all slots of the span are small ones. */
RF_INLINE rf_slot *take_live(const rf_span *span, unsigned char *p, rf_family family, size_t size, bool small) {
  uint64_t const magic = span->magic;
  uintptr_t const offset = (uintptr_t)p - span->base;
  uint64_t const scaled = offset * magic;
  if (RF_UNLIKELY(offset >= RF_SPAN_SMALL_MOST) ||
      RF_UNLIKELY((scaled & (((uint64_t)1 << RF_SPAN_MAGIC) - 1)) >= magic)) {
    return NULL; /* not where a slot begins: what is cut off there, and there alone, is less than one byte makes */
  }
  rf_slot *const slot = &span->slots[scaled >> RF_SPAN_MAGIC];
  uint64_t const word = *rf_slot_word_of(slot);
  uint16_t const traits = (uint16_t)(word >> RF_WORD_TRAITS);
  size_t const seen = (uint16_t)word;
  unsigned char *const end = p + span->slot_size;
  unsigned char *const guard = p + seen;
  if (RF_UNLIKELY((traits & RF_TRAITS_BUT_GENERATION) != rf_traits(RF_SLOT_LIVE, family, RF_DEFAULT_ALIGN_LOG2, 0)) ||
      RF_UNLIKELY(size != SIZE_MAX && size != seen) || RF_UNLIKELY(small && (size_t)(end - guard) > 2 * RF_LANES)) {
    return NULL;
  }
  rf_lanes const front = load(p - RF_LANES) ^ lanes_of(RF_PATTERN_REDZONE);
  rf_lanes const wrong = front | (small ? wrong_in_ends(guard, end) : wrong_in_tail(guard, end));
  return RF_UNLIKELY(!is_zero(wrong)) || RF_UNLIKELY(!rf_slot_claim(slot, traits)) ? NULL : slot;
}

RF_INLINE bool is_small_span(const rf_span *span) {
  return span != NULL && span->slot_size - 1 < RF_SMALL_SLOT_MOST; /* that of large blocks is 0 */
}

/* Where is_small_span. `size`: as in rf_cache_free. */
RF_INLINE rf_fast_result rf_fast_free_small(rf_cache *cache, const rf_span *span, void *ptr, rf_family family,
                                            size_t size, uint32_t stack) {
  unsigned char *const p = ptr;
  rf_bin *const bin = bin_of(cache, span->class_number);
  if (RF_UNLIKELY(rf_bin_is_full(bin))) {
    return RF_FAST_NOT;
  }
  rf_slot *const slot = take_live(span, p, family, size, true);
  if (RF_UNLIKELY(slot == NULL)) {
    return RF_FAST_NOT;
  }
  size_t const had = slot->size; /* another thread may have resized it just before */
  write_small(p, had, RF_PATTERN_FREED);
  store(p + had, lanes_of(RF_PATTERN_REDZONE)); /* over the end of the fill */
  count_free(cache, had);
  note_release(cache, slot, stack);
  return rf_bin_wait(cache, bin, (rf_slot_place){p, slot}) ? RF_FAST_AGE : RF_FAST_DONE;
}

/* ---- Up to RF_FAST_MOST bytes ---- */

/* As rf_fast_alloc_small. */
RF_INLINE void *rf_fast_alloc(rf_cache *cache, size_t size, unsigned char byte, rf_family family, uint32_t stack) {
  rf_bin *const bin = bin_of(cache, rf_class_for(size + RF_TAIL_LEAST + (size == 0)));
  uint32_t const first = bin->first;
  if (RF_UNLIKELY(first == bin->ripe)) {
    return NULL;
  }
  rf_slot_place const place = *rf_bin_at(bin, first);
  unsigned char *const p = place.begin;
  unsigned char *const end = p + bin->slot_size;
  fetch_next(bin, first + 2);
  size_t const had = place.slot->size;
  if (RF_UNLIKELY((place.slot->traits & RF_PLAIN_MASK) != RF_PLAIN_FREED) ||
      RF_UNLIKELY(!is_zero(wrong_in_tail(p + had, end) | wrong_in_fill(p, had)))) {
    return NULL;
  }
  bin->first = first + 1;
  count_block(cache, size);
  write_before_tail(p, size, byte);
  write_tail(p + size, end);
  make_live(cache, place.slot, size, family, stack);
  return p;
}

/* As rf_fast_free_small, where there is a span. */
RF_INLINE rf_fast_result rf_fast_free(rf_cache *cache, const rf_span *span, void *ptr, rf_family family, size_t size,
                                      uint32_t stack) {
  unsigned char *const p = ptr;
  rf_bin *const bin = bin_of(cache, span->class_number);
  if (RF_UNLIKELY(span->slot_size - 1 >= RF_FAST_MOST + RF_TAIL_LEAST) || RF_UNLIKELY(rf_bin_is_full(bin))) {
    return RF_FAST_NOT;
  }
  rf_slot *const slot = take_live(span, p, family, size, false);
  if (RF_UNLIKELY(slot == NULL)) {
    return RF_FAST_NOT;
  }
  size_t const had = slot->size; /* as above */
  write_before_tail(p, had, RF_PATTERN_FREED);
  store(p + had, lanes_of(RF_PATTERN_REDZONE));
  count_free(cache, had);
  note_release(cache, slot, stack);
  return rf_bin_wait(cache, bin, (rf_slot_place){p, slot}) ? RF_FAST_AGE : RF_FAST_DONE;
}

#endif /* RINGFENCE_DROPIN_FAST_H */
