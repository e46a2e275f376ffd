// `ringfence tune`: its table, its header and its messages. tests/trace/tuned_test.cc tests the header's figures.
#include "tests/tools/run.h"

#include <cstdio>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

using namespace ringfence_test;

std::string recorded(const std::string &name) {
  return source("tools/trace/recorded/" + name + ".rft");
}

Result tune(std::vector<std::string> words) {
  words.insert(words.begin(), {ringfence(), "tune"});
  return run(words);
}

TEST(Tune, PrintsEachChoiceAndWritesTheBest) {
  std::string const header = scratch("heap.h");
  Result const result =
      tune({"-a", "tlsf", "-a", "memheap", "--now=1M", "--prefix=radio", "-o", header, recorded("sqlite")});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_TRUE(has(result.out, "  tlsf\n")) << result.out;
  EXPECT_TRUE(has(result.out, "  memheap\n")) << result.out;
  EXPECT_FALSE(has(result.out, "simple")) << result.out;
  EXPECT_TRUE(has(result.out, "; today's heap: 1048576\n")) << result.out;
  std::string const text = read_file(header);
  EXPECT_TRUE(has(text, "% of the 1048576 of today's heap\n")) << text;
  EXPECT_TRUE(has(text, "#define RADIO_ARENA_BYTES ")) << text;
  EXPECT_TRUE(has(text, "static inline rf_allocator *radio_heap_init(radio_heap *t, ")) << text;
}

// The figures of the table, of the last line and of the header are the same, and add up.
TEST(Tune, TellsTheSameFiguresEverywhere) {
  std::string const header = scratch("figures.h");
  Result const result = tune({"-a", "tlsf", "--pools=0", "--now=1000000", "-o", header, recorded("sqlite")});
  ASSERT_EQ(result.status, 0) << result.err;
  size_t total = 0;
  size_t arena = 0;
  size_t failures = 1;
  size_t const row = result.out.find('\n') + 1;
  ASSERT_EQ(sscanf(result.out.c_str() + row, "%zu %zu %zu", &total, &arena, &failures), 3) << result.out;
  EXPECT_GT(total, arena);
  EXPECT_EQ(failures, 0U);
  EXPECT_TRUE(has(result.out, "best: tlsf in an arena of " + std::to_string(arena) + " bytes, " +
                                  std::to_string(total) + " bytes in all; today's heap: 1000000\n"))
      << result.out;
  std::string const text = read_file(header);
  EXPECT_TRUE(
      has(text, " * Predicted for 1 trace (1 trace must have no failure):\n *   memory: " + std::to_string(total) +
                    " bytes (an arena of " + std::to_string(arena) + ", and " + std::to_string(total - arena) +
                    " for variables)\n *   saving: " + std::to_string(1000000 - total) + " bytes, "))
      << text;
  double percent = 0;
  size_t const saving = text.find(" bytes, ", text.find("saving: "));
  ASSERT_NE(saving, std::string::npos) << text;
  ASSERT_EQ(sscanf(text.c_str() + saving, " bytes, %lf %% of the 1000000 of today's heap\n", &percent), 1) << text;
  EXPECT_NEAR(percent, 100.0 * (1000000.0 - static_cast<double>(total)) / 1000000.0, 0.06);
  EXPECT_TRUE(
      has(text, " *   failures: 0 requests in 0 traces\n * Compare: ringfence replay --allocator tlsf --arena " +
                    std::to_string(arena) + " TRACE\n * The figures are those of a " +
                    std::to_string(8 * sizeof(void *)) + "-bit build"))
      << text;
  EXPECT_TRUE(has(text, "#define TUNED_ARENA_BYTES " + std::to_string(arena) +
                            "U\n#define TUNED_FAILED_REQUESTS 0U\n#define TUNED_FAILED_TRACES 0U\n"))
      << text;
}

// Its variables included: two heaps may need arenas of one size.
TEST(Tune, TheBestNeedsTheLeastMemoryInAll) {
  Result const result = tune({"-a", "memheap", "-a", "smallmem", "--pools=0", recorded("git")});
  ASSERT_EQ(result.status, 0) << result.err;
  size_t totals[2] = {0, 0};
  size_t at = result.out.find('\n');
  for (size_t &total : totals) {
    ASSERT_EQ(sscanf(result.out.c_str() + at, "%zu", &total), 1) << result.out;
    at = result.out.find('\n', at + 1);
  }
  size_t const least = totals[0] < totals[1] ? totals[0] : totals[1];
  EXPECT_TRUE(has(result.out, " bytes, " + std::to_string(least) + " bytes in all; ")) << result.out;
}

TEST(Tune, ComparesPoolsOfSeveralClasses) {
  Result const result = tune({"-a", "tlsf", recorded("sqlite")});
  EXPECT_EQ(result.status, 0) << result.err;
  size_t const pool = result.out.find("best: pool:");
  ASSERT_NE(pool, std::string::npos) << result.out;
  EXPECT_LT(result.out.find(',', pool), result.out.find("+tlsf", pool)) << "one class alone is worse: " << result.out;
}

