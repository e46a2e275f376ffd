// Pools that are used by their own calls: writes to free blocks are found, with the block that was misused; correct
// programs are silent.
#include "tests/checkers/pools_fixture.h"

#include <ringfence/stack.h>

#include <pthread.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

#if RF_WATCH

namespace ringfence {
namespace {

TEST_F(Pools, AWriteAfterFreeIsFoundWhenTheBlockIsTakenAgain) {
  unsigned char *const p = take();
  give(p);
  p[16] = p[18] = 1;
  (void)take();
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 16);
  EXPECT_EQ(found().access_size, 3U);
}

TEST_F(Pools, TheFindingNamesPoolModeAndCalls) {
  unsigned char *const p = take();
  void *in = p;
  unsigned const line = __LINE__ + 1;
  (void)rf_memblocks_free(&blocks_, 1, &in);
  p[16] = 1;
  (void)take();
  rf_finding const f = found();
  EXPECT_STREQ(f.allocator, "memblocks");
  EXPECT_STREQ(f.mode, "guard");
  EXPECT_TRUE(f.freed);
  EXPECT_GE(f.allocated.depth, 1U);
  ASSERT_NE(f.released.site, nullptr);
  EXPECT_EQ(f.released.site->line, line);
  EXPECT_EQ(f.released.thread, rf_port_thread_id());
  EXPECT_EQ(f.allocated.thread, rf_port_thread_id());
  size_t const at = reinterpret_cast<uintptr_t>(p) + 16 - f.window_address;
  ASSERT_LT(at + 1, f.window_size);
  EXPECT_EQ(f.window_class[at - 1], RF_BYTE_FREED);
  EXPECT_EQ(f.window_class[at], RF_BYTE_BAD);
  EXPECT_EQ(f.window[at], 1);
  EXPECT_EQ(f.expected[at], f.window[at - 1]);
}

TEST_F(Pools, AWriteAfterFreeIsFoundWhenThePoolEnds) {
  unsigned char *const p = take();
  give(p);
  p[63] = 1;
  rf_memblocks_deinit(&blocks_);
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 63);
}

TEST_F(Pools, DamageIsReportedOnce) {
  unsigned char *const p = take();
  give(p);
  p[16] = 1;
  give(take());
  (void)take();
  (void)found();
}

TEST_F(Pools, AnOverflowIntoABlockThatWasFreedIsThatOfTheLiveOne) {
  unsigned char *const p = take();
  give(take());
  p[kSize] = 1;
  give(p);
  expect_found(RF_BUG_BUFFER_OVERFLOW, p, kSize, kSize);
}

TEST_F(Pools, AnOverflowIntoABlockThatWasNeverOutIsFoundAtTheFree) {
  unsigned char *const p = take();
  p[kSize] = 1;
  give(p);
  expect_found(RF_BUG_BUFFER_OVERFLOW, p, kSize, kSize);
}

TEST_F(Pools, AWriteIntoABlockThatWasNeverOutIsThatOfTheBlockWhichItReaches) {
  for (bool const next_is_live : {false, true}) {
    for (size_t const last : {kSize - 2, kSize - 1}) {
      findings_.clear();
      ASSERT_EQ(rf_memblocks_init(&blocks_, buffer_, kSize, kCount, bitmap_), RF_OK);
      std::memset(buffer_, 0, sizeof buffer_);
      unsigned char *const before = take();
      unsigned char *const behind = before + 2 * kSize;
      if (next_is_live) {
        EXPECT_EQ(rf_memblocks_claim(&blocks_, behind, 1), RF_OK);
      }
      before[kSize + last] = 1;
      give(before);
      if (next_is_live && last == kSize - 1) {
        expect_found(RF_BUG_BUFFER_UNDERFLOW, behind, kSize, -1);
      } else {
        expect_found(RF_BUG_BUFFER_OVERFLOW, before, kSize, static_cast<ptrdiff_t>(kSize + last));
      }
    }
  }
}

TEST_F(Pools, AWriteToTheStartOfAFreedBlockIsAnOverflowOnlyBehindALiveOne) {
  unsigned char *const before = take();
  unsigned char *const p = take();
  give(p);
  give(before);
  p[0] = 1;
  EXPECT_EQ(rf_memblocks_claim(&blocks_, p, 1), RF_OK);
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 0);
}

// Blocks are given out in their order: the one before it is out by then.
TEST_F(Pools, AWriteToTheStartOfAFreedBlockIsNoOverflowOfOneThatIsTakenLater) {
  for (bool const at_once : {false, true}) {
    findings_.clear();
    ASSERT_EQ(rf_memblocks_init(&blocks_, buffer_, kSize, kCount, bitmap_), RF_OK);
    unsigned char *const before = take();
    unsigned char *const p = take();
    give(p);
    give(before);
    p[0] = 1;
    void *both[2];
    for (size_t i = 0; i < 2; i++) {
      both[i] = at_once ? nullptr : take();
    }
    EXPECT_TRUE(!at_once || rf_memblocks_alloc(&blocks_, 2, both) == RF_OK);
    expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 0);
    EXPECT_EQ(rf_memblocks_free(&blocks_, 2, both), RF_OK);
    rf_memblocks_deinit(&blocks_);
  }
}

