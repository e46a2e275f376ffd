// Edges of rf_handle_guard: calls with the same handle twice, figures, what a finding says after a swap or a move, the
// quarantine where it is empty, and the heap's callback for shortness.
#include "tests/checkers/handle_guard_fixture.h"

#include <cstring>

namespace ringfence {
namespace {

// ---- Calls ----

TEST_P(HandleGuardTest, ASwapOfABlockWithItselfChangesNothing) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle const b = rf_handle_alloc(h, 30);
  std::memset(at(a), 'a', 20);
  std::memset(at(b), 'b', 30);
  EXPECT_EQ(rf_handle_swap(h, a, a), RF_OK);
  rf_handle const c = rf_handle_alloc(h, 40); // what was shown moves
  EXPECT_TRUE(all(at(a), 20, 'a'));
  EXPECT_TRUE(all(at(b), 30, 'b'));
  for (rf_handle const block : {a, b, c}) {
    EXPECT_EQ(rf_handle_free(h, block), RF_OK);
  }
  expect_silence();
}

TEST_P(HandleGuardTest, AfterASwapAFindingNamesTheHandleThatTheProgramHas) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle const b = rf_handle_alloc(h, 30);
  ASSERT_EQ(rf_handle_swap(h, a, b), RF_OK);
  damage(at(b) + 20);
  rf_finding const f = sweep_one();
  expect_bug_at(f, RF_BUG_BUFFER_OVERFLOW, 20);
  EXPECT_EQ(f.argument, b);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
}

TEST_P(HandleGuardTest, ABlockMovesOnceForEachTimeItsAddressIsAskedFor) {
  rf_handle const a = rf_handle_alloc(h, 20);
  unsigned char *const shown = at(a);
  rf_handle const b = rf_handle_alloc(h, 20);
  void *const moved = rf_handle_address(&heap_.base, a);
  EXPECT_NE(moved, shown - checked_.guard.prefix);
  rf_handle const c = rf_handle_alloc(h, 20);
  EXPECT_EQ(rf_handle_address(&heap_.base, a), moved);
  for (rf_handle const block : {a, b, c}) {
    EXPECT_EQ(rf_handle_free(h, block), RF_OK);
  }
}

// ---- Figures ----

TEST_P(HandleGuardTest, FiguresAreTheProgramsAndAddUp) {
  rf_handle const a = rf_handle_alloc(h, 100);
  rf_handle const b = rf_handle_alloc(h, 200);
  ASSERT_EQ(rf_handle_free(h, rf_handle_alloc(h, 300)), RF_OK); // and waits
  rf_handle_usage u;
  rf_handle_usage_get(h, &u);
  EXPECT_EQ(u.used_blocks, 2U);
  EXPECT_EQ(u.stats.used, 300U);
  EXPECT_EQ(u.stats.capacity, u.stats.used + u.stats.free_bytes + u.stats.overhead);
  EXPECT_EQ(rf_handle_guard_report_live(&checked_.guard), 2U);
  EXPECT_EQ(recorder_.take().size(), 2U);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
}

