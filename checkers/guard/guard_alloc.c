/* rf_guard: allocation. */
#include "guard_inner.h"
#include "guard_quarantine.h"
#include "guard_ring.h"

/* ---- Memory from the inner allocator ---- */

RF_INLINE void *alloc_inner(rf_guard *guard, size_t total, size_t align, const rf_origin *origin, size_t *got) {
  rf_inner_call call;
  rf_inner_call_begin(&call);
  void *const block = guard->inner->ops->alloc(guard->inner, total, align, origin->site);
  if (block != NULL) {
    *got = is_watched(guard) ? total : inner_usable_size(guard, block, total); /* watched, slack is poisoned anyway */
  }
  call_end(guard, &call, origin);
  return block;
}

/* A decorator that does not name the allocator below it may have `owns` where that has none: the answer about a block
 * tells. And small blocks of one allocator all have the same remainder. */
RF_INLINE void learn_inner(rf_guard *guard, const void *block, size_t size, size_t got) {
  if (RF_UNLIKELY(guard->counters.allocations == 0)) {
    guard->has_owns = guard->has_owns && rf_owns(guard->inner, block);
  }
  if (RF_UNLIKELY(!guard->remainder_known) && queue_for(guard, size) != GUARD_OTHERS) {
    guard->remainder = (unsigned)(got % RF_GUARD_STEP);
    guard->remainder_known = true;
  }
}

RF_RARE static void *alloc_inner_after_flush(rf_guard *guard, size_t total, size_t align, const rf_origin *origin,
                                             size_t *got) {
  if (guard->quarantined == 0 || guard->inner_damaged) {
    return NULL;
  }
  rf_guard_flush_from(guard, 0, origin);
  return alloc_inner(guard, total, align, origin, got);
}

/* ---- Blocks ---- */

RF_INLINE uint16_t set_size(rf_guard_header *h, size_t size, size_t prefix, size_t got) {
  size_t const slack = got - prefix - size;
  size_t const back = slack < RF_GUARD_BACK_MAX ? slack : RF_GUARD_BACK_MAX;
  h->size = size;
  write_back_redzone(payload_of(h) + size, back);
  return (uint16_t)back;
}

uint16_t rf_guard_set_size(rf_guard_header *h, size_t size, size_t prefix, size_t got) {
  return set_size(h, size, prefix, got);
}

/* Makes a live block of `got` bytes, prefix included, whose front redzone is written. Leaves its payload, counts
 * nothing. */
RF_INLINE void make_live(rf_guard *guard, rf_guard_header *h, size_t size, size_t inner_align, size_t got,
                         rf_family family, const rf_origin *origin) {
  origin_kind kind;
  uintptr_t const allocated = keep_origin(guard, origin, false, &kind);
  uintptr_t body = checksum_body(guard, h, size, allocated);
  h->allocated = allocated;
#if RF_GUARD_THREADS
  uint32_t const me = this_thread();
  body ^= threads_part(me, 0);
  set_allocated_by(h, me);
#endif
  uint32_t const traits = set_size(h, size, prefix_for(inner_align), got) |
                          traits_for(STATE_LIVE, inner_align, family) | (uint32_t)kind << TRAITS_ALLOCATED;
  set_traits(h, traits);
  link_live(guard, h, body ^ traits);
  track_live(guard, h);
}

/* The same from the inner allocator. `inner_align` is at least GUARD_ALIGN. */
RF_INLINE rf_guard_header *make_block_at(rf_guard *guard, size_t size, size_t inner_align, rf_family family,
                                         const rf_origin *origin) {
  size_t got = 0;
  size_t const prefix = prefix_for(inner_align);
  if (RF_UNLIKELY(size > RF_SIZE_LIMIT - RF_GUARD_BACK_MIN - prefix)) {
    return NULL;
  }
  size_t const total = prefix + size + RF_GUARD_BACK_MIN;
  unsigned char *block = (unsigned char *)alloc_inner(guard, total, inner_align, origin, &got);
  if (RF_UNLIKELY(block == NULL)) {
    block = (unsigned char *)alloc_inner_after_flush(guard, total, inner_align, origin, &got);
    if (block == NULL) {
      return NULL;
    }
  }
  learn_inner(guard, block, size, got);
  rf_guard_header *const h = header_of(block + prefix);
  write_front_redzone(h);
  make_live(guard, h, size, inner_align, got, family, origin);
  return h;
}

