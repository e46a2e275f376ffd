// lock holds its mutex around each call of the inner allocator, and not a moment longer. The linker puts this file's
// functions in front of the port's.
#include <ringfence/lock.h>
#include <ringfence/simple.h>

#include <gtest/gtest.h>

#include <functional>

namespace {

rf_lock lock;
unsigned held; // how often the mutex is locked
unsigned unlocks;
unsigned unlocks_with_a_holder;
unsigned mutexes_ended;
bool ended_in_use; // another thread's call would still have locked it

} // namespace

extern "C" {
void __real_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __real_rf_mutex_unlock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);
void __real_rf_mutex_deinit(rf_mutex *mutex);
void __wrap_rf_mutex_deinit(rf_mutex *mutex);

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  EXPECT_EQ(lock.holder, 0U) << "a holder before the lock";
  ASSERT_EQ(held, 0U) << "waits for itself";
  __real_rf_mutex_lock(mutex);
  held++;
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  unlocks++;
  unlocks_with_a_holder += lock.holder != 0 ? 1U : 0U;
  ASSERT_EQ(held, 1U) << "unlocks a free mutex";
  held--;
  __real_rf_mutex_unlock(mutex);
}

void __wrap_rf_mutex_deinit(rf_mutex *mutex) {
  mutexes_ended++;
  ended_in_use = ended_in_use || lock.inner != nullptr;
  __real_rf_mutex_deinit(mutex);
}
}

namespace {

// A heap that counts the calls which reach it inside the lock. Those outside are failures.
struct Below {
  rf_allocator base;
  rf_simple heap;
  unsigned calls;
};

rf_allocator *enter(rf_allocator *self) {
  auto *const below = reinterpret_cast<Below *>(self);
  EXPECT_EQ(held, 1U) << "called outside of the lock";
  EXPECT_NE(lock.holder, 0U);
  below->calls++;
  return &below->heap.base;
}

rf_allocator_ops make_ops() {
  rf_allocator_ops ops = {};
  ops.name = "below";
  ops.alloc = [](rf_allocator *self, size_t size, size_t align, const rf_site *site) {
    return rf_alloc_at(enter(self), size, align, site);
  };
  ops.free = [](rf_allocator *self, void *p, const rf_site *site) { return rf_free_at(enter(self), p, site); };
  ops.realloc = [](rf_allocator *self, void *p, size_t size, size_t align, const rf_site *site) {
    return rf_realloc_at(enter(self), p, size, align, site);
  };
  ops.resize = [](rf_allocator *self, void *p, size_t size, const rf_site *site) {
    return rf_resize_at(enter(self), p, size, site);
  };
  ops.usable_size = [](rf_allocator *self, const void *p) { return rf_usable_size(enter(self), p); };
  ops.owns = [](rf_allocator *self, const void *p) { return rf_owns(enter(self), p); };
  ops.walk = [](rf_allocator *self, rf_walk_fn visit, void *context) { return rf_walk(enter(self), visit, context); };
  ops.check = [](rf_allocator *self, rf_fault *where) { return rf_check(enter(self), where); };
  ops.stats = [](rf_allocator *self, rf_stats *out) { rf_stats_get(enter(self), out); };
  ops.counters = [](rf_allocator *self, rf_counters *out) { rf_counters_get(enter(self), out); };
  ops.reject = [](rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
    (void)rf_reject_at(enter(self), why, size, detail, site);
  };
  return ops;
}

class LockOrderTest : public testing::Test {
protected:
  LockOrderTest() {
    below.base.ops = &ops;
    EXPECT_EQ(rf_simple_init(&below.heap, arena, sizeof arena), RF_OK);
    EXPECT_EQ(rf_lock_init(&lock, &below.base), RF_OK);
  }
  ~LockOrderTest() override { rf_deinit(a); }

  // One call of the inner allocator, in one locked section.
  void expect_one_section(const char *name, const std::function<void()> &call) {
    SCOPED_TRACE(name);
    below.calls = 0;
    unlocks = 0;
    unlocks_with_a_holder = 0;
    call();
    EXPECT_EQ(below.calls, 1U);
    EXPECT_EQ(unlocks, 1U);
    EXPECT_EQ(unlocks_with_a_holder, 0U);
    EXPECT_EQ(held, 0U) << "still locked";
  }

  const rf_allocator_ops ops = make_ops();
  alignas(16) unsigned char arena[1024];
  Below below = {};
  rf_allocator *const a = &lock.base;
};

// Each call is one locked section. Were the holder cleared after the unlock, it would be the next thread's, whose call
// from within itself then waits for ever.
TEST_F(LockOrderTest, TheHolderIsClearedBeforeTheMutexIsUnlocked) {
  rf_stats stats;
  rf_counters counters;
  void *p = nullptr;
  rf_walk_fn const visit = [](const rf_block *, void *) { return true; };
  expect_one_section("alloc", [&] { p = rf_alloc(a, 10); });
  expect_one_section("realloc", [&] { p = rf_realloc(a, p, 100); });
  expect_one_section("resize", [&] { EXPECT_EQ(rf_resize(a, p, 50), RF_OK); });
  expect_one_section("usable_size", [&] { EXPECT_GE(rf_usable_size(a, p), 50U); });
  expect_one_section("owns", [&] { EXPECT_TRUE(rf_owns(a, p)); });
  expect_one_section("walk", [&] { EXPECT_EQ(rf_walk(a, visit, nullptr), RF_OK); });
  expect_one_section("check", [&] { EXPECT_EQ(rf_check(a, nullptr), RF_OK); });
  expect_one_section("stats", [&] { rf_stats_get(a, &stats); });
  EXPECT_EQ(stats.blocks, 1U);
  expect_one_section("counters", [&] { rf_counters_get(a, &counters); });
  EXPECT_EQ(counters.blocks, 1U);
  expect_one_section("reject", [&] { EXPECT_EQ(rf_alloc(a, SIZE_MAX), nullptr); });
  expect_one_section("alloc in vain", [&] { EXPECT_EQ(rf_alloc(a, 2000), nullptr); });
  expect_one_section("free", [&] { EXPECT_EQ(rf_free(a, p), RF_OK); });
}

TEST_F(LockOrderTest, DeinitEndsTheMutexOnce) {
  mutexes_ended = 0;
  ended_in_use = false;
  rf_deinit(a);
  EXPECT_FALSE(ended_in_use);
  EXPECT_EQ(mutexes_ended, 1U);
  rf_deinit(a);
  EXPECT_EQ(mutexes_ended, 1U);
}

} // namespace
