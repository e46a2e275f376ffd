// The handle heap: what uC/GUI's does, and what ours promises beyond it.
#include <ringfence/handle.h>

#include "handle_fixture.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

using Handle = ringfence::testing::Handle;

// ---- As uC/GUI's ----

TEST_F(Handle, OfAFreshHeapAre1And2And3) {
  EXPECT_EQ(rf_handle_alloc(h, 10), 1U);
  EXPECT_EQ(rf_handle_alloc(h, 10), 2U);
  EXPECT_EQ(rf_handle_alloc(h, 10), 3U);
}

TEST_F(Handle, Null0HasNoAddressAndMayBeFreed) {
  EXPECT_EQ(rf_handle_address(h, RF_HANDLE_NULL), nullptr);
  EXPECT_EQ(rf_handle_lock(h, RF_HANDLE_NULL), nullptr);
  EXPECT_EQ(rf_handle_unlock(h, RF_HANDLE_NULL), RF_OK);
  EXPECT_EQ(rf_handle_size(h, RF_HANDLE_NULL), 0U);
  EXPECT_EQ(rf_handle_free(h, RF_HANDLE_NULL), RF_OK);
  EXPECT_EQ(rf_handle_realloc(h, RF_HANDLE_NULL, 4), RF_ERR_INVALID);
}

TEST_F(Handle, SizesRoundUpToTheAlignmentOf4) {
  for (size_t const size : {29, 30, 31, 32}) {
    size_t const before = usage().used_bytes;
    ASSERT_NE(rf_handle_alloc(h, size), RF_HANDLE_NULL);
    EXPECT_EQ(usage().used_bytes - before, 32U);
  }
}

TEST_F(Handle, BlocksBeginZeroed) {
  rf_handle const a = rf_handle_alloc(h, 101);
  EXPECT_TRUE(std::all_of(at(a), at(a) + 101, [](unsigned char c) { return c == 0; }));
}

TEST_F(Handle, ARawBlockIsLeftAsItIs) {
  rf_handle const a = rf_handle_alloc_raw(h, 100);
  EXPECT_EQ(at(a)[50], 0x55);
}

TEST_F(Handle, FreedMemoryIsFilledWithCC) {
  rf_handle const a = rf_handle_alloc(h, 101);
  unsigned char *const p = at(a);
  rf_handle_free(h, a);
  Unwatched const unwatched(p, 104);
  EXPECT_TRUE(std::all_of(p, p + 104, [](unsigned char c) { return c == 0xCC; }));
}

TEST_F(Handle, TheFirstHoleFromLowToHighIsTaken) {
  make_apart(200);
  fill({20, 8, 12, 8, 16, 8});
  rf_handle_free(h, 1);
  rf_handle_free(h, 3);
  rf_handle_free(h, 5);
  EXPECT_EQ(map(), "-20 2:8 -12 4:8 -16 6:8 -128 ");
  EXPECT_EQ(rf_handle_alloc(h, 12) & 0xFFFF, 1U);
  EXPECT_EQ(map(), "1:12 -8 2:8 -12 4:8 -16 6:8 -128 ");
  EXPECT_EQ(rf_handle_alloc(h, 13) & 0xFFFF, 3U);
  EXPECT_EQ(map(), "1:12 -8 2:8 -12 4:8 3:13 6:8 -128 ");
}

TEST_F(Handle, TheLowestFreeHandleIsTaken) {
  fill({8, 8, 8, 8});
  rf_handle_free(h, 3);
  rf_handle_free(h, 2);
  EXPECT_EQ(rf_handle_alloc(h, 100) & 0xFFFF, 2U);
  EXPECT_EQ(rf_handle_alloc(h, 100) & 0xFFFF, 3U);
  EXPECT_EQ(rf_handle_alloc(h, 100), 5U);
}

TEST_F(Handle, AllocCompactsWhereNoHoleIsLargeEnough) {
  make_apart(64);
  fill({16, 16, 16, 16});
  std::memset(at(2), 'b', 16);
  std::memset(at(4), 'd', 16);
  rf_handle_free(h, 1);
  rf_handle_free(h, 3);
  rf_handle const big = rf_handle_alloc(h, 32);
  ASSERT_NE(big, RF_HANDLE_NULL);
  EXPECT_EQ(map(), "2:16 1:32 4:16 ");
  EXPECT_EQ(std::string(reinterpret_cast<char *>(at(2)), 16), std::string(16, 'b'));
  EXPECT_EQ(std::string(reinterpret_cast<char *>(at(4)), 16), std::string(16, 'd'));
  EXPECT_EQ(at(big)[31], 0);
  EXPECT_EQ(usage().compactions, 1U);
  EXPECT_EQ(usage().moved_bytes, 16U);
}

