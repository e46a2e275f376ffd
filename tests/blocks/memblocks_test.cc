#include <ringfence/memblocks.h>

#include "fault_log.h"

#include <gtest/gtest.h>

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

// ---- Pools that exist before main ----

RF_MEMBLOCKS_DEFINE(defined_pool, 96, 5, 32);
RF_MEMBLOCKS_DEFINE_STATIC(static_pool, 64, 4, 4);
alignas(16) static uint8_t ext_buffer[3 * 48];
RF_MEMBLOCKS_DEFINE_WITH_EXT_BUF(ext_pool, 48, 3, ext_buffer);
RF_MEMBLOCKS_DEFINE_STATIC_WITH_EXT_BUF(static_ext_pool, 8, 3, ext_buffer);

static void *taken_before_main = [] {
  void *block = nullptr;
  (void)rf_memblocks_alloc(&static_pool, 1, &block);
  return block;
}();

TEST(MemblocksDefine, WorksBeforeMain) {
  ASSERT_NE(taken_before_main, nullptr);
  EXPECT_EQ(rf_memblocks_free(&static_pool, 1, &taken_before_main), RF_OK);
}

TEST(MemblocksDefine, AnyMultipleOfTheAlignmentIsABlockSize) {
  void *blocks[5];
  ASSERT_EQ(rf_memblocks_alloc(&defined_pool, 5, blocks), RF_OK);
  for (size_t i = 0; i < 5; i++) {
    EXPECT_EQ(blocks[i], defined_pool.buffer + 96 * i);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(blocks[i]) % 32, 0U);
  }
  EXPECT_EQ(rf_memblocks_free(&defined_pool, 5, blocks), RF_OK);
}

TEST(MemblocksDefine, TakesABufferOfTheCallers) {
  void *blocks[3];
  ASSERT_EQ(rf_memblocks_alloc(&ext_pool, 3, blocks), RF_OK);
  EXPECT_EQ(blocks[0], ext_buffer);
  EXPECT_EQ(blocks[2], ext_buffer + 96);
  EXPECT_EQ(rf_memblocks_free(&ext_pool, 3, blocks), RF_OK);
  ASSERT_EQ(rf_memblocks_alloc(&static_ext_pool, 3, blocks), RF_OK);
  EXPECT_EQ(rf_memblocks_free(&static_ext_pool, 3, blocks), RF_OK);
}

TEST(MemblocksDefine, TheStaticFormWorksInsideAFunction) {
  RF_MEMBLOCKS_DEFINE_STATIC(local, 16, 2, 16);
  void *block = nullptr;
  EXPECT_EQ(rf_memblocks_alloc(&local, 1, &block), RF_OK);
  EXPECT_EQ(rf_memblocks_free(&local, 1, &block), RF_OK);
}

// ---- init ----

// A pool over vectors, faults collected.
class Pool {
public:
  explicit Pool(size_t num_blocks, size_t block_size = 32)
      : buffer_(num_blocks * block_size), bitmap_(RF_MEMBLOCKS_WORDS(num_blocks), ~size_t{0}) {
    EXPECT_EQ(rf_memblocks_init(&blocks, buffer_.data(), block_size, num_blocks, bitmap_.data()), RF_OK);
  }
  ~Pool() { EXPECT_EQ(rf_memblocks_check(&blocks, nullptr), RF_OK); }
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;

  void *at(size_t i) const { return blocks.buffer + i * blocks.block_size; }
  bool is_free(size_t i) { return rf_memblocks_is_region_free(&blocks, at(i), 1); }
  rf_status claim(size_t i, size_t count = 1) { return rf_memblocks_claim(&blocks, at(i), count); }
  rf_stats stats() {
    rf_stats s;
    rf_memblocks_stats(&blocks, &s);
    return s;
  }
  // Which blocks are taken: "110…".
  std::string map() {
    std::string text;
    for (size_t i = 0; i < blocks.num_blocks; i++) {
      text += is_free(i) ? '0' : '1';
    }
    return text;
  }

  rf_memblocks blocks;
  FaultLog faults;

private:
  std::vector<unsigned char> buffer_;
  std::vector<size_t> bitmap_;
};

