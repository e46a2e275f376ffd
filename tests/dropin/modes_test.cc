// Modes page and sample of the drop-in: the same library, chosen by an option. Each finds its bugs, and real programs
// run as ever.
#include "tests/dropin/run.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

namespace ringfence_test {
namespace {

const char kPage[] = "mode=page";
const char kSample[] = "mode=sample:sample_rate=1:sample_slots=1000";
const char kOwnHeap[] = "mode=sample:sample_rate=7:sample_slots=3:heap=own";

struct Bug {
  const char *name; // in programs/bugs.c
  const char *kind;
  const char *relation;
  long long distance;
  long long size;
  bool in_sample; // found there as well
};

void PrintTo(const Bug &bug, std::ostream *out) {
  *out << bug.name;
}

// Blocks above 64 KiB are not sampled; of those the heap itself refuses what it can, without the block.
const Bug kBugs[] = {
    {"overflow_by_one", "heap-buffer-overflow", "after", 0, 13, true},
    {"overflow_in_a_block_never_freed", "heap-buffer-overflow", "after", 0, 13, true},
    {"overflow_of_a_big_block", "heap-buffer-overflow", "after", 0, 3000000, false},
    {"overflow_of_a_big_block_that_grew", "heap-buffer-overflow", "after", 0, 300001, false},
    {"overflow_of_a_big_block_that_shrank", "heap-buffer-overflow", "after", 0, 200001, false},
    {"overflow_of_an_aligned_block", "heap-buffer-overflow", "after", 2, 100, true},
    {"overflow_of_no_bytes", "heap-buffer-overflow", "after", 0, 0, true},
    {"overflow_found_by_realloc", "heap-buffer-overflow", "after", 0, 24, true},
    {"underflow_by_one", "heap-buffer-underflow", "before", 1, 13, true},
    {"underflow_in_a_block_never_freed", "heap-buffer-underflow", "before", 2, 13, true},
    {"write_after_free", "heap-use-after-free", "inside", 5, 40, true},
    {"write_after_free_of_a_big_block", "heap-use-after-free", "inside", 100, 2000000, false},
    {"write_after_realloc_of_a_big_block", "heap-use-after-free", "inside", 100, 1 << 20, false},
    {"write_after_realloc_moved", "heap-use-after-free", "inside", 7, 40, true},
    {"double_free", "double-free", "inside", 0, 13, true},
    {"realloc_of_a_freed_block", "double-free", "inside", 0, 13, true},
    {"free_inside_a_block", "bad-free", "inside", 4, 100, true},
    {"free_inside_a_big_block", "bad-free", "inside", 1048576, 3000000, false},
    {"free_of_the_stack", "bad-free", "", 0, 0, false},
    {"free_of_a_global", "bad-free", "", 0, 0, false},
    {"free_of_mapped_memory", "bad-free", "", 0, 0, false},
    {"leak", "memory-leak", "", 0, 33, false},
};

class DropinMode : public testing::TestWithParam<Bug> {
protected:
  static void expect_found(const std::string &options, const char *mode) {
    Result const result = run({program("bugs"), GetParam().name, "bad"}, with(options));
    const Bug &bug = GetParam();
    EXPECT_EQ(result.status, 99);
    ASSERT_EQ(result.findings.size(), 1U) << result.out << result.err;
    const Json &finding = result.findings[0];
    EXPECT_EQ(finding["bug"].text, bug.kind);
    EXPECT_EQ(finding["size"].number, bug.size);
    EXPECT_EQ(finding["mode"].text, mode);
    if (bug.relation[0] != '\0') {
      EXPECT_EQ(finding["relation"].text, bug.relation);
      EXPECT_EQ(finding["distance"].number, bug.distance);
      EXPECT_FALSE(finding["allocated"]["frames"].items.empty());
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Each, DropinMode, testing::ValuesIn(kBugs),
                         [](const testing::TestParamInfo<Bug> &it) { return std::string(it.param.name); });

// Pages that were never touched stay so, and what was written is kept.
TEST(DropinModes, BigBlocksGrowWithoutBeingTouched) {
  for (const char *const mode : {"off", "sample", "guard", "page"}) {
    SCOPED_TRACE(mode);
    Result const result = run({program("sparse")}, with(std::string("mode=") + mode));
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.out, "ok\n");
  }
}

TEST_P(DropinMode, PageFindsIt) {
  for (const char *const align : {":align=left", ":align=right", ":align=both"}) {
    expect_found(std::string(kPage) + align, "page");
  }
}

TEST_P(DropinMode, SampleFindsItInABlockThatIsSampled) {
  if (GetParam().in_sample) {
    expect_found(kSample, "sample");
  }
}

TEST_P(DropinMode, TheSameCodeWithoutItIsSilent) {
  for (const char *const options : {kPage, kSample}) {
    Result const result = run({program("bugs"), GetParam().name, "good"}, with(options));
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.findings.size(), 0U);
  }
}

TEST(DropinModes, AReadIsStoppedAtTheInstruction) {
  for (const char *const options : {kPage, kSample}) {
    Result const result = run({program("reads"), "bad"}, with(options));
    EXPECT_EQ(result.status, 99);
    ASSERT_EQ(result.findings.size(), 1U);
    const Json &finding = result.findings[0];
    EXPECT_EQ(finding["bug"].text, "heap-use-after-free");
    EXPECT_EQ(finding["at_access"].kind, Json::kTrue);
    EXPECT_EQ(finding["distance"].number, 5);
    Result const good = run({program("reads"), "good"}, with(options));
    EXPECT_EQ(good.status, 0);
    EXPECT_EQ(good.findings.size(), 0U);
  }
}

TEST(DropinModes, AStringWithoutEndEndsBehindItsBlock) {
  Result const result = run({program("reads"), "string"}, with("mode=page:align=right:halt=0"));
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.out, "ends behind the block\n");
}

// ---- Blocked signals ----

// The system ends a process whose fault is blocked, without a call of any handler.
TEST(DropinModes, AFaultIsAFindingThoughSignalsAreBlocked) {
  for (const char *const mode : {"mode=page", "mode=guard:watch=1:sample_seed=1", "mode=sample:sample_rate=1"}) {
    for (const char *const how : {"thread", "main", "handler", "timer", "timer_as_told", "parent"}) {
      SCOPED_TRACE(std::string(mode) + " " + how);
      Result const result = run({program("masks"), how}, with(std::string(mode) + ":leaks=0"));
      EXPECT_EQ(result.status, 99) << result.err;
      ASSERT_EQ(result.findings.size(), 1U);
      EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
      EXPECT_EQ(result.findings[0]["access"].text, "read");
    }
  }
}

// A handler needs a stack of its own then, which must be large enough for a report.
TEST(DropinModes, ACrashIsAFindingWhateverTheStack) {
  for (const char *const how : {"full", "full_thread", "small"}) {
    for (const char *const mode : {"guard", "guard:watch=0", "page"}) {
      SCOPED_TRACE(std::string(how) + " " + mode);
      Result const result = run({program("masks"), how, "good"}, with(std::string("leaks=0:mode=") + mode));
      EXPECT_EQ(result.status, 128 + SIGSEGV);
      ASSERT_EQ(result.findings.size(), 1U) << result.err;
      EXPECT_EQ(result.findings[0]["bug"].text, "SEGV");
      EXPECT_EQ(result.findings[0]["detail"].text.find("the stack is at its end") != std::string::npos,
                how != std::string("small"))
          << result.findings[0]["detail"].text;
      EXPECT_GE(result.findings[0]["found"]["frames"].items.size(), 2U);
    }
  }
}

// It is told of the mask that it set, and signals that were sent wait for it to let them.
TEST(DropinModes, MasksAreToTheProgramWhatItMadeThem) {
  for (const char *const what : {"told", "sent", "own", "inherited"}) {
    Result const bare = run_bare({program("masks"), what});
    for (const char *const mode : {"page", "guard", "guard:watch=0", "sample", "off", "page:signals=0"}) {
      SCOPED_TRACE(std::string(what) + " " + mode);
      Result const result = run({program("masks"), what, "good"}, with(std::string("leaks=0:mode=") + mode));
      EXPECT_EQ(result.out, bare.out);
      EXPECT_EQ(result.status, bare.status);
      EXPECT_EQ(result.findings.size(), 0U);
    }
  }
}

// ---- Memory that the system is told to access ----

std::vector<std::string> transfers() {
  std::istringstream text(run_bare({program("transfers")}).out);
  return {std::istream_iterator<std::string>(text), {}};
}

bool is_read(const std::string &call) {
  return call.find("write") == std::string::npos && call.find("send") == std::string::npos;
}

// The program sees what it would see of any memory that may not be touched.
TEST(DropinModes, ATransferThatMeetsClosedMemoryIsAFinding) {
  for (const std::string mode : {"mode=page", "mode=sample:sample_rate=1"}) {
    size_t const step = mode == "mode=page" ? 1 : 6; // of the same code
    std::vector<std::string> const calls = transfers();
    for (size_t i = 0; i < calls.size(); i += step) {
      const std::string &call = calls[i];
      for (const char *const how : {"freed", "short"}) {
        SCOPED_TRACE(mode + " " + call + " " + how);
        Result const result = run({program("transfers"), call, how}, with(mode + ":leaks=0:align=right:halt=0"));
        bool const failed = result.out.find("EFAULT") != std::string::npos;
        EXPECT_TRUE(failed || std::atoi(result.out.c_str()) <= 40) << result.out;
        ASSERT_EQ(result.findings.size(), 1U) << result.out << result.err;
        const Json &finding = result.findings[0];
        bool const freed = how == std::string("freed");
        EXPECT_EQ(finding["bug"].text, freed ? "heap-use-after-free" : "heap-buffer-overflow");
        EXPECT_EQ(finding["access"].text, is_read(call) ? "write" : "read");
        EXPECT_EQ(finding["size"].number, freed ? 64 : 32);
        EXPECT_EQ(finding["offset"].number, freed ? 0 : 32);
        EXPECT_GE(finding["found"]["frames"].items.size(), 2U);
        EXPECT_GE(finding["allocated"]["frames"].items.size(), 1U);
      }
    }
  }
}

TEST(DropinModes, ATransferOfWhatThereIsGoesAsEver) {
  ASSERT_GE(transfers().size(), 28U);
  for (const std::string &call : transfers()) {
    SCOPED_TRACE(call);
    Result const result = run({program("transfers"), call, "good"}, with("mode=page:leaks=0:align=right"));
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.findings.size(), 0U);
    EXPECT_EQ(result.out, run_bare({program("transfers"), call, "good"}).out);
  }
  EXPECT_EQ(run({program("transfers"), "cancel"}, with("mode=page")).status, 0);
}

