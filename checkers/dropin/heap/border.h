/* Spans that touch. The guard bytes before the first block of a span are that block's alone, and those behind the last
 * block of the span below are another's: an overflow of that one, or an underflow of the first, may have run over both.
 *
 * Complexity: O(1), a look at the page map. Threads: nothing is seen, nor mended, unless the caller has stopped the
 * others at the border of the heap: one of them might give the memory of the other span back. */
#ifndef RINGFENCE_DROPIN_BORDER_H
#define RINGFENCE_DROPIN_BORDER_H

#include "span.h"

/* The span below, where the guard bytes before this one's first block are overwritten from the first on. Else NULL. */
rf_span *rf_border_below(const rf_span *span);

/* Mends the guard bytes before the span above, into which an overflow from this one ran on. That span, where they were
 * overwritten to the last one; else NULL. */
rf_span *rf_border_mend_above(const rf_span *span);

/* The span that begins where the last block below it ends, if all guard bytes before its first block are overwritten,
 * as by an underflow of that one. Else NULL. Nothing is mended. */
rf_span *rf_border_hit_above(uintptr_t end);

#endif /* RINGFENCE_DROPIN_BORDER_H */