TEST(MemblocksInit, RefusesWhatCannotBeAPool) {
  rf_memblocks blocks;
  unsigned char buffer[64];
  size_t bitmap[1];
  EXPECT_EQ(rf_memblocks_init(nullptr, buffer, 16, 4, bitmap), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_init(&blocks, nullptr, 16, 4, bitmap), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_init(&blocks, buffer, 16, 4, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_init(&blocks, buffer, 0, 4, bitmap), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_init(&blocks, buffer, 16, 0, bitmap), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_init(&blocks, buffer, SIZE_MAX / 2, 3, bitmap), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_init(&blocks, buffer, SIZE_MAX / 2 + 1, 1, bitmap), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_init(&blocks, buffer, size_t{1} << (RF_SIZE_BITS - 2), 4, bitmap), RF_ERR_INVALID);
}

TEST(MemblocksInit, AfterDeinitEverythingFailsAndASecondDeinitIsHarmless) {
  Pool pool(4);
  void *block = nullptr;
  ASSERT_EQ(rf_memblocks_alloc(&pool.blocks, 1, &block), RF_OK);
  rf_memblocks_deinit(&pool.blocks);
  rf_memblocks_deinit(&pool.blocks);
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 1, &block), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_memblocks_free(&pool.blocks, 1, &block), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, block, 1), RF_ERR_BAD_POINTER);
  EXPECT_FALSE(rf_memblocks_is_region_free(&pool.blocks, block, 1));
}

// ---- alloc ----

TEST(MemblocksAlloc, TakesTheLowestFreeBlocksAdjacentOrNot) {
  Pool pool(8);
  ASSERT_EQ(pool.claim(1, 2), RF_OK);
  ASSERT_EQ(pool.claim(5), RF_OK);
  void *out[4];
  ASSERT_EQ(rf_memblocks_alloc(&pool.blocks, 4, out), RF_OK);
  EXPECT_EQ(out[0], pool.at(0));
  EXPECT_EQ(out[1], pool.at(3));
  EXPECT_EQ(out[2], pool.at(4));
  EXPECT_EQ(out[3], pool.at(6));
  EXPECT_EQ(pool.map(), "11111110");
}

TEST(MemblocksAlloc, IsAllOrNothing) {
  Pool pool(4);
  ASSERT_EQ(pool.claim(2), RF_OK);
  void *out[4];
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 4, out), RF_ERR_NO_MEMORY);
  EXPECT_EQ(pool.map(), "0010");
  EXPECT_EQ(pool.stats().failures, 1U);
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 3, out), RF_OK);
}

TEST(MemblocksAlloc, OfNoneDoesNothingAndSucceeds) {
  Pool pool(2);
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 0, nullptr), RF_OK);
  void *run = &pool;
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 0, &run), RF_OK);
  EXPECT_EQ(run, nullptr);
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, nullptr, 0), RF_OK);
  EXPECT_EQ(rf_memblocks_free(&pool.blocks, 0, nullptr), RF_OK);
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, nullptr, 0), RF_OK);
  EXPECT_EQ(pool.map(), "00");
  EXPECT_TRUE(pool.faults.empty());
}

TEST(MemblocksAlloc, RefusesNullAndCountsThatNoPoolHas) {
  Pool pool(2);
  void *out[2];
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 1, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 1, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 3, out), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, SIZE_MAX, out), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, SIZE_MAX, out), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, pool.at(0), SIZE_MAX), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_free(&pool.blocks, 1, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_free(&pool.blocks, SIZE_MAX, out), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.at(0), SIZE_MAX), RF_ERR_INVALID);
  EXPECT_EQ(pool.map(), "00");
}

// A pool of one block, pools that end inside, at and just past a word, and one of more blocks than 16 bits count.
class MemblocksOfAnyCount : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(, MemblocksOfAnyCount,
                         testing::Values(1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000, 70001));

TEST_P(MemblocksOfAnyCount, HandsOutEachBlockOnceAndTakesAllBack) {
  size_t const n = GetParam();
  Pool pool(n, 4);
  std::vector<void *> out(n);
  ASSERT_EQ(rf_memblocks_alloc(&pool.blocks, n, out.data()), RF_OK);
  for (size_t i = 0; i < n; i++) {
    ASSERT_EQ(out[i], pool.at(i));
  }
  void *more;
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 1, &more), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_OK);
  std::reverse(out.begin(), out.end());
  ASSERT_EQ(rf_memblocks_free(&pool.blocks, n, out.data()), RF_OK);
  EXPECT_EQ(pool.stats().used, 0U);
  EXPECT_EQ(pool.stats().largest_free, n * 4);
}

TEST_P(MemblocksOfAnyCount, IsOneContiguousRun) {
  size_t const n = GetParam();
  Pool pool(n, 4);
  void *run = nullptr;
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, n, &run), RF_OK);
  EXPECT_EQ(run, pool.at(0));
  EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_OK);
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, run, n), RF_OK);
  EXPECT_TRUE(rf_memblocks_is_region_free(&pool.blocks, run, n));
  EXPECT_FALSE(rf_memblocks_is_region_free(&pool.blocks, run, n + 1));
}

