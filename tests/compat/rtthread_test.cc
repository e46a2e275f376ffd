// RT-Thread's memory API with a small-memory system heap: every call, its return values, hooks, figures, the shell's
// commands.
#include "rtthread_app.h"

#include <gtest/gtest.h>
#include <ringfence/fault.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/core/unwatched.h"

namespace {

// These tests read behind and damage what belongs to the heaps, as those of the other system do.
Unwatched const unwatched_here;

alignas(16) unsigned char memory[64 * 1024];

class RtThread : public ::testing::Test {
protected:
  RtThread() {
    console.write = [](void *self, const char *text, size_t len) {
      static_cast<RtThread *>(self)->printed.append(text, len);
    };
    console.context = this;
  }
  void SetUp() override {
    rf_fault_handler_set([](const rf_fault *f, void *self) { static_cast<RtThread *>(self)->faults.push_back(*f); },
                         this);
    rf_rt_console_set(&console);
    rt_system_heap_init(memory, memory + sizeof memory);
  }
  void TearDown() override {
    EXPECT_EQ(0, memcheck(0, nullptr));
    rt_system_heap_init(RT_NULL, RT_NULL);
    EXPECT_EQ(nullptr, rt_malloc(1));
    rf_rt_console_set(nullptr);
    rf_fault_handler_set(nullptr, nullptr);
  }

  rt_size_t used() {
    rt_size_t used_now = 0;
    rt_memory_info(RT_NULL, &used_now, RT_NULL);
    return used_now;
  }
  // The status of the only fault since the last call, RF_OK where there was none. With `ptr`: and that is its pointer.
  rf_status fault(const void *ptr = nullptr) {
    EXPECT_LE(faults.size(), 1U);
    if (ptr != nullptr && !faults.empty()) {
      EXPECT_EQ(ptr, faults[0].ptr) << faults[0].what;
    }
    rf_status const status = faults.empty() ? RF_OK : faults[0].status;
    faults.clear();
    return status;
  }

  rf_sink console;
  std::string printed;
  std::vector<rf_fault> faults;
};

// ---- As the document has it ----

TEST_F(RtThread, DynamicMemoryAsDocumented) {
  EXPECT_EQ(RT_EOK, app_dynamic_memory());
  EXPECT_EQ(0U, used());
  EXPECT_EQ(RF_OK, fault());
}

TEST_F(RtThread, APoolOf80ByteBlocksAndAPointerEachHas32) {
  EXPECT_EQ(32U, app_memory_pool());
}

TEST_F(RtThread, BlocksInLists) {
  EXPECT_EQ(5U, app_listed_blocks());
  EXPECT_EQ(0U, used());
}

TEST_F(RtThread, AComponentWithAListAndALog) {
  EXPECT_EQ(RT_EOK, app_component());
  EXPECT_EQ("[I/component] 3 requests\n[W/component] empty\n", printed);
  EXPECT_EQ(0U, used());
}

// ---- System heap ----

TEST_F(RtThread, MemoryThatIsNoHeapIsSaidOnTheConsole) {
  rt_system_heap_init(memory, memory + 10);
  EXPECT_NE(std::string::npos, printed.find("rt_system_heap_init: no heap"));
  EXPECT_EQ(nullptr, rt_malloc(1));
  rt_system_heap_init(memory + 10, memory);
  EXPECT_EQ(nullptr, rt_malloc(1));
  rt_size_t total = 1;
  rt_memory_info(&total, nullptr, nullptr);
  EXPECT_EQ(0U, total);
}

TEST_F(RtThread, ASecondInitBeginsAnew) {
  ASSERT_NE(nullptr, rt_malloc(1000));
  rt_system_heap_init_generic(memory + 3, memory + 4096);
  EXPECT_EQ(0U, used());
  EXPECT_EQ(nullptr, rt_malloc(4096));
}

TEST_F(RtThread, BlocksAreAligned) {
  for (rt_size_t size = 1; size < 100; size++) {
    EXPECT_TRUE(rf_is_aligned(rt_malloc(size), RF_ALIGN_DEFAULT));
  }
}

TEST_F(RtThread, NothingIsServedForNothing) {
  EXPECT_EQ(nullptr, rt_malloc(0));
  EXPECT_EQ(nullptr, rt_calloc(0, 5));
  EXPECT_EQ(nullptr, rt_calloc(5, 0));
  EXPECT_EQ(nullptr, rt_realloc(RT_NULL, 0));
}

TEST_F(RtThread, SizesThatWrapAreNotServed) {
  EXPECT_EQ(nullptr, rt_malloc(SIZE_MAX));
  EXPECT_EQ(nullptr, rt_malloc(SIZE_MAX - 3));
  EXPECT_EQ(nullptr, rt_calloc(SIZE_MAX / 2, 3));
  EXPECT_EQ(nullptr, rt_malloc_align(16, SIZE_MAX / 2 + 1));
  EXPECT_EQ(nullptr, rt_malloc_align(SIZE_MAX - 3, 16));
  EXPECT_EQ(nullptr, rt_malloc_align(16, 24));
  EXPECT_EQ(nullptr, rt_mp_create("mp", SIZE_MAX / 8, 80));
  EXPECT_EQ(nullptr, rt_mp_create("mp", 2, SIZE_MAX));
  void *const p = rt_malloc(10);
  EXPECT_EQ(nullptr, rt_realloc(p, SIZE_MAX - 3));
  rt_free(p);
  EXPECT_EQ(0U, used());
}

TEST_F(RtThread, ReallocToNothingFrees) {
  void *const p = rt_malloc(100);
  EXPECT_EQ(nullptr, rt_realloc(p, 0));
  EXPECT_EQ(0U, used());
}

TEST_F(RtThread, AReallocThatFailsLeavesTheBlock) {
  auto *const p = static_cast<char *>(rt_malloc(100));
  strcpy(p, "still here");
  EXPECT_EQ(nullptr, rt_realloc(p, sizeof memory));
  EXPECT_STREQ("still here", p);
  EXPECT_EQ(100U, used());
}

TEST_F(RtThread, AlignedBlocksAreFreedEitherWay) {
  for (rt_size_t align = 1; align <= 1024; align *= 2) {
    void *const p = rt_malloc_align(10, align);
    void *const q = rt_malloc_align(1, align);
    EXPECT_TRUE(rf_is_aligned(p, align));
    EXPECT_TRUE(rf_is_aligned(q, align));
    EXPECT_EQ(nullptr, rt_malloc_align(0, align));
    rt_free_align(p);
    rt_free(q);
  }
  EXPECT_EQ(nullptr, rt_malloc_align(16, 0));
  rt_free_align(RT_NULL);
  EXPECT_EQ(0U, used());
}

TEST_F(RtThread, StrdupCopies) {
  char *const copy = rt_strdup("text");
  EXPECT_STREQ("text", copy);
  EXPECT_EQ(5U, used());
  EXPECT_EQ(nullptr, rt_strdup(RT_NULL));
}

TEST_F(RtThread, FiguresAreWhatWasRequestedAndTheirPeak) {
  void *const p = rt_malloc(100);
  void *const q = rt_malloc(50);
  rt_free(p);
  rt_size_t total;
  rt_size_t now;
  rt_size_t most;
  app_new_memory_info(&total, &now, &most);
  EXPECT_LE(total, sizeof memory);
  EXPECT_GT(total, sizeof memory - 512);
  EXPECT_EQ(50U, now);
  EXPECT_EQ(150U, most);
  rt_uint32_t old_total;
  rt_uint32_t old_now;
  rt_uint32_t old_most;
  app_old_memory_info(&old_total, &old_now, &old_most);
  EXPECT_EQ(total, old_total);
  EXPECT_EQ(50U, old_now);
  EXPECT_EQ(150U, old_most);
  rt_memory_info(&old_total, &old_now, &old_most);
  EXPECT_EQ(150U, old_most);
  rt_free(q);
}

TEST_F(RtThread, BadFreesAreRefusedAndReported) {
  char local = 0;
  auto *const p = static_cast<char *>(rt_malloc(100));
  rt_free(&local);
  ASSERT_FALSE(faults.empty());
  EXPECT_EQ(&local, faults[0].ptr);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  rt_free(p + 4);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(p + 4));
  rt_free(p + 16);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(p + 16));
  EXPECT_EQ(100U, used());
  rt_free(p);
  EXPECT_EQ(RF_OK, fault());
  rt_free(p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault(p));
  EXPECT_EQ(nullptr, rt_realloc(p, 10));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault(p));
  EXPECT_EQ(nullptr, rt_realloc(&local, 10));
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(&local));
}