TEST_F(Handle, CompactionMovesNoMoreBlocksThanItMust) {
  make_apart(100);
  fill({20, 4, 16, 4, 16, 4, 36});
  rf_handle_free(h, 1);
  rf_handle_free(h, 3);
  rf_handle_free(h, 5);
  EXPECT_NE(rf_handle_alloc(h, 36), RF_HANDLE_NULL);
  EXPECT_EQ(map(), "2:4 1:36 4:4 -16 6:4 7:36 ");
}

TEST_F(Handle, FreePtrZeroesTheHandle) {
  rf_handle a = rf_handle_alloc(h, 8);
  EXPECT_EQ(rf_handle_free_ptr(h, &a), RF_OK);
  EXPECT_EQ(a, RF_HANDLE_NULL);
  EXPECT_EQ(rf_handle_free_ptr(h, &a), RF_OK);
}

TEST_F(Handle, FreePtrKeepsAHandleThatWasRefused) {
  rf_handle a = rf_handle_alloc(h, 8);
  rf_handle_lock(h, a);
  rf_handle const kept = a;
  EXPECT_EQ(rf_handle_free_ptr(h, &a), RF_ERR_BUSY);
  EXPECT_EQ(a, kept);
  EXPECT_EQ(faults.take(), RF_ERR_BUSY);
}

TEST_F(Handle, FindIsTheInverseOfAddress) {
  fill({10, 20, 30});
  for (rf_handle a = 1; a <= 3; a++) {
    EXPECT_EQ(rf_handle_find(h, at(a)), a);
    EXPECT_EQ(rf_handle_find(h, at(a) + 4), RF_HANDLE_NULL);
  }
  EXPECT_EQ(rf_handle_find(h, nullptr), RF_HANDLE_NULL);
  EXPECT_EQ(rf_handle_find(h, &heap), RF_HANDLE_NULL);
}

TEST_F(Handle, BlocksAreAsManyAsTwoAndOnePer32Bytes) {
  make({}, 12500);
  rf_handle_usage const u = usage();
  EXPECT_LE(u.free_blocks, 2 + kArena / 32);
  EXPECT_LE(u.free_blocks, 2 + u.free_bytes / 32);
  EXPECT_GE(u.free_blocks, 1 + u.free_bytes / 32);
  for (size_t i = u.free_blocks; i != 0; i--) {
    ASSERT_NE(rf_handle_alloc(h, 4), RF_HANDLE_NULL);
  }
  EXPECT_EQ(rf_handle_alloc(h, 4), RF_HANDLE_NULL);
}

// ---- The table ----

TEST_F(Handle, PlacesAreAsWideAsTheHeapAsksFor) {
  std::vector<unsigned char> big(70000);
  std::vector<unsigned char> places(32 * 400);
  struct {
    size_t size, blocks, stride;
  } const cases[] = {{8000, 100, 10}, {65535, 255, 10}, {65535, 256, 12}, {65536, 255, 14}, {65536, 256, 16}};
  for (auto const &c : cases) {
    rf_handle_options options = {};
    options.max_blocks = c.blocks;
    options.table = places.data();
    options.table_size = RF_HANDLE_TABLE_BYTES(c.size, c.blocks);
    EXPECT_EQ(options.table_size, (c.blocks + 1) * c.stride);
    std::fill(places.begin(), places.end(), 0x77);
    ASSERT_EQ(rf_handle_heap_init(&heap, big.data(), c.size, &options), RF_OK);
    EXPECT_EQ(usage().free_blocks, c.blocks);
    EXPECT_EQ(usage().free_bytes, c.size / 4 * 4);
    std::vector<rf_handle> all;
    for (size_t i = 0; i < c.blocks; i++) {
      all.push_back(rf_handle_alloc(h, 20 + i % 7));
      ASSERT_NE(all.back(), RF_HANDLE_NULL);
    }
    EXPECT_EQ(rf_handle_alloc(h, 1), RF_HANDLE_NULL);
    EXPECT_EQ(usage().free_bytes, 0U) << "no handle is left";
    for (rf_handle const a : all) {
      EXPECT_EQ(rf_handle_free(h, a), RF_OK);
    }
    EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
    EXPECT_EQ(usage().largest, c.size / 4 * 4);
    EXPECT_EQ(places[options.table_size], 0x77) << "written past the table";
    rf_handle_deinit(h);
  }
}

