// memheap: up to four regions, added and removed while blocks live in them; then damage to the record.
#include "record_damage.h"

#include <ringfence/fuzz/target.h>
#include <ringfence/memheap.h>

namespace {

struct Slot {
  rf_memheap_region region;
  void *memory; // nullptr: not in use
};

rf_memheap heap;
Slot slots[5]; // one more than the limit, for a refused region

Slot *slot_of(const void *memory) {
  for (Slot &slot : slots) {
    if (slot.memory == memory) {
      return &slot;
    }
  }
  return nullptr;
}

rf_status add_region(void *, rf_allocator *, void *memory, size_t size) {
  Slot *const slot = slot_of(nullptr);
  rf_status const status = rf_memheap_add(&heap, &slot->region, "region", memory, size);
  slot->memory = status == RF_OK ? memory : nullptr;
  return status;
}

rf_status remove_region(void *, rf_allocator *, void *memory) {
  Slot *const slot = slot_of(memory);
  rf_status const status = rf_memheap_remove(&heap, slot != nullptr ? &slot->region : nullptr);
  if (status == RF_OK) {
    slot->memory = nullptr;
  }
  return status;
}

rf_allocator *init(void *, void *arena, size_t size) {
  for (Slot &slot : slots) {
    slot.memory = nullptr;
  }
  return rf_memheap_init(&heap) == RF_OK && add_region(nullptr, nullptr, arena, size) == RF_OK ? &heap.base : nullptr;
}

void damage_records(ringfence::fuzz::Reader &reader) {
  alignas(16) static unsigned char memory[2][700];
  struct Records {
    rf_memheap heap;
    rf_memheap_region regions[2];
  };
  static Records records;
  (void)rf_memheap_init(&records.heap);
  (void)rf_memheap_add(&records.heap, &records.regions[0], "first", memory[0], sizeof memory[0]);
  (void)rf_memheap_add(&records.heap, &records.regions[1], nullptr, memory[1], sizeof memory[1]);
  ringfence::fuzz::damage_record(&records.heap.base, &records, sizeof records, reader);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  rf_fuzz_target t = rf_fuzz_target_default("memheap", init);
  ringfence::fuzz::Reader reader(data, size);
  t.add_region = add_region;
  t.remove_region = remove_region;
  t.min_arena = 64;
  t.survives_damage = true;
  t.refuses_ended = true;
  damage_records(reader);
  rf_fuzz_run(&t, data, size);
  return 0;
}
