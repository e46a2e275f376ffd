// Replaying traces on the allocators: all serve what they say they serve, and an allocator that is wrong is told.
#include "tools/trace/demand.h"
#include "tools/trace/libc.h"
#include "tools/trace/read.h"
#include "tools/trace/replay.h"
#include "tools/trace/synthetic.h"
#include "tools/trace/tune.h"

#include <array>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

trace recorded(const std::string &name) {
  std::array<char, TRACE_PROBLEM_BYTES> problem{};
  trace t;
  std::string const path = "tools/trace/recorded/" + name + ".rft";
  EXPECT_TRUE(trace_read(&t, path.c_str(), problem.data())) << path << ": " << problem.data();
  return t;
}

// A trace of `count` blocks of 32 bytes that live at once.
trace blocks_of_32(size_t count) {
  trace t{};
  for (const trace_kind kind : {TRACE_ALLOC, TRACE_FREE}) {
    for (size_t i = 0; i < count; i++) {
      trace_op const op = {kind, 0, i, kind == TRACE_ALLOC ? 32U : 0U, 0, 0};
      trace_add(&t, &op);
    }
  }
  t.ids = count;
  trace_measure(&t);
  return t;
}

// Only the requests for up to `largest` bytes, and what becomes of those blocks.
trace small_requests(const trace &of, size_t largest) {
  trace out{};
  std::vector<bool> taken(of.ids);
  size_t live = 0;
  std::vector<size_t> sizes(of.ids);
  for (size_t i = 0; i < of.count; i++) {
    trace_op const &op = of.ops[i];
    if (op.kind == TRACE_ALLOC) {
      taken[op.id] = op.size <= largest;
    }
    if (!taken[op.id] || (op.kind == TRACE_REALLOC && op.size > largest)) {
      continue;
    }
    trace_add(&out, &op);
    live = live - sizes[op.id] + op.size;
    sizes[op.id] = op.size;
    out.peak = live > out.peak ? live : out.peak;
  }
  out.ids = of.ids;
  return out;
}

class Recorded : public testing::TestWithParam<const char *> {};

INSTANTIATE_TEST_SUITE_P(Each, Recorded, testing::Values("python", "sqlite", "git", "perl"),
                         [](const testing::TestParamInfo<const char *> &it) { return std::string(it.param); });

TEST_P(Recorded, IsATraceOfAWholeProgram) {
  trace t = recorded(GetParam());
  EXPECT_TRUE(t.complete);
  EXPECT_EQ(t.lost, 0U);
  EXPECT_EQ(t.failures, 0U);
  EXPECT_GT(t.count, 10000U);
  trace_free(&t);
}

TEST_P(Recorded, TlsfServesInLittleMoreThanThePeak) {
  trace t = recorded(GetParam());
  subject const *const s = subject_named("tlsf");
  replay_memory m = replay_memory_make(&t, 4 * t.peak);
  size_t const footprint = replay_footprint(s, &t, &m, 0);
  EXPECT_GT(footprint, t.peak);
  EXPECT_LT(footprint, t.peak + t.peak / 3);
  size_t first = 0;
  EXPECT_EQ(replay_failures(s, &t, &m, footprint, &first), 0U);
  EXPECT_GT(replay_failures(s, &t, &m, footprint - 64 - t.peak / 512, &first), 0U);
  EXPECT_LT(first, t.count);
  replay_memory_free(&t, &m);
  trace_free(&t);
}

class EachSubject : public testing::TestWithParam<size_t> {};

INSTANTIATE_TEST_SUITE_P(Allocator, EachSubject, testing::Range(size_t{0}, subject_count),
                         [](const testing::TestParamInfo<size_t> &it) {
                           std::string name = subjects[it.param].name;
                           for (char &c : name) {
                             c = c == '+' ? '_' : c;
                           }
                           return name;
                         });

