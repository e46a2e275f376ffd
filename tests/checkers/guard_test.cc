// Guard on correct programs: fills, quarantine, realloc, figures. The bugs are in
// guard_bugs_test.cc.
#include "tests/checkers/guard_fixture.h"
#include "tests/core/unwatched.h"

#include <ringfence/mte.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>

namespace ringfence {
namespace {

class Guard : public GuardTest {
protected:
  static bool filled(const unsigned char *p, size_t size, int byte) {
    return std::all_of(p, p + size, [byte](unsigned char b) { return b == byte; });
  }

  rf_stats stats() {
    rf_stats s;
    rf_stats_get(a(), &s);
    return s;
  }
};

// ---- Beginning ----

TEST_P(Guard, NullIsNoAllocator) {
  rf_guard guard;
  EXPECT_EQ(rf_guard_init(nullptr, heap_->allocator(), nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_guard_init(&guard, nullptr, nullptr), RF_ERR_INVALID);
}

TEST_P(Guard, WrapsTheInnerAllocator) {
  EXPECT_EQ(rf_inner(a()), heap_->allocator());
  EXPECT_STREQ(a()->ops->name, "guard");
}

TEST_P(Guard, OverheadPerBlockIsAsDocumented) {
#if UINTPTR_MAX > UINT32_MAX
  EXPECT_EQ(RF_GUARD_PREFIX, 64U);
#else
  EXPECT_EQ(RF_GUARD_PREFIX, 48U);
#endif
  EXPECT_EQ(RF_GUARD_BACK_MIN, 16);
}

// ---- Fills ----

TEST_P(Guard, ANewBlockIsFilledUpToTheLimit) {
  options_.fill_alloc = 100;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), 60));
  EXPECT_TRUE(filled(p, 60, RF_PATTERN_NEW));
  unsigned char *const q = bytes(rf_alloc(a(), 300));
  EXPECT_TRUE(filled(q, 100, RF_PATTERN_NEW));
  expect_silence();
}

TEST_P(Guard, CallocZeroesAll) {
  for (size_t const size : {1, 7, 64, 5000}) {
    unsigned char *const p = bytes(rf_calloc(a(), size, 3));
    EXPECT_TRUE(filled(p, 3 * size, 0));
    unsigned char *const q = bytes(rf_guard_zalloc_from(&guard_, size, 8, RF_FAMILY_MALLOC, nullptr));
    EXPECT_TRUE(filled(q, size, 0));
    rf_free(a(), p);
    rf_free(a(), q);
  }
  expect_silence();
}

TEST_P(Guard, AFreedBlockIsFilledUpToTheLimit) {
  options_.fill_free = 100;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), 300));
  std::memset(p, 0x41, 300);
  rf_free(a(), p);
  EXPECT_TRUE(filled(p, 100, RF_PATTERN_FREED));
  EXPECT_TRUE(filled(p + 100, 200, 0x41));
  p[100] = 1; // beyond what is watched
  expect_silence();
  p[99] = 1;
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  EXPECT_EQ(take_one().offset, 99);
}

TEST_P(Guard, WithoutFillsNothingIsTouchedAndGuardsStillWork) {
  options_.fill_alloc = 0;
  options_.fill_free = 0;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), 40));
  std::memset(p, 0x41, 40);
  p[40] = 1;
  rf_free(a(), p);
  EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_TRUE(filled(p, 40, 0x41));
  p[0] = 1;
  expect_silence();
}

// ---- Quarantine ----

TEST_P(Guard, FreedBlocksAreNotUsedAgainWhileInQuarantine) {
  std::vector<unsigned char *> freed;
  for (size_t i = 0; i < 20; i++) {
    unsigned char *const p = bytes(rf_alloc(a(), 100));
    rf_free(a(), p);
    EXPECT_EQ(std::count(freed.begin(), freed.end(), p), 0);
    freed.push_back(p);
  }
  expect_silence();
}

