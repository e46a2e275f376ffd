#include "cache.h"

#include "cache_impl.h"
#include "check.h"
#include "fill.h"
#include "large.h"

#include <string.h>

#include "checkers/shared/family.h"
#include "checkers/shared/origin.h"
#include "lib/core/compiler.h"

#define DEFAULT_ALIGN_LOG2 4U

_Static_assert(RF_ALIGN_DEFAULT == 16, "slots begin at multiples of it");

/* ---- Origins ---- */

RF_RARE static uint32_t keep_caller(const rf_origin *origin) {
  const rf_heap_options *const o = &rf_heap_options_now;
  return o->depot != NULL && origin->caller != 0 ? rf_stack_depot_put(o->depot, &origin->caller, 1) : 0;
}

RF_INLINE uint32_t keep_origin(const rf_origin *origin) {
  unsigned const depth = rf_heap_options_now.stack_depth;
  return RF_LIKELY(depth != 0) ? rf_stack_depot_put_from(rf_heap_options_now.depot, origin, depth)
                               : keep_caller(origin);
}

/* ---- Slots to give out ---- */

/* The number of a heap whose lock this thread does not hold: else it is a signal handler that interrupted itself. */
static unsigned heap_of(const rf_cache *cache) {
  unsigned number = cache->heap;
  for (unsigned i = 0; i < rf_heap_count && (rf_heaps_held >> number & 1U) != 0; i++) {
    number = (number + 1) % rf_heap_count;
  }
  return number;
}

RF_RARE static bool refill(rf_cache *cache, unsigned class_number) {
  const rf_size_class *const c = &rf_size_classes[class_number];
  unsigned const got = rf_slots_take(heap_of(cache), class_number, cache->slots + c->first, c->batch);
  cache->count[class_number] = (uint16_t)got;
  return got != 0;
}

/* The ones that were put first go. */
RF_RARE static bool give_batch(rf_cache *cache, unsigned class_number) {
  const rf_size_class *const c = &rf_size_classes[class_number];
  rf_slot_place *const slots = cache->slots + c->first;
  unsigned left = c->batch;
  bool const done = rf_slots_give(slots, &left);
  unsigned const gone = c->batch - left;
  memmove(slots + left, slots + c->batch, (cache->count[class_number] - c->batch) * sizeof *slots);
  cache->count[class_number] = (uint16_t)(cache->count[class_number] - gone);
  cache->stuck = !done;
  return done || gone != 0;
}

/* False where there is no room, which is so for handlers of signals alone. */
RF_INLINE bool put_slot(rf_cache *cache, unsigned class_number, rf_slot_place place) {
  const rf_size_class *const c = &rf_size_classes[class_number];
  if (RF_UNLIKELY(cache->count[class_number] == c->most) && !give_batch(cache, class_number)) {
    return false;
  }
  cache->slots[c->first + cache->count[class_number]++] = place;
  return true;
}

/* ---- The ring ---- */

RF_INLINE rf_slot_place place_of(rf_waiting waiting) {
  uintptr_t const begin = (uintptr_t)(waiting.place & (((uint64_t)1 << RF_RING_CLASS) - 1));
  return (rf_slot_place){(void *)begin, waiting.slot};
}

/* The oldest, which is no slot that there is room for. */
RF_RARE static bool take_out_unusual(rf_cache *cache, rf_waiting oldest) {
  unsigned const class_number = (unsigned)(oldest.place >> RF_RING_CLASS);
  if (class_number == RF_RING_LARGE) {
    return rf_large_keep(rf_span_of((uintptr_t)place_of(oldest).begin));
  }
  return put_slot(cache, class_number, place_of(oldest));
}

RF_INLINE bool take_out(rf_cache *cache) {
  rf_waiting const oldest = cache->ring[cache->ring_first & cache->ring_mask];
  unsigned const class_number = (unsigned)(oldest.place >> RF_RING_CLASS);
  const rf_size_class *const c = &rf_size_classes[class_number];
  if (RF_LIKELY(class_number < RF_CLASSES) && RF_LIKELY(cache->count[class_number] < c->most)) {
    cache->slots[c->first + cache->count[class_number]++] = place_of(oldest);
  } else if (!take_out_unusual(cache, oldest)) {
    return false;
  }
  cache->ring_bytes -= class_number < RF_CLASSES ? c->size : 0;
  cache->ring_first++;
  cache->ring_count--;
  return true;
}

