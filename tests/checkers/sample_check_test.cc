// Checks of sampled blocks, and of the heap below: they answer, and report nothing.
#include "tests/checkers/sample_fixture.h"
#include "tests/core/unwatched.h"

#include <cstddef>
#include <vector>

namespace ringfence {
namespace {

using SampleCheck = Sample;

// A byte of the slack, and the offset that it has in the block.
std::ptrdiff_t slack_of(const unsigned char *p, size_t size, rf_page_side side) {
  return static_cast<std::ptrdiff_t>(side == RF_PAGE_LEFT ? size : 0 - past_page(p));
}

// Refused calls leave the block what it was, and its stand-in with it; who ends the sample gives back all there are.
TEST_F(SampleCheck, TheHeapBelowHasEachStandInBackThoughCallsWereRefused) {
  rf_allocator *const below = heap_.allocator();
  void *const p = rf_alloc(a(), 100);
  void *const behind = rf_alloc(a(), 100);
  ASSERT_TRUE(p != nullptr && behind != nullptr);
  EXPECT_EQ(used_blocks(below).size(), 2U);
  EXPECT_EQ(rf_realloc_at(a(), p, arena_.size(), RF_ALIGN_DEFAULT, nullptr), nullptr);
  EXPECT_EQ(rf_usable_size(a(), p), 100U);
  EXPECT_EQ(rf_resize_at(a(), p, 2000, nullptr), RF_ERR_NO_MEMORY) << "the other's stand-in is in the way";
  EXPECT_EQ(rf_usable_size(a(), p), 100U);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_EQ(used_blocks(below).size(), 1U);
  end();
  EXPECT_TRUE(used_blocks(below).empty());
}

TEST_F(SampleCheck, ACheckNamesTheOverwrittenSlackOfASampledBlockAndReportsNothing) {
  static const rf_site kSite = {"demo.c", "main", 6};
  for (rf_page_side const side : {RF_PAGE_LEFT, RF_PAGE_RIGHT}) {
    options_.side = side;
    start(1);
    void *const before = rf_alloc(a(), 50);
    auto *const p = bytes(rf_alloc_at(a(), 24, 1, &kSite));
    ASSERT_NE(p, nullptr);
    std::ptrdiff_t const offset = slack_of(p, 24, side);
    rf_fault where = {};
    EXPECT_EQ(rf_check(a(), &where), RF_OK);
    unsigned char const was = peek(p + offset);
    poke(p + offset, 0x42);
    for (unsigned i = 0; i < 2; i++) {
      where = {};
      EXPECT_EQ(rf_check(a(), &where), RF_ERR_CORRUPT);
      EXPECT_EQ(where.status, RF_ERR_CORRUPT);
      EXPECT_STREQ(where.what, offset < 0 ? "slack bytes before the block were overwritten"
                                          : "slack bytes after the block were overwritten");
      EXPECT_EQ(where.allocator, a());
      EXPECT_EQ(where.ptr, p + offset);
      EXPECT_EQ(where.site, &kSite);
      EXPECT_EQ(rf_check(a(), nullptr), RF_ERR_CORRUPT);
    }
    EXPECT_EQ(recorder_.count(), 0U) << "a check answers, a sweep reports";
    poke(p + offset, was);
    EXPECT_EQ(rf_check(a(), &where), RF_OK);
    poke(p + offset, 0x42);
    EXPECT_EQ(rf_sample_sweep(&sample_), 1U);
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, offset < 0 ? RF_BUG_BUFFER_UNDERFLOW : RF_BUG_BUFFER_OVERFLOW);
    EXPECT_EQ(f.offset, offset);
    EXPECT_EQ(rf_check(a(), &where), RF_OK) << "it was reported";
    EXPECT_EQ(rf_free(a(), p), RF_OK);
    EXPECT_EQ(rf_free(a(), before), RF_OK);
  }
}

TEST_F(SampleCheck, ACheckAnswersWhatTheHeapBelowDoes) {
  Unwatched const unwatched(arena_.data(), arena_.size());
  start(1 << 20);
  auto *const p = bytes(rf_alloc(a(), 100));
  ASSERT_FALSE(rf_sample_has(&sample_, p));
  rf_fault where = {};
  rf_fault below = {};
  EXPECT_EQ(rf_check(a(), &where), RF_OK);
  poke(p - 1, peek(p - 1) ^ 0x40); // of the heap's own data before the block
  EXPECT_EQ(rf_check(heap_.allocator(), &below), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_check(a(), &where), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_check(a(), nullptr), RF_ERR_CORRUPT);
  EXPECT_EQ(where.allocator, heap_.allocator());
  EXPECT_STREQ(where.what, below.what);
  EXPECT_EQ(where.ptr, below.ptr);
  EXPECT_EQ(rf_sample_sweep(&sample_), 0U) << "which looks at sampled blocks";
  EXPECT_EQ(recorder_.count(), 0U);
  poke(p - 1, peek(p - 1) ^ 0x40);
  EXPECT_EQ(rf_check(a(), &where), RF_OK);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_F(SampleCheck, ACheckNamesTheSampledBlockFirstAndThenTheHeapBelow) {
  Unwatched const unwatched(arena_.data(), arena_.size());
  options_.side = RF_PAGE_LEFT;
  start(1);
  auto *const p = bytes(rf_alloc(a(), 24));
  std::vector<void *> stands = used_blocks(heap_.allocator());
  ASSERT_EQ(stands.size(), 1U);
  unsigned char *const header = bytes(stands[0]) - 1;
  poke(p + 24, 0x42);
  poke(header, peek(header) ^ 0x40);
  rf_fault where = {};
  EXPECT_EQ(rf_check(a(), &where), RF_ERR_CORRUPT);
  EXPECT_EQ(where.allocator, a());
  EXPECT_EQ(where.ptr, p + 24);
  EXPECT_EQ(rf_sample_sweep(&sample_), 1U);
  EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(rf_check(a(), &where), RF_ERR_CORRUPT);
  EXPECT_EQ(where.allocator, heap_.allocator());
  poke(header, peek(header) ^ 0x40);
  EXPECT_EQ(rf_check(a(), &where), RF_OK);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

} // namespace
} // namespace ringfence
