/* The common requests, up to fast_most bytes (heap.h) at the default alignment, without a call but for their stacks.
 * Internal to the heap and to malloc. Alloc and free need fast_most not to be 0, and to be inside the cache. */
#ifndef RINGFENCE_DROPIN_FAST_H
#define RINGFENCE_DROPIN_FAST_H

#include "bins.h"
#include "checkers/os/stack_guess.h"
#include "fill.h"

#define RF_PLAIN_MASK (RF_TRAITS_STATE | 63U << RF_TRAITS_ALIGN)
#define RF_PLAIN_FREED (RF_SLOT_FREED | RF_DEFAULT_ALIGN_LOG2 << RF_TRAITS_ALIGN)

/* Sets *stack to the number of the caller's stack, where the depot has it at hand and no call is needed: else false.
 * `own`: as in rf_stack_is. */
RF_INLINE bool rf_fast_known(rf_cache *cache, uintptr_t caller, const void *frame, bool own, uint32_t *stack) {
  const rf_heap_options *const o = &rf_heap_options_now;
  if (RF_LIKELY(o->stack_depth != 0)) {
    return rf_stack_guess_holds(o->depot, &cache->predictor, caller, frame, o->stack_depth, own, stack);
  }
  *stack = 0;
  return o->depot == NULL || rf_guess_is_caller(o->depot, caller, stack);
}

/* The number of one that is not at hand. `frees`: 0, or RF_FREES for a call that frees. */
RF_INLINE uint32_t rf_fast_keep_new(uintptr_t caller, const void *frame, unsigned frees) {
  const rf_heap_options *const o = &rf_heap_options_now;
  return RF_LIKELY(o->stack_depth != 0) ? rf_stack_guess_anew(o->depot, caller, frame, o->stack_depth | frees)
                                        : rf_stack_depot_put_caller(o->depot, caller, frees != 0);
}

