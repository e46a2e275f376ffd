/* Lookup of a block by pointer, for the common paths of rf_guard: is `ptr` the start of a live block? Internal to
 * guard*.c. */
#ifndef RINGFENCE_GUARD_LOOKUP_H
#define RINGFENCE_GUARD_LOOKUP_H

#include "guard_impl.h"

/* Bytes on the page of readable memory are readable. Bare targets have no pages: a device may lie beside their memory,
 * and reading it may have effects. */
RF_INLINE bool on_one_page(const void *p, const void *q) {
  return RF_GUARD_THREADS && ((uintptr_t)p ^ (uintptr_t)q) < RF_GUARD_PAGE;
}

RF_INLINE bool has_memory(const rf_guard *guard, const void *p, size_t size) {
  rf_allocator *const inner = guard->inner;
  if (!guard->has_owns) {
    return rf_host_readable(p, size);
  }
  const void *const last = (const void *)((uintptr_t)p + (size - 1));
  return inner->ops->owns(inner, p) && (on_one_page(p, last) || inner->ops->owns(inner, last));
}

RF_INLINE bool reachable(const rf_guard *guard, const void *ptr) {
  return (uintptr_t)ptr > RF_GUARD_PREFIX && has_memory(guard, header_of(ptr), RF_GUARD_PREFIX);
}

/* ---- Pages that are known ----
 *
 * The inner allocator gives up pages in its own free and resize only, and never one with a live block. So the page of a
 * live block stays readable up to the next such call. */

#if RF_GUARD_THREADS
RF_INLINE uintptr_t *known_page_slot(rf_guard *guard, const void *ptr) {
  return &guard->pages[(uintptr_t)ptr / RF_GUARD_PAGE % RF_GUARD_PAGES];
}

RF_INLINE uintptr_t page_and_epoch(const rf_guard *guard, const void *ptr) {
  return ((uintptr_t)ptr & ~(uintptr_t)(RF_GUARD_PAGE - 1)) | guard->page_epoch;
}

/* The header before `ptr` is on the same page, which is known. */
RF_INLINE bool is_on_known_page(rf_guard *guard, const void *ptr) {
  return (uintptr_t)ptr % RF_GUARD_PAGE >= RF_GUARD_PREFIX &&
         *known_page_slot(guard, ptr) == page_and_epoch(guard, ptr);
}

RF_INLINE void know_page(rf_guard *guard, const void *ptr) {
  if (guard->has_owns && (uintptr_t)ptr % RF_GUARD_PAGE >= RF_GUARD_PREFIX) {
    *known_page_slot(guard, ptr) = page_and_epoch(guard, ptr);
  }
}
#else
RF_INLINE bool is_on_known_page(rf_guard *guard, const void *ptr) {
  (void)guard;
  (void)ptr;
  return false;
}

RF_INLINE void know_page(rf_guard *guard, const void *ptr) {
  (void)guard;
  (void)ptr;
}
#endif

/* True where the readable bytes before `ptr` are the header of a live block. Fills in the parts of its checksum. */
RF_NO_SANITIZE RF_NO_SANITIZE_INLINE bool is_header_of_live(const rf_guard *guard, const void *ptr,
                                                            guard_checksum *parts) {
  const rf_guard_header *const h = header_of(ptr);
  *parts = checksum_parts(guard, h, h);
  return h->checksum == checksum_of(*parts) && (traits_of(h) & TRAITS_STATE) == STATE_LIVE * TRAITS_STATE_UNIT;
}

RF_INLINE bool is_live(rf_guard *guard, const void *ptr, guard_checksum *parts) {
  if (RF_UNLIKELY(!rf_is_aligned(ptr, GUARD_ALIGN))) {
    return false;
  }
  return RF_LIKELY(is_on_known_page(guard, ptr)) ? is_header_of_live(guard, ptr, parts)
                                                 : rf_guard_is_live_on_new_page(guard, ptr, parts);
}

#endif /* RINGFENCE_GUARD_LOOKUP_H */