RF_INLINE void put_in_ring(rf_cache *cache, rf_slot_place place, unsigned class_number) {
  uint32_t const at = cache->ring_first + cache->ring_count++;
  cache->ring[at & cache->ring_mask] =
      (rf_waiting){(uintptr_t)place.begin | (uint64_t)class_number << RF_RING_CLASS, place.slot};
}

/* A ring that is full is so in handlers of signals alone: the cache is lent to nobody until its owner is back. */
RF_INLINE void wait_in_ring(rf_cache *cache, rf_slot_place place, unsigned class_number, size_t bytes) {
  cache->ring_bytes += bytes;
  put_in_ring(cache, place, class_number);
  while (cache->ring_bytes > rf_cache_wait || cache->ring_count > cache->ring_mask) {
    if (RF_UNLIKELY(!take_out(cache))) {
      cache->stuck = true;
      return;
    }
  }
}

void rf_cache_flush(rf_cache *cache) {
  while (cache->ring_count != 0 && take_out(cache)) {
  }
  for (unsigned i = 0; i < RF_CLASSES; i++) {
    unsigned left = cache->count[i];
    (void)rf_slots_give(cache->slots + rf_size_classes[i].first, &left);
    cache->count[i] = (uint16_t)left;
  }
}

/* ---- Counting ---- */

RF_INLINE void count_alloc(rf_cache *c, size_t size) {
  uint64_t const requested = c->requested + size;
  size_t const allocations = c->allocations + 1;
  size_t const used = (size_t)(requested - c->returned);
  c->requested = requested;
  c->allocations = allocations;
  if (RF_UNLIKELY((ptrdiff_t)(used - c->peak) > 0)) {
    c->peak = used;
  }
  if (RF_UNLIKELY((ptrdiff_t)(allocations - c->frees - c->peak_blocks) > 0)) {
    c->peak_blocks = allocations - c->frees;
  }
  rf_cache_counted(c);
}

RF_INLINE void count_free(rf_cache *c, size_t size) {
  c->returned += size;
  c->frees++;
}

/* ---- Allocation ---- */

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

#define PLAIN_FREED (RF_SLOT_FREED | DEFAULT_ALIGN_LOG2 << RF_TRAITS_ALIGN)
#define PLAIN_MASK (RF_TRAITS_STATE | 63U << RF_TRAITS_ALIGN)

/* True where it was a block at the default alignment, and nothing was written there since. */
RF_INLINE bool is_usual(const rf_slot *slot, const unsigned char *begin, size_t slot_size) {
  size_t const size = slot->size;
  size_t const most = rf_heap_options_now.fill_free;
  return RF_LIKELY((slot->traits & PLAIN_MASK) == PLAIN_FREED) && fill_holds(begin, size < most ? size : most) &&
         tail_holds(begin + size, begin + slot_size);
}

/* A slot of the class, which is the caller's, looked at; NULL where there is no memory. */
RF_RARE static void *take_any(rf_cache *cache, unsigned class_number, const rf_origin *origin, rf_slot **slot) {
  rf_slot_place place;
  do {
    if (cache->count[class_number] == 0 && !refill(cache, class_number)) {
      cache->failures++;
      return NULL;
    }
    place = cache->slots[rf_size_classes[class_number].first + --cache->count[class_number]];
  } while (!may_use(place, origin));
  *slot = place.slot;
  return place.begin;
}

/* The same, where a cache has one, and it is as usual; else NULL, and nothing was done. What the next request of the
 * class will look at waited long, and is in no near cache. */
RF_INLINE unsigned char *take_usual(rf_cache *cache, unsigned class_number, rf_slot **slot) {
  const rf_size_class *const c = &rf_size_classes[class_number];
  unsigned const count = cache->count[class_number];
  if (RF_UNLIKELY(count == 0)) {
    return NULL;
  }
  rf_slot_place const *const top = &cache->slots[c->first + count - 1];
  rf_slot_place const *const next = top - (count > 1);
  unsigned char *const begin = top->begin;
  *slot = top->slot;
  __builtin_prefetch(next->begin, 1);
  __builtin_prefetch(next->slot, 1);
  if (RF_UNLIKELY(!is_usual(*slot, begin, c->size))) {
    return NULL;
  }
  cache->count[class_number] = (uint16_t)(count - 1);
  return begin;
}

