/* Calls of the C library that take something from pages, in which blocks may lie. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_UNSEEN_H
#define RINGFENCE_DROPIN_INTERCEPT_UNSEEN_H

#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/runtime/own_cache.h"

/* Calls `make`, and returns what it does. No check looks at the bytes around blocks of this memory meanwhile: for that
 * it would have stopped all threads outside of the heap, or have the store's lock. */
static inline int rf_make_unseen(const void *start, size_t size, int (*make)(void *), void *context) {
  if (rf_heap_lies_in(start, size)) {
    rf_cache *const cache = rf_enter();
    int const result = make(context);
    if (cache != NULL) {
      rf_leave(cache);
    }
    return result;
  }
  return rf_guarded_blocks.store != NULL ? rf_page_store_unseen(rf_guarded_blocks.store, start, size, make, context)
                                         : make(context);
}

#endif /* RINGFENCE_DROPIN_INTERCEPT_UNSEEN_H */
