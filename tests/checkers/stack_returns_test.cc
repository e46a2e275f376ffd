// Whether a call that returns to an address is under way: by frame pointers, by the unwinder, and without one. The
// unwinder's answers are the test's.
#include "checkers/os/host.h"
#include "checkers/os/stack_walk.h"

#include <ringfence/stack.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

extern "C" {
unsigned __wrap_rf_host_unwind(uintptr_t *frames, unsigned max);
}

namespace {

std::vector<uintptr_t> unwound; // those that count, and then one that does not
unsigned asked_for;
unsigned left_at; // so many words above the frame of who asks, an address is left; 0: nowhere

constexpr uintptr_t kSomewhere = 0x123456;

} // namespace

unsigned __wrap_rf_host_unwind(uintptr_t *frames, unsigned max) {
  asked_for = max;
  if (left_at != 0) {
    auto *const frame = *static_cast<volatile uintptr_t **>(__builtin_frame_address(0)); // the caller's
    frame[left_at] = kSomewhere;
  }
  std::copy_n(unwound.begin(), std::min<size_t>(unwound.size(), max), frames);
  return unwound.empty() ? 0 : std::min(max, static_cast<unsigned>(unwound.size() - 1));
}

namespace {

const int kNoFrame = 0;

// For ~pc: the address itself is then nowhere on the stack but where a test puts it.
bool returns_to_inverse(uintptr_t inverse, const void **frame) {
  *frame = &kNoFrame;
  return rf_stack_returns_to(~inverse, frame);
}

TEST(StackReturns, ToAnAddressThatTheUnwinderFinds) {
  const void *frame;
  unwound = {4, 5, kSomewhere, 0};
  EXPECT_TRUE(returns_to_inverse(~kSomewhere, &frame));
  EXPECT_EQ(frame, nullptr) << "where is not known";
  EXPECT_TRUE(returns_to_inverse(~uintptr_t{4}, &frame));
  EXPECT_FALSE(returns_to_inverse(~uintptr_t{6}, &frame));
  EXPECT_EQ(frame, nullptr);
  EXPECT_EQ(asked_for, 64U);
}

TEST(StackReturns, NotToOneBehindThoseThatTheUnwinderFinds) {
  const void *frame;
  unwound = {4, 5, kSomewhere};
  EXPECT_FALSE(returns_to_inverse(~kSomewhere, &frame));
}

// The word may be from a call that has ended.
TEST(StackReturns, NotToAWordOfTheStackWhereThereIsAnUnwinder) {
  const void *frame;
  volatile uintptr_t const word = kSomewhere;
  unwound = {4, 0};
  EXPECT_FALSE(returns_to_inverse(~word, &frame));
}

#if defined(__x86_64__) || defined(__i386__)

// Whether an address is found that lies `distance` words above the frame that looks for it.
__attribute__((noinline)) bool found_at(unsigned distance) {
  volatile uintptr_t words[4096];
  for (volatile uintptr_t &word : words) {
    word = 0;
  }
  left_at = distance;
  const void *frame;
  bool const found = returns_to_inverse(~kSomewhere, &frame);
  left_at = 0;
  return found;
}

// On i386 four words of its own are not looked at: the address that is looked for is handed over in one of them.
constexpr unsigned kMost = sizeof(void *) == 8 ? 2048 : 2052;

// As many as the frames of an allocator take.
TEST(StackReturns, ToOneOf2048WordsWhereThereIsNone) {
  unwound = {};
  for (unsigned const distance : {200U, 1000U, kMost - 2, kMost - 1}) {
    EXPECT_TRUE(found_at(distance)) << distance;
  }
  for (unsigned const distance : {kMost, kMost + 1, 4000U}) {
    EXPECT_FALSE(found_at(distance)) << distance;
  }
}

#endif

ucontext_t outside;
bool found_at_the_end;

void at_the_end() {
  const void *frame;
  found_at_the_end = returns_to_inverse(UINTPTR_MAX / 7, &frame);
}

TEST(StackReturns, NoWordBehindTheStackIsLookedAt) {
  constexpr size_t kSize = 0x4000; // less than is looked at
  auto *const room = static_cast<char *>(mmap(nullptr, 3 * kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_EQ(mprotect(room + kSize, kSize, PROT_READ | PROT_WRITE), 0);
  unwound = {};
  ucontext_t inside;
  ASSERT_EQ(getcontext(&inside), 0);
  inside.uc_stack.ss_sp = room + kSize;
  inside.uc_stack.ss_size = kSize;
  inside.uc_link = &outside;
  makecontext(&inside, at_the_end, 0);
  found_at_the_end = true;
  (void)swapcontext(&outside, &inside);
  EXPECT_FALSE(found_at_the_end);
  (void)munmap(room, 3 * kSize);
}

// ---- By frame pointers ----

// Built with frame pointers, whatever the rest of the program is.
#if defined(__clang__)
#define KEEPS_FRAME __attribute__((noinline))
#else
#define KEEPS_FRAME __attribute__((noinline, optimize("no-omit-frame-pointer")))
#endif

struct Outer {
  uintptr_t pc;
  const void *frame;
  const void *found;
  bool is_found;
};

KEEPS_FRAME void look_from_below(Outer *outer, unsigned levels) {
  if (levels != 0) {
    look_from_below(outer, levels - 1);
  } else {
    outer->is_found = rf_stack_returns_to(outer->pc, &outer->found);
  }
  __asm__ volatile("" : : "r"(outer) : "memory"); // no tail call
}

KEEPS_FRAME Outer look(unsigned levels) {
  Outer outer = {reinterpret_cast<uintptr_t>(__builtin_return_address(0)), __builtin_frame_address(0), nullptr, false};
  look_from_below(&outer, levels);
  return outer;
}

TEST(StackReturns, ToACallOfWhichTheFrameIsTold) {
  unwound = {};
  for (unsigned levels = 0; levels < 5; levels++) {
    Outer const outer = look(levels);
    EXPECT_TRUE(outer.is_found) << levels;
    EXPECT_EQ(outer.found, outer.frame) << levels;
  }
}

// ---- The slow capture ----

std::vector<uintptr_t> captured(uintptr_t caller, unsigned max) {
  std::vector<uintptr_t> frames(8, 1);
  rf_origin const origin = {nullptr, caller, nullptr};
  frames.resize(rf_stack_capture_slow(&origin, frames.data(), max));
  return frames;
}

TEST(StackCaptureSlow, BeginsWithTheOriginAmongWhatTheUnwinderFinds) {
  using Frames = std::vector<uintptr_t>;
  unwound = {4, 5, kSomewhere, 7, 8, 9};
  EXPECT_EQ(captured(kSomewhere, 8), (Frames{kSomewhere, 7, 8}));
  EXPECT_EQ(captured(kSomewhere, 3), (Frames{kSomewhere, 7, 8}));
  EXPECT_EQ(captured(kSomewhere, 2), (Frames{kSomewhere, 7}));
  EXPECT_EQ(captured(kSomewhere, 0), Frames{});
  EXPECT_EQ(captured(4, 8), (Frames{4, 5, kSomewhere, 7, 8}));
  EXPECT_EQ(captured(9, 8), Frames{9}) << "it is not among them";
  EXPECT_EQ(asked_for, 80U);
}

} // namespace
