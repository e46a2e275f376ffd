// rf_page: blocks for which there are no pages, and which are under guard instead.
#include "tests/checkers/page_fixture.h"

namespace ringfence {
namespace {

// The first block takes all pages that may be open.
class PageGuarded : public PageTest {
protected:
  PageGuarded() {
    options_.memory = page_size();
    start();
  }
};

TEST_F(PageGuarded, AVisitorOfBlocksUnderGuardMayNotCallEither) {
  void *const p = rf_alloc(a(), 5);
  void *const guarded = rf_alloc(a(), 6);
  auto const visit = [](const rf_block *block, void *context) {
    if (block->used) {
      EXPECT_EQ(rf_free(static_cast<rf_allocator *>(context), block->ptr), RF_ERR_BUSY);
    }
    return true;
  };
  EXPECT_EQ(rf_walk(a(), visit, a()), RF_OK);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].address, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(found[1].address, reinterpret_cast<uintptr_t>(guarded));
  EXPECT_EQ(found[1].bug, RF_BUG_REENTRY);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_EQ(rf_free(a(), guarded), RF_OK);
}

TEST_F(PageGuarded, ADoubleFreeUnderGuardIsToldWhereNoBlockIsLeft) {
  void *const p = rf_alloc(a(), 5);
  void *const guarded = rf_alloc(a(), 6);
  EXPECT_EQ(rf_free(a(), guarded), RF_OK);
  EXPECT_EQ(rf_free(a(), guarded), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(take_one().bug, RF_BUG_DOUBLE_FREE);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

// Each step gives them half of its time.
TEST_F(PageGuarded, StepsOfASweepComeToBlocksUnderGuardToo) {
  void *const p = rf_alloc(a(), 5);
  std::vector<unsigned char *> guarded(100);
  for (unsigned char *&block : guarded) {
    block = bytes(rf_alloc(a(), 6));
  }
  guarded[70][6] ^= 1;
  size_t found = 0;
  for (unsigned steps = 0; found == 0 && steps < 200; steps++) {
    found = rf_page_sweep_step(&page_, 1);
  }
  EXPECT_EQ(found, 1U);
  EXPECT_EQ(take_one().block, reinterpret_cast<uintptr_t>(guarded[70]));
  for (unsigned char *const block : guarded) {
    EXPECT_EQ(rf_free(a(), block), RF_OK);
  }
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

// For a block that gets no pages, what would have stood for it is given back before the guard asks.
TEST_F(PageGuarded, ABlockUnderGuardTakesItsMemoryOnce) {
  void *const first = rf_alloc(a(), 10);
  rf_stats before;
  rf_stats_get(heap_.allocator(), &before);
  void *const second = rf_alloc(a(), 10);
  rf_stats after;
  rf_stats_get(heap_.allocator(), &after);
  EXPECT_EQ(after.blocks, before.blocks + 1);
  EXPECT_EQ(rf_free(a(), second), RF_OK);
  EXPECT_EQ(rf_free(a(), first), RF_OK);
}

TEST_F(PageGuarded, BlocksThatWaitGiveWayToNewOnes) {
  std::vector<unsigned char> arena(size_t{64} << 10);
  TlsfHeap small(arena.data(), arena.size());
  rf_page page;
  ASSERT_EQ(rf_page_init(&page, small.allocator(), &options_), RF_OK);
  void *const p = rf_alloc(&page.base, 5);
  for (size_t const size : {100, 1000, 20000}) {
    for (unsigned i = 0; i < 1000; i++) {
      ASSERT_EQ(rf_free(&page.base, rf_alloc(&page.base, size)), RF_OK) << size << " bytes, " << i;
    }
  }
  rf_counters c;
  rf_counters_get(&page.base, &c);
  EXPECT_EQ(c.allocations, 3001U);
  EXPECT_EQ(c.failures, 0U);
  EXPECT_EQ(rf_free(&page.base, p), RF_OK);
  rf_deinit(&page.base);
}

// None of them would be given back to it, and damage to them would no longer be found.
TEST_F(PageGuarded, BlocksThatWaitDoNotGiveWayWhereTheInnerAllocatorIsDamaged) {
  void *const p = rf_alloc(a(), 5);
  void *const guarded = rf_alloc(a(), 60);
  EXPECT_EQ(rf_free(a(), guarded), RF_OK);
  size_t const waiting = page_.guarded.quarantined;
  EXPECT_GT(waiting, 0U);
  page_.guarded.inner_damaged = true;
  EXPECT_EQ(rf_alloc(a(), 2 * kArenaSize), nullptr);
  EXPECT_EQ(page_.guarded.quarantined, waiting);
  page_.guarded.inner_damaged = false;
  EXPECT_EQ(rf_alloc(a(), 2 * kArenaSize), nullptr);
  EXPECT_EQ(page_.guarded.quarantined, 0U);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_F(PageGuarded, ABlockUnderGuardIsCountedAsAny) {
  void *const p = rf_alloc(a(), 5);
  void *guarded = rf_alloc(a(), 60);
  rf_counters c;
  guarded = rf_realloc(a(), guarded, 70);
  rf_counters_get(a(), &c);
  EXPECT_EQ(c.used, 75U);
  EXPECT_EQ(rf_free(a(), guarded), RF_OK);
  rf_counters_get(a(), &c);
  EXPECT_EQ(c.used, 5U);
  EXPECT_EQ(c.blocks, 1U);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

// The allocator below gives such a block more room than was requested.
TEST_F(PageGuarded, WhatTheGuardAddsIsOverhead) {
  void *const p = rf_alloc(a(), 5);
  void *const guarded = rf_alloc(a(), 60);
  rf_stats s;
  rf_stats_get(a(), &s);
  EXPECT_EQ(s.used, 65U);
  EXPECT_EQ(s.capacity, s.used + s.free_bytes + s.overhead);
  EXPECT_EQ(rf_free(a(), guarded), RF_OK);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

// A reporter may say at the finding itself how the program is to end.
TEST_F(PageGuarded, TheReporterSaysHowTheProgramEnds) {
  rf_reporter ends = {[](rf_reporter *self, const rf_finding *) {
                        self->exitcode = 57;
                        return RF_ACTION_HALT;
                      },
                      nullptr, 1, 0};
  auto const run = [&] {
    rf_page other;
    options_.reporter = &ends;
    (void)rf_page_init(&other, heap_.allocator(), &options_);
    (void)rf_alloc(&other.base, 5);
    unsigned char *const guarded = bytes(rf_alloc(&other.base, 6));
    guarded[6] = 'x';
    (void)rf_free(&other.base, guarded);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(57), "");
}

} // namespace
} // namespace ringfence
