// The handle heap: what uC/GUI's does, the figures that it reports, and its end.
#include "tests/heaps/handle_fixture.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace {

using Handle = ringfence::testing::Handle;

// ---- As uC/GUI's ----

TEST_F(Handle, OfAFreshHeapAre1And2And3) {
  EXPECT_EQ(rf_handle_alloc(h, 10), 1U);
  EXPECT_EQ(rf_handle_alloc(h, 10), 2U);
  EXPECT_EQ(rf_handle_alloc(h, 10), 3U);
}

TEST_F(Handle, Null0HasNoAddressAndMayBeFreed) {
  EXPECT_EQ(rf_handle_address(h, RF_HANDLE_NULL), nullptr);
  EXPECT_EQ(rf_handle_lock(h, RF_HANDLE_NULL), nullptr);
  EXPECT_EQ(rf_handle_unlock(h, RF_HANDLE_NULL), RF_OK);
  EXPECT_EQ(rf_handle_size(h, RF_HANDLE_NULL), 0U);
  EXPECT_EQ(rf_handle_free(h, RF_HANDLE_NULL), RF_OK);
  EXPECT_EQ(rf_handle_realloc(h, RF_HANDLE_NULL, 4), RF_ERR_INVALID);
}

TEST_F(Handle, SizesRoundUpToTheAlignmentOf4) {
  for (size_t const size : {29, 30, 31, 32}) {
    size_t const before = usage().used_bytes;
    ASSERT_NE(rf_handle_alloc(h, size), RF_HANDLE_NULL);
    EXPECT_EQ(usage().used_bytes - before, 32U);
  }
}

TEST_F(Handle, BlocksBeginZeroed) {
  rf_handle const a = rf_handle_alloc(h, 101);
  EXPECT_TRUE(std::all_of(at(a), at(a) + 101, [](unsigned char c) { return c == 0; }));
}

TEST_F(Handle, ARawBlockIsLeftAsItIs) {
  rf_handle const a = rf_handle_alloc_raw(h, 100);
  EXPECT_EQ(at(a)[50], 0x55);
}

TEST_F(Handle, FreedMemoryIsFilledWithCC) {
  rf_handle const a = rf_handle_alloc(h, 101);
  unsigned char *const p = at(a);
  rf_handle_free(h, a);
  Unwatched const unwatched(p, 104);
  EXPECT_TRUE(std::all_of(p, p + 104, [](unsigned char c) { return c == 0xCC; }));
}

TEST_F(Handle, TheFirstHoleFromLowToHighIsTaken) {
  make_apart(200);
  fill({20, 8, 12, 8, 16, 8});
  rf_handle_free(h, 1);
  rf_handle_free(h, 3);
  rf_handle_free(h, 5);
  EXPECT_EQ(map(), "-20 2:8 -12 4:8 -16 6:8 -128 ");
  EXPECT_EQ(rf_handle_alloc(h, 12) & 0xFFFF, 1U);
  EXPECT_EQ(map(), "1:12 -8 2:8 -12 4:8 -16 6:8 -128 ");
  EXPECT_EQ(rf_handle_alloc(h, 13) & 0xFFFF, 3U);
  EXPECT_EQ(map(), "1:12 -8 2:8 -12 4:8 3:13 6:8 -128 ");
}

TEST_F(Handle, TheLowestFreeHandleIsTaken) {
  fill({8, 8, 8, 8});
  rf_handle_free(h, 3);
  rf_handle_free(h, 2);
  EXPECT_EQ(rf_handle_alloc(h, 100) & 0xFFFF, 2U);
  EXPECT_EQ(rf_handle_alloc(h, 100) & 0xFFFF, 3U);
  EXPECT_EQ(rf_handle_alloc(h, 100), 5U);
}

TEST_F(Handle, AllocCompactsWhereNoHoleIsLargeEnough) {
  make_apart(64);
  fill({16, 16, 16, 16});
  std::memset(at(2), 'b', 16);
  std::memset(at(4), 'd', 16);
  rf_handle_free(h, 1);
  rf_handle_free(h, 3);
  rf_handle const big = rf_handle_alloc(h, 32);
  ASSERT_NE(big, RF_HANDLE_NULL);
  EXPECT_EQ(map(), "2:16 1:32 4:16 ");
  EXPECT_EQ(std::string(reinterpret_cast<char *>(at(2)), 16), std::string(16, 'b'));
  EXPECT_EQ(std::string(reinterpret_cast<char *>(at(4)), 16), std::string(16, 'd'));
  EXPECT_EQ(at(big)[31], 0);
  EXPECT_EQ(usage().compactions, 1U);
  EXPECT_EQ(usage().moved_bytes, 16U);
}

