// The guard of handles: each bug is found with its kind, block, distance and places, and its correct twin is silent.
#include "tests/checkers/handle_guard_fixture.h"

#include <ringfence/track.h>

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace ringfence {
namespace {

struct Extent {
  rf_handle of;
  size_t size;
  size_t overhead;
  const rf_site *site;
};

Extent extent_of(rf_handles *handles, rf_handle handle) {
  Extent extent = {handle, 0, 0, nullptr};
  rf_handle_walk_fn const note = [](const rf_handle_block *b, void *context) {
    auto *const out = static_cast<Extent *>(context);
    if (b->handle == out->of) {
      *out = {b->handle, b->size, b->overhead, b->site};
    }
    return true;
  };
  EXPECT_EQ(rf_handle_walk(handles, note, &extent), RF_OK);
  return extent;
}

// ---- Handles ----

TEST_P(HandleGuardTest, CorrectUseIsSilent) {
  rf_handle const a = rf_handle_alloc(h, 13);
  auto *const p = static_cast<unsigned char *>(rf_handle_lock(h, a));
  EXPECT_TRUE(all(p, 13, 0));
  std::memset(p, 'a', 13);
  rf_handle const b = rf_handle_alloc(h, 100);
  std::memset(at(b), 'b', 100);
  EXPECT_EQ(p, at(a)) << "a locked block stays";
  EXPECT_EQ(rf_handle_unlock(h, a), RF_OK);
  EXPECT_EQ(rf_handle_find(h, at(a)), a);
  EXPECT_EQ(rf_handle_size(h, a), 13U);
  EXPECT_EQ(rf_handle_realloc(h, a, 200), RF_OK);
  EXPECT_TRUE(all(at(a), 13, 'a'));
  EXPECT_TRUE(all(at(a) + 13, 187, 0));
  EXPECT_EQ(rf_handle_realloc(h, a, 5), RF_OK);
  EXPECT_TRUE(all(at(b), 100, 'b'));
  expect_silence();
  rf_handle copy = b;
  EXPECT_EQ(rf_handle_free_ptr(h, &copy), RF_OK);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  rf_handle_compact(h, SIZE_MAX);
  expect_silence();
}

TEST_P(HandleGuardTest, AWalkTellsWhatIsAroundABlockAsItsOverhead) {
  ALLOCATE(a, 13);
  Extent const seen = extent_of(h, a);
  Extent const below = extent_of(&heap_.base, a);
  EXPECT_EQ(seen.size, 13U);
  EXPECT_EQ(seen.size + seen.overhead, below.size + below.overhead);
  ASSERT_NE(seen.site, nullptr);
  EXPECT_EQ(seen.site->line, a_line);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, TheLargestSizeIsInTheStatisticsToo) {
  rf_handle_usage u;
  rf_handle_usage_get(h, &u);
  EXPECT_NE(u.largest, 0U);
  EXPECT_EQ(u.stats.largest_free, u.largest);
}

TEST_P(HandleGuardTest, ABlockThatIsNotZeroedIsFilled) {
  rf_handle const a = rf_handle_alloc_raw(h, 100);
  EXPECT_TRUE(all(at(a), 100, RF_PATTERN_NEW));
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, AStaleHandleIsFoundWithBothPlaces) {
  ALLOCATE(a, 20);
  unsigned char *const p = at(a);
  unsigned const freed = __LINE__ + 1;
  rf_handle_free(h, a);
  unsigned const used = __LINE__ + 1;
  EXPECT_EQ(rf_handle_lock(h, a), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_STALE_HANDLE);
  EXPECT_EQ(f.cwe, 825U);
  EXPECT_EQ(f.argument, a);
  EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(f.size, 20U);
  EXPECT_TRUE(f.freed);
  EXPECT_EQ(line_of(f.allocated), a_line);
  EXPECT_EQ(line_of(f.released), freed);
  EXPECT_EQ(line_of(f.found), used);
  EXPECT_STREQ(f.allocator, "handle");
  for (int call = 0; call < 4; call++) {
    call == 0   ? (void)rf_handle_address(h, a)
    : call == 1 ? (void)rf_handle_unlock(h, a)
    : call == 2 ? (void)rf_handle_size(h, a)
                : (void)rf_handle_realloc(h, a, 9);
    EXPECT_EQ(take_one().bug, RF_BUG_STALE_HANDLE);
  }
}

TEST_P(HandleGuardTest, AStaleHandleIsFoundWhenItsPlaceIsUsedAgain) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle_free(h, a);
  rf_handle_guard_flush(&checked_.guard, 0);
  rf_handle const b = rf_handle_alloc(h, 20);
  EXPECT_EQ(a & 0xFFFF, b & 0xFFFF);
  EXPECT_EQ(rf_handle_address(h, a), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_STALE_HANDLE);
  EXPECT_EQ(rf_handle_free(h, a), RF_ERR_NOT_ALLOCATED);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_DOUBLE_FREE);
  EXPECT_EQ(f.address, 0U);
  EXPECT_EQ(f.access, RF_ACCESS_UNKNOWN) << "of no address";
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
}

