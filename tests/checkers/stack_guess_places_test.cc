// Places of guesses: stacks of one call site part in branches, and a key has two places in the table.
#include "tests/checkers/stack_guess_fixture.h"

#if RF_STACK_RULES

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace ringfence {
namespace {

using StackGuessPlaces = StackGuess;

// ---- Several stacks of one place ----

// One of them in memory, `outer` instead of the return address in slot `part`.
constexpr uintptr_t kOuter[] = {0x40000, 0x50000, 0x60000, 0x70000};

TEST_F(StackGuessPlaces, IsEachOfTheStacksThatPartInOneWord) {
  for (uint32_t const part : {2U, 6U, 12U}) {
    rf_stack_layout const layout = stack_at({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
    std::vector<uint32_t> ids;
    for (uintptr_t const outer : kOuter) {
      frames_[part - 1] = stack_words[part] = outer;
      ids.push_back(put(layout));
      EXPECT_NE(guess(), ids.back());
      enter(ids.back());
    }
    for (size_t i = 0; i < std::size(kOuter); i++) {
      stack_words[part] = kOuter[i];
      EXPECT_EQ(guess(), ids[i]) << "part " << part;
    }
  }
}

TEST_F(StackGuessPlaces, IsEachOfTheStacksThatPartInFramePointers) {
  rf_stack_layout layout = stack_at({1, 8});
  layout.checks = 3;
  std::vector<uint32_t> ids;
  auto const write = [](int32_t i) {
    stack_words[0] = begin() + (10U + i % 2) * kWord;
    stack_words[4] = begin() + (10U + i / 2 % 2) * kWord;
    stack_words[6] = static_cast<uintptr_t>(i / 4);
  };
  for (int32_t i = 0; i < 8; i++) {
    layout.check[0] = {0, 10 + i % 2};
    layout.check[1] = {4, 10 + i / 2 % 2};
    layout.check[2] = {6 | RF_CHECK_ABSOLUTE, i / 4};
    frames_[1] = stack_words[8] = 0x40000U + static_cast<unsigned>(i);
    write(i);
    ids.push_back(put(layout));
    enter(ids.back());
  }
  for (int32_t i = 0; i < 8; i++) {
    write(i);
    EXPECT_EQ(guess(), ids[static_cast<size_t>(i)]);
  }
}

// A stack whose frame pointer is another has anything where the next one was.
TEST_F(StackGuessPlaces, PartsAtTheLowestFramePointer) {
  rf_stack_layout layout = stack_at({1, 8});
  layout.checks = 2;
  layout.check[0] = {4, 10};
  layout.check[1] = {6, 12};
  stack_words[4] = begin() + 10 * kWord;
  stack_words[6] = begin() + 12 * kWord;
  enter(put(layout));
  frames_[1] = 0x40000;
  layout.check[0].value = 20;
  layout.checks = 1;
  stack_words[4] = begin() + 20 * kWord;
  stack_words[8] = 0x40000;
  uint32_t const second = put(layout);
  for (uintptr_t i = 0; i < 4; i++) {
    stack_words[6] = 0x777 + i;
    if (i == 0) {
      enter(second);
    }
    EXPECT_EQ(guess(), second) << i;
  }
}

// Another word where two part leaves the branches behind these as they are.
TEST_F(StackGuessPlaces, IsAThirdStackBesideTwoThatPartFurther) {
  rf_stack_layout const layout = stack_at({1, 4, 8});
  uintptr_t const words[][2] = {{0x40000, 0x1000}, {0x40000, 0x2000}, {0x50000, 0x1000}, {0x60000, 0x1000}};
  std::vector<uint32_t> ids;
  for (size_t const i : {0, 2, 1, 3}) {
    frames_[1] = stack_words[4] = words[i][0];
    frames_[2] = stack_words[8] = words[i][1];
    ids.push_back(put(layout));
    enter(ids.back());
  }
  std::swap(ids[1], ids[2]);
  for (size_t i = 0; i < std::size(words); i++) {
    stack_words[4] = words[i][0];
    stack_words[8] = words[i][1];
    EXPECT_EQ(guess(), ids[i]) << i;
  }
}

// No branch has room for such a word.
TEST_F(StackGuessPlaces, IsTheLastOneWhereStacksPartBeyondLargeFrames) {
  for (uint32_t const far : {0xFFFEU, 0xFFFFU, 0x10000U, 0x20000U}) {
    std::fill(usual_words, usual_words + far + 1, 0x99);
    rf_stack_layout const layout = stack_at({1, far});
    std::vector<uint32_t> ids;
    for (uintptr_t const outer : kOuter) {
      frames_[1] = stack_words[far] = outer + far;
      ids.push_back(put(layout));
      enter(ids.back());
      EXPECT_EQ(guess(), ids.back()) << far;
    }
    stack_words[far] = kOuter[0] + far;
    EXPECT_EQ(guess(), far == 0xFFFE ? ids[0] : ids.back()) << far;
  }
}

// A caller alone takes the place of a branch, whose word stays beside it.
TEST_F(StackGuessPlaces, TakesThePlaceOfACallerAlone) {
  rf_stack_layout const layout = stack_at({1, 4, 8});
  uint32_t const id = put(layout);
  uint32_t const at = rf_guess_index(&depot_, rf_guess_key(0x10000, begin()));
  guess_at(&depot_, at)[0] = rf_stack_depot_put_caller(&depot_, 0x5000, false);
  guess_at(&depot_, at)[1] = rf_guess_key(0x10000, begin()) << 16 | 5;
  enter(id);
  EXPECT_EQ(guess(), id);
}

// A stack that differs in an inner frame counts as well, if others part in an outer one.
TEST_F(StackGuessPlaces, IsAStackThatPartsBeforeAllOthers) {
  rf_stack_layout const layout = stack_at({1, 4, 8});
  uint32_t const first = put(layout);
  enter(first);
  frames_[2] = stack_words[8] = 0x40000;
  uint32_t const second = put(layout);
  enter(second);
  frames_[1] = stack_words[4] = 0x50000;
  frames_[2] = 0x60000;
  rf_stack_layout other = layout;
  other.slots[2] = 7;
  stack_words[7] = 0x60000;
  uint32_t const third = put(other);
  for (uintptr_t i = 0; i < 9; i++) {
    stack_words[8] = 0x777 + i;
    if (i == 0) {
      enter(third);
    }
    EXPECT_EQ(guess(), third) << i;
  }
  stack_words[4] = 0x10001;
  stack_words[8] = 0x10002;
  enter(first); // what was behind the branch has to be entered once more
  stack_words[8] = 0x40000;
  enter(second);
  EXPECT_EQ(guess(), second);
  stack_words[8] = 0x10002;
  EXPECT_EQ(guess(), first);
}

// A branch leads to the next one, and so on: the guess is the last one's.
TEST_F(StackGuessPlaces, IsBehindABoundedNumberOfBranches) {
  std::vector<uint32_t> const slots = slots_of(RF_BRANCHES_MOST + 4, 1);
  rf_stack_layout const layout = stack_at(slots);
  enter(put(layout));
  for (uint32_t slot = slots.back(); slot > 1; slot--) { // each parts from the others before these part
    stack_words[slot] += 0x1000;
    frames_[slot - 1] = stack_words[slot];
    uint32_t const id = put(layout);
    EXPECT_NE(guess(), id);
    enter(id);
    EXPECT_EQ(guess(), id) << slot;
  }
  for (uint32_t slot = 2; slot <= slots.back(); slot++) { // and the other way round
    stack_words[slot] += 0x1000;
    frames_[slot - 1] = stack_words[slot];
    uint32_t const id = put(layout);
    enter(id);
    if (slot <= RF_BRANCHES_MOST + 1) {
      EXPECT_EQ(guess(), id) << slot;
    }
  }
  uint32_t const id = put(layout);
  uint32_t key = rf_guess_key(0x10000, begin());
  for (unsigned i = 0; i < 3 * RF_BRANCHES_MOST; i++) {
    uint32_t const at = rf_guess_index(&depot_, key);
    guess_at(&depot_, at)[0] = id | RF_GUESS_BRANCH;
    guess_at(&depot_, at)[1] = key << 16 | 3;
    key = rf_guess_key_behind(key, stack_words[2]);
  }
  EXPECT_EQ(guess(), id);
  stack_words[2] = 0x7777;
  frames_[1] = 0x7777;
  uint32_t const other = put(layout);
  enter(other);
  EXPECT_EQ(guess(), other);
}

TEST_F(StackGuessPlaces, ReadsNoWordBehindTheStack) {
  uint32_t const id = put(stack_at({1, 4}));
  enter(id);
  uint32_t const at = rf_guess_index(&depot_, rf_guess_key(0x10000, begin()));
  ASSERT_EQ(guess_at(&depot_, at)[0], id);
  uint32_t const key = rf_guess_key(0x10000, begin());
  uint32_t behind = rf_guess_index(&depot_, rf_guess_key_behind(key, stack_words[5]));
  guess_at(&depot_, at)[0] |= RF_GUESS_BRANCH;
  guess_at(&depot_, at)[1] = key << 16 | 6;
  guess_at(&depot_, behind)[0] = 77;
  EXPECT_EQ(guess(), id) << "a stack of five words";
  reach_ = 6 * kWord;
  EXPECT_EQ(guess(), 77U);
  reach_--;
  EXPECT_EQ(guess(), id);
  reach_++;
  guess_at(&depot_, at)[1] ^= 0x10000;
  EXPECT_EQ(guess(), 77U) << "the branch of another key: no stack is met there";
  guess_at(&depot_, at)[1] = key << 16;
  EXPECT_EQ(guess(), id) << "an entry that another thread makes a guess itself meanwhile";
}

// ---- Two places ----

// A place of a call whose guess has the same first entry as that of 0x10000.
uintptr_t caller_beside(const rf_stack_depot *depot) {
  uint32_t const key = rf_guess_key(0x10000, reinterpret_cast<uintptr_t>(stack_words));
  for (uintptr_t caller = 0x10001;; caller++) {
    uint32_t const other = rf_guess_key(caller, reinterpret_cast<uintptr_t>(stack_words));
    if (rf_guess_index(depot, other) == rf_guess_index(depot, key) && other << 16 != key << 16) {
      return caller;
    }
  }
}

TEST_F(StackGuessPlaces, IsFoundInTheSecondPlaceOfItsKey) {
  rf_stack_layout const layout = stack_at({1, 4});
  uint32_t const first = put(layout);
  enter(first);
  uintptr_t const beside = caller_beside(&depot_);
  frames_[0] = stack_words[1] = beside;
  uint32_t const second = put(layout);
  rf_guess_enter(&depot_, beside, stack_words, RF_TRACE_DEPTH, second);
  EXPECT_EQ(guess(), second) << "the requests look at one place";
  for (int i = 0; i < 3; i++) {
    for (uintptr_t const caller : {uintptr_t{0x10000}, beside}) {
      stack_words[1] = caller;
      rf_origin const origin = {nullptr, caller, stack_words};
      uint32_t const id = caller == beside ? second : first;
      EXPECT_EQ(rf_stack_depot_put_from(&depot_, &origin, RF_TRACE_DEPTH), id);
      EXPECT_EQ(guess(), id) << "it is in the first place now";
    }
  }
}

TEST_F(StackGuessPlaces, IsFoundBehindABranchInTheSecondPlaceOfItsKey) {
  rf_stack_layout const layout = stack_at({1, 4});
  uint32_t const first = put(layout);
  enter(first);
  frames_[1] = stack_words[4] = 0x40000;
  uint32_t const other = put(layout);
  enter(other);
  uintptr_t const beside = caller_beside(&depot_);
  frames_[0] = stack_words[1] = beside;
  uint32_t const second = put(layout);
  rf_guess_enter(&depot_, beside, stack_words, RF_TRACE_DEPTH, second);
  for (int i = 0; i < 3; i++) {
    rf_origin const origin = {nullptr, beside, stack_words};
    stack_words[1] = beside;
    EXPECT_EQ(rf_stack_depot_put_from(&depot_, &origin, RF_TRACE_DEPTH), second);
    rf_origin const branched = {nullptr, 0x10000, stack_words};
    stack_words[1] = 0x10000;
    EXPECT_EQ(rf_stack_depot_put_from(&depot_, &branched, RF_TRACE_DEPTH), other);
    stack_words[4] = 0x10001;
    EXPECT_EQ(rf_stack_depot_put_from(&depot_, &branched, RF_TRACE_DEPTH), first);
    stack_words[4] = 0x40000;
  }
}

TEST_F(StackGuessPlaces, IsTheLastOneWhereThereIsOneEntry) {
  std::vector<uint64_t> memory(63);
  ASSERT_EQ(rf_stack_depot_init(&depot_, memory.data(), memory.size() * sizeof memory[0]), RF_OK);
  ASSERT_EQ(depot_.recent_most, 0U);
  rf_stack_layout const layout = stack_at({1, 4});
  for (uintptr_t const caller : {0x10000, 0x10010, 0x10020}) {
    frames_[0] = stack_words[1] = caller;
    uint32_t const id = put(layout);
    ASSERT_NE(id, 0U);
    rf_host_last_stack = {begin(), begin() + reach_};
    rf_guess_enter(&depot_, caller, stack_words, RF_TRACE_DEPTH, id);
    rf_origin const origin = {nullptr, caller, stack_words};
    EXPECT_EQ(rf_stack_depot_put_from(&depot_, &origin, RF_TRACE_DEPTH), id);
  }
}

} // namespace
} // namespace ringfence

#endif // RF_STACK_RULES