TEST_P(EachSubject, ServesARecordedTraceOfSmallRequestsRightly) {
  subject const &s = subjects[GetParam()];
  trace all = recorded("sqlite");
  trace t = small_requests(all, 64);
  replay_memory m = replay_memory_make(&t, 64 * t.peak);
  size_t first = 0;
  ASSERT_EQ(replay_failures(&s, &t, &m, 64 * t.peak, &first), 0U) << "at " << first;
  EXPECT_TRUE(replay_verify(&s, &t, &m, 64 * t.peak));
  replay_times const times = replay_measure(&s, &t, &m, 64 * t.peak, 1, nullptr);
  EXPECT_GT(times.mean_ns, 0);
  EXPECT_GT(times.worst_ns, 0);
  if (s.arena) {
    size_t const footprint = replay_footprint(&s, &t, &m, 0);
    EXPECT_GE(footprint, t.peak);
    EXPECT_EQ(replay_failures(&s, &t, &m, footprint, &first), 0U);
    EXPECT_EQ(subject_make(&s, m.arena, 8, &t), nullptr) << "eight bytes are no arena";
  }
  replay_memory_free(&t, &m);
  trace_free(&t);
  trace_free(&all);
}

TEST_P(EachSubject, RefusesLargerBlocksThanItSaysIfItSaysSo) {
  subject const &s = subjects[GetParam()];
  trace t{};
  trace_op const op = {TRACE_ALLOC, 0, 0, s.largest + 1, 0, 0};
  trace_add(&t, &op);
  t.ids = 1;
  t.peak = op.size;
  replay_memory m = replay_memory_make(&t, size_t{4} << 20);
  size_t first = 0;
  size_t const failed = replay_failures(&s, &t, &m, size_t{4} << 20, &first);
  EXPECT_EQ(failed, s.largest == 0 ? 0U : 1U);
  replay_memory_free(&t, &m);
  trace_free(&t);
}

// ---- Time ----

TEST(Limit, EndsAReplayThatIsSlowAndTellsTheTimeOfItsRequests) {
  trace t = recorded("sqlite");
  subject const *const s = subject_named("tlsf");
  replay_memory m = replay_memory_make(&t, 4 * t.peak);
  replay_part const some = replay_within(s, &t, &m, 4 * t.peak, 1e-9);
  EXPECT_GT(some.count, 0U);
  EXPECT_LT(some.count, t.count);
  EXPECT_GT(some.mean_ns, 0);
  EXPECT_EQ(replay_within(s, &t, &m, 4 * t.peak, 0).count, t.count);
  EXPECT_EQ(replay_within(s, &t, &m, 8, 0).count, 0U) << "eight bytes are no arena";
  replay_figures const cut = replay_figures_of(s, &t, &m, 4 * t.peak, 1, 1e-9);
  EXPECT_TRUE(cut.usable);
  EXPECT_LT(cut.replayed, t.count);
  EXPECT_EQ(cut.footprint, 0U);
  replay_figures const whole = replay_figures_of(s, &t, &m, 4 * t.peak, 2, 0);
  EXPECT_EQ(whole.replayed, t.count);
  EXPECT_EQ(whole.runs, 2U);
  EXPECT_TRUE(whole.sound);
  replay_memory_free(&t, &m);
  trace_free(&t);
}

// A look at the clock comes behind some requests: a few are replayed whole, and once at least, whatever the limit is.
TEST(Limit, LeavesOneRunToATraceThatWasReplayedWhole) {
  trace t = trace_make_random(1, 40, 10, 64);
  subject const *const s = subject_named("tlsf");
  size_t const arena = 64 * 1024;
  replay_memory m = replay_memory_make(&t, arena);
  replay_figures const figures = replay_figures_of(s, &t, &m, arena, 0, 1e-9);
  EXPECT_EQ(figures.replayed, t.count);
  EXPECT_GE(figures.runs, 1U);
  EXPECT_LT(figures.times.mean_ns, 1e9);
  EXPECT_TRUE(figures.sound);
  replay_memory_free(&t, &m);
  trace_free(&t);
}

// ---- Memory of the system ----

size_t times_asked;

size_t ask() {
  times_asked++;
  return libc_taken();
}