// The names of the program's calls, and how each uses the block: "names", "reads" or "writes".
std::vector<std::pair<std::string, std::string>> calls() {
  std::istringstream text(run_bare({program("calls")}).out);
  std::vector<std::pair<std::string, std::string>> all;
  for (std::string name, use; text >> name >> use;) {
    all.emplace_back(name, use);
  }
  return all;
}

// On 32 bit the C library converts some structures itself, by which the processor notices.
TEST(DropinModes, AnAddressOfClosedMemoryInACallIsAFinding) {
  bool const is_told_to_the_system = sizeof(void *) == 8;
  ASSERT_GE(calls().size(), 60U);
  for (const auto &[call, use] : calls()) {
    for (const char *const how : {"freed", "short"}) {
      SCOPED_TRACE(call + " " + how);
      Result const result = run({program("calls"), call, how}, with("mode=page:leaks=0:align=exact:halt=0"));
      bool const freed = how == std::string("freed");
      ASSERT_GE(result.findings.size(), 1U) << result.out << result.err;
      const Json &finding = result.findings[0];
      EXPECT_EQ(finding["bug"].text, freed ? "heap-use-after-free" : "heap-buffer-overflow");
      EXPECT_EQ(finding["access"].text, use == "writes" ? "write" : "read");
      EXPECT_GE(finding["found"]["frames"].items.size(), 2U);
      if (is_told_to_the_system) {
        bool const fills_itself = call == "getrandom" && result.out[0] == '0'; // glibc 2.41 does, in user space
        EXPECT_EQ(result.out.substr(0, 2), fills_itself ? "0 " : "-1");
        EXPECT_EQ(finding["offset"].number, freed ? 0 : finding["size"].number);
      }
    }
  }
}