TEST_P(Guard, ABlockIsUsedAgainOnlyWhenThreeEighthsOfTheQuarantineWereFreedSince) {
  for (size_t const size : {0, 10, 100, 3000}) {
    void *const p = rf_alloc(a(), size);
    rf_free(a(), p);
    for (size_t freed = 0; freed < options_.quarantine / 8 * 3; freed += RF_GUARD_PREFIX + size + 64) {
      void *const q = rf_alloc(a(), size);
      EXPECT_NE(q, p) << size << " after " << freed;
      rf_free(a(), q);
    }
  }
  expect_silence();
}

TEST_P(Guard, WhatIsUsedAgainIsAsNew) {
  options_.quarantine = 4096;
  make(options_);
  for (size_t i = 0; i < 2000; i++) {
    size_t const size = i * 7 % 90;
    unsigned char *const p = bytes(rf_alloc(a(), size));
    ASSERT_TRUE(filled(p, size, RF_PATTERN_NEW)) << i;
    ASSERT_EQ(rf_usable_size(a(), p), size);
    std::memset(p, 1, size);
    rf_free(a(), p);
  }
  expect_silence();
}

TEST_P(Guard, RequestsOfOneSizeAreServedFromTheQuarantine) {
  options_.quarantine = 16 * 1024;
  make(options_);
  rf_stats before;
  rf_stats after;
  auto const round = [this] {
    for (size_t i = 0; i < 500; i++) {
      rf_free(a(), rf_alloc(a(), 104));
    }
  };
  round();
  rf_stats_get(heap_->allocator(), &before);
  round();
  rf_stats_get(heap_->allocator(), &after);
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(stats().blocks, 0U);
  EXPECT_EQ(stats().allocations, 1000U);
  expect_silence();
}

TEST_P(Guard, TheQuarantineIsBoundedInBytes) {
  options_.quarantine = 5000;
  make(options_);
  for (size_t i = 0; i < 300; i++) {
    rf_free(a(), rf_alloc(a(), i % 90));
    EXPECT_LE(guard_.quarantined, 5000U);
  }
  EXPECT_GT(guard_.quarantined, 4000U);
  rf_guard_flush(&guard_, 1000);
  EXPECT_LE(guard_.quarantined, 1000U);
  EXPECT_GT(guard_.quarantined, 0U);
  rf_guard_flush(&guard_, 0);
  EXPECT_EQ(guard_.quarantined, 0U);
  expect_silence();
}

TEST_P(Guard, AnAgeCountsAllOfTheFreeThatBeginsIt) {
  size_t const length = options_.quarantine / 2 / RF_GUARD_AGES;
  while (guard_.quarantined < 3 * length) {
    rf_free(a(), rf_alloc(a(), 100));
    ASSERT_EQ(guard_.age_left, length - guard_.quarantined % length) << guard_.quarantined;
  }
  expect_silence();
}

TEST_P(Guard, WhatWasFreedFirstLeavesFirst) {
  unsigned char *blocks[5];
  for (unsigned char *&p : blocks) {
    p = bytes(rf_alloc(a(), 100));
  }
  for (unsigned char *const p : blocks) {
    rf_free(a(), p);
    p[0] = 1;
  }
  for (size_t left = 5; left > 0; left--) {
    rf_guard_flush(&guard_, guard_.quarantined - 1);
    EXPECT_EQ(take_one().block, reinterpret_cast<uintptr_t>(blocks[5 - left]));
  }
}

TEST_P(Guard, ABlockLargerThanTheQuarantineDoesNotEmptyIt) {
  options_.quarantine = 5000;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), 100));
  rf_free(a(), p);
  size_t const before = guard_.quarantined;
  EXPECT_GT(before, 0U);
  rf_free(a(), rf_alloc(a(), 6000));
  EXPECT_EQ(guard_.quarantined, before);
  expect_silence();
}

TEST_P(Guard, ABlockAsLargeAsTheQuarantineWaitsInIt) {
  void *p = rf_alloc(a(), 1000);
  ASSERT_EQ(rf_free(a(), p), RF_OK);
  options_.quarantine = guard_.quarantined; // of one such block
  make(options_);
  p = rf_alloc(a(), 1000);
  ASSERT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_EQ(guard_.quarantined, options_.quarantine);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(take_one().detail, nullptr) << "it has not left";
}

