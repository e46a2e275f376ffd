// memheap: which region serves what, regions that come and go, statistics, refusals; every byte of metadata damaged.
#include "tests/heaps/support.h"

#include <gtest/gtest.h>
#include <ringfence/memheap.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kHeader = 3 * sizeof(size_t);
constexpr size_t kG = RF_ALIGN_DEFAULT;

rf_stats stats(const rf_memheap_region *region) {
  rf_stats s;
  rf_memheap_region_stats(region, &s);
  return s;
}

class Memheap : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_memheap_init(&heap));
    ASSERT_EQ(RF_OK, rf_memheap_add(&heap, &first, "sram", memory[1], 1024));
    ASSERT_EQ(RF_OK, rf_memheap_add(&heap, &second, "sdram", memory[0], 4096));
  }
  void TearDown() override {
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    rf_deinit(a);
    EXPECT_EQ(0U, faults.count());
  }

  unsigned char *alloc(size_t size) { return alloc_filled(a, size); }

  // Takes all that is left of a region.
  unsigned char *fill(const rf_memheap_region *region) {
    unsigned char *const p = alloc(stats(region).largest_free);
    EXPECT_EQ(region, rf_memheap_region_of(&heap, p));
    return p;
  }

  Faults faults;
  rf_memheap heap;
  rf_allocator *a = &heap.base;
  rf_memheap_region first;
  rf_memheap_region second;
  rf_memheap_region third;
  alignas(16) unsigned char memory[3][4096];
};

// ---- Which region ----

TEST_F(Memheap, TheRegionThatWasAddedFirstServesFirst) {
  EXPECT_EQ(&first, rf_memheap_region_of(&heap, alloc(100)));
  EXPECT_EQ(&first, rf_memheap_region_of(&heap, alloc(100)));
}

TEST_F(Memheap, TheNextServesWhatTheFirstHasNoRoomFor) {
  EXPECT_EQ(&second, rf_memheap_region_of(&heap, alloc(1025)));
  EXPECT_EQ(&first, rf_memheap_region_of(&heap, alloc(100)));
  fill(&first);
  unsigned char *const p = alloc(1);
  EXPECT_EQ(&second, rf_memheap_region_of(&heap, p));
}

TEST_F(Memheap, RegionsAreNamedAndListedInOrder) {
  EXPECT_EQ(&first, rf_memheap_next(&heap, nullptr));
  EXPECT_EQ(&second, rf_memheap_next(&heap, &first));
  EXPECT_EQ(nullptr, rf_memheap_next(&heap, &second));
  EXPECT_STREQ("sram", rf_memheap_region_name(&first));

  ASSERT_EQ(RF_OK, rf_memheap_add(&heap, &third, nullptr, memory[2], 4096));
  EXPECT_STREQ("", rf_memheap_region_name(&third));
}

TEST_F(Memheap, AHeapWithoutRegionsServesNothing) {
  rf_memheap empty;
  ASSERT_EQ(RF_OK, rf_memheap_init(&empty));
  EXPECT_EQ(nullptr, rf_alloc(&empty.base, 0));
  EXPECT_EQ(1U, stats(&empty.base).failures);
  EXPECT_EQ(0U, stats(&empty.base).capacity);
  EXPECT_EQ(RF_OK, rf_check(&empty.base, nullptr));
  EXPECT_EQ(0U, walk(&empty.base).size());
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_init(nullptr));
}

TEST_F(Memheap, TheSmallestFreeBlockThatIsLargeEnoughIsTaken) {
  unsigned char *const large = alloc(400);
  alloc(1);
  unsigned char *const fitting = alloc(200);
  alloc(1);
  unsigned char *const small = alloc(100);
  fill(&first);
  rf_free(a, large);
  rf_free(a, fitting);
  rf_free(a, small);
  EXPECT_EQ(fitting, rf_alloc(a, 190));
  EXPECT_EQ(small, rf_alloc(a, 100));
  EXPECT_EQ(large, rf_alloc(a, 100));
}

TEST_F(Memheap, AmongEqualsTheOneFreedLastIsTaken) {
  unsigned char *equal[3];
  for (unsigned char *&p : equal) {
    p = alloc(100);
    alloc(1);
  }
  fill(&first);
  for (unsigned char *const p : equal) {
    rf_free(a, p);
  }
  EXPECT_EQ(equal[2], rf_alloc(a, 50));
}

// ---- realloc ----

