// Damage to blocks of the drop-in's heap: each is told to the byte, of the right block, and mended.
#include "tests/dropin/heap_fixture.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/heap.h"
#include "checkers/dropin/heap/walk.h"
#include "checkers/shared/pattern.h"
}
#undef _Static_assert

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

namespace ringfence {
namespace {

const size_t kAligns[] = {16, 64, 4096};
const char *const kAfter = "guard bytes after the block were overwritten";
const char *const kBefore = "guard bytes before the block were overwritten";
const char *const kBetween = "all guard bytes between two blocks were overwritten: an overflow of the lower one or an "
                             "underflow of the upper one";
const char *const kFill = "the fill of a freed block was overwritten";

TEST_F(DropinHeap, TellsOverflowsToTheByte) {
  for (size_t const size : kSizes) {
    for (size_t const align : kAligns) {
      for (size_t const by : {0, 1, 7, 15}) {
        SCOPED_TRACE(testing::Message() << size << " at " << align << " by " << by);
        unsigned char *const p = make(size, align);
        p[size + by] = 'x';
        EXPECT_EQ(rf_heap_as_allocator_sweep(), 1U);
        // One guard lies between two blocks: the last bytes are nearer to the next one, where there is one.
        expect_one(RF_BUG_BUFFER_OVERFLOW, p, size, static_cast<ptrdiff_t>(size + by), 1, kAfter);
        expect_mended();
        rf_free(heap_, p);
      }
    }
  }
}

TEST_F(DropinHeap, TellsUnderflowsToTheByte) {
  for (size_t const size : kSizes) {
    for (size_t const align : kAligns) {
      for (size_t const by : {1, 2, 7}) {
        SCOPED_TRACE(testing::Message() << size << " at " << align << " by " << by);
        unsigned char *const before = make(size, align);
        unsigned char *const p = make(size, align);
        unsigned char *const upper = before < p ? p : before;
        memset(upper - by, 'x', by);
        rf_free(heap_, upper);
        expect_one(RF_BUG_BUFFER_UNDERFLOW, upper, size, -static_cast<ptrdiff_t>(by), by, kBefore);
        expect_mended();
        rf_free(heap_, upper == p ? before : p);
      }
    }
  }
}

// The bytes before the first block of a span, and before one behind slots that are none so far, are no other block's.
TEST_F(DropinHeap, ASweepTellsUnderflowsOfEachBlock) {
  for (size_t const size : {13, 300, 5000}) {
    std::vector<unsigned char *> blocks;
    for (int i = 0; i < 20; i++) {
      blocks.push_back(make(size));
      for (unsigned char *const p : blocks) {
        SCOPED_TRACE(testing::Message() << size << ", block " << i);
        p[-2] = 'x';
        EXPECT_EQ(rf_heap_as_allocator_sweep(), 1U);
        EXPECT_EQ(recorder_.take().size(), 1U);
      }
    }
  }
}

// If the payload's bytes are those of a guard, only the place of the block tells the two apart.
TEST_F(DropinHeap, TellsDamageBesideAPayloadThatLooksLikeAGuard) {
  for (size_t const size : {40, 5000, 100000}) {
    for (size_t const align : kAligns) {
      SCOPED_TRACE(testing::Message() << size << " at " << align);
      unsigned char *const p = make(size, align);
      memset(p, RF_PATTERN_REDZONE, size);
      EXPECT_EQ(rf_heap_as_allocator_sweep(), 0U);
      p[size] = 'x';
      EXPECT_EQ(rf_heap_as_allocator_sweep(), 1U);
      expect_one(RF_BUG_BUFFER_OVERFLOW, p, size, static_cast<ptrdiff_t>(size), 1, kAfter);
      rf_free(heap_, p);
    }
  }
  unsigned char *p;
  rf_view v;
  do {
    p = make(100, 64);
    ASSERT_TRUE(rf_heap_live(p, &v));
  } while (v.begin == p);
  memset(p, RF_PATTERN_REDZONE, 100);
  p[-1] = 'x';
  EXPECT_EQ(rf_heap_as_allocator_sweep(), 1U);
  expect_one(RF_BUG_BUFFER_UNDERFLOW, p, 100, -1, 1, kBefore);
}

// All of the guard between two blocks is overwritten: the bytes on either side tell which of them was left.
TEST_F(DropinHeap, TellsFromWhichSideAWholeGuardWasOverwritten) {
  for (size_t const size : {13, 40, 100, 300}) {
    SCOPED_TRACE(size);
    std::vector<unsigned char *> blocks = make_sorted(64, size); // so many that two lie side by side
    auto const pair =
        std::adjacent_find(blocks.begin(), blocks.end(), [&](const unsigned char *a, const unsigned char *b) {
          return static_cast<size_t>(b - a) < size + 64;
        });
    ASSERT_NE(pair, blocks.end());
    unsigned char *const lower = pair[0];
    unsigned char *const upper = pair[1];
    auto const guard = static_cast<size_t>(upper - lower) - size;
    memset(upper - guard - 1, 'x', guard + 1);
    rf_free(heap_, upper);
    expect_one(RF_BUG_BUFFER_UNDERFLOW, upper, size, -static_cast<ptrdiff_t>(guard), guard, kBetween);
    expect_mended();
    memset(lower + size, 'y', guard);
    rf_free(heap_, lower);
    expect_one(RF_BUG_BUFFER_OVERFLOW, lower, size, static_cast<ptrdiff_t>(size), guard, kBetween);
    expect_mended();
    blocks.erase(pair, pair + 2);
    for (unsigned char *const p : blocks) {
      rf_free(heap_, p);
    }
  }
}

TEST_F(DropinHeap, TellsWritesAfterFree) {
  for (size_t const size : kSizes) {
    for (size_t const at : {size_t{0}, size / 2, size - 1}) {
      if (at >= size || at >= options_.fill_free) {
        continue;
      }
      SCOPED_TRACE(testing::Message() << size << " at " << at);
      unsigned char *const p = make(size);
      rf_free(heap_, p);
      p[at] = 'x';
      EXPECT_EQ(rf_heap_as_allocator_sweep(), 1U);
      expect_one(RF_BUG_USE_AFTER_FREE, p, size, static_cast<ptrdiff_t>(at), 1, kFill);
      expect_mended();
    }
  }
}

// Whether the bytes there are fill or guard: that depends on the slot, and no finding does.
TEST_F(DropinHeap, TellsWritesBehindAFreedBlockByTheirDistance) {
  for (size_t const size : {17, 100, 300, 1000}) {
    unsigned char *const p = make(size);
    rf_free(heap_, p);
    for (size_t at = size; at < size + 16; at++) {
      SCOPED_TRACE(testing::Message() << size << " at " << at);
      p[at] ^= 1;
      EXPECT_EQ(rf_heap_as_allocator_sweep(), 1U);
      std::vector<rf_finding> const found = recorder_.take();
      ASSERT_EQ(found.size(), 1U);
      EXPECT_EQ(found[0].address, reinterpret_cast<uintptr_t>(p + at));
      EXPECT_EQ(found[0].access_size, 1U);
      if (found[0].bug == RF_BUG_BUFFER_OVERFLOW) {
        EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(p));
      } else { // nearer to the block behind
        EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_UNDERFLOW);
      }
      expect_mended();
    }
  }
}

