// sizeclass: classes and where blocks lie; the fallback; what is refused; sites and notifier; every byte of metadata
// damaged.
#include "tests/heaps/support.h"

#include <gtest/gtest.h>
#include <ringfence/sizeclass.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kG = RF_ALIGN_DEFAULT;
constexpr size_t kHeader = kG > 8 ? 16 : 8;

// Bytes of a block of class q with its header.
constexpr size_t span(unsigned q) {
  return kHeader + (size_t{16} << q);
}

class Sizeclass : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_sizeclass_init(&heap, arena, sizeof arena, nullptr));
    a = &heap.base;
  }
  void TearDown() override {
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    rf_deinit(a);
    EXPECT_EQ(0U, faults.count());
  }

  unsigned char *alloc(size_t size, size_t align = kG) {
    auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(a, align, size));
    EXPECT_NE(nullptr, p);
    memset(p, static_cast<int>(size), size);
    return p;
  }

  Faults faults;
  rf_sizeclass heap;
  rf_sizeclass_site table[8];
  rf_allocator *a = nullptr;
  alignas(64) unsigned char arena[4096];
};

// ---- Classes ----

TEST(SizeclassClasses, AreThirteenPowersOfTwoFrom16To65536) {
  Faults faults;
  std::vector<unsigned char> arena(2 * span(12) + 2 * kG);
  for (unsigned q = 0; q < 13; q++) {
    size_t const size = size_t{16} << q;
    rf_sizeclass heap;
    ASSERT_EQ(RF_OK, rf_sizeclass_init(&heap, arena.data(), arena.size(), nullptr));
    void *const least = rf_alloc(&heap.base, q == 0 ? 0 : size / 2 + 1);
    void *const most = rf_alloc(&heap.base, size);
    EXPECT_EQ(size, rf_usable_size(&heap.base, least));
    EXPECT_EQ(size, rf_usable_size(&heap.base, most));
    EXPECT_EQ(2U, heap.live[q]);
    EXPECT_EQ(nullptr, rf_alloc(&heap.base, 65537));
    rf_deinit(&heap.base);
  }
}

TEST_F(Sizeclass, ABlockCostsAHeaderAndRoundingUpToItsClass) {
  unsigned char *const p = alloc(100);
  EXPECT_EQ(arena + kHeader, p);
  EXPECT_EQ(p + span(3), alloc(1));
  EXPECT_EQ(100U, walk(a)[0].size);
  EXPECT_EQ(span(3) - 100, walk(a)[0].overhead);
}

TEST_F(Sizeclass, TheBufferIsUsedToTheLastByte) {
  for (size_t skew = 0; skew < kG; skew++) {
    rf_sizeclass other;
    size_t const gap = rf_align_gap(arena + skew, kG);
    ASSERT_EQ(RF_OK, rf_sizeclass_init(&other, arena + skew, gap + 3 * span(0), nullptr));
    void *last = nullptr;
    for (int i = 0; i < 3; i++) {
      last = rf_alloc(&other.base, 16);
    }
    EXPECT_EQ(arena + skew + gap + 3 * span(0), static_cast<unsigned char *>(last) + 16);
    EXPECT_EQ(nullptr, rf_alloc(&other.base, 1));
    rf_deinit(&other.base);
    EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_init(&other, arena + skew, gap + span(0) - 1, nullptr));
  }
}

TEST_F(Sizeclass, TheLeastBufferHoldsOneBlockOfTheSmallestClass) {
  rf_sizeclass other;
  EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_init(&other, arena, span(0) - 1, nullptr));
  ASSERT_EQ(RF_OK, rf_sizeclass_init(&other, arena, span(0), nullptr));
  EXPECT_EQ(arena + kHeader, rf_alloc(&other.base, 16));
  EXPECT_EQ(nullptr, rf_alloc(&other.base, 0));
  rf_deinit(&other.base);
}

TEST_F(Sizeclass, AFreedBlockServesItsClassAgainLastFirst) {
  unsigned char *const p = alloc(30);
  unsigned char *const q = alloc(30);
  unsigned char *const keep = alloc(1);
  rf_free(a, p);
  rf_free(a, q);
  EXPECT_EQ(q, alloc(20));
  EXPECT_EQ(p, alloc(32));
  EXPECT_NE(keep, alloc(16));
}

TEST_F(Sizeclass, ALargerClassServesWhereTheOwnHasNoneAndTheBufferIsSpent) {
  unsigned char *const large = alloc(1000);
  while (rf_alloc(a, 16) != nullptr) {
  }
  rf_free(a, large);
  EXPECT_EQ(large, alloc(16));
  EXPECT_EQ(1024U, rf_usable_size(a, large));
  rf_free(a, large);
  EXPECT_EQ(large, alloc(900));
}

