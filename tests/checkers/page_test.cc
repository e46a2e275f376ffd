// rf_page: where blocks lie, and what the interface promises. The bugs of the detection table are in
// tests/checkers/detection.
#include "tests/checkers/page_fixture.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

namespace ringfence {
namespace {

class Page : public PageTest {};

#ifdef __linux__
// Asked of the kernel itself: without markers all works as well, with more mappings.
TEST(PageMarks, AreThereWhereTheKernelHasThem) {
  constexpr int kGuardInstall = 102;
  void *const page = mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  EXPECT_EQ(rf_page_has_marks(), madvise(page, page_size(), kGuardInstall) == 0);
  EXPECT_EQ(munmap(page, page_size()), 0);
}
#endif

// ---- Where blocks lie ----

TEST_F(Page, OnTheLeftEveryBlockStartsItsPage) {
  start(RF_PAGE_LEFT);
  for (size_t size : {size_t{1}, size_t{13}, page_size() - 1, page_size(), page_size() + 1, 5 * page_size()}) {
    void *const p = rf_alloc(a(), size);
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(past_page(p), 0U);
    rf_free(a(), p);
  }
}

TEST_F(Page, OnTheRightEveryBlockEndsItsPageAsFarAsAlignmentAllows) {
  start(RF_PAGE_RIGHT);
  for (size_t const align : {size_t{1}, size_t{2}, size_t{16}, size_t{64}}) {
    for (size_t size = 1; size < 200; size++) {
      void *const p = rf_aligned_alloc(a(), align, size);
      ASSERT_TRUE(rf_is_aligned(p, align));
      size_t const slack = (page_size() - past_page(bytes(p) + size)) % page_size();
      EXPECT_LT(slack, align) << size;
      rf_free(a(), p);
    }
  }
}

// No size leaves a gap behind the block: placed exactly, a block is aligned as its size is; unaligned, not at all.
TEST_F(Page, ExactBlocksEndWithTheirPage) {
  for (rf_page_side const side : {RF_PAGE_EXACT, RF_PAGE_UNALIGNED}) {
    start(side);
    for (size_t size = 1; size < 3 * page_size(); size += size < 200 ? 1 : 331) {
      unsigned char *const p = bytes(rf_alloc(a(), size));
      EXPECT_EQ(past_page(p + size), 0U) << size;
      EXPECT_TRUE(rf_is_aligned(p, std::min(size & (0 - size), size_t{RF_ALIGN_DEFAULT})));
      (void)peek(p + size);
      expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, size, static_cast<ptrdiff_t>(size));
      EXPECT_EQ(rf_free(a(), p), RF_OK);
    }
    void *const named = rf_aligned_alloc(a(), 64, 100);
    EXPECT_TRUE(rf_is_aligned(named, 64));
    EXPECT_EQ(rf_free(a(), named), RF_OK);
  }
}

TEST_F(Page, BySidesInTurnBothEndsAreWatched) {
  start(RF_PAGE_BOTH);
  std::set<bool> left;
  for (unsigned i = 0; i < 2; i++) {
    void *const p = rf_alloc(a(), 32);
    left.insert(past_page(p) == 0);
    rf_free(a(), p);
  }
  EXPECT_EQ(left.size(), 2U);
}

TEST_F(Page, EveryAlignmentIsServed) {
  for (rf_page_side const side : {RF_PAGE_LEFT, RF_PAGE_RIGHT}) {
    start(side);
    for (size_t align = 1; align <= 64 * page_size(); align *= 2) {
      for (size_t const size : {size_t{0}, size_t{1}, size_t{100}, page_size(), 3 * page_size() + 1}) {
        unsigned char *const p = bytes(rf_aligned_alloc(a(), align, size));
        ASSERT_NE(p, nullptr) << align << " " << size;
        EXPECT_TRUE(rf_is_aligned(p, align));
        std::memset(p, 0x41, size);
        EXPECT_EQ(rf_usable_size(a(), p), size);
        EXPECT_EQ(rf_free(a(), p), RF_OK);
      }
    }
  }
}

// ---- The interface ----

TEST_F(Page, NewMemoryIsFilledAsTheOptionsSay) {
  options_.fill_alloc = 10;
  start();
  unsigned char *const p = bytes(rf_alloc(a(), 20));
  EXPECT_EQ(p[9], RF_PATTERN_NEW);
  EXPECT_EQ(p[10], 0);
  rf_free(a(), p);
}

TEST_F(Page, ReallocMovesAndClosesTheOldBlock) {
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  std::memset(p, 0x41, 50);
  unsigned char *const q = bytes(rf_realloc(a(), p, 9000));
  ASSERT_NE(q, nullptr);
  ASSERT_NE(q, p);
  for (size_t i = 0; i < 50; i++) {
    ASSERT_EQ(q[i], 0x41);
  }
  (void)peek(p);
  EXPECT_EQ(take_one().bug, RF_BUG_USE_AFTER_FREE);
  unsigned char *const r = bytes(rf_realloc(a(), q, 3));
  EXPECT_EQ(r[2], 0x41);
  EXPECT_EQ(rf_realloc(a(), r, 0), nullptr);
}

TEST_F(Page, ResizeStaysWithinThePagesAndWatchesTheNewEnd) {
  start(RF_PAGE_LEFT);
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  EXPECT_EQ(rf_resize(a(), p, 60), RF_OK);
  EXPECT_EQ(rf_usable_size(a(), p), 60U);
  std::memset(p, 0x41, 60);
  EXPECT_EQ(rf_resize(a(), p, 20), RF_OK);
  poke(p + 20, 0);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, 20, 20);
}

