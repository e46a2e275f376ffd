// The parts of the drop-in's heap by themselves: options, locks, numbers of threads, runs of units and the page map.
#include "tests/checkers/single_step.h"
#include "tests/dropin/address_space.h"
#include "tests/dropin/heap_alone.h"

#include <csignal>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/threads.h"
}
#undef _Static_assert

namespace ringfence_test {
namespace {

unsigned char *bytes_at(uintptr_t address) {
  return reinterpret_cast<unsigned char *>(address);
}

// ---- Options ----

TEST(DropinHeapOptions, AreThoseOfAGuard) {
  EXPECT_FALSE(rf_heap_options_of(nullptr).checked);
  rf_guard_options o;
  rf_guard_options_default(&o);
  rf_stack_depot depot;
  rf_reporter reporter;
  o.fill_alloc = 77;
  o.move_below = 88;
  o.stack_depth = 9;
  o.depot = nullptr;
  o.reporter = &reporter;
  rf_heap_options made = rf_heap_options_of(&o);
  EXPECT_TRUE(made.checked);
  EXPECT_EQ(made.fill_alloc, 77U);
  EXPECT_EQ(made.move_below, 88U);
  EXPECT_EQ(made.stack_depth, 0U); // without a depot callers alone are known
  EXPECT_EQ(made.reporter, &reporter);
  o.depot = &depot;
  made = rf_heap_options_of(&o);
  EXPECT_EQ(made.stack_depth, 9U);
  EXPECT_EQ(made.depot, &depot);
}

// One frame is what is known without stacks.
TEST(DropinHeapOptions, OfOneFrameKeepCallersAlone) {
  rf_heap_options const before = rf_heap_options_now;
  rf_stack_depot depot;
  rf_heap_options o = {};
  o.depot = &depot;
  for (unsigned const depth : {0U, 1U, 2U, 12U}) {
    o.stack_depth = depth;
    rf_heap_configure(&o);
    EXPECT_EQ(rf_heap_options_now.stack_depth, depth > 1 ? depth : 0U);
  }
  rf_heap_configure(&before);
}

TEST(DropinHeapOptions, SayHowLongABlockWaits) {
  const std::vector<std::pair<size_t, size_t>> kWaits = {
      {0, 0},           {1000, 500},           {kMiB, kMiB / 2}, {2 * kMiB, kMiB / 2}, {4 * kMiB, kMiB / 2},
      {8 * kMiB, kMiB}, {64 * kMiB, 8 * kMiB},
  };
  for (const auto &[quarantine, wait] : kWaits) {
    rf_guard_options o;
    rf_guard_options_default(&o);
    o.quarantine = quarantine;
    EXPECT_EQ(rf_heap_options_of(&o).quarantine, quarantine);
    EXPECT_EQ(rf_heap_options_of(&o).wait, wait) << quarantine;
  }
}

TEST(DropinHeapOptions, AFillHasNoFewerBytesThanAStore) {
  const std::vector<std::pair<size_t, size_t>> kFills = {{0, 0}, {1, 16}, {15, 16}, {16, 16}, {17, 17}, {5000, 5000}};
  for (const auto &[asked, fill] : kFills) {
    rf_guard_options o;
    rf_guard_options_default(&o);
    o.fill_free = asked;
    EXPECT_EQ(rf_heap_options_of(&o).fill_free, fill) << asked;
  }
}

TEST(DropinHeapOptions, AreTheUsualWhereTheShortWayDoesAllThatIsAsked) {
  heap_alone([] {
    rf_heap_options all{};
    all.checked = true;
    all.quarantine = kMiB;
    all.wait = 100;
    all.fill_alloc = RF_FAST_MOST;
    all.fill_free = RF_FAST_MOST;
    auto const is_usual = [](rf_heap_options o, const std::function<void(rf_heap_options &)> &change) {
      rf_heap_options changed = o;
      change(changed);
      rf_heap_configure(&changed);
      EXPECT_EQ(rf_cache_wait_now(), changed.wait);
      return rf_heap_options_now.usual;
    };
    EXPECT_TRUE(is_usual(all, [](rf_heap_options &) {}));
    EXPECT_FALSE(is_usual(all, [](rf_heap_options &o) { o.checked = false; }));
    EXPECT_FALSE(is_usual(all, [](rf_heap_options &o) { o.wait = 0; }));
    EXPECT_FALSE(is_usual(all, [](rf_heap_options &o) { o.fill_alloc--; }));
    EXPECT_FALSE(is_usual(all, [](rf_heap_options &o) { o.fill_free--; }));
  });
}

TEST(DropinHeaps, AreAsManyAsProcessorsWithinBounds) {
  heap_alone([] {
    const std::vector<std::pair<unsigned, unsigned>> kCounts = {{1, 4}, {4, 4}, {5, 5}, {8, 8}, {9, 8}, {500, 8}};
    for (const auto &[cores, heaps] : kCounts) {
      rf_heap_init(cores);
      EXPECT_EQ(rf_heap_count, heaps) << cores;
    }
  });
}

// ---- Locks ----

TEST(DropinHeapLocks, AreNotWaitedForByTheThreadThatHoldsThem) {
  heap_alone([] {
    EXPECT_TRUE(rf_heap_lock(2));
    EXPECT_FALSE(rf_heap_lock(2)); // a handler of a signal
    EXPECT_NE(rf_heaps[2].lock.state, 0U);
    EXPECT_TRUE(rf_heap_lock(0));
    rf_heap_unlock(0);
    EXPECT_EQ(rf_heaps[0].lock.state, 0U);
    EXPECT_FALSE(rf_heap_lock(2));
    std::thread([] {
      EXPECT_TRUE(rf_heap_lock(0));
      rf_heap_unlock(0);
    }).join();
    rf_heap_unlock(2);
    EXPECT_EQ(rf_heaps[2].lock.state, 0U);
    EXPECT_TRUE(rf_heap_lock(2));
    rf_heap_unlock(2);
  });
}

TEST(DropinHeapLocks, KeepOthersOut) {
  heap_alone([] {
    static size_t shared = 0;
    auto const work = [] {
      for (int i = 0; i < 20000; i++) {
        EXPECT_TRUE(rf_heap_lock(1));
        size_t volatile const seen = shared;
        shared = seen + 1;
        rf_heap_unlock(1);
      }
    };
    std::thread one(work);
    std::thread other(work);
    one.join();
    other.join();
    EXPECT_EQ(shared, 40000U);
  });
}

TEST(DropinHeapLocks, AHandlerIsServedByAnotherHeap) {
  heap_alone([] {
    rf_slot_place places[4];
    EXPECT_TRUE(rf_heap_lock(1));
    EXPECT_EQ(rf_slots_take(1, 0, places, 4), 0U);
    EXPECT_EQ(rf_slots_take(2, 0, places, 4), 4U);
    for (const rf_slot_place &place : places) {
      EXPECT_EQ(rf_span_of(reinterpret_cast<uintptr_t>(place.begin))->heap, 2);
    }
    rf_heap_unlock(1);
    unsigned count = 4;
    EXPECT_TRUE(rf_heap_lock(2));
    EXPECT_FALSE(rf_slots_give(places, &count));
    EXPECT_EQ(count, 4U);
    rf_heap_unlock(2);
    EXPECT_TRUE(rf_slots_give(places, &count));
    EXPECT_EQ(count, 0U);
  });
}

#ifdef __x86_64__

// True where no heap's lock is held that this thread does not know of, which a handler of a signal would wait for.
bool knows_its_locks() {
  bool known = true;
  for (unsigned i = 0; i < rf_heap_count; i++) {
    known = known && (rf_heaps[i].lock.state == 0 || (rf_heaps_held >> i & 1) != 0);
  }
  return known;
}

struct {
  volatile unsigned steps;
  volatile unsigned wrong;
} stepping;

void on_step(int /*signal*/) {
  stepping.steps = stepping.steps + 1;
  stepping.wrong = stepping.wrong + (knows_its_locks() ? 0 : 1);
}

void use_locks() {
  rf_slot_place places[4];
  unsigned count = 4;
  set_stepping(true);
  (void)rf_heap_lock(2);
  rf_heap_unlock(2);
  (void)rf_slots_take(1, 0, places, 4);
  (void)rf_slots_give(places, &count);
  set_stepping(false);
}

TEST(DropinHeapLocks, AreKnownToTheirThreadAtEveryInstructionThatASignalInterrupts) {
  heap_alone([] {
    stepping.steps = stepping.wrong = 0;
    ASSERT_NE(signal(SIGTRAP, on_step), SIG_ERR);
    use_locks();
    std::thread(use_locks).join(); // with atomic operations
    EXPECT_GT(stepping.steps, 500U);
    EXPECT_EQ(stepping.wrong, 0U);
  });
}

#endif

// ---- Numbers of threads ----

TEST(DropinThreadNumbers, AreTheSameForTheSameThread) {
  heap_alone([] {
    uint32_t const kThreads[] = {1, 2, 4711, 65535, 65536, 4194304, UINT32_MAX};
    std::set<uint16_t> numbers;
    for (uint32_t const thread : kThreads) {
      uint16_t const number = rf_thread_number(thread);
      EXPECT_NE(number, 0) << thread;
      EXPECT_TRUE(numbers.insert(number).second) << thread;
    }
    for (uint32_t const thread : kThreads) {
      EXPECT_EQ(rf_thread_of_number(rf_thread_number(thread)), thread);
    }
    EXPECT_EQ(rf_thread_of_number(0), 0U);
    EXPECT_EQ(rf_thread_of_number(77), 0U);
  });
}

TEST(DropinThreadNumbers, SixtyFourThreadsMayMeetInOnePlace) {
  heap_alone([] {
    std::set<uint16_t> numbers;
    for (uint32_t i = 0; i < 64; i++) {
      uint16_t const number = rf_thread_number(1000 + i * 65535);
      EXPECT_NE(number, 0) << i;
      numbers.insert(number);
    }
    EXPECT_EQ(numbers.size(), 64U);
    EXPECT_EQ(rf_thread_number(1000 + 64 * 65535), 0);
    EXPECT_EQ(rf_thread_number(1000 + 63 * 65535), *numbers.rbegin());
    EXPECT_NE(rf_thread_number(65534), 0); // the last place
    EXPECT_NE(rf_thread_number(65533), 0);
  });
}

// ---- Runs of units ----

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

// ---- The page map ----

TEST(DropinPageMap, KnowsTheSpanOfEachAddressInIt) {
  heap_alone([] {
    uintptr_t const start = uintptr_t{0x1234} << 20;
    rf_span span{};
    rf_span other{};
    span.base = start + RF_SPAN_FRONT;
    span.bytes = 3 * RF_UNIT;
    other.base = start + 8 * RF_UNIT + RF_SPAN_FRONT;
    other.bytes = 100;
    EXPECT_EQ(rf_span_above(0), nullptr);
    EXPECT_TRUE(rf_span_enter(start, span.bytes, &span));
    EXPECT_TRUE(rf_span_enter(start + 8 * RF_UNIT, other.bytes, &other));
    EXPECT_EQ(rf_span_of(start - 1), nullptr);
    EXPECT_EQ(rf_span_of(start), &span);
    EXPECT_EQ(rf_span_of(start + 3 * RF_UNIT - 1), &span);
    EXPECT_EQ(rf_span_of(start + 3 * RF_UNIT), nullptr);
    EXPECT_EQ(rf_span_above(0), &span);
    EXPECT_EQ(rf_span_above(start), &span);
    EXPECT_EQ(rf_span_above(start + 3 * RF_UNIT - 1), &span);
    EXPECT_EQ(rf_span_above(start + 3 * RF_UNIT), &other);
    EXPECT_EQ(rf_span_above(start + 8 * RF_UNIT + 99), &other);
    EXPECT_EQ(rf_span_above(start + 8 * RF_UNIT + 100), nullptr); // in its last unit, behind its end
    EXPECT_TRUE(rf_span_enter(start, span.bytes, nullptr));
    EXPECT_EQ(rf_span_of(start + RF_UNIT), nullptr);
    EXPECT_EQ(rf_span_above(0), &other);
  });
}

#if UINTPTR_MAX > UINT32_MAX
TEST(DropinPageMap, EndsWithTheProcessorsAddresses) {
  heap_alone([] {
    rf_span span{};
    uintptr_t const end = uintptr_t{1} << 48;
    EXPECT_FALSE(rf_span_enter(end, RF_UNIT, &span));
    EXPECT_FALSE(rf_span_enter(end - RF_UNIT, 2 * RF_UNIT, &span));
    EXPECT_EQ(rf_span_of(end), nullptr);
    EXPECT_EQ(rf_span_of(UINTPTR_MAX), nullptr);
    span.base = end - RF_UNIT + RF_SPAN_FRONT;
    span.bytes = RF_UNIT;
    EXPECT_TRUE(rf_span_enter(end - RF_UNIT, RF_UNIT, &span));
    EXPECT_EQ(rf_span_of(end - 1), &span);
    EXPECT_EQ(rf_span_above(0), &span);
  });
}
#endif

TEST(DropinSpans, AreDescribedByMemoryThatIsZeroAlsoTheSecondTime) {
  heap_alone([] {
    for (unsigned const class_number : {0U, 40U, RF_CLASSES}) {
      rf_span *const span = rf_span_describe(1, class_number);
      ASSERT_NE(span, nullptr);
      EXPECT_EQ(span->heap, 1U);
      EXPECT_EQ(span->class_number, class_number);
      EXPECT_EQ(span->free == nullptr, class_number == RF_CLASSES);
      unsigned const slots = class_number == RF_CLASSES ? 1 : rf_size_classes[class_number].count;
      memset(span->slots, 0xff, slots * sizeof(rf_slot));
      span->carved = class_number == RF_CLASSES ? 0 : slots;
      span->size = 5;
      rf_span_forget(span);
      ASSERT_EQ(rf_span_describe(1, class_number), span);
      EXPECT_EQ(span->size, 0U);
      EXPECT_EQ(span->carved, 0U);
      for (unsigned i = 0; i < slots; i++) {
        EXPECT_EQ(span->slots[i].traits, 0) << i;
        EXPECT_EQ(span->slots[i].allocated, 0U) << i;
      }
      EXPECT_NE(rf_span_describe(1, class_number), span);
      EXPECT_NE(rf_span_describe(2, class_number), span);
    }
  });
}

TEST(DropinSpans, AreDescribedWhereMemoryIsShort) {
  heap_alone([] {
    leave_space(160 * 1024);
    EXPECT_NE(rf_span_describe(1, 0), nullptr); // of 128 KiB instead of one MiB
    EXPECT_NE(rf_span_describe(1, 0), nullptr);
    EXPECT_EQ(rf_span_describe(2, 0), nullptr);
  });
}

} // namespace
} // namespace ringfence_test
