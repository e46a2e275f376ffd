// The size of the heap of k_malloc, as a program configures it; in several files, which all see the one heap.
#define CONFIG_HEAP_MEM_POOL_SIZE 1016
#include <zephyr/kernel.h>

#include <gtest/gtest.h>

#include "zephyr_configured.h"

namespace {

TEST(ZephyrConfigured, TheHeapIsAsLargeAsItIsConfigured) {
  EXPECT_EQ(0, configured());
  void *const p = k_malloc(1016);
  EXPECT_NE(nullptr, p);
  EXPECT_EQ(-1, configured());
  k_free(p);
  EXPECT_EQ(0, configured());
}

} // namespace
