// Pointers with tags (checkers/dropin/malloc/tagged_blocks.c): which are let in, what becomes of their tags, and what
// is told of those that are stale. The heap and its tags are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/walk.h"
#include "checkers/dropin/malloc/tagged_blocks.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/memory_tags.h"
}
#undef _Static_assert

#include "tests/checkers/recorder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

constexpr uintptr_t kBlock = 0x123450;
constexpr unsigned kTag = 5;

bool is_live;
Calls calls;

void *tagged(unsigned tag, uintptr_t address = kBlock) {
  return reinterpret_cast<void *>(rf_tag_add(address, tag));
}

} // namespace

extern "C" {

rf_process_state rf_process;
const char rf_block_tag_reused[] = "reused";

bool rf_heap_live(const void *ptr, rf_view *out) {
  *out = {};
  out->payload = reinterpret_cast<unsigned char *>(kBlock);
  return is_live && ptr == out->payload;
}

unsigned rf_block_tag_of(const rf_view *) {
  return kTag;
}

void *rf_block_tag_give(const rf_view *) {
  calls.emplace_back("give");
  return tagged(kTag);
}

void *rf_block_tag_set(const rf_view *, unsigned tag) {
  calls.push_back("set " + std::to_string(tag));
  return tagged(tag);
}

void rf_block_tag_take(const rf_view *) {
  calls.emplace_back("take");
}

unsigned rf_block_tag_hold(const rf_view *) {
  calls.emplace_back("hold");
  return 9;
}

void rf_check_about(rf_finding *f, const rf_view *view) {
  f->block = reinterpret_cast<uintptr_t>(view->payload);
}
}

namespace {

class TaggedBlocks : public testing::Test {
protected:
  TaggedBlocks() {
    is_live = true;
    calls.clear();
    rf_process.guard_options.reporter = recorder_.reporter();
  }

  void expect_stale(rf_bug bug, const char *detail) {
    std::vector<rf_finding> const found = recorder_.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].bug, bug);
    EXPECT_EQ(found[0].access, RF_ACCESS_FREE);
    EXPECT_EQ(found[0].address, kBlock);
    EXPECT_EQ(found[0].block, kBlock);
    EXPECT_STREQ(found[0].allocator, "malloc");
    EXPECT_STREQ(found[0].mode, "mte");
    EXPECT_STREQ(found[0].detail, detail);
  }

  ringfence::Recorder recorder_;
  rf_origin const origin_ = {};
};

TEST_F(TaggedBlocks, AreGivenOutWithTheirTag) {
  EXPECT_EQ(rf_tagged_block_give(tagged(0)), tagged(kTag));
  EXPECT_EQ(calls, Calls{"give"});
  calls.clear();
  EXPECT_EQ(rf_tagged_block_give(nullptr), nullptr);
  EXPECT_EQ(rf_tagged_block_give(tagged(0, 0x999990)), tagged(0, 0x999990));
  EXPECT_EQ(calls, Calls());
}

TEST_F(TaggedBlocks, AFreeTakesTheTagOff) {
  void *p = tagged(kTag);
  EXPECT_TRUE(rf_tagged_block_take(&p, &origin_));
  EXPECT_EQ(p, tagged(0));
  EXPECT_EQ(calls, Calls{"take"});
  calls.clear();
  is_live = false; // the heap is to say what it is
  p = tagged(kTag);
  EXPECT_TRUE(rf_tagged_block_take(&p, &origin_));
  EXPECT_EQ(p, tagged(0));
  EXPECT_EQ(calls, Calls());
  EXPECT_EQ(recorder_.count(), 0U);
}

TEST_F(TaggedBlocks, AStalePointerIsToldAndStaysAsItIs) {
  void *p = tagged(kTag + 1);
  EXPECT_FALSE(rf_tagged_block_take(&p, &origin_));
  EXPECT_EQ(p, tagged(kTag + 1));
  expect_stale(RF_BUG_DOUBLE_FREE, "reused");
  p = tagged(0);
  EXPECT_FALSE(rf_tagged_block_take(&p, &origin_));
  expect_stale(RF_BUG_BAD_FREE, "the pointer has lost its tag");
  rf_tagged_block held = {p, 3};
  p = tagged(kTag - 1);
  EXPECT_FALSE(rf_tagged_block_hold(&p, &held, &origin_));
  EXPECT_EQ(p, tagged(kTag - 1));
  EXPECT_EQ(held.block, nullptr);
  expect_stale(RF_BUG_DOUBLE_FREE, "reused");
  EXPECT_EQ(calls, Calls());
}

TEST_F(TaggedBlocks, ABlockThatGetsAnotherSizeKeepsItsTagWhereItStays) {
  for (void *const result : {tagged(0), static_cast<void *>(nullptr)}) {
    rf_tagged_block held = {};
    void *p = tagged(kTag);
    EXPECT_TRUE(rf_tagged_block_hold(&p, &held, &origin_));
    EXPECT_EQ(p, tagged(0));
    EXPECT_EQ(held.block, tagged(0));
    EXPECT_EQ(rf_tagged_block_settle(&held, result), result != nullptr ? tagged(9) : nullptr);
    EXPECT_EQ(calls, (Calls{"hold", "set 9"}));
    calls.clear();
  }
  rf_tagged_block const elsewhere = {tagged(0, 0x999990), 9};
  EXPECT_EQ(rf_tagged_block_settle(&elsewhere, tagged(0)), tagged(kTag)); // it moved
  EXPECT_EQ(calls, Calls{"give"});
  EXPECT_EQ(rf_tagged_block_settle(&elsewhere, nullptr), nullptr); // and is no more
  EXPECT_EQ(calls, Calls{"give"});
}

TEST_F(TaggedBlocks, WhatIsNoBlockIsHeldAsNone) {
  rf_tagged_block held = {tagged(0), 3};
  void *p = tagged(kTag, 0x999990);
  EXPECT_TRUE(rf_tagged_block_hold(&p, &held, &origin_));
  EXPECT_EQ(p, tagged(0, 0x999990));
  EXPECT_EQ(held.block, nullptr);
  EXPECT_EQ(held.tag, RF_BLOCK_TAG_NONE);
  EXPECT_EQ(rf_tagged_block_settle(&held, tagged(0)), tagged(kTag));
  EXPECT_EQ(rf_tagged_block_settle(&held, nullptr), nullptr);
  EXPECT_EQ(calls, Calls{"give"});
}

TEST_F(TaggedBlocks, APointerIsKnownByItsTag) {
  static rf_span span;
  uintptr_t const unit = kBlock & ~(RF_UNIT - 1);
  span.base = unit + RF_SPAN_FRONT;
  span.bytes = RF_UNIT;
  EXPECT_TRUE(rf_tagged_block_is_known(tagged(3))); // no memory of the heap's
  ASSERT_TRUE(rf_span_enter(unit, RF_UNIT, &span));
  EXPECT_TRUE(rf_tagged_block_is_known(tagged(kTag)));
  EXPECT_FALSE(rf_tagged_block_is_known(tagged(kTag + 1)));
  EXPECT_FALSE(rf_tagged_block_is_known(tagged(0)));
  EXPECT_FALSE(rf_tagged_block_is_known(tagged(kTag, kBlock + 16)));
  is_live = false;
  EXPECT_FALSE(rf_tagged_block_is_known(tagged(kTag)));
  EXPECT_TRUE(rf_span_enter(unit, RF_UNIT, nullptr));
}

} // namespace