// The C library walks all of its free blocks to tell what it has: not at each request.
TEST(Footprint, OfTheCLibraryIsLookedAtWhereItMayHaveGrown) {
  trace t = recorded("perl");
  subject counting = *subject_named("libc");
  counting.taken = ask;
  replay_memory m = replay_memory_make(&t, 4 * t.peak);
  times_asked = 0;
  size_t const footprint = replay_footprint(&counting, &t, &m, 0);
  if (libc_taken() != 0 && footprint != 0) {
    EXPECT_LT(times_asked, t.count / 20);
    EXPECT_GT(footprint, t.peak / 2);
  }
  replay_memory_free(&t, &m);
  trace_free(&t);
}

// Memory that was freed before the replay serves it, too: it counts as if it were taken.
TEST(Footprint, OfTheCLibraryDoesNotDependOnWhatIsFreeBefore) {
  trace t = recorded("perl");
  subject const *const s = subject_named("libc");
  replay_memory m = replay_memory_make(&t, 4 * t.peak);
  size_t const fresh = replay_footprint(s, &t, &m, 0);
  std::vector<void *> blocks;
  for (size_t i = 0; i < 4096; i++) {
    blocks.push_back(malloc(2000));
  }
  for (size_t i = 0; i < blocks.size(); i += 2) {
    free(blocks[i]);
  }
  size_t const later = replay_footprint(s, &t, &m, 0);
  for (size_t i = 1; i < blocks.size(); i += 2) {
    free(blocks[i]);
  }
  if (libc_taken() != 0 && fresh != 0) {
    EXPECT_GT(later, fresh - fresh / 4);
    EXPECT_LT(later, fresh + fresh / 4);
  }
  replay_memory_free(&t, &m);
  trace_free(&t);
}

// ---- The pages ----

size_t rows(const std::string &page, const std::string &name) {
  std::ifstream in("docs/" + page);
  size_t count = 0;
  for (std::string line; std::getline(in, line);) {
    count += line.rfind("| " + name + " |", 0) == 0 ? 1 : 0;
  }
  return count;
}

TEST_P(EachSubject, HasARowInEachTableOfThePageThatComparesAll) {
  EXPECT_EQ(rows("comparison.md", subjects[GetParam()].name), 4U);
}

TEST_P(EachSubject, HasARowInThePageOfCodeSizes) {
  std::string name = subjects[GetParam()].name;
  name = name.substr(0, name.find('+'));
  EXPECT_EQ(rows("size.md", name), name == "libc" ? 0U : 1U);
}

// ---- The negative control ----

// Hands out the same 64 bytes twice, then goes on.
void *overlapping_alloc(rf_allocator *, size_t size, size_t, const rf_site *) {
  static std::array<unsigned char, 1 << 20> memory;
  static size_t used;
  used = used + 2 * size > memory.size() ? 0 : used;
  void *const p = memory.data() + used;
  used += size / 2 / 16 * 16;
  return p;
}

rf_status forget(rf_allocator *, void *, const rf_site *) {
  return RF_OK;
}

void no_stats(rf_allocator *, rf_stats *out) {
  *out = {};
}

template <void *Alloc(rf_allocator *, size_t, size_t, const rf_site *)>
rf_allocator *make_wrong(void *, size_t, const trace *) {
  static rf_allocator_ops ops;
  ops.name = "wrong";
  ops.alloc = Alloc;
  ops.free = forget;
  ops.stats = no_stats;
  static rf_allocator a = {&ops};
  return &a;
}

subject wrong_subject(rf_allocator *(*make)(void *, size_t, const trace *)) {
  return {"wrong", make, 0, true, nullptr, "", 0, nullptr, nullptr, nullptr};
}

TEST(Replay, TellsAnAllocatorWhoseBlocksOverlap) {
  subject const wrong = wrong_subject(make_wrong<overlapping_alloc>);
  trace t = trace_make(0, 1);
  replay_memory m = replay_memory_make(&t, 1 << 20);
  EXPECT_FALSE(replay_verify(&wrong, &t, &m, 1 << 20));
  EXPECT_TRUE(replay_verify(subject_named("tlsf"), &t, &m, 1 << 20));
  replay_memory_free(&t, &m);
  trace_free(&t);
}

// Serves each request one byte behind what it should.
void *odd_alloc(rf_allocator *, size_t size, size_t, const rf_site *) {
  static unsigned char memory[1 << 16];
  static size_t used = 0;
  used += size + 16 - size % 16;
  return memory + used + 1;
}