RF_INLINE void fill_new(unsigned char *p, size_t size, bool zeroed) {
  size_t const most = rf_heap_options_now.fill_alloc;
  if (zeroed) {
    memset(p, 0, size);
  } else if (most >= RF_LANES) {
    write_before_tail(p, size < most ? size : most, RF_PATTERN_NEW);
  }
}

RF_INLINE void make_live(const rf_cache *cache, rf_slot *slot, size_t size, uint16_t traits, const rf_origin *origin) {
  slot->allocated = keep_origin(origin);
  slot->released = 0;
  slot->size = (uint16_t)size;
  slot->allocated_by = cache->number;
  slot->released_by = 0;
  slot->traits = traits;
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
  make_live(cache, slot, r->size, rf_traits(RF_SLOT_LIVE, r->family, DEFAULT_ALIGN_LOG2, rf_heap_generation), origin);
  count_alloc(cache, r->size);
  return r->zeroed ? memset(p, 0, r->size) : p;
}

/* At RF_ALIGN_DEFAULT. */
RF_INLINE void *alloc_small(rf_cache *cache, size_t size, rf_family family, bool zeroed, const rf_origin *origin) {
  unsigned const class_number = rf_class_for(size + RF_TAIL_LEAST);
  rf_slot *slot;
  unsigned char *p = take_usual(cache, class_number, &slot);
  if (RF_UNLIKELY(p == NULL)) {
    p = take_any(cache, class_number, origin, &slot);
    if (p == NULL) {
      return NULL;
    }
  }
  fill_new(p, size, zeroed);
  write_tail(p + size, p + rf_size_classes[class_number].size);
  count_alloc(cache, size);
  make_live(cache, slot, size, rf_traits(RF_SLOT_LIVE, family, DEFAULT_ALIGN_LOG2, rf_heap_generation), origin);
  return p;
}

void *rf_cache_malloc(rf_cache *cache, size_t size, rf_family family, const rf_origin *origin) {
  if (RF_UNLIKELY(!is_small(size)) || RF_UNLIKELY(!rf_heap_options_now.checked)) {
    rf_block_request const request = {size, RF_ALIGN_DEFAULT, family, false, false};
    return rf_cache_alloc(cache, &request, origin);
  }
  return alloc_small(cache, size, family, false, origin);
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
  slot->traits = rf_traits(RF_SLOT_LIVE, r->family, (unsigned)__builtin_ctzll(align), rf_heap_generation);
  make_live(cache, slot, r->size, slot->traits, origin);
  if (rf_heap_options_now.checked) {
    rf_span *const span = rf_span_of((uintptr_t)begin);
    fill_new(p, r->size, r->zeroed);
    rf_check_gap(span, rf_span_index(span, (uintptr_t)begin));
    write_tail(p + r->size, begin + rf_size_classes[class_number].size);
  } else if (r->zeroed) {
    memset(p, 0, r->size);
  }
  count_alloc(cache, r->size);
  return p;
}

static void *alloc_large(rf_cache *cache, const rf_block_request *r, const rf_origin *origin) {
  bool fresh = false;
  rf_span *const span = rf_large_take(heap_of(cache), r, origin, &fresh);
  if (span == NULL) {
    cache->failures++;
    return NULL;
  }
  unsigned const align_log2 = (unsigned)__builtin_ctzll(r->align > RF_ALIGN_DEFAULT ? r->align : RF_ALIGN_DEFAULT);
  rf_slot *const slot = span->slots;
  make_live(cache, slot, 0, rf_traits(RF_SLOT_LIVE, r->family, align_log2, rf_heap_generation), origin);
  rf_view const view = rf_view_of(span, 0);
  if (rf_heap_options_now.checked) {
    rf_check_gap(span, 0);
    write_many(view.payload + r->size, (size_t)(view.end - view.payload) - r->size, RF_PATTERN_REDZONE);
    if (!r->zeroed) {
      size_t const most = rf_heap_options_now.fill_alloc;
      write_many(view.payload, r->size < most ? r->size : most, RF_PATTERN_NEW);
    }
  }
  if (r->zeroed && !fresh) {
    memset(view.payload, 0, r->size);
  }
  count_alloc(cache, r->size);
  return view.payload;
}

