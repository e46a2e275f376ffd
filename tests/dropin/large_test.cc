// Large blocks of the drop-in's heap (checkers/dropin/heap/large.c): kept, used again, resized and given back.
#include "tests/checkers/single_step.h"
#include "tests/dropin/address_space.h"
#include "tests/dropin/heap_alone.h"

#include <csignal>
#include <cstring>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/check.h"
#include "checkers/dropin/heap/large.h"
#include "checkers/dropin/heap/walk.h"
#include "checkers/dropin/os/pages.h"
}
#undef _Static_assert

namespace ringfence_test {
namespace {

rf_span *take_large(size_t size, bool *fresh, bool growing = false, size_t align = 16) {
  rf_block_request const request = {size, align, RF_FAMILY_MALLOC, false, growing, 0};
  rf_span *const span = rf_large_take(0, &request, nullptr, fresh);
  if (span != nullptr) {
    span->slots[0].traits = rf_traits(RF_SLOT_LIVE, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
    rf_view const v = rf_view_of(span, 0);
    memset(v.payload + size, RF_PATTERN_REDZONE, static_cast<size_t>(v.end - v.payload) - size);
  }
  return span;
}

void keep_large(rf_span *span) {
  span->slots[0].traits = rf_traits(RF_SLOT_FREED, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
  rf_view const v = rf_view_of(span, 0);
  memset(v.payload, RF_PATTERN_FREED, v.size);
  EXPECT_TRUE(rf_large_keep(span));
}

// Blocks with pages of their own may lie there, which are not the heap's.
TEST(DropinLarge, DoesNotHoldWhatIsBehindItsMappingInItsLastUnit) {
  heap_alone([] {
    bool fresh = false;
    rf_span *const span = take_large(3000010, &fresh);
    uintptr_t const end = rf_span_start(span) + span->bytes;
    ASSERT_NE(end % RF_UNIT, 0U);
    EXPECT_EQ(rf_span_of(end), span);
    EXPECT_EQ(rf_span_holding(end), nullptr);
    EXPECT_EQ(rf_span_holding(end - 1), span);
    EXPECT_EQ(rf_span_holding(rf_span_start(span)), span);
  });
}

TEST(DropinLarge, ServesAgainWhenAsMuchWasFreedAfterIt) {
  heap_alone([] {
    bool fresh = false;
    rf_span *const first = take_large(600000, &fresh);
    EXPECT_TRUE(fresh);
    size_t const each = first->bytes;
    EXPECT_EQ(rf_heap_bytes_now().large, each);
    keep_large(first);
    EXPECT_EQ(rf_heap_bytes_now().large, 0U);
    EXPECT_EQ(rf_heap_bytes_now().freed, each);
    rf_span *const second = take_large(600000, &fresh);
    EXPECT_NE(second, first); // one MiB is to be freed first
    keep_large(second);
    rf_span *const third = take_large(600000, &fresh);
    EXPECT_EQ(third, first);
    EXPECT_FALSE(fresh);
    EXPECT_EQ(rf_heap_bytes_now().freed, each);
    keep_large(third);
    bool is_fresh = false;
    EXPECT_NE(take_large(200000, &is_fresh), second); // it would waste more than half
    EXPECT_NE(take_large(700000, &is_fresh), second); // too large
    EXPECT_EQ(take_large(500000, &is_fresh), second);
  });
}

TEST(DropinLarge, RunsThatHaveWaitedServeRequestsOfOtherSizes) {
  heap_alone([] {
    bool fresh = false;
    rf_span *spans[3];
    for (rf_span *&span : spans) {
      span = take_large(600000, &fresh);
    }
    uintptr_t const start = rf_span_start(spans[0]);
    size_t const each = spans[0]->bytes;
    keep_large(spans[0]);
    keep_large(spans[1]);
    EXPECT_EQ(rf_heap_bytes_now().freed, 2 * each);
    keep_large(spans[2]);
    EXPECT_EQ(rf_heap_bytes_now().freed, 2 * each); // the first one has waited for one MiB
    EXPECT_EQ(rf_span_of(start), nullptr);
    rf_span *const small = take_large(50000, &fresh);
    EXPECT_EQ(rf_span_start(small), start);
    EXPECT_FALSE(fresh);
  });
}

TEST(DropinLarge, MappingsThatHaveWaitedAreKeptUpToTheQuarantine) {
  heap_alone([] {
    bool fresh = false;
    rf_span *const first = take_large(kMiB + kMiB / 2, &fresh);
    rf_span *const second = take_large(kMiB + kMiB / 2, &fresh);
    size_t const both = first->bytes + second->bytes;
    ASSERT_LE(both, rf_heap_options_now.quarantine);
    keep_large(first);
    keep_large(second);
    EXPECT_EQ(rf_heap_bytes_now().freed, both);
    EXPECT_EQ(take_large(kMiB + kMiB / 4, &fresh), first);
  });
}

TEST(DropinLarge, RunsServeBlocksThatGrow) {
  heap_alone([] {
    bool fresh = false;
    rf_span *const first = take_large(600000, &fresh);
    keep_large(first);
    keep_large(take_large(600000, &fresh));
    EXPECT_EQ(take_large(500000, &fresh, true), first);
  });
}

// A small one has as many units as any that a new run would have.
TEST(DropinLarge, RunsOfOneUnitServeSmallBlocksThatGrow) {
  heap_alone([] {
    bool fresh = false;
    rf_span *const first = take_large(60000, &fresh);
    ASSERT_EQ(first->bytes, RF_UNIT);
    keep_large(first);
    keep_large(take_large(600000, &fresh));
    keep_large(take_large(400000, &fresh));
    EXPECT_EQ(take_large(10000, &fresh, true), first);
  });
}

TEST(DropinLarge, ATrimTellsOfPagesOfRunsAsWell) {
  heap_alone([] {
    bool dirty = false;
    rf_segment *segment = nullptr;
    uintptr_t const start = rf_run_take(&rf_heaps[0], 4, &dirty, &segment);
    ASSERT_NE(start, 0U);
    rf_run_give(&rf_heaps[0], segment, start, 4);
    EXPECT_EQ(rf_large_trim(), 4 * RF_UNIT);
    EXPECT_EQ(rf_large_trim(), 0U);
  });
}

// Memory that stays the heap's is not told of as a mapping that has gone.
TEST(DropinLarge, OnlyAMappingIsToldToLeave) {
  static const rf_span *left;
  heap_alone([] {
    rf_heap_options_now.leaving = [](const rf_span *span) { left = span; };
    for (size_t const size : {size_t{100000}, 3 * kMiB}) {
      bool fresh = false;
      rf_span *const span = take_large(size, &fresh);
      bool const mapped = span->mapped;
      keep_large(span);
      EXPECT_NE(rf_large_trim(), 0U);
      EXPECT_EQ(left, mapped ? span : nullptr) << size;
    }
  });
}

TEST(DropinLarge, IsGivenBackWhereItIsVeryLargeOrWhenTrimmed) {
  heap_alone([] {
    bool fresh = false;
    size_t const before = rf_heap_bytes_now().mapped;
    rf_span *const huge = take_large(33 * kMiB, &fresh);
    uintptr_t const start = rf_span_start(huge);
    EXPECT_TRUE(huge->mapped);
    EXPECT_EQ(rf_heap_bytes_now().mapped, before + huge->bytes);
    keep_large(huge);
    EXPECT_EQ(rf_heap_bytes_now().mapped, before);
    EXPECT_EQ(rf_heap_bytes_now().freed, 0U);
    EXPECT_EQ(rf_span_of(start), nullptr);

    rf_span *const large = take_large(2 * kMiB, &fresh);
    size_t const bytes = large->bytes;
    keep_large(large);
    EXPECT_EQ(rf_heap_bytes_now().freed, bytes);
    EXPECT_GE(rf_large_trim(), bytes);
    EXPECT_EQ(rf_heap_bytes_now().freed, 0U);
    EXPECT_EQ(rf_heap_bytes_now().mapped, before);
    EXPECT_EQ(rf_large_trim(), 0U);
  });
}

// Two threads realloc one block: the first has moved it and its span is gone, while the second made room for its copy.
TEST(DropinLarge, IsNotClaimedWhereItsSpanServesAnother) {
  heap_alone([] {
    bool fresh = false;
    rf_span *const first = take_large(3000000, &fresh);
    rf_view seen = rf_view_of(first, 0);
    uint16_t const traits = first->slots[0].traits;
    {
      rf_view now = seen;
      EXPECT_TRUE(rf_view_claim(&now, traits)) << "it is there";
      EXPECT_EQ(rf_slot_state_of(now.slot), RF_SLOT_FREED);
      rf_slot_unclaim(now.slot, traits);
    }
    first->size = 2000000; // by another thread, in place
    {
      rf_view now = seen;
      EXPECT_TRUE(rf_view_claim(&now, traits));
      EXPECT_EQ(now.size, 2000000U);
      rf_slot_unclaim(now.slot, traits);
    }
    first->size = 3000000;
    keep_large(first);
    EXPECT_NE(rf_large_trim(), 0U);
    rf_span *const second = take_large(9000000, &fresh);
    ASSERT_EQ(second, first) << "its descriptor is used again";
    ASSERT_NE(static_cast<void *>(rf_view_of(second, 0).payload), static_cast<void *>(seen.payload));
    EXPECT_FALSE(rf_view_claim(&seen, traits));
    EXPECT_EQ(second->slots[0].traits, traits) << "and its block is left alone";
  });
}

TEST(DropinLarge, IsKeptUpTo32MiB) {
  heap_alone([] {
    size_t const around = RF_SPAN_FRONT + RF_TAIL_LEAST;
    for (size_t const beyond : {size_t{0}, size_t{1}}) {
      bool fresh = false;
      rf_span *const span = take_large(32 * kMiB - around + beyond, &fresh);
      ASSERT_EQ(span->bytes, 32 * kMiB + (beyond != 0 ? rf_pages_round(1) : 0));
      uintptr_t const start = rf_span_start(span);
      keep_large(span);
      EXPECT_EQ(rf_heap_bytes_now().freed, beyond == 0 ? 32 * kMiB : 0);
      EXPECT_EQ(rf_span_of(start), beyond == 0 ? span : nullptr);
      (void)rf_large_trim();
    }
  });
}

// The mapping above it begins with the next unit: something else may lie between the first ones.
TEST(DropinLarge, ShrinksAndLeavesItsNeighbourInThePageMap) {
  heap_alone([] {
    for (size_t const smaller : {kMiB, kMiB + 100, kMiB + 60000}) {
      bool fresh = false;
      rf_span *upper = nullptr;
      rf_span *lower = take_large(4 * kMiB - 200, &fresh);
      for (int i = 0; i < 20 && (upper == nullptr || rf_span_start(lower) + lower->bytes != rf_span_start(upper));
           i++) {
        upper = lower;
        lower = take_large(4 * kMiB - 200, &fresh);
      }
      uintptr_t const neighbour = rf_span_start(upper);
      ASSERT_EQ(rf_span_start(lower) + lower->bytes, neighbour);
      EXPECT_TRUE(rf_large_resize(lower, smaller));
      EXPECT_EQ(rf_span_of(neighbour), upper);
      EXPECT_EQ(rf_span_of(neighbour - 1), nullptr);
    }
  });
}

TEST(DropinLarge, IsResizedInPlaceWithItsGuardBytes) {
  heap_alone([] {
    bool fresh = false;
    bool const has_room = sizeof(void *) > 4; // mappings that may grow have room above
    for (size_t const size : {size_t{100000}, has_room ? 3 * kMiB : size_t{200000}}) {
      rf_span *const span = take_large(size, &fresh, true);
      size_t const large = rf_heap_bytes_now().large;
      size_t const before = span->bytes;
      EXPECT_EQ(span->mapped, size > kMiB);
      ASSERT_TRUE(rf_large_resize(span, size + size / 2)) << size;
      EXPECT_EQ(span->size, size + size / 2);
      EXPECT_EQ(rf_heap_bytes_now().large, large + span->bytes - before);
      rf_view const v = rf_view_of(span, 0);
      EXPECT_EQ(v.payload[size], RF_PATTERN_NEW);
      EXPECT_EQ(v.payload[size + rf_heap_options_now.fill_alloc - 1], RF_PATTERN_NEW);
      EXPECT_EQ(v.payload[size + rf_heap_options_now.fill_alloc], 0);
      for (const unsigned char *p = v.payload + size + size / 2; p != v.end; p++) {
        ASSERT_EQ(*p, RF_PATTERN_REDZONE) << p - v.payload;
      }
      EXPECT_TRUE(rf_check_intact(&v));
      uintptr_t const last = rf_span_start(span) + span->bytes - 1;
      EXPECT_EQ(rf_span_of(last), span);
      EXPECT_FALSE(rf_large_resize(span, RF_SIZE_LIMIT));
      EXPECT_EQ(span->size, size + size / 2);
    }
  });
}

TEST(DropinLarge, ShrinksAMappingAndLeavesARun) {
  heap_alone([] {
    bool fresh = false;
    rf_span *const mapped = take_large(4 * kMiB, &fresh);
    size_t const before = rf_heap_bytes_now().mapped;
    size_t const bytes = mapped->bytes;
    uintptr_t const start = rf_span_start(mapped);
    EXPECT_TRUE(rf_large_resize(mapped, 3 * kMiB)); // less than half is left: its pages stay
    EXPECT_EQ(mapped->bytes, bytes);
    EXPECT_TRUE(rf_large_resize(mapped, kMiB));
    EXPECT_LT(mapped->bytes, bytes / 2);
    EXPECT_EQ(rf_heap_bytes_now().mapped, before - (bytes - mapped->bytes));
    EXPECT_EQ(rf_span_of(start + mapped->bytes - 1), mapped);
    EXPECT_EQ(rf_span_of(start + 2 * kMiB), nullptr);

    rf_span *const run = take_large(900000, &fresh);
    EXPECT_FALSE(run->mapped);
    EXPECT_FALSE(rf_large_resize(run, 300000)); // it moves: units are not given back one by one
    EXPECT_TRUE(rf_large_resize(run, 600000));
    EXPECT_EQ(run->size, 600000U);
  });
}

// There is space for the block and its description, and not for the part of the page map where it lies.
TEST(DropinLarge, ItsMemoryGoesBackWhereThePageMapHasNone) {
  if (sizeof(void *) == 4) {
    GTEST_SKIP() << "the page map of 32 bits is there from the beginning";
  }
  heap_alone([] {
    constexpr size_t kSize = 5 * kMiB;
    bool fresh = false;
    rf_span_forget(rf_span_describe(0, RF_CLASSES));
    leave_space(kSize + 256 * 1024);
    EXPECT_EQ(take_large(kSize, &fresh), nullptr);
    EXPECT_EQ(rf_heaps[0].mapped_bytes, 0U);
    EXPECT_EQ(rf_heap_bytes_now().large, 0U);
    EXPECT_EQ(take_large(kSize, &fresh), nullptr) << "the description is used again";
  });
}

TEST(DropinLarge, WhatIsKeptGoesBackBeforeARequestFails) {
  heap_alone([] {
    bool fresh = false;
    rf_span *spans[4];
    for (rf_span *&span : spans) {
      span = take_large(3 * kMiB, &fresh);
    }
    for (rf_span *const span : spans) {
      keep_large(span);
    }
    ASSERT_GE(rf_heap_bytes_now().freed, 12 * kMiB);
    leave_space(kMiB);
    EXPECT_NE(take_large(10 * kMiB, &fresh), nullptr);
    EXPECT_EQ(rf_heap_bytes_now().freed, 0U);
  });
}

// Those that slots would have room for are few; one that outgrows them makes room for another.
TEST(DropinLarge, BlocksThatAreToGrowAreCountedWhileASlotWouldHaveRoomForThem) {
  heap_alone([] {
    bool fresh = false;
    constexpr size_t kMost = RF_SLOT_MOST - RF_TAIL_LEAST;
    auto const grown = [] { return rf_heaps[0].grown; };
    rf_span *const first = take_large(20000, &fresh, true);
    EXPECT_EQ(grown(), 1U);
    (void)take_large(kMost + 1, &fresh, true);
    (void)take_large(20000, &fresh, true, 64);
    EXPECT_EQ(grown(), 1U) << "none that a slot would have";
    rf_span *const second = take_large(kMost, &fresh, true);
    EXPECT_EQ(grown(), 2U);
    ASSERT_TRUE(rf_large_resize(first, kMost));
    EXPECT_EQ(grown(), 2U);
    ASSERT_TRUE(rf_large_resize(first, kMost + 1));
    EXPECT_EQ(grown(), 1U);
    ASSERT_TRUE(rf_large_resize(first, kMost));
    EXPECT_EQ(grown(), 1U) << "it has its memory anyway";
    keep_large(first);
    EXPECT_EQ(grown(), 1U);
    keep_large(second);
    EXPECT_EQ(grown(), 0U);
  });
}

TEST(DropinLarge, OneForWhichThereIsNoMemoryIsNotCounted) {
  heap_alone([] {
    bool fresh = false;
    rf_span_forget(rf_span_describe(0, RF_CLASSES));
    leave_space(kMiB);
    EXPECT_EQ(take_large(100 * kMiB, &fresh), nullptr);
    EXPECT_EQ(rf_heaps[0].mapped_bytes, 0U);
    EXPECT_EQ(rf_heap_bytes_now().large, 0U);
  });
}

// As if the units behind it were the first of another part of the page map, for which there is no memory.
TEST(DropinLarge, ARunStaysAsItIsWhereThePageMapHasNoMemory) {
  heap_alone([] {
    bool fresh = false;
    rf_span *const span = take_large(100000, &fresh);
    size_t const bytes = span->bytes;
    size_t const used = rf_heaps[0].used_units;
    rf_span_leaf **const place = &rf_span_root[rf_span_start(span) >> RF_UNIT_SHIFT >> RF_SPAN_MAP_BITS];
    rf_span_leaf *const leaf = *place;
    leave_space(0);
    *place = nullptr;
    bool const resized = rf_large_resize(span, 200000);
    *place = leaf;
    EXPECT_FALSE(resized);
    EXPECT_EQ(span->bytes, bytes);
    EXPECT_EQ(rf_heaps[0].used_units, used);
    EXPECT_TRUE(rf_large_resize(span, 200000));
  });
}

// The same of a mapping, which has grown before.
TEST(DropinLarge, AMappingIsAsLongAsItWasWhereThePageMapHasNoMemory) {
  if (sizeof(void *) == 4) {
    GTEST_SKIP() << "the page map of 32 bits is there from the beginning";
  }
  heap_alone([] {
    bool fresh = false;
    rf_span *const span = take_large(3 * kMiB, &fresh, true);
    size_t const bytes = span->bytes;
    rf_span_leaf **const place = &rf_span_root[rf_span_start(span) >> RF_UNIT_SHIFT >> RF_SPAN_MAP_BITS];
    rf_span_leaf *const leaf = *place;
    size_t const pages = mapped_pages();
    leave_space(kMiB + 64 * 1024);
    *place = nullptr;
    bool const resized = rf_large_resize(span, 4 * kMiB);
    *place = leaf;
    EXPECT_FALSE(resized);
    EXPECT_EQ(span->bytes, bytes);
    EXPECT_EQ(mapped_pages(), pages);
    EXPECT_TRUE(rf_large_resize(span, 4 * kMiB));
  });
}

#ifdef __x86_64__

// The data of heap 0's large blocks that threads share.
struct Shared {
  size_t large, freed, mapped, used_units;
  const rf_span *oldest, *newest, *listed;
};

Shared shared_now() {
  const rf_heap &h = rf_heaps[0];
  return {h.large_bytes, h.freed_bytes, h.mapped_bytes, h.used_units, h.freed_oldest, h.freed_newest, h.newest};
}

struct {
  Shared seen;
  volatile unsigned changes;
  volatile unsigned wrong;
} stepping;

void on_step(int /*signal*/) {
  Shared const now = shared_now();
  if (memcmp(&now, &stepping.seen, sizeof now) != 0) {
    stepping.changes = stepping.changes + 1;
    stepping.wrong = stepping.wrong + (rf_heaps[0].lock.state == 0 ? 1 : 0);
    stepping.seen = now;
  }
}

TEST(DropinLarge, ChangesWhatThreadsShareUnderTheLockAlone) {
  heap_alone([] {
    bool fresh = false;
    rf_heap_options_now.quarantine = 0; // one block is kept: the next that is freed takes its place
    ASSERT_NE(signal(SIGTRAP, on_step), SIG_ERR);
    rf_span *const first = take_large(40000, &fresh);
    rf_span *const second = take_large(200000, &fresh);
    keep_large(first);
    stepping.seen = shared_now();
    set_stepping(true);
    EXPECT_TRUE(rf_large_resize(second, 180000));
    EXPECT_TRUE(rf_large_keep(second));
    (void)rf_large_trim();
    set_stepping(false);
    EXPECT_EQ(rf_heap_bytes_now().freed, 0U);
    EXPECT_GT(stepping.changes, 8U);
    EXPECT_EQ(stepping.wrong, 0U);
  });
}

#endif

TEST(DropinLarge, RefusesSizesAndAlignmentsThatWrap) {
  heap_alone([] {
    bool fresh = false;
    EXPECT_EQ(take_large(RF_SIZE_LIMIT, &fresh), nullptr);
    EXPECT_EQ(take_large(100000, &fresh, false, RF_SIZE_LIMIT / 2 + 1), nullptr);
    rf_span *const aligned = take_large(100000, &fresh, false, 8 * RF_UNIT);
    EXPECT_EQ(rf_span_start(aligned) % (8 * RF_UNIT), 0U);
  });
}

} // namespace
} // namespace ringfence_test
