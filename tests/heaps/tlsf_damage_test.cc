// Damage to tlsf's memory: told by check, survived by everything.
#include <ringfence/tlsf.h>

#include "tests/core/recorder.h"
#include "tests/heaps/support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

namespace {

using ringfence::testing::FaultRecorder;

constexpr size_t kGranule = RF_ALIGN_DEFAULT > 8 ? 16 : 8;
constexpr size_t kArena = 1600;
constexpr size_t kRegion = 1200;

using Bytes = std::vector<unsigned char *>;

void add(Bytes *bytes, const void *start, size_t size) {
  for (size_t i = 0; i < size; i++) {
    bytes->push_back(static_cast<unsigned char *>(const_cast<void *>(start)) + i);
  }
}

// Two regions with live and free blocks of several lists, among them two lists of two, and all that check relies upon.
class TlsfDamage : public testing::Test {
protected:
  Unwatched unwatched;

  void SetUp() override {
    // Exact sizes, so that AddressSanitizer sees a step outside.
    arena.reset(static_cast<unsigned char *>(::operator new(kArena)));
    region.reset(static_cast<unsigned char *>(::operator new(kRegion)));
    std::memset(arena.get(), 0, kArena);
    std::memset(region.get(), 0, kRegion);
    ASSERT_EQ(rf_tlsf_init(&heap, arena.get(), kArena), RF_OK);
    ASSERT_EQ(rf_tlsf_add_region(&heap, region.get(), kRegion), RF_OK);
    for (int i = 0; i < 2; i++) {
      for (size_t const size : {10, 50, 12, 50, 30, 100, 20, 10, 33}) {
        blocks.push_back(rf_alloc(a, size));
        ASSERT_NE(blocks.back(), nullptr);
      }
      heap.current = heap.main.child[0].region != nullptr ? heap.main.child[0].region : heap.main.child[1].region;
      heap.current = heap.current != nullptr ? heap.current : heap.regions.region;
    }
    for (size_t const i : {1, 3, 5, 7, 10, 12, 14}) {
      ASSERT_EQ(rf_free(a, blocks[i]), RF_OK);
    }
    ASSERT_EQ(rf_check(a, nullptr), RF_OK);
    for (const Seen &block : walk(a)) {
      add(&relied_upon, block.ptr - 4, 4);
      if (!block.used) {
        add(&relied_upon, block.ptr, 8);
        add(&relied_upon, block.ptr + block.size - 4, 4);
      }
    }
    add_region(heap.main);
    const rf_tlsf_region *const other = other_region();
    add_region(*other);
    add_record(*other);
    save();
  }

  const rf_tlsf_region *other_region() {
    return heap.regions.region != &heap.main      ? heap.regions.region
           : heap.main.child[0].region != nullptr ? heap.main.child[0].region
                                                  : heap.main.child[1].region;
  }

  void add_region(const rf_tlsf_region &r) {
    add(&relied_upon, r.end - 4, 4);
    add(&relied_upon, r.starts, (r.granules / (8 * sizeof(size_t)) + 1) * sizeof(size_t));
    size_t lists = 0;
    while (lists == 0 || r.origin[8 * lists] != 0 || r.origin + 8 * (lists + 1) + 4 <= r.first - kGranule) {
      lists++;
    }
    add(&relied_upon, r.origin, 8 * lists);
  }

  // The fields of a region's record, without padding.
  void add_record(const rf_tlsf_region &r) {
    add(&relied_upon, &r, offsetof(rf_tlsf_region, places) + sizeof r.places);
    add(&relied_upon, &r.child, sizeof r - offsetof(rf_tlsf_region, child));
  }

  void save() {
    saved_heap = heap;
    saved_arena.assign(arena.get(), arena.get() + kArena);
    saved_region.assign(region.get(), region.get() + kRegion);
  }

  void restore() {
    heap = saved_heap;
    std::memcpy(arena.get(), saved_arena.data(), kArena);
    std::memcpy(region.get(), saved_region.data(), kRegion);
  }