// Blocks of a large one wait while an eighth of it is freed, in four ages; of a small one, half.
TEST_P(Guard, AgesGrowWithTheQuarantine) {
  constexpr size_t kMiB = size_t{1} << 20;
  struct {
    size_t quarantine;
    size_t wait;
  } const cases[] = {{64 * 1024, 32 * 1024}, {kMiB, kMiB / 2}, {2 * kMiB, kMiB / 2}, {64 * kMiB, 8 * kMiB}};
  for (auto const &c : cases) {
    options_.quarantine = c.quarantine;
    make(options_);
    ASSERT_EQ(rf_free(a(), rf_alloc(a(), 10)), RF_OK);
    EXPECT_EQ(guard_.age_left + guard_.quarantined, c.wait / RF_GUARD_AGES) << c.quarantine;
  }
}

TEST_P(Guard, WithoutAQuarantineBlocksGoBackAtOnce) {
  options_.quarantine = 0;
  make(options_);
  rf_stats inner;
  rf_free(a(), rf_alloc(a(), 100));
  rf_stats_get(heap_->allocator(), &inner);
  EXPECT_EQ(inner.blocks, 0U);
  EXPECT_EQ(guard_.quarantined, 0U);
  expect_silence();
}

TEST_P(Guard, TheQuarantineIsGivenUpBeforeAnAllocationFails) {
  if (!GetParam().in_arena) {
    return;
  }
  options_.quarantine = kArenaSize;
  make(options_);
  size_t const large = kArenaSize / 2;
  for (size_t i = 0; i < 4; i++) {
    void *const p = rf_alloc(a(), large);
    ASSERT_NE(p, nullptr) << "round " << i;
    rf_free(a(), p);
  }
  EXPECT_EQ(stats().failures, 0U);
  expect_silence();
}

TEST_P(Guard, DamageIsFoundWhenTheQuarantineIsGivenUp) {
  if (!GetParam().in_arena) {
    return;
  }
  options_.quarantine = kArenaSize;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), kArenaSize / 2));
  rf_free(a(), p);
  p[12345] = 0;
  ASSERT_NE(rf_alloc(a(), kArenaSize / 2), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_USE_AFTER_FREE);
  EXPECT_EQ(f.offset, 12345);
}

TEST_P(Guard, DamagedHeadersAreToldAtTheEndThoughNoSweepIsAskedFor) {
  Unwatched const unwatched(arena_.data(), arena_.size());
  rf_guard_options options = options_;
  options.sweep_at_deinit = false;
  make(options);
  (void)rf_alloc(a(), 100);
  void *const p = rf_alloc(a(), 100);
  (void)rf_alloc(a(), 100);
  std::memset(bytes(p) - RF_GUARD_PREFIX, 0x41, 2 * sizeof(void *));
  end();
  EXPECT_EQ(take_one().bug, RF_BUG_METADATA);
  static auto &kept = *new std::vector<void *>; // a block of which nothing is known stays with the heap below, for good
  kept.push_back(p);
}

// ---- Sweeps a little at a time ----

// The block at which a step stopped is in another list by then: the next step begins anew.
TEST_P(Guard, ASweepGoesOnWhereItStoppedOnlyWhileTheBlockIsWhatItWas) {
  for (bool const freed : {false, true}) {
    std::vector<void *> blocks(22);
    for (void *&p : blocks) {
      p = rf_alloc(a(), 100);
    }
    EXPECT_EQ(rf_guard_sweep_step(&guard_, 0), 0U);
    unsigned char *const stopped = bytes(guard_.swept) + RF_GUARD_PREFIX;
    unsigned char *const last = bytes(guard_.live.u.prev) + RF_GUARD_PREFIX;
    ASSERT_EQ(std::count(blocks.begin(), blocks.end(), stopped), 1);
    ASSERT_NE(stopped, last);
    if (freed) {
      rf_free(a(), stopped);
    }
    last[100] = 1;
    // Eight blocks at a time: two more steps for the others, three where all but the freed one are to be seen.
    size_t found = rf_guard_sweep_step(&guard_, 0) + rf_guard_sweep_step(&guard_, 0);
    EXPECT_EQ(found, freed ? 0U : 1U);
    found += rf_guard_sweep_step(&guard_, 0);
    EXPECT_EQ(found, 1U);
    EXPECT_EQ(take_one().block, reinterpret_cast<uintptr_t>(last));
    for (void *const p : blocks) {
      if (!freed || p != stopped) {
        rf_free(a(), p);
      }
    }
    make(options_);
  }
}

