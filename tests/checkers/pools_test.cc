// Pools that are used by their own calls: writes to free blocks are found, with the block that was misused; correct
// programs are silent.
#include <ringfence/blockgroup.h>
#include <ringfence/checked_pools.h>
#include <ringfence/memblocks.h>
#include <ringfence/memblocks_allocator.h>
#include <ringfence/mempool.h>
#include <ringfence/pool_watch.h>
#include <ringfence/stack.h>
#include <ringfence/std.h>
#include <ringfence/watch.h>
#include <ringfence/zephyr/mem_slab.h>

#include "tests/core/held_mutexes.h"

#include <gtest/gtest.h>

#include <pthread.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#if RF_WATCH

namespace {

constexpr size_t kSize = 64;
constexpr size_t kCount = 8;

class Pools : public testing::Test {
protected:
  Pools() {
    rf_checked_options options = {};
    rf_options_default(&options.settings);
    options.settings.mode = RF_MODE_GUARD;
    options.reporter = &reporter_;
    EXPECT_EQ(rf_checked_pools_init(&options), RF_MODE_GUARD);
    EXPECT_EQ(rf_memblocks_init(&blocks_, buffer_, kSize, kCount, bitmap_), RF_OK);
  }
  ~Pools() override {
    rf_memblocks_deinit(&blocks_);
    rf_pool_watch_stop();
  }

  unsigned char *take() {
    void *p = nullptr;
    EXPECT_EQ(rf_memblocks_alloc(&blocks_, 1, &p), RF_OK);
    return static_cast<unsigned char *>(p);
  }
  void give(void *p) { EXPECT_EQ(rf_memblocks_free(&blocks_, 1, &p), RF_OK); }

  // The only finding.
  rf_finding found() {
    EXPECT_EQ(findings_.size(), 1U);
    return findings_.empty() ? rf_finding{} : findings_[0];
  }
  void expect_found(rf_bug bug, const void *block, size_t size, ptrdiff_t offset) {
    rf_finding const f = found();
    EXPECT_STREQ(rf_bug_name(f.bug), rf_bug_name(bug));
    EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(block));
    EXPECT_EQ(f.size, size);
    EXPECT_EQ(f.offset, offset);
  }

  static rf_action keep(rf_reporter *self, const rf_finding *f) {
    static_cast<Pools *>(self->context)->findings_.push_back(*f);
    return RF_ACTION_CONTINUE;
  }

  std::vector<rf_finding> findings_;
  rf_reporter reporter_ = {keep, this, RF_EXITCODE_DEFAULT, 0};
  alignas(16) unsigned char buffer_[kSize * kCount] = {};
  size_t bitmap_[RF_MEMBLOCKS_WORDS(kCount)] = {};
  rf_memblocks blocks_ = {};
};

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