// 65536 does not fit two bytes, though every offset of such an arena does.
TEST_F(Handle, ABlockOfTheWholeArenaKeepsItsSize) {
  alignas(8) static unsigned char big[65536 + 4];
  for (size_t const size : {65532, 65536, 65540}) {
    rf_handle_options options = {};
    options.max_blocks = 1;
    options.table = table;
    options.table_size = sizeof table;
    ASSERT_EQ(rf_handle_heap_init(&heap, big, size, &options), RF_OK);
    rf_handle const all = rf_handle_alloc(h, size);
    EXPECT_EQ(rf_handle_size(h, all), size);
    EXPECT_EQ(usage().used_bytes, size);
    EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
    EXPECT_EQ(rf_handle_free(h, all), RF_OK);
    rf_handle_deinit(h);
  }
}

// However the arena is divided: a place more would take the memory that it is for.
TEST_F(Handle, PlacesBeyondTheTwoHaveTheirBytes) {
  for (size_t size = 100; size < 1000; size++) {
    make({}, size);
    rf_handle_usage const u = usage();
    EXPECT_LE((u.free_blocks - 2) * 32, u.free_bytes + 6) << size; // as aligned as blocks are, at both ends
    rf_handle_deinit(h);
  }
}

TEST_F(Handle, ATableThatIsTooSmallMeansFewerBlocks) {
  rf_handle_options options = {};
  options.max_blocks = 100;
  options.table = table;
  options.table_size = 45;
  make(options);
  EXPECT_EQ(usage().free_blocks, 3U);
}

TEST_F(Handle, AverageBlockSizeSetsHowManyBlocksThereMayBe) {
  rf_handle_options options = {};
  options.average_block = 500;
  make(options);
  EXPECT_EQ(usage().free_blocks, 2U + 12500 / 500 - 1);
}

