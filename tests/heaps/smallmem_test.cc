// smallmem: where blocks lie and how they split, merge and grow; what is refused; owners; every byte of metadata
// damaged.
#include "tests/heaps/support.h"

#include <gtest/gtest.h>
#include <ringfence/smallmem.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kHeader = 3 * sizeof(size_t);
constexpr size_t kG = RF_ALIGN_DEFAULT;

class Smallmem : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_smallmem_init(&heap, arena, sizeof arena));
    a = &heap.base;
  }
  void TearDown() override {
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    rf_deinit(a);
    EXPECT_EQ(0U, faults.count());
  }

  unsigned char *alloc(size_t size) { return alloc_filled(a, size); }

  // Bytes of a block of that size, from its header to the next.
  static size_t span(size_t size) { return (kHeader + size + kG - 1) / kG * kG; }

  Faults faults;
  rf_smallmem heap;
  rf_allocator *a = nullptr;
  alignas(1024) unsigned char arena[2048];
};

// ---- Layout ----

TEST_F(Smallmem, ABlockCostsThreeWordsAndRoundingUp) {
  unsigned char *const p = alloc(100);
  unsigned char *const q = alloc(1);
  EXPECT_EQ(p + span(100), q);
  std::vector<Seen> const blocks = walk(a);
  ASSERT_EQ(3U, blocks.size());
  EXPECT_EQ(100U, blocks[0].size);
  EXPECT_EQ(span(100) - 100, blocks[0].overhead);
}

TEST_F(Smallmem, HeadersLieSoThatPayloadsAreAlignedAtAnyArenaAddress) {
  for (size_t skew = 0; skew < 2 * kG; skew++) {
    rf_smallmem other;
    ASSERT_EQ(RF_OK, rf_smallmem_init(&other, arena + skew, 256));
    void *const p = rf_alloc(&other.base, 1);
    EXPECT_TRUE(rf_is_aligned(p, kG));
    EXPECT_LT(static_cast<unsigned char *>(p) - (arena + skew), static_cast<ptrdiff_t>(kHeader + kG));
    rf_deinit(&other.base);
  }
  SetUp();
}

TEST_F(Smallmem, AHeaderAndSixteenBytesAreAlwaysEnough) {
  for (size_t skew = 0; skew < kG; skew++) {
    rf_smallmem other;
    EXPECT_EQ(RF_OK, rf_smallmem_init(&other, arena + skew, kHeader + kG));
    EXPECT_NE(nullptr, rf_alloc(&other.base, 1));
    EXPECT_EQ(RF_ERR_INVALID, rf_smallmem_init(&other, arena + skew, kHeader));
  }
  SetUp();
}

TEST_F(Smallmem, TheLastBlockEndsWithTheArena) {
  for (size_t cut = 0; cut < 3 * kG; cut++) {
    rf_smallmem other;
    size_t const size = 512 - cut;
    ASSERT_EQ(RF_OK, rf_smallmem_init(&other, arena, size));
    (void)rf_alloc(&other.base, 100);
    size_t const largest = stats(&other.base).largest_free;
    auto *const p = static_cast<unsigned char *>(rf_alloc(&other.base, largest));
    ASSERT_NE(nullptr, p);
    EXPECT_EQ(arena + size, p + largest);
    EXPECT_EQ(0U, stats(&other.base).free_bytes);
    EXPECT_EQ(RF_OK, rf_check(&other.base, nullptr));
    rf_deinit(&other.base);
  }
  SetUp();
}

TEST_F(Smallmem, TheFirstFreeBlockThatIsLargeEnoughIsTaken) {
  unsigned char *const small = alloc(40);
  alloc(1);
  unsigned char *const large = alloc(400);
  alloc(1);
  unsigned char *const fitting = alloc(200);
  alloc(1);
  rf_free(a, fitting);
  rf_free(a, large);
  rf_free(a, small);
  EXPECT_EQ(large, rf_alloc(a, 200));
  EXPECT_EQ(small, rf_alloc(a, 40));
}

TEST_F(Smallmem, WhatIsTooLittleForABlockStaysWithTheBlock) {
  unsigned char *const p = alloc(200);
  alloc(1);
  rf_free(a, p);
  size_t const room = span(200) - kHeader;
  EXPECT_EQ(p, rf_alloc(a, room - kG));
  EXPECT_EQ(kG > kHeader ? room - kG : room, rf_usable_size(a, p)); // a block has a header and a byte at least
  rf_free(a, p);
  EXPECT_EQ(p, rf_alloc(a, room - span(1)));
  EXPECT_EQ(room - span(1), rf_usable_size(a, p));
}