// A microsecond is enough for a few blocks.
TEST_P(Guard, AStepOfASweepEndsWithItsNanoseconds) {
  std::vector<void *> blocks(1000);
  for (void *&p : blocks) {
    p = rf_alloc(a(), 16);
    ASSERT_NE(p, nullptr);
  }
  for (auto *const step : {rf_guard_sweep_step, rf_mte_sweep}) {
    guard_.swept = nullptr;
    EXPECT_EQ(step(&guard_, 1000), 0U);
    EXPECT_NE(guard_.swept, nullptr) << "some are left";
  }
  for (void *const p : blocks) {
    rf_free(a(), p);
  }
}

// ---- Alignment ----

TEST_P(Guard, AlignedBlocksAreGuardedToTheByteOnBothSides) {
  for (size_t align = 1; align <= 8192; align *= 2) {
    for (size_t const size : {0, 1, 13, 100}) {
      unsigned char *const p = bytes(rf_aligned_alloc(a(), align, size));
      ASSERT_NE(p, nullptr);
      EXPECT_TRUE(rf_is_aligned(p, align));
      EXPECT_EQ(rf_usable_size(a(), p), size);
      std::memset(p, 0x41, size);
      expect_silence();
      p[-1] = 0;
      EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
      EXPECT_EQ(take_one().offset, -1);
      p[size] = 0;
      EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
      EXPECT_EQ(take_one().offset, static_cast<ptrdiff_t>(size));
      EXPECT_EQ(rf_free(a(), p), RF_OK);
    }
  }
  expect_silence();
}

TEST_P(Guard, AnInteriorPointerOfAnAlignedBlockIsToldFromIt) {
  unsigned char *const p = bytes(rf_aligned_alloc(a(), 4096, 100));
  EXPECT_EQ(rf_free(a(), p - 2048), RF_ERR_BAD_POINTER); // in the gap before the header
  EXPECT_EQ(take_one().block, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(rf_free(a(), p + 16), RF_ERR_BAD_POINTER);
  EXPECT_EQ(take_one().offset, 16);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  expect_silence();
}

TEST_P(Guard, AnAlignmentForWhichNoAddressSpaceHasRoomCostsNoQuarantine) {
  rf_free(a(), rf_alloc(a(), 100));
  size_t const quarantined = guard_.quarantined;
  EXPECT_GT(quarantined, 0U);
  for (size_t align = SIZE_MAX / 2 + 1; align > RF_SIZE_LIMIT / 4; align /= 2) {
    EXPECT_EQ(rf_aligned_alloc(a(), align, 100), nullptr);
  }
  EXPECT_EQ(guard_.quarantined, quarantined);
  expect_silence();
}

// ---- Realloc ----

TEST_P(Guard, ReallocMovesSmallBlocksSoThatStalePointersShow) {
  options_.move_below = 100;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), 100));
  unsigned char *const q = bytes(rf_realloc(a(), p, 50));
  EXPECT_NE(q, p);
  EXPECT_TRUE(filled(p, 100, RF_PATTERN_FREED));
  p[5] = 1; // through the stale pointer
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  EXPECT_EQ(take_one().bug, RF_BUG_USE_AFTER_FREE);
}

