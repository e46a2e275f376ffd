// The depot of stacks (checkers/os/stack_depot.c) at its edges, beside what stack_test has: who is told of new stacks,
// the longest ones, and ids that cannot be.
#include <ringfence/stack.h>

#define _Static_assert static_assert
extern "C" {
#include "checkers/os/stack_record.h"
}
#undef _Static_assert

#include <sys/mman.h>

#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/checkers/single_step.h"

namespace ringfence {
namespace {

struct Told {
  int stacks = 0;
  std::vector<uintptr_t> calls;
  std::vector<bool> frees;
};

Told told;

class DepotEdges : public testing::Test {
protected:
  DepotEdges() {
    told = Told();
    std::memset(static_cast<void *>(&depot_), 0xff, sizeof depot_);
    EXPECT_EQ(rf_stack_depot_init(&depot_, memory_.data(), memory_.size() * sizeof memory_[0]), RF_OK);
  }

  void listen() {
    depot_.added = [] { told.stacks++; };
    depot_.added_call = [](uintptr_t caller, bool frees) {
      told.calls.push_back(caller);
      told.frees.push_back(frees);
    };
  }

  std::vector<uint64_t> memory_ = std::vector<uint64_t>(size_t{1} << 18);
  rf_stack_depot depot_;
};

#ifdef RF_CAN_STEP

// The memory behind a shrunk depot may be given back to the system, so no other thread may have put a stack there.
TEST(DepotShrinking, TakesNoStackAtAnyInstructionThatWouldLieBehindIt) {
  uintptr_t const frames[] = {11, 12, 13};
  uintptr_t const others[] = {21, 22, 23, 24};
  unsigned steps = 1;
  for (bool more = true; more && steps < 5000 && !::testing::Test::HasFailure(); steps++) {
    std::vector<uint64_t> memory(size_t{1} << 13);
    rf_stack_depot depot;
    uint32_t id = 0;
    size_t kept = 0;
    ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * sizeof memory[0]), RF_OK);
    uint32_t const known = rf_stack_depot_put(&depot, frames, 3);
    more = ringfence_test::run_with_other_after(
        steps, [&] { kept = rf_stack_depot_shrink(&depot, 0); }, [&] { id = rf_stack_depot_put(&depot, others, 4); });
    EXPECT_LE(depot.used, depot.capacity) << "after " << steps << " instructions";
    EXPECT_EQ(reinterpret_cast<unsigned char *>(memory.data()) + kept, depot.records + depot.capacity);
    uintptr_t found[4];
    EXPECT_EQ(rf_stack_depot_get(&depot, known, found, 4), 3U);
    EXPECT_EQ(rf_stack_depot_get(&depot, id, found, 4), id != 0 ? 4U : 0U);
  }
  EXPECT_GT(steps, 20U);
  EXPECT_LT(steps, 5000U) << "the end was reached";
}

#endif

TEST_F(DepotEdges, AShrunkDepotKeepsItsStacksAndTakesOthersAsLongAsThereIsRoom) {
  auto const put = [this](uintptr_t first) {
    uintptr_t const frames[] = {first, 12, 13};
    return rf_stack_depot_put(&depot_, frames, 3);
  };
  std::vector<uint32_t> ids;
  for (uintptr_t i = 1; i <= 100; i++) {
    ids.push_back(put(i));
  }
  size_t const whole = memory_.size() * sizeof memory_[0];
  EXPECT_EQ(rf_stack_depot_shrink(&depot_, whole), whole) << "there is less";
  size_t const used = depot_.used;
  size_t const kept = rf_stack_depot_shrink(&depot_, 4000);
  EXPECT_EQ(kept, whole - static_cast<size_t>(reinterpret_cast<unsigned char *>(memory_.data()) + whole -
                                              (depot_.records + used + 4000)));
  EXPECT_EQ(depot_.used, used);
  std::memset(reinterpret_cast<unsigned char *>(memory_.data()) + kept, 0xff, whole - kept); // somebody else's
  EXPECT_EQ(rf_stack_depot_shrink(&depot_, 4000), kept) << "once is enough";
  for (uintptr_t i = 1; i <= 100; i++) {
    EXPECT_EQ(put(i), ids[i - 1]);
  }
  unsigned more = 0;
  while (put(1000 + more) != 0) {
    more++;
  }
  EXPECT_LE(depot_.used, used + 4000);
  EXPECT_GT(depot_.used, used + 3900);
  EXPECT_NE(more, 0U);
  for (uintptr_t i = 1; i <= 100; i++) {
    uintptr_t frames[3] = {};
    EXPECT_EQ(rf_stack_depot_get(&depot_, ids[i - 1], frames, 3), 3U);
    EXPECT_EQ(frames[0], i);
  }
  auto const beyond = static_cast<uint32_t>(whole / 8);
  EXPECT_EQ(rf_stack_depot_get(&depot_, beyond, nullptr, 0), 0U) << "of no record any more";
}