TEST(Tune, LeavesPoolsOutIfItIsTold) {
  Result const result = tune({"-a", "tlsf", "--pools=0", recorded("sqlite")});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_FALSE(has(result.out, "pool:")) << result.out;
  EXPECT_TRUE(has(result.out, "best: tlsf in an arena of ")) << result.out;
}

TEST(Tune, LetsTheGivenPartOfTheTracesFail) {
  Result const all = tune({"-a", "tlsf", "--pools=0", "--percent=100", recorded("sqlite"), recorded("git")});
  std::string const header = scratch("half.h");
  Result const half =
      tune({"-a", "tlsf", "--pools=0", "--percent=50", "-o", header, recorded("sqlite"), recorded("git")});
  EXPECT_EQ(all.status, 0) << all.err;
  EXPECT_EQ(half.status, 0) << half.err;
  auto arena = [](const Result &r) {
    size_t const at = r.out.find("arena of ");
    return at == std::string::npos ? 0UL : std::stoul(r.out.substr(at + 9));
  };
  EXPECT_GT(arena(half), 0U) << half.out;
  EXPECT_GT(arena(all), arena(half)) << all.out << half.out;
  size_t failures = 0;
  ASSERT_EQ(sscanf(half.out.c_str() + half.out.find('\n') + 1, "%*u %*u %zu", &failures), 1) << half.out;
  EXPECT_GT(failures, 1U);
  EXPECT_TRUE(has(read_file(header),
                  "#define TUNED_FAILED_REQUESTS " + std::to_string(failures) + "U\n#define TUNED_FAILED_TRACES 1U\n"))
      << read_file(header);
}

TEST(Tune, SaysSoWhereNoHeapServes) {
  Result const result = tune({"-a", "sizeclass", recorded("sqlite")});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.said(), std::vector<std::string>{"no heap serves 1 of 1 trace"});
}

TEST(Tune, LeavesOutHeapsThatAreTooSlow) {
  Result const result = tune({"-a", "tlsf", "--limit=1e-9", recorded("sqlite")});
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(has(result.out, "  tlsf: too slow\n")) << result.out;
  EXPECT_EQ(result.said(), std::vector<std::string>{"no heap serves 1 of 1 trace within --limit"});
  EXPECT_EQ(tune({"-a", "tlsf", "--limit=0", "--pools=0", recorded("sqlite")}).status, 0);
}

TEST(Tune, RefusesWhatItCannotUse) {
  std::string const file = scratch("bad");
  write_file(file, "hello\n");
  std::string const empty = scratch("empty");
  write_file(empty, read_file(recorded("sqlite")).substr(0, 20)); // its header
  std::pair<std::vector<std::string>, std::string> const cases[] = {
      {{}, "no trace given; try `ringfence tune FILE`"},
      {{"--what", "a"}, "unknown option --what; see `ringfence help tune`"},
      {{"--percent=0", "a"}, "--percent 0: give a number above 0, at most 100"},
      {{"--percent=101", "a"}, "--percent 101: give a number above 0, at most 100"},
      {{"--percent=5x", "a"}, "--percent 5x: give a number above 0, at most 100"},
      {{"--percent=nan", "a"}, "--percent nan: give a number above 0, at most 100"},
      {{"--pools=9", "a"}, "--pools 9: give a number from 0 to 8"},
      {{"--pools=10", "a"}, "--pools 10: give a number from 0 to 8"},
      {{"--now=x", "a"}, "--now x: give a number above 0"},
      {{"--prefix=1a", "a"}, "--prefix 1a: give a C identifier"},
      {{"--prefix=", "a"}, "--prefix : give a C identifier"},
      {{"--output=-", "a"}, "--output needs a file name; standard output is /dev/stdout"},
      {{"/nowhere"}, "/nowhere: it cannot be read: No such file or directory"},
      {{file}, file + ": it is not a trace: it does not begin with RFTRACE"},
      {{empty}, empty + ": the trace has no requests"},
      {{"-a", "tlsf", "--pools=0", "-o", "/nowhere/x.h", recorded("sqlite")},
       "cannot write to /nowhere/x.h: No such file or directory"},
  };
  for (const auto &[words, said] : cases) {
    Result const result = tune(words);
    EXPECT_EQ(result.status, 2) << said;
    EXPECT_EQ(result.said(), std::vector<std::string>{said});
  }
}

TEST(Tune, NamesTheHeapsWhereAnotherAllocatorIsGiven) {
  for (std::string const name : {"libc", "handle", "pool+tlsf", "all"}) {
    Result const result = tune({"-a", name, "a"});
    EXPECT_EQ(result.status, 2) << name;
    EXPECT_EQ(result.err.find("ringfence: --allocator " + name + ": use one of tlsf, simple, "), 0U) << result.err;
    EXPECT_FALSE(has(result.err, "libc,") || has(result.err, ", handle")) << result.err;
  }
}

TEST(Tune, HasAManual) {
  EXPECT_TRUE(has(tune({"--help"}).out, "Usage: ringfence tune [OPTIONS] FILE...\n"));
  EXPECT_EQ(tune({"-h"}).out, run({ringfence(), "help", "tune"}).out);
}

} // namespace
