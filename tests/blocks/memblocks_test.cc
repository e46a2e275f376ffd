// memblocks: pools that exist before main, init, alloc and free, statistics; against a model, and from several threads.
#include "memblocks_fixture.h"

#include <sys/mman.h>

#include <algorithm>
#include <random>
#include <set>
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
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 0, &block), RF_ERR_INVALID) << "of none, too";
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 0, &block), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, block, 0), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_free(&pool.blocks, 0, &block), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, block, 0), RF_ERR_INVALID);
  EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_OK) << "nothing is damaged";
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
  EXPECT_EQ(rf_memblocks_claim(&pool.blocks, pool.at(pool.blocks.num_blocks), 0), RF_OK);
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

TEST(MemblocksFree, AndOthersRefuseNullForAPool) {
  unsigned char buffer[8];
  void *blocks[] = {buffer};
  void **const out = blocks;
  for (size_t const count : {0U, 1U}) {
    EXPECT_EQ(rf_memblocks_alloc(nullptr, count, out), RF_ERR_INVALID) << count;
    EXPECT_EQ(rf_memblocks_alloc_contiguous(nullptr, count, out), RF_ERR_INVALID) << count;
    EXPECT_EQ(rf_memblocks_claim(nullptr, buffer, count), RF_ERR_INVALID) << count;
    EXPECT_EQ(rf_memblocks_free(nullptr, count, out), RF_ERR_INVALID) << count;
    EXPECT_EQ(rf_memblocks_free_contiguous(nullptr, buffer, count), RF_ERR_INVALID) << count;
    EXPECT_FALSE(rf_memblocks_is_region_free(nullptr, buffer, count)) << count;
  }
  EXPECT_EQ(blocks[0], buffer) << "untouched";
  EXPECT_FALSE(rf_memblocks_owns(nullptr, buffer));
  EXPECT_EQ(rf_memblocks_check(nullptr, nullptr), RF_ERR_INVALID);
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

// ---- Statistics ----

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

// ---- By default ----

TEST(MemblocksDeath, ABadFreeAbortsByDefault) {
  unsigned char buffer[64];
  size_t bitmap[1];
  rf_memblocks blocks;
  ASSERT_EQ(rf_memblocks_init(&blocks, buffer, 32, 2, bitmap), RF_OK);
  void *block = buffer;
  EXPECT_DEATH((void)rf_memblocks_free(&blocks, 1, &block), "memblocks: double free");
}
