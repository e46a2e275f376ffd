// AWTK's allocators: code as it is written for it, each one of them, and what is refused.
#include "awtk_fixture.h"

#include "awtk_app.h"
#include "tkc/mem.h"
#include "tkc/mem_allocator_composite.h"
#include "tkc/mem_allocator_debug.h"
#include "tkc/mem_allocator_lock.h"
#include "tkc/mem_allocator_oom.h"
#include "tkc/mem_allocator_pool.h"
#include "tkc/mem_allocator_simple.h"
#include "tkc/mem_allocator_std.h"
#include "tkc/mem_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace ringfence_test {
namespace {

// ---- simple ----

TEST_F(Awtk, SixtyFourBytesServeTwoBlocksOfTenThatGrowToTwelve) {
  for (unsigned shift = 0; shift < 16; shift++) {
    mem_allocator_simple_t simple;
    mem_allocator_t *const a = mem_allocator_simple_init(&simple, buffer + shift, 64);
    ASSERT_NE(nullptr, a);
    EXPECT_EQ(buffer + shift, simple.info.buffer);
    EXPECT_EQ(64U, simple.info.size);
    void *p = alloc(a, 10);
    void *q = alloc(a, 10);
    ASSERT_NE(nullptr, p);
    ASSERT_NE(nullptr, q);
    p = realloc_to(a, p, 12);
    q = realloc_to(a, q, 12);
    ASSERT_NE(nullptr, p);
    ASSERT_NE(nullptr, q);
    EXPECT_EQ(2U, simple.info.used_block_nr);
    EXPECT_EQ(24U, simple.info.used_bytes);
    EXPECT_EQ(40U, simple.info.free_list->size);
    mem_allocator_free(a, p);
    mem_allocator_free(a, q);
    EXPECT_EQ(0U, simple.info.used_bytes);
    EXPECT_EQ(0U, simple.info.used_block_nr);
    EXPECT_EQ(24U, simple.info.used_max_bytes);
    EXPECT_EQ(2U, simple.info.used_max_block_nr);
    EXPECT_EQ(64U, simple.info.free_list->size);
    EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
    EXPECT_FALSE(mem_allocator_simple_is_valid(a));
  }
}

TEST_F(Awtk, ThirtySixUnalignedBytesServeEighteen) {
  for (unsigned shift = 0; shift < 16; shift++) {
    mem_allocator_simple_t simple;
    mem_allocator_t *const a = mem_allocator_simple_init(&simple, buffer + shift, 36);
    void *const p = realloc_to(a, alloc(a, 16), 18);
    ASSERT_NE(nullptr, p);
    EXPECT_TRUE(mem_allocator_simple_contains(a, p));
    EXPECT_FALSE(mem_allocator_simple_contains(a, buffer + shift + 36));
    EXPECT_LE(18U, mem_allocator_simple_get_mem_size(a, p));
    mem_allocator_destroy(a);
  }
}

TEST_F(Awtk, ABufferThatCanHoldNothingIsTurnedDown) {
  mem_allocator_simple_t simple;
  EXPECT_EQ(nullptr, mem_allocator_simple_init(nullptr, buffer, 64));
  EXPECT_EQ(nullptr, mem_allocator_simple_init(&simple, nullptr, 64));
  EXPECT_EQ(nullptr, mem_allocator_simple_init(&simple, buffer, 3));
  EXPECT_EQ(nullptr, alloc(nullptr, 1));
  EXPECT_EQ(RET_BAD_PARAMS, mem_allocator_dump(nullptr));
  EXPECT_EQ(RET_BAD_PARAMS, mem_allocator_destroy(nullptr));
}

TEST_F(Awtk, ALargeBufferServesAsWellAndMergesWhatIsFreed) {
  mem_allocator_simple_t simple;
  mem_allocator_t *const a = mem_allocator_simple_init(&simple, buffer + 1, sizeof buffer - 1);
  std::vector<void *> blocks;
  while (void *const p = alloc(a, 1000)) {
    blocks.push_back(p);
  }
  EXPECT_LT(190U, blocks.size());
  EXPECT_EQ(blocks.size(), simple.info.used_block_nr);
  for (void *const p : blocks) {
    mem_allocator_free(a, p);
  }
  EXPECT_EQ(sizeof buffer - 1, simple.info.free_list->size);
  EXPECT_NE(nullptr, alloc(a, 190 * 1000));
  mem_allocator_destroy(a);
}

TEST_F(Awtk, ABadFreeIsRefusedAndReported) {
  mem_allocator_simple_t simple;
  mem_allocator_t *const a = mem_allocator_simple_init(&simple, buffer, 1024);
  char *const p = static_cast<char *>(alloc(a, 100));
  char other[4];
  mem_allocator_free(a, p + 16);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  mem_allocator_free(a, other);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  mem_allocator_free(a, p);
  EXPECT_EQ(RF_OK, fault());
  mem_allocator_free(a, p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  mem_allocator_free(a, nullptr);
  EXPECT_EQ(0U, simple.info.used_block_nr);
  mem_allocator_destroy(a);
}

TEST_F(Awtk, AReallocToNothingLeavesABlock) {
  mem_allocator_simple_t simple;
  mem_allocator_t *const a = mem_allocator_simple_init(&simple, buffer, 1024);
  void *const p = realloc_to(a, alloc(a, 0), 0);
  ASSERT_NE(nullptr, p);
  EXPECT_EQ(1U, simple.info.used_block_nr);
  mem_allocator_free(a, realloc_to(a, p, 10));
  EXPECT_EQ(0U, simple.info.used_block_nr);
  mem_allocator_destroy(a);
}

// ---- pool ----

TEST_F(Awtk, ThePoolServesSmallBlocksByClassAndSpillsUpwards) {
  mem_allocator_simple_t simple;
  mem_allocator_pool_t pool;
  mem_allocator_t *const a =
      mem_allocator_pool_init(&pool, mem_allocator_simple_init(&simple, buffer, sizeof buffer), 2, 3, 4, 5, 6);
  ASSERT_NE(nullptr, a);
  uint32_t const sizes[] = {8, 16, 32, 48, 64};
  for (uint32_t i = 0; i < TK_MEM_POOLS_NR; i++) {
    EXPECT_EQ(sizes[i], pool.pools[i]->block_size);
    EXPECT_EQ(2 + i, pool.pools[i]->block_nr);
    mem_allocator_free(a, alloc(a, sizes[i]));
    void *const p = alloc(a, sizes[i]);
    EXPECT_EQ(1U, pool.pools[i]->used);
    mem_allocator_free(a, p);
    EXPECT_EQ(0U, pool.pools[i]->used);
  }
  void *const p = alloc(a, 8);
  void *const q = alloc(a, 1);
  void *const spilled = alloc(a, 7);
  EXPECT_EQ(2U, pool.pools[0]->used);
  EXPECT_EQ(1U, pool.pools[1]->used);
  mem_allocator_free(a, p);
  mem_allocator_free(a, q);
  mem_allocator_free(a, spilled);
  EXPECT_EQ(1U, simple.info.used_block_nr); // the pools' own memory
  mem_allocator_destroy(a);
  EXPECT_EQ(0U, simple.info.used_block_nr);
}

TEST_F(Awtk, AReallocMovesBetweenThePoolAndWhatIsBelow) {
  mem_allocator_simple_t simple;
  mem_allocator_pool_t pool;
  mem_allocator_t *const a =
      mem_allocator_pool_init(&pool, mem_allocator_simple_init(&simple, buffer, sizeof buffer), 4, 4, 4, 4, 4);
  char *p = static_cast<char *>(alloc(a, 16));
  memcpy(p, "0123456789abcde", 16);
  p = static_cast<char *>(realloc_to(a, p, 1000));
  EXPECT_STREQ("0123456789abcde", p);
  EXPECT_EQ(0U, pool.pools[1]->used);
  p = static_cast<char *>(realloc_to(a, p, 16));
  EXPECT_STREQ("0123456789abcde", p);
  EXPECT_EQ(1U, pool.pools[1]->used);
  rf_stats stats;
  rf_stats_get(rf_awtk_allocator(a), &stats);
  EXPECT_EQ(16U, stats.used);
  EXPECT_EQ(stats.capacity, stats.used + stats.free_bytes + stats.overhead);
  EXPECT_LT(150U * 1024, stats.largest_free);
  mem_allocator_destroy(a);
}

TEST_F(Awtk, APoolThatFindsNoMemoryLeavesTheHeapAsItWas) {
  mem_allocator_simple_t simple;
  mem_allocator_pool_t pool;
  mem_allocator_t *const below = mem_allocator_simple_init(&simple, buffer, 1024);
  EXPECT_EQ(nullptr, mem_allocator_pool_init(&pool, below, 100, 100, 100, 100, 100));
  EXPECT_EQ(nullptr, mem_allocator_pool_init(&pool, nullptr, 1, 1, 1, 1, 1));
  EXPECT_EQ(0U, simple.info.used_block_nr);
  EXPECT_NE(nullptr, alloc(below, 900));
  mem_allocator_destroy(below);
}

// ---- oom ----

struct Cache {
  mem_allocator_t *allocator;
  void *kept;
  uint32_t calls;
  uint32_t tried;
  uint32_t needed;
  ret_t answer;
};

ret_t give_back(void *context, uint32_t tried_times, uint32_t need_size) {
  auto *const cache = static_cast<Cache *>(context);
  cache->calls++;
  cache->tried = tried_times;
  cache->needed = need_size;
  mem_allocator_free(cache->allocator, cache->kept);
  cache->kept = nullptr;
  return cache->answer;
}

TEST_F(Awtk, TheCallbackGivesMemoryBackAndTheRequestSucceeds) {
  mem_allocator_simple_t simple;
  mem_allocator_oom_t oom;
  mem_allocator_t *const a = mem_allocator_oom_init(&oom, mem_allocator_simple_init(&simple, buffer, 2048));
  Cache cache = {a, alloc(a, 1500), 0, 0, 0, RET_OK};
  EXPECT_EQ(RET_OK, tk_mem_set_on_out_of_memory(give_back, &cache));
  void *const p = alloc(a, 1000);
  EXPECT_NE(nullptr, p);
  EXPECT_EQ(1U, cache.calls);
  EXPECT_EQ(1U, cache.tried);
  EXPECT_EQ(1000U, cache.needed);
  EXPECT_EQ(nullptr, realloc_to(a, p, 4000));
  EXPECT_EQ(1U + TRY_MAX_TIMES, cache.calls);
  EXPECT_EQ(4000U, cache.needed);
  mem_allocator_free(a, p);
  mem_allocator_destroy(a);
}

TEST_F(Awtk, FourGigabytesLessOneAreNeverServedAndTryTheCallback) {
  mem_allocator_std_t std_allocator;
  mem_allocator_oom_t oom;
  mem_allocator_t *const a = mem_allocator_oom_init(&oom, mem_allocator_std_init(&std_allocator));
  Cache cache = {a, nullptr, 0, 0, 0, RET_OK};
  tk_mem_set_on_out_of_memory(give_back, &cache);
  EXPECT_EQ(nullptr, alloc(a, 0xffffffff));
  EXPECT_EQ(static_cast<uint32_t>(TRY_MAX_TIMES), cache.calls);
  EXPECT_EQ(static_cast<uint32_t>(TRY_MAX_TIMES), cache.tried);
  EXPECT_EQ(0xffffffffU, cache.needed);
  mem_allocator_destroy(a);
}

TEST_F(Awtk, ACallbackThatHasNothingToGiveIsAskedOnce) {
  mem_allocator_simple_t simple;
  mem_allocator_oom_t oom;
  mem_allocator_t *const a = mem_allocator_oom_init(&oom, mem_allocator_simple_init(&simple, buffer, 2048));
  Cache cache = {a, nullptr, 0, 0, 0, RET_FAIL};
  tk_mem_set_on_out_of_memory(give_back, &cache);
  EXPECT_EQ(nullptr, alloc(a, 10000));
  EXPECT_EQ(1U, cache.calls);
  tk_mem_set_on_out_of_memory(nullptr, nullptr);
  EXPECT_EQ(nullptr, alloc(a, 10000));
  EXPECT_EQ(1U, cache.calls);
  mem_allocator_destroy(a);
}

// ---- lock, std ----

TEST_F(Awtk, ALockedHeapServesSeveralThreads) {
  mem_allocator_simple_t simple;
  mem_allocator_lock_t lock;
  EXPECT_EQ(nullptr, mem_allocator_lock_init(&lock, nullptr));
  mem_allocator_t *const a = mem_allocator_lock_init(&lock, mem_allocator_simple_init(&simple, buffer, sizeof buffer));
  auto const work = [a] {
    for (uint32_t i = 0; i < 2000; i++) {
      mem_allocator_free(a, realloc_to(a, alloc(a, i % 100), 200));
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(0U, simple.info.used_block_nr);
  mem_allocator_destroy(a);
}

TEST_F(Awtk, StdCountsWhatIsInUse) {
  mem_allocator_std_t std_allocator;
  EXPECT_EQ(nullptr, mem_allocator_std_init(nullptr));
  mem_allocator_t *const a = mem_allocator_std_init(&std_allocator);
  void *p = alloc(a, 100);
  EXPECT_EQ(1U, std_allocator.used_nr);
  EXPECT_EQ(100U, std_allocator.used_size);
  p = realloc_to(a, p, 300);
  EXPECT_EQ(300U, std_allocator.used_size);
  EXPECT_EQ(nullptr, realloc_to(a, p, 0)); // as realloc: it is freed
  EXPECT_EQ(0U, std_allocator.used_nr);
  EXPECT_EQ(0U, std_allocator.used_size);
  EXPECT_LE(300U, std_allocator.max_used_size);
  EXPECT_GE(400U, std_allocator.max_used_size);
  EXPECT_EQ(1U, std_allocator.max_used_nr);
  EXPECT_EQ(RET_OK, mem_allocator_dump(a));
  mem_allocator_destroy(a);
}

// ---- Allocators of the program's own ----

TEST_F(Awtk, DecoratorsStandOverAnAllocatorOfTheProgramsOwn) {
  bump_t bump;
  mem_allocator_pool_t pool;
  mem_allocator_lock_t lock;
  mem_allocator_oom_t oom;
  mem_allocator_t *const a = mem_allocator_oom_init(
      &oom, mem_allocator_lock_init(
                &lock, mem_allocator_pool_init(&pool, bump_init(&bump, buffer + 1, 60000), 5, 5, 5, 5, 5)));
  ASSERT_NE(nullptr, a);
  EXPECT_EQ(nullptr, rf_awtk_allocator(&bump.allocator));
  char *p = static_cast<char *>(alloc(a, 1000));
  ASSERT_NE(nullptr, p);
  EXPECT_TRUE(rf_is_aligned(p, RF_ALIGN_DEFAULT));
  p[999] = 9;
  p = static_cast<char *>(realloc_to(a, p, 2000));
  EXPECT_EQ(9, p[999]);
  EXPECT_EQ(nullptr, alloc(a, 70000));
  mem_allocator_free(a, p);
  mem_allocator_free(a, p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  EXPECT_EQ(1U, bump.live); // the pools
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
  EXPECT_EQ(0U, bump.live);
  EXPECT_EQ(1U, bump.destroyed);
}

// A foreign allocator has no call that resizes: a smaller block stays where it is.
TEST_F(Awtk, ABlockOfAForeignAllocatorShrinksInPlace) {
  bump_t bump;
  mem_allocator_lock_t lock;
  mem_allocator_t *const a = mem_allocator_lock_init(&lock, bump_init(&bump, buffer, 60000));
  void *const p = alloc(a, 1000);
  EXPECT_EQ(p, realloc_to(a, p, 900));
  EXPECT_EQ(p, realloc_to(a, p, 900));
  EXPECT_EQ(1U, bump.live);
  mem_allocator_free(a, p);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

// Over std, whatever stands between, as realloc does it.
TEST_F(Awtk, AReallocToNothingFreesOverMalloc) {
  mem_allocator_std_t std;
  mem_allocator_lock_t lock;
  mem_allocator_oom_t oom;
  mem_allocator_t *const a = mem_allocator_oom_init(&oom, mem_allocator_lock_init(&lock, mem_allocator_std_init(&std)));
  EXPECT_EQ(nullptr, realloc_to(a, alloc(a, 10), 0));
  EXPECT_EQ(0U, std.used_nr);
  EXPECT_EQ(RET_OK, mem_allocator_destroy(a));
}

TEST_F(Awtk, ThePoolsClassesFollowOneAnother) {
  mem_allocator_simple_t simple;
  mem_allocator_pool_t pool;
  mem_allocator_t *const a =
      mem_allocator_pool_init(&pool, mem_allocator_simple_init(&simple, buffer, sizeof buffer), 1, 2, 3, 4, 5);
  ASSERT_NE(nullptr, a);
  uint32_t const sizes[] = {8, 16, 32, 48, 64};
  for (uint32_t i = 0; i < 5; i++) {
    EXPECT_EQ(sizes[i], pool.pools[i]->block_size);
    EXPECT_EQ(i == 0 ? 0 : sizes[i - 1] + 1, pool.pools[i]->min_block_size);
    EXPECT_EQ(i + 1, pool.pools[i]->block_nr);
    EXPECT_EQ(mem_pool_get_bits_size(i + 1), pool.pools[i]->bits_size);
    for (uint32_t j = 0; j < 5; j++) {
      EXPECT_EQ(i == j, mem_pool_match_size(pool.pools[i], sizes[j]));
    }
  }
  mem_allocator_destroy(a);
}

TEST_F(Awtk, TheDecoratorsStackAsInTheOriginal) {
  EXPECT_EQ(0, app_stack(buffer, sizeof buffer));
  EXPECT_NE(std::string::npos, output.find("app_stack")) << output;
}

// ---- Nothing, and numbers ----

TEST_F(Awtk, DecoratorsOfNothingAreNone) {
  mem_allocator_simple_t simple;
  mem_allocator_t *const a = mem_allocator_simple_init(&simple, buffer, sizeof buffer);
  mem_allocator_debug_t debug;
  mem_allocator_oom_t oom;
  rf_awtk_mem_allocator other;
  EXPECT_EQ(nullptr, mem_allocator_lock_init(nullptr, a));
  EXPECT_EQ(nullptr, mem_allocator_pool_init(nullptr, a, 1, 1, 1, 1, 1));
  EXPECT_EQ(nullptr, mem_allocator_debug_init(nullptr, a));
  EXPECT_EQ(nullptr, mem_allocator_debug_init(&debug, nullptr));
  EXPECT_EQ(nullptr, mem_allocator_oom_init(nullptr, a));
  EXPECT_EQ(nullptr, mem_allocator_oom_init(&oom, nullptr));
  EXPECT_EQ(nullptr, rf_awtk_mem_allocator_init(nullptr, rf_awtk_allocator(a)));
  EXPECT_EQ(nullptr, rf_awtk_mem_allocator_init(&other, nullptr));
  EXPECT_EQ(0U, simple.info.used_block_nr);
  mem_allocator_destroy(a);
}

// As AWTK's own code has it: each call looks whether there is an allocator, and whether it has the function.
TEST(AwtkNothing, AnswersEachCall) {
  mem_allocator_t none = {};
  static const mem_allocator_vtable_t empty = {};
  mem_allocator_t without = {};
  without.vt = &empty;
  for (mem_allocator_t *const a : {static_cast<mem_allocator_t *>(nullptr), &none, &without}) {
    EXPECT_EQ(nullptr, MEM_ALLOCATOR_ALLOC(a, 10));
    EXPECT_EQ(nullptr, MEM_ALLOCATOR_REALLOC(a, &none, 10));
    MEM_ALLOCATOR_FREE(a, &none);
    EXPECT_EQ(RET_BAD_PARAMS, mem_allocator_dump(a));
    EXPECT_EQ(RET_BAD_PARAMS, mem_allocator_destroy(a));
  }
  alignas(16) static unsigned char region[4096];
  EXPECT_EQ(nullptr, mem_allocator_composite_init(nullptr, region, sizeof region, nullptr));
}

// Programs print them and keep them in files.
TEST(AwtkNumbers, AreThoseOfTheOriginal) {
  ret_t const results[] = {RET_OK,
                           RET_OOM,
                           RET_FAIL,
                           RET_NOT_IMPL,
                           RET_QUIT,
                           RET_FOUND,
                           RET_BUSY,
                           RET_REMOVE,
                           RET_REPEAT,
                           RET_NOT_FOUND,
                           RET_DONE,
                           RET_STOP,
                           RET_SKIP,
                           RET_CONTINUE,
                           RET_OBJECT_CHANGED,
                           RET_ITEMS_CHANGED,
                           RET_BAD_PARAMS,
                           RET_TIMEOUT,
                           RET_CRC,
                           RET_IO,
                           RET_EOS,
                           RET_NOT_MODIFIED,
                           RET_NO_PERMISSION,
                           RET_INVALID_ADDR,
                           RET_EXCEED_RANGE,
                           RET_MAX_NR};
  for (int i = 0; i < 26; i++) {
    EXPECT_EQ(results[i], i);
  }
  EXPECT_EQ(TK_NAME_LEN, 31);
  EXPECT_EQ(TK_FUNC_NAME_LEN, 63);
  EXPECT_EQ(MAX_PATH, 255);
  EXPECT_EQ(TK_MEM_POOLS_NR, 5);
  EXPECT_EQ(TK_MAX_MEM_BLOCK_NR, 4);
  EXPECT_EQ(TRY_MAX_TIMES, 5);
  EXPECT_EQ(RF_AWTK_SIMPLE_BELOW, 4096);
  EXPECT_EQ(RF_AWTK_SITES, 16384);
}

} // namespace
} // namespace ringfence_test
