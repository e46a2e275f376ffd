// A heap of simple in memory of its own.
#ifndef RINGFENCE_TESTS_HEAPS_SIMPLE_FIXTURE_H
#define RINGFENCE_TESTS_HEAPS_SIMPLE_FIXTURE_H

#include <ringfence/simple.h>

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

namespace ringfence_test {

class SimpleHeap {
public:
  explicit SimpleHeap(size_t size, size_t skew = 0) : memory_(size + skew + 4096) {
    start = memory_.data() + rf_align_gap(memory_.data(), 4096) + skew;
    EXPECT_EQ(rf_simple_init(&heap, start, size), RF_OK) << size << " bytes, skew " << skew;
  }

  rf_stats stats() {
    rf_stats s;
    rf_stats_get(a, &s);
    return s;
  }

  rf_simple heap;
  rf_allocator *const a = &heap.base;
  unsigned char *start;

private:
  std::vector<unsigned char> memory_;
};

inline unsigned char *bytes(void *p) {
  return static_cast<unsigned char *>(p);
}

} // namespace ringfence_test

#endif
