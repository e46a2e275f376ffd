// Tests of simple alone; the promises of every allocator are in the conformance suite.
#include "tests/heaps/simple_fixture.h"

#include "tests/core/recorder.h"

#include <cstring>

namespace {

using ringfence::testing::FaultRecorder;
using ringfence_test::bytes;
using Heap = ringfence_test::SimpleHeap;

// ---- Arenas ----

TEST(SimpleTest, SixtyFourBytesServeTwoBlocksOfTenThatGrowToTwelve) {
  for (size_t skew = 0; skew < 64; skew++) {
    Heap h(64, skew);
    void *first = rf_alloc(h.a, 10);
    void *second = rf_alloc(h.a, 10);
    ASSERT_NE(first, nullptr) << skew;
    ASSERT_NE(second, nullptr) << skew;
    EXPECT_EQ(rf_realloc(h.a, first, 12), first) << skew;
    EXPECT_EQ(rf_realloc(h.a, second, 12), second) << skew;
    EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  }
}

TEST(SimpleTest, ThirtySixUnalignedBytesServeEighteen) {
  for (size_t skew = 0; skew < 64; skew++) {
    Heap h(36, skew);
    EXPECT_NE(rf_alloc(h.a, 18), nullptr) << skew;
  }
}

TEST(SimpleTest, TheLastBlockEndsWithTheArena) {
  for (size_t size = 40; size < 200; size++) {
    Heap h(size);
    size_t const largest = h.stats().largest_free;
    unsigned char *const p = bytes(rf_alloc(h.a, largest));
    ASSERT_NE(p, nullptr) << size;
    EXPECT_EQ(p + largest, h.start + size) << size;
    EXPECT_EQ(rf_alloc(h.a, 0), nullptr) << size;
  }
}

TEST(SimpleTest, AnArenaOfOneCellServesOneByte) {
  alignas(64) unsigned char arena[64];
  rf_simple heap;
  // A multiple of 16 lies 3 bytes on, where a header of 3 bytes ends.
  ASSERT_EQ(rf_simple_init(&heap, arena + 64 - 19, 4), RF_OK);
  void *const p = rf_alloc(&heap.base, 1);
  EXPECT_EQ(p, arena + 48);
  EXPECT_EQ(rf_alloc(&heap.base, 0), nullptr);
  EXPECT_EQ(rf_free(&heap.base, p), RF_OK);
}

TEST(SimpleTest, ArenasThatHoldNoBlockAreRefused) {
  alignas(64) unsigned char arena[128] = {};
  rf_simple heap;
  std::memset(static_cast<void *>(&heap), 0x77, sizeof heap);
  rf_simple const before = heap;
  for (size_t skew = 0; skew < 16; skew++) {
    for (size_t size = 0; size < 4; size++) {
      EXPECT_EQ(rf_simple_init(&heap, arena + skew, size), RF_ERR_INVALID) << size;
    }
    EXPECT_EQ(std::memcmp(&before, &heap, sizeof heap), 0) << "a refused init touches nothing";
    EXPECT_EQ(rf_simple_init(&heap, arena + skew, 4 + RF_ALIGN_DEFAULT - 1), RF_OK) << skew;
    heap = before;
  }
  EXPECT_EQ(rf_simple_init(nullptr, arena, sizeof arena), RF_ERR_INVALID);
  EXPECT_EQ(rf_simple_init(&heap, nullptr, 100), RF_ERR_INVALID);
  EXPECT_EQ(rf_simple_init(&heap, arena, SIZE_MAX), RF_ERR_INVALID);
  EXPECT_EQ(rf_simple_init(&heap, arena, RF_SIZE_LIMIT + 1), RF_ERR_INVALID);
  EXPECT_EQ(rf_simple_init(&heap, reinterpret_cast<void *>(UINTPTR_MAX - 10), 100), RF_ERR_INVALID);
}

// Three bytes more than four cells: a header would have no payload there, so they are the last block's.
TEST(SimpleTest, ARestThatOnlyAHeaderFitsIntoBelongsToTheBlockBeforeIt) {
  alignas(64) unsigned char arena[128];
  rf_simple heap;
  ASSERT_EQ(rf_simple_init(&heap, arena + 64 - 3, 4 * RF_ALIGN_DEFAULT + 3), RF_OK);
  void *const p = rf_alloc(&heap.base, 4 * RF_ALIGN_DEFAULT - 3);
  EXPECT_EQ(rf_usable_size(&heap.base, p), 4 * RF_ALIGN_DEFAULT);
}

// The last cell has a header and nothing behind it: the end of the arena, aligned as it is, starts no block.
TEST(SimpleTest, TheEndOfTheArenaIsNoBlockOfNoBytes) {
  Heap probe(1024);
  size_t const header = probe.heap.header;
  Heap h(1024 + header, 4096 - 1024 - header);
  ASSERT_TRUE(rf_is_aligned(h.heap.end, 4096));
  EXPECT_EQ(rf_aligned_alloc(h.a, 4096, 0), nullptr);
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  EXPECT_EQ(h.stats().largest_free, 1024U);
}

TEST(SimpleTest, HeadersGrowWithTheArena) {
  std::vector<unsigned char> memory(5 << 20);
  unsigned char *const start = memory.data() + rf_align_gap(memory.data(), 64);
  size_t const cell = RF_ALIGN_DEFAULT < 8 ? 8 : RF_ALIGN_DEFAULT;
  struct {
    size_t size;
    size_t overhead;
  } const cases[] = {
      {1023 * cell - 1, 3}, {1023 * cell, 4}, {((1 << 18) - 1) * cell - 1, 4}, {((1 << 18) - 1) * cell, 8}};
  for (const auto &c : cases) {
    rf_simple heap;
    ASSERT_EQ(rf_simple_init(&heap, start, c.size), RF_OK);
    rf_stats s;
    rf_stats_get(&heap.base, &s);
    EXPECT_EQ(s.overhead, c.overhead) << c.size;
    EXPECT_EQ(s.largest_free + s.overhead, s.capacity) << c.size;
    EXPECT_NE(rf_alloc(&heap.base, s.largest_free), nullptr) << c.size;
    EXPECT_EQ(rf_check(&heap.base, nullptr), RF_OK) << c.size;
  }
}

// At sizes where the narrower header cannot count one cell more, the last cell may be cut short.
TEST(SimpleTest, HeadersCountEveryCellOfTheArena) {
  for (size_t size = 16320; size <= 16400; size++) {
    for (size_t skew = 0; skew < 16; skew++) {
      Heap h(size, skew);
      size_t const largest = h.stats().largest_free;
      ASSERT_EQ(rf_check(h.a, nullptr), RF_OK) << size << " bytes, skew " << skew;
      void *const p = rf_alloc(h.a, largest);
      ASSERT_NE(p, nullptr) << size << " bytes, skew " << skew;
      ASSERT_EQ(rf_free(h.a, p), RF_OK);
      ASSERT_EQ(h.stats().largest_free, largest);
    }
  }
}

// ---- Placement ----

TEST(SimpleTest, TakesTheFirstBlockThatFits) {
  Heap h(1024);
  void *const small = rf_alloc(h.a, 20);
  rf_alloc(h.a, 1);
  void *const large = rf_alloc(h.a, 100);
  rf_alloc(h.a, 1);
  rf_free(h.a, large);
  rf_free(h.a, small);
  EXPECT_EQ(rf_alloc(h.a, 50), large);
  EXPECT_EQ(rf_alloc(h.a, 10), small);
}

TEST(SimpleTest, MergesWithBothNeighbours) {
  for (bool const left_first : {false, true}) {
    Heap h(1024);
    size_t const before = h.stats().largest_free;
    void *const left = rf_alloc(h.a, 100);
    void *const middle = rf_alloc(h.a, 100);
    void *const right = rf_alloc(h.a, 100);
    void *const last = rf_alloc(h.a, before - 400);
    rf_free(h.a, left_first ? left : right);
    rf_free(h.a, left_first ? right : left);
    rf_free(h.a, middle);
    EXPECT_EQ(rf_alloc(h.a, 300), left) << "the three are one";
    rf_free(h.a, left);
    rf_free(h.a, last);
    EXPECT_EQ(h.stats().largest_free, before);
  }
}

TEST(SimpleTest, WhatAlignmentSkipsStaysFree) {
  Heap h(4096);
  unsigned char *const p = bytes(rf_aligned_alloc(h.a, 1024, 10));
  ASSERT_NE(p, nullptr);
  unsigned char *const q = bytes(rf_alloc(h.a, 500));
  EXPECT_LT(q, p);
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
}

// ---- realloc ----

// Three blocks of 100 bytes, the middle one filled, and the rest of the arena taken.
struct Three {
  Heap h{1024};
  void *left = rf_alloc(h.a, 100);
  unsigned char *middle = bytes(rf_alloc(h.a, 100));
  void *right = rf_alloc(h.a, 100);

