/* Calls of rf_guard into the inner allocator, whose faults become findings. Internal to guard*.c. */
#ifndef RINGFENCE_GUARD_INNER_H
#define RINGFENCE_GUARD_INNER_H

#include "guard_impl.h"

/* The inner allocator may give up pages. */
RF_INLINE void forget_pages(rf_guard *guard) {
#if RF_GUARD_THREADS
  if (RF_UNLIKELY(++guard->page_epoch == RF_GUARD_PAGE)) {
    guard->page_epoch = 1;
    memset(guard->pages, 0, sizeof guard->pages);
  }
#else
  (void)guard;
#endif
}

RF_INLINE void call_end(rf_guard *guard, rf_inner_call *call, const rf_origin *origin) {
  if (rf_inner_call_end(call)) {
    rf_guard_report_inner(guard, &call->fault, origin);
  }
}

/* How much of the inner block may be written, at least `asked`. */
static inline size_t inner_usable_size(rf_guard *guard, const void *block, size_t asked) {
  rf_allocator *const inner = guard->inner;
  size_t const usable = inner->ops->usable_size != NULL ? inner->ops->usable_size(inner, block) : 0;
  return usable < asked ? asked : usable;
}

#endif /* RINGFENCE_GUARD_INNER_H */
