// Damage to a handle heap's table and record: told by check, survived by everything.
#include <ringfence/handle_allocator.h>

#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

extern "C" size_t rf_handle_state_checksum(const rf_handle_heap *heap);

namespace {

using ringfence::testing::FaultRecorder;

struct Shape {
  size_t arena;
  size_t blocks;
};

// Every shape of table there is for arenas that a test can have.
class HandleDamage : public testing::TestWithParam<Shape> {
protected:
  Unwatched unwatched;

  HandleDamage()
      : size(GetParam().arena), table_size(RF_HANDLE_TABLE_BYTES(size, GetParam().blocks)),
        // Exact sizes, so that AddressSanitizer sees a step outside.
        arena(new unsigned char[size]), table(new unsigned char[table_size]) {
    std::memset(arena.get(), 0, size);
    rf_handle_options options = {};
    options.max_blocks = GetParam().blocks;
    options.table = table.get();
    options.table_size = table_size;
    EXPECT_EQ(rf_handle_heap_init(&heap, arena.get(), size, &options), RF_OK);
    EXPECT_EQ(rf_handle_allocator_init(&pinned, &heap), RF_OK);
    for (size_t const n : {10, 50, 12, 50, 30, 100, 20, 9}) {
      handles.push_back(rf_handle_alloc(h, n));
    }
    pointer = rf_alloc(&pinned.base, 40);
    rf_handle_lock(h, handles[6]);
    for (size_t const i : {1, 4}) {
      EXPECT_EQ(rf_handle_free(h, handles[i]), RF_OK);
    }
    rf_handle_free(h, rf_handle_alloc(h, 50));
    EXPECT_EQ(rf_check(&pinned.base, nullptr), RF_OK);
    saved_heap = heap;
    saved_pinned = pinned;
    saved_arena.assign(arena.get(), arena.get() + size);
    saved_table.assign(table.get(), table.get() + table_size);
  }

  void restore() {
    heap = saved_heap;
    pinned = saved_pinned;
    std::memcpy(arena.get(), saved_arena.data(), size);
    std::memcpy(table.get(), saved_table.data(), table_size);
  }

  // Everything that a program may do, to see that it ends.
  void try_everything() {
    rf_fault where;
    rf_handle_usage usage;
    rf_stats stats;
    for (rf_handle const a : handles) {
      rf_handle_check(h, &where);
      rf_handle_usage_get(h, &usage);
      rf_handle_find(h, rf_handle_address(h, a));
      rf_handle_lock(h, a);
      rf_handle_unlock(h, a);
      rf_handle_size(h, a);
      rf_handle_realloc(h, a, 70);
      rf_handle_swap(h, a, handles[0]);
      rf_handle_alloc(h, 45);
      rf_handle_compact(h, 60);
      rf_handle_free(h, a);
    }
    rf_usable_size(&pinned.base, pointer);
    rf_owns(&pinned.base, pointer);
    rf_realloc(&pinned.base, pointer, 60);
    rf_alloc(&pinned.base, 30);
    rf_free(&pinned.base, pointer);
    rf_stats_get(&pinned.base, &stats);
    rf_check(&pinned.base, &where);
    rf_walk(
        &pinned.base, [](const rf_block *, void *) { return true; }, nullptr);
    rf_handle_compact(h, SIZE_MAX);
    rf_handle_alloc(h, usage.largest + 1);
    rf_handle_heap_on_short(&heap, nullptr, nullptr);
    rf_deinit(&pinned.base);
  }

