// One write outside of a block of the drop-in's heap, in an otherwise correct program, and the finding that follows.
#ifndef RINGFENCE_FUZZ_DROPIN_HEAP_ERROR_H
#define RINGFENCE_FUZZ_DROPIN_HEAP_ERROR_H

#include "finding_log.h"

#include <ringfence/fuzz/reader.h>
#include <ringfence/guard.h>

namespace ringfence::fuzz {

// Runs the input as a program on `heap`, made by these options, whose findings go to `log`. Aborts where the correct
// part of it is told, or the write is not told once, as what it is.
void run_heap_error(rf_allocator *heap, const rf_guard_options &options, FindingLog &log, Reader &in);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_DROPIN_HEAP_ERROR_H
