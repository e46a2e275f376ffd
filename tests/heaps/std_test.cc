// Tests of std alone; the promises of every allocator are in the conformance suite.
#include <ringfence/default.h>
#include <ringfence/std.h>

#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace {

using ringfence::testing::FaultRecorder;

class StdTest : public testing::Test {
protected:
  StdTest() { EXPECT_EQ(rf_std_init(&heap), RF_OK); }

  rf_stats stats() {
    rf_stats s;
    rf_stats_get(a, &s);
    return s;
  }

  rf_std heap;
  rf_allocator *const a = &heap.base;
  FaultRecorder recorder;
};

TEST_F(StdTest, InitOfNothingIsRefused) {
  EXPECT_EQ(rf_std_init(nullptr), RF_ERR_INVALID);
}

TEST_F(StdTest, KeepsOverheadAndCapacityToTheCLibrary) {
  void *const p = rf_alloc(a, 100);
  rf_stats const s = stats();
  EXPECT_EQ(s.used, 100U);
  EXPECT_EQ(s.capacity, 0U);
  EXPECT_EQ(s.free_bytes, 0U);
  EXPECT_EQ(s.largest_free, 0U);
  EXPECT_EQ(s.overhead, 0U);
  rf_free(a, p);
}

TEST_F(StdTest, CannotTellWhatItDoesNotKnow) {
  void *const p = rf_alloc(a, 100);
  EXPECT_FALSE(rf_owns(a, p));
  EXPECT_EQ(rf_walk(
                a, [](const rf_block *, void *) { return true; }, nullptr),
            RF_ERR_UNSUPPORTED);
  EXPECT_EQ(rf_resize(a, p, 50), RF_ERR_UNSUPPORTED);
  rf_free(a, p);
}

TEST_F(StdTest, UsableBytesAreTheRequestedOnes) {
  void *const p = rf_alloc(a, 13);
  EXPECT_EQ(rf_usable_size(a, p), 13U);
  rf_free(a, p);
}

TEST_F(StdTest, ACopiedHeaderIsNotBelieved) {
  Unwatched const unwatched;
  alignas(64) unsigned char copy[256];
  for (size_t const align : {RF_ALIGN_DEFAULT, size_t{64}}) {
    auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(a, align, 40));
    ASSERT_NE(p, nullptr);
    std::memcpy(copy + 48, p - 16, 16 + 40);
    EXPECT_EQ(rf_free(a, copy + 64), RF_ERR_BAD_POINTER);
    EXPECT_EQ(rf_usable_size(a, copy + 64), 0U);
    rf_free(a, p);
  }
}

TEST_F(StdTest, AHeaderWithAnotherSizeIsNotBelieved) {
  Unwatched const unwatched;
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 40));
  ASSERT_NE(p, nullptr);
  for (size_t i = 1; i <= 16; i++) {
    unsigned char &byte = *(p - i);
    byte ^= 0x41;
    bool const padding = sizeof(size_t) == 4 && i > 12;
    EXPECT_EQ(rf_usable_size(a, p), padding ? 40U : 0U) << i;
    byte ^= 0x41;
  }
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

TEST_F(StdTest, ABlockThatReallocMovedIsGone) {
  // Held, so that the C library cannot hand out the old place to the block itself.
  std::vector<void *> others;
  void *p = rf_alloc(a, 24);
  void *now = p;
  for (size_t size = 48; now == p && size < (1 << 22); size *= 2) {
    others.push_back(rf_alloc(a, 24));
    now = rf_realloc(a, p, size);
    ASSERT_NE(now, nullptr);
  }
  if (now != p) {
    EXPECT_NE(rf_free(a, p), RF_OK);
    EXPECT_EQ(recorder.faults().size(), 1U);
  }
  for (void *const other : others) {
    rf_free(a, other);
  }
  rf_free(a, now);
  EXPECT_EQ(stats().used, 0U);
}

