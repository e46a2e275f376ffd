#include <ringfence/blockgroup_allocator.h>

#include "fault_log.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <string>

// Pools of 32, 64 and again 32 bytes, two blocks each, in this order.
class BlockgroupAllocator : public testing::Test {
protected:
  BlockgroupAllocator() {
    size_t const sizes[] = {64, 32, 32};
    EXPECT_EQ(rf_blockgroup_init(&group, [](rf_blockgroup *, void *) -> rf_memblocks * { return nullptr; }), RF_OK);
    for (int i = 0; i < 3; i++) {
      EXPECT_EQ(rf_memblocks_init(&pools[i], buffers[i], sizes[i], 2, &bitmaps[i]), RF_OK);
      EXPECT_EQ(rf_blockgroup_add(&group, &members[i], &pools[i]), RF_OK);
    }
    EXPECT_EQ(rf_blockgroup_allocator_init(&heap, &group, table), RF_OK);
    a = &heap.base;
  }

  rf_stats stats() {
    rf_stats s;
    rf_stats_get(a, &s);
    return s;
  }

  alignas(64) unsigned char buffers[3][128];
  size_t bitmaps[3];
  rf_memblocks pools[3];
  rf_blockgroup_member members[3];
  rf_blockgroup group;
  size_t table[6];
  rf_blockgroup_allocator heap;
  rf_allocator *a;
  FaultLog faults;
};

TEST_F(BlockgroupAllocator, RefusesNull) {
  EXPECT_EQ(rf_blockgroup_allocator_init(nullptr, &group, table), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_allocator_init(&heap, nullptr, table), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_allocator_init(&heap, &group, nullptr), RF_ERR_INVALID);
}

TEST_F(BlockgroupAllocator, ASizeAboveThatOfItsBlockIsDamageWhateverWasCounted) {
  EXPECT_EQ(rf_alloc(a, 20), buffers[1]);
  table[2] += 20;
  heap.counters.used += 20;
  rf_fault where;
  EXPECT_EQ(rf_check(a, &where), RF_ERR_CORRUPT);
  EXPECT_EQ(where.ptr, &table[2]);
}

TEST_F(BlockgroupAllocator, TakesTheSmallestBlockThatHoldsItAndSpillsUpwards) {
  EXPECT_EQ(rf_alloc(a, 20), buffers[1]);
  EXPECT_EQ(rf_alloc(a, 32), buffers[1] + 32);
  EXPECT_EQ(rf_alloc(a, 0), buffers[2]);
  EXPECT_EQ(rf_alloc(a, 33), buffers[0]);
  EXPECT_EQ(rf_alloc(a, 1), buffers[2] + 32);
  EXPECT_EQ(rf_alloc(a, 1), buffers[0] + 64);
  EXPECT_EQ(rf_alloc(a, 1), nullptr);
  EXPECT_EQ(rf_alloc(a, 65), nullptr);
  EXPECT_EQ(stats().failures, 2U);
  EXPECT_EQ(stats().blocks, 6U);
}

TEST_F(BlockgroupAllocator, ServesAlignmentsThatABlockHas) {
  EXPECT_EQ(rf_aligned_alloc(a, 64, 1), buffers[1]);
  EXPECT_EQ(rf_aligned_alloc(a, 64, 1), buffers[2]);
  EXPECT_EQ(rf_aligned_alloc(a, 64, 1), buffers[0]);
  EXPECT_EQ(rf_alloc(a, 1), buffers[1] + 32);
}

// All of its blocks are free, and none can be had by alloc, which aligns.
TEST_F(BlockgroupAllocator, OfAPoolOffTheDefaultAlignmentNothingIsAvailable) {
  rf_memblocks odd;
  rf_blockgroup_member member;
  rf_blockgroup alone;
  rf_blockgroup_allocator over;
  rf_stats s;
  ASSERT_EQ(rf_memblocks_init(&odd, buffers[0] + 8, 32, 2, &bitmaps[0]), RF_OK);
  ASSERT_EQ(rf_blockgroup_init(&alone, group.choose), RF_OK);
  ASSERT_EQ(rf_blockgroup_add(&alone, &member, &odd), RF_OK);
  ASSERT_EQ(rf_blockgroup_allocator_init(&over, &alone, table), RF_OK);
  rf_stats_get(&over.base, &s);
  EXPECT_EQ(s.free_bytes, 64U);
  EXPECT_EQ(s.largest_free, 0U);
  EXPECT_EQ(rf_alloc(&over.base, 1), nullptr);
}

