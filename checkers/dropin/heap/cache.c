#include "cache_impl.h"
#include "fast.h"
#include "large.h"
#include "rights.h"

#include <string.h>

#include "checkers/dropin/os/pages.h"
#include "checkers/shared/family.h"
#include "checkers/shared/origin.h"

uint32_t rf_cache_keep(rf_cache *cache, const rf_origin *origin, unsigned frees) {
  return rf_fast_keep(cache, origin->caller, origin->frame, frees);
}

/* ---- Allocation ---- */

RF_INLINE void count_alloc(rf_cache *c, size_t size) {
  count_block(c, size);
  if (rf_cache_has_more(c)) {
    rf_cache_count_more(c);
  }
}

/* A slot that is to be a block for the first time, or in which something is wrong. False: it is not to be used. */
RF_RARE static bool may_use(rf_slot_place place, const rf_origin *origin) {
  rf_slot_state const state = rf_slot_state_of(place.slot);
  if (state == RF_SLOT_LIVE) {
    return false; /* freed by two threads at once, and serving again */
  }
  if (!rf_heap_options_now.checked) {
    return true;
  }
  rf_span *const span = rf_span_of((uintptr_t)place.begin);
  unsigned const index = rf_span_index(span, (uintptr_t)place.begin);
  if (state == RF_SLOT_NEW) {
    (void)rf_check_next_is_hit(span, index, origin);
    return true;
  }
  rf_view const view = rf_view_of(span, index);
  if (!rf_check_intact(&view)) {
    (void)rf_check_report(&view, origin);
  }
  return true;
}

/* True where it was a block at the default alignment, and nothing was written there since. */
RF_INLINE bool is_usual(const rf_slot *slot, const unsigned char *begin, size_t slot_size) {
  return RF_LIKELY((slot->traits & RF_PLAIN_MASK) == RF_PLAIN_FREED) &&
         freed_holds(begin, slot->size, slot_size - RF_TAIL_LEAST);
}

/* A slot of the class, which is the caller's, looked at; NULL where there is no memory. */
RF_RARE static void *take_any(rf_cache *cache, unsigned class_number, const rf_origin *origin, rf_slot **slot) {
  rf_bin *const bin = &cache->bins[class_number];
  rf_slot_place place;
  do {
    if (bin->first == bin->ripe && !rf_bins_refill(cache, class_number)) {
      cache->failures++;
      return NULL;
    }
    place = *rf_bin_at(bin, bin->first++);
  } while (!may_use(place, origin));
  *slot = place.slot;
  return place.begin;
}

/* The same, where a cache has one, and it is as usual; else NULL, and nothing was done. */
RF_INLINE unsigned char *take_usual(rf_cache *cache, unsigned class_number, rf_slot **slot) {
  rf_bin *const bin = &cache->bins[class_number];
  if (RF_UNLIKELY(bin->first == bin->ripe)) {
    return NULL;
  }
  rf_slot_place const place = *rf_bin_at(bin, bin->first);
  *slot = place.slot;
  fetch_next(bin, bin->first + 1);
  if (!is_usual(place.slot, place.begin, bin->slot_size) && !is_fresh(place, bin)) {
    return NULL;
  }
  rf_bin_take(bin);
  return place.begin;
}

/* Bytes at the start of a new block of `size` that are filled. */
RF_INLINE size_t new_fill_of(size_t size) {
  size_t const most = rf_heap_options_now.fill_alloc;
  return size < most ? size : most;
}

/* All but the first `kept` bytes, before the guard is written. */
RF_INLINE void fill_new(unsigned char *p, size_t kept, size_t size, bool zeroed) {
  size_t const filled = new_fill_of(size);
  if (zeroed) {
    memset(p, 0, size);
  } else if (rf_heap_options_now.fill_alloc >= RF_LANES && (kept == 0 || kept < filled)) {
    write_before_tail(p + kept, filled - kept, RF_PATTERN_NEW);
  }
}

/* The description of any block, at any alignment. */
static void make_live_at(rf_cache *cache, rf_slot *slot, size_t size, uint16_t traits, const rf_origin *origin) {
  slot->allocated = rf_cache_keep(cache, origin, 0);
  slot->released = 0;
  slot->size = (uint16_t)size;
  slot->allocated_by = cache->number;
  slot->released_by = 0;
  __atomic_store_n(&slot->traits, traits, __ATOMIC_RELAXED);
}

