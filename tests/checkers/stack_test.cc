#include "checkers/os/stack_walk.h"

#include <ringfence/stack.h>

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

namespace ringfence {
namespace {

// ---- Capture ----

// Built with frame pointers, whatever the rest of the program is.
#define KEEPS_FRAME __attribute__((noinline, optimize("no-omit-frame-pointer")))
#if defined(__clang__)
#undef KEEPS_FRAME
#define KEEPS_FRAME __attribute__((noinline))
#endif

struct Stack {
  std::array<uintptr_t, 64> frames = {};
  unsigned depth = 0;
};

using Capture = unsigned (*)(const rf_origin *, uintptr_t *, unsigned);

KEEPS_FRAME Stack capture_here(Capture capture, unsigned max) {
  Stack stack;
  rf_origin const origin = {nullptr, reinterpret_cast<uintptr_t>(__builtin_return_address(0)),
                            __builtin_frame_address(0)};
  stack.depth = capture(&origin, stack.frames.data(), max);
  return stack;
}

// `levels` calls of itself, then the capture.
KEEPS_FRAME Stack descend(Capture capture, unsigned levels, unsigned max) {
  Stack stack = levels == 0 ? capture_here(capture, max) : descend(capture, levels - 1, max);
  __asm__ volatile("" : : "r"(&stack) : "memory"); // no tail call
  return stack;
}

bool within(uintptr_t pc, Stack (*function)(Capture, unsigned, unsigned)) {
  auto const start = reinterpret_cast<uintptr_t>(function);
  return pc > start && pc < start + 4096;
}

TEST(StackCapture, BeginsWithTheCaller) {
  uintptr_t frame = 0;
  rf_origin const origin = {nullptr, 0x123456, nullptr};
  EXPECT_EQ(rf_stack_capture(&origin, &frame, 1), 1U);
  EXPECT_EQ(frame, 0x123456U);
}

TEST(StackCapture, NothingKnownIsNoStack) {
  uintptr_t frame = 0;
  rf_origin const nothing = {nullptr, 0, nullptr};
  rf_origin const caller = {nullptr, 0x123456, nullptr};
  EXPECT_EQ(rf_stack_capture(&nothing, &frame, 1), 0U);
  EXPECT_EQ(rf_stack_capture(&caller, &frame, 0), 0U);
}

TEST(StackCapture, FollowsFramePointers) {
  Stack const stack = descend(rf_stack_capture, 5, 64);
  ASSERT_GE(stack.depth, 7U);
  for (unsigned i = 0; i < 6; i++) {
    EXPECT_TRUE(within(stack.frames[i], descend)) << i;
  }
  EXPECT_EQ(std::count(stack.frames.begin(), stack.frames.begin() + stack.depth, 0U), 0);
}

// Memory further away only looks like a frame.
TEST(StackCapture, GoesNoFurtherThan256KiBAtOnce) {
  volatile uintptr_t words[2 * RF_STEP_MOST / sizeof(uintptr_t)] = {};
  for (uintptr_t const more : {0, 1}) {
    uintptr_t frames[8] = {};
    uintptr_t const next = 2 + RF_STEP_MOST / sizeof(uintptr_t) + more;
    words[0] = reinterpret_cast<uintptr_t>(&words[next]);
    words[next + 1] = 0x20000;
    rf_origin const origin = {nullptr, 0x10000, const_cast<const uintptr_t *>(words)};
    EXPECT_EQ(rf_stack_capture(&origin, frames, 8), 2 - more);
    EXPECT_EQ(frames[1], more == 0 ? 0x20000U : 0U);
    words[next + 1] = 0;
  }
}

TEST(StackCapture, StopsAtTheDepthAskedFor) {
  for (unsigned max = 1; max <= 5; max++) {
    Stack const stack = descend(rf_stack_capture, 10, max);
    EXPECT_EQ(stack.depth, max);
    EXPECT_EQ(stack.frames[max], 0U);
  }
}

TEST(StackCapture, WorksInEveryThread) {
  for (int i = 0; i < 3; i++) {
    Stack stack;
    std::thread([&] { stack = descend(rf_stack_capture, 5, 64); }).join();
    EXPECT_GE(stack.depth, 7U);
  }
}

TEST(StackCapture, AFramePointerThatIsNoneIsNotFollowed) {
  std::array<uintptr_t, 8> fake = {};
  for (uintptr_t const garbage :
       {uintptr_t{0}, uintptr_t{1}, uintptr_t{8}, uintptr_t{4096}, UINTPTR_MAX, UINTPTR_MAX - 7, UINTPTR_MAX / 2}) {
    std::array<uintptr_t, 4> frames = {};
    fake[0] = garbage; // what stands where the caller's frame pointer should
    rf_origin origin = {nullptr, 0x123456, fake.data()};
    EXPECT_EQ(rf_stack_capture(&origin, frames.data(), 4), 1U);
    origin.frame = reinterpret_cast<const void *>(garbage);
    EXPECT_EQ(rf_stack_capture(&origin, frames.data(), 4), 1U);
  }
  fake[0] = reinterpret_cast<uintptr_t>(fake.data()); // a ring
  rf_origin const ring = {nullptr, 0x123456, fake.data()};
  std::array<uintptr_t, 4> frames = {};
  EXPECT_EQ(rf_stack_capture(&ring, frames.data(), 4), 1U);
}

TEST(StackCaptureSlow, BeginsWithTheCallerAndGoesDeeper) {
  Stack const stack = descend(rf_stack_capture_slow, 5, 64);
  ASSERT_GE(stack.depth, 8U);
  for (unsigned i = 0; i < 6; i++) {
    EXPECT_TRUE(within(stack.frames[i], descend)) << i;
  }
  Stack const three = descend(rf_stack_capture_slow, 5, 3);
  EXPECT_EQ(three.depth, 3U);
  EXPECT_EQ(three.frames[3], 0U);
}

TEST(StackCaptureSlow, ACallerThatIsNotOnTheStackIsStillKept) {
  uintptr_t frame = 0;
  rf_origin const origin = {nullptr, 0x123456, nullptr};
  EXPECT_EQ(rf_stack_capture_slow(&origin, &frame, 1), 1U);
  EXPECT_EQ(frame, 0x123456U);
}

// ---- Depot ----

class Depot : public testing::Test {
protected:
  explicit Depot(size_t size = 64 * 1024) : memory_(size / 8) {
    EXPECT_EQ(rf_stack_depot_init(&depot_, memory_.data(), size), RF_OK);
  }