TEST_F(Memheap, AReallocStaysInItsRegionWhereThereIsRoomBesideTheBlock) {
  fill(&first);
  unsigned char *const p = alloc(100);
  EXPECT_EQ(&second, rf_memheap_region_of(&heap, p));
  EXPECT_EQ(p, rf_realloc(a, p, 1000));
}

TEST_F(Memheap, AReallocThatOutgrowsItsRegionMovesToAnother) {
  unsigned char *const p = alloc(600);
  auto *const q = static_cast<unsigned char *>(rf_realloc(a, p, 2000));
  EXPECT_EQ(&second, rf_memheap_region_of(&heap, q));
  EXPECT_EQ(std::string(600, static_cast<char>(600)), std::string(reinterpret_cast<char *>(q), 600));
  EXPECT_EQ(0U, stats(&first).blocks);
  EXPECT_EQ(1U, stats(a).blocks);
  EXPECT_EQ(2000U, stats(a).used);
}

TEST_F(Memheap, AReallocThatMovesGoesWhereAnAllocationWould) {
  unsigned char *const hole = alloc(700);
  fill(&first);
  unsigned char *const p = alloc(200);
  alloc(1);
  EXPECT_EQ(&second, rf_memheap_region_of(&heap, p));
  rf_free(a, hole);
  auto *const q = static_cast<unsigned char *>(rf_realloc(a, p, 500));
  EXPECT_EQ(&first, rf_memheap_region_of(&heap, q));
  EXPECT_EQ(200, q[199]);
}

TEST_F(Memheap, AReallocThatNoRegionCanServeLeavesTheBlock) {
  unsigned char *const p = alloc(600);
  EXPECT_EQ(nullptr, rf_realloc(a, p, 4096));
  EXPECT_EQ(static_cast<unsigned char>(600), p[599]);
  EXPECT_EQ(600U, stats(a).used);
  EXPECT_EQ(1U, stats(a).failures);
}

TEST_F(Memheap, AReallocGrowsDownIntoFreeMemory) {
  unsigned char *const p = alloc(100);
  unsigned char *const q = alloc(110);
  fill(&first);
  rf_free(a, p);
  auto *const moved = static_cast<unsigned char *>(rf_realloc(a, q, 200));
  EXPECT_EQ(p, moved);
  EXPECT_EQ(std::string(110, 110), std::string(reinterpret_cast<char *>(moved), 110));
}

TEST_F(Memheap, AReallocToALargerAlignmentMayUseItsOwnMemory) {
  unsigned char *const p = alloc(144);
  auto *const q = static_cast<unsigned char *>(rf_realloc_at(a, p, 100, 512, RF_HERE));
  EXPECT_TRUE(rf_is_aligned(q, 512));
  EXPECT_EQ(std::string(100, static_cast<char>(144)), std::string(reinterpret_cast<char *>(q), 100));
}

TEST_F(Memheap, AResizeStaysInItsRegion) {
  unsigned char *const p = alloc(100);
  EXPECT_EQ(RF_OK, rf_resize(a, p, 800));
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(a, p, 2000));
  EXPECT_EQ(RF_OK, rf_resize(a, p, 10));
  EXPECT_EQ(10U, stats(a).used);
}

// ---- Regions come and go ----

TEST_F(Memheap, ARegionCanBeAddedWhileBlocksAreLive) {
  fill(&first);
  fill(&second);
  EXPECT_EQ(nullptr, rf_alloc(a, 1));
  ASSERT_EQ(RF_OK, rf_memheap_add(&heap, &third, "third", memory[2], 4096));
  EXPECT_EQ(&third, rf_memheap_region_of(&heap, alloc(3000)));
}

TEST_F(Memheap, ARegionWithALiveBlockIsBusy) {
  unsigned char *const p = alloc(100);
  EXPECT_EQ(RF_ERR_BUSY, rf_memheap_remove(&heap, &first));
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(RF_OK, rf_memheap_remove(&heap, &first));
  EXPECT_EQ(1U, heap.regions);
  EXPECT_STREQ("", rf_memheap_region_name(&first)) << "the caller's again";
  EXPECT_EQ(0U, stats(&first).peak);
  EXPECT_EQ(&second, rf_memheap_region_of(&heap, alloc(100)));
}

