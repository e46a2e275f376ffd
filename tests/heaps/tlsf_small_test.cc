// tlsf built with RF_TLSF_SMALL: what it leaves out, and that it is refused; what the conformance suite does not reach.
#include <ringfence/tlsf.h>

#include "tests/core/recorder.h"
#include "tests/heaps/support.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace {

using ringfence::testing::FaultRecorder;

constexpr size_t kGranule = RF_ALIGN_DEFAULT > 8 ? 16 : 8;
constexpr size_t kLast = 8192 * kGranule; // larger blocks are in the last list, whatever their size

class TlsfSmall : public testing::Test {
protected:
  Unwatched unwatched;

  void SetUp() override { ASSERT_EQ(rf_tlsf_init(&heap, arena.data(), arena.size()), RF_OK); }

  size_t failures() {
    rf_counters counters;
    rf_counters_get(a, &counters);
    return counters.failures;
  }

  std::vector<unsigned char> arena = std::vector<unsigned char>(16 * kLast);
  rf_tlsf heap = {};
  rf_allocator *const a = &heap.base;
  FaultRecorder faults;
};

TEST_F(TlsfSmall, AnAlignmentAboveTheGranuleIsAFailure) {
  void *const p = rf_aligned_alloc(a, kGranule, 100);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(rf_aligned_alloc(a, 2 * kGranule, 100), nullptr);
  EXPECT_EQ(rf_realloc_at(a, p, 1000, 4 * kGranule, RF_HERE), nullptr);
  EXPECT_GE(failures(), 2U);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_TRUE(faults.faults().empty());
}

TEST_F(TlsfSmall, HasOneRegion) {
  static unsigned char more[4096];
  EXPECT_EQ(rf_tlsf_add_region(&heap, more, sizeof more), RF_ERR_UNSUPPORTED);
  EXPECT_EQ(rf_tlsf_add_region(&heap, nullptr, sizeof more), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_remove_region(&heap, more), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_remove_region(&heap, arena.data()), RF_ERR_INVALID);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
}

// Two free blocks above the last list's least size, the larger one first in the list, or not.
TEST_F(TlsfSmall, ARequestAboveTheLastListsSizeIsServedByItsFirstBlockOrNot) {
  for (bool const larger_first : {true, false}) {
    rf_stats before;
    rf_stats_get(a, &before);
    void *const small = rf_alloc(a, 2 * kLast);
    void *const between = rf_alloc(a, 100);
    void *const large = rf_alloc(a, 5 * kLast);
    void *const rest = rf_alloc(a, before.largest_free - 7 * kLast - 100 - 4 * kGranule);
    ASSERT_TRUE(small != nullptr && between != nullptr && large != nullptr && rest != nullptr);
    ASSERT_EQ(rf_free(a, larger_first ? small : large), RF_OK);
    ASSERT_EQ(rf_free(a, larger_first ? large : small), RF_OK);
    size_t const failed = failures();
    void *const p = rf_alloc(a, 4 * kLast);
    EXPECT_EQ(p != nullptr, larger_first);
    EXPECT_EQ(failures() - failed, larger_first ? 0U : 1U);
    EXPECT_EQ(rf_check(a, nullptr), RF_OK);
    for (void *const block : {p, between, rest}) {
      EXPECT_EQ(rf_free(a, block), RF_OK);
    }
    rf_stats after;
    rf_stats_get(a, &after);
    EXPECT_EQ(after.largest_free, before.largest_free);
  }
}

// Any block of the last list serves a request of exactly its least size.
TEST_F(TlsfSmall, ARequestUpToTheLastListsSizeIsServedByAnyOfItsBlocks) {
  void *const p = rf_alloc(a, kLast - 4);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(rf_alloc(a, RF_SIZE_LIMIT), nullptr);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
}

TEST_F(TlsfSmall, AWriteIntoFreedMemoryIsMetByTheNextAllocOfThatSize) {
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 100));
  void *const q = rf_alloc(a, 100);
  ASSERT_EQ(rf_free(a, p), RF_OK);
  std::memset(p, 0xEE, 8); // both links
  EXPECT_EQ(rf_alloc(a, 100), nullptr);
  EXPECT_EQ(faults.take(), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT);
  // The block before q is not merged with it.
  EXPECT_EQ(rf_free(a, q), RF_ERR_CORRUPT);
  EXPECT_EQ(faults.take(), RF_ERR_CORRUPT);
}

TEST_F(TlsfSmall, AFreeIsRefusedWhateverThePointer) {
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 100));
  void *const q = rf_alloc(a, 100);
  EXPECT_EQ(rf_free(a, p + kGranule), RF_ERR_BAD_POINTER);
  EXPECT_EQ(faults.take(), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, p + 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(faults.take(), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, &heap), RF_ERR_BAD_POINTER);
  EXPECT_EQ(faults.take(), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(rf_free(a, p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_free(a, q), RF_OK);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
}

} // namespace