  uint32_t put(const std::vector<uintptr_t> &stack) {
    return rf_stack_depot_put(&depot_, stack.data(), static_cast<unsigned>(stack.size()));
  }

  std::vector<uintptr_t> get(uint32_t id, unsigned max = 64) const {
    std::vector<uintptr_t> stack(64);
    stack.resize(rf_stack_depot_get(&depot_, id, stack.data(), max));
    return stack;
  }

  std::vector<uint64_t> memory_;
  rf_stack_depot depot_ = {};
};

TEST_F(Depot, GivesBackWhatWasPut) {
  std::vector<uintptr_t> const a = {1, 2, 3};
  std::vector<uintptr_t> const b = {1, 2};
  std::vector<uintptr_t> const c = {UINTPTR_MAX};
  uint32_t const id_a = put(a);
  uint32_t const id_b = put(b);
  uint32_t const id_c = put(c);
  EXPECT_EQ(get(id_a), a);
  EXPECT_EQ(get(id_b), b);
  EXPECT_EQ(get(id_c), c);
  EXPECT_EQ(get(id_a, 2), b); // at most so many
}

TEST_F(Depot, EqualStacksAreStoredOnce) {
  uint32_t const id = put({7, 8, 9});
  size_t const used = depot_.used;
  for (int i = 0; i < 10; i++) {
    EXPECT_EQ(put({7, 8, 9}), id);
  }
  EXPECT_EQ(depot_.used, used);
  EXPECT_NE(put({7, 8, 10}), id);
  EXPECT_NE(put({7, 8}), id);
  EXPECT_NE(put({7, 8, 9, 0}), id);
}

TEST_F(Depot, StacksThatDifferInAnyFrameAreSpreadOverItsBuckets) {
  uint32_t const *const buckets = depot_.buckets;
  for (uintptr_t i = 1; i <= 100; i++) {
    for (std::vector<uintptr_t> const &stack : {std::vector<uintptr_t>{i * 16, 1, 2}, {1, i * 16, 2}, {1, 2, i * 16}}) {
      EXPECT_NE(put(stack), 0U);
    }
  }
  size_t const all = size_t{depot_.bucket_mask} + 1;
  size_t const used = all - static_cast<size_t>(std::count(buckets, buckets + all, 0U));
  EXPECT_GT(used, all * 2 / 5) << "300 stacks at random would use 44 % of 512";
}

TEST_F(Depot, TheEmptyStackIsNone) {
  EXPECT_EQ(put({}), 0U);
  EXPECT_TRUE(get(0).empty());
  uintptr_t const frame = 1;
  EXPECT_EQ(rf_stack_depot_put(nullptr, &frame, 1), 0U);
  EXPECT_EQ(rf_stack_depot_get(nullptr, 1, nullptr, 0), 0U);
}

TEST_F(Depot, AnIdThatWasNeverHandedOutIsNothing) {
  std::vector<uint32_t> ids;
  for (uintptr_t i = 0; i < 20; i++) {
    ids.push_back(put({i, i + 1, i + 2}));
  }
  for (uint32_t id = 0; id < 10000; id++) {
    bool const known = std::count(ids.begin(), ids.end(), id) != 0;
    EXPECT_EQ(get(id).size(), known ? 3U : 0U) << id;
  }
  EXPECT_TRUE(get(UINT32_MAX).empty());
}

// No number leads to a record that the memory would end in.
TEST(DepotMemory, IsNotReadBehindItsEnd) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto *const pages =
      static_cast<unsigned char *>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(static_cast<void *>(pages), MAP_FAILED);
  ASSERT_EQ(mprotect(pages + page, page, PROT_NONE), 0);
  rf_stack_depot depot;
  ASSERT_EQ(rf_stack_depot_init(&depot, pages, page), RF_OK);
  uintptr_t frame = 0;
  for (uint32_t id = 0; id < page; id++) {
    EXPECT_EQ(rf_stack_depot_get(&depot, id, &frame, 1), 0U) << id;
  }
  munmap(pages, 2 * page);
}

TEST_F(Depot, WhenFullItSaysSoAndKeepsWhatItHas) {
  std::vector<uint32_t> ids;
  uintptr_t i = 0;
  for (;; i++) {
    uint32_t const id = put({i, 1, 2, 3});
    if (id == 0) {
      break;
    }
    ids.push_back(id);
  }
  EXPECT_GT(ids.size(), 1000U);
  EXPECT_LE(depot_.used, depot_.capacity);
  EXPECT_EQ(put({i, 1, 2, 3}), 0U);
  for (size_t k = 0; k < ids.size(); k++) {
    EXPECT_EQ(get(ids[k]), (std::vector<uintptr_t>{k, 1, 2, 3}));
    EXPECT_EQ(put({k, 1, 2, 3}), ids[k]);
  }
}

// As large as the drop-in's: few stacks go to buckets of their own.
class LargeDepot : public Depot {
protected:
  LargeDepot() : Depot(size_t{16} << 20) {}

