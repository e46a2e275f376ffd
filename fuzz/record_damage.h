// Damage out of the interpreter's reach: to the record of a heap, which lies outside of its arena. Whatever is called
// then must end without touching other memory; any answer is right.
#ifndef RINGFENCE_FUZZ_RECORD_DAMAGE_H
#define RINGFENCE_FUZZ_RECORD_DAMAGE_H

#include <ringfence/allocator.h>
#include <ringfence/fuzz/interpreter.h>
#include <ringfence/fuzz/reader.h>

#include <cstddef>
#include <cstdint>

namespace ringfence::fuzz {

// Six blocks, of which one or two are freed; twice is refused.
inline void use_a_little(rf_allocator *a, void *(&blocks)[6], Reader &reader) {
  for (void *&block : blocks) {
    block = rf_alloc(a, reader.length() % 200);
  }
  (void)rf_free(a, blocks[reader.below(6)]);
  (void)rf_free(a, blocks[reader.below(6)]);
}

// Overwrites a byte of the record (`size` bytes at `record`), except those of the rf_allocator at its start.
inline void overwrite_a_byte(void *record, size_t size, Reader &reader) {
  size_t const place = reader.below(size);
  if (place >= sizeof(rf_allocator)) {
    static_cast<unsigned char *>(record)[place] ^= static_cast<unsigned char>(reader.u8() | 1U);
  }
}

// Uses the heap `a`, overwrites a byte of its record, uses it on, and ends it. Check and walk run before the operations
// on every k-th block.
inline void damage_record(rf_allocator *a, void *record, size_t size, Reader &reader) {
  rf_fault_handler_set([](const rf_fault *, void *) {}, nullptr);
  void *blocks[6];
  use_a_little(a, blocks, reader);
  overwrite_a_byte(record, size, reader);
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

// For a heap whose operations trust its record: only what inspects it runs on the damaged one, which is left so.
inline void inspect_damaged_record(rf_allocator *a, void *record, size_t size, Reader reader) {
  rf_fault_handler_set([](const rf_fault *, void *) {}, nullptr);
  void *blocks[6];
  use_a_little(a, blocks, reader);
  overwrite_a_byte(record, size, reader);
  rf_stats stats;
  rf_stats_get(a, &stats);
  (void)rf_check(a, nullptr);
  (void)rf_walk(
      a, [](const rf_block *, void *) { return true; }, nullptr);
  rf_fault_handler_set(nullptr, nullptr);
}

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_RECORD_DAMAGE_H
