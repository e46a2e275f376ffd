// RT-Thread: the console, the commands that look at heaps, and objects that are made twice.
#include <rtthread.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "tests/core/unwatched.h"

namespace {

Unwatched const unwatched_here;

class RtThreadEdges : public ::testing::Test {
protected:
  RtThreadEdges() {
    console.write = [](void *self, const char *text, size_t len) {
      static_cast<RtThreadEdges *>(self)->printed.append(text, len);
    };
    console.context = this;
    rf_rt_console_set(&console);
    rt_system_heap_init(memory, memory + sizeof memory);
  }
  ~RtThreadEdges() override {
    rt_system_heap_init(RT_NULL, RT_NULL);
    rf_rt_console_set(nullptr);
  }

  rf_sink console;
  std::string printed;
  alignas(16) unsigned char memory[8192];
};

TEST_F(RtThreadEdges, ASizeIsPrintedWhole) {
  rt_kprintf("%zu", static_cast<size_t>(SIZE_MAX - 1));
  EXPECT_EQ(std::to_string(SIZE_MAX - 1), printed);
}

TEST_F(RtThreadEdges, AFormatEndsWithAConversionThatIsCutShort) {
  static const char *const formats[] = {"50%\0 %d", "50%-\0 %d", "50%08\0 %d", "50%.3\0 %d", "50%ll\0 %d"};
  for (const char *const format : formats) {
    printed.clear();
    EXPECT_EQ(3, rt_kprintf(format, 7));
    EXPECT_EQ("50%", printed);
  }
}

TEST_F(RtThreadEdges, WithoutAConsoleTheLogIsIt) {
  rf_rt_console_set(nullptr);
  testing::internal::CaptureStderr();
  rt_kprintf("to the %s\n", "log");
  EXPECT_EQ("to the log\n", testing::internal::GetCapturedStderr());
  EXPECT_EQ("", printed);
}

TEST_F(RtThreadEdges, OneDamagedHeapOfTwoIsEnoughToSaySo) {
  alignas(16) unsigned char own[1024];
  rt_smem_t const second = rt_smem_init("second", own, sizeof own);
  ASSERT_NE(nullptr, second);
  for (rt_smem_t const heap : {static_cast<rt_smem_t>(nullptr), second}) {
    void *const p = heap != nullptr ? rt_smem_alloc(heap, 48) : rt_malloc(48);
    auto *const bytes = static_cast<unsigned char *>(p);
    bytes[-1] ^= 1;
    EXPECT_EQ(-RT_ERROR, memcheck(0, nullptr));
    bytes[-1] ^= 1;
  }
  EXPECT_EQ(0, memcheck(0, nullptr));
  EXPECT_EQ(RT_EOK, rt_smem_detach(second));
}

TEST_F(RtThreadEdges, EachDamagedHeapIsNamed) {
  alignas(16) unsigned char own[1024];
  rt_smem_t const second = rt_smem_init("second", own, sizeof own);
  ASSERT_NE(nullptr, second);
  unsigned char *const blocks[] = {static_cast<unsigned char *>(rt_malloc(48)),
                                   static_cast<unsigned char *>(rt_smem_alloc(second, 48))};
  for (unsigned char *const block : blocks) {
    block[-1] ^= 1;
  }
  EXPECT_EQ(-RT_ERROR, memcheck(0, nullptr));
  EXPECT_NE(std::string::npos, printed.find("heap: damaged block header at ")) << printed;
  EXPECT_NE(std::string::npos, printed.find("second: damaged block header at ")) << printed;
  for (unsigned char *const block : blocks) {
    block[-1] ^= 1;
  }
  EXPECT_EQ(RT_EOK, rt_smem_detach(second));
}

// Each of two small heaps and of two memheaps, the second of which is damaged.
TEST_F(RtThreadEdges, CommandsLookAtTheHeapThatTheyNameAlone) {
  alignas(16) unsigned char own[4][1024];
  struct rt_memheap heaps[2];
  rt_smem_t const small[] = {rt_smem_init("one", own[0], sizeof own[0]), rt_smem_init("two", own[1], sizeof own[1])};
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heaps[0], "one", own[2], sizeof own[2]));
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heaps[1], "two", own[3], sizeof own[3]));
  unsigned char *const blocks[] = {static_cast<unsigned char *>(rt_smem_alloc(small[1], 48)),
                                   static_cast<unsigned char *>(rt_memheap_alloc(&heaps[1], 48))};
  char command[] = "check";
  char one[] = "one";
  char two[] = "two";
  char *of_one[] = {command, one};
  char *of_two[] = {command, two};
  for (unsigned char *const block : blocks) {
    block[-1] ^= 1;
  }
  for (auto const check : {memcheck, memheapcheck}) {
    EXPECT_EQ(0, check(2, of_one));
    EXPECT_EQ(-RT_ERROR, check(2, of_two));
    EXPECT_EQ(-RT_ERROR, check(1, of_one)) << "all of them";
  }
  printed.clear();
  EXPECT_EQ(0, memheaptrace(2, of_one));
  EXPECT_EQ(0U, printed.find("one: total 1024, free 1024, most used 0\n")) << printed;
  EXPECT_EQ(std::string::npos, printed.find("two"));
  for (unsigned char *const block : blocks) {
    block[-1] ^= 1;
  }
  for (int i = 0; i < 2; i++) {
    EXPECT_EQ(RT_EOK, rt_smem_detach(small[i]));
    EXPECT_EQ(RT_EOK, rt_memheap_detach(&heaps[i]));
  }
}