TEST_P(Guard, ReallocOfALargeBlockStaysWhereItCan) {
  options_.move_below = 100;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), 5000));
  std::memset(p, 0x41, 5000);
  unsigned char *const q = bytes(rf_realloc(a(), p, 3000));
  EXPECT_EQ(q, p);
  EXPECT_TRUE(filled(q, 3000, 0x41));
  EXPECT_EQ(rf_usable_size(a(), q), 3000U);
  q[3000] = 0; // the guard has moved with the end
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  rf_finding const f = take_one();
  EXPECT_EQ(f.size, 3000U);
  EXPECT_EQ(f.offset, 3000);
}

TEST_P(Guard, WhatReallocAddsIsFilledAndGuarded) {
  for (size_t const move_below : {size_t{0}, SIZE_MAX}) {
    options_.move_below = move_below;
    make(options_);
    unsigned char *p = bytes(rf_alloc(a(), 20));
    std::memset(p, 0x41, 20);
    for (size_t size = 21; size < 200; size += 7) {
      p = bytes(rf_realloc(a(), p, size));
      ASSERT_NE(p, nullptr);
      EXPECT_TRUE(filled(p, 20, 0x41));
      EXPECT_TRUE(filled(p + 20, size - 20, RF_PATTERN_NEW)) << size;
      expect_silence();
    }
    rf_free(a(), p);
  }
}

TEST_P(Guard, ReallocFindsTheOverflowOfTheOldBlock) {
  for (size_t const move_below : {size_t{0}, SIZE_MAX}) {
    options_.move_below = move_below;
    make(options_);
    unsigned char *const p = bytes(rf_alloc(a(), 20));
    p[20] = 1;
    unsigned char *const q = bytes(rf_realloc(a(), p, 40));
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
    EXPECT_EQ(f.size, 20U);
    EXPECT_EQ(rf_free(a(), q), RF_OK);
    expect_silence();
  }
}

TEST_P(Guard, ReallocThatFailsLeavesTheBlockAsItWas) {
  unsigned char *const p = bytes(rf_alloc(a(), 20));
  std::memset(p, 0x41, 20);
  EXPECT_EQ(rf_realloc(a(), p, RF_SIZE_LIMIT), nullptr);
  EXPECT_EQ(rf_usable_size(a(), p), 20U);
  EXPECT_TRUE(filled(p, 20, 0x41));
  EXPECT_EQ(stats().failures, 1U);
  expect_silence();
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_P(Guard, ReallocToAnAlignmentThatTheBlockHasNotMoves) {
  options_.move_below = 0;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), 20));
  std::memset(p, 0x41, 20);
  unsigned char *const q = bytes(rf_realloc_at(a(), p, 30, 4096, RF_HERE));
  EXPECT_TRUE(rf_is_aligned(q, 4096));
  EXPECT_TRUE(filled(q, 20, 0x41));
  rf_free(a(), q);
  expect_silence();
}

TEST_P(Guard, AShrinkingReallocSucceedsInAFullArena) {
  if (!GetParam().in_arena) {
    return;
  }
  std::vector<void *> blocks;
  while (void *const p = rf_alloc(a(), 2000)) {
    blocks.push_back(p);
  }
  while (rf_alloc(a(), 1) != nullptr) {
  }
  for (void *&p : blocks) {
    p = rf_realloc(a(), p, 100);
    EXPECT_NE(p, nullptr);
  }
  expect_silence();
}

// ---- Figures ----

TEST_P(Guard, StatisticsAreTheProgramsView) {
  void *const p = rf_alloc(a(), 100);
  void *const q = rf_alloc(a(), 50);
  rf_stats s = stats();
  EXPECT_EQ(s.used, 150U);
  EXPECT_EQ(s.blocks, 2U);
  EXPECT_EQ(s.allocations, 2U);
  if (s.capacity != 0) {
    EXPECT_EQ(s.capacity, s.used + s.free_bytes + s.overhead);
    EXPECT_GE(s.overhead, 2 * (RF_GUARD_PREFIX + RF_GUARD_BACK_MIN));
  }
  rf_free(a(), p);
  s = stats();
  EXPECT_EQ(s.used, 50U);
  EXPECT_EQ(s.peak, 150U);
  EXPECT_EQ(s.blocks, 1U);
  EXPECT_EQ(s.peak_blocks, 2U);
  rf_free(a(), q);
}