TEST_P(MemblocksOfAnyCount, FindsTheOnlyFreeBlock) {
  size_t const n = GetParam();
  Pool pool(n, 4);
  ASSERT_EQ(pool.claim(0, n), RF_OK);
  for (size_t i : {size_t{0}, n / 2, n - 1}) {
    ASSERT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.at(i), 1), RF_OK);
    void *block = nullptr;
    ASSERT_EQ(rf_memblocks_alloc(&pool.blocks, 1, &block), RF_OK);
    EXPECT_EQ(block, pool.at(i));
  }
}

// ---- alloc_contiguous, claim, is_region_free ----

TEST(MemblocksContiguous, TakesTheFirstRunThatIsLongEnough) {
  Pool pool(8);
  ASSERT_EQ(pool.claim(2), RF_OK);
  void *run = nullptr;
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 3, &run), RF_OK);
  EXPECT_EQ(run, pool.at(3));
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 2, &run), RF_OK);
  EXPECT_EQ(run, pool.at(0));
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 3, &run), RF_ERR_NO_MEMORY);
  EXPECT_EQ(run, pool.at(0));
  EXPECT_EQ(pool.map(), "11111100");
}

TEST(MemblocksContiguous, FailsThoughEnoughBlocksAreFreeApart) {
  Pool pool(4);
  ASSERT_EQ(pool.claim(1), RF_OK);
  void *run;
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 3, &run), RF_ERR_NO_MEMORY);
  EXPECT_EQ(pool.stats().failures, 1U);
}

TEST(MemblocksContiguous, RunsCrossWords) {
  Pool pool(300, 4);
  ASSERT_EQ(pool.claim(0, 50), RF_OK);
  void *run = nullptr;
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 200, &run), RF_OK);
  EXPECT_EQ(run, pool.at(50));
  EXPECT_EQ(pool.map(), std::string(250, '1') + std::string(50, '0'));
}

TEST(MemblocksContiguous, MayBeFreedInParts) {
  Pool pool(6);
  void *run = nullptr;
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 6, &run), RF_OK);
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.at(1), 2), RF_OK);
  void *one = pool.at(4);
  EXPECT_EQ(rf_memblocks_free(&pool.blocks, 1, &one), RF_OK);
  EXPECT_EQ(pool.map(), "100101");
}

TEST(MemblocksClaim, TakesExactlyTheseBlocksOrNone) {
  Pool pool(6);
  EXPECT_EQ(pool.claim(2, 2), RF_OK);
  EXPECT_EQ(pool.claim(1, 2), RF_ERR_NO_MEMORY);
  EXPECT_EQ(pool.claim(3, 1), RF_ERR_NO_MEMORY);
  EXPECT_EQ(pool.map(), "001100");
  EXPECT_EQ(pool.stats().failures, 2U);
  EXPECT_EQ(pool.claim(4, 3), RF_ERR_INVALID);
  EXPECT_EQ(pool.claim(4, 2), RF_OK);
}

TEST(MemblocksClaim, RefusesWhatIsNoBlock) {
  Pool pool(2);
  int foreign;
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, &foreign, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, pool.blocks.buffer + 1, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, pool.at(2), 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, nullptr, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(pool.map(), "00");
  EXPECT_TRUE(pool.faults.empty());
}

TEST(MemblocksRegion, IsFreeIffAllOfItsBlocksAre) {
  Pool pool(4);
  ASSERT_EQ(pool.claim(2), RF_OK);
  EXPECT_TRUE(rf_memblocks_is_region_free(&pool.blocks, pool.at(0), 2));
  EXPECT_FALSE(rf_memblocks_is_region_free(&pool.blocks, pool.at(0), 3));
  EXPECT_FALSE(rf_memblocks_is_region_free(&pool.blocks, pool.at(2), 1));
  EXPECT_TRUE(rf_memblocks_is_region_free(&pool.blocks, pool.at(3), 1));
  EXPECT_FALSE(rf_memblocks_is_region_free(&pool.blocks, pool.at(3), 2));
  EXPECT_TRUE(rf_memblocks_is_region_free(&pool.blocks, pool.at(2), 0));
  EXPECT_FALSE(rf_memblocks_is_region_free(&pool.blocks, pool.blocks.buffer + 1, 1));
}

// ---- free ----

// Blocks 0 … 3 of 6 are taken; a batch names three of them and one bad pointer in each place in turn.
class MemblocksBadBatch : public testing::TestWithParam<size_t> {
protected:
  MemblocksBadBatch() { EXPECT_EQ(pool.claim(0, 4), RF_OK); }

