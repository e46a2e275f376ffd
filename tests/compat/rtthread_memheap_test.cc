// RT-Thread's rt_malloc with RT_USING_MEMHEAP_AS_HEAP: the system heap first, then every memheap, as if they were one.
#include "rtthread_app.h"

#include <gtest/gtest.h>
#include <ringfence/fault.h>

#include <cstring>
#include <vector>

namespace {

class Glued : public ::testing::Test {
protected:
  void SetUp() override {
    rf_fault_handler_set([](const rf_fault *f, void *self) { static_cast<Glued *>(self)->faults.push_back(*f); }, this);
    rt_system_heap_init(sram, sram + sizeof sram);
    ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "sdram", sdram, sizeof sdram));
  }
  void TearDown() override {
    EXPECT_EQ(0, memheapcheck(0, nullptr));
    rt_memheap_detach(&heap);
    rt_system_heap_init(RT_NULL, RT_NULL);
    rf_fault_handler_set(nullptr, nullptr);
  }

  bool in_sram(const void *p) { return p >= sram && p < sram + sizeof sram; }
  bool in_sdram(const void *p) { return p >= sdram && p < sdram + sizeof sdram; }

  struct rt_memheap heap;
  std::vector<rf_fault> faults;
  alignas(16) unsigned char sram[1024];
  alignas(16) unsigned char sdram[8192];
};

TEST_F(Glued, DynamicMemoryAsDocumented) {
  EXPECT_EQ(RT_EOK, app_dynamic_memory());
}

TEST_F(Glued, TheSystemHeapServesFirstThenTheOthersInOrder) {
  alignas(16) unsigned char more[8192];
  struct rt_memheap third;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&third, "third", more, sizeof more));
  EXPECT_TRUE(in_sram(rt_malloc(500)));
  EXPECT_TRUE(in_sdram(rt_malloc(600)));
  EXPECT_TRUE(in_sdram(rt_malloc(7000)));
  EXPECT_EQ(&third.region, rf_memheap_region_of(&third.heap, rt_malloc(7000)));
  EXPECT_TRUE(in_sram(rt_malloc(300)));
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&third));
}

// A checker's blocks do not shrink where they are.
TEST_F(Glued, ABlockThatShrinksInAnotherHeapTakesWithItWhatFits) {
  static rf_allocator_ops ops;
  rf_rt_wrap_set(
      [](rf_allocator *made, const char *, void *) {
        ops = *made->ops;
        ops.realloc = nullptr;
        ops.resize = [](rf_allocator *, void *, size_t, const rf_site *) { return RF_ERR_NO_MEMORY; };
        made->ops = &ops;
        return made;
      },
      nullptr);
  rt_system_heap_init(sram, sram + sizeof sram);
  rf_rt_wrap_set(nullptr, nullptr);
  auto *p = static_cast<unsigned char *>(rt_malloc(800));
  ASSERT_TRUE(in_sram(p));
  memset(p, 0x77, 800);
  p = static_cast<unsigned char *>(rt_realloc(p, 400));
  ASSERT_TRUE(in_sdram(p));
  EXPECT_EQ(0x77, p[399]);
  EXPECT_EQ(0, memheapcheck(0, nullptr));
  rt_free(p);
}

TEST_F(Glued, AReallocMovesToAnotherHeapWhereItsOwnIsTooSmall) {
  rt_size_t used;
  auto *p = static_cast<unsigned char *>(rt_malloc(500));
  memset(p, 0x77, 500);
  p = static_cast<unsigned char *>(rt_realloc(p, 5000));
  EXPECT_TRUE(in_sdram(p));
  EXPECT_EQ(0x77, p[499]);
  rt_memory_info(nullptr, &used, nullptr);
  EXPECT_EQ(5000U, used) << "of the other heap nothing any more";
  EXPECT_EQ(nullptr, rt_realloc(p, 9000));
  EXPECT_EQ(0x77, p[499]);
  EXPECT_EQ(p, rt_realloc(p, 100));
  rt_free(p);
  rt_memory_info(nullptr, &used, nullptr);
  EXPECT_EQ(0U, used);
}

