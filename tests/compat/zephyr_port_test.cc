// The requests of Zephyr's calls to the port: what happens inside the lock, in which order locks are taken, how long is
// waited. The linker puts this file's functions in front of the port's, so that one thread plays all.
#include <ringfence/fault.h>
#include <ringfence/watch.h>
#include <zephyr/kernel.h>
#include <zephyr/multi_heap/shared_multi_heap.h>
#include <zephyr/sys/bitarray.h>
#include <zephyr/sys/heap_listener.h>
#include <zephyr/sys/mem_blocks.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "tests/core/held_mutexes.h"
#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"

// A program may have one of Zephyr's two calls that tell how urgent a thread is, and not the other.
extern "C" struct k_thread *k_current_get();
extern "C" struct k_thread *k_current_get() {
  return nullptr;
}

namespace {

using ringfence::after_lock;
using ringfence::after_unlock;
using ringfence::held;
using ringfence::locked;

std::vector<rf_mutex *> made; // ever
int events;                   // that are in use
std::function<void(uint32_t)> during_wait;
bool is_late; // waits end by their time, whatever came
unsigned sets;
unsigned sets_without_lock;
uint64_t now_ns;

} // namespace

extern "C" {
rf_status __real_rf_mutex_init(rf_mutex *mutex);
rf_status __real_rf_event_init(rf_event *event);
void __real_rf_event_deinit(rf_event *event);
void __real_rf_event_set(rf_event *event);
rf_status __real_rf_event_wait(rf_event *event, uint32_t timeout_ms);
rf_status __wrap_rf_mutex_init(rf_mutex *mutex);
rf_status __wrap_rf_event_init(rf_event *event);
void __wrap_rf_event_deinit(rf_event *event);
void __wrap_rf_event_set(rf_event *event);
rf_status __wrap_rf_event_wait(rf_event *event, uint32_t timeout_ms);
uint64_t __wrap_rf_port_now_ns();

rf_status __wrap_rf_mutex_init(rf_mutex *mutex) {
  made.push_back(mutex);
  return __real_rf_mutex_init(mutex);
}

rf_status __wrap_rf_event_init(rf_event *event) {
  events++;
  return __real_rf_event_init(event);
}

void __wrap_rf_event_deinit(rf_event *event) {
  events--;
  __real_rf_event_deinit(event);
}

void __wrap_rf_event_set(rf_event *event) {
  sets++;
  sets_without_lock += held.empty() ? 1 : 0;
  __real_rf_event_set(event);
}

rf_status __wrap_rf_event_wait(rf_event *event, uint32_t timeout_ms) {
  EXPECT_TRUE(held.empty()) << "waits with a lock";
  if (during_wait) {
    during_wait(timeout_ms);
  }
  rf_status const status = __real_rf_event_wait(event, 0);
  return is_late ? RF_ERR_TIMEOUT : status;
}

uint64_t __wrap_rf_port_now_ns() {
  return now_ns;
}
}

