// The first pool of a process has the watcher of its options put in place (checkers/checked/checked_pools.c).
#include <ringfence/checked_pools.h>
#include <ringfence/memblocks.h>
#include <ringfence/pool_watch.h>
#include <ringfence/port.h>
#include <ringfence/watch.h>

#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <unistd.h>
#include <utility>

namespace {

std::function<void()> before_lock; // another thread comes first
int held;

} // namespace

// The linker puts these in front of the port's.
extern "C" {
void __real_rf_mutex_lock(rf_mutex *mutex);
void __real_rf_mutex_unlock(rf_mutex *mutex);
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  if (before_lock) {
    std::exchange(before_lock, nullptr)();
  }
  __real_rf_mutex_lock(mutex);
  held++;
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  held--;
  __real_rf_mutex_unlock(mutex);
}
}

#if RF_WATCH

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
  EXPECT_EQ(held, 0);
  rf_pool_watch_stop();
  rf_watcher_of_process = first_;
}

TEST_F(PoolsFirst, TheLockIsLetGoOf) {
  (void)alarm(60); // instead of a wait for ever
  for (int i = 0; i < 2; i++) {
    rf_watcher_of_process = first_;
    begin_pool();
    EXPECT_EQ(rf_watcher_of_process, nullptr) << "nobody watches in mode off";
    EXPECT_EQ(held, 0);
  }
  (void)alarm(0);
  rf_watcher_of_process = first_;
}

} // namespace

#endif
