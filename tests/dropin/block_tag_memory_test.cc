// Tags of blocks in memory (checkers/dropin/heap/block_tags.c), over tags that the test keeps: which granules have
// which tag, and which block a fault is about.
#include "tests/dropin/heap_alone.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/block_tags.h"
#include "checkers/dropin/heap/large.h"
unsigned faked_tag_at(uintptr_t address);
void faked_tags_set(uintptr_t start, uintptr_t end, unsigned tag);
}
#undef _Static_assert

#include <map>
#include <string>

std::map<uintptr_t, unsigned> tags; // of granules; 0 where there is none

unsigned faked_tag_at(uintptr_t address) {
  auto const found = tags.find(address & ~(RF_TAG_GRANULE - 1));
  return found != tags.end() ? found->second : 0;
}

void faked_tags_set(uintptr_t start, uintptr_t end, unsigned tag) {
  EXPECT_EQ(start % RF_TAG_GRANULE, 0U);
  EXPECT_EQ(end % RF_TAG_GRANULE, 0U);
  EXPECT_LE(start, end);
  tags.erase(tags.lower_bound(start), tags.lower_bound(end));
  for (; tag != 0 && start < end; start += RF_TAG_GRANULE) {
    tags[start] = tag;
  }
}

namespace ringfence_test {
namespace {

constexpr unsigned kClass = 3;
constexpr size_t kSize = 20;

uintptr_t at(const void *p) {
  return reinterpret_cast<uintptr_t>(p);
}

// The tag that all granules there have, or 99.
unsigned all(uintptr_t start, uintptr_t end) {
  unsigned const tag = start < end ? faked_tag_at(start) : 99;
  for (; start < end; start += RF_TAG_GRANULE) {
    if (faked_tag_at(start) != tag) {
      return 99;
    }
  }
  return tag;
}

uintptr_t guard(const rf_view &v) {
  return rf_tag_round(at(v.payload) + v.size);
}

// A span of slots that nobody had so far.
rf_span *span_of_new_slots(unsigned class_number = kClass) {
  rf_slot_place place;
  EXPECT_EQ(rf_slots_take(0, class_number, &place, 1), 1U);
  return rf_span_of(at(place.begin));
}

rf_view make(rf_span *span, unsigned index, size_t size = kSize, rf_slot_state state = RF_SLOT_LIVE) {
  span->slots[index].traits = rf_traits(state, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
  span->slots[index].size = static_cast<uint16_t>(size);
  return rf_view_of(span, index);
}

rf_view live(rf_span *span, unsigned index, size_t size = kSize) {
  rf_view const v = make(span, index, size);
  (void)rf_block_tag_give(&v);
  return v;
}

rf_view freed(rf_span *span, unsigned index) {
  rf_view v = live(span, index);
  rf_block_tag_take(&v);
  return make(span, index, kSize, RF_SLOT_FREED);
}

TEST(BlockTagMemory, OfABlockIsThePointersAndNoOtherBeside) {
  heap_alone([] {
    rf_span *const span = span_of_new_slots();
    for (unsigned const index : {0U, 1U, 7U, 20U}) {
      faked_tags_set(rf_span_start(span), span->base + size_t{30} * span->slot_size, 9);
      faked_tags_set(span->base + index * span->slot_size, span->base + (index + 1) * span->slot_size, 0);
      rf_view const v = make(span, index);
      unsigned const tag = rf_block_tag_first(index);
      EXPECT_EQ(at(rf_block_tag_give(&v)), rf_tag_add(at(v.payload), tag));
      EXPECT_EQ(rf_block_tag_of(&v), tag);
      EXPECT_EQ(all(at(v.payload), guard(v)), tag);
      EXPECT_EQ(all(guard(v), at(v.end)), 0U);
      EXPECT_EQ(faked_tag_at(at(v.begin) - 1), index == 0 ? 0U : 9U) << "before the first slot is a guard";
      EXPECT_EQ(faked_tag_at(at(v.end)), 9U);
    }
  });
}

TEST(BlockTagMemory, BeforeAnAlignedBlockIsNone) {
  heap_alone([] {
    rf_span *const span = span_of_new_slots();
    for (unsigned index = 1; index < 9; index++) {
      faked_tags_set(span->base, span->base + size_t{10} * span->slot_size, 9);
      (void)make(span, index);
      span->slots[index].traits = rf_traits(RF_SLOT_LIVE, RF_FAMILY_MALLOC, 5, 0);
      rf_view const v = rf_view_of(span, index);
      (void)rf_block_tag_set(&v, 3);
      EXPECT_EQ(at(v.payload) % 32, 0U);
      EXPECT_EQ(all(at(v.begin), at(v.payload)), v.begin < v.payload ? 0U : 99U);
      EXPECT_EQ(all(at(v.payload), guard(v)), 3U);
    }
  });
}

TEST(BlockTagMemory, OfAFreedSlotIsThatOfTheNextBlock) {
  heap_alone([] {
    rf_span *const span = span_of_new_slots();
    rf_view const v = live(span, 5);
    unsigned tag = rf_block_tag_first(5);
    for (int i = 0; i < 9; i++) {
      rf_block_tag_take(&v);
      tag = rf_block_tag_next(tag);
      EXPECT_EQ(all(at(v.begin), at(v.end)), tag);
      EXPECT_EQ(rf_tag_of(at(rf_block_tag_give(&v))), tag);
    }
  });
}

TEST(BlockTagMemory, ComesBackWhereTheBlockStays) {
  heap_alone([] {
    rf_span *const span = span_of_new_slots();
    rf_view const v = live(span, 4);
    unsigned const tag = rf_block_tag_hold(&v);
    EXPECT_EQ(tag, rf_block_tag_first(4));
    EXPECT_EQ(all(at(v.begin), at(v.end)), rf_block_tag_next(tag));
    EXPECT_EQ(at(rf_block_tag_set(&v, tag)), rf_tag_add(at(v.payload), tag));
    EXPECT_EQ(all(at(v.payload), guard(v)), tag);
  });
}

TEST(BlockTagMemory, OfNoBytesIsShut) {
  heap_alone([] {
    rf_view const v = live(span_of_new_slots(), 6, 0);
    EXPECT_EQ(rf_block_tag_of(&v), RF_BLOCK_TAG_SHUT);
    EXPECT_EQ(rf_tag_of(at(rf_block_tag_set(&v, 3))), RF_BLOCK_TAG_SHUT);
    EXPECT_EQ(all(at(v.payload), at(v.end)), 0U);
    EXPECT_EQ(rf_block_tag_hold(&v), rf_block_tag_first(6));
  });
}

rf_view large(size_t size, bool *fresh) {
  rf_block_request const request = {size, 16, RF_FAMILY_MALLOC, false, false, 0};
  rf_span *const span = rf_large_take(0, &request, nullptr, fresh);
  span->slots[0].traits = rf_traits(RF_SLOT_LIVE, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
  return rf_view_of(span, 0);
}

TEST(BlockTagMemory, OfALargeBlockGoesByItsPlace) {
  heap_alone([] {
    bool fresh = false;
    rf_view const v = large(200000, &fresh);
    ASSERT_FALSE(v.span->mapped);
    unsigned const tag = rf_block_tag_first(v.span->base >> RF_UNIT_SHIFT);
    EXPECT_EQ(rf_tag_of(at(rf_block_tag_give(&v))), tag);
    EXPECT_EQ(all(at(v.payload), guard(v)), tag);
  });
}

TEST(BlockTagMemory, OfAMappingIsNoneAndBesideItShut) {
  heap_alone([] {
    bool fresh = false;
    rf_view const v = large(64000000, &fresh);
    ASSERT_TRUE(v.span->mapped && v.span->fresh);
    uintptr_t const middle = at(v.payload) + 1000 * RF_TAG_GRANULE;
    faked_tags_set(middle, middle + RF_TAG_GRANULE, 7);
    EXPECT_EQ(rf_block_tag_give(&v), v.payload);
    EXPECT_EQ(rf_block_tag_of(&v), static_cast<unsigned>(RF_BLOCK_TAG_NONE));
    EXPECT_EQ(faked_tag_at(middle), 7U) << "nobody touches what is new";
    faked_tags_set(at(v.payload), at(v.payload) + RF_TAG_GRANULE, 7);
    EXPECT_EQ(rf_block_tag_of(&v), static_cast<unsigned>(RF_BLOCK_TAG_NONE));
    faked_tags_set(at(v.payload), at(v.payload) + RF_TAG_GRANULE, 0);
    EXPECT_EQ(faked_tag_at(at(v.payload) - 1), RF_BLOCK_TAG_SHUT);
    EXPECT_EQ(all(guard(v), at(v.end)), RF_BLOCK_TAG_SHUT);
    EXPECT_EQ(faked_tag_at(guard(v) - 1), 0U);
    EXPECT_EQ(rf_block_tag_hold(&v), static_cast<unsigned>(RF_BLOCK_TAG_NONE));
    EXPECT_EQ(all(guard(v), at(v.end)), 0U);
    v.span->fresh = false;
    (void)rf_block_tag_give(&v);
    EXPECT_EQ(faked_tag_at(middle), 0U);
    rf_block_tag_take(&v);
    EXPECT_EQ(all(at(v.payload), at(v.payload) + (1 << 20)), RF_BLOCK_TAG_SHUT);
    EXPECT_EQ(faked_tag_at(at(v.payload) + (1 << 20)), 0U) << "hardly touched: the rest is left alone";
  });
}

// ---- Faults ----

struct Explained {
  bool known;
  rf_bug bug;
  unsigned index;
  std::string detail;
};

Explained explain(uintptr_t address, unsigned tag) {
  rf_view v = {};
  rf_bug bug = RF_BUG_COUNT;
  const char *detail = nullptr;
  bool const known = rf_block_tag_explain(address, tag, &v, &bug, &detail);
  return {known, bug, v.index, detail != nullptr ? detail : ""};
}

void expect(const Explained &e, rf_bug bug, unsigned index, const std::string &detail = "") {
  EXPECT_TRUE(e.known);
  EXPECT_STREQ(rf_bug_name(e.bug), rf_bug_name(bug));
  EXPECT_EQ(e.index, index);
  EXPECT_EQ(e.detail, detail);
}

const char kNearest[] = "the block is the nearest one with the pointer's tag";

TEST(BlockTagFaults, InTheSlotItselfAreAboutItsBlock) {
  heap_alone([] {
    rf_span *const span = span_of_new_slots();
    rf_view const v = live(span, 10);
    unsigned const tag = rf_block_tag_of(&v);
    expect(explain(at(v.payload) + kSize, tag), RF_BUG_BUFFER_OVERFLOW, 10);
    expect(explain(at(v.payload) + kSize, RF_BLOCK_TAG_NONE), RF_BUG_BUFFER_OVERFLOW, 10);
    expect(explain(at(v.payload) + 1, tag), RF_BUG_USE_AFTER_FREE, 10, rf_block_tag_reused); // changed since
    rf_block_tag_take(&v);
    (void)rf_block_tag_give(&v);
    expect(explain(at(v.payload) + 1, tag), RF_BUG_USE_AFTER_FREE, 10, rf_block_tag_reused);
    rf_view const old = freed(span, 12);
    unsigned const its = rf_block_tag_before(faked_tag_at(at(old.begin)));
    expect(explain(at(old.payload), its), RF_BUG_USE_AFTER_FREE, 12);
    EXPECT_FALSE(explain(16, 3).known) << "no heap";
  });
}

TEST(BlockTagFaults, AreAboutTheNearestLiveBlockWithTheTag) {
  heap_alone([] {
    for (unsigned const distance : {1U, 2U, 5U, 13U}) {
      rf_span *const span = span_of_new_slots();
      rf_view const hit = live(span, 40);
      rf_view const below = live(span, 40 - distance);
      unsigned const tag = 2 + rf_block_tag_of(&hit) % 10 / 2 * 2; // none that slot 40 could have had
      ASSERT_NE(rf_block_tag_choose(40, tag), tag);
      (void)rf_block_tag_set(&below, tag);
      expect(explain(at(hit.payload), tag), RF_BUG_BUFFER_OVERFLOW, 40 - distance, distance > 1 ? kNearest : "");
      rf_view const above = live(span, 40 + distance);
      (void)rf_block_tag_set(&above, tag);
      (void)rf_block_tag_set(&below, tag == 2 ? 4 : 2);
      expect(explain(at(hit.payload), tag), RF_BUG_BUFFER_UNDERFLOW, 40 + distance, distance > 1 ? kNearest : "");
      (void)freed(span, 40 + distance);
      EXPECT_FALSE(explain(at(hit.payload), tag).known) << "no live block has it";
      EXPECT_FALSE(explain(at(hit.payload), RF_BLOCK_TAG_SHUT).known);
      (void)make(span, 40 - distance, kSize, RF_SLOT_NEW);
    }
  });
}

TEST(BlockTagFaults, MayBeAboutTheFirstSlotAndTheLast) {
  heap_alone([] {
    for (bool const first : {true, false}) {
      rf_span *const span = span_of_new_slots();
      unsigned const index = first ? 0 : span->count - 1;
      unsigned const beside = first ? 3 : span->count - 4;
      rf_view const hit = live(span, beside);
      rf_view const v = live(span, index);
      unsigned const tag = 2 - beside % 2 + rf_block_tag_of(&hit) % 10 / 2 * 2; // of another parity
      ASSERT_NE(rf_block_tag_choose(beside, tag), tag);
      (void)rf_block_tag_set(&v, tag);
      expect(explain(at(hit.payload), tag), first ? RF_BUG_BUFFER_OVERFLOW : RF_BUG_BUFFER_UNDERFLOW, index, kNearest);
    }
  });
}

// Tags repeat, so a far block is as likely another one, unless the slot at the address never held a block.
TEST(BlockTagFaults, LookFarOnlyWhereNothingWasSoFar) {
  heap_alone([] {
    rf_span *const span = span_of_new_slots();
    ASSERT_GT(span->count, 90U);
    rf_view const far = live(span, 10);
    unsigned const tag = rf_block_tag_of(&far);
    (void)live(span, 25);
    EXPECT_FALSE(explain(at(rf_view_of(span, 25).payload), tag).known) << "14 slots are too many, the parity differs";
    (void)live(span, 24);
    expect(explain(at(rf_view_of(span, 24).payload) + kSize, tag), RF_BUG_BUFFER_OVERFLOW, 24);
    (void)freed(span, 24);
    (void)freed(span, 25);
    for (unsigned const index : {26U, 74U}) {
      (void)make(span, index, kSize, RF_SLOT_NEW);
      expect(explain(at(rf_view_of(span, index).payload), tag), RF_BUG_BUFFER_OVERFLOW, 10, kNearest);
    }
    (void)make(span, 75, kSize, RF_SLOT_NEW);
    EXPECT_FALSE(explain(at(rf_view_of(span, 75).payload), tag).known);
  });
}

TEST(BlockTagFaults, BesideAllSlotsAreAboutTheFirstOrTheLast) {
  heap_alone([] {
    rf_span *const span = span_of_new_slots();
    rf_view const first = live(span, 0);
    expect(explain(span->base - 1, rf_block_tag_of(&first)), RF_BUG_BUFFER_UNDERFLOW, 0);
    unsigned tried = 0;
    for (unsigned i = 0; i < RF_CLASSES; i++) {
      rf_span *const other = span_of_new_slots(i);
      uintptr_t const behind = other->base + size_t{other->count} * other->slot_size;
      if (rf_span_of(behind) == other) {
        rf_view const last = live(other, other->count - 1);
        expect(explain(behind, rf_block_tag_of(&last)), RF_BUG_BUFFER_OVERFLOW, other->count - 1);
        tried++;
      }
    }
    EXPECT_GT(tried, 3U);
  });
}

TEST(BlockTagFaults, OfAMappingGoByTheAddressAlone) {
  heap_alone([] {
    bool fresh = false;
    rf_view const v = large(64000000, &fresh);
    (void)rf_block_tag_give(&v);
    expect(explain(at(v.payload) - 1, 0), RF_BUG_BUFFER_UNDERFLOW, 0);
    expect(explain(at(v.payload), 0), RF_BUG_USE_AFTER_FREE, 0);
    expect(explain(at(v.payload) + v.size - 1, 0), RF_BUG_USE_AFTER_FREE, 0);
    expect(explain(at(v.payload) + v.size, 0), RF_BUG_BUFFER_OVERFLOW, 0);
    v.slot->traits = rf_traits(RF_SLOT_FREED, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
    expect(explain(at(v.payload) + v.size, 0), RF_BUG_USE_AFTER_FREE, 0);
  });
}

} // namespace
} // namespace ringfence_test
