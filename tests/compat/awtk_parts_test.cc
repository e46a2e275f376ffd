// AWTK's memory: what a heap of several regions answers as an rf_allocator, and which sizes a pool is for.
#include "tkc/mem.h"
#include "tkc/mem_allocator_composite.h"
#include "tkc/mem_allocator_debug.h"
#include "tkc/mem_allocator_fixed_block.h"
#include "tkc/mem_allocator_lock.h"
#include "tkc/mem_allocator_oom.h"
#include "tkc/mem_allocator_pool.h"
#include "tkc/mem_allocator_simple.h"
#include "tkc/mem_pool.h"

#include <gtest/gtest.h>
#include <ringfence/simple.h>
#include <ringfence/track.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"

namespace {

class AwtkParts : public ::testing::Test {
protected:
  void TearDown() override { EXPECT_TRUE(faults.faults().empty()); }

  // A heap of one region.
  mem_allocator_t *make_composite() {
    return mem_allocator_composite_init(&composite, large, static_cast<uint32_t>(sizeof large), nullptr);
  }

  ringfence::testing::FaultRecorder faults;
  mem_allocator_composite_t composite;
  alignas(16) char large[4096];
  alignas(16) char small[1024];
};

TEST_F(AwtkParts, AllRegionsAreOneHeapToItsViewer) {
  mem_allocator_t *const a = mem_allocator_composite_init(&composite, large, static_cast<uint32_t>(sizeof large), small,
                                                          static_cast<uint32_t>(sizeof small), nullptr);
  ASSERT_NE(nullptr, a);
  rf_allocator *const all = rf_awtk_allocator(a);
  rf_stats s;
  rf_stats_get(all, &s);
  EXPECT_GT(s.largest_free, sizeof small) << "the first region's";
  ASSERT_NE(nullptr, mem_allocator_alloc(a, static_cast<uint32_t>(s.largest_free), "here", 1));
  ASSERT_NE(nullptr, mem_allocator_alloc(a, 300, "here", 2));
  rf_stats_get(all, &s);
  EXPECT_EQ(2U, s.blocks);
  int visits = 0;
  EXPECT_EQ(RF_OK, rf_walk(
                       all,
                       [](const rf_block *, void *count) {
                         ++*static_cast<int *>(count);
                         return false;
                       },
                       &visits));
  EXPECT_EQ(1, visits) << "the other region's are not shown to who has seen enough";
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(AwtkParts, DamageInAnyRegionIsDamage) {
  Unwatched const unwatched; // headers are overwritten
  mem_allocator_t *const a = mem_allocator_composite_init(&composite, large, static_cast<uint32_t>(sizeof large), small,
                                                          static_cast<uint32_t>(sizeof small), nullptr);
  ASSERT_NE(nullptr, a);
  for (uint32_t const size : {3500U, 700U}) {
    auto *const p = static_cast<char *>(mem_allocator_alloc(a, size, "here", 1));
    ASSERT_NE(nullptr, p);
    char before[8];
    std::copy(p - 8, p, before);
    EXPECT_EQ(RF_OK, rf_check(rf_awtk_allocator(a), nullptr));
    std::fill(p - 8, p, 0x5c);
    EXPECT_EQ(RF_ERR_CORRUPT, rf_check(rf_awtk_allocator(a), nullptr)) << size;
    auto const go_on = [](const rf_block *, void *) { return true; };
    EXPECT_EQ(RF_ERR_CORRUPT, rf_walk(rf_awtk_allocator(a), go_on, nullptr)) << size;
    std::copy(before, before + 8, p - 8);
  }
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(AwtkParts, DecoratorsTellWhatTheyWrap) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_lock_t lock;
  mem_allocator_oom_t oom;
  mem_allocator_pool_t pool;
  mem_allocator_t *const heap = mem_allocator_simple_init(&simple, large, static_cast<uint32_t>(sizeof large));
  EXPECT_EQ(heap, mem_allocator_debug_init(&debug, heap) != nullptr ? debug.impl : nullptr);
  EXPECT_EQ(&debug.allocator, mem_allocator_lock_init(&lock, &debug.allocator) != nullptr ? lock.impl : nullptr);
  EXPECT_EQ(&lock.allocator, mem_allocator_oom_init(&oom, &lock.allocator) != nullptr ? oom.impl : nullptr);
  mem_allocator_t *const a = mem_allocator_pool_init(&pool, &oom.allocator, 2, 2, 2, 2, 2);
  ASSERT_NE(nullptr, a);
  EXPECT_EQ(&oom.allocator, pool.impl);
  void *const p = mem_allocator_alloc(a, 8, "here", 1);
  void *const q = mem_allocator_alloc(a, 300, "here", 2);
  EXPECT_TRUE(p != nullptr && q != nullptr);
  rf_stats s;
  rf_stats_get(rf_awtk_allocator(a), &s);
  EXPECT_EQ(2U, s.blocks);
  mem_allocator_free(a, p);
  mem_allocator_free(a, q);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

std::vector<std::pair<size_t, size_t>> the_requests; // sizes and alignments

// All but the largest, which stands for a size that nobody has.
TEST_F(AwtkParts, SizesAndAlignmentsArriveAsTheyAreAskedFor) {
  rf_simple heap;
  ASSERT_EQ(RF_OK, rf_simple_init(&heap, large, sizeof large));
  rf_allocator_ops ops = *heap.base.ops;
  ops.alloc = [](rf_allocator *, size_t size, size_t align, const rf_site *) {
    the_requests.emplace_back(size, align);
    return static_cast<void *>(nullptr);
  };
  heap.base.ops = &ops;
  rf_awtk_mem_allocator view;
  mem_allocator_t *const a = rf_awtk_mem_allocator_init(&view, &heap.base);
  the_requests.clear();
  uint32_t const large_size = sizeof(size_t) > sizeof(uint32_t) ? UINT32_MAX - 1 : UINT32_MAX / 4;
  uint32_t const sizes[] = {0, 1, RF_ALIGN_DEFAULT - 1, RF_ALIGN_DEFAULT, 1000, large_size};
  for (uint32_t const size : sizes) {
    EXPECT_EQ(nullptr, mem_allocator_alloc(a, size, "here", 1));
  }
  size_t const word = sizeof(uint64_t) < RF_ALIGN_DEFAULT ? sizeof(uint64_t) : RF_ALIGN_DEFAULT;
  ASSERT_EQ(6U, the_requests.size());
  for (size_t i = 0; i < 6; i++) {
    EXPECT_EQ(sizes[i], the_requests[i].first);
    EXPECT_EQ(sizes[i] < RF_ALIGN_DEFAULT ? word : RF_ALIGN_DEFAULT, the_requests[i].second) << sizes[i];
  }
  EXPECT_EQ(nullptr, mem_allocator_alloc(a, UINT32_MAX, "here", 1));
  EXPECT_TRUE(the_requests.size() == 6 || the_requests[6].first >= UINT32_MAX / 2);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

uint32_t the_need;

// Through the rf_allocator sizes may be larger than the callback can be told.
TEST_F(AwtkParts, TheCallbackIsNotToldThePartOfASizeThatFits) {
  mem_allocator_simple_t simple;
  mem_allocator_oom_t oom;
  mem_allocator_t *const a = mem_allocator_oom_init(&oom, mem_allocator_simple_init(&simple, large, sizeof large));
  tk_mem_set_on_out_of_memory(
      [](void *, uint32_t, uint32_t need) {
        the_need = need;
        return RET_FAIL;
      },
      nullptr);
  EXPECT_EQ(nullptr, mem_allocator_alloc(a, UINT32_MAX / 4, "here", 1));
  EXPECT_EQ(UINT32_MAX / 4, the_need);
  if (sizeof(size_t) > sizeof(uint32_t)) {
    EXPECT_EQ(nullptr, mem_allocator_alloc(a, UINT32_MAX - 1, "here", 1));
    EXPECT_EQ(UINT32_MAX - 1, the_need);
    EXPECT_EQ(nullptr, rf_alloc(rf_awtk_allocator(a), static_cast<size_t>((UINT64_C(1) << 32) + 100)));
    EXPECT_EQ(UINT32_MAX, the_need);
  }
  tk_mem_set_on_out_of_memory(nullptr, nullptr);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

// The product of the largest size is no product that wraps: it is how programs try their callback.
TEST_F(AwtkParts, TheLargestProductTriesTheCallback) {
  ASSERT_EQ(RET_OK, tk_mem_init(large, static_cast<uint32_t>(sizeof large)));
  ASSERT_EQ(RET_OK, tk_mem_init_stage2());
  tk_mem_set_on_out_of_memory(
      [](void *calls, uint32_t, uint32_t) {
        ++*static_cast<unsigned *>(calls);
        return RET_FAIL;
      },
      &the_need);
  the_need = 0;
  EXPECT_EQ(nullptr, TKMEM_CALLOC(UINT32_MAX / 3, 3));
  EXPECT_EQ(1U, the_need);
  EXPECT_EQ(nullptr, TKMEM_CALLOC(UINT32_MAX / 2 + 1, 2));
  EXPECT_EQ(1U, the_need);
  tk_mem_set_on_out_of_memory(nullptr, nullptr);
  rf_awtk_mem_deinit();
}

TEST_F(AwtkParts, AHeapOverMallocTakesThePlaceOfTheOneBefore) {
  ASSERT_EQ(RET_OK, tk_mem_init(large, static_cast<uint32_t>(sizeof large)));
  ASSERT_EQ(RET_OK, rf_awtk_mem_init_std());
  char *p = static_cast<char *>(TKMEM_ALLOC(100));
  EXPECT_TRUE(p != nullptr && (p < large || p >= large + sizeof large));
  TKMEM_FREE(p);
  rf_awtk_mem_deinit();
}

TEST_F(AwtkParts, AFreeIsRefusedAlsoWhereItIsTheFirstCall) {
  tk_free(large);
  EXPECT_EQ(RF_ERR_BAD_POINTER, faults.take());
  rf_awtk_mem_deinit();
}

TEST_F(AwtkParts, OverMallocTheFirstPagesAreNoAddress) {
  ASSERT_EQ(RET_OK, rf_awtk_mem_init_std());
  EXPECT_FALSE(tk_mem_is_valid_addr(reinterpret_cast<void *>(0x10000)));
  EXPECT_FALSE(tk_mem_is_valid_addr(reinterpret_cast<void *>(0x1001)));
  EXPECT_TRUE(tk_mem_is_valid_addr(large));
  rf_awtk_mem_deinit();
}

TEST_F(AwtkParts, ABlockThatShrinksInPlaceIsCountedAsItIs) {
  mem_allocator_t *const a = make_composite();
  ASSERT_NE(nullptr, a);
  rf_allocator *const all = rf_awtk_allocator(a);
  rf_stats before;
  rf_stats after;
  void *const p = mem_allocator_alloc(a, 1000, "here", 1);
  rf_stats_get(all, &before);
  EXPECT_EQ(RF_OK, rf_resize(all, p, 100));
  rf_stats_get(all, &after);
  EXPECT_LE(after.used + 900, before.used);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

// Each kind has calls of its own, which a program may make of any allocator.
TEST_F(AwtkParts, CallsOfOneKindAnswerForAnotherAndForWhatHasEnded) {
  mem_allocator_simple_t simple;
  mem_allocator_t *const a = mem_allocator_simple_init(&simple, small, static_cast<uint32_t>(sizeof small));
  void *const p = mem_allocator_alloc(a, 100, "here", 1);
  EXPECT_EQ(0U, mem_allocator_fixed_block_size(a));
  EXPECT_EQ(RET_BAD_PARAMS, mem_allocator_composite_add_mem(a, large, static_cast<uint32_t>(sizeof large)));
  EXPECT_FALSE(mem_allocator_composite_is_valid_addr(a, p));
  EXPECT_TRUE(mem_allocator_simple_contains(a, p));
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
  EXPECT_FALSE(mem_allocator_simple_contains(a, p));
  EXPECT_EQ(0U, mem_allocator_simple_get_mem_size(a, p));
  EXPECT_EQ(nullptr, rf_awtk_allocator(a));
  EXPECT_FALSE(mem_allocator_simple_is_valid(nullptr));
}

TEST_F(AwtkParts, WithoutASinkDumpsGoToTheLog) {
  mem_allocator_simple_t simple;
  mem_allocator_t *const a = mem_allocator_simple_init(&simple, small, static_cast<uint32_t>(sizeof small));
  static bool written;
  rf_sink const sink = {[](void *, const char *, size_t) { written = true; }, nullptr};
  rf_awtk_output(&sink);
  EXPECT_EQ(RET_OK, mem_allocator_dump(a));
  EXPECT_TRUE(written);
  written = false;
  rf_awtk_output(nullptr);
  testing::internal::CaptureStderr();
  EXPECT_EQ(RET_OK, mem_allocator_dump(a));
  EXPECT_NE(std::string::npos, testing::internal::GetCapturedStderr().find("0 blocks"));
  EXPECT_FALSE(written);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(AwtkParts, ARefusedReallocIsNoFailure) {
  mem_allocator_t *const a = make_composite();
  ASSERT_NE(nullptr, a);
  void *const p = mem_allocator_alloc(a, 100, "here", 1);
  mem_allocator_free(a, p);
  EXPECT_EQ(nullptr, mem_allocator_realloc(a, p, 200, "here", 2));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, faults.take());
  rf_stats s;
  rf_stats_get(rf_awtk_allocator(a), &s);
  EXPECT_EQ(0U, s.failures);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(AwtkParts, APoolIsForTheSizesAboveThoseOfTheOneBefore) {
  mem_allocator_simple_t simple;
  mem_allocator_pool_t pool;
  mem_allocator_t *const a =
      mem_allocator_pool_init(&pool, mem_allocator_simple_init(&simple, large, sizeof large), 2, 2, 2, 2, 2);
  ASSERT_NE(nullptr, a);
  uint32_t above = 0;
  for (mem_pool_t *const each : pool.pools) {
    EXPECT_EQ(above == 0, mem_pool_match_size(each, above)) << "none, or of the pool before";
    EXPECT_TRUE(mem_pool_match_size(each, above + 1));
    EXPECT_TRUE(mem_pool_match_size(each, each->block_size));
    EXPECT_FALSE(mem_pool_match_size(each, each->block_size + 1));
    above = each->block_size;
  }
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

// Wherever the buffer begins and however little it is short of: none of its blocks ends behind it.
TEST_F(AwtkParts, APoolLiesInItsBuffer) {
  auto *const bytes = reinterpret_cast<uint8_t *>(large);
  uint32_t const most = mem_pool_get_min_size(16, 100);
  for (uint32_t shift = 0; shift < 16; shift++) {
    for (uint32_t size = most - 32; size <= most; size++) {
      const mem_pool_t *const pool = mem_pool_init(bytes + shift, size, 16, 100);
      EXPECT_TRUE(pool != nullptr || size < most);
      EXPECT_TRUE(pool == nullptr || pool->start + 1600 <= bytes + shift + size) << shift << ' ' << size;
      rf_track_arena_end(large, sizeof large);
    }
  }
}

TEST_F(AwtkParts, DebugComparesItsFiguresWithItsBlocks) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, large, static_cast<uint32_t>(sizeof large)));
  ASSERT_NE(nullptr, a);
  void *const p = mem_allocator_alloc(a, 100, "here", 1);
  for (size_t *const figure : {&debug.ledger.counters.used, &debug.ledger.counters.blocks}) {
    EXPECT_EQ(RF_OK, rf_check(rf_awtk_allocator(a), nullptr));
    ++*figure;
    EXPECT_EQ(RF_ERR_CORRUPT, rf_check(rf_awtk_allocator(a), nullptr));
    --*figure;
  }
  mem_allocator_free(a, p);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

// The record of a block has its call, its size, and where its memory begins.
TEST_F(AwtkParts, DebugTellsADamagedRecordByEachOfItsWords) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, large, static_cast<uint32_t>(sizeof large)));
  ASSERT_NE(nullptr, a);
  auto *const p = static_cast<char *>(mem_allocator_alloc(a, 100, "here", 1));
  auto *const words = reinterpret_cast<uintptr_t *>(p - (sizeof(void *) == 8 ? 48 : 32)); // behind the two links
  for (size_t i = 2; i < 6; i++) {
    words[i] ^= 16;
    EXPECT_EQ(RF_ERR_CORRUPT, rf_check(rf_awtk_allocator(a), nullptr)) << i;
    words[i] ^= 16;
    EXPECT_EQ(RF_OK, rf_check(rf_awtk_allocator(a), nullptr)) << i;
  }
  mem_allocator_free(a, p);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

// An allocator of the program's that hands out its one region whatever is asked for.
struct Careless {
  mem_allocator_t allocator;
  void *region;
  uint32_t asked;
};

// A size that does not fit into 32 bits is refused, not cut off.
TEST_F(AwtkParts, AForeignAllocatorIsNotAskedForMoreThanItCanBeAskedFor) {
  static mem_allocator_vtable_t const vtable = {[](mem_allocator_t *self, uint32_t size, const char *, uint32_t) {
                                                  reinterpret_cast<Careless *>(self)->asked = size;
                                                  return reinterpret_cast<Careless *>(self)->region;
                                                },
                                                nullptr, [](mem_allocator_t *, void *) {}, nullptr, nullptr};
  Careless careless = {{&vtable, nullptr}, large, 0};
  mem_allocator_lock_t lock;
  mem_allocator_t *const a = mem_allocator_lock_init(&lock, &careless.allocator);
  ASSERT_NE(nullptr, a);
  EXPECT_EQ(nullptr, mem_allocator_alloc(a, UINT32_MAX - 10, "here", 1));
  if (sizeof(size_t) > sizeof(uint32_t)) {
    EXPECT_EQ(nullptr, rf_alloc(rf_awtk_allocator(a), static_cast<size_t>(UINT64_C(1) << 32)));
  }
  for (uint32_t size = UINT32_MAX - 300; size != 0; size++) {
    void *const huge = mem_allocator_alloc(a, size, "here", 1);
    EXPECT_GE(careless.asked, huge != nullptr ? size : 0);
    EXPECT_LT(careless.asked, UINT32_MAX) << "which is never served";
    careless.asked = 0;
    mem_allocator_free(a, huge);
  }
  void *const p = mem_allocator_alloc(a, 100, "here", 1);
  EXPECT_NE(nullptr, p);
  EXPECT_LE(100U, careless.asked);
  mem_allocator_free(a, p);
}

// Its memory may begin anywhere.
TEST_F(AwtkParts, AForeignAllocatorsMemoryIsUsedAsFarAsItWasAskedFor) {
  static mem_allocator_vtable_t const vtable = {[](mem_allocator_t *self, uint32_t size, const char *, uint32_t) {
                                                  reinterpret_cast<Careless *>(self)->asked = size;
                                                  return reinterpret_cast<Careless *>(self)->region;
                                                },
                                                nullptr, [](mem_allocator_t *, void *) {}, nullptr, nullptr};
  mem_allocator_lock_t lock;
  for (unsigned shift = 0; shift < 32; shift++) {
    Careless careless = {{&vtable, nullptr}, large + shift, 0};
    ASSERT_NE(nullptr, mem_allocator_lock_init(&lock, &careless.allocator));
    for (size_t const align : {size_t{8}, size_t{RF_ALIGN_DEFAULT}, size_t{64}}) {
      auto *const p = static_cast<char *>(rf_aligned_alloc(rf_awtk_allocator(&lock.allocator), align, 50));
      EXPECT_TRUE(rf_is_aligned(p, align));
      EXPECT_LE(p + 50, large + shift + careless.asked) << shift;
      mem_allocator_free(&lock.allocator, p);
    }
  }
}

TEST_F(AwtkParts, DebugPassesOnWhatConcernsTheHeapBelow) {
  rf_simple heap;
  ASSERT_EQ(RF_OK, rf_simple_init(&heap, large, sizeof large));
  static unsigned rejects;
  rejects = 0;
  rf_allocator_ops ops = *heap.base.ops;
  ops.reject = [](rf_allocator *, rf_reject why, size_t size, size_t detail, const rf_site *) {
    rejects += why == RF_REJECT_OVERFLOW && size == 3 && detail == SIZE_MAX / 2 ? 1 : 100;
  };
  ops.check = [](rf_allocator *, rf_fault *) { return RF_ERR_CORRUPT; };
  heap.base.ops = &ops;
  rf_awtk_mem_allocator view;
  mem_allocator_debug_t debug;
  rf_allocator *const a =
      rf_awtk_allocator(mem_allocator_debug_init(&debug, rf_awtk_mem_allocator_init(&view, &heap.base)));
  EXPECT_EQ(nullptr, rf_calloc(a, SIZE_MAX / 2, 3));
  EXPECT_EQ(1U, rejects);
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  EXPECT_EQ(RET_OK, mem_allocator_destroy(&debug.allocator));
}

TEST_F(AwtkParts, WithoutWhatShouldBeAroundItThereIsNoHeap) {
  rf_awtk_wrap_set([](rf_allocator *, void *) -> rf_allocator * { return nullptr; }, nullptr);
  EXPECT_EQ(RET_BAD_PARAMS, tk_mem_init(large, static_cast<uint32_t>(sizeof large)));
  EXPECT_EQ(RET_FAIL, tk_mem_init_stage2()) << "nor one over malloc";
  EXPECT_EQ(nullptr, TKMEM_ALLOC(10));
  EXPECT_EQ(nullptr, TKMEM_CALLOC(1, 10));
  EXPECT_EQ(nullptr, TKMEM_REALLOC(nullptr, 10));
  tk_free(large);
  tk_mem_dump();
  EXPECT_FALSE(tk_mem_is_valid_addr(large));
  EXPECT_EQ(RET_FAIL, rf_awtk_mem_init_std());
  rf_awtk_wrap_set(nullptr, nullptr);
  EXPECT_EQ(RET_OK, rf_awtk_mem_init_std());
  rf_awtk_mem_deinit();
}

TEST_F(AwtkParts, AHeapMayLieInMemoryOfTheMacros) {
  TKMEM_INIT(20000);
  void *p = TKMEM_ALLOC(18000);
  EXPECT_NE(nullptr, p);
  EXPECT_EQ(nullptr, TKMEM_ALLOC(18000));
  TKMEM_FREE(p);
  EXPECT_EQ(nullptr, p);
  rf_awtk_mem_deinit();
}

// The table of callers is the process's and does not get smaller: other tests of this program do not look at it.
TEST_F(AwtkParts, ADumpSaysThatThereAreMoreCallersThanAreKept) {
  static std::string printed;
  rf_sink const sink = {[](void *, const char *text, size_t length) { printed.append(text, length); }, nullptr};
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, large, static_cast<uint32_t>(sizeof large)));
  rf_awtk_output(&sink);
  for (uint32_t line = 1; line <= RF_AWTK_SITES / 2; line++) {
    mem_allocator_free(a, mem_allocator_alloc(a, 10, "many", line));
  }
  (void)mem_allocator_dump(a);
  EXPECT_EQ(std::string::npos, printed.find("more different callers")) << printed;
  for (uint32_t line = 1; line <= RF_AWTK_SITES; line++) {
    mem_allocator_free(a, mem_allocator_alloc(a, 10, "many", line));
  }
  void *const p = mem_allocator_alloc(a, 77, "one_more", 1);
  ASSERT_NE(nullptr, p);
  printed.clear();
  (void)mem_allocator_dump(a);
  EXPECT_NE(std::string::npos, printed.find("  there are more different callers than are kept\n")) << printed;
  EXPECT_EQ(std::string::npos, printed.find("one_more"));
  EXPECT_EQ(RF_OK, rf_walk(
                       rf_awtk_allocator(a),
                       [](const rf_block *block, void *) {
                         EXPECT_EQ(nullptr, block->site) << "nobody else's";
                         return true;
                       },
                       nullptr));
  mem_allocator_free(a, p);
  rf_awtk_output(nullptr);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

// With all that belongs to them they would be of a size that 32 bits do not hold.
TEST_F(AwtkParts, FixedBlocksOfNearlyFourGibibytesCannotBe) {
  ASSERT_EQ(RET_OK, tk_mem_init(large, static_cast<uint32_t>(sizeof large)));
  for (uint32_t size = UINT32_MAX - 400; size != 0; size++) {
    EXPECT_EQ(nullptr, mem_allocator_fixed_block_create(size, 1)) << size;
  }
  rf_awtk_mem_deinit();
}

TEST_F(AwtkParts, FixedBlocksLeaveNothingBehind) {
  ASSERT_EQ(RET_OK, tk_mem_init(large, static_cast<uint32_t>(sizeof large)));
  for (int i = 0; i < 1000; i++) {
    mem_allocator_t *const a = mem_allocator_fixed_block_create(24, 4);
    ASSERT_NE(nullptr, a) << i;
    EXPECT_NE(nullptr, mem_allocator_alloc(a, 24, "here", 1));
    EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
  }
  rf_awtk_mem_deinit();
}

} // namespace
