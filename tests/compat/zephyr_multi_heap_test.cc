// Zephyr's multi heap: blocks of several heaps, freed by their address.
#include <zephyr/multi_heap/shared_multi_heap.h>
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

void *first_of(struct sys_multi_heap *all, void *, size_t align, size_t size) {
  return sys_heap_aligned_alloc(all->heaps[0].heap, align, size);
}

TEST_F(ZephyrHeap, AMultiHeapResizesNoMoreThanItsLiveBlocks) {
  sys_heap_init(&heap, memory, sizeof memory);
  struct sys_multi_heap multi;
  sys_multi_heap_init(&multi, first_of);
  sys_multi_heap_add_heap(&multi, &heap, nullptr);
  EXPECT_EQ(nullptr, sys_multi_heap_aligned_realloc(&multi, nullptr, &multi, 0, 40));
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  void *const p = sys_multi_heap_alloc(&multi, nullptr, 40);
  sys_multi_heap_free(&multi, p);
  EXPECT_EQ(nullptr, sys_multi_heap_aligned_realloc(&multi, nullptr, p, 0, 80));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  struct sys_memory_stats stats;
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(0U, stats.allocated_bytes);
}

TEST_F(ZephyrHeap, AMultiHeapsReallocOfNothingIsAligned) {
  sys_heap_init(&heap, memory, sizeof memory);
  struct sys_multi_heap multi;
  sys_multi_heap_init(&multi, first_of);
  sys_multi_heap_add_heap(&multi, &heap, nullptr);
  EXPECT_NE(nullptr, sys_multi_heap_alloc(&multi, nullptr, 8));
  for (size_t const align : {64, 128, 256}) {
    EXPECT_TRUE(rf_is_aligned(sys_multi_heap_aligned_realloc(&multi, nullptr, nullptr, align, 40), align)) << align;
  }
}

// The bytes before the first block and behind the last, and memory in which there is no heap.
TEST_F(ZephyrHeap, AnAddressIsInTheHeapWhoseMemoryHasIt) {
  static struct sys_heap none;
  sys_heap_init(&heap, memory + 1, 1000);
  sys_heap_init(&none, memory + 1001, 10);
  struct sys_multi_heap multi;
  sys_multi_heap_init(&multi, first_of);
  sys_multi_heap_add_heap(&multi, &none, nullptr);
  sys_multi_heap_add_heap(&multi, &heap, nullptr);
  for (size_t const offset : {1, 500, 1000}) {
    const struct sys_multi_heap_rec *const rec = sys_multi_heap_get_heap(&multi, memory + offset);
    EXPECT_EQ(&multi.heaps[0], rec) << offset;
  }
  EXPECT_EQ(&multi.heaps[1], sys_multi_heap_get_heap(&multi, memory + 1001));
  EXPECT_EQ(nullptr, sys_multi_heap_get_heap(&multi, memory));
  EXPECT_EQ(nullptr, sys_multi_heap_get_heap(&multi, memory + 1011));
}

// Regions that come in the order of falling addresses: a kind is the region's own, wherever it lies.
TEST_F(ZephyrHeap, TheSharedMultiHeapServesEachKindFromAllOfItsRegions) {
  size_t const size = sizeof memory / MAX_MULTI_HEAPS;
  shared_multi_heap_free(memory);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault()) << "there is no pool yet";
  EXPECT_EQ(nullptr, shared_multi_heap_realloc(SMH_REG_ATTR_CACHEABLE, memory, 8));
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  EXPECT_EQ(nullptr, shared_multi_heap_realloc(SMH_REG_ATTR_CACHEABLE, nullptr, 8));
  ASSERT_EQ(0, shared_multi_heap_pool_init());
  struct shared_multi_heap_region region = {SMH_REG_ATTR_CACHEABLE, reinterpret_cast<uintptr_t>(memory), 8};
  for (int i = 0; i < MAX_MULTI_HEAPS + 1; i++) {
    EXPECT_EQ(-EINVAL, shared_multi_heap_add(&region, nullptr)) << "too small, and takes no place";
  }
  region.size = size;
  for (uint32_t i = MAX_MULTI_HEAPS; i-- != 0;) {
    region.attr = i % 2;
    region.addr = reinterpret_cast<uintptr_t>(memory + i * size);
    EXPECT_EQ(0, shared_multi_heap_add(&region, nullptr));
  }
  region.attr = SMH_REG_ATTR_CACHEABLE;
  EXPECT_EQ(-ENOMEM, shared_multi_heap_add(&region, nullptr));
  for (auto const kind : {SMH_REG_ATTR_CACHEABLE, SMH_REG_ATTR_NON_CACHEABLE}) {
    for (size_t i = MAX_MULTI_HEAPS / 2; i-- != 0;) {
      const char *const region_at = memory + (2 * i + kind) * size;
      EXPECT_EQ(region_at + 8, shared_multi_heap_alloc(kind, size - 8)) << i;
    }
    EXPECT_EQ(nullptr, shared_multi_heap_alloc(kind, 8));
  }

  auto const kind = SMH_REG_ATTR_CACHEABLE;
  char *const lowest = memory + 8; // of the region that is asked last
  EXPECT_EQ(lowest, shared_multi_heap_realloc(kind, lowest, 16)) << "shrinks where it is";
  EXPECT_EQ(nullptr, shared_multi_heap_realloc(SMH_REG_ATTR_NUM, lowest, 8)) << "nor does it where no kind is named";
  auto *const p = static_cast<char *>(shared_multi_heap_realloc(kind, nullptr, 8));
  ASSERT_EQ(lowest + 16 + 8, p);
  *p = 'x';
  EXPECT_EQ(nullptr, shared_multi_heap_realloc(kind, p, size - 8)) << "no region has room";
  char *const another = memory + 2 * size + 8;
  shared_multi_heap_free(another);
  EXPECT_EQ(nullptr, shared_multi_heap_realloc(SMH_REG_ATTR_NUM, p, size - 8)) << "of no kind";
  EXPECT_EQ(another, shared_multi_heap_realloc(kind, p, size - 8));
  EXPECT_EQ('x', *another);
  EXPECT_EQ(nullptr, shared_multi_heap_realloc(kind, another, 0));
  EXPECT_EQ(another, shared_multi_heap_alloc(kind, size - 8)) << "it was freed";
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