namespace {

class ZephyrPort : public ::testing::Test {
protected:
  ZephyrPort() {
    sets = 0;
    sets_without_lock = 0;
    now_ns = 1000000000;
    locked.clear();
    made.clear();
  }
  ~ZephyrPort() override {
    after_lock = nullptr;
    after_unlock = nullptr;
    during_wait = nullptr;
    is_late = false;
    EXPECT_TRUE(held.empty());
    EXPECT_EQ(events, 0);
  }
};

// ---- Arrays of bits: one locked section each ----

SYS_BITARRAY_DEFINE_STATIC(bits, 96);
SYS_BITARRAY_DEFINE_STATIC(other_bits, 96);

void fill(uint32_t with) {
  std::fill(bits.bundles, bits.bundles + 3, with);
  std::fill(other_bits.bundles, other_bits.bundles + 3, ~with);
}

struct BitCall {
  const char *name;
  std::function<size_t()> run; // all that it answers
};

template <typename Call> size_t with_size(Call call) {
  size_t out = 1000;
  auto const status = static_cast<unsigned>(call(&out));
  return out * 1000 + status % 1000;
}

template <typename Call> size_t with_int(Call call) {
  int out = 1000;
  auto const status = static_cast<unsigned>(call(&out));
  return static_cast<size_t>(out) * 1000 + status % 1000;
}

std::vector<BitCall> bit_calls() {
  return {
      {"set_bit", [] { return static_cast<size_t>(sys_bitarray_set_bit(&bits, 40)); }},
      {"clear_bit", [] { return static_cast<size_t>(sys_bitarray_clear_bit(&bits, 41)); }},
      {"test_and_set_bit", [] { return with_int([](int *v) { return sys_bitarray_test_and_set_bit(&bits, 40, v); }); }},
      {"test_and_clear_bit",
       [] { return with_int([](int *v) { return sys_bitarray_test_and_clear_bit(&bits, 41, v); }); }},
      {"alloc", [] { return with_size([](size_t *at) { return sys_bitarray_alloc(&bits, 2, at); }); }},
      {"free", [] { return static_cast<size_t>(sys_bitarray_free(&bits, 4, 32)); }},
      {"is_region_set", [] { return static_cast<size_t>(sys_bitarray_is_region_set(&bits, 4, 32)); }},
      {"is_region_cleared", [] { return static_cast<size_t>(sys_bitarray_is_region_cleared(&bits, 4, 36)); }},
      {"set_region", [] { return static_cast<size_t>(sys_bitarray_set_region(&bits, 50, 20)); }},
      {"clear_region", [] { return static_cast<size_t>(sys_bitarray_clear_region(&bits, 50, 20)); }},
      {"test_and_set_region", [] { return static_cast<size_t>(sys_bitarray_test_and_set_region(&bits, 4, 36, true)); }},
      {"popcount_region",
       [] { return with_size([](size_t *n) { return sys_bitarray_popcount_region(&bits, 60, 10, n); }); }},
      {"xor", [] { return static_cast<size_t>(sys_bitarray_xor(&bits, &other_bits, 60, 10)); }},
      {"find_nth_set",
       [] { return with_size([](size_t *at) { return sys_bitarray_find_nth_set(&bits, 9, 60, 10, at); }); }},
  };
}

// Others write to the array until the lock is held and as soon as it is let go of: nothing of that is seen.
TEST_F(ZephyrPort, CallsOnBitsLookAndChangeInsideTheLock) {
  for (const BitCall &each : bit_calls()) {
    fill(0x0f0f0f0f);
    size_t const expected = each.run();
    std::vector<uint32_t> const left(bits.bundles, bits.bundles + 3);
    std::vector<uint32_t> found;
    fill(0xaaaaaaaa);
    after_lock = [] { fill(0x0f0f0f0f); };
    after_unlock = [&found] {
      if (held.empty()) {
        found.assign(bits.bundles, bits.bundles + 3);
        fill(0x55555555);
      }
    };
    EXPECT_EQ(each.run(), expected) << each.name;
    EXPECT_EQ(found, left) << each.name;
    after_lock = nullptr;
    after_unlock = nullptr;
  }
}

TEST_F(ZephyrPort, TwoArraysAreLockedInOrderOfTheirAddresses) {
  std::vector<const rf_mutex *> order = {&bits.lock.mutex, &other_bits.lock.mutex};
  std::sort(order.begin(), order.end());
  EXPECT_EQ(sys_bitarray_xor(&bits, &other_bits, 1, 0), 0);
  EXPECT_EQ(locked, order);
  locked.clear();
  EXPECT_EQ(sys_bitarray_xor(&other_bits, &bits, 1, 0), 0);
  EXPECT_EQ(locked, order);
}

// ---- Kernel heaps ----

class ZephyrPortHeap : public ZephyrPort {
protected:
  ZephyrPortHeap() { fill_anew(); }

  void fill_anew() {
    k_heap_init(&heap, memory, sizeof memory);
    for (void *&p : blocks) {
      p = k_heap_alloc(&heap, 104, K_NO_WAIT);
    }
    EXPECT_EQ(k_heap_alloc(&heap, 104, K_NO_WAIT), nullptr);
  }