TEST_F(Handle, CompactionMovesNoMoreBlocksThanItMust) {
  make_apart(100);
  fill({20, 4, 16, 4, 16, 4, 36});
  rf_handle_free(h, 1);
  rf_handle_free(h, 3);
  rf_handle_free(h, 5);
  EXPECT_NE(rf_handle_alloc(h, 36), RF_HANDLE_NULL);
  EXPECT_EQ(map(), "2:4 1:36 4:4 -16 6:4 7:36 ");
}

TEST_F(Handle, FreePtrZeroesTheHandle) {
  rf_handle a = rf_handle_alloc(h, 8);
  EXPECT_EQ(rf_handle_free_ptr(h, &a), RF_OK);
  EXPECT_EQ(a, RF_HANDLE_NULL);
  EXPECT_EQ(rf_handle_free_ptr(h, &a), RF_OK);
}

TEST_F(Handle, FreePtrKeepsAHandleThatWasRefused) {
  rf_handle a = rf_handle_alloc(h, 8);
  rf_handle_lock(h, a);
  rf_handle const kept = a;
  EXPECT_EQ(rf_handle_free_ptr(h, &a), RF_ERR_BUSY);
  EXPECT_EQ(a, kept);
  EXPECT_EQ(faults.take(), RF_ERR_BUSY);
}

TEST_F(Handle, FindIsTheInverseOfAddress) {
  fill({10, 20, 30});
  for (rf_handle a = 1; a <= 3; a++) {
    EXPECT_EQ(rf_handle_find(h, at(a)), a);
    EXPECT_EQ(rf_handle_find(h, at(a) + 4), RF_HANDLE_NULL);
  }
  EXPECT_EQ(rf_handle_find(h, nullptr), RF_HANDLE_NULL);
  EXPECT_EQ(rf_handle_find(h, &heap), RF_HANDLE_NULL);
}

TEST_F(Handle, BlocksAreAsManyAsTwoAndOnePer32Bytes) {
  make({}, 12500);
  rf_handle_usage const u = usage();
  EXPECT_LE(u.free_blocks, 2 + kArena / 32);
  EXPECT_LE(u.free_blocks, 2 + u.free_bytes / 32);
  EXPECT_GE(u.free_blocks, 1 + u.free_bytes / 32);
  for (size_t i = u.free_blocks; i != 0; i--) {
    ASSERT_NE(rf_handle_alloc(h, 4), RF_HANDLE_NULL);
  }
  EXPECT_EQ(rf_handle_alloc(h, 4), RF_HANDLE_NULL);
}

// ---- Free memory as it is reported ----

TEST_F(Handle, WhatIsReportedFreeCanBeHadInOneBlock) {
  rf_handle_usage const fresh = usage();
  EXPECT_EQ(fresh.largest, fresh.free_bytes);
  rf_handle const all = rf_handle_alloc(h, fresh.free_bytes);
  ASSERT_NE(all, RF_HANDLE_NULL);
  EXPECT_EQ(usage().free_bytes, 0U);
  EXPECT_EQ(rf_handle_alloc(h, 1), RF_HANDLE_NULL);
  rf_handle_free(h, all);
  EXPECT_EQ(usage().free_bytes, fresh.free_bytes);
}

TEST_F(Handle, TheLargestSizeIsServedAndOneMoreIsNot) {
  std::mt19937 random(20261120);
  for (int round = 0; round < 200; round++) {
    make_apart(2000);
    std::vector<rf_handle> live;
    for (int i = 0; i < 40; i++) {
      rf_handle const a = rf_handle_alloc(h, 1 + random() % 60);
      ASSERT_NE(a, RF_HANDLE_NULL);
      if (random() % 5 == 0) {
        rf_handle_lock(h, a);
      } else {
        live.push_back(a);
      }
    }
    for (rf_handle const a : live) {
      if (random() % 2 == 0) {
        rf_handle_free(h, a);
      }
    }
    size_t const largest = usage().largest;
    ASSERT_EQ(rf_handle_alloc(h, largest + 1), RF_HANDLE_NULL);
    ASSERT_NE(rf_handle_alloc(h, largest), RF_HANDLE_NULL);
    ASSERT_EQ(rf_handle_check(h, nullptr), RF_OK);
  }
}