TEST_F(DropinHeap, TellsAWriteAfterFreeThatRunsOnIntoTheGuardOnce) {
  for (size_t const size : {17, 64, 100, 240}) {
    SCOPED_TRACE(size);
    unsigned char *const p = make(size);
    rf_free(heap_, p);
    memset(p + size - 9, 'x', 15);
    EXPECT_EQ(rf_heap_as_allocator_sweep(), 1U);
    expect_one(RF_BUG_USE_AFTER_FREE, p, size, static_cast<ptrdiff_t>(size - 9), 15, kFill);
    expect_mended();
  }
}

// Far before the block, in the gap that its alignment leaves.
TEST_F(DropinHeap, ShowsTheBytesAroundAnUnderflowFromItsRowOn) {
  unsigned char *const p = make(100, 4096);
  for (size_t const before : {1, 17, 40}) {
    p[-static_cast<ptrdiff_t>(before)] = 'x';
    EXPECT_EQ(rf_heap_as_allocator_sweep(), 1U);
    std::vector<rf_finding> const found = recorder_.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].offset, -static_cast<ptrdiff_t>(before));
    EXPECT_EQ(found[0].window_address, found[0].address & ~uintptr_t{15});
    expect_mended();
  }
}

TEST_F(DropinHeap, FindsAWriteAfterFreeWhenTheMemoryIsToServeAgain) {
  unsigned char *const p = make(40);
  rf_free(heap_, p);
  p[5] = 'x';
  for (int i = 0; i < 100000 && recorder_.count() == 0; i++) {
    rf_free(heap_, make(40));
  }
  expect_one(RF_BUG_USE_AFTER_FREE, p, 40, 5, 1, kFill);
}