  // Counts pages of 4 KiB, in the memory as a whole.
  size_t pages_touched() const {
    constexpr size_t kWords = 4096 / sizeof(uint64_t);
    size_t touched = 0;
    for (size_t at = 0; at + kWords <= memory_.size(); at += kWords) {
      auto const page = memory_.begin() + static_cast<std::ptrdiff_t>(at);
      touched += std::any_of(page, page + kWords, [](uint64_t word) { return word != 0; }) ? 1 : 0;
    }
    return touched;
  }
};

TEST_F(LargeDepot, FewStacksTouchFewPages) {
  for (uintptr_t i = 0; i < 400; i++) {
    EXPECT_NE(put({i % 50, i, 77}), 0U);
  }
  EXPECT_LE(pages_touched(), 1 + 400 * 48 / 4096 + 1 + 20U); // a few chains grow long, and go to the other buckets
}

TEST_F(LargeDepot, ManyStacksAreFoundAndStoredOnceWhicheverBucketsHaveThem) {
  constexpr uintptr_t kStacks = 20000;
  std::vector<uint32_t> ids;
  for (uintptr_t i = 0; i < kStacks; i++) {
    ids.push_back(put({i, 1, 2}));
  }
  size_t const used = depot_.used;
  for (uintptr_t i = 0; i < kStacks; i++) {
    ASSERT_EQ(put({i, 1, 2}), ids[i]);
    ASSERT_EQ(get(ids[i]), (std::vector<uintptr_t>{i, 1, 2}));
  }
  EXPECT_EQ(depot_.used, used);
}

// The same stacks in the same order, by several threads at once.
void put_by_threads(rf_stack_depot *depot, uintptr_t stacks) {
  constexpr size_t kThreads = 4;
  std::array<std::vector<uint32_t>, kThreads> ids;
  std::atomic<bool> go{false};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      while (!go) {
      }
      for (uintptr_t i = 0; i < stacks; i++) {
        uintptr_t const stack[] = {i % 50, i, 77};
        ids[t].push_back(rf_stack_depot_put(depot, stack, 3));
      }
    });
  }
  go = true;
  for (std::thread &t : threads) {
    t.join();
  }
  for (size_t t = 1; t < kThreads; t++) {
    EXPECT_EQ(ids[t], ids[0]);
  }
  for (uintptr_t i = 0; i < stacks; i++) {
    uintptr_t frames[4] = {};
    ASSERT_EQ(rf_stack_depot_get(depot, ids[0][i], frames, 4), 3U);
    EXPECT_EQ((std::vector<uintptr_t>(frames, frames + 3)), (std::vector<uintptr_t>{i % 50, i, 77}));
  }
}

