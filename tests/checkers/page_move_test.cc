// Blocks on pages whose memory is moved from freed blocks to the next ones: nothing that is not a block's may be
// touched.
#include "tests/checkers/page_move_fixture.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace ringfence {
namespace {

#if defined(__linux__)

// The memory of the block that is freed goes where the one that has waited longest was, and all others stay closed.
TEST_F(PageMove, RunsComeRoundInTheOrderOfTheirFreesOnceTheQuarantineIsFull) {
  size_t const waiting = 32;
  store_->options.quarantine = waiting * (1 + rf_page_gap(1)) * rf_page_size();
  std::vector<unsigned char *> kept;
  std::vector<unsigned char *> freed;
  for (size_t i = 0; i < 8 * waiting; i++) {
    if (i % waiting == 0) {
      kept.push_back(live());
    }
    unsigned char *const p = alloc(50);
    if (i > 2 * waiting && i % waiting != 0) { // where one was kept, the next lies in a new run
      EXPECT_EQ(std::count(freed.end() - static_cast<ptrdiff_t>(waiting - 1), freed.end(), p), 0) << i;
      EXPECT_EQ(std::count(freed.end() - static_cast<ptrdiff_t>(waiting + 2), freed.end(), p), 1) << i;
    }
    EXPECT_EQ(free(p), RF_OK);
    freed.push_back(p);
  }
  EXPECT_TRUE(ready_is_counted());
  EXPECT_LE(store_->quarantined, store_->options.quarantine);
  for (size_t i = 1; i < waiting; i++) {
    EXPECT_EQ(touch(freed[freed.size() - i]), RF_BUG_USE_AFTER_FREE) << i;
  }
  for (unsigned char *const p : kept) {
    EXPECT_EQ(touch(p), RF_BUG_COUNT);
    EXPECT_EQ(free(p), RF_OK);
  }
}

TEST_F(PageMove, TheQuarantineHoldsAllThatItMay) {
  store_->options.quarantine = 3 * (1 + rf_page_gap(1)) * rf_page_size();
  unsigned char *const blocks[] = {alloc(50), alloc(50), alloc(50), alloc(50)};
  for (unsigned i = 0; i < 3; i++) {
    EXPECT_EQ(free(blocks[i]), RF_OK);
    EXPECT_TRUE(rf_page_store_is_freed(store_, blocks[0])) << i;
  }
  EXPECT_EQ(free(blocks[3]), RF_OK);
  EXPECT_FALSE(rf_page_store_is_freed(store_, blocks[0]));
  EXPECT_TRUE(rf_page_store_is_freed(store_, blocks[1]));
}

#endif

TEST_F(PageMove, FreedMemoryIsClosedAndServesAgain) {
  unsigned char *const a = live();
  ASSERT_TRUE(is_moving());
  for (int i = 0; i < 1000; i++) {
    unsigned char *const p = alloc(static_cast<size_t>(1 + i % 4095));
    ASSERT_NE(p, nullptr);
    ASSERT_EQ(p[0], RF_PATTERN_NEW);
    memset(p, i, static_cast<size_t>(1 + i % 4095));
    ASSERT_EQ(free(p), RF_OK) << "slack is as it should be";
    ASSERT_EQ(touch(p), RF_BUG_USE_AFTER_FREE);
  }
  EXPECT_EQ(a[0], 1);
  EXPECT_EQ(store_->ready_count, 1U) << "the same memory, again and again";
}

TEST_F(PageMove, FreedMemoryServesMoreBlocksThanAreReady) {
  store_->options.quarantine = 16 * rf_page_size(); // so that runs are taken again
  for (size_t const count : {5, 50, 10, 200, 20, 400}) {
    std::vector<unsigned char *> blocks;
    for (size_t i = 0; i < count; i++) {
      blocks.push_back(alloc(1 + i % 4095));
      ASSERT_NE(blocks.back(), nullptr);
      memset(blocks.back(), 7, 1 + i % 4095);
    }
    for (unsigned char *const p : blocks) {
      ASSERT_EQ(free(p), RF_OK) << "slack is as it should be";
    }
  }
}

TEST_F(PageMove, ZeroedBlocksAreZeroed) {
  unsigned char *const p = live();
  ASSERT_EQ(free(p), RF_OK);
  unsigned char *const q = alloc(4095, true);
  for (size_t i = 0; i < 4095; i++) {
    ASSERT_EQ(q[i], 0) << i;
  }
  EXPECT_EQ(free(q), RF_OK);
}

TEST_F(PageMove, WritesIntoSlackAreFound) {
  (void)freed();
  unsigned char *const p = alloc(100);
  p[-1] = 7;
  EXPECT_EQ(free(p), RF_OK);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_STREQ(rf_bug_name(found[0].bug), rf_bug_name(RF_BUG_BUFFER_UNDERFLOW));
  for (unsigned i = 0; i < found[0].window_size; i++) {
    uintptr_t const in_block = found[0].window_address + i - reinterpret_cast<uintptr_t>(p); // or far from it
    EXPECT_EQ(found[0].window_class[i], in_block < 100            ? RF_BYTE_USER
                                        : in_block == UINTPTR_MAX ? RF_BYTE_BAD
                                                                  : RF_BYTE_GUARD)
        << i;
  }
  EXPECT_GT(found[0].window_size, 16U);
  unsigned char *const q = alloc(10);
  EXPECT_EQ(free(q), RF_OK) << "the memory has been put in order";
}

TEST_F(PageMove, AfterAPeakTheMemoryIsGivenBack) {
  std::vector<unsigned char *> blocks;
  for (unsigned i = 0; i < 4 * RF_PAGE_READY; i++) {
    blocks.push_back(live());
  }
  for (unsigned char *const p : blocks) {
    ASSERT_EQ(free(p), RF_OK);
  }
  EXPECT_EQ(store_->ready_count, RF_PAGE_READY);
  for (unsigned char *const p : blocks) {
    ASSERT_EQ(touch(p), RF_BUG_USE_AFTER_FREE);
  }
}

TEST_F(PageMove, BlocksThatFillAPageLieElsewhere) {
  unsigned char *const p = alloc(page_size());
  EXPECT_FALSE(is_moving());
  memset(p, 1, page_size());
  ASSERT_EQ(madvise(p, page_size(), MADV_DONTNEED), 0);
  EXPECT_EQ(p[0], 0);
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_FALSE(is_moving());
}

TEST_F(PageMove, TheSystemIsRefusedToo) {
  unsigned char *const p = freed();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(write(ends[1], p, 1), -1);
  EXPECT_EQ(errno, EFAULT);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(PageMove, ALockedBlockIsClosedWhenItIsFreed) {
  unsigned char *const p = live();
  ASSERT_EQ(mlock(p, 100), 0);
  ASSERT_EQ(free(p), RF_OK);
  EXPECT_EQ(touch(p), RF_BUG_USE_AFTER_FREE);
  EXPECT_TRUE(is_moving());
}

TEST_F(PageMove, AChildHasAllOfIt) {
  unsigned char *const a = live();
  unsigned char *const b = freed();
  (void)freed();
  EXPECT_EQ(status_of([&] { return is_moving() && stands(a, b) && is_moving(); }), 0);
  EXPECT_TRUE(stands(a, b));
  EXPECT_TRUE(is_moving());
}

} // namespace
} // namespace ringfence
