// Modes off and sample hand requests on to the malloc that the program would have without the drop-in.
#include "tests/dropin/run.h"

#include <csignal>
#include <gtest/gtest.h>
#include <unistd.h>

namespace ringfence_test {
namespace {

const char *const kModes[] = {"mode=off", "mode=sample", "mode=sample:sample_rate=7:sample_slots=20",
                              "mode=sample:sample_rate=1:sample_slots=1000", "mode=sample:rejected=1:halt=0"};

const char *const kOwn[] = {"mode=off:heap=own", "mode=sample:heap=own", "mode=guard"};

Result run_before(const std::string &behind, const std::string &options) {
  How how = with(options);
  how.behind = behind;
  return run({program("handed_on")}, how);
}

// ---- Which malloc ----

TEST(Forward, EveryFunctionGoesToTheCLibrarysMalloc) {
  for (const char *const mode : kModes) {
    Result const result = run_before("", mode);
    EXPECT_EQ(result.out, "ok\n") << mode;
    EXPECT_EQ(result.err, "") << mode;
    EXPECT_EQ(result.status, result.findings.empty() ? 0 : 99) << mode;
  }
}

TEST(Forward, AMallocThatWasPreloadedBehindIsUsed) {
  for (const char *const mode : kModes) {
    Result const result = run_before(program("libnext_malloc.so"), mode);
    bool const all_sampled = std::string(mode).find("sample_rate=1:") != std::string::npos;
    EXPECT_EQ(result.out, all_sampled ? "few behind\nok\n" : "many behind\nok\n") << mode;
    EXPECT_EQ(result.err, "") << mode;
  }
}

TEST(Forward, TheOneAlignedFunctionOfAMallocStandsForTheOthers) {
  for (const char *const kind : {"", "_aligned_alloc", "_posix_memalign", "_memalign"}) {
    How how = with("mode=off");
    how.behind = program(std::string("libnext_malloc") + kind + ".so");
    Result const result = run({program("handed_on"), "aligned"}, how);
    EXPECT_EQ(result.out, "many behind\nok\n") << kind;
    EXPECT_EQ(result.err, "") << kind;
  }
}

TEST(Forward, AHeapOfItsOwnIsUsedWhereAskedToAndWhereBlocksAreChecked) {
  for (const char *const mode : kOwn) {
    Result const result = run_before(program("libnext_malloc.so"), mode);
    EXPECT_EQ(result.out, "none behind\nok\n") << mode;
    EXPECT_EQ(result.status, 0) << mode;
  }
}

// jemalloc's mallocx and its like: the program's free, which is ours, is to take these blocks.
TEST(Forward, BlocksOfItsOtherFunctionsAreItsOwn) {
  for (const char *const mode : {"mode=guard", "mode=page", "mode=off", "mode=off:heap=own", "mode=sample"}) {
    How how = with(mode);
    how.behind = program("libnext_malloc.so");
    Result const result = run({program("handed_on"), "others"}, how);
    EXPECT_EQ(result.out, "ok\n") << mode;
    EXPECT_EQ(result.err, "") << mode;
    EXPECT_EQ(result.status, 0) << mode;
  }
  How how = with("mode=guard");
  how.behind = program("libnext_malloc.so");
  Result const wrong = run({program("handed_on"), "others", "wrong"}, how);
  EXPECT_EQ(wrong.status, 99);
  EXPECT_EQ(wrong.findings.size(), 1U);
}

TEST(Forward, QuestionsToTheHeapLeaveTheProgramsErrorsOfTheLoader) {
  for (const char *const mode : {"mode=off", "mode=sample", "mode=guard"}) {
    Result const result = run({program("handed_on"), "dlerror"}, with(mode));
    EXPECT_EQ(result.out, "ok\n") << mode;
    EXPECT_EQ(result.status, 0) << mode;
  }
}

// A malloc that is not known yet can be asked for nothing: these blocks lie in the library, and stay.
TEST(Forward, RequestsWhileTheMallocBehindIsLookedForAreServedByTheLibrary) {
  for (const char *const mode : {"mode=off", "mode=sample", "mode=off:heap=own"}) {
    Result const result = run({program("handed_on"), "early"}, with(mode));
    bool const own = std::string(mode).find("own") != std::string::npos;
    EXPECT_EQ(result.out, own ? "0 of 3\nok\n" : "3 of 3\nok\n") << mode;
    EXPECT_EQ(result.status, 0) << mode;
  }
}

TEST(Forward, ATraceIsOfTheHeapOfItsOwn) {
  std::string const trace = testing::TempDir() + "forward_test.rft";
  Result const result = run_before(program("libnext_malloc.so"), "mode=off:trace=" + trace);
  EXPECT_EQ(result.out, "none behind\nok\n");
  EXPECT_EQ(unlink(trace.c_str()), 0);
}

class KnownMalloc : public testing::TestWithParam<const char *> {};

INSTANTIATE_TEST_SUITE_P(Each, KnownMalloc, testing::Values("libjemalloc.so.2", "libmimalloc.so.2"),
                         [](const testing::TestParamInfo<const char *> &it) { return std::string(it.param, 3, 8); });

TEST_P(KnownMalloc, StandsBehind) {
  std::string file;
  for (const char *const folder : {"/usr/lib/x86_64-linux-gnu/", "/usr/lib/aarch64-linux-gnu/", "/usr/lib64/"}) {
    if (sizeof(void *) == 8 && access((folder + std::string(GetParam())).c_str(), R_OK) == 0) {
      file = folder + std::string(GetParam());
    }
  }
  if (file.empty()) {
    GTEST_SKIP() << GetParam() << " is not installed";
  }
  for (const char *const mode : {"mode=off", "mode=sample:sample_rate=7:sample_slots=20"}) {
    How how = with(mode);
    how.behind = file;
    Result const threads = run({program("threads")}, how);
    EXPECT_EQ(threads.out, "ok\n") << mode << threads.err;
    // mimalloc leaves errno alone, which is all that the program may find wrong.
    Result const all = run({program("handed_on")}, how);
    EXPECT_LE(all.status, 1) << mode << all.out << all.err;
    EXPECT_EQ(all.err, "") << mode;
  }
}

// ---- As without ----

TEST(Forward, TheContractIsThatOfTheMallocBehind) {
  Result const bare = run_bare({program("contract")});
  for (const char *const mode : {"mode=off", "mode=sample"}) {
    Result const result = run({program("contract")}, with(mode));
    EXPECT_EQ(result.out, bare.out) << mode;
    EXPECT_EQ(result.status, bare.status) << mode;
    EXPECT_EQ(result.err, bare.err) << mode;
  }
}

TEST(Forward, LinkedInAsWell) {
  for (const char *const name : {"threads_linked", "operators_linked", "threads_static"}) {
    if (sizeof(void *) == 4 && std::string(name) == "operators_linked") {
      continue; // the C library has what is too much for ours
    }
    How how = with("mode=off:summary=1");
    how.preload = false;
    Result const result = run({program(name)}, how);
    EXPECT_EQ(result.out, "ok\n") << name;
    EXPECT_EQ(result.status, 0) << name;
    bool const is_static = std::string(name) == "threads_static";
    EXPECT_EQ(result.last("summary")["handed_on"].kind, is_static ? Json::kNothing : Json::kTrue) << name;
  }
}

// ---- Bugs that are found all the same ----

TEST(Forward, RequestsThatCannotBeServedAreReportedAndAnsweredByTheMallocBehind) {
  Result const result = run_before("", "mode=sample:rejected=1:halt=0");
  std::vector<std::string> kinds;
  for (const Json &finding : result.findings) {
    kinds.push_back(finding["bug"].text);
  }
  EXPECT_EQ(kinds, (std::vector<std::string>{"allocation-size-too-big", "calloc-overflow", "allocation-size-too-big",
                                             "calloc-overflow"}));
  EXPECT_TRUE(run_before("", "mode=off:rejected=1").findings.empty());
}

struct Abort {
  const char *name; // in programs/bugs.c
  const char *kind;
};

// Sampled by nobody: what glibc's malloc notices of itself.
const Abort kAborts[] = {
    {"double_free", "double-free"},
    {"realloc_of_a_freed_block", "double-free"},
    {"free_of_a_global", "bad-free"},
    {"free_of_mapped_memory", "bad-free"},
    {"free_inside_a_block", "bad-free"},
    {"realloc_of_a_global", "bad-free"},
    {"free_of_the_stack", sizeof(void *) == 4 ? "bad-free" : "metadata-corruption"}, // by what lies before it there
    {"underflow_by_many", "metadata-corruption"},
};

TEST(Forward, AnAbortOfTheCLibrarysMallocIsAFindingWithTheCallsPlace) {
  for (const Abort &abort : kAborts) {
    for (const char *const mode : {"off", "sample"}) {
      // A seed: by chance, a block may be sampled, and then the page, not the C library, finds the error.
      SCOPED_TRACE(std::string(abort.name) + " " + mode);
      Result const result =
          run({program("bugs"), abort.name, "bad"}, with(std::string("mode=") + mode + ":sample_seed=1"));
      EXPECT_EQ(result.status, 128 + SIGABRT) << "as without";
      ASSERT_EQ(result.findings.size(), 1U) << result.err;
      const Json &finding = result.findings[0];
      // glibc 2.43 calls the size invalid, earlier ones the pointer.
      bool const of_size = finding["detail"].text.find("free(): invalid size") != std::string::npos;
      EXPECT_EQ(finding["bug"].text, of_size ? "metadata-corruption" : abort.kind);
      EXPECT_EQ(finding["mode"].text, mode);
      ASSERT_FALSE(finding["found"]["frames"].items.empty());
      EXPECT_EQ(finding["found"]["frames"].items[0]["module"].text, program("bugs")) << "not the C library, nor ours";
      EXPECT_EQ(finding["detail"].text.find("the C library's malloc says: "), 0U) << finding["detail"].text;
    }
  }
}

// An earlier finding may be the cause of an abort of a stream's alone.
TEST(Forward, AnAbortOfTheCLibrarysMallocIsAFindingBesideEarlierOnes) {
  Result const result =
      run({program("process"), "rejected_then_thread_end"}, with("mode=sample:rejected=1:halt=0:leaks=0"));
  EXPECT_EQ(result.status, 128 + SIGABRT);
  ASSERT_EQ(result.findings.size(), 2U) << result.err;
  EXPECT_EQ(result.findings[0]["bug"].text, "allocation-size-too-big");
  EXPECT_EQ(result.findings[1]["bug"].text, "metadata-corruption");
}

// No call of the program's led there.
TEST(Forward, AnAbortAsAThreadEndsHasThePlaceInTheCLibrary) {
  Result const result = run({program("process"), "thread_end"}, with("mode=off"));
  EXPECT_EQ(result.status, 128 + SIGABRT);
  ASSERT_EQ(result.findings.size(), 1U) << result.err;
  EXPECT_EQ(result.findings[0]["bug"].text, "metadata-corruption");
  const Json &frames = result.findings[0]["found"]["frames"];
  ASSERT_FALSE(frames.items.empty());
  for (const Json &frame : frames.items) {
    EXPECT_NE(frame["module"].text, "") << "an address of nobody's";
  }
}

TEST(Forward, OfOtherBlocksNothingIsSaid) {
  for (const char *const name : {"overflow_by_one", "write_after_free", "leak", "usable_size_of_a_freed_block"}) {
    for (const char *const mode : {"mode=off", "mode=sample:sample_seed=1"}) {
      Result const result = run({program("bugs"), name, "bad"}, with(mode));
      EXPECT_EQ(result.status, 0) << name;
      EXPECT_TRUE(result.findings.empty()) << name;
      EXPECT_EQ(result.err, "") << name;
    }
  }
}

TEST(Forward, AnAbortOfTheProgramsOwnIsNoFinding) {
  for (const char *const mode : {"mode=off", "mode=sample"}) {
    Result const result = run({program("process"), "abort"}, with(mode));
    EXPECT_EQ(result.status, 128 + SIGABRT);
    EXPECT_TRUE(result.findings.empty());
  }
  Result const quiet = run({program("bugs"), "double_free", "bad"}, with("mode=off:signals=0"));
  EXPECT_EQ(quiet.status, 128 + SIGABRT);
  EXPECT_TRUE(quiet.findings.empty());
}

// ---- How many are sampled ----

double sampled_of_many(const std::string &options, double *milliseconds) {
  Result const result = run({program("handed_on"), "many"}, with("mode=sample:summary=1" + options));
  const Json &summary = result.last("summary");
  EXPECT_EQ(summary["handed_on"].kind, Json::kTrue);
  *milliseconds = static_cast<double>(summary["duration_ns"].number) / 1e6;
  return static_cast<double>(summary["allocations"].number);
}

TEST(Forward, WhereAllocationsAreDenseAThreadSamplesOneInAMillisecond) {
  double milliseconds = 0;
  double const sampled = sampled_of_many("", &milliseconds);
  EXPECT_GE(sampled, 2);
  EXPECT_LE(sampled, milliseconds + 2);
}

TEST(Forward, ASmallerRateOrASeedIsHeldToHoweverDenseTheyAre) {
  double milliseconds = 0;
  EXPECT_NEAR(sampled_of_many(":sample_seed=7", &milliseconds), 3000000 / 5000, 150);
  EXPECT_NEAR(sampled_of_many(":sample_rate=2500", &milliseconds), 3000000 / 2500, 300);
  EXPECT_NEAR(sampled_of_many(":sample_rate=50:sample_seed=7", &milliseconds), 3000000 / 50, 600); // not one in 49
}

TEST(Forward, BlocksOfPosixMemalignAreSampled) {
  Result const result =
      run({program("handed_on"), "posix_memalign"}, with("mode=sample:summary=1:sample_rate=1:sample_seed=1"));
  EXPECT_EQ(result.status, 0) << result.out;
  EXPECT_GE(result.last("summary")["allocations"].number, 100);
}

// ---- Some processes only ----

TEST(Forward, AShareOfTheProcessesIsChecked) {
  unsigned checked = 0;
  unsigned const runs = 120;
  for (unsigned i = 0; i < runs; i++) {
    Result const result = run({program("reads"), "good"}, with("mode=guard:summary=1:sample_processes=1/4"));
    std::string const mode = result.last("summary")["mode"].text;
    EXPECT_TRUE(mode == "guard" || mode == "off") << mode;
    checked += mode == "guard" ? 1 : 0;
  }
  EXPECT_GT(checked, 8U); // of 30 on average; either bound is missed once in a million times
  EXPECT_LT(checked, 56U);
  Result const all = run({program("reads"), "good"}, with("mode=guard:summary=1:sample_processes=1/1"));
  EXPECT_EQ(all.last("summary")["mode"].text, "guard");
}

} // namespace
} // namespace ringfence_test
