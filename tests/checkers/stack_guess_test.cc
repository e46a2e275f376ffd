// A guess of a stack is verified word by word (checkers/os/stack_guess.c): over stacks and layouts of the tests' own.
#include "checkers/os/stack_rules.h"

#include "tests/checkers/single_step.h"

#include <gtest/gtest.h>

#if RF_STACK_RULES

#define _Static_assert static_assert
extern "C" {
#include "checkers/os/host.h"
#include "checkers/os/stack_guess.h"
#include "checkers/os/stack_record.h"
}
#undef _Static_assert

#include <algorithm>
#include <sys/mman.h>
#include <vector>

namespace ringfence {
namespace {

constexpr uintptr_t kWord = sizeof(uintptr_t);
constexpr uint32_t kGeneration = 1; // the first one

constexpr size_t kWords = 64;
constexpr size_t kMostWords = 0x30002;

// Where the lower half of the address is the same in each run: keys of guesses are made of it, and with some addresses
// two of a test would share an entry of the table.
uintptr_t *make_words() {
  constexpr size_t kSize = kMostWords * kWord;
#if UINTPTR_MAX > UINT32_MAX
  constexpr uintptr_t kHalf = uintptr_t{1} << 32;
  void *const found = mmap(nullptr, 2 * kHalf, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  uintptr_t const at = (reinterpret_cast<uintptr_t>(found) + kHalf - 1) / kHalf * kHalf;
  auto *const words = reinterpret_cast<uintptr_t *>(at);
  bool const made = found != MAP_FAILED && mprotect(words, kSize, PROT_READ | PROT_WRITE) == 0;
#else
  void *const wanted = reinterpret_cast<void *>(uintptr_t{0x30000000});
  auto *const words =
      static_cast<uintptr_t *>(mmap(wanted, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  bool const made = words == wanted;
#endif
  static uintptr_t usual[kMostWords];
  return made ? words : usual;
}

uintptr_t *const usual_words = make_words();
uintptr_t *stack_words = usual_words;

// The record of one stack is the guess for whatever is asked for.
class StackGuess : public testing::Test {
protected:
  StackGuess() : memory_(1 << 15), generation_(rf_stack_generation), bounds_(rf_host_last_stack) {
    EXPECT_EQ(rf_stack_depot_init(&depot_, memory_.data(), memory_.size() * 8), RF_OK);
    std::fill(usual_words, usual_words + kWords, 0x99);
    rf_stack_generation = kGeneration;
  }
  ~StackGuess() override {
    rf_stack_generation = generation_;
    rf_host_last_stack = bounds_;
  }

  // Return addresses at these slots, on the stack as well; `ended`: all that there are.
  rf_stack_layout stack_at(const std::vector<uint32_t> &slots, bool ended = true) {
    rf_stack_layout layout = {};
    layout.fixed = true;
    layout.ended = ended;
    layout.asked = ended ? RF_TRACE_DEPTH : static_cast<unsigned>(slots.size());
    frames_.clear();
    for (uint32_t const slot : slots) {
      layout.slots[frames_.size()] = slot;
      frames_.push_back(0x10000 + frames_.size());
      stack_words[slot] = frames_.back();
    }
    reach_ = (slots.back() + 1) * kWord;
    return layout;
  }

  uint32_t put(const rf_stack_layout &layout, uint32_t generation = kGeneration) {
    auto const depth = static_cast<unsigned>(frames_.size());
    return rf_stack_depot_put_laid_out(&depot_, frames_.data(), depth, &layout, generation);
  }

  // Makes it the guess for the stack in memory.
  void enter(uint32_t id) {
    rf_host_last_stack = {begin(), begin() + reach_};
    rf_guess_enter(&depot_, 0x10000, stack_words, RF_TRACE_DEPTH, id);
  }

  uint32_t guess() {
    rf_host_last_stack = {begin(), begin() + reach_};
    return rf_guess_of(&depot_, 0x10000, stack_words);
  }

  void guess_everywhere(uint32_t id) {
    for (uint32_t at = 0; at <= depot_.recent_mask; at++) {
      guess_at(&depot_, at)[0] = id;
    }
  }

  // True where the stack in memory is found to be that of the record.
  bool is_met(uint32_t id, unsigned max = RF_TRACE_DEPTH, uintptr_t caller = 0x10000, uintptr_t shift = 0) {
    guess_everywhere(id);
    rf_host_last_stack = {begin() - below_, begin() + reach_};
    rf_origin const origin = {nullptr, caller, reinterpret_cast<const void *>(begin() + shift)};
    return rf_stack_depot_put_from(&depot_, &origin, max) == id;
  }

  static uintptr_t begin() { return reinterpret_cast<uintptr_t>(stack_words); }

  // The same after the word was another.
  bool is_met_without(uint32_t id, uint32_t slot) {
    uintptr_t const kept = stack_words[slot];
    stack_words[slot] ^= 0x40;
    bool const met = is_met(id);
    stack_words[slot] = kept;
    return met;
  }

  std::vector<uint64_t> memory_;
  rf_stack_depot depot_ = {};
  std::vector<uintptr_t> frames_;
  uintptr_t reach_ = 0;
  uintptr_t below_ = 0;

private:
  uint32_t generation_;
  rf_host_bounds bounds_;
};

TEST_F(StackGuess, HoldsWhereAllReturnAddressesAreInTheirPlaces) {
  for (size_t const depth : {2U, 3U, 4U, 5U, 8U, 9U, 11U, 12U, 13U, 16U, 17U, 31U, 32U}) {
    std::vector<uint32_t> slots;
    for (uint32_t slot = 1; slots.size() < depth; slot += depth < 12 ? 3 : 1) {
      slots.push_back(slot);
    }
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
  std::vector<uint32_t> slots;
  for (uint32_t slot = 1; slots.size() < RF_TRACE_DEPTH; slot += 2) {
    slots.push_back(slot);
  }
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

// Where the caller was read from the frame, the word is not read again; for more words than usual, too.
TEST_F(StackGuess, OfTheFramesOwnCallerLooksAtTheOtherWords) {
  for (unsigned const depth : {3U, 4U, 8U, 12U, 16U}) {
    std::vector<uint32_t> slots;
    for (uint32_t slot = 1; slots.size() < depth; slot += 2) {
      slots.push_back(slot);
    }
    uint32_t const id = put(stack_at(slots));
    EXPECT_TRUE(is_met(id));
    auto const holds = [&](bool own, uintptr_t caller = 0x10000) {
      uint32_t found = 0;
      bool const met = rf_stack_guess_holds(&depot_, caller, stack_words, RF_TRACE_DEPTH, own, &found);
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

// Of the frame's own caller each return address tells where the next one is: but where frame pointers count.
TEST_F(StackGuess, OfTheFramesOwnCallerNeedsTheKnownStackWhereFramePointersCount) {
  rf_stack_layout layout = stack_at({1, 8});
  auto const holds = [&](uint32_t id) {
    uint32_t found = 0;
    guess_everywhere(id);
    return rf_stack_guess_holds(&depot_, 0x10000, stack_words, RF_TRACE_DEPTH, true, &found) && found == id;
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

// ---- Several stacks of one place ----

// One of them in memory, `outer` instead of the return address in slot `part`.
constexpr uintptr_t kOuter[] = {0x40000, 0x50000, 0x60000, 0x70000};

TEST_F(StackGuess, IsEachOfTheStacksThatPartInOneWord) {
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

TEST_F(StackGuess, IsEachOfTheStacksThatPartInFramePointers) {
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
TEST_F(StackGuess, PartsAtTheLowestFramePointer) {
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
TEST_F(StackGuess, IsAThirdStackBesideTwoThatPartFurther) {
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
TEST_F(StackGuess, IsTheLastOneWhereStacksPartBeyondLargeFrames) {
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
TEST_F(StackGuess, TakesThePlaceOfACallerAlone) {
  rf_stack_layout const layout = stack_at({1, 4, 8});
  uint32_t const id = put(layout);
  uint32_t const at = rf_guess_index(&depot_, rf_guess_key(0x10000, begin()));
  guess_at(&depot_, at)[0] = rf_stack_depot_put_caller(&depot_, 0x5000, false);
  guess_at(&depot_, at)[1] = rf_guess_key(0x10000, begin()) << 16 | 5;
  enter(id);
  EXPECT_EQ(guess(), id);
}

// Where others part in an outer frame, a stack that differs in an inner one has anything.
TEST_F(StackGuess, IsAStackThatPartsBeforeAllOthers) {
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
TEST_F(StackGuess, IsBehindABoundedNumberOfBranches) {
  std::vector<uint32_t> slots;
  for (uint32_t slot = 1; slots.size() < RF_BRANCHES_MOST + 4; slot++) {
    slots.push_back(slot);
  }
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

TEST_F(StackGuess, ReadsNoWordBehindTheStack) {
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

TEST_F(StackGuess, IsFoundInTheSecondPlaceOfItsKey) {
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

TEST_F(StackGuess, IsFoundBehindABranchInTheSecondPlaceOfItsKey) {
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

TEST_F(StackGuess, IsTheLastOneWhereThereIsOneEntry) {
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

// ---- A depot that is nearly full ----

TEST_F(StackGuess, IsCutToItsInnermostFramesWhereTheDepotIsNearlyFull) {
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

// ---- Callers alone ----

TEST_F(StackGuess, OfACallerAloneIsItsStack) {
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

TEST_F(StackGuess, OfACallThatFreesIsToldAsSuch) {
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