  // Check, walk and statistics end. What check tells of a record or a link, the two others tell in their way.
  void expect_end(const unsigned char *changed) {
    rf_fault where = {};
    size_t visited = 0;
    rf_status const checked = rf_check(a, &where);
    bool const record = checked != RF_OK && (std::strcmp(where.what, "damaged region record") == 0 ||
                                             std::strcmp(where.what, "damaged list of regions") == 0);
    rf_status const walked = rf_walk(
        a,
        [](const rf_block *, void *count) {
          ++*static_cast<size_t *>(count);
          return true;
        },
        &visited);
    rf_stats const figures = stats(a);
    EXPECT_EQ(walked == RF_ERR_CORRUPT, record) << changed - reinterpret_cast<unsigned char *>(&heap);
    EXPECT_EQ(figures.capacity == 0, record) << changed - reinterpret_cast<unsigned char *>(&heap);
    EXPECT_EQ(visited == 0, record) << changed - reinterpret_cast<unsigned char *>(&heap);
  }

  // Everything that a program may do, to see that it ends.
  void try_everything() {
    void *fresh[8];
    size_t const sizes[] = {5, 0, 40, 90, 200, 12, 700, 60};
    for (size_t i = 0; i < 8; i++) {
      fresh[i] = rf_aligned_alloc(a, i == 4 ? 64 : kGranule, sizes[i]);
    }
    for (size_t i = 0; i < blocks.size(); i++) {
      rf_usable_size(a, blocks[i]);
      rf_owns(a, blocks[i]);
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
    stats(a);
    rf_walk(
        a, [](const rf_block *, void *) { return true; }, nullptr);
    rf_check(a, nullptr);
  }

  struct Delete {
    void operator()(unsigned char *p) const { ::operator delete(p); }
  };
  std::unique_ptr<unsigned char, Delete> arena;
  std::unique_ptr<unsigned char, Delete> region;
  rf_tlsf heap;
  rf_allocator *const a = &heap.base;
  std::vector<void *> blocks;
  Bytes relied_upon;
  rf_tlsf saved_heap;
  std::vector<unsigned char> saved_arena;
  std::vector<unsigned char> saved_region;
  FaultRecorder recorder;
};

TEST_F(TlsfDamage, OfAnyByteReliedUponIsTold) {
  for (unsigned char *const byte : relied_upon) {
    unsigned char const sound = *byte;
    for (int change = 1; change < 256; change++) {
      *byte = static_cast<unsigned char>(sound ^ change);
      rf_fault where = {};
      ASSERT_EQ(rf_check(a, &where), RF_ERR_CORRUPT) << "byte " << byte - arena.get() << " of the arena, "
                                                     << byte - region.get() << " of the region, changed by " << change;
      ASSERT_EQ(where.allocator, a);
      ASSERT_NE(where.what, nullptr);
    }
    *byte = sound;
  }
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
}

TEST_F(TlsfDamage, OfAnyOtherByteOfTheMemoryIsNone) {
  Bytes all;
  add(&all, arena.get(), kArena);
  add(&all, region.get(), kRegion);
  std::sort(relied_upon.begin(), relied_upon.end());
  for (unsigned char *const byte : all) {
    if (!std::binary_search(relied_upon.begin(), relied_upon.end(), byte)) {
      *byte ^= 0xFF;
    }
  }
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  try_everything();
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
}

TEST_F(TlsfDamage, OfTheHeapsRecordIsToldButOfWhatOnlyCounts) {
  Bytes record;
  add(&record, &heap.regions, sizeof heap.regions);
  add(&record, &heap.current, sizeof heap.current);
  add(&record, &heap.counters.used, sizeof heap.counters.used);
  add(&record, &heap.counters.blocks, sizeof heap.counters.blocks);
  relied_upon.clear();
  add_record(heap.main);
  record.insert(record.end(), relied_upon.begin(), relied_upon.end());
  for (unsigned char *const byte : record) {
    unsigned char const sound = *byte;
    for (int change = 1; change < 256; change++) {
      *byte = static_cast<unsigned char>(sound ^ change);
      ASSERT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT)
          << "byte " << byte - reinterpret_cast<unsigned char *>(&heap) << " of rf_tlsf changed by " << change;
    }
    *byte = sound;
  }
}

TEST_F(TlsfDamage, OfFiguresThatCannotBeIsTold) {
  expect_peaks_checked(a, &heap.counters);
  rf_counters const sound = heap.counters;
  heap.counters.allocations = sound.peak_blocks - 1;
  EXPECT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT);
  heap.counters = sound;
}