TEST(DropinModes, ACallWithAnAddressGoesAsEver) {
  for (const auto &[call, use] : calls()) {
    for (const char *const mode : {"mode=page:align=exact", "mode=guard:watch=1:sample_seed=1"}) {
      SCOPED_TRACE(call + " " + mode);
      Result const result = run({program("calls"), call, "good"}, with(std::string(mode) + ":leaks=0"));
      EXPECT_EQ(result.findings.size(), 0U);
      EXPECT_EQ(result.out, run_bare({program("calls"), call, "good"}).out);
    }
  }
}

// ---- Blocks that get no pages ----

TEST(DropinModes, WhatIsAboveTheMemoryOfPagesIsGuardedAndCounted) {
  Result const result = run({program("forks"), "1000", "exit"}, with("mode=page:page_memory=1M:summary=1"));
  EXPECT_EQ(result.status, 0);
  long long unpaged = 0; // of the parent: children count their own
  for (const Json &line : result.lines) {
    unpaged += line["unpaged_blocks"].number;
  }
  EXPECT_GT(unpaged, 700);
  EXPECT_LT(unpaged, 800);
  Result const bad = run({program("forks"), "1000", "exit", "bad"}, with("mode=page:page_memory=1M:leaks=0"));
  EXPECT_EQ(bad.status, 99);
  ASSERT_FALSE(bad.findings.empty());
  EXPECT_EQ(bad.findings[0]["mode"].text, "guard");
}

