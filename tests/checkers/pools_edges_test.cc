// The checker of pools as it is told of pools that no pool of ours is like: by its own interface. And what is kept of
// each block of a run.
#include "tests/checkers/pools_fixture.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#if RF_WATCH

namespace ringfence {
namespace {

class PoolsEdges : public Pools {
protected:
  // Before any pool began.
  static void SetUpTestSuite() { first_ = rf_watcher_of_process; }

  static rf_watched_pool view_of(const void *pool, unsigned char *start, size_t count) {
    return {pool, "test", start, kSize, kSize, count, 0, false};
  }
  static inline const rf_watcher *first_ = nullptr;

  static const void *here() { return __builtin_return_address(0); }

  static void begin(const rf_watched_pool &view) { rf_watcher_of_process->begin(&view, nullptr, 0, nullptr, here()); }
  static void finish(const rf_watched_pool &view) { rf_watcher_of_process->end(&view, nullptr, 0, nullptr, here()); }
  static void taken(const rf_watched_pool &view, void *p) {
    rf_watcher_of_process->alloc(&view, p, 1, nullptr, here());
  }
  static void freed(const rf_watched_pool &view, void *p) { rf_watcher_of_process->free(&view, p, 1, nullptr, here()); }
};

// ---- Pools that begin and end ----

TEST_F(PoolsEdges, APoolThatEndedIsNotWatchedAnyMore) {
  alignas(16) unsigned char memory[4 * kSize] = {};
  int pool = 0;
  rf_watched_pool const view = view_of(&pool, memory, 4);
  begin(view);
  taken(view, memory);
  finish(view);
  std::memset(memory, 7, sizeof memory);
  freed(view, memory);
  EXPECT_EQ(memory[0], 7);
}

// Its record has room for all that is kept of the one that was in its place, and stands behind that.
TEST_F(PoolsEdges, APoolThatBeginsAnewElsewhereIsWatchedThere) {
  alignas(16) static unsigned char memory[4][64 * kSize] = {};
  int pools[2] = {};
  rf_watched_pool const former = view_of(&pools[0], memory[0], 33);
  begin(former);
  rf_watched_pool const first = view_of(&pools[1], memory[1], 34);
  begin(first);
  finish(former);
  rf_watched_pool const second = view_of(&pools[1], memory[2], 35);
  begin(second); // and nobody ended the first
  taken(second, memory[2]);
  freed(second, memory[2]);
  memory[2][5] ^= 1;
  taken(second, memory[2]);
  expect_found(RF_BUG_USE_AFTER_FREE, memory[2], kSize, 5);
  finish(second);
}

// The program has only the first one of two blocks in which the new pool lies.
TEST_F(PoolsEdges, APoolThatReachesIntoAFreeBlockEndsTheOneThatHasIt) {
  unsigned char *const outer = take();
  unsigned char *const p = take();
  give(p);
  ASSERT_EQ(p, outer + kSize);
  int pool = 0;
  rf_watched_pool const view = view_of(&pool, outer + kSize / 2, 1);
  begin(view);
  p[1] ^= 1;
  (void)take();
  EXPECT_TRUE(findings_.empty());
  finish(view);
}

// Two threads may come to the first watcher at once: the second one changes nothing any more.
TEST_F(PoolsEdges, TheOptionsOfTheProcessAreAskedForOnce) {
  ASSERT_NE(first_, nullptr);
  alignas(16) unsigned char memory[kSize] = {};
  int pool = 0;
  rf_watched_pool const view = view_of(&pool, memory, 1);
  const rf_watcher *const now = rf_watcher_of_process;
  first_->begin(&view, nullptr, 0, nullptr, here());
  EXPECT_EQ(rf_watcher_of_process, now);
  taken(view, memory);
  freed(view, memory);
  memory[1] ^= 1;
  finish(view);
  EXPECT_EQ(found().bug, RF_BUG_USE_AFTER_FREE);
}

// ---- The memory of a pool ----

// The stride is longer than a block, and the last block ends where memory does.
TEST_F(PoolsEdges, NothingBehindTheLastBlockIsLookedAt) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void *const memory = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  unsigned char *const end = static_cast<unsigned char *>(memory) + page;
  ASSERT_EQ(mprotect(end, page, PROT_NONE), 0);
  size_t const span = kSize + 16 + kSize;
  int pool = 0;
  rf_watched_pool view = view_of(&pool, end - span, 2);
  view.stride = kSize + 16;
  begin(view);
  unsigned char *const last = end - kSize;
  taken(view, last);
  freed(view, last);
  last[kSize - 1] ^= 1;
  taken(view, last);
  expect_found(RF_BUG_USE_AFTER_FREE, last, kSize, kSize - 1);
  EXPECT_LE(found().window_address + found().window_size, reinterpret_cast<uintptr_t>(end));
  finish(view);
  munmap(memory, 2 * page);
}

// Memory that may hold what is to be claimed is left as it is.
TEST_F(PoolsEdges, WhatMayBeClaimedStaysWhereTheBlockBeforeItIsTaken) {
  alignas(16) unsigned char memory[2 * kSize] = {};
  std::memset(memory + kSize, 9, kSize);
  int pool = 0;
  rf_watched_pool view = view_of(&pool, memory, 2);
  view.may_claim = true;
  begin(view);
  taken(view, memory);
  EXPECT_EQ(memory[kSize], 9);
  EXPECT_EQ(memory[2 * kSize - 1], 9);
  finish(view);
  EXPECT_TRUE(findings_.empty());
}

// Between two free blocks the word before the second is the pool's to change.
TEST_F(PoolsEdges, APoolMayChangeItsOwnWordsWhileBothBlocksAreFree) {
  size_t const stride = kSize + sizeof(uintptr_t);
  alignas(16) unsigned char memory[2 * stride] = {};
  int pool = 0;
  rf_watched_pool view = view_of(&pool, memory, 2);
  view.stride = stride;
  begin(view);
  taken(view, memory);
  taken(view, memory + stride);
  freed(view, memory);
  freed(view, memory + stride);
  memory[kSize + 1] ^= 1;
  finish(view);
  EXPECT_TRUE(findings_.empty());
}

// ---- What is kept and told ----

TEST_F(PoolsEdges, EachBlockOfARunHasTheCallsOfTheRun) {
  static const rf_site kTaken = {"run.c", "take_run", 1};
  static const rf_site kGiven = {"run.c", "give_run", 2};
  alignas(16) unsigned char memory[3 * kSize] = {};
  int pool = 0;
  rf_watched_pool const view = view_of(&pool, memory, 3);
  begin(view);
  rf_watcher_of_process->alloc(&view, memory, 3, &kTaken, here());
  rf_watcher_of_process->free(&view, memory, 3, &kGiven, here());
  memory[2 * kSize + 5] ^= 1;
  finish(view);
  rf_finding const f = found();
  EXPECT_EQ(f.allocated.site, &kTaken);
  EXPECT_EQ(f.released.site, &kGiven);
}

TEST_F(PoolsEdges, DamageThatAFreeBesideItFindsIsMended) {
  alignas(16) unsigned char memory[3 * kSize] = {};
  int pool = 0;
  rf_watched_pool const view = view_of(&pool, memory, 3);
  begin(view);
  for (size_t const i : {0, 1, 2}) {
    taken(view, memory + i * kSize);
  }
  freed(view, memory + kSize);
  memory[kSize + 5] ^= 1;
  freed(view, memory);
  freed(view, memory + 2 * kSize);
  finish(view);
  expect_found(RF_BUG_USE_AFTER_FREE, memory + kSize, kSize, 5);
}

TEST_F(PoolsEdges, FindingsHaveTheModeInWhichPoolsAreWatched) {
  for (rf_mode const mode : {RF_MODE_PAGE, RF_MODE_ASAN, RF_MODE_MTE, RF_MODE_GUARD}) {
    findings_.clear();
    rf_checked_options options = guard_options(&reporter_);
    options.settings.mode = mode;
    rf_mode const in_force = rf_checked_pools_init(&options);
    EXPECT_EQ(in_force, mode == RF_MODE_PAGE ? RF_MODE_PAGE : RF_MODE_GUARD);
    unsigned char *const p = take();
    give(p);
    p[20] ^= 1;
    give(take());
    EXPECT_STREQ(found().mode, rf_mode_name(in_force));
  }
  findings_.clear();
  rf_checked_options options = guard_options(&reporter_);
  options.settings.mode = RF_MODE_SAMPLE;
  EXPECT_EQ(rf_checked_pools_init(&options), RF_MODE_OFF);
}

} // namespace
} // namespace ringfence

#endif