TEST_F(Pools, AFreedBlockStaysAsItIsWhereTheOneBeforeItIsTaken) {
  unsigned char *const before = take();
  unsigned char *const p = take();
  give(p);
  give(before);
  p[20] = 1;
  EXPECT_EQ(take(), before);
  EXPECT_TRUE(findings_.empty());
  EXPECT_EQ(take(), p);
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 20);
}

TEST_F(Pools, WhatIsWrittenWhileNobodyWatchesIsNoFindingLater) {
  unsigned char *const p = take();
  give(p);
  rf_pool_watch_stop();
  p[20] = 1;
  rf_pool_watch_options options;
  rf_pool_watch_options_default(&options);
  options.reporter = &reporter_;
  EXPECT_EQ(rf_pool_watch_start(&options), RF_OK);
  EXPECT_EQ(take(), p);
  EXPECT_TRUE(findings_.empty());
}

TEST_F(Pools, AnOverflowOfARunIsThatOfItsLastBlock) {
  void *run = nullptr;
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&blocks_, 3, &run), RF_OK);
  auto *const p = static_cast<unsigned char *>(run);
  p[3 * kSize] = 1;
  EXPECT_EQ(rf_memblocks_free_contiguous(&blocks_, run, 3), RF_OK);
  expect_found(RF_BUG_BUFFER_OVERFLOW, p + 2 * kSize, kSize, kSize);
}

TEST_F(Pools, AnUnderflowIntoABlockThatWasFreedIsFound) {
  unsigned char *const p = take();
  unsigned char *const q = take();
  give(p);
  q[-1] = 1;
  give(q);
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, kSize - 1);
}

TEST_F(Pools, BlocksThatAreUsedCorrectlyAreSilent) {
  for (int round = 0; round < 3; round++) {
    std::vector<unsigned char *> all;
    for (size_t i = 0; i < kCount; i++) {
      all.push_back(take());
      std::memset(all.back(), static_cast<int>(i), kSize);
    }
    for (size_t i = 0; i < kCount; i++) {
      size_t const next = (i * 3) % kCount;
      EXPECT_EQ(all[next][kSize - 1], next);
      give(all[next]);
    }
  }
  rf_memblocks_deinit(&blocks_);
  EXPECT_TRUE(findings_.empty());
}

TEST_F(Pools, AClaimFindsWhatWasThere) {
  buffer_[3 * kSize] = 7;
  (void)take(); // before block 1, which is zero
  EXPECT_EQ(rf_memblocks_claim(&blocks_, buffer_ + kSize, 3), RF_OK);
  EXPECT_EQ(buffer_[kSize], 0);
  EXPECT_EQ(buffer_[2 * kSize - 1], 0);
  EXPECT_EQ(buffer_[3 * kSize], 7);
  EXPECT_TRUE(findings_.empty());
}

// A pool whose record was overwritten may report blocks outside of it.
TEST_F(Pools, BlocksThatThePoolDoesNotHaveAreNotLookedFor) {
  unsigned char *const p = take();
  give(p);
  p[20] = 1;
  rf_watched_pool view = {&blocks_, "memblocks", buffer_, kSize, kSize, kCount, 0, true};
  RF_WATCH_TELL(alloc, view, p, kCount + 1, nullptr, nullptr);
  view.num_blocks = kCount - 1;
  RF_WATCH_TELL(alloc, view, p, 1, nullptr, nullptr);
  EXPECT_TRUE(findings_.empty());
  EXPECT_EQ(take(), p);
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 20);
}

TEST_F(Pools, AClaimKeepsWhatWasWrittenSinceTheBlockBeforeItWasTaken) {
  unsigned char *const p = take();
  EXPECT_EQ(p[kSize + 5], RF_PATTERN_FREED);
  p[kSize + 5] = 7;
  EXPECT_EQ(rf_memblocks_claim(&blocks_, p + kSize, 1), RF_OK);
  EXPECT_EQ(p[kSize + 4], 0);
  EXPECT_EQ(p[kSize + 5], 7);
  EXPECT_TRUE(findings_.empty());
}

struct ShortStack {
  rf_memblocks *pool;
  void *block;
  size_t depth; // of the stack from the thread's first function on
};

void *free_on_a_short_stack(void *context) {
  auto *const s = static_cast<ShortStack *>(context);
  uintptr_t frames[32];
  rf_origin const origin = {nullptr, reinterpret_cast<uintptr_t>(__builtin_return_address(0)),
                            __builtin_frame_address(0)};
  s->depth = 1 + rf_stack_capture(&origin, frames, 32);
  EXPECT_EQ(rf_memblocks_free(s->pool, 1, &s->block), RF_OK);
  return nullptr;
}

TEST_F(Pools, TheStackOfAFreeEndsWithTheThreads) {
  ShortStack s = {&blocks_, take(), 0};
  auto *const p = static_cast<unsigned char *>(s.block);
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, nullptr, free_on_a_short_stack, &s), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  p[16] = 1;
  (void)take();
  EXPECT_EQ(found().released.depth, s.depth);
}

TEST_F(Pools, MemoryThatCannotBeReadIsLeftAlone) {
  size_t const size = 64 * 1024;
  void *const memory = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  rf_memblocks far_blocks;
  size_t bitmap[RF_MEMBLOCKS_WORDS(16)];
  ASSERT_EQ(rf_memblocks_init(&far_blocks, memory, size / 16, 16, bitmap), RF_OK);
  (void)freed_block(&far_blocks);
  rf_memblocks_deinit(&far_blocks);
  (void)munmap(memory, size);
}

} // namespace
} // namespace ringfence

#endif
