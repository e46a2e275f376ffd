// memheap: up to four regions, added and removed while blocks live in them.
#include <ringfence/fuzz/target.h>
#include <ringfence/memheap.h>

#include <algorithm>

namespace {

rf_memheap heap;
rf_memheap_region regions[4];
void *memories[4]; // of each region; nullptr: the region is not in use

rf_status add_region(void *, rf_allocator *, void *memory, size_t size) {
  size_t const i = static_cast<size_t>(std::find(memories, memories + 4, nullptr) - memories);
  rf_status const status = rf_memheap_add(&heap, &regions[i], "region", memory, size);
  memories[i] = status == RF_OK ? memory : nullptr;
  return status;
}

rf_status remove_region(void *, rf_allocator *, void *memory) {
  size_t const i = static_cast<size_t>(std::find(memories, memories + 4, memory) - memories);
  rf_status const status = rf_memheap_remove(&heap, &regions[i]);
  memories[i] = status == RF_OK ? nullptr : memory;
  return status;
}

rf_allocator *init(void *, void *arena, size_t size) {
  std::fill(memories, memories + 4, nullptr);
  return rf_memheap_init(&heap) == RF_OK && add_region(nullptr, nullptr, arena, size) == RF_OK ? &heap.base : nullptr;
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("memheap", init);
  t.add_region = add_region;
  t.remove_region = remove_region;
  t.min_arena = 64;
  return t;
}

} // namespace

RF_FUZZ_TARGET(target())