TEST(Replay, TellsAnAllocatorWhoseBlocksAreNotAligned) {
  subject const wrong = wrong_subject(make_wrong<odd_alloc>);
  trace t = blocks_of_32(3);
  replay_memory m = replay_memory_make(&t, 1 << 20);
  EXPECT_FALSE(replay_verify(&wrong, &t, &m, 1 << 20));
  replay_memory_free(&t, &m);
  trace_free(&t);
}

// Moves each block, and leaves its contents behind.
void *forgetful_realloc(rf_allocator *, void *ptr, size_t size, size_t, const rf_site *) {
  free(ptr);
  return calloc(1, size);
}

rf_allocator *make_forgetful(void *, size_t, const trace *) {
  static rf_allocator_ops ops;
  ops = *libc_allocator()->ops;
  ops.name = "forgetful";
  ops.realloc = forgetful_realloc;
  static rf_allocator allocator;
  allocator.ops = &ops;
  return &allocator;
}

TEST(Replay, TellsAnAllocatorWhoseReallocLosesContents) {
  subject forgetful = *subject_find("libc");
  forgetful.make = make_forgetful;
  trace t{};
  trace_op const ops[] = {{TRACE_ALLOC, 0, 0, 100, 0, 0}, {TRACE_REALLOC, 0, 0, 50, 0, 0}, {TRACE_FREE, 0, 0, 0, 0, 0}};
  for (const trace_op &op : ops) {
    trace_add(&t, &op);
  }
  t.ids = 1;
  t.peak = 100;
  replay_memory m = replay_memory_make(&t, 4096);
  EXPECT_FALSE(replay_verify(&forgetful, &t, &m, 4096));
  EXPECT_TRUE(replay_verify(subject_find("libc"), &t, &m, 4096));
  replay_memory_free(&t, &m);
  trace_free(&t);
}

TEST(Footprint, IsFoundToTheByteWhereAsked) {
  trace t = trace_make(0, 1);
  replay_memory m = replay_memory_make(&t, 1 << 20);
  const subject *const s = subject_find("tlsf");
  size_t first = 0;
  size_t const least = replay_footprint(s, &t, &m, 1);
  EXPECT_EQ(replay_failures(s, &t, &m, least, &first), 0U);
  EXPECT_NE(replay_failures(s, &t, &m, least - 1, &first), 0U);
  replay_memory_free(&t, &m);
  trace_free(&t);
}

TEST(Series, EndsWithTheBytesThatAreOccupiedAtTheEnd) {
  trace t = trace_make(0, 1);
  replay_memory m = replay_memory_make(&t, 1 << 20);
  const subject *const s = subject_find("tlsf");
  replay_fragmentation const f = replay_fragment(s, &t, &m, 1 << 20);
  size_t occupied = 0;
  ASSERT_TRUE(replay_series(s, &t, &m, 1 << 20, 1, &occupied));
  EXPECT_GT(f.end.overhead, 0U);
  EXPECT_EQ(occupied, f.end.used + f.end.overhead);
  replay_memory_free(&t, &m);
  trace_free(&t);
}

TEST(Pools, HaveVariablesOfTheirOwn) {
  subject_pools pools;
  const subject *const s = subject_parse("pool:16x1+tlsf", &pools);
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(s->control, subject_find("tlsf")->control + sizeof(rf_pool));
}

TEST(Pools, AscendInSize) {
  subject_pools pools;
  EXPECT_NE(subject_parse("pool:16x1,24x2+tlsf", &pools), nullptr);
  EXPECT_EQ(subject_parse("pool:16x1,16x2+tlsf", &pools), nullptr);
  EXPECT_EQ(subject_parse("pool:24x1,16x2+tlsf", &pools), nullptr);
  EXPECT_EQ(subject_parse("pool:0x1+tlsf", &pools), nullptr);
}

