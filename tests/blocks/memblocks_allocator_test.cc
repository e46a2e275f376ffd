#include <ringfence/memblocks_allocator.h>

#include "fault_log.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

class MemblocksAllocator : public testing::Test {
protected:
  static constexpr size_t kBlocks = 100;
  static constexpr size_t kSize = 32;

  MemblocksAllocator() {
    EXPECT_EQ(rf_memblocks_init(&blocks, buffer, kSize, kBlocks, bitmap), RF_OK);
    EXPECT_EQ(rf_memblocks_allocator_init(&heap, &blocks, sizes), RF_OK);
    a = &heap.base;
  }
  ~MemblocksAllocator() override { EXPECT_EQ(rf_check(a, nullptr), RF_OK); }

  rf_stats stats() {
    rf_stats s;
    rf_stats_get(a, &s);
    return s;
  }
  // The blocks met on a walk, in words: "used 13+19 free 3168+0".
  std::string walk() {
    std::string text;
    EXPECT_EQ(rf_walk(
                  a,
                  [](const rf_block *b, void *out) {
                    *static_cast<std::string *>(out) += (b->used ? "used " : "free ") + std::to_string(b->size) + "+" +
                                                        std::to_string(b->overhead) + " ";
                    return true;
                  },
                  &text),
              RF_OK);
    return text;
  }
  unsigned char *at(size_t i) { return buffer + i * kSize; }

  alignas(64) unsigned char buffer[kBlocks * kSize];
  size_t bitmap[RF_MEMBLOCKS_WORDS(kBlocks)];
  size_t sizes[kBlocks];
  rf_memblocks blocks;
  rf_memblocks_allocator heap;
  rf_allocator *a;
  FaultLog faults;
};

TEST_F(MemblocksAllocator, RefusesNull) {
  EXPECT_EQ(rf_memblocks_allocator_init(nullptr, &blocks, sizes), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_allocator_init(&heap, nullptr, sizes), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_allocator_init(&heap, &blocks, nullptr), RF_ERR_INVALID);
}