TEST_F(Pools, APoolWhereAnotherOneWasNotEndedIsSilent) {
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

TEST_F(Pools, PoolsThatComeAndGoTakeNoMoreMemory) {
  size_t const before = mapped_pages();
  for (int i = 0; i < 1000; i++) {
    rf_memblocks_deinit(&blocks_);
    ASSERT_EQ(rf_memblocks_init(&blocks_, buffer_, kSize, kCount, bitmap_), RF_OK);
  }
  EXPECT_LT(mapped_pages(), before + 500);
}

TEST_F(Pools, APoolInsideABlockOfAnotherLeavesThatOneWatched) {
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

TEST_F(Pools, APoolThatFillsABlockOfAnotherToItsEndLeavesThatOneWatched) {
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

TEST_F(Pools, APoolRightBeforeOrBehindAnotherLeavesThatOneWatched) {
  alignas(16) unsigned char memory[3 * kSize] = {};
  rf_memblocks pools[3];
  size_t bitmaps[3][1];
  auto const begin = [&](size_t i) {
    ASSERT_EQ(rf_memblocks_init(&pools[i], memory + i * kSize, kSize, 1, bitmaps[i]), RF_OK);
  };
  begin(1);
  void *p = nullptr;
  EXPECT_EQ(rf_memblocks_alloc(&pools[1], 1, &p), RF_OK);
  EXPECT_EQ(rf_memblocks_free(&pools[1], 1, &p), RF_OK);
  begin(0);
  begin(2);
  static_cast<unsigned char *>(p)[30] = 1;
  for (rf_memblocks &pool : pools) {
    rf_memblocks_deinit(&pool);
  }
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 30);
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

// Another thread uses the former one while the new one waits for the lock.
TEST_F(Pools, APoolIsWatchedUntilTheLockOfTheOneInItsPlaceIsHad) {
  unsigned char *const p = take();
  give(p);
  p[20] = 1;
  ringfence::after_lock = [this] {
    ringfence::after_lock = nullptr;
    (void)take();
  };
  rf_memblocks other;
  size_t bitmap[RF_MEMBLOCKS_WORDS(kCount)];
  EXPECT_EQ(rf_memblocks_init(&other, buffer_, kSize, kCount, bitmap), RF_OK);
  ringfence::after_lock = nullptr;
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 20);
  rf_memblocks_deinit(&other);
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

TEST_F(Pools, AnAllocatorOverBlocksIsWatchedToo) {
  rf_memblocks_allocator adapter;
  size_t sizes[kCount];
  ASSERT_EQ(rf_memblocks_allocator_init(&adapter, &blocks_, sizes), RF_OK);
  rf_allocator *const a = &adapter.base;
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 3 * kSize));
  ASSERT_NE(rf_realloc(a, p, kSize), nullptr);
  ASSERT_NE(rf_realloc(a, p, 2 * kSize), nullptr);
  std::memset(p, 1, 2 * kSize);
  EXPECT_TRUE(findings_.empty());
  rf_free(a, p);
  p[kSize + 1] = 1;
  (void)rf_alloc(a, 2 * kSize);
  expect_found(RF_BUG_USE_AFTER_FREE, p + kSize, kSize, 1);
}

TEST_F(Pools, ABatchThatSpansAGroupIsWatched) {
  static rf_memblocks *chosen;
  alignas(16) unsigned char far_buffer[kSize * 2] = {};
  size_t far_bitmap[RF_MEMBLOCKS_WORDS(2)];
  rf_memblocks far_blocks;
  rf_blockgroup group;
  rf_blockgroup_member members[2];
  ASSERT_EQ(rf_memblocks_init(&far_blocks, far_buffer, kSize, 2, far_bitmap), RF_OK);
  ASSERT_EQ(rf_blockgroup_init(&group, [](rf_blockgroup *, void *) { return chosen; }), RF_OK);
  ASSERT_EQ(rf_blockgroup_add(&group, &members[0], &blocks_), RF_OK);
  ASSERT_EQ(rf_blockgroup_add(&group, &members[1], &far_blocks), RF_OK);
  void *both[2];
  chosen = &blocks_;
  ASSERT_EQ(rf_blockgroup_alloc(&group, nullptr, 1, &both[0], nullptr), RF_OK);
  chosen = &far_blocks;
  ASSERT_EQ(rf_blockgroup_alloc(&group, nullptr, 1, &both[1], nullptr), RF_OK);
  ASSERT_EQ(rf_blockgroup_free(&group, 2, both), RF_OK);
  far_buffer[5] = 1;
  void *again;
  ASSERT_EQ(rf_blockgroup_alloc(&group, nullptr, 1, &again, nullptr), RF_OK);
  expect_found(RF_BUG_USE_AFTER_FREE, far_buffer, kSize, 5);
  rf_memblocks_deinit(&far_blocks);
}

TEST_F(Pools, MemoryThatCannotBeReadIsLeftAlone) {
  size_t const size = 64 * 1024;
  void *const memory = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  rf_memblocks far_blocks;
  size_t bitmap[RF_MEMBLOCKS_WORDS(16)];
  ASSERT_EQ(rf_memblocks_init(&far_blocks, memory, size / 16, 16, bitmap), RF_OK);
  void *p;
  ASSERT_EQ(rf_memblocks_alloc(&far_blocks, 1, &p), RF_OK);
  ASSERT_EQ(rf_memblocks_free(&far_blocks, 1, &p), RF_OK);
  rf_memblocks_deinit(&far_blocks);
  (void)munmap(memory, size);
}

// ---- mempool ----

class Mempool : public Pools {
protected:
  Mempool() { EXPECT_EQ(rf_mempool_init(&pool_, memory_, sizeof memory_, 48, 8), RF_OK); }
  ~Mempool() override { (void)rf_mempool_deinit(&pool_); }

  unsigned char *obtain() {
    void *p = nullptr;
    EXPECT_EQ(rf_mempool_alloc(&pool_, 0, &p), RF_OK);
    return static_cast<unsigned char *>(p);
  }

  // The next block's header, from a block's start on: before that one, at a multiple of 8.
  static constexpr size_t kHeader = 48 + 8 - sizeof(uintptr_t);
  alignas(16) unsigned char memory_[512] = {};
  rf_mempool pool_ = {};
};

TEST_F(Mempool, AWriteAfterFreeIsFound) {
  unsigned char *const p = obtain();
  (void)rf_mempool_free(&pool_, p);
  p[0] = 1;
  (void)obtain();
  expect_found(RF_BUG_USE_AFTER_FREE, p, 48, 0);
}

// Between two blocks are words of the pool's: what is behind these is no overflow.
TEST_F(Mempool, AWriteAfterFreeBehindALiveBlockIsFound) {
  unsigned char *const live = obtain();
  unsigned char *const p = obtain();
  (void)rf_mempool_free(&pool_, p);
  p[0] = 1;
  (void)rf_mempool_free(&pool_, live);
  expect_found(RF_BUG_USE_AFTER_FREE, p, 48, 0);
}

TEST_F(Mempool, AFreedBlockStaysAsItIsWhereTheOneBeforeItIsTaken) {
  unsigned char *const before = obtain();
  unsigned char *const p = obtain();
  (void)rf_mempool_free(&pool_, p);
  (void)rf_mempool_free(&pool_, before);
  p[20] = 1;
  EXPECT_EQ(obtain(), before);
  EXPECT_TRUE(findings_.empty());
  EXPECT_EQ(obtain(), p);
  expect_found(RF_BUG_USE_AFTER_FREE, p, 48, 20);
}

TEST_F(Mempool, TheWindowOfAFindingBeginsWithThePoolsMemoryWhereverThatLies) {
  unsigned char *const p = obtain();
  EXPECT_NE(reinterpret_cast<uintptr_t>(p) % 16, 0U) << "in the middle of a row of the window";
  (void)rf_mempool_free(&pool_, p);
  p[0] = 1;
  (void)obtain();
  rf_finding const f = found();
  EXPECT_EQ(f.window_address, f.block);
  EXPECT_EQ(f.window_class[0], RF_BYTE_BAD);
}

TEST_F(Mempool, AnOverflowIntoTheHeaderOfAFreeBlockIsFoundAtTheFree) {
  unsigned char *const p = obtain();
  p[kHeader] ^= 1;
  (void)rf_mempool_free(&pool_, p);
  expect_found(RF_BUG_BUFFER_OVERFLOW, p, 48, kHeader);
  size_t const behind = reinterpret_cast<uintptr_t>(p) + 48 - found().window_address;
  ASSERT_LT(behind, found().window_size);
  EXPECT_EQ(found().window_class[behind - 1], RF_BYTE_USER);
  EXPECT_EQ(found().window_class[behind], RF_BYTE_HEADER);
}

TEST_F(Mempool, AnOverflowIntoTheHeaderIsAsLongAsTheRestOfIt) {
  unsigned char *const p = obtain();
  p[kHeader + 3] ^= 1;
  (void)rf_mempool_free(&pool_, p);
  expect_found(RF_BUG_BUFFER_OVERFLOW, p, 48, kHeader + 3);
  EXPECT_EQ(found().access_size, sizeof(uintptr_t) - 3);
}

TEST_F(Mempool, AnOverflowThroughTheHeaderIsOneFindingAndThePoolGoesOn) {
  unsigned char *const p = obtain();
  unsigned char *const q = obtain();
  (void)rf_mempool_free(&pool_, q);
  std::memset(p + 48, 1, 20);
  (void)rf_mempool_free(&pool_, p);
  expect_found(RF_BUG_BUFFER_OVERFLOW, p, 48, kHeader);
  EXPECT_EQ(obtain(), p);
  EXPECT_EQ(obtain(), q);
  EXPECT_EQ(findings_.size(), 1U);
}

TEST_F(Mempool, ShortBlocksAreSilent) {
  rf_allocator *const a = &pool_.base;
  for (size_t size = 0; size <= 48; size++) {
    void *const p = rf_aligned_alloc(a, 8, size);
    void *const q = rf_aligned_alloc(a, 8, 48 - size);
    ASSERT_NE(p, nullptr);
    std::memset(p, 1, size);
    rf_free(a, p);
    rf_free(a, q);
  }
  EXPECT_EQ(rf_mempool_deinit(&pool_), RF_OK);
  EXPECT_TRUE(findings_.empty());
}

// ---- mem_slab ----

K_MEM_SLAB_DEFINE_STATIC(slab, 64, 4, 8);

TEST_F(Pools, ASlabIsWatchedBehindTheWordThatIsItsOwn) {
  void *p;
  void *q;
  ASSERT_EQ(k_mem_slab_alloc(&slab, &p, K_NO_WAIT), 0);
  ASSERT_EQ(k_mem_slab_alloc(&slab, &q, K_NO_WAIT), 0);
  k_mem_slab_free(&slab, q);
  static_cast<unsigned char *>(q)[8] = 1;
  k_mem_slab_free(&slab, p);
  expect_found(RF_BUG_USE_AFTER_FREE, q, 64, 8);
}

TEST_F(Pools, AnOverflowOfASlabsLastBlockOutIsFoundAtTheFree) {
  static char buffer[4 * 64] __attribute__((aligned(8)));
  k_mem_slab made;
  void *p;
  ASSERT_EQ(k_mem_slab_init(&made, buffer, 64, 4), 0);
  ASSERT_EQ(k_mem_slab_alloc(&made, &p, K_NO_WAIT), 0);
  static_cast<unsigned char *>(p)[64] = 1;
  k_mem_slab_free(&made, p);
  expect_found(RF_BUG_BUFFER_OVERFLOW, p, 64, 64);
}

// ---- Sweeps ----

RF_MEMBLOCKS_DEFINE_STATIC(lasting, 32, 4, 8);

TEST_F(Pools, ASweepLooksAtStaticPools) {
  void *p;
  ASSERT_EQ(rf_memblocks_alloc(&lasting, 1, &p), RF_OK);
  ASSERT_EQ(rf_memblocks_free(&lasting, 1, &p), RF_OK);
  EXPECT_EQ(rf_pool_watch_sweep(), 0U);
  static_cast<unsigned char *>(p)[9] = 1;
  EXPECT_EQ(rf_pool_watch_sweep(), 1U);
  expect_found(RF_BUG_USE_AFTER_FREE, p, 32, 9);
}

void damage_and_exit(bool sweep) {
  rf_checked_options options = {};
  rf_options_default(&options.settings);
  options.settings.mode = RF_MODE_GUARD;
  options.settings.sweep = sweep;
  rf_checked_pools_init(&options);
  void *p;
  if (rf_memblocks_alloc(&lasting, 1, &p) == RF_OK && rf_memblocks_free(&lasting, 1, &p) == RF_OK) {
    static_cast<unsigned char *>(p)[9] = 1;
  }
  std::exit(0);
}

TEST(PoolsDeathTest, TheEndOfTheProcessIsASweepUnlessSwitchedOff) {
  EXPECT_EXIT(damage_and_exit(true), testing::ExitedWithCode(RF_EXITCODE_DEFAULT), "heap-use-after-free");
  EXPECT_EXIT(damage_and_exit(false), testing::ExitedWithCode(0), "");
}

TEST(PoolsDeathTest, WithoutAReporterFindingsGoToTheErrorOutput) {
  auto const damage = [] {
    rf_pool_watch_options options;
    rf_pool_watch_options_default(&options);
    options.reporter = nullptr;
    (void)rf_pool_watch_start(&options);
    void *p;
    if (rf_memblocks_alloc(&lasting, 1, &p) == RF_OK && rf_memblocks_free(&lasting, 1, &p) == RF_OK) {
      static_cast<unsigned char *>(p)[9] = 1;
    }
    (void)rf_pool_watch_sweep();
    std::exit(0);
  };
  EXPECT_DEATH(damage(), "heap-use-after-free");
}

TEST_F(Pools, ASweepLeavesPoolsThatMayBeGone) {
  unsigned char *const p = take();
  give(p);
  p[9] = 1;
  EXPECT_EQ(rf_pool_watch_sweep(), 0U);
  p[9] = 0xCC;
}

// Its memory is the program's, but it was made by a call, and may have ended without one.
TEST_F(Pools, ASweepLeavesPoolsOfTheProgramsMemoryThatACallHasMade) {
  alignas(16) static unsigned char memory[2 * kSize];
  static size_t bitmap[1];
  static rf_memblocks made;
  ASSERT_EQ(rf_memblocks_init(&made, memory, kSize, 2, bitmap), RF_OK);
  void *p = nullptr;
  ASSERT_EQ(rf_memblocks_alloc(&made, 1, &p), RF_OK);
  ASSERT_EQ(rf_memblocks_free(&made, 1, &p), RF_OK);
  memory[9] = 1;
  EXPECT_EQ(rf_pool_watch_sweep(), 0U);
  rf_memblocks_deinit(&made);
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 9);
}

TEST_F(Pools, TheFillOfTheOptionsIsTaken) {
  rf_checked_options options = {};
  rf_options_default(&options.settings);
  options.settings.mode = RF_MODE_GUARD;
  options.settings.fill = 5;
  options.reporter = &reporter_;
  EXPECT_EQ(rf_checked_pools_init(&options), RF_MODE_GUARD);
  unsigned char *const p = take();
  p[4] = p[5] = 1;
  give(p);
  EXPECT_EQ(p[4], RF_PATTERN_FREED);
  EXPECT_EQ(p[5], 1);
}

TEST_F(Pools, TheOptionLeavesThemAlone) {
  rf_checked_options options = {};
  rf_options_default(&options.settings);
  options.settings.mode = RF_MODE_GUARD;
  options.settings.pools = false;
  options.reporter = &reporter_;
  EXPECT_EQ(rf_checked_pools_init(&options), RF_MODE_OFF);
  options.settings.pools = true;
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_SAMPLE}) {
    options.settings.mode = mode;
    EXPECT_EQ(rf_checked_pools_init(&options), RF_MODE_OFF) << rf_mode_name(mode);
  }
  unsigned char *const p = take();
  give(p);
  EXPECT_EQ(p[0], 0);
}

} // namespace

#endif