TEST_P(Guard, AMovingReallocIsNoPeakOfTwoBlocks) {
  void *p = rf_alloc(a(), 100);
  for (size_t i = 0; i < 5; i++) {
    p = rf_realloc(a(), p, 100);
  }
  EXPECT_EQ(stats().peak, 100U);
  EXPECT_EQ(stats().peak_blocks, 1U);
  EXPECT_EQ(stats().used, 100U);
  p = rf_realloc(a(), p, 40);
  EXPECT_EQ(stats().used, 40U);
  p = rf_realloc(a(), p, 130);
  EXPECT_EQ(stats().used, 130U);
  EXPECT_EQ(stats().peak, 130U);
  rf_free(a(), p);
  EXPECT_EQ(stats().used, 0U);
}

struct Walked {
  std::map<void *, rf_block> used;
};

bool collect(const rf_block *block, void *context) {
  if (block->used) {
    static_cast<Walked *>(context)->used[block->ptr] = *block;
  }
  return true;
}

TEST_P(Guard, AWalkMeetsTheProgramsBlocksWithTheirSites) {
  std::map<void *, size_t> sizes;
  unsigned line = 0;
  for (size_t i = 0; i < 30; i++) {
    line = __LINE__ + 1;
    sizes[rf_aligned_alloc(a(), size_t{1} << i % 10, i * 7)] = i * 7;
  }
  void *const freed = rf_alloc(a(), 10);
  rf_free(a(), freed);
  Walked walked;
  EXPECT_EQ(rf_walk(a(), collect, &walked), RF_OK);
  EXPECT_EQ(walked.used.size(), sizes.size());
  for (const auto &[ptr, size] : sizes) {
    ASSERT_EQ(walked.used.count(ptr), 1U);
    EXPECT_EQ(walked.used[ptr].size, size);
    ASSERT_NE(walked.used[ptr].site, nullptr);
    EXPECT_EQ(walked.used[ptr].site->line, line);
  }
  for (const auto &[ptr, size] : sizes) {
    rf_free(a(), ptr);
  }
}

TEST_P(Guard, DescribesLiveBlocksOnly) {
  unsigned const line = __LINE__ + 1;
  unsigned char *const p = bytes(rf_alloc(a(), 33));
  rf_guard_block block;
  ASSERT_TRUE(rf_guard_describe(&guard_, p, &block));
  EXPECT_EQ(block.ptr, p);
  EXPECT_EQ(block.size, 33U);
  EXPECT_EQ(block.family, RF_FAMILY_MALLOC);
  EXPECT_EQ(block.allocated.site->line, line);
  EXPECT_FALSE(rf_guard_describe(&guard_, p + 16, &block));
  int local = 0;
  EXPECT_FALSE(rf_guard_describe(&guard_, &local, &block));
  rf_free(a(), p);
  EXPECT_FALSE(rf_guard_describe(&guard_, p, &block));
  expect_silence();
}

TEST_P(Guard, DescribesTheFamily) {
  for (rf_family const family : {RF_FAMILY_MALLOC, RF_FAMILY_NEW, RF_FAMILY_NEW_ARRAY, RF_FAMILY_NEW_ARRAY_ALIGNED}) {
    rf_guard_block block;
    void *const p = rf_guard_alloc_from(&guard_, 10, RF_ALIGN_DEFAULT, family, nullptr);
    ASSERT_TRUE(rf_guard_describe(&guard_, p, &block));
    EXPECT_EQ(block.family, family);
    EXPECT_EQ(rf_guard_free_from(&guard_, p, family, SIZE_MAX, nullptr), RF_OK);
  }
}

