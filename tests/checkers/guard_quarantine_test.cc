// The quarantine of guard: how long freed blocks wait, in which order they leave, what is found then and by sweeps.
#include "tests/checkers/guard_fixture.h"
#include "tests/core/unwatched.h"

#include <ringfence/mte.h>

#include <algorithm>

namespace ringfence {
namespace {

class Guard : public GuardTest {};

// ---- Quarantine ----

TEST_P(Guard, FreedBlocksAreNotUsedAgainWhileInQuarantine) {
  std::vector<unsigned char *> freed;
  for (size_t i = 0; i < 20; i++) {
    unsigned char *const p = bytes(rf_alloc(a(), 100));
    rf_free(a(), p);
    EXPECT_EQ(std::count(freed.begin(), freed.end(), p), 0);
    freed.push_back(p);
  }
  expect_silence();
}

TEST_P(Guard, ABlockIsUsedAgainOnlyWhenThreeEighthsOfTheQuarantineWereFreedSince) {
  for (size_t const size : {0, 10, 100, 3000}) {
    void *const p = rf_alloc(a(), size);
    rf_free(a(), p);
    for (size_t freed = 0; freed < options_.quarantine / 8 * 3; freed += RF_GUARD_PREFIX + size + 64) {
      void *const q = rf_alloc(a(), size);
      EXPECT_NE(q, p) << size << " after " << freed;
      rf_free(a(), q);
    }
  }
  expect_silence();
}

TEST_P(Guard, WhatIsUsedAgainIsAsNew) {
  options_.quarantine = 4096;
  make(options_);
  for (size_t i = 0; i < 2000; i++) {
    size_t const size = i * 7 % 90;
    unsigned char *const p = bytes(rf_alloc(a(), size));
    ASSERT_TRUE(filled(p, size, RF_PATTERN_NEW)) << i;
    ASSERT_EQ(rf_usable_size(a(), p), size);
    std::memset(p, 1, size);
    rf_free(a(), p);
  }
  expect_silence();
}

TEST_P(Guard, RequestsOfOneSizeAreServedFromTheQuarantine) {
  options_.quarantine = 16 * 1024;
  make(options_);
  rf_stats before;
  rf_stats after;
  auto const round = [this] {
    for (size_t i = 0; i < 500; i++) {
      rf_free(a(), rf_alloc(a(), 104));
    }
  };
  round();
  rf_stats_get(heap_->allocator(), &before);
  round();
  rf_stats_get(heap_->allocator(), &after);
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(stats().blocks, 0U);
  EXPECT_EQ(stats().allocations, 1000U);
  expect_silence();
}

TEST_P(Guard, TheQuarantineIsBoundedInBytes) {
  options_.quarantine = 5000;
  make(options_);
  for (size_t i = 0; i < 300; i++) {
    rf_free(a(), rf_alloc(a(), i % 90));
    EXPECT_LE(guard_.quarantined, 5000U);
  }
  EXPECT_GT(guard_.quarantined, 4000U);
  rf_guard_flush(&guard_, 1000);
  EXPECT_LE(guard_.quarantined, 1000U);
  EXPECT_GT(guard_.quarantined, 0U);
  rf_guard_flush(&guard_, 0);
  EXPECT_EQ(guard_.quarantined, 0U);
  expect_silence();
}

TEST_P(Guard, AnAgeCountsAllOfTheFreeThatBeginsIt) {
  size_t const length = options_.quarantine / 2 / RF_GUARD_AGES;
  while (guard_.quarantined < 3 * length) {
    rf_free(a(), rf_alloc(a(), 100));
    ASSERT_EQ(guard_.age_left, length - guard_.quarantined % length) << guard_.quarantined;
  }
  expect_silence();
}

TEST_P(Guard, WhatWasFreedFirstLeavesFirst) {
  unsigned char *blocks[5];
  for (unsigned char *&p : blocks) {
    p = bytes(rf_alloc(a(), 100));
  }
  for (unsigned char *const p : blocks) {
    rf_free(a(), p);
    p[0] = 1;
  }
  for (size_t left = 5; left > 0; left--) {
    rf_guard_flush(&guard_, guard_.quarantined - 1);
    EXPECT_EQ(take_one().block, reinterpret_cast<uintptr_t>(blocks[5 - left]));
  }
}

TEST_P(Guard, ABlockLargerThanTheQuarantineDoesNotEmptyIt) {
  options_.quarantine = 5000;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), 100));
  rf_free(a(), p);
  size_t const before = guard_.quarantined;
  EXPECT_GT(before, 0U);
  rf_free(a(), rf_alloc(a(), 6000));
  EXPECT_EQ(guard_.quarantined, before);
  expect_silence();
}

