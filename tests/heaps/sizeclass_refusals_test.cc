// sizeclass: pointers that are refused, blocks and records that are not relied upon any more.
#include "tests/heaps/sizeclass_fixture.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace {

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

TEST_F(SizeclassRefusals, AnAlignedBlockWhoseSecondHeaderIsDamaged) {
  unsigned char *const p = alloc(10, 64);
  ASSERT_NE(arena + kHeader, p);
  unsigned char *const magic = p - kHeader + sizeof(uintptr_t) + 2;
  *magic ^= 1;
  EXPECT_EQ(RF_ERR_CORRUPT, freed(p));
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  *magic ^= 1;
  EXPECT_EQ(RF_OK, rf_free(a, p));
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

// The place of its buffer cannot be told any more.
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

} // namespace
