// oom: what its mutex guards is read and changed inside it only, whatever another thread does as soon as it is let go
// of. The linker puts this file's functions in front of the port's.
#include <ringfence/oom.h>
#include <ringfence/simple.h>

#include <gtest/gtest.h>

#include <functional>
#include <tuple>
#include <utility>
#include <vector>

namespace {

rf_oom oom;

auto guarded() {
  return std::make_tuple(oom.callbacks, oom.rescues, oom.rescued, oom.given_up, oom.failures);
}

bool watched;
bool held;
unsigned mutexes_ended;
decltype(guarded()) at_unlock;
std::vector<std::pair<rf_oom_callback *, rf_oom_callback>> callbacks_at_unlock;
std::function<void()> after_unlock;

// The state as another thread sees it while the mutex is free and a third one is in the middle of a change.
bool of_another_thread(void *, unsigned, size_t) {
  ADD_FAILURE() << "read outside";
  return false;
}

void load(const decltype(guarded()) &values) {
  std::tie(oom.callbacks, oom.rescues, oom.rescued, oom.given_up, oom.failures) = values;
}

void hide() {
  at_unlock = guarded();
  callbacks_at_unlock.clear();
  for (rf_oom_callback *c = oom.callbacks; c != nullptr;) {
    rf_oom_callback *const next = c->next;
    callbacks_at_unlock.emplace_back(c, *c);
    *c = {of_another_thread, nullptr, nullptr};
    c = next;
  }
  load({nullptr, nullptr, 1000, 1000, 1000});
}

void show() {
  load(at_unlock);
  for (auto const &c : callbacks_at_unlock) {
    *c.first = c.second;
  }
}

} // namespace

extern "C" {
void __real_rf_mutex_lock(rf_mutex *mutex);
void __real_rf_mutex_unlock(rf_mutex *mutex);
void __real_rf_mutex_deinit(rf_mutex *mutex);
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);
void __wrap_rf_mutex_deinit(rf_mutex *mutex);

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  ASSERT_FALSE(held) << "waits for itself";
  __real_rf_mutex_lock(mutex);
  held = true;
  if (watched) {
    EXPECT_TRUE(guarded() == std::make_tuple(nullptr, nullptr, 1000U, 1000U, 1000U)) << "changed outside";
    show();
  }
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  ASSERT_TRUE(held) << "unlocks a free mutex";
  if (watched) {
    hide();
  }
  held = false;
  __real_rf_mutex_unlock(mutex);
  if (after_unlock) {
    after_unlock();
  }
}

void __wrap_rf_mutex_deinit(rf_mutex *mutex) {
  mutexes_ended++;
  __real_rf_mutex_deinit(mutex);
}
}

namespace {

class OomLock : public testing::Test {
protected:
  OomLock() {
    EXPECT_EQ(rf_simple_init(&heap, memory, sizeof memory), RF_OK);
    EXPECT_EQ(rf_oom_init(&oom, &heap.base, 2), RF_OK);
    hide();
    watched = true;
    kept = rf_alloc(&heap.base, 1500);
  }
  ~OomLock() override {
    after_unlock = nullptr;
    show();
    watched = false;
    mutexes_ended = 0;
    rf_deinit(&oom.base);
    EXPECT_EQ(mutexes_ended, 1U);
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

TEST_F(OomLock, WhatItGuardsIsReadAndChangedInside) {
  rf_oom_callback callback;
  EXPECT_EQ(rf_oom_add(&oom, &callback, give, this), RF_OK);
  call_all();
  EXPECT_EQ(rf_oom_remove(&oom, &callback), RF_OK);
  rf_oom_stats stats;
  rf_oom_stats_get(&oom, &stats);
  EXPECT_EQ(stats.rescued, 1U);
  EXPECT_EQ(stats.given_up, 2U);
  rf_stats of_requests;
  rf_stats_get(&oom.base, &of_requests);
  EXPECT_EQ(of_requests.failures, 2U);
  rf_counters counters;
  rf_counters_get(&oom.base, &counters);
  EXPECT_EQ(counters.failures, 2U);
}

// The realloc of a block of no bytes, as heaps tell it that serve such.
TEST_F(OomLock, AReallocThatIsNotTriedAgainIsCountedInside) {
  const rf_allocator_ops *const full = heap.base.ops;
  rf_allocator_ops ops = *full;
  ops.usable_size = [](rf_allocator *, const void *) -> size_t { return 0; };
  heap.base.ops = &ops;
  void *const empty = rf_alloc(&oom.base, 0);
  EXPECT_EQ(rf_realloc(&oom.base, empty, 3000), nullptr);
  EXPECT_FALSE(held);
  rf_counters counters;
  rf_counters_get(&oom.base, &counters);
  EXPECT_EQ(counters.failures, 1U);
  heap.base.ops = full;
}

// The request fails without callbacks; the one that asked is rescued or not as ever.
TEST_F(OomLock, ARequestOfACallbackIsCountedInside) {
  rf_oom_callback callback;
  rf_oom_fn const ask = [](void *, unsigned, size_t) { return rf_alloc(&oom.base, 3000) != nullptr; };
  EXPECT_EQ(rf_oom_add(&oom, &callback, ask, nullptr), RF_OK);
  EXPECT_EQ(rf_alloc(&oom.base, 3000), nullptr);
  rf_counters counters;
  rf_counters_get(&oom.base, &counters);
  EXPECT_EQ(counters.failures, 2U);
  EXPECT_EQ(rf_oom_remove(&oom, &callback), RF_OK);
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
    EXPECT_EQ(std::get<0>(at_unlock), nullptr);
    EXPECT_EQ(std::get<1>(at_unlock), nullptr);
    kept = kept != nullptr ? kept : rf_alloc(&heap.base, 1500);
  }
}

} // namespace