RF_INLINE uint32_t rf_fast_keep(rf_cache *cache, uintptr_t caller, const void *frame, unsigned frees) {
  uint32_t stack;
  return RF_LIKELY(rf_fast_known(cache, caller, frame, false, &stack)) ? stack : rf_fast_keep_new(caller, frame, frees);
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

/* ---- Small slots, a constant `small` of the functions below: four lanes hold any payload, and two its guard. Others
 * have room for more than a stride, and guards of up to TAIL_MOST at first. ---- */

#define RF_SMALL_MOST RF_STRIDE
#define RF_SMALL_SLOT_MOST (RF_SMALL_MOST + RF_TAIL_LEAST)

_Static_assert(RF_SMALL_MOST <= RF_FAST_LEAST, "small requests take the short way wherever it is open");
_Static_assert(RF_SMALL_SLOT_MOST <= RF_CLASS_FINE_MOST, "guards in such slots are at most 32 bytes long at first");

/* Up to here guards are at most TAIL_MOST bytes long at first. */
#define RF_TAIL_MOST_ROOM ((TAIL_MOST - RF_TAIL_LEAST) * 16 - RF_TAIL_LEAST)

RF_INLINE bool is_small_span(const rf_span *span) {
  return span != NULL && span->slot_size - 1 < RF_SMALL_SLOT_MOST; /* that of large blocks is 0 */
}

/* A slot that is to be a block: `room` bytes up to its last RF_TAIL_LEAST; of a small one, where lanes cover these. */
typedef struct target {
  unsigned char *begin;
  size_t room;
  four_lanes lanes;
} target;

RF_INLINE target target_of(unsigned char *begin, size_t room, bool small) {
  return (target){begin, room, small ? four_lanes_of(begin, room) : (four_lanes){0}};
}

/* Fills all of a small slot, in as many steps as it was compared in, then the guard behind `size` bytes of payload (the
 * one at the slot's end is there). Of other slots it fills all that may be guard, then the payload. */
RF_INLINE void fill_live(const target *t, size_t size, unsigned char byte, bool small) {
  if (small) {
    write_four(&t->lanes, lanes_of(byte));
    store(t->begin + size, lanes_of(RF_PATTERN_REDZONE));
  } else {
    if (t->room > RF_TAIL_MOST_ROOM) {
      write_tail(t->begin + size, t->begin + t->room + RF_TAIL_LEAST);
    } else {
      write_tail_most(t->begin + t->room + RF_TAIL_LEAST);
    }
    write_strides(t->begin, size, byte);
  }
}

RF_INLINE void fill_freed(unsigned char *p, size_t room, bool small) {
  if (small) {
    write_stride_at_most(p, room, RF_PATTERN_FREED);
  } else {
    write_strides(p, room, RF_PATTERN_FREED);
  }
}

/* True where the guard is longer than those of small slots are at first: two lanes. */
RF_INLINE bool has_long_tail(const unsigned char *guard, const unsigned char *end, bool small) {
  return small && (size_t)(end - guard) > 2 * RF_LANES;
}

/* The guard of a live block, where not has_long_tail: not zero where a byte is another. */
RF_INLINE rf_lanes wrong_behind(const unsigned char *guard, const unsigned char *end, bool small) {
  return small ? wrong_in_guard(guard) | wrong_in_guard(end - RF_LANES) : wrong_in_tail(guard, end);
}

/* True where the slot was a block of default alignment, and is as the free left it. */
RF_INLINE bool is_untouched(const rf_slot *slot, const target *t, bool small) {
  rf_lanes const lanes = lanes_of(RF_PATTERN_FREED);
  return RF_LIKELY((slot->traits & RF_PLAIN_MASK) == RF_PLAIN_FREED) &&
         RF_LIKELY(is_zero((small ? wrong_in_four(&t->lanes, lanes) : wrong_in_strides(t->begin, t->room, lanes)) |
                           wrong_in_guard(t->begin + t->room)));
}

/* True where the slot was no block so far, and the guard at its end, which is before the next one, holds. */
RF_INLINE bool is_fresh(rf_slot_place place, const rf_bin *bin) {
  RF_FORGET(place.begin); /* which computes nothing for it before it is asked */
  return rf_slot_state_of(place.slot) == RF_SLOT_NEW &&
         is_zero(wrong_in_guard((const unsigned char *)place.begin + bin->slot_size - RF_LANES));
}

/* ---- Allocation and free ---- */

/* The bin of the class, or of the span's; the compiler is kept from computing it for each of its fields. */
RF_INLINE rf_bin *bin_of(rf_cache *cache, unsigned class_number) {
  rf_bin *bin = &cache->bins[class_number];
  RF_FORGET(bin);
  return bin;
}

/* The bin for a request. Three instructions find that of a small one; a request of no bytes has a bin without slots. */
RF_INLINE rf_bin *bin_for(rf_cache *cache, size_t size, bool small) {
  if (!small) {
    return bin_of(cache, rf_class_for(size + RF_TAIL_LEAST));
  }
  size_t const number = (size + RF_TAIL_LEAST + RF_LANES - 1) / RF_LANES - 1; /* 1 is the first class */
  rf_bin *bin = (rf_bin *)(void *)((char *)cache + offsetof(rf_cache, none) + number * sizeof *bin);
  RF_FORGET(bin);
  return bin;
}

/* A block of `size` bytes, `small`: up to RF_SMALL_MOST, else more and up to fast_most; filled with `byte`. `stack`
 * is the number of the caller's. NULL, and nothing was done, where there is no slot that is_untouched or is_fresh. Else
 * rf_cache_has_more is to be asked. */
RF_INLINE void *rf_fast_alloc(rf_cache *cache, size_t size, unsigned char byte, rf_family family, uint32_t stack,
                              bool small) {
  rf_bin *const bin = bin_for(cache, size, small);
  if (RF_UNLIKELY(bin->first == bin->ripe)) {
    return NULL;
  }
  rf_slot_place const place = *rf_bin_at(bin, bin->first);
  unsigned char *const p = place.begin;
  fetch_next(bin, bin->first + 2);
  target const t = target_of(p, bin->slot_size - RF_TAIL_LEAST, small);
  if (!is_untouched(place.slot, &t, small) && !is_fresh(place, bin)) {
    return NULL;
  }
  rf_bin_take(bin);
  count_block(cache, size);
  fill_live(&t, size, byte, small);
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
  rf_lanes const wrong = wrong_in_guard(p - RF_LANES) | wrong_behind(guard, end, small);
  return RF_UNLIKELY(!is_zero(wrong)) || RF_UNLIKELY(!rf_slot_claim_live(slot, traits)) ? NULL : slot;
}

/* `small`: is_small_span. `size`: as in rf_cache_free. `stack` is the number of the caller's. */
RF_INLINE rf_fast_result rf_fast_free(rf_cache *cache, const rf_span *span, void *ptr, rf_family family, size_t size,
                                      uint32_t stack, bool small) {
  unsigned char *const p = ptr;
  rf_bin *const bin = bin_of(cache, span->class_number);
  if ((!small && RF_UNLIKELY(span->slot_size - 1 >= rf_heap_options_now.fast_most + RF_TAIL_LEAST)) ||
      RF_UNLIKELY(rf_bin_is_full(bin))) {
    return RF_FAST_NOT;
  }
  rf_slot *const slot = take_live(span, p, family, size, small);
  if (RF_UNLIKELY(slot == NULL)) {
    return RF_FAST_NOT;
  }
  size_t const had = slot->size; /* another thread may have resized it just before */
  fill_freed(p, span->slot_size - RF_TAIL_LEAST, small);
  count_free(cache, had);
  note_release(cache, slot, stack);
  return rf_bin_wait(cache, bin, (rf_slot_place){p, slot}) ? RF_FAST_AGE : RF_FAST_DONE;
}

/* ---- Not small: by registers of 32 bytes, where the processor has them ---- */

/* As the two above (wide.c). */
void *rf_wide_alloc(rf_cache *cache, size_t size, unsigned char byte, rf_family family, uint32_t stack);
rf_fast_result rf_wide_free(rf_cache *cache, const rf_span *span, void *ptr, rf_family family, size_t size,
                            uint32_t stack);

RF_INLINE void *rf_middle_alloc(rf_cache *cache, size_t size, unsigned char byte, rf_family family, uint32_t stack) {
  return has_wide() ? rf_wide_alloc(cache, size, byte, family, stack)
                    : rf_fast_alloc(cache, size, byte, family, stack, false);
}

RF_INLINE rf_fast_result rf_middle_free(rf_cache *cache, const rf_span *span, void *ptr, rf_family family, size_t size,
                                        uint32_t stack) {
  return has_wide() ? rf_wide_free(cache, span, ptr, family, size, stack)
                    : rf_fast_free(cache, span, ptr, family, size, stack, false);
}

/* ---- Any size up to fast_most, any span or NULL ---- */

RF_INLINE void *rf_fast_alloc_any(rf_cache *cache, size_t size, unsigned char byte, rf_family family, uint32_t stack) {
  return size <= RF_SMALL_MOST ? rf_fast_alloc(cache, size, byte, family, stack, true)
                               : rf_middle_alloc(cache, size, byte, family, stack);
}

RF_INLINE rf_fast_result rf_fast_free_any(rf_cache *cache, const rf_span *span, void *ptr, rf_family family,
                                          size_t size, uint32_t stack) {
  if (span == NULL) {
    return RF_FAST_NOT;
  }
  return is_small_span(span) ? rf_fast_free(cache, span, ptr, family, size, stack, true)
                             : rf_middle_free(cache, span, ptr, family, size, stack);
}

#endif /* RINGFENCE_DROPIN_FAST_H */
