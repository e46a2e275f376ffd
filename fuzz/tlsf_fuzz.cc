// tlsf: several regions, added and removed while blocks live in them.
#include <ringfence/fuzz/target.h>
#include <ringfence/tlsf.h>

namespace {

rf_tlsf heap;

rf_allocator *init(void *, void *arena, size_t size) {
  return rf_tlsf_init(&heap, arena, size) == RF_OK ? &heap.base : nullptr;
}

rf_status add_region(void *, rf_allocator *, void *region, size_t size) {
  return rf_tlsf_add_region(&heap, region, size);
}

rf_status remove_region(void *, rf_allocator *, void *region) {
  return rf_tlsf_remove_region(&heap, region);
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("tlsf", init);
  t.add_region = add_region;
  t.remove_region = remove_region;
  t.min_arena = 1024;
  t.refuses |= RF_FUZZ_FORGED;
  return t;
}

} // namespace

RF_FUZZ_TARGET(target())
