// The heap under the drop-in: how it gets memory from the system, and gives it back.
#include "checkers/dropin/heap/growing_heap.h"
#include "tests/core/unwatched.h"

#include <cstring>
#include <gtest/gtest.h>
#include <vector>

namespace {

class GrowingHeap : public testing::Test {
protected:
  GrowingHeap() { rf_growing_heap_init(&heap_); }
  ~GrowingHeap() override { rf_deinit(&heap_.base); }

  char *alloc(size_t size) { return static_cast<char *>(rf_alloc(&heap_.base, size)); }
  void free(void *p) { EXPECT_EQ(rf_free(&heap_.base, p), RF_OK); }

  size_t capacity() {
    rf_stats stats;
    rf_stats_get(&heap_.base, &stats);
    return stats.capacity;
  }

  rf_growing_heap heap_;
};

TEST_F(GrowingHeap, MapsNothingUntilItIsAsked) {
  EXPECT_EQ(capacity(), 0U);
}

TEST_F(GrowingHeap, GivesEmptyRegionsBack) {
  std::vector<void *> blocks;
  for (int i = 0; i < 100000; i++) {
    blocks.push_back(alloc(200));
  }
  size_t const full = capacity();
  for (void *p : blocks) {
    free(p);
  }
  EXPECT_LT(capacity(), full / 2);
}

TEST_F(GrowingHeap, TakesAFreedBigBlockForTheNextOfItsSize) {
  char *const first = alloc(3 << 20);
  std::memset(first, 1, 3 << 20);
  free(first);
  EXPECT_EQ(alloc(3 << 20), first);
}

TEST_F(GrowingHeap, KeepsNoMoreThanItSays) {
  std::vector<void *> blocks;
  for (int i = 0; i < 40; i++) {
    blocks.push_back(alloc(RF_BIG_BLOCK * 4));
  }
  for (void *p : blocks) {
    free(p);
  }
  EXPECT_LE(capacity(), RF_KEPT_BYTES);
  EXPECT_GT(rf_growing_heap_trim(&heap_), 0U);
  EXPECT_EQ(capacity(), 0U);
}

TEST_F(GrowingHeap, KnowsWhichBigBlocksAreFresh) {
  char *const first = alloc(2 << 20);
  EXPECT_TRUE(rf_growing_heap_is_fresh(&heap_, first));
  free(first);
  char *const again = alloc(2 << 20);
  EXPECT_EQ(again, first);
  EXPECT_FALSE(rf_growing_heap_is_fresh(&heap_, again));
  EXPECT_FALSE(rf_growing_heap_is_fresh(&heap_, alloc(100)));
}

TEST_F(GrowingHeap, GrowsABigBlockThatWasMovedInPlace) {
  heap_.growing = true;
  char *const p = alloc(1 << 20);
  heap_.growing = false;
  p[0] = 1;
  EXPECT_EQ(rf_resize(&heap_.base, p, (1 << 20) + (1 << 19)), RF_OK);
  p[(1 << 20) + (1 << 19) - 1] = 2;
  EXPECT_EQ(p[0], 1);
  EXPECT_EQ(rf_resize(&heap_.base, p, 1000), RF_OK);
  EXPECT_LT(capacity(), size_t{1} << 20);
}

TEST_F(GrowingHeap, ServesAnyAlignment) {
  for (size_t align = 1; align <= size_t{16} << 20; align *= 2) {
    void *const p = rf_aligned_alloc(&heap_.base, align, 10);
    ASSERT_NE(p, nullptr) << align;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % align, 0U);
    free(p);
  }
}

// Writes over the header of the block behind, as an overflow does.
class DamagedGrowingHeap : public GrowingHeap {
protected:
  DamagedGrowingHeap() {
    rf_fault_handler_set(rf_fault_log, nullptr);
    std::memset(first_, 1, 100);
    std::memset(second_, 2, 200);
  }
  ~DamagedGrowingHeap() override { rf_fault_handler_set(nullptr, nullptr); }

  void damage() {
    char *const edge = alloc(64);
    std::memset(edge, 3, rf_usable_size(&heap_.base, edge) + 4); // the header of the free block behind
    EXPECT_EQ(rf_alloc(&heap_.base, 64), nullptr);
    edge_ = edge;
  }

  Unwatched unwatched_;
  char *const first_ = alloc(100);
  char *const second_ = alloc(200);
  char *edge_ = nullptr;
};

TEST_F(DamagedGrowingHeap, AWholeHeapHasNothingToRecoverFrom) {
  EXPECT_FALSE(rf_growing_heap_recover(&heap_));
}

TEST_F(DamagedGrowingHeap, ServesFromElsewhereOnceRecovered) {
  damage();
  EXPECT_TRUE(rf_growing_heap_recover(&heap_));
  char *const p = alloc(64);
  ASSERT_NE(p, nullptr);
  free(p);
  rf_fault where;
  EXPECT_EQ(rf_check(&heap_.base, &where), RF_OK);
}

TEST_F(DamagedGrowingHeap, KeepsTheBlocksOfBefore) {
  damage();
  rf_growing_heap_recover(&heap_);
  EXPECT_GE(rf_usable_size(&heap_.base, first_), 100U);
  EXPECT_LT(rf_usable_size(&heap_.base, first_), 200U);
  char *const moved = static_cast<char *>(rf_realloc(&heap_.base, second_, 300));
  ASSERT_NE(moved, nullptr);
  EXPECT_EQ(moved[199], 2);
  free(first_);
  EXPECT_EQ(rf_free(&heap_.base, first_), RF_ERR_NOT_ALLOCATED);
  free(moved);
  free(edge_);
}

TEST_F(DamagedGrowingHeap, WalksAndCountsTheBlocksOfBefore) {
  damage();
  rf_growing_heap_recover(&heap_);
  std::vector<void *> seen;
  rf_walk(
      &heap_.base,
      [](const rf_block *block, void *context) {
        static_cast<std::vector<void *> *>(context)->push_back(block->ptr);
        return true;
      },
      &seen);
  EXPECT_EQ(seen, (std::vector<void *>{first_, second_, edge_}));
  EXPECT_EQ(rf_growing_heap_counters(&heap_).blocks, 3U);
  EXPECT_EQ(rf_growing_heap_counters(&heap_).used, 364U);
}

TEST_F(DamagedGrowingHeap, GivesTheOldRegionsBackWhenTheyAreEmpty) {
  for (int i = 0; i < 20; i++) {
    damage();
    EXPECT_TRUE(rf_growing_heap_recover(&heap_));
    free(edge_);
  }
  free(first_);
  free(second_);
  EXPECT_EQ(capacity(), 0U);
  EXPECT_EQ(rf_growing_heap_counters(&heap_).used, 0U);
}

} // namespace