TEST_F(Sizeclass, WhenTheLastBlockIsFreedTheWholeBufferServesAnyClassAgain) {
  rf_stats const before = stats(a);
  std::vector<void *> blocks;
  while (void *const p = rf_alloc(a, 16)) {
    blocks.push_back(p);
  }
  EXPECT_EQ(0U, stats(a).free_bytes);
  for (void *const p : blocks) {
    EXPECT_EQ(RF_OK, rf_free(a, p));
  }
  EXPECT_EQ(before.largest_free, stats(a).largest_free);
  EXPECT_EQ(before.free_bytes, stats(a).free_bytes);
  EXPECT_NE(nullptr, alloc(2000));
}

TEST_F(Sizeclass, AReallocStaysWhereItFitsTheClassAndElseMovesWithItsContents) {
  unsigned char *const p = alloc(100);
  EXPECT_EQ(p, rf_realloc(a, p, 128));
  EXPECT_EQ(p, rf_realloc(a, p, 1));
  EXPECT_EQ(1U, stats(a).used);
  p[0] = 77;
  auto *const moved = static_cast<unsigned char *>(rf_realloc(a, p, 129));
  EXPECT_NE(p, moved);
  EXPECT_EQ(77, moved[0]);
  EXPECT_EQ(nullptr, rf_realloc(a, moved, 5000));
  EXPECT_EQ(129U, stats(a).used);
  EXPECT_EQ(RF_OK, rf_resize(a, moved, 256));
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(a, moved, 257));
}

TEST_F(Sizeclass, AnAlignedBlockIsFoundThroughItsSecondHeader) {
  alloc(1);
  for (size_t align = 2 * kG; align <= 512; align *= 2) {
    unsigned char *const p = alloc(100, align);
    EXPECT_TRUE(rf_is_aligned(p, align));
    EXPECT_LE(100U, rf_usable_size(a, p));
    EXPECT_EQ(RF_OK, rf_resize(a, p, rf_usable_size(a, p)));
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    EXPECT_EQ(RF_OK, rf_free(a, p));
  }
}

TEST_F(Sizeclass, WalksInTheOrderOfCarvingAndTellsTheRestAsWhatItCouldBecome) {
  unsigned char *const p = alloc(10);
  unsigned char *const q = alloc(100);
  alloc(30);
  rf_free(a, q);
  std::vector<Seen> const blocks = walk(a);
  ASSERT_LT(3U, blocks.size());
  EXPECT_EQ(p, blocks[0].ptr);
  EXPECT_TRUE(blocks[0].used);
  EXPECT_EQ(q, blocks[1].ptr);
  EXPECT_FALSE(blocks[1].used);
  EXPECT_EQ(128U, blocks[1].size);
  EXPECT_EQ(2048U, blocks[3].size);
  EXPECT_EQ(2048U, stats(a).largest_free);
}

// ---- Fallback ----

class SizeclassFallback : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_std_init(&fallback));
    ASSERT_EQ(RF_OK, rf_sizeclass_init(&heap, nullptr, 4096, &fallback.base));
    a = &heap.base;
  }
  void TearDown() override {
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    rf_deinit(a);
    EXPECT_EQ(0U, stats(&fallback.base).blocks);
    EXPECT_EQ(0U, faults.count());
  }

  Faults faults;
  rf_std fallback;
  rf_sizeclass heap;
  rf_allocator *a = nullptr;
};

TEST_F(SizeclassFallback, GivesTheBufferOf64KiBUnlessToldOtherwise) {
  rf_sizeclass other;
  ASSERT_EQ(RF_OK, rf_sizeclass_init(&other, nullptr, 0, &fallback.base));
  EXPECT_EQ(RF_SIZECLASS_DEFAULT_BUFFER, stats(&other.base).capacity);
  EXPECT_EQ(2U, stats(&fallback.base).blocks);
  rf_deinit(&other.base);
  EXPECT_EQ(1U, stats(&fallback.base).blocks);
}

TEST_F(SizeclassFallback, ServesWhatIsTooLargeForAClassAndWhatTheBufferCannot) {
  EXPECT_NE(nullptr, rf_alloc(a, 65537));
  EXPECT_EQ(1U, heap.large_blocks);
  while (heap.large_blocks < 100) {
    ASSERT_NE(nullptr, rf_alloc(a, 500));
  }
  EXPECT_EQ(101U, stats(&fallback.base).blocks);
  EXPECT_EQ(heap.counters.blocks, 100U + heap.live[5]);
}

TEST_F(SizeclassFallback, GetsEverythingBackAtTheEnd) {
  for (size_t i = 0; i < 300; i++) {
    ASSERT_NE(nullptr, rf_alloc(a, i * 1000));
  }
  EXPECT_LT(1U, stats(&fallback.base).blocks);
}

