// The locked mutexes, by functions that the linker puts in front of the port's: a test that includes this, once
// in a program, is linked with --wrap=rf_mutex_lock and --wrap=rf_mutex_unlock. For tests of one thread.
#ifndef RINGFENCE_TESTS_CORE_HELD_MUTEXES_H
#define RINGFENCE_TESTS_CORE_HELD_MUTEXES_H

#include <gtest/gtest.h>
#include <ringfence/port.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace ringfence {

static std::vector<const rf_mutex *> held;
static std::vector<const rf_mutex *> locked; // ever
static std::function<void()> before_lock;    // once: another thread comes first
static std::function<void()> after_lock;
static std::function<void()> after_unlock;

} // namespace ringfence

extern "C" {
void __real_rf_mutex_lock(rf_mutex *mutex);
void __real_rf_mutex_unlock(rf_mutex *mutex);
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  using namespace ringfence;
  if (before_lock) {
    std::exchange(before_lock, nullptr)();
  }
  ASSERT_EQ(std::count(held.begin(), held.end(), mutex), 0) << "waits for itself";
  __real_rf_mutex_lock(mutex);
  held.push_back(mutex);
  locked.push_back(mutex);
  if (after_lock) {
    after_lock();
  }
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  using namespace ringfence;
  EXPECT_EQ(std::count(held.begin(), held.end(), mutex), 1) << "unlocks what it has not locked";
  held.erase(std::remove(held.begin(), held.end(), mutex), held.end());
  __real_rf_mutex_unlock(mutex);
  if (after_unlock) {
    after_unlock();
  }
}
}

#endif // RINGFENCE_TESTS_CORE_HELD_MUTEXES_H
