// The guard of handles: each bug is found with its kind, block, distance and places, and its correct twin is silent.
#include <ringfence/checked_handles.h>
#include <ringfence/handle.h>
#include <ringfence/track.h>

#include "tests/checkers/recorder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace ringfence {
namespace {

// Findings here are intended: no artifact of the run is to tell of them.
[[maybe_unused]] int const found_on_purpose = unsetenv("TEST_UNDECLARED_OUTPUTS_DIR");

constexpr size_t kArena = 256 * 1024;

class HandleGuardTest : public testing::TestWithParam<rf_mode> {
protected:
  HandleGuardTest() : arena_(kArena) {
    EXPECT_EQ(rf_handle_heap_init(&heap_, arena_.data(), arena_.size(), nullptr), RF_OK);
    rf_checked_options options;
    rf_options_default(&options.settings);
    options.settings.mode = GetParam();
    options.settings.quarantine = 32 * 1024;
    options.settings.leaks = RF_LEAKS_ALL;
    options.settings.sweep = true;
    options.reporter = recorder_.reporter();
    h = rf_checked_handles_init(&checked_, &heap_.base, &options);
    EXPECT_NE(h, &heap_.base);
  }
  ~HandleGuardTest() override {
    rf_checked_handles_deinit(&checked_);
    EXPECT_TRUE(recorder_.take().empty()) << "findings that the test did not take";
    EXPECT_EQ(rf_handle_check(&heap_.base, nullptr), RF_OK);
    rf_handle_usage u;
    rf_handle_usage_get(&heap_.base, &u);
    EXPECT_EQ(u.used_blocks, 0U) << "the guard gives everything back";
  }

  rf_finding take_one() {
    std::vector<rf_finding> const found = recorder_.take();
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? rf_finding{} : found.front();
  }
  void expect_silence() {
    EXPECT_EQ(rf_handle_guard_sweep(&checked_.guard), 0U);
    EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
    EXPECT_EQ(recorder_.count(), 0U);
  }
  // The sweep finds exactly one thing, check says so beforehand and is content afterwards.
  rf_finding sweep_one() {
    rf_fault where;
    EXPECT_EQ(rf_handle_check(h, &where), RF_ERR_CORRUPT);
    EXPECT_EQ(rf_handle_guard_sweep(&checked_.guard), 1U);
    EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
    return take_one();
  }
  unsigned char *at(rf_handle handle) { return static_cast<unsigned char *>(rf_handle_address(h, handle)); }
  static bool all(const unsigned char *p, size_t n, int value) {
    return std::all_of(p, p + n, [value](unsigned char c) { return c == value; });
  }
  // Not through instrumented code: the test does what a bug would.
  __attribute__((no_sanitize_address)) static void stray(unsigned char *p, unsigned char value) {
    *const_cast<volatile unsigned char *>(p) = value;
  }
  static void damage(unsigned char *p) { stray(p, peek(p) ^ 0x41); }
  __attribute__((no_sanitize_address)) static unsigned char peek(const unsigned char *p) {
    return *const_cast<const volatile unsigned char *>(p);
  }