TEST_F(Memheap, ARemovedRegionIsTheCallersAgain) {
  ASSERT_EQ(RF_OK, rf_memheap_remove(&heap, &second));
  memset(memory[0], 0xEE, sizeof memory[0]);
  memset(&second, 0xEE, sizeof second);
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  EXPECT_EQ(nullptr, rf_alloc(a, 2000));
  EXPECT_FALSE(rf_owns(a, memory[0] + 100));
  ASSERT_EQ(RF_OK, rf_memheap_add(&heap, &second, "again", memory[0], 4096));
  EXPECT_NE(nullptr, rf_alloc(a, 2000));
}

TEST_F(Memheap, WhatIsNoRegionCannotBeRemoved) {
  rf_memheap other;
  rf_memheap_region stranger;
  ASSERT_EQ(RF_OK, rf_memheap_init(&other));
  ASSERT_EQ(RF_OK, rf_memheap_add(&other, &stranger, "other", memory[2], 4096));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_remove(&heap, &stranger));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_remove(&heap, nullptr));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_remove(nullptr, &first));
  ASSERT_EQ(RF_OK, rf_memheap_remove(&heap, &first));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_remove(&heap, &first));
}

TEST_F(Memheap, MemoryIsAddedOnlyOnceAndMustBeLargeEnough) {
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_add(&heap, &first, "twice", memory[2], 4096));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_add(&heap, &third, "overlap", memory[0] + 4000, 4096));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_add(&heap, &third, "inside", memory[0] + 100, 1));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_add(&heap, &third, "none", nullptr, 4096));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_add(&heap, nullptr, "none", memory[2], 4096));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_add(nullptr, &third, "none", memory[2], 4096));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_add(&heap, &third, "wraps", memory[2], SIZE_MAX));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_add(&heap, &third, "wraps", memory[2], RF_SIZE_LIMIT + 1));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_add(&heap, &third, "tiny", memory[2], kHeader + 2 * sizeof(size_t) - 1));
  EXPECT_EQ(RF_ERR_INVALID, rf_memheap_add(&heap, &third, "itself", &third, sizeof third));
  EXPECT_EQ(RF_OK, rf_memheap_add(&heap, &third, "least", memory[2] + 3, kHeader + 2 * kG));
}

TEST_F(Memheap, AdjacentRegionsAreNotMerged) {
  rf_memheap touching;
  rf_memheap_region left;
  rf_memheap_region right;
  ASSERT_EQ(RF_OK, rf_memheap_init(&touching));
  ASSERT_EQ(RF_OK, rf_memheap_add(&touching, &left, "left", memory[2], 1000));
  ASSERT_EQ(RF_OK, rf_memheap_add(&touching, &right, "right", memory[2] + 1000, 1000));
  EXPECT_EQ(nullptr, rf_alloc(&touching.base, 1000));
  EXPECT_EQ(2U, walk(&touching.base).size());
  EXPECT_EQ(RF_OK, rf_memheap_remove(&touching, &right));
  ASSERT_EQ(RF_OK, rf_memheap_remove(&touching, &left));
  ASSERT_EQ(RF_OK, rf_memheap_add(&touching, &right, "right", memory[2] + 1000, 1000));
  EXPECT_EQ(RF_OK, rf_memheap_add(&touching, &left, "left", memory[2], 1000)) << "and the other way round";
}

// ---- Statistics ----

TEST_F(Memheap, StatisticsAreKeptPerRegionAndInSum) {
  alloc(600);
  alloc(500);
  EXPECT_EQ(600U, stats(&first).used);
  EXPECT_EQ(500U, stats(&second).used);
  EXPECT_EQ(1U, stats(&first).failures);
  rf_stats const sum = stats(a);
  EXPECT_EQ(1100U, sum.used);
  EXPECT_EQ(2U, sum.blocks);
  EXPECT_EQ(0U, sum.failures);
  EXPECT_EQ(stats(&first).capacity + stats(&second).capacity, sum.capacity);
  EXPECT_EQ(sum.capacity, sum.used + sum.free_bytes + sum.overhead);
}

TEST_F(Memheap, ThePeakIsThatOfTheSumNotTheSumOfThePeaks) {
  unsigned char *const p = alloc(900);
  rf_free(a, p);
  alloc(2000);
  EXPECT_EQ(900U, stats(&first).peak);
  EXPECT_EQ(2000U, stats(&second).peak);
  EXPECT_EQ(2000U, stats(a).peak);
}

// ---- Refusing ----

