// Runs of units in the segments of the drop-in's heap: which are taken, and when their pages are given back.
#include "tests/dropin/address_space.h"
#include "tests/dropin/heap_alone.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/os/pages.h"
#include "checkers/os/forbidden_calls.h"
}
#undef _Static_assert

namespace ringfence_test {
namespace {

unsigned char *bytes_at(uintptr_t address) {
  return reinterpret_cast<unsigned char *>(address);
}

class Runs {
public:
  uintptr_t take(size_t units) { return rf_run_take(&heap, units, &dirty, &segment); }
  rf_heap heap{};
  rf_segment *segment = nullptr;
  bool dirty = false;
};

TEST(DropinRuns, AreTakenFirstFitFromASegment) {
  heap_alone([] {
    Runs r;
    uintptr_t const first = r.take(1);
    EXPECT_EQ(first % RF_UNIT, 0U);
    EXPECT_EQ(r.heap.segment_bytes, 4 * kMiB);
    EXPECT_EQ(r.heap.used_units, 1U);
    EXPECT_FALSE(r.dirty);
    uintptr_t const second = r.take(3);
    EXPECT_EQ(second, first + RF_UNIT);
    EXPECT_EQ(r.take(1), first + 4 * RF_UNIT);
    rf_run_give(&r.heap, r.segment, second, 3);
    EXPECT_EQ(r.heap.used_units, 2U);
    EXPECT_EQ(r.heap.dirty_free, 3U);
    EXPECT_EQ(r.take(4), first + 5 * RF_UNIT); // the hole is too small
    EXPECT_FALSE(r.dirty);
    EXPECT_EQ(r.take(2), second);
    EXPECT_TRUE(r.dirty);
    EXPECT_EQ(r.take(2), first + 9 * RF_UNIT);
    EXPECT_EQ(r.take(1), second + 2 * RF_UNIT);
    EXPECT_EQ(r.heap.dirty_free, 0U);
    EXPECT_EQ(r.heap.segment_bytes, 4 * kMiB);
  });
}

// In a sandbox that forbids the call: they are not taken for zero.
TEST(DropinRuns, KeepTheirPagesWhereTheseCannotBeGivenBack) {
  heap_alone([] {
    Runs r;
    uintptr_t const start = r.take(4);
    (void)r.take(1);
    memset(bytes_at(start), 1, 4 * RF_UNIT);
    rf_run_give(&r.heap, r.segment, start, 4);
    rf_forbid(RF_CALL_MADVISE);
    EXPECT_EQ(rf_run_trim(&r.heap, 0), 0U);
    EXPECT_EQ(r.heap.dirty_free, 4U);
    EXPECT_EQ(r.take(4), start);
    EXPECT_TRUE(r.dirty);
  });
}

TEST(DropinRuns, AreTakenAmongUnitsThatHavePagesFirst) {
  heap_alone([] {
    Runs r;
    uintptr_t const one = r.take(60);
    rf_segment *const first = r.segment;
    uintptr_t const two = r.take(8);
    rf_segment *const second = r.segment;
    EXPECT_NE(first, second);
    rf_run_give(&r.heap, first, one + 40 * RF_UNIT, 3);
    EXPECT_EQ(r.take(3), one + 40 * RF_UNIT); // not behind the other run, though that segment is asked first
    EXPECT_TRUE(r.dirty);
    rf_run_give(&r.heap, first, one + 40 * RF_UNIT, 3);
    EXPECT_EQ(r.take(4), two + 8 * RF_UNIT);
    EXPECT_FALSE(r.dirty);
  });
}

TEST(DropinRuns, EmptySegmentsStayWhileTheirPagesDo) {
  heap_alone([] {
    Runs r;
    uintptr_t const one = r.take(60);
    rf_segment *const first = r.segment;
    uintptr_t const two = r.take(30);
    rf_segment *const second = r.segment;
    rf_run_give(&r.heap, first, one, 60);
    rf_run_give(&r.heap, second, two, 30);
    EXPECT_EQ(r.heap.dirty_free, 90U);
    EXPECT_EQ(r.heap.segment_bytes, 8 * kMiB);
    (void)rf_run_trim(&r.heap, 0);
    EXPECT_EQ(r.heap.dirty_free, 0U);
    EXPECT_EQ(r.heap.segment_bytes, 4 * kMiB);
  });
}

TEST(DropinRuns, OneEmptySegmentIsKept) {
  heap_alone([] {
    Runs r;
    uintptr_t const one = r.take(64);
    rf_segment *const first = r.segment;
    uintptr_t const two = r.take(63);
    rf_segment *const second = r.segment;
    EXPECT_NE(first, second);
    EXPECT_EQ(r.heap.full, first);
    EXPECT_EQ(r.heap.segments, second);
    EXPECT_EQ(r.heap.segment_bytes, 8 * kMiB);
    rf_run_give(&r.heap, first, one, 64);
    EXPECT_EQ(r.heap.full, nullptr);
    EXPECT_EQ(r.heap.segment_bytes, 8 * kMiB);
    rf_run_give(&r.heap, second, two, 63);
    EXPECT_EQ(r.heap.segment_bytes, 4 * kMiB);
    EXPECT_EQ(r.heap.segments, second);
    EXPECT_EQ(second->next, nullptr);
    EXPECT_EQ(r.heap.used_units, 0U);
    (void)r.take(64);
    EXPECT_EQ(r.segment, second);
    (void)r.take(64);
    EXPECT_EQ(r.segment, first); // its description serves again
    EXPECT_EQ(r.heap.segment_bytes, 8 * kMiB);
  });
}

TEST(DropinRuns, GrowWhereUnitsBehindAreFree) {
  heap_alone([] {
    Runs r;
    uintptr_t const first = r.take(2);
    EXPECT_TRUE(rf_run_extend(&r.heap, r.segment, first, 2, 3));
    EXPECT_EQ(r.heap.used_units, 5U);
    uintptr_t const next = r.take(1);
    EXPECT_EQ(next, first + 5 * RF_UNIT);
    EXPECT_FALSE(rf_run_extend(&r.heap, r.segment, first, 5, 1));
    EXPECT_FALSE(rf_run_extend(&r.heap, r.segment, next, 1, 59)); // beyond the segment's end
    EXPECT_TRUE(rf_run_extend(&r.heap, r.segment, next, 1, 58));
    EXPECT_EQ(r.heap.full, r.segment);
    EXPECT_EQ(r.heap.used_units, 64U);
  });
}

TEST(DropinRuns, KeepTheRecordOfASegmentForWhichThereIsNoMemory) {
  heap_alone([] {
    Runs r;
    EXPECT_NE(r.take(1), 0U);
    leave_no_space();
    EXPECT_EQ(r.take(64), 0U);
    const rf_segment *const kept = r.heap.unused;
    EXPECT_NE(kept, nullptr);
    EXPECT_EQ(r.take(64), 0U);
    EXPECT_EQ(r.heap.unused, kept);
  });
}

TEST(DropinRuns, GiveTheirPagesBackWhenAsked) {
  heap_alone([] {
    Runs r;
    uintptr_t const first = r.take(4);
    (void)r.take(1);
    memset(bytes_at(first), 'x', 4 * RF_UNIT);
    rf_run_give(&r.heap, r.segment, first + RF_UNIT, 1);
    rf_run_give(&r.heap, r.segment, first + 3 * RF_UNIT, 1);
    EXPECT_EQ(rf_run_trim(&r.heap, 2), 0U); // no more than are to be kept
    EXPECT_EQ(*bytes_at(first + RF_UNIT), 'x');
    EXPECT_EQ(rf_run_trim(&r.heap, 1), 2 * RF_UNIT);
    EXPECT_EQ(r.heap.dirty_free, 0U);
    for (unsigned unit = 0; unit < 4; unit++) {
      int const expected = unit % 2 == 0 ? 'x' : 0;
      EXPECT_EQ(*bytes_at(first + unit * RF_UNIT), expected) << unit;
      EXPECT_EQ(*bytes_at(first + (unit + 1) * RF_UNIT - 1), expected) << unit;
    }
    EXPECT_EQ(r.take(1), first + RF_UNIT);
    EXPECT_FALSE(r.dirty);
  });
}

// Such pages are not given back by the usual call, or not at all: what is clean must be zero all the same.
TEST(DropinRuns, AreZeroWhereTheProgramHasLockedTheirPages) {
  heap_alone([] {
    Runs r;
    uintptr_t const first = r.take(2);
    memset(bytes_at(first), 'x', 2 * RF_UNIT);
    ASSERT_EQ(mlock(bytes_at(first), 1), 0); // one page, as much as anybody may lock
    rf_run_give(&r.heap, r.segment, first, 1);
    errno = 77;
    EXPECT_EQ(rf_run_trim(&r.heap, 0), RF_UNIT);
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(r.take(1), first);
    EXPECT_FALSE(r.dirty);
    EXPECT_EQ(std::count(bytes_at(first), bytes_at(first) + RF_UNIT, 0), static_cast<ptrdiff_t>(RF_UNIT));
    EXPECT_EQ(*bytes_at(first + RF_UNIT), 'x');
  });
}

TEST(DropinRuns, KeepNoMorePagesThanABound) {
  heap_alone([] {
    Runs r;
    uintptr_t const one = r.take(64);
    rf_segment *const first = r.segment;
    uintptr_t const two = r.take(64);
    rf_segment *const second = r.segment;
    rf_run_give(&r.heap, first, one, 63);
    rf_run_give(&r.heap, second, two, 33);
    EXPECT_EQ(r.heap.dirty_free, 96U);
    rf_run_give(&r.heap, second, two + 33 * RF_UNIT, 1);
    EXPECT_LE(r.heap.dirty_free, 95U);
  });
}

TEST(DropinRuns, EndWithASegmentThatIsSmallerForWantOfMemory) {
  heap_alone([] {
    leave_space(3 * kMiB);
    Runs r;
    uintptr_t const first = r.take(16);
    rf_segment *const segment = r.segment;
    ASSERT_EQ(segment->units, 32U);
    EXPECT_EQ(r.take(15), first + 16 * RF_UNIT);
    rf_run_give(&r.heap, segment, first, 15);
    EXPECT_NE(r.take(16), first + 31 * RF_UNIT); // the last unit of it, and 15 of nobody's
    EXPECT_EQ(r.take(15), first);
  });
}

// There is space for a whole segment, and then none for the part of the page map where it lies.
TEST(DropinRuns, ASegmentLeavesRoomForThePageMap) {
  if (sizeof(void *) == 4) {
    GTEST_SKIP() << "the page map of 32 bits is there from the beginning";
  }
  heap_alone([] {
    ASSERT_NE(rf_record_alloc(sizeof(rf_segment)), nullptr);
    leave_space(64 * RF_UNIT + 256 * 1024);
    Runs r;
    EXPECT_NE(r.take(1), 0U);
    EXPECT_EQ(r.segment->units, 32U);
  });
}

TEST(DropinRuns, AreDirtyWhereAnyUnitOfThemIs) {
  heap_alone([] {
    Runs r;
    uintptr_t const first = r.take(1);
    (void)r.take(1);
    (void)r.take(1);
    rf_run_give(&r.heap, r.segment, first, 1);
    EXPECT_EQ(rf_run_trim(&r.heap, 0), RF_UNIT);
    rf_run_give(&r.heap, r.segment, first + RF_UNIT, 1);
    EXPECT_EQ(r.take(2), first);
    EXPECT_TRUE(r.dirty);
  });
}

TEST(DropinRuns, KeepTheRecordsOfAllSegmentsThatWereGivenBack) {
  heap_alone([] {
    Runs r;
    uintptr_t runs[3];
    rf_segment *segments[3];
    for (unsigned i = 0; i < 3; i++) {
      runs[i] = r.take(64);
      segments[i] = r.segment;
    }
    for (unsigned i = 0; i < 3; i++) {
      rf_run_give(&r.heap, segments[i], runs[i], 64);
    }
    (void)rf_run_trim(&r.heap, 0);
    EXPECT_EQ(r.heap.segment_bytes, 4 * kMiB);
    ASSERT_NE(r.heap.unused, nullptr);
    ASSERT_NE(r.heap.unused->next, nullptr);
    EXPECT_EQ(r.heap.unused->next->next, nullptr);
  });
}

} // namespace
} // namespace ringfence_test