// Without a quarantine the next block of its size.
TEST_F(DropinHeap, FindsAWriteAfterFreeWhenALargeBlocksMemoryIsToServeAgain) {
  options_.quarantine = 0;
  heap_ = rf_heap_as_allocator(&options_);
  unsigned char *const p = make(200000);
  rf_free(heap_, p);
  p[5] = 'x';
  unsigned char *const again = make(200000);
  EXPECT_EQ(again, p);
  expect_one(RF_BUG_USE_AFTER_FREE, p, 200000, 5, 1, kFill);
  rf_free(heap_, again);
  expect_mended();
}

// An overflow that ran over several blocks, live and freed ones, is one finding.
TEST_F(DropinHeap, TellsALongOverflowOnce) {
  std::vector<unsigned char *> blocks;
  for (int i = 0; i < 200; i++) {
    blocks.push_back(make(64));
  }
  for (size_t i = 1; i < blocks.size(); i += 2) {
    rf_free(heap_, blocks[i]);
  }
  unsigned char *const first = blocks[100];
  memset(first + 64, 'x', 400);
  EXPECT_EQ(rf_heap_as_allocator_sweep(), 1U);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(first));
  expect_mended();
}

// It ends in the guard bytes behind a live block, whose own overflow that is not: whichever block is looked at first.
TEST_F(DropinHeap, TellsAnOverflowThatEndsBehindTheNextLiveBlockOnce) {
  for (size_t const size : {13, 40, 64, 300}) {
    for (size_t const over : {1, 2, 3}) { // live blocks that it runs over
      for (bool const upper_first : {false, true}) {
        SCOPED_TRACE(testing::Message() << size << ", over " << over << (upper_first ? ", from above" : ""));
        std::vector<unsigned char *> const blocks = make_sorted(200, size);
        ptrdiff_t const slot = blocks[101] - blocks[100];
        size_t at = 100;
        while (blocks[at + over] - blocks[at] != slot * static_cast<ptrdiff_t>(over)) {
          at++;
          ASSERT_LT(at + over, blocks.size());
        }
        unsigned char *const lower = blocks[at];
        unsigned char *const last = blocks[at + over];
        for (unsigned char *p = lower + size; p < last + size + 3; p++) {
          *p = static_cast<unsigned char>('a' + (p - lower) % 23);
        }
        rf_free(heap_, upper_first ? last : lower);
        EXPECT_EQ(rf_heap_as_allocator_sweep(), 0U);
        std::vector<rf_finding> const found = recorder_.take();
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_OVERFLOW);
        EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(lower));
        expect_mended();
        for (unsigned char *const p : blocks) {
          if (p != (upper_first ? last : lower)) {
            rf_free(heap_, p);
          }
        }
      }
    }
  }
}

// Two overflows that do not touch are two findings, also of neighbours.
TEST_F(DropinHeap, TellsOverflowsOfLiveNeighboursApart) {
  std::vector<unsigned char *> const blocks = make_sorted(200, 40);
  blocks[100][40] = 'x';
  blocks[101][40] = 'y';
  EXPECT_EQ(rf_heap_as_allocator_sweep(), 2U);
  EXPECT_EQ(recorder_.take().size(), 2U);
  expect_mended();
}

// Large blocks of 64 KiB with what is around them touch: an overflow runs on into the guard bytes before the next one,
// which may be looked at first.
TEST_F(DropinHeap, TellsAnOverflowThatRunsOnIntoTheNextSpan) {
  constexpr size_t kSize = 62536;
  std::vector<unsigned char *> const blocks = make_sorted(16, kSize);
  size_t tried = 0;
  for (size_t i = 0; i + 1 < blocks.size(); i++) {
    unsigned char *const lower = blocks[i];
    unsigned char *const upper = blocks[i + 1];
    if (upper - lower != 65536) {
      continue;
    }
    tried++;
    memset(lower + kSize, 'x', 3000);
    rf_free(heap_, upper);
    expect_one(RF_BUG_BUFFER_OVERFLOW, lower, kSize, kSize, 65536 - 64 - kSize,
               "guard bytes after the block were overwritten");
    expect_mended();
    rf_free(heap_, lower);
    expect_mended();
    i++;
  }
  EXPECT_NE(tried, 0U);
}

