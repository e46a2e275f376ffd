// std: malloc with statistics and refusals. There is no arena and no walk, and how much is free is the C library's secret.
#include <ringfence/fuzz/target.h>
#include <ringfence/std.h>

#include <malloc.h>

namespace {

rf_std heap;

rf_allocator *init(void *, void *, size_t) {
#ifdef M_TRIM_THRESHOLD
  // A freed pointer is looked at, to refuse it: it must not be unmapped. std.h says so.
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
  t.in_arena = false;
  t.accounts_capacity = false;
  t.walk_adds_up = false;
  t.largest_is_bound = false;
  t.shrinks_in_place = false; // the C library's realloc may move
  t.coalesces = false;
  return t;
}

} // namespace

// Near RF_SIZE_LIMIT, NULL is the right answer of malloc; sanitizers stop there unless told.
extern "C" const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}
extern "C" const char *__tsan_default_options() {
  return "allocator_may_return_null=1";
}

RF_FUZZ_TARGET(target())
