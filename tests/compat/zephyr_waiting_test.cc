// Zephyr's calls that wait: each request is the same after the wait as before it, and no call waits that must not. The
// linker puts this file's functions in front of the port's, so that one thread plays all.
#include <ringfence/fault.h>
#include <zephyr/kernel.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"

extern struct k_heap _system_heap;

namespace {

std::function<void()> during_wait;  // none: a wait is a failure
std::function<void()> after_wait;   // its time is over, the lock is not held yet
std::function<void()> before_lock;  // once
std::function<void()> after_unlock; // once
unsigned waits;
unsigned sets;
unsigned ends; // of events
bool has_events = true;
bool in_interrupt;
uint64_t now_ns;
uint32_t last_timeout_ms;

} // namespace

extern "C" {
rf_status __real_rf_event_init(rf_event *event);
void __real_rf_event_deinit(rf_event *event);
void __real_rf_event_set(rf_event *event);
rf_status __real_rf_event_wait(rf_event *event, uint32_t timeout_ms);
void __real_rf_mutex_lock(rf_mutex *mutex);
void __real_rf_mutex_unlock(rf_mutex *mutex);
rf_status __wrap_rf_event_init(rf_event *event);
void __wrap_rf_event_deinit(rf_event *event);
void __wrap_rf_event_set(rf_event *event);
rf_status __wrap_rf_event_wait(rf_event *event, uint32_t timeout_ms);
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);
bool __wrap_rf_port_in_interrupt();
uint64_t __wrap_rf_port_now_ns();

rf_status __wrap_rf_event_init(rf_event *event) {
  return has_events ? __real_rf_event_init(event) : RF_ERR_NO_MEMORY;
}

void __wrap_rf_event_deinit(rf_event *event) {
  ends++;
  __real_rf_event_deinit(event);
}

void __wrap_rf_event_set(rf_event *event) {
  sets++;
  __real_rf_event_set(event);
}

rf_status __wrap_rf_event_wait(rf_event *event, uint32_t timeout_ms) {
  EXPECT_TRUE(during_wait) << "waits";
  waits++;
  last_timeout_ms = timeout_ms;
  if (during_wait) {
    during_wait();
  }
  rf_status const status = __real_rf_event_wait(event, 0);
  if (after_wait) {
    after_wait();
  }
  return status;
}

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  if (before_lock) {
    auto const once = std::move(before_lock);
    before_lock = nullptr;
    once();
  }
  __real_rf_mutex_lock(mutex);
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  __real_rf_mutex_unlock(mutex);
  if (after_unlock) {
    auto const once = std::move(after_unlock);
    after_unlock = nullptr;
    once();
  }
}

bool __wrap_rf_port_in_interrupt() {
  return in_interrupt;
}

uint64_t __wrap_rf_port_now_ns() {
  return now_ns;
}
}

namespace {

Unwatched const unwatched_here; // free blocks are written to

class ZephyrWaiting : public ::testing::Test {
protected:
  ZephyrWaiting() {
    waits = 0;
    now_ns = 1000000000;
    k_heap_init(&heap, memory, sizeof memory);
    for (void *&p : blocks) {
      p = k_heap_alloc(&heap, 104, K_NO_WAIT);
      std::memset(p, 0xcc, 104);
    }
  }
  ~ZephyrWaiting() override {
    during_wait = nullptr;
    after_wait = nullptr;
    before_lock = nullptr;
    after_unlock = nullptr;
    has_events = true;
    in_interrupt = false;
    EXPECT_EQ(heap.waiters, nullptr);
    EXPECT_TRUE(sys_heap_validate(&heap.heap));
    EXPECT_TRUE(faults.faults().empty());
  }

  size_t used() {
    struct sys_memory_stats stats = {};
    EXPECT_EQ(sys_heap_runtime_stats_get(&heap.heap, &stats), 0);
    return stats.allocated_bytes;
  }