TEST_F(RtThread, WithoutASystemHeapFreesAreRefused) {
  char local[16];
  rt_system_heap_init(RT_NULL, RT_NULL);
  EXPECT_EQ("", printed);
  rt_free(RT_NULL);
  EXPECT_EQ(RF_OK, fault());
  rt_free(local);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(local));
  EXPECT_EQ(RT_NULL, rt_realloc(local, 10));
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(local));
  rt_size_t total = 1;
  rt_memory_info(&total, RT_NULL, RT_NULL);
  EXPECT_EQ(0U, total) << "that of the heap that ended";
  rt_system_heap_init(RT_NULL, local);
  EXPECT_EQ(0U, printed.find("rt_system_heap_init: no heap from ")) << printed;
  printed.clear();
  rt_system_heap_init(local + 16, local);
  EXPECT_EQ(0U, printed.find("rt_system_heap_init: no heap from ")) << printed;
}

// ---- Hooks ----

struct Hooked {
  void *ptr;
  rt_size_t size;
};
std::vector<Hooked> mallocs;
std::vector<Hooked> reallocs_in;
std::vector<Hooked> reallocs_out;
std::vector<void *> frees;

class RtThreadHooks : public RtThread {
protected:
  void SetUp() override {
    RtThread::SetUp();
    for (auto *const list : {&mallocs, &reallocs_in, &reallocs_out}) {
      list->clear();
    }
    frees.clear();
    rt_malloc_sethook([](void **ptr, rt_size_t size) { mallocs.push_back({*ptr, size}); });
    rt_realloc_set_entry_hook([](void **ptr, rt_size_t size) { reallocs_in.push_back({*ptr, size}); });
    rt_realloc_set_exit_hook([](void **ptr, rt_size_t size) { reallocs_out.push_back({*ptr, size}); });
    rt_free_sethook([](void **ptr) { frees.push_back(*ptr); });
  }
  void TearDown() override {
    rt_malloc_sethook(RT_NULL);
    rt_realloc_set_entry_hook(RT_NULL);
    rt_realloc_set_exit_hook(RT_NULL);
    rt_free_sethook(RT_NULL);
    RtThread::TearDown();
  }
};

TEST_F(RtThreadHooks, SeeWhatSucceeds) {
  void *const p = rt_malloc(10);
  void *const q = rt_calloc(3, 7);
  ASSERT_EQ(2U, mallocs.size());
  EXPECT_EQ(p, mallocs[0].ptr);
  EXPECT_EQ(10U, mallocs[0].size);
  EXPECT_EQ(q, mallocs[1].ptr);
  EXPECT_EQ(21U, mallocs[1].size);
  void *const r = rt_realloc(p, 20);
  EXPECT_EQ(p, reallocs_in[0].ptr);
  EXPECT_EQ(r, reallocs_out[0].ptr);
  EXPECT_EQ(20U, reallocs_out[0].size);
  rt_free(r);
  ASSERT_EQ(1U, frees.size());
  EXPECT_EQ(r, frees[0]);
}

TEST_F(RtThreadHooks, AreNotCalledForWhatFails) {
  EXPECT_EQ(nullptr, rt_malloc(sizeof memory));
  EXPECT_EQ(nullptr, rt_calloc(SIZE_MAX, 2));
  EXPECT_EQ(nullptr, rt_realloc(RT_NULL, sizeof memory));
  rt_free(RT_NULL);
  rt_free(memory);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(memory));
  EXPECT_TRUE(mallocs.empty());
  EXPECT_TRUE(reallocs_out.empty());
  EXPECT_TRUE(frees.empty());
}