TEST_F(RtThreadEdges, ListsTellWhatIsUsedAndWhatWasAtMost) {
  alignas(16) unsigned char own[1024];
  struct rt_memheap heap;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "own", own, sizeof own));
  void *const blocks[] = {rt_malloc(100), rt_malloc(50), rt_memheap_alloc(&heap, 70), rt_memheap_alloc(&heap, 30)};
  rt_free(blocks[0]);
  rt_memheap_free(blocks[2]);
  printed.clear();
  list_mem();
  EXPECT_NE(std::string::npos, printed.find(", used 50, most used 150\n")) << printed;
  printed.clear();
  EXPECT_EQ(0, list_memheap());
  EXPECT_NE(std::string::npos, printed.find("own                            1024        100        994\n")) << printed;
  rt_free(blocks[1]);
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&heap));
}

// However little is left of the outer one.
TEST_F(RtThreadEdges, AMemheapInABlockOfAnotherGetsItsBlocksBack) {
  alignas(16) unsigned char own[4096];
  struct rt_memheap outer;
  struct rt_memheap inner;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&outer, "outer", own, sizeof own));
  void *const region = rt_memheap_alloc(&outer, 2048);
  void *const rest = rt_memheap_alloc(&outer, 1500);
  ASSERT_TRUE(region != nullptr && rest != nullptr);
  ASSERT_EQ(RT_EOK, rt_memheap_init(&inner, "inner", region, 2048));
  void *const p = rt_memheap_alloc(&inner, 100);
  ASSERT_NE(nullptr, p);
  rt_memheap_free(p);
  EXPECT_EQ(2048U, inner.available_size);
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&inner));
  rt_memheap_free(region);
  rt_memheap_free(rest);
  EXPECT_EQ(sizeof own, outer.available_size);
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&outer));
}

TEST_F(RtThreadEdges, APoolThatIsMadeTwiceIsListedOnce) {
  struct rt_mempool pool;
  alignas(8) rt_uint8_t blocks[512];
  memset(static_cast<void *>(&pool), 0, sizeof pool);
  ASSERT_EQ(RT_EOK, rt_mp_init(&pool, "first", blocks, sizeof blocks, 80));
  ASSERT_EQ(RT_EOK, rt_mp_init(&pool, "second", blocks, sizeof blocks, 40));
  const rt_list_t *const all = &rt_object_get_information(RT_Object_Class_MemPool)->object_list;
  int count = 0;
  for (const rt_list_t *at = all->next; at != all && count < 10; at = at->next) {
    count++;
  }
  EXPECT_EQ(1, count);
  EXPECT_STREQ("second", pool.parent.name);
  EXPECT_EQ(RT_EOK, rt_mp_detach(&pool));
}

// The owner of a block has one word for it.
TEST_F(RtThreadEdges, OfALongNameOfAThreadTheBeginningIsKept) {
  std::string const name = "a_thread_of_" + std::string(500, 'n');
  rf_rt_thread_name(name.c_str());
  void *const p = rt_malloc(48);
  rf_rt_thread_name(nullptr);
  EXPECT_EQ(0, memtrace(0, nullptr));
  EXPECT_NE(std::string::npos, printed.find("       48 used " + name.substr(0, sizeof(uintptr_t)) + "\n")) << printed;
  rt_free(p);
}

} // namespace