  size_t size;
  size_t table_size;
  std::unique_ptr<unsigned char[]> arena;
  std::unique_ptr<unsigned char[]> table;
  rf_handle_heap heap;
  rf_handle_allocator pinned;
  rf_handles *const h = &heap.base;
  std::vector<rf_handle> handles;
  void *pointer;
  rf_handle_heap saved_heap;
  rf_handle_allocator saved_pinned;
  std::vector<unsigned char> saved_arena;
  std::vector<unsigned char> saved_table;
  FaultRecorder recorder;
};

TEST_P(HandleDamage, OfAnyByteOfTheTableIsTold) {
  size_t const step = table_size > 2000 ? 7 : 1;
  for (size_t i = 0; i < table_size; i += step) {
    for (int change = 1; change < 256; change++) {
      table[i] ^= static_cast<unsigned char>(change);
      rf_fault where = {};
      ASSERT_EQ(rf_handle_check(h, &where), RF_ERR_CORRUPT) << "byte " << i << " changed by " << change;
      ASSERT_NE(where.what, nullptr);
      ASSERT_NE(where.ptr, nullptr);
      ASSERT_EQ(rf_check(&pinned.base, &where), RF_ERR_CORRUPT);
      ASSERT_EQ(where.allocator, &pinned.base);
      table[i] ^= static_cast<unsigned char>(change);
    }
  }
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
}

TEST_P(HandleDamage, OfAnyByteOfTheRecordIsTold) {
  auto *const bytes = reinterpret_cast<unsigned char *>(&heap);
  for (size_t i = sizeof heap.base; i < sizeof heap; i++) {
    for (int change = 1; change < 256; change++) {
      bytes[i] ^= static_cast<unsigned char>(change);
      ASSERT_EQ(rf_handle_check(h, nullptr), RF_ERR_CORRUPT) << "byte " << i << " changed by " << change;
      bytes[i] ^= static_cast<unsigned char>(change);
    }
  }
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
}

// With the checksum that belongs to them, as a fault of the heap itself would leave them.
TEST_P(HandleDamage, OfAnyFigureThatDisagreesWithTheBlocksIsTold) {
  size_t *const figures[] = {&heap.counters.used, &heap.counters.blocks, &heap.occupied, &heap.locked};
  for (size_t *const figure : figures) {
    for (int const by : {-1, 1}) {
      *figure += static_cast<size_t>(by);
      heap.state_checksum = rf_handle_state_checksum(&heap);
      EXPECT_EQ(rf_handle_check(h, nullptr), RF_ERR_CORRUPT) << "figure " << figure - &heap.occupied << " by " << by;
      restore();
    }
  }
  size_t *const peaks[] = {&heap.counters.peak, &heap.counters.peak_blocks, &heap.peak_occupied};
  size_t const least[] = {heap.counters.used, heap.counters.blocks, heap.occupied};
  for (size_t i = 0; i < 3; i++) {
    for (size_t const below : {size_t{0}, size_t{1}}) {
      *peaks[i] = least[i] - below;
      heap.state_checksum = rf_handle_state_checksum(&heap);
      EXPECT_EQ(rf_handle_check(h, nullptr), below == 0 ? RF_OK : RF_ERR_CORRUPT) << "peak " << i;
      restore();
    }
  }
}

TEST_P(HandleDamage, OfAHintThatPassesOverAFreePlaceOrAHoleIsTold) {
  heap.lowest = heap.blocks + 1;
  heap.state_checksum = rf_handle_state_checksum(&heap);
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_ERR_CORRUPT);
  restore();
  rf_handle_block last = {};
  bool holes = false;
  EXPECT_EQ(rf_handle_walk(
                h,
                [](const rf_handle_block *b, void *out) {
                  *static_cast<rf_handle_block *>(out) = b->handle != 0 ? *b : *static_cast<rf_handle_block *>(out);
                  return true;
                },
                &last),
            RF_OK);
  EXPECT_EQ(rf_handle_walk(
                h,
                [](const rf_handle_block *b, void *out) {
                  *static_cast<bool *>(out) = b->handle == 0;
                  return b->handle != 0;
                },
                &holes),
            RF_OK);
  ASSERT_TRUE(holes);
  heap.packed = last.handle & 0xFFFF;
  heap.state_checksum = rf_handle_state_checksum(&heap);
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_ERR_CORRUPT);
  restore();
}