TEST_F(RtThreadHooks, MayUseTheHeap) {
  rt_malloc_sethook([](void **, rt_size_t) {
    rt_malloc_sethook(RT_NULL);
    rt_free(rt_malloc(5));
  });
  EXPECT_NE(nullptr, rt_malloc(10));
  EXPECT_EQ(10U, used());
}

TEST_F(RtThreadHooks, MayBeWrittenForOlderVersions) {
  app_set_old_hooks();
  void *const p = rt_malloc(10);
  EXPECT_EQ(p, app_last_malloc);
  EXPECT_EQ(10U, app_last_malloc_size);
  EXPECT_TRUE(mallocs.empty());
  rt_free(p);
  EXPECT_EQ(p, app_last_free);
  EXPECT_TRUE(frees.empty());
  app_clear_hooks();
  (void)rt_malloc(11);
  EXPECT_EQ(10U, app_last_malloc_size);
}

TEST_F(RtThreadHooks, OfOlderVersionsAreNotCalledForWhatFails) {
  app_set_old_hooks();
  void *const p = rt_malloc(10);
  rt_free(p);
  rt_free(memory);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(memory));
  EXPECT_EQ(p, app_last_free);
  EXPECT_EQ(nullptr, rt_malloc(sizeof memory));
  EXPECT_EQ(p, app_last_malloc);
  app_clear_hooks();
}

// ---- Small memory ----

TEST_F(RtThread, FreesOfNothingAreNone) {
  rt_smem_free(RT_NULL);
  rt_memheap_free(RT_NULL);
  EXPECT_EQ(RF_OK, fault());
}

// Whatever its size and where it begins, nothing beyond the memory is written to.
TEST_F(RtThread, HeapsOfTheirOwnStayInTheirMemory) {
  alignas(16) static unsigned char own[5 * RT_MM_PAGE_SIZE];
  for (size_t size = 0; size < 600; size++) {
    memset(own, 0xA5, sizeof own);
    rt_smem_t const m = rt_smem_init("own", own + 1, size);
    if (m != nullptr) {
      for (void *p = nullptr; (p = rt_smem_alloc(m, 8)) != nullptr;) {
        memset(p, 0, 8);
      }
      EXPECT_EQ(RT_EOK, rt_smem_detach(m));
    }
    EXPECT_EQ(0xA5, own[0]);
    EXPECT_EQ(0xA5, own[size + 1]) << size;
  }
  for (size_t size = 3 * RT_MM_PAGE_SIZE; size < 4 * RT_MM_PAGE_SIZE + 64; size += 64) {
    memset(own, 0xA5, sizeof own);
    rt_slab_t const m = rt_slab_init("own", own, size);
    ASSERT_NE(nullptr, m);
    for (void *page = nullptr; (page = rt_slab_page_alloc(m, 1)) != nullptr;) {
      memset(page, 0, RT_MM_PAGE_SIZE);
    }
    EXPECT_EQ(RT_EOK, rt_slab_detach(m));
    EXPECT_EQ(0xA5, own[size]) << size;
  }
}

TEST_F(RtThread, MemtraceShowsWhereASmallHeapEnds) {
  alignas(16) unsigned char own[1024];
  rt_smem_t const m = rt_smem_init("own", own, sizeof own);
  ASSERT_NE(nullptr, m);
  char name[] = "own";
  char command[] = "memtrace";
  char *words[] = {command, name};
  printed.clear();
  EXPECT_EQ(0, memtrace(2, words));
  void *places[3] = {};
  size_t const at = printed.find("  from ");
  ASSERT_NE(std::string::npos, at) << printed;
  ASSERT_EQ(3, sscanf(printed.c_str() + at, "  from %p to %p, lowest free %p", &places[0], &places[1], &places[2]));
  EXPECT_EQ(places[0], places[2]); // nothing is in use
  EXPECT_LE(places[1], own + sizeof own);
  EXPECT_GT(places[1], own + sizeof own - 64);
  void *const p = rt_smem_alloc(m, 100);
  ASSERT_NE(nullptr, p);
  printed.clear();
  EXPECT_EQ(0, memtrace(2, words));
  ASSERT_EQ(1, sscanf(printed.c_str() + printed.find("lowest free "), "lowest free %p", &places[2])) << printed;
  EXPECT_GT(places[2], p);
  rt_smem_free(p);
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
}

TEST_F(RtThread, ASmallMemoryHeapOfItsOwn) {
  alignas(16) unsigned char own[1024];
  rt_smem_t const m = rt_smem_init("own", own + 1, sizeof own - 1);
  ASSERT_NE(nullptr, m);
  EXPECT_STREQ("own", m->parent.name);
  EXPECT_STREQ("small", m->algorithm);
  EXPECT_EQ(0U, m->used);
  void *p = rt_smem_alloc(m, 100);
  EXPECT_EQ(100U, m->used);
  p = rt_smem_realloc(m, p, 200);
  EXPECT_EQ(200U, m->used);
  EXPECT_EQ(200U, m->max);
  rt_smem_free(p);
  EXPECT_EQ(0U, m->used);
  EXPECT_EQ(nullptr, rt_smem_alloc(m, 0));
  EXPECT_EQ(nullptr, rt_smem_realloc(m, RT_NULL, 0));
  p = rt_smem_realloc(m, RT_NULL, 10);
  EXPECT_EQ(nullptr, rt_smem_realloc(m, p, 0));
  EXPECT_EQ(0U, m->used);
  rt_smem_free(RT_NULL);
  rt_smem_free(p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault(p));
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
  EXPECT_EQ(-RT_EINVAL, rt_smem_detach(m));
  EXPECT_EQ(-RT_EINVAL, rt_smem_detach(RT_NULL));
  EXPECT_EQ(nullptr, rt_smem_alloc(m, 10));
  rt_smem_free(p);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(p));
  EXPECT_EQ(0U, used());
}