TEST_F(BlockgroupAllocator, CountsRequestedBytes) {
  void *p = rf_alloc(a, 5);
  (void)rf_alloc(a, 60);
  rf_free(a, p);
  rf_stats const s = stats();
  EXPECT_EQ(s.capacity, 256U);
  EXPECT_EQ(s.used, 60U);
  EXPECT_EQ(s.peak, 65U);
  EXPECT_EQ(s.blocks, 1U);
  EXPECT_EQ(s.free_bytes, 192U);
  EXPECT_EQ(s.largest_free, 64U);
  EXPECT_EQ(s.overhead, 4U);
}

TEST_F(BlockgroupAllocator, ResizesWithinTheBlockAndMovesBeyond) {
  auto *p = static_cast<char *>(rf_alloc(a, 5));
  EXPECT_EQ(rf_usable_size(a, p), 32U);
  EXPECT_EQ(rf_resize(a, p, 32), RF_OK);
  EXPECT_EQ(stats().used, 32U);
  EXPECT_EQ(rf_resize(a, p, 33), RF_ERR_NO_MEMORY);
  strcpy(p, "text");
  p = static_cast<char *>(rf_realloc(a, p, 50));
  EXPECT_EQ(static_cast<void *>(p), buffers[0]);
  EXPECT_STREQ(p, "text");
  EXPECT_EQ(pools[1].used, 0U);
}