  void expect_refused(void *bad, rf_status status) {
    std::vector<void *> batch = {pool.at(2), pool.at(0), pool.at(3)};
    batch.insert(batch.begin() + static_cast<ptrdiff_t>(GetParam()), bad);
    EXPECT_EQ(rf_memblocks_free(&pool.blocks, batch.size(), batch.data()), status);
    EXPECT_EQ(pool.map(), "111100");
    ASSERT_EQ(pool.faults.count(), 1U);
    EXPECT_EQ(pool.faults.last().status, status);
    EXPECT_EQ(pool.faults.last().ptr, bad);
    EXPECT_EQ(pool.stats().blocks, 4U);
    EXPECT_EQ(pool.stats().peak_blocks, 4U);
  }

  Pool pool{6};
};
INSTANTIATE_TEST_SUITE_P(At, MemblocksBadBatch, testing::Values(0, 1, 2, 3));

TEST_P(MemblocksBadBatch, WithAForeignPointerFreesNothing) {
  int foreign;
  expect_refused(&foreign, RF_ERR_BAD_POINTER);
}
TEST_P(MemblocksBadBatch, WithTheAddressAfterTheBufferFreesNothing) {
  expect_refused(pool.at(6), RF_ERR_BAD_POINTER);
}
TEST_P(MemblocksBadBatch, WithNullFreesNothing) {
  expect_refused(nullptr, RF_ERR_BAD_POINTER);
}
TEST_P(MemblocksBadBatch, WithAMisalignedPointerFreesNothing) {
  expect_refused(pool.blocks.buffer + 33, RF_ERR_BAD_POINTER);
}
TEST_P(MemblocksBadBatch, WithAnInteriorPointerFreesNothing) {
  expect_refused(pool.blocks.buffer + 48, RF_ERR_BAD_POINTER);
}
TEST_P(MemblocksBadBatch, WithABlockNamedTwiceFreesNothing) {
  expect_refused(GetParam() == 3 ? pool.at(3) : pool.at(2), RF_ERR_NOT_ALLOCATED);
}
TEST_P(MemblocksBadBatch, WithABlockThatIsFreeFreesNothing) {
  expect_refused(pool.at(4), RF_ERR_NOT_ALLOCATED);
}

TEST(MemblocksFree, ReportsWhereItWasCalledFrom) {
  static const rf_site site = {"radio.c", "rx", 12};
  Pool pool(1);
  void *block = pool.at(0);
  EXPECT_EQ(rf_memblocks_free_at(&pool.blocks, 1, &block, &site), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(pool.faults.last().site, &site);
}

TEST(MemblocksFree, OfAQuietPoolAnswersByStatusAlone) {
  Pool pool(1);
  pool.blocks.quiet = true;
  void *block = pool.at(0);
  EXPECT_EQ(rf_memblocks_free(&pool.blocks, 1, &block), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.blocks.buffer + 1, 1), RF_ERR_BAD_POINTER);
  EXPECT_TRUE(pool.faults.empty());
}

TEST(MemblocksFree, ContiguousIsAllOrNothing) {
  Pool pool(6);
  ASSERT_EQ(pool.claim(0, 2), RF_OK);
  ASSERT_EQ(pool.claim(3, 3), RF_OK);
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.at(0), 4), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(pool.faults.last().ptr, pool.at(2));
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.at(4), 3), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.blocks.buffer + 1, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, &pool, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(pool.map(), "110111");
  EXPECT_EQ(pool.faults.count(), 3U);
}

// ---- The buffer ----

TEST(MemblocksBuffer, IsNeitherReadNorWritten) {
  size_t const n = 256;
  void *const pages = mmap(nullptr, n * 64, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  rf_memblocks blocks;
  size_t bitmap[RF_MEMBLOCKS_WORDS(256)];
  ASSERT_EQ(rf_memblocks_init(&blocks, pages, 64, n, bitmap), RF_OK);
  void *out[256];
  ASSERT_EQ(rf_memblocks_alloc(&blocks, n, out), RF_OK);
  ASSERT_EQ(rf_memblocks_free(&blocks, n, out), RF_OK);
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&blocks, 9, out), RF_OK);
  ASSERT_EQ(rf_memblocks_free_contiguous(&blocks, out[0], 9), RF_OK);
  ASSERT_EQ(rf_memblocks_claim(&blocks, pages, 3), RF_OK);
  EXPECT_FALSE(rf_memblocks_is_region_free(&blocks, pages, 1));
  rf_stats stats;
  rf_memblocks_stats(&blocks, &stats);
  EXPECT_EQ(rf_memblocks_check(&blocks, nullptr), RF_OK);
  munmap(pages, n * 64);
}

