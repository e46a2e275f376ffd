// AWTK's allocator over several regions.
#include "awtk_fixture.h"

#include "tkc/mem_allocator_composite.h"
#include "tkc/mem_allocator_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace ringfence_test {
namespace {

TEST_F(Awtk, RegionsServeInTheirOrderAndABlockMovesOn) {
  char mem1[36];
  char mem2[64];
  char mem3[1280];
  mem_allocator_composite_t composite;
  mem_allocator_t *const a = mem_allocator_composite_init(&composite, mem1, static_cast<uint32_t>(sizeof mem1), mem2,
                                                          static_cast<uint32_t>(sizeof mem2), mem3,
                                                          static_cast<uint32_t>(sizeof mem3), nullptr);
  ASSERT_NE(nullptr, a);
  auto const in = [](const void *p, const char *mem, size_t size) {
    return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(mem) < size;
  };
  char *p = static_cast<char *>(alloc(a, 16));
  ASSERT_TRUE(in(p, mem1, sizeof mem1));
  memset(p, 3, 16);
  EXPECT_EQ(p, realloc_to(a, p, 18));
  p = static_cast<char *>(realloc_to(a, p, 40));
  ASSERT_TRUE(in(p, mem2, sizeof mem2));
  EXPECT_EQ(3, p[15]);
  p = static_cast<char *>(realloc_to(a, p, 1000));
  ASSERT_TRUE(in(p, mem3, sizeof mem3));
  EXPECT_EQ(3, p[15]);
  EXPECT_TRUE(in(alloc(a, 10), mem1, sizeof mem1));
  EXPECT_TRUE(mem_allocator_composite_is_valid_addr(a, mem1 + 35));
  EXPECT_FALSE(mem_allocator_composite_is_valid_addr(a, buffer));
  EXPECT_EQ(nullptr, realloc_to(a, p, 2000));
  EXPECT_EQ(3, p[15]);
  mem_allocator_free(a, buffer);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  EXPECT_EQ(RF_OK, rf_check(rf_awtk_allocator(a), nullptr));
  rf_stats stats;
  rf_stats_get(rf_awtk_allocator(a), &stats);
  EXPECT_EQ(2U, stats.blocks);
  EXPECT_EQ(1010U, stats.used);
  EXPECT_EQ(1U, stats.failures);
  EXPECT_EQ(2U, stats.peak_blocks);
  EXPECT_EQ(1010U, stats.peak);
  mem_allocator_free(a, p);
  rf_stats_get(rf_awtk_allocator(a), &stats);
  EXPECT_EQ(1010U, stats.peak);
  EXPECT_EQ(2U, stats.peak_blocks);
  EXPECT_NE(nullptr, p = static_cast<char *>(alloc(a, 1000)));
  rf_stats_get(rf_awtk_allocator(a), &stats);
  EXPECT_EQ(5U, stats.allocations); // a block that moves counts again
  EXPECT_EQ(stats.capacity, stats.used + stats.free_bytes + stats.overhead);
  EXPECT_EQ(RET_OK, mem_allocator_dump(a));
  mem_allocator_destroy(a);
  EXPECT_FALSE(mem_allocator_composite_is_valid_addr(a, mem1));
}

TEST_F(Awtk, SeveralRegionsTellWhatTheOnesTell) {
  char mem1[256];
  char mem2[256];
  mem_allocator_composite_t composite;
  mem_allocator_t *const made = mem_allocator_composite_init(&composite, mem1, static_cast<uint32_t>(sizeof mem1), mem2,
                                                             static_cast<uint32_t>(sizeof mem2), nullptr);
  rf_allocator *const a = rf_awtk_allocator(made);
  for (size_t const size : {100, 200}) {
    void *const p = rf_alloc(a, size);
    ASSERT_NE(nullptr, p);
    EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize_at(a, p, 1000, nullptr));
    EXPECT_EQ(RF_OK, rf_resize_at(a, p, 50, nullptr));
    EXPECT_EQ(RF_OK, rf_free(a, p));
    EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_free(a, p));
    EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  }
  mem_allocator_destroy(made);
}

// 19 bytes are enough wherever they begin, and all of them are the heap's.
TEST_F(Awtk, ASmallRegionIsTakenWithItsLastByte) {
  alignas(16) static char mem[40];
  mem_allocator_composite_t composite;
  for (size_t shift = 0; shift < 16; shift++) {
    mem_allocator_t *const a = mem_allocator_composite_init(&composite, buffer, 64U, mem + shift, 19U, nullptr);
    ASSERT_NE(nullptr, a) << shift;
    EXPECT_TRUE(mem_allocator_composite_is_valid_addr(a, mem + shift + 18));
    EXPECT_FALSE(mem_allocator_composite_is_valid_addr(a, mem + shift + 19));
    rf_stats stats;
    EXPECT_EQ(nullptr, alloc(a, 1000));
    rf_stats_get(rf_awtk_allocator(a), &stats);
    EXPECT_EQ(1U, stats.failures);
    EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
  }
}

