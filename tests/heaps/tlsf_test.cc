// Tests of tlsf alone; the promises of every allocator are in the conformance suite. Damage has a file of its own.
#include <ringfence/tlsf.h>

#include "tests/core/recorder.h"
#include "tests/heaps/support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <vector>

#if defined(__linux__) && SIZE_MAX > UINT32_MAX
#include <sys/mman.h>
#endif

namespace {

using ringfence::testing::FaultRecorder;

constexpr size_t kGranule = RF_ALIGN_DEFAULT > 8 ? 16 : 8;
constexpr size_t kHeader = 4;

// Memory whose address exceeds a multiple of 4096 by `skew`.
class Memory {
public:
  explicit Memory(size_t bytes, size_t skew = 0) : size(bytes), store_(bytes + skew + 4096) {
    start = store_.data() + rf_align_gap(store_.data(), 4096) + skew;
  }

  unsigned char *start;
  size_t const size;

private:
  std::vector<unsigned char> store_;
};

class Heap {
public:
  explicit Heap(size_t size, size_t skew = 0) : arena(size, skew) {
    EXPECT_EQ(rf_tlsf_init(&heap, arena.start, size), RF_OK) << size << " bytes, skew " << skew;
  }
  ~Heap() { EXPECT_EQ(rf_check(a, nullptr), RF_OK); }

  unsigned char *alloc(size_t size) { return static_cast<unsigned char *>(rf_alloc(a, size)); }
  size_t largest() { return stats(a).largest_free; }

  Memory arena;
  rf_tlsf heap;
  rf_allocator *const a = &heap.base;
};

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

// ---- Regions ----

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

TEST(TlsfTest, ServesFromAllRegionsAndKnowsThemApart) {
  Memory second(8192, 5);
  Memory third(2048, 3);
  Heap h(4096);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, second.start, second.size), RF_OK);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, third.start, third.size), RF_OK);
  EXPECT_EQ(stats(h.a).capacity, 4096U + 8192U + 2048U);
  EXPECT_GT(h.largest(), 4096U);
  std::vector<unsigned char *> blocks;
  while (unsigned char *const p = h.alloc(50)) {
    std::memset(p, 0x11, 50);
    blocks.push_back(p);
  }
  EXPECT_EQ(stats(h.a).failures, 1U);
  EXPECT_GT(blocks.size() * 64, 4096U + 8192U);
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, second.start), RF_ERR_BUSY);
  for (unsigned char *const p : blocks) {
    EXPECT_TRUE(rf_owns(h.a, p));
    EXPECT_EQ(rf_free(h.a, p), RF_OK);
  }
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, second.start), RF_OK);
  EXPECT_FALSE(rf_owns(h.a, blocks[60]) && blocks[60] >= second.start && blocks[60] < second.start + second.size);
  EXPECT_EQ(stats(h.a).capacity, 4096U + 2048U);
  EXPECT_LT(h.largest(), 4096U);
}

TEST(TlsfTest, TheRegionThatServedLastIsAskedFirst) {
  Memory more(4096);
  Heap h(1024);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, more.start, more.size), RF_OK);
  for (size_t const size : {2000, 10}) {
    unsigned char *const p = h.alloc(size);
    EXPECT_TRUE(p > more.start && p < more.start + more.size) << size;
  }
}

TEST(TlsfTest, RefusesRegionsThatAreNone) {
  Memory other(4096);
  Heap h(4096);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, nullptr, 4096), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start, SIZE_MAX - 10), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, h.arena.start + 4095, 4096), RF_ERR_INVALID) << "overlaps the arena";
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start, 40), RF_ERR_NO_MEMORY);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, other.start + 1000, 2000), RF_OK);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start, 1001), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start + 2999, 1000), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start + 1500, 100), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start + 3000, 1000), RF_OK) << "adjacent is apart";
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, other.start), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, h.arena.start), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, other.start + 3000), RF_OK);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, other.start + 3000), RF_ERR_INVALID);
}

