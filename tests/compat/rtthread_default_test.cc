// RT-Thread: a program that makes no heap, as code for RT-Thread leaves that to the board. One test, since it happens
// once.
#include <rtthread.h>

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace {

TEST(RtThreadDefault, TheFirstCallsMakeOneHeapUntilSomebodyDoes) {
  std::vector<std::thread> threads;
  std::vector<void *> blocks(4);
  for (void *&block : blocks) {
    threads.emplace_back([&block] { block = rt_malloc(512 * 1024); });
  }
  for (std::thread &t : threads) {
    t.join();
  }
  rt_size_t total = 0;
  rt_size_t used = 0;
  rt_memory_info(&total, &used, nullptr);
  EXPECT_LT(RF_RT_HEAP_SIZE * 9UL / 10, total);
  EXPECT_EQ(4 * 512 * 1024UL, used);
  for (void *const block : blocks) {
    EXPECT_NE(nullptr, block);
    rt_free(block);
  }
  rt_mp_t const pool = rt_mp_create("pool", 10, 10);
  EXPECT_NE(nullptr, pool);
  EXPECT_EQ(RT_EOK, rt_mp_delete(pool));

  alignas(16) static char memory[64 * 1024];
  rt_system_heap_init(memory, memory + sizeof memory);
  EXPECT_EQ(nullptr, rt_malloc(sizeof memory));
  void *const p = rt_malloc(1000);
  EXPECT_LT(reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(memory), sizeof memory);
  rt_system_heap_init(RT_NULL, RT_NULL);
  EXPECT_EQ(nullptr, rt_malloc(1000));
}

} // namespace
