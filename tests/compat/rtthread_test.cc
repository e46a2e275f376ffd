// RT-Thread's memory API with a small-memory system heap: heaps, their figures and hooks, and the shell's commands.
#include "rtthread_fixture.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace ringfence_test {
namespace {

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

} // namespace
} // namespace ringfence_test
