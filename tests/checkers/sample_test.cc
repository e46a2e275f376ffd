// rf_sample: how often, which, and what the interface promises. The bugs of the detection table are in
// tests/checkers/detection.
#include "checkers/page/sample_pick.h"
#include "tests/checkers/page_fixture.h"
#include "tests/core/unwatched.h"

#include <ringfence/lock.h>
#include <ringfence/sample.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>

#include <algorithm>
#include <cstring>
#include <thread>

namespace ringfence {
namespace {

// ---- Picking ----

TEST(SamplePick, TheMeanDistanceIsTheRate) {
  for (uint32_t const rate : {1U, 2U, 3U, 10U, 100U, 5000U}) {
    rf_sample_pick pick = {};
    rf_sample_seed(&pick, 42);
    uint64_t const wanted = rate < 100 ? 400000 : 40000;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < wanted; i++) {
      sum += rf_sample_draw(&pick, rate);
    }
    double const mean = static_cast<double>(sum) / static_cast<double>(wanted);
    EXPECT_NEAR(mean / rate, 1.0, rate == 1 ? 0 : 0.02) << "seed 42, rate " << rate;
  }
}

TEST(SamplePick, DistancesAreGeometric) {
  constexpr unsigned kRate = 100;
  rf_sample_pick pick = {};
  rf_sample_seed(&pick, 7);
  unsigned below = 0;
  unsigned far = 0;
  constexpr unsigned kDraws = 100000;
  for (unsigned i = 0; i < kDraws; i++) {
    uint32_t const distance = rf_sample_draw(&pick, kRate);
    below += distance <= kRate ? 1 : 0;
    far += distance > 3 * kRate ? 1 : 0;
  }
  EXPECT_NEAR(below / double{kDraws}, 1 - 0.366, 0.01) << "seed 7";
  EXPECT_NEAR(far / double{kDraws}, 0.049, 0.005) << "seed 7";
}

TEST(SamplePick, TheSameSeedPicksTheSame) {
  for (uint64_t const seed : {1U, 2U, 3U}) {
    rf_sample_pick one = {};
    rf_sample_pick two = {};
    rf_sample_seed(&one, seed);
    rf_sample_seed(&two, seed);
    for (unsigned i = 0; i < 1000; i++) {
      EXPECT_EQ(rf_sample_due(&one, 10), rf_sample_due(&two, 10));
    }
  }
}

TEST(SamplePick, DistancesCountFromTheFirstCall) {
  for (uint64_t seed = 1; seed < 200; seed++) {
    rf_sample_pick pick = {};
    rf_sample_seed(&pick, seed);
    rf_sample_pick distances = pick;
    for (unsigned round = 0; round < 3; round++) {
      uint32_t calls = 1;
      while (!rf_sample_due(&pick, 10)) {
        calls++;
      }
      EXPECT_EQ(calls, rf_sample_draw(&distances, 10)) << "seed " << seed << ", round " << round;
    }
  }
}

// A counter that begins as zeros, of a thread that never set a seed, begins with a distance, too.
TEST(SamplePick, WithoutASeedTheFirstIsNoExceptionEither) {
  for (unsigned rate = 2; rate < 200; rate++) {
    rf_sample_pick pick = {};
    rf_sample_pick distances = {};
    distances.drawn = 1;
    uint32_t const first = rf_sample_draw(&distances, rate);
    uint32_t calls = 1;
    while (!rf_sample_due(&pick, rate)) {
      calls++;
    }
    EXPECT_EQ(calls, first) << "rate " << rate;
  }
}

TEST(SamplePick, ExtremesStayInBounds) {
  rf_sample_pick pick = {};
  for (uint64_t seed = 0; seed < 2000; seed++) {
    rf_sample_seed(&pick, seed);
    EXPECT_GE(rf_sample_draw(&pick, RF_SAMPLE_RATE_MOST), 1U);
    EXPECT_EQ(rf_sample_draw(&pick, 1), 1U);
  }
  EXPECT_LT(rf_sample_log(UINT32_MAX), 4U);
  EXPECT_EQ(rf_sample_log(1), 32U << 16);
  EXPECT_EQ(rf_sample_log(1U << 31), 1U << 16);
}

// ---- The decorator ----

class Sample : public testing::Test {
protected:
  Sample() : arena_(size_t{8} << 20), heap_(arena_.data(), arena_.size()) {
    rf_sample_options_default(&options_);
    options_.seed = 1;
    start(1);
  }

