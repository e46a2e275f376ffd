// AWTK's blocks of one size: the allocator, and the pool in a buffer.
#include "awtk_fixture.h"

#include "tkc/mem.h"
#include "tkc/mem_allocator_fixed_block.h"
#include "tkc/mem_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace ringfence_test {
namespace {

TEST_F(Awtk, FixedBlocksGrowAndAnswerBadPointersWithNull) {
  EXPECT_EQ(nullptr, mem_allocator_fixed_block_create(0, 5));
  mem_allocator_t *const a = mem_allocator_fixed_block_create(24, 2);
  ASSERT_NE(nullptr, a);
  EXPECT_EQ(24U, mem_allocator_fixed_block_size(a));
  EXPECT_EQ(0U, mem_allocator_fixed_block_size(nullptr));
  char *blocks[9];
  for (char *&block : blocks) {
    block = static_cast<char *>(alloc(a, 24));
    ASSERT_NE(nullptr, block);
    memset(block, 5, 24);
  }
  EXPECT_EQ(nullptr, alloc(a, 25));
  EXPECT_EQ(nullptr, realloc_to(a, blocks[0], 25));
  EXPECT_EQ(blocks[0], realloc_to(a, blocks[0], 3));
  EXPECT_EQ(blocks[0], realloc_to(a, blocks[0], 24));
  EXPECT_EQ(nullptr, realloc_to(a, blocks[0] + 1, 24));
  EXPECT_EQ(nullptr, realloc_to(a, buffer, 24));
  EXPECT_EQ(RF_OK, fault());
  mem_allocator_free(a, buffer);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  mem_allocator_free(a, blocks[4]);
  mem_allocator_free(a, blocks[4]);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  EXPECT_EQ(RET_OK, mem_allocator_dump(a));
  EXPECT_NE(std::string::npos, output.find("8 of 16 used, in 4 chunks"));
  void *const p = realloc_to(a, nullptr, 1);
  EXPECT_NE(nullptr, p);
  mem_allocator_free(a, p);
  EXPECT_EQ(p, alloc(a, 1));
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(Awtk, AFixedBlockThatIsResizedToNothingStaysItsOwners) {
  mem_allocator_t *const a = mem_allocator_fixed_block_create(24, 2);
  char *const p = static_cast<char *>(alloc(a, 24));
  EXPECT_EQ(nullptr, realloc_to(a, p, 0));
  EXPECT_NE(p, alloc(a, 24));
  EXPECT_EQ(p, realloc_to(a, p, 24));
  mem_allocator_free(a, p);
  EXPECT_EQ(RF_OK, fault());
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(Awtk, FixedBlocksThatCannotBeKeepNothing) {
  ASSERT_EQ(RET_OK, tk_mem_init(buffer, 30 * 1024));
  void *const before = TKMEM_ALLOC(10);
  TKMEM_FREE(const_cast<void *&>(before));
  for (uint32_t const number : {1000U, UINT32_MAX / 64}) {
    EXPECT_EQ(nullptr, mem_allocator_fixed_block_create(1024, number));
  }
  EXPECT_EQ(nullptr, mem_allocator_fixed_block_create(0x80000000, 2)) << "a product of which 32 bits are 0";
  output.clear();
  tk_mem_dump();
  EXPECT_NE(std::string::npos, output.find("0 blocks")) << output;
}

TEST_F(Awtk, FixedBlocksOfWhichNoneWereSetAsideGrowToo) {
  for (uint32_t const size : {1U, 4U, 24U, 40U, 64U}) {
    mem_allocator_t *const a = mem_allocator_fixed_block_create(size, 0);
    ASSERT_NE(nullptr, a);
    output.clear();
    EXPECT_EQ(RET_OK, mem_allocator_dump(a));
    EXPECT_NE(std::string::npos, output.find(": 0 of 0 used, in 0 chunks")) << output;
    char *const first = static_cast<char *>(alloc(a, size));
    ASSERT_NE(nullptr, first);
    EXPECT_EQ(first + size, alloc(a, size)) << "of the same chunk";
    EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
  }
}

// However many words of bits lie before them.
TEST_F(Awtk, FixedBlocksAreAlignedAsTheirSizeIs) {
  for (uint32_t const number : {1U, 65U, 129U}) {
    for (uint32_t const size : {4U, 24U, 40U, 48U, 64U}) {
      mem_allocator_t *const a = mem_allocator_fixed_block_create(size, number);
      uint32_t const divisor = size & (~size + 1);
      EXPECT_TRUE(rf_is_aligned(alloc(a, size), divisor < RF_ALIGN_DEFAULT ? divisor : RF_ALIGN_DEFAULT))
          << number << " of " << size;
      EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
    }
  }
}

TEST_F(Awtk, APoolInABufferHandsOutEachBlockOnce) {
  auto *const bytes = reinterpret_cast<uint8_t *>(buffer);
  for (unsigned shift = 0; shift < 16; shift++) {
    mem_pool_t *const pool = mem_pool_init(bytes + shift, mem_pool_get_min_size(16, 100), 16, 100);
    ASSERT_NE(nullptr, pool);
    EXPECT_EQ(100U, pool->block_nr);
    EXPECT_EQ(4U, pool->bits_size);
    void *blocks[100];
    for (uint32_t i = 0; i < 100; i++) {
      EXPECT_EQ(i, pool->used);
      blocks[i] = mem_pool_get(pool);
      EXPECT_EQ(static_cast<int32_t>(i), mem_pool_get_index(pool, blocks[i]));
      EXPECT_TRUE(rf_is_aligned(blocks[i], 16));
      memset(blocks[i], 1, 16);
    }
    EXPECT_EQ(nullptr, mem_pool_get(pool));
    EXPECT_EQ(-1, mem_pool_get_free_index(pool));
    EXPECT_EQ(100U, pool->used);
    EXPECT_EQ(RET_OK, mem_pool_put(pool, blocks[7]));
    EXPECT_EQ(99U, pool->used);
    EXPECT_EQ(RET_NOT_FOUND, mem_pool_put(pool, blocks[7]));
    EXPECT_EQ(RET_FAIL, mem_pool_put_index(pool, 7));
    EXPECT_EQ(RET_FAIL, mem_pool_put_index(pool, 100));
    EXPECT_EQ(RET_OK, mem_pool_put_index(pool, 8));
    EXPECT_EQ(7, mem_pool_get_free_index(pool));
    EXPECT_EQ(-1, mem_pool_get_index(pool, static_cast<char *>(blocks[9]) + 1));
    EXPECT_EQ(-1, mem_pool_get_index(pool, static_cast<char *>(blocks[99]) + 16));
    EXPECT_EQ(RET_NOT_FOUND, mem_pool_put(pool, bytes));
    EXPECT_TRUE(mem_pool_match_size(pool, 16));
    EXPECT_FALSE(mem_pool_match_size(pool, 17));
  }
  EXPECT_EQ(nullptr, mem_pool_get(nullptr));
  EXPECT_EQ(RET_NOT_FOUND, mem_pool_put(nullptr, bytes));
  EXPECT_EQ(RET_FAIL, mem_pool_put_index(nullptr, 0));
  EXPECT_EQ(-1, mem_pool_get_index(nullptr, bytes));
  EXPECT_FALSE(mem_pool_match_size(nullptr, 16));
  EXPECT_EQ(nullptr, mem_pool_init(bytes, mem_pool_get_min_size(16, 100) - 16, 16, 100));
  EXPECT_EQ(nullptr, mem_pool_init(nullptr, 1000, 16, 1));
  EXPECT_EQ(nullptr, mem_pool_init(bytes, 1000, 0, 1));
  EXPECT_EQ(0U, mem_pool_get_min_size(0x10000, 0x10000));
}

TEST_F(Awtk, ThePoolsBitsSayWhichOfItsBlocksAreTaken) {
  mem_pool_t *const pool = mem_pool_init(reinterpret_cast<uint8_t *>(buffer), 4096, 24, 40);
  ASSERT_NE(nullptr, pool);
  for (uint32_t i = 0; i < 40; i++) {
    EXPECT_FALSE(TK_TEST_BIT(pool->bits[i / 32], i % 32)) << i;
    void *const block = mem_pool_get(pool);
    EXPECT_TRUE(rf_is_aligned(block, 8)) << i;
    EXPECT_TRUE(TK_TEST_BIT(pool->bits[i / 32], i % 32)) << i;
  }
  EXPECT_EQ(RET_OK, mem_pool_put_index(pool, 33));
  EXPECT_EQ(UINT32_MAX, pool->bits[0]);
  EXPECT_EQ(0xFDU, pool->bits[1]);
  uint32_t const words[][2] = {{1, 2}, {31, 2}, {32, 2}, {63, 2}, {64, 4}, {127, 4}, {128, 6}};
  for (auto const &each : words) {
    EXPECT_EQ(each[1], mem_pool_get_bits_size(each[0])) << each[0];
  }
}

TEST(AwtkBits, AreSetClearedAndToggled) {
  unsigned long word = 0;
  TK_SET_BIT(word, 3);
  EXPECT_EQ(8U, word);
  TK_TOGGLE_BIT(word, 3);
  TK_TOGGLE_BIT(word, 5);
  EXPECT_EQ(32U, word);
  EXPECT_EQ(1U, TK_TEST_BIT(word, 5));
  EXPECT_EQ(0U, TK_TEST_BIT(word, 3));
  TK_SET_BIT(word, 1);
  TK_CLEAR_BIT(word, 5);
  TK_CLEAR_BIT(word, 4);
  EXPECT_EQ(2U, word);
}

} // namespace
} // namespace ringfence_test
