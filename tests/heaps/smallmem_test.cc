// smallmem: where blocks lie, how they split, merge and grow.
#include "tests/heaps/smallmem_fixture.h"

#include <cstring>
#include <vector>

namespace ringfence_test {
namespace {

// ---- Layout ----

TEST_F(Smallmem, ABlockCostsThreeWordsAndRoundingUp) {
  unsigned char *const p = alloc(100);
  unsigned char *const q = alloc(1);
  EXPECT_EQ(p + span(100), q);
  std::vector<Seen> const blocks = walk(a);
  ASSERT_EQ(3U, blocks.size());
  EXPECT_EQ(100U, blocks[0].size);
  EXPECT_EQ(span(100) - 100, blocks[0].overhead);
}

TEST_F(Smallmem, HeadersLieSoThatPayloadsAreAlignedAtAnyArenaAddress) {
  for (size_t skew = 0; skew < 2 * kG; skew++) {
    rf_smallmem other;
    ASSERT_EQ(RF_OK, rf_smallmem_init(&other, arena + skew, 256));
    void *const p = rf_alloc(&other.base, 1);
    EXPECT_TRUE(rf_is_aligned(p, kG));
    EXPECT_LT(static_cast<unsigned char *>(p) - (arena + skew), static_cast<ptrdiff_t>(kHeader + kG));
    rf_deinit(&other.base);
  }
  SetUp();
}

TEST_F(Smallmem, AHeaderAndSixteenBytesAreAlwaysEnough) {
  for (size_t skew = 0; skew < kG; skew++) {
    rf_smallmem other;
    EXPECT_EQ(RF_OK, rf_smallmem_init(&other, arena + skew, kHeader + kG));
    EXPECT_NE(nullptr, rf_alloc(&other.base, 1));
    EXPECT_EQ(RF_ERR_INVALID, rf_smallmem_init(&other, arena + skew, kHeader));
  }
  SetUp();
}

TEST_F(Smallmem, TheLastBlockEndsWithTheArena) {
  for (size_t cut = 0; cut < 3 * kG; cut++) {
    rf_smallmem other;
    size_t const size = 512 - cut;
    ASSERT_EQ(RF_OK, rf_smallmem_init(&other, arena, size));
    (void)rf_alloc(&other.base, 100);
    size_t const largest = stats(&other.base).largest_free;
    auto *const p = static_cast<unsigned char *>(rf_alloc(&other.base, largest));
    ASSERT_NE(nullptr, p);
    EXPECT_EQ(arena + size, p + largest);
    EXPECT_EQ(0U, stats(&other.base).free_bytes);
    EXPECT_EQ(RF_OK, rf_check(&other.base, nullptr));
    rf_deinit(&other.base);
  }
  SetUp();
}

TEST_F(Smallmem, TheFirstFreeBlockThatIsLargeEnoughIsTaken) {
  unsigned char *const small = alloc(40);
  alloc(1);
  unsigned char *const large = alloc(400);
  alloc(1);
  unsigned char *const fitting = alloc(200);
  alloc(1);
  rf_free(a, fitting);
  rf_free(a, large);
  rf_free(a, small);
  EXPECT_EQ(large, rf_alloc(a, 200));
  EXPECT_EQ(small, rf_alloc(a, 40));
}

TEST_F(Smallmem, WhatIsTooLittleForABlockStaysWithTheBlock) {
  unsigned char *const p = alloc(200);
  alloc(1);
  rf_free(a, p);
  size_t const room = span(200) - kHeader;
  EXPECT_EQ(p, rf_alloc(a, room - kG));
  EXPECT_EQ(kG > kHeader ? room - kG : room, rf_usable_size(a, p)); // a block has a header and a byte at least
  rf_free(a, p);
  EXPECT_EQ(p, rf_alloc(a, room - span(1)));
  EXPECT_EQ(room - span(1), rf_usable_size(a, p));
}

// A header and one byte; in the middle of the arena, all sizes are multiples of the alignment.
TEST_F(Smallmem, TheLeastBlockIsSplitOffAtTheEndOfTheArena) {
  constexpr size_t kLeast = 1;
  size_t const first = span(1);
  alignas(16) unsigned char memory[128];
  rf_smallmem other;
  ASSERT_EQ(RF_OK, rf_smallmem_init(&other, memory + rf_align_gap(memory + kHeader, kG), first + kHeader + kLeast));
  unsigned char *const p = alloc_filled(&other.base, first - kHeader);
  std::vector<Seen> const blocks = walk(&other.base);
  ASSERT_EQ(2U, blocks.size());
  EXPECT_EQ(p, blocks[0].ptr);
  EXPECT_EQ(kLeast, blocks[1].size);
  rf_deinit(&other.base);
}

TEST_F(Smallmem, AFreeMergesWithBothNeighbours) {
  unsigned char *const p = alloc(50);
  unsigned char *const q = alloc(60);
  unsigned char *const r = alloc(70);
  alloc(1);
  rf_free(a, p);
  rf_free(a, r);
  EXPECT_EQ(5U, walk(a).size());
  rf_free(a, q);
  std::vector<Seen> const blocks = walk(a);
  ASSERT_EQ(3U, blocks.size());
  EXPECT_EQ(span(50) + span(60) + span(70) - kHeader, blocks[0].size);
}

TEST_F(Smallmem, MemoryBeforeAnAlignedBlockStaysFree) {
  auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(a, 512, 10));
  ASSERT_TRUE(rf_is_aligned(p, 512));
  EXPECT_FALSE(walk(a)[0].used);
  EXPECT_LT(alloc(10), p);
  rf_free(a, p);
}

// ---- Resizing ----

TEST_F(Smallmem, AReallocGrowsIntoFreeMemoryBehindTheBlock) {
  unsigned char *const p = alloc(50);
  unsigned char *const q = alloc(60);
  alloc(1);
  rf_free(a, q);
  EXPECT_EQ(p, rf_realloc(a, p, 50 + 60));
  EXPECT_EQ(50, p[49]);
}

TEST_F(Smallmem, AReallocGrowsIntoFreeMemoryBeforeTheBlockAndTakesItsContentsAlong) {
  unsigned char *const p = alloc(50);
  unsigned char *const q = alloc(60);
  unsigned char *const all = alloc(stats(a).largest_free);
  rf_free(a, p);
  auto *const moved = static_cast<unsigned char *>(rf_realloc(a, q, 50 + 60));
  EXPECT_EQ(p, moved);
  EXPECT_EQ(std::string(60, 60), std::string(reinterpret_cast<char *>(moved), 60));
  rf_free(a, all);
}

TEST_F(Smallmem, AReallocGrowsToBothSidesWhereEachAloneIsTooLittle) {
  unsigned char *const p = alloc(50);
  unsigned char *const q = alloc(60);
  unsigned char *const r = alloc(70);
  alloc(stats(a).largest_free);
  rf_free(a, p);
  rf_free(a, r);
  auto *const moved = static_cast<unsigned char *>(rf_realloc(a, q, 50 + 60 + 70));
  EXPECT_EQ(p, moved);
  EXPECT_EQ(std::string(60, 60), std::string(reinterpret_cast<char *>(moved), 60));
  EXPECT_EQ(nullptr, rf_realloc(a, moved, 50 + 60 + 70 + 3 * kHeader + 2 * kG));
  EXPECT_EQ(60, moved[59]);
}

TEST_F(Smallmem, AShrinkSplitsInPlace) {
  unsigned char *const p = alloc(500);
  alloc(1);
  EXPECT_EQ(p, rf_realloc(a, p, 20));
  std::vector<Seen> const blocks = walk(a);
  ASSERT_EQ(4U, blocks.size());
  EXPECT_EQ(20U, blocks[0].size);
  EXPECT_FALSE(blocks[1].used);
  EXPECT_EQ(blocks[1].ptr, rf_alloc(a, 30));
}

TEST_F(Smallmem, AResizeNeverMoves) {
  unsigned char *const p = alloc(50);
  unsigned char *const q = alloc(60);
  alloc(1);
  rf_free(a, p);
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(a, q, 300));
  EXPECT_EQ(0U, stats(a).failures);
  EXPECT_EQ(RF_OK, rf_resize(a, q, 61));
  EXPECT_EQ(RF_OK, rf_resize(a, q, 5));
  EXPECT_EQ(5U + 1U, stats(a).used);
}

} // namespace
} // namespace ringfence_test
