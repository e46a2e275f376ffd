// tlsf over an arena of its own, whose contents and place tests choose.
#ifndef RINGFENCE_TESTS_HEAPS_TLSF_FIXTURE_H
#define RINGFENCE_TESTS_HEAPS_TLSF_FIXTURE_H

#include <ringfence/tlsf.h>

#include "tests/heaps/support.h"

#include <gtest/gtest.h>

#include <vector>

namespace ringfence::testing {

constexpr size_t kGranule = RF_ALIGN_DEFAULT > 8 ? 16 : 8; // bytes

// Memory whose address exceeds a multiple of 4096 by `skew`.
class Memory {
public:
  explicit Memory(size_t bytes, size_t skew = 0) : size(bytes), store_(bytes + skew + 4096) {
    start = store_.data() + rf_align_gap(store_.data(), 4096) + skew;
  }

  unsigned char *start;
  size_t const size;

private:
  std::vector<unsigned char> store_;
};

class Heap {
public:
  explicit Heap(size_t size, size_t skew = 0) : arena(size, skew) {
    EXPECT_EQ(rf_tlsf_init(&heap, arena.start, size), RF_OK) << size << " bytes, skew " << skew;
  }
  ~Heap() { EXPECT_EQ(rf_check(a, nullptr), RF_OK); }

  unsigned char *alloc(size_t size) { return static_cast<unsigned char *>(rf_alloc(a, size)); }
  size_t largest() { return stats(a).largest_free; }

  Memory arena;
  rf_tlsf heap;
  rf_allocator *const a = &heap.base;
};

} // namespace ringfence::testing

#endif // RINGFENCE_TESTS_HEAPS_TLSF_FIXTURE_H
