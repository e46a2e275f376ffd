// simple: every promise, refusal of damaged blocks and of a damaged record, and no service by a heap that has ended.
#include <ringfence/fuzz/target.h>
#include <ringfence/simple.h>

#include "record_damage.h"

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

void damage_the_record(ringfence::fuzz::Reader const &reader) {
  alignas(RF_ALIGN_DEFAULT) static unsigned char arena[4096];
  if (init(nullptr, arena, sizeof arena) != nullptr) {
    ringfence::fuzz::inspect_damaged_record(&heap.base, &heap, sizeof heap, reader);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  rf_fuzz_target const t = target();
  damage_the_record(ringfence::fuzz::Reader(data, size));
  rf_fuzz_run(&t, data, size);
  return 0;
}