TEST(TlsfTest, BlocksDoNotSpanAdjacentRegions) {
  Memory memory(3 * 4096);
  rf_tlsf heap;
  ASSERT_EQ(rf_tlsf_init(&heap, memory.start + 4096, 4096), RF_OK);
  ASSERT_EQ(rf_tlsf_add_region(&heap, memory.start + 8192, 4096), RF_OK);
  ASSERT_EQ(rf_tlsf_add_region(&heap, memory.start, 4096), RF_OK);
  EXPECT_LT(stats(&heap.base).largest_free, 4096U);
  EXPECT_EQ(rf_alloc(&heap.base, 4096), nullptr);
}

TEST(TlsfTest, ManyRegionsComeAndGoInAnyOrder) {
  constexpr size_t kRegions = 150;
  constexpr size_t kSize = 1500;
  Memory memory(kRegions * kSize);
  Heap h(1024);
  std::mt19937 random(1);
  std::vector<unsigned char *> blocks[kRegions];
  std::vector<bool> added(kRegions);
  auto const region_of = [&](const unsigned char *p) { return static_cast<size_t>(p - memory.start) / kSize; };
  for (int round = 0; round < 3000; round++) {
    size_t const i = random() % kRegions;
    unsigned char *const start = memory.start + i * kSize;
    if (!added[i]) {
      ASSERT_EQ(rf_tlsf_add_region(&h.heap, start, kSize), RF_OK);
      added[i] = true;
      continue;
    }
    unsigned char *const p = h.alloc(random() % 900);
    if (p != nullptr && p >= memory.start && p < memory.start + memory.size) {
      ASSERT_TRUE(added[region_of(p)]);
      blocks[region_of(p)].push_back(p);
    }
    ASSERT_EQ(rf_tlsf_remove_region(&h.heap, start), blocks[i].empty() ? RF_OK : RF_ERR_BUSY);
    added[i] = !blocks[i].empty();
    size_t const drained = random() % kRegions;
    for (unsigned char *const block : blocks[drained]) {
      ASSERT_EQ(rf_free(h.a, block), RF_OK);
    }
    blocks[drained].clear();
    if (round % 100 == 0) {
      ASSERT_EQ(rf_check(h.a, nullptr), RF_OK) << round;
    }
  }
}

// ---- Refusals ----

class TlsfRefusals : public testing::Test {
protected:
  Unwatched unwatched;

  Heap h{4096};
  FaultRecorder recorder;
};

TEST_F(TlsfRefusals, Foreign) {
  int local = 0;
  EXPECT_EQ(rf_free(h.a, &local), RF_ERR_BAD_POINTER);
  EXPECT_EQ(recorder.take(), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(h.a, &h.heap), RF_ERR_BAD_POINTER);
}

TEST_F(TlsfRefusals, EveryInteriorByteWhateverItHolds) {
  unsigned char *const p = h.alloc(200);
  // As if blocks began all over it.
  for (size_t i = 0; i + 4 <= 200; i += 4) {
    std::memcpy(p + i, p - kHeader, kHeader);
  }
  for (size_t i = 1; i < 200; i++) {
    ASSERT_EQ(rf_free(h.a, p + i), RF_ERR_BAD_POINTER) << i;
    ASSERT_EQ(rf_resize(h.a, p + i, 10), RF_ERR_BAD_POINTER) << i;
    ASSERT_EQ(rf_usable_size(h.a, p + i), 0U) << i;
  }
  EXPECT_EQ(recorder.faults().size(), 2 * 199U);
  EXPECT_EQ(rf_free(h.a, p), RF_OK);
}

TEST_F(TlsfRefusals, ControlDataAndTheEnd) {
  for (unsigned char *p = h.arena.start; p < h.heap.main.first; p++) {
    ASSERT_EQ(rf_free(h.a, p), RF_ERR_BAD_POINTER);
  }
  EXPECT_EQ(rf_free(h.a, h.heap.main.end), RF_ERR_BAD_POINTER);
}

TEST_F(TlsfRefusals, FreedTwiceWithLiveNeighbours) {
  h.alloc(10);
  unsigned char *const p = h.alloc(10);
  h.alloc(10);
  EXPECT_EQ(rf_free(h.a, p), RF_OK);
  EXPECT_EQ(rf_free(h.a, p), RF_ERR_NOT_ALLOCATED);
  ASSERT_EQ(recorder.faults().size(), 1U);
  EXPECT_EQ(recorder.faults()[0].ptr, p);
  EXPECT_EQ(recorder.faults()[0].allocator, h.a);
  EXPECT_STREQ(recorder.faults()[0].what, "pointer to free memory");
}

