/* A look at an object that the program hands to a short function of the C library, where each nanosecond counts. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_FREED_H
#define RINGFENCE_DROPIN_INTERCEPT_FREED_H

#include "checkers/dropin/heap/span.h"
#include "checkers/dropin/runtime/state.h"

#include <stdbool.h>
#include <stdint.h>

#include "checkers/page/page_store.h"

/* True of all in freed blocks of the heap, and of all in blocks on pages. Loads of the heap's map, of a span's and of a
 * slot's description; any thread, signal handlers. */
static inline bool rf_may_be_freed(const void *object) {
  uintptr_t const address = (uintptr_t)object;
  if (!rf_process.checked) {
    return false;
  }
  const rf_span *const span = rf_span_holding(address);
  if (span == NULL) {
    return rf_page_may_be(object);
  }
  unsigned const index = address >= span->base ? rf_span_index(span, address) : span->count;
  return index < span->count && rf_slot_state_of(&span->slots[index]) == RF_SLOT_FREED;
}

/* A function whose common way ends in a jump, without a frame of its own; the other way is jumped to, and so has the
 * same caller. */
#if defined(__clang__)
#define NO_FRAME
#else
#define NO_FRAME __attribute__((optimize("omit-frame-pointer")))
#endif

#endif /* RINGFENCE_DROPIN_INTERCEPT_FREED_H */
