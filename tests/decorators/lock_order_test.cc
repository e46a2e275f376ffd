// lock at the moment when others can enter: the linker puts this file's rf_mutex_unlock in front of the port's.
#include <ringfence/lock.h>
#include <ringfence/simple.h>

#include <gtest/gtest.h>

namespace {

rf_lock lock;
unsigned unlocks;
unsigned unlocks_with_a_holder;

} // namespace

extern "C" {
void __real_rf_mutex_unlock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  unlocks += mutex == &lock.mutex ? 1U : 0U;
  unlocks_with_a_holder += mutex == &lock.mutex && lock.holder != 0 ? 1U : 0U;
  __real_rf_mutex_unlock(mutex);
}
}

namespace {

// Were the holder cleared later, it would be the next thread's, whose call from within itself then waits for ever.
TEST(LockOrderTest, TheHolderIsClearedBeforeTheMutexIsUnlocked) {
  alignas(16) static unsigned char arena[1024];
  rf_simple heap;
  rf_stats stats;
  ASSERT_EQ(rf_simple_init(&heap, arena, sizeof arena), RF_OK);
  ASSERT_EQ(rf_lock_init(&lock, &heap.base), RF_OK);
  rf_allocator *const a = &lock.base;
  void *p = rf_alloc(a, 10);
  p = rf_realloc(a, p, 100);
  (void)rf_resize(a, p, 50);
  (void)rf_usable_size(a, p);
  (void)rf_check(a, nullptr);
  rf_stats_get(a, &stats);
  (void)rf_free(a, p);
  EXPECT_EQ(unlocks, 7U);
  EXPECT_EQ(unlocks_with_a_holder, 0U);
  rf_deinit(a);
}

} // namespace
