// The first pool of a process has the watcher of its options put in place (checkers/checked/checked_pools.c).
#include <ringfence/checked_pools.h>
#include <ringfence/memblocks.h>
#include <ringfence/pool_watch.h>
#include <ringfence/watch.h>

#include <cstdlib>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/core/held_mutexes.h"

#if RF_WATCH

namespace ringfence {
namespace {

// Brings the watcher of the start along.
rf_mode (*const volatile brought)(const rf_checked_options *) = rf_checked_pools_init;

class PoolsFirst : public testing::Test {
protected:
  void SetUp() override {
    (void)setenv("RINGFENCE_OPTIONS", "mode=off", 1);
    ASSERT_TRUE(brought != nullptr && first_ != nullptr);
  }

  void begin_pool() {
    ASSERT_EQ(rf_memblocks_init(&pool_, memory_, 32, 2, bitmap_), RF_OK);
    rf_memblocks_deinit(&pool_);
  }

  const rf_watcher *const first_ = rf_watcher_of_process;
  alignas(16) unsigned char memory_[64];
  size_t bitmap_[1];
  rf_memblocks pool_;
};

TEST_F(PoolsFirst, OneThatComesAfterAnotherThreadsLeavesItsWatcherInPlace) {
  const rf_watcher *own = nullptr;
  before_lock = [&own] {
    rf_pool_watch_options options;
    rf_pool_watch_options_default(&options);
    EXPECT_EQ(rf_pool_watch_start(&options), RF_OK);
    own = rf_watcher_of_process;
  };
  begin_pool();
  ASSERT_NE(own, nullptr) << "the options are asked for inside a lock";
  EXPECT_EQ(rf_watcher_of_process, own);
  EXPECT_TRUE(held.empty());
  rf_pool_watch_stop();
  rf_watcher_of_process = first_;
}

TEST_F(PoolsFirst, TheLockIsLetGoOf) {
  (void)alarm(60); // instead of a wait for ever
  for (int i = 0; i < 2; i++) {
    rf_watcher_of_process = first_;
    begin_pool();
    EXPECT_EQ(rf_watcher_of_process, nullptr) << "nobody watches in mode off";
    EXPECT_TRUE(held.empty());
  }
  (void)alarm(0);
  rf_watcher_of_process = first_;
}

} // namespace
} // namespace ringfence

#endif
