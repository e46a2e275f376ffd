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
