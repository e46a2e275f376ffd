// Sweeps of the pools that are watched, and the options by which they are.
#include "tests/checkers/pools_fixture.h"

#include <cstdlib>

#if RF_WATCH

namespace ringfence {
namespace {

using PoolsSweep = Pools;

RF_MEMBLOCKS_DEFINE_STATIC(lasting, 32, 4, 8);

TEST_F(PoolsSweep, ASweepLooksAtStaticPools) {
  unsigned char *const p = freed_block(&lasting);
  EXPECT_EQ(rf_pool_watch_sweep(), 0U);
  p[9] = 1;
  EXPECT_EQ(rf_pool_watch_sweep(), 1U);
  expect_found(RF_BUG_USE_AFTER_FREE, p, 32, 9);
}

void damage_and_exit(bool sweep) {
  rf_checked_options options = guard_options(nullptr);
  options.settings.sweep = sweep;
  rf_checked_pools_init(&options);
  freed_block(&lasting)[9] = 1;
  std::exit(0);
}

TEST(PoolsDeathTest, TheEndOfTheProcessIsASweepUnlessSwitchedOff) {
  EXPECT_EXIT(damage_and_exit(true), testing::ExitedWithCode(RF_EXITCODE_DEFAULT), "heap-use-after-free");
  EXPECT_EXIT(damage_and_exit(false), testing::ExitedWithCode(0), "");
}

TEST(PoolsDeathTest, WithoutAReporterFindingsGoToTheErrorOutput) {
  auto const damage = [] {
    rf_pool_watch_options options;
    rf_pool_watch_options_default(&options);
    options.reporter = nullptr;
    (void)rf_pool_watch_start(&options);
    freed_block(&lasting)[9] = 1;
    (void)rf_pool_watch_sweep();
    std::exit(0);
  };
  EXPECT_DEATH(damage(), "heap-use-after-free");
}

TEST_F(PoolsSweep, ASweepLeavesPoolsThatMayBeGone) {
  unsigned char *const p = freed_block(&blocks_);
  p[9] = 1;
  EXPECT_EQ(rf_pool_watch_sweep(), 0U);
  p[9] = 0xCC;
}

// Its memory is the program's, but it was made by a call, and may have ended without one.
TEST_F(PoolsSweep, ASweepLeavesPoolsOfTheProgramsMemoryThatACallHasMade) {
  alignas(16) static unsigned char memory[2 * kSize];
  static size_t bitmap[1];
  static rf_memblocks made;
  ASSERT_EQ(rf_memblocks_init(&made, memory, kSize, 2, bitmap), RF_OK);
  const void *const p = freed_block(&made);
  memory[9] = 1;
  EXPECT_EQ(rf_pool_watch_sweep(), 0U);
  rf_memblocks_deinit(&made);
  expect_found(RF_BUG_USE_AFTER_FREE, p, kSize, 9);
}

TEST_F(PoolsSweep, TheFillOfTheOptionsIsTaken) {
  rf_checked_options options = guard_options(&reporter_);
  options.settings.fill = 5;
  EXPECT_EQ(rf_checked_pools_init(&options), RF_MODE_GUARD);
  unsigned char *const p = take();
  p[4] = p[5] = 1;
  give(p);
  EXPECT_EQ(p[4], RF_PATTERN_FREED);
  EXPECT_EQ(p[5], 1);
}

RF_MEMBLOCKS_DEFINE_STATIC(filled_before, 32, 4, 8);

// A block is compared as far as it was filled.
TEST_F(PoolsSweep, BlocksThatWereFreedUnderOtherOptionsAreNotTakenForDamaged) {
  rf_checked_options options = guard_options(&reporter_);
  options.settings.fill = 5;
  EXPECT_EQ(rf_checked_pools_init(&options), RF_MODE_GUARD);
  unsigned char *const p = freed_block(&blocks_);
  unsigned char *const q = freed_block(&filled_before);
  options.settings.fill = SIZE_MAX;
  EXPECT_EQ(rf_checked_pools_init(&options), RF_MODE_GUARD);
  EXPECT_EQ(take(), p);
  EXPECT_EQ(rf_pool_watch_sweep(), 0U);
  EXPECT_TRUE(findings_.empty());
  q[4] = 1;
  EXPECT_EQ(rf_pool_watch_sweep(), 1U);
  expect_found(RF_BUG_USE_AFTER_FREE, q, 32, 4);
}

TEST_F(PoolsSweep, TheOptionLeavesThemAlone) {
  rf_checked_options options = guard_options(&reporter_);
  options.settings.pools = false;
  EXPECT_EQ(rf_checked_pools_init(&options), RF_MODE_OFF);
  options.settings.pools = true;
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_SAMPLE}) {
    options.settings.mode = mode;
    EXPECT_EQ(rf_checked_pools_init(&options), RF_MODE_OFF) << rf_mode_name(mode);
  }
  unsigned char *const p = take();
  give(p);
  EXPECT_EQ(p[0], 0);
}

} // namespace
} // namespace ringfence

#endif