TEST_P(HandleGuardTest, ADoubleFreeIsFound) {
  ALLOCATE(a, 20);
  rf_handle_free(h, a);
  EXPECT_EQ(rf_handle_free(h, a), RF_ERR_NOT_ALLOCATED);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_DOUBLE_FREE);
  EXPECT_EQ(f.access, RF_ACCESS_FREE);
  EXPECT_EQ(line_of(f.allocated), a_line);
  EXPECT_EQ(line_of(f.released), a_line + 1);
  EXPECT_EQ(line_of(f.found), a_line + 2);
}

TEST_P(HandleGuardTest, WhatNeverWasAHandleIsFound) {
  rf_handle const a = rf_handle_alloc(h, 20);
  (void)at(a);
  rf_handle const b = rf_handle_alloc(h, 20); // the first has moved: handles the guard uses itself are none either
  for (rf_handle bad = 1; bad < 20; bad++) {
    if (bad != a && bad != b) {
      EXPECT_EQ(rf_handle_free(h, bad), RF_ERR_INVALID) << bad;
      EXPECT_EQ(take_one().bug, RF_BUG_BAD_HANDLE);
    }
  }
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
}

TEST_P(HandleGuardTest, AnUnlockWithoutALockIsFound) {
  ALLOCATE(a, 20);
  rf_handle_lock(h, a);
  EXPECT_EQ(rf_handle_unlock(h, a), RF_OK);
  unsigned const here = __LINE__ + 1;
  EXPECT_EQ(rf_handle_unlock(h, a), RF_ERR_INVALID);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_UNLOCK);
  EXPECT_EQ(f.cwe, 832U);
  EXPECT_EQ(f.argument, a);
  EXPECT_EQ(f.size, 20U);
  EXPECT_EQ(line_of(f.found), here);
  EXPECT_EQ(line_of(f.allocated), a_line);
  rf_handle_free(h, a);
}

TEST_P(HandleGuardTest, AFreeOfALockedBlockIsFound) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle_lock(h, a);
  EXPECT_EQ(rf_handle_free(h, a), RF_ERR_BUSY);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_FREE_LOCKED);
  EXPECT_EQ(f.argument, a);
  rf_handle_unlock(h, a);
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
}

TEST_P(HandleGuardTest, LocksAreCountedToTheirLimit) {
  rf_handle const a = rf_handle_alloc(h, 20);
  for (unsigned i = 0; i < RF_HANDLE_MOST_LOCKS; i++) {
    ASSERT_NE(rf_handle_lock(h, a), nullptr);
  }
  EXPECT_EQ(rf_handle_lock(h, a), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_BAD_HANDLE);
  for (unsigned i = 0; i < RF_HANDLE_MOST_LOCKS; i++) {
    ASSERT_EQ(rf_handle_unlock(h, a), RF_OK);
  }
  rf_handle_free(h, a);
}

