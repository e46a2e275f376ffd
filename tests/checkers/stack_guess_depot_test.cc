// A depot of stacks keeps fewer frames of a stack when it is nearly full, and stacks of a caller alone.
#include "tests/checkers/stack_guess_fixture.h"

#if RF_STACK_RULES

#include <algorithm>
#include <vector>

namespace ringfence {
namespace {

using StackGuessDepot = StackGuess;

TEST_F(StackGuessDepot, IsCutToItsInnermostFramesWhereTheDepotIsNearlyFull) {
  rf_stack_layout layout = stack_at({1, 4, 8, 9, 10, 12, 16, 20});
  layout.check[0] = {3, 7};
  layout.check[1] = {5 | RF_CHECK_ABSOLUTE, 0x99};
  layout.check[2] = {14, 7};
  layout.check[3] = {18 | RF_CHECK_ABSOLUTE, 0x99};
  layout.checks = 4;
  stack_words[3] = stack_words[14] = begin() + 7 * kWord;
  uint32_t const known = put(layout);
  for (uintptr_t i = 1; depot_.used <= depot_.capacity / 4 * 3; i++) {
    uintptr_t const frames[] = {i, 12, 13, 14, 15, 16, 17};
    ASSERT_NE(rf_stack_depot_put(&depot_, frames, 7), 0U);
  }
  EXPECT_EQ(put(layout), known) << "it is there";
  frames_[7] = stack_words[20] = 0x50000;
  uint32_t const cut = put(layout);
  EXPECT_NE(cut, known);
  uintptr_t seen[RF_TRACE_DEPTH];
  ASSERT_EQ(rf_stack_depot_get(&depot_, cut, seen, RF_TRACE_DEPTH), 6U);
  EXPECT_TRUE(std::equal(seen, seen + 6, frames_.begin()));
  EXPECT_TRUE(is_met(cut));
  for (uint32_t const slot : {1U, 3U, 4U, 5U, 8U, 9U, 10U, 12U}) {
    EXPECT_FALSE(is_met_without(cut, slot)) << slot;
  }
  for (uint32_t const slot : {14U, 16U, 18U, 20U}) {
    EXPECT_TRUE(is_met_without(cut, slot)) << slot;
  }
  frames_[6] = 0x60000;
  EXPECT_EQ(put(layout), cut) << "the same six frames";
  rf_stack_layout rooted = stack_at({1, 2, 3, 5, 6, 8, 9, 11, 12, 15, 17, 18});
  rooted.rooted = 10;
  frames_[1] = stack_words[2] = 0x80000;
  uint32_t const rooted_cut = put(rooted);
  EXPECT_EQ(rf_stack_depot_get(&depot_, rooted_cut, seen, RF_TRACE_DEPTH), 6U);
  EXPECT_TRUE(is_met(rooted_cut)) << "the way to the root is longer than what is left";
  uintptr_t const others[] = {21, 22, 23, 24, 25, 26, 27};
  uint32_t const without = rf_stack_depot_put(&depot_, others, 7);
  EXPECT_EQ(rf_stack_depot_get(&depot_, without, seen, RF_TRACE_DEPTH), 7U) << "nobody captured it";
  rf_stack_layout const usual = stack_at({1, 5, 7, 9, 11, 13});
  frames_[5] = stack_words[13] = 0x70000;
  uint32_t const small = put(usual);
  EXPECT_EQ(rf_stack_depot_get(&depot_, small, seen, RF_TRACE_DEPTH), 6U);
  EXPECT_TRUE(is_met(small));
}

TEST_F(StackGuessDepot, OfACallerAloneIsItsStack) {
  uint32_t const id = rf_stack_depot_put_caller(&depot_, 0x5000, false);
  uintptr_t frame = 0;
  EXPECT_EQ(rf_stack_depot_get(&depot_, id, &frame, 1), 1U);
  EXPECT_EQ(frame, 0x5000U);
  EXPECT_EQ(rf_stack_depot_put_caller(&depot_, 0x5000, true), id);
  guess_everywhere(id);
  EXPECT_NE(rf_stack_depot_put_caller(&depot_, 0x5001, false), id);
  guess_everywhere(id | RF_GUESS_BRANCH);
  EXPECT_EQ(rf_stack_depot_put_caller(&depot_, 0x5000, false), id);
  uintptr_t const longer[] = {0x6000, 0x7000};
  uint32_t const deep = rf_stack_depot_put(&depot_, longer, 2);
  guess_everywhere(deep);
  EXPECT_NE(rf_stack_depot_put_caller(&depot_, 0x6000, false), deep);
  EXPECT_EQ(rf_stack_depot_put_caller(&depot_, 0, false), 0U);
  EXPECT_EQ(rf_stack_depot_put_caller(nullptr, 0x5000, false), 0U);
  rf_origin const origin = {nullptr, 0x5000, stack_words};
  EXPECT_EQ(rf_stack_depot_put_from(nullptr, &origin, 1), 0U);
}

struct Added {
  uintptr_t caller;
  bool frees;
};
std::vector<Added> added;

TEST_F(StackGuessDepot, OfACallThatFreesIsToldAsSuch) {
  depot_.added_call = [](uintptr_t caller, bool frees) { added.push_back({caller, frees}); };
  rf_origin const first = {nullptr, 0x10000, stack_words};
  rf_origin const second = {nullptr, 0x20000, stack_words};
  (void)rf_stack_depot_put_from(&depot_, &first, 8);
  (void)rf_stack_depot_put_free_from(&depot_, &second, 8);
  (void)rf_stack_depot_put_caller(&depot_, 0x30000, false);
  (void)rf_stack_depot_put_caller(&depot_, 0x40000, true);
  ASSERT_EQ(added.size(), 4U);
  for (unsigned i = 0; i < 4; i++) {
    EXPECT_EQ(added[i].caller, (i + 1) * 0x10000U);
    EXPECT_EQ(added[i].frees, i % 2 == 1);
  }
}

} // namespace
} // namespace ringfence

#endif // RF_STACK_RULES