// A heap of another kind may be damaged, and take no block back.
TEST_F(SizeclassFallback, ABlockThatItDoesNotTakeBackStaysAsItWas) {
  rf_allocator_ops const *const before = fallback.base.ops;
  rf_allocator_ops refusing = *before;
  refusing.free = [](rf_allocator *, void *, const rf_site *) { return RF_ERR_CORRUPT; };
  std::vector<unsigned char *> blocks;
  for (size_t i = 0; i < 20; i++) {
    blocks.push_back(static_cast<unsigned char *>(rf_alloc(a, 70000 + i)));
    ASSERT_NE(nullptr, blocks[i]);
    std::memset(blocks[i], static_cast<int>(i), 70000 + i);
  }
  rf_stats const all = stats(a);
  for (size_t i = 0; i < blocks.size(); i++) {
    fallback.base.ops = &refusing;
    EXPECT_EQ(RF_ERR_CORRUPT, rf_free(a, blocks[i]));
    fallback.base.ops = before;
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    EXPECT_EQ(all.used, stats(a).used);
    EXPECT_EQ(20U, heap.large_blocks);
    EXPECT_EQ(70000 + i, rf_usable_size(a, blocks[i]));
    EXPECT_EQ(i, blocks[i][0]);
    EXPECT_EQ(i, blocks[i][69999 + i]);
  }
  for (unsigned char *const block : blocks) {
    EXPECT_EQ(RF_OK, rf_free(a, block));
  }
  EXPECT_EQ(0U, heap.large_blocks);
  EXPECT_EQ(0U, heap.large_bytes);
}

TEST_F(SizeclassFallback, ABlockOfItThatHasNoBytesIsOwned) {
  void *const p = rf_aligned_alloc(a, 8192, 0);
  ASSERT_NE(nullptr, p);
  ASSERT_EQ(1U, heap.large_blocks) << "the buffer cannot align so";
  EXPECT_TRUE(rf_owns(a, p));
  EXPECT_FALSE(rf_owns(a, static_cast<unsigned char *>(p) + 1));
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_FALSE(rf_owns(a, p));
}

TEST_F(SizeclassFallback, TheBufferServesAnyClassAgainWhileBlocksOfTheFallbackLive) {
  void *const large = rf_alloc(a, 70000);
  void *const p = rf_alloc(a, 10);
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(0U, heap.carved);
  EXPECT_EQ(RF_OK, rf_free(a, large));
}

TEST_F(SizeclassFallback, BlocksAreFreedInAnyOrder) {
  for (size_t const step : {1, 7, 101, 299}) {
    std::vector<void *> blocks;
    for (size_t i = 0; i < 300; i++) {
      blocks.push_back(rf_aligned_alloc(a, size_t{16} << i % 6, 70000 + i));
      ASSERT_NE(nullptr, blocks.back());
    }
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    for (size_t i = 0; i < 300; i++) {
      EXPECT_EQ(RF_OK, rf_free(a, blocks[i * step % 300]));
    }
    EXPECT_EQ(0U, heap.large_blocks);
    EXPECT_EQ(0U, heap.large_bytes);
  }
}

TEST_F(SizeclassFallback, ABlockGrowsWhereTheFallbackCan) {
  alignas(16) static unsigned char arena[300000];
  rf_tlsf tlsf;
  rf_sizeclass other;
  ASSERT_EQ(RF_OK, rf_tlsf_init(&tlsf, arena, sizeof arena));
  ASSERT_EQ(RF_OK, rf_sizeclass_init(&other, nullptr, 1024, &tlsf.base));
  void *const p = rf_alloc(&other.base, 70000);
  EXPECT_EQ(p, rf_realloc(&other.base, p, 90000));
  EXPECT_EQ(p, rf_realloc(&other.base, p, 66000));
  EXPECT_EQ(66000U, rf_usable_size(&other.base, p));
  EXPECT_EQ(RF_OK, rf_check(&other.base, nullptr));
  EXPECT_EQ(nullptr, rf_realloc(&other.base, p, 400000));
  EXPECT_EQ(66000U, stats(&other.base).used);
  rf_deinit(&other.base);
  EXPECT_EQ(0U, stats(&tlsf.base).blocks);
}

TEST_F(SizeclassFallback, ADoubleFreeIsToldFromAForeignPointer) {
  void *const p = rf_alloc(a, 70000);
  void *const q = rf_alloc(a, 70000);
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_free(a, p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, faults.take());
  EXPECT_EQ(nullptr, rf_realloc(a, p, 10));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, faults.take());
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, static_cast<char *>(q) + 32));
  EXPECT_EQ(RF_ERR_BAD_POINTER, faults.take());
  EXPECT_EQ(0U, rf_usable_size(a, p));
  EXPECT_EQ(RF_OK, rf_free(a, q));
}

