// The handle heap by pointers: what the two interfaces do to each other. The rest of the adapter is
// //tests/conformance:handle_test's.
#include <ringfence/handle_allocator.h>

#include "tests/heaps/handle_fixture.h"

#include <cstring>

namespace {

class Handle : public ringfence::testing::Handle {
protected:
  rf_allocator *by_pointers() {
    EXPECT_EQ(rf_handle_allocator_init(&pinned, &heap), RF_OK);
    return &pinned.base;
  }

  rf_handle_allocator pinned;
};

TEST_F(Handle, PointersAndHandlesShareAnArena) {
  rf_allocator *const a = by_pointers();
  rf_handle const first = rf_handle_alloc(h, 20);
  void *const p = rf_alloc(a, 40);
  rf_handle const second = rf_handle_alloc(h, 20);
  void *const between = rf_alloc(a, 40);
  void *const last = rf_alloc(a, 8);
  EXPECT_EQ(rf_free(a, between), RF_OK);
  EXPECT_EQ(rf_free(a, between), RF_ERR_NOT_ALLOCATED) << "a hole begins there";
  EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_free(a, last), RF_OK);
  EXPECT_EQ(rf_handle_find(h, p), RF_HANDLE_NULL);
  EXPECT_EQ(rf_free(a, rf_handle_address(h, second)), RF_ERR_BAD_POINTER);
  EXPECT_EQ(faults.take(), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_handle_free(h, 2), RF_ERR_INVALID) << "a pointer's block has no handle";
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
  rf_handle_free(h, first);
  rf_handle_compact(h, SIZE_MAX);
  EXPECT_EQ(rf_usable_size(a, p), 40U) << "it has not moved";
  rf_stats s;
  rf_stats_get(a, &s);
  EXPECT_EQ(s.used, 40U);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(rf_free(a, p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
}

// The start of the hole: not in the block before it.
TEST_F(Handle, AHoleBeginsWhereTheBlockBeforeItEnds) {
  make_apart(100);
  rf_allocator *const a = by_pointers();
  auto *const first = static_cast<unsigned char *>(rf_alloc(a, 16));
  void *const second = rf_alloc(a, 16);
  ASSERT_EQ(second, first + 16);
  EXPECT_EQ(rf_free(a, second), RF_OK);
  EXPECT_EQ(rf_free(a, second), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_free(a, first + 12), RF_ERR_BAD_POINTER);
  EXPECT_EQ(faults.take(), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, first), RF_OK);
  EXPECT_EQ(rf_free(a, first), RF_ERR_NOT_ALLOCATED) << "the hole begins with the arena";
  EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
}

// Wherever it leads: a block, a hole, what is no block's.
TEST_F(Handle, APointerWhereNoBlockCanStartIsBadAndNoDoubleFree) {
  make_apart(100);
  rf_allocator *const a = by_pointers();
  auto *const block = static_cast<unsigned char *>(rf_alloc(a, 16));
  ASSERT_NE(block, nullptr);
  for (size_t const offset : {1, 15, 17, 99}) {
    EXPECT_EQ(rf_free(a, block + offset), RF_ERR_BAD_POINTER) << offset;
    EXPECT_EQ(faults.take(), RF_ERR_BAD_POINTER);
  }
  EXPECT_EQ(rf_free(a, block), RF_OK);
}

// A hole may serve more as it is than all free memory would when slid together, because pointers are aligned.
TEST_F(Handle, TheLargestSizeForAPointerMayBeAHoleAsItIs) {
  make_apart(72);
  rf_allocator *const a = by_pointers();
  fill({16, 48, 4, 4});
  rf_handle_free(h, 2);
  rf_handle_free(h, 4);
  rf_handle_lock(h, 1);
  EXPECT_EQ(map(), "1:16* -48 3:4 -4 ");
  rf_stats s;
  rf_stats_get(a, &s);
  EXPECT_EQ(s.largest_free, 48U);
  EXPECT_NE(rf_alloc(a, 48), nullptr);
}

TEST_F(Handle, MorePointersThanBlocksAreDamageToTheAdapter) {
  rf_allocator *const a = by_pointers();
  fill({10});
  ASSERT_NE(rf_alloc(a, 10), nullptr);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  rf_counters const before = pinned.counters;
  pinned.counters.blocks = pinned.counters.peak_blocks = 3;
  EXPECT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT);
  pinned.counters = before;
  pinned.counters.used = pinned.counters.peak = 21;
  EXPECT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT);
  pinned.counters = before;
  pinned.counters.peak--;
  EXPECT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT);
  pinned.counters = before;
  pinned.counters.peak_blocks--;
  EXPECT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT);
  pinned.counters = before;
}