TEST_F(StdTest, ReallocOfAlignedBlocksKeepsContentsAndAlignment) {
  auto *p = static_cast<unsigned char *>(rf_aligned_alloc(a, 256, 100));
  ASSERT_NE(p, nullptr);
  for (size_t i = 0; i < 100; i++) {
    p[i] = static_cast<unsigned char>(i);
  }
  for (size_t const size : {200, 5000, 100}) {
    p = static_cast<unsigned char *>(rf_realloc_at(a, p, size, 256, nullptr));
    ASSERT_NE(p, nullptr);
    EXPECT_TRUE(rf_is_aligned(p, 256));
    for (size_t i = 0; i < 100; i++) {
      ASSERT_EQ(p[i], i);
    }
  }
  // No longer aligned, and back.
  p = static_cast<unsigned char *>(rf_realloc(a, p, 100));
  ASSERT_NE(p, nullptr);
  p = static_cast<unsigned char *>(rf_realloc_at(a, p, 100, 1024, nullptr));
  ASSERT_NE(p, nullptr);
  EXPECT_TRUE(rf_is_aligned(p, 1024));
  EXPECT_EQ(p[99], 99);
  rf_free(a, p);
}

TEST_F(StdTest, AReallocThatFailsLeavesAnAlignedBlock) {
  for (int i = 0; i < 4; i++) { // not all lie at such a multiple by chance
    void *const p = rf_aligned_alloc(a, 1024, 100);
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(rf_realloc_at(a, p, RF_SIZE_LIMIT, 1024, nullptr), nullptr);
    EXPECT_EQ(rf_usable_size(a, p), 100U);
    EXPECT_EQ(rf_free(a, p), RF_OK);
  }
}

TEST_F(StdTest, CountersAreThoseOfItsStatistics) {
  rf_alloc(a, RF_SIZE_LIMIT);
  void *const p = rf_alloc(a, 100);
  EXPECT_EQ(rf_free(a, rf_alloc(a, 10)), RF_OK);
  rf_counters c;
  rf_counters_get(a, &c);
  EXPECT_EQ(c.used, 100U);
  EXPECT_EQ(c.peak, 110U);
  EXPECT_EQ(c.blocks, 1U);
  EXPECT_EQ(c.peak_blocks, 2U);
  EXPECT_EQ(c.allocations, 2U);
  EXPECT_EQ(c.failures, 1U);
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

TEST_F(StdTest, BlocksOfAnotherInstanceAreRefused) {
  rf_std other;
  ASSERT_EQ(rf_std_init(&other), RF_OK);
  void *const p = rf_alloc(&other.base, 10);
  EXPECT_EQ(rf_free(a, p), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_realloc(a, p, 20), nullptr);
  EXPECT_EQ(rf_free(&other.base, p), RF_OK);
}

TEST_F(StdTest, CountsWhatManyThreadsDoToTheByte) {
  constexpr size_t kThreads = 4;
  constexpr size_t kRounds = 20000;
  std::atomic<size_t> ready{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; t++) {
    threads.emplace_back([this, t, &ready] {
      for (ready++; ready < kThreads;) { // together
      }
      for (size_t i = 0; i < kRounds; i++) {
        void *p = rf_alloc(a, i % 100 + t);
        p = rf_realloc(a, p, i % 70 + 1);
        rf_free(a, p);
      }
      rf_alloc(a, RF_SIZE_LIMIT);
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  rf_stats const s = stats();
  EXPECT_EQ(s.used, 0U);
  EXPECT_EQ(s.blocks, 0U);
  EXPECT_EQ(s.allocations, kThreads * kRounds);
  EXPECT_EQ(s.failures, kThreads);
  EXPECT_GE(s.peak, 99U + kThreads - 1);
  EXPECT_LE(s.peak, kThreads * (99 + kThreads));
  EXPECT_GE(s.peak_blocks, 1U);
  EXPECT_LE(s.peak_blocks, kThreads);
}

TEST_F(StdTest, ABlockMayBeFreedByAnotherThread) {
  void *const p = rf_alloc(a, 10);
  std::thread([&] { EXPECT_EQ(rf_free(a, p), RF_OK); }).join();
  EXPECT_EQ(stats().blocks, 0U);
}

TEST(DefaultHeapTest, IsMadeAndUsedTheSameWayInEveryBuild) {
  static unsigned char arena[4096];
  rf_default_heap heap;
  ASSERT_EQ(rf_default_heap_init(&heap, arena, sizeof arena), RF_OK);
  void *const p = rf_alloc(&heap.base, 13);
  EXPECT_NE(p, nullptr);
  EXPECT_EQ(rf_free(&heap.base, p), RF_OK);
  EXPECT_STREQ(heap.base.ops->name, RF_HAS_STD_MALLOC ? "std" : "tlsf");
  rf_deinit(&heap.base);
}

} // namespace
