// rf_sample: how often, which, and what the interface promises. The bugs of the detection table are in
// tests/checkers/detection.
#include "tests/checkers/sample_fixture.h"

#include <ringfence/guard.h>
#include <ringfence/page.h>
#include <ringfence/std.h>

#include <cstring>
#include <thread>
#include <vector>

namespace ringfence {
namespace {

TEST_F(Sample, AboutOneInNIsSampled) {
  start(50);
  unsigned sampled = 0;
  for (unsigned i = 0; i < 20000; i++) {
    void *const p = rf_alloc(a(), 24);
    sampled += rf_sample_has(&sample_, p) ? 1 : 0;
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
  EXPECT_NEAR(sampled, 400, 80) << "seed 1";
}

// So that processes do not all sample the same.
TEST_F(Sample, WithoutASeedHasTheProcesssSecret) {
  options_.seed = 0;
  start(10);
  EXPECT_NE(sample_.options.seed, 0U);
}

TEST_F(Sample, TheSameSeedSamplesTheSameAllocations) {
  std::vector<bool> first;
  for (unsigned run = 0; run < 2; run++) {
    start(10);
    for (size_t i = 0; i < 500; i++) {
      void *const p = rf_alloc(a(), 24);
      bool const has = rf_sample_has(&sample_, p);
      if (run == 0) {
        first.push_back(has);
      } else {
        EXPECT_EQ(has, first[i]) << i;
      }
      rf_free(a(), p);
    }
  }
}

TEST_F(Sample, WithoutASlotNothingIsSampledAndAllIsServed) {
  options_.slots = 4;
  start(1);
  void *blocks[10];
  for (unsigned i = 0; i < 10; i++) {
    blocks[i] = rf_alloc(a(), 100);
    ASSERT_NE(blocks[i], nullptr);
    EXPECT_EQ(rf_sample_has(&sample_, blocks[i]), i < 4);
  }
  for (void *const p : blocks) {
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
}

TEST_F(Sample, ASlotIsUsedAgainAsLateAsPossible) {
  options_.slots = 8;
  start(1);
  unsigned char *const first = bytes(rf_alloc(a(), 32));
  rf_free(a(), first);
  for (unsigned i = 0; i < 7; i++) {
    (void)peek(first);
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_USE_AFTER_FREE);
    EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(first));
    EXPECT_STREQ(f.mode, "sample");
    rf_free(a(), rf_alloc(a(), 32));
  }
}

TEST_F(Sample, AFreedBlockStaysClosedWhicheverServesNextInItsSlot) {
  options_.slots = 2;
  start(1);
  for (size_t const size : {10, 4000, 5000, 10, 0, 4096, 60000, 1}) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    ASSERT_TRUE(rf_sample_has(&sample_, p));
    std::memset(p, 1, size);
    rf_free(a(), p);
    (void)peek(p);
    EXPECT_EQ(take_one().bug, size != 0 ? RF_BUG_USE_AFTER_FREE : RF_BUG_BUFFER_OVERFLOW) << size;
  }
}

TEST_F(Sample, LargeBlocksAreNotSampled) {
  options_.largest = 1000;
  start(1);
  for (size_t const size : {999, 1000, 1001, 5000}) {
    void *const p = rf_alloc(a(), size);
    EXPECT_EQ(rf_sample_has(&sample_, p), size <= 1000) << size;
    rf_free(a(), p);
  }
}

// All slots share one range of addresses: a part of it that a resize claims is missed by the others.
TEST_F(Sample, ABlockGrowsNotBeyondTheLargestThatIsSampled) {
  options_.slots = 3;
  options_.largest = 8192;
  start(1);
  void *const p = rf_alloc(a(), 100);
  ASSERT_TRUE(rf_sample_has(&sample_, p));
  EXPECT_EQ(rf_resize(a(), p, 8192), RF_OK);
  for (size_t size = 8193; size <= size_t{6} << 20; size += 65536) {
    EXPECT_EQ(rf_resize(a(), p, size), RF_ERR_NO_MEMORY) << size;
  }
  void *const q = rf_alloc(a(), 100);
  EXPECT_TRUE(rf_sample_has(&sample_, q));
  rf_free(a(), q);
  rf_free(a(), p);
}

TEST_F(Sample, StatisticsAreThoseOfTheProgram) {
  start(3);
  std::vector<void *> blocks;
  for (size_t i = 0; i < 100; i++) {
    blocks.push_back(rf_alloc(a(), i));
  }
  rf_stats stats;
  rf_stats_get(a(), &stats);
  EXPECT_EQ(stats.blocks, 100U);
  EXPECT_EQ(stats.used, 4950U);
  for (void *const p : blocks) {
    rf_free(a(), p);
  }
  rf_stats_get(a(), &stats);
  EXPECT_EQ(stats.blocks, 0U);
  EXPECT_EQ(stats.peak, 4950U);
}

TEST_F(Sample, AWalkShowsSampledBlocksAsTheProgramHasThem) {
  start(2);
  std::vector<void *> blocks;
  for (size_t i = 0; i < 40; i++) {
    blocks.push_back(rf_alloc(a(), 10 + i));
  }
  auto const check = [](const rf_block *block, void *context) {
    auto &expected = *static_cast<std::vector<void *> *>(context);
    for (size_t i = 0; block->used && i < expected.size(); i++) {
      if (expected[i] == block->ptr) {
        EXPECT_EQ(block->size, 10 + i);
        expected[i] = nullptr;
      }
    }
    return true;
  };
  std::vector<void *> missing = blocks;
  EXPECT_EQ(rf_walk(a(), check, &missing), RF_OK);
  for (void *const p : missing) {
    EXPECT_EQ(p, nullptr);
  }
  for (void *const p : blocks) {
    rf_free(a(), p);
  }
}

TEST_F(Sample, AWalkHasTheCallSitesOfSampledBlocks) {
  start(2);
  static const rf_site kSite = {"walked.c", "walk", 7};
  std::vector<void *> blocks;
  for (size_t i = 0; i < 40; i++) {
    blocks.push_back(rf_alloc_at(a(), 10 + i, RF_ALIGN_DEFAULT, &kSite));
  }
  auto const check = [](const rf_block *block, void *context) {
    auto *const sample = static_cast<rf_sample *>(context);
    if (block->used) {
      EXPECT_EQ(block->site, rf_sample_has(sample, block->ptr) ? &kSite : nullptr);
    }
    return true;
  };
  EXPECT_EQ(rf_walk(a(), check, &sample_), RF_OK);
  for (void *const p : blocks) {
    rf_free(a(), p);
  }
}

TEST_F(Sample, ReallocKeepsContentsWhicheverWayItGoes) {
  start(2);
  unsigned char *p = bytes(rf_alloc(a(), 1));
  p[0] = 0;
  for (size_t size = 2; size < 300; size++) {
    p = bytes(rf_realloc(a(), p, size));
    ASSERT_NE(p, nullptr);
    p[size - 1] = static_cast<unsigned char>(size - 1);
    for (size_t i = 0; i < size; i++) {
      ASSERT_EQ(p[i], static_cast<unsigned char>(i));
    }
    EXPECT_GE(rf_usable_size(a(), p), size);
  }
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_F(Sample, BlocksThatAreNotSampledAreFreedWhileAllSlotsAreTaken) {
  std::vector<void *> blocks;
  options_.slots = 64;
  start(1);
  for (size_t i = 0; i < 20000; i++) {
    blocks.push_back(rf_alloc(a(), i % 200));
  }
  while (blocks.size() > 64) {
    ASSERT_EQ(rf_free(a(), blocks.back()), RF_OK);
    blocks.pop_back();
  }
  for (void *const p : blocks) {
    EXPECT_TRUE(rf_sample_has(&sample_, p));
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
}

// A thread that turns from one object to another goes on with its countdown when it comes back.
TEST_F(Sample, ObjectsThatServeInTurnSampleAsEachWouldAlone) {
  constexpr size_t kEach = 300;
  rf_sample objects[3];
  std::vector<bool> seen[3];
  auto const ask = [&](size_t which) {
    rf_allocator *const from = &objects[which].base;
    void *const p = rf_alloc(from, 24);
    seen[which].push_back(rf_sample_has(&objects[which], p));
    rf_free(from, p);
  };
  options_.rate = 10;
  options_.reporter = recorder_.reporter();
  for (rf_sample &one : objects) {
    ASSERT_EQ(rf_sample_init(&one, heap_.allocator(), &options_), RF_OK);
  }
  for (size_t i = 0; i < kEach; i++) {
    ask(0);
  }
  for (size_t i = 0; i < 2 * kEach; i++) {
    ask(1 + i % 2);
  }
  EXPECT_EQ(seen[1], seen[0]);
  EXPECT_EQ(seen[2], seen[0]);
  for (rf_sample &one : objects) {
    one.base.ops->deinit(&one.base);
  }
}

TEST_F(Sample, ObjectsDoNotDisturbEachOther) {
  constexpr unsigned kObjects = 9;
  rf_sample many[kObjects];
  options_.rate = 10;
  options_.reporter = recorder_.reporter();
  for (rf_sample &one : many) {
    ASSERT_EQ(rf_sample_init(&one, heap_.allocator(), &options_), RF_OK);
  }
  unsigned sampled = 0;
  for (unsigned i = 0; i < 9000; i++) {
    rf_sample &one = many[i % kObjects];
    void *const p = rf_alloc(&one.base, 10);
    sampled += rf_sample_has(&one, p) ? 1 : 0;
    rf_free(&one.base, p);
  }
  EXPECT_NEAR(sampled, 900, 150);
  for (rf_sample &one : many) {
    one.base.ops->deinit(&one.base);
  }
}

// A library wraps the allocator that it is given, which may be a checker already.
TEST_F(Sample, ACheckerMayWrapAnother) {
  for (unsigned kinds = 0; kinds < 9; kinds++) {
    rf_guard guards[2];
    rf_page pages[2];
    rf_sample samples[2];
    rf_allocator *top = heap_.allocator();
    for (unsigned level = 0; level < 2; level++) {
      unsigned const kind = level == 0 ? kinds / 3 : kinds % 3;
      options_.rate = 3;
      options_.reporter = recorder_.reporter();
      rf_page_options page;
      rf_page_options_default(&page);
      page.reporter = recorder_.reporter();
      page.memory = size_t{64} << 10; // some blocks are under guard
      rf_guard_options guard;
      rf_guard_options_default(&guard);
      guard.reporter = recorder_.reporter();
      if (kind == 0) {
        ASSERT_EQ(rf_guard_init(&guards[level], top, &guard), RF_OK);
        top = &guards[level].base;
      } else if (kind == 1) {
        ASSERT_EQ(rf_page_init(&pages[level], top, &page), RF_OK);
        top = &pages[level].base;
      } else {
        ASSERT_EQ(rf_sample_init(&samples[level], top, &options_), RF_OK);
        top = &samples[level].base;
      }
    }
    std::vector<void *> blocks;
    for (size_t i = 0; i < 200; i++) {
      blocks.push_back(rf_alloc(top, i));
      ASSERT_NE(blocks.back(), nullptr) << kinds;
      std::memset(blocks.back(), 1, i);
      if (i % 3 == 2) {
        void *const moved = rf_realloc(top, blocks[i / 2], i);
        ASSERT_NE(moved, nullptr) << kinds;
        blocks[i / 2] = moved;
        EXPECT_EQ(rf_resize(top, moved, i / 2), RF_OK) << kinds;
      }
    }
    for (void *const p : blocks) {
      EXPECT_EQ(rf_free(top, p), RF_OK) << kinds;
    }
    EXPECT_EQ(recorder_.count(), 0U) << kinds;
    while (top != heap_.allocator()) {
      rf_allocator *const inner = rf_inner(top);
      top->ops->deinit(top);
      top = inner;
    }
  }
}

TEST_F(Sample, ThreadsSampleWithoutALockOfTheProgramsOwn) {
  rf_std heap;
  ASSERT_EQ(rf_std_init(&heap), RF_OK);
  rf_sample shared;
  options_.rate = 3;
  options_.slots = 16;
  ASSERT_EQ(rf_sample_init(&shared, &heap.base, &options_), RF_OK);
  std::vector<std::thread> threads;
  std::vector<unsigned> sampled(4);
  for (unsigned t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 2000; i++) {
        unsigned char *const p = bytes(rf_alloc(&shared.base, i % 300));
        std::memset(p, 1, i % 300);
        sampled[t] += rf_sample_has(&shared, p) ? 1 : 0;
        rf_free(&shared.base, p);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  for (unsigned const count : sampled) {
    EXPECT_NEAR(count, 667, 150);
  }
  shared.base.ops->deinit(&shared.base);
}

TEST_F(Sample, BadArgumentsAreRefused) {
  rf_sample other;
  EXPECT_EQ(rf_sample_init(nullptr, heap_.allocator(), nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_sample_init(&other, nullptr, nullptr), RF_ERR_INVALID);
  rf_sample_options options;
  rf_sample_options_default(&options);
  options.rate = 0;
  EXPECT_EQ(rf_sample_init(&other, heap_.allocator(), &options), RF_ERR_INVALID);
  options.rate = RF_SAMPLE_RATE_MOST + 1;
  EXPECT_EQ(rf_sample_init(&other, heap_.allocator(), &options), RF_ERR_INVALID);
  options.rate = 1;
  options.slots = 0;
  EXPECT_EQ(rf_sample_init(&other, heap_.allocator(), &options), RF_ERR_INVALID);
}

} // namespace
} // namespace ringfence