TEST_F(Handle, InitRefusesWhatCannotWork) {
  rf_handle_options o = {};
  EXPECT_EQ(rf_handle_heap_init(nullptr, arena, 100, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_heap_init(&heap, nullptr, 100, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_heap_init(&heap, arena, SIZE_MAX, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_heap_init(&heap, arena, 0, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_heap_init(&heap, arena, 35, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_heap_init(&heap, arena, 36, nullptr), RF_OK);
  for (size_t const align : {3, 65536}) {
    o.align = align;
    EXPECT_EQ(rf_handle_heap_init(&heap, arena, 10000, &o), RF_ERR_INVALID);
  }
  o.align = 0;
  o.max_blocks = 65536; // what 16 bits of a handle count, and one
  EXPECT_EQ(rf_handle_heap_init(&heap, arena, 10000, &o), RF_ERR_INVALID);
  o.max_blocks = 65535;
  std::vector<unsigned char> places(RF_HANDLE_TABLE_BYTES(10000, 65535));
  o.table = places.data();
  o.table_size = places.size();
  EXPECT_EQ(rf_handle_heap_init(&heap, arena, 10000, &o), RF_OK);
  EXPECT_EQ(heap.blocks, 65535U);
  o.table = nullptr;
  o.max_blocks = 1000;
  EXPECT_EQ(rf_handle_heap_init(&heap, arena, 10000, &o), RF_ERR_INVALID) << "the table alone is larger";
  o.max_blocks = 0;
  o.table = table;
  o.table_size = 19;
  EXPECT_EQ(rf_handle_heap_init(&heap, arena, 10000, &o), RF_ERR_INVALID);
  ASSERT_EQ(rf_handle_heap_init(&heap, arena, kArena, nullptr), RF_OK);
}

TEST_F(Handle, EveryAlignmentHoldsForEveryBlockEvenAfterCompaction) {
  for (size_t align = 1; align <= 1024; align *= 2) {
    rf_handle_options options = {};
    options.align = align;
    ASSERT_EQ(rf_handle_heap_init(&heap, arena + 3, kArena, &options), RF_OK);
    rf_handle const a = rf_handle_alloc(h, 1);
    rf_handle const b = rf_handle_alloc(h, 3);
    rf_handle_free(h, a);
    rf_handle_compact(h, SIZE_MAX);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(at(b)) % align, 0U);
    EXPECT_EQ(rf_handle_align(h), align);
  }
}

// ---- Bad sizes ----

TEST_F(Handle, Size0AndNegativeSizesAreRefused) {
  rf_handle const a = rf_handle_alloc(h, 10);
  for (size_t const size : {size_t{0}, SIZE_MAX, SIZE_MAX - 3, static_cast<size_t>(-100), RF_SIZE_LIMIT + 1}) {
    EXPECT_EQ(rf_handle_alloc(h, size), RF_HANDLE_NULL);
    EXPECT_EQ(rf_handle_realloc(h, a, size), RF_ERR_INVALID);
  }
  EXPECT_EQ(usage().stats.failures, 0U);
  EXPECT_EQ(rf_handle_alloc(h, RF_SIZE_LIMIT), RF_HANDLE_NULL);
  EXPECT_EQ(usage().stats.failures, 1U);
  EXPECT_EQ(rf_handle_realloc(h, a, RF_SIZE_LIMIT), RF_ERR_NO_MEMORY);
}

// ---- Bad handles ----

TEST_F(Handle, AStaleHandleIsRefusedByEveryCall) {
  rf_handle const old = rf_handle_alloc(h, 10);
  rf_handle_free(h, old);
  for (int reused = 0; reused < 2; reused++) {
    EXPECT_EQ(rf_handle_free(h, old), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_address(h, old), nullptr);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_lock(h, old), nullptr);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_unlock(h, old), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_size(h, old), 0U);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_realloc(h, old, 20), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_alloc(h, 10) & 0xFFFF, (old & 0xFFFF) + static_cast<unsigned>(reused))
        << "the place is used again";
  }
}

TEST_F(Handle, AStaleHandleIsToldApartForManyThousandsOfGenerations) {
  rf_handle const old = rf_handle_alloc(h, 10);
  rf_handle_free(h, old);
  for (int i = 0; i < 32766; i++) {
    rf_handle const a = rf_handle_alloc(h, 10);
    ASSERT_GT(static_cast<int32_t>(a), 0);
    ASSERT_NE(a, old);
    rf_handle_free(h, a);
  }
  EXPECT_EQ(rf_handle_free(h, old), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
}

TEST_F(Handle, WhatNeverWasOneIsRefused) {
  fill({10});
  for (rf_handle const bad : {2U, 200U, 0xFFFFU, 0x10000U, 0x10001U, 0x80000001U, 0xFFFFFFFFU}) {
    EXPECT_EQ(rf_handle_free(h, bad), RF_ERR_INVALID) << bad;
    EXPECT_EQ(faults.take(), RF_ERR_INVALID);
    EXPECT_EQ(rf_handle_address(h, bad), nullptr);
    EXPECT_EQ(faults.take(), RF_ERR_INVALID);
  }
}

TEST_F(Handle, OfAnotherHeapMayBeRefusedAndNeverDoesDamage) {
  alignas(8) unsigned char other_arena[1000];
  rf_handle_heap other;
  ASSERT_EQ(rf_handle_heap_init(&other, other_arena, sizeof other_arena, nullptr), RF_OK);
  rf_handle const a = rf_handle_alloc(&other.base, 10);
  EXPECT_EQ(rf_handle_free(h, a), RF_ERR_INVALID);
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_free(&other.base, a), RF_OK);
}

// ---- Locks ----

TEST_F(Handle, ALockedBlockStaysWhileOthersSlideAroundIt) {
  make_apart(100);
  fill({16, 16, 16, 16, 16});
  rf_handle_free(h, 1);
  void *const p = rf_handle_lock(h, 3);
  rf_handle_free(h, 4);
  EXPECT_EQ(rf_handle_compact(h, SIZE_MAX), 32U);
  EXPECT_EQ(map(), "2:16 -16 3:16* 5:16 -36 ");
  EXPECT_EQ(rf_handle_address(h, 3), p);
  EXPECT_EQ(usage().locked, 1U);
  EXPECT_EQ(rf_handle_unlock(h, 3), RF_OK);
  EXPECT_EQ(rf_handle_compact(h, SIZE_MAX), 32U);
  EXPECT_EQ(map(), "2:16 3:16 5:16 -52 ");
}

TEST_F(Handle, LocksNestAndAreCounted) {
  fill({10});
  for (unsigned i = 0; i < RF_HANDLE_MOST_LOCKS; i++) {
    ASSERT_NE(rf_handle_lock(h, 1), nullptr);
  }
  EXPECT_EQ(rf_handle_lock(h, 1), nullptr);
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
  for (unsigned i = 0; i < RF_HANDLE_MOST_LOCKS; i++) {
    EXPECT_EQ(usage().locked, 1U);
    ASSERT_EQ(rf_handle_unlock(h, 1), RF_OK);
  }
  EXPECT_EQ(usage().locked, 0U);
  EXPECT_EQ(rf_handle_unlock(h, 1), RF_ERR_INVALID);
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
}

TEST_F(Handle, AFreeOfALockedBlockIsRefused) {
  fill({10});
  rf_handle_lock(h, 1);
  EXPECT_EQ(rf_handle_free(h, 1), RF_ERR_BUSY);
  EXPECT_EQ(faults.take(), RF_ERR_BUSY);
  rf_handle_unlock(h, 1);
  EXPECT_EQ(rf_handle_free(h, 1), RF_OK);
}

TEST_F(Handle, ALockedBlockGrowsWhereItIsOrNotAtAll) {
  make_apart(100);
  fill({16, 16});
  rf_handle_lock(h, 1);
  EXPECT_EQ(rf_handle_realloc(h, 1, 17), RF_ERR_BUSY);
  EXPECT_EQ(rf_handle_realloc(h, 1, kArena), RF_ERR_BUSY) << "more than there is";
  EXPECT_EQ(rf_handle_realloc(h, 1, RF_SIZE_LIMIT), RF_ERR_BUSY);
  EXPECT_EQ(rf_handle_realloc(h, 1, 3), RF_OK);
  EXPECT_EQ(map(), "1:3* -12 2:16 -68 ");
  EXPECT_EQ(rf_handle_realloc(h, 1, 16), RF_OK);
  EXPECT_EQ(map(), "1:16* 2:16 -68 ");
}

// ---- Realloc ----

class HandleRealloc : public Handle {
protected:
  HandleRealloc() {
    make_apart(100);
    fill({12, 12, 12, 12});
    for (rf_handle a = 1; a <= 4; a++) {
      std::memset(at(a), static_cast<int>('a' + a), 12);
    }
  }
  void expect_contents() {
    for (rf_handle a = 1; a <= 4; a++) {
      if (live[a]) {
        EXPECT_EQ(std::string(reinterpret_cast<char *>(at(a)), 12), std::string(12, static_cast<char>('a' + a)));
      }
    }
  }
  void drop(rf_handle a) {
    live[a] = false;
    ASSERT_EQ(rf_handle_free(h, a), RF_OK);
  }
  bool live[5] = {true, true, true, true, true};
};

TEST_F(HandleRealloc, GrowsInPlaceWhereThereIsAHoleBehind) {
  drop(3);
  EXPECT_EQ(rf_handle_realloc(h, 2, 22), RF_OK);
  EXPECT_EQ(map(), "1:12 2:22 4:12 -52 ");
  EXPECT_EQ(at(2)[21], 0) << "what is new is zeroed";
  expect_contents();
}

TEST_F(HandleRealloc, ZeroesTheSlackThatItGrowsInto) {
  EXPECT_EQ(rf_handle_realloc(h, 2, 9), RF_OK);
  EXPECT_EQ(rf_handle_realloc(h, 2, 12), RF_OK);
  EXPECT_EQ(at(2)[8], 'c');
  EXPECT_EQ(at(2)[9], 0);
  EXPECT_EQ(at(2)[11], 0);
}

TEST_F(HandleRealloc, MovesToAHoleThatIsLargeEnough) {
  EXPECT_EQ(rf_handle_realloc(h, 1, 50), RF_OK);
  EXPECT_EQ(map(), "-12 2:12 3:12 4:12 1:50 ");
  expect_contents();
}

TEST_F(HandleRealloc, GathersTheHolesAroundItBehindIt) {
  drop(1);
  drop(3);
  EXPECT_EQ(rf_handle_realloc(h, 2, 64), RF_OK);
  EXPECT_EQ(map(), "2:64 -24 4:12 ") << "there were 12 below, 12 behind, and 52 at the end";
  expect_contents();
  EXPECT_EQ(rf_handle_realloc(h, 2, 88), RF_OK);
  EXPECT_EQ(map(), "2:88 4:12 ");
  expect_contents();
}

TEST_F(HandleRealloc, TakesEveryByteThatIsFree) {
  EXPECT_EQ(rf_handle_realloc(h, 2, 12 + 52 + 1), RF_ERR_NO_MEMORY);
  EXPECT_EQ(map(), "1:12 2:12 3:12 4:12 -52 ") << "nothing has moved";
  EXPECT_EQ(rf_handle_realloc(h, 2, 12 + 52), RF_OK);
  EXPECT_EQ(map(), "1:12 2:64 3:12 4:12 ");
  expect_contents();
  EXPECT_EQ(usage().free_bytes, 0U);
}

TEST_F(HandleRealloc, MovesPastALockedBlockWhereCompactionMakesRoomThere) {
  drop(3);
  rf_handle_lock(h, 2);
  fill({40});
  EXPECT_EQ(map(), "1:12 2:12* -12 4:12 3:40 -12 ");
  EXPECT_EQ(rf_handle_realloc(h, 1, 24), RF_OK);
  EXPECT_EQ(map(), "-12 2:12* 4:12 3:40 1:24 ");
  expect_contents();
  rf_handle_unlock(h, 2);
}

// ---- Free memory as it is reported ----

TEST_F(Handle, WhatIsReportedFreeCanBeHadInOneBlock) {
  rf_handle_usage const fresh = usage();
  EXPECT_EQ(fresh.largest, fresh.free_bytes);
  rf_handle const all = rf_handle_alloc(h, fresh.free_bytes);
  ASSERT_NE(all, RF_HANDLE_NULL);
  EXPECT_EQ(usage().free_bytes, 0U);
  EXPECT_EQ(rf_handle_alloc(h, 1), RF_HANDLE_NULL);
  rf_handle_free(h, all);
  EXPECT_EQ(usage().free_bytes, fresh.free_bytes);
}

TEST_F(Handle, TheLargestSizeIsServedAndOneMoreIsNot) {
  std::mt19937 random(20261120);
  for (int round = 0; round < 200; round++) {
    make_apart(2000);
    std::vector<rf_handle> live;
    for (int i = 0; i < 40; i++) {
      rf_handle const a = rf_handle_alloc(h, 1 + random() % 60);
      ASSERT_NE(a, RF_HANDLE_NULL);
      if (random() % 5 == 0) {
        rf_handle_lock(h, a);
      } else {
        live.push_back(a);
      }
    }
    for (rf_handle const a : live) {
      if (random() % 2 == 0) {
        rf_handle_free(h, a);
      }
    }
    size_t const largest = usage().largest;
    ASSERT_EQ(rf_handle_alloc(h, largest + 1), RF_HANDLE_NULL);
    ASSERT_NE(rf_handle_alloc(h, largest), RF_HANDLE_NULL);
    ASSERT_EQ(rf_handle_check(h, nullptr), RF_OK);
  }
}

TEST_F(Handle, LowWaterMarksAndPeaksStay) {
  rf_handle_usage const fresh = usage();
  fill({100, 201});
  rf_handle_free(h, 2);
  rf_handle_free(h, 1);
  rf_handle_usage const u = usage();
  EXPECT_EQ(u.used_bytes, 0U);
  EXPECT_EQ(u.free_bytes, fresh.free_bytes);
  EXPECT_EQ(u.peak_bytes, 304U);
  EXPECT_EQ(u.min_free_bytes, fresh.free_bytes - 304);
  EXPECT_EQ(u.peak_blocks, 2U);
  EXPECT_EQ(u.min_free_blocks, fresh.free_blocks - 2);
  EXPECT_EQ(u.used_blocks, 0U);
  EXPECT_EQ(u.stats.peak, 301U);
  EXPECT_EQ(u.stats.allocations, 2U);
  EXPECT_EQ(u.stats.capacity, kArena);
  EXPECT_EQ(u.stats.used + u.stats.free_bytes + u.stats.overhead, kArena);
}

TEST_F(Handle, AFailedCallChangesNoFigureButFailures) {
  fill({100});
  rf_handle_usage const before = usage();
  EXPECT_EQ(rf_handle_alloc(h, kArena), RF_HANDLE_NULL);
  EXPECT_EQ(rf_handle_realloc(h, 1, kArena), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_handle_alloc_at(h, kArena, RF_HANDLE_TRY, nullptr), RF_HANDLE_NULL);
  rf_handle_usage after = usage();
  EXPECT_EQ(after.stats.failures, 1U);
  after.stats.failures = before.stats.failures;
  EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0);
}