// A freed block's memory serves again: where it began is inside of another one.
TEST_F(SizeclassFallback, APointerIntoABlockIsNoDoubleFree) {
  static unsigned char arena[1 << 19];
  rf_tlsf tlsf;
  rf_sizeclass over;
  ASSERT_EQ(RF_OK, rf_tlsf_init(&tlsf, arena, sizeof arena));
  ASSERT_EQ(RF_OK, rf_sizeclass_init(&over, nullptr, 4096, &tlsf.base));
  rf_allocator *const b = &over.base;
  auto const is_inside = [](const void *ptr, const void *block, size_t size) {
    return reinterpret_cast<uintptr_t>(ptr) - reinterpret_cast<uintptr_t>(block) < size;
  };
  void *const aligned = rf_aligned_alloc(b, 4096, 70000);
  ASSERT_EQ(RF_OK, rf_free(b, aligned));
  void *const block = rf_alloc(b, 75000);
  ASSERT_TRUE(is_inside(aligned, block, 75000));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(b, aligned));
  EXPECT_EQ(RF_ERR_BAD_POINTER, faults.take());

  void *const next = rf_alloc(b, 70000);
  ASSERT_EQ(RF_OK, rf_free(b, next));
  ASSERT_EQ(RF_OK, rf_resize(b, block, 120000));
  ASSERT_TRUE(is_inside(next, block, 120000));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(b, next));
  EXPECT_EQ(RF_ERR_BAD_POINTER, faults.take());
  EXPECT_EQ(RF_OK, rf_free(b, block));
  rf_deinit(b);
}

TEST_F(SizeclassFallback, AFailureOfItLeavesEverything) {
  rf_stats const before = stats(a);
  EXPECT_EQ(nullptr, rf_alloc(a, RF_SIZE_LIMIT));
  EXPECT_EQ(nullptr, rf_alloc(a, RF_SIZE_LIMIT - 8));
  EXPECT_EQ(nullptr, rf_aligned_alloc(a, RF_SIZE_LIMIT / 2 + 1, RF_SIZE_LIMIT / 2));
  EXPECT_EQ(before.capacity, stats(a).capacity);
  EXPECT_EQ(3U, stats(a).failures);
}

// The tree below the first block is damaged, so it cannot be taken out.
TEST_F(SizeclassFallback, AMoveFromABlockThatCannotBeFreedIsUndone) {
  Unwatched const unwatched;
  void *const p = rf_alloc(a, 70000);
  std::vector<unsigned char *> below;
  for (int i = 0; i < 24; i++) {
    below.push_back(static_cast<unsigned char *>(rf_alloc(a, 70000)));
    ASSERT_NE(nullptr, below.back());
    *(below.back() - kHeader - 1) ^= 1;
  }
  rf_stats const before = stats(a);
  size_t const given = stats(&fallback.base).blocks;
  EXPECT_EQ(nullptr, rf_realloc(a, p, 90000));
  EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
  EXPECT_EQ(before.blocks, stats(a).blocks);
  EXPECT_EQ(before.used, stats(a).used);
  EXPECT_EQ(given, stats(&fallback.base).blocks);
  for (unsigned char *const b : below) {
    *(b - kHeader - 1) ^= 1;
  }
}

TEST_F(SizeclassFallback, ABlockWhoseRecordIsDamagedKeepsItsSizeAndTellsNone) {
  Unwatched const unwatched;
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 70000));
  p[-static_cast<ptrdiff_t>(kHeader) - 1] ^= 1;
  EXPECT_EQ(0U, rf_usable_size(a, p));
  EXPECT_EQ(RF_ERR_CORRUPT, rf_resize(a, p, 10));
  EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
  p[-static_cast<ptrdiff_t>(kHeader) - 1] ^= 1;
  EXPECT_EQ(70000U, rf_usable_size(a, p));
}

TEST_F(SizeclassFallback, ADoubleFreeIsKnownWhileFewOthersWereFreedSince) {
  Unwatched const unwatched;
  std::vector<void *> blocks(RF_SIZECLASS_RECENT);
  for (void *&p : blocks) {
    p = rf_alloc(a, 70000);
  }
  for (void *const p : blocks) {
    EXPECT_EQ(RF_OK, rf_free(a, p));
  }
  for (void *const p : blocks) {
    EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_free(a, p));
    EXPECT_EQ(RF_ERR_NOT_ALLOCATED, faults.take());
  }
}

TEST_F(SizeclassFallback, RefusesInitWhereThereIsNothingToServeFrom) {
  alignas(16) unsigned char arena[2048];
  rf_tlsf tlsf;
  rf_sizeclass other;
  ASSERT_EQ(RF_OK, rf_tlsf_init(&tlsf, arena, sizeof arena));
  EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_init(&other, nullptr, 4096, nullptr));
  EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_init(nullptr, arena, sizeof arena, nullptr));
  EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_init(&other, arena, SIZE_MAX, nullptr));
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_sizeclass_init(&other, nullptr, 0, &tlsf.base));
  EXPECT_EQ(0U, stats(&tlsf.base).blocks);
}

