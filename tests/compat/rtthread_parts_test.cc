// RT-Thread: how long is waited, which hooks and checkers see what and when, and threads that keep their errors and
// names apart. The linker puts this file's functions in front of the port's.
#include <rtthread.h>

#include <gtest/gtest.h>

#include <climits>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/core/unwatched.h"

namespace {

std::vector<uint32_t> waits;
bool is_played;  // no wait takes any time
uint64_t now_ns; // 0: as the system says
std::function<void()> after_unlock;
thread_local int locks; // held

} // namespace

extern "C" {
void __real_rf_mutex_lock(rf_mutex *mutex);
void __real_rf_mutex_unlock(rf_mutex *mutex);
rf_status __real_rf_event_wait(rf_event *event, uint32_t timeout_ms);
uint64_t __real_rf_port_now_ns();
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);
rf_status __wrap_rf_event_wait(rf_event *event, uint32_t timeout_ms);
uint64_t __wrap_rf_port_now_ns();

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  __real_rf_mutex_lock(mutex);
  locks++;
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  locks--;
  __real_rf_mutex_unlock(mutex);
  if (after_unlock && locks == 0) {
    auto const once = std::move(after_unlock);
    after_unlock = nullptr;
    once();
  }
}

rf_status __wrap_rf_event_wait(rf_event *event, uint32_t timeout_ms) {
  waits.push_back(timeout_ms);
  return __real_rf_event_wait(event, is_played ? 0 : timeout_ms);
}

uint64_t __wrap_rf_port_now_ns() {
  return now_ns != 0 ? now_ns : __real_rf_port_now_ns();
}
}

namespace {

Unwatched const unwatched_here;

class RtThreadParts : public ::testing::Test {
protected:
  RtThreadParts() {
    console.write = [](void *self, const char *text, size_t len) {
      static_cast<RtThreadParts *>(self)->printed.append(text, len);
    };
    console.context = this;
    rf_rt_console_set(&console);
    rt_system_heap_init(memory, memory + sizeof memory);
    memset(static_cast<void *>(&pool), 0, sizeof pool);
    EXPECT_EQ(RT_EOK, rt_mp_init(&pool, "pool", pool_memory, sizeof pool_memory, 56));
    waits.clear();
    is_played = true;
  }
  ~RtThreadParts() override {
    is_played = false;
    (void)rt_mp_detach(&pool);
    rt_system_heap_init(RT_NULL, RT_NULL);
    rf_rt_console_set(nullptr);
  }

  rf_sink console;
  std::string printed;
  alignas(16) unsigned char memory[8192];
  alignas(16) unsigned char own[4096];
  alignas(8) unsigned char pool_memory[64];
  struct rt_mempool pool;
};

// ---- Pools ----

// Ticks are milliseconds; 50 days of them are no fewer.
TEST_F(RtThreadParts, ATakerWaitsAsLongAsItSays) {
  void *const block = rt_mp_alloc(&pool, 0);
  ASSERT_NE(nullptr, block);
  for (rt_int32_t const time : {1, 20, 5000000, INT_MAX, RT_WAITING_FOREVER, INT_MIN}) {
    EXPECT_EQ(nullptr, rt_mp_alloc(&pool, time));
  }
  EXPECT_EQ((std::vector<uint32_t>{1, 20, 5000000, INT_MAX, RF_WAIT_FOREVER, RF_WAIT_FOREVER}), waits);
  rt_mp_free(block);
}

TEST_F(RtThreadParts, TicksAreWholeMilliseconds) {
  now_ns = 7999999;
  EXPECT_EQ(7U, rt_tick_get());
  EXPECT_EQ(7U, rt_tick_get_millisecond());
  now_ns = 0;
  for (rt_int32_t const ms : {2147483, 2147484, 5000000, INT_MAX}) {
    EXPECT_EQ(static_cast<rt_tick_t>(ms), rt_tick_from_millisecond(ms));
  }
}

TEST_F(RtThreadParts, APoolOfMoreBytesThanThereCanBeIsNotCreated) {
  rt_size_t const stride = 80 + sizeof(rt_uint8_t *);
  EXPECT_EQ(nullptr, rt_mp_create("pool", SIZE_MAX / stride + 2, 80));
  EXPECT_EQ(nullptr, rt_mp_create("pool", 1, SIZE_MAX - 4));
}

TEST_F(RtThreadParts, ABlockThatIsThereEndsAnError) {
  rt_set_errno(-RT_ENOMEM);
  rt_mp_free(rt_mp_alloc(&pool, 0));
  EXPECT_EQ(RT_EOK, rt_get_errno());
}

TEST_F(RtThreadParts, AThreadHasItsOwnError) {
  rt_set_errno(-RT_EBUSY);
  std::thread other([] {
    EXPECT_EQ(RT_EOK, rt_get_errno());
    rt_set_errno(-RT_EIO);
  });
  other.join();
  EXPECT_EQ(-RT_EBUSY, rt_get_errno());
  rt_set_errno(RT_EOK);
}

rt_size_t free_in_hook;

TEST_F(RtThreadParts, AFreeHooksBlockIsStillTaken) {
  rt_mp_free_sethook([](struct rt_mempool *mp, void *) {
    rf_mempool_info info;
    rf_mempool_info_get(&mp->pool, &info);
    free_in_hook = info.free_blocks;
  });
  free_in_hook = 99;
  rt_mp_free(rt_mp_alloc(&pool, 0));
  rt_mp_free_sethook(RT_NULL);
  EXPECT_EQ(0U, free_in_hook);
}

// From the moment on in which it ends nobody finds it.
TEST_F(RtThreadParts, APoolThatEndsIsInNoList) {
  after_unlock = [] { EXPECT_EQ(nullptr, rt_object_find("pool", RT_Object_Class_MemPool)); };
  EXPECT_EQ(RT_EOK, rt_mp_detach(&pool));
  EXPECT_FALSE(after_unlock);
}

// ---- Heaps ----

unsigned ended;

// A checker's end looks at the heap, which other threads do not find any more.
TEST_F(RtThreadParts, AHeapThatEndsIsInNoList) {
  static rf_allocator_ops ops;
  rf_rt_wrap_set(
      [](rf_allocator *heap, const char *, void *) {
        ops = *heap->ops;
        ops.deinit = [](rf_allocator *) {
          ended++;
          EXPECT_EQ(nullptr, rt_object_find("own", RT_Object_Class_Memory));
          EXPECT_EQ(nullptr, rt_object_find("own", RT_Object_Class_MemHeap));
        };
        heap->ops = &ops;
        return heap;
      },
      nullptr);
  ended = 0;
  EXPECT_EQ(RT_EOK, rt_smem_detach(rt_smem_init("own", own, sizeof own)));
  struct rt_memheap memheap = {};
  EXPECT_EQ(RT_EOK, rt_memheap_init(&memheap, "own", own, sizeof own));
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&memheap));
  rf_rt_wrap_set(nullptr, nullptr);
  EXPECT_EQ(2U, ended);
}

