// Guard's answers about its blocks: statistics, the heap walk, descriptions, where a block comes from.
#include "tests/checkers/guard_fixture.h"

#include <map>

namespace ringfence {
namespace {

class Guard : public GuardTest {};

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

INSTANTIATE_TEST_SUITE_P(Over, Guard, testing::ValuesIn(kHeaps), heap_name);

} // namespace
} // namespace ringfence