/* The same from the oldest ripe block of its capacity; NULL where there is none. */
RF_INLINE rf_guard_header *make_block_again(rf_guard *guard, size_t size, rf_family family, const rf_origin *origin) {
  size_t const number = queue_for(guard, size);
  rf_guard_queue *const q = &guard->queues[number];
  guard_checksum parts;
  if (number == GUARD_OTHERS || q->ripe == 0 || is_watched(guard)) {
    return NULL;
  }
  rf_guard_header *const h = take_oldest(guard, q, origin, &parts);
  if (RF_UNLIKELY(h == NULL)) {
    return NULL;
  }
  make_live(guard, h, size, GUARD_ALIGN, RF_GUARD_PREFIX + h->size + h->back, family, origin);
  return h;
}

RF_RARE static rf_guard_header *make_block_default(rf_guard *guard, size_t size, rf_family family,
                                                   const rf_origin *origin) {
  return make_block_at(guard, size, GUARD_ALIGN, family, origin);
}

RF_RARE static rf_guard_header *make_block_aligned(rf_guard *guard, size_t size, size_t align, rf_family family,
                                                   const rf_origin *origin) {
  if (align > RF_SIZE_LIMIT / 4) {
    return NULL; /* no address space has room for it, and the prefix could wrap */
  }
  return make_block_at(guard, size, align, family, origin);
}

RF_INLINE rf_guard_header *make_block(rf_guard *guard, size_t size, size_t align, rf_family family,
                                      const rf_origin *origin) {
  if (RF_UNLIKELY(align > GUARD_ALIGN)) {
    return make_block_aligned(guard, size, align, family, origin);
  }
  rf_guard_header *const again = make_block_again(guard, size, family, origin);
  return again != NULL ? again : make_block_default(guard, size, family, origin);
}

rf_guard_header *rf_guard_make_block(rf_guard *guard, size_t size, size_t align, rf_family family,
                                     const rf_origin *origin) {
  return make_block(guard, size, align, family, origin);
}

/* ---- Entry points ---- */

/* rf_count_alloc with branches instead of conditional moves: peaks are passed rarely. */
RF_INLINE void count_alloc(rf_counters *c, size_t size) {
  size_t const used = c->used + size;
  size_t const blocks = c->blocks + 1;
  c->used = used;
  c->blocks = blocks;
  c->allocations++;
  if (RF_UNLIKELY(used > c->peak)) {
    c->peak = used;
  }
  if (RF_UNLIKELY(blocks > c->peak_blocks)) {
    c->peak_blocks = blocks;
  }
}

RF_INLINE rf_guard_header *new_block(rf_guard *guard, size_t size, size_t align, rf_family family,
                                     const rf_origin *origin) {
  rf_guard_header *const h = make_block(guard, size, align, family, origin);
  if (RF_UNLIKELY(h == NULL)) {
    guard->counters.failures++;
    return NULL;
  }
  count_alloc(&guard->counters, size);
  return h;
}

RF_INLINE void *alloc_filled(rf_guard *guard, size_t size, size_t align, rf_family family, const rf_origin *origin) {
  rf_guard_header *const h = new_block(guard, size, align, family, origin);
  if (h == NULL) {
    return NULL;
  }
  write_new(guard, payload_of(h), size);
  return payload_of(h);
}

void *rf_guard_alloc_from(rf_guard *guard, size_t size, size_t align, rf_family family, const rf_origin *origin) {
  return alloc_filled(guard, size, align, family, rf_origin_or_none(origin));
}

void *rf_guard_zalloc_from(rf_guard *guard, size_t size, size_t align, rf_family family, const rf_origin *origin) {
  rf_guard_header *const h = new_block(guard, size, align, family, rf_origin_or_none(origin));
  return h != NULL ? memset(payload_of(h), 0, size) : NULL;
}

void *rf_guard_op_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  return alloc_filled(guard_of(self), size, align, RF_FAMILY_MALLOC, &origin);
}
