// Guesses of stacks (checkers/os/stack_guess.c) over stacks and layouts of the tests' own.
#ifndef RINGFENCE_TESTS_CHECKERS_STACK_GUESS_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_STACK_GUESS_FIXTURE_H

#include "checkers/os/stack_rules.h"

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

constexpr uintptr_t kWord = sizeof(uintptr_t);
constexpr uint32_t kGeneration = 1; // the first one

constexpr size_t kWords = 64;
constexpr size_t kMostWords = 0x30002;

// Where the lower half of the address is the same in each run: keys of guesses are made of it, and with some addresses
// two of a test would share an entry of the table.
inline uintptr_t *make_words() {
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

inline uintptr_t *const usual_words = make_words();
inline uintptr_t *stack_words = usual_words;

// `count` slots: 1, 1 + step, and so on.
inline std::vector<uint32_t> slots_of(size_t count, uint32_t step) {
  std::vector<uint32_t> slots;
  for (uint32_t slot = 1; slots.size() < count; slot += step) {
    slots.push_back(slot);
  }
  return slots;
}

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
    return rf_guess_of(&depot_, nullptr, 0x10000, stack_words);
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
  rf_stack_predictor predictor_ = {};
  std::vector<uintptr_t> frames_;
  uintptr_t reach_ = 0;
  uintptr_t below_ = 0;

private:
  uint32_t generation_;
  rf_host_bounds bounds_;
};

} // namespace ringfence

#endif // RF_STACK_RULES

#endif // RINGFENCE_TESTS_CHECKERS_STACK_GUESS_FIXTURE_H