// ---- Bounded compaction ----

TEST_F(Handle, CompactionMovesNoMoreBytesThanItMay) {
  make_apart(400);
  for (int i = 0; i < 20; i++) {
    fill({20});
  }
  for (rf_handle a = 1; a <= 20; a += 2) {
    rf_handle_free(h, a);
  }
  size_t calls = 0;
  for (size_t moved = 1; moved != 0; calls++) {
    moved = rf_handle_compact(h, 50);
    EXPECT_LE(moved, 50U);
    EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
  }
  EXPECT_EQ(calls, 6U) << "two blocks a call, and one that finds nothing to do";
  EXPECT_EQ(usage().largest, 200U);
  EXPECT_EQ(offset(20), 180U);
}

TEST_F(Handle, WhereNothingMovesThereWasNoCompaction) {
  fill({20, 20, 20});
  EXPECT_EQ(rf_handle_compact(h, SIZE_MAX), 0U);
  EXPECT_EQ(usage().compactions, 0U);
  rf_handle_free(h, 1);
  EXPECT_EQ(rf_handle_compact(h, SIZE_MAX), 40U);
  EXPECT_EQ(rf_handle_compact(h, SIZE_MAX), 0U);
  EXPECT_EQ(usage().compactions, 1U);
}

TEST_F(Handle, ABlockLargerThanTheBoundStays) {
  make_apart(400);
  fill({20, 60, 20, 20});
  rf_handle_free(h, 1);
  rf_handle_free(h, 3);
  EXPECT_EQ(rf_handle_compact(h, 59), 20U);
  EXPECT_EQ(map(), "-20 2:60 4:20 -300 ");
  EXPECT_EQ(rf_handle_compact(h, 59), 0U);
  EXPECT_EQ(rf_handle_compact(h, 80), 80U);
  EXPECT_EQ(map(), "2:60 4:20 -320 ");
}

