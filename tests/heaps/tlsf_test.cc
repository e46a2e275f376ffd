// tlsf alone: arenas, blocks, alignment, realloc; the promises of every allocator are in the conformance suite.
#include "tests/heaps/tlsf_fixture.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <vector>

namespace ringfence::testing {
namespace {

constexpr size_t kHeader = 4;

// ---- Arenas ----

TEST(TlsfTest, SixtyFourBytesAreEnough) {
  Heap h(64);
  unsigned char *const p = h.alloc(12);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(h.alloc(0), nullptr);
  EXPECT_EQ(rf_free(h.a, p), RF_OK);
  EXPECT_EQ(h.alloc(12), p);
}

TEST(TlsfTest, ArenasAreUsedWithinTheirBoundsOrRefused) {
  for (size_t size = 0; size < 300; size++) {
    for (size_t skew = 0; skew < kGranule; skew++) {
      Memory memory(size + 64, skew);
      std::memset(memory.start, 0xA5, size + 64);
      unsigned char *const arena = memory.start + 32;
      rf_tlsf heap;
      if (rf_tlsf_init(&heap, arena, size) == RF_OK) {
        size_t const largest = stats(&heap.base).largest_free;
        void *const p = rf_alloc(&heap.base, largest);
        ASSERT_NE(p, nullptr) << size << " at " << skew;
        std::memset(p, 0, largest);
        EXPECT_EQ(rf_free(&heap.base, p), RF_OK);
        EXPECT_EQ(stats(&heap.base).largest_free, largest);
      } else {
        EXPECT_LT(size, 96U) << skew;
        EXPECT_EQ(std::count(arena, arena + size, 0xA5), static_cast<ptrdiff_t>(size)) << "refused, but written to";
      }
      EXPECT_EQ(std::count(memory.start, arena, 0xA5), 32) << size << " at " << skew;
      EXPECT_EQ(std::count(arena + size, arena + size + 32, 0xA5), 32) << size << " at " << skew;
    }
  }
}

TEST(TlsfTest, AKilobyteIsUseful) {
  Heap h(1024);
  EXPECT_GE(h.largest(), 850U);
}

TEST(TlsfTest, ControlDataGrowsWithTheArena) {
  for (size_t size = 4096; size <= 1 << 20; size *= 4) {
    Heap h(size);
    size_t const control = size - h.largest();
    EXPECT_LE(control, 600 + size / 100) << size;
  }
}

TEST(TlsfTest, RefusesArenasThatAreNone) {
  rf_tlsf heap;
  unsigned char arena[64];
  EXPECT_EQ(rf_tlsf_init(&heap, nullptr, 4096), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_init(nullptr, arena, sizeof arena), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_init(&heap, arena, SIZE_MAX), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_init(&heap, arena, 0), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_tlsf_init(&heap, arena, 30), RF_ERR_NO_MEMORY);
}

// ---- Blocks ----

TEST(TlsfTest, ABlockCostsAHeaderOfFourBytesAndRoundingUp) {
  Heap h(4096);
  for (size_t const size : {0, 1, 12, 13, 24, 28, 29, 100, 124}) {
    unsigned char *const p = static_cast<unsigned char *>(rf_aligned_alloc(h.a, kGranule, size));
    unsigned char *const q = static_cast<unsigned char *>(rf_aligned_alloc(h.a, kGranule, size));
    size_t const rounded = (size + kHeader + kGranule - 1) / kGranule * kGranule;
    EXPECT_EQ(static_cast<size_t>(q - p), std::max<size_t>(rounded, 16)) << size;
    EXPECT_EQ(rf_usable_size(h.a, p), static_cast<size_t>(q - p) - kHeader);
    EXPECT_EQ(rf_free(h.a, p), RF_OK);
    EXPECT_EQ(rf_free(h.a, q), RF_OK);
  }
}

TEST(TlsfTest, WalksKnowTheSizesThatWereRequested) {
  Heap h(8192);
  std::map<void *, size_t> sizes;
  for (size_t size = 0; size < 70; size++) {
    sizes[h.alloc(size)] = size;
  }
  size_t used = 0;
  for (const Seen &block : walk(h.a)) {
    if (block.used) {
      EXPECT_EQ(block.size, sizes.at(block.ptr));
      used += block.size;
    }
  }
  EXPECT_EQ(used, stats(h.a).used);
}

TEST(TlsfTest, TheLastBlockThatFitsExactlyIsServed) {
  for (size_t size = 300; size < 3000; size += 7) {
    Heap h(size);
    size_t const largest = h.largest();
    EXPECT_NE(h.alloc(largest), nullptr) << size;
    EXPECT_EQ(h.largest(), 0U);
  }
}

TEST(TlsfTest, SmallSizesFitExactly) {
  Heap h(8192);
  std::vector<unsigned char *> holes;
  for (size_t granules = 1; granules <= 12; granules++) {
    holes.push_back(h.alloc(granules * kGranule - kHeader));
    h.alloc(1);
  }
  // The largest first, so that the small ones could be cut from it.
  for (size_t i = holes.size(); i-- > 0;) {
    rf_free(h.a, holes[i]);
  }
  for (size_t granules = 12; granules >= 16 / kGranule; granules--) {
    void *const p = rf_aligned_alloc(h.a, kGranule, granules * kGranule - kHeader);
    EXPECT_EQ(p, holes[granules - 1]) << granules;
  }
}

TEST(TlsfTest, WhatIsTooSmallForABlockStaysWithTheBlockBefore) {
  if (kGranule == 16) {
    return; // a granule is a block
  }
  Heap h(4096);
  unsigned char *const hole = static_cast<unsigned char *>(rf_aligned_alloc(h.a, 8, 36));
  h.alloc(1);
  rf_free(h.a, hole);
  EXPECT_EQ(rf_aligned_alloc(h.a, 8, 28), hole);
  EXPECT_EQ(rf_usable_size(h.a, hole), 36U);
  EXPECT_EQ(walk(h.a)[0].size, 28U);
}

TEST(TlsfTest, NeighboursMergeOnBothSidesInAnyOrder) {
  int order[] = {0, 1, 2, 3};
  do {
    Heap h(4096);
    size_t const largest = h.largest();
    void *blocks[4];
    for (void *&block : blocks) {
      block = h.alloc(100);
    }
    for (int const i : order) {
      EXPECT_EQ(rf_free(h.a, blocks[i]), RF_OK);
      EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
    }
    EXPECT_EQ(h.largest(), largest);
    EXPECT_EQ(walk(h.a).size(), 1U);
  } while (std::next_permutation(std::begin(order), std::end(order)));
}

// ---- Alignment ----

TEST(TlsfTest, ServesAnyAlignmentAndWhatLiesBeforeStaysFree) {
  for (size_t align = 1; align <= 65536; align *= 2) {
    Heap h(4 * 65536, 16);
    h.alloc(1);
    size_t const free_bytes = stats(h.a).free_bytes;
    void *const p = rf_aligned_alloc(h.a, align, 100);
    ASSERT_NE(p, nullptr) << align;
    EXPECT_TRUE(rf_is_aligned(p, align));
    EXPECT_GE(stats(h.a).free_bytes, free_bytes - 100 - 4 * kGranule) << align;
    EXPECT_EQ(stats(h.a).allocations, 2U);
    EXPECT_EQ(stats(h.a).peak, 101U);
    EXPECT_EQ(rf_free(h.a, p), RF_OK);
    EXPECT_EQ(stats(h.a).free_bytes, free_bytes);
  }
}

TEST(TlsfTest, AnAlignmentThatFitsNowhereCountsAsOneFailure) {
  Heap h(4096);
  EXPECT_EQ(rf_aligned_alloc(h.a, 65536, 10), nullptr);
  EXPECT_EQ(rf_aligned_alloc(h.a, (SIZE_MAX >> 1) + 1, 10), nullptr);
  rf_stats const s = stats(h.a);
  EXPECT_EQ(s.failures, 2U);
  EXPECT_EQ(s.peak, 0U);
  EXPECT_EQ(s.allocations, 0U);
}

// Wherever the free memory begins: the bytes left before the block are none, or a block of their own.
TEST(TlsfTest, AnAlignedBlockBeginsAtTheFirstPlaceThatWillDo) {
  for (size_t skew = 0; skew < 64; skew += kGranule) {
    Heap h(4096, skew);
    const unsigned char *const first = walk(h.a)[0].ptr;
    auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(h.a, 32, 20));
    size_t const gap = rf_align_gap(first, 32);
    EXPECT_EQ(p, first + (gap != 0 && gap < 16 ? gap + 32 : gap)) << skew;
    rf_free(h.a, p);
  }
}

// ---- realloc ----

TEST(TlsfTest, GrowsIntoTheFreeBlockBehind) {
  Heap h(4096);
  unsigned char *const p = h.alloc(40);
  unsigned char *const behind = h.alloc(100);
  h.alloc(1);
  std::memset(p, 0x5A, 40);
  rf_free(h.a, behind);
  EXPECT_EQ(rf_realloc(h.a, p, 130), p);
  EXPECT_EQ(std::count(p, p + 40, 0x5A), 40);
  EXPECT_EQ(stats(h.a).used, 131U);
}

TEST(TlsfTest, SlidesIntoTheFreeBlockBefore) {
  Heap h(4096);
  unsigned char *const before = h.alloc(100);
  unsigned char *const p = h.alloc(40);
  h.alloc(1);
  for (unsigned char i = 0; i < 40; i++) {
    p[i] = i;
  }
  rf_free(h.a, before);
  size_t const allocations = stats(h.a).allocations;
  ASSERT_EQ(rf_realloc(h.a, p, 130), before);
  for (unsigned char i = 0; i < 40; i++) {
    EXPECT_EQ(before[i], i);
  }
  EXPECT_EQ(stats(h.a).allocations, allocations) << "no new block";
}

TEST(TlsfTest, GrowsToBothSidesWhereEachAloneIsTooLittle) {
  Heap h(4096);
  unsigned char *const before = h.alloc(60);
  unsigned char *const p = h.alloc(44);
  unsigned char *const behind = h.alloc(60);
  h.alloc(1);
  std::memset(p, 0x77, 44);
  rf_free(h.a, before);
  rf_free(h.a, behind);
  ASSERT_EQ(rf_realloc(h.a, p, 150), before);
  EXPECT_EQ(std::count(before, before + 44, 0x77), 44);
}

TEST(TlsfTest, ShrinksInPlaceAndGivesTheRestToTheFreeBlockBehind) {
  Heap h(4096);
  unsigned char *const p = h.alloc(1000);
  size_t const largest = h.largest();
  EXPECT_EQ(rf_resize(h.a, p, 100), RF_OK);
  EXPECT_GE(h.largest(), largest + 1000 - 100 - 2 * kGranule);
  EXPECT_EQ(walk(h.a).size(), 2U);
}

TEST(TlsfTest, AMoveTakesAlongWhatTheOwnerMayHaveUsed) {
  Heap h(4096);
  unsigned char *const p = h.alloc(41);
  h.alloc(1);
  size_t const usable = rf_usable_size(h.a, p);
  std::memset(p, 0x33, usable);
  auto *const moved = static_cast<unsigned char *>(rf_realloc(h.a, p, 500));
  ASSERT_NE(moved, nullptr);
  EXPECT_NE(moved, p);
  EXPECT_EQ(std::count(moved, moved + usable, 0x33), static_cast<ptrdiff_t>(usable));
}

TEST(TlsfTest, AReallocThatFitsNowhereLeavesTheBlock) {
  Heap h(1024);
  unsigned char *const p = h.alloc(300);
  h.alloc(100);
  std::memset(p, 0x42, 300);
  EXPECT_EQ(rf_realloc(h.a, p, 700), nullptr);
  EXPECT_EQ(rf_resize(h.a, p, 700), RF_ERR_NO_MEMORY);
  EXPECT_EQ(std::count(p, p + 300, 0x42), 300);
  EXPECT_EQ(stats(h.a).used, 400U);
}

// Before the block there is room at the alignment; the free block behind it is damaged.
TEST(TlsfTest, AReallocForAnAlignmentLooksAtTheBlockBehind) {
  Unwatched const unwatched;
  Faults faults;
  Heap h(4096);
  while (!rf_is_aligned(h.alloc(12) + 16, 64)) {
  }
  unsigned char *const before = h.alloc(28);
  unsigned char *const p = h.alloc(28);
  unsigned char *const behind = h.alloc(60); // of another list
  h.alloc(1);
  ASSERT_TRUE(rf_is_aligned(before, 64));
  EXPECT_EQ(rf_free(h.a, before), RF_OK);
  EXPECT_EQ(rf_free(h.a, behind), RF_OK);
  behind[3] ^= 0xFF; // its link leads out of the region
  EXPECT_EQ(rf_realloc_at(h.a, p, 40, 64, RF_HERE), nullptr);
  EXPECT_EQ(faults.take(), RF_ERR_CORRUPT);
  behind[3] ^= 0xFF;
  EXPECT_EQ(rf_usable_size(h.a, p), 28U);
}

// Headers and links that the heap has written: of each of two neighbours, as it was when it alone was free.
TEST(TlsfTest, FreeBlocksThatTouchAreToldByACheck) {
  Unwatched const unwatched;
  Heap h(4096);
  unsigned char *const p = h.alloc(28);
  unsigned char *const q = h.alloc(44);
  ASSERT_NE(h.alloc(60), nullptr);
  rf_tlsf const heap = h.heap;
  std::vector<unsigned char> const live(h.arena.start, h.arena.start + h.arena.size);
  std::vector<unsigned char> both = live;
  uint64_t map = heap.main.map;
  for (unsigned char *const freed : {p, q}) {
    EXPECT_EQ(rf_free(h.a, freed), RF_OK);
    for (size_t i = 0; i < both.size(); i++) {
      bool const header = h.arena.start + i >= q - 4 && h.arena.start + i < q;
      both[i] = header ? h.arena.start[i] : static_cast<unsigned char>(both[i] ^ live[i] ^ h.arena.start[i]);
    }
    map |= h.heap.main.map;
    std::copy(live.begin(), live.end(), h.arena.start);
    h.heap = heap;
  }
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  std::copy(both.begin(), both.end(), h.arena.start);
  h.heap.main.map = map;
  h.heap.counters.used -= 28 + 44;
  h.heap.counters.blocks -= 2;
  rf_fault where = {};
  EXPECT_EQ(rf_check(h.a, &where), RF_ERR_CORRUPT);
  EXPECT_STREQ(where.what, "free blocks that touch");
  EXPECT_EQ(where.ptr, q);
  std::copy(live.begin(), live.end(), h.arena.start);
  h.heap = heap;
}

} // namespace
} // namespace ringfence::testing
