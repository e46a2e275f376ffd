// Zephyr's multi heap: blocks of several heaps, freed by their address.
#include <zephyr/sys/multi_heap.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "zephyr_heap_fixture.h"

namespace {

struct sys_heap the_heaps[MAX_MULTI_HEAPS + 1];

void *choose(struct sys_multi_heap *, void *cfg, size_t align, size_t size) {
  return sys_heap_aligned_alloc(&the_heaps[reinterpret_cast<uintptr_t>(cfg)], align, size);
}

TEST_F(ZephyrHeap, AMultiHeapAllocatesByChoiceAndFreesByAddress) {
  struct sys_multi_heap multi;
  sys_multi_heap_init(&multi, choose);
  for (unsigned i = 0; i < MAX_MULTI_HEAPS + 1; i++) {
    unsigned const slot = (i * 5) % (MAX_MULTI_HEAPS + 1);
    sys_heap_init(&the_heaps[slot], memory + 256 * slot, 256);
    sys_multi_heap_add_heap(&multi, &the_heaps[slot], &the_heaps[slot]);
  }
  EXPECT_EQ(RF_ERR_INVALID, fault()); // one too many
  EXPECT_EQ(static_cast<unsigned>(MAX_MULTI_HEAPS), multi.nheaps);
  EXPECT_TRUE(std::is_sorted(multi.heaps, multi.heaps + multi.nheaps, [](const auto &a, const auto &b) {
    return reinterpret_cast<uintptr_t>(a.heap->init_mem) < reinterpret_cast<uintptr_t>(b.heap->init_mem);
  }));
  void *const one = reinterpret_cast<void *>(1);
  void *const two = reinterpret_cast<void *>(2);
  char *p = static_cast<char *>(sys_multi_heap_alloc(&multi, one, 100));
  ASSERT_NE(nullptr, p);
  memset(p, 6, 100);
  ASSERT_NE(nullptr, sys_multi_heap_get_heap(&multi, p));
  EXPECT_EQ(&the_heaps[1], sys_multi_heap_get_heap(&multi, p)->user_data);
  EXPECT_EQ(p, sys_multi_heap_realloc(&multi, two, p, 120));
  EXPECT_NE(nullptr, sys_multi_heap_aligned_alloc(&multi, one, 64, 40));
  p = static_cast<char *>(sys_multi_heap_realloc(&multi, two, p, 200));
  ASSERT_NE(nullptr, p);
  EXPECT_EQ(&the_heaps[2], sys_multi_heap_get_heap(&multi, p)->heap);
  EXPECT_EQ(6, p[99]);
  EXPECT_EQ(nullptr, sys_multi_heap_realloc(&multi, two, p, 300));
  EXPECT_EQ(6, p[99]);
  EXPECT_EQ(nullptr, sys_multi_heap_realloc(&multi, two, p, 0));
  EXPECT_EQ(nullptr, sys_multi_heap_alloc(&multi, one, 0));
  EXPECT_EQ(nullptr, sys_multi_heap_get_heap(&multi, &multi));
  EXPECT_EQ(&the_heaps[0], sys_multi_heap_get_heap(&multi, memory + 255)->heap);
  EXPECT_EQ(&the_heaps[1], sys_multi_heap_get_heap(&multi, memory + 256)->heap);
  sys_multi_heap_free(&multi, nullptr);
  sys_multi_heap_free(&multi, &multi);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  EXPECT_NE(nullptr, sys_multi_heap_realloc(&multi, two, nullptr, 240));
}

// A smaller block elsewhere, since its own heap has no such alignment, takes as many bytes as it was asked for.
TEST_F(ZephyrHeap, ABlockThatMovesBetweenHeapsMayShrink) {
  alignas(1024) static char both[2048];
  static struct sys_heap from;
  static struct sys_heap to;
  sys_heap_init(&from, both + 8, 1000);
  sys_heap_init(&to, both + 1024 - 8, 512);
  struct sys_multi_heap multi;
  sys_multi_heap_init(&multi, [](struct sys_multi_heap *, void *, size_t align, size_t size) {
    return sys_heap_aligned_alloc(&to, align, size);
  });
  sys_multi_heap_add_heap(&multi, &from, nullptr);
  sys_multi_heap_add_heap(&multi, &to, nullptr);
  char *const large = static_cast<char *>(sys_heap_alloc(&from, 200));
  void *const place = sys_heap_alloc(&to, 24);
  char *const beside = static_cast<char *>(sys_heap_alloc(&to, 200));
  sys_heap_free(&to, place);
  memset(large, 7, 200);
  memset(beside, 9, 200);
  char *const moved = static_cast<char *>(sys_multi_heap_aligned_realloc(&multi, nullptr, large, 1024, 24));
  ASSERT_NE(nullptr, moved);
  EXPECT_EQ(std::string(24, 7), std::string(moved, 24));
  EXPECT_EQ(std::string(200, 9), std::string(beside, 200));
  EXPECT_TRUE(sys_heap_validate(&to));
  struct sys_memory_stats stats;
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&from, &stats));
  EXPECT_EQ(0U, stats.allocated_bytes);
}

// A checker may keep blocks outside the memory of their heap.
TEST_F(ZephyrHeap, AMultiHeapFreesWhatItAllocated) {
  static struct sys_heap one;
  static struct sys_heap two;
  sys_heap_init(&one, memory, sizeof(memory) / 2);
  sys_heap_init(&two, memory + sizeof(memory) / 2, sizeof(memory) / 2);
  struct sys_multi_heap multi;
  sys_multi_heap_init(&multi, [](struct sys_multi_heap *, void *cfg, size_t align, size_t size) {
    return sys_heap_aligned_alloc(static_cast<struct sys_heap *>(cfg), align, size);
  });
  sys_multi_heap_add_heap(&multi, &two, nullptr);
  sys_multi_heap_add_heap(&multi, &one, nullptr);
  void *const p = sys_multi_heap_alloc(&multi, &one, 100);
  void *const q = sys_multi_heap_alloc(&multi, &two, 100);
  ASSERT_NE(nullptr, sys_multi_heap_get_heap(&multi, p));
  EXPECT_EQ(&one, sys_multi_heap_get_heap(&multi, p)->heap);
  EXPECT_EQ(&two, sys_multi_heap_get_heap(&multi, q)->heap);
  sys_multi_heap_free(&multi, p);
  sys_multi_heap_free(&multi, sys_multi_heap_realloc(&multi, &two, q, 200));
  struct sys_memory_stats stats;
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&one, &stats));
  EXPECT_EQ(0U, stats.allocated_bytes);
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&two, &stats));
  EXPECT_EQ(0U, stats.allocated_bytes);
  EXPECT_EQ(RF_OK, fault());
}

} // namespace
