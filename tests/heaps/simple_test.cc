// Tests of simple alone; the promises of every allocator are in the conformance suite.
#include <ringfence/simple.h>

#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"
#include "tests/heaps/support.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <vector>

namespace {

using ringfence::testing::FaultRecorder;

class Heap {
public:
  explicit Heap(size_t size, size_t skew = 0) : memory_(size + skew + 4096) {
    start = memory_.data() + rf_align_gap(memory_.data(), 4096) + skew;
    EXPECT_EQ(rf_simple_init(&heap, start, size), RF_OK) << size << " bytes, skew " << skew;
  }

  rf_stats stats() {
    rf_stats s;
    rf_stats_get(a, &s);
    return s;
  }

  rf_simple heap;
  rf_allocator *const a = &heap.base;
  unsigned char *start;

private:
  std::vector<unsigned char> memory_;
};

unsigned char *bytes(void *p) {
  return static_cast<unsigned char *>(p);
}

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

// ---- Damage ----

// A heap with used and free blocks, and where its headers are.
// The hint is a block: the end, or a header.
TEST(SimpleTest, AHintThatIsNoBlockIsFoundByACheck) {
  Heap h(1024);
  ASSERT_NE(rf_alloc(h.a, 100), nullptr);
  ASSERT_NE(rf_alloc(h.a, 100), nullptr);
  rf_fault where;
  EXPECT_EQ(rf_check(h.a, &where), RF_OK);
  size_t const before = h.heap.first_free;
  for (size_t const wrong : {size_t{1}, before - 1}) {
    h.heap.first_free = wrong;
    EXPECT_EQ(rf_check(h.a, &where), RF_ERR_CORRUPT) << wrong;
    h.heap.first_free = before;
  }
}

TEST(SimpleTest, AHintAboveAFreeBlockIsFoundByACheck) {
  Heap h(1024);
  void *const p = rf_alloc(h.a, 1); // one cell
  ASSERT_NE(rf_alloc(h.a, 100), nullptr);
  size_t const behind = h.heap.first_free;
  EXPECT_EQ(rf_free(h.a, p), RF_OK);
  EXPECT_EQ(h.heap.first_free, 0U);
  rf_fault where;
  for (size_t const wrong : {size_t{1}, behind, h.heap.cells}) {
    h.heap.first_free = wrong;
    EXPECT_EQ(rf_check(h.a, &where), RF_ERR_CORRUPT) << wrong;
  }
  h.heap.first_free = 0;
}

TEST(SimpleTest, AWrongCountOfFreeBlocksIsFoundByACheck) {
  Heap h(1024);
  rf_fault where;
  h.heap.free_blocks++;
  EXPECT_EQ(rf_check(h.a, &where), RF_ERR_CORRUPT);
  h.heap.free_blocks--;
  EXPECT_EQ(rf_check(h.a, &where), RF_OK);
}

TEST(SimpleTest, PeaksThatCannotBeAreFoundByACheck) {
  Heap h(1024);
  ASSERT_NE(rf_alloc(h.a, 100), nullptr);
  expect_peaks_checked(h.a, &h.heap.counters);
  h.heap.counters.allocations = 0;
  EXPECT_EQ(rf_check(h.a, nullptr), RF_ERR_CORRUPT);
}

class Damage : public testing::TestWithParam<size_t> {
protected:
  Unwatched unwatched;

  void SetUp() override {
    for (size_t const size : {10, 100, 0, 33, 64, 50}) {
      blocks.push_back(rf_alloc(h.a, size));
    }
    rf_free(h.a, blocks[1]);
    rf_free(h.a, blocks[4]);
    ASSERT_EQ(rf_check(h.a, nullptr), RF_OK);
    rf_walk(
        h.a,
        [](const rf_block *b, void *context) {
          static_cast<std::vector<void *> *>(context)->push_back(b->ptr);
          return true;
        },
        &payloads);
    ASSERT_EQ(payloads.size(), 7U);
  }

  rf_status walk_status() {
    return rf_walk(
        h.a, [](const rf_block *, void *) { return true; }, nullptr);
  }

  // Everything that a program may do, to see that it ends.
  void try_everything() {
    rf_stats s;
    rf_alloc(h.a, 5);
    rf_alloc(h.a, 5000);
    for (void *const p : blocks) {
      rf_usable_size(h.a, p);
      rf_realloc(h.a, p, 70);
      rf_resize(h.a, p, 20);
      rf_free(h.a, p);
    }
    rf_stats_get(h.a, &s);
    rf_walk(
        h.a, [](const rf_block *, void *) { return true; }, nullptr);
  }