TEST_F(Depot, ThreadsThatPutTheSameStacksGetTheSameIds) {
  put_by_threads(&depot_, 300);
}

TEST_F(LargeDepot, ThreadsThatPutTheSameStacksGetTheSameIds) {
  put_by_threads(&depot_, 10000); // first buckets are sealed meanwhile
}

// A step by frame pointers: no further than the longest frame, up and aligned, within the stack, to code.
TEST(StackStep, LeadsToTheCallersFrameOrNowhere) {
  constexpr size_t kWord = sizeof(uintptr_t);
  constexpr size_t kMost = RF_STEP_MOST / kWord;
  std::vector<uintptr_t> stack(kMost + 8);
  auto const at = [&](size_t i) { return reinterpret_cast<uintptr_t>(&stack[i]); };
  auto const step = [&](uintptr_t next, uintptr_t high, uintptr_t code = RF_PC_LEAST) {
    stack[1] = next;
    uintptr_t const index = (next - at(0)) / kWord;
    if (index + 1 < stack.size()) {
      stack[index + 1] = code;
    }
    stack[1] = next;
    uintptr_t frame = at(1);
    uintptr_t pc = 0;
    bool const stepped = rf_stack_step(&frame, high, &pc);
    EXPECT_EQ(frame, stepped ? next : at(1));
    EXPECT_EQ(pc, stepped ? code : 0U);
    return stepped;
  };
  uintptr_t const high = at(stack.size() - 1) + kWord;
  EXPECT_TRUE(step(at(3), high));
  EXPECT_TRUE(step(at(3), at(5))) << "two words";
  EXPECT_FALSE(step(at(3), at(5) - 1));
  EXPECT_TRUE(step(at(1 + kMost), high));
  EXPECT_FALSE(step(at(2 + kMost), high)) << "too long a frame";
  EXPECT_FALSE(step(at(1), high)) << "itself";
  EXPECT_FALSE(step(at(0), high)) << "down";
  EXPECT_FALSE(step(at(3) + 1, high)) << "misaligned";
  EXPECT_FALSE(step(at(3), high, RF_PC_LEAST - 1)) << "no code";
}

// A bucket for each 128 bytes, or up to twice as many bytes, and half as many guesses; at most 131,072 and 262,144.
TEST(DepotInit, HasBucketsForItsMemory) {
  struct {
    size_t size;
    uint32_t buckets;
    uint32_t guesses;
  } const cases[] = {
      {size_t{1} << 12, 32, 16},         {(size_t{1} << 13) - 64, 32, 16},  {size_t{1} << 13, 64, 32},
      {size_t{1} << 16, 512, 256},       {size_t{1} << 20, 8192, 4096},     {size_t{3} << 19, 8192, 4096},
      {size_t{1} << 23, 65536, 32768},   {size_t{1} << 25, 131072, 131072}, {size_t{1} << 26, 131072, 262144},
      {size_t{1} << 27, 131072, 262144},
  };
  for (auto const &c : cases) {
    std::vector<uint64_t> memory(c.size / sizeof(uint64_t));
    rf_stack_depot depot;
    ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), c.size), RF_OK);
    EXPECT_EQ(depot.bucket_mask + 1, c.buckets) << c.size;
    EXPECT_EQ(depot.recent_most + 1, c.guesses) << c.size;
    EXPECT_EQ(depot.recent_mask + 1, std::min(c.guesses, 1024U)) << c.size;
    EXPECT_EQ(depot.records + depot.capacity, reinterpret_cast<unsigned char *>(memory.data()) + c.size);
  }
}

TEST(DepotInit, RefusesWhatHoldsNothing) {
  rf_stack_depot depot;
  alignas(8) std::array<unsigned char, 256> memory = {};
  EXPECT_EQ(rf_stack_depot_init(nullptr, memory.data(), memory.size()), RF_ERR_INVALID);
  EXPECT_EQ(rf_stack_depot_init(&depot, nullptr, 256), RF_ERR_INVALID);
  EXPECT_EQ(rf_stack_depot_init(&depot, memory.data() + 4, 200), RF_ERR_INVALID);
  for (size_t size = 0; size < 256; size++) {
    memory = {};
    if (rf_stack_depot_init(&depot, memory.data(), size) == RF_OK) {
      uintptr_t const frame = 5;
      uint32_t const id = rf_stack_depot_put(&depot, &frame, 1);
      EXPECT_NE(id, 0U) << size;
      uintptr_t back = 0;
      EXPECT_EQ(rf_stack_depot_get(&depot, id, &back, 1), 1U);
      EXPECT_EQ(back, 5U);
    } else {
      EXPECT_LT(size, 64U);
    }
  }
}

} // namespace
} // namespace ringfence