  std::vector<unsigned char> arena_;
  rf_handle_heap heap_;
  Recorder recorder_;
  rf_checked_handles checked_;
  rf_handles *h;
};

unsigned line_of(const rf_trace &trace) {
  EXPECT_NE(trace.site, nullptr);
  return trace.site != nullptr ? trace.site->line : 0;
}

#define ALLOCATE(name, size)                                                                                           \
  unsigned const name##_line = __LINE__;                                                                               \
  rf_handle const name = rf_handle_alloc(h, size)

struct Extent {
  rf_handle of;
  size_t size;
  size_t overhead;
  const rf_site *site;
};

Extent extent_of(rf_handles *handles, rf_handle handle) {
  Extent extent = {handle, 0, 0, nullptr};
  rf_handle_walk_fn const note = [](const rf_handle_block *b, void *context) {
    auto *const out = static_cast<Extent *>(context);
    if (b->handle == out->of) {
      *out = {b->handle, b->size, b->overhead, b->site};
    }
    return true;
  };
  EXPECT_EQ(rf_handle_walk(handles, note, &extent), RF_OK);
  return extent;
}

// ---- Handles ----

TEST_P(HandleGuardTest, CorrectUseIsSilent) {
  rf_handle const a = rf_handle_alloc(h, 13);
  auto *const p = static_cast<unsigned char *>(rf_handle_lock(h, a));
  EXPECT_TRUE(all(p, 13, 0));
  std::memset(p, 'a', 13);
  rf_handle const b = rf_handle_alloc(h, 100);
  std::memset(at(b), 'b', 100);
  EXPECT_EQ(p, at(a)) << "a locked block stays";
  EXPECT_EQ(rf_handle_unlock(h, a), RF_OK);
  EXPECT_EQ(rf_handle_find(h, at(a)), a);
  EXPECT_EQ(rf_handle_size(h, a), 13U);
  EXPECT_EQ(rf_handle_realloc(h, a, 200), RF_OK);
  EXPECT_TRUE(all(at(a), 13, 'a'));
  EXPECT_TRUE(all(at(a) + 13, 187, 0));
  EXPECT_EQ(rf_handle_realloc(h, a, 5), RF_OK);
  EXPECT_TRUE(all(at(b), 100, 'b'));
  expect_silence();
  rf_handle copy = b;
  EXPECT_EQ(rf_handle_free_ptr(h, &copy), RF_OK);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  rf_handle_compact(h, SIZE_MAX);
  expect_silence();
}

TEST_P(HandleGuardTest, AWalkTellsWhatIsAroundABlockAsItsOverhead) {
  ALLOCATE(a, 13);
  Extent const seen = extent_of(h, a);
  Extent const below = extent_of(&heap_.base, a);
  EXPECT_EQ(seen.size, 13U);
  EXPECT_EQ(seen.size + seen.overhead, below.size + below.overhead);
  ASSERT_NE(seen.site, nullptr);
  EXPECT_EQ(seen.site->line, a_line);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, TheLargestSizeIsInTheStatisticsToo) {
  rf_handle_usage u;
  rf_handle_usage_get(h, &u);
  EXPECT_NE(u.largest, 0U);
  EXPECT_EQ(u.stats.largest_free, u.largest);
}

TEST_P(HandleGuardTest, ABlockThatIsNotZeroedIsFilled) {
  rf_handle const a = rf_handle_alloc_raw(h, 100);
  EXPECT_TRUE(all(at(a), 100, RF_PATTERN_NEW));
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, AStaleHandleIsFoundWithBothPlaces) {
  ALLOCATE(a, 20);
  unsigned char *const p = at(a);
  unsigned const freed = __LINE__ + 1;
  rf_handle_free(h, a);
  unsigned const used = __LINE__ + 1;
  EXPECT_EQ(rf_handle_lock(h, a), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_STALE_HANDLE);
  EXPECT_EQ(f.cwe, 825U);
  EXPECT_EQ(f.argument, a);
  EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(f.size, 20U);
  EXPECT_TRUE(f.freed);
  EXPECT_EQ(line_of(f.allocated), a_line);
  EXPECT_EQ(line_of(f.released), freed);
  EXPECT_EQ(line_of(f.found), used);
  EXPECT_STREQ(f.allocator, "handle");
  for (int call = 0; call < 4; call++) {
    call == 0   ? (void)rf_handle_address(h, a)
    : call == 1 ? (void)rf_handle_unlock(h, a)
    : call == 2 ? (void)rf_handle_size(h, a)
                : (void)rf_handle_realloc(h, a, 9);
    EXPECT_EQ(take_one().bug, RF_BUG_STALE_HANDLE);
  }
}

TEST_P(HandleGuardTest, AStaleHandleIsFoundWhenItsPlaceIsUsedAgain) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle_free(h, a);
  rf_handle_guard_flush(&checked_.guard, 0);
  rf_handle const b = rf_handle_alloc(h, 20);
  EXPECT_EQ(a & 0xFFFF, b & 0xFFFF);
  EXPECT_EQ(rf_handle_address(h, a), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_STALE_HANDLE);
  EXPECT_EQ(rf_handle_free(h, a), RF_ERR_NOT_ALLOCATED);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_DOUBLE_FREE);
  EXPECT_EQ(f.address, 0U);
  EXPECT_EQ(f.access, RF_ACCESS_UNKNOWN) << "of no address";
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
}