TEST_P(HandleGuardTest, SizesThatCannotBeAreFoundAndSize0IsRefused) {
  EXPECT_EQ(rf_handle_alloc(h, 0), RF_HANDLE_NULL);
  expect_silence();
  EXPECT_EQ(rf_handle_alloc(h, static_cast<size_t>(-5)), RF_HANDLE_NULL);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_SIZE_TOO_BIG);
  EXPECT_EQ(f.size, static_cast<size_t>(-5));
  EXPECT_EQ(rf_handle_alloc(h, RF_SIZE_LIMIT), RF_HANDLE_NULL) << "wraps with what goes around it";
  rf_handle const a = rf_handle_alloc(h, 5);
  EXPECT_EQ(rf_handle_realloc(h, a, SIZE_MAX), RF_ERR_INVALID);
  EXPECT_EQ(take_one().bug, RF_BUG_SIZE_TOO_BIG);
  EXPECT_EQ(rf_handle_realloc(h, a, RF_SIZE_LIMIT), RF_ERR_NO_MEMORY);
  rf_handle_free(h, a);
}

// ---- Leaks and the end ----

TEST_P(HandleGuardTest, LeaksAreReportedAtDeinit) {
  ALLOCATE(a, 20);
  rf_handle const b = rf_handle_alloc(h, 30);
  rf_handle_lock(h, b);
  rf_handle_free(h, rf_handle_alloc(h, 5));
  rf_checked_handles_deinit(&checked_);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 2U);
  for (const rf_finding &f : found) {
    EXPECT_EQ(f.bug, RF_BUG_LEAK);
    EXPECT_EQ(f.size, f.argument == a ? 20U : 30U);
    EXPECT_EQ(f.detail != nullptr, f.argument == b) << "still locked";
    EXPECT_EQ(line_of(f.allocated), f.argument == a ? a_line : a_line + 1);
  }
}

TEST_P(HandleGuardTest, UseAfterDeinitIsFound) {
  rf_checked_handles_deinit(&checked_);
  rf_checked_handles_deinit(&checked_);
  EXPECT_EQ(rf_handle_alloc(h, 5), RF_HANDLE_NULL);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_handle_address(h, 1), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_handle_compact(h, 1), 0U);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_handle_find(h, this), RF_HANDLE_NULL);
}

// ---- As a heap ----

TEST(CheckedHandles, TheEndOfTheGuardByTheInterfaceIsThatOfTheHeapToo) {
  alignas(8) unsigned char arena[2000];
  rf_handle_heap heap;
  rf_handle_guard guard;
  Recorder recorder;
  rf_handle_guard_options options;
  rf_handle_guard_options_default(&options);
  options.reporter = recorder.reporter();
  ASSERT_EQ(rf_handle_heap_init(&heap, arena, sizeof arena, nullptr), RF_OK);
  ASSERT_EQ(rf_handle_guard_init(&guard, &heap.base, &options), RF_OK);
  rf_handle_deinit(&guard.base);
  EXPECT_EQ(rf_handle_alloc(&heap.base, 10), RF_HANDLE_NULL);
  EXPECT_EQ(recorder.count(), 0U);
}

TEST_P(HandleGuardTest, SwapTradesBlocksAndTheirPlaces) {
  rf_handle const a = rf_handle_alloc(h, 20);
  rf_handle const b = rf_handle_alloc(h, 30);
  unsigned char *const pa = at(a);
  EXPECT_EQ(rf_handle_swap(h, a, b), RF_OK);
  EXPECT_EQ(at(b), pa);
  EXPECT_EQ(rf_handle_size(h, a), 30U);
  unsigned char *const pb = at(a);
  rf_handle_free(h, rf_handle_alloc(h, 1));
  EXPECT_NE(at(b), pa);
  EXPECT_NE(at(a), pb);
  expect_silence();
  EXPECT_EQ(rf_handle_free(h, a), RF_OK);
  EXPECT_EQ(rf_handle_free(h, b), RF_OK);
}

TEST_P(HandleGuardTest, ABlockInQuarantineIsFoundByNoAddress) {
  rf_handle const a = rf_handle_alloc(h, 20);
  unsigned char *const p = at(a);
  EXPECT_EQ(rf_handle_find(h, p), a);
  rf_handle_free(h, a);
  EXPECT_EQ(rf_handle_find(h, p), RF_HANDLE_NULL);
}