TEST_P(Guard, ABlockAsLargeAsTheQuarantineWaitsInIt) {
  void *p = rf_alloc(a(), 1000);
  ASSERT_EQ(rf_free(a(), p), RF_OK);
  options_.quarantine = guard_.quarantined; // of one such block
  make(options_);
  p = rf_alloc(a(), 1000);
  ASSERT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_EQ(guard_.quarantined, options_.quarantine);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(take_one().detail, nullptr) << "it has not left";
}

// Blocks of a large one wait while an eighth of it is freed, in four ages; of a small one, half.
TEST_P(Guard, AgesGrowWithTheQuarantine) {
  constexpr size_t kMiB = size_t{1} << 20;
  struct {
    size_t quarantine;
    size_t wait;
  } const cases[] = {{64 * 1024, 32 * 1024}, {kMiB, kMiB / 2}, {2 * kMiB, kMiB / 2}, {64 * kMiB, 8 * kMiB}};
  for (auto const &c : cases) {
    options_.quarantine = c.quarantine;
    make(options_);
    ASSERT_EQ(rf_free(a(), rf_alloc(a(), 10)), RF_OK);
    EXPECT_EQ(guard_.age_left + guard_.quarantined, c.wait / RF_GUARD_AGES) << c.quarantine;
  }
}

TEST_P(Guard, WithoutAQuarantineBlocksGoBackAtOnce) {
  options_.quarantine = 0;
  make(options_);
  rf_stats inner;
  rf_free(a(), rf_alloc(a(), 100));
  rf_stats_get(heap_->allocator(), &inner);
  EXPECT_EQ(inner.blocks, 0U);
  EXPECT_EQ(guard_.quarantined, 0U);
  expect_silence();
}

TEST_P(Guard, TheQuarantineIsGivenUpBeforeAnAllocationFails) {
  if (!GetParam().in_arena) {
    return;
  }
  options_.quarantine = kArenaSize;
  make(options_);
  size_t const large = kArenaSize / 2;
  for (size_t i = 0; i < 4; i++) {
    void *const p = rf_alloc(a(), large);
    ASSERT_NE(p, nullptr) << "round " << i;
    rf_free(a(), p);
  }
  EXPECT_EQ(stats().failures, 0U);
  expect_silence();
}

TEST_P(Guard, DamageIsFoundWhenTheQuarantineIsGivenUp) {
  if (!GetParam().in_arena) {
    return;
  }
  options_.quarantine = kArenaSize;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), kArenaSize / 2));
  rf_free(a(), p);
  p[12345] = 0;
  ASSERT_NE(rf_alloc(a(), kArenaSize / 2), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_USE_AFTER_FREE);
  EXPECT_EQ(f.offset, 12345);
}

// A block of which nothing is known stays with the heap below, for good.
void stays_below(void *p) {
  static auto &kept = *new std::vector<void *>;
  kept.push_back(p);
}

TEST_P(Guard, DamagedHeadersAreToldAtTheEndThoughNoSweepIsAskedFor) {
  Unwatched const unwatched(arena_.data(), arena_.size());
  rf_guard_options options = options_;
  options.sweep_at_deinit = false;
  make(options);
  (void)rf_alloc(a(), 100);
  void *const p = rf_alloc(a(), 100);
  (void)rf_alloc(a(), 100);
  std::memset(bytes(p) - RF_GUARD_PREFIX, 0x41, 2 * sizeof(void *));
  end();
  EXPECT_EQ(take_one().bug, RF_BUG_METADATA);
  stays_below(p);
}

// ---- Sweeps a little at a time ----

// The block at which a step stopped is in another list by then: the next step begins anew.
TEST_P(Guard, ASweepGoesOnWhereItStoppedOnlyWhileTheBlockIsWhatItWas) {
  for (bool const freed : {false, true}) {
    std::vector<void *> blocks(22);
    for (void *&p : blocks) {
      p = rf_alloc(a(), 100);
    }
    EXPECT_EQ(rf_guard_sweep_step(&guard_, 0), 0U);
    unsigned char *const stopped = bytes(guard_.swept) + RF_GUARD_PREFIX;
    unsigned char *const last = bytes(guard_.live.u.prev) + RF_GUARD_PREFIX;
    ASSERT_EQ(std::count(blocks.begin(), blocks.end(), stopped), 1);
    ASSERT_NE(stopped, last);
    if (freed) {
      rf_free(a(), stopped);
    }
    last[100] = 1;
    // Eight blocks at a time: two more steps for the others, three where all but the freed one are to be seen.
    size_t found = rf_guard_sweep_step(&guard_, 0) + rf_guard_sweep_step(&guard_, 0);
    EXPECT_EQ(found, freed ? 0U : 1U);
    found += rf_guard_sweep_step(&guard_, 0);
    EXPECT_EQ(found, 1U);
    EXPECT_EQ(take_one().block, reinterpret_cast<uintptr_t>(last));
    for (void *const p : blocks) {
      if (!freed || p != stopped) {
        rf_free(a(), p);
      }
    }
    make(options_);
  }
}