// The program has 70,000 blocks; 20 ms serve some of them, and a hundredth; paths that come later are tried, too.
TEST(DropinModes, ALimitOfTimeLeavesTheRestToGuardAndCountsIt) {
  Result const result = run({std::filesystem::absolute("tools/bench/read_sites").string()},
                            with("mode=page:page_time=1:halt=0:exitcode=0:leaks=0:summary=1"));
  Json const summary = result.last("summary");
  EXPECT_EQ(result.status, 0);
  EXPECT_GT(summary["unpaged_blocks"].number, summary["allocations"].number / 4);
  EXPECT_LT(summary["unpaged_blocks"].number, summary["allocations"].number);
  EXPECT_FALSE(result.findings.empty());
}

TEST(DropinModes, ALimitOfTimeThatIsNotReachedLeavesNothingOut) {
  Result const result = run({program("reads"), "bad"}, with("mode=page:page_time=1:summary=1"));
  EXPECT_EQ(result.status, 99);
  ASSERT_FALSE(result.findings.empty());
  EXPECT_EQ(result.findings[0]["mode"].text, "page");
  EXPECT_EQ(result.last("summary")["unpaged_blocks"].number, 0);
}

// Exact: 13 bytes end with their page, where the alignment of malloc leaves three bytes that reads may touch.
TEST(DropinModes, ExactBlocksLeaveNothingBehind) {
  for (const char *const align : {"exact", "1"}) {
    std::string const options = std::string("mode=page:align=") + align;
    for (const char *const bug :
         {"overflow_by_one", "overflow_of_a_big_block_that_grew", "overflow_of_a_big_block_that_shrank"}) {
      Result const result = run({program("bugs"), bug, "bad"}, with(options));
      ASSERT_EQ(result.findings.size(), 1U) << bug;
      EXPECT_EQ(result.findings[0]["at_access"].kind, Json::kTrue) << bug;
      EXPECT_EQ(run({program("bugs"), bug, "good"}, with(options)).findings.size(), 0U) << bug;
    }
    EXPECT_EQ(run({program("reads"), "good"}, with(options)).findings.size(), 0U);
  }
}

