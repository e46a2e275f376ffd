// Frames by rules of the tests' own: where a frame may end, and the layout of a stack by which it is known again.
#include "checkers/os/host.h"
#include "checkers/os/stack_layout.h"
#include "checkers/os/stack_rules.h"

#include "tests/checkers/put_rule.h"

#include <gtest/gtest.h>

#if RF_STACK_RULES

#include <algorithm>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace ringfence {
namespace {

using Frames = std::vector<uintptr_t>;

// ---- The end of a stack ----

constexpr uintptr_t kFirst = 0x200000; // return addresses into no code
constexpr uintptr_t kSecond = 0x123450;

// A stack of one page, and on it the frame that a call from kFirst has left. The frame of kFirst's function, whose last
// word is kSecond, ends `beyond` words behind the stack.
class LastFrame {
public:
  LastFrame()
      : page_(static_cast<size_t>(getpagesize())),
        pages_(static_cast<char *>(mmap(nullptr, 3 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    (void)mprotect(pages_ + page_, page_, PROT_READ | PROT_WRITE);
  }
  LastFrame(const LastFrame &) = delete;
  LastFrame &operator=(const LastFrame &) = delete;
  ~LastFrame() { (void)munmap(pages_, 3 * page_); }

  // `words` of kFirst's frame, and its frame pointer `pointer` words from its beginning.
  Frames captured(int words, int pointer, int beyond) {
    auto *const end = reinterpret_cast<uintptr_t *>(pages_ + 2 * page_);
    uintptr_t *const frame = end + beyond - words;
    std::fill(reinterpret_cast<uintptr_t *>(pages_ + page_), end, 0);
    frame[-2] = reinterpret_cast<uintptr_t>(frame + pointer);
    frame[-1] = kFirst;
    frame[0] = reinterpret_cast<uintptr_t>(end + beyond); // of the kind BEHIND
    end[-1] = kSecond;
    rf_origin const origin = {nullptr, kFirst, frame - 2};
    Frames frames(4);
    frames.resize(rf_stack_capture(&origin, frames.data(), 4));
    return frames;
  }

private:
  size_t page_;
  char *pages_;
};

TEST(StackLayout, AFrameMayEndWithTheStackAndNoWordBehindIt) {
  struct Case {
    uint32_t rule;
    int words;
    int pointer;
  };
  Case const cases[] = {{RF_RULE_OF_N(RF_RULE_SP, 5), 5, 1},
                        {RF_RULE_OF_N(RF_RULE_SP, 5) | 3U << 18, 5, 1},
                        {RF_RULE_OF_N(RF_RULE_BP, 4), 5, 1},
                        {RF_RULE_OF_N(RF_RULE_BEHIND, 2), 5, 2},
                        {RF_RULE_POINTERS, 5, 3}};
  LastFrame stack;
  for (const Case &c : cases) {
    put_rule(kFirst, c.rule);
    EXPECT_EQ(stack.captured(c.words, c.pointer, 0), (Frames{kFirst, kSecond})) << c.rule;
    EXPECT_EQ(stack.captured(c.words, c.pointer, 1), Frames{kFirst}) << c.rule;
  }
  rf_stack_rules_forget();
}

// A return address alone is the smallest of all frames.
TEST(StackLayout, AFrameMayBeAWord) {
  uintptr_t words[8] = {};
  words[0] = reinterpret_cast<uintptr_t>(words + 2);
  words[1] = kFirst;
  words[2] = kSecond;
  rf_origin const origin = {nullptr, kFirst, words};
  uintptr_t frames[2] = {};
  for (uint32_t const rule : {RF_RULE_OF_N(RF_RULE_SP, 1), RF_RULE_OF_N(RF_RULE_BP, 1)}) {
    put_rule(kFirst, rule);
    EXPECT_EQ(rf_stack_capture(&origin, frames, 2), 2U) << rule;
    EXPECT_EQ(frames[1], kSecond);
  }
  words[2] = 4096;
  EXPECT_EQ(rf_stack_capture(&origin, frames, 2), 2U);
  words[2] = 4095;
  EXPECT_EQ(rf_stack_capture(&origin, frames, 2), 1U) << "no code is there";
  words[2] = kSecond;
  put_rule(kFirst, RF_RULE_OF_N(RF_RULE_BP, 0));
  EXPECT_EQ(rf_stack_capture(&origin, frames, 2), 1U) << "no frame";
  rf_stack_rules_forget();
}

// ---- Layouts ----

#if defined(__x86_64__)

// A frame pointer is compared by its distance, or, where it points to nothing nearby, by itself: 31 bits of it.
TEST(StackLayout, ALayoutHoldsAFramePointerThatPointsNowhere) {
  uintptr_t words[8] = {};
  words[1] = kFirst;
  rf_origin const origin = {nullptr, kFirst, words};
  put_rule(kFirst, RF_RULE_POINTERS);
  for (uintptr_t const pointer : {uintptr_t{0}, uintptr_t{1}, uintptr_t{64}, uintptr_t{INT32_MAX}}) {
    rf_stack_layout layout = {};
    uintptr_t frames[4];
    words[0] = pointer;
    EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, 4, &layout), 1U);
    EXPECT_TRUE(layout.fixed && layout.ended) << pointer;
    ASSERT_EQ(layout.checks, 1U);
    EXPECT_EQ(layout.check[0].slot, RF_CHECK_ABSOLUTE) << pointer;
    EXPECT_EQ(layout.check[0].value, static_cast<int32_t>(pointer));
  }
  rf_stack_layout layout = {};
  uintptr_t frames[4];
  words[0] = uintptr_t{INT32_MAX} + 2;
  EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, 4, &layout), 1U);
  EXPECT_FALSE(layout.fixed);
  words[0] = reinterpret_cast<uintptr_t>(words) - 3 * sizeof words[0];
  EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, 4, &layout), 1U);
  EXPECT_TRUE(layout.fixed);
  EXPECT_EQ(layout.check[0].slot, 0U);
  EXPECT_EQ(layout.check[0].value, -3);
  rf_stack_rules_forget();
}