// A heap of another kind has no pages.
TEST_F(RtThreadParts, PagesOfWhatIsNoSlabAreRefused) {
  rt_smem_t const m = rt_smem_init("own", own, sizeof own);
  unsigned faults = 0;
  rf_fault_handler_set([](const rf_fault *, void *count) { ++*static_cast<unsigned *>(count); }, &faults);
  rt_slab_page_free(m, memory, 1);
  EXPECT_EQ(1U, faults);
  rt_slab_page_free(m, RT_NULL, 1);
  EXPECT_EQ(1U, faults);
  EXPECT_EQ(nullptr, rt_slab_page_alloc(m, 1));
  rf_fault_handler_set(nullptr, nullptr);
  EXPECT_EQ(0, memcheck(0, nullptr));
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
}

TEST_F(RtThreadParts, MemoryWithoutAByteIsNoHeapAndSaidToBeNone) {
  printed.clear();
  rt_system_heap_init(memory, memory);
  EXPECT_NE(std::string::npos, printed.find("rt_system_heap_init: no heap from ")) << printed;
  EXPECT_EQ(nullptr, rt_malloc(1));
}

// Another thread may use a heap as soon as it is in the list.
TEST_F(RtThreadParts, FiguresOfAHeapBeginBeforeItIsListed) {
  void *p = nullptr;
  auto *const m = reinterpret_cast<rt_smem_t>(own);
  after_unlock = [&] { after_unlock = [&] { p = rt_smem_alloc(m, 40); }; };
  rt_smem_t const made = rt_smem_init("own", own, sizeof own);
  after_unlock = nullptr;
  ASSERT_EQ(m, made);
  if (p == nullptr) { // it takes the lock once
    p = rt_smem_alloc(m, 40);
  }
  EXPECT_NE(nullptr, p);
  EXPECT_EQ(40U, m->used);
  EXPECT_EQ(40U, m->max);
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
}

// As a test of the original's declares it.
struct small_memory {
  struct rt_memory parent;
  rt_uint8_t *heap_ptr;
  void *heap_end;
  void *lfree;
  rt_size_t mem_size_aligned;
};

TEST_F(RtThreadParts, ASmallHeapTellsTheLargestBlockThatItEverHas) {
  rt_smem_t const m = rt_smem_init("own", own, sizeof own);
  ASSERT_NE(nullptr, m);
  rt_size_t const most = reinterpret_cast<small_memory *>(m)->mem_size_aligned;
  EXPECT_EQ(nullptr, rt_smem_alloc(m, most + 1));
  EXPECT_NE(nullptr, rt_smem_alloc(m, most));
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
}