  alignas(8) char memory[4 * 112];
  struct k_heap heap;
  void *blocks[4];
};

TEST_F(ZephyrPortHeap, TheLockIsMadeWithTheHeap) {
  EXPECT_EQ(made, std::vector<rf_mutex *>{&heap.lock.mutex});
}

// A call that makes room wakes who waits, inside the lock: the event is on another thread's stack.
TEST_F(ZephyrPortHeap, WhateverGivesMemoryBackWakesWhoWaits) {
  std::function<void()> const calls[] = {
      [this] { k_heap_free(&heap, blocks[0]); },
      [this] { EXPECT_EQ(k_heap_realloc(&heap, blocks[1], 0, K_NO_WAIT), nullptr); },
      [this] { EXPECT_EQ(k_heap_realloc(&heap, blocks[2], 40, K_NO_WAIT), blocks[2]); },
  };
  for (auto const &give : calls) {
    unsigned waits = 0;
    fill_anew();
    during_wait = [&](uint32_t) {
      waits++;
      give();
    };
    EXPECT_NE(k_heap_alloc(&heap, 56, K_FOREVER), nullptr);
    EXPECT_EQ(waits, 1U);
    EXPECT_EQ(heap.waiters, nullptr);
  }
  EXPECT_EQ(sets, 3U);
  EXPECT_EQ(sets_without_lock, 0U);
}

TEST_F(ZephyrPortHeap, WhoIsWokenInVainWaitsForTheRestOfTheTime) {
  std::vector<uint32_t> waits;
  during_wait = [&](uint32_t timeout_ms) {
    waits.push_back(timeout_ms);
    now_ns += waits.size() == 1 ? 7000001 : 13000000;
    if (waits.size() == 1) {
      EXPECT_EQ(k_heap_realloc(&heap, blocks[0], 96, K_NO_WAIT), blocks[0]); // too little
    }
  };
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_MSEC(20)), nullptr);
  EXPECT_EQ(waits, (std::vector<uint32_t>{20, 13}));
  EXPECT_EQ(heap.waiters, nullptr);
}

TEST_F(ZephyrPortHeap, TimesAreAskedForInMilliseconds) {
  struct {
    k_timeout_t timeout;
    uint32_t asked;
  } const cases[] = {
      {K_MSEC(1), 1},
      {K_SECONDS(3), 3000},
      {K_FOREVER, RF_WAIT_FOREVER},
      {K_TICKS(INT64_C(1) << 33), RF_WAIT_FOREVER - 1},
  };
  for (auto const &c : cases) {
    std::vector<uint32_t> waits;
    during_wait = [&](uint32_t timeout_ms) { waits.push_back(timeout_ms); };
    EXPECT_EQ(k_heap_alloc(&heap, 104, c.timeout), nullptr);
    EXPECT_EQ(waits, std::vector<uint32_t>{c.asked});
  }
  during_wait = [](uint32_t) { FAIL() << "waits"; };
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_NO_WAIT), nullptr);
  EXPECT_EQ(k_heap_alloc(&heap, sizeof memory + 1, K_FOREVER), nullptr);
  EXPECT_EQ(k_heap_realloc(&heap, blocks[0], 0, K_FOREVER), nullptr);
}

// Longer than the port's clock can tell.
TEST_F(ZephyrPortHeap, ATimeThatNeverComesIsWaitedForAsForEver) {
  std::vector<uint32_t> waits;
  during_wait = [&](uint32_t timeout_ms) { waits.push_back(timeout_ms); };
  for (k_ticks_t const ticks : {INT64_MAX, INT64_MAX / 1000000 + 1, k_ticks_t{18446744073710}}) {
    EXPECT_EQ(k_heap_alloc(&heap, 104, K_TICKS(ticks)), nullptr);
  }
  EXPECT_EQ(waits, std::vector<uint32_t>(3, RF_WAIT_FOREVER));
}

// There will be no more memory for it, however long somebody waits.
TEST_F(ZephyrPortHeap, WhatIsRefusedIsNotWaitedFor) {
  ringfence::testing::FaultRecorder faults;
  int local = 0;
  during_wait = [](uint32_t) { FAIL() << "waits"; };
  EXPECT_EQ(k_heap_aligned_alloc(&heap, 24, 8, K_FOREVER), nullptr);
  EXPECT_EQ(k_heap_realloc(&heap, &local, 8, K_FOREVER), nullptr);
  EXPECT_EQ(faults.take(), RF_ERR_BAD_POINTER);
  k_heap_free(&heap, blocks[0]);
  EXPECT_EQ(k_heap_realloc(&heap, blocks[0], 8, K_FOREVER), nullptr);
  EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(k_heap_alloc(&heap, sizeof memory - 7, K_FOREVER), nullptr);
  unsigned waits = 0;
  during_wait = [&waits](uint32_t) { waits++; };
  EXPECT_EQ(k_heap_alloc(&heap, sizeof memory - 8, K_FOREVER), nullptr); // all of an empty heap
  EXPECT_EQ(waits, 1U);
  during_wait = [](uint32_t) { FAIL() << "waits"; };
  k_heap_init(&heap, memory, 4);
  EXPECT_EQ(k_heap_alloc(&heap, 1, K_FOREVER), nullptr);
}

// ---- Slabs ----

