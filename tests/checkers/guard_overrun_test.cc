// Overflows that run on: into the header of the next block, over several blocks, into the data of the inner allocator.
// The block that was overrun is named.
#include "tests/checkers/guard_damage_fixture.h"

#include <algorithm>
#include <string>

#define _Static_assert static_assert
extern "C" {
#include "checkers/guard/guard_impl.h"
}
#undef _Static_assert

namespace ringfence {
namespace {

// Blocks that lie one after the other in memory, so that an overflow of the first reaches the second.
class GuardOverrun : public GuardDamage {
protected:
  // A write beyond a block of the allocator below would be stopped there.
  Unwatched unwatched_{arena_.data(), arena_.size()};

  std::vector<unsigned char *> row(size_t count, size_t size) {
    std::vector<unsigned char *> blocks;
    for (size_t i = 0; i < count; i++) {
      blocks.push_back(bytes(rf_alloc(a(), size)));
    }
    std::sort(blocks.begin(), blocks.end());
    return blocks;
  }

  // The first finding names the overflow; whatever else was overwritten is metadata, of guard or of the heap.
  void expect_overflow_of(const unsigned char *p, size_t size) {
    std::vector<rf_finding> const found = take();
    ASSERT_GE(found.size(), 1U);
    EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_OVERFLOW);
    EXPECT_TRUE(names_block(found[0], p));
    EXPECT_EQ(found[0].size, size);
    EXPECT_EQ(found[0].offset, static_cast<ptrdiff_t>(size));
    ASSERT_NE(found[0].detail, nullptr);
    EXPECT_NE(std::string(found[0].detail).find("metadata of the next block"), std::string::npos) << found[0].detail;
    for (size_t i = 1; i < found.size(); i++) {
      EXPECT_EQ(found[i].bug, RF_BUG_METADATA) << i;
    }
  }
};

TEST_P(GuardOverrun, AnOverflowIntoTheNextHeaderIsAnOverflowOfTheBlockBefore) {
  std::vector<unsigned char *> const blocks = row(3, 40);
  std::memset(blocks[0] + 40, 0x41, static_cast<size_t>(header(blocks[1]) + kHeader - blocks[0]) - 40);
  rf_free(a(), blocks[0]);
  expect_overflow_of(blocks[0], 40);
  EXPECT_EQ(rf_free(a(), blocks[1]), RF_ERR_CORRUPT); // explained already
  rf_free(a(), blocks[2]);
  for (const rf_finding &f : take()) {
    EXPECT_EQ(f.bug, RF_BUG_METADATA);
  }
}

TEST_P(GuardOverrun, TheBlockBeforeAnAddressIsTheNearestThatEndsThere) {
  std::vector<unsigned char *> const blocks = row(3, 40);
  for (size_t i = 1; i < 3; i++) {
    rf_guard_header *const before = rf_guard_block_before(&guard_, header(blocks[i]));
    EXPECT_EQ(reinterpret_cast<unsigned char *>(before), header(blocks[i - 1])) << i;
  }
  EXPECT_EQ(rf_guard_block_before(&guard_, header(blocks[0])), nullptr);
  for (unsigned char *const p : blocks) {
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
}

TEST_P(GuardOverrun, ItIsAlsoToldWhenTheNextBlockIsFreedFirst) {
  std::vector<unsigned char *> const blocks = row(3, 40);
  std::memset(blocks[0] + 40, 0x41, static_cast<size_t>(header(blocks[1]) + kHeader - blocks[0]) - 40);
  EXPECT_EQ(rf_free(a(), blocks[1]), RF_ERR_CORRUPT);
  expect_overflow_of(blocks[0], 40);
}

TEST_P(GuardOverrun, AnOverflowIntoABlockInQuarantineTakesItOut) {
  std::vector<unsigned char *> const blocks = row(4, 40);
  rf_free(a(), blocks[1]); // the oldest in quarantine
  std::memset(blocks[0] + 40, 0x41, static_cast<size_t>(header(blocks[1]) + kHeader - blocks[0]) - 40);
  rf_free(a(), blocks[0]);
  expect_overflow_of(blocks[0], 40);
  rf_guard_flush(&guard_, 0);
  EXPECT_EQ(guard_.quarantined, 0U);
  for (const rf_guard_queue &q : guard_.queues) {
    EXPECT_EQ(q.oldest, nullptr);
    EXPECT_EQ(q.newest, nullptr);
  }
  EXPECT_EQ(recorder_.count(), 0U);
  EXPECT_EQ(rf_free(a(), blocks[1]), RF_ERR_CORRUPT); // explained already
  EXPECT_EQ(rf_free(a(), blocks[2]), RF_OK);
  EXPECT_EQ(rf_free(a(), blocks[2]), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(take_one().bug, RF_BUG_DOUBLE_FREE);
}

TEST_P(GuardOverrun, AnOverflowOverSeveralBlocksIsSurvived) {
  for (size_t const length : {200, 700, 4096, 20000}) {
    std::vector<unsigned char *> const blocks = row(300, 40);
    std::memset(blocks[2] + 40, 0x42, length);
    (void)rf_guard_sweep(&guard_);
    expect_overflow_of(blocks[2], 40);
    for (unsigned char *const p : blocks) {
      (void)rf_free(a(), p);
    }
    for (const rf_finding &f : take()) {
      EXPECT_EQ(f.bug, RF_BUG_METADATA);
    }
    end();
    (void)take();
    heap_.reset();
    heap_ = GetParam().make(arena_.data(), arena_.size());
    make(options_);
  }
}

TEST_P(GuardOverrun, WhereTheInnerHeapMeetsTheDamageFirstTheBlockThatDidItIsNamed) {
  std::vector<unsigned char *> const blocks = row(40, 40);
  std::memset(blocks[2] + 40, 0x41, 200);
  rf_free(a(), blocks[30]); // neither of them near the damage, but for the heap that looks at all of its blocks
  rf_guard_flush(&guard_, 0);
  for (size_t size = 1; size < 3000; size += 100) {
    (void)rf_alloc(a(), size);
  }
  (void)rf_guard_sweep(&guard_);
  std::vector<rf_finding> const found = take();
  ASSERT_GE(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_OVERFLOW) << found[0].detail;
  EXPECT_TRUE(names_block(found[0], blocks[2]));
  EXPECT_EQ(found.size(), 1U) << found.back().detail;
}

// As by the last member of a structure behind the last of an array: beyond the guard bytes, in what the heap keeps
// there.
TEST_P(GuardOverrun, OfDamageInTheInnerHeapTheBlockBeforeItIsTold) {
  void *const farther = rf_alloc(a(), 40);
  unsigned char *const p = bytes(rf_alloc(a(), 40));
  rf_fault where = {};
  size_t at = 40;
  for (; at < 120; at++) {
    p[at] ^= 0x55;
    if (rf_check(a(), &where) == RF_ERR_CORRUPT && where.allocator != a()) {
      break;
    }
    p[at] ^= 0x55;
  }
  if (at == 120 || where.ptr == nullptr) {
    rf_free(a(), p);
    rf_free(a(), farther);
    return; // it keeps nothing there, or does not say where
  }
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_TRUE(names_block(f, p));
  EXPECT_EQ(f.size, 40U);
  p[at] ^= 0x55;
  expect_silence();
  rf_free(a(), p);
  rf_free(a(), farther);
}

INSTANTIATE_TEST_SUITE_P(Over, GuardOverrun, testing::ValuesIn(heaps_in_arena()), heap_name);

} // namespace
} // namespace ringfence