TEST_P(HandleGuardTest, AWalkTellsTheProgramsLocksAndAllThatIsAroundABlock) {
  rf_handle const a = rf_handle_alloc(h, 100);
  ASSERT_NE(rf_handle_lock(h, a), nullptr);
  ASSERT_NE(rf_handle_lock(h, a), nullptr);
  struct Sums {
    size_t bytes;
    unsigned locks;
  } mine = {0, 0}, inner = {0, 0};
  auto const add = [](const rf_handle_block *b, void *context) {
    auto *const sums = static_cast<Sums *>(context);
    sums->bytes += b->size + b->overhead;
    sums->locks += b->locks;
    return true;
  };
  ASSERT_EQ(rf_handle_walk(h, add, &mine), RF_OK);
  ASSERT_EQ(rf_handle_walk(&heap_.base, add, &inner), RF_OK);
  EXPECT_EQ(mine.bytes, inner.bytes);
  EXPECT_EQ(mine.locks, 2U);
  EXPECT_EQ(inner.locks, 1U);
  EXPECT_EQ(rf_handle_unlock(h, a), RF_OK);
  EXPECT_EQ(rf_handle_unlock(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

// ---- Places of a finding ----

TEST_P(HandleGuardTest, AKeptAddressIsToldWithTheLastPlaceThatAskedForIt) {
  ALLOCATE(a, 20);
  (void)at(a);
  unsigned const last = __LINE__ + 1;
  auto *const kept = static_cast<unsigned char *>(rf_handle_address(h, a));
  rf_handle const b = rf_handle_alloc(h, 20);
  damage(kept + 3);
  rf_finding const f = sweep_one();
  expect_bug_at(f, RF_BUG_USE_AFTER_MOVE, 3);
  EXPECT_EQ(line_of(f.allocated), a_line);
  EXPECT_EQ(line_of(f.released), last);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
}

TEST_P(HandleGuardTest, AnAddressKeptOverAReallocIsToldWithThat) {
  rf_handle const a = rf_handle_alloc(h, 20);
  unsigned char *const kept = at(a);
  unsigned const resized = __LINE__ + 1;
  ASSERT_EQ(rf_handle_realloc(h, a, 40), RF_OK);
  damage(kept + 3);
  rf_finding const f = sweep_one();
  expect_bug_at(f, RF_BUG_USE_AFTER_MOVE, 3);
  EXPECT_EQ(line_of(f.released), resized);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

// ---- Damage ----

TEST_P(HandleGuardTest, ADamagedHeaderIsToldWhenItsBlockIsToMove) {
  rf_handle const a = rf_handle_alloc(h, 20);
  damage(at(a) - checked_.guard.prefix);
  rf_handle const b = rf_handle_alloc(h, 20);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_EQ(f.argument, a);
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
  expect_silence();
}

TEST_P(HandleGuardTest, ADamagedHeaderIsToldWhenItsBlockLeavesTheQuarantine) {
  rf_handle const a = rf_handle_alloc(h, 20);
  unsigned char *const kept = at(a);
  ASSERT_EQ(rf_handle_free(h, a), RF_OK);
  damage(kept - checked_.guard.prefix);
  rf_handle_guard_flush(&checked_.guard, 0);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_EQ(f.argument, a);
  EXPECT_EQ(checked_.guard.quarantined, 0U);
  expect_silence();
}

INSTANTIATE_TEST_SUITE_P(Modes, HandleGuardTest, testing::Values(RF_MODE_GUARD, RF_MODE_PAGE));

// ---- With other options ----

class HandleGuardOptions : public testing::Test {
protected:
  HandleGuardOptions() : arena_(kArena) {
    EXPECT_EQ(rf_handle_heap_init(&heap_, arena_.data(), arena_.size(), nullptr), RF_OK);
    rf_handle_guard_options_default(&options_);
    options_.reporter = recorder_.reporter();
  }

  void start() { ASSERT_EQ(rf_handle_guard_init(&guard_, &heap_.base, &options_), RF_OK); }
  void end() { guard_.base.ops->deinit(&guard_.base); }

  // Not through instrumented code.
  __attribute__((no_sanitize_address)) static void stray(unsigned char *p, unsigned char value) {
    *const_cast<volatile unsigned char *>(p) = value;
  }

  std::vector<unsigned char> arena_;
  rf_handle_heap heap_;
  Recorder recorder_;
  rf_handle_guard_options options_;
  rf_handle_guard guard_;
  rf_handles *const h = &guard_.base;
};

// The last that waited is forgotten with it: its handle may soon be another block's.
TEST_F(HandleGuardOptions, WithoutAQuarantineNothingWaits) {
  options_.quarantine = 0;
  start();
  rf_handle const a = rf_handle_alloc(h, 20);
  ASSERT_EQ(rf_handle_free(h, a), RF_OK);
  EXPECT_EQ(guard_.oldest, RF_HANDLE_NULL);
  EXPECT_EQ(guard_.newest, RF_HANDLE_NULL);
  EXPECT_EQ(guard_.quarantined, 0U);
  end();
  EXPECT_EQ(recorder_.count(), 0U);
}

TEST_F(HandleGuardOptions, WhatWaitsIsLookedAtInTheEndWithoutASweepToo) {
  options_.sweep_at_deinit = false;
  start();
  rf_handle const a = rf_handle_alloc(h, 20);
  auto *const kept = static_cast<unsigned char *>(rf_handle_address(h, a));
  ASSERT_EQ(rf_handle_free(h, a), RF_OK);
  stray(kept + 1, 1);
  end();
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_USE_AFTER_FREE);
}

TEST_F(HandleGuardOptions, WithoutMovesAReallocInPlaceStaysThere) {
  options_.move = false;
  start();
  rf_handle const a = rf_handle_alloc(h, 100);
  void *const before = rf_handle_address(h, a);
  EXPECT_EQ(rf_handle_realloc(h, a, 40), RF_OK);
  EXPECT_EQ(rf_handle_address(h, a), before);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  end();
  EXPECT_EQ(recorder_.count(), 0U);
}

// Once what waits has gone, and nothing else has helped.
TEST_F(HandleGuardOptions, TheHeapsCallbackIsAskedBeforeARequestFails) {
  struct Short {
    rf_handles *handles;
    rf_handle block;
    unsigned calls;
  } state = {};
  start();
  state = {h, rf_handle_alloc(h, kArena / 2), 0};
  ASSERT_NE(state.block, RF_HANDLE_NULL);
  rf_handle_heap_on_short(
      &heap_,
      [](void *context, unsigned, size_t) {
        auto *const s = static_cast<Short *>(context);
        s->calls++;
        return s->calls == 1 && rf_handle_free(s->handles, s->block) == RF_OK;
      },
      &state);
  rf_handle_guard_flush(&guard_, 0);
  guard_.options.quarantine = 0;
  rf_handle const a = rf_handle_alloc(h, kArena / 3);
  EXPECT_NE(a, RF_HANDLE_NULL);
  EXPECT_EQ(state.calls, 1U);
  rf_handle_heap_on_short(&heap_, nullptr, nullptr);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  end();
  EXPECT_EQ(recorder_.count(), 0U);
}

// A table of less than the whole alignment: `largest` of the heap below is a multiple of it, and of the guard's what a
// request gets.
TEST_F(HandleGuardOptions, TheLargestSizeIsServedAndOneMoreIsNot) {
  options_.quarantine = 0;
  start();
  for (size_t const size : {1, 7, 64, 1001}) {
    rf_handle const a = rf_handle_alloc(h, size);
    rf_handle_usage u;
    rf_handle_usage_get(h, &u);
    EXPECT_EQ(rf_handle_alloc(h, u.largest + 1), RF_HANDLE_NULL) << size;
    rf_handle const most = rf_handle_alloc(h, u.largest);
    EXPECT_NE(most, RF_HANDLE_NULL) << size;
    EXPECT_EQ(rf_handle_free(h, most), RF_OK);
    EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  }
  end();
  EXPECT_EQ(recorder_.count(), 0U);
}

} // namespace
} // namespace ringfence
