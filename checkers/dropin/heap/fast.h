/* The common requests, up to RF_FAST_MOST bytes at the default alignment, without a call but for their stacks. Internal
 * to the heap and to malloc; where rf_heap_options_now.usual, inside the cache. */
#ifndef RINGFENCE_DROPIN_FAST_H
#define RINGFENCE_DROPIN_FAST_H

#include "bins.h"
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

RF_INLINE void count_block(rf_cache *c, size_t size) {
  size_t const used = c->used + size;
  size_t const blocks = c->blocks + 1;
  c->requested += size;
  c->allocations++;
  c->used = used;
  c->blocks = blocks;
  if (RF_UNLIKELY((ptrdiff_t)(used - c->peak) > 0)) {
    c->peak = used;
  }
  if (RF_UNLIKELY((ptrdiff_t)(blocks - c->peak_blocks) > 0)) {
    c->peak_blocks = blocks;
  }
}

RF_INLINE void count_free(rf_cache *c, size_t size) {
  c->used -= size;
  c->blocks--;
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

RF_INLINE rf_lanes wrong_in_ends(const unsigned char *p, const unsigned char *end) {
  rf_lanes const lanes = lanes_of(RF_PATTERN_REDZONE);
  return (load(p) ^ lanes) | (load(end - RF_LANES) ^ lanes);
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

/* `stack` is the number of the caller's; the block is filled with `byte`. NULL, and nothing was done, where no slot is
 * there that is as usual, or more has to be counted. */
RF_INLINE void *rf_fast_alloc(rf_cache *cache, size_t size, unsigned char byte, rf_family family, uint32_t stack) {
  rf_bin *const bin = &cache->bins[rf_class_for(size + RF_TAIL_LEAST + (size == 0))];
  uint32_t const first = bin->first;
  if (RF_UNLIKELY(first == bin->ripe) ||
      RF_UNLIKELY((ptrdiff_t)(cache->used + size - cache->counted - RF_PEAK_STEP) > 0)) {
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

typedef enum rf_fast_result {
  RF_FAST_NOT, /* nothing was done: that is no such block, or anything is wrong */
  RF_FAST_DONE,
  RF_FAST_AGE /* done, and rf_bins_age is to be called */
} rf_fast_result;

RF_INLINE rf_fast_result rf_fast_free(rf_cache *cache, void *ptr, rf_family family, size_t size, uint32_t stack) {
  unsigned char *const p = ptr;
  rf_span *const span = rf_span_of((uintptr_t)p);
  if (RF_UNLIKELY(span == NULL || span->large)) {
    return RF_FAST_NOT;
  }
  unsigned const index = rf_span_index(span, (uintptr_t)p);
  size_t const slot_size = span->slot_size;
  if (RF_UNLIKELY(span->base + index * slot_size != (uintptr_t)p)) {
    return RF_FAST_NOT;
  }
  rf_slot *const slot = &span->slots[index];
  rf_bin *const bin = &cache->bins[span->class_number];
  uint64_t const word = *rf_slot_word_of(slot);
  uint16_t const traits = (uint16_t)(word >> RF_WORD_TRAITS);
  size_t const seen = (uint16_t)word;
  if (RF_UNLIKELY((traits & RF_TRAITS_BUT_GENERATION) != rf_traits(RF_SLOT_LIVE, family, RF_DEFAULT_ALIGN_LOG2, 0)) ||
      RF_UNLIKELY(size != SIZE_MAX && size != seen) || RF_UNLIKELY(slot_size > RF_FAST_MOST + RF_TAIL_LEAST) ||
      RF_UNLIKELY(rf_bin_is_full(bin))) {
    return RF_FAST_NOT;
  }
  rf_lanes const redzone = lanes_of(RF_PATTERN_REDZONE);
  if (RF_UNLIKELY(!is_zero((load(p - RF_LANES) ^ redzone) | wrong_in_tail(p + seen, p + slot_size))) ||
      RF_UNLIKELY(!rf_slot_claim(slot, traits))) {
    return RF_FAST_NOT;
  }
  size_t const had = slot->size; /* another thread may have resized it just before */
  write_before_tail(p, had, RF_PATTERN_FREED);
  store(p + had, redzone); /* over the end of the fill */
  count_free(cache, had);
  note_release(cache, slot, stack);
  return rf_bin_wait(cache, bin, (rf_slot_place){p, slot}) ? RF_FAST_AGE : RF_FAST_DONE;
}

#endif /* RINGFENCE_DROPIN_FAST_H */
