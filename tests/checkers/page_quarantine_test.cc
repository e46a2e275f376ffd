// rf_page: how long the pages of freed blocks stay closed, and which calls refuse such a block.
#include "tests/checkers/page_fixture.h"

#include <algorithm>
#include <vector>

namespace ringfence {
namespace {

class PageQuarantine : public PageTest {};

TEST_F(PageQuarantine, TheLastFreedBlockStaysClosedThoughItIsLargerThanTheQuarantine) {
  options_.quarantine = 4 * page_size();
  start();
  unsigned char *const p = bytes(rf_alloc(a(), 20 * page_size()));
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(take_one().bug, RF_BUG_DOUBLE_FREE);
  (void)peek(p);
  EXPECT_EQ(take_one().bug, RF_BUG_USE_AFTER_FREE);
  unsigned char *const q = bytes(rf_alloc(a(), 1));
  EXPECT_EQ(rf_free(a(), q), RF_OK);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_BAD_POINTER); // as it has left by now
  EXPECT_EQ(take_one().bug, RF_BUG_BAD_FREE);
}

TEST_F(PageQuarantine, AFreedBlockStaysClosedUntilTheQuarantineIsFull) {
  options_.quarantine = 64 * page_size();
  start();
  unsigned char *const p = bytes(rf_alloc(a(), 100));
  rf_free(a(), p);
  for (unsigned i = 0; i < 3; i++) {
    void *const q = rf_alloc(a(), 100);
    EXPECT_NE(q, p);
    rf_free(a(), q);
  }
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(take_one().bug, RF_BUG_DOUBLE_FREE);
}

TEST_F(PageQuarantine, WhatLeavesTheQuarantineMakesRoomForAsMuch) {
  constexpr unsigned kBlocks = 12;
  for (size_t const pages : {1, 3}) {
    options_.quarantine = kBlocks * (pages + 2) * page_size();
    start();
    std::vector<void *> blocks;
    for (unsigned i = 0; i < 100; i++) {
      blocks.push_back(rf_alloc(a(), pages * page_size()));
    }
    for (void *const p : blocks) {
      EXPECT_EQ(rf_free(a(), p), RF_OK);
    }
    for (size_t i = blocks.size() - kBlocks / 3; i < blocks.size(); i++) {
      EXPECT_EQ(rf_free(a(), blocks[i]), RF_ERR_NOT_ALLOCATED) << i << " of blocks of " << pages << " pages";
      EXPECT_EQ(take_one().bug, RF_BUG_DOUBLE_FREE);
    }
    EXPECT_EQ(rf_free(a(), blocks[0]), RF_ERR_BAD_POINTER);
    take_one();
  }
}

TEST_F(PageQuarantine, AddressSpaceOfFreedBlocksIsBounded) {
  options_.quarantine = 1 << 20;
  start();
  uintptr_t low = UINTPTR_MAX;
  uintptr_t high = 0;
  for (size_t i = 0; i < 5000; i++) {
    void *const p = rf_alloc(a(), i * 7 % 20000);
    ASSERT_NE(p, nullptr);
    low = std::min(low, reinterpret_cast<uintptr_t>(p));
    high = std::max(high, reinterpret_cast<uintptr_t>(p));
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
  EXPECT_LT(high - low, size_t{64} << 20);
}

TEST_F(PageQuarantine, ABlockOfAnotherCheckedAllocatorIsToldAsThat) {
  start();
  rf_page other;
  ASSERT_EQ(rf_page_init(&other, heap_.allocator(), &options_), RF_OK);
  void *const p = rf_alloc(&other.base, 40);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_BAD_POINTER);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_DEALLOC_MISMATCH);
  EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(p));
  EXPECT_STREQ(f.detail, "the block belongs to another allocator");
  EXPECT_EQ(rf_free(&other.base, p), RF_OK);
  rf_deinit(&other.base);
}

} // namespace
} // namespace ringfence