TEST_F(Handle, PlacesThatBlocksMoveAwayFromAreFilledWithCC) {
  Unwatched const unwatched(arena, sizeof arena);
  make_apart(100);
  fill({12, 20});
  std::memset(at(2), 'x', 20);
  unsigned char *const old = at(2);
  rf_handle_free(h, 1);
  rf_handle_compact(h, SIZE_MAX);
  EXPECT_EQ(at(2), old - 12);
  EXPECT_EQ(old[7], 'x');
  EXPECT_TRUE(std::all_of(old + 8, old + 20, [](unsigned char c) { return c == 0xCC; }));
}

// ---- Short of RAM ----

struct Shortage {
  rf_handles *heap;
  std::vector<rf_handle> spare;
  std::vector<size_t> needed;
  rf_handle nested = 1;
};

bool give(void *context, unsigned attempt, size_t needed) {
  auto *const s = static_cast<Shortage *>(context);
  EXPECT_EQ(attempt, s->needed.size() + 1);
  s->needed.push_back(needed);
  rf_fault where;
  EXPECT_EQ(s->heap->ops->check(s->heap, &where), RF_OK);
  s->nested = rf_handle_alloc(s->heap, 10000); // is not asked about
  if (s->spare.empty()) {
    return false;
  }
  rf_handle_free(s->heap, s->spare.back());
  s->spare.pop_back();
  return true;
}

