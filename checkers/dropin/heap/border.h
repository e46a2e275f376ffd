/* Spans that touch. The guard bytes before the first block of a span are that block's alone, and those behind the last
 * block of the span below are another's: an overflow of that one may have run over both.
 *
 * Complexity: O(1), a look at the page map. Threads: nothing is seen, nor mended, unless the caller has stopped the
 * others at the border of the heap: one of them might give the memory of the other span back. */
#ifndef RINGFENCE_DROPIN_BORDER_H
#define RINGFENCE_DROPIN_BORDER_H

#include "check.h"

/* True, *below the block, where an overflow of the last block below this one's span has run on into the guard bytes
 * before this one: all of the guard there is overwritten, and this one from its first byte on. */
bool rf_border_is_overrun(const rf_view *view, rf_view *below);

/* Mends the guard bytes before the span above into which an overflow of this block ran on. True, *above its first
 * block, where these were overwritten to their last byte. */
bool rf_border_mend_above(const rf_view *view, rf_view *above);

#endif /* RINGFENCE_DROPIN_BORDER_H */
