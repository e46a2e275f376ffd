// sizeclass: what the fallback serves, and what is refused of its blocks.
#include "tests/heaps/sizeclass_fixture.h"

#include <ringfence/std.h>
#include <ringfence/tlsf.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

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

TEST_F(SizeclassFallback, IsPrintedWithWhatItServes) {
  void *const small = rf_alloc(a, 100);
  void *const large[] = {rf_alloc(a, 70000), rf_alloc(a, 80000)};
  char text[512];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, text, sizeof text);
  rf_sizeclass_print(&heap, &buffer.sink);
  EXPECT_EQ("sizeclass: " + std::to_string(span(3)) + " of 4096 bytes carved, " + std::to_string(heap.large_bytes) +
                " from the fallback\n"
                "   size    live    free\n"
                "    128       1       0\n"
                "  other       2       -\n",
            std::string(text));
  EXPECT_LE(150000U, heap.large_bytes);
  for (void *const p : {small, large[0], large[1]}) {
    EXPECT_EQ(RF_OK, rf_free(a, p));
  }
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

// The answer takes the way to that block alone, however many blocks there are.
TEST_F(SizeclassFallback, TheStartOfABlockIsOwnedWhateverIsDamagedElsewhere) {
  Unwatched const unwatched;
  auto *const first = static_cast<unsigned char *>(rf_alloc(a, 70000));
  auto *const second = static_cast<unsigned char *>(rf_alloc(a, 80000));
  ASSERT_NE(nullptr, second);
  unsigned char *const sum = first - kHeader - sizeof(uintptr_t); // of the record, its last word
  *sum ^= 1;
  EXPECT_TRUE(rf_owns(a, second));
  EXPECT_FALSE(rf_owns(a, first));
  *sum ^= 1;
  EXPECT_TRUE(rf_owns(a, first));
  EXPECT_TRUE(rf_owns(a, first + 69999));
  EXPECT_FALSE(rf_owns(a, first - 1));
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

// Large blocks come from a heap that joins free neighbours.
class SizeclassOverTlsf : public SizeclassFallback {
protected:
  SizeclassOverTlsf() {
    EXPECT_EQ(RF_OK, rf_tlsf_init(&tlsf_, arena_, sizeof arena_));
    EXPECT_EQ(RF_OK, rf_sizeclass_init(&over_, nullptr, 4096, &tlsf_.base));
  }

  rf_allocator *const b = &over_.base;

private:
  alignas(16) unsigned char arena_[1 << 19];
  rf_tlsf tlsf_;
  rf_sizeclass over_;
};

// A freed block's memory serves again: where it began is inside of another one.
TEST_F(SizeclassOverTlsf, APointerIntoABlockIsNoDoubleFree) {
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

// A block that grows as far as a freed one began leaves that one's address alone.
TEST_F(SizeclassOverTlsf, APointerRightBehindABlockIsADoubleFreeStill) {
  auto *const block = static_cast<unsigned char *>(rf_alloc(b, 70000));
  auto *const next = static_cast<unsigned char *>(rf_alloc(b, 70000));
  ASSERT_EQ(RF_OK, rf_free(b, next));
  ASSERT_EQ(RF_OK, rf_resize(b, block, static_cast<size_t>(next - block)));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_free(b, next));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, faults.take());
  ASSERT_EQ(RF_OK, rf_resize(b, block, static_cast<size_t>(next - block) + 1));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(b, next));
  EXPECT_EQ(RF_ERR_BAD_POINTER, faults.take());
  EXPECT_EQ(RF_OK, rf_free(b, block));
  rf_deinit(b);
}

TEST_F(SizeclassFallback, ABlockThatShrinksWhereTheFallbackCannotKeepsItsBytes) {
  void *const p = rf_alloc(a, 80000);
  EXPECT_EQ(RF_OK, rf_resize(a, p, 100));
  size_t sum = 0;
  for (const Seen &b : walk(a)) {
    sum += b.size + b.overhead;
  }
  EXPECT_EQ(stats(a).capacity, sum);
  EXPECT_EQ(80000U, rf_usable_size(a, p));
}

TEST_F(SizeclassFallback, AWalkThatIsStoppedShowsNoMore) {
  void *const blocks[] = {rf_alloc(a, 70000), rf_alloc(a, 70000)};
  size_t seen = 0;
  EXPECT_EQ(RF_OK, rf_walk(
                       a,
                       [](const rf_block *b, void *count) {
                         *static_cast<size_t *>(count) += b->size == 70000 ? 1 : 0;
                         return b->size != 70000;
                       },
                       &seen));
  EXPECT_EQ(1U, seen);
  EXPECT_EQ(RF_OK, rf_free(a, blocks[0]));
}

// Its tree of blocks is damaged at the root: there is no place for a new one.
TEST_F(SizeclassFallback, ABlockWithoutAPlaceGoesBackToIt) {
  size_t const given = stats(&fallback.base).blocks;
  heap.root.check ^= 1;
  EXPECT_EQ(nullptr, rf_alloc(a, 70000));
  EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
  EXPECT_EQ(given, stats(&fallback.base).blocks);
  heap.root.check ^= 1;
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
  EXPECT_EQ(before.peak, stats(a).peak);
  EXPECT_EQ(before.peak_blocks, stats(a).peak_blocks);
  EXPECT_EQ(before.allocations, stats(a).allocations);
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

} // namespace
