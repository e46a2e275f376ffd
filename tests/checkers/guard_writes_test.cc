// Writes beside a block and to a freed one, on guard over each allocator: the finding says what, where, by how much and
// by whom; the correct twin is silent.
#include "tests/checkers/guard_bugs_fixture.h"

namespace ringfence {
namespace {

// ---- Writes past the end ----

TEST_P(GuardBugs, OneByteWrittenPastTheEndIsFoundAtFree) {
  unsigned const allocated = __LINE__ + 1;
  unsigned char *const p = bytes(rf_alloc(a(), 13));
  p[13] = 0x42;
  unsigned const freed = __LINE__ + 1;
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_BUFFER_OVERFLOW, p, 13, 13);
  EXPECT_EQ(f.cwe, 122U);
  EXPECT_EQ(f.access, RF_ACCESS_WRITE);
  EXPECT_EQ(f.access_size, 1U);
  EXPECT_FALSE(f.freed);
  expect_site(f.allocated, allocated, __func__);
  expect_site(f.found, freed, __func__);
}

TEST_P(GuardBugs, EverySizeIsGuardedToItsLastByte) {
  for (size_t size = 0; size <= 130; size++) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    ASSERT_NE(p, nullptr);
    p[size] = 0;
    rf_free(a(), p);
    expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, size, static_cast<ptrdiff_t>(size));
  }
}

TEST_P(GuardBugs, EveryGuardByteAfterTheBlockIsWatched) {
  for (size_t distance = 0; distance < RF_GUARD_BACK_MIN; distance++) {
    for (int const value : {0x00, 0xFC, 0xFF}) {
      unsigned char *const p = bytes(rf_alloc(a(), 21));
      p[21 + distance] = static_cast<unsigned char>(value);
      rf_free(a(), p);
      expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, 21, static_cast<ptrdiff_t>(21 + distance));
    }
  }
}

TEST_P(GuardBugs, AllOfTheSlackThatTheInnerBlockOffersIsGuarded) {
  for (size_t size = 1; size <= 100; size++) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    size_t const offered = rf_usable_size(heap_->allocator(), p - RF_GUARD_PREFIX);
    ASSERT_GE(offered, RF_GUARD_PREFIX + size + RF_GUARD_BACK_MIN);
    size_t const last = std::min(offered - RF_GUARD_PREFIX, size + RF_GUARD_BACK_MAX) - 1;
    p[last] = 1;
    rf_free(a(), p);
    expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, size, static_cast<ptrdiff_t>(last));
  }
}

TEST_P(GuardBugs, TheExtentOfAnOverflowIsTold) {
  unsigned char *const p = bytes(rf_alloc(a(), 40));
  std::memset(p + 40, 0x41, 7);
  rf_free(a(), p);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_BUFFER_OVERFLOW, p, 40, 40);
  EXPECT_EQ(f.access_size, 7U);
}

TEST_P(GuardBugs, AnOverflowThatBeginsFurtherOnIsPlacedExactly) {
  unsigned char *const p = bytes(rf_alloc(a(), 40));
  p[45] = 1;
  p[47] = 1;
  rf_free(a(), p);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_BUFFER_OVERFLOW, p, 40, 45);
  EXPECT_EQ(f.access_size, 3U);
  size_t distance;
  EXPECT_STREQ(rf_finding_relation(&f, &distance), "after");
  EXPECT_EQ(distance, 5U);
}

TEST_P(GuardBugs, WritingAllOfABlockIsNoOverflow) {
  for (size_t size = 0; size <= 130; size++) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    std::memset(p, 0x41, size);
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
  expect_silence();
}

// ---- Writes before the start ----

TEST_P(GuardBugs, OneByteWrittenBeforeTheStartIsFoundAtFree) {
  unsigned const allocated = __LINE__ + 1;
  unsigned char *const p = bytes(rf_alloc(a(), 13));
  p[-1] = 0x42;
  unsigned const freed = __LINE__ + 1;
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_BUFFER_UNDERFLOW, p, 13, -1);
  EXPECT_EQ(f.cwe, 124U);
  EXPECT_EQ(f.access_size, 1U);
  expect_site(f.allocated, allocated, __func__);
  expect_site(f.found, freed, __func__);
}

TEST_P(GuardBugs, EveryGuardByteBeforeTheBlockIsWatched) {
  for (ptrdiff_t distance = 1; distance <= RF_GUARD_FRONT; distance++) {
    unsigned char *const p = bytes(rf_alloc(a(), 24));
    p[-distance] = 0;
    rf_free(a(), p);
    expect_block(take_one(), RF_BUG_BUFFER_UNDERFLOW, p, 24, -distance);
  }
}

TEST_P(GuardBugs, AnUnderflowAndAnOverflowOfOneBlockAreTwoFindings) {
  unsigned char *const p = bytes(rf_alloc(a(), 24));
  p[-2] = 0;
  p[24] = 0;
  rf_free(a(), p);
  std::vector<rf_finding> const found = take();
  ASSERT_EQ(found.size(), 2U);
  expect_block(found[0], RF_BUG_BUFFER_UNDERFLOW, p, 24, -2);
  expect_block(found[1], RF_BUG_BUFFER_OVERFLOW, p, 24, 24);
}