TEST(DropinModes, TheSweepInTheBackgroundFindsDamageWhileTheProgramIsIdle) {
  for (const char *const mode : {"mode=guard", "mode=page:align=left"}) {
    std::string const options = std::string(mode) + ":sweep_every=1:sweep_budget=200";
    Result const result = run({program("idle"), "bad"}, with(options));
    EXPECT_EQ(result.status, 99);
    EXPECT_EQ(result.out, "") << "found only at the end";
    ASSERT_EQ(result.findings.size(), 1U);
    EXPECT_EQ(result.findings[0]["bug"].text, "heap-buffer-overflow");
    Result const good = run({program("idle"), "good"}, with(options));
    EXPECT_EQ(good.out, "end\n");
    EXPECT_EQ(good.status, 0);
    EXPECT_EQ(good.findings.size(), 0U);
  }
}

TEST(DropinModes, TheSweepInTheBackgroundDoesNotDisturbThreadsAndForks) {
  for (const char *const mode : {"mode=guard", "mode=page"}) {
    Result const result = run({program("threads")}, with(std::string(mode) + ":sweep_every=1"));
    EXPECT_EQ(result.out, "ok\n") << mode;
    EXPECT_EQ(result.status, 0) << mode;
    EXPECT_EQ(result.findings.size(), 0U) << mode;
  }
}

// ---- Programs that are right ----

class DropinModePrograms : public testing::TestWithParam<const char *> {};

INSTANTIATE_TEST_SUITE_P(Each, DropinModePrograms, testing::Values("threads", "operators"),
                         [](const testing::TestParamInfo<const char *> &it) { return std::string(it.param); });

TEST_P(DropinModePrograms, RunAsEver) {
  for (const char *const options :
       {kPage, kSample, "mode=sample", "mode=sample:sample_rate=7:sample_slots=3", kOwnHeap}) {
    Result const result = run({program(GetParam())}, with(options));
    EXPECT_EQ(result.out, "ok\n") << options;
    EXPECT_EQ(result.status, 0) << options;
    EXPECT_EQ(result.findings.size(), 0U) << options;
  }
}

// In modes that hand requests on, the malloc behind decides about calls in handlers.
TEST(DropinModes, HandlersMayAllocateWhereBlocksAreOurOwn) {
  for (const char *const options : {kPage, "mode=sample:heap=own", kOwnHeap}) {
    Result const result = run({program("handlers")}, with(options));
    EXPECT_EQ(result.out, "ok\n") << options;
    EXPECT_EQ(result.status, 0) << options;
    EXPECT_EQ(result.findings.size(), 0U) << options;
  }
}

// As docs/checkers/dropin.md has them.
TEST(DropinModes, DefaultsOfTheDropInAreItsOwn) {
  How how;
  how.options = "help=1";
  how.environment = {{"TEST_TARGET", "//some:test"}};
  std::string const in_a_test = run({program("reads"), "good"}, how).err;
  std::string const outside = run({"env", "-u", "TEST_TARGET", program("reads"), "good"}, how).err;
  for (const char *const line : {"  mode=guard\n", "  stack_depth=12\n", "  quarantine=4194304\n", "  watch=2000\n"}) {
    EXPECT_NE(outside.find(line), std::string::npos) << line << outside;
  }
  for (const char *const line : {"  stack_depth=12\n", "  quarantine=4194304\n", "  watch=0\n"}) {
    EXPECT_NE(in_a_test.find(line), std::string::npos) << line << in_a_test;
  }
  EXPECT_EQ(in_a_test.find("watch=2000"), std::string::npos) << in_a_test;
}

