// A guess of a stack is verified word by word: which words count, of which depth and generation it is.
#include "tests/checkers/single_step.h"
#include "tests/checkers/stack_guess_fixture.h"

#if RF_STACK_RULES

#include <algorithm>
#include <utility>
#include <vector>

namespace ringfence {
namespace {

TEST_F(StackGuess, HoldsWhereAllReturnAddressesAreInTheirPlaces) {
  for (size_t const depth : {2U, 3U, 4U, 5U, 8U, 9U, 11U, 12U, 13U, 16U, 17U, 31U, 32U}) {
    std::vector<uint32_t> const slots = slots_of(depth, depth < 12 ? 3 : 1);
    uint32_t const id = put(stack_at(slots));
    for (int again = 0; again < 2; again++) {
      EXPECT_TRUE(is_met(id)) << depth;
      for (uint32_t slot = 0; slot < kWords; slot++) {
        bool const counts = std::count(slots.begin(), slots.end(), slot) != 0;
        EXPECT_EQ(is_met_without(id, slot), !counts) << depth << ", slot " << slot;
      }
    }
    EXPECT_FALSE(is_met(id, RF_TRACE_DEPTH, 0x10001));
  }
}

TEST_F(StackGuess, HoldsWhereFramePointersAreAsFarAway) {
  rf_stack_layout layout = stack_at({1, 8});
  layout.checks = 3;
  layout.check[0] = {4, 12};
  layout.check[1] = {5 | RF_CHECK_ABSOLUTE, 0x77};
  layout.check[2] = {6, -2};
  stack_words[4] = begin() + 12 * kWord;
  stack_words[5] = 0x77;
  stack_words[6] = begin() - 2 * kWord;
  uint32_t const id = put(layout);
  EXPECT_TRUE(is_met(id));
  for (uint32_t slot = 0; slot < 12; slot++) {
    bool const counts = slot == 1 || slot == 4 || slot == 5 || slot == 6 || slot == 8;
    EXPECT_EQ(is_met_without(id, slot), !counts) << slot;
  }
}

// As many words as a layout may have, half of them frame pointers: more than the usual record has room for.
TEST_F(StackGuess, HoldsWhereEachFrameHasAFramePointer) {
  std::vector<uint32_t> const slots = slots_of(RF_TRACE_DEPTH, 2);
  for (unsigned const checks : {9U, 10U, 31U, 32U}) {
    rf_stack_layout layout = stack_at(slots);
    layout.checks = checks;
    for (unsigned i = 0; i < checks; i++) {
      bool const absolute = i % 3 == 2;
      layout.check[i] = {2 * i | (absolute ? RF_CHECK_ABSOLUTE : 0), static_cast<int32_t>(absolute ? 0x500 + i : i)};
      stack_words[2 * i] = absolute ? 0x500 + i : begin() + i * kWord;
    }
    frames_.back() = stack_words[slots.back()] = 0x20000 + checks; // a stack of its own
    uint32_t const id = put(layout);
    EXPECT_TRUE(is_met(id)) << checks;
    for (uint32_t slot = 0; slot < kWords; slot++) {
      EXPECT_EQ(is_met_without(id, slot), slot % 2 == 0 && slot / 2 >= checks) << checks << ", slot " << slot;
    }
  }
}

// Frames of more than 65535 words: large arrays of functions.
TEST_F(StackGuess, HoldsInLargeFrames) {
  for (uint32_t const far : {0xFFFEU, 0xFFFFU, 0x10000U, 0x10001U, 0x30000U}) {
    std::vector<uintptr_t> large(far + 1, 0x99);
    stack_words = large.data();
    for (bool const by_check : {false, true}) {
      rf_stack_layout layout = stack_at(by_check ? std::vector<uint32_t>{1, 7, far} : std::vector<uint32_t>{1, far});
      frames_.back() = stack_words[far] = 0x30000 + 2 * far + (by_check ? 1 : 0);
      layout.checks = 1;
      layout.check[0] = {by_check ? far - 1 : 4, 11};
      stack_words[layout.check[0].slot] = begin() + 11 * kWord;
      uint32_t const id = put(layout);
      EXPECT_TRUE(is_met(id)) << far;
      for (uint32_t const slot : {1U, 4U, 7U, far & 0xFFFF, far - 1, far}) {
        bool const counts = slot == 1 || slot == far || slot == layout.check[0].slot || (by_check && slot == 7);
        EXPECT_EQ(is_met_without(id, slot), !counts) << far << ", slot " << slot;
      }
    }
  }
  stack_words = usual_words;
}

// Two words that change together, by as much.
TEST_F(StackGuess, IsAnotherWhereWordsChangePlaces) {
  uint32_t const id = put(stack_at({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}));
  EXPECT_TRUE(is_met(id));
  for (uint32_t one = 1; one <= 13; one++) {
    for (uint32_t other = one + 1; other <= 13; other++) {
      std::swap(stack_words[one], stack_words[other]);
      EXPECT_FALSE(is_met(id)) << one << " and " << other;
      std::swap(stack_words[one], stack_words[other]);
      stack_words[one]++;
      stack_words[other]--;
      EXPECT_FALSE(is_met(id)) << one << " and " << other;
      stack_words[one]--;
      stack_words[other]++;
    }
  }
  EXPECT_TRUE(is_met(id));
}

TEST_F(StackGuess, IsOfADepth) {
  uint32_t const whole = put(stack_at({1, 4, 8}));
  for (unsigned max = 0; max <= RF_TRACE_DEPTH; max++) {
    EXPECT_EQ(is_met(whole, max), max >= 3) << max;
  }
  uint32_t const part = put(stack_at({1, 4, 8, 12}, false));
  EXPECT_FALSE(is_met(part, 3));
  EXPECT_TRUE(is_met(part, 4));
  EXPECT_FALSE(is_met(part, 5)) << "there are more frames";
}

// The depth that was asked for is compared first: others hold as well where the stack has no more frames.
TEST_F(StackGuess, IsOfAnotherDepthThanWasAskedFor) {
  rf_stack_layout layout = stack_at({1, 4, 8});
  for (unsigned const asked : {3U, 5U, 12U}) {
    layout.asked = asked;
    frames_.back() = stack_words[8] = 0x30000 + asked; // a stack of its own
    uint32_t const id = put(layout);
    for (unsigned max = 0; max <= RF_TRACE_DEPTH; max++) {
      EXPECT_EQ(is_met(id, max), max >= 3) << asked << ", " << max;
    }
  }
}

// If the caller was read from the frame, the word is not read again; for more words than usual, too.
TEST_F(StackGuess, OfTheFramesOwnCallerLooksAtTheOtherWords) {
  for (unsigned const depth : {3U, 4U, 8U, 12U, 16U}) {
    std::vector<uint32_t> const slots = slots_of(depth, 2);
    uint32_t const id = put(stack_at(slots));
    EXPECT_TRUE(is_met(id));
    auto const holds = [&](bool own, uintptr_t caller = 0x10000) {
      uint32_t found = 0;
      bool const met = rf_stack_guess_holds(&depot_, &predictor_, caller, stack_words, RF_TRACE_DEPTH, own, &found);
      EXPECT_EQ(found, id);
      return met;
    };
    EXPECT_TRUE(holds(true));
    EXPECT_FALSE(holds(true, 0x10001));
    for (uint32_t const slot : slots) {
      stack_words[slot] ^= 0x40;
      EXPECT_FALSE(holds(false)) << depth << ", slot " << slot;
      EXPECT_EQ(holds(true), slot == 1) << depth << ", slot " << slot;
      stack_words[slot] ^= 0x40;
    }
  }
}

// Nothing is read beyond it.
TEST_F(StackGuess, NeedsTheStackThatTheThreadIsKnownToHave) {
  uint32_t const id = put(stack_at({1, 4}));
  EXPECT_TRUE(is_met(id));
  reach_--;
  EXPECT_FALSE(is_met(id));
  reach_++;
  below_--;
  EXPECT_FALSE(is_met(id)) << "below the stack";
  below_ = 8 * kWord;
  EXPECT_FALSE(is_met(id, RF_TRACE_DEPTH, 0x10000, 1)) << "between two words";
  reach_ = 0;
  EXPECT_FALSE(is_met(id, RF_TRACE_DEPTH, 0x10000, kWord)) << "behind the stack";
}

// A stack may have ended by a word above its last return address.
TEST_F(StackGuess, NeedsAllWordsThatAreCheckedOnTheStackThatIsKnown) {
  uintptr_t last = 0x10000;
  for (uint32_t const slot : {9U, 9U | RF_CHECK_ABSOLUTE}) {
    rf_stack_layout layout = stack_at({1, 4});
    frames_.back() = stack_words[4] = ++last; // a stack of its own
    layout.check[layout.checks++] = {slot, 7};
    stack_words[9] = slot == 9 ? begin() + 7 * kWord : 7;
    uint32_t const id = put(layout);
    reach_ = 10 * kWord;
    EXPECT_TRUE(is_met(id));
    reach_--;
    EXPECT_FALSE(is_met(id));
  }
}

// Words above the function that calls main are always the same, and are not looked at, but for those that fill a four.
TEST_F(StackGuess, LooksAtNoWordAboveTheRoot) {
  std::vector<uint32_t> const slots = {1, 3, 4, 6, 9, 11, 12, 14, 15, 17, 19};
  for (unsigned rooted = 0; rooted <= slots.size(); rooted++) {
    rf_stack_layout layout = stack_at(slots);
    layout.rooted = rooted;
    frames_[0] = stack_words[1] = 0x20000 + rooted;
    uint32_t const id = put(layout);
    EXPECT_TRUE(is_met(id, RF_TRACE_DEPTH, frames_[0]));
    for (size_t i = 1; i < slots.size(); i++) {
      uintptr_t const kept = stack_words[slots[i]];
      stack_words[slots[i]] ^= 0x40;
      bool const counts = rooted == 0 || i < (rooted + 3) / 4 * 4;
      EXPECT_EQ(is_met(id, RF_TRACE_DEPTH, frames_[0]), !counts) << rooted << ", frame " << i;
      stack_words[slots[i]] = kept;
    }
  }
  rf_stack_layout layout = stack_at(slots);
  layout.rooted = 2;
  layout.check[layout.checks++] = {20 | RF_CHECK_ABSOLUTE, 0x99};
  uint32_t const id = put(layout);
  reach_ = 21 * kWord;
  EXPECT_TRUE(is_met(id));
  EXPECT_FALSE(is_met_without(id, 20)) << "a word that a step depended on is compared wherever it is";
}

// From the frame's own caller on, each return address tells where the next one is, unless frame pointers count.
TEST_F(StackGuess, OfTheFramesOwnCallerNeedsTheKnownStackWhereFramePointersCount) {
  rf_stack_layout layout = stack_at({1, 8});
  auto const holds = [&](uint32_t id) {
    uint32_t found = 0;
    guess_everywhere(id);
    return rf_stack_guess_holds(&depot_, &predictor_, 0x10000, stack_words, RF_TRACE_DEPTH, true, &found) &&
           found == id;
  };
  uint32_t const plain = put(layout);
  rf_host_last_stack = {begin(), begin() + 8 * kWord};
  EXPECT_TRUE(holds(plain));
  frames_.back() = stack_words[8] = 0x30000; // a stack of its own
  layout.checks = 1;
  layout.check[0] = {4, 12};
  stack_words[4] = begin() + 12 * kWord;
  uint32_t const id = put(layout);
  EXPECT_FALSE(holds(id));
  rf_host_last_stack = {begin(), begin() + 9 * kWord};
  EXPECT_TRUE(holds(id));
  stack_words[4] += kWord;
  EXPECT_FALSE(holds(id));
}

TEST_F(StackGuess, IsOfTheLatestGeneration) {
  rf_stack_layout const old = stack_at({1, 4, 8});
  uint32_t const id = put(old);
  rf_stack_layout const other = stack_at({2, 5, 9});
  stack_words[1] = stack_words[4] = stack_words[8] = 0;
  EXPECT_EQ(put(other), id);
  EXPECT_FALSE(is_met(id)) << "written once for each generation";
  EXPECT_EQ(put(other, kGeneration + 1), id);
  EXPECT_FALSE(is_met(id)) << "of a later one";
  rf_stack_generation = kGeneration + 1;
  EXPECT_TRUE(is_met(id));
  EXPECT_EQ(put(old, kGeneration), id);
  EXPECT_TRUE(is_met(id)) << "it never goes back";
  rf_stack_generation = kGeneration + 2;
  EXPECT_FALSE(is_met(id));
}

// Generations go round: the first one comes after the last one.
TEST_F(StackGuess, IsOfTheLatestGenerationBeyondTheLastNumber) {
  uint32_t const last = UINT32_MAX - 1;
  rf_stack_layout const old = stack_at({1, 4, 8});
  uint32_t const id = put(old, last);
  rf_stack_layout const other = stack_at({2, 5, 9});
  stack_words[1] = stack_words[4] = stack_words[8] = 0;
  EXPECT_EQ(put(other, 1), id);
  rf_stack_generation = 1;
  EXPECT_TRUE(is_met(id));
  EXPECT_EQ(put(old, last), id);
  EXPECT_TRUE(is_met(id)) << "it never goes back";
}

#ifdef RF_CAN_STEP

constexpr unsigned kStride = 8; // instructions: a signal takes long

// Code is replaced by other code meanwhile.
TEST_F(StackGuess, IsNoneWhereTheGenerationChangesWhileItIsCompared) {
  uint32_t const id = put(stack_at({1, 4, 8}));
  ASSERT_TRUE(is_met(id));
  unsigned refused = 0;
  unsigned steps = 0;
  bool changed = true;
  while (changed) {
    bool same = true;
    rf_stack_generation = kGeneration;
    changed = ringfence_test::run_with_other_after(
        steps += kStride,
        [&] { same = rf_stack_is(record_at(&depot_, id), 0x10000, stack_words, RF_TRACE_DEPTH, false); },
        [] { rf_stack_generation++; });
    refused += same ? 0 : 1;
  }
  EXPECT_GT(refused, steps / kStride / 2);
}

#endif

TEST_F(StackGuess, IsLeftWhereALaterLayoutHasNoRoom) {
  uint32_t const id = put(stack_at({1, 4, 8}));
  rf_stack_layout larger = stack_at({1, 4, 8});
  larger.checks = 2;
  larger.check[0] = {2 | RF_CHECK_ABSOLUTE, 0x77};
  larger.check[1] = {3 | RF_CHECK_ABSOLUTE, 0x77};
  rf_stack_generation = kGeneration + 1;
  EXPECT_EQ(put(larger, kGeneration + 1), id);
  EXPECT_FALSE(is_met(id));
  larger.checks = 1;
  larger.check[0] = {2, 5};
  EXPECT_EQ(put(larger, kGeneration + 1), id);
  EXPECT_FALSE(is_met(id));
  rf_stack_generation = kGeneration;
  EXPECT_TRUE(is_met(id)) << "as it was";
}

} // namespace
} // namespace ringfence

#endif // RF_STACK_RULES
