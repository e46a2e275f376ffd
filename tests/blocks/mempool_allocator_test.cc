// mempool as an rf_allocator: requests of any size up to a block's.
#include "mempool_fixture.h"
#include "tests/core/unwatched.h"

#include <cstring>
#include <string>

TEST(MempoolAllocator, ServesWhatFitsABlock) {
  Pool p(2, 32, 16);
  rf_allocator *a = &p.pool.base;
  void *block = rf_alloc(a, 0);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(rf_usable_size(a, block), 0U);
  EXPECT_EQ(rf_usable_size(a, static_cast<char *>(block) + 1), 0U);
  EXPECT_TRUE(rf_owns(a, block));
  EXPECT_FALSE(rf_owns(a, &p));
  EXPECT_EQ(rf_resize(a, block, 32), RF_OK);
  EXPECT_EQ(rf_usable_size(a, block), 32U);
  EXPECT_EQ(rf_resize(a, block, 33), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_realloc(a, block, 33), nullptr);
  EXPECT_EQ(rf_alloc(a, 33), nullptr);
  EXPECT_EQ(rf_aligned_alloc(a, 32, 1), nullptr);
  EXPECT_EQ(p.stats().failures, 3U);
  EXPECT_EQ(rf_resize(a, &p, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, block), RF_OK);
  EXPECT_EQ(rf_free(a, block), RF_ERR_NOT_ALLOCATED);
}

TEST(MempoolAllocator, KnowsTheRequestedSizeWhereAByteJustHoldsWhatIsMissing) {
  for (size_t const block_size : {254, 255, 256, 257}) {
    Pool p(2, block_size, 16);
    for (size_t size = 0; size < 4; size++) {
      void *const block = rf_alloc(&p.pool.base, size);
      EXPECT_EQ(rf_usable_size(&p.pool.base, block), size) << block_size;
      EXPECT_EQ(rf_free(&p.pool.base, block), RF_OK) << size << " of " << block_size;
    }
  }
}

TEST(MempoolAllocator, KnowsTheRequestedSizeOfEachBlock) {
  Pool p(5, 700, 16);
  rf_allocator *a = &p.pool.base;
  size_t const sizes[] = {0, 443, 444, 445, 700}; // 700, 257 … 255 and 0 bytes of slack
  size_t sum = 0;
  void *blocks[5];
  for (size_t i = 0; i < 5; i++) {
    blocks[i] = rf_alloc(a, sizes[i]);
    memset(blocks[i], 0xFF, sizes[i]);
    sum += sizes[i];
    EXPECT_EQ(rf_usable_size(a, blocks[i]), sizes[i]);
    EXPECT_EQ(p.stats().used, sum);
  }
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  for (size_t const size : {1, 600, 700, 20}) {
    EXPECT_EQ(rf_resize(a, blocks[2], size), RF_OK);
    memset(blocks[2], 0xFF, size);
    EXPECT_EQ(rf_usable_size(a, blocks[2]), size);
    EXPECT_EQ(p.stats().used, sum - 444 + size);
  }
  EXPECT_EQ(p.stats().peak, sum - 444 + 700);
  for (void *block : blocks) {
    EXPECT_EQ(rf_mempool_of(block), &p.pool);
    EXPECT_EQ(rf_free(a, block), RF_OK);
  }
  EXPECT_EQ(p.stats().used, 0U);
}

TEST(MempoolAllocator, AnOverflowIntoTheSlackIsSeenAtFreeOrByCheck) {
  Unwatched const unwatched;
  Pool p(2, 24, 16);
  rf_allocator *a = &p.pool.base;
  auto *block = static_cast<unsigned char *>(rf_alloc(a, 5));
  unsigned char const good = block[23];
  block[23] = 25; // more than the block has
  EXPECT_EQ(rf_free(a, block), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_usable_size(a, block), 0U);
  block[23] = 18; // possible, but not what was asked for
  EXPECT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT);
  block[23] = good;
  EXPECT_EQ(rf_free(a, block), RF_OK);
}

TEST(MempoolAllocator, WalksBlocksInAddressOrderUntilToldToStop) {
  Pool p(3, 30, 16);
  ASSERT_NE(rf_alloc(&p.pool.base, 13), nullptr);
  std::string text;
  auto visit = [](const rf_block *b, void *out) {
    auto *t = static_cast<std::string *>(out);
    *t += (b->used ? "used " : "free ") + std::to_string(b->size) + "+" + std::to_string(b->overhead) + " ";
    return t->size() < 20;
  };
  EXPECT_EQ(rf_walk(&p.pool.base, visit, &text), RF_OK);
  EXPECT_EQ(text, "used 13+35 free 30+18 ");
  size_t all = 0;
  auto add = [](const rf_block *b, void *sum) {
    *static_cast<size_t *>(sum) += b->size + b->overhead;
    return true;
  };
  EXPECT_EQ(rf_walk(&p.pool.base, add, &all), RF_OK);
  EXPECT_EQ(all, 48U + 48U + 30U + sizeof(void *)) << "the last one needs no padding";
}

TEST(MempoolAllocator, TheLargestSlackThatAByteTellsMayBeAllOfABlock) {
  Pool p(1, 255, 16);
  void *const block = rf_alloc(&p.pool.base, 0);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(rf_check(&p.pool.base, nullptr), RF_OK);
  EXPECT_EQ(rf_free(&p.pool.base, block), RF_OK);
}
