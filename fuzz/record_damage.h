// Damage out of the interpreter's reach: to the record of a heap, which lies outside of its arena. Check and every
// operation must end without touching other memory; any answer is right. Check and walk run before the operations on
// every k-th block.
#ifndef RINGFENCE_FUZZ_RECORD_DAMAGE_H
#define RINGFENCE_FUZZ_RECORD_DAMAGE_H

#include <ringfence/allocator.h>
#include <ringfence/fuzz/interpreter.h>
#include <ringfence/fuzz/reader.h>

#include <cstddef>
#include <cstdint>

namespace ringfence::fuzz {

// Uses the heap `a`, overwrites a byte of its record (`size` bytes at `record`, except those of the rf_allocator at its
// start), uses it on, and ends it.
inline void damage_record(rf_allocator *a, void *record, size_t size, Reader &reader) {
  rf_fault_handler_set([](const rf_fault *, void *) {}, nullptr);
  void *blocks[6];
  for (void *&block : blocks) {
    block = rf_alloc(a, reader.length() % 200);
  }
  (void)rf_free(a, blocks[reader.below(6)]);
  (void)rf_free(a, blocks[reader.below(6)]);
  size_t const place = reader.below(size);
  if (place >= sizeof *a) {
    static_cast<unsigned char *>(record)[place] ^= static_cast<unsigned char>(reader.u8() | 1U);
  }
  rf_stats stats;
  size_t const interval = comparison_interval(reader);
  size_t turn = 0;
  for (void *const block : blocks) {
    if (turn++ % interval == 0) {
      (void)rf_check(a, nullptr);
      (void)rf_walk(
          a, [](const rf_block *, void *) { return true; }, nullptr);
    }
    rf_stats_get(a, &stats);
    (void)rf_owns(a, block);
    (void)rf_usable_size(a, block);
    (void)rf_alloc(a, 24);
    (void)rf_aligned_alloc(a, 128, 40);
    if (block != nullptr) {
      (void)rf_resize(a, block, 90);
      (void)rf_realloc(a, block, 150);
      (void)rf_free(a, block);
    }
  }
  rf_deinit(a);
  rf_fault_handler_set(nullptr, nullptr);
}

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_RECORD_DAMAGE_H
