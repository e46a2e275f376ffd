// Damage to simple's record and headers: found by a check, and never obeyed.
#include "tests/heaps/simple_fixture.h"

#include "tests/core/overwrite.h"
#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"
#include "tests/heaps/support.h"

#include <algorithm>
#include <cstring>

namespace {

using ringfence::testing::FaultRecorder;
using ringfence_test::bytes;
using Heap = ringfence_test::SimpleHeap;

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

// Each header is one that the heap has written, and the figures agree with them.
TEST(SimpleTest, FreeBlocksThatTouchAreFoundByACheck) {
  Unwatched const unwatched;
  Heap h(1024);
  auto *const p = bytes(rf_alloc(h.a, 40));
  auto *const q = bytes(rf_alloc(h.a, 40));
  ASSERT_NE(rf_alloc(h.a, 40), nullptr);
  unsigned char freed[8];
  rf_simple const before = h.heap;
  std::memcpy(freed, q - h.heap.header, h.heap.header);
  EXPECT_EQ(rf_free(h.a, q), RF_OK);
  std::swap_ranges(freed, freed + h.heap.header, q - h.heap.header);
  h.heap = before;
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  EXPECT_EQ(rf_free(h.a, p), RF_OK);
  std::memcpy(q - h.heap.header, freed, h.heap.header);
  h.heap.free_blocks++;
  h.heap.counters.used -= 40;
  h.heap.counters.blocks--;
  rf_fault where;
  EXPECT_EQ(rf_check(h.a, &where), RF_ERR_CORRUPT);
  EXPECT_EQ(where.ptr, q - h.heap.header);
  EXPECT_STREQ(where.what, "two free blocks side by side");
}

TEST(SimpleTest, TheHeaderOfAnEqualBlockIsNotBelieved) {
  Unwatched const unwatched;
  Heap h(1024);
  auto *const p = bytes(rf_alloc(h.a, 40));
  auto *const q = bytes(rf_alloc(h.a, 40));
  unsigned char own[8];
  std::memcpy(own, q - h.heap.header, h.heap.header);
  std::memcpy(q - h.heap.header, p - h.heap.header, h.heap.header);
  EXPECT_EQ(rf_check(h.a, nullptr), RF_ERR_CORRUPT);
  std::memcpy(q - h.heap.header, own, h.heap.header);
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
}

TEST(SimpleTest, PeaksThatCannotBeAreFoundByACheck) {
  Heap h(1024);
  ASSERT_NE(rf_alloc(h.a, 100), nullptr);
  expect_peaks_checked(h.a, &h.heap.counters);
  h.heap.counters.allocations = 0;
  EXPECT_EQ(rf_check(h.a, nullptr), RF_ERR_CORRUPT);
}

// A heap with used and free blocks, and where its headers are.
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
      if (!overwrite(&h.heap, from, fill)) {
        continue;
      }
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

TEST_P(Damage, OfASizeThatOnlyUsedBlocksHaveIsFound) {
  for (void *const payload : payloads) {
    if (rf_usable_size(h.a, payload) != 0) {
      continue;
    }
    unsigned char *const first = bytes(payload) - h.heap.header;
    unsigned char *const check = bytes(payload) - 1;
    first[0] ^= 2; // as of a block of one byte less
    *check ^= 2;
    EXPECT_EQ(rf_check(h.a, nullptr), RF_ERR_CORRUPT);
    first[0] ^= 2;
    *check ^= 2;
  }
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

} // namespace