// A step would stop before the block whose header is damaged, from which none goes on.
TEST_P(Guard, AStepOfASweepDoesNotStopBeforeADamagedHeader) {
  std::vector<void *> blocks(10);
  for (void *&p : blocks) {
    p = rf_alloc(a(), 100);
  }
  EXPECT_EQ(rf_guard_sweep_step(&guard_, 0), 0U);
  unsigned char *const stopped = bytes(guard_.swept);
  unsigned char const good = *stopped;
  ASSERT_EQ(std::count(blocks.begin(), blocks.end(), stopped + RF_GUARD_PREFIX), 1);
  *stopped ^= 0x55;
  EXPECT_EQ(rf_guard_sweep_step(&guard_, 0), 1U);
  EXPECT_EQ(take_one().bug, RF_BUG_METADATA);
  *stopped = good;
  for (void *const p : blocks) {
    if (p != stopped + RF_GUARD_PREFIX) {
      rf_free(a(), p);
    }
  }
  stays_below(stopped + RF_GUARD_PREFIX);
}

// A microsecond is enough for a few blocks.
TEST_P(Guard, AStepOfASweepEndsWithItsNanoseconds) {
  std::vector<void *> blocks(1000);
  for (void *&p : blocks) {
    p = rf_alloc(a(), 16);
    ASSERT_NE(p, nullptr);
  }
  for (auto *const step : {rf_guard_sweep_step, rf_mte_sweep}) {
    guard_.swept = nullptr;
    EXPECT_EQ(step(&guard_, 1000), 0U);
    EXPECT_NE(guard_.swept, nullptr) << "some are left";
  }
  for (void *const p : blocks) {
    rf_free(a(), p);
  }
}

// A heap of one block, which is as long as all of its memory: guards behind small blocks are as long as they can be.
struct Roomy {
  static void *alloc(rf_allocator *self, size_t size, size_t, const rf_site *) {
    auto *const heap = reinterpret_cast<Roomy *>(self);
    bool const there = heap->taken || size > sizeof heap->memory;
    heap->taken = true;
    return there ? nullptr : heap->memory;
  }
  static rf_status free(rf_allocator *self, void *, const rf_site *) {
    reinterpret_cast<Roomy *>(self)->taken = false;
    return RF_OK;
  }
  static size_t usable_size(rf_allocator *, const void *) { return sizeof memory; }

  rf_allocator base = {};
  bool taken = false;
  alignas(64) unsigned char memory[400];
};

// In a freed block, and behind it.
TEST(GuardOfARoomyHeap, EachByteOfASmallFreedBlockAndItsLongGuardIsWatched) {
  static const rf_allocator_ops ops = [] {
    rf_allocator_ops all = {};
    all.name = "roomy";
    all.alloc = Roomy::alloc;
    all.free = Roomy::free;
    all.usable_size = Roomy::usable_size;
    return all;
  }();
  for (size_t const size : {1, 15, 16, 17, 31, 40, 64, 65}) {
    for (size_t at = 0; at < sizeof Roomy::memory - RF_GUARD_PREFIX; at++) {
      Roomy heap;
      heap.base.ops = &ops;
      Recorder recorder;
      rf_guard guard;
      rf_guard_options options;
      rf_guard_options_default(&options);
      options.fill_free = SIZE_MAX;
      options.leaks_at_deinit = false;
      options.reporter = recorder.reporter();
      ASSERT_EQ(rf_guard_init(&guard, &heap.base, &options), RF_OK);
      auto *const p = static_cast<unsigned char *>(rf_alloc(&guard.base, size));
      ASSERT_NE(p, nullptr);
      EXPECT_EQ(rf_free(&guard.base, p), RF_OK);
      p[at] ^= 0x11;
      // The heap is full until the block leaves the quarantine, which is when it is compared.
      EXPECT_NE(rf_alloc(&guard.base, 1), nullptr);
      std::vector<rf_finding> const found = recorder.take();
      ASSERT_EQ(found.size(), 1U) << size << " " << at;
      EXPECT_EQ(found[0].bug, at < size ? RF_BUG_USE_AFTER_FREE : RF_BUG_BUFFER_OVERFLOW) << size << " " << at;
      rf_deinit(&guard.base);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Over, Guard, testing::ValuesIn(kHeaps), heap_name);

} // namespace
} // namespace ringfence
