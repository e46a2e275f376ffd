/* The common requests, up to RF_FAST_MOST bytes at the default alignment, without a call but for their stacks. Internal
 * to the heap and to malloc. Alloc and free need rf_heap_options_now.usual, and to be inside the cache. */
#ifndef RINGFENCE_DROPIN_FAST_H
#define RINGFENCE_DROPIN_FAST_H

#include "bins.h"
#include "checkers/os/stack_guess.h"
#include "fill.h"

#define RF_PLAIN_MASK (RF_TRAITS_STATE | 63U << RF_TRAITS_ALIGN)
#define RF_PLAIN_FREED (RF_SLOT_FREED | RF_DEFAULT_ALIGN_LOG2 << RF_TRAITS_ALIGN)

/* The number of the caller's stack. `frees`: 0, or RF_FREES for a call that frees. */
RF_INLINE uint32_t rf_fast_keep(uintptr_t caller, const void *frame, unsigned frees) {
  const rf_heap_options *const o = &rf_heap_options_now;
  return RF_LIKELY(o->stack_depth != 0) ? rf_stack_guess(o->depot, caller, frame, o->stack_depth, frees)
                                        : rf_stack_depot_put_caller(o->depot, caller, frees != 0);
}

/* Sets *stack to the same, where the depot has it at hand and no call is needed: else false. `caller` is the return
 * address in `frame`. */
RF_INLINE bool rf_fast_known(uintptr_t caller, const void *frame, uint32_t *stack) {
  const rf_heap_options *const o = &rf_heap_options_now;
  if (RF_LIKELY(o->stack_depth != 0)) {
    return rf_stack_guess_holds(o->depot, caller, frame, o->stack_depth, true, stack);
  }
  *stack = 0;
  return o->depot == NULL || rf_guess_is_caller(o->depot, caller, stack);
}

/* rf_cache_has_more is to be asked afterwards. */
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
  RF_FETCH_TO_WRITE(next->begin);
  RF_FETCH_TO_WRITE(next->slot);
}

/* ---- Small slots, a constant `small` of the functions below: four lanes hold any payload, and two its guard ---- */

#define RF_SMALL_MOST RF_STRIDE
#define RF_SMALL_SLOT_MOST (RF_SMALL_MOST + RF_TAIL_LEAST)

_Static_assert(RF_SMALL_SLOT_MOST <= RF_CLASS_FINE_MOST, "guards in such slots are at most 32 bytes long at first");

RF_INLINE bool is_small_span(const rf_span *span) {
  return span != NULL && span->slot_size - 1 < RF_SMALL_SLOT_MOST; /* that of large blocks is 0 */
}

/* `size` bytes of payload, and up to 15 behind them. */
RF_INLINE void fill_payload(unsigned char *p, size_t size, unsigned char byte, bool small) {
  if (small) {
    write_stride_at_most(p, size, byte);
  } else {
    write_before_tail(p, size, byte);
  }
}

RF_INLINE void write_guard(unsigned char *p, unsigned char *end, bool small) {
  if (small) {
    write_ends(p, end);
  } else {
    write_tail(p, end);
  }
}

/* True where the guard is longer than those of small slots are at first. */
RF_INLINE bool has_long_tail(const unsigned char *guard, const unsigned char *end, bool small) {
  return small && is_long_tail(guard, end);
}

/* The guard of a block, where not has_long_tail: not zero where a byte is another. */
RF_INLINE rf_lanes wrong_in_tail(const unsigned char *p, const unsigned char *end, bool small) {
  size_t const size = (size_t)(end - p);
  if (small || RF_LIKELY(!is_long_tail(p, end))) {
    return wrong_in_ends(p, end);
  }
  rf_lanes const lanes = lanes_of(RF_PATTERN_REDZONE);
  return size <= RF_STRIDE ? wrong_in_stride_at_most(p, size, lanes) : wrong_in_strides(p, size, lanes);
}

RF_INLINE rf_lanes wrong_in_freed(const unsigned char *p, size_t size, bool small) {
  return small ? wrong_in_fill_at_most(p, size) : wrong_in_fill(p, size);
}

/* True where a freed block of default alignment is as the free left it, and not has_long_tail. */
RF_INLINE bool is_untouched(rf_slot_place place, const unsigned char *end, bool small) {
  const unsigned char *const p = place.begin;
  size_t const had = place.slot->size;
  if (RF_UNLIKELY((place.slot->traits & RF_PLAIN_MASK) != RF_PLAIN_FREED) ||
      RF_UNLIKELY(has_long_tail(p + had, end, small))) {
    return false;
  }
  return RF_LIKELY(is_zero(wrong_in_tail(p + had, end, small) | wrong_in_freed(p, had, small)));
}

/* True where the slot was no block so far, and the guard at its end, which is before the next one, holds. */
RF_INLINE bool is_fresh(const rf_slot *slot, const unsigned char *end) {
  return rf_slot_state_of(slot) == RF_SLOT_NEW && is_zero(load(end - RF_LANES) ^ lanes_of(RF_PATTERN_REDZONE));
}