TEST_P(HandleGuardTest, ADoubleFreeIsFound) {
  ALLOCATE(a, 20);
  rf_handle_free(h, a);
  EXPECT_EQ(rf_handle_free(h, a), RF_ERR_NOT_ALLOCATED);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_DOUBLE_FREE);
  EXPECT_EQ(f.access, RF_ACCESS_FREE);
  EXPECT_EQ(line_of(f.allocated), a_line);
  EXPECT_EQ(line_of(f.released), a_line + 1);
  EXPECT_EQ(line_of(f.found), a_line + 2);
}

TEST_P(HandleGuardTest, WhatNeverWasAHandleIsFound) {
  rf_handle const a = rf_handle_alloc(h, 20);
  (void)at(a);
  rf_handle const b = rf_handle_alloc(h, 20); // the first has moved: handles the guard uses itself are none either
  for (rf_handle bad = 1; bad < 20; bad++) {
    if (bad != a && bad != b) {
      EXPECT_EQ(rf_handle_free(h, bad), RF_ERR_INVALID) << bad;
      EXPECT_EQ(take_one().bug, RF_BUG_BAD_HANDLE);
    }
  }
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
}

TEST_P(HandleGuardTest, AnUnlockWithoutALockIsFound) {
  ALLOCATE(a, 20);
  rf_handle_lock(h, a);
  EXPECT_EQ(rf_handle_unlock(h, a), RF_OK);
  unsigned const here = __LINE__ + 1;
  EXPECT_EQ(rf_handle_unlock(h, a), RF_ERR_INVALID);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_UNLOCK);
  EXPECT_EQ(f.cwe, 832U);
  EXPECT_EQ(f.argument, a);
  EXPECT_EQ(f.size, 20U);
  EXPECT_EQ(line_of(f.found), here);
  EXPECT_EQ(line_of(f.allocated), a_line);
  rf_handle_free(h, a);
}

TEST_P(HandleGuardTest, AFreeOfALockedBlockIsFound) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle_lock(h, a);
  EXPECT_EQ(rf_handle_free(h, a), RF_ERR_BUSY);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_FREE_LOCKED);
  EXPECT_EQ(f.argument, a);
  rf_handle_unlock(h, a);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, LocksAreCountedToTheirLimit) {
  rf_handle const a = rf_handle_alloc(h, 20);
  for (unsigned i = 0; i < RF_HANDLE_MOST_LOCKS; i++) {
    ASSERT_NE(rf_handle_lock(h, a), nullptr);
  }
  EXPECT_EQ(rf_handle_lock(h, a), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_BAD_HANDLE);
  for (unsigned i = 0; i < RF_HANDLE_MOST_LOCKS; i++) {
    ASSERT_EQ(rf_handle_unlock(h, a), RF_OK);
  }
  rf_handle_free(h, a);
}

TEST_P(HandleGuardTest, SizesThatCannotBeAreFoundAndSize0IsRefused) {
  EXPECT_EQ(rf_handle_alloc(h, 0), RF_HANDLE_NULL);
  expect_silence();
  EXPECT_EQ(rf_handle_alloc(h, static_cast<size_t>(-5)), RF_HANDLE_NULL);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_SIZE_TOO_BIG);
  EXPECT_EQ(f.size, static_cast<size_t>(-5));
  EXPECT_EQ(rf_handle_alloc(h, RF_SIZE_LIMIT), RF_HANDLE_NULL) << "wraps with what goes around it";
  rf_handle const a = rf_handle_alloc(h, 5);
  EXPECT_EQ(rf_handle_realloc(h, a, SIZE_MAX), RF_ERR_INVALID);
  EXPECT_EQ(take_one().bug, RF_BUG_SIZE_TOO_BIG);
  EXPECT_EQ(rf_handle_realloc(h, a, RF_SIZE_LIMIT), RF_ERR_NO_MEMORY);
  rf_handle_free(h, a);
}

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
  rf_finding const f = sweep_one();
  EXPECT_EQ(f.bug, RF_BUG_USE_AFTER_MOVE);
  EXPECT_EQ(f.offset, 29);
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
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_USE_AFTER_FREE);
  EXPECT_EQ(f.offset, 4);
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
    rf_finding const f = sweep_one();
    EXPECT_EQ(f.bug, RF_BUG_BUFFER_UNDERFLOW);
    EXPECT_EQ(f.offset, -before);
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
  rf_finding f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(line_of(f.found), here);
  stray(at(a) + 40, 0);
  rf_handle_free(h, a);
  f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(f.offset, 40);
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