// Bytes of records are overwritten one at a time, and from each to the end: those who look at all blocks say so.
TEST_F(TlsfDamage, OfARecordEndsAWalkAndLeavesNoFigures) {
  auto *const in_heap = reinterpret_cast<unsigned char *>(&heap) + sizeof heap.base;
  auto *const in_region = reinterpret_cast<unsigned char *>(const_cast<rf_tlsf_region *>(other_region()));
  struct {
    unsigned char *start;
    size_t size;
  } const records[] = {{in_heap, sizeof heap - sizeof heap.base}, {in_region, sizeof(rf_tlsf_region)}};
  for (auto const &record : records) {
    for (size_t i = 0; i < record.size; i++) {
      for (int const change : {0x01, 0x08, 0x80, 0xFF}) {
        record.start[i] ^= static_cast<unsigned char>(change);
        expect_end(record.start + i);
        restore();
      }
      for (int const fill : {0x00, 0x41, 0x7F, 0xFF}) {
        std::memset(record.start + i, fill, record.size - i);
        expect_end(record.start + i);
        restore();
      }
    }
  }
  EXPECT_TRUE(recorder.faults().empty()) << "none of these raises a fault";
}

// The whole of a link, copied: its two words agree.
TEST_F(TlsfDamage, OfALinkThatLeadsBackUpIsToldAndEndsAWalk) {
  rf_tlsf_region *const other = const_cast<rf_tlsf_region *>(other_region());
  for (rf_tlsf_region *const changed : {&heap.main, other}) {
    for (rf_tlsf_link &link : changed->child) {
      for (rf_tlsf_region *const target : {&heap.main, other}) {
        if (link.region == target) {
          continue;
        }
        link = {target, ~reinterpret_cast<uintptr_t>(target)};
        rf_fault where = {};
        EXPECT_EQ(rf_check(a, &where), RF_ERR_CORRUPT);
        EXPECT_STREQ(where.what, "damaged list of regions");
        expect_end(reinterpret_cast<unsigned char *>(&link));
        restore();
      }
    }
  }
}

// Behind the lists of a small region is memory that is not its own: here its words name a place that is.
TEST_F(TlsfDamage, OfTheMapOfListsLeadsNoFigureOutOfTheRegion) {
  alignas(16) unsigned char memory[1024] = {};
  rf_tlsf small;
  ASSERT_EQ(rf_tlsf_init(&small, memory, 128), RF_OK);
  for (size_t list = static_cast<size_t>(small.main.first - small.main.origin) / 8; list < 64; list++) {
    small.main.map = uint64_t{1} << list;
    EXPECT_EQ(stats(&small.base).largest_free, 0U) << list;
  }
}

// Operations trust the records of regions, which no block touches, and nothing else.
TEST_F(TlsfDamage, OfOneByteOutsideRecordsIsSurvivedByEverything) {
  const unsigned char *const record = reinterpret_cast<const unsigned char *>(other_region());
  for (unsigned char *const byte : relied_upon) {
    if (byte >= record && byte < record + sizeof(rf_tlsf_region)) {
      continue;
    }
    for (int const change : {0x01, 0x02, 0x03, 0x04, 0x10, 0x40, 0x80, 0xFF}) {
      *byte ^= static_cast<unsigned char>(change);
      try_everything();
      restore();
    }
  }
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
}

TEST_F(TlsfDamage, OfWholeStretchesIsSurvivedByEverything) {
  const unsigned char *const arena_end = arena.get() + kArena;
  for (int const fill : {0x00, 0x01, 0x41, 0x7F, 0xCC, 0xFF}) {
    for (size_t const length : {4, 8, 16, 40, 150}) {
      for (unsigned char *p = heap.main.first - 4; p + length <= arena_end; p += 4) {
        std::memset(p, fill, length);
        try_everything();
        restore();
      }
    }
  }
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
}

TEST_F(TlsfDamage, ByAnOverflowIntoALiveBlocksHeaderIsRefusedAndNothingChanges) {
  auto *const p = static_cast<unsigned char *>(blocks[2]);
  std::memset(p - 4, 0x41, 4);
  rf_tlsf const before = heap;
  std::vector<unsigned char> const bytes(arena.get(), arena.get() + kArena);
  EXPECT_EQ(rf_free(a, p), RF_ERR_CORRUPT);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
  EXPECT_EQ(std::memcmp(&heap, &before, sizeof heap), 0);
  EXPECT_EQ(std::memcmp(arena.get(), bytes.data(), kArena), 0);
}