// ---- Statistics and listeners ----

TEST(MemblocksStats, CountBlocksAndBytesAndTheTruePeak) {
  Pool pool(10, 16);
  void *out[10];
  ASSERT_EQ(rf_memblocks_alloc(&pool.blocks, 6, out), RF_OK);
  ASSERT_EQ(rf_memblocks_free(&pool.blocks, 4, out), RF_OK);
  ASSERT_EQ(rf_memblocks_alloc(&pool.blocks, 9, out), RF_ERR_NO_MEMORY);
  rf_stats const s = pool.stats();
  EXPECT_EQ(s.capacity, 160U);
  EXPECT_EQ(s.used, 32U);
  EXPECT_EQ(s.peak, 96U);
  EXPECT_EQ(s.blocks, 2U);
  EXPECT_EQ(s.peak_blocks, 6U);
  EXPECT_EQ(s.free_bytes, 128U);
  EXPECT_EQ(s.largest_free, 64U);
  EXPECT_EQ(s.allocations, 6U);
  EXPECT_EQ(s.failures, 1U);
  EXPECT_EQ(s.overhead, 0U);
}

TEST(MemblocksStats, PeakCanBeReset) {
  Pool pool(4);
  ASSERT_EQ(pool.claim(0, 3), RF_OK);
  ASSERT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.at(0), 2), RF_OK);
  rf_memblocks_reset_peak(&pool.blocks);
  EXPECT_EQ(pool.stats().peak_blocks, 1U);
  ASSERT_EQ(pool.claim(0), RF_OK);
  EXPECT_EQ(pool.stats().peak_blocks, 2U);
}

struct Event {
  char what;
  void *ptr;
  size_t bytes;
  bool operator==(const Event &o) const { return what == o.what && ptr == o.ptr && bytes == o.bytes; }
};

class Recorder {
public:
  std::vector<Event> events;
  rf_memblocks_listener listener = {[](rf_memblocks *, void *ptr, size_t bytes, void *self) {
                                      static_cast<Recorder *>(self)->events.push_back({'a', ptr, bytes});
                                    },
                                    [](rf_memblocks *, void *ptr, size_t bytes, void *self) {
                                      static_cast<Recorder *>(self)->events.push_back({'f', ptr, bytes});
                                    },
                                    this, nullptr};
};

TEST(MemblocksListener, HearsEachBlockOfABatchAndEachRunOnce) {
  Pool pool(8, 16);
  Recorder r;
  rf_memblocks_listen(&pool.blocks, &r.listener);
  void *out[2];
  void *run;
  ASSERT_EQ(rf_memblocks_alloc(&pool.blocks, 2, out), RF_OK);
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 3, &run), RF_OK);
  ASSERT_EQ(pool.claim(6, 2), RF_OK);
  ASSERT_EQ(rf_memblocks_free(&pool.blocks, 2, out), RF_OK);
  ASSERT_EQ(rf_memblocks_free_contiguous(&pool.blocks, run, 3), RF_OK);
  std::vector<Event> const expected = {{'a', pool.at(0), 16}, {'a', pool.at(1), 16}, {'a', pool.at(2), 48},
                                       {'a', pool.at(6), 32}, {'f', pool.at(0), 16}, {'f', pool.at(1), 16},
                                       {'f', pool.at(2), 48}};
  EXPECT_EQ(r.events, expected);
}

TEST(MemblocksListener, HearsNothingOfWhatFailed) {
  Pool pool(2);
  Recorder r;
  ASSERT_EQ(pool.claim(0), RF_OK);
  rf_memblocks_listen(&pool.blocks, &r.listener);
  void *out[3] = {pool.at(0), pool.at(1), nullptr};
  EXPECT_NE(rf_memblocks_alloc(&pool.blocks, 3, out), RF_OK);
  out[0] = pool.at(0);
  out[1] = pool.at(1);
  EXPECT_NE(rf_memblocks_free(&pool.blocks, 2, out), RF_OK);
  EXPECT_NE(pool.claim(0), RF_OK);
  EXPECT_TRUE(r.events.empty());
}

TEST(MemblocksListener, CanBeRemovedAndTheOthersStay) {
  Pool pool(2);
  Recorder first;
  Recorder second;
  Recorder stranger;
  first.listener.on_free = nullptr;
  rf_memblocks_listen(&pool.blocks, &first.listener);
  rf_memblocks_listen(&pool.blocks, &second.listener);
  rf_memblocks_unlisten(&pool.blocks, &stranger.listener);
  ASSERT_EQ(pool.claim(0), RF_OK);
  rf_memblocks_unlisten(&pool.blocks, &second.listener);
  void *block = pool.at(0);
  ASSERT_EQ(rf_memblocks_free(&pool.blocks, 1, &block), RF_OK);
  ASSERT_EQ(pool.claim(1), RF_OK);
  EXPECT_EQ(first.events.size(), 2U);
  EXPECT_EQ(second.events.size(), 1U);
}