// The same from the last small block of a span.
TEST_F(DropinHeap, TellsAnOverflowOfTheLastSlotThatRunsOnIntoTheNextSpan) {
  constexpr size_t kSize = 1000;
  constexpr uintptr_t kUnit = 65536;
  std::vector<unsigned char *> const blocks = make_sorted(1500, kSize);
  size_t tried = 0;
  for (size_t i = 0; i + 1 < blocks.size(); i++) {
    unsigned char *const lower = blocks[i];
    unsigned char *const upper = blocks[i + 1];
    if (reinterpret_cast<uintptr_t>(upper) % kUnit != 64 || upper - lower > 3000 || upper - lower < 1064 + 16) {
      continue; // which is no border of spans
    }
    tried++;
    memset(lower + kSize, 'x', static_cast<size_t>(upper - lower) - kSize);
    rf_free(heap_, upper);
    std::vector<rf_finding> const found = recorder_.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_OVERFLOW);
    EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(lower));
    expect_mended();
    rf_free(heap_, lower);
    expect_mended();
  }
  EXPECT_NE(tried, 0U);
}

// To it, and on into the guard of the last block there, whichever of the two is looked at first.
TEST_F(DropinHeap, TellsAnUnderflowUpToTheSpanBelowAndIntoIt) {
  constexpr size_t kSize = 62536;
  std::vector<unsigned char *> const blocks = make_sorted(16, kSize);
  size_t tried = 0;
  for (size_t i = 1; i < blocks.size(); i++) {
    if (blocks[i] - blocks[i - 1] != 65536) {
      continue;
    }
    for (size_t const by : {64, 65, 80, 64 + 2935}) {
      tried++;
      memset(blocks[i] - by, 'x', by);
      EXPECT_EQ(rf_heap_as_allocator_sweep(), 1U);
      expect_one(RF_BUG_BUFFER_UNDERFLOW, blocks[i], kSize, -static_cast<ptrdiff_t>(by), by,
                 "guard bytes before the block were overwritten");
      expect_mended();
    }
    memset(blocks[i] - 80, 'x', 80);
    rf_free(heap_, blocks[i]);
    expect_one(RF_BUG_BUFFER_UNDERFLOW, blocks[i], kSize, -80, 80, "guard bytes before the block were overwritten");
    expect_mended();
    i++;
  }
  EXPECT_NE(tried, 0U);
}

// Bytes beside the border that nobody ran over on the way from or to a block.
TEST_F(DropinHeap, TellsDamageThatEndsWithinTheGuardAboveOfBothBlocks) {
  constexpr size_t kSize = 62536;
  std::vector<unsigned char *> const blocks = make_sorted(16, kSize);
  size_t tried = 0;
  for (size_t i = 1; i < blocks.size(); i++) {
    if (blocks[i] - blocks[i - 1] == 65536) {
      tried++;
      memset(blocks[i] - 80, 'x', 79);
      EXPECT_EQ(rf_heap_as_allocator_sweep(), 2U);
      std::vector<rf_finding> const found = recorder_.take();
      ASSERT_EQ(found.size(), 2U);
      EXPECT_NE(found[0].bug, found[1].bug);
      expect_mended();
    }
  }
  EXPECT_NE(tried, 0U);
}

// The write over the upper block's end begins behind that: it is not what came from the freed block.
TEST_F(DropinHeap, TellsAnUnderflowIntoAFreedBlockOfOneThatHasAnOverflowToo) {
  std::vector<unsigned char *> const blocks = make_sorted(200, 64);
  unsigned char *const lower = blocks[100];
  unsigned char *const upper = blocks[101];
  rf_free(heap_, lower);
  memset(upper - 20, 'x', 20);
  upper[64 + 3] = 'x';
  EXPECT_EQ(rf_heap_as_allocator_sweep(), 2U);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_UNDERFLOW);
  EXPECT_EQ(found[1].bug, RF_BUG_BUFFER_OVERFLOW);
  for (const rf_finding &f : found) {
    EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(upper));
  }
  expect_mended();
}

// One does not run on into the other.
TEST_F(DropinHeap, TellsWritesToFreedNeighboursApart) {
  std::vector<unsigned char *> const blocks = make_sorted(200, 64);
  unsigned char *const lower = blocks[100];
  unsigned char *const upper = blocks[101];
  rf_free(heap_, lower);
  rf_free(heap_, upper);
  lower[20] = 'x';
  upper[0] = 'x';
  EXPECT_EQ(rf_heap_as_allocator_sweep(), 2U);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(lower));
  EXPECT_EQ(found[1].block, reinterpret_cast<uintptr_t>(upper));
  expect_mended();
}

} // namespace
} // namespace ringfence