TEST_F(TlsfRefusals, FreedTwiceAfterItsMemoryWasMerged) {
  unsigned char *const p = h.alloc(100);
  unsigned char *const q = h.alloc(100);
  h.alloc(10);
  rf_free(h.a, p);
  rf_free(h.a, q);
  EXPECT_EQ(rf_free(h.a, q), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_realloc(h.a, q, 10), nullptr);
  EXPECT_EQ(recorder.faults().size(), 2U);
}

TEST_F(TlsfRefusals, CallSitesAreHandedOn) {
  rf_site const site = {"here.c", "main", 7};
  EXPECT_EQ(rf_free_at(h.a, h.alloc(100) + 16, &site), RF_ERR_BAD_POINTER);
  ASSERT_EQ(recorder.faults().size(), 1U);
  EXPECT_EQ(recorder.faults()[0].site, &site);
}

TEST_F(TlsfRefusals, AnythingAfterDeinit) {
  unsigned char *const p = h.alloc(10);
  rf_tlsf heap = h.heap;
  rf_allocator *const ended = &heap.base;
  rf_deinit(ended);
  rf_deinit(ended);
  EXPECT_EQ(rf_alloc(ended, 1), nullptr);
  EXPECT_EQ(rf_free(ended, p), RF_ERR_BAD_POINTER);
  EXPECT_EQ(recorder.take(), RF_ERR_BAD_POINTER);
  EXPECT_FALSE(rf_owns(ended, p));
  EXPECT_EQ(stats(ended).capacity, 0U);
}

// ---- Huge ----

#if defined(__linux__) && SIZE_MAX > UINT32_MAX

// Address space without memory, as far as the system gives it.
class AddressSpace {
public:
  explicit AddressSpace(size_t bytes)
      : start(static_cast<unsigned char *>(
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))),
        size(bytes) {}
  ~AddressSpace() {
    if (made()) {
      munmap(start, size);
    }
  }
  bool made() const { return start != MAP_FAILED; }

  unsigned char *const start;
  size_t const size;
};

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kGiB = size_t{1} << 30;

class TlsfHuge : public testing::Test {
protected:
  void SetUp() override {
    if (!space.made()) {
      GTEST_SKIP() << "no address space";
    }
    ASSERT_EQ(rf_tlsf_init(&heap, space.start, space.size), RF_OK);
  }
  void TearDown() override {
    if (space.made()) {
      EXPECT_EQ(rf_check(a, nullptr), RF_OK);
    }
  }

  AddressSpace space{2 * kGiB};
  rf_tlsf heap;
  rf_allocator *const a = &heap.base;
  FaultRecorder recorder;
};

TEST_F(TlsfHuge, BlocksCarryTheirSizeInFront) {
  size_t const largest = stats(a).largest_free;
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 300 * kMiB + 5));
  auto *const q = static_cast<unsigned char *>(rf_alloc(a, 600 * kMiB));
  ASSERT_NE(p, nullptr);
  ASSERT_NE(q, nullptr);
  EXPECT_TRUE(rf_is_aligned(p, kGranule));
  EXPECT_GE(q - p, static_cast<ptrdiff_t>(300 * kMiB + 5));
  p[0] = p[300 * kMiB + 4] = 1;
  EXPECT_EQ(stats(a).used, 900 * kMiB + 5);
  EXPECT_EQ(walk(a)[0].size, 300 * kMiB + 5);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  EXPECT_EQ(rf_free(a, p - 16), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, p + 16), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(rf_free(a, p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_free(a, q), RF_OK);
  EXPECT_EQ(stats(a).largest_free, largest);
}

TEST_F(TlsfHuge, TheLargestIsServedWhole) {
  size_t const largest = stats(a).largest_free;
  EXPECT_GT(largest, 2 * kGiB - 20 * kMiB);
  void *const p = rf_alloc(a, largest);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(stats(a).largest_free, 0U);
  EXPECT_EQ(rf_alloc(a, 1), nullptr);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(rf_alloc(a, largest + 1), nullptr);
}