#endif

// A frame pointer that leads on, but to no return address: other stacks that begin alike go on there.
TEST(StackLayout, AStackThatEndsAtNoReturnAddressIsNoOtherOne) {
  uintptr_t words[16] = {};
  words[0] = reinterpret_cast<uintptr_t>(words + 4);
  words[1] = kFirst;
  rf_origin const origin = {nullptr, kFirst, words};
  put_rule(kFirst, RF_RULE_POINTERS);
  put_rule(kSecond, RF_RULE_END);
  std::vector<uint64_t> memory(1 << 12);
  rf_stack_depot depot;
  ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * 8), RF_OK);
  uint32_t ids[3];
  for (unsigned i = 0; i < 3; i++) {
    words[5] = i == 2 ? kSecond : 7 * i;
    rf_stack_layout layout = {};
    uintptr_t frames[4];
    EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, 4, &layout), i == 2 ? 2U : 1U);
    EXPECT_TRUE(layout.fixed && layout.ended);
    EXPECT_EQ(layout.checks, i == 2 ? 1U : 2U);
    EXPECT_EQ(layout.check[0].slot, 0U);
    EXPECT_EQ(layout.check[0].value, 4);
    if (i != 2) {
      EXPECT_EQ(layout.check[1].slot, 5 | RF_CHECK_ABSOLUTE);
      EXPECT_EQ(layout.check[1].value, static_cast<int32_t>(7 * i));
    }
    ids[i] = rf_stack_depot_put_from(&depot, &origin, 4);
    EXPECT_EQ(rf_stack_depot_get(&depot, ids[i], frames, 4), i == 2 ? 2U : 1U);
  }
  EXPECT_EQ(ids[0], ids[1]) << "one frame, whatever ended the stack";
  rf_stack_rules_forget();
}

// A frame that is near the end of one stack need not be near that of another.
TEST(StackLayout, AStackThatEndsWhereItsMemoryDoesHasNoLayout) {
  uintptr_t words[8] = {};
  words[1] = kFirst;
  rf_origin const origin = {nullptr, kFirst, words};
  put_rule(kFirst, RF_RULE_POINTERS);
  rf_host_bounds const bounds = rf_host_last_stack;
  rf_host_last_stack = {reinterpret_cast<uintptr_t>(words), reinterpret_cast<uintptr_t>(words + 8)};
  for (unsigned at : {6U, 7U, 8U}) {
    words[0] = reinterpret_cast<uintptr_t>(words + at);
    rf_stack_layout layout = {};
    uintptr_t frames[4];
    EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, 4, &layout), 1U);
    EXPECT_EQ(layout.fixed, at == 6) << at;
    EXPECT_TRUE(layout.ended);
  }
  rf_host_last_stack = bounds;
  rf_stack_rules_forget();
}

