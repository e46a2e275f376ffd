// The guard of handles finds what was written through addresses that were kept too long, and beside blocks.
#include "tests/checkers/handle_guard_fixture.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace ringfence {
namespace {

// ---- Addresses kept too long ----

TEST_P(HandleGuardTest, AnAddressKeptOverAnAllocationReadsCC) {
  rf_handle const a = rf_handle_alloc(h, 30);
  unsigned char *const raw = at(a);
  std::memset(raw, 'x', 30);
  rf_handle const b = rf_handle_alloc(h, 8);
  EXPECT_NE(at(a), raw) << "it has moved";
  EXPECT_TRUE(all(at(a), 30, 'x'));
  for (int i = 0; i < 30; i++) {
    ASSERT_EQ(peek(raw + i), 0xCC);
  }
  rf_handle_free(h, a);
  rf_handle_free(h, b);
  expect_silence();
}

TEST_P(HandleGuardTest, AWriteThroughAnAddressKeptOverAnAllocationIsFound) {
  ALLOCATE(a, 30);
  unsigned const shown = __LINE__ + 1;
  auto *const raw = static_cast<unsigned char *>(rf_handle_address(h, a));
  rf_handle const b = rf_handle_alloc(h, 8);
  stray(raw + 7, 'x');
  stray(raw + 9, 'x');
  rf_finding const f = sweep_one();
  EXPECT_EQ(f.bug, RF_BUG_USE_AFTER_MOVE);
  EXPECT_EQ(f.cwe, 825U);
  EXPECT_EQ(f.access, RF_ACCESS_WRITE);
  EXPECT_EQ(f.argument, a);
  EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(raw));
  EXPECT_EQ(f.address, reinterpret_cast<uintptr_t>(raw + 7));
  EXPECT_EQ(f.access_size, 3U);
  EXPECT_EQ(f.offset, 7);
  EXPECT_EQ(f.size, 30U);
  EXPECT_FALSE(f.freed) << "it lives elsewhere";
  EXPECT_EQ(line_of(f.allocated), a_line);
  EXPECT_EQ(line_of(f.released), shown);
  EXPECT_GT(f.window_size, 0U);
  rf_handle_free(h, a);
  rf_handle_free(h, b);
}

TEST_P(HandleGuardTest, ABlockWhoseAddressWasGivenOutMovesThoughOneThatWasLaterIsFreed) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle const b = rf_handle_alloc(h, 20);
  unsigned char *const kept = at(a);
  (void)at(b);
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
  rf_handle const c = rf_handle_alloc(h, 20);
  EXPECT_NE(at(a), kept);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, c), RF_OK);
}

TEST_P(HandleGuardTest, AnAllocationThatMovesNothingLeavesKeptAddresses) {
  rf_handle const a = rf_handle_alloc(h, 30);
  unsigned char *const raw = at(a);
  rf_handle const b = rf_handle_alloc_at(h, 8, RF_HANDLE_STAY, nullptr);
  EXPECT_NE(b, RF_HANDLE_NULL);
  EXPECT_EQ(at(a), raw);
  rf_handle_free(h, a);
  rf_handle_free(h, b);
}

// Nothing is slid together for it either.
TEST_P(HandleGuardTest, AnAllocationThatMovesNothingFailsWhereOnlyCompactionWouldHelp) {
  std::vector<rf_handle> blocks;
  for (rf_handle a = rf_handle_alloc(h, 5000); a != RF_HANDLE_NULL; a = rf_handle_alloc(h, 5000)) {
    blocks.push_back(a);
  }
  for (size_t i = 0; i < blocks.size(); i += 2) {
    rf_handle_free(h, blocks[i]);
  }
  rf_handle_guard_flush(&checked_.guard, 0);
  EXPECT_EQ(rf_handle_alloc_at(h, 15000, RF_HANDLE_STAY, nullptr), RF_HANDLE_NULL);
  rf_handle const a = rf_handle_alloc(h, 15000);
  EXPECT_NE(a, RF_HANDLE_NULL);
  rf_handle_free(h, a);
  for (size_t i = 1; i < blocks.size(); i += 2) {
    rf_handle_free(h, blocks[i]);
  }
}

TEST_P(HandleGuardTest, RequestsThatMayFailAreNoFailures) {
  rf_handle_usage u;
  EXPECT_EQ(rf_handle_alloc_at(h, kArena, RF_HANDLE_TRY, nullptr), RF_HANDLE_NULL);
  rf_handle_usage_get(h, &u);
  EXPECT_EQ(u.stats.failures, 0U);
  EXPECT_EQ(rf_handle_alloc(h, kArena), RF_HANDLE_NULL);
  rf_handle_usage_get(h, &u);
  EXPECT_EQ(u.stats.failures, 1U);
}