TEST_F(TlsfHuge, AlignedOnes) {
  for (size_t align = 32; align <= 64 * kMiB; align *= 8) {
    void *const small = rf_alloc(a, 1);
    void *const p = rf_aligned_alloc(a, align, 400 * kMiB);
    ASSERT_NE(p, nullptr) << align;
    EXPECT_TRUE(rf_is_aligned(p, align));
    EXPECT_EQ(rf_check(a, nullptr), RF_OK);
    EXPECT_EQ(rf_free(a, p), RF_OK);
    EXPECT_EQ(rf_free(a, small), RF_OK);
  }
  void *const p = rf_aligned_alloc(a, 512 * kMiB, 100);
  EXPECT_NE(p, nullptr) << "a small block at an alignment for which only huge ones have room";
  EXPECT_TRUE(rf_is_aligned(p, 512 * kMiB));
}

// Blocks that are plain for their size, and huge with what their alignment may cost.
TEST_F(TlsfHuge, AlignedOnesOnBothSidesOfTheLargestPlainBlock) {
  size_t const edge = 256 * kMiB;
  for (size_t align = 1; align <= 4 * kMiB; align *= 4) {
    for (size_t const size :
         {edge - 2 * align - 64, edge - align - 32, edge - align, edge - 64, edge - 17, edge, edge + align}) {
      auto *const before = static_cast<unsigned char *>(rf_alloc(a, 40));
      auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(a, align, size));
      auto *const behind = static_cast<unsigned char *>(rf_alloc(a, 40));
      ASSERT_NE(p, nullptr) << size << " aligned to " << align;
      EXPECT_TRUE(rf_is_aligned(p, align)) << size << " aligned to " << align;
      EXPECT_TRUE(before + 40 <= p || p + size <= before) << size << " aligned to " << align;
      EXPECT_TRUE(behind + 40 <= p || p + size <= behind) << size << " aligned to " << align;
      EXPECT_EQ(stats(a).used, size + 80);
      ASSERT_EQ(rf_check(a, nullptr), RF_OK) << size << " aligned to " << align;
      EXPECT_EQ(rf_free(a, p), RF_OK);
      EXPECT_EQ(rf_free(a, before), RF_OK);
      EXPECT_EQ(rf_free(a, behind), RF_OK);
    }
  }
}

TEST_F(TlsfHuge, ResizesInPlaceAsLongAsItStaysHuge) {
  void *const p = rf_alloc(a, 300 * kMiB);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(rf_resize(a, p, 500 * kMiB), RF_OK);
  EXPECT_EQ(rf_resize(a, p, 270 * kMiB), RF_OK);
  EXPECT_EQ(rf_resize(a, p, 100), RF_ERR_NO_MEMORY);
  EXPECT_EQ(stats(a).used, 270 * kMiB);
  auto *const small = static_cast<unsigned char *>(p);
  small[99] = 0x21;
  auto *const moved = static_cast<unsigned char *>(rf_realloc(a, p, 100));
  ASSERT_NE(moved, nullptr);
  EXPECT_EQ(moved[99], 0x21);
  EXPECT_EQ(stats(a).used, 100U);
}

TEST(TlsfHugeArena, IsCutIntoPiecesThatComeAndGoTogether) {
  AddressSpace const space(26 * kGiB);
  if (!space.made()) {
    GTEST_SKIP() << "no address space";
  }
  Heap h(4096);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, space.start, space.size), RF_OK);
  EXPECT_EQ(stats(h.a).capacity, space.size + 4096);
  EXPECT_GT(h.largest(), 11 * kGiB);
  unsigned char *const p = h.alloc(9 * kGiB);
  unsigned char *const q = h.alloc(9 * kGiB);
  ASSERT_NE(p, nullptr);
  ASSERT_NE(q, nullptr);
  p[9 * kGiB - 1] = q[9 * kGiB - 1] = 1;
  EXPECT_EQ(h.alloc(13 * kGiB), nullptr) << "larger than any piece";
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start), RF_ERR_BUSY);
  EXPECT_EQ(rf_free(h.a, p), RF_OK);
  EXPECT_EQ(rf_free(h.a, q), RF_OK);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start), RF_OK);
  EXPECT_EQ(stats(h.a).capacity, 4096U);
}