  ringfence::testing::FaultRecorder faults;
  alignas(256) char memory[4 * 112];
  struct k_heap heap;
  void *blocks[4];
};

// ---- Heaps ----

// One that came later, and waits for more than there is, keeps the memory from none that came before.
TEST_F(ZephyrWaiting, AFreeWakesAllThatWait) {
  unsigned step = 0;
  unsigned woken = 0;
  during_wait = [&] {
    if (step++ == 0) {
      EXPECT_EQ(k_heap_alloc(&heap, sizeof memory / 2, K_MSEC(10)), nullptr);
    } else if (step == 2) {
      sets = 0;
      k_heap_free(&heap, blocks[0]);
      woken = sets;
      blocks[0] = nullptr;
    }
  };
  blocks[0] = k_heap_alloc(&heap, 104, K_MSEC(10));
  during_wait = nullptr;
  EXPECT_EQ(woken, 2U);
  EXPECT_NE(blocks[0], nullptr);
}

TEST_F(ZephyrWaiting, ClearedMemoryIsWaitedForAndCleared) {
  during_wait = [this] { k_heap_free(&heap, blocks[1]); };
  const char *const p = static_cast<char *>(k_heap_calloc(&heap, 1, 104, K_FOREVER));
  ASSERT_EQ(p, blocks[1]);
  EXPECT_EQ(std::count(p, p + 104, 0), 104);
  EXPECT_EQ(waits, 1U);
}

TEST_F(ZephyrWaiting, AnAlignmentIsKept) {
  during_wait = [this] {
    k_heap_free(&heap, blocks[1]);
    k_heap_free(&heap, blocks[2]);
  };
  void *const p = k_heap_aligned_alloc(&heap, 256, 8, K_FOREVER);
  EXPECT_EQ(p, memory + 256);
}

TEST_F(ZephyrWaiting, ABlockThatGrowsIsGivenUpForItsLargerSelf) {
  size_t const before = used();
  std::memset(blocks[0], 7, 104);
  during_wait = [this] {
    k_heap_free(&heap, blocks[2]);
    k_heap_free(&heap, blocks[3]);
  };
  auto *const p = static_cast<char *>(k_heap_realloc(&heap, blocks[0], 200, K_FOREVER));
  ASSERT_EQ(p, blocks[2]);
  EXPECT_EQ(std::count(p, p + 104, 7), 104);
  EXPECT_EQ(used(), before - 3 * 104 + 200);
}

// The block that moved leaves room for a second one that waits.
TEST_F(ZephyrWaiting, ABlockThatMovedAfterItsWaitWakesTheNextOne) {
  void *grown = nullptr;
  unsigned sets_of_frees = 0;
  during_wait = [&] {
    if (waits == 1) {
      grown = k_heap_realloc(&heap, blocks[0], 200, K_FOREVER);
      EXPECT_EQ(sets, sets_of_frees + 1);
    } else {
      k_heap_free(&heap, blocks[2]);
      k_heap_free(&heap, blocks[3]);
      sets_of_frees = sets;
    }
  };
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_FOREVER), blocks[0]);
  EXPECT_EQ(grown, blocks[2]);
  EXPECT_EQ(waits, 2U);
}

// A waiter is in the list before the lock is released, and stays there as long as it has its event.
TEST_F(ZephyrWaiting, AFreeAtTheFirstOrLastMomentFindsWhoWaits) {
  during_wait = [] {};
  unsigned before = sets;
  after_unlock = [this] { k_heap_free(&heap, blocks[1]); };
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_FOREVER), blocks[1]);
  EXPECT_EQ(sets, before + 1);
  before = ends;
  after_wait = [&] {
    after_wait = nullptr;
    k_heap_free(&heap, blocks[2]);
    EXPECT_EQ(ends, before) << "the event that is set then";
  };
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_FOREVER), blocks[2]);
  before = ends;
  after_wait = [&] {
    after_wait = nullptr;
    before_lock = [&] {
      EXPECT_EQ(ends, before);
      k_heap_free(&heap, blocks[3]);
    };
  };
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_FOREVER), blocks[3]);
}

// Between the end of the time and the lock.
TEST_F(ZephyrWaiting, MemoryThatArrivesWithTheEndOfTheTimeIsTaken) {
  during_wait = [] { now_ns += 20000000; };
  after_wait = [this] {
    after_wait = nullptr;
    k_heap_free(&heap, blocks[1]);
  };
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_MSEC(20)), blocks[1]);
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_MSEC(20)), nullptr);
  EXPECT_EQ(waits, 2U);
}

// A port without a clock, where no time is ever over by it.
TEST_F(ZephyrWaiting, WithoutAClockOneWaitIsEnough) {
  now_ns = 0;
  during_wait = [] {};
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_MSEC(20)), nullptr);
  EXPECT_EQ(waits, 1U);
}

TEST_F(ZephyrWaiting, TheTimeForTheLockIsPartOfIt) {
  during_wait = [] { now_ns += 15000000; };
  before_lock = [] { now_ns += 5000000; };
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_MSEC(20)), nullptr);
  EXPECT_EQ(last_timeout_ms, 15U);
}

TEST_F(ZephyrWaiting, NobodyWaitsWithoutAnEvent) {
  has_events = false;
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_FOREVER), nullptr);
  EXPECT_EQ(heap.waiters, nullptr);
}

TEST_F(ZephyrWaiting, NobodyWaitsInAnInterrupt) {
  in_interrupt = true;
  EXPECT_EQ(k_heap_alloc(&heap, 104, K_FOREVER), nullptr);
}