// Whatever its size is, and how much is spared.
TEST(DepotMemory, IsNeverMoreThanWasGiven) {
  uintptr_t frames[] = {1, 12, 13};
  for (size_t odd = 0; odd < 8; odd++) {
    std::vector<uint64_t> memory(size_t{1} << 13, 0);
    size_t const size = (memory.size() - 1) * sizeof memory[0] + odd;
    memory.back() = UINT64_MAX;
    std::memset(&memory.back(), 0, odd);
    rf_stack_depot depot;
    ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), size), RF_OK);
    auto const left = static_cast<size_t>(reinterpret_cast<unsigned char *>(memory.data()) + size - depot.records);
    EXPECT_LE(rf_stack_depot_shrink(&depot, left - depot.used - 1), size) << odd;
    while (rf_stack_depot_put(&depot, frames, 3) != 0) {
      frames[0]++;
    }
    EXPECT_LE(depot.used, left) << odd;
    EXPECT_EQ(memory.back(), odd == 0 ? UINT64_MAX : UINT64_MAX << 8 * odd) << odd;
  }
}

// An id that was never returned is not looked up behind the memory, which may be the end of a mapping.
TEST(DepotMemory, IsReadUpToItsEndAlone) {
  size_t const size = size_t{1} << 16;
  auto *const memory =
      static_cast<unsigned char *>(mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(munmap(memory + size, size), 0);
  rf_stack_depot depot;
  ASSERT_EQ(rf_stack_depot_init(&depot, memory, size), RF_OK);
  for (uint32_t id = 0; id <= size / RF_RECORD_UNIT + 1; id++) {
    EXPECT_EQ(rf_stack_depot_get(&depot, id, nullptr, 0), 0U) << id;
  }
  ASSERT_EQ(munmap(memory, size), 0);
}

#if RF_HOST_STACKS
// The end of the record before is no layout.
TEST_F(DepotEdges, AStackWithoutLayoutNeverGetsOne) {
  uintptr_t const before[] = {11, 12, UINTPTR_MAX};
  uintptr_t const frames[] = {21, 22};
  rf_stack_layout layout = {};
  layout.fixed = true;
  layout.asked = RF_TRACE_DEPTH;
  layout.slots[1] = 5;
  uint32_t const first = rf_stack_depot_put(&depot_, before, 3);
  uint32_t const id = rf_stack_depot_put(&depot_, frames, 2);
  ASSERT_NE(id, 0U);
  std::vector<uint64_t> const memory = memory_;
  EXPECT_EQ(rf_stack_depot_put_laid_out(&depot_, frames, 2, &layout, 7), id);
  EXPECT_TRUE(memory_ == memory);
  uintptr_t read[3] = {};
  EXPECT_EQ(rf_stack_depot_get(&depot_, first, read, 3), 3U);
  EXPECT_EQ(read[2], UINTPTR_MAX);
}
// Stacks of few frames, so that most come again: with a layout or without one, of this generation of code or another.
class RandomStacks {
public:
  explicit RandomStacks(unsigned seed) : random_(seed) {}

  unsigned below(unsigned end) { return std::uniform_int_distribution<unsigned>(0, end - 1)(random_); }

  std::vector<uintptr_t> frames() {
    std::vector<uintptr_t> made(1 + below(7));
    for (uintptr_t &frame : made) {
      frame = UINTPTR_MAX - below(3);
    }
    return made;
  }

  rf_stack_layout layout(size_t depth) {
    rf_stack_layout made = {};
    made.fixed = below(3) != 0;
    made.ended = below(2) != 0;
    made.frees = below(2) != 0;
    made.asked = RF_TRACE_DEPTH;
    made.rooted = below(2) * static_cast<unsigned>(depth);
    for (unsigned i = 1; i < depth; i++) {
      made.slots[i] = made.slots[i - 1] + 1 + below(9);
    }
    made.checks = below(4);
    for (unsigned i = 0; i < made.checks; i++) {
      made.check[i] = {below(50) | (below(2) != 0 ? RF_CHECK_ABSOLUTE : 0), static_cast<int32_t>(below(9))};
    }
    return made;
  }

private:
  std::mt19937 random_;
};

TEST_F(DepotEdges, EveryStackStaysAsItWasPut) {
  unsigned const seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomStacks random(seed);
  std::map<std::vector<uintptr_t>, uint32_t> put;
  for (unsigned i = 0; i < 20000; i++) {
    std::vector<uintptr_t> const frames = random.frames();
    auto const depth = static_cast<unsigned>(frames.size());
    rf_stack_layout const layout = random.layout(depth);
    uint32_t const id = random.below(3) == 0
                            ? rf_stack_depot_put(&depot_, frames.data(), depth)
                            : rf_stack_depot_put_laid_out(&depot_, frames.data(), depth, &layout, 1 + i / 1000);
    ASSERT_EQ(put.emplace(frames, id).first->second, id) << i;
  }
  for (auto const &one : put) {
    std::vector<uintptr_t> read(one.first.size() + 1);
    read.resize(rf_stack_depot_get(&depot_, one.second, read.data(), static_cast<unsigned>(read.size())));
    EXPECT_EQ(read, one.first);
  }
}
#endif

TEST_F(DepotEdges, NobodyIsToldAtFirst) {
  EXPECT_EQ(depot_.added, nullptr);
  EXPECT_EQ(depot_.added_call, nullptr);
}

TEST_F(DepotEdges, EachNewStackIsToldWithItsCaller) {
  uintptr_t const frames[] = {11, 12, 13};
  uintptr_t const sited[] = {77, 22, 23};
  uintptr_t const freeing[] = {78, 32, 33};
  listen();
  EXPECT_NE(rf_stack_depot_put(&depot_, frames, 3), 0U);
  EXPECT_NE(rf_stack_depot_put(&depot_, frames, 3), 0U);
  EXPECT_NE(rf_stack_depot_put_sited(&depot_, sited, 3, false), 0U);
  EXPECT_NE(rf_stack_depot_put_sited(&depot_, freeing, 3, true), 0U);
  EXPECT_EQ(told.stacks, 3) << "one is known";
  EXPECT_EQ(told.calls, (std::vector<uintptr_t>{11, 22, 32})) << "a site comes before the frames";
  EXPECT_EQ(told.frees, (std::vector<bool>{false, false, true}));
}

// Eight bytes of records for each guess, then four times as many guesses, up to all that there is memory for.
TEST_F(DepotEdges, GuessesGrowWithTheStacks) {
  EXPECT_EQ(depot_.recent_most, 8191U);
  EXPECT_EQ(depot_.recent_mask, 1023U);
  for (uintptr_t i = 1; depot_.used < size_t{1} << 17; i++) {
    uintptr_t const frames[] = {i, 12, 13};
    size_t const used = depot_.used;
    EXPECT_NE(rf_stack_depot_put(&depot_, frames, 3), 0U);
    uint32_t const expected = depot_.used < size_t{1} << 13 ? 1023U : depot_.used < size_t{1} << 15 ? 4095U : 8191U;
    EXPECT_EQ(depot_.recent_mask, expected) << used << " to " << depot_.used;
  }
  EXPECT_EQ(depot_.recent_mask, depot_.recent_most);
}

TEST_F(DepotEdges, TheLongestStackHasAsManyFramesAsANumberTells) {
  std::vector<uintptr_t> const frames(UINT16_MAX + 1, 5);
  uintptr_t out[2] = {};
  uint32_t const id = rf_stack_depot_put(&depot_, frames.data(), UINT16_MAX);
  EXPECT_EQ(rf_stack_depot_get(&depot_, id, out, 2), 2U);
  EXPECT_EQ(rf_stack_depot_put(&depot_, frames.data(), UINT16_MAX + 1), 0U);
  EXPECT_NE(rf_stack_depot_put_sited(&depot_, frames.data(), UINT16_MAX, false), 0U);
  EXPECT_EQ(rf_stack_depot_put_sited(&depot_, frames.data(), UINT16_MAX + 1, false), 0U);
}

TEST_F(DepotEdges, ASiteAloneIsNoStack) {
  uintptr_t const frames[] = {11, 12};
  EXPECT_EQ(rf_stack_depot_put_sited(&depot_, frames, 1, false), 0U);
  EXPECT_NE(rf_stack_depot_put_sited(&depot_, frames, 2, false), 0U);
}

TEST_F(DepotEdges, AnIdBeyondAllIsNone) {
  uintptr_t out[1] = {};
  for (uint32_t const id : {0x80000000U, 0xffffffffU, 0x7fffffffU}) {
    EXPECT_EQ(rf_stack_depot_get(&depot_, id, out, 1), 0U) << id;
  }
}

TEST(DepotEdgesInit, MemoryThatIsTooLittleOrMisalignedIsRefused) {
  rf_stack_depot depot;
  alignas(8) static unsigned char memory[4096];
  EXPECT_EQ(rf_stack_depot_init(&depot, memory + 4, 2048), RF_ERR_INVALID);
  EXPECT_EQ(rf_stack_depot_init(&depot, memory, 0), RF_ERR_INVALID);
  size_t least = 0;
  while (least < sizeof memory && rf_stack_depot_init(&depot, memory, least) != RF_OK) {
    least++;
  }
  uintptr_t const frame[] = {5};
  uintptr_t out[1] = {};
  uint32_t const id = rf_stack_depot_put(&depot, frame, 1);
  EXPECT_NE(id, 0U) << "the least has room for one";
  EXPECT_EQ(rf_stack_depot_get(&depot, id, out, 1), 1U);
  EXPECT_EQ(rf_stack_depot_put(&depot, frame, 1), id);
}

} // namespace
} // namespace ringfence