TEST_P(Guard, FiguresStayWhenItHasEnded) {
  rf_free(a(), rf_alloc(a(), 10));
  ASSERT_NE(rf_alloc(a(), 20), nullptr);
  end();
  EXPECT_EQ(stats().allocations, 2U);
  EXPECT_EQ(stats().peak, 20U);
}

TEST_P(Guard, DeinitGivesEveryBlockBack) {
  rf_free(a(), rf_alloc(a(), 10));
  ASSERT_NE(rf_alloc(a(), 20), nullptr);
  ASSERT_NE(rf_aligned_alloc(a(), 1024, 20), nullptr);
  end();
  rf_stats inner;
  rf_stats_get(heap_->allocator(), &inner);
  EXPECT_EQ(inner.blocks, 0U);
  EXPECT_EQ(inner.used, 0U);
}

// ---- Origins ----

TEST_P(Guard, WithoutASiteTheCallerIsKept) {
  rf_origin const origin = {nullptr, 0x1234567, nullptr};
  void *const p = rf_guard_alloc_from(&guard_, 5, 8, RF_FAMILY_MALLOC, &origin);
  rf_guard_block block;
  ASSERT_TRUE(rf_guard_describe(&guard_, p, &block));
  EXPECT_EQ(block.allocated.site, nullptr);
  ASSERT_EQ(block.allocated.depth, 1U);
  EXPECT_EQ(block.allocated.frames[0], 0x1234567U);
  rf_free(a(), p);
}

TEST_P(Guard, WithADepotSiteAndStackAreKept) {
  std::vector<uint64_t> memory(8192);
  rf_stack_depot depot;
  ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * 8), RF_OK);
  options_.depot = &depot;
  options_.stack_depth = 4;
  make(options_);
  unsigned const line = __LINE__ + 1;
  void *const p = rf_alloc(a(), 5);
  rf_guard_block block;
  ASSERT_TRUE(rf_guard_describe(&guard_, p, &block));
  ASSERT_NE(block.allocated.site, nullptr);
  EXPECT_EQ(block.allocated.site->line, line);
  EXPECT_GE(block.allocated.depth, 1U);
  EXPECT_LE(block.allocated.depth, 4U);
  rf_free(a(), p);
  rf_free(a(), p);
  rf_finding const f = take_one();
  EXPECT_EQ(f.allocated.site->line, line);
  EXPECT_GE(f.released.depth, 1U);
  EXPECT_NE(f.allocated.frames[0], f.released.frames[0]);
  end();
}

TEST_P(Guard, WhenTheDepotIsFullTheSiteIsStillKept) {
  std::vector<uint64_t> memory(8);
  rf_stack_depot depot;
  ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * 8), RF_OK);
  depot.used = depot.capacity;
  options_.depot = &depot;
  options_.stack_depth = 4;
  make(options_);
  void *const p = rf_alloc(a(), 5);
  rf_guard_block block;
  ASSERT_TRUE(rf_guard_describe(&guard_, p, &block));
  EXPECT_NE(block.allocated.site, nullptr);
  end();
}

// ---- A long correct program ----

TEST_P(Guard, ALongCorrectProgramIsSilentAndItsContentsStay) {
  constexpr unsigned kSeed = 20240607;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  options_.quarantine = 20000;
  options_.move_below = 60;
  make(options_);
  struct Block {
    unsigned char *ptr;
    size_t size;
    int byte;
  };
  std::vector<Block> live;
  for (int step = 0; step < 4000; step++) {
    unsigned const action = random() % 4;
    if (action == 0 || live.size() < 10) {
      size_t const size = random() % 300;
      auto *const p = bytes(rf_aligned_alloc(a(), size_t{1} << random() % 8, size));
      ASSERT_NE(p, nullptr);
      live.push_back({p, size, static_cast<int>(random() % 256)});
      std::memset(p, live.back().byte, size);
      continue;
    }
    size_t const pick = random() % live.size();
    Block &b = live[pick];
    ASSERT_TRUE(filled(b.ptr, b.size, b.byte));
    if (action == 1) {
      size_t const size = 1 + random() % 300;
      b.ptr = bytes(rf_realloc(a(), b.ptr, size));
      ASSERT_NE(b.ptr, nullptr);
      ASSERT_TRUE(filled(b.ptr, std::min(size, b.size), b.byte));
      b.size = size;
      std::memset(b.ptr, b.byte, size);
    } else {
      ASSERT_EQ(rf_free(a(), b.ptr), RF_OK);
      live[pick] = live.back();
      live.pop_back();
    }
    if (step % 97 == 0) {
      expect_silence();
    }
  }
  expect_silence();
}