TEST_F(Memheap, RefusesWhatIsNoLiveBlockOfAnyRegion) {
  unsigned char *const p = alloc(100);
  unsigned char *const q = alloc(2000);
  unsigned char local = 0;
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, &local));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, p + 4));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, q + 5 * kG));
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_free(a, p));
  EXPECT_EQ(nullptr, rf_realloc(a, p, 10));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_resize(a, p, 10));
  EXPECT_EQ(6U, faults.count());
  EXPECT_STREQ("memheap", faults.last().allocator->ops->name);
  EXPECT_EQ(1U, stats(a).blocks);
  faults.take();
}

TEST_F(Memheap, RefusesABlockOfARegionThatWasRemovedAndCameBack) {
  unsigned char *const p = alloc(100);
  unsigned char *const q = alloc(100);
  rf_free(a, q);
  rf_free(a, p);
  ASSERT_EQ(RF_OK, rf_memheap_remove(&heap, &first));
  ASSERT_EQ(RF_OK, rf_memheap_add(&heap, &first, "sram", memory[1], 1024));
  ASSERT_EQ(RF_OK, rf_memheap_remove(&heap, &second));
  EXPECT_EQ(p, alloc(600));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, q));
  EXPECT_EQ(1U, faults.count());
  faults.take();
}

// Headers whose neighbours agree with them would pass for blocks.
TEST_F(Memheap, RefusesABlockOfAHeapThatHasEnded) {
  unsigned char *blocks[4];
  for (unsigned char *&p : blocks) {
    p = alloc(50);
  }
  rf_deinit(a);
  ASSERT_EQ(RF_OK, rf_memheap_init(&heap));
  ASSERT_EQ(RF_OK, rf_memheap_add(&heap, &first, "sram", memory[1], 1024));
  for (unsigned char *const p : blocks) {
    EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_free(a, p));
    EXPECT_EQ(RF_ERR_NOT_ALLOCATED, faults.take());
  }
}

TEST_F(Memheap, ARegionThatWasGivenToAnotherHeapServesNobodyHere) {
  rf_memheap here;
  rf_memheap there;
  ASSERT_EQ(RF_OK, rf_memheap_init(&here));
  ASSERT_EQ(RF_OK, rf_memheap_init(&there));
  ASSERT_EQ(RF_OK, rf_memheap_add(&here, &third, nullptr, memory[2], 1024));
  ASSERT_EQ(RF_OK, rf_memheap_add(&there, &third, nullptr, memory[2], 1024));
  EXPECT_EQ(nullptr, rf_alloc(&here.base, 10));
  EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
  EXPECT_NE(nullptr, rf_alloc(&there.base, 10));
  rf_deinit(&there.base);
}

TEST_F(Memheap, ServesAndOwnsNothingAfterDeinit) {
  unsigned char *const p = alloc(100);
  rf_deinit(a);
  rf_deinit(a);
  EXPECT_EQ(nullptr, rf_alloc(a, 1));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, p));
  EXPECT_EQ(nullptr, rf_memheap_next(&heap, nullptr));
  EXPECT_EQ(0U, stats(&first).capacity);
  EXPECT_EQ(0U, stats(&first).used);
  EXPECT_STREQ("", rf_memheap_region_name(&first));
  faults.take();
}

// ---- Integrity: each byte in turn ----

class MemheapIntegrity : public ::testing::Test {
protected:
  Unwatched unwatched;

  static constexpr size_t kSize = 500; // no multiple of kG: the last block is cut