TEST_F(RtThread, TooLittleMemoryIsNoSmallMemoryHeap) {
  alignas(16) unsigned char own[1024];
  EXPECT_EQ(nullptr, rt_smem_init("own", own, 100));
  EXPECT_EQ(nullptr, rt_smem_init("own", RT_NULL, sizeof own));
  EXPECT_NE(std::string::npos, printed.find("rt_smem_init: no heap of 100 bytes"));
}

TEST_F(RtThread, AllOfASmallMemoryHeapIsServedAndMergesAgain) {
  Unwatched const unwatched;
  void *const buffer = rt_malloc(1024);
  memset(buffer, 0xAA, 1024);
  rt_smem_t const m = rt_smem_init("mem_tc", buffer, 1024);
  rt_size_t const all = app_max_block(m);
  ASSERT_NE(0U, all);
  void *const whole = rt_smem_alloc(m, all);
  ASSERT_NE(nullptr, whole);
  EXPECT_EQ(0U, app_max_block(m));
  rt_smem_free(whole);
  EXPECT_EQ(all, app_max_block(m));
  void *blocks[3];
  for (rt_size_t i = 0; i < 3; i++) {
    blocks[i] = rt_smem_alloc(m, app_max_block(m) / (3 - i));
    ASSERT_NE(nullptr, blocks[i]);
  }
  EXPECT_EQ(0U, app_max_block(m));
  rt_smem_free(blocks[0]);
  rt_smem_free(blocks[2]);
  rt_smem_free(blocks[1]);
  EXPECT_EQ(all, app_max_block(m));
  void *const first = rt_smem_alloc(m, all / 3);
  void *const fence = rt_smem_alloc(m, RT_ALIGN_SIZE);
  void *const moved = rt_smem_realloc(m, first, app_max_block(m));
  EXPECT_NE(nullptr, moved);
  EXPECT_NE(first, moved);
  EXPECT_EQ(moved, rt_smem_realloc(m, moved, 50));
  rt_smem_free(fence);
  rt_smem_free(moved);
  EXPECT_EQ(all, app_max_block(m));
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
  rt_free(buffer);
}

// ---- memheap ----

// A checker may keep blocks outside the memory of their heap.
TEST_F(RtThread, EachOfTwoHeapsGetsItsOwnBlocksBack) {
  alignas(16) unsigned char first[8192];
  alignas(16) unsigned char second[8192];
  rt_smem_t const one = rt_smem_init("one", first, sizeof first);
  rt_smem_t const two = rt_smem_init("two", second, sizeof second);
  void *const p = rt_smem_alloc(one, 20);
  void *const q = rt_smem_alloc(two, 30);
  EXPECT_EQ(20U, one->used);
  EXPECT_EQ(30U, two->used);
  rt_smem_free(p);
  EXPECT_EQ(0U, one->used);
  rt_smem_free(rt_smem_realloc(two, q, 300));
  EXPECT_EQ(0U, two->used);
  EXPECT_EQ(RF_OK, fault());
  EXPECT_EQ(RT_EOK, rt_smem_detach(one));
  EXPECT_EQ(RT_EOK, rt_smem_detach(two));
}

TEST_F(RtThread, EachOfTwoMemheapsGetsItsOwnBlocksBack) {
  alignas(16) unsigned char first[8192];
  alignas(16) unsigned char second[8192];
  struct rt_memheap one;
  struct rt_memheap two;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&one, "one", first, sizeof first));
  ASSERT_EQ(RT_EOK, rt_memheap_init(&two, "two", second, sizeof second));
  void *const p = rt_memheap_alloc(&one, 20);
  void *const q = rt_memheap_alloc(&two, 30);
  EXPECT_EQ(sizeof first - 20, one.available_size);
  rt_memheap_free(p);
  rt_memheap_free(q);
  EXPECT_EQ(sizeof first, one.available_size);
  EXPECT_EQ(sizeof second, two.available_size);
  EXPECT_EQ(RF_OK, fault());
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&one));
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&two));
}

TEST_F(RtThread, AMemheapOfItsOwn) {
  alignas(16) unsigned char own[4096];
  struct rt_memheap heap;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "heap1", own, sizeof own));
  EXPECT_STREQ("heap1", heap.parent.name);
  EXPECT_EQ(sizeof own, heap.pool_size);
  EXPECT_EQ(sizeof own, heap.available_size);
  void *p = rt_memheap_alloc(&heap, 100);
  EXPECT_EQ(sizeof own - 100, heap.available_size);
  p = rt_memheap_realloc(&heap, p, 1000);
  EXPECT_EQ(1000U, heap.max_used_size);
  rt_size_t total;
  rt_size_t now;
  rt_size_t most;
  rt_memheap_info(&heap, &total, &now, &most);
  EXPECT_EQ(sizeof own, total);
  EXPECT_EQ(1000U, now);
  EXPECT_EQ(1000U, most);
  rt_uint32_t old_now;
  app_old_memheap_info(&heap, RT_NULL, &old_now, RT_NULL);
  EXPECT_EQ(1000U, old_now);
  rt_memheap_free(p);
  rt_memheap_free(RT_NULL);
  rt_memheap_free(p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault(p));
  p = rt_memheap_alloc(&heap, 0);
  EXPECT_NE(nullptr, p);
  EXPECT_EQ(nullptr, rt_memheap_realloc(&heap, p, 0));
  EXPECT_EQ(sizeof own, heap.available_size);
  EXPECT_EQ(nullptr, rt_memheap_alloc(&heap, 4096));
  (void)rt_memheap_alloc(&heap, 10); // a heap may end with blocks live
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&heap));
  EXPECT_EQ(-RT_EINVAL, rt_memheap_detach(&heap));
  EXPECT_EQ(nullptr, rt_memheap_alloc(&heap, 10));
  rt_memheap_free(own + 64);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(own + 64));
}

TEST_F(RtThread, WhatCannotBeAMemheapIsInvalid) {
  unsigned char own[4096];
  struct rt_memheap heap;
  EXPECT_EQ(-RT_EINVAL, rt_memheap_init(RT_NULL, "heap1", own, sizeof own));
  EXPECT_EQ(-RT_EINVAL, rt_memheap_init(&heap, "heap1", RT_NULL, sizeof own));
  EXPECT_EQ(-RT_EINVAL, rt_memheap_init(&heap, "heap1", own, 8));
}