TEST_F(Handle, TheCallbackIsAskedUntilThereIsEnough) {
  make_apart(100);
  fill({40, 40, 20});
  Shortage shortage = {h, {3, 2}, {}};
  rf_handle_heap_on_short(&heap, give, &shortage);
  rf_handle const a = rf_handle_alloc(h, 60);
  EXPECT_NE(a, RF_HANDLE_NULL);
  EXPECT_EQ(shortage.needed, (std::vector<size_t>{60, 60}));
  EXPECT_EQ(shortage.nested, RF_HANDLE_NULL);
  shortage.needed.clear();
  EXPECT_EQ(rf_handle_alloc(h, 50), RF_HANDLE_NULL);
  EXPECT_EQ(shortage.needed.size(), 1U) << "its refusal ends it";
}

TEST_F(Handle, TheCallbackIsNotAskedForMoreThanThereIs) {
  make_apart(100);
  Shortage shortage = {h, {}, {}};
  rf_handle_heap_on_short(&heap, give, &shortage);
  EXPECT_EQ(rf_handle_alloc(h, heap.size + 1), RF_HANDLE_NULL);
  EXPECT_TRUE(shortage.needed.empty());
  EXPECT_NE(rf_handle_alloc(h, heap.size), RF_HANDLE_NULL);
}

// Besides a place for 2 + size / 32 of them, the table has one that names none.
TEST_F(Handle, ThePlacesAreForBlocksOfAverageSize) {
  const std::pair<size_t, size_t> kPlaces[] = {{300, 8}, {1000, 25}, {5000, 120}, {12500, 285}};
  for (auto const &[size, places] : kPlaces) {
    make({}, size);
    EXPECT_EQ(heap.blocks, places) << size;
  }
}

TEST_F(Handle, TheCallbackIsAskedForAReallocAndMayFreeTheBlockItself) {
  make_apart(100);
  fill({40, 40, 20});
  Shortage shortage = {h, {3}, {}};
  rf_handle_heap_on_short(&heap, give, &shortage);
  EXPECT_EQ(rf_handle_realloc(h, 1, 60), RF_OK);
  shortage = {h, {1}, {}};
  EXPECT_EQ(rf_handle_realloc(h, 1, 100), RF_ERR_NOT_ALLOCATED);
  rf_handle_heap_on_short(&heap, nullptr, nullptr);
  EXPECT_EQ(rf_handle_realloc(h, 2, 200), RF_ERR_NO_MEMORY);
}