// None of them is in use after the end, nor where a later one could not be added.
TEST_F(Awtk, RegionsEndTogether) {
  mem_allocator_composite_t composite;
  mem_allocator_t *const a = mem_allocator_composite_init(&composite, buffer, 4096U, buffer + 4096, 1024U, nullptr);
  ASSERT_NE(nullptr, a);
  EXPECT_TRUE(mem_allocator_simple_is_valid(&composite.allocators[1].allocator));
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
  EXPECT_FALSE(mem_allocator_simple_is_valid(&composite.allocators[0].allocator));
  EXPECT_FALSE(mem_allocator_simple_is_valid(&composite.allocators[1].allocator));
  EXPECT_EQ(nullptr, mem_allocator_composite_init(&composite, buffer, 4096U, buffer + 4096, 2U, nullptr));
  EXPECT_EQ(nullptr, rf_awtk_allocator(a));
  EXPECT_FALSE(mem_allocator_simple_is_valid(&composite.allocators[0].allocator));
}

// To another region for its alignment, and to as many bytes as it asks for there.
TEST_F(Awtk, ABlockThatMovesToAnotherRegionMayShrink) {
  alignas(1024) static char both[2048];
  mem_allocator_composite_t composite;
  mem_allocator_t *const a = mem_allocator_composite_init(&composite, both + 8, 700U, both + 1024 - 64, 800U, nullptr);
  rf_allocator *const all = rf_awtk_allocator(a);
  auto *const large = static_cast<char *>(rf_alloc(all, 400));
  auto *const place = static_cast<char *>(rf_aligned_alloc(all, 1024, 24));
  ASSERT_EQ(both + 1024, place);
  auto *const beside = static_cast<char *>(rf_alloc(all, 400));
  ASSERT_TRUE(large < place && beside > place);
  EXPECT_EQ(RF_OK, rf_free(all, place));
  memset(large, 7, 400);
  memset(beside, 9, 400);
  EXPECT_EQ(place, rf_realloc_at(all, large, 24, 1024, nullptr));
  EXPECT_EQ(std::string(24, 7), std::string(place, 24));
  EXPECT_EQ(std::string(400, 9), std::string(beside, 400));
  EXPECT_EQ(RF_OK, rf_check(all, nullptr));
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

// A pool asks for them at each call, where a walk over all blocks would take too long: also once all were asked for.
TEST_F(Awtk, StatisticsBelowAPoolStayBrief) {
  mem_allocator_simple_t simple;
  mem_allocator_pool_t pool;
  mem_allocator_t *const below = mem_allocator_simple_init(&simple, buffer, static_cast<uint32_t>(sizeof buffer));
  mem_allocator_t *const a = mem_allocator_pool_init(&pool, below, 10, 10, 10, 10, 10);
  ASSERT_NE(nullptr, a);
  void *const p = alloc(a, 500);
  for (int i = 0; i < 2; i++) {
    rf_stats all;
    rf_stats brief;
    rf_stats_get(rf_awtk_allocator(a), &all);
    EXPECT_EQ(all.capacity, all.used + all.free_bytes + all.overhead);
    EXPECT_LE(all.capacity, sizeof buffer);
    EXPECT_LT(500U, all.capacity);
    rf_stats_get(rf_awtk_allocator(below), &brief);
    EXPECT_EQ(0U, brief.capacity);
    EXPECT_LE(500U, brief.used);
  }
  mem_allocator_free(a, p);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(Awtk, ARegionIsAddedLaterAsLongAsThereIsRoomForIt) {
  mem_allocator_composite_t composite;
  mem_allocator_t *const a = mem_allocator_composite_init(&composite, buffer, 64U, nullptr);
  EXPECT_EQ(nullptr, alloc(a, 500));
  EXPECT_EQ(RET_BAD_PARAMS, mem_allocator_composite_add_mem(a, nullptr, 100));
  for (uint32_t i = 1; i < TK_MAX_MEM_BLOCK_NR; i++) {
    EXPECT_EQ(RET_OK, mem_allocator_composite_add_mem(a, buffer + 1024 * i, 1024));
  }
  EXPECT_EQ(RET_BAD_PARAMS, mem_allocator_composite_add_mem(a, buffer + 100 * 1024, 1024));
  EXPECT_NE(nullptr, alloc(a, 500));
  mem_allocator_destroy(a);
  EXPECT_EQ(nullptr, mem_allocator_composite_init(&composite, nullptr, 64U, nullptr));
  EXPECT_EQ(nullptr, mem_allocator_composite_init(&composite, buffer, 1024U, buffer + 1024, 2U, nullptr));
}

} // namespace
} // namespace ringfence_test
