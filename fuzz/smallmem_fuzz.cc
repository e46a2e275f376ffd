// smallmem: every promise, and every bad pointer refused. In arenas of an odd size blocks carry an owner.
#include <ringfence/fuzz/target.h>
#include <ringfence/smallmem.h>

namespace {

rf_smallmem heap;

rf_allocator *init(void *, void *arena, size_t size) {
  rf_owner_fn const owner_of = size % 2 != 0 ? rf_chain_site_owner : nullptr;
  return rf_smallmem_init_owned(&heap, arena, size, owner_of) == RF_OK ? &heap.base : nullptr;
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("smallmem", init);
  t.min_arena = 64;
  return t;
}

} // namespace

RF_FUZZ_TARGET(target())