  Three() {
    rf_alloc(h.a, h.stats().largest_free);
    for (size_t i = 0; i < 100; i++) {
      middle[i] = static_cast<unsigned char>(i);
    }
  }

  void expect_contents(const unsigned char *p) {
    for (size_t i = 0; i < 100; i++) {
      ASSERT_EQ(p[i], i);
    }
    EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  }
};

TEST(SimpleTest, ReallocGrowsToTheRightInPlace) {
  Three t;
  rf_free(t.h.a, t.right);
  rf_free(t.h.a, t.left);
  EXPECT_EQ(rf_realloc(t.h.a, t.middle, 200), t.middle);
  t.expect_contents(t.middle);
}

TEST(SimpleTest, ReallocGrowsToTheLeft) {
  Three t;
  rf_free(t.h.a, t.left);
  EXPECT_EQ(rf_realloc(t.h.a, t.middle, 200), t.left);
  t.expect_contents(bytes(t.left));
}

TEST(SimpleTest, ReallocGrowsToBothSides) {
  Three t;
  rf_free(t.h.a, t.left);
  rf_free(t.h.a, t.right);
  EXPECT_EQ(rf_realloc(t.h.a, t.middle, 300), t.left);
  t.expect_contents(bytes(t.left));
}

TEST(SimpleTest, ReallocThatFitsNowhereLeavesTheBlock) {
  Three t;
  rf_free(t.h.a, t.left);
  rf_free(t.h.a, t.right);
  EXPECT_EQ(rf_realloc(t.h.a, t.middle, 400), nullptr);
  t.expect_contents(t.middle);
  EXPECT_EQ(t.h.stats().failures, 1U);
}

TEST(SimpleTest, ReallocMovesElsewhereLast) {
  Heap h(1024);
  unsigned char *const p = bytes(rf_alloc(h.a, 50));
  std::memset(p, 0x42, 50);
  rf_alloc(h.a, 1);
  unsigned char *const q = bytes(rf_realloc(h.a, p, 200));
  ASSERT_NE(q, nullptr);
  EXPECT_NE(q, p);
  for (size_t i = 0; i < 50; i++) {
    EXPECT_EQ(q[i], 0x42);
  }
  EXPECT_EQ(rf_alloc(h.a, 50), p) << "the old place is free";
}

TEST(SimpleTest, ReallocMovesWithinItselfForAlignment) {
  Heap h(600);
  unsigned char *const p = bytes(rf_alloc(h.a, 400));
  rf_alloc(h.a, h.stats().largest_free);
  for (size_t i = 0; i < 100; i++) {
    p[i] = static_cast<unsigned char>(i);
  }
  unsigned char *const q = bytes(rf_realloc_at(h.a, p, 100, 128, nullptr));
  ASSERT_NE(q, nullptr);
  EXPECT_TRUE(rf_is_aligned(q, 128));
  for (size_t i = 0; i < 100; i++) {
    EXPECT_EQ(q[i], i);
  }
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
}

TEST(SimpleTest, ReallocKeepsAllUsableBytes) {
  Heap h(1024);
  unsigned char *const p = bytes(rf_alloc(h.a, 1));
  size_t const usable = rf_usable_size(h.a, p);
  std::memset(p, 0x42, usable);
  rf_alloc(h.a, 1);
  unsigned char *const q = bytes(rf_realloc(h.a, p, 200));
  ASSERT_NE(q, p);
  for (size_t i = 0; i < usable; i++) {
    EXPECT_EQ(q[i], 0x42) << i;
  }
}

// ---- Refusals ----

TEST(SimpleTest, SaysWhyItRefuses) {
  FaultRecorder recorder;
  Heap h(1024);
  unsigned char *const p = bytes(rf_alloc(h.a, 100));
  rf_free(h.a, p + 1);
  rf_free(h.a, p + 16);
  rf_free(h.a, h.start - 1);
  rf_free(h.a, p);
  rf_free(h.a, p);
  ASSERT_EQ(recorder.faults().size(), 4U);
  EXPECT_STREQ(recorder.faults()[0].what, "misaligned pointer");
  EXPECT_STREQ(recorder.faults()[1].what, "pointer into a block");
  EXPECT_STREQ(recorder.faults()[2].what, "foreign pointer");
  EXPECT_STREQ(recorder.faults()[3].what, "pointer to free memory");
}

TEST(SimpleTest, ADoubleFreeIsKnownAsOneEvenAfterMerging) {
  FaultRecorder recorder;
  Heap h(1024);
  void *const left = rf_alloc(h.a, 100);
  void *const right = rf_alloc(h.a, 100);
  rf_free(h.a, left);
  rf_free(h.a, right);
  EXPECT_EQ(rf_free(h.a, right), RF_ERR_NOT_ALLOCATED);
}

TEST(SimpleTest, AnEndedHeapServesAndOwnsNothing) {
  FaultRecorder recorder;
  Heap h(1024);
  void *const p = rf_alloc(h.a, 10);
  rf_deinit(h.a);
  EXPECT_EQ(rf_alloc(h.a, 1), nullptr);
  EXPECT_FALSE(rf_owns(h.a, p));
  EXPECT_EQ(rf_usable_size(h.a, p), 0U);
  EXPECT_EQ(rf_free(h.a, p), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  EXPECT_EQ(h.stats().capacity, 0U);
}

TEST(SimpleTest, ABlockOfNoBytesDoesNotBeginAtTheEnd) {
  ringfence_test::SimpleHeap h(1024 - 64, 64); // its end is at the next multiple of 1024
  EXPECT_EQ(rf_aligned_alloc(h.a, 1024, 0), nullptr);
  EXPECT_NE(rf_aligned_alloc(h.a, 512, 0), nullptr);
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
}

} // namespace