class ZephyrPortSlab : public ZephyrPort {
protected:
  ZephyrPortSlab() {
    EXPECT_EQ(k_mem_slab_init(&slab, memory, 16, 1), 0);
    EXPECT_EQ(k_mem_slab_alloc(&slab, &taken, K_NO_WAIT), 0);
  }

  alignas(8) char memory[16];
  struct k_mem_slab slab;
  void *taken = nullptr;
};

TEST_F(ZephyrPortSlab, TheLockIsMadeWithTheSlab) {
  EXPECT_EQ(made, std::vector<rf_mutex *>{&slab.lock.mutex});
}

#if RF_WATCH
std::string the_heard;

template <char event> void hear(const rf_watched_pool *pool, void *first, size_t count, const rf_site *, const void *) {
  the_heard += event + std::to_string((static_cast<char *>(first) - reinterpret_cast<char *>(pool->start)) / 16) + ":" +
               std::to_string(count) + " ";
}

TEST_F(ZephyrPortSlab, AWatcherHearsThatABlockGoesToWhoWaits) {
  rf_watcher const watcher = {hear<'b'>, hear<'b'>, hear<'e'>, hear<'a'>, hear<'c'>, hear<'f'>};
  const rf_watcher *const before = __atomic_exchange_n(&rf_watcher_of_process, &watcher, __ATOMIC_ACQ_REL);
  void *block = nullptr;
  the_heard.clear();
  during_wait = [this](uint32_t) { k_mem_slab_free(&slab, taken); };
  EXPECT_EQ(k_mem_slab_alloc(&slab, &block, K_MSEC(5)), 0);
  __atomic_store_n(&rf_watcher_of_process, before, __ATOMIC_RELEASE);
  EXPECT_EQ(the_heard, "f0:1 a0:1 ");
}
#endif

// A block that arrives when the time is over, but the waiting thread has not been back yet, is that thread's.
TEST_F(ZephyrPortSlab, ABlockThatArrivesWithTheEndOfTheTimeIsTaken) {
  void *block = nullptr;
  is_late = true;
  during_wait = [this](uint32_t) { k_mem_slab_free(&slab, taken); };
  EXPECT_EQ(k_mem_slab_alloc(&slab, &block, K_MSEC(5)), 0);
  EXPECT_EQ(block, taken);
  EXPECT_EQ(slab.waiters, nullptr);
  EXPECT_EQ(sets, 1U);
  EXPECT_EQ(sets_without_lock, 0U);
  during_wait = nullptr;
  EXPECT_EQ(k_mem_slab_alloc(&slab, &block, K_MSEC(5)), -EAGAIN);
  EXPECT_EQ(block, nullptr);
  EXPECT_EQ(slab.waiters, nullptr);
}

TEST_F(ZephyrPortSlab, TimesAreAskedForInMilliseconds) {
  void *block;
  std::vector<uint32_t> waits;
  during_wait = [&](uint32_t timeout_ms) { waits.push_back(timeout_ms); };
  for (k_timeout_t const timeout : {K_USEC(1), K_SECONDS(2), K_HOURS(1), K_FOREVER, K_TICKS(INT64_C(1) << 33)}) {
    EXPECT_EQ(k_mem_slab_alloc(&slab, &block, timeout), -EAGAIN);
  }
  EXPECT_EQ(waits, (std::vector<uint32_t>{1, 2000, 3600000, RF_WAIT_FOREVER, RF_WAIT_FOREVER - 1}));
  EXPECT_EQ(k_mem_slab_alloc(&slab, &block, K_NO_WAIT), -ENOMEM);
  EXPECT_EQ(waits.size(), 5U);
}

TEST_F(ZephyrPortSlab, FiguresAreReadAndResetInsideTheLock) {
  struct sys_memory_stats stats;
  uint32_t left = 99;
  auto const others = [this](uint32_t used, uint32_t most) {
    slab.info.num_used = used;
    slab.info.max_used = most;
  };
  others(9, 9);
  after_lock = [&] { others(0, 1); };
  EXPECT_EQ(k_mem_slab_runtime_stats_get(&slab, &stats), 0);
  EXPECT_EQ(stats.allocated_bytes, 0U);
  EXPECT_EQ(stats.max_allocated_bytes, 16U);
  others(9, 9);
  after_unlock = [&] {
    left = slab.info.max_used;
    others(9, 9);
  };
  EXPECT_EQ(k_mem_slab_runtime_stats_reset_max(&slab), 0);
  EXPECT_EQ(left, 0U);
}

