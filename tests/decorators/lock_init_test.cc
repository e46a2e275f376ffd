// lock where the system has no mutex to give: the linker puts this file's rf_mutex_init in front of the port's.
#include <ringfence/lock.h>
#include <ringfence/simple.h>

#include <gtest/gtest.h>

namespace {
rf_status the_answer = RF_OK;
}

extern "C" {
rf_status __real_rf_mutex_init(rf_mutex *mutex);
rf_status __wrap_rf_mutex_init(rf_mutex *mutex);

rf_status __wrap_rf_mutex_init(rf_mutex *mutex) {
  return the_answer == RF_OK ? __real_rf_mutex_init(mutex) : the_answer;
}
}

namespace {

TEST(LockInitTest, FailsCleanlyWithoutAMutexAndCanBeTriedAgain) {
  alignas(16) static unsigned char arena[256];
  rf_simple heap;
  rf_lock lock;
  ASSERT_EQ(rf_simple_init(&heap, arena, sizeof arena), RF_OK);
  the_answer = RF_ERR_NO_MEMORY;
  EXPECT_EQ(rf_lock_init(&lock, &heap.base), RF_ERR_NO_MEMORY);
  EXPECT_NE(rf_alloc(&heap.base, 10), nullptr) << "the heap is as it was";
  the_answer = RF_OK;
  ASSERT_EQ(rf_lock_init(&lock, &heap.base), RF_OK);
  EXPECT_NE(rf_alloc(&lock.base, 10), nullptr);
  rf_deinit(&lock.base);
}

} // namespace
