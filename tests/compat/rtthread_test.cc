// RT-Thread's memory API with a small-memory system heap: its figures, and the shell's commands.
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