// A header and one byte; in the middle of the arena, all sizes are multiples of the alignment.
TEST_F(Smallmem, TheLeastBlockIsSplitOffAtTheEndOfTheArena) {
  constexpr size_t kLeast = 1;
  size_t const first = span(1);
  alignas(16) unsigned char memory[128];
  rf_smallmem other;
  ASSERT_EQ(RF_OK, rf_smallmem_init(&other, memory + rf_align_gap(memory + kHeader, kG), first + kHeader + kLeast));
  unsigned char *const p = alloc_filled(&other.base, first - kHeader);
  std::vector<Seen> const blocks = walk(&other.base);
  ASSERT_EQ(2U, blocks.size());
  EXPECT_EQ(p, blocks[0].ptr);
  EXPECT_EQ(kLeast, blocks[1].size);
  rf_deinit(&other.base);
}

TEST_F(Smallmem, AFreeMergesWithBothNeighbours) {
  unsigned char *const p = alloc(50);
  unsigned char *const q = alloc(60);
  unsigned char *const r = alloc(70);
  alloc(1);
  rf_free(a, p);
  rf_free(a, r);
  EXPECT_EQ(5U, walk(a).size());
  rf_free(a, q);
  std::vector<Seen> const blocks = walk(a);
  ASSERT_EQ(3U, blocks.size());
  EXPECT_EQ(span(50) + span(60) + span(70) - kHeader, blocks[0].size);
}

TEST_F(Smallmem, MemoryBeforeAnAlignedBlockStaysFree) {
  auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(a, 512, 10));
  ASSERT_TRUE(rf_is_aligned(p, 512));
  EXPECT_FALSE(walk(a)[0].used);
  EXPECT_LT(alloc(10), p);
  rf_free(a, p);
}

// ---- Resizing ----

TEST_F(Smallmem, AReallocGrowsIntoFreeMemoryBehindTheBlock) {
  unsigned char *const p = alloc(50);
  unsigned char *const q = alloc(60);
  alloc(1);
  rf_free(a, q);
  EXPECT_EQ(p, rf_realloc(a, p, 50 + 60));
  EXPECT_EQ(50, p[49]);
}

TEST_F(Smallmem, AReallocGrowsIntoFreeMemoryBeforeTheBlockAndTakesItsContentsAlong) {
  unsigned char *const p = alloc(50);
  unsigned char *const q = alloc(60);
  unsigned char *const all = alloc(stats(a).largest_free);
  rf_free(a, p);
  auto *const moved = static_cast<unsigned char *>(rf_realloc(a, q, 50 + 60));
  EXPECT_EQ(p, moved);
  EXPECT_EQ(std::string(60, 60), std::string(reinterpret_cast<char *>(moved), 60));
  rf_free(a, all);
}

TEST_F(Smallmem, AReallocGrowsToBothSidesWhereEachAloneIsTooLittle) {
  unsigned char *const p = alloc(50);
  unsigned char *const q = alloc(60);
  unsigned char *const r = alloc(70);
  alloc(stats(a).largest_free);
  rf_free(a, p);
  rf_free(a, r);
  auto *const moved = static_cast<unsigned char *>(rf_realloc(a, q, 50 + 60 + 70));
  EXPECT_EQ(p, moved);
  EXPECT_EQ(std::string(60, 60), std::string(reinterpret_cast<char *>(moved), 60));
  EXPECT_EQ(nullptr, rf_realloc(a, moved, 50 + 60 + 70 + 3 * kHeader + 2 * kG));
  EXPECT_EQ(60, moved[59]);
}

TEST_F(Smallmem, AShrinkSplitsInPlace) {
  unsigned char *const p = alloc(500);
  alloc(1);
  EXPECT_EQ(p, rf_realloc(a, p, 20));
  std::vector<Seen> const blocks = walk(a);
  ASSERT_EQ(4U, blocks.size());
  EXPECT_EQ(20U, blocks[0].size);
  EXPECT_FALSE(blocks[1].used);
  EXPECT_EQ(blocks[1].ptr, rf_alloc(a, 30));
}