RF_INLINE bool is_small(size_t size) {
  return size <= RF_SLOT_MOST - RF_TAIL_LEAST;
}

/* At RF_ALIGN_DEFAULT, where nothing is checked. */
RF_RARE static void *alloc_bare(rf_cache *cache, const rf_block_request *r, const rf_origin *origin) {
  rf_slot *slot;
  void *const p = take_any(cache, rf_class_for(r->size + (r->size == 0)), origin, &slot);
  if (p == NULL) {
    return NULL;
  }
  make_live(cache, slot, r->size, r->family, rf_cache_keep(cache, origin, 0));
  count_alloc(cache, r->size);
  return r->zeroed ? memset(p, 0, r->size) : p;
}

/* At RF_ALIGN_DEFAULT. */
RF_INLINE void *alloc_small(rf_cache *cache, size_t size, rf_family family, bool zeroed, size_t kept,
                            const rf_origin *origin, uint32_t stack) {
  unsigned const class_number = rf_class_for(size + RF_TAIL_LEAST);
  rf_slot *slot;
  unsigned char *p = take_usual(cache, class_number, &slot);
  if (RF_UNLIKELY(p == NULL)) {
    p = take_any(cache, class_number, origin, &slot);
    if (p == NULL) {
      return NULL;
    }
  }
  fill_new(p, kept, size, zeroed);
  write_tail(p + size, p + rf_size_classes[class_number].size);
  count_alloc(cache, size);
  make_live(cache, slot, size, family, stack);
  return p;
}

void *rf_cache_malloc_slowly(rf_cache *cache, size_t size, rf_family family, const rf_origin *origin, uint32_t stack) {
  if (RF_UNLIKELY(!is_small(size)) || RF_UNLIKELY(!rf_heap_options_now.checked)) {
    rf_block_request const request = {size, RF_ALIGN_DEFAULT, family, false, false, 0};
    return rf_cache_alloc(cache, &request, origin);
  }
  return alloc_small(cache, size, family, false, 0, origin, stack);
}

void *rf_cache_zalloc_slowly(rf_cache *cache, size_t size, const rf_origin *origin, uint32_t stack) {
  return alloc_small(cache, size, RF_FAMILY_MALLOC, true, 0, origin, stack);
}

void *rf_cache_malloc(rf_cache *cache, size_t size, rf_family family, const rf_origin *origin) {
  size_t const most = rf_heap_options_now.fast_most;
  bool const fast = most != 0 && size <= most;
  uint32_t const stack = rf_cache_keep(cache, origin, 0);
  void *const p = fast ? rf_fast_alloc_any(cache, size, RF_PATTERN_NEW, family, stack) : NULL;
  if (rf_cache_has_more(cache)) {
    rf_cache_count_more(cache);
  }
  return p != NULL ? p : rf_cache_malloc_slowly(cache, size, family, origin, stack);
}

/* In a slot that has room for the payload wherever a multiple of the alignment is. */
static void *alloc_aligned(rf_cache *cache, const rf_block_request *r, const rf_origin *origin) {
  rf_slot *slot;
  size_t const align = r->align;
  unsigned const class_number = rf_class_for(r->size + align - RF_ALIGN_DEFAULT + RF_TAIL_LEAST);
  unsigned char *const begin = take_any(cache, class_number, origin, &slot);
  if (begin == NULL) {
    return NULL;
  }
  unsigned char *const p = (unsigned char *)(((uintptr_t)begin + align - 1) & ~(uintptr_t)(align - 1));
  make_live_at(cache, slot, r->size,
               rf_traits(RF_SLOT_LIVE, r->family, (unsigned)__builtin_ctzll(align), rf_heap_generation), origin);
  if (rf_heap_options_now.checked) {
    rf_span *const span = rf_span_of((uintptr_t)begin);
    fill_new(p, r->kept, r->size, r->zeroed);
    rf_check_gap(span, rf_span_index(span, (uintptr_t)begin));
    write_tail(p + r->size, begin + rf_size_classes[class_number].size);
  } else if (r->zeroed) {
    memset(p, 0, r->size);
  }
  count_alloc(cache, r->size);
  return p;
}

#define POPULATED_MOST ((size_t)1 << 20) /* bytes; pages of more are moved */