TEST_F(MemblocksAllocator, AFreeOfMoreBlocksThanAreCountedIsRefused) {
  void *const p = rf_alloc(a, 3 * kSize);
  blocks.used = 2;
  EXPECT_EQ(rf_free(a, p), RF_ERR_CORRUPT);
  EXPECT_STREQ(faults.last().what, "record or table was overwritten");
  blocks.used = 3;
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

TEST_F(MemblocksAllocator, MoreBlocksThanThereAreIsDamageThatIsNamedAndCounts) {
  blocks.used = kBlocks + 1;
  EXPECT_EQ(rf_alloc(a, 1), nullptr);
  blocks.used = 0;
  ASSERT_EQ(faults.count(), 1U);
  EXPECT_EQ(faults.last().status, RF_ERR_CORRUPT);
  EXPECT_EQ(faults.last().ptr, bitmap);
  EXPECT_EQ(stats().failures, 1U);
}

// Blocks that were freed past the adapter leave their sizes in its table.
TEST_F(MemblocksAllocator, ARunOverBlocksThatWereFreedDirectlyIsAllItsOwn) {
  void *two[] = {rf_alloc(a, 1), rf_alloc(a, 1)};
  rf_counters const before = heap.counters;
  EXPECT_EQ(rf_memblocks_free(&blocks, 2, two), RF_OK);
  void *const p = rf_alloc(a, 2 * kSize);
  EXPECT_EQ(p, two[0]);
  EXPECT_EQ(rf_usable_size(a, p), 2 * kSize);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(heap.counters.blocks, before.blocks) << "it did not see the two go";
  heap.counters = {};
}

TEST(MemblocksAllocatorOfSmallBlocks, TheLargestIsServed) {
  alignas(16) unsigned char buffer[10 * 8];
  size_t bitmap[1];
  size_t sizes[10];
  rf_memblocks pool;
  rf_memblocks_allocator heap;
  ASSERT_EQ(rf_memblocks_init(&pool, buffer, 8, 10, bitmap), RF_OK);
  ASSERT_EQ(rf_memblocks_allocator_init(&heap, &pool, sizes), RF_OK);
  ASSERT_NE(rf_aligned_alloc(&heap.base, 8, 8), nullptr);
  rf_stats s;
  rf_stats_get(&heap.base, &s);
  EXPECT_NE(rf_alloc(&heap.base, s.largest_free), nullptr);
}

TEST_F(MemblocksAllocator, ServesOneBlockOrARun) {
  EXPECT_EQ(rf_alloc(a, 1), at(0));
  EXPECT_EQ(rf_alloc(a, 32), at(1));
  EXPECT_EQ(rf_alloc(a, 33), at(2));
  EXPECT_EQ(rf_alloc(a, 0), at(4));
  EXPECT_EQ(walk(), "used 1+31 used 32+0 used 33+31 used 0+32 free 3040+0 ");
  EXPECT_EQ(rf_usable_size(a, at(2)), 64U);
  EXPECT_EQ(rf_usable_size(a, at(3)), 0U);
}

TEST_F(MemblocksAllocator, CountsRequestedBytes) {
  void *p = rf_alloc(a, 100);
  (void)rf_alloc(a, 5);
  EXPECT_EQ(rf_alloc(a, kBlocks * kSize), nullptr);
  rf_free(a, p);
  rf_stats const s = stats();
  EXPECT_EQ(s.capacity, kBlocks * kSize);
  EXPECT_EQ(s.used, 5U);
  EXPECT_EQ(s.peak, 105U);
  EXPECT_EQ(s.blocks, 1U);
  EXPECT_EQ(s.peak_blocks, 2U);
  EXPECT_EQ(s.allocations, 2U);
  EXPECT_EQ(s.failures, 1U);
  EXPECT_EQ(s.free_bytes, 99 * kSize);
  EXPECT_EQ(s.largest_free, 95 * kSize);
  EXPECT_EQ(s.overhead, 27U);
}

TEST_F(MemblocksAllocator, AlignsBeyondTheBlockSize) {
  (void)rf_alloc(a, 1);
  EXPECT_EQ(rf_aligned_alloc(a, 64, 1), at(2));
  EXPECT_EQ(rf_alloc(a, 1), at(1));
}

TEST_F(MemblocksAllocator, GrowsAndShrinksInPlace) {
  void *p = rf_alloc(a, 10);
  EXPECT_EQ(rf_resize(a, p, 90), RF_OK);
  EXPECT_EQ(walk(), "used 90+6 free 3104+0 ");
  void *q = rf_alloc(a, 1);
  EXPECT_EQ(q, at(3));
  EXPECT_EQ(rf_resize(a, p, 97), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_resize(a, p, 20), RF_OK);
  EXPECT_EQ(walk(), "used 20+12 free 64+0 used 1+31 free 3072+0 ");
  EXPECT_EQ(stats().used, 21U);
  EXPECT_EQ(stats().failures, 0U);
  EXPECT_EQ(rf_resize(a, q, kBlocks * kSize), RF_ERR_NO_MEMORY);
}

TEST_F(MemblocksAllocator, ReallocMovesWithContentsWhereItCannotGrow) {
  auto *p = static_cast<char *>(rf_alloc(a, 10));
  memcpy(p, "contents", 9);
  (void)rf_alloc(a, 1);
  auto *moved = static_cast<char *>(rf_realloc(a, p, 100));
  ASSERT_EQ(static_cast<void *>(moved), at(2));
  EXPECT_STREQ(moved, "contents");
  EXPECT_TRUE(rf_memblocks_is_region_free(&blocks, at(0), 1));
}

TEST_F(MemblocksAllocator, RefusesEveryBadPointer) {
  unsigned char *p = static_cast<unsigned char *>(rf_alloc(a, 100));
  int foreign;
  EXPECT_EQ(rf_free(a, &foreign), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, p + 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, p + kSize), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, at(50)), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_resize(a, p + kSize, 5), RF_ERR_BAD_POINTER);
  EXPECT_EQ(faults.count(), 5U);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(rf_free(a, p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_realloc(a, p, 5), nullptr);
  EXPECT_EQ(faults.last().status, RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(faults.last().allocator, a);
}

TEST_F(MemblocksAllocator, SharesThePoolWithDirectUse) {
  void *direct = nullptr;
  ASSERT_EQ(rf_memblocks_alloc(&blocks, 1, &direct), RF_OK);
  void *p = rf_alloc(a, 40);
  EXPECT_EQ(walk(), "used 32+0 used 40+24 free 3104+0 ");
  EXPECT_EQ(rf_free(a, direct), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_memblocks_free(&blocks, 1, &direct), RF_OK);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(walk(), "free 3200+0 ");
}

TEST_F(MemblocksAllocator, WalkStopsWhenToldTo) {
  int visits = 0;
  (void)rf_alloc(a, 1);
  EXPECT_EQ(rf_walk(
                a,
                [](const rf_block *, void *n) {
                  ++*static_cast<int *>(n);
                  return false;
                },
                &visits),
            RF_OK);
  EXPECT_EQ(visits, 1);
}

TEST_F(MemblocksAllocator, TellsListenersOfRuns) {
  std::vector<size_t> bytes;
  rf_memblocks_listener listener = {
      [](rf_memblocks *, void *, size_t n, void *out) { static_cast<std::vector<size_t> *>(out)->push_back(n); },
      nullptr, &bytes, nullptr};
  rf_memblocks_listen(&blocks, &listener);
  rf_free(a, rf_alloc(a, 33));
  EXPECT_EQ(bytes, std::vector<size_t>{64});
}

TEST_F(MemblocksAllocator, AfterDeinitServesNothing) {
  (void)rf_alloc(a, 1);
  rf_deinit(a);
  rf_deinit(a);
  EXPECT_EQ(rf_alloc(a, 1), nullptr);
  EXPECT_FALSE(rf_owns(a, at(0)));
  EXPECT_EQ(stats().capacity, 0U);
  EXPECT_EQ(stats().overhead, 0U);
  heap.counters = {};
}

TEST_F(MemblocksAllocator, DamageToAnyByteOfTableOrBitmapIsToldAndObeyedByNobody) {
  void *p = rf_alloc(a, 100);
  (void)rf_alloc(a, 40);
  void *q = rf_alloc(a, 70);
  rf_free(a, p);
  (void)rf_alloc(a, 20);
  struct {
    void *start;
    size_t bytes;
  } const parts[] = {{sizes, sizeof sizes},
                     {bitmap, sizeof bitmap},
                     {&heap.counters.used, sizeof(size_t)},
                     {&heap.counters.blocks, sizeof(size_t)}};
  for (auto const &part : parts) {
    auto *const bytes = static_cast<unsigned char *>(part.start);
    for (size_t i = 0; i < part.bytes; i++) {
      unsigned char const good = bytes[i];
      for (int flip : {0x01, 0x80, 0xFF}) {
        bytes[i] = static_cast<unsigned char>(good ^ flip);
        rf_fault where;
        EXPECT_EQ(rf_check(a, &where), RF_ERR_CORRUPT) << i;
        EXPECT_EQ(where.allocator, a);
        (void)walk();
        (void)rf_usable_size(a, q);
      }
      bytes[i] = good;
    }
  }
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
}

TEST_F(MemblocksAllocator, DamageToAnyByteOfItsRecordIsToldOrDoesNoHarm) {
  void *p = rf_alloc(a, 100);
  rf_memblocks_allocator const good = heap;
  auto *const bytes = reinterpret_cast<unsigned char *>(&heap);
  for (size_t i = sizeof(rf_allocator); i < sizeof heap; i++) {
    bool const figure =
        i >= offsetof(rf_memblocks_allocator, counters) && i < offsetof(rf_memblocks_allocator, checksum);
    for (int flip : {0x01, 0x10, 0x80, 0xFF}) {
      bytes[i] ^= static_cast<unsigned char>(flip);
      EXPECT_TRUE(rf_check(a, nullptr) == RF_ERR_CORRUPT || figure) << i;
      if (!figure) {
        EXPECT_EQ(rf_alloc(a, 1), nullptr);
        EXPECT_EQ(rf_free(a, p), RF_ERR_CORRUPT);
        EXPECT_EQ(rf_resize(a, p, 1), RF_ERR_CORRUPT);
        EXPECT_EQ(rf_usable_size(a, p), 0U);
        EXPECT_FALSE(rf_owns(a, p));
        EXPECT_EQ(rf_walk(
                      a, [](const rf_block *, void *) { return true; }, nullptr),
                  RF_ERR_CORRUPT);
        EXPECT_EQ(stats().capacity, 0U);
        rf_deinit(a);
      }
      heap = good;
    }
  }
}

TEST_F(MemblocksAllocator, AFreeThatMeetsADamagedSizeIsRefused) {
  void *p = rf_alloc(a, 10);
  void *q = rf_alloc(a, 10);
  sizes[0] = 65; // as if it reached over q's block
  EXPECT_EQ(rf_free(a, p), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_usable_size(a, q), kSize);
  sizes[0] = 11;
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

TEST_F(MemblocksAllocator, AnAllocThatMeetsAnImpossibleCountIsReported) {
  blocks.used = kBlocks + 1;
  EXPECT_EQ(rf_alloc(a, 1), nullptr);
  EXPECT_EQ(faults.last().status, RF_ERR_CORRUPT);
  blocks.used = 0;
}

TEST_F(MemblocksAllocator, AnAllocThatMeetsDamageNamesTheBitmapAndIsAFailure) {
  blocks.used = kBlocks + 1;
  EXPECT_EQ(rf_alloc(a, 1), nullptr);
  EXPECT_EQ(faults.last().ptr, bitmap);
  blocks.used = 0;
  EXPECT_EQ(stats().failures, 1U);
}

TEST_F(MemblocksAllocator, AFreeOfMoreBlocksThanAreTakenIsRefused) {
  void *p = rf_alloc(a, 2 * kSize);
  blocks.used = 1;
  EXPECT_EQ(rf_free(a, p), RF_ERR_CORRUPT);
  EXPECT_EQ(blocks.used, 1U);
  blocks.used = 2;
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

TEST_F(MemblocksAllocator, EndsAPoolWhoseRecordWasOverwritten) {
  blocks.block_size++;
  rf_deinit(a);
  EXPECT_EQ(blocks.num_blocks, 0U);
  EXPECT_EQ(rf_memblocks_check(&blocks, nullptr), RF_OK);
}