// ---- Refusing ----

class SizeclassRefusals : public Sizeclass {
protected:
  Unwatched unwatched;

  rf_status freed(void *ptr) {
    rf_stats const before = stats(a);
    rf_status const status = rf_free(a, ptr);
    EXPECT_EQ(before.blocks, stats(a).blocks);
    EXPECT_EQ(status, faults.take());
    return status;
  }
};

TEST_F(SizeclassRefusals, ForeignInteriorAndMisaligned) {
  unsigned char *const p = alloc(200);
  unsigned char *const q = alloc(200, 256);
  unsigned char local = 0;
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(&local));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(arena));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(arena + sizeof arena));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(p + 4));
  for (size_t i = kG; i < 200; i += kG) {
    EXPECT_EQ(RF_ERR_BAD_POINTER, freed(p + i));
    EXPECT_EQ(RF_ERR_BAD_POINTER, freed(q + i));
  }
}

TEST_F(SizeclassRefusals, TheUnalignedStartOfAnAlignedBlock) {
  alloc(1);
  unsigned char *const q = alloc(8, 512);
  std::vector<Seen> const blocks = walk(a);
  ASSERT_EQ(q, blocks[1].ptr);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(arena + span(0) + kHeader));
}

TEST_F(SizeclassRefusals, FreedTwice) {
  alloc(1);
  unsigned char *const p = alloc(100);
  unsigned char *const q = alloc(100, 128);
  rf_free(a, p);
  rf_free(a, q);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(q));
  for (int i = 0; i < 4; i++) { // with a second header, and perhaps one without
    unsigned char *const aligned = alloc(20, 256);
    rf_free(a, aligned);
    EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(aligned));
    alloc(1);
  }
  EXPECT_EQ(nullptr, rf_realloc(a, p, 10));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, faults.take());
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_resize(a, p, 10));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, faults.take());
}

TEST_F(SizeclassRefusals, FreedTwiceAfterTheBufferWasGivenBackWhole) {
  unsigned char *const p = alloc(100);
  unsigned char *const q = alloc(100);
  rf_free(a, p);
  rf_free(a, q);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(q));
  unsigned char *const all = alloc(2000);
  EXPECT_EQ(p, all);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(q));
}

TEST_F(SizeclassRefusals, ACopyOfAHeaderElsewhere) {
  unsigned char *const p = alloc(200);
  memcpy(p + 64 - kHeader, p - kHeader, kHeader);
  if (kHeader == 16) {
    EXPECT_EQ(RF_ERR_BAD_POINTER, freed(p + 64));
  }
}

TEST_F(SizeclassRefusals, ABlockOfAHeapInsideABlock) {
  unsigned char *const outer = alloc(1024);
  rf_sizeclass inner;
  ASSERT_EQ(RF_OK, rf_sizeclass_init(&inner, outer, 1024, nullptr));
  void *const first = rf_alloc(&inner.base, 10);
  void *const second = rf_alloc(&inner.base, 10);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(second));
  EXPECT_EQ(RF_OK, rf_free(&inner.base, second));
  EXPECT_EQ(RF_OK, rf_free(&inner.base, first));
}

TEST_F(SizeclassRefusals, ABlockOfAFormerLife) {
  alloc(10);
  unsigned char *const p = alloc(10);
  unsigned char *const q = alloc(10, 64);
  rf_deinit(a);
  ASSERT_EQ(RF_OK, rf_sizeclass_init(&heap, arena, sizeof arena, nullptr));
  void *const all = rf_alloc(a, 2000);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(p));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(q));
  EXPECT_EQ(RF_OK, rf_free(a, all));
}

TEST_F(SizeclassRefusals, ABlockOfAFormerLifeIsKnownAsFreedUntilItsMemoryServesAgain) {
  unsigned char *const p = alloc(10);
  unsigned char *const q = alloc(10, 64);
  rf_deinit(a);
  ASSERT_EQ(RF_OK, rf_sizeclass_init(&heap, arena, sizeof arena, nullptr));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(q));
}

TEST_F(SizeclassRefusals, AFreeBlockOfAnotherClassIsReportedAndNotServed) {
  alloc(1);
  unsigned char *const small = alloc(10);
  unsigned char *const large = alloc(100);
  EXPECT_EQ(RF_OK, rf_free(a, large));
  EXPECT_EQ(RF_OK, rf_free(a, small));
  void *const sound = heap.queue[3];
  heap.queue[3] = heap.queue[0];
  void *const p = rf_alloc(a, 100);
  EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
  EXPECT_NE(small, p);
  EXPECT_LE(100U, rf_usable_size(a, p));
  heap.queue[3] = sound;
}