void *rf_cache_alloc(rf_cache *cache, const rf_block_request *r, const rf_origin *origin) {
  bool const plain = r->align <= RF_ALIGN_DEFAULT;
  if (plain && is_small(r->size)) {
    return rf_heap_options_now.checked ? alloc_small(cache, r->size, r->family, r->zeroed, origin)
                                       : alloc_bare(cache, r, origin);
  }
  if (!plain && r->align < RF_SLOT_MOST && is_small(r->size) && is_small(r->size + r->align)) {
    return alloc_aligned(cache, r, origin);
  }
  return alloc_large(cache, r, origin);
}

/* ---- Free ---- */

RF_INLINE bool edges_hold(const unsigned char *p, size_t size, const unsigned char *end) {
  return is_zero(load(p - RF_LANES) ^ lanes_of(RF_PATTERN_REDZONE)) && tail_holds(p + size, end);
}

RF_INLINE void release(rf_cache *cache, rf_slot *slot, const rf_origin *origin) {
  slot->released = keep_origin(origin);
  slot->released_by = cache->number;
  slot->traits = (uint16_t)((slot->traits & ~RF_TRAITS_STATE) | RF_SLOT_FREED);
}

/* Where nothing is checked a slot serves again at once. */
static void put_back(rf_cache *cache, const rf_view *v) {
  unsigned const class_number = v->span->class_number;
  if (v->span->large) {
    if (!rf_large_keep(v->span)) {
      put_in_ring(cache, (rf_slot_place){(void *)v->span->base, v->slot}, RF_RING_LARGE);
    }
  } else if (rf_heap_options_now.checked) {
    wait_in_ring(cache, (rf_slot_place){v->begin, v->slot}, class_number, v->span->slot_size);
  } else if (!put_slot(cache, class_number, (rf_slot_place){v->begin, v->slot})) {
    cache->ring_bytes += v->span->slot_size;
    put_in_ring(cache, (rf_slot_place){v->begin, v->slot}, class_number);
  }
}

RF_RARE void rf_cache_free_unusual(rf_cache *cache, const rf_view *v, rf_family family, size_t size,
                                   const rf_origin *origin) {
  if (rf_heap_options_now.checked) {
    if (!rf_check_intact(v) || !rf_check_front_holds(v)) {
      (void)rf_check_report(v, origin);
    }
    rf_bug const bug = rf_family_mismatch(rf_slot_family(v->slot), v->size, family, size);
    if (bug != RF_BUG_COUNT) {
      rf_check_mismatch(v, bug, family, size, origin);
    }
    write_many(v->payload, rf_fill_of(v->size), RF_PATTERN_FREED);
  }
  count_free(cache, v->size);
  release(cache, v->slot, origin);
  put_back(cache, v);
}

RF_RARE static bool free_long(rf_cache *cache, void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  rf_view v;
  if (!rf_view_at((uintptr_t)ptr, &v) || v.payload != ptr || rf_slot_state_of(v.slot) != RF_SLOT_LIVE) {
    rf_check_bad_free(ptr, origin);
    return false;
  }
  rf_cache_free_unusual(cache, &v, family, size, origin);
  return true;
}

bool rf_cache_free(rf_cache *cache, void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  unsigned char *const p = ptr;
  rf_span *const span = rf_span_of((uintptr_t)p);
  if (RF_UNLIKELY(span == NULL || (uintptr_t)p < span->base || span->large)) {
    return free_long(cache, ptr, family, size, origin);
  }
  unsigned const index = rf_span_index(span, (uintptr_t)p);
  size_t const slot_size = span->slot_size;
  rf_slot *const slot = &span->slots[index];
  size_t const had = slot->size;
  bool const plain =
      (slot->traits & RF_TRAITS_BUT_GENERATION) == rf_traits(RF_SLOT_LIVE, family, DEFAULT_ALIGN_LOG2, 0) &&
      span->base + index * slot_size == (uintptr_t)p && (size == SIZE_MAX || size == had) &&
      rf_heap_options_now.checked;
  if (RF_UNLIKELY(!plain) || RF_UNLIKELY(!edges_hold(p, had, p + slot_size))) {
    return free_long(cache, ptr, family, size, origin);
  }
  size_t const most = rf_heap_options_now.fill_free;
  if (RF_LIKELY(most >= RF_LANES)) {
    write_before_tail(p, had < most ? had : most, RF_PATTERN_FREED);
    store(p + had, lanes_of(RF_PATTERN_REDZONE)); /* over the end of the fill */
  }
  count_free(cache, had);
  release(cache, slot, origin);
  wait_in_ring(cache, (rf_slot_place){p, slot}, span->class_number, slot_size);
  return true;
}