TEST_F(RtThread, AMemheapMadeAgainBeginsAnew) {
  alignas(16) unsigned char own[4096];
  struct rt_memheap heap;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "heap1", own, sizeof own));
  (void)rt_memheap_alloc(&heap, 100);
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "again", own, sizeof own));
  EXPECT_EQ(sizeof own, heap.available_size);
  EXPECT_EQ(&heap.parent, rt_object_find("again", RT_Object_Class_MemHeap));
  EXPECT_EQ(nullptr, rt_object_find("heap1", RT_Object_Class_MemHeap));
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&heap));
}

TEST_F(RtThread, AMemheapIsNotTheSystemHeapsReserve) {
  alignas(16) unsigned char own[4096];
  struct rt_memheap heap;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "heap1", own, sizeof own));
  while (rt_malloc(64) != nullptr) {
  }
  EXPECT_EQ(sizeof own, heap.available_size);
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&heap));
}

// ---- Memory pool ----

class RtMempool : public RtThread {
protected:
  void SetUp() override {
    RtThread::SetUp();
    ASSERT_EQ(RT_EOK, rt_mp_init(&mp, "mp_static", blocks, sizeof blocks, 80));
  }
  void TearDown() override {
    rt_mp_detach(&mp);
    RtThread::TearDown();
  }

  // Takes all blocks.
  std::vector<void *> drain() {
    std::vector<void *> taken;
    while (void *const block = rt_mp_alloc(&mp, RT_WAITING_NO)) {
      taken.push_back(block);
    }
    return taken;
  }

  struct rt_mempool mp = {};
  alignas(8) rt_uint8_t blocks[(80 + sizeof(rt_uint8_t *)) * 4];
};

TEST_F(RtMempool, CountsItsBlocks) {
  EXPECT_STREQ("mp_static", mp.parent.name);
  EXPECT_EQ(4U, mp.block_total_count);
  EXPECT_EQ(4U, mp.block_free_count);
  EXPECT_EQ(80U, mp.block_size);
  EXPECT_EQ(sizeof blocks, mp.size);
  void *const block = rt_mp_alloc(&mp, 0);
  EXPECT_EQ(RT_EOK, rt_get_errno());
  EXPECT_EQ(3U, mp.block_free_count);
  rt_mp_free(block);
  EXPECT_EQ(4U, mp.block_free_count);
}

TEST_F(RtMempool, WhenItIsEmptyATakerTimesOut) {
  EXPECT_EQ(4U, drain().size());
  EXPECT_EQ(0U, mp.block_free_count);
  EXPECT_EQ(nullptr, rt_mp_alloc(&mp, 0));
  EXPECT_EQ(-RT_ETIMEOUT, rt_get_errno());
  rt_set_errno(RT_EOK);
  rt_tick_t const before = rt_tick_get();
  EXPECT_EQ(nullptr, rt_mp_alloc(&mp, static_cast<rt_int32_t>(rt_tick_from_millisecond(20))));
  EXPECT_GE(rt_tick_get() - before, 19U);
  EXPECT_EQ(-RT_ETIMEOUT, rt_get_errno());
}

TEST_F(RtMempool, ATakerIsWokenByAFree) {
  std::vector<void *> const taken = drain();
  std::atomic<void *> got{nullptr};
  std::thread taker([&] { got = rt_mp_alloc(&mp, RT_WAITING_FOREVER); });
  rt_mp_free(taken[2]);
  taker.join();
  EXPECT_EQ(taken[2], got);
}

TEST_F(RtMempool, TakersAreWokenByItsEnd) {
  drain();
  std::atomic<int> failed{0};
  std::vector<std::thread> takers;
  for (int i = 0; i < 3; i++) {
    takers.emplace_back([&] {
      if (rt_mp_alloc(&mp, RT_WAITING_FOREVER) == nullptr && rt_get_errno() == -RT_ERROR) {
        failed++;
      }
    });
  }
  while (true) {
    rf_mempool_info info;
    rf_mempool_info_get(&mp.pool, &info);
    if (info.waiters == 3) {
      break;
    }
    std::this_thread::yield();
  }
  EXPECT_EQ(RT_EOK, rt_mp_detach(&mp));
  for (std::thread &taker : takers) {
    taker.join();
  }
  EXPECT_EQ(3, failed);
  EXPECT_EQ(-RT_EINVAL, rt_mp_detach(&mp));
}

TEST_F(RtMempool, BadFreesAreRefusedAndReported) {
  auto *const block = static_cast<char *>(rt_mp_alloc(&mp, 0));
  char local = 0;
  rt_mp_free(RT_NULL);
  EXPECT_EQ(RF_OK, fault());
  rt_mp_free(&local);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(&local));
  rt_mp_free(block + 4);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(block + 4));
  EXPECT_EQ(3U, mp.block_free_count);
  rt_mp_free(block);
  rt_mp_free(block);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault(block));
  EXPECT_EQ(4U, mp.block_free_count);
}

TEST_F(RtMempool, WhatCannotBeAPoolIsRefused) {
  struct rt_mempool other;
  memset(static_cast<void *>(&other), 0, sizeof other);
  EXPECT_EQ(-RT_EINVAL, rt_mp_init(RT_NULL, "mp", blocks, sizeof blocks, 80));
  EXPECT_EQ(-RT_EINVAL, rt_mp_init(&other, "mp", RT_NULL, sizeof blocks, 80));
  EXPECT_EQ(-RT_EINVAL, rt_mp_init(&other, "mp", blocks, 0, 80));
  EXPECT_EQ(-RT_EINVAL, rt_mp_init(&other, "mp", blocks, sizeof blocks, 0));
  EXPECT_EQ(-RT_ENOMEM, rt_mp_init(&other, "mp", blocks, 80, 80));
  EXPECT_EQ(-RT_ENOMEM, rt_mp_init(&other, "mp", blocks, sizeof blocks, SIZE_MAX));
  EXPECT_EQ(-RT_EINVAL, rt_mp_detach(&other));
  EXPECT_EQ(-RT_EINVAL, rt_mp_delete(&mp));
  EXPECT_EQ(nullptr, rt_mp_alloc(RT_NULL, 0));
}