// ---- Groups ----

// This program has no handler for a panic.
TEST_F(ZephyrPort, AGroupWithoutRoomIsAFaultWhereNobodyHandlesPanics) {
  ringfence::testing::FaultRecorder faults;
  sys_multi_mem_blocks_t group;
  sys_multi_mem_blocks_init(&group, nullptr);
  sys_multi_mem_blocks_add_allocator(&group, nullptr);
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
  EXPECT_EQ(group.num_allocators, 0);
}

// ---- Listeners ----

unsigned heard;

struct heap_listener listener_of(uintptr_t heap_id) {
  return {nullptr, heap_id, HEAP_ALLOC, {[](uintptr_t, void *, size_t) { heard++; }}};
}

// Until the lock is held another listener is the only one, and again once it is free.
TEST_F(ZephyrPort, ListenersComeAndGoAndAreFoundInsideTheLock) {
  struct heap_listener others = listener_of(1);
  struct heap_listener first = listener_of(2);
  struct heap_listener second = listener_of(2);
  struct heap_listener *list = &first;
  auto const outside = [&] { rf_zephyr_listeners = &others; };
  outside();
  after_lock = [&] { rf_zephyr_listeners = list; };
  after_unlock = [&] {
    list = rf_zephyr_listeners;
    outside();
  };
  heap_listener_register(&second);
  EXPECT_EQ(list, &first);
  EXPECT_EQ(first.node, &second);
  EXPECT_EQ(others.node, nullptr);
  heap_listener_notify_alloc(2, nullptr, 1);
  EXPECT_EQ(heard, 2U);
  heap_listener_unregister(&first);
  EXPECT_EQ(list, &second);
  rf_zephyr_listeners = nullptr;
}

// ---- All heaps ----

// Another thread has put the heap into the first place, and not yet what belongs there.
TEST_F(ZephyrPort, HeapsAreListedInsideTheLock) {
  struct sys_heap heaps[2] = {};
  struct sys_heap **array = nullptr;
  EXPECT_EQ(sys_heap_array_save(&heaps[0]), 0);
  int const count = sys_heap_array_get(&array);
  ASSERT_GE(count, 1);
  struct sys_heap *const first = array[0];
  array[0] = &heaps[1];
  after_lock = [&] { array[0] = first; };
  EXPECT_EQ(sys_heap_array_save(&heaps[1]), 0);
  EXPECT_EQ(sys_heap_array_get(&array), count + 1);
  EXPECT_EQ(array[count], &heaps[1]);
}

// The memory is all zeros until the lock is held, and again once it is free.
TEST_F(ZephyrPort, TheSharedMultiHeapIsUsedInsideTheLock) {
  Unwatched const unwatched_here; // the heap is copied as a whole
  alignas(8) static char memory[1024];
  std::vector<char> inside(sizeof memory);
  EXPECT_EQ(shared_multi_heap_pool_init(), 0);
  EXPECT_EQ(locked.size(), 1U);
  after_lock = [&] {
    if (held.size() == 1) {
      std::copy(inside.begin(), inside.end(), memory);
    }
  };
  after_unlock = [&] {
    if (held.empty()) {
      inside.assign(memory, memory + sizeof memory);
      std::fill(memory, memory + sizeof memory, 0);
    }
  };
  struct shared_multi_heap_region region = {SMH_REG_ATTR_CACHEABLE, reinterpret_cast<uintptr_t>(memory), sizeof memory};
  unsigned faults = 0;
  rf_fault_handler_set([](const rf_fault *, void *count) { ++*static_cast<unsigned *>(count); }, &faults);
  EXPECT_EQ(shared_multi_heap_add(&region, nullptr), 0);
  EXPECT_NE(std::count(inside.begin(), inside.end(), 0), 1024);
  void *const block = shared_multi_heap_alloc(SMH_REG_ATTR_CACHEABLE, 900);
  EXPECT_NE(block, nullptr);
  EXPECT_EQ(shared_multi_heap_alloc(SMH_REG_ATTR_CACHEABLE, 900), nullptr);
  shared_multi_heap_free(block);
  EXPECT_EQ(shared_multi_heap_alloc(SMH_REG_ATTR_CACHEABLE, 900), block);
  EXPECT_EQ(std::count(memory, memory + sizeof memory, 0), 1024);
  EXPECT_EQ(faults, 0U);
  rf_fault_handler_set(nullptr, nullptr);
}

} // namespace
