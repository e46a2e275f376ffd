/* Other options for a heap that was used before: for the files of this folder. */
#ifndef RINGFENCE_DROPIN_HEAP_TESTING_CONFIGURE_H
#define RINGFENCE_DROPIN_HEAP_TESTING_CONFIGURE_H

#include "checkers/dropin/heap/cache.h"
#include "checkers/dropin/heap/check.h"
#include "checkers/dropin/heap/large.h"
#include "checkers/dropin/heap/walk.h"

/* Blocks that were freed under other options are as if they had never been used. */
static inline void forget_freed(void) {
  for (rf_span *span = rf_span_above(0); span != NULL; span = rf_span_above(rf_span_start(span) + span->bytes)) {
    for (unsigned i = 0; i < span->carved && !span->large; i++) {
      span->slots[i].traits = RF_SLOT_NEW;
      rf_check_carved(span, i);
    }
    rf_check_front(span);
  }
}

/* While no block is live. `guard` may be NULL: nothing is checked. */
static inline void configure(const rf_guard_options *guard,
                             void (*refused)(rf_status status, const void *ptr, const rf_origin *origin)) {
  rf_heap_options o = rf_heap_options_of(guard);
  o.refused = refused;
  if (rf_heap_count == 0) {
    rf_heap_init(1);
  }
  (void)rf_large_trim();
  rf_heap_configure(&o);
  forget_freed();
}

#endif /* RINGFENCE_DROPIN_HEAP_TESTING_CONFIGURE_H */