// Figures are looked at once whoever is inside the heap has left it; a listener's or checker's caller is inside itself.
TEST_F(ZephyrWaiting, FiguresWaitForAnotherThreadInsideTheHeap) {
  std::function<void(struct sys_heap *)> const calls[] = {
      [this](struct sys_heap *h) { EXPECT_EQ(sys_heap_usable_size(h, blocks[0]), 104U); },
      [](struct sys_heap *h) { EXPECT_TRUE(sys_heap_validate(h)); },
      [](struct sys_heap *h) { sys_heap_print_info(h, false); },
      [](struct sys_heap *h) {
        struct sys_memory_stats stats;
        EXPECT_EQ(sys_heap_runtime_stats_get(h, &stats), 0);
      },
      [](struct sys_heap *h) { EXPECT_EQ(sys_heap_runtime_stats_reset_max(h), 0); },
  };
  for (auto const &call : calls) {
    SCOPED_TRACE(&call - calls);
    for (uint32_t const whose : {1U, 0U}) {
      bool locks = false;
      heap.lock.holder = rf_port_thread_id() + whose;
      before_lock = [&] { locks = true; };
      call(&heap.heap);
      EXPECT_EQ(locks, whose != 0);
      before_lock = nullptr;
    }
    heap.lock.holder = 0;
  }
}

TEST_F(ZephyrWaiting, TheProgramsHeapIsNotWaitedFor) {
  std::vector<void *> all;
  for (void *p; (p = k_malloc(1000)) != nullptr;) {
    all.push_back(p);
  }
  EXPECT_EQ(k_calloc(10, 100), nullptr);
  EXPECT_EQ(k_aligned_alloc(64, 1000), nullptr);
  EXPECT_EQ(k_realloc(all[0], 2000), nullptr);
  std::for_each(all.begin(), all.end(), k_free);
}

// ---- Slabs ----

class ZephyrWaitingSlab : public ZephyrWaiting {
protected:
  ZephyrWaitingSlab() {
    EXPECT_EQ(k_mem_slab_init(&slab, slab_memory, 16, 2), 0);
    for (void *&p : taken) {
      EXPECT_EQ(k_mem_slab_alloc(&slab, &p, K_NO_WAIT), 0);
    }
  }

  alignas(8) char slab_memory[32];
  struct k_mem_slab slab;
  void *taken[2];
};

TEST_F(ZephyrWaitingSlab, NobodyWaitsWithoutAnEvent) {
  void *block = memory;
  has_events = false;
  EXPECT_EQ(k_mem_slab_alloc(&slab, &block, K_FOREVER), -ENOMEM);
  EXPECT_EQ(block, nullptr);
  EXPECT_EQ(slab.waiters, nullptr);
}

// Older code passes milliseconds.
TEST_F(ZephyrWaitingSlab, MinusOneMillisecondIsForEverAndNoTimeIsNoWait) {
  void *block = memory;
  during_wait = [] {};
  EXPECT_EQ(k_mem_slab_alloc(&slab, &block, -1), -EAGAIN);
  EXPECT_EQ(last_timeout_ms, RF_WAIT_FOREVER);
  during_wait = nullptr;
  EXPECT_EQ(k_mem_slab_alloc(&slab, &block, K_MSEC(-1)), -ENOMEM);
}

TEST_F(ZephyrWaitingSlab, NobodyWaitsInAnInterrupt) {
  void *block = memory;
  in_interrupt = true;
  EXPECT_EQ(k_mem_slab_alloc(&slab, &block, K_FOREVER), -ENOMEM);
  EXPECT_EQ(block, nullptr);
}

TEST_F(ZephyrWaitingSlab, AnOverwrittenBlockIsNoReasonToWait) {
  void *block = memory;
  k_mem_slab_free(&slab, taken[1]);
  static_cast<char *>(taken[1])[2] ^= 1;
  EXPECT_EQ(k_mem_slab_alloc(&slab, &block, K_FOREVER), -EFAULT);
  ASSERT_EQ(faults.faults().size(), 1U);
  EXPECT_EQ(faults.faults()[0].ptr, taken[1]);
  EXPECT_EQ(faults.take(), RF_ERR_CORRUPT);
}

TEST_F(ZephyrWaitingSlab, APointerThatIsNoBlockIsNotPassedOn) {
  void *block = memory;
  during_wait = [this] {
    k_mem_slab_free(&slab, static_cast<char *>(taken[0]) + 8);
    EXPECT_EQ(faults.take(), RF_ERR_BAD_POINTER);
    k_mem_slab_free(&slab, memory);
    EXPECT_EQ(faults.take(), RF_ERR_BAD_POINTER);
    k_mem_slab_free(&slab, taken[1]);
  };
  EXPECT_EQ(k_mem_slab_alloc(&slab, &block, K_FOREVER), 0);
  EXPECT_EQ(block, taken[1]);
}

} // namespace