  ~Sample() override {
    end();
    EXPECT_EQ(recorder_.count(), 0U) << "findings that no test took";
  }

  void start(unsigned rate) {
    end();
    options_.rate = rate;
    options_.reporter = recorder_.reporter();
    ASSERT_EQ(rf_sample_init(&sample_, heap_.allocator(), &options_), RF_OK);
    made_ = true;
  }

  void end() {
    if (made_) {
      sample_.base.ops->deinit(&sample_.base);
      made_ = false;
    }
  }

  rf_finding take_one() {
    std::vector<rf_finding> const found = recorder_.take();
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? rf_finding{} : found.front();
  }

  rf_allocator *a() { return &sample_.base; }

  std::vector<unsigned char> arena_;
  TlsfHeap heap_;
  FaultRecorder recorder_;
  rf_sample sample_ = {};
  rf_sample_options options_ = {};
  bool made_ = false;
};

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

// ---- Checks ----

// The stand-ins of sampled blocks, as the heap below has them.
std::vector<void *> used_blocks(rf_allocator *heap) {
  std::vector<void *> found;
  auto const note = [](const rf_block *block, void *context) {
    if (block->used) {
      static_cast<std::vector<void *> *>(context)->push_back(block->ptr);
    }
    return true;
  };
  EXPECT_EQ(rf_walk(heap, note, &found), RF_OK);
  return found;
}

// A byte of the slack, and the offset that it has in the block.
std::ptrdiff_t slack_of(const unsigned char *p, size_t size, rf_page_side side) {
  size_t const past_page = reinterpret_cast<uintptr_t>(p) % page_size();
  return side == RF_PAGE_LEFT ? static_cast<std::ptrdiff_t>(size) : -static_cast<std::ptrdiff_t>(past_page);
}

TEST_F(Sample, ACheckNamesTheOverwrittenSlackOfASampledBlockAndReportsNothing) {
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

TEST_F(Sample, ACheckAnswersWhatTheHeapBelowDoes) {
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

TEST_F(Sample, ACheckNamesTheSampledBlockFirstAndThenTheHeapBelow) {
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

// ---- Realloc and misuse ----

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

TEST_F(Sample, AMisuseOfABlockThatIsNotSampledIsAFinding) {
  start(1 << 20);
  void *const p = rf_alloc(a(), 100);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(take_one().bug, RF_BUG_DOUBLE_FREE);
  EXPECT_EQ(rf_realloc(a(), bytes(p) + 3, 10), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_BAD_FREE);
}

TEST_F(Sample, AFreeThatMeetsDamageIsAFindingOfNoAccess) {
  Unwatched const unwatched;
  rf_tlsf heap;
  rf_sample other;
  alignas(16) static unsigned char arena[4096];
  ASSERT_EQ(rf_tlsf_init(&heap, arena, sizeof arena), RF_OK);
  rf_sample_options options;
  rf_sample_options_default(&options);
  options.rate = 1 << 20;
  options.reporter = recorder_.reporter();
  ASSERT_EQ(rf_sample_init(&other, &heap.base, &options), RF_OK);
  unsigned char *const p = bytes(rf_alloc(&other.base, 100));
  std::memset(p - 4, 0xFF, 4);
  EXPECT_EQ(rf_free(&other.base, p), RF_ERR_CORRUPT);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_EQ(f.access, RF_ACCESS_UNKNOWN);
  rf_deinit(&other.base);
}

TEST_F(Sample, AMisuseIsReportedFromWhereItWasCalled) {
  static const rf_site kSite = {"demo.c", "main", 6};
  start(1 << 20);
  void *const p = rf_alloc(a(), 100);
  rf_free(a(), p);
  EXPECT_EQ(rf_free_at(a(), p, &kSite), RF_ERR_NOT_ALLOCATED);
  rf_finding const f = take_one();
  EXPECT_EQ(f.found.site, &kSite);
  ASSERT_GT(f.found.depth, 1U);
  auto const body = reinterpret_cast<uintptr_t>(__builtin_return_address(0)); // into GoogleTest, from here
  uintptr_t const *const end = f.found.frames + f.found.depth;
  uintptr_t const *const at = std::find(f.found.frames, end, body);
  ASSERT_NE(at, end);
  EXPECT_LE(at - f.found.frames, 2) << "rf_free_at, this function, its caller: nothing of the allocators";
}

TEST_F(Sample, AMisuseOfAnAllocatorBesideIsTheProgramsAffair) {
  std::vector<unsigned char> arena(size_t{1} << 16);
  TlsfHeap beside(arena.data(), arena.size());
  unsigned faults = 0;
  rf_fault_handler_set([](const rf_fault *, void *context) { ++*static_cast<unsigned *>(context); }, &faults);
  start(1 << 20);
  for (unsigned i = 0; i < 3; i++) {
    rf_free(a(), rf_alloc(a(), 100));
    void *const p = rf_alloc(beside.allocator(), 100);
    EXPECT_EQ(rf_free(beside.allocator(), p), RF_OK);
    EXPECT_EQ(rf_free(beside.allocator(), p), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(faults, i + 1);
  }
  rf_fault_handler_set(nullptr, nullptr);
}

TEST_F(Sample, AMisuseAfterTheEndOfAnotherIsStillFound) {
  rf_sample other;
  start(1 << 20);
  ASSERT_EQ(rf_sample_init(&other, heap_.allocator(), &options_), RF_OK);
  void *const p = rf_alloc(a(), 100);
  rf_free(&other.base, rf_alloc(&other.base, 10));
  other.base.ops->deinit(&other.base);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(take_one().bug, RF_BUG_DOUBLE_FREE);
}

// Blocks 64 KiB apart have the same place in the table of stand-ins.
TEST_F(Sample, WhatStandsForASampledBlockCannotBeFreed) {
  for (size_t const size : {size_t{24}, size_t{65516}}) {
    std::vector<void *> blocks;
    options_.slots = 20;
    start(1);
    for (unsigned i = 0; i < 20; i++) {
      blocks.push_back(rf_alloc(a(), size));
      ASSERT_TRUE(rf_sample_has(&sample_, blocks.back()));
    }
    void *const other = rf_alloc(a(), size);
    ASSERT_FALSE(rf_sample_has(&sample_, other));
    EXPECT_EQ(rf_free(a(), other), RF_OK);
    while (!blocks.empty()) {
      std::vector<void *> const standing = used_blocks(heap_.allocator());
      EXPECT_EQ(standing.size(), blocks.size());
      for (void *const p : standing) {
        EXPECT_EQ(rf_usable_size(a(), p), 0U);
        EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
        EXPECT_STREQ(take_one().detail, "the block was freed or moved, and its memory now stands for a sampled block");
      }
      size_t const next = blocks.size() / 2;
      EXPECT_EQ(rf_free(a(), blocks[next]), RF_OK);
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(next));
    }
  }
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

TEST_F(Sample, ACallAfterTheEndIsFound) {
  void *const p = rf_alloc(a(), 10);
  end();
  EXPECT_EQ(rf_alloc(a(), 10), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_DELETED);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
}

} // namespace
} // namespace ringfence
