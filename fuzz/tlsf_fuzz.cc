// tlsf: several regions, added and removed while blocks live in them, and damaged records. tlsf_huge_fuzz runs the same
// with lower limits: blocks are huge from 4 KiB on, and memory above 64 KiB is cut into several regions.
// tlsf_small_fuzz runs the small build, which has one region.
#include <ringfence/fuzz/target.h>
#include <ringfence/tlsf.h>

#include "record_damage.h"

namespace {

rf_tlsf heap;

rf_allocator *init(void *, void *arena, size_t size) {
  return rf_tlsf_init(&heap, arena, size) == RF_OK ? &heap.base : nullptr;
}

#ifndef RF_FUZZ_TLSF_SMALL

rf_status add_region(void *, rf_allocator *, void *region, size_t size) {
  return rf_tlsf_add_region(&heap, region, size);
}

rf_status remove_region(void *, rf_allocator *, void *region) {
  return rf_tlsf_remove_region(&heap, region);
}

#endif

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("tlsf", init);
#ifdef RF_FUZZ_TLSF_SMALL
  t.max_align = RF_ALIGN_DEFAULT;
#else
  t.add_region = add_region;
  t.remove_region = remove_region;
#endif
  t.min_arena = 1024;
  t.refuses |= RF_FUZZ_FORGED;
  t.refuses_ended = true;
  t.survives_damage = true;
  t.gives_up_damaged = true; // the common paths do not undo earlier steps
  t.region_record = sizeof(rf_tlsf_region) + sizeof(size_t);
#ifdef RF_FUZZ_TLSF_HUGE
  t.max_arena = size_t{1} << 18; // four of the largest regions: filling 1 MiB takes longer than the operations in it
  t.survives_damage = false;     // records of regions may be anywhere in the arena
  t.shrinks = false;             // a huge block that becomes a plain one moves, which may lack room
  t.largest_is_bound = false;    // free bytes do not include the extra header of a huge block
#endif
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
