// Zephyr's shared multi heap, which is one for the program: what its own tests rely on, and what is refused.
#include <zephyr/multi_heap/shared_multi_heap.h>
#include <zephyr/sys/multi_heap.h>

#include <cerrno>
#include <cstdint>
#include <gtest/gtest.h>

#include "tests/core/recorder.h"

namespace {

class ZephyrSharedHeap : public ::testing::Test {
protected:
  ringfence::testing::FaultRecorder faults_;

  void TearDown() override { EXPECT_TRUE(faults_.faults().empty()); }
};

alignas(8) char cached[256], uncached[256], more_cached[512], tiny[8];

bool lies_in(const void *p, const char *region, size_t size) {
  return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(region) < size;
}

// The first of its tests makes it.
TEST_F(ZephyrSharedHeap, ServesByAttribute) {
  struct shared_multi_heap_region region = {SMH_REG_ATTR_CACHEABLE, reinterpret_cast<uintptr_t>(cached), sizeof cached};
  EXPECT_EQ(-EINVAL, shared_multi_heap_add(&region, nullptr));
  EXPECT_EQ(nullptr, shared_multi_heap_alloc(SMH_REG_ATTR_CACHEABLE, 8));
  EXPECT_EQ(0, shared_multi_heap_pool_init());
  EXPECT_EQ(-EALREADY, shared_multi_heap_pool_init());
  EXPECT_EQ(0, shared_multi_heap_add(&region, nullptr));
  region = {SMH_REG_ATTR_NON_CACHEABLE, reinterpret_cast<uintptr_t>(uncached), sizeof uncached};
  EXPECT_EQ(0, shared_multi_heap_add(&region, nullptr));
  region = {SMH_REG_ATTR_CACHEABLE, reinterpret_cast<uintptr_t>(more_cached), sizeof more_cached};
  EXPECT_EQ(0, shared_multi_heap_add(&region, nullptr));
  region.attr = SMH_REG_ATTR_NUM;
  EXPECT_EQ(-EINVAL, shared_multi_heap_add(&region, nullptr));
  region = {SMH_REG_ATTR_CACHEABLE, reinterpret_cast<uintptr_t>(tiny), sizeof tiny};
  EXPECT_EQ(-EINVAL, shared_multi_heap_add(&region, nullptr));
  EXPECT_EQ(-EINVAL, shared_multi_heap_add(nullptr, nullptr));

  void *const a = shared_multi_heap_alloc(SMH_REG_ATTR_CACHEABLE, 100);
  void *const b = shared_multi_heap_alloc(SMH_REG_ATTR_CACHEABLE, 300);
  void *const c = shared_multi_heap_aligned_alloc(SMH_REG_ATTR_NON_CACHEABLE, 64, 10);
  EXPECT_TRUE(lies_in(a, cached, sizeof cached));
  EXPECT_TRUE(lies_in(b, more_cached, sizeof more_cached));
  EXPECT_TRUE(lies_in(c, uncached, sizeof uncached));
  EXPECT_EQ(0U, reinterpret_cast<uintptr_t>(c) % 64);
  EXPECT_EQ(nullptr, shared_multi_heap_alloc(SMH_REG_ATTR_NON_CACHEABLE, 300));
  EXPECT_EQ(nullptr, shared_multi_heap_alloc(SMH_REG_ATTR_NON_CACHEABLE, 0));
  EXPECT_EQ(nullptr, shared_multi_heap_alloc(SMH_REG_ATTR_NUM, 8));
  shared_multi_heap_free(a);
  shared_multi_heap_free(b);
  shared_multi_heap_free(c);
  shared_multi_heap_free(nullptr);
  EXPECT_EQ(b, shared_multi_heap_alloc(SMH_REG_ATTR_CACHEABLE, 500));
}

// A checker may keep blocks outside the memory of their heap.
TEST_F(ZephyrSharedHeap, FreesWhatItAllocated) {
  alignas(8) static char more[4096];
  struct shared_multi_heap_region region = {SMH_REG_ATTR_CACHEABLE, reinterpret_cast<uintptr_t>(more), sizeof more};
  (void)shared_multi_heap_pool_init();
  ASSERT_EQ(0, shared_multi_heap_add(&region, nullptr));
  for (int i = 0; i < 100; i++) {
    void *const p = shared_multi_heap_alloc(SMH_REG_ATTR_CACHEABLE, 600);
    ASSERT_NE(nullptr, p);
    shared_multi_heap_free(p);
  }
}

TEST_F(ZephyrSharedHeap, HasNoMoreRegionsThanThereIsRoomFor) {
  alignas(8) static char regions[MAX_MULTI_HEAPS + 1][256];
  struct shared_multi_heap_region region = {SMH_REG_ATTR_CACHEABLE, 0, sizeof regions[0]};
  int status = 0;
  (void)shared_multi_heap_pool_init();
  for (int i = 0; status == 0 && i <= MAX_MULTI_HEAPS; i++) {
    region.addr = reinterpret_cast<uintptr_t>(regions[i]);
    status = shared_multi_heap_add(&region, nullptr);
  }
  EXPECT_EQ(-ENOMEM, status);
  region.attr = SMH_REG_ATTR_NUM;
  EXPECT_EQ(-EINVAL, shared_multi_heap_add(&region, nullptr));
}

} // namespace