TEST_F(RtMempool, MayBeMadeInMemoryThatWasUsed) {
  struct rt_mempool other;
  memset(static_cast<void *>(&other), 0xA5, sizeof other);
  alignas(8) rt_uint8_t own[sizeof blocks];
  ASSERT_EQ(RT_EOK, rt_mp_init(&other, "mp", own, sizeof own, 80));
  EXPECT_EQ(-RT_EINVAL, rt_mp_delete(&other)) << "it was not created";
  EXPECT_EQ(RT_EOK, rt_mp_detach(&other));
  EXPECT_EQ(RT_Object_Class_Null, rt_object_get_type(&other.parent));
}

TEST_F(RtMempool, APoolFromTheSystemHeapGivesItsMemoryBack) {
  rt_mp_t const created = rt_mp_create("mp_dynamic", 32, 80);
  ASSERT_NE(nullptr, created);
  EXPECT_STREQ("mp_dynamic", created->parent.name);
  EXPECT_EQ(32U, created->block_total_count);
  EXPECT_NE(nullptr, rt_mp_alloc(created, 0));
  EXPECT_EQ(RT_EOK, rt_mp_delete(created));
  EXPECT_EQ(0U, used());
  EXPECT_EQ(nullptr, rt_mp_create("mp", 0, 80));
  EXPECT_EQ(nullptr, rt_mp_create("mp", 32, 0));
  EXPECT_EQ(nullptr, rt_mp_create("mp", sizeof memory, 80));
  EXPECT_EQ(-RT_EINVAL, rt_mp_delete(RT_NULL));
  EXPECT_EQ(0U, used());
}

// There is room for the blocks, and none for the pool's record.
TEST_F(RtMempool, APoolThatCannotBeCreatedKeepsNothing) {
  void *const small = rt_malloc(24);
  ASSERT_NE(nullptr, small);
  for (rt_size_t const size : {sizeof(struct rt_mempool), size_t{24}}) {
    while (rt_malloc(size) != nullptr) {
    }
  }
  rt_free(small);
  ASSERT_EQ(nullptr, rt_malloc(sizeof(struct rt_mempool)));
  rt_size_t const before = used();
  EXPECT_EQ(nullptr, rt_mp_create("mp", 1, 8));
  EXPECT_EQ(before, used());
}

std::vector<void *> hooked_blocks;

TEST_F(RtMempool, HooksSeeWhatSucceeds) {
  hooked_blocks.clear();
  rt_mp_alloc_sethook([](struct rt_mempool *, void *block) { hooked_blocks.push_back(block); });
  rt_mp_free_sethook([](struct rt_mempool *, void *block) { hooked_blocks.push_back(block); });
  std::vector<void *> const taken = drain();
  EXPECT_EQ(taken, hooked_blocks);
  hooked_blocks.clear();
  rt_mp_free(taken[0]);
  rt_mp_free(taken[0]);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault(taken[0]));
  EXPECT_EQ(std::vector<void *>{taken[0]}, hooked_blocks);
  rt_mp_alloc_sethook(RT_NULL);
  rt_mp_free_sethook(RT_NULL);
}

// ---- Looking ----

TEST_F(RtThread, MemtraceShowsBlocksAndWhoseTheyAre) {
  rf_rt_thread_name("gui");
  void *const p = rt_malloc(48);
  Unwatched const unwatched(static_cast<char *>(p) - 64, 1024); // where the headers are
  EXPECT_STREQ("gui", app_owner_of(p));
  rf_rt_thread_name(nullptr);
  EXPECT_EQ('#', app_owner_of(rt_malloc(48))[0]);
  EXPECT_EQ(0, memtrace(0, nullptr));
  EXPECT_NE(std::string::npos, printed.find("       48 used gui\n")) << printed;
  EXPECT_NE(std::string::npos, printed.find("heap: total "));
}

TEST_F(RtThread, CommandsTakeTheNameOfAHeap) {
  alignas(16) unsigned char own[1024];
  rt_smem_t const m = rt_smem_init("own", own, sizeof own);
  char command[] = "memtrace";
  char name[] = "own";
  char *argv[] = {command, name};
  EXPECT_EQ(0, memtrace(2, argv));
  EXPECT_NE(std::string::npos, printed.find("own: total "));
  EXPECT_EQ(std::string::npos, printed.find("heap: total "));
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
}

TEST_F(RtThread, MemcheckNamesADamagedHeap) {
  auto *const p = static_cast<unsigned char *>(rt_malloc(48));
  p[-1] ^= 1;
  EXPECT_EQ(-RT_ERROR, memcheck(0, nullptr));
  EXPECT_NE(std::string::npos, printed.find("heap: damaged block header at ")) << printed;
  EXPECT_EQ(0, memtrace(0, nullptr));
  EXPECT_NE(std::string::npos, printed.find("*** damaged from here on"));
  p[-1] ^= 1;
}

TEST_F(RtThread, MemheapsAreCheckedAndTracedToo) {
  alignas(16) unsigned char own[1024];
  struct rt_memheap heap;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "heap1", own, sizeof own));
  auto *const p = static_cast<unsigned char *>(rt_memheap_alloc(&heap, 48));
  EXPECT_EQ(0, memheapcheck(0, nullptr));
  EXPECT_EQ(0, memheaptrace(0, nullptr));
  EXPECT_NE(std::string::npos, printed.find("heap1: total 1024, free 976, most used 48\n")) << printed;
  p[-1] ^= 1;
  EXPECT_EQ(-RT_ERROR, memheapcheck(0, nullptr));
  EXPECT_NE(std::string::npos, printed.find("heap1: damaged block header at "));
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&heap));
}