TEST(Replay, GoesOnAfterARequestThatFails) {
  trace t{};
  trace_op const ops[] = {{TRACE_ALLOC, 0, 0, 100000, 0, 0}, {TRACE_ALLOC, 0, 1, 100, 0, 0},
                          {TRACE_REALLOC, 0, 0, 50, 0, 0},   {TRACE_FREE, 0, 0, 0, 0, 0},
                          {TRACE_FREE, 0, 1, 0, 0, 0},       {TRACE_ALLOC, 0, 1, 200000, 0, 0},
                          {TRACE_FREE, 0, 1, 0, 0, 0}};
  for (const trace_op &op : ops) {
    trace_add(&t, &op);
  }
  t.ids = 2;
  t.peak = 200000;
  replay_memory m = replay_memory_make(&t, 1 << 20);
  size_t first = 9;
  EXPECT_EQ(replay_failures(subject_named("tlsf"), &t, &m, 8192, &first), 2U);
  EXPECT_EQ(first, 0U);
  replay_fragmentation const f = replay_fragment(subject_named("tlsf"), &t, &m, 8192);
  EXPECT_TRUE(f.known);
  EXPECT_EQ(f.at_end, 0) << "all is free, in one block";
  EXPECT_EQ(f.end.used, 0U);
  EXPECT_FALSE(replay_fragment(subject_named("libc"), &t, &m, 8192).known);
  replay_memory_free(&t, &m);
  trace_free(&t);
}

// ---- Tuning ----

TEST(Tune, PoolsAreAsLargeAsEnoughOfTheTracesNeed) {
  std::array<trace, 3> traces = {blocks_of_32(2000), blocks_of_32(400), blocks_of_32(200)};
  tune_set const most = {traces.data(), 3, 2, 0, nullptr};
  tune_set const two = {traces.data() + 1, 2, 2, 0, nullptr};
  const subject *const heap = subject_find("tlsf");
  tune_result const bare = tune_bare(&most, heap);
  tune_result const pools = tune_pools(&most, &bare, 1);
  tune_result const bare_of_two = tune_bare(&two, heap);
  EXPECT_EQ(bare.arena, bare_of_two.arena);
  EXPECT_EQ(pools.total, tune_pools(&two, &bare_of_two, 1).total);
  EXPECT_EQ(pools.failed_traces, 1U);
  ASSERT_EQ(pools.class_count, 1U);
  EXPECT_LE(pools.classes[0].count, 400U);
  for (trace &t : traces) {
    trace_free(&t);
  }
}

TEST(Tune, IsSlowWhereTheLimitLeavesRequestsOut) {
  std::array<trace, 2> traces = {blocks_of_32(5), blocks_of_32(100)};
  tune_set const set = {traces.data(), 2, 1, 1e-12, nullptr};
  tune_result const r = tune_bare(&set, subject_find("tlsf"));
  EXPECT_TRUE(r.slow);
  EXPECT_EQ(r.arena, 0U);
  for (trace &t : traces) {
    trace_free(&t);
  }
}

TEST(Demand, IsThePeakOfEachClass) {
  trace t{};
  trace_op const ops[] = {{TRACE_ALLOC, 0, 0, 16, 0, 0},  {TRACE_ALLOC, 0, 1, 17, 0, 0}, {TRACE_FREE, 0, 0, 0, 0, 0},
                          {TRACE_REALLOC, 0, 1, 5, 0, 0}, {TRACE_ALLOC, 0, 2, 64, 0, 0}, {TRACE_ALLOC, 0, 3, 65, 0, 0},
                          {TRACE_ALLOC, 64, 0, 8, 0, 0},  {TRACE_ALLOC, 0, 4, 0, 0, 0},  {TRACE_FREE, 0, 1, 0, 0, 0},
                          {TRACE_FREE, 0, 4, 0, 0, 0},    {TRACE_ALLOC, 0, 4, 16, 0, 0}};
  for (const trace_op &op : ops) {
    trace_add(&t, &op);
  }
  t.ids = 5;
  rf_pool_class classes[DEMAND_CLASSES];
  demand_of(&t, classes);
  EXPECT_EQ(classes[0].size, 16U);
  EXPECT_EQ(classes[0].count, 2U);
  EXPECT_EQ(classes[1].count, 1U);
  EXPECT_EQ(classes[2].count, 0U);
  EXPECT_EQ(classes[3].count, 1U) << "neither the larger nor the more aligned one";
  demand_of(nullptr, classes);
  EXPECT_EQ(classes[0].count, 0U);
  trace_free(&t);
}

} // namespace