TEST_P(HandleDamage, OfEachFigureIsSeenBeforeAnythingIsLookedUp) {
  EXPECT_EQ(rf_handle_state_checksum(&heap), heap.state_checksum);
  for (size_t *const figure : {&heap.counters.used, &heap.counters.blocks, &heap.counters.peak,
                               &heap.counters.peak_blocks, &heap.occupied, &heap.peak_occupied, &heap.locked}) {
    ++*figure;
    EXPECT_NE(rf_handle_state_checksum(&heap), heap.state_checksum) << figure - &heap.occupied;
    restore();
  }
}

TEST_P(HandleDamage, OfAnyByteOfTheAdaptersRecordThatMattersIsTold) {
  auto *const bytes = reinterpret_cast<unsigned char *>(&pinned);
  for (size_t i = sizeof pinned.base; i < sizeof pinned; i++) {
    bool const counts = i >= offsetof(rf_handle_allocator, counters) && i < offsetof(rf_handle_allocator, checksum);
    bytes[i] ^= 0xFF;
    if (!counts) {
      ASSERT_EQ(rf_check(&pinned.base, nullptr), RF_ERR_CORRUPT) << "byte " << i;
    }
    try_everything();
    restore();
  }
}

TEST_P(HandleDamage, OfNoByteOfTheArenaIsAny) {
  std::memset(arena.get(), 0xA5, size);
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
  rf_handle_compact(h, SIZE_MAX);
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
}

TEST_P(HandleDamage, OfOneByteOfTheTableIsSurvivedByEverything) {
  size_t const step = table_size > 2000 ? 23 : 1;
  for (size_t i = 0; i < table_size; i += step) {
    for (int const change : {0x01, 0x04, 0x40, 0x80, 0xFF}) {
      table[i] ^= static_cast<unsigned char>(change);
      try_everything();
      restore();
    }
  }
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
}

TEST_P(HandleDamage, OfOneByteOfTheRecordIsSurvivedByEverything) {
  auto *const bytes = reinterpret_cast<unsigned char *>(&heap);
  for (size_t i = sizeof heap.base; i < sizeof heap; i++) {
    for (int const change : {0x01, 0x04, 0x40, 0x80, 0xFF}) {
      bytes[i] ^= static_cast<unsigned char>(change);
      try_everything();
      restore();
    }
  }
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
}

TEST_P(HandleDamage, OfWholeStretchesIsSurvivedByEverything) {
  size_t const step = table_size > 2000 ? 97 : 3;
  for (int const fill : {0x00, 0x01, 0x41, 0x7F, 0xCC, 0xFF}) {
    for (size_t const length : {2, 4, 10, 40, 150}) {
      for (size_t i = 0; i + length <= table_size; i += step) {
        std::memset(&table[i], fill, length);
        try_everything();
        restore();
      }
    }
  }
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
}

// A place that is damaged is not written to, so that once it is as it was, all is sound: an operation that needs the
// place is refused before anything is done.
TEST_P(HandleDamage, OfOneByteOfTheTableLeavesNoOperationHalfDone) {
  std::vector<std::function<bool()>> const refused = {
      [&] { return rf_handle_alloc(h, 20) == RF_HANDLE_NULL; },
      [&] { return rf_handle_free(h, handles[0]) != RF_OK; },
      [&] { return rf_handle_free(h, handles[7]) != RF_OK; },
      [&] { return rf_handle_realloc(h, handles[0], 200) != RF_OK; },
      [&] { return rf_handle_realloc(h, handles[7], 200) != RF_OK; },
      [&] { return rf_handle_swap(h, handles[0], handles[7]) != RF_OK; },
      [&] { return rf_handle_swap(h, handles[2], handles[3]) != RF_OK; },
      [&] { return rf_alloc(&pinned.base, 20) == nullptr; },
      [&] { return rf_realloc(&pinned.base, pointer, 200) == nullptr; },
      [&] { return rf_free(&pinned.base, pointer) != RF_OK; },
  };
  size_t const step = table_size > 2000 ? 23 : 1;
  size_t times = 0;
  for (size_t i = 0; i < table_size; i += step) {
    for (size_t n = 0; n < refused.size(); n++) {
      table[i] ^= 0x40;
      bool const was = refused[n]();
      table[i] ^= 0x40;
      rf_fault where = {};
      EXPECT_EQ(rf_handle_check(h, &where), RF_OK) << "byte " << i << ", operation " << n << ": " << where.what;
      if (was) {
        times++;
        EXPECT_EQ(heap.counters.used, saved_heap.counters.used) << "byte " << i << ", operation " << n;
      }
      restore();
    }
  }
  EXPECT_GT(times, 20U);
}

