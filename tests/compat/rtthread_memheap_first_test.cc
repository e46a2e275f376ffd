// RT-Thread with memheaps as heap: a program that makes a memheap of its own, and no system heap. One test, since which
// heap is the first is decided once.
#include <rtthread.h>

#include <gtest/gtest.h>

namespace {

TEST(RtThreadMemheapFirst, AMemheapOfTheProgramsMakesADefaultHeapNeedless) {
  alignas(16) static unsigned char memory[16 * 1024];
  struct rt_memheap own;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&own, "own", memory, sizeof memory));
  auto *const p = static_cast<unsigned char *>(rt_malloc(100));
  EXPECT_TRUE(p >= memory && p < memory + sizeof memory);
  EXPECT_EQ(nullptr, rt_malloc(sizeof memory));
  rt_free(p);
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&own));
}

} // namespace