TEST_F(BlockgroupAllocator, RefusesEveryBadPointer) {
  unsigned char *p = static_cast<unsigned char *>(rf_alloc(a, 5));
  int foreign;
  EXPECT_EQ(rf_free(a, &foreign), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, p + 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, buffers[0]), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_resize(a, &foreign, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_resize(a, buffers[0], 1), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(faults.count(), 5U);
  EXPECT_EQ(rf_usable_size(a, p + 1), 0U);
  EXPECT_EQ(rf_usable_size(a, buffers[0]), 0U);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(rf_free(a, p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(stats().blocks, 0U);
}

TEST_F(BlockgroupAllocator, WalksPoolByPoolUntilToldToStop) {
  (void)rf_alloc(a, 5);
  std::string text;
  auto visit = [](const rf_block *b, void *out) {
    auto *t = static_cast<std::string *>(out);
    *t += (b->used ? "used " : "free ") + std::to_string(b->size) + " ";
    return t->size() < 30;
  };
  EXPECT_EQ(rf_walk(a, visit, &text), RF_OK);
  EXPECT_EQ(text, "free 64 free 64 used 5 free 32 ");
}

TEST_F(BlockgroupAllocator, BlocksTakenDirectlyAreNotItsOwn) {
  void *direct = nullptr;
  ASSERT_EQ(rf_memblocks_alloc(&pools[1], 1, &direct), RF_OK);
  EXPECT_EQ(rf_free(a, direct), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  EXPECT_EQ(rf_memblocks_free(&pools[1], 1, &direct), RF_OK);
}

TEST_F(BlockgroupAllocator, DamageToAnyByteOfTheTableIsTold) {
  void *p = rf_alloc(a, 5);
  (void)rf_alloc(a, 60);
  auto *const bytes = reinterpret_cast<unsigned char *>(table);
  for (size_t i = 0; i < sizeof table; i++) {
    unsigned char const good = bytes[i];
    for (int flip = 1; flip < 256; flip++) {
      bytes[i] = static_cast<unsigned char>(good ^ flip);
      rf_fault where;
      ASSERT_EQ(rf_check(a, &where), RF_ERR_CORRUPT) << i;
      ASSERT_EQ(where.allocator, a);
    }
    bytes[i] = good;
  }
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  table[2] = 34;
  EXPECT_EQ(rf_free(a, p), RF_ERR_CORRUPT);
}

TEST_F(BlockgroupAllocator, CheckTellsDamageOfAMember) {
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  bitmaps[2] = 2;
  rf_fault where;
  EXPECT_EQ(rf_check(a, &where), RF_ERR_CORRUPT);
  EXPECT_EQ(where.allocator, a);
}

TEST_F(BlockgroupAllocator, AnAllocThatMeetsAnImpossibleCountIsReportedAndGoesToTheNextPool) {
  pools[1].used = 3;
  EXPECT_EQ(rf_alloc(a, 1), buffers[2]);
  EXPECT_EQ(faults.last().status, RF_ERR_CORRUPT);
}

TEST_F(BlockgroupAllocator, DamageToAnyByteOfItsRecordIsToldAndNotFollowed) {
  void *p = rf_alloc(a, 5);
  rf_blockgroup_allocator const good = heap;
  auto *const bytes = reinterpret_cast<unsigned char *>(&heap);
  for (size_t i = sizeof(rf_allocator); i < sizeof heap; i++) {
    if (i >= offsetof(rf_blockgroup_allocator, counters) && i < offsetof(rf_blockgroup_allocator, checksum)) {
      continue;
    }
    bytes[i] ^= 0x10;
    EXPECT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT) << i;
    EXPECT_EQ(rf_alloc(a, 1), nullptr);
    EXPECT_EQ(rf_free(a, p), RF_ERR_CORRUPT);
    EXPECT_EQ(rf_resize(a, p, 1), RF_ERR_CORRUPT);
    EXPECT_EQ(rf_usable_size(a, p), 0U);
    EXPECT_FALSE(rf_owns(a, p));
    EXPECT_EQ(rf_walk(
                  a, [](const rf_block *, void *) { return true; }, nullptr),
              RF_ERR_CORRUPT);
    EXPECT_EQ(stats().capacity, 0U);
    rf_deinit(a);
    heap = good;
  }
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

TEST_F(BlockgroupAllocator, AfterDeinitServesNothing) {
  (void)rf_alloc(a, 1);
  rf_deinit(a);
  rf_deinit(a);
  EXPECT_EQ(rf_alloc(a, 1), nullptr);
  EXPECT_FALSE(rf_owns(a, buffers[0]));
  EXPECT_EQ(stats().overhead, 0U);
}

TEST_F(BlockgroupAllocator, AWalkShowsBlocksThatWereTakenDirectlyAsUsed) {
  void *direct = nullptr;
  ASSERT_EQ(rf_memblocks_alloc(&pools[0], 1, &direct), RF_OK);
  std::string text;
  EXPECT_EQ(rf_walk(
                a,
                [](const rf_block *b, void *out) {
                  *static_cast<std::string *>(out) += (b->used ? "used " : "free ") + std::to_string(b->size) + " ";
                  return true;
                },
                &text),
            RF_OK);
  EXPECT_EQ(text, "used 64 free 64 free 32 free 32 free 32 free 32 ");
}

TEST_F(BlockgroupAllocator, AFreeOfMoreBlocksThanAreTakenIsDamageAndNoDoubleFree) {
  void *p = rf_alloc(a, 1);
  pools[1].used = 0;
  EXPECT_EQ(rf_free(a, p), RF_ERR_CORRUPT);
  pools[1].used = 1;
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

TEST_F(BlockgroupAllocator, ABlockOfWhichEachByteWasAskedForIsSound) {
  ASSERT_NE(rf_alloc(a, 32), nullptr);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
}

TEST_F(BlockgroupAllocator, AWrongCountIsDamageToTheAdapter) {
  rf_fault where;
  heap.counters.blocks++;
  EXPECT_EQ(rf_check(a, &where), RF_ERR_CORRUPT);
  EXPECT_EQ(where.ptr, &heap);
}

TEST_F(BlockgroupAllocator, TellsListenersOfAnAllocationTheBytesOfABlock) {
  size_t heard = 0;
  rf_memblocks_listener listener = {
      [](rf_memblocks *, void *, size_t bytes, void *out) { *static_cast<size_t *>(out) += bytes; }, nullptr, &heard,
      nullptr};
  rf_memblocks_listen(&pools[1], &listener);
  ASSERT_EQ(rf_alloc(a, 5), buffers[1]);
  EXPECT_EQ(heard, 32U);
}
