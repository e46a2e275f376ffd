/* rf_guard: free. */
#include "guard_lookup.h"
#include "guard_quarantine.h"
#include "guard_ring.h"

/* A live block, unlinked and checked, becomes a freed one. `parts` are those of its checksum; `prefix` is its own. */
RF_INLINE void release(rf_guard *guard, rf_guard_header *h, guard_checksum parts, size_t prefix,
                       const rf_origin *origin) {
  size_t const total = prefix + h->size + h->back;
  origin_kind kind;
  uintptr_t const released = keep_origin(guard, origin, true, &kind);
  write_pattern(payload_of(h), h->size, guard->options.fill_free, RF_PATTERN_FREED, freed_edge);
  uint32_t const other_traits = (STATE_LIVE ^ STATE_FREED) * TRAITS_STATE_UNIT ^ (uint32_t)kind << TRAITS_RELEASED;
  parts.body ^= other_traits;
  set_traits(h, traits_of(h) ^ other_traits);
#if RF_GUARD_THREADS
  uint32_t const me = this_thread();
  parts.body ^= threads_part(0, me); /* 0 so far */
  h->released_by = me;
#endif
  parts.next = checksum_next(0);
  parts.prev = checksum_prev(released);
  h->next = NULL;
  h->u.released = released;
  h->checksum = checksum_of(parts);
  track_freed(guard, h);
  if (RF_UNLIKELY(total > guard->options.quarantine)) {
    rf_guard_retire(guard, h, parts, origin);
    return;
  }
  quarantine_put(guard, h, prefix, total);
  if (RF_UNLIKELY(guard->quarantined > guard->options.quarantine)) {
    rf_guard_flush_from(guard, guard->options.quarantine, origin);
  }
}

void rf_guard_release(rf_guard *guard, rf_guard_header *h, const rf_origin *origin) {
  guard_checksum const parts = checksum_parts(guard, h, h);
  if (RF_UNLIKELY(!rf_guard_sound(guard, h, STATE_LIVE))) {
    (void)rf_guard_repair(guard, origin); /* a damaged inner allocator made another block over it */
    return;
  }
  unlink_live(h, parts);
  release(guard, h, parts, prefix_of(h), origin);
}

void rf_guard_report_mismatch(rf_guard *guard, const rf_guard_header *h, rf_bug bug, rf_family family, size_t size,
                              const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, bug, RF_ACCESS_FREE, payload_of(h), origin);
  rf_guard_finding_block(guard, &f, h);
  rf_finding_families(&f, family_of(h), family, size);
  rf_report(guard->options.reporter, &f);
}

RF_INLINE rf_status free_live(rf_guard *guard, rf_guard_header *h, guard_checksum parts, size_t prefix,
                              const rf_origin *origin) {
  check_redzones(guard, h, origin);
  unlink_live(h, parts);
  rf_count_free(&guard->counters, h->size);
  release(guard, h, parts, prefix, origin);
  return RF_OK;
}

/* The same for a block with a larger alignment, another family, or a wrong size. */
RF_RARE static rf_status free_special(rf_guard *guard, rf_guard_header *h, rf_family family, size_t size,
                                      const rf_origin *origin) {
  guard_checksum const parts = checksum_parts(guard, h, h);
  check_redzones(guard, h, origin);
  check_family(guard, h, family, size, origin);
  return free_live(guard, h, parts, prefix_of(h), origin);
}

RF_INLINE rf_status free_checked(rf_guard *guard, void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  rf_guard_header *const h = header_of(ptr);
  guard_checksum parts;
  if (RF_UNLIKELY(!is_live(guard, ptr, &parts))) {
    return rf_guard_bad_free(guard, ptr, origin);
  }
  __builtin_prefetch(h->next, 1);
  __builtin_prefetch(h->u.prev, 1);
  bool const plain = (traits_of(h) & TRAITS_BUT_ORIGINS) == traits_for(STATE_LIVE, GUARD_ALIGN, family);
  if (RF_UNLIKELY(!plain || (size != SIZE_MAX && size != h->size))) {
    return free_special(guard, h, family, size, origin);
  }
  return free_live(guard, h, parts, RF_GUARD_PREFIX, origin);
}

/* ---- Entry points ---- */

rf_status rf_guard_free_from(rf_guard *guard, void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  return free_checked(guard, ptr, family, size, rf_origin_or_none(origin));
}

rf_status rf_guard_op_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  return free_checked(guard_of(self), ptr, RF_FAMILY_MALLOC, SIZE_MAX, &origin);
}