// Freed blocks wait by their size, those above a kilobyte together: none is lost at that border.
TEST_P(Guard, BlocksOfEachSizeComeBackToTheHeap) {
  rf_stats before;
  rf_stats_get(heap_->allocator(), &before);
  for (size_t size = 1; size <= 1300; size += size < 800 ? 16 : 1) {
    EXPECT_EQ(rf_free(a(), rf_alloc(a(), size)), RF_OK) << size;
  }
  expect_silence();
  end();
  rf_stats after;
  rf_stats_get(heap_->allocator(), &after);
  EXPECT_EQ(after.blocks, before.blocks);
  EXPECT_EQ(after.used, before.used);
}

// A heap of one block, which is as long as all of its memory: guards behind small blocks are as long as they can be.
struct Roomy {
  static void *alloc(rf_allocator *self, size_t size, size_t, const rf_site *) {
    auto *const heap = reinterpret_cast<Roomy *>(self);
    bool const there = heap->taken || size > sizeof heap->memory;
    heap->taken = true;
    return there ? nullptr : heap->memory;
  }
  static rf_status free(rf_allocator *self, void *, const rf_site *) {
    reinterpret_cast<Roomy *>(self)->taken = false;
    return RF_OK;
  }
  static size_t usable_size(rf_allocator *, const void *) { return sizeof memory; }

  rf_allocator base = {};
  bool taken = false;
  alignas(64) unsigned char memory[400];
};

// In a freed block, and behind it.
TEST(GuardOfARoomyHeap, EachByteOfASmallFreedBlockAndItsLongGuardIsWatched) {
  static const rf_allocator_ops ops = [] {
    rf_allocator_ops all = {};
    all.name = "roomy";
    all.alloc = Roomy::alloc;
    all.free = Roomy::free;
    all.usable_size = Roomy::usable_size;
    return all;
  }();
  for (size_t const size : {1, 15, 16, 17, 31, 40, 64, 65}) {
    for (size_t at = 0; at < sizeof Roomy::memory - RF_GUARD_PREFIX; at++) {
      Roomy heap;
      heap.base.ops = &ops;
      Recorder recorder;
      rf_guard guard;
      rf_guard_options options;
      rf_guard_options_default(&options);
      options.fill_free = SIZE_MAX;
      options.leaks_at_deinit = false;
      options.reporter = recorder.reporter();
      ASSERT_EQ(rf_guard_init(&guard, &heap.base, &options), RF_OK);
      auto *const p = static_cast<unsigned char *>(rf_alloc(&guard.base, size));
      ASSERT_NE(p, nullptr);
      EXPECT_EQ(rf_free(&guard.base, p), RF_OK);
      p[at] ^= 0x11;
      // The heap is full until the block leaves the quarantine, which is when it is compared.
      EXPECT_NE(rf_alloc(&guard.base, 1), nullptr);
      std::vector<rf_finding> const found = recorder.take();
      ASSERT_EQ(found.size(), 1U) << size << " " << at;
      EXPECT_EQ(found[0].bug, at < size ? RF_BUG_USE_AFTER_FREE : RF_BUG_BUFFER_OVERFLOW) << size << " " << at;
      rf_deinit(&guard.base);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Over, Guard, testing::ValuesIn(kHeaps), heap_name);

} // namespace
} // namespace ringfence

// Requests that cannot be served are part of the tests: sanitizers shall answer them with NULL.
extern "C" const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}

extern "C" const char *__tsan_default_options() {
  return "allocator_may_return_null=1";
}
