// std: malloc with statistics and refusals. It has no arena and no walk, and the free memory is unknown.
#include <ringfence/fuzz/target.h>
#include <ringfence/std.h>

#include <malloc.h>

namespace {

rf_std heap;

rf_allocator *init(void *, void *, size_t) {
#ifdef M_TRIM_THRESHOLD
  // A refused free reads the freed memory, which must stay mapped. std.h says so.
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
#endif
  return rf_std_init(nullptr) == RF_ERR_INVALID && rf_std_init(&heap) == RF_OK ? &heap.base : nullptr;
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("std", init);
  t.max_request = size_t{1} << 16;
  t.always_serves = t.max_request;
  t.refuses = RF_FUZZ_FOREIGN | RF_FUZZ_MISALIGNED | RF_FUZZ_INTERIOR | RF_FUZZ_REPEATED | RF_FUZZ_FORGED;
  t.stale_records = true;
  t.in_arena = false;
  t.accounts_capacity = false;
  t.walk_adds_up = false;
  t.largest_is_bound = false;
  t.shrinks_in_place = false; // the C library's realloc may move
  t.coalesces = false;
  return t;
}

} // namespace

// Near RF_SIZE_LIMIT malloc answers NULL; by default, sanitizers stop there.
extern "C" const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}
extern "C" const char *__tsan_default_options() {
  return "allocator_may_return_null=1";
}

RF_FUZZ_TARGET(target())