// It cannot resize, and need not if there is room in its own block.
TEST_F(Page, ABlockGrowsAsFarAsThatOfTheAllocatorBelowHasRoom) {
  rf_allocator *const inner = rf_inner(a());
  rf_allocator_ops ops = *inner->ops;
  const rf_allocator_ops *const before = inner->ops;
  ops.resize = nullptr;
  ops.usable_size = [](rf_allocator *, const void *) { return size_t{64}; };
  void *const p = rf_alloc(a(), 10);
  inner->ops = &ops;
  EXPECT_EQ(rf_resize(a(), p, 64), RF_OK);
  EXPECT_EQ(rf_resize(a(), p, 65), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_usable_size(a(), p), 64U);
  inner->ops = before;
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_F(Page, AShrunkBlockGivesUpThePagesThatItNoLongerHas) {
  start(RF_PAGE_LEFT);
  unsigned char *const p = bytes(rf_alloc(a(), 4 * page_size()));
  EXPECT_EQ(rf_resize(a(), p, 16), RF_OK);
  poke(p + page_size(), 1);
  expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, 16, static_cast<ptrdiff_t>(page_size()));
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_F(Page, ABlockGrowsIntoTheFreePagesBehindIt) {
  start(RF_PAGE_LEFT);
  unsigned char *const p = bytes(rf_alloc(a(), 100));
  std::memset(p, 0x41, 100);
  size_t const size = 50 * page_size() + 16;
  ASSERT_EQ(rf_resize(a(), p, size), RF_OK);
  std::memset(p + 100, 0x42, size - 100);
  EXPECT_EQ(p[99], 0x41);
  poke(p + size, 1);
  EXPECT_EQ(rf_page_sweep(&page_), 1U);
  expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, size, static_cast<ptrdiff_t>(size));
  (void)peek(p + 51 * page_size());
  expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, size, static_cast<ptrdiff_t>(51 * page_size()));
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  (void)peek(p + 40 * page_size());
  EXPECT_EQ(take_one().bug, RF_BUG_USE_AFTER_FREE);
}

TEST_F(Page, ABlockDoesNotGrowIntoAnother) {
  start(RF_PAGE_LEFT);
  unsigned char *const p = bytes(rf_alloc(a(), 100));
  unsigned char *const q = bytes(rf_alloc(a(), 100));
  ASSERT_GT(q, p);
  EXPECT_EQ(rf_resize(a(), p, static_cast<size_t>(q - p)), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_usable_size(a(), p), 100U);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_EQ(rf_free(a(), q), RF_OK);
}

