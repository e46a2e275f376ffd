// The table of a handle heap: its places, where it lies, how many blocks there may be; and what init refuses.
#include "tests/heaps/handle_fixture.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace {

using HandleTable = ringfence::testing::Handle;

TEST_F(HandleTable, PlacesAreAsWideAsTheHeapAsksFor) {
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
TEST_F(HandleTable, ABlockOfTheWholeArenaKeepsItsSize) {
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
TEST_F(HandleTable, PlacesBeyondTheTwoHaveTheirBytes) {
  for (size_t size = 100; size < 1000; size++) {
    make({}, size);
    rf_handle_usage const u = usage();
    EXPECT_LE((u.free_blocks - 2) * 32, u.free_bytes + 6) << size; // as aligned as blocks are, at both ends
    rf_handle_deinit(h);
  }
}

TEST_F(HandleTable, ATableThatIsTooSmallMeansFewerBlocks) {
  rf_handle_options options = {};
  options.max_blocks = 100;
  options.table = table;
  options.table_size = 45;
  make(options);
  EXPECT_EQ(usage().free_blocks, 3U);
}

TEST_F(HandleTable, AverageBlockSizeSetsHowManyBlocksThereMayBe) {
  rf_handle_options options = {};
  options.average_block = 500;
  make(options);
  EXPECT_EQ(usage().free_blocks, 2U + 12500 / 500 - 1);
}

TEST_F(HandleTable, InitRefusesWhatCannotWork) {
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
  o.align = 32768;
  std::vector<unsigned char> wide(3 * o.align);
  EXPECT_EQ(rf_handle_heap_init(&heap, wide.data(), wide.size(), &o), RF_OK);
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

TEST_F(HandleTable, EveryAlignmentHoldsForEveryBlockEvenAfterCompaction) {
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

// Besides a place for 2 + size / 32 of them, the table has one that names none.
TEST_F(HandleTable, ThePlacesAreForBlocksOfAverageSize) {
  const std::pair<size_t, size_t> kPlaces[] = {{300, 8}, {1000, 25}, {5000, 120}, {12500, 285}};
  for (auto const &[size, places] : kPlaces) {
    make({}, size);
    EXPECT_EQ(heap.blocks, places) << size;
  }
}

} // namespace
