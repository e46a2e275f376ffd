// lock: over simple and over tlsf, as the first byte of the input says, and as good as what it wraps.
#include <ringfence/fuzz/target.h>
#include <ringfence/lock.h>
#include <ringfence/simple.h>
#include <ringfence/tlsf.h>

namespace {

rf_simple simple;
rf_tlsf tlsf;
rf_lock lock;

rf_allocator *locked(rf_allocator *inner) {
  return rf_lock_init(&lock, inner) == RF_OK ? &lock.base : nullptr;
}

rf_allocator *init_simple(void *, void *arena, size_t size) {
  return rf_simple_init(&simple, arena, size) == RF_OK ? locked(&simple.base) : nullptr;
}

rf_allocator *init_tlsf(void *, void *arena, size_t size) {
  return rf_tlsf_init(&tlsf, arena, size) == RF_OK ? locked(&tlsf.base) : nullptr;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) {
    return 0;
  }
  rf_fuzz_target const target = data[0] % 2 == 0 ? rf_fuzz_target_default("lock over simple", init_simple)
                                                 : rf_fuzz_target_default("lock over tlsf", init_tlsf);
  rf_fuzz_run(&target, data + 1, size - 1);
  return 0;
}