// The block itself is known; whether it may grow, its neighbour's place in the table would tell.
TEST_F(Handle, AResizeThatMeetsDamageIsReported) {
  make_apart(200);
  rf_allocator *const a = by_pointers();
  void *const p = rf_alloc(a, 16);
  fill({16});
  ASSERT_EQ(rf_usable_size(a, p), 16U);
  unsigned char saved[sizeof table];
  std::memcpy(saved, table, sizeof table);
  size_t const place = RF_HANDLE_TABLE_BYTES(200, 0); // of one block
  std::memset(table + 2 * place, 0xFF, place);
  EXPECT_EQ(rf_resize(a, p, 32), RF_ERR_CORRUPT);
  EXPECT_EQ(faults.take(), RF_ERR_CORRUPT);
  std::memcpy(table, saved, sizeof table);
}

// Free parts that a request of the default alignment can have.
TEST_F(Handle, TheAllocatorsFreePartsAreAligned) {
  make_apart(1000);
  rf_allocator *const a = by_pointers();
  void *const first = rf_alloc(a, 20);
  void *const second = rf_alloc(a, 20);
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_EQ(rf_free(a, first), RF_OK);
  size_t sum = 0;
  EXPECT_EQ(rf_walk(
                a,
                [](const rf_block *block, void *out) {
                  if (!block->used && block->size != 0) {
                    EXPECT_EQ(reinterpret_cast<uintptr_t>(block->ptr) % RF_ALIGN_DEFAULT, 0U);
                    *static_cast<size_t *>(out) += block->size;
                  }
                  return true;
                },
                &sum),
            RF_OK);
  EXPECT_GT(sum, 900U);
  rf_stats stats;
  rf_stats_get(a, &stats);
  EXPECT_EQ(stats.free_bytes, sum);
  EXPECT_EQ(rf_free(a, second), RF_OK);
}

TEST_F(Handle, TheAdapterNeedsALivingHeap) {
  EXPECT_EQ(rf_handle_allocator_init(nullptr, &heap), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_allocator_init(&pinned, nullptr), RF_ERR_INVALID);
  rf_handle_deinit(h);
  EXPECT_EQ(rf_handle_allocator_init(&pinned, &heap), RF_ERR_INVALID);
}

TEST_F(Handle, WithoutAPlaceInTheTableNothingIsServedToAPointer) {
  make_apart(200, 2);
  rf_allocator *const a = by_pointers();
  fill({20, 20});
  rf_stats s;
  rf_stats_get(a, &s);
  EXPECT_EQ(s.largest_free, 0U);
  EXPECT_EQ(rf_alloc(a, 1), nullptr);
}

// Blocks that slide together leave a hole that need not begin at a multiple of the alignment.
TEST_F(Handle, TheLargestSizeForAPointerIsServedAfterSliding) {
  for (size_t const size : {4, 8, 12, 16}) {
    make_apart(96);
    rf_allocator *const a = by_pointers();
    fill({12, size});
    rf_handle_free(h, 1);
    rf_stats s;
    rf_stats_get(a, &s);
    EXPECT_EQ(rf_alloc(a, s.largest_free + 1), nullptr) << size;
    EXPECT_NE(rf_alloc(a, s.largest_free), nullptr) << size;
  }
}

} // namespace
