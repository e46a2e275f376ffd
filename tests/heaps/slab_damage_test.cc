// Damage to slab's data: told by check and survived by everything; an operation that meets it leaves all as it was.
#include <ringfence/slab.h>

#include "lib/core/checksum.h"
#include "tests/heaps/support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

namespace {

constexpr size_t kPage = 128;
constexpr size_t kArena = 12000;
constexpr size_t kRecord = 24;
constexpr uint32_t kZone = 4; // the kind of a record

using Bytes = std::vector<unsigned char *>;

void add(Bytes *bytes, const void *start, size_t size) {
  for (size_t i = 0; i < size; i++) {
    bytes->push_back(static_cast<unsigned char *>(const_cast<void *>(start)) + i);
  }
}

size_t chunk_size(uint32_t q) {
  return q < 16 ? 8 * (q + 1) : (9 + q % 8) << (2 + q / 8);
}

// Blocks in zones of several classes, full, open (two of one class) and empty, blocks of pages, and free runs of
// several lengths, three of which are the same.
class SlabDamage : public testing::Test {
protected:
  Unwatched unwatched;

  void SetUp() override {
    // The exact size, so that AddressSanitizer sees a step outside.
    arena.reset(static_cast<unsigned char *>(::operator new(kArena)));
    std::memset(arena.get(), 0, kArena);
    ASSERT_EQ(RF_OK, rf_slab_init(&heap, arena.get(), kArena));
    ASSERT_EQ(kPage, rf_slab_page_size(&heap));
    fill();
    ASSERT_EQ(RF_OK, rf_check(a, nullptr));
    relied_upon();
    saved_heap = heap;
    saved.assign(arena.get(), arena.get() + kArena);
  }

  void *take(size_t size) {
    void *const p = rf_alloc(a, size);
    EXPECT_NE(nullptr, p);
    return p;
  }

  void fill() {
    std::vector<void *> runs;
    std::vector<void *> small;
    for (size_t i = 0; i < 60; i++) {
      small.push_back(take(i % 3 == 0 ? 30 : 12));
      if (i % 5 == 0) {
        runs.push_back(take(kPage * (1 + i / 5 % 4) - 3));
        blocks.push_back(take(kPage + 1));
      }
    }
    for (size_t i = 0; i < small.size(); i++) {
      if (i % 4 == 1) {
        EXPECT_EQ(RF_OK, rf_free(a, small[i]));
      } else {
        blocks.push_back(small[i]);
      }
    }
    for (size_t i = 0; i < runs.size(); i++) {
      if (i % 4 != 2) {
        EXPECT_EQ(RF_OK, rf_free(a, runs[i]));
      }
    }
    // Empty zones of two classes.
    std::vector<void *> const empty = {take(1), take(20)};
    for (size_t const size : {7, 23}) {
      EXPECT_EQ(RF_OK, rf_free(a, rf_aligned_alloc(a, 8, size)));
    }
    blocks.insert(blocks.end(), empty.begin(), empty.end());
  }

  uint32_t word_of(const unsigned char *record, size_t index) const {
    uint32_t word;
    std::memcpy(&word, record + 4 * index, sizeof word);
    return word;
  }

  // All records; of each zone the words of the chunks that were used; of the heap what lasts, and what is counted.
  void relied_upon() {
    auto *const records = reinterpret_cast<unsigned char *>(heap.records);
    add(&bytes, records, heap.count * kRecord);
    for (size_t i = 0; i < heap.count; i++) {
      const unsigned char *const record = records + i * kRecord;
      uint32_t const head = word_of(record, 0);
      if (head % 8 == kZone) {
        size_t const size = (head >> 3) * kPage;
        size_t const chunks = size / (chunk_size(word_of(record, 2) >> 16) + 4);
        zones++;
        add(&bytes, heap.pages + i * kPage + size - chunks * 4, (word_of(record, 1) >> 16) * 4);
      }
    }
    in_arena = bytes.size();
    add(&bytes, &heap.records, offsetof(rf_slab, open) + sizeof heap.open - offsetof(rf_slab, records));
    add(&bytes, &heap.counters.used, sizeof heap.counters.used);
    add(&bytes, &heap.counters.blocks, sizeof heap.counters.blocks);
  }