TEST_F(RtMempool, AllIsListed) {
  alignas(16) unsigned char own[1024];
  struct rt_memheap heap;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "heap1", own, sizeof own));
  (void)rt_mp_alloc(&mp, 0);
  list_mem();
  EXPECT_EQ(0, list_memheap());
  EXPECT_EQ(0, list_mempool());
  EXPECT_NE(std::string::npos, printed.find("used 0, most used 0\n"));
  EXPECT_NE(std::string::npos, printed.find("heap1                          1024          0       1024\n"));
  EXPECT_NE(std::string::npos, printed.find("mp_static                        80          4          3\n")) << printed;
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&heap));
}

// ---- Objects and services ----

TEST_F(RtMempool, ObjectsAreFoundByClassAndName) {
  EXPECT_EQ(&mp.parent, rt_object_find("mp_static", RT_Object_Class_MemPool));
  EXPECT_EQ(RT_Object_Class_MemPool, rt_object_get_type(&mp.parent));
  EXPECT_NE(nullptr, rt_object_find("heap", RT_Object_Class_Memory));
  EXPECT_EQ(nullptr, rt_object_find("mp_static", RT_Object_Class_MemHeap));
  EXPECT_EQ(nullptr, rt_object_find("mp_stati", RT_Object_Class_MemPool));
  EXPECT_EQ(nullptr, rt_object_find("mp_static_", RT_Object_Class_MemPool));
  EXPECT_EQ(nullptr, rt_object_find("mp_static", RT_Object_Class_Unknown));
  EXPECT_EQ(nullptr, rt_object_find(RT_NULL, RT_Object_Class_MemPool));
  struct rt_object_information *const info = rt_object_get_information(RT_Object_Class_MemPool);
  EXPECT_EQ(&mp.parent, rt_list_first_entry(&info->object_list, struct rt_object, list));
  EXPECT_EQ(sizeof mp, info->object_size);
  EXPECT_EQ(nullptr, rt_object_get_information(RT_Object_Class_Unknown));
}

TEST_F(RtThread, NamesThatAreTooLongAreCut) {
  alignas(16) unsigned char own[1024];
  std::string const name(100, 'n');
  rt_smem_t const m = rt_smem_init(name.c_str(), own, sizeof own);
  EXPECT_EQ(name.substr(0, RT_NAME_MAX - 1), m->parent.name);
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
}

TEST_F(RtThread, KprintfFormats) {
  EXPECT_EQ(12, rt_kprintf("%d %u %s\n", -12, 34U, "word"));
  rt_kprintf("[%5d|%-5d|%05d|%.3d|%x|%X|%08x|%o]", 42, 42, -42, 7, 0xbeefU, 0xbeefU, 0xbeefU, 8U);
  rt_kprintf("[%ld|%lu|%lld|%llu|%zu|%hd|%hhu]", -1L, 2UL, -3LL, UINT64_MAX, sizeof(char), 5, 6U);
  rt_kprintf("[%c|%5s|%-5s|%.2s|%*d|%%|%s]", 'c', "ab", "ab", "abc", 4, 1, static_cast<const char *>(nullptr));
  EXPECT_EQ("-12 34 word\n"
            "[   42|42   |-0042|007|beef|BEEF|0000beef|10]"
            "[-1|2|-3|18446744073709551615|1|5|6]"
            "[c|   ab|ab   |ab|   1|%|(NULL)]",
            printed);
  printed.clear();
  rt_kprintf("%p", reinterpret_cast<void *>(0x1234));
  EXPECT_EQ(std::string("0x") + std::string(2 * sizeof(void *) - 4, '0') + "1234", printed);
  printed.clear();
  rt_kprintf("ends in %");
  rt_kprintf("%q");
  EXPECT_EQ("ends in q", printed);
}

TEST_F(RtThread, KprintfFormatsTakeFlagsAndArgumentsTogether) {
  struct {
    std::function<int()> print;
    const char *text;
  } const cases[] = {
      {[] { return rt_kprintf("[%-05d]", 42); }, "[42   ]"},
      {[] { return rt_kprintf("[%0-5d]", 42); }, "[42   ]"},
      {[] { return rt_kprintf("[%05.3d]", 42); }, "[  042]"},
      {[] { return rt_kprintf("[%.0d]", 0); }, "[]"},
      {[] { return rt_kprintf("[%.30d]", 7); }, "[000000000000000000000007]"},
      {[] { return rt_kprintf("[%d|%d]", INT_MIN, INT_MAX); }, "[-2147483648|2147483647]"},
      {[] { return rt_kprintf("[%lld]", INT64_MIN); }, "[-9223372036854775808]"},
      {[] { return rt_kprintf("[%*d|%d]", -5, 42, 7); }, "[42   |7]"},
      {[] { return rt_kprintf("[%.*s|%d]", 2, "abc", 7); }, "[ab|7]"},
      {[] { return rt_kprintf("[%*.*s|%d]", 4, 2, "abc", 7); }, "[  ab|7]"},
      {[] { return rt_kprintf("[%.*s|%d]", -1, "abc", 7); }, "[abc|7]"},
      {[] { return rt_kprintf("[%-3c|%3c]", 'a', 'b'); }, "[a  |  b]"},
      {[] { return rt_kprintf("[%-6x|%6X]", 0xabU, 0xabU); }, "[ab    |    AB]"},
  };
  for (auto const &c : cases) {
    printed.clear();
    EXPECT_EQ(static_cast<int>(strlen(c.text)), c.print());
    EXPECT_EQ(c.text, printed);
  }
}

// Figures of more than 32 bits, asked for in 32.
TEST_F(RtThread, FiguresThatDoNotFitAreTheLargest) {
  struct rt_memheap heap = {};
  heap.pool_size = static_cast<rt_size_t>(UINT64_C(5) << 30);
  heap.available_size = 100;
  heap.max_used_size = UINT32_MAX;
  rt_uint32_t total = 0;
  rt_uint32_t used_now = 0;
  rt_uint32_t most = 0;
  rf_rt_memheap_info32(&heap, &total, &used_now, &most);
  if (sizeof(rt_size_t) > 4) {
    EXPECT_EQ(UINT32_MAX, total);
    EXPECT_EQ(UINT32_MAX, used_now);
  }
  EXPECT_EQ(UINT32_MAX, most);
  heap.pool_size = 300;
  rf_rt_memheap_info32(&heap, &total, &used_now, nullptr);
  EXPECT_EQ(300U, total);
  EXPECT_EQ(200U, used_now);
}