TEST_P(HandleGuardTest, RandomCorrectProgramsAreSilentAndKeepTheirBytes) {
  std::mt19937 random(GetParam() + 7U);
  std::map<rf_handle, std::vector<unsigned char>> live;
  std::map<rf_handle, unsigned char *> locked;
  for (int i = 0; i < 20000; i++) {
    auto any = live.begin();
    std::advance(any, live.empty() ? 0 : random() % live.size());
    switch (live.empty() ? 0 : random() % 8) {
    case 0:
    case 1: {
      size_t const size = 1 + random() % 900;
      rf_handle const a = rf_handle_alloc(h, size);
      if (a != RF_HANDLE_NULL) {
        ASSERT_EQ(live.count(a), 0U);
        live[a] = std::vector<unsigned char>(size, 0);
      }
      break;
    }
    case 2:
      if (locked.count(any->first) == 0) {
        ASSERT_EQ(rf_handle_free(h, any->first), RF_OK);
        live.erase(any);
      }
      break;
    case 3: {
      size_t const size = 1 + random() % 900;
      if (rf_handle_realloc(h, any->first, size) == RF_OK) {
        any->second.resize(size, 0);
      }
      break;
    }
    case 4:
      locked[any->first] = static_cast<unsigned char *>(rf_handle_lock(h, any->first));
      ASSERT_NE(locked[any->first], nullptr);
      break;
    case 5:
      if (locked.count(any->first) != 0) {
        ASSERT_EQ(at(any->first), locked[any->first]);
        while (rf_handle_unlock(h, any->first) == RF_OK) {
        }
        ASSERT_EQ(take_one().bug, RF_BUG_UNLOCK); // the last one too many: how often it was locked is not kept here
        locked.erase(any->first);
      }
      break;
    case 6:
      for (unsigned char &byte : any->second) {
        byte = static_cast<unsigned char>(random());
      }
      std::copy(any->second.begin(), any->second.end(), at(any->first));
      break;
    default:
      rf_handle_compact(h, random() % 3000);
    }
    if (!live.empty()) {
      auto const one = live.begin();
      ASSERT_EQ(std::memcmp(at(one->first), one->second.data(), one->second.size()), 0) << "step " << i;
    }
    while (live.size() > 60) {
      auto const one = live.begin();
      while (locked.count(one->first) != 0 && rf_handle_unlock(h, one->first) == RF_OK) {
      }
      recorder_.take();
      locked.erase(one->first);
      ASSERT_EQ(rf_handle_free(h, one->first), RF_OK);
      live.erase(one);
    }
  }
  for (auto const &one : live) {
    ASSERT_EQ(std::memcmp(at(one.first), one.second.data(), one.second.size()), 0);
    while (locked.count(one.first) != 0 && rf_handle_unlock(h, one.first) == RF_OK) {
    }
    recorder_.take();
    ASSERT_EQ(rf_handle_free(h, one.first), RF_OK);
  }
  expect_silence();
}

INSTANTIATE_TEST_SUITE_P(Modes, HandleGuardTest, testing::Values(RF_MODE_GUARD, RF_MODE_PAGE));

// ---- Choosing ----

TEST(CheckedHandles, InModesOffAndSampleAreTheHeapItself) {
  alignas(8) unsigned char arena[2000];
  rf_handle_heap heap;
  rf_checked_handles checked;
  rf_checked_options options;
  ASSERT_EQ(rf_handle_heap_init(&heap, arena, sizeof arena, nullptr), RF_OK);
  rf_options_default(&options.settings);
  options.reporter = nullptr;
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_SAMPLE}) {
    options.settings.mode = mode;
    EXPECT_EQ(rf_checked_handles_init(&checked, &heap.base, &options), &heap.base);
    rf_checked_handles_deinit(&checked);
  }
  options.settings.mode = RF_MODE_GUARD;
  options.reporter = rf_reporter_plain();
  EXPECT_EQ(rf_checked_handles_init(&checked, &heap.base, &options), &checked.guard.base);
  EXPECT_EQ(checked.mode, RF_MODE_GUARD);
  rf_checked_handles_deinit(&checked);
  EXPECT_EQ(checked.mode, RF_MODE_OFF);
  rf_checked_handles_deinit(&checked);
  EXPECT_EQ(rf_checked_handles_init(&checked, nullptr, &options), nullptr);
  EXPECT_EQ(rf_handle_guard_init(nullptr, &heap.base, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_guard_init(&checked.guard, nullptr, nullptr), RF_ERR_INVALID);
}

