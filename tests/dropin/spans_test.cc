// Spans of the drop-in's heap: descriptions, slots that go back to the heap that they are of, and the last look at a
// span whose memory goes.
#include "tests/checkers/recorder.h"
#include "tests/dropin/address_space.h"
#include "tests/dropin/heap_alone.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/check.h"
#include "checkers/os/host.h"
}
#undef _Static_assert

namespace ringfence_test {
namespace {

constexpr size_t kPage = 4096;

// ---- Descriptions ----

bool is_open(uintptr_t address) {
  return rf_host_readable(reinterpret_cast<const void *>(address), 1);
}

TEST(DropinSpans, AreDescribedBetweenClosedPages) {
  heap_alone([] {
    uintptr_t end = 0;
    for (int i = 0; i < 6000; i++) { // more than a mebibyte has room for
      rf_span *const span = rf_span_describe(0, RF_CLASSES);
      ASSERT_NE(span, nullptr);
      span->slots[1] = {}; // the one more than there are
      if (rf_heaps[0].meta.end != end) {
        end = rf_heaps[0].meta.end;
        EXPECT_FALSE(is_open(reinterpret_cast<uintptr_t>(span) - 1));
        EXPECT_TRUE(is_open(reinterpret_cast<uintptr_t>(span)) && is_open(end - 1));
        EXPECT_FALSE(is_open(end));
      }
    }
  });
}

TEST(DropinSpans, AreDescribedByAllOfTheirMemory) {
  heap_alone([] {
    rf_meta_chunk &chunk = rf_heaps[0].meta;
    ASSERT_NE(rf_span_describe(0, 0), nullptr);
    uintptr_t const first = chunk.next;
    ASSERT_NE(rf_span_describe(0, 0), nullptr);
    uintptr_t const second = chunk.next;
    chunk.end = second + (second - first);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(rf_span_describe(0, 0)), second);
    EXPECT_EQ(chunk.next, chunk.end);
  });
}

TEST(DropinSpans, KeepTheNumberOfTheirDescription) {
  heap_alone([] {
    uint32_t const before = rf_span_numbers;
    rf_span *const one = rf_span_describe(0, 1);
    rf_span *const other = rf_span_describe(1, RF_CLASSES);
    EXPECT_EQ(one->number, before);
    EXPECT_EQ(other->number, before + 1);
    rf_span_forget(other);
    rf_span_forget(one);
    EXPECT_EQ(rf_span_describe(0, 1), one);
    EXPECT_EQ(one->number, before);
    EXPECT_EQ(rf_span_numbers, before + 2);
  });
}

TEST(DropinSlots, HaveTheirTraitsApart) {
  for (unsigned generation = 0; generation < RF_TRAITS_GENERATIONS; generation++) {
    for (unsigned align = 4; align < 8 * sizeof(size_t); align++) {
      rf_slot slot{};
      slot.traits = rf_traits(RF_SLOT_FREED, RF_FAMILY_NEW_ARRAY, align, generation);
      EXPECT_EQ(rf_slot_state_of(&slot), RF_SLOT_FREED);
      EXPECT_EQ(rf_slot_family(&slot), RF_FAMILY_NEW_ARRAY);
      EXPECT_EQ(rf_slot_align(&slot), size_t{1} << align);
      EXPECT_EQ(rf_slot_generation(&slot), generation);
    }
  }
}

// ---- Pages ahead ----

size_t count_present(uintptr_t start, size_t pages) {
  std::vector<unsigned char> present(pages);
  EXPECT_EQ(mincore(reinterpret_cast<void *>(start), pages * kPage, present.data()), 0);
  return static_cast<size_t>(std::count_if(present.begin(), present.end(), [](unsigned char p) { return p & 1; }));
}

bool system_populates() {
  void *const page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  bool const can = madvise(page, kPage, 23) == 0;
  munmap(page, kPage);
  return can;
}

// The last slot that was never handed out before, and how many were.
rf_slot_place take_slots(unsigned class_number, size_t count) {
  rf_slot_place place = {};
  for (size_t i = 0; i < count; i++) {
    EXPECT_EQ(rf_slots_take(0, class_number, &place, 1), 1U);
  }
  return place;
}

// A sixteenth of what the class has filled.
TEST(DropinSlots, HaveTheirPagesAheadWhereTheirClassHasFilledMany) {
  heap_alone([] {
    if (!system_populates()) {
      return;
    }
    unsigned const class_number = rf_class_for(1024);
    size_t const size = rf_size_classes[class_number].size;
    rf_slot_place const few = take_slots(class_number, 2 * kPage / size);
    rf_span *const first = rf_span_of(reinterpret_cast<uintptr_t>(few.begin));
    EXPECT_LE(count_present(rf_span_start(first), first->bytes / kPage), 3U) << "a few blocks take no more than theirs";
    rf_slot_place last = few;
    for (size_t had = 2 * kPage; had < 16 * first->bytes + 2 * kPage; had += size) {
      last = take_slots(class_number, 1);
    }
    rf_span *const span = rf_span_of(reinterpret_cast<uintptr_t>(last.begin));
    EXPECT_NE(span, first);
    EXPECT_EQ(count_present(rf_span_start(span), RF_UNIT / kPage), RF_UNIT / kPage);
    EXPECT_LE(count_present(rf_span_start(span), span->bytes / kPage), RF_UNIT / kPage + 3);
  });
}

// Programs may leave much of such a block untouched.
TEST(DropinSlots, OfManyPagesHaveNoneAhead) {
  heap_alone([] {
    unsigned const class_number = RF_CLASSES - 1;
    rf_span *span = nullptr;
    for (int i = 0; i < 100; i++) {
      span = rf_span_of(reinterpret_cast<uintptr_t>(take_slots(class_number, 1).begin));
    }
    EXPECT_LE(count_present(rf_span_start(span), span->bytes / kPage), size_t{2} * span->carved + 1);
  });
}

// As if its units were the first of another part of the page map, for which there is no memory.
TEST(DropinSlots, OfASpanThatIsNotInThePageMapGiveItsRunBack) {
  heap_alone([] {
    rf_slot_place place = {};
    ASSERT_EQ(rf_slots_take(0, 3, &place, 1), 1U);
    size_t const used = rf_heaps[0].used_units;
    uintptr_t const unit = reinterpret_cast<uintptr_t>(place.begin) >> RF_UNIT_SHIFT;
    rf_span_leaf **const part = &rf_span_root[unit >> RF_SPAN_MAP_BITS];
    rf_span_leaf *const leaf = *part;
    leave_space(0);
    *part = nullptr;
    unsigned const got = rf_slots_take(0, 5, &place, 1);
    *part = leaf;
    EXPECT_EQ(got, 0U);
    EXPECT_EQ(rf_heaps[0].used_units, used);
    EXPECT_EQ(rf_slots_take(0, 5, &place, 1), 1U);
  });
}

// ---- Slots that go back ----

// Four heaps at least, and eight at most: numbers that differ in their third bit are other heaps, too.
TEST(DropinSlots, GoBackToTheHeapThatTheyAreOf) {
  heap_alone([] {
    rf_heap_init(RF_HEAPS_MOST);
    for (unsigned one = 0; one < rf_heap_count; one++) {
      for (unsigned other = 0; other < rf_heap_count; other++) {
        rf_slot_place places[2];
        ASSERT_EQ(rf_slots_take(one, 0, &places[0], 1), 1U);
        ASSERT_EQ(rf_slots_take(other, 0, &places[1], 1), 1U);
        unsigned count = 2;
        EXPECT_TRUE(rf_slots_give(places, &count));
        EXPECT_EQ(count, 0U);
        for (unsigned const number : {one, other}) {
          EXPECT_EQ(rf_heaps[number].empty[0], 1U) << one << ' ' << other;
          EXPECT_EQ(rf_heaps[number].spans[0], 1U) << one << ' ' << other;
        }
      }
    }
  });
}

void make_freed(const rf_slot_place &place) {
  place.slot->traits = rf_traits(RF_SLOT_FREED, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
  place.slot->size = 100;
  rf_span *const span = rf_span_of(reinterpret_cast<uintptr_t>(place.begin));
  rf_view const v = rf_view_of(span, rf_span_index(span, reinterpret_cast<uintptr_t>(place.begin)));
  memset(v.payload, RF_PATTERN_FREED, rf_view_fill(&v));
  memset(v.end - RF_TAIL_LEAST, RF_PATTERN_REDZONE, RF_TAIL_LEAST);
}

// One of two spans without a block goes. Writes into its blocks after their free are told before.
// A handler, whose thread may have a lock, is not sure to have one twice: nothing is to be retired by it.
TEST(DropinSlots, ThatAHandlerGivesBackLeaveTheirSpans) {
  heap_alone([] {
    constexpr unsigned kClass = RF_CLASSES - 1;
    std::vector<rf_slot_place> places(size_t{20} * rf_size_classes[kClass].count);
    unsigned count = 0;
    while (count < places.size()) {
      unsigned const got =
          rf_slots_take(0, kClass, places.data() + count, static_cast<unsigned>(places.size()) - count);
      ASSERT_NE(got, 0U);
      count += got;
    }
    uint32_t const spans = rf_heaps[0].spans[kClass];
    ASSERT_GE(spans, 20U);
    ASSERT_TRUE(rf_heap_lock(1));
    EXPECT_TRUE(rf_slots_give(places.data(), &count));
    EXPECT_EQ(rf_heaps[0].spans[kClass], spans);
    EXPECT_EQ(rf_heaps[0].empty[kClass], spans);
    rf_heap_unlock(1);
    count = rf_slots_take(0, kClass, places.data(), 1);
    EXPECT_TRUE(rf_slots_give(places.data(), &count));
    EXPECT_EQ(rf_heaps[0].spans[kClass], spans - 1) << "the next retires its own";
  });
}

TEST(DropinSlots, OfASpanThatGoesAreLookedAt) {
  heap_alone([] {
    constexpr unsigned kClass = RF_CLASSES - 1;
    ringfence::Recorder recorder;
    rf_heap_options_now.reporter = recorder.reporter();
    unsigned const each = rf_size_classes[kClass].count;
    std::vector<rf_slot_place> places(size_t{2} * each);
    for (size_t have = 0; have < places.size();) {
      unsigned const got = rf_slots_take(0, kClass, places.data() + have, static_cast<unsigned>(places.size() - have));
      ASSERT_NE(got, 0U);
      have += got;
    }
    for (const rf_slot_place &place : places) {
      make_freed(place);
    }
    static_cast<unsigned char *>(places[0].begin)[5] = 'x';
    static_cast<unsigned char *>(places[each - 1].begin)[7] = 'x';
    auto count = static_cast<unsigned>(places.size());
    EXPECT_TRUE(rf_slots_give(places.data(), &count));
    EXPECT_EQ(rf_heaps[0].spans[kClass], 1U);
    std::vector<rf_finding> const found = recorder.take();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(places[0].begin));
    EXPECT_EQ(found[0].bug, RF_BUG_USE_AFTER_FREE);
    EXPECT_EQ(found[1].block, reinterpret_cast<uintptr_t>(places[each - 1].begin));
    EXPECT_EQ(found[1].offset, 7);
  });
}

} // namespace
} // namespace ringfence_test