  struct Everything {
    alignas(16) unsigned char memory[2][kSize];
    rf_memheap heap;
    rf_memheap_region regions[2];
    unsigned char after[64];
  };

  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_memheap_init(&e.heap));
    ASSERT_EQ(RF_OK, rf_memheap_add(&e.heap, &e.regions[0], "first", e.memory[0], kSize));
    ASSERT_EQ(RF_OK, rf_memheap_add(&e.heap, &e.regions[1], "second", e.memory[1], kSize));
    std::vector<void *> blocks;
    for (size_t const size : {40, 60, 30, 60, 1, 300, 24, 50}) {
      blocks.push_back(rf_alloc(a, size));
      ASSERT_NE(nullptr, blocks.back());
    }
    for (size_t const i : {0U, 2U, 4U, 6U}) {
      EXPECT_EQ(RF_OK, rf_free(a, blocks[i]));
    }
    live = {blocks[1], blocks[3], blocks[5], blocks[7]};
    memset(e.after, 0xA5, sizeof e.after);
    memcpy(static_cast<void *>(&saved), &e, sizeof e);
  }

  void restore() { memcpy(static_cast<void *>(&e), &saved, sizeof e); }

  // Every operation, on the damaged heap: whatever they answer, they end and touch nothing outside.
  void use() {
    std::vector<Seen> blocks;
    rf_stats unused;
    rf_stats_get(a, &unused);
    (void)rf_walk(a, see, &blocks);
    for (void *const ptr : live) {
      (void)rf_usable_size(a, ptr);
      (void)rf_owns(a, ptr);
      (void)rf_resize(a, ptr, 100);
      (void)rf_realloc(a, ptr, 120);
      (void)rf_alloc(a, 24);
      (void)rf_aligned_alloc(a, 64, 60);
      (void)rf_free(a, ptr);
    }
    (void)rf_memheap_remove(&e.heap, &e.regions[1]);
    rf_deinit(a);
    EXPECT_EQ(0, memcmp(e.after, saved.after, sizeof e.after));
  }

  bool told(unsigned char *byte) {
    return change_is_told(
        a, byte, faults, [this] { use(); }, [this] { restore(); });
  }

  // Headers, and the links at the start of free payloads.
  bool relied_upon(const unsigned char *byte) {
    bool found = false;
    for (const Seen &b : walk(a)) {
      found = found || (byte < b.ptr && byte >= b.ptr - kHeader) ||
              (!b.used && byte >= b.ptr && byte < b.ptr + 2 * sizeof(size_t));
    }
    return found;
  }

  Faults faults;
  Everything e;
  Everything saved;
  rf_allocator *a = &e.heap.base;
  std::vector<void *> live;
};

TEST_F(MemheapIntegrity, EachByteOfEachHeaderAndOfTheFreeListIsTold) {
  for (auto &memory : e.memory) {
    for (size_t i = 0; i < kSize; i++) {
      if (relied_upon(memory + i)) {
        EXPECT_TRUE(told(memory + i)) << "byte " << i;
      }
    }
  }
}

TEST_F(MemheapIntegrity, NothingElseInTheRegionsIsReliedUpon) {
  for (auto &memory : e.memory) {
    for (size_t i = 0; i < kSize; i++) {
      if (!relied_upon(memory + i)) {
        memory[i] ^= 0xFF;
        EXPECT_EQ(RF_OK, rf_check(a, nullptr)) << "byte " << i;
        memory[i] ^= 0xFF;
      }
    }
  }
}

TEST_F(MemheapIntegrity, EachByteOfTheRecordsIsToldButThoseThatOnlyCount) {
  auto const counts_only = [](const unsigned char *byte, const rf_counters &c) {
    auto const in = [byte](const size_t &field) {
      auto *const start = reinterpret_cast<const unsigned char *>(&field);
      return byte >= start && byte < start + sizeof field;
    };
    return in(c.failures) || in(c.peak) || in(c.peak_blocks) || in(c.allocations);
  };
  auto *const start = reinterpret_cast<unsigned char *>(&e.heap);
  for (unsigned char *byte = start; byte < e.after; byte++) {
    auto const *const past_ops = reinterpret_cast<unsigned char *>(&e.heap.first);
    if (byte < past_ops || counts_only(byte, e.heap.counters) || counts_only(byte, e.regions[0].counters) ||
        counts_only(byte, e.regions[1].counters)) {
      continue;
    }
    EXPECT_TRUE(told(byte)) << "byte " << byte - start;
  }
}

TEST_F(MemheapIntegrity, PeaksThatCannotBeAreTold) {
  expect_peaks_checked(a, &e.heap.counters);
  expect_peaks_checked(a, &e.regions[0].counters);
}

TEST_F(MemheapIntegrity, ADamagedRecordMakesEveryCallRefuse) {
  void *const block = walk(a)[0].ptr;
  e.heap.checksum ^= 4;
  expect_record_refused(a, block, faults);
  restore();
}

TEST_F(MemheapIntegrity, AHeaderAndItsLinksOverwrittenWithAnyOneByteAreTold) {
  for (const Seen &b : walk(a)) {
    for (int value = 0; value < 256; value++) {
      memset(b.ptr - kHeader, value, kHeader + (b.used ? 0 : 2 * sizeof(size_t)));
      EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
      use();
      restore();
    }
  }
}

TEST_F(Memheap, AWalkThatIsStoppedShowsNoOtherRegion) {
  int seen = 0;
  EXPECT_EQ(RF_OK, rf_walk(
                       a, [](const rf_block *, void *n) { return ++*static_cast<int *>(n) < 0; }, &seen));
  EXPECT_EQ(1, seen);
}

} // namespace
