// The limit of time for replays, by a clock of the test's own.
#include "tools/trace/tune.h"

#include <array>
#include <ctime>
#include <gtest/gtest.h>
#include <utility>

extern "C" {
int __real_clock_gettime(clockid_t id, timespec *now);
int __wrap_clock_gettime(clockid_t id, timespec *now);
}

namespace {

// Each look at the clock takes this much processor time.
constexpr long look_ns = 100'000'000;
long looks;

} // namespace

int __wrap_clock_gettime(clockid_t id, timespec *now) {
  if (id != CLOCK_PROCESS_CPUTIME_ID) {
    return __real_clock_gettime(id, now);
  }
  long const at = ++looks * look_ns;
  *now = {at / 1'000'000'000, at % 1'000'000'000};
  return 0;
}

namespace {

// 128 requests, which a replay makes between three looks at the clock.
trace of_two_looks() {
  trace t{};
  for (size_t i = 0; i < 128; i++) {
    trace_op const op = {i % 2 == 0 ? TRACE_ALLOC : TRACE_FREE, 0, 0, i % 2 == 0 ? 32U : 0U, 0, 0};
    trace_add(&t, &op);
  }
  t.ids = 1;
  trace_measure(&t);
  return t;
}

// The answer of tune about tlsf for four such traces, each of which takes 0.2 seconds.
tune_result within(double limit) {
  std::array<trace, 4> traces = {of_two_looks(), of_two_looks(), of_two_looks(), of_two_looks()};
  tune_set const set = {traces.data(), traces.size(), traces.size(), limit, nullptr};
  tune_result const r = tune_bare(&set, subject_find("tlsf"));
  for (trace &t : traces) {
    trace_free(&t);
  }
  return r;
}

TEST(TuneLimit, IsOfOneReplayNotOfAllTracesTogether) {
  tune_result const r = within(0.25);
  EXPECT_FALSE(r.slow);
  EXPECT_NE(r.arena, 0U);
  EXPECT_NEAR(r.mean_ns, 0.2e9 / 128, 1) << "the mean is of all of them";
}

// Each run is two replays, and there is at least one.
TEST(ReplayLimit, LeavesTimeForAsManyRuns) {
  trace t = of_two_looks();
  replay_memory m = replay_memory_make(&t, 1 << 16);
  const std::pair<double, unsigned> cases[] = {{0.25, 1}, {0.85, 2}, {100, 7}, {0, 7}};
  for (const auto &[limit, runs] : cases) {
    replay_figures const f = replay_figures_of(subject_find("tlsf"), &t, &m, 1 << 16, 0, limit);
    EXPECT_EQ(f.replayed, t.count);
    EXPECT_EQ(f.runs, runs) << limit;
  }
  replay_memory_free(&t, &m);
  trace_free(&t);
}

TEST(TuneLimit, EndsAtTheFirstTraceThatTakesLonger) {
  looks = 0;
  tune_result const r = within(0.05);
  EXPECT_TRUE(r.slow);
  EXPECT_EQ(r.arena, 0U);
  EXPECT_NEAR(r.mean_ns, 0.1e9 / 64, 1) << "the mean is of the requests that were made";
  EXPECT_EQ(looks, 2) << "no other trace is begun";
}

} // namespace