TEST(DropinModes, FiguresOfTheHeapCountBlocksOnPages) {
  for (const char *const options : {kPage, "mode=page:page_memory=16M", "mode=guard"}) {
    Result const result = run({program("contract"), "figures"}, with(options));
    EXPECT_EQ(result.out, "ok\n") << options;
    EXPECT_EQ(result.status, 0) << options;
  }
}

// Page keeps address space that other modes give back, which that program counts.
TEST(DropinModes, SampleKeepsMallocsContract) {
  for (const char *const options : {kSample, "mode=sample", "mode=sample:sample_rate=1:sample_slots=2"}) {
    Result const result = run({program("contract")}, with(options + std::string(":heap=own")));
    EXPECT_EQ(result.out, "ok\n") << options;
    EXPECT_EQ(result.status, 0) << options;
    EXPECT_EQ(result.findings.size(), 0U) << options;
  }
}

// ---- Guard, and a few blocks on pages of their own ----

// The functions of read_sites.c whose reads a run has found.
std::set<std::string> sites_found(const std::string &options) {
  How how = with("mode=guard:halt=0:exitcode=0:leaks=0" + options);
  how.log = false;
  Result const result = run({std::filesystem::absolute("tools/bench/read_sites").string()}, how);
  EXPECT_EQ(result.status, 0) << options;
  std::regex const read("READ at [^\n]*\n    #0 [^\n]*(site_[0-9]+)");
  std::set<std::string> found;
  for (std::sregex_iterator at(result.err.begin(), result.err.end(), read), end; at != end; ++at) {
    found.insert((*at)[1]);
  }
  return found;
}