/* ---- Allocation and free ---- */

/* The bin of the class, or of the span's; the compiler is kept from computing it for each of its fields. */
RF_INLINE rf_bin *bin_of(rf_cache *cache, unsigned class_number) {
  rf_bin *bin = &cache->bins[class_number];
  RF_FORGET(bin);
  return bin;
}

/* A block of `size` bytes, up to RF_FAST_MOST (`small`: up to RF_SMALL_MOST), filled with `byte`. `stack` is the number
 * of the caller's. NULL, and nothing was done, where there is no slot that is_untouched or is_fresh. Else
 * rf_cache_has_more is to be asked. */
RF_INLINE void *rf_fast_alloc(rf_cache *cache, size_t size, unsigned char byte, rf_family family, uint32_t stack,
                              bool small) {
  rf_bin *const bin = bin_of(cache, rf_class_for(size + RF_TAIL_LEAST));
  uint32_t const first = bin->first;
  if (RF_UNLIKELY(first == bin->ripe)) {
    return NULL;
  }
  rf_slot_place const place = *rf_bin_at(bin, first);
  unsigned char *const p = place.begin;
  unsigned char *const end = p + bin->slot_size;
  fetch_next(bin, first + 2);
  if (!is_untouched(place, end, small) && !is_fresh(place.slot, end)) {
    return NULL;
  }
  bin->first = first + 1;
  count_block(cache, size);
  fill_payload(p, size, byte, small);
  write_guard(p + size, end, small);
  make_live(cache, place.slot, size, family, stack);
  return p;
}

typedef enum rf_fast_result {
  RF_FAST_NOT, /* nothing was done: there is no such block, or something is wrong */
  RF_FAST_DONE,
  RF_FAST_AGE /* done, and rf_bins_age is to be called */
} rf_fast_result;

/* The slot of a plain live block at `ptr`, claimed, with nothing wrong around it; NULL, and nothing was done, where
 * there is none. */
RF_INLINE rf_slot *take_live(const rf_span *span, unsigned char *p, rf_family family, size_t size, bool small) {
  uint64_t const magic = span->magic;
  uintptr_t const offset = (uintptr_t)p - span->base;
  uint64_t const scaled = offset * magic;
  if (RF_UNLIKELY(offset >= RF_SPAN_SMALL_MOST) ||
      RF_UNLIKELY((scaled & (((uint64_t)1 << RF_SPAN_MAGIC) - 1)) >= magic)) {
    return NULL; /* not where a slot begins: the fraction is below that of one byte at a beginning alone */
  }
  rf_slot *const slot = &span->slots[scaled >> RF_SPAN_MAGIC];
  RF_FETCH_TO_WRITE(slot); /* which another thread may have; not to read first, and ask for it again */
  uint64_t const word = *rf_slot_word_of(slot);
  uint16_t const traits = (uint16_t)(word >> RF_WORD_TRAITS);
  size_t const seen = (uint16_t)word;
  unsigned char *const end = p + span->slot_size;
  unsigned char *const guard = p + seen;
  if (RF_UNLIKELY((traits & RF_TRAITS_BUT_GENERATION) != rf_traits(RF_SLOT_LIVE, family, RF_DEFAULT_ALIGN_LOG2, 0)) ||
      RF_UNLIKELY(size != SIZE_MAX && size != seen) || RF_UNLIKELY(has_long_tail(guard, end, small))) {
    return NULL;
  }
  rf_lanes const front = load(p - RF_LANES) ^ lanes_of(RF_PATTERN_REDZONE);
  rf_lanes const wrong = front | wrong_in_tail(guard, end, small);
  return RF_UNLIKELY(!is_zero(wrong)) || RF_UNLIKELY(!rf_slot_claim(slot, traits)) ? NULL : slot;
}

/* `small`: is_small_span. `size`: as in rf_cache_free. `stack` is the number of the caller's. */
RF_INLINE rf_fast_result rf_fast_free(rf_cache *cache, const rf_span *span, void *ptr, rf_family family, size_t size,
                                      uint32_t stack, bool small) {
  unsigned char *const p = ptr;
  rf_bin *const bin = bin_of(cache, span->class_number);
  if ((!small && RF_UNLIKELY(span->slot_size - 1 >= RF_FAST_MOST + RF_TAIL_LEAST)) ||
      RF_UNLIKELY(rf_bin_is_full(bin))) {
    return RF_FAST_NOT;
  }
  rf_slot *const slot = take_live(span, p, family, size, small);
  if (RF_UNLIKELY(slot == NULL)) {
    return RF_FAST_NOT;
  }
  size_t const had = slot->size; /* another thread may have resized it just before */
  fill_payload(p, had, RF_PATTERN_FREED, small);
  store(p + had, lanes_of(RF_PATTERN_REDZONE)); /* over the end of the fill */
  count_free(cache, had);
  note_release(cache, slot, stack);
  return rf_bin_wait(cache, bin, (rf_slot_place){p, slot}) ? RF_FAST_AGE : RF_FAST_DONE;
}

#endif /* RINGFENCE_DROPIN_FAST_H */
