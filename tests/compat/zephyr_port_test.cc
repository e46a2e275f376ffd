// The requests of Zephyr's calls to the port: what happens inside the lock, in which order locks are taken, how long is
// waited. The linker puts this file's functions in front of the port's, so that one thread plays all.
#include <zephyr/kernel.h>
#include <zephyr/sys/bitarray.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

// A program may have one of Zephyr's two calls that tell how urgent a thread is, and not the other.
extern "C" struct k_thread *k_current_get();
extern "C" struct k_thread *k_current_get() {
  return nullptr;
}

namespace {

std::vector<rf_mutex *> held;
std::vector<rf_mutex *> locked; // ever
std::function<void()> after_lock;
std::function<void()> after_unlock;
std::function<void(uint32_t)> during_wait;
bool is_late; // waits end by their time, whatever came
unsigned sets;
unsigned sets_without_lock;
uint64_t now_ns;

void call(const std::function<void()> &hook) {
  if (hook) {
    hook();
  }
}

} // namespace

extern "C" {
void __real_rf_mutex_lock(rf_mutex *mutex);
void __real_rf_mutex_unlock(rf_mutex *mutex);
void __real_rf_event_set(rf_event *event);
rf_status __real_rf_event_wait(rf_event *event, uint32_t timeout_ms);
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);
void __wrap_rf_event_set(rf_event *event);
rf_status __wrap_rf_event_wait(rf_event *event, uint32_t timeout_ms);
uint64_t __wrap_rf_port_now_ns();

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  ASSERT_EQ(std::count(held.begin(), held.end(), mutex), 0) << "waits for itself";
  __real_rf_mutex_lock(mutex);
  held.push_back(mutex);
  locked.push_back(mutex);
  call(after_lock);
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  held.erase(std::remove(held.begin(), held.end(), mutex), held.end());
  __real_rf_mutex_unlock(mutex);
  call(after_unlock);
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
  }
  ~ZephyrPort() override {
    after_lock = nullptr;
    after_unlock = nullptr;
    during_wait = nullptr;
    is_late = false;
    EXPECT_TRUE(held.empty());
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
  std::vector<rf_mutex *> order = {&bits.lock.mutex, &other_bits.lock.mutex};
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

// Whatever makes room wakes who waits, inside the lock: the event is on another thread's stack.
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

} // namespace
