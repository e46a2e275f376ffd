// Under AddressSanitizer every allocator of lib/, bare, lets the program touch its blocks and nothing else: to the
// byte, and at the access.
#include <ringfence/slab.h>
#include <ringfence/track.h>

#include <gtest/gtest.h>

#if RF_TRACK_ASAN

#include "tests/checkers/asan_fixture.h"

#include <cstring>
#include <vector>

namespace ringfence {
namespace {

struct Report {
  const void *address;
  bool write;
  size_t size;
};

std::vector<Report> reports;

class Bare : public OverSubject {
protected:
  Bare() {
    reports.clear();
    __asan_set_error_report_callback([](const char *) {
      reports.push_back(
          {__asan_get_report_address(), __asan_get_report_access_type() != 0, __asan_get_report_access_size()});
    });
  }

  // A block between two free ones, where the allocator has order.
  unsigned char *alone(size_t size) {
    void *const before = rf_alloc(inner_, size);
    unsigned char *const p = bytes(rf_alloc(inner_, size));
    void *const behind = rf_alloc(inner_, size);
    EXPECT_EQ(rf_free(inner_, before), RF_OK);
    EXPECT_EQ(rf_free(inner_, behind), RF_OK);
    EXPECT_NE(p, nullptr);
    return p;
  }

  static void expect_exactly(const unsigned char *p, size_t size) {
    for (size_t i = 0; i < size; i++) {
      ASSERT_FALSE(is_denied(p + i)) << "byte " << i << " of " << size;
    }
    for (size_t i = size; i < size + 16; i++) {
      ASSERT_TRUE(is_denied(p + i)) << i - size << " bytes behind a block of " << size;
    }
    for (size_t i = 1; i <= 4; i++) {
      ASSERT_TRUE(is_denied(p - i)) << i << " bytes before a block of " << size;
    }
  }

  static void expect_stopped(const unsigned char *p, bool write) {
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_EQ(reports[0].address, p);
    EXPECT_EQ(reports[0].write, write);
    EXPECT_EQ(reports[0].size, 1U);
    reports.clear();
  }
};

TEST_P(Bare, ABlockIsOpenToTheByteAndNothingElse) {
  for (size_t const size : {1, 3, 7, 8, 9, 13, 16, 24, 31, 40}) {
    unsigned char *const p = alone(size);
    expect_exactly(p, size);
    EXPECT_EQ(rf_free(inner_, p), RF_OK);
  }
}

TEST_P(Bare, WhatIsOutsideIsStoppedAtTheAccess) {
  unsigned char *const p = alone(13);
  read_byte(p);
  read_byte(p + 12);
  write_byte(p + 12);
  EXPECT_TRUE(reports.empty());
  read_byte(p + 13);
  expect_stopped(p + 13, false);
  write_byte(p + 13);
  expect_stopped(p + 13, true);
  read_byte(p - 1);
  expect_stopped(p - 1, false);
  write_byte(p - 1);
  expect_stopped(p - 1, true);
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
}

TEST_P(Bare, AFreedBlockIsStoppedAtTheAccess) {
  unsigned char *const p = alone(13);
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
  read_byte(p);
  expect_stopped(p, false);
  write_byte(p + 12);
  expect_stopped(p + 12, true);
}

TEST_P(Bare, ABlockOfNoBytesHasNone) {
  unsigned char *const p = alone(0);
  EXPECT_TRUE(is_denied(p));
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
}

TEST_P(Bare, AReallocMovesTheBounds) {
  unsigned char *p = alone(13);
  std::memset(p, 0x5A, 13);
  for (size_t const size : {29, 100, 61, 60, 5, 90}) {
    unsigned char *const q = bytes(rf_realloc(inner_, p, size));
    ASSERT_NE(q, nullptr);
    expect_exactly(q, size);
    for (size_t i = 0; i < 5; i++) {
      EXPECT_EQ(read_byte(q + i), 0x5A);
    }
    if (q > p + 13 || q + size < p) {
      EXPECT_TRUE(is_denied(p)) << "the old place";
    }
    std::memset(q, 0x5A, size);
    p = q;
  }
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
  EXPECT_TRUE(reports.empty());
}

TEST_P(Bare, AResizeMovesTheBounds) {
  unsigned char *const p = alone(40);
  if (rf_resize(inner_, p, 21) == RF_OK) {
    expect_exactly(p, 21);
    if (rf_resize(inner_, p, 37) == RF_OK) {
      expect_exactly(p, 37);
    }
  }
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
}

TEST_P(Bare, WhoeverAsksHowMuchThereIsMayUseIt) {
  unsigned char *const p = alone(13);
  size_t const usable = rf_usable_size(inner_, p);
  ASSERT_GE(usable, 13U);
  std::memset(p, 1, usable);
  EXPECT_TRUE(reports.empty());
  EXPECT_TRUE(is_denied(p + usable));
  unsigned char *const q = bytes(rf_realloc(inner_, p, 200));
  ASSERT_NE(q, nullptr);
  EXPECT_FALSE(is_denied(q + 199));
  EXPECT_TRUE(is_denied(q + 200));
  EXPECT_EQ(rf_free(inner_, q), RF_OK);
}

TEST_P(Bare, ARefusedFreeLeavesTheBlockOpen) {
  rf_fault_handler_set([](const rf_fault *, void *) {}, nullptr);
  unsigned char *const p = alone(40);
  EXPECT_NE(rf_free(inner_, p + 16), RF_OK);
  EXPECT_NE(rf_free(inner_, p + 1), RF_OK);
  expect_exactly(p, 40);
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
  rf_fault_handler_set(nullptr, nullptr);
}

TEST_P(Bare, AfterItsEndTheArenaIsTheCallersAgain) {
  rf_alloc(inner_, 13);
  rf_free(inner_, rf_alloc(inner_, 20));
  rf_deinit(inner_);
  inner_ = nullptr;
  EXPECT_EQ(__asan_region_is_poisoned(arena_.data(), arena_.size()), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Asan, Bare, testing::ValuesIn(kAll), name_of);

TEST(AsanPages, OfASlabAreOpenUntilTheyAreFreed) {
  alignas(RF_SLAB_LARGEST_PAGE) static unsigned char arena[16 * RF_SLAB_LARGEST_PAGE];
  rf_slab heap;
  ASSERT_EQ(rf_slab_init(&heap, arena, sizeof arena), RF_OK);
  size_t const size = rf_slab_page_size(&heap);
  auto *const p = static_cast<unsigned char *>(rf_slab_alloc_pages(&heap, 3, nullptr));
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(__asan_region_is_poisoned(p, 3 * size), nullptr);
  ASSERT_EQ(rf_slab_free_pages(&heap, p + 2 * size, 1, nullptr), RF_OK);
  EXPECT_EQ(__asan_region_is_poisoned(p, 2 * size), nullptr);
  EXPECT_TRUE(__asan_address_is_poisoned(p + 2 * size));
  EXPECT_TRUE(__asan_address_is_poisoned(p + 3 * size - 1));
  ASSERT_EQ(rf_slab_free_pages(&heap, p, 2, nullptr), RF_OK);
  EXPECT_TRUE(__asan_address_is_poisoned(p));
  rf_deinit(&heap.base);
}

} // namespace
} // namespace ringfence

#else

TEST(AsanBare, NeedsABuildWithAddressSanitizer) {
  GTEST_SKIP() << "--config=asan";
}

#endif