TEST_P(HandleGuardTest, ASizeThatNoBlockCanHaveIsToldAsOfAnyOther) {
  rf_handle const a = rf_handle_alloc(h, 20);
  EXPECT_EQ(rf_handle_realloc(h, a, RF_SIZE_LIMIT), RF_ERR_NO_MEMORY);
  ASSERT_NE(rf_handle_lock(h, a), nullptr);
  EXPECT_EQ(rf_handle_realloc(h, a, RF_SIZE_LIMIT), RF_ERR_BUSY) << "the largest there is";
  EXPECT_EQ(rf_handle_realloc(h, a, kArena), RF_ERR_BUSY);
  EXPECT_EQ(rf_handle_unlock(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, AnAddressKeptAfterTheUnlockIsFoundToo) {
  rf_handle const a = rf_handle_alloc(h, 30);
  auto *const raw = static_cast<unsigned char *>(rf_handle_lock(h, a));
  rf_handle const b = rf_handle_alloc(h, 8);
  *raw = 'x'; // fine: it is locked
  expect_silence();
  rf_handle_unlock(h, a);
  EXPECT_EQ(rf_handle_realloc(h, b, 9), RF_OK);
  stray(raw, 'x');
  EXPECT_EQ(sweep_one().bug, RF_BUG_USE_AFTER_MOVE);
  rf_handle_free(h, a);
  rf_handle_free(h, b);
}

TEST_P(HandleGuardTest, AnAddressKeptOverACompactionOrItsOwnReallocIsFoundToo) {
  rf_handle const a = rf_handle_alloc(h, 30);
  unsigned char *raw = at(a);
  rf_handle_compact(h, 0);
  stray(raw, 'x');
  EXPECT_EQ(sweep_one().bug, RF_BUG_USE_AFTER_MOVE);
  raw = at(a);
  rf_handle_realloc(h, a, 20);
  stray(raw + 29, 'x');
  expect_bug_at(sweep_one(), RF_BUG_USE_AFTER_MOVE, 29);
  rf_handle_free(h, a);
}

TEST_P(HandleGuardTest, WhatLeavesTheQuarantineIsCheckedOnceMore) {
  rf_handle const a = rf_handle_alloc(h, 30);
  unsigned char *const raw = at(a);
  rf_handle const b = rf_handle_alloc(h, 30);
  stray(raw, 'x');
  rf_handle_guard_flush(&checked_.guard, 0);
  EXPECT_EQ(take_one().bug, RF_BUG_USE_AFTER_MOVE);
  unsigned char *const freed = at(b);
  rf_handle_free(h, b);
  stray(freed + 4, 0);
  rf_handle_guard_flush(&checked_.guard, 0);
  expect_bug_at(take_one(), RF_BUG_USE_AFTER_FREE, 4);
  rf_handle_free(h, a);
}

TEST_P(HandleGuardTest, ABlockThatNobodyLookedAtDoesNotMove) {
  rf_handle const a = rf_handle_alloc(h, 30);
  rf_handle_usage before;
  rf_handle_usage after;
  rf_handle_usage_get(h, &before);
  rf_handle const b = rf_handle_alloc(h, 30);
  rf_handle_usage_get(h, &after);
  EXPECT_EQ(after.moved_bytes, before.moved_bytes);
  EXPECT_EQ(checked_.guard.quarantined, 0U);
  rf_handle_free(h, a);
  rf_handle_free(h, b);
}

// ---- Bytes ----

TEST_P(HandleGuardTest, EveryByteBehindABlockIsGuarded) {
  for (unsigned const size : {1U, 2U, 3U, 4U, 5U, 13U, 64U}) {
    ALLOCATE(a, size);
    for (size_t past = 0; past < 16; past++) {
      stray(at(a) + size + past, 0x41);
      rf_finding const f = sweep_one();
      EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
      EXPECT_EQ(f.cwe, 122U);
      EXPECT_EQ(f.offset, static_cast<ptrdiff_t>(size + past));
      EXPECT_EQ(f.access_size, 1U);
      EXPECT_EQ(f.size, size);
      EXPECT_EQ(line_of(f.allocated), a_line);
    }
    rf_handle_free(h, a);
  }
}

TEST_P(HandleGuardTest, EveryByteBeforeABlockIsGuarded) {
  rf_handle const a = rf_handle_alloc(h, 20);
  for (ptrdiff_t before = 1; before <= 16; before++) {
    stray(at(a) - before, 0x41);
    expect_bug_at(sweep_one(), RF_BUG_BUFFER_UNDERFLOW, -before);
  }
  rf_handle_free(h, a);
}

TEST_P(HandleGuardTest, ACheckNamesTheByteAndTheBlocksAllocation) {
  ALLOCATE(a, 13);
  unsigned char *const p = static_cast<unsigned char *>(rf_handle_lock(h, a));
  rf_fault where = {};
  damage(p + 13);
  EXPECT_EQ(rf_handle_check(h, &where), RF_ERR_CORRUPT);
  EXPECT_EQ(where.ptr, p + 13);
  ASSERT_NE(where.site, nullptr);
  EXPECT_EQ(where.site->line, a_line);
  EXPECT_EQ(rf_handle_unlock(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_OVERFLOW);
}

TEST_P(HandleGuardTest, DamageIsFoundByTheMoveOfABlock) {
  rf_handle const a = rf_handle_alloc(h, 13);
  damage(at(a) + 13);
  rf_handle const b = rf_handle_alloc(h, 13);
  EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
}

TEST_P(HandleGuardTest, AFlushKeepsAsMuchAsItIsTold) {
  rf_handle const a = rf_handle_alloc(h, 100);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  for (size_t const less : {0, 1}) {
    rf_handle_guard_flush(&checked_.guard, checked_.guard.quarantined - less);
    EXPECT_EQ(rf_handle_address(h, a), nullptr);
    EXPECT_EQ(take_one().block == 0, less == 1);
  }
}

// It no longer counts, so that the next one has the whole quarantine.
TEST_P(HandleGuardTest, ABlockInQuarantineThatIsLostToDamageTakesNoneOfItsRoom) {
  rf_handle const lost = rf_handle_alloc(h, 20000);
  rf_handle const next = rf_handle_alloc(h, 20000);
  unsigned char *const header = at(lost) - checked_.guard.prefix;
  unsigned char *const p = at(next);
  EXPECT_EQ(rf_handle_free(h, lost), RF_OK);
  damage(header);
  EXPECT_EQ(rf_handle_free(h, next), RF_OK);
  EXPECT_EQ(rf_handle_address(h, next), nullptr);
  EXPECT_EQ(take_one().block, reinterpret_cast<uintptr_t>(p)) << "still in quarantine";
  EXPECT_EQ(rf_handle_guard_sweep(&checked_.guard), 1U);
  EXPECT_EQ(take_one().bug, RF_BUG_METADATA);
}

TEST_P(HandleGuardTest, DamageIsFoundByFreeAndRealloc) {
  rf_handle const a = rf_handle_alloc(h, 20);
  stray(at(a) + 20, 0);
  unsigned const here = __LINE__ + 1;
  rf_handle_realloc(h, a, 40);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(line_of(f.found), here);
  stray(at(a) + 40, 0);
  rf_handle_free(h, a);
  expect_bug_at(take_one(), RF_BUG_BUFFER_OVERFLOW, 40);
}

// Its redzone is written anew where it ends then.
TEST_P(HandleGuardTest, DamageIsFoundByAReallocInPlace) {
  rf_handle const a = rf_handle_alloc(h, 20);
  auto *const raw = static_cast<unsigned char *>(rf_handle_lock(h, a));
  stray(raw + 20, 0);
  EXPECT_EQ(rf_handle_realloc(h, a, 10), RF_OK);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(f.size, 20U);
  EXPECT_EQ(rf_handle_unlock(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, AWriteAfterFreeIsFound) {
  ALLOCATE(a, 20);
  unsigned char *const raw = at(a);
  rf_handle_free(h, a);
  EXPECT_EQ(peek(raw + 19), 0xCC);
  stray(raw + 19, 0x41);
  rf_finding const f = sweep_one();
  EXPECT_EQ(f.bug, RF_BUG_USE_AFTER_FREE);
  EXPECT_EQ(f.offset, 19);
  EXPECT_TRUE(f.freed);
  EXPECT_EQ(line_of(f.allocated), a_line);
}

TEST_P(HandleGuardTest, AWriteIntoFreeMemoryIsFound) {
  stray(arena_.data() + kArena - 10, 1);
  rf_finding const f = sweep_one();
  EXPECT_EQ(f.bug, RF_BUG_USE_AFTER_FREE);
  EXPECT_EQ(f.address, reinterpret_cast<uintptr_t>(arena_.data() + kArena - 10));
  EXPECT_EQ(f.access_size, 1U);
}

TEST_P(HandleGuardTest, AnOverflowIntoTheNextBlocksHeaderIsOneFinding) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle const b = rf_handle_alloc(h, 20);
  unsigned char *const raw = at(a);
  for (int i = 20; i < 60; i++) {
    stray(raw + i, 0x41);
  }
  EXPECT_EQ(rf_handle_address(h, b), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(rf_handle_free(h, b), RF_ERR_CORRUPT) << "its header is gone; that was said";
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, DamageToAHeaderBesideAnOverflowThatDoesNotReachItIsAFindingOfItsOwn) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle const b = rf_handle_alloc(h, 20);
  stray(at(a) + 20, 0x41);
  damage(at(b) - checked_.guard.prefix + 3);
  EXPECT_EQ(rf_handle_guard_sweep(&checked_.guard), 2U);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(found[1].bug, RF_BUG_METADATA);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, AnOverflowIntoFreeMemoryIsOneFindingAndHidesNothingBehindIt) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle const hole = rf_handle_alloc(h, 200);
  rf_handle const b = rf_handle_alloc(h, 20);
  rf_handle_free(h, hole);
  rf_handle_guard_flush(&checked_.guard, 0);
  unsigned char *const raw = at(a);
  for (int i = 20; i < 60; i++) {
    stray(raw + i, 0x41);
  }
  EXPECT_EQ(sweep_one().bug, RF_BUG_BUFFER_OVERFLOW);
  for (int i = 20; i < 60; i++) {
    stray(raw + i, 0x41);
  }
  damage(at(b) - checked_.guard.prefix + 3);
  EXPECT_EQ(rf_handle_guard_sweep(&checked_.guard), 2U);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[1].bug, RF_BUG_METADATA);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, TheExtentOfAnUnderflowIntoTheHeaderIsTold) {
  rf_handle const a = rf_handle_alloc(h, 20);
  unsigned char *const raw = at(a);
  ptrdiff_t const front = static_cast<ptrdiff_t>(checked_.guard.prefix) - ptrdiff_t{11 * sizeof(uintptr_t) + 16};
  for (ptrdiff_t i = 5; i < front + 8; i++) {
    stray(raw - i, 0x41);
  }
  rf_finding const f = sweep_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_UNDERFLOW);
  EXPECT_EQ(f.offset, -front);
  EXPECT_EQ(f.access_size, static_cast<size_t>(front - 4));
}

TEST_P(HandleGuardTest, AHeaderOfAnotherBlockIsNoHeader) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle const b = rf_handle_alloc(h, 20);
  size_t const prefix = checked_.guard.prefix;
  std::memcpy(at(b) - prefix, at(a) - prefix, prefix);
  rf_finding const f = sweep_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_EQ(f.argument, b);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, ACheckAsksTheHeapToo) {
  heap_.moved++; // a figure of its record
  rf_fault where;
  EXPECT_EQ(rf_handle_check(h, &where), RF_ERR_CORRUPT);
  heap_.moved--;
  EXPECT_EQ(rf_handle_check(h, &where), RF_OK);
}

TEST_P(HandleGuardTest, DamageToAHeaderIsFound) {
  rf_handle const a = rf_handle_alloc(h, 20);
  unsigned char *const sealed = at(a) - checked_.guard.prefix + 3;
  stray(sealed, static_cast<unsigned char>(peek(sealed) ^ 0xFFU));
  EXPECT_EQ(rf_handle_free(h, a), RF_ERR_CORRUPT);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_EQ(f.argument, a);
  expect_silence();
}

TEST_P(HandleGuardTest, DamageToTheHeapsTableIsFound) {
  rf_handle const a = rf_handle_alloc(h, 20);
  unsigned char *const byte = heap_.table + 20;
  *byte ^= 0x10;
  EXPECT_GE(rf_handle_guard_sweep(&checked_.guard), 1U);
  rf_finding const f = recorder_.take().back();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_NE(f.detail, nullptr) << "what the heap says";
  EXPECT_EQ(rf_handle_free(h, a), RF_ERR_CORRUPT);
  recorder_.take();
  *byte ^= 0x10;
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

INSTANTIATE_TEST_SUITE_P(Modes, HandleGuardTest, testing::Values(RF_MODE_GUARD, RF_MODE_PAGE));

} // namespace
} // namespace ringfence
