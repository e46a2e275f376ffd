// smallmem: every promise, and refusal of every bad pointer. In arenas of odd size, blocks carry an owner. Then owners,
// and damage to the record.
#include "record_damage.h"

#include <ringfence/fuzz/target.h>
#include <ringfence/smallmem.h>

#include <cstdlib>

namespace {

using ringfence::fuzz::damage_record;
using ringfence::fuzz::Reader;

rf_smallmem heap;

rf_allocator *init(void *, void *arena, size_t size) {
  rf_status const status =
      size % 2 == 0 ? rf_smallmem_init(&heap, arena, size) : rf_smallmem_init_owned(&heap, arena, size, rf_site_owner);
  return status == RF_OK ? &heap.base : nullptr;
}

// An owner stays with its block, and only with it.
void try_owners(Reader &reader) {
  alignas(16) static unsigned char arena[1024];
  if (init(nullptr, arena, sizeof arena - reader.below(2)) == nullptr) {
    abort();
  }
  bool const owned = heap.blocks.owner_of != nullptr;
  void *const p = rf_alloc(&heap.base, reader.u8());
  void *const q = rf_alloc(&heap.base, reader.u8());
  uintptr_t const owner = reader.u16();
  bool const fine = rf_smallmem_set_owner(&heap, p, owner) == (owned ? RF_OK : RF_ERR_UNSUPPORTED) &&
                    rf_smallmem_owner(&heap, p) == (owned ? owner : 0) && rf_smallmem_owner(&heap, q) == 0 &&
                    rf_smallmem_owner(&heap, arena) == 0 && rf_check(&heap.base, nullptr) == RF_OK;
  if (!fine) {
    abort();
  }
  damage_record(&heap.base, &heap, sizeof heap, reader);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  rf_fuzz_target t = rf_fuzz_target_default("smallmem", init);
  Reader reader(data, size);
  t.min_arena = 64;
  t.survives_damage = true;
  t.refuses_ended = true;
  try_owners(reader);
  rf_fuzz_run(&t, data, size);
  return 0;
}