TEST_F(Handle, LowWaterMarksAndPeaksStay) {
  rf_handle_usage const fresh = usage();
  fill({100, 201});
  rf_handle_free(h, 2);
  rf_handle_free(h, 1);
  rf_handle_usage const u = usage();
  EXPECT_EQ(u.used_bytes, 0U);
  EXPECT_EQ(u.free_bytes, fresh.free_bytes);
  EXPECT_EQ(u.peak_bytes, 304U);
  EXPECT_EQ(u.min_free_bytes, fresh.free_bytes - 304);
  EXPECT_EQ(u.peak_blocks, 2U);
  EXPECT_EQ(u.min_free_blocks, fresh.free_blocks - 2);
  EXPECT_EQ(u.used_blocks, 0U);
  EXPECT_EQ(u.stats.peak, 301U);
  EXPECT_EQ(u.stats.allocations, 2U);
  EXPECT_EQ(u.stats.capacity, kArena);
  EXPECT_EQ(u.stats.used + u.stats.free_bytes + u.stats.overhead, kArena);
}

TEST_F(Handle, AFailedCallChangesNoFigureButFailures) {
  fill({100});
  rf_handle_usage const before = usage();
  EXPECT_EQ(rf_handle_alloc(h, kArena), RF_HANDLE_NULL);
  EXPECT_EQ(rf_handle_realloc(h, 1, kArena), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_handle_alloc_at(h, kArena, RF_HANDLE_TRY, nullptr), RF_HANDLE_NULL);
  rf_handle_usage after = usage();
  EXPECT_EQ(after.stats.failures, 1U);
  after.stats.failures = before.stats.failures;
  EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0);
}

// ---- The end ----

TEST_F(Handle, AnAttemptThatFailsIsNoFailure) {
  make_apart(100, 2);
  fill({20, 20});
  EXPECT_EQ(usage().largest, 0U) << "no handle is left";
  EXPECT_EQ(usage().free_bytes, 0U);
  EXPECT_EQ(rf_handle_alloc_at(h, 20, RF_HANDLE_TRY, RF_HERE), RF_HANDLE_NULL);
  EXPECT_EQ(rf_handle_alloc_at(h, 200, RF_HANDLE_TRY, RF_HERE), RF_HANDLE_NULL);
  EXPECT_EQ(usage().stats.failures, 0U);
  EXPECT_EQ(rf_handle_alloc(h, 20), RF_HANDLE_NULL);
  EXPECT_EQ(usage().stats.failures, 1U);
}

TEST_F(Handle, AnEndedHeapRefusesEverythingAndEndsAgain) {
  fill({10});
  rf_handle_deinit(h);
  rf_handle_deinit(h);
  EXPECT_EQ(rf_handle_alloc(h, 1), RF_HANDLE_NULL);
  EXPECT_EQ(rf_handle_free(h, 1), RF_ERR_INVALID);
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_find(h, arena), RF_HANDLE_NULL);
  EXPECT_EQ(usage().stats.capacity, 0U);
}

// A heap that is made there later takes no place for a block.
TEST_F(Handle, AnEndedHeapLeavesNothingInItsTable) {
  std::memset(table, 0x55, sizeof table);
  make_apart(1000, 3);
  auto const *const end = std::find_if(std::crbegin(table), std::crend(table), [](auto b) { return b != 0x55; }).base();
  ASSERT_LT(end, std::end(table));
  fill({10, 10, 10});
  rf_handle_deinit(h);
  EXPECT_EQ(std::count(std::cbegin(table), end, 0), end - table);
}

TEST_F(Handle, WalksStopWhenToldTo) {
  fill({10, 10});
  int visits = 0;
  EXPECT_EQ(rf_handle_walk(
                h,
                [](const rf_handle_block *, void *n) {
                  ++*static_cast<int *>(n);
                  return false;
                },
                &visits),
            RF_OK);
  EXPECT_EQ(visits, 1);
}

} // namespace