// Its own heap is the last one, and full.
TEST_F(Glued, AReallocMovesBackToAnEarlierHeap) {
  void *const first = rt_malloc(900);
  auto *const p = static_cast<unsigned char *>(rt_malloc(200));
  ASSERT_TRUE(in_sram(first) && in_sdram(p));
  memset(p, 0x77, 200);
  while (rt_malloc(100) != nullptr) {
  }
  rt_free(first);
  auto *const q = static_cast<unsigned char *>(rt_realloc(p, 800));
  ASSERT_TRUE(in_sram(q));
  EXPECT_EQ(0x77, q[199]);
}

TEST_F(Glued, BlocksOfEachHeapAreAligned) {
  for (rt_size_t const align : {64, 256}) {
    while (void *const p = rt_malloc_align(16, align)) {
      EXPECT_EQ(0U, reinterpret_cast<uintptr_t>(p) % align);
    }
  }
}

unsigned the_rejects;

// One finding, not one of each heap.
TEST_F(Glued, ASizeThatNoHeapHasIsRejectedOnce) {
  static rf_allocator_ops ops;
  rf_rt_wrap_set(
      [](rf_allocator *made, const char *, void *) {
        ops = *made->ops;
        ops.reject = [](rf_allocator *, rf_reject, size_t, size_t, const rf_site *) { the_rejects++; };
        made->ops = &ops;
        return made;
      },
      nullptr);
  rt_system_heap_init(sram, sram + sizeof sram);
  rf_rt_wrap_set(nullptr, nullptr);
  void *const p = rt_malloc(10);
  ASSERT_TRUE(in_sram(p));
  EXPECT_EQ(nullptr, rt_realloc(p, SIZE_MAX));
  EXPECT_EQ(1U, the_rejects);
}

void *the_replacement;

// The block that is freed in the end is of another heap than the one that the hook was called with.
TEST_F(Glued, AFreeHookMayPutABlockOfAnotherHeapInThePlaceOfTheOne) {
  void *const p = rt_malloc(500);
  the_replacement = rt_malloc(5000);
  ASSERT_TRUE(in_sram(p) && in_sdram(the_replacement));
  rt_free_sethook([](void **ptr) { *ptr = the_replacement; });
  rt_free(p);
  rt_free_sethook(RT_NULL);
  EXPECT_TRUE(faults.empty());
  EXPECT_EQ(sizeof sdram, heap.available_size);
  rt_free(p);
  EXPECT_TRUE(faults.empty());
}

TEST_F(Glued, FreesFindTheirHeap) {
  void *const p = rt_malloc(500);
  void *const q = rt_malloc(5000);
  rt_free(q);
  rt_free(p);
  EXPECT_EQ(sizeof sdram, heap.available_size);
  rt_free(p);
  ASSERT_EQ(1U, faults.size());
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, faults[0].status);
  EXPECT_EQ(nullptr, rt_realloc(&heap, 10));
  ASSERT_EQ(2U, faults.size());
  EXPECT_EQ(RF_ERR_BAD_POINTER, faults[1].status);
  EXPECT_EQ(nullptr, rt_realloc(p, 5000));
  EXPECT_EQ(3U, faults.size());
}

TEST_F(Glued, FiguresAreOfAllHeaps) {
  (void)rt_malloc(500);
  void *const p = rt_malloc(5000);
  rt_free(p);
  rt_size_t total;
  rt_size_t used;
  rt_size_t most;
  rt_memory_info(&total, &used, &most);
  EXPECT_EQ(sizeof sram + sizeof sdram, total);
  EXPECT_EQ(500U, used);
  EXPECT_EQ(5500U, most);
}

TEST_F(Glued, AMemheapsOwnCallsStayInIt) {
  void *const p = rt_memheap_alloc(&heap, 100);
  EXPECT_TRUE(in_sdram(p));
  EXPECT_EQ(nullptr, rt_memheap_alloc(&heap, sizeof sdram));
  rt_free(p);
  EXPECT_EQ(sizeof sdram, heap.available_size);
  EXPECT_TRUE(faults.empty());
}

// It comes before the system heap in the list of all.
TEST_F(Glued, AMemheapThatIsOlderThanTheSystemHeapServesBehindIt) {
  rt_system_heap_init(sram, sram + sizeof sram);
  EXPECT_TRUE(in_sram(rt_malloc(100)));
  EXPECT_TRUE(in_sdram(rt_malloc(5000)));
}

TEST_F(Glued, WithoutTheSystemHeapTheOthersServe) {
  rt_system_heap_init(sram, sram + 8);
  EXPECT_TRUE(in_sdram(rt_malloc(10)));
}

} // namespace
