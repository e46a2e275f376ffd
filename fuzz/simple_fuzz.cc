// simple: every promise, refusal of damaged blocks, and no service by a heap that has ended.
#include <ringfence/fuzz/target.h>
#include <ringfence/simple.h>

namespace {

rf_simple heap;

rf_allocator *init(void *, void *arena, size_t size) {
  return rf_simple_init(&heap, arena, size) == RF_OK ? &heap.base : nullptr;
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("simple", init);
  t.min_arena = 64;
  t.refuses |= RF_FUZZ_FORGED;
  t.survives_damage = true;
  t.refuses_ended = true;
  return t;
}

} // namespace

RF_FUZZ_TARGET(target())