std::string fresh_folder(const std::string &name) {
  std::string const folder = testing::TempDir() + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(DropinModes, GuardWatchesNoBlockInATestUnlessAsked) {
  EXPECT_TRUE(sites_found("").empty());
  EXPECT_FALSE(sites_found(":watch=1000").empty());
}

TEST(DropinModes, GuardComesToNearlyEveryReadInSomeRuns) {
  std::string const folder = fresh_folder("sites");
  std::set<std::string> found;
  for (int i = 0; i < 300 && found.size() < 38; i++) { // as time allows: a fast machine takes more runs
    found.merge(sites_found(":watch=1000:watch_sites=" + folder));
  }
  EXPECT_GE(found.size(), 38U); // the others, once a run with nothing new before them, are left to the lot
}

// It allocates 300 times, and reads each fourth block after its free; no stack is new there.
TEST(DropinModes, GuardLooksAtShortProgramsNowAndThen) {
  bool found = false;
  for (int seed = 1; seed <= 60 && !found; seed++) {
    Result const result = run({program("chosen_sites"), "300", "4"},
                              with("mode=guard:leaks=0:watch=2000:sample_seed=" + std::to_string(seed)));
    found = result.status == 99;
  }
  EXPECT_TRUE(found);
}

// Each thread draws anew: with one of two watched, the only allocation of the second thread is in half of the runs.
TEST(DropinModes, GuardMayWatchTheFirstAllocationOfAThread) {
  int found = 0;
  for (int seed = 1; seed <= 12; seed++) {
    Result const result = run({program("chosen_sites"), "2", "2", "threads"},
                              with("mode=guard:leaks=0:watch=2:sample_seed=" + std::to_string(seed)));
    found += result.status == 99 ? 1 : 0;
  }
  EXPECT_GT(found, 0);
  EXPECT_LT(found, 12);
}

TEST(DropinModes, WhatGuardWatchesIsKeptByPathOnceInAFileOfTheProgram) {
  std::string const folder = fresh_folder("kept");
  (void)sites_found(":watch=1:watch_sites=" + folder);
  (void)sites_found(":watch=1:watch_sites=" + folder);
  std::set<std::string> lines;
  size_t count = 0;
  for (const auto &file : std::filesystem::directory_iterator(folder)) {
    EXPECT_EQ(file.path().extension(), ".sites");
    std::ifstream text(file.path());
    for (std::string line; std::getline(text, line); count++) {
      EXPECT_TRUE(std::regex_match(line, std::regex("[0-9a-f]{8}"))) << line;
      lines.insert(line);
    }
  }
  EXPECT_GT(count, 0U);
  EXPECT_EQ(lines.size(), count);
}

TEST(DropinModes, AFindingOfGuardsWatchingTellsHowToMakeItAgainForCertain) {
  How how = with("mode=guard:halt=0:exitcode=0:leaks=0:watch=500");
  how.log = false;
  std::string const program = std::filesystem::absolute("tools/bench/read_sites").string();
  std::string const text = run({program}, how).err;
  std::smatch again;
  ASSERT_TRUE(std::regex_search(text, again, std::regex("RINGFENCE_OPTIONS=(watch=500:sample_seed=[0-9]+)")));
  std::regex const read("READ at [^\n]*\n    #0 [^\n]*(site_[0-9]+)");
  std::set<std::string> const certain = sites_found(":" + again[1].str());
  for (std::sregex_iterator at(text.begin(), text.end(), read), end; at != end; ++at) {
    EXPECT_EQ(certain.count((*at)[1]), 1U) << (*at)[1];
  }
}

TEST(DropinModes, AFolderForWatchedSitesThatIsNoneIsSaid) {
  How how = with("mode=guard:watch=1000:watch_sites=/nowhere");
  how.log = false;
  Result const result = run({program("reads"), "good"}, how);
  EXPECT_EQ(result.status, 0);
  EXPECT_NE(result.err.find("watch_sites: no folder for files: /nowhere"), std::string::npos) << result.err;
}

TEST(DropinModes, EachIsNamedInTheSummary) {
  for (const std::string mode : {"off", "sample", "guard", "page"}) {
    Result const result = run({program("reads"), "good"}, with("mode=" + mode + ":summary=1"));
    EXPECT_EQ(result.last("summary")["mode"].text, mode);
  }
}

// tools/try_aarch64.sh tries it on a processor and a system with tags.
TEST(DropinModes, MteIsGuardAndALineThatSaysWhyWhereThereAreNoTags) {
  Result const result = run({program("reads"), "good"}, with("mode=mte:summary=1"));
  if (result.last("summary")["mode"].text == "mte") {
    GTEST_SKIP() << "there are tags";
  }
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.last("summary")["mode"].text, "guard");
  EXPECT_EQ(result.err, "ringfence: mode mte is not available (it needs Linux on an AArch64 processor with the Memory "
                        "Tagging Extension); using mode guard\n");
}

TEST(DropinModes, AsanIsGuardAndALineThatSaysWhy) {
  Result const result = run({program("reads"), "good"}, with("mode=asan:summary=1"));
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.last("summary")["mode"].text, "guard");
  EXPECT_EQ(result.err, "ringfence: mode asan is for a program's own allocators: AddressSanitizer has its own malloc; "
                        "using mode guard\n");
}

TEST(DropinModes, PageCountsItsBlocksInTheSummary) {
  Result const page = run({program("reads"), "good"}, with("mode=page:summary=1"));
  Result const guard = run({program("reads"), "good"}, with("mode=guard:summary=1"));
  for (const char *const figure : {"allocations", "bytes", "live_blocks", "live_bytes"}) {
    EXPECT_EQ(page.last("summary")[figure].number, guard.last("summary")[figure].number) << figure;
  }
}

} // namespace
} // namespace ringfence_test