TEST_F(RtThreadParts, AHeapMadeAgainInItsMemoryBeginsAnew) {
  for (int i = 0; i < 3; i++) {
    rt_smem_t const m = rt_smem_init("own", own, sizeof own);
    ASSERT_NE(nullptr, m);
    EXPECT_NE(nullptr, rt_smem_alloc(m, 3000));
    EXPECT_EQ(3000U, m->used);
  }
  alignas(16) static unsigned char zones[3 * 32 * 1024];
  for (int i = 0; i < 3; i++) {
    rt_slab_t const m = rt_slab_init("own", zones, sizeof zones);
    ASSERT_NE(nullptr, m);
    EXPECT_NE(nullptr, rt_slab_alloc(m, 100));
    EXPECT_EQ(100U, m->used);
  }
  const rt_list_t *const all = &rt_object_get_information(RT_Object_Class_Memory)->object_list;
  int listed = 0;
  for (const rt_list_t *at = all->next; at != all && listed < 10; at = at->next) {
    listed += strcmp(rt_list_entry(at, struct rt_object, list)->name, "own") == 0 ? 1 : 0;
  }
  EXPECT_EQ(2, listed);
  EXPECT_EQ(RT_EOK, rt_smem_detach(reinterpret_cast<rt_smem_t>(own)));
  EXPECT_EQ(RT_EOK, rt_slab_detach(reinterpret_cast<rt_slab_t>(zones)));
}

std::vector<void *> freed;

TEST_F(RtThreadParts, FreeHooksSeeLiveBlocksOnly) {
  rt_free_sethook([](void **ptr) { freed.push_back(*ptr); });
  auto *const p = static_cast<char *>(rt_malloc(100));
  void *const behind = rt_malloc(10);
  unsigned faults = 0;
  rf_fault_handler_set([](const rf_fault *, void *count) { ++*static_cast<unsigned *>(count); }, &faults);
  rt_free(p + 32);
  rt_free(p);
  rt_free(p);
  rt_free(behind);
  rt_free_sethook(RT_NULL);
  rf_fault_handler_set(nullptr, nullptr);
  EXPECT_EQ(2U, faults);
  EXPECT_EQ((std::vector<void *>{p, behind}), freed);
}

TEST_F(RtThreadParts, ThreadsHaveTheirOwnNames) {
  std::string others;
  rf_rt_thread_name("main");
  std::thread other([&] {
    rf_rt_thread_name("other");
    rt_free(rt_malloc(10));
    rf_rt_thread_name(nullptr);
    void *const p = rt_malloc(24);
    (void)memtrace(0, nullptr);
    rt_free(p);
    std::string const digits = "0000000000" + std::to_string(rf_port_thread_id());
    others = "24 used #" + digits.substr(digits.size() - (sizeof(uintptr_t) - 1)) + "\n";
  });
  other.join();
  EXPECT_NE(std::string::npos, printed.find(others)) << printed;
  void *const p = rt_malloc(48);
  (void)memtrace(0, nullptr);
  EXPECT_NE(std::string::npos, printed.find("48 used main\n")) << printed;
  rf_rt_thread_name(nullptr);
  rt_free(p);
}

// ---- The console ----

TEST_F(RtThreadParts, LargeFieldsAndSizesAndZeroBytesArePrintedWhole) {
  EXPECT_EQ(1234, rt_kprintf("%1234d", 1));
  EXPECT_EQ(std::string(1233, ' ') + "1", printed);
  char text[32];
  EXPECT_EQ(3, rt_snprintf(text, sizeof text, "%c%c%c", 'a', 0, 'b'));
  EXPECT_EQ(std::string("a\0b", 4), std::string(text, 4));
  (void)rt_snprintf(text, sizeof text, "%zd", static_cast<rt_ssize_t>(LONG_MIN));
  EXPECT_EQ(std::to_string(LONG_MIN), text);
  EXPECT_EQ(30, rt_snprintf(text, sizeof text, "%30p", own));
  EXPECT_EQ(' ', text[0]);
  memset(text, 'x', sizeof text);
  EXPECT_EQ(3, rt_snprintf(text, 0, "abc"));
  EXPECT_EQ(std::string(sizeof text, 'x'), std::string(text, sizeof text)) << "no byte of none";
}

std::string asserted;

TEST_F(RtThreadParts, AnAssertionsHookIsToldTheConditionAndTheFunction) {
  rt_assert_set_hook([](const char *ex, const char *func, rt_size_t) { asserted = std::string(ex) + " in " + func; });
  RT_ASSERT(locks < 0);
  rt_assert_set_hook(RT_NULL);
  EXPECT_EQ("locks < 0 in TestBody", asserted);
}

TEST_F(RtThreadParts, ACheckTellsWhereADamagedHeapIs) {
  rt_smem_t const m = rt_smem_init("own", own, sizeof own);
  auto *const p = static_cast<unsigned char *>(rt_smem_alloc(m, 48));
  p[-1] ^= 1;
  EXPECT_EQ(-RT_ERROR, memcheck(0, nullptr));
  p[-1] ^= 1;
  char place[32];
  (void)rt_snprintf(place, sizeof place, " at %p\n", reinterpret_cast<void *>(m->address)); // its first header
  EXPECT_NE(std::string::npos, printed.find(place)) << printed << place;
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
}

} // namespace