TEST_F(Smallmem, AResizeNeverMoves) {
  unsigned char *const p = alloc(50);
  unsigned char *const q = alloc(60);
  alloc(1);
  rf_free(a, p);
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(a, q, 300));
  EXPECT_EQ(0U, stats(a).failures);
  EXPECT_EQ(RF_OK, rf_resize(a, q, 61));
  EXPECT_EQ(RF_OK, rf_resize(a, q, 5));
  EXPECT_EQ(5U + 1U, stats(a).used);
}

// ---- Refusing ----

class SmallmemRefusals : public Smallmem {
protected:
  Unwatched unwatched;

  void SetUp() override {
    Smallmem::SetUp();
    p = alloc(100);
    q = alloc(100);
    r = alloc(100);
  }

  rf_status freed(void *ptr) {
    rf_stats const before = stats(a);
    rf_status const status = rf_free(a, ptr);
    EXPECT_EQ(before.blocks, stats(a).blocks);
    EXPECT_EQ(status, faults.take());
    return status;
  }

  unsigned char *p = nullptr;
  unsigned char *q = nullptr;
  unsigned char *r = nullptr;
};

TEST_F(SmallmemRefusals, Foreign) {
  unsigned char local = 0;
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(&local));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(arena + sizeof arena));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(reinterpret_cast<void *>(sizeof(void *) * 2)));
}

TEST_F(SmallmemRefusals, MisalignedAndInterior) {
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(p + 4));
  for (size_t i = kG; i < 100; i += kG) {
    EXPECT_EQ(RF_ERR_BAD_POINTER, freed(q + i));
  }
}

TEST_F(SmallmemRefusals, FreedTwiceWithLiveNeighbours) {
  rf_free(a, q);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(q));
}

TEST_F(SmallmemRefusals, FreedTwiceAfterItsMemoryWasMerged) {
  rf_free(a, p);
  rf_free(a, q);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(q));
  rf_free(a, r);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(r));
}

TEST_F(SmallmemRefusals, FreedTwiceAfterAnotherBlockTookTheMemory) {
  rf_free(a, p);
  rf_free(a, q);
  EXPECT_EQ(p, rf_alloc(a, 200));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(q));
}

TEST_F(SmallmemRefusals, ACopyOfAHeaderElsewhere) {
  memcpy(r - kHeader + 2 * kG, q - kHeader, kHeader);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(r + 2 * kG));
}

TEST_F(SmallmemRefusals, ABlockOfAHeapInsideABlock) {
  auto *const outer = alloc(400);
  rf_smallmem inner;
  ASSERT_EQ(RF_OK, rf_smallmem_init(&inner, outer, 400));
  void *const first = rf_alloc(&inner.base, 10);
  void *const second = rf_alloc(&inner.base, 10);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(first));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(second));
  EXPECT_EQ(RF_OK, rf_free(&inner.base, second));
}

TEST_F(SmallmemRefusals, ABlockOfAFormerLife) {
  rf_deinit(a);
  ASSERT_EQ(RF_OK, rf_smallmem_init(&heap, arena, sizeof arena));
  EXPECT_EQ(p, rf_alloc(a, 1000));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(q));
}

TEST_F(SmallmemRefusals, ABlockOfAFormerLifeThatEndedInDamage) {
  p[-1] ^= 1;
  rf_deinit(a);
  ASSERT_EQ(RF_OK, rf_smallmem_init(&heap, arena, sizeof arena));
  EXPECT_EQ(p, rf_alloc(a, 1000));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(q));
}

// Behind the damage, headers whose neighbours agree with them would pass for blocks.
TEST_F(SmallmemRefusals, BlocksOfAFormerLifeThatEndedInDamageBeforeThem) {
  alloc(10);
  unsigned char *const between = alloc(10);
  alloc(10);
  p[-1] ^= 1;
  rf_deinit(a);
  ASSERT_EQ(RF_OK, rf_smallmem_init(&heap, arena, sizeof arena));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(between));
}

TEST_F(SmallmemRefusals, AnythingAfterDeinit) {
  rf_deinit(a);
  rf_deinit(a);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(p));
  EXPECT_EQ(nullptr, rf_alloc(a, 1));
  EXPECT_EQ(0U, stats(a).capacity);
}