TEST(CheckedHandles, GuardReadsItsFindingsToTheLog) {
  alignas(8) unsigned char arena[8000];
  EXPECT_EXIT(
      {
        rf_handle_heap heap;
        rf_checked_handles checked;
        rf_checked_options options;
        rf_options_default(&options.settings);
        options.settings.mode = RF_MODE_GUARD;
        options.settings.halt = true;
        options.reporter = nullptr;
        (void)rf_handle_heap_init(&heap, arena, sizeof arena, nullptr);
        rf_handles *const h = rf_checked_handles_init(&checked, &heap.base, &options);
        rf_handle const a = rf_handle_alloc(h, 16);
        rf_handle_unlock(h, a);
      },
      testing::ExitedWithCode(RF_EXITCODE_DEFAULT),
      "ERROR: Ringfence: unlock-without-lock on address 0x[0-9a-f]+: handle 0x1");
}

#if RF_TRACK_ASAN
TEST(CheckedHandles, UnderAddressSanitizerAKeptAddressStopsAtTheAccess) {
  alignas(8) unsigned char arena[8000];
  EXPECT_DEATH(
      {
        rf_handle_heap heap;
        rf_handle_guard guard;
        (void)rf_handle_heap_init(&heap, arena, sizeof arena, nullptr);
        (void)rf_handle_guard_init(&guard, &heap.base, nullptr);
        rf_handles *const h = &guard.base;
        rf_handle const a = rf_handle_alloc(h, 16);
        auto *const p = static_cast<volatile char *>(rf_handle_address(h, a));
        (void)rf_handle_alloc(h, 16);
        (void)p[3];
      },
      "AddressSanitizer: use-after-poison");
}
#endif

TEST(HandleGuardLargest, CanBeHadWithLockedBlocksAndWithoutAQuarantine) {
  std::vector<unsigned char> arena(8 * 1024);
  rf_handle_heap heap;
  ASSERT_EQ(rf_handle_heap_init(&heap, arena.data(), arena.size(), nullptr), RF_OK);
  rf_checked_options options;
  rf_options_default(&options.settings);
  options.settings.mode = RF_MODE_GUARD;
  options.settings.quarantine = 0;
  rf_checked_handles checked;
  rf_handles *const h = rf_checked_handles_init(&checked, &heap.base, &options);
  std::mt19937 random(1);
  std::vector<std::pair<rf_handle, bool>> live; // locked or not
  unsigned refused = 0;
  for (int round = 0; round < 4000; round++) {
    if (live.size() < 20) {
      rf_handle const made = rf_handle_alloc(h, 1 + random() % 400);
      if (made != RF_HANDLE_NULL) {
        bool const locked = random() % 3 == 0;
        live.emplace_back(made, locked);
        (void)(locked ? rf_handle_lock(h, made) : rf_handle_address(h, made));
      }
    }
    rf_handle_usage usage;
    rf_handle_usage_get(h, &usage);
    if (usage.largest != 0) {
      rf_handle const all = rf_handle_alloc(h, usage.largest);
      refused += all == RF_HANDLE_NULL ? 1U : 0U;
      (void)rf_handle_free(h, all);
    }
    if (live.size() > 8 && random() % 2 == 0) {
      size_t const which = random() % live.size();
      if (live[which].second) {
        (void)rf_handle_unlock(h, live[which].first);
      }
      (void)rf_handle_free(h, live[which].first);
      live.erase(live.begin() + static_cast<ptrdiff_t>(which));
    }
  }
  EXPECT_EQ(refused, 0U);
  for (auto const &[handle, locked] : live) {
    (void)(locked ? rf_handle_unlock(h, handle) : RF_OK);
    (void)rf_handle_free(h, handle);
  }
  rf_checked_handles_deinit(&checked);
}

} // namespace
} // namespace ringfence
