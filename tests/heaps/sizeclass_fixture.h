// A sizeclass over an arena of its own, and the sizes that it makes.
#ifndef RINGFENCE_TESTS_HEAPS_SIZECLASS_FIXTURE_H
#define RINGFENCE_TESTS_HEAPS_SIZECLASS_FIXTURE_H

#include "tests/heaps/support.h"

#include <gtest/gtest.h>
#include <ringfence/sizeclass.h>

#include <cstring>

constexpr size_t kG = RF_ALIGN_DEFAULT;
constexpr size_t kHeader = kG > 8 ? 16 : 8;

// Bytes of a block of class q with its header.
constexpr size_t span(unsigned q) {
  return kHeader + (size_t{16} << q);
}

class Sizeclass : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_sizeclass_init(&heap, arena, sizeof arena, nullptr));
    a = &heap.base;
  }
  void TearDown() override {
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    rf_deinit(a);
    EXPECT_EQ(0U, faults.count());
  }

  unsigned char *alloc(size_t size, size_t align = kG) {
    auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(a, align, size));
    EXPECT_NE(nullptr, p);
    memset(p, static_cast<int>(size), size);
    return p;
  }

  Faults faults;
  rf_sizeclass heap;
  rf_sizeclass_site table[8];
  rf_allocator *a = nullptr;
  alignas(64) unsigned char arena[4096];
};

#endif // RINGFENCE_TESTS_HEAPS_SIZECLASS_FIXTURE_H