// Places that were traded, repeated, or taken from a copy: sound each, but not together.
TEST_P(HandleDamage, OfPlacesCopiedOverOthersIsTold) {
  size_t const stride = table_size / (GetParam().blocks + 1);
  for (size_t from = 0; from < 10; from++) {
    for (size_t to = 0; to < 10; to++) {
      std::memcpy(&table[to * stride], &saved_table[from * stride], stride);
      EXPECT_EQ(rf_handle_check(h, nullptr), from == to ? RF_OK : RF_ERR_CORRUPT) << from << " over " << to;
      try_everything();
      restore();
    }
  }
}

// A place as it was before the block in front of its own was freed: sound by itself, but it comes behind that block.
TEST_P(HandleDamage, OfAPlaceThatIsAsItWasEarlierIsTold) {
  size_t const stride = table_size / (GetParam().blocks + 1);
  std::vector<unsigned char> const earlier(&table[4 * stride], &table[5 * stride]);
  ASSERT_EQ(rf_handle_free(h, handles[2]), RF_OK);
  ASSERT_EQ(rf_handle_check(h, nullptr), RF_OK);
  std::memcpy(&table[4 * stride], earlier.data(), stride);
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_ERR_CORRUPT);
  restore();
}

// The block that was locked last is known without a way to it over others.
TEST_P(HandleDamage, OfAnotherBlocksPlaceKeepsNoLockedOneFromBeingFound) {
  size_t const stride = table_size / (GetParam().blocks + 1);
  const void *const locked = rf_handle_lock(h, handles[2]);
  ASSERT_NE(locked, nullptr);
  std::memset(&table[1 * stride], 0x41, stride);
  EXPECT_EQ(rf_handle_find(h, locked), handles[2]);
  restore();
}

TEST_P(HandleDamage, OfABlocksPlaceMakesItsHandleRefusedAndChangesNothing) {
  size_t const stride = table_size / (GetParam().blocks + 1);
  std::memset(&table[3 * stride], 0x41, stride);
  std::vector<unsigned char> const before(table.get(), table.get() + table_size);
  EXPECT_EQ(rf_handle_free(h, handles[2]), RF_ERR_CORRUPT);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_handle_address(h, handles[2]), nullptr);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
  EXPECT_EQ(std::memcmp(table.get(), before.data(), table_size), 0);
  EXPECT_NE(rf_handle_address(h, handles[3]), nullptr) << "others are served";
}

TEST_P(HandleDamage, OfTheBlockBehindRefusesAReallocAndChangesNothing) {
  size_t const stride = table_size / (GetParam().blocks + 1);
  std::memset(&table[4 * stride], 0x41, stride);
  std::vector<unsigned char> const before(table.get(), table.get() + table_size);
  EXPECT_EQ(rf_handle_realloc(h, handles[2], 100), RF_ERR_CORRUPT);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_handle_size(h, handles[2]), 12U);
  EXPECT_EQ(std::memcmp(table.get(), before.data(), table_size), 0);
}

TEST_P(HandleDamage, IsACopyOfTheHeap) {
  rf_handle_heap copy = heap;
  EXPECT_EQ(rf_handle_alloc(&copy.base, 10), RF_HANDLE_NULL);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_handle_check(&copy.base, nullptr), RF_ERR_CORRUPT);
}

INSTANTIATE_TEST_SUITE_P(Shapes, HandleDamage,
                         testing::Values(Shape{800, 12}, Shape{800, 300}, Shape{70000, 12}, Shape{70000, 300}),
                         [](const auto &shape) {
                           return std::to_string(shape.param.arena) + "Bytes" + std::to_string(shape.param.blocks) +
                                  "Blocks";
                         });

} // namespace
