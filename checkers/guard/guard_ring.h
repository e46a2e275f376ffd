/* The ring of live blocks, and the origins that rf_guard keeps with each block. Internal to guard*.c. */
#ifndef RINGFENCE_GUARD_RING_H
#define RINGFENCE_GUARD_RING_H

#include "guard_impl.h"

/* ---- Origins ---- */

/* The word that stands for `origin`, of a call that allocates or frees, in a header. */
RF_INLINE uintptr_t keep_origin(rf_guard *guard, const rf_origin *origin, bool frees, origin_kind *kind) {
  if (guard->options.stack_depth != 0 && guard->options.depot != NULL) {
    bool const with_site = origin->site != NULL;
    unsigned const depth = guard->options.stack_depth;
    uint32_t const stack = with_site ? rf_guard_put_stack_and_site(guard, origin, frees)
                           : frees   ? rf_stack_depot_put_free_from(guard->options.depot, origin, depth)
                                     : rf_stack_depot_put_from(guard->options.depot, origin, depth);
    if (stack != 0) {
      *kind = with_site ? ORIGIN_SITE_AND_STACK : ORIGIN_STACK;
      return stack;
    }
  }
  if (origin->site != NULL || origin->caller == 0) {
    *kind = ORIGIN_SITE;
    return (uintptr_t)origin->site;
  }
  *kind = ORIGIN_CALLER;
  return origin->caller;
}

/* ---- The ring ---- */

/* Makes `h`, complete but for links and checksum, the newest; `body` is the checksum of the rest. */
RF_INLINE void link_live(rf_guard *guard, rf_guard_header *h, uintptr_t body) {
  rf_guard_header *const newest = guard->live.next;
  guard_checksum const parts = {body, checksum_next((uintptr_t)newest), checksum_prev((uintptr_t)&guard->live)};
  h->next = newest;
  h->u.prev = &guard->live;
  h->checksum = checksum_of(parts);
  if (RF_LIKELY(newest->u.prev == &guard->live)) { /* else it was overwritten, and the checksum must stay wrong */
    newest->checksum += checksum_prev((uintptr_t)h) - parts.prev;
  }
  newest->u.prev = h;
  guard->live.next = h;
}

/* Changes a neighbour only where its link agrees: an overwritten header stays as it is, to be found damaged later. */
RF_INLINE void unlink_live(rf_guard_header *h, guard_checksum parts) {
  rf_guard_header *const next = h->next;
  rf_guard_header *const prev = h->u.prev;
  if (RF_LIKELY(next->u.prev == h)) {
    next->checksum += parts.prev - checksum_prev((uintptr_t)h);
    next->u.prev = prev;
  }
  if (RF_LIKELY(prev->next == h)) {
    prev->checksum += parts.next - checksum_next((uintptr_t)h);
    prev->next = next;
  }
}

#endif /* RINGFENCE_GUARD_RING_H */