// ---- Writes after free ----

TEST_P(GuardBugs, AWriteAfterFreeIsFoundWhenTheBlockLeavesTheQuarantine) {
  unsigned const allocated = __LINE__ + 1;
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  unsigned const freed = __LINE__ + 1;
  rf_free(a(), p);
  p[7] = 0x42;
  rf_guard_flush(&guard_, 0);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_USE_AFTER_FREE, p, 50, 7);
  EXPECT_EQ(f.cwe, 416U);
  EXPECT_EQ(f.access, RF_ACCESS_WRITE);
  EXPECT_EQ(f.access_size, 1U);
  EXPECT_TRUE(f.freed);
  expect_site(f.allocated, allocated, __func__);
  expect_site(f.released, freed, __func__);
}

TEST_P(GuardBugs, EveryByteOfAFreedBlockIsWatched) {
  for (size_t i = 0; i < 70; i++) {
    unsigned char *const p = bytes(rf_alloc(a(), 70));
    rf_free(a(), p);
    p[i] = 0xCD;
    EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
    expect_block(take_one(), RF_BUG_USE_AFTER_FREE, p, 70, static_cast<ptrdiff_t>(i));
  }
}

TEST_P(GuardBugs, OfEverySizeEachByteIsComparedWhenTheBlockLeavesTheQuarantine) {
  for (size_t size = 0; size < 140; size++) {
    auto const front = static_cast<ptrdiff_t>(RF_GUARD_FRONT);
    auto const end = static_cast<ptrdiff_t>(size + RF_GUARD_BACK_MIN);
    for (ptrdiff_t i = -front; i < end; i++) {
      unsigned char *const p = bytes(rf_alloc(a(), size));
      rf_free(a(), p);
      p[i] ^= 1U;
      rf_guard_flush(&guard_, 0);
      rf_bug const inside = i < static_cast<ptrdiff_t>(size) ? RF_BUG_USE_AFTER_FREE : RF_BUG_BUFFER_OVERFLOW;
      expect_block(take_one(), i < 0 ? RF_BUG_BUFFER_UNDERFLOW : inside, p, size, i);
    }
  }
}

TEST_P(GuardBugs, AWriteAfterFreeIsFoundBeforeTheBlockIsUsedAgain) {
  options_.quarantine = 4096;
  make(options_);
  for (size_t const size : {3, 20, 50, 64, 100, 300}) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    rf_free(a(), p);
    p[size / 2] ^= 1U;
    for (size_t i = 0; i < 200 && recorder_.count() == 0; i++) {
      unsigned char *const q = bytes(rf_alloc(a(), size));
      EXPECT_TRUE(q != p || recorder_.count() == 1U) << size;
      rf_free(a(), q);
    }
    expect_block(take_one(), RF_BUG_USE_AFTER_FREE, p, size, static_cast<ptrdiff_t>(size / 2));
  }
}

TEST_P(GuardBugs, AHeaderOverwrittenAfterTheFreeIsFoundBeforeTheBlockIsUsedAgain) {
  if (!GetParam().in_arena) {
    return; // such a block is never given back
  }
  options_.quarantine = 4096;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  rf_free(a(), p);
  p[-static_cast<ptrdiff_t>(RF_GUARD_FRONT) - 1] ^= 1U;
  for (size_t i = 0; i < 200 && recorder_.count() == 0; i++) {
    unsigned char *const q = bytes(rf_alloc(a(), 50));
    EXPECT_NE(q, p);
    rf_free(a(), q);
  }
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(p));
}

TEST_P(GuardBugs, AWriteAfterFreeIsFoundByTheSweepOnce) {
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  rf_free(a(), p);
  std::memset(p + 3, 0, 9);
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  EXPECT_EQ(take_one().access_size, 9U);
  expect_silence();
  rf_guard_flush(&guard_, 0);
  expect_silence();
}

TEST_P(GuardBugs, AWriteAfterFreeIsFoundAtTheDoubleFree) {
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  rf_free(a(), p);
  p[49] = 0;
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  std::vector<rf_finding> const found = take();
  ASSERT_EQ(found.size(), 2U);
  expect_block(found[0], RF_BUG_USE_AFTER_FREE, p, 50, 49);
  expect_block(found[1], RF_BUG_DOUBLE_FREE, p, 50, 0);
}

TEST_P(GuardBugs, AWriteBesideAFreedBlockIsAnOverflowOfAFreedBlock) {
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  rf_free(a(), p);
  p[50] = 0;
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_BUFFER_OVERFLOW, p, 50, 50);
  EXPECT_TRUE(f.freed);
}

TEST_P(GuardBugs, ReadingAFreedBlockShowsItsFill) {
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  std::memset(p, 0x41, 50);
  rf_free(a(), p);
  for (size_t i = 0; i < 50; i++) {
    EXPECT_EQ(p[i], RF_PATTERN_FREED);
  }
  expect_silence();
}

INSTANTIATE_TEST_SUITE_P(Over, GuardBugs, testing::ValuesIn(kHeaps), heap_name);

} // namespace
} // namespace ringfence