// ---- Leaks and the end ----

TEST_P(HandleGuardTest, LeaksAreReportedAtDeinit) {
  ALLOCATE(a, 20);
  rf_handle const b = rf_handle_alloc(h, 30);
  rf_handle_lock(h, b);
  rf_handle_free(h, rf_handle_alloc(h, 5));
  rf_checked_handles_deinit(&checked_);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 2U);
  for (const rf_finding &f : found) {
    EXPECT_EQ(f.bug, RF_BUG_LEAK);
    EXPECT_EQ(f.size, f.argument == a ? 20U : 30U);
    EXPECT_EQ(f.detail != nullptr, f.argument == b) << "still locked";
    EXPECT_EQ(line_of(f.allocated), f.argument == a ? a_line : a_line + 1);
  }
}

TEST_P(HandleGuardTest, UseAfterDeinitIsFound) {
  rf_checked_handles_deinit(&checked_);
  rf_checked_handles_deinit(&checked_);
  EXPECT_EQ(rf_handle_alloc(h, 5), RF_HANDLE_NULL);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_handle_address(h, 1), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_handle_compact(h, 1), 0U);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_handle_find(h, this), RF_HANDLE_NULL);
}

// ---- As a heap ----

TEST(CheckedHandles, TheEndOfTheGuardByTheInterfaceIsThatOfTheHeapToo) {
  alignas(8) unsigned char arena[2000];
  rf_handle_heap heap;
  rf_handle_guard guard;
  Recorder recorder;
  rf_handle_guard_options options;
  rf_handle_guard_options_default(&options);
  options.reporter = recorder.reporter();
  ASSERT_EQ(rf_handle_heap_init(&heap, arena, sizeof arena, nullptr), RF_OK);
  ASSERT_EQ(rf_handle_guard_init(&guard, &heap.base, &options), RF_OK);
  rf_handle_deinit(&guard.base);
  EXPECT_EQ(rf_handle_alloc(&heap.base, 10), RF_HANDLE_NULL);
  EXPECT_EQ(recorder.count(), 0U);
}

TEST_P(HandleGuardTest, SwapTradesBlocksAndTheirPlaces) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle const b = rf_handle_alloc(h, 30);
  unsigned char *const pa = at(a);
  EXPECT_EQ(rf_handle_swap(h, a, b), RF_OK);
  EXPECT_EQ(at(b), pa);
  EXPECT_EQ(rf_handle_size(h, a), 30U);
  unsigned char *const pb = at(a);
  rf_handle_free(h, rf_handle_alloc(h, 1));
  EXPECT_NE(at(b), pa);
  EXPECT_NE(at(a), pb);
  expect_silence();
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
}

TEST_P(HandleGuardTest, ABlockInQuarantineIsFoundByNoAddress) {
  rf_handle const a = rf_handle_alloc(h, 20);
  unsigned char *const p = at(a);
  EXPECT_EQ(rf_handle_find(h, p), a);
  rf_handle_free(h, a);
  EXPECT_EQ(rf_handle_find(h, p), RF_HANDLE_NULL);
}

TEST_P(HandleGuardTest, MemoryInQuarantineIsGivenBackBeforeARequestFails) {
  std::vector<rf_handle> blocks;
  for (int round = 0; round < 3; round++) {
    for (rf_handle a = rf_handle_alloc(h, 5000); a != RF_HANDLE_NULL; a = rf_handle_alloc(h, 5000)) {
      std::memset(at(a), 1, 5000);
      blocks.push_back(a);
    }
    EXPECT_GT(blocks.size(), 30U) << "of 256 KiB, a third of it table";
    for (rf_handle const a : blocks) {
      EXPECT_EQ(rf_handle_free(h, a), RF_OK);
    }
    blocks.clear();
  }
  expect_silence();
}

