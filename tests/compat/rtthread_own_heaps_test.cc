// RT-Thread's heaps beside the system heap: small memory and memheap.
#include "rtthread_fixture.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>

namespace ringfence_test {
namespace {

// ---- Small memory ----

TEST_F(RtThread, FreesOfNothingAreNone) {
  rt_smem_free(RT_NULL);
  rt_memheap_free(RT_NULL);
  EXPECT_EQ(RF_OK, fault());
}

// Nothing beyond the memory is written to, whatever its size and where it begins.
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

// A heap that is made where another one is, of either kind, takes its place: that one is in no list any more.
TEST_F(RtThread, AHeapInThePlaceOfAnotherEndsIt) {
  alignas(16) static unsigned char own[8 * RT_MM_PAGE_SIZE];
  rt_object_information *const all = rt_object_get_information(RT_Object_Class_Memory);
  auto const count = [all] {
    size_t heaps = 0;
    for (const rt_list_t *o = all->object_list.next; o != &all->object_list; o = o->next) {
      heaps++;
    }
    return heaps;
  };
  size_t const others = count();
  const char *const kinds[] = {"small", "slab", "slab", "small", "small"};
  for (const char *const kind : kinds) {
    bool const slab = strcmp(kind, "slab") == 0;
    struct rt_memory *const m = slab ? rt_slab_init(kind, own, sizeof own) : rt_smem_init(kind, own, sizeof own);
    ASSERT_NE(nullptr, m);
    EXPECT_STREQ(kind, m->algorithm);
    ASSERT_EQ(others + 1, count()) << kind;
    void *const p = slab ? rt_slab_alloc(m, 100) : rt_smem_alloc(m, 100);
    EXPECT_NE(nullptr, p);
  }
  EXPECT_EQ(RT_EOK, rt_smem_detach(reinterpret_cast<rt_smem_t>(own)));
  EXPECT_EQ(others, count());
  EXPECT_EQ(RF_OK, fault());
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

} // namespace
} // namespace ringfence_test