TEST_F(TlsfDamage, ByAnOverflowIntoAFreeBlockIsRefusedAndNothingChanges) {
  // blocks[3] is free behind blocks[2]. Its tag, then its links out of the region.
  auto *const p = static_cast<unsigned char *>(blocks[3]);
  for (unsigned char *const at : {p - 4, p, p + 4}) {
    std::memset(at, 0xFF, 4);
    rf_tlsf const before = heap;
    std::vector<unsigned char> const bytes(arena.get(), arena.get() + kArena);
    EXPECT_EQ(rf_free(a, blocks[2]), RF_ERR_CORRUPT);
    EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
    EXPECT_EQ(rf_free(a, blocks[4]), RF_ERR_CORRUPT);
    EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
    EXPECT_EQ(std::memcmp(&heap, &before, sizeof heap), 0);
    EXPECT_EQ(std::memcmp(arena.get(), bytes.data(), kArena), 0);
    restore();
  }
  EXPECT_EQ(rf_free(a, blocks[2]), RF_OK);
}

// blocks[14] is free before blocks[15], behind which is a live block.
TEST_F(TlsfDamage, ByAnUnderflowIntoTheFreeBlockBeforeIsRefusedAndNothingChanges) {
  std::memset(static_cast<unsigned char *>(blocks[14]) - 4, 0xFF, 4);
  rf_tlsf const before = heap;
  std::vector<unsigned char> const bytes(region.get(), region.get() + kRegion);
  EXPECT_EQ(rf_free(a, blocks[15]), RF_ERR_CORRUPT);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
  EXPECT_EQ(std::memcmp(&heap, &before, sizeof heap), 0);
  EXPECT_EQ(std::memcmp(region.get(), bytes.data(), kRegion), 0);
  EXPECT_EQ(rf_free(a, blocks[16]), RF_OK);
}

// blocks[3] is free behind blocks[2]; each of its links in turn leads to a live block.
TEST_F(TlsfDamage, ByALinkThatLeadsIntoABlockIsRefusedByAResizeAndNothingChanges) {
  auto *const link = static_cast<uint32_t *>(blocks[3]);
  auto const place = (static_cast<const unsigned char *>(blocks[4]) - heap.main.origin) / 8;
  for (size_t const i : {0, 1}) {
    link[i] = static_cast<uint32_t>(place);
    rf_tlsf const before = heap;
    std::vector<unsigned char> const bytes(arena.get(), arena.get() + kArena);
    EXPECT_EQ(rf_resize(a, blocks[2], 40), RF_ERR_CORRUPT) << i;
    EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
    EXPECT_EQ(std::memcmp(&heap, &before, sizeof heap), 0);
    EXPECT_EQ(std::memcmp(arena.get(), bytes.data(), kArena), 0);
    restore();
  }
  EXPECT_EQ(rf_resize(a, blocks[2], 40), RF_OK);
}

TEST_F(TlsfDamage, ByAWriteIntoFreedMemoryIsMetByTheNextAllocOfThatSize) {
  auto *const p = static_cast<unsigned char *>(blocks[7]); // free, first in its list
  unsigned char links[8];
  std::memcpy(links, p, 8);
  std::memset(p, 0xEE, 8);
  EXPECT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT);
  heap.current = &heap.main;
  EXPECT_EQ(rf_alloc(a, 10), nullptr);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_aligned_alloc(a, 64, 10), nullptr) << "nor by the other region";
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
  EXPECT_NE(rf_alloc(a, 200), nullptr) << "other sizes are served";
  std::memcpy(p, links, 8);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK) << "and nothing else is damaged";
}

// blocks[3] is free behind blocks[2], and looks live.
TEST_F(TlsfDamage, ThatMakesAFreeBlockLookLiveIsRefusedByAResize) {
  *(static_cast<unsigned char *>(blocks[3]) - 4) &= 0xFE;
  EXPECT_EQ(rf_resize(a, blocks[2], 5), RF_ERR_CORRUPT);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
}