TEST_F(RtThread, PrintingIntoABufferLeavesOutWhatDoesNotFit) {
  char text[8] = "unheard";
  EXPECT_EQ(5, rt_snprintf(text, sizeof text, "%d-%s", 12, "ab"));
  EXPECT_STREQ("12-ab", text);
  EXPECT_EQ(10, rt_snprintf(text, sizeof text, "%010d", 7));
  EXPECT_STREQ("0000000", text);
  EXPECT_EQ(3, rt_snprintf(nullptr, 0, "%d", 123));
  EXPECT_EQ(3, rt_snprintf(text, 1, "%d", 123));
  EXPECT_STREQ("", text);
  EXPECT_EQ(4, rt_sprintf(text, "%s%c", "abc", 'd'));
  EXPECT_STREQ("abcd", text);
  rt_kputs("100%d\n");
  rt_kputs(RT_NULL);
  EXPECT_EQ("100%d\n", printed);
}

TEST_F(RtThread, TicksAreMilliseconds) {
  EXPECT_EQ(1500U, rt_tick_from_millisecond(1500));
  EXPECT_EQ(0U, rt_tick_from_millisecond(0));
  EXPECT_EQ(static_cast<rt_tick_t>(RT_WAITING_FOREVER), rt_tick_from_millisecond(-1));
  rt_tick_t const before = rt_tick_get_millisecond();
  EXPECT_LE(rt_tick_get() - before, 1000U);
}

rt_size_t asserted_line;

TEST_F(RtThread, AnAssertionCallsTheHook) {
  rt_assert_set_hook([](const char *, const char *, rt_size_t line) { asserted_line = line; });
  RT_ASSERT(1 + 1 == 2);
  EXPECT_EQ(0U, asserted_line);
  RT_ASSERT(1 + 1 == 3);
  EXPECT_NE(0U, asserted_line);
  rt_assert_set_hook(RT_NULL);
}

TEST(RtThreadDeathTest, AnAssertionWithoutAHookStopsTheProgram) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(RT_ASSERT(1 + 1 == 3), "assertion failed: 1 \\+ 1 == 3, in TestBody, line");
}

TEST_F(RtThread, MacrosAreAsInTheOriginal) {
  EXPECT_EQ(16, RT_ALIGN(13, 8));
  EXPECT_EQ(16, RT_ALIGN_UP(13, 8));
  EXPECT_EQ(sizeof(void *), sizeof(rt_uintptr_t));
  rt_align(64) rt_used static char aligned;
  EXPECT_EQ(0U, reinterpret_cast<rt_uintptr_t>(&aligned) % 64);
  RT_UNUSED(aligned);
  EXPECT_EQ(8, RT_ALIGN_DOWN(13, 8));
  EXPECT_EQ(4096, RT_MM_PAGE_SIZE);
  EXPECT_EQ(4095, RT_MM_PAGE_MASK);
  EXPECT_EQ(2, RT_ETIMEOUT);
  EXPECT_EQ(-1, RT_WAITING_FOREVER);
  void *const p = RT_KERNEL_MALLOC(10);
  RT_KERNEL_FREE(RT_KERNEL_REALLOC(p, 20));
  EXPECT_EQ(0U, used());
}

// ---- Threads ----

TEST_F(RtThread, AnyThreadMayUseTheHeapAtAnyTime) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (unsigned char id = 1; id <= 4; id++) {
    threads.emplace_back([id, &wrong] {
      for (int i = 0; i < 500; i++) {
        auto *p = static_cast<unsigned char *>(rt_malloc(static_cast<rt_size_t>(16 + i % 50)));
        memset(p, id, 16);
        p = static_cast<unsigned char *>(rt_realloc(p, 100));
        for (int j = 0; j < 16; j++) {
          wrong += p[j] != id;
        }
        rt_free(p);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(0, wrong);
  EXPECT_EQ(0U, used());
}

// Programs print them, compare them with numbers of their own, and are built against the original's headers as well.
TEST(RtThreadNumbers, AreThoseOfTheOriginal) {
  int const errors[] = {RT_EOK, RT_ERROR, RT_ETIMEOUT, RT_EFULL,  RT_EEMPTY, RT_ENOMEM, RT_ENOSYS, RT_EBUSY,
                        RT_EIO, RT_EINTR, RT_EINVAL,   RT_ENOENT, RT_ENOSPC, RT_EPERM,  RT_ETRAP,  RT_EFAULT};
  for (int i = 0; i < 16; i++) {
    EXPECT_EQ(errors[i], i);
  }
  EXPECT_EQ(RT_TRUE, 1);
  EXPECT_EQ(RT_FALSE, 0);
  EXPECT_EQ(RT_UINT8_MAX, 255);
  EXPECT_EQ(RT_UINT16_MAX, 65535);
  EXPECT_EQ(RT_UINT32_MAX, 4294967295U);
  EXPECT_EQ(RT_TICK_MAX, 4294967295U);
  EXPECT_EQ(RT_WAITING_FOREVER, -1);
  EXPECT_EQ(RT_WAITING_NO, 0);
  EXPECT_EQ(RT_VERSION_MAJOR * 10000 + RT_VERSION_MINOR * 100 + RT_VERSION_PATCH, 50000);
  EXPECT_EQ(RT_VERSION * 10000 + RT_SUBVERSION * 100 + RT_REVISION, 50000);
  EXPECT_EQ(RT_MM_PAGE_SIZE, 4096);
  EXPECT_EQ(RT_MM_PAGE_MASK, 0xFFF);
  EXPECT_EQ(1 << RT_MM_PAGE_BITS, RT_MM_PAGE_SIZE);
  EXPECT_EQ(RT_NAME_MAX, 24);
  EXPECT_EQ(RT_TICK_PER_SECOND, 1000);
  EXPECT_EQ(RT_ALIGN_SIZE, sizeof(void *) == 8 ? 8 : 4);
  EXPECT_EQ(RF_RT_HEAP_SIZE, 4194304);
}

} // namespace
