// Guard on correct programs: fills, alignment, realloc, a long one.
#include "tests/checkers/guard_fixture.h"

#include <algorithm>
#include <random>
#include <string>

namespace ringfence {
namespace {

class Guard : public GuardTest {};

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

INSTANTIATE_TEST_SUITE_P(Over, Guard, testing::ValuesIn(kHeaps), heap_name);

} // namespace
} // namespace ringfence