static void *alloc_large(rf_cache *cache, const rf_block_request *r, const rf_origin *origin) {
  bool fresh = false;
  rf_span *const span = rf_large_take(rf_cache_heap(cache), r, origin, &fresh);
  if (span == NULL) {
    cache->failures++;
    return NULL;
  }
  unsigned const align_log2 = (unsigned)__builtin_ctzll(r->align > RF_ALIGN_DEFAULT ? r->align : RF_ALIGN_DEFAULT);
  rf_slot *const slot = span->slots;
  make_live_at(cache, slot, 0, rf_traits(RF_SLOT_LIVE, r->family, align_log2, rf_heap_generation), origin);
  rf_view const view = rf_view_of(span, 0);
  if (fresh && r->kept < POPULATED_MOST) { /* which are copied there next */
    rf_pages_populate((uintptr_t)view.payload, (uintptr_t)view.payload + r->kept);
  }
  if (rf_heap_options_now.checked) {
    rf_check_gap(span, 0);
    write_many(view.payload + r->size, (size_t)(view.end - view.payload) - r->size, RF_PATTERN_REDZONE);
    size_t const filled = new_fill_of(r->size);
    if (!r->zeroed && r->kept < filled) {
      write_many(view.payload + r->kept, filled - r->kept, RF_PATTERN_NEW);
    }
  }
  if (r->zeroed && !fresh) {
    memset(view.payload, 0, r->size);
  }
  count_alloc(cache, r->size);
  return view.payload;
}

/* A span for a block that grows; NULL where it is to be in a slot. */
RF_RARE static void *alloc_grown(rf_cache *cache, const rf_block_request *r, const rf_origin *origin) {
  if (__atomic_load_n(&rf_heaps[rf_cache_heap(cache)].grown, __ATOMIC_RELAXED) >= RF_GROWN_MOST) {
    return NULL;
  }
  size_t const failures = cache->failures;
  void *const p = alloc_large(cache, r, origin);
  cache->failures = failures;
  return p;
}

void *rf_cache_alloc(rf_cache *cache, const rf_block_request *r, const rf_origin *origin) {
  bool const plain = r->align <= RF_ALIGN_DEFAULT;
  if (plain && is_small(r->size)) {
    void *const grown = r->growing && r->size > RF_GROWING_MOST ? alloc_grown(cache, r, origin) : NULL;
    if (grown != NULL) {
      return grown;
    }
    return rf_heap_options_now.checked
               ? alloc_small(cache, r->size, r->family, r->zeroed, r->kept, origin, rf_cache_keep(cache, origin, 0))
               : alloc_bare(cache, r, origin);
  }
  if (!plain && r->align < RF_SLOT_MOST && is_small(r->size) && is_small(r->size + r->align)) {
    return alloc_aligned(cache, r, origin);
  }
  return alloc_large(cache, r, origin);
}

/* ---- Free ---- */

RF_INLINE bool edges_hold(const unsigned char *p, size_t size, const unsigned char *end) {
  return is_zero(wrong_in_guard(p - RF_LANES)) && tail_holds(p + size, end);
}

/* Puts the slot of a freed block back; it serves again at once where nothing is checked. */
static void put_back(rf_cache *cache, const rf_view *v) {
  rf_slot_place const place = {v->begin, v->slot};
  if (v->span->large) {
    if (!rf_large_keep(v->span)) {
      rf_bins_put_large(cache, (rf_slot_place){(void *)v->span->base, v->slot});
    }
  } else if (rf_heap_options_now.checked) {
    rf_bins_wait(cache, v->span->class_number, place);
  } else {
    rf_bins_put_back(cache, v->span->class_number, place);
  }
}

void rf_cache_free_claimed(rf_cache *cache, const rf_view *v, size_t filled, uint32_t stack) {
  size_t const fill = rf_heap_options_now.checked ? rf_view_fill(v) : 0;
  if (filled < fill) {
    write_many(v->payload + filled, fill - filled, RF_PATTERN_FREED);
  }
  count_free(cache, v->size);
  note_release(cache, v->slot, stack);
  put_back(cache, v);
}