TEST_F(SizeclassRefusals, ABlockOfAFormerLifeWhoseHeaderIsAsItWasBeforeItsDamage) {
  alloc(10);
  unsigned char *const p = alloc(10);
  p[-1] ^= 0xFF;
  rf_deinit(a);
  p[-1] ^= 0xFF;
  ASSERT_EQ(RF_OK, rf_sizeclass_init(&heap, arena, sizeof arena, nullptr));
  void *const all = rf_alloc(a, 2000);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(p));
  EXPECT_EQ(RF_OK, rf_free(a, all));
}

// Where its buffer is cannot be told any more.
TEST_F(SizeclassRefusals, AHeapWhoseRecordWasOverwrittenEndsWithoutTouchingItsBuffer) {
  unsigned char *const p = alloc(10);
  alloc(100);
  std::vector<unsigned char> const before(arena, arena + sizeof arena);
  heap.checksum ^= 1;
  rf_deinit(a);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), arena));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(p));
  memset(arena, 0, sizeof arena); // as its page says
  ASSERT_EQ(RF_OK, rf_sizeclass_init(&heap, arena, sizeof arena, nullptr));
  EXPECT_EQ(arena + kHeader, alloc(1));
  unsigned char *const all = alloc(2000);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(all + 64));
}

TEST_F(SizeclassRefusals, AnythingAfterDeinit) {
  unsigned char *const p = alloc(10);
  rf_deinit(a);
  rf_deinit(a);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(p));
  EXPECT_EQ(nullptr, rf_alloc(a, 1));
  EXPECT_EQ(0U, stats(a).capacity);
}

TEST_F(SizeclassRefusals, AnyChangeOfTheMagic) {
  unsigned char *const p = alloc(10);
  auto *const flags = reinterpret_cast<uint32_t *>(p - kHeader + sizeof(uintptr_t));
  ASSERT_EQ(RF_SIZECLASS_INTEGRITY, *flags & RF_SIZECLASS_INTEGRITY_MASK);
  for (unsigned bit = 12; bit < 28; bit++) {
    *flags ^= 1U << bit;
    EXPECT_EQ(RF_ERR_CORRUPT, freed(p));
    EXPECT_EQ(nullptr, rf_realloc(a, p, 12));
    EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
    *flags ^= 1U << bit;
  }
}

TEST_F(SizeclassRefusals, ADamagedFreeBlockIsReportedAndAnotherServes) {
  unsigned char *const p = alloc(10);
  alloc(10);
  rf_free(a, p);
  p[-1 - static_cast<ptrdiff_t>(kHeader - 8)] ^= 0x55;
  EXPECT_NE(nullptr, rf_alloc(a, 10));
  EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
  p[-1 - static_cast<ptrdiff_t>(kHeader - 8)] ^= 0x55;
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  EXPECT_EQ(p, rf_alloc(a, 10));
}

// ---- Notifier, sites, printing ----

const rf_site kHere = {"here.c", "main", 12};
const rf_site kHereToo = {"here.c", "other", 12};
const rf_site kThere = {"there.c", "main", 12};
const rf_site kFar = {"far.c", "main", 99};

std::string printed(rf_sizeclass *heap, void (*print)(rf_sizeclass *, const rf_sink *)) {
  char text[2048];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, text, sizeof text);
  print(heap, &buffer.sink);
  return text;
}

TEST_F(Sizeclass, TellsTheNotifierTheSizeOfEachRequestThatFails) {
  std::vector<size_t> sizes;
  rf_sizeclass_set_notifier(
      &heap, [](void *context, size_t size) { static_cast<std::vector<size_t> *>(context)->push_back(size); }, &sizes);
  void *const p = alloc(10);
  EXPECT_EQ(nullptr, rf_alloc(a, 70000));
  EXPECT_EQ(nullptr, rf_realloc(a, p, 5000));
  EXPECT_EQ((std::vector<size_t>{70000, 5000}), sizes);
  rf_sizeclass_set_notifier(&heap, nullptr, nullptr);
  EXPECT_EQ(nullptr, rf_alloc(a, 70000));
  EXPECT_EQ(2U, sizes.size());
}