  void restore() {
    heap = saved_heap;
    std::memcpy(arena.get(), saved.data(), kArena);
  }

  // Everything that a program may do, to see that it ends.
  void try_everything() {
    void *fresh[12];
    size_t const sizes[] = {5, 0, 40, 90, 200, 12, 700, 60, 12, 30, 1, 2000};
    for (size_t i = 0; i < 12; i++) {
      fresh[i] = rf_aligned_alloc(a, i == 4 ? 64 : 16, sizes[i]);
    }
    for (size_t i = 0; i < blocks.size(); i++) {
      (void)rf_usable_size(a, blocks[i]);
      (void)rf_owns(a, blocks[i]);
      if (i % 4 == 0) {
        rf_realloc(a, blocks[i], 70);
      } else if (i % 4 == 2) {
        rf_resize(a, blocks[i], 20);
      }
      rf_free(a, blocks[i]);
    }
    for (void *const p : fresh) {
      rf_free(a, p);
    }
    rf_slab_free_pages(&heap, heap.pages, 1, RF_HERE);
    stats(a);
    rf_walk(
        a, [](const rf_block *, void *) { return true; }, nullptr);
    rf_check(a, nullptr);
  }

  // True where the request was served.
  bool operate(size_t op, void *block) {
    switch (op) {
    case 0:
      return rf_alloc(a, 12) != nullptr;
    case 1:
      return rf_alloc(a, 300) != nullptr;
    case 2:
      return rf_aligned_alloc(a, 512, 100) != nullptr;
    case 3:
      return rf_realloc(a, block, 40) != nullptr;
    case 4:
      return rf_resize(a, block, 300) == RF_OK;
    case 5:
      return rf_resize(a, block, 1) == RF_OK;
    case 6:
      return rf_alloc(a, 5000) != nullptr;
    case 7:
      return rf_realloc(a, block, kArena) != nullptr;
    default:
      return rf_free(a, block) == RF_OK;
    }
  }

  struct Delete {
    void operator()(unsigned char *p) const { ::operator delete(p); }
  };
  std::unique_ptr<unsigned char, Delete> arena;
  rf_slab heap;
  rf_allocator *const a = &heap.base;
  std::vector<void *> blocks;
  Bytes bytes;
  size_t in_arena = 0;
  size_t zones = 0;
  rf_slab saved_heap;
  std::vector<unsigned char> saved;
  Faults faults;
};

TEST_F(SlabDamage, IsDoneToAHeapThatHasSomeOfEverything) {
  rf_stats const s = stats(a);
  EXPECT_GE(zones, 5U);
  EXPECT_NE(UINT32_MAX, heap.reserve[0]);
  EXPECT_NE(UINT32_MAX, heap.reserve[1]);
  EXPECT_GE(s.blocks, 50U);
  size_t free_runs = 0;
  for (const Seen &b : walk(a)) {
    free_runs += !b.used && b.overhead == 0 ? 1 : 0;
  }
  EXPECT_GE(free_runs, 5U);
}

TEST_F(SlabDamage, OfAnyByteReliedUponIsTold) {
  for (unsigned char *const byte : bytes) {
    unsigned char const sound = *byte;
    for (int change = 1; change < 256; change += change < 16 ? 1 : 13) {
      *byte = static_cast<unsigned char>(sound ^ change);
      rf_fault where = {};
      ASSERT_EQ(RF_ERR_CORRUPT, rf_check(a, &where))
          << "byte " << byte - arena.get() << " of the arena, " << byte - reinterpret_cast<unsigned char *>(&heap)
          << " of the record, changed by " << change;
      ASSERT_EQ(a, where.allocator);
      ASSERT_NE(nullptr, where.what);
    }
    *byte = sound;
  }
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

// ---- Damage whose checksum is right, as that of a fault of the heap itself ----

// Fields of a record: its kind and length, a, b, next, prev.
void set_field(unsigned char *record, size_t field, uint32_t value) {
  std::memcpy(record + 4 * field, &value, sizeof value);
  uint32_t sum = rf_checksum32_begin(record);
  for (size_t i = 0; i < 5; i++) {
    uint32_t word;
    std::memcpy(&word, record + 4 * i, sizeof word);
    sum = rf_checksum32_add(sum, word);
  }
  std::memcpy(record + 20, &sum, sizeof sum);
}

TEST_F(SlabDamage, OfARecordIsToldByWhatLiesAroundIt) {
  // A free run: all; its last page: that it is that; a block: its length and its size; a zone: all, but for the links
  // of a full one, which is in no list.
  bool const matters[6][5] = {{}, {true, true, true, true, true}, {true}, {true, true}, {true, true, true}, {true}};
  constexpr uint32_t kFree = 1;
  size_t tried = 0;
  for (uint32_t i = 0; i < heap.count; i++) {
    auto *const record = reinterpret_cast<unsigned char *>(heap.records) + i * kRecord;
    uint32_t const kind = word_of(record, 0) % 8;
    bool const leftover =
        kind == 2 && word_of(record - (size_t{word_of(record, 0) >> 3} - 1) * kRecord, 0) % 8 != kFree;
    ASSERT_LT(kind, 6U);
    for (size_t field = 0; field < 5 && !leftover; field++) {
      uint32_t const sound = word_of(record, field);
      bool const listed =
          kind == kZone && field > 2 && (heap.open[word_of(record, 2) >> 16] == i || sound != UINT32_MAX);
      for (uint32_t const wrong :
           {sound + 1, sound - 1, sound + 8, sound - 8, sound ^ 2, sound ^ 0x10000, ~sound, 0U}) {
        if ((matters[kind][field] || listed) && wrong != sound) {
          set_field(record, field, wrong);
          ASSERT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr))
              << "record " << i << " of kind " << kind << ", field " << field << ": " << sound << " became " << wrong;
          tried++;
        }
      }
      set_field(record, field, sound);
    }
  }
  EXPECT_GT(tried, 1000U);
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

// The check of a chunk's word, as slab_impl.h draws it.
void set_word(unsigned char *at, uint32_t data) {
  auto const place = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(at)) * 0x9E3779B1U >> 20;
  uint32_t const word = data | (data ^ data >> 12 ^ place) << 20;
  std::memcpy(at, &word, sizeof word);
}