RF_RARE bool rf_cache_free_unusual(rf_cache *cache, const rf_view *v, rf_family family, size_t size,
                                   const rf_origin *origin) {
  uint16_t const traits = __atomic_load_n(&v->slot->traits, __ATOMIC_RELAXED);
  /* Not claimed to be checked: another thread that has claimed it to check it could not free it meanwhile. */
  bool const live = (traits & RF_TRAITS_STATE) == RF_SLOT_LIVE;
  if (live && rf_heap_options_now.checked) {
    if (!rf_check_live_intact(v)) {
      (void)rf_check_report(v, origin);
    }
    rf_bug const bug = rf_family_mismatch(rf_slot_family(v->slot), v->size, family, size);
    if (bug != RF_BUG_COUNT) {
      rf_check_mismatch(v, bug, family, size, origin);
    }
  }
  rf_view claimed = *v;
  if (!rf_view_claim(&claimed, traits)) {
    rf_check_bad_free(v->payload, origin);
    return false;
  }
  rf_cache_free_claimed(cache, &claimed, 0, rf_cache_keep(cache, origin, RF_FREES));
  return true;
}

/* Its memory is not there: nothing of it is read, written or given out again. */
static bool free_untouched(rf_cache *cache, const rf_view *v, const rf_origin *origin) {
  rf_view claimed = *v;
  if (!rf_view_claim(&claimed, __atomic_load_n(&v->slot->traits, __ATOMIC_RELAXED))) {
    rf_check_bad_free(v->payload, origin);
    return false;
  }
  count_free(cache, claimed.size);
  note_release(cache, claimed.slot, rf_cache_keep(cache, origin, RF_FREES));
  return true;
}

RF_RARE static bool free_long(rf_cache *cache, void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  rf_view v;
  if (!rf_view_at((uintptr_t)ptr, &v) || v.payload != ptr || rf_slot_state_of(v.slot) != RF_SLOT_LIVE) {
    rf_check_bad_free(ptr, origin);
    return false;
  }
  return rf_rights_return(&v) ? rf_cache_free_unusual(cache, &v, family, size, origin)
                              : free_untouched(cache, &v, origin);
}

/* A small block at the default alignment, of any size and whatever is filled, without a detour. */
bool rf_cache_free_slowly(rf_cache *cache, void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  unsigned char *const p = ptr;
  rf_span *const span = rf_span_of((uintptr_t)p);
  if (RF_UNLIKELY(span == NULL || (uintptr_t)p < span->base || span->large) || rf_span_is_restricted(span)) {
    return free_long(cache, ptr, family, size, origin);
  }
  unsigned const index = rf_span_index(span, (uintptr_t)p);
  size_t const slot_size = span->slot_size;
  rf_slot *const slot = &span->slots[index];
  size_t const seen = slot->size;
  uint16_t const traits = __atomic_load_n(&slot->traits, __ATOMIC_RELAXED);
  bool const plain = (traits & RF_TRAITS_BUT_GENERATION) == rf_traits(RF_SLOT_LIVE, family, RF_DEFAULT_ALIGN_LOG2, 0) &&
                     span->base + index * slot_size == (uintptr_t)p && (size == SIZE_MAX || size == seen) &&
                     rf_heap_options_now.checked;
  if (RF_UNLIKELY(!plain) || RF_UNLIKELY(!edges_hold(p, seen, p + slot_size)) ||
      RF_UNLIKELY(!rf_slot_claim(slot, traits))) {
    return free_long(cache, ptr, family, size, origin);
  }
  size_t const had = slot->size; /* as above */
  size_t const room = slot_size - RF_TAIL_LEAST;
  if (RF_LIKELY(rf_heap_options_now.fill_free >= RF_LANES)) {
    size_t const fill = rf_fill_of(had, room);
    write_before_tail(p, fill, RF_PATTERN_FREED);
    store(p + (fill == room ? room : had), lanes_of(RF_PATTERN_REDZONE)); /* over the end of the fill */
  }
  count_free(cache, had);
  note_release(cache, slot, rf_cache_keep(cache, origin, RF_FREES));
  rf_bins_wait(cache, span->class_number, (rf_slot_place){p, slot});
  return true;
}

bool rf_cache_free(rf_cache *cache, void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  const rf_span *const span = rf_heap_options_now.fast_most != 0 ? rf_span_of((uintptr_t)ptr) : NULL;
  uint32_t const stack = span != NULL ? rf_cache_keep(cache, origin, RF_FREES) : 0;
  rf_fast_result const result = rf_fast_free_any(cache, span, ptr, family, size, stack);
  if (RF_UNLIKELY(result == RF_FAST_NOT)) {
    return rf_cache_free_slowly(cache, ptr, family, size, origin);
  }
  if (RF_UNLIKELY(result == RF_FAST_AGE)) {
    rf_bins_age(cache);
  }
  return true;
}
