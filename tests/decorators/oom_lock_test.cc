// oom: what its mutex guards changes inside it only, whatever another thread does as soon as it is let go of. The
// linker puts this file's functions in front of the port's.
#include <ringfence/oom.h>
#include <ringfence/simple.h>

#include <gtest/gtest.h>

#include <functional>
#include <tuple>

namespace {

rf_oom oom;

auto guarded() {
  return std::make_tuple(oom.callbacks, oom.rescues, oom.rescued, oom.given_up, oom.failures);
}

bool watched;
decltype(guarded()) at_unlock;
std::function<void()> after_unlock;

} // namespace

extern "C" {
void __real_rf_mutex_lock(rf_mutex *mutex);
void __real_rf_mutex_unlock(rf_mutex *mutex);
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  __real_rf_mutex_lock(mutex);
  if (watched) {
    EXPECT_TRUE(guarded() == at_unlock) << "changed outside";
  }
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  at_unlock = guarded();
  __real_rf_mutex_unlock(mutex);
  if (after_unlock) {
    after_unlock();
  }
}
}

namespace {

class OomLock : public testing::Test {
protected:
  OomLock() {
    EXPECT_EQ(rf_simple_init(&heap, memory, sizeof memory), RF_OK);
    EXPECT_EQ(rf_oom_init(&oom, &heap.base, 2), RF_OK);
    at_unlock = guarded();
    watched = true;
    kept = rf_alloc(&heap.base, 1500);
  }
  ~OomLock() override {
    EXPECT_TRUE(guarded() == at_unlock);
    watched = false;
    after_unlock = nullptr;
    rf_deinit(&oom.base);
  }

  static bool give(void *context, unsigned, size_t) {
    auto *const self = static_cast<OomLock *>(context);
    void *const block = self->kept;
    self->kept = nullptr;
    return rf_free(&self->heap.base, block) == RF_OK && block != nullptr;
  }

  // Every kind of call: one that is rescued, two in vain.
  void call_all() {
    void *const p = rf_alloc(&oom.base, 1000);
    (void)rf_realloc(&oom.base, p, 4000);
    (void)rf_alloc(&oom.base, 3000);
    if (p != nullptr) {
      (void)rf_free(&oom.base, p);
    }
  }

  alignas(16) char memory[2048];
  rf_simple heap;
  void *kept;
};

TEST_F(OomLock, WhatItGuardsChangesInside) {
  rf_oom_callback callback;
  EXPECT_EQ(rf_oom_add(&oom, &callback, give, this), RF_OK);
  call_all();
  EXPECT_EQ(rf_oom_remove(&oom, &callback), RF_OK);
  rf_oom_stats stats;
  rf_oom_stats_get(&oom, &stats);
  EXPECT_EQ(stats.rescued, 1U);
  EXPECT_EQ(stats.given_up, 2U);
}

// At each moment at which another thread may, it removes the callback and uses its storage for something else.
TEST_F(OomLock, ACallbackMayGoWheneverTheMutexIsFree) {
  for (int moment = 1; moment <= 12; moment++) {
    rf_oom_callback callback;
    EXPECT_EQ(rf_oom_add(&oom, &callback, give, this), RF_OK);
    int left = moment;
    after_unlock = [&] {
      if (--left == 0) {
        EXPECT_EQ(rf_oom_remove(&oom, &callback), RF_OK);
        callback = {nullptr, nullptr, &callback};
      }
    };
    call_all();
    after_unlock = nullptr;
    if (left > 0) {
      EXPECT_EQ(rf_oom_remove(&oom, &callback), RF_OK);
    }
    EXPECT_EQ(oom.callbacks, nullptr);
    EXPECT_EQ(oom.rescues, nullptr);
    kept = kept != nullptr ? kept : rf_alloc(&heap.base, 1500);
  }
}

} // namespace
