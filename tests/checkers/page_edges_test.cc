// rf_page and rf_sample at their edges: what reaches the guard of blocks without pages, steps of a sweep, the seed, and
// what the allocator below is told.
#include "tests/checkers/page_fixture.h"

#include <ringfence/sample.h>

#include <sys/mman.h>

#include <string>
#include <utility>

namespace ringfence {
namespace {

class PageEdges : public PageTest {
protected:
  PageEdges() { start(RF_PAGE_LEFT); }

  // From now on blocks are under guard, but for the first.
  void *start_guarded() {
    options_.memory = page_size();
    start();
    return rf_alloc(a(), 5);
  }
};

// ---- Blocks under guard ----

TEST_F(PageEdges, AFindingAboutABlockUnderGuardIsInModeGuard) {
  void *const first = start_guarded();
  unsigned char *const p = bytes(rf_alloc(a(), 6));
  p[6] ^= 1;
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_STREQ(take_one().mode, "guard");
  int local = 0;
  EXPECT_EQ(rf_free(a(), &local), RF_ERR_BAD_POINTER);
  EXPECT_STREQ(take_one().mode, "page");
  EXPECT_EQ(rf_free(a(), first), RF_OK);
}

TEST_F(PageEdges, WhatIsLookedForInTheEndIsSoOfBlocksUnderGuardToo) {
  for (bool const sweep : {false, true}) {
    for (bool const leaks : {false, true}) {
      options_.sweep_at_deinit = sweep;
      options_.leaks_at_deinit = leaks;
      options_.guarded.sweep_at_deinit = !sweep;
      options_.guarded.leaks_at_deinit = !leaks;
      unsigned char *const first = bytes(start_guarded());
      unsigned char *const p = bytes(rf_alloc(a(), 6));
      first[5] ^= 1;
      p[6] ^= 1;
      end();
      EXPECT_EQ(recorder_.take().size(), (sweep ? 2U : 0U) + (leaks ? 2U : 0U)) << sweep << leaks;
      rf_stats s;
      rf_stats_get(heap_.allocator(), &s);
      EXPECT_EQ(s.blocks, 0U);
    }
  }
}

// ---- Sweeps ----

// The newest come first, a few at a time.
TEST_F(PageEdges, AStepWithoutTimeGoesOnWhereTheLastOneStopped) {
  std::vector<unsigned char *> blocks(100);
  for (unsigned char *&p : blocks) {
    p = bytes(rf_alloc(a(), 6));
  }
  blocks[0][6] ^= 1;
  size_t found = rf_page_sweep_step(&page_, 0);
  EXPECT_EQ(found, 0U);
  for (unsigned steps = 0; found == 0 && steps < 20; steps++) {
    found = rf_page_sweep_step(&page_, 0);
  }
  EXPECT_EQ(found, 1U);
  EXPECT_EQ(take_one().block, reinterpret_cast<uintptr_t>(blocks[0]));
  for (unsigned char *const p : blocks) {
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
}

// ---- Questions ----

TEST_F(PageEdges, ACheckNamesItselfForBlocksOnPagesAndAsksTheGuard) {
  unsigned char *const p = bytes(rf_alloc(a(), 6));
  p[6] ^= 1;
  rf_fault where = {};
  EXPECT_EQ(rf_check(a(), &where), RF_ERR_CORRUPT);
  EXPECT_EQ(where.allocator, a());
  EXPECT_EQ(where.ptr, p + 6);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_FALSE(f.freed) << "it was live until then";
  void *const first = start_guarded();
  unsigned char *const guarded = bytes(rf_alloc(a(), 6));
  guarded[6] ^= 1;
  EXPECT_EQ(rf_check(a(), &where), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_free(a(), guarded), RF_OK);
  EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(rf_free(a(), first), RF_OK);
}

TEST_F(PageEdges, AWalkThatWasStoppedShowsNoMoreAndTheAllocatorServes) {
  void *const p = rf_alloc(a(), 5);
  void *const q = rf_alloc(a(), 6);
  unsigned calls = 0;
  auto const stop = [](const rf_block *, void *context) {
    ++*static_cast<unsigned *>(context);
    return false;
  };
  EXPECT_EQ(rf_walk(a(), stop, &calls), RF_OK);
  EXPECT_EQ(calls, 1U);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_EQ(rf_free(a(), q), RF_OK);
}

// ---- Places ----

TEST_F(PageEdges, ASeedChoosesTheSidesOfBlocks) {
  static const uint64_t kSeeds[] = {0, 7, 7, 8};
  std::string sides[4];
  for (size_t i = 0; i < 4; i++) {
    options_.seed = kSeeds[i];
    start(RF_PAGE_BOTH);
    for (int n = 0; n < 64; n++) {
      void *const p = rf_alloc(a(), 16);
      sides[i] += past_page(p) == 0 ? 'l' : 'r';
      EXPECT_EQ(rf_free(a(), p), RF_OK);
    }
  }
  EXPECT_NE(sides[0].find("lrlrlrlr"), std::string::npos);
  EXPECT_EQ(sides[1], sides[2]);
  EXPECT_NE(sides[1], sides[3]);
  EXPECT_TRUE(sides[1].find("ll") != std::string::npos && sides[1].find("rr") != std::string::npos) << sides[1];
}

// ---- The allocator below ----

TEST_F(PageEdges, WhatABlockGivesUpIsGivenUpBelow) {
  void *const p = rf_alloc(a(), 1000);
  ASSERT_EQ(rf_resize(a(), p, 100), RF_OK);
  rf_stats s;
  rf_stats_get(heap_.allocator(), &s);
  EXPECT_EQ(s.used, 100U);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

// Between two large blocks a fault is told of the one whose border is nearer.
TEST_F(PageEdges, AFaultIsToldOfTheBlockWhoseBorderIsNearest) {
  size_t const size = 20 * page_size();
  unsigned char *low = bytes(rf_alloc(a(), size));
  unsigned char *high = bytes(rf_alloc(a(), size));
  ASSERT_NE(low, nullptr);
  ASSERT_NE(high, nullptr);
  if (high < low) {
    std::swap(low, high);
  }
  (void)peek(low + size + 100);
  rf_finding f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(low));
  (void)peek(high - 100);
  f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_UNDERFLOW);
  EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(high));
  EXPECT_EQ(rf_free(a(), low), RF_OK);
  EXPECT_EQ(rf_free(a(), high), RF_OK);
}

TEST_F(PageEdges, ABlockOfAnotherOneIsToldWithBothAllocatorsAndItsOwnStack) {
  std::vector<uint64_t> memory(8192);
  rf_stack_depot depot;
  ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * 8), RF_OK);
  std::vector<unsigned char> arena(size_t{64} << 10);
  SimpleHeap simple(arena.data(), arena.size());
  rf_page_options options = options_;
  options.depot = &depot;
  options.stack_depth = 4;
  rf_page other;
  ASSERT_EQ(rf_page_init(&other, simple.allocator(), &options), RF_OK);
  void *const p = rf_alloc(&other.base, 10);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_BAD_POINTER);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_DEALLOC_MISMATCH);
  EXPECT_STREQ(f.allocation, "simple");
  EXPECT_STREQ(f.deallocation, "tlsf");
  EXPECT_GT(f.allocated.depth, 0U);
  EXPECT_EQ(rf_free(&other.base, p), RF_OK);
  other.base.ops->deinit(&other.base);
}

