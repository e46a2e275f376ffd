// Pools that take the place of others, lie in them or beside them: those that are there go on being watched.
#include "tests/checkers/pools_fixture.h"
#include "tests/core/held_mutexes.h"

#include <cstring>
#include <fstream>

#if RF_WATCH

namespace ringfence {
namespace {

using PoolsPlace = Pools;

TEST_F(PoolsPlace, APoolWhereAnotherOneWasNotEndedIsSilent) {
  give(take());
  std::memset(buffer_, 1, sizeof buffer_);
  EXPECT_EQ(rf_memblocks_init(&blocks_, buffer_, kSize, kCount, bitmap_), RF_OK);
  give(take());
  EXPECT_TRUE(findings_.empty());
}

size_t mapped_pages() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages;
}

TEST_F(PoolsPlace, PoolsThatComeAndGoTakeNoMoreMemory) {
  size_t const before = mapped_pages();
  for (int i = 0; i < 1000; i++) {
    rf_memblocks_deinit(&blocks_);
    ASSERT_EQ(rf_memblocks_init(&blocks_, buffer_, kSize, kCount, bitmap_), RF_OK);
  }
  EXPECT_LT(mapped_pages(), before + 500);
}

TEST_F(PoolsPlace, APoolInsideABlockOfAnotherLeavesThatOneWatched) {
  unsigned char *const outer = take();
  unsigned char *const p = take();
  rf_memblocks inner;
  size_t bitmap[RF_MEMBLOCKS_WORDS(4)];
  ASSERT_EQ(rf_memblocks_init(&inner, outer, 16, 4, bitmap), RF_OK);
  give(p);
  p[1] = 1;
  (void)take();
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 1);
  rf_memblocks_deinit(&inner);
}

TEST_F(PoolsPlace, APoolThatFillsABlockOfAnotherToItsEndLeavesThatOneWatched) {
  unsigned char *const outer = take();
  give(take()); // right behind it
  rf_memblocks inner;
  size_t bitmap[RF_MEMBLOCKS_WORDS(4)];
  ASSERT_EQ(rf_memblocks_init(&inner, outer, kSize / 4, 4, bitmap), RF_OK);
  outer[kSize + 20] = 1;
  EXPECT_EQ(take(), outer + kSize);
  expect_found(RF_BUG_USE_AFTER_FREE, outer + kSize, kSize, 20);
  rf_memblocks_deinit(&inner);
}

TEST_F(PoolsPlace, APoolRightBeforeOrBehindAnotherLeavesThatOneWatched) {
  alignas(16) unsigned char memory[3 * kSize] = {};
  rf_memblocks pools[3];
  size_t bitmaps[3][1];
  auto const begin = [&](size_t i) {
    ASSERT_EQ(rf_memblocks_init(&pools[i], memory + i * kSize, kSize, 1, bitmaps[i]), RF_OK);
  };
  begin(1);
  unsigned char *const p = freed_block(&pools[1]);
  begin(0);
  begin(2);
  p[30] = 1;
  for (rf_memblocks &pool : pools) {
    rf_memblocks_deinit(&pool);
  }
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 30);
}

// Another thread uses the former one while the new one waits for the lock.
TEST_F(PoolsPlace, APoolIsWatchedUntilTheLockOfTheOneInItsPlaceIsHad) {
  unsigned char *const p = take();
  give(p);
  p[20] = 1;
  after_lock = [this] {
    after_lock = nullptr;
    (void)take();
  };
  rf_memblocks other;
  size_t bitmap[RF_MEMBLOCKS_WORDS(kCount)];
  EXPECT_EQ(rf_memblocks_init(&other, buffer_, kSize, kCount, bitmap), RF_OK);
  after_lock = nullptr;
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 20);
  rf_memblocks_deinit(&other);
}

// The next one that has the lock finds it.
TEST_F(PoolsPlace, APoolIsKnownBeforeTheLockIsLetGoOf) {
  alignas(16) unsigned char memory[kSize] = {};
  rf_watched_pool const view = {memory, "test", memory, kSize, kSize, 1, 0, false};
  after_unlock = [&view, &memory] { rf_watcher_of_process->free(&view, memory, 1, nullptr, nullptr); };
  rf_watcher_of_process->begin(&view, nullptr, 0, nullptr, nullptr);
  after_unlock = nullptr;
  EXPECT_NE(memory[0], 0) << "it was filled";
  rf_watcher_of_process->end(&view, nullptr, 0, nullptr, nullptr);
}

} // namespace
} // namespace ringfence

#endif