TEST_F(Sizeclass, CountsPerFileAndLine) {
  ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, table, 8));
  void *const p = rf_alloc_at(a, 100, kG, &kHere);
  void *const q = rf_alloc_at(a, 50, kG, &kHereToo);
  void *const r = rf_alloc_at(a, 7, kG, &kThere);
  void *const s = rf_alloc_at(a, 1, kG, nullptr);
  EXPECT_EQ(&kHere, walk(a)[0].site);
  EXPECT_EQ(&kThere, walk(a)[2].site);
  EXPECT_EQ(RF_OK, rf_resize(a, q, 60));
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  std::string const text = printed(&heap, rf_sizeclass_print);
  EXPECT_NE(std::string::npos, text.find("      1      60     160            2  here.c:12\n")) << text;
  EXPECT_NE(std::string::npos, text.find("      1       7       7            1  there.c:12\n")) << text;
  EXPECT_NE(std::string::npos, text.find("  unknown site\n")) << text;
  EXPECT_NE(std::string::npos, text.find("     64       1       0\n")) << text;
  EXPECT_NE(std::string::npos, text.find("    128       0       1\n")) << "none that lives: " << text;
  EXPECT_EQ(RF_OK, rf_free(a, r));
  std::string const later = printed(&heap, rf_sizeclass_print);
  EXPECT_NE(std::string::npos, later.find("      0       0       7            1  there.c:12\n")) << later;
  (void)s;
}

// The search begins in the same row for both.
TEST_F(Sizeclass, CountsLinesOfAFileApartThatMeetInTheTable) {
  static const rf_site lines[] = {{"here.c", "f", 1}, {"here.c", "f", 3}};
  ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, table, 3));
  rf_alloc_at(a, 1, kG, &lines[0]);
  rf_alloc_at(a, 2, kG, &lines[1]);
  EXPECT_EQ(2U, table[0].bytes);
  EXPECT_EQ(1U, table[1].bytes);
}

TEST_F(Sizeclass, CountsSitesWithoutARowTogether) {
  ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, table, 2));
  rf_alloc_at(a, 1, kG, &kHere);
  rf_alloc_at(a, 2, kG, &kThere);
  void *const far = rf_alloc_at(a, 3, kG, &kFar);
  EXPECT_EQ(1U, table[0].bytes);
  EXPECT_EQ(5U, table[1].bytes);
  EXPECT_STREQ("other sites", table[1].site->file);
  EXPECT_EQ(RF_OK, rf_free(a, far));
  EXPECT_EQ(2U, table[1].bytes);
  EXPECT_EQ(5U, table[1].peak);
}

TEST_F(Sizeclass, TakesATableOfSitesWhileEmptyOnly) {
  EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_track_sites(&heap, nullptr, 2));
  EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_track_sites(&heap, table, 0));
  EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_track_sites(&heap, table, RF_SIZECLASS_SITES_MAX + 1));
  alloc(1);
  EXPECT_EQ(RF_ERR_BUSY, rf_sizeclass_track_sites(&heap, table, 2));
}

TEST_F(Sizeclass, ListsLiveBlocksWithTheirSites) {
  ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, table, 4));
  rf_alloc_at(a, 33, kG, &kHere);
  rf_free(a, alloc(5));
  char text[256];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, text, sizeof text);
  EXPECT_EQ(1U, rf_sizeclass_print_live(&heap, &buffer.sink));
  EXPECT_EQ(0U, std::string(text).find("live: 33 bytes at 0x"));
  EXPECT_NE(std::string::npos, std::string(text).find(", here.c:12\n"));
}

// ---- Integrity: each byte in turn ----

class SizeclassIntegrity : public ::testing::Test {
protected:
  Unwatched unwatched;