TEST_P(HandleGuardTest, RandomCorrectProgramsAreSilentAndKeepTheirBytes) {
  std::mt19937 random(GetParam() + 7U);
  std::map<rf_handle, std::vector<unsigned char>> live;
  std::map<rf_handle, unsigned char *> locked;
  for (int i = 0; i < 20000; i++) {
    auto any = live.begin();
    std::advance(any, live.empty() ? 0 : random() % live.size());
    switch (live.empty() ? 0 : random() % 8) {
    case 0:
    case 1: {
      size_t const size = 1 + random() % 900;
      rf_handle const a = rf_handle_alloc(h, size);
      if (a != RF_HANDLE_NULL) {
        ASSERT_EQ(live.count(a), 0U);
        live[a] = std::vector<unsigned char>(size, 0);
      }
      break;
    }
    case 2:
      if (locked.count(any->first) == 0) {
        ASSERT_EQ(rf_handle_free(h, any->first), RF_OK);
        live.erase(any);
      }
      break;
    case 3: {
      size_t const size = 1 + random() % 900;
      if (rf_handle_realloc(h, any->first, size) == RF_OK) {
        any->second.resize(size, 0);
      }
      break;
    }
    case 4:
      locked[any->first] = static_cast<unsigned char *>(rf_handle_lock(h, any->first));
      ASSERT_NE(locked[any->first], nullptr);
      break;
    case 5:
      if (locked.count(any->first) != 0) {
        ASSERT_EQ(at(any->first), locked[any->first]);
        while (rf_handle_unlock(h, any->first) == RF_OK) {
        }
        ASSERT_EQ(take_one().bug, RF_BUG_UNLOCK); // the last one too many: how often it was locked is not kept here
        locked.erase(any->first);
      }
      break;
    case 6:
      for (unsigned char &byte : any->second) {
        byte = static_cast<unsigned char>(random());
      }
      std::copy(any->second.begin(), any->second.end(), at(any->first));
      break;
    default:
      rf_handle_compact(h, random() % 3000);
    }
    if (!live.empty()) {
      auto const one = live.begin();
      ASSERT_EQ(std::memcmp(at(one->first), one->second.data(), one->second.size()), 0) << "step " << i;
    }
    while (live.size() > 60) {
      auto const one = live.begin();
      while (locked.count(one->first) != 0 && rf_handle_unlock(h, one->first) == RF_OK) {
      }
      recorder_.take();
      locked.erase(one->first);
      ASSERT_EQ(rf_handle_free(h, one->first), RF_OK);
      live.erase(one);
    }
  }
  for (auto const &one : live) {
    ASSERT_EQ(std::memcmp(at(one.first), one.second.data(), one.second.size()), 0);
    while (locked.count(one.first) != 0 && rf_handle_unlock(h, one.first) == RF_OK) {
    }
    recorder_.take();
    ASSERT_EQ(rf_handle_free(h, one.first), RF_OK);
  }
  expect_silence();
}

INSTANTIATE_TEST_SUITE_P(Modes, HandleGuardTest, testing::Values(RF_MODE_GUARD, RF_MODE_PAGE));

// ---- Choosing ----

TEST(CheckedHandles, InModesOffAndSampleAreTheHeapItself) {
  alignas(8) unsigned char arena[2000];
  rf_handle_heap heap;
  rf_checked_handles checked;
  rf_checked_options options;
  ASSERT_EQ(rf_handle_heap_init(&heap, arena, sizeof arena, nullptr), RF_OK);
  rf_options_default(&options.settings);
  options.reporter = nullptr;
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_SAMPLE}) {
    options.settings.mode = mode;
    EXPECT_EQ(rf_checked_handles_init(&checked, &heap.base, &options), &heap.base);
    rf_checked_handles_deinit(&checked);
  }
  options.settings.mode = RF_MODE_GUARD;
  options.reporter = rf_reporter_plain();
  EXPECT_EQ(rf_checked_handles_init(&checked, &heap.base, &options), &checked.guard.base);
  EXPECT_EQ(checked.mode, RF_MODE_GUARD);
  rf_checked_handles_deinit(&checked);
  EXPECT_EQ(checked.mode, RF_MODE_OFF);
  rf_checked_handles_deinit(&checked);
  EXPECT_EQ(rf_checked_handles_init(&checked, nullptr, &options), nullptr);
  EXPECT_EQ(rf_handle_guard_init(nullptr, &heap.base, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_guard_init(&checked.guard, nullptr, nullptr), RF_ERR_INVALID);
}

