// A smallmem heap of 2 KiB that is whole at the end of each test.
#ifndef RINGFENCE_TESTS_HEAPS_SMALLMEM_FIXTURE_H
#define RINGFENCE_TESTS_HEAPS_SMALLMEM_FIXTURE_H

#include "tests/heaps/support.h"

#include <gtest/gtest.h>
#include <ringfence/smallmem.h>

namespace ringfence_test {

constexpr size_t kHeader = 3 * sizeof(size_t);
constexpr size_t kG = RF_ALIGN_DEFAULT;

class Smallmem : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_smallmem_init(&heap, arena, sizeof arena));
    a = &heap.base;
  }
  void TearDown() override {
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    rf_deinit(a);
    EXPECT_EQ(0U, faults.count());
  }

  unsigned char *alloc(size_t size) { return alloc_filled(a, size); }

  // Bytes of a block of that size, from its header to the next.
  static size_t span(size_t size) { return (kHeader + size + kG - 1) / kG * kG; }

  Faults faults;
  rf_smallmem heap;
  rf_allocator *a = nullptr;
  alignas(1024) unsigned char arena[2048];
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_HEAPS_SMALLMEM_FIXTURE_H