  static constexpr size_t kSize = 1500;

  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_tlsf_init(&tlsf, memory, sizeof memory));
    ASSERT_EQ(RF_OK, rf_sizeclass_init(&heap, arena, kSize, &tlsf.base));
    ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, sites, 4));
    rf_alloc(a, 1);
    std::vector<void *> freed;
    for (size_t const size : {40, 100, 30, 20, 90, 17}) {
      freed.push_back(rf_alloc(a, size));
      live.push_back(rf_alloc(a, size));
    }
    live.push_back(rf_aligned_alloc(a, 128, 20));
    while (heap.large_blocks < 5) {
      live.push_back(rf_alloc(a, 60));
    }
    for (void *const p : freed) {
      EXPECT_EQ(RF_OK, rf_free(a, p));
    }
    save();
  }

  void save() {
    memcpy(saved_arena, arena, kSize);
    memcpy(&saved_heap, &heap, sizeof heap);
    memcpy(saved_sites, sites, sizeof sites);
    memcpy(&saved_tlsf, &tlsf, sizeof tlsf);
    memcpy(saved_memory, memory, sizeof memory);
  }

  void restore() {
    memcpy(arena, saved_arena, kSize);
    memcpy(&heap, &saved_heap, sizeof heap);
    memcpy(sites, saved_sites, sizeof sites);
    memcpy(&tlsf, &saved_tlsf, sizeof tlsf);
    memcpy(memory, saved_memory, sizeof memory);
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
      (void)rf_owns(a, ptr);
      (void)rf_resize(a, ptr, 200);
      void *const moved = rf_realloc(a, ptr, 120);
      for (size_t const size : {16, 24, 48, 100, 200, 700}) {
        (void)rf_alloc(a, size);
      }
      (void)rf_aligned_alloc(a, 64, 100);
      (void)rf_free(a, moved != nullptr ? moved : ptr);
    }
    rf_deinit(a);
    EXPECT_EQ(0, memcmp(margin, after, sizeof after));
  }

  bool told(unsigned char *byte) {
    return change_is_told(
        a, byte, faults, [this] { use(); }, [this] { restore(); });
  }

  // The parts of headers that mean something: i386 pads them.
  static constexpr size_t kMeant = sizeof(uintptr_t) + 8;

  static bool header_before(const unsigned char *payload, const unsigned char *byte) {
    return byte >= payload - kHeader && byte < payload - kHeader + kMeant && byte < payload;
  }

  bool in_header(const unsigned char *byte) {
    size_t at = 0;
    bool found = false;
    for (const Seen &b : walk(a)) {
      if (b.ptr < arena || b.ptr >= arena + heap.carved) {
        continue;
      }
      size_t const whole = b.size + b.overhead;
      found = found || header_before(b.ptr, byte) || header_before(arena + at + kHeader, byte);
      at += whole;
    }
    return found;
  }

  Faults faults;
  alignas(16) unsigned char arena[kSize];
  unsigned char after[64] = {};
  alignas(16) unsigned char memory[4096];
  rf_tlsf tlsf;
  rf_sizeclass heap;
  rf_sizeclass_site sites[4];
  rf_allocator *a = &heap.base;
  std::vector<void *> live;
  unsigned char saved_arena[kSize];
  unsigned char saved_memory[sizeof memory];
  rf_sizeclass saved_heap;
  rf_sizeclass_site saved_sites[4];
  rf_tlsf saved_tlsf;
};

TEST_F(SizeclassIntegrity, EachByteOfEachHeaderIsTold) {
  size_t headers = 0;
  for (size_t i = 0; i < kSize; i++) {
    if (in_header(arena + i)) {
      headers++;
      EXPECT_TRUE(told(arena + i)) << "byte " << i;
    }
  }
  EXPECT_LT(12U * kMeant, headers);
}

TEST_F(SizeclassIntegrity, FiguresThatCannotBeAreTold) {
  expect_peaks_checked(a, &heap.counters);
  rf_counters const sound = heap.counters;
  heap.counters.allocations = sound.peak_blocks - 1;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  heap.counters = sound;
}

TEST_F(SizeclassIntegrity, NothingElseInTheBufferIsReliedUpon) {
  for (size_t i = 0; i < kSize; i++) {
    if (!in_header(arena + i)) {
      arena[i] ^= 0xFF;
      EXPECT_EQ(RF_OK, rf_check(a, nullptr)) << "byte " << i;
      arena[i] ^= 0xFF;
    }
  }
}

TEST_F(SizeclassIntegrity, EachByteOfARecordOfTheFallbackIsTold) {
  size_t const record = 7 * sizeof(size_t);
  size_t records = 0;
  for (void *const ptr : live) {
    auto *const p = static_cast<unsigned char *>(ptr);
    if (p >= arena && p < arena + kSize) {
      continue;
    }
    records++;
    for (size_t i = 1; i <= kHeader + record; i++) {
      if (kHeader - i >= kMeant && i <= kHeader) {
        continue; // padding
      }
      EXPECT_TRUE(told(p - i)) << i << " bytes before a block";
    }
  }
  EXPECT_EQ(5U, records);
}

TEST_F(SizeclassIntegrity, EachByteOfTheHeapIsToldButThoseThatOnlyCountOrRemember) {
  auto *const record = reinterpret_cast<unsigned char *>(&heap);
  auto const in = [&](size_t i, const void *field, size_t size) {
    size_t const start = static_cast<size_t>(static_cast<const unsigned char *>(field) - record);
    return i >= start && i < start + size;
  };
  for (size_t i = 0; i < sizeof heap; i++) {
    // The operations themselves and the notifier; figures that may have any value above the least possible; addresses
    // that only say whether a refused pointer was freed before.
    if (in(i, &heap.base, sizeof heap.base) || in(i, &heap.notifier, 2 * sizeof(void *)) ||
        in(i, &heap.counters.failures, sizeof(size_t)) || in(i, &heap.counters.peak, sizeof(size_t)) ||
        in(i, &heap.counters.peak_blocks, sizeof(size_t)) || in(i, &heap.counters.allocations, sizeof(size_t)) ||
        in(i, heap.recent, sizeof heap.recent + sizeof heap.recent_at)) {
      continue;
    }
    EXPECT_TRUE(told(record + i)) << "byte " << i;
  }
}

} // namespace