TEST(TlsfHugeArena, IsRemovedAsAWholeOnly) {
  AddressSpace const space(26 * kGiB);
  if (!space.made()) {
    GTEST_SKIP() << "no address space";
  }
  Heap h(4096);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, space.start, space.size), RF_OK);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start + 12 * kGiB), RF_ERR_INVALID) << "where its second piece begins";
  EXPECT_EQ(stats(h.a).capacity, space.size + 4096);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start), RF_OK);
}

TEST(TlsfHugeArena, IsBusyWhileAnyOfItsPiecesHasABlock) {
  AddressSpace const space(26 * kGiB);
  if (!space.made()) {
    GTEST_SKIP() << "no address space";
  }
  Heap h(4096);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, space.start, space.size), RF_OK);
  unsigned char *blocks[] = {h.alloc(9 * kGiB), h.alloc(9 * kGiB), h.alloc(1 * kGiB), h.alloc(1 * kGiB)};
  for (unsigned char *const block : blocks) {
    ASSERT_NE(block, nullptr);
  }
  std::sort(std::begin(blocks), std::end(blocks));
  EXPECT_GT(blocks[3], space.start + 12 * kGiB) << "not all of them are in the first piece";
  for (unsigned char *const block : blocks) {
    EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start), RF_ERR_BUSY);
    EXPECT_EQ(rf_free(h.a, block), RF_OK);
  }
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start), RF_OK);
}

#endif

// ---- Any program ----

struct Model {
  unsigned char *p;
  size_t size;
  unsigned char fill;
};

class TlsfProgram : public testing::TestWithParam<unsigned> {};

TEST_P(TlsfProgram, KeepsContentsApartOverSeveralRegions) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  std::mt19937 random(GetParam());
  Memory second(400 + random() % 20000, random() % 16);
  Memory third(400 + random() % 100000, random() % 16);
  Heap h(1000 + random() % 30000, random() % 16);
  size_t const largest_alone = h.largest();
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, second.start, second.size), RF_OK);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, third.start, third.size), RF_OK);
  size_t const largest = h.largest();
  std::vector<Model> live;
  for (int i = 0; i < 4000; i++) {
    size_t const size = random() % (size_t{16} << random() % 9);
    size_t const align = size_t{1} << random() % 10;
    unsigned const what = random() % 8;
    if (what < 4 || live.empty()) {
      auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(h.a, align, size));
      if (p != nullptr) {
        ASSERT_TRUE(rf_is_aligned(p, align));
        live.push_back({p, size, static_cast<unsigned char>(i)});
        std::memset(p, i, size);
      }
      continue;
    }
    Model &m = live[random() % live.size()];
    ASSERT_EQ(std::count(m.p, m.p + m.size, m.fill), static_cast<ptrdiff_t>(m.size)) << "step " << i;
    if (what < 6) {
      ASSERT_EQ(rf_free(h.a, m.p), RF_OK);
      m = live.back();
      live.pop_back();
    } else if (auto *const p = static_cast<unsigned char *>(rf_realloc(h.a, m.p, size + 1))) {
      ASSERT_EQ(std::count(p, p + std::min(m.size, size), m.fill), static_cast<ptrdiff_t>(std::min(m.size, size)));
      m = {p, size + 1, m.fill};
      std::memset(p, m.fill, m.size);
    }
    if (i % 64 == 0) {
      ASSERT_EQ(rf_check(h.a, nullptr), RF_OK) << "step " << i;
    }
  }
  for (const Model &m : live) {
    ASSERT_EQ(rf_free(h.a, m.p), RF_OK);
  }
  EXPECT_EQ(h.largest(), largest);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, second.start), RF_OK);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, third.start), RF_OK);
  EXPECT_EQ(h.largest(), largest_alone);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TlsfProgram, testing::Range(1U, 21U));

} // namespace