TEST_F(Handle, TheCallbackIsAskedSoManyTimes) {
  make_apart(100);
  fill({100});
  unsigned asked = 0;
  rf_handle_heap_on_short(
      &heap,
      [](void *n, unsigned, size_t) {
        ++*static_cast<unsigned *>(n);
        return true;
      },
      &asked);
  EXPECT_EQ(rf_handle_alloc(h, 10), RF_HANDLE_NULL);
  EXPECT_EQ(asked, 3U);
  EXPECT_EQ(rf_handle_alloc_at(h, 10, RF_HANDLE_TRY, nullptr), RF_HANDLE_NULL);
  EXPECT_EQ(asked, 3U);
}

// More memory than there is would be served by a record that the callback has overwritten.
TEST_F(Handle, ACallbackThatOverwritesTheRecordIsNotObeyed) {
  make_apart(100);
  fill({100});
  rf_handle_heap_on_short(
      &heap,
      [](void *record, unsigned, size_t) {
        static_cast<rf_handle_heap *>(record)->size += 16;
        return true;
      },
      &heap);
  EXPECT_EQ(rf_handle_alloc(h, 10), RF_HANDLE_NULL);
  heap.size = 100;
  EXPECT_EQ(usage().used_blocks, 1U);
}

// ---- Generations ----

TEST_F(Handle, APlaceServesOnWhenItsGenerationsBeginAgain) {
  make_apart(100);
  rf_handle const first = rf_handle_alloc(h, 10);
  ASSERT_EQ(rf_handle_free(h, first), RF_OK);
  size_t frees = 1;
  rf_handle again = rf_handle_alloc(h, 10);
  for (; again != first && frees <= 0x10000; frees++) {
    ASSERT_EQ(again & 0xFFFFU, first & 0xFFFFU);
    ASSERT_EQ(rf_handle_free(h, again), RF_OK) << frees;
    again = rf_handle_alloc(h, 10);
  }
  EXPECT_EQ(frees, 0x8000U) << "fifteen bits";
}

// ---- Swap ----

TEST_F(Handle, SwapLetsTwoHandlesTradeTheirBlocksHoweverTheyLie) {
  for (rf_handle a = 1; a <= 5; a++) {
    for (rf_handle b = 1; b <= 5; b++) {
      make_apart(200);
      fill({4, 8, 12, 16, 20});
      rf_handle_lock(h, 2);
      void *const pa = rf_handle_address(h, a);
      void *const pb = rf_handle_address(h, b);
      ASSERT_EQ(rf_handle_swap(h, a, b), RF_OK);
      EXPECT_EQ(rf_handle_address(h, a), pb);
      EXPECT_EQ(rf_handle_address(h, b), pa);
      EXPECT_EQ(rf_handle_size(h, a), 4U * b);
      EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK) << a << " and " << b;
    }
  }
  EXPECT_EQ(rf_handle_swap(h, 1, 9), RF_ERR_INVALID);
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
}

// ---- The end ----

TEST_F(Handle, AnEndedHeapRefusesEverythingAndEndsAgain) {
  fill({10});
  rf_handle_deinit(h);
  rf_handle_deinit(h);
  EXPECT_EQ(rf_handle_alloc(h, 1), RF_HANDLE_NULL);
  EXPECT_EQ(rf_handle_free(h, 1), RF_ERR_INVALID);
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_find(h, arena), RF_HANDLE_NULL);
  EXPECT_EQ(usage().stats.capacity, 0U);
}

// A heap that is made there later takes no place for a block.
TEST_F(Handle, AnEndedHeapLeavesNothingInItsTable) {
  std::memset(table, 0x55, sizeof table);
  make_apart(1000, 3);
  auto const *const end = std::find_if(std::crbegin(table), std::crend(table), [](auto b) { return b != 0x55; }).base();
  ASSERT_LT(end, std::end(table));
  fill({10, 10, 10});
  rf_handle_deinit(h);
  EXPECT_EQ(std::count(std::cbegin(table), end, 0), end - table);
}

TEST_F(Handle, WalksStopWhenToldTo) {
  fill({10, 10});
  int visits = 0;
  EXPECT_EQ(rf_handle_walk(
                h,
                [](const rf_handle_block *, void *n) {
                  ++*static_cast<int *>(n);
                  return false;
                },
                &visits),
            RF_OK);
  EXPECT_EQ(visits, 1);
}

} // namespace