TEST_F(SlabDamage, OfARecordEndsAWalk) {
  for (const Seen &b : walk(a)) {
    if (b.used && b.size > kPage) {
      auto *const record = reinterpret_cast<unsigned char *>(heap.records) + (b.ptr - heap.pages) / kPage * kRecord;
      record[20] ^= 1;
      EXPECT_EQ(RF_ERR_CORRUPT, rf_walk(a, see, std::make_unique<std::vector<Seen>>().get()));
      record[20] ^= 1;
    }
  }
}

TEST_F(SlabDamage, OfAChunksWordIsToldByItsZone) {
  size_t tried = 0;
  for (size_t i = heap.count * kRecord; i < in_arena; i += 4) {
    uint32_t const sound = word_of(bytes[i], 0) & 0xFFFFF;
    // Whether it is used; of a used one its size, of a free one the next.
    for (uint32_t const wrong : {sound ^ 1, sound + 2, sound - 2, sound ^ 0x40, sound ^ 0x4000}) {
      set_word(bytes[i], wrong & 0xFFFFF);
      ASSERT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr)) << sound << " became " << wrong;
      tried++;
    }
    set_word(bytes[i], sound);
  }
  EXPECT_GT(tried, 100U);
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

TEST_F(SlabDamage, OfTheReserveIsTold) {
  for (size_t const i : {0, 1}) {
    uint32_t const sound = heap.reserve[i];
    for (uint32_t const wrong : {sound + 1, sound - 1, heap.reserve[1 - i], 0U, heap.count, UINT32_MAX}) {
      heap.reserve[i] = wrong;
      ASSERT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr)) << wrong;
    }
    heap.reserve[i] = sound;
  }
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