TEST_F(SmallmemRefusals, AFreeBesideADamagedHeaderChangesNothing) {
  unsigned char *const header = q - kHeader;
  for (unsigned char *const ptr : {p, q, r}) {
    header[0] ^= 0x40;
    EXPECT_EQ(RF_ERR_CORRUPT, freed(ptr));
    EXPECT_EQ(nullptr, rf_realloc(a, ptr, 300));
    EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
    header[0] ^= 0x40;
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  }
}

TEST_F(SmallmemRefusals, TheReportNamesTheDamagedHeader) {
  unsigned char *const header = q - kHeader;
  header[1] ^= 1;
  rf_fault where;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, &where));
  EXPECT_EQ(header, where.ptr);
  rf_free(a, p);
  EXPECT_EQ(header, faults.last().ptr);
  EXPECT_STREQ("smallmem", faults.last().allocator->ops->name);
  header[1] ^= 1;
  faults.take();
}

// ---- Owners ----

uintptr_t current_owner;

uintptr_t named(const rf_site *) {
  return current_owner;
}

TEST(SmallmemOwners, AreKeptInAFourthWord) {
  alignas(16) unsigned char arena[1024];
  rf_smallmem heap;
  ASSERT_EQ(RF_OK, rf_smallmem_init_owned(&heap, arena, sizeof arena, named));
  current_owner = 0x75676E6F; // as four letters
  auto *const p = static_cast<unsigned char *>(rf_alloc(&heap.base, 32));
  current_owner = 7;
  auto *const q = static_cast<unsigned char *>(rf_alloc(&heap.base, 32));
  EXPECT_EQ(p + 4 * sizeof(size_t) + 32, q);
  EXPECT_EQ(0x75676E6FU, rf_smallmem_owner(&heap, p));
  EXPECT_EQ(7U, rf_smallmem_owner(&heap, q));
  EXPECT_EQ(nullptr, walk(&heap.base)[0].site);
}

TEST(SmallmemOwners, CanBeTheCallSite) {
  static const rf_site here = {"here.c", "main", 12};
  static const rf_site there = {"there.c", "main", 34};
  alignas(16) unsigned char arena[1024];
  rf_smallmem heap;
  ASSERT_EQ(RF_OK, rf_smallmem_init_owned(&heap, arena, sizeof arena, rf_site_owner));
  void *const p = rf_alloc_at(&heap.base, 32, kG, &here);
  EXPECT_EQ(&here, walk(&heap.base)[0].site);
  EXPECT_EQ(nullptr, walk(&heap.base)[1].site);
  EXPECT_EQ(p, rf_realloc_at(&heap.base, p, 64, kG, &there));
  EXPECT_EQ(&there, walk(&heap.base)[0].site);
}

