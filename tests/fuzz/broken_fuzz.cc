// A fuzz harness for a heap that forgets its peak: it shows a failing harness to driver_test.
#include "tests/fuzz/toy_heap.h"

#include <ringfence/fuzz/target.h>

namespace {

rf_allocator *init(void *, void *arena, size_t size) {
  static ringfence::fuzz::ToyHeap heap;
  heap.alter_stats = [](rf_stats &stats) { stats.peak = stats.used; };
  return heap.init(arena, size) ? &heap.base : nullptr;
}

} // namespace

RF_FUZZ_TARGET(rf_fuzz_target_default("broken", init))