TEST_F(SlabDamage, ThatPutsAZoneInUseIntoTheReserveDoesNotFreeIt) {
  auto const page_of = [&](void *p) { return (static_cast<unsigned char *>(p) - heap.pages) / ptrdiff_t{kPage}; };
  auto const chunk = std::find_if(blocks.begin(), blocks.end(), [&](void *p) {
    return word_of(reinterpret_cast<unsigned char *>(heap.records) + page_of(p) * ptrdiff_t{kRecord}, 0) % 8 == kZone;
  });
  ASSERT_NE(chunk, blocks.end());
  uint32_t const sound = heap.reserve[0];
  heap.reserve[0] = static_cast<uint32_t>(page_of(*chunk));
  EXPECT_EQ(nullptr, rf_alloc(a, stats(a).largest_free + kPage));
  EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
  EXPECT_LT(0U, rf_usable_size(a, *chunk)) << "it lives on";
  heap.reserve[0] = sound;
}

TEST_F(SlabDamage, OfFiguresThatCannotBeIsTold) {
  expect_peaks_checked(a, &heap.counters);
}

TEST_F(SlabDamage, OfAnyOtherByteOfTheArenaIsNone) {
  Bytes all;
  add(&all, arena.get(), kArena);
  std::sort(bytes.begin(), bytes.end());
  for (unsigned char *const byte : all) {
    if (!std::binary_search(bytes.begin(), bytes.end(), byte)) {
      *byte ^= 0xFF;
    }
  }
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  try_everything();
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

TEST_F(SlabDamage, OfOneByteIsSurvivedByEverything) {
  for (unsigned char *const byte : bytes) {
    for (int const change : {0x01, 0x02, 0x08, 0x40, 0x80, 0xFF}) {
      *byte ^= static_cast<unsigned char>(change);
      try_everything();
      restore();
    }
  }
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

TEST_F(SlabDamage, OfWholeStretchesIsSurvivedByEverything) {
  for (int const fill : {0x00, 0x01, 0x41, 0x7F, 0xCC, 0xFF}) {
    for (size_t const length : {4, 8, 16, 40, 150, 3000}) {
      for (unsigned char *p = arena.get(); p + length <= arena.get() + kArena; p += 20) {
        std::memset(p, fill, length);
        try_everything();
        restore();
      }
    }
  }
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

// Each operation alone, on each byte: once the damage is repaired, the heap is sound. A refused one may have written
// the byte anew, which repairs it.
TEST_F(SlabDamage, ThatAnOperationMeetsIsAllThereIsToRepair) {
  for (size_t i = 0; i < in_arena; i++) {
    for (size_t op = 0; op < 9; op++) {
      unsigned char const sound = *bytes[i];
      *bytes[i] ^= static_cast<unsigned char>(1U << i % 8);
      unsigned char const damaged = *bytes[i];
      bool const served = operate(op, blocks[(i * 7 + op) % blocks.size()]);
      bool const rewritten = *bytes[i] != damaged;
      if (!rewritten) {
        *bytes[i] = sound;
      }
      if (!rewritten || !served) {
        rf_fault where = {};
        ASSERT_EQ(RF_OK, rf_check(a, &where))
            << where.what << ", byte " << bytes[i] - arena.get() << ", operation " << op;
      }
      restore();
      faults.take();
    }
  }
}

// The zone in reserve has two pages. They are made free before the request fails, and the second is then the last of a
// free run.
TEST_F(SlabDamage, OfAPageWhereNothingBeginsIsWrittenAnewByARequestThatFails) {
  ASSERT_EQ(RF_OK, rf_slab_init_paged(&heap, arena.get(), kArena, kPage));
  ASSERT_EQ(RF_OK, rf_free(a, take(26)));
  void *const block = take(127);
  ASSERT_EQ(heap.pages + 2 * kPage, block);
  take(123);
  rf_stats before = stats(a);
  auto *const record = reinterpret_cast<unsigned char *>(heap.records) + kRecord;
  record[6] ^= 1;
  ASSERT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  EXPECT_EQ(nullptr, rf_realloc(a, block, before.largest_free + 1));
  EXPECT_EQ(0U, faults.count()) << "nobody relied on it";
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  before.failures++;
  EXPECT_EQ(before.failures, stats(a).failures);
  EXPECT_EQ(before.used, stats(a).used);
  EXPECT_EQ(before.free_bytes, stats(a).free_bytes);
  EXPECT_EQ(before.largest_free, stats(a).largest_free);
}

// A realloc that has to move has its new block before it frees the old one.
TEST_F(SlabDamage, ThatAReallocMeetsLeavesItsBlockAndNoOther) {
  rf_stats const before = stats(a);
  for (size_t i = 0; i < in_arena; i++) {
    for (size_t const size : {12, 30, 40, 120, 700}) {
      unsigned char const sound = *bytes[i];
      *bytes[i] ^= static_cast<unsigned char>(1U << i % 8);
      unsigned char const damaged = *bytes[i];
      void *const block = blocks[(i * 7 + size) % blocks.size()];
      size_t const room = rf_usable_size(a, block);
      if (rf_realloc(a, block, size) == nullptr && *bytes[i] == damaged) {
        *bytes[i] = sound;
        rf_fault where = {};
        ASSERT_EQ(RF_OK, rf_check(a, &where)) << where.what;
        ASSERT_EQ(before.used, stats(a).used) << "byte " << bytes[i] - arena.get() << ", to " << size;
        ASSERT_EQ(before.blocks, stats(a).blocks);
        ASSERT_EQ(before.free_bytes, stats(a).free_bytes);
        ASSERT_TRUE(room == 0 || rf_usable_size(a, block) == room);
      }
      restore();
      faults.take();
    }
  }
}

// The record of a page keeps the zone behind it from leaving the reserve, so that the old block cannot be freed; and it
// is the one that leads from the new block to its zone.
TEST_F(SlabDamage, ThatHidesTheNewBlockOfAReallocLeavesNoneOfIt) {
  ASSERT_EQ(RF_OK, rf_slab_init_paged(&heap, arena.get(), kArena, kPage));
  for (int i = 0; i < 3; i++) {
    take(40); // the fourth chunk of 48 bytes begins in the zone's second page
  }
  void *const first_in_reserve = take(1);
  void *const second_in_reserve = take(30);
  void *const old = rf_aligned_alloc(a, 8, 20);
  ASSERT_EQ(heap.pages + 2 * kPage, first_in_reserve);
  ASSERT_EQ(RF_OK, rf_free(a, first_in_reserve));
  ASSERT_EQ(RF_OK, rf_free(a, second_in_reserve));
  rf_stats const before = stats(a);
  auto *const record = reinterpret_cast<unsigned char *>(heap.records) + kRecord;
  *record ^= 0x10;
  EXPECT_EQ(nullptr, rf_realloc(a, old, 40));
  EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
  *record ^= 0x10;
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  EXPECT_EQ(before.used, stats(a).used);
  EXPECT_EQ(before.free_bytes, stats(a).free_bytes);
  EXPECT_EQ(heap.pages + kPage + 16, take(40));
}

TEST_F(SlabDamage, ByAnOverflowIntoTheTableOfChunksIsRefused) {
  auto *const p = static_cast<unsigned char *>(blocks.back());
  for (unsigned char *const byte : bytes) {
    if (byte > p && byte < p + 2 * kPage) { // the words of its zone
      std::memset(byte, 0x41, 4);
    }
  }
  EXPECT_EQ(RF_ERR_CORRUPT, rf_free(a, p));
  EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
  EXPECT_EQ(0U, rf_usable_size(a, p));
}

TEST_F(SlabDamage, OfTheHeapsRecordIsRefusedByAll) {
  heap.count--;
  EXPECT_EQ(nullptr, rf_alloc(a, 1));
  EXPECT_EQ(nullptr, rf_slab_alloc_pages(&heap, 1, RF_HERE));
  EXPECT_EQ(RF_ERR_CORRUPT, rf_slab_free_pages(&heap, heap.pages, 1, RF_HERE));
  EXPECT_EQ(RF_ERR_CORRUPT, rf_free(a, blocks[0]));
  EXPECT_EQ(nullptr, rf_realloc(a, blocks[0], 100));
  EXPECT_EQ(RF_ERR_CORRUPT, rf_resize(a, blocks[0], 100));
  EXPECT_EQ(6U, faults.count());
  EXPECT_EQ(RF_ERR_CORRUPT, rf_walk(a, see, nullptr));
  EXPECT_FALSE(rf_owns(a, blocks[0]));
  EXPECT_EQ(0U, stats(a).capacity);
}

} // namespace