  Heap h{GetParam()};
  std::vector<void *> blocks;
  std::vector<void *> payloads;
  FaultRecorder recorder;
};

TEST_P(Damage, ToAnyByteOfAnyHeaderIsFound) {
  for (void *const payload : payloads) {
    for (size_t i = 1; i <= h.heap.header; i++) {
      unsigned char &byte = *(bytes(payload) - i);
      unsigned char const sound = byte;
      for (int change = 1; change < 256; change++) {
        byte = static_cast<unsigned char>(sound ^ change);
        rf_fault where = {};
        ASSERT_EQ(rf_check(h.a, &where), RF_ERR_CORRUPT) << "byte -" << i << " changed by " << change;
        ASSERT_EQ(where.ptr, bytes(payload) - h.heap.header);
        ASSERT_EQ(where.allocator, h.a);
      }
      byte = sound;
      ASSERT_EQ(rf_check(h.a, nullptr), RF_OK);
    }
  }
}

TEST_P(Damage, IsNeverObeyed) {
  rf_simple const heap = h.heap;
  std::vector<unsigned char> const arena(h.start, h.start + GetParam());
  for (void *const payload : payloads) {
    for (size_t i = 1; i <= h.heap.header; i++) {
      for (int const change : {0x01, 0x02, 0x80, 0xFF, 0x41}) {
        *(bytes(payload) - i) ^= static_cast<unsigned char>(change);
        size_t const before = recorder.faults().size();
        try_everything();
        EXPECT_GT(recorder.faults().size(), before);
        h.heap = heap;
        std::memcpy(h.start, arena.data(), arena.size());
      }
    }
  }
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
}

// Those who look at all blocks say so and touch nothing; check tells it where a call relies on the byte.
TEST_P(Damage, ToAnyByteOfTheRecordIsTold) {
  unsigned char *const record = bytes(&h.heap);
  auto const in = [](size_t i, size_t from, size_t to) { return i >= from && i < to; };
  size_t const counters = offsetof(rf_simple, counters);
  for (size_t i = sizeof h.heap.base; i < sizeof h.heap; i++) {
    bool const may_differ = in(i, offsetof(rf_simple, first_free), offsetof(rf_simple, free_blocks)) ||
                            in(i, counters + offsetof(rf_counters, peak), counters + offsetof(rf_counters, blocks)) ||
                            in(i, counters + offsetof(rf_counters, peak_blocks), offsetof(rf_simple, checksum));
    bool const moves = in(i, counters, offsetof(rf_simple, checksum)) ||
                       in(i, offsetof(rf_simple, first_free), offsetof(rf_simple, header));
    for (int change = 1; change < 256; change++) {
      record[i] = static_cast<unsigned char>(record[i] ^ change);
      rf_fault where = {};
      rf_status const found = rf_check(h.a, &where);
      ASSERT_TRUE(found == RF_ERR_CORRUPT || may_differ) << "byte " << i << " changed by " << change;
      if (!moves) {
        ASSERT_EQ(where.ptr, record);
        ASSERT_STREQ(where.what, "damaged heap record");
        ASSERT_EQ(walk_status(), RF_ERR_CORRUPT);
        ASSERT_EQ(h.stats().capacity, 0U);
      }
      record[i] = static_cast<unsigned char>(record[i] ^ change);
    }
  }
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  EXPECT_TRUE(recorder.faults().empty()) << "none of these raises a fault";
}

TEST_P(Damage, ToTheWholeRecordIsTold) {
  rf_simple const sound = h.heap;
  for (int const fill : {0x00, 0x01, 0x41, 0x7F, 0xCC, 0xFF}) {
    for (size_t from = sizeof sound.base; from < sizeof sound; from++) {
      std::memset(bytes(&h.heap) + from, fill, sizeof sound - from);
      ASSERT_EQ(rf_check(h.a, nullptr), RF_ERR_CORRUPT) << fill << " from " << from;
      ASSERT_EQ(walk_status(), RF_ERR_CORRUPT);
      ASSERT_EQ(h.stats().capacity, 0U);
      h.heap = sound;
    }
  }
}

TEST_P(Damage, OfTheRecordIsForgottenByItsEnd) {
  std::memset(&h.heap.start, 0xFF, sizeof h.heap - offsetof(rf_simple, start));
  rf_deinit(h.a);
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  EXPECT_EQ(rf_alloc(h.a, 1), nullptr);
}

TEST_P(Damage, OfWhichTwoPartsCancelIsFoundInTheSums) {
  // The lowest bit says that the block is used; the same bit of the check byte hides the change.
  unsigned char *const first = bytes(payloads[0]) - h.heap.header;
  unsigned char *const check = bytes(payloads[0]) - 1;
  first[0] ^= 1;
  *check ^= 1;
  EXPECT_EQ(rf_check(h.a, nullptr), RF_ERR_CORRUPT);
  first[0] ^= 1;
  *check ^= 1;
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
}

TEST_P(Damage, OutsideHeadersIsNone) {
  for (void *const payload : payloads) {
    size_t const usable = rf_usable_size(h.a, payload);
    std::memset(payload, 0xA5, usable == 0 ? 30 : usable); // free blocks hold nothing that matters
  }
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  try_everything();
}

TEST_P(Damage, IsSaidToWhoeverMeetsIt) {
  *(bytes(payloads[0]) - 1) ^= 1;
  EXPECT_EQ(rf_free(h.a, blocks[3]), RF_ERR_CORRUPT);
  ASSERT_EQ(recorder.faults().size(), 1U);
  EXPECT_STREQ(recorder.faults()[0].what, "damaged block header");
  EXPECT_EQ(recorder.faults()[0].ptr, bytes(payloads[0]) - h.heap.header);
  EXPECT_EQ(rf_walk(
                h.a, [](const rf_block *, void *) { return true; }, nullptr),
            RF_ERR_CORRUPT);
}

TEST_P(Damage, ACopiedHeaderIsNotBelieved) {
  unsigned char *const p = bytes(blocks[3]);
  size_t const usable = rf_usable_size(h.a, p);
  for (size_t at = h.heap.header; at < usable; at++) {
    std::memcpy(p + at - h.heap.header, p - h.heap.header, h.heap.header);
    EXPECT_EQ(rf_free(h.a, p + at), RF_ERR_BAD_POINTER) << at;
  }
  // Nor where another block's belongs.
  unsigned char *const other = bytes(blocks[5]);
  std::memcpy(other - h.heap.header, p - h.heap.header, h.heap.header);
  EXPECT_EQ(rf_check(h.a, nullptr), RF_ERR_CORRUPT);
}

INSTANTIATE_TEST_SUITE_P(Simple, Damage, testing::Values(1000, 100000, 6000000));

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

} // namespace