// Frames of three words of kFirst's function, each with the CFA in a word below its frame pointer.
TEST(StackLayout, ALayoutHasAsManyChecksAsThereIsRoomFor) {
  constexpr unsigned kFrames = RF_TRACE_DEPTH + 2;
  uintptr_t words[2 + 4 * kFrames] = {};
  auto const at = [&](unsigned i) { return reinterpret_cast<uintptr_t>(words) + i * sizeof words[0]; };
  words[0] = at(2 + 1);
  words[1] = kFirst;
  for (unsigned i = 0; i < kFrames; i++) { // the CFA, the frame pointer, a word, the return address
    uintptr_t *const frame = words + 2 + 4 * i;
    frame[0] = at(2 + 4 * (i + 1));
    frame[1] = at(2 + 4 * (i + 1) + 1);
    frame[3] = kFirst;
  }
  put_rule(kFirst, RF_RULE_OF_N(RF_RULE_BEHIND, 1));
  rf_origin const origin = {nullptr, kFirst, words};
  for (unsigned max = 2; max <= RF_TRACE_DEPTH; max++) {
    struct {
      rf_stack_layout layout;
      uintptr_t behind[16];
    } out;
    std::memset(&out, 0x5A, sizeof out);
    uintptr_t frames[RF_TRACE_DEPTH];
    EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, max, &out.layout), max);
    bool const fits = 2 * (max - 1) <= RF_TRACE_DEPTH; // two for each step
    EXPECT_EQ(out.layout.fixed, fits) << max;
    EXPECT_EQ(out.layout.checks, std::min(2 * (max - 1), unsigned{RF_TRACE_DEPTH}));
    EXPECT_EQ(out.layout.asked, max);
    EXPECT_FALSE(out.layout.ended);
    for (unsigned i = 0; i < out.layout.checks; i++) {
      unsigned const frame = 2 + 4 * (i / 2);
      unsigned const previous = frame - 3;
      EXPECT_EQ(out.layout.check[i].slot, i % 2 == 1 ? frame : i == 0 ? 0 : previous) << i;
      EXPECT_EQ(out.layout.check[i].value, static_cast<int32_t>(i % 2 == 1 ? frame + 4 : frame + 1)) << i;
    }
    for (unsigned i = 0; i < max; i++) {
      EXPECT_EQ(out.layout.slots[i], 1 + 4 * i);
    }
    for (uintptr_t const word : out.behind) {
      EXPECT_EQ(word, UINTPTR_MAX / 0xFF * 0x5A);
    }
  }
  rf_stack_rules_forget();
}

// The function that calls main is told by a return address into it, wherever it is among the outermost frames.
TEST(StackLayout, ALayoutEndsAtTheFunctionThatCallsMain) {
  constexpr unsigned kFrames = 7;
  constexpr uintptr_t kStep = 0x40;
  uintptr_t words[2 * kFrames + 1] = {};
  for (unsigned i = 0; i < kFrames; i++) {
    words[2 * i + 1] = kFirst + i * kStep;
    put_rule(kFirst + i * kStep, i + 1 < kFrames ? RF_RULE_OF_N(RF_RULE_SP, 2) : RF_RULE_END);
  }
  rf_origin const origin = {nullptr, kFirst, words};
  auto const frames_to = [&](uintptr_t start, uintptr_t end) {
    rf_stack_layout layout = {};
    uintptr_t frames[kFrames + 1];
    rf_stack_set_root(start, end);
    EXPECT_EQ(rf_stack_capture_laid_out(&origin, frames, kFrames + 1, &layout), kFrames);
    EXPECT_TRUE(layout.fixed && layout.ended);
    rf_stack_set_root(0, 0);
    return layout.rooted;
  };
  EXPECT_EQ(frames_to(0, 0), 0U);
  for (unsigned i = 0; i < kFrames; i++) {
    uintptr_t const pc = kFirst + i * kStep;
    unsigned const expected = i + 4 < kFrames ? 0 : i + 1; // four of them are looked at
    EXPECT_EQ(frames_to(pc - 8, pc), expected) << "the call is the last of the code";
    EXPECT_EQ(frames_to(pc - 1, pc + 8), expected);
    EXPECT_EQ(frames_to(pc, pc + 8), 0U) << "the call is before it";
    EXPECT_EQ(frames_to(pc - 8, pc - 1), 0U);
  }
  rf_stack_rules_forget();
}

} // namespace
} // namespace ringfence

#endif // RF_STACK_RULES