TEST(SmallmemOwners, CanBeReplaced) {
  alignas(16) unsigned char arena[1024];
  rf_smallmem heap;
  Faults faults;
  ASSERT_EQ(RF_OK, rf_smallmem_init_owned(&heap, arena, sizeof arena, named));
  void *const p = rf_alloc(&heap.base, 32);
  EXPECT_EQ(RF_OK, rf_smallmem_set_owner(&heap, p, 99));
  EXPECT_EQ(99U, rf_smallmem_owner(&heap, p));
  EXPECT_EQ(RF_OK, rf_check(&heap.base, nullptr));
  EXPECT_EQ(RF_OK, rf_free(&heap.base, p));
  EXPECT_EQ(0U, rf_smallmem_owner(&heap, p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_smallmem_set_owner(&heap, p, 99));
  EXPECT_EQ(1U, faults.count());
}

TEST_F(Smallmem, HasNoOwnersUnlessAskedFor) {
  void *const p = alloc(10);
  EXPECT_EQ(0U, rf_smallmem_owner(&heap, p));
  EXPECT_EQ(RF_ERR_UNSUPPORTED, rf_smallmem_set_owner(&heap, p, 1));
}

// ---- Integrity: each byte in turn ----

class SmallmemIntegrity : public ::testing::TestWithParam<rf_owner_fn> {
protected:
  Unwatched unwatched;

  static constexpr size_t kSize = 1000; // no multiple of kG: the last block is cut

  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_smallmem_init_owned(&heap, arena, kSize, GetParam()));
    current_owner = 0x1234;
    for (size_t const size : {40, 100, 30, 90, 1, 60}) {
      live.push_back(rf_alloc(a, size));
    }
    for (size_t const i : {0U, 2U, 4U}) {
      EXPECT_EQ(RF_OK, rf_free(a, live[i]));
    }
    live = {live[1], live[3], live[5]};
    memcpy(saved_arena, arena, kSize);
    memcpy(&saved_heap, &heap, sizeof heap);
  }

  void restore() {
    memcpy(arena, saved_arena, kSize);
    memcpy(&heap, &saved_heap, sizeof heap);
  }

  // Every operation, on the damaged heap: whatever they answer, they end and touch nothing outside.
  void use() {
    rf_stats unused;
    unsigned char margin[sizeof after];
    memcpy(margin, after, sizeof after);
    rf_stats_get(a, &unused);
    std::vector<Seen> blocks;
    (void)rf_walk(a, see, &blocks);
    for (void *const ptr : live) {
      (void)rf_usable_size(a, ptr);
      (void)rf_resize(a, ptr, 200);
      (void)rf_realloc(a, ptr, 120);
      (void)rf_alloc(a, 24);
      (void)rf_aligned_alloc(a, 64, 100);
      (void)rf_free(a, ptr);
    }
    EXPECT_EQ(0, memcmp(margin, after, sizeof after));
  }

  bool told(unsigned char *byte) {
    return change_is_told(
        a, byte, faults, [this] { use(); }, [this] { restore(); });
  }

  bool in_header(const unsigned char *byte) {
    bool found = false;
    for (const Seen &b : walk(a)) {
      found = found || (byte < b.ptr && byte >= b.ptr - heap.blocks.header);
    }
    return found;
  }

  Faults faults;
  alignas(16) unsigned char arena[kSize];
  unsigned char after[64] = {};
  rf_smallmem heap;
  rf_allocator *a = &heap.base;
  std::vector<void *> live;
  unsigned char saved_arena[kSize];
  rf_smallmem saved_heap;
};

TEST_P(SmallmemIntegrity, EachByteOfEachHeaderIsTold) {
  for (size_t i = 0; i < kSize; i++) {
    if (in_header(arena + i)) {
      EXPECT_TRUE(told(arena + i)) << "byte " << i;
    }
  }
}

TEST_P(SmallmemIntegrity, NothingElseInTheArenaIsReliedUpon) {
  for (size_t i = 0; i < kSize; i++) {
    if (!in_header(arena + i)) {
      arena[i] ^= 0xFF;
      EXPECT_EQ(RF_OK, rf_check(a, nullptr)) << "byte " << i;
      arena[i] ^= 0xFF;
    }
  }
}

TEST_P(SmallmemIntegrity, EachByteOfTheRecordIsToldButThoseThatOnlyCount) {
  auto *const record = reinterpret_cast<unsigned char *>(&heap);
  auto const in = [&](size_t i, const void *field, size_t size) {
    size_t const start = static_cast<size_t>(static_cast<const unsigned char *>(field) - record);
    return i >= start && i < start + size;
  };
  for (size_t i = 0; i < sizeof heap; i++) {
    // The operations themselves, and figures that may have any value above the least possible.
    if (in(i, &heap.base, sizeof heap.base) || in(i, &heap.counters.failures, sizeof(size_t)) ||
        in(i, &heap.counters.peak, sizeof(size_t)) || in(i, &heap.counters.peak_blocks, sizeof(size_t)) ||
        in(i, &heap.counters.allocations, sizeof(size_t))) {
      continue;
    }
    EXPECT_TRUE(told(record + i)) << "byte " << i;
  }
}

TEST_P(SmallmemIntegrity, PeaksThatCannotBeAreTold) {
  expect_peaks_checked(a, &heap.counters);
}

TEST_P(SmallmemIntegrity, ADamagedRecordMakesEveryCallRefuse) {
  void *const block = walk(a)[0].ptr;
  heap.blocks.checksum ^= 4;
  expect_record_refused(a, block, faults);
  restore();
}

TEST_P(SmallmemIntegrity, AWholeHeaderOfAnyOneByteIsTold) {
  for (const Seen &b : walk(a)) {
    for (int value = 0; value < 256; value++) {
      memset(b.ptr - heap.blocks.header, value, heap.blocks.header);
      EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
      use();
      restore();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Headers, SmallmemIntegrity, ::testing::Values(nullptr, named),
                         [](const auto &header) { return header.param == nullptr ? "OfThreeWords" : "OfFourWords"; });

} // namespace