// ---- rf_sample ----

class SampleEdges : public testing::Test {
protected:
  SampleEdges() : arena_(size_t{1} << 20), heap_(arena_.data(), arena_.size()) {
    rf_sample_options_default(&options_);
    options_.rate = 1;
    options_.seed = 1;
    options_.side = RF_PAGE_LEFT;
    options_.reporter = recorder_.reporter();
  }
  ~SampleEdges() override { EXPECT_EQ(recorder_.count(), 0U) << "findings that no test took"; }

  std::vector<unsigned char> arena_;
  TlsfHeap heap_;
  FaultRecorder recorder_;
  rf_sample_options options_ = {};
};

TEST_F(SampleEdges, InTheEndSlackIsLookedAtAndBlocksAreGivenBack) {
  rf_sample sample;
  ASSERT_EQ(rf_sample_init(&sample, heap_.allocator(), &options_), RF_OK);
  unsigned char *const p = bytes(rf_alloc(&sample.base, 6));
  p[6] ^= 1;
  sample.base.ops->deinit(&sample.base);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_OVERFLOW);
  rf_stats s;
  rf_stats_get(heap_.allocator(), &s);
  EXPECT_EQ(s.blocks, 0U);
}

TEST_F(SampleEdges, ASampledBlockMovesAtEachRealloc) {
  rf_sample sample;
  ASSERT_EQ(rf_sample_init(&sample, heap_.allocator(), &options_), RF_OK);
  void *const p = rf_alloc(&sample.base, 100);
  ASSERT_TRUE(rf_sample_has(&sample, p));
  void *const moved = rf_realloc(&sample.base, p, 50);
  EXPECT_NE(moved, p);
  EXPECT_EQ(rf_free(&sample.base, moved), RF_OK);
  sample.base.ops->deinit(&sample.base);
}

TEST_F(SampleEdges, TheAllocatorBelowHearsOfWhatIsTurnedAway) {
  static unsigned heard;
  rf_allocator_ops ops = *heap_.allocator()->ops;
  rf_allocator below = {&ops};
  ops.reject = [](rf_allocator *, rf_reject, size_t, size_t, const rf_site *) { heard++; };
  rf_sample sample;
  ASSERT_EQ(rf_sample_init(&sample, &below, &options_), RF_OK);
  heard = 0;
  EXPECT_EQ(rf_alloc(&sample.base, SIZE_MAX), nullptr);
  EXPECT_EQ(heard, 1U);
  EXPECT_EQ(recorder_.take().size(), 1U);
  sample.base.ops->deinit(&sample.base);
}

// Its notes of its last call are of no use any more, though the allocator below refuses that pointer.
TEST_F(SampleEdges, OneThatIsGoneIsNotLookedAtForAFault) {
  static unsigned faults;
  void *const memory = mmap(nullptr, sizeof(rf_sample), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto *const sample = static_cast<rf_sample *>(memory);
  options_.rate = RF_SAMPLE_RATE_MOST;
  ASSERT_EQ(rf_sample_init(sample, heap_.allocator(), &options_), RF_OK);
  void *const p = rf_alloc(&sample->base, 100);
  ASSERT_FALSE(rf_sample_has(sample, p));
  EXPECT_EQ(rf_free(&sample->base, p), RF_OK);
  sample->base.ops->deinit(&sample->base);
  ASSERT_EQ(munmap(memory, sizeof(rf_sample)), 0);
  faults = 0;
  rf_fault_handler_set([](const rf_fault *, void *) { faults++; }, nullptr);
  EXPECT_NE(rf_free(heap_.allocator(), p), RF_OK);
  rf_fault_handler_set(nullptr, nullptr);
  EXPECT_EQ(faults, 1U);
}

} // namespace
} // namespace ringfence