TEST(CheckedHandles, GuardReadsItsFindingsToTheLog) {
  alignas(8) unsigned char arena[8000];
  EXPECT_EXIT(
      {
        rf_handle_heap heap;
        rf_checked_handles checked;
        rf_checked_options options;
        rf_options_default(&options.settings);
        options.settings.mode = RF_MODE_GUARD;
        options.settings.halt = true;
        options.reporter = nullptr;
        (void)rf_handle_heap_init(&heap, arena, sizeof arena, nullptr);
        rf_handles *const h = rf_checked_handles_init(&checked, &heap.base, &options);
        rf_handle const a = rf_handle_alloc(h, 16);
        rf_handle_unlock(h, a);
      },
      testing::ExitedWithCode(RF_EXITCODE_DEFAULT),
      "ERROR: Ringfence: unlock-without-lock on address 0x[0-9a-f]+: handle 0x1");
}

#if RF_TRACK_ASAN
TEST(CheckedHandles, UnderAddressSanitizerAKeptAddressStopsAtTheAccess) {
  alignas(8) unsigned char arena[8000];
  EXPECT_DEATH(
      {
        rf_handle_heap heap;
        rf_handle_guard guard;
        (void)rf_handle_heap_init(&heap, arena, sizeof arena, nullptr);
        (void)rf_handle_guard_init(&guard, &heap.base, nullptr);
        rf_handles *const h = &guard.base;
        rf_handle const a = rf_handle_alloc(h, 16);
        auto *const p = static_cast<volatile char *>(rf_handle_address(h, a));
        (void)rf_handle_alloc(h, 16);
        (void)p[3];
      },
      "AddressSanitizer: use-after-poison");
}
#endif

TEST(HandleGuardLargest, CanBeHadWithLockedBlocksAndWithoutAQuarantine) {
  std::vector<unsigned char> arena(8 * 1024);
  rf_handle_heap heap;
  ASSERT_EQ(rf_handle_heap_init(&heap, arena.data(), arena.size(), nullptr), RF_OK);
  rf_checked_options options;
  rf_options_default(&options.settings);
  options.settings.mode = RF_MODE_GUARD;
  options.settings.quarantine = 0;
  rf_checked_handles checked;
  rf_handles *const h = rf_checked_handles_init(&checked, &heap.base, &options);
  std::mt19937 random(1);
  std::vector<std::pair<rf_handle, bool>> live; // locked or not
  unsigned refused = 0;
  for (int round = 0; round < 4000; round++) {
    if (live.size() < 20) {
      rf_handle const made = rf_handle_alloc(h, 1 + random() % 400);
      if (made != RF_HANDLE_NULL) {
        bool const locked = random() % 3 == 0;
        live.emplace_back(made, locked);
        (void)(locked ? rf_handle_lock(h, made) : rf_handle_address(h, made));
      }
    }
    rf_handle_usage usage;
    rf_handle_usage_get(h, &usage);
    if (usage.largest != 0) {
      rf_handle const all = rf_handle_alloc(h, usage.largest);
      refused += all == RF_HANDLE_NULL ? 1U : 0U;
      (void)rf_handle_free(h, all);
    }
    if (live.size() > 8 && random() % 2 == 0) {
      size_t const which = random() % live.size();
      if (live[which].second) {
        (void)rf_handle_unlock(h, live[which].first);
      }
      (void)rf_handle_free(h, live[which].first);
      live.erase(live.begin() + static_cast<ptrdiff_t>(which));
    }
  }
  EXPECT_EQ(refused, 0U);
  for (auto const &[handle, locked] : live) {
    (void)(locked ? rf_handle_unlock(h, handle) : RF_OK);
    (void)rf_handle_free(h, handle);
  }
  rf_checked_handles_deinit(&checked);
}

} // namespace
} // namespace ringfence