TEST(MemblocksListener, MayCallThePool) {
  Pool pool(4);
  rf_mutex mutex;
  ASSERT_EQ(rf_mutex_init(&mutex), RF_OK);
  rf_memblocks_share(&pool.blocks, &mutex);
  size_t blocks_seen = 0;
  rf_memblocks_listener listener = {[](rf_memblocks *blocks, void *, size_t, void *seen) {
                                      rf_stats stats;
                                      rf_memblocks_stats(blocks, &stats);
                                      *static_cast<size_t *>(seen) = stats.blocks;
                                    },
                                    nullptr, &blocks_seen, nullptr};
  rf_memblocks_listen(&pool.blocks, &listener);
  ASSERT_EQ(pool.claim(0, 3), RF_OK);
  EXPECT_EQ(blocks_seen, 3U);
  rf_memblocks_share(&pool.blocks, nullptr);
  rf_mutex_deinit(&mutex);
}

// ---- Against a model ----

TEST(MemblocksModel, RandomOperationsAgreeWithASetOfIndices) {
  size_t const n = 200;
  Pool pool(n, 12);
  std::set<size_t> taken;
  std::mt19937 random(20240607);
  auto below = [&](size_t limit) { return std::uniform_int_distribution<size_t>(0, limit - 1)(random); };
  auto free_from = [&](size_t i) {
    size_t run = 0;
    while (i + run < n && taken.count(i + run) == 0) {
      run++;
    }
    return run;
  };
  for (int step = 0; step < 20000; step++) {
    size_t const count = 1 + below(below(4) == 0 ? 60 : 6);
    void *out[64];
    switch (below(4)) {
    case 0:
      if (rf_memblocks_alloc(&pool.blocks, count, out) == RF_OK) {
        size_t i = 0;
        for (size_t k = 0; k < count; k++, i++) {
          while (taken.count(i) != 0) {
            i++;
          }
          ASSERT_EQ(out[k], pool.at(i));
          taken.insert(i);
        }
      } else {
        ASSERT_GT(count, n - taken.size());
      }
      break;
    case 1: {
      size_t i = 0;
      while (i < n && free_from(i) < count) {
        i++;
      }
      ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, count, out) == RF_OK, i < n);
      for (size_t k = 0; i < n && k < count; k++) {
        taken.insert(i + k);
      }
      ASSERT_TRUE(i == n || out[0] == pool.at(i));
      break;
    }
    case 2: {
      std::vector<size_t> victims(taken.begin(), taken.end());
      std::shuffle(victims.begin(), victims.end(), random);
      victims.resize(std::min(victims.size(), count));
      for (size_t k = 0; k < victims.size(); k++) {
        out[k] = pool.at(victims[k]);
        taken.erase(victims[k]);
      }
      ASSERT_EQ(rf_memblocks_free(&pool.blocks, victims.size(), out), RF_OK);
      break;
    }
    default: {
      size_t const i = below(n);
      bool const fits = count <= free_from(i);
      ASSERT_EQ(rf_memblocks_is_region_free(&pool.blocks, pool.at(i), count), fits);
      ASSERT_EQ(pool.claim(i, count) == RF_OK, fits);
      for (size_t k = 0; fits && k < count; k++) {
        taken.insert(i + k);
      }
    }
    }
    ASSERT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_OK) << "step " << step;
    ASSERT_EQ(pool.stats().blocks, taken.size());
  }
  EXPECT_TRUE(pool.faults.empty());
}

// ---- Threads ----

TEST(MemblocksShared, ThreadsNeverGetTheSameBlock) {
  size_t const n = 100;
  Pool pool(n, sizeof(int));
  rf_mutex mutex;
  ASSERT_EQ(rf_mutex_init(&mutex), RF_OK);
  rf_memblocks_share(&pool.blocks, &mutex);
  auto work = [&pool](int id) {
    for (int round = 0; round < 3000; round++) {
      void *out[17];
      if (rf_memblocks_alloc(&pool.blocks, 17, out) != RF_OK) {
        continue;
      }
      for (void *block : out) {
        *static_cast<int *>(block) = id;
      }
      for (void *block : out) {
        ASSERT_EQ(*static_cast<int *>(block), id);
      }
      ASSERT_EQ(rf_memblocks_free(&pool.blocks, 17, out), RF_OK);
    }
  };
  std::vector<std::thread> threads;
  for (int id = 0; id < 4; id++) {
    threads.emplace_back(work, id);
  }
  for (std::thread &t : threads) {
    t.join();
  }
  EXPECT_EQ(pool.stats().blocks, 0U);
  rf_memblocks_share(&pool.blocks, nullptr);
  rf_mutex_deinit(&mutex);
}

