// memblocks: blocks in a row, found, claimed and asked for.
#include "memblocks_fixture.h"

#include <string>

TEST(MemblocksContiguous, TakesTheFirstRunThatIsLongEnough) {
  Pool pool(8);
  ASSERT_EQ(pool.claim(2), RF_OK);
  void *run = nullptr;
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 3, &run), RF_OK);
  EXPECT_EQ(run, pool.at(3));
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 2, &run), RF_OK);
  EXPECT_EQ(run, pool.at(0));
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 3, &run), RF_ERR_NO_MEMORY);
  EXPECT_EQ(run, pool.at(0));
  EXPECT_EQ(pool.map(), "11111100");
}

TEST(MemblocksContiguous, FailsThoughEnoughBlocksAreFreeApart) {
  Pool pool(4);
  ASSERT_EQ(pool.claim(1), RF_OK);
  void *run;
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 3, &run), RF_ERR_NO_MEMORY);
  EXPECT_EQ(pool.stats().failures, 1U);
}

TEST(MemblocksContiguous, RunsCrossWords) {
  Pool pool(300, 4);
  ASSERT_EQ(pool.claim(0, 50), RF_OK);
  void *run = nullptr;
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 200, &run), RF_OK);
  EXPECT_EQ(run, pool.at(50));
  EXPECT_EQ(pool.map(), std::string(250, '1') + std::string(50, '0'));
}

TEST(MemblocksContiguous, MayBeFreedInParts) {
  Pool pool(6);
  void *run = nullptr;
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 6, &run), RF_OK);
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.at(1), 2), RF_OK);
  void *one = pool.at(4);
  EXPECT_EQ(rf_memblocks_free(&pool.blocks, 1, &one), RF_OK);
  EXPECT_EQ(pool.map(), "100101");
}

TEST(MemblocksClaim, TakesExactlyTheseBlocksOrNone) {
  Pool pool(6);
  EXPECT_EQ(pool.claim(2, 2), RF_OK);
  EXPECT_EQ(pool.claim(1, 2), RF_ERR_NO_MEMORY);
  EXPECT_EQ(pool.claim(3, 1), RF_ERR_NO_MEMORY);
  EXPECT_EQ(pool.map(), "001100");
  EXPECT_EQ(pool.stats().failures, 2U);
  EXPECT_EQ(pool.claim(4, 3), RF_ERR_INVALID);
  EXPECT_EQ(pool.claim(4, 2), RF_OK);
}

TEST(MemblocksClaim, RefusesWhatIsNoBlock) {
  Pool pool(2);
  int foreign;
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, &foreign, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, pool.blocks.buffer + 1, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, pool.at(2), 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, nullptr, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(pool.map(), "00");
  EXPECT_TRUE(pool.faults.empty());
}

TEST(MemblocksRegion, IsFreeIffAllOfItsBlocksAre) {
  Pool pool(4);
  ASSERT_EQ(pool.claim(2), RF_OK);
  EXPECT_TRUE(rf_memblocks_is_region_free(&pool.blocks, pool.at(0), 2));
  EXPECT_FALSE(rf_memblocks_is_region_free(&pool.blocks, pool.at(0), 3));
  EXPECT_FALSE(rf_memblocks_is_region_free(&pool.blocks, pool.at(2), 1));
  EXPECT_TRUE(rf_memblocks_is_region_free(&pool.blocks, pool.at(3), 1));
  EXPECT_FALSE(rf_memblocks_is_region_free(&pool.blocks, pool.at(3), 2));
  EXPECT_TRUE(rf_memblocks_is_region_free(&pool.blocks, pool.at(2), 0));
  EXPECT_FALSE(rf_memblocks_is_region_free(&pool.blocks, pool.blocks.buffer + 1, 1));
}

// Runs of blocks that do not keep an alignment, and requests for none.
TEST(MemblocksRun, TheLargestIsCountedWithoutAlignment) {
  Pool pool(10, 12);
  void *none = &pool;
  void *out[1];
  EXPECT_EQ(pool.claim(0), RF_OK);
  EXPECT_EQ(pool.stats().largest_free, 9 * 12U);
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 0, out), RF_OK);
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 0, &none), RF_OK);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(pool.stats().failures, 0U);
}

TEST(MemblocksRun, TheLongestNeedNotBeTheLast) {
  Pool pool(8);
  ASSERT_EQ(pool.claim(3), RF_OK);
  ASSERT_EQ(pool.claim(5), RF_OK);
  EXPECT_EQ(pool.map(), "00010100");
  EXPECT_EQ(pool.stats().largest_free, 3U * 32);
}

TEST(MemblocksRun, OfNoBlocksIsNoFailure) {
  Pool pool(2);
  void *run = &pool;
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 0, &run), RF_OK);
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 0, &run), RF_OK);
  EXPECT_EQ(pool.stats().failures, 0U);
}
