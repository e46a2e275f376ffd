// The figures that `ringfence tune` predicts hold in a replay, with a heap that its header makes.
#include "tests/trace/tuned_four.h"
#include "tests/trace/tuned_one.h"
#include "tools/trace/read.h"
#include "tools/trace/replay.h"

#include <array>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

using Make = rf_allocator *(*)(void *arena, size_t size);

struct Failures {
  size_t requests = 0;
  size_t traces = 0;
};

Failures failures(const std::vector<std::string> &names, Make make, size_t arena_bytes) {
  Failures out;
  for (const std::string &name : names) {
    std::array<char, TRACE_PROBLEM_BYTES> problem{};
    trace t;
    EXPECT_TRUE(trace_read(&t, ("tools/trace/recorded/" + name + ".rft").c_str(), problem.data())) << problem.data();
    std::vector<max_align_t> arena(arena_bytes / sizeof(max_align_t) + 1); // one has 32 bytes
    std::vector<void *> blocks(t.ids + 1);
    rf_allocator *const heap = make(arena.data(), arena_bytes);
    size_t failed = 0;
    for (size_t i = 0; heap != nullptr && i < t.count; i++) {
      failed += replay_op(heap, &t.ops[i], blocks.data()) ? 0 : 1;
    }
    out.requests += heap == nullptr ? t.count : failed;
    out.traces += heap == nullptr || failed != 0 ? 1 : 0;
    trace_free(&t);
  }
  return out;
}

rf_allocator *one(void *arena, size_t size) {
  static one_heap heap;
  return one_heap_init(&heap, arena, size);
}

rf_allocator *four(void *arena, size_t size) {
  static four_heap heap;
  return four_heap_init(&heap, arena, size);
}

TEST(Tuned, ServesTheTraceInTheArenaAndNotInOneThatIsTwoPercentSmaller) {
  Failures const full = failures({"sqlite"}, one, ONE_ARENA_BYTES);
  EXPECT_EQ(full.requests, ONE_FAILED_REQUESTS);
  EXPECT_EQ(full.traces, ONE_FAILED_TRACES);
  EXPECT_GT(failures({"sqlite"}, one, ONE_ARENA_BYTES - ONE_ARENA_BYTES / 50).requests, 0U);
}

TEST(Tuned, FailsWhereItWasSaidOfSeveralTraces) {
  std::vector<std::string> const names = {"git", "perl", "python", "sqlite"};
  Failures const full = failures(names, four, FOUR_ARENA_BYTES);
  EXPECT_GT(full.requests, 0U) << "one of four may fail";
  EXPECT_EQ(full.requests, FOUR_FAILED_REQUESTS);
  EXPECT_EQ(full.traces, FOUR_FAILED_TRACES);
  EXPECT_LE(full.traces, 1U);
}

} // namespace
