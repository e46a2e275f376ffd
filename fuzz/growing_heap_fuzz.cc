// growing_heap: the heap of the drop-in, over memory from the system. Requests go up to several times the limit for big
// blocks.
#include "checkers/dropin/heap/growing_heap.h"

#include <ringfence/fuzz/target.h>

namespace {

rf_growing_heap heap;

rf_allocator *init(void *, void *, size_t) {
  rf_growing_heap_init(&heap);
  return &heap.base;
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("growing_heap", init);
  t.always_serves = t.max_request;
  t.in_arena = false;
  t.accounts_capacity = false; // regions come and go
  t.walk_adds_up = false;
  t.walks_in_order = false; // big blocks come last, the newest first
  t.largest_is_bound = false;
  t.coalesces = false; // what is free goes back to the system, or is kept for big blocks
  t.quiet_failure = false;
  t.serves_largest = false;
  return t;
}

} // namespace

RF_FUZZ_TARGET(target())