TEST_F(Page, TheInnerAllocatorDecidesWhoGetsMemory) {
  EXPECT_EQ(rf_alloc(a(), kArenaSize), nullptr);
  std::vector<void *> blocks;
  while (void *const p = rf_alloc(a(), 64 * 1024)) {
    blocks.push_back(p);
  }
  EXPECT_GT(blocks.size(), 50U);
  EXPECT_LT(blocks.size(), 64U);
  for (void *const p : blocks) {
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
  rf_stats stats;
  rf_stats_get(a(), &stats);
  EXPECT_EQ(stats.used, 0U);
  EXPECT_EQ(stats.blocks, 0U);
  EXPECT_EQ(stats.failures, 2U);
  EXPECT_EQ(stats.peak_blocks, blocks.size());
}

TEST_F(Page, AWalkShowsEveryLiveBlock) {
  std::set<void *> expected;
  for (size_t i = 0; i < 20; i++) {
    void *const p = rf_alloc(a(), i);
    if (i % 3 == 0) {
      rf_free(a(), p);
    } else {
      expected.insert(p);
    }
  }
  auto const collect = [](const rf_block *block, void *context) {
    if (block->used) {
      static_cast<std::set<void *> *>(context)->insert(block->ptr);
    }
    return true;
  };
  std::set<void *> seen;
  EXPECT_EQ(rf_walk(a(), collect, &seen), RF_OK);
  EXPECT_EQ(seen, expected);
  for (void *const p : expected) {
    rf_free(a(), p);
  }
}

// The statistics and the walk of a dump agree about free memory.
TEST_F(Page, AWalkShowsFreeMemoryOfTheAllocatorBelow) {
  void *const p = rf_alloc(a(), 100);
  void *const q = rf_alloc(a(), 200);
  rf_free(a(), p);
  struct Seen {
    size_t used = 0;
    size_t free = 0;
    size_t largest = 0;
  } seen;
  auto const collect = [](const rf_block *block, void *context) {
    auto *const s = static_cast<Seen *>(context);
    (block->used ? s->used : s->free) += block->size;
    s->largest = !block->used && block->size > s->largest ? block->size : s->largest;
    return true;
  };
  EXPECT_EQ(rf_walk(a(), collect, &seen), RF_OK);
  rf_stats stats;
  rf_stats_get(a(), &stats);
  EXPECT_EQ(seen.used, 200U);
  EXPECT_GT(seen.free, 0U);
  EXPECT_EQ(seen.free, stats.free_bytes);
  EXPECT_GE(seen.largest, stats.largest_free);
  rf_free(a(), q);
}

TEST_F(Page, AVisitorThatCallsTheAllocatorIsFound) {
  unsigned char *const p = bytes(rf_alloc(a(), 5));
  auto const visit = [](const rf_block *block, void *context) {
    if (block->used) {
      EXPECT_EQ(rf_free(static_cast<rf_allocator *>(context), block->ptr), RF_ERR_BUSY);
    }
    return true;
  };
  EXPECT_EQ(rf_walk(a(), visit, a()), RF_OK);
  EXPECT_EQ(take_one().bug, RF_BUG_REENTRY);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_F(Page, AnAllocatorBelowThatCountsNothingHasNoOverhead) {
  static rf_allocator_ops blind;
  rf_allocator *const inner = rf_inner(a());
  rf_alloc(a(), 100);
  blind = *inner->ops;
  blind.counters = nullptr;
  blind.stats = [](rf_allocator *, rf_stats *out) { *out = {}; };
  const rf_allocator_ops *const before = inner->ops;
  inner->ops = &blind;
  rf_stats stats;
  rf_stats_get(a(), &stats);
  inner->ops = before;
  EXPECT_EQ(stats.used, 100U);
  EXPECT_EQ(stats.overhead, 0U);
}

TEST_F(Page, LeaksAreReportedAtTheEndIfWanted) {
  options_.leaks_at_deinit = true;
  start();
  void *const p = rf_alloc(a(), 33);
  end();
  expect_block(take_one(), RF_BUG_LEAK, p, 33, 0);
}

TEST_F(Page, WhatIsLiveAtTheEndIsGivenBackToTheInnerAllocator) {
  for (size_t i = 0; i < 10; i++) {
    ASSERT_NE(rf_alloc(a(), 100), nullptr);
  }
  end();
  rf_stats stats;
  rf_stats_get(heap_.allocator(), &stats);
  EXPECT_EQ(stats.blocks, 0U);
}

TEST_F(Page, ABlockOfAnAllocatorThatWasEndedIsStillClosed) {
  unsigned char *const p = bytes(rf_alloc(a(), 100));
  end();
  (void)peek(p + 5);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_USE_AFTER_FREE, p, 100, 5);
  EXPECT_STREQ(f.detail, "the allocator was ended");
  EXPECT_EQ(f.released.thread, rf_port_thread_id()) << "which freed all blocks by that";
}

TEST_F(Page, ManyComeAndGoWithoutUsingUpAddressSpace) {
  for (unsigned i = 0; i < 200; i++) {
    start();
    ASSERT_NE(rf_alloc(a(), 100), nullptr);
  }
}

TEST_F(Page, ASweepInStepsComesToEveryBlock) {
  std::vector<unsigned char *> blocks;
  for (size_t i = 0; i < 300; i++) {
    blocks.push_back(bytes(rf_alloc(a(), 24)));
  }
  size_t const before = past_page(blocks[217]);
  unsigned char *const at = before != 0 ? blocks[217] - 1 : blocks[217] + 24;
  poke(at, 0);
  size_t found = 0;
  unsigned steps = 0;
  for (; steps < 1000 && found == 0; steps++) {
    found += rf_page_sweep_step(&page_, 1);
  }
  EXPECT_EQ(found, 1U);
  EXPECT_GT(steps, 5U);
  EXPECT_EQ(take_one().block, reinterpret_cast<uintptr_t>(blocks[217]));
  EXPECT_EQ(rf_page_sweep(&page_), 0U);
  (void)rf_page_sweep_step(&page_, 1);
  for (size_t const i : {size_t{0}, size_t{299}}) {
    unsigned char *const slack = past_page(blocks[i]) != 0 ? blocks[i] - 1 : blocks[i] + 24;
    poke(slack, 0);
  }
  EXPECT_EQ(rf_page_sweep(&page_), 2U) << "a whole sweep begins anew";
  (void)recorder_.take();
  for (unsigned char *const p : blocks) {
    rf_free(a(), p);
  }
}

TEST_F(Page, NullIsRefused) {
  EXPECT_EQ(rf_page_init(nullptr, heap_.allocator(), nullptr), RF_ERR_INVALID);
  rf_page other;
  EXPECT_EQ(rf_page_init(&other, nullptr, nullptr), RF_ERR_INVALID);
}

} // namespace
} // namespace ringfence
