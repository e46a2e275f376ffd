// AWTK's memory: what a heap of several regions answers as an rf_allocator, and which sizes a pool is for.
#include "tkc/mem.h"
#include "tkc/mem_allocator_composite.h"
#include "tkc/mem_allocator_debug.h"
#include "tkc/mem_allocator_fixed_block.h"
#include "tkc/mem_allocator_pool.h"
#include "tkc/mem_allocator_simple.h"
#include "tkc/mem_pool.h"

#include <gtest/gtest.h>
#include <ringfence/track.h>

#include "tests/core/recorder.h"

namespace {

class AwtkParts : public ::testing::Test {
protected:
  void TearDown() override { EXPECT_TRUE(faults.faults().empty()); }

  // A heap of one region.
  mem_allocator_t *make_composite() {
    return mem_allocator_composite_init(&composite, large, static_cast<uint32_t>(sizeof large), nullptr);
  }

  ringfence::testing::FaultRecorder faults;
  mem_allocator_composite_t composite;
  alignas(16) char large[4096];
  alignas(16) char small[1024];
};

TEST_F(AwtkParts, AllRegionsAreOneHeapToItsViewer) {
  mem_allocator_t *const a = mem_allocator_composite_init(&composite, large, static_cast<uint32_t>(sizeof large), small,
                                                          static_cast<uint32_t>(sizeof small), nullptr);
  ASSERT_NE(nullptr, a);
  rf_allocator *const all = rf_awtk_allocator(a);
  rf_stats s;
  rf_stats_get(all, &s);
  EXPECT_GT(s.largest_free, sizeof small) << "the first region's";
  ASSERT_NE(nullptr, mem_allocator_alloc(a, static_cast<uint32_t>(s.largest_free), "here", 1));
  ASSERT_NE(nullptr, mem_allocator_alloc(a, 300, "here", 2));
  rf_stats_get(all, &s);
  EXPECT_EQ(2U, s.blocks);
  int visits = 0;
  EXPECT_EQ(RF_OK, rf_walk(
                       all,
                       [](const rf_block *, void *count) {
                         ++*static_cast<int *>(count);
                         return false;
                       },
                       &visits));
  EXPECT_EQ(1, visits) << "the other region's are not shown to who has seen enough";
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(AwtkParts, ABlockThatShrinksInPlaceIsCountedAsItIs) {
  mem_allocator_t *const a = make_composite();
  ASSERT_NE(nullptr, a);
  rf_allocator *const all = rf_awtk_allocator(a);
  rf_stats before;
  rf_stats after;
  void *const p = mem_allocator_alloc(a, 1000, "here", 1);
  rf_stats_get(all, &before);
  EXPECT_EQ(RF_OK, rf_resize(all, p, 100));
  rf_stats_get(all, &after);
  EXPECT_LE(after.used + 900, before.used);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(AwtkParts, ARefusedReallocIsNoFailure) {
  mem_allocator_t *const a = make_composite();
  ASSERT_NE(nullptr, a);
  void *const p = mem_allocator_alloc(a, 100, "here", 1);
  mem_allocator_free(a, p);
  EXPECT_EQ(nullptr, mem_allocator_realloc(a, p, 200, "here", 2));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, faults.take());
  rf_stats s;
  rf_stats_get(rf_awtk_allocator(a), &s);
  EXPECT_EQ(0U, s.failures);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(AwtkParts, APoolIsForTheSizesAboveThoseOfTheOneBefore) {
  mem_allocator_simple_t simple;
  mem_allocator_pool_t pool;
  mem_allocator_t *const a =
      mem_allocator_pool_init(&pool, mem_allocator_simple_init(&simple, large, sizeof large), 2, 2, 2, 2, 2);
  ASSERT_NE(nullptr, a);
  uint32_t above = 0;
  for (mem_pool_t *const each : pool.pools) {
    EXPECT_EQ(above == 0, mem_pool_match_size(each, above)) << "none, or of the pool before";
    EXPECT_TRUE(mem_pool_match_size(each, above + 1));
    EXPECT_TRUE(mem_pool_match_size(each, each->block_size));
    EXPECT_FALSE(mem_pool_match_size(each, each->block_size + 1));
    above = each->block_size;
  }
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

// Wherever the buffer begins and however little it is short of: none of its blocks ends behind it.
TEST_F(AwtkParts, APoolLiesInItsBuffer) {
  auto *const bytes = reinterpret_cast<uint8_t *>(large);
  uint32_t const most = mem_pool_get_min_size(16, 100);
  for (uint32_t shift = 0; shift < 16; shift++) {
    for (uint32_t size = most - 32; size <= most; size++) {
      const mem_pool_t *const pool = mem_pool_init(bytes + shift, size, 16, 100);
      EXPECT_TRUE(pool != nullptr || size < most);
      EXPECT_TRUE(pool == nullptr || pool->start + 1600 <= bytes + shift + size) << shift << ' ' << size;
      rf_track_arena_end(large, sizeof large);
    }
  }
}

TEST_F(AwtkParts, DebugComparesItsFiguresWithItsBlocks) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, large, static_cast<uint32_t>(sizeof large)));
  ASSERT_NE(nullptr, a);
  void *const p = mem_allocator_alloc(a, 100, "here", 1);
  for (size_t *const figure : {&debug.ledger.counters.used, &debug.ledger.counters.blocks}) {
    EXPECT_EQ(RF_OK, rf_check(rf_awtk_allocator(a), nullptr));
    ++*figure;
    EXPECT_EQ(RF_ERR_CORRUPT, rf_check(rf_awtk_allocator(a), nullptr));
    --*figure;
  }
  mem_allocator_free(a, p);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

// What the record of a block says of it: its call, its size, and where its memory begins.
TEST_F(AwtkParts, DebugTellsADamagedRecordByEachOfItsWords) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, large, static_cast<uint32_t>(sizeof large)));
  ASSERT_NE(nullptr, a);
  auto *const p = static_cast<char *>(mem_allocator_alloc(a, 100, "here", 1));
  auto *const words = reinterpret_cast<uintptr_t *>(p - (sizeof(void *) == 8 ? 48 : 32)); // behind the two links
  for (size_t i = 2; i < 6; i++) {
    words[i] ^= 16;
    EXPECT_EQ(RF_ERR_CORRUPT, rf_check(rf_awtk_allocator(a), nullptr)) << i;
    words[i] ^= 16;
    EXPECT_EQ(RF_OK, rf_check(rf_awtk_allocator(a), nullptr)) << i;
  }
  mem_allocator_free(a, p);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(AwtkParts, FixedBlocksLeaveNothingBehind) {
  ASSERT_EQ(RET_OK, tk_mem_init(large, static_cast<uint32_t>(sizeof large)));
  for (int i = 0; i < 1000; i++) {
    mem_allocator_t *const a = mem_allocator_fixed_block_create(24, 4);
    ASSERT_NE(nullptr, a) << i;
    EXPECT_NE(nullptr, mem_allocator_alloc(a, 24, "here", 1));
    EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
  }
  rf_awtk_mem_deinit();
}

} // namespace