TEST_F(TlsfDamage, MetByAReallocIsReportedOnceAndNothingIsServed) {
  std::memset(blocks[3], 0xFF, 4);
  size_t const allocations = heap.counters.allocations;
  EXPECT_EQ(rf_realloc(a, blocks[2], 40), nullptr);
  EXPECT_EQ(recorder.faults().size(), 1U);
  EXPECT_EQ(heap.counters.allocations, allocations);
}

TEST_F(TlsfDamage, OfAListIsReportedWhereItsRegionBegins) {
  heap.current = const_cast<rf_tlsf_region *>(other_region());
  for (size_t list = 0; list < 64; list++) {
    if ((heap.current->map >> list & 1) != 0) {
      std::memset(heap.current->origin + 8 * list, 0xFF, 4);
    }
  }
  EXPECT_EQ(rf_alloc(a, 10), nullptr);
  ASSERT_EQ(recorder.faults().size(), 1U);
  EXPECT_EQ(recorder.faults()[0].ptr, heap.current->origin);
}

// One region, and the number of the list that a free block is the first of.
class TlsfListDamage : public testing::Test {
protected:
  Unwatched unwatched;

  void SetUp() override { ASSERT_EQ(rf_tlsf_init(&heap, arena, sizeof arena), RF_OK); }

  uint32_t *head(size_t list) {
    return static_cast<uint32_t *>(static_cast<void *>(heap.main.origin + sizeof(uint64_t) * list));
  }
  size_t list_of(const void *block) {
    auto const place = (static_cast<const unsigned char *>(block) - heap.main.origin) / sizeof(uint64_t);
    size_t list = 0;
    while (list < 64 && *head(list) != place) {
      list++;
    }
    EXPECT_LT(list, 64U);
    return list;
  }
  // The list of free blocks of as many bytes, empty again.
  size_t list_for(size_t size) {
    void *const block = rf_alloc(a, size);
    void *const behind = rf_alloc(a, size);
    EXPECT_EQ(rf_free(a, block), RF_OK);
    size_t const list = list_of(block);
    EXPECT_EQ(rf_alloc(a, size), block);
    EXPECT_NE(behind, nullptr);
    return list;
  }
  void damage(size_t list) { *head(list) = 0xFFFFFFF0; }

  alignas(16) unsigned char arena[8192] = {};
  rf_tlsf heap;
  rf_allocator *const a = &heap.base;
  FaultRecorder recorder;
};

TEST_F(TlsfListDamage, IsMetByTheNextAllocOfThatSize) {
  void *const p = rf_alloc(a, 100);
  ASSERT_NE(rf_alloc(a, 1), nullptr);
  ASSERT_EQ(rf_free(a, p), RF_OK);
  damage(list_of(p));
  EXPECT_EQ(rf_alloc(a, 100), nullptr);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
  EXPECT_EQ(stats(a).failures, 1U);
}

TEST_F(TlsfListDamage, MetByTheRestOfABlockIsReportedOnce) {
  constexpr size_t g = kGranule;
  size_t const rests = list_for(4 * g - 4);
  void *const p = rf_alloc(a, 7 * g - 4);
  ASSERT_NE(rf_alloc(a, 1), nullptr);
  ASSERT_EQ(rf_free(a, p), RF_OK);
  damage(rests);
  EXPECT_EQ(rf_alloc(a, 3 * g - 4), p);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
  EXPECT_NE(rf_alloc(a, 7 * g - 4), nullptr) << "the block that was taken is in its list no more";
  EXPECT_TRUE(recorder.faults().empty());
}

TEST_F(TlsfListDamage, MetByAFreeThatMergesIsReportedOnce) {
  constexpr size_t g = kGranule;
  size_t const merged = list_for(11 * g - 4);
  void *const before = rf_alloc(a, 4 * g - 4);
  void *const p = rf_alloc(a, 7 * g - 4);
  ASSERT_NE(rf_alloc(a, 1), nullptr);
  ASSERT_EQ(rf_free(a, before), RF_OK);
  damage(merged);
  EXPECT_EQ(rf_free(a, p), RF_ERR_CORRUPT);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
  EXPECT_NE(rf_alloc(a, 4 * g - 4), nullptr) << "the block that was merged is in its list no more";
  EXPECT_TRUE(recorder.faults().empty());
}

} // namespace