// ---- Integrity ----

// Some blocks taken here and there, the hint not at the start.
class MemblocksDamage : public testing::Test {
protected:
  MemblocksDamage() {
    EXPECT_EQ(pool.claim(0, 70), RF_OK);
    for (size_t i = 71; i < 150; i += 3) {
      EXPECT_EQ(pool.claim(i), RF_OK);
    }
    void *block = nullptr;
    EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 1, &block), RF_OK);
  }

  // Changes each byte of the object in turn to each of some values: check must tell, and be content when it is
  // restored.
  void expect_each_byte_told(void *object, size_t size) {
    auto *const bytes = static_cast<unsigned char *>(object);
    for (size_t i = 0; i < size; i++) {
      unsigned char const good = bytes[i];
      for (int flip : {0x01, 0x80, 0x0F, 0xFF, 0x55}) {
        bytes[i] = static_cast<unsigned char>(good ^ flip);
        rf_fault where;
        EXPECT_EQ(rf_memblocks_check(&pool.blocks, &where), RF_ERR_CORRUPT) << "byte " << i << " ^ " << flip;
        EXPECT_EQ(where.status, RF_ERR_CORRUPT);
        EXPECT_NE(where.what, nullptr);
        EXPECT_NE(where.ptr, nullptr);
        bytes[i] = good;
      }
      EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_OK);
    }
  }

  Pool pool{150, 16};
};

TEST_F(MemblocksDamage, OfAnyByteOfTheBitmapIsTold) {
  expect_each_byte_told(pool.blocks.bitmap, RF_MEMBLOCKS_WORDS(150) * sizeof(size_t));
}
TEST_F(MemblocksDamage, OfTheChecksumIsTold) {
  expect_each_byte_told(&pool.blocks.bitmap_checksum, sizeof(size_t));
}
TEST_F(MemblocksDamage, OfTheCountIsTold) {
  expect_each_byte_told(&pool.blocks.used, sizeof(size_t));
}
TEST_F(MemblocksDamage, OfThePeakIsToldWhereItCannotBe) {
  size_t const good = pool.blocks.peak;
  for (size_t peak : {pool.blocks.used - 1, size_t{150 + 1}, SIZE_MAX}) {
    pool.blocks.peak = peak;
    EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_ERR_CORRUPT) << peak;
    pool.blocks.peak = good;
  }
}

TEST_F(MemblocksDamage, OfTheHintIsToldWhereItMisleads) {
  size_t const good = pool.blocks.hint;
  for (size_t hint : {good + 1, RF_MEMBLOCKS_WORDS(150) + 1, SIZE_MAX}) {
    pool.blocks.hint = hint;
    EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_ERR_CORRUPT);
    pool.blocks.hint = good;
  }
}

TEST_F(MemblocksDamage, SwappedWordsAreTold) {
  ASSERT_NE(pool.blocks.bitmap[0], pool.blocks.bitmap[RF_MEMBLOCKS_WORDS(150) - 2]);
  std::swap(pool.blocks.bitmap[0], pool.blocks.bitmap[RF_MEMBLOCKS_WORDS(150) - 2]);
  pool.blocks.hint = 0;
  EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_ERR_CORRUPT);
  std::swap(pool.blocks.bitmap[0], pool.blocks.bitmap[RF_MEMBLOCKS_WORDS(150) - 2]);
}

TEST_F(MemblocksDamage, WhereFreeBlocksVanishedAllocReportsAndTakesNothing) {
  std::vector<size_t> const good(pool.blocks.bitmap, pool.blocks.bitmap + RF_MEMBLOCKS_WORDS(150));
  size_t const checksum = pool.blocks.bitmap_checksum;
  size_t const hint = pool.blocks.hint;
  size_t const last = RF_MEMBLOCKS_WORDS(150) - 1;
  pool.blocks.bitmap[last] |= 0xFFFF;
  size_t const broken = pool.blocks.bitmap[last];
  void *out[150];
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 150 - pool.blocks.used, out), RF_ERR_CORRUPT);
  EXPECT_EQ(pool.faults.last().status, RF_ERR_CORRUPT);
  EXPECT_EQ(pool.blocks.bitmap[last], broken);
  for (size_t w = 0; w < last; w++) {
    EXPECT_EQ(pool.blocks.bitmap[w], good[w]);
  }
  EXPECT_EQ(pool.blocks.bitmap_checksum, checksum);
  EXPECT_EQ(pool.blocks.hint, hint);
  pool.blocks.bitmap[last] = good[last];
}

TEST_F(MemblocksDamage, AnImpossibleCountIsReported) {
  size_t const good = pool.blocks.used;
  void *out = nullptr;
  pool.blocks.used = 151;
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 1, &out), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 1, &out), RF_ERR_CORRUPT);
  pool.blocks.used = 0;
  out = pool.at(0);
  EXPECT_EQ(rf_memblocks_free(&pool.blocks, 1, &out), RF_ERR_CORRUPT);
  EXPECT_EQ(pool.faults.last().ptr, out);
  EXPECT_STREQ(pool.faults.last().what, "memblocks: bitmap and count disagree");
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, out, 2), RF_ERR_CORRUPT);
  EXPECT_EQ(pool.faults.last().ptr, out);
  EXPECT_STREQ(pool.faults.last().what, "memblocks: bitmap and count disagree");
  EXPECT_EQ(pool.faults.count(), 4U);
  pool.blocks.used = good;
}

// Each byte of the pool's own record in turn: told, or a figure that is only shown. Nothing that is called crashes.
TEST_F(MemblocksDamage, OfAnyByteOfTheRecordIsToldOrDoesNoHarm) {
  rf_memblocks const good = pool.blocks;
  std::vector<size_t> const bitmap(good.bitmap, good.bitmap + RF_MEMBLOCKS_WORDS(150));
  auto *const bytes = reinterpret_cast<unsigned char *>(&pool.blocks);
  auto harmless = [](size_t i) {
    auto in = [i](size_t from, size_t to) { return i >= from && i < to; };
    return in(offsetof(rf_memblocks, quiet), offsetof(rf_memblocks, hint)) || // and padding
           in(offsetof(rf_memblocks, hint), offsetof(rf_memblocks, bitmap_checksum)) ||
           in(offsetof(rf_memblocks, peak), offsetof(rf_memblocks, mutex));
  };
  for (size_t i = 0; i < sizeof pool.blocks; i++) {
    for (int flip : {0x01, 0x10, 0x80, 0xFF}) {
      bytes[i] ^= static_cast<unsigned char>(flip);
      EXPECT_TRUE(rf_memblocks_check(&pool.blocks, nullptr) == RF_ERR_CORRUPT || harmless(i)) << i << " ^ " << flip;
      void *out[3] = {good.buffer, good.buffer + 16, good.buffer + 32};
      rf_stats stats;
      rf_memblocks_listener listener = {nullptr, nullptr, nullptr, nullptr};
      (void)rf_memblocks_owns(&pool.blocks, out[0]);
      (void)rf_memblocks_is_region_free(&pool.blocks, out[0], 3);
      (void)rf_memblocks_free(&pool.blocks, 2, out);
      (void)rf_memblocks_free_contiguous(&pool.blocks, out[2], 1);
      (void)rf_memblocks_claim(&pool.blocks, out[1], 1);
      (void)rf_memblocks_alloc(&pool.blocks, 3, out);
      (void)rf_memblocks_alloc_contiguous(&pool.blocks, 2, out);
      rf_memblocks_stats(&pool.blocks, &stats);
      rf_memblocks_reset_peak(&pool.blocks);
      rf_memblocks_listen(&pool.blocks, &listener);
      rf_memblocks_unlisten(&pool.blocks, &listener);
      rf_memblocks_share(&pool.blocks, nullptr);
      rf_memblocks_deinit(&pool.blocks);
      pool.blocks = good;
      std::copy(bitmap.begin(), bitmap.end(), good.bitmap);
    }
  }
}

TEST_F(MemblocksDamage, ACopyOfThePoolIsNotThePool) {
  rf_memblocks copy = pool.blocks;
  void *block = nullptr;
  EXPECT_EQ(rf_memblocks_alloc(&copy, 1, &block), RF_ERR_CORRUPT);
  EXPECT_EQ(pool.faults.last().ptr, &copy);
}

// ---- By default ----

TEST(MemblocksDeath, ABadFreeAbortsByDefault) {
  unsigned char buffer[64];
  size_t bitmap[1];
  rf_memblocks blocks;
  ASSERT_EQ(rf_memblocks_init(&blocks, buffer, 32, 2, bitmap), RF_OK);
  void *block = buffer;
  EXPECT_DEATH((void)rf_memblocks_free(&blocks, 1, &block), "memblocks: double free");
}
