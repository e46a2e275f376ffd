// How a process begins and ends under the drop-in: its status, its output, and what it tells about itself.
#include "tests/dropin/run.h"

#include <algorithm>
#include <csignal>
#include <gtest/gtest.h>
#include <set>
#include <utility>

namespace ringfence_test {
namespace {

struct Ending {
  const char *how;    // in programs/process.c
  int status;         // without anything found
  int status_found;   // with damage done
  const char *output; // what reaches standard output
};

void PrintTo(const Ending &ending, std::ostream *out) {
  *out << ending.how;
}

const Ending kEndings[] = {
    {"return", 3, 99, "output"},
    {"exit", 4, 99, "output"},
    {"_exit", 4, 99, ""},
    {"quick_exit", 4, 99, ""},
    {"exit_group", 4, 99, ""},
    {"exit_of_all", 4, 99, ""},
    {"abort", 128 + SIGABRT, 128 + SIGABRT, ""},
    {"segv", 128 + SIGSEGV, 128 + SIGSEGV, ""},
    {"raise_segv", 128 + SIGSEGV, 128 + SIGSEGV, ""},
    {"raised_again", 128 + SIGSEGV, 128 + SIGSEGV, ""},
    {"slow_handler", 128 + SIGSEGV, 128 + SIGSEGV, ""},
    {"handler", 6, 99, ""},
    {"own_segv", 7, 99, "outputhandled\n"},
    {"chained_segv", 128 + SIGSEGV, 128 + SIGSEGV, ""},
    {"thread", 5, 99, "output"},
    {"pthread_exit", 0, 99, "output"},
    {"exec", 8, 8, ""},
    {"exec_call", 8, 8, ""},
    {"exec_at_call", 8, 8, ""},
};

class ProcessEnding : public testing::TestWithParam<Ending> {};

INSTANTIATE_TEST_SUITE_P(Each, ProcessEnding, testing::ValuesIn(kEndings),
                         [](const testing::TestParamInfo<Ending> &it) { return std::string(it.param.how); });

// A 32-bit library cannot go into the 64-bit program that takes over, and the loader says so.
void expect_no_errors(const Result &result) {
  if (sizeof(void *) == 8) {
    EXPECT_EQ(result.err, "");
  }
}

// A crash is a finding of its own, which changes no status.
size_t crashes_of(const Ending &ending) {
  static const std::set<std::string> all = {"segv", "chained_segv", "raised_again", "slow_handler"};
  return all.count(ending.how);
}

TEST_P(ProcessEnding, IsAsEverWithBlocksOnPagesOfTheirOwn) {
  for (const char *const options : {"watch=10:sample_seed=1", "mode=sample:sample_rate=1", "mode=page"}) {
    Result const result = run({program("process"), GetParam().how}, with(options));
    EXPECT_EQ(result.status, GetParam().status) << options;
    EXPECT_EQ(result.out, GetParam().output) << options;
    EXPECT_EQ(result.findings.size(), crashes_of(GetParam())) << options << ": the crash itself";
  }
}

TEST_P(ProcessEnding, IsAsEverWhenNothingIsFound) {
  Result const result = run({program("process"), GetParam().how}, with("summary=1"));
  EXPECT_EQ(result.status, GetParam().status);
  EXPECT_EQ(result.out, GetParam().output);
  expect_no_errors(result);
  size_t const crashes = crashes_of(GetParam());
  EXPECT_EQ(result.findings.size(), crashes) << "the crash itself";
  EXPECT_EQ(result.last("start").kind, Json::kObject);
  EXPECT_EQ(result.last("summary")["findings"].number, static_cast<double>(crashes));
  EXPECT_GE(result.last("summary")["allocations"].number, 1);
}

TEST_P(ProcessEnding, ChecksBlocksThatWereNeverFreed) {
  Result const result = run({program("process"), GetParam().how, "bad"}, with("summary=1"));
  EXPECT_EQ(result.status, GetParam().status_found);
  EXPECT_EQ(result.out, GetParam().output);
  expect_no_errors(result);
  ASSERT_EQ(result.findings.size(), 1U + crashes_of(GetParam()));
  EXPECT_EQ(result.findings.back()["bug"].text, "heap-buffer-overflow");
  EXPECT_EQ(result.first("summary")["findings"].number, static_cast<double>(result.findings.size()));
}

TEST(Process, MayEndFromWhereverItsStackIs) {
  for (const char *const mode : {"mode=off", "mode=guard", "mode=sample", "mode=page"}) {
    Result const good = run({program("odd_ends"), "halt"}, with(mode));
    EXPECT_EQ(good.status, 5) << mode;
    EXPECT_EQ(good.findings.size(), 0U) << mode;
  }
  Result const bad = run({program("odd_ends"), "halt", "bad"}, with(""));
  EXPECT_EQ(bad.status, 99);
  EXPECT_EQ(bad.findings.size(), 1U);
}

// The child ends by its finding, in its parent's memory.
TEST(Process, GoesOnAsBeforeAfterAFindingInAChildOfVfork) {
  for (const char *const mode : {"mode=guard", "mode=page"}) {
    Result const result = run({program("odd_ends"), "vfork"}, with(mode));
    EXPECT_EQ(result.status, 99) << mode;
    ASSERT_EQ(result.findings.size(), 3U) << mode << result.err;
    EXPECT_EQ(result.findings[0]["bug"].text, "double-free") << mode;
    EXPECT_EQ(result.findings[1]["bug"].text, "heap-buffer-overflow") << mode;
    EXPECT_EQ(result.findings[2]["bug"].text, "memory-leak") << mode;
  }
}

TEST(Process, WritesNothingUnlessItIsAskedTo) {
  Result const result = run({program("process"), "return"});
  EXPECT_EQ(result.lines.size(), 0U);
  EXPECT_EQ(result.err, "");
}

TEST(Process, TellsPeopleWhatItChecksWhereAskedTo) {
  Result const result = run({program("process"), "return"}, with("verbosity=1:quarantine=4096"));
  EXPECT_NE(result.err.find(" begins: mode guard, quarantine 4096, "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(", findings 0"), std::string::npos) << result.err;
  EXPECT_EQ(result.out, "output");
}

TEST(Process, SummaryCountsWhatTheProgramDid) {
  Result const result = run({program("bugs"), "overflow_by_one", "good"}, with("summary=1"));
  const Json &summary = result.last("summary");
  EXPECT_EQ(summary["program"].text, program("bugs"));
  EXPECT_EQ(summary["mode"].text, "guard");
  EXPECT_EQ(summary["version"].number, 1);
  EXPECT_GE(summary["allocations"].number, 1);
  EXPECT_GE(summary["bytes"].number, 13);
  EXPECT_GE(summary["peak"].number, 13);
  EXPECT_LE(summary["peak"].number, summary["bytes"].number);
  EXPECT_GT(summary["duration_ns"].number, 0);
  EXPECT_GT(result.last("start")["pid"].number, 1);
  EXPECT_EQ(result.last("start")["pid"].number, summary["pid"].number);
}

TEST(Process, SeesNoHandlersButItsOwn) {
  EXPECT_EQ(run({program("process"), "defaults"}).status, 3);
  for (const char *const options : {"snapshot_signal=SIGUSR2", "watch=1", "mode=page", "mode=sample:sample_rate=1"}) {
    EXPECT_EQ(run({program("process"), "defaults"}, with(options)).status, 3) << options;
  }
}

// In every mode: what was given is counted, what could not be given is not.
TEST(Process, SummaryCountsInEveryMode) {
  for (const char *const mode : {"off:heap=own", "sample:heap=own", "guard", "page"}) {
    SCOPED_TRACE(mode);
    Result const result = run({program("memory_limits"), "once"}, with(std::string("summary=1:mode=") + mode));
    EXPECT_EQ(result.status, 0);
    const Json &summary = result.last("summary");
    EXPECT_GE(summary["allocations"].number, 100);
    EXPECT_GE(summary["bytes"].number, 100000);
    EXPECT_LT(summary["bytes"].number, 1 << 20);
    EXPECT_GE(summary["peak"].number, 100000);
    EXPECT_LE(summary["peak"].number, summary["bytes"].number);
  }
}

// A thread that frees other threads' blocks has fewer than none by its own count.
TEST(Process, SummaryHasThePeakOfAllThreads) {
  for (const char *const mode : {"off:heap=own", "sample:heap=own", "guard", "page"}) {
    SCOPED_TRACE(mode);
    Result const result =
        run({program("memory_limits"), "once_elsewhere"}, with(std::string("summary=1:mode=") + mode));
    EXPECT_EQ(result.status, 0);
    const Json &summary = result.last("summary");
    EXPECT_GE(summary["peak"].number, 100000 - (64 << 10));
    EXPECT_LE(summary["peak"].number, summary["bytes"].number);
  }
}

// Pages that are closed around a few blocks, or by access rights, are none that it is told to be readable.
TEST(Process, MayReadAllThatItsMapsSayIsReadable) {
  for (const char *const options : {"mode=guard:watch=1", "mode=sample:sample_rate=1", "mode=page:page_close=rights"}) {
    Result const result = run({program("scanner")}, with(options));
    EXPECT_EQ(result.status, 0) << options;
    EXPECT_TRUE(result.findings.empty()) << options;
  }
}

// If they are not told, the finding names the option.
TEST(Process, ThatReadsAllThatItsMapsSayIsReadableIsToldOfTheOption) {
  for (const char *const options : {"mode=page", "mode=page:page_close=markers"}) {
    Result const result = run({program("scanner")}, with(options));
    ASSERT_EQ(result.findings.size(), 1U) << options;
    EXPECT_NE(result.findings[0]["detail"].text.find("page_close=rights"), std::string::npos) << options;
  }
}

TEST(Process, StacksAreNoDeeperThanTheOptionSaysInModesThatCheckAll) {
  for (const char *const mode : {"guard", "page"}) {
    for (unsigned const depth : {3U, 8U}) {
      Result const result =
          run({program("process"), "wild_behind"}, with("stack_depth=" + std::to_string(depth) + ":mode=" + mode));
      ASSERT_EQ(result.findings.size(), 1U) << mode;
      size_t const frames = result.findings[0]["allocated"]["frames"].items.size();
      EXPECT_EQ(frames <= 3, depth == 3) << mode << frames;
    }
  }
}

// The smallest table of stacks is a sixty-fourth of this.
TEST(Process, StacksAreKeptWhereDataIsScarce) {
  How how = with("leaks=0");
  how.data = size_t{16} << 20;
  Result const result = run({program("process"), "return", "bad"}, how);
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_GE(result.findings[0]["allocated"]["frames"].items.size(), 2U);
}

TEST(Process, ExitCodeIsAnOption) {
  EXPECT_EQ(run({program("process"), "return", "bad"}, with("exitcode=42")).status, 42);
  EXPECT_EQ(run({program("process"), "return", "bad"}, with("exitcode=0")).status, 3);
}

TEST(Process, AbortsAtAFindingWhereAskedToWhateverItsHandlerAndMask) {
  for (const char *const mode : {"guard", "page"}) {
    Result const result = run({program("process"), "many", "deaf"}, with(std::string("abort=1:mode=") + mode));
    EXPECT_EQ(result.status, 128 + SIGABRT);
    EXPECT_EQ(result.findings.size(), 1U);
    EXPECT_EQ(result.out, "");
  }
  EXPECT_EQ(run({program("process"), "return", "bad"}, with("abort=1")).status, 99) << "its work is done";
}

TEST(Process, GoesOnAfterFindingsWhereAskedTo) {
  Result const result = run({program("process"), "many"}, with("halt=0"));
  EXPECT_EQ(result.findings.size(), 5U);
  EXPECT_EQ(result.out, "output");
  EXPECT_EQ(result.status, 99);
  Result const halted = run({program("process"), "many"});
  EXPECT_EQ(halted.findings.size(), 1U);
  EXPECT_EQ(halted.out, "");
  EXPECT_EQ(halted.status, 99);
}

TEST(Process, ThreadsThatAreCancelledLeaveNoLockBehind) {
  EXPECT_EQ(run({program("process"), "cancelled"}).status, 3);
}

// The C library ends it with the last thread, of which the checker's is none.
// The keys by which the library is told of a thread's end are none that a program could take for its own.
TEST(Process, HasNoKeysButItsOwn) {
  for (const char *const mode : {"guard", "page", "sample:sample_rate=1", "off"}) {
    Result const result = run({program("unmade_keys")}, with(std::string("mode=") + mode));
    EXPECT_EQ(result.status, 0) << mode << ": " << result.out;
    EXPECT_EQ(result.findings.size(), 0U) << mode;
  }
}

TEST(Process, EndsWithItsLastThreadThoughItIsCheckedInTheBackground) {
  for (const char *const mode : {"mode=guard:sweep_every=1", "mode=page:sweep_every=1", "mode=guard:sweep_every=20"}) {
    Result const result = run({program("process"), "pthread_exit"}, with(mode));
    EXPECT_EQ(result.status, 0) << mode;
    EXPECT_EQ(result.out, "output") << mode;
  }
}

// A name of such a thread is in its storage, which is gone.
TEST(Process, AThreadWhoseEndIsNotToldIsInNobodysWay) {
  for (const char *const mode : {"mode=guard", "mode=page", "mode=sample:sample_rate=1", "mode=off"}) {
    Result const result = run({program("process"), "last_of_all"}, with(mode));
    EXPECT_EQ(result.status, 3) << mode;
    EXPECT_TRUE(result.findings.empty()) << mode;
  }
}

TEST(Process, ACrashByAPointerOutOfFreedMemoryIsAUseAfterFree) {
  Result const result = run({program("process"), "stale_pointer"}, with("mode=guard"));
  EXPECT_EQ(result.status, 99);
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
  const Json &finding = result.findings[0];
  std::string const plain = "the pointer was read from freed memory, whose bytes are 0xcc";
  EXPECT_FALSE(finding["found"]["frames"].items.empty());
  if (finding["detail"].text != plain) { // optimised code has the block's address no more
    EXPECT_EQ(finding["detail"].text, plain + ": probably from this block, whose address the code has");
    EXPECT_EQ(finding["relation"].text, "inside");
    EXPECT_EQ(finding["distance"].number, 0);
    EXPECT_FALSE(finding["allocated"]["frames"].items.empty());
    EXPECT_FALSE(finding["released"]["frames"].items.empty());
  }
#if !defined(__OPTIMIZE__)
  EXPECT_NE(finding["detail"].text, plain) << "it is in a variable";
#endif
}

TEST(Process, ACrashByAPointerOutOfMemoryThatHasAFillSaysWhich) {
  std::pair<const char *, const char *> const rows[] = {
      {"unset_pointer", "SIGSEGV: the pointer was read from memory that was never written, whose bytes are 0xcd"},
      {"guard_pointer", "SIGSEGV: the pointer was read from the guard bytes beside a block, which are 0xfd"},
  };
  for (auto const &[name, detail] : rows) {
    Result const result = run({program("process"), name}, with("mode=guard"));
    EXPECT_EQ(result.status, 128 + SIGSEGV) << name;
    ASSERT_EQ(result.findings.size(), 1U) << name;
    EXPECT_EQ(result.findings[0]["bug"].text, "SEGV") << name;
    EXPECT_EQ(result.findings[0]["detail"].text, detail) << name;
  }
}

TEST(Process, ACrashNearALargeBlockNamesTheBlock) {
  for (const char *const how : {"before", "after"}) {
    bool const behind = std::string(how) == "after";
    Result const result = run({program("process"), behind ? "wild_behind" : "wild_before"});
    EXPECT_EQ(result.status, 128 + SIGSEGV) << how;
    ASSERT_EQ(result.findings.size(), 1U) << how;
    const Json &finding = result.findings[0];
    EXPECT_EQ(finding["detail"].text, "SIGSEGV: a wild access near a block");
    EXPECT_EQ(finding["access"].text, "read");
    EXPECT_EQ(finding["relation"].text, how);
    EXPECT_EQ(finding["size"].number, 3000000);
    EXPECT_GE(finding["distance"].number, 60000);
    EXPECT_LE(finding["distance"].number, 0x10000 + 8);
  }
}

TEST(Process, ACrashNearALargeBlockThatIsFreedIsAboutNoBlock) {
  for (const char *const how : {"wild_before_freed", "wild_behind_freed"}) {
    Result const result = run({program("process"), how});
    EXPECT_EQ(result.status, 128 + SIGSEGV) << how;
    ASSERT_EQ(result.findings.size(), 1U) << how;
    EXPECT_EQ(result.findings[0]["bug"].text, "SEGV");
    EXPECT_EQ(result.findings[0]["detail"].text.find("near a block"), std::string::npos)
        << result.findings[0]["detail"].text;
  }
}

TEST(Process, MemoryThatIsTakenFromAFreedBlockIsAUseOfIt) {
  for (const char *const mode : {"mode=guard", "mode=page"}) {
    for (const char *const how : {"unmap_freed", "map_freed", "move_freed", "replace_freed"}) {
      SCOPED_TRACE(std::string(mode) + " " + how);
      Result const result = run({program("process"), how}, with(mode));
      EXPECT_EQ(result.status, 99) << "nothing reads it at the end";
      ASSERT_EQ(result.findings.size(), 1U);
      EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
      EXPECT_EQ(result.findings[0]["size"].number, 8192);
      EXPECT_EQ(result.findings[0]["found"]["frames"].items.at(0)["module"].text, program("process"));
    }
  }
}

TEST(Process, ABlockWhosePagesStayedIsCheckedAfterACallThatMayMoveThem) {
  for (const char *const mode : {"mode=guard", "mode=page"}) {
    SCOPED_TRACE(mode);
    Result const result = run({program("process"), "unmoved"}, with(mode));
    EXPECT_EQ(result.status, 99);
    ASSERT_EQ(result.findings.size(), 1U);
    EXPECT_EQ(result.findings[0]["bug"].text, "heap-buffer-overflow");
  }
}

TEST(Process, ACrashWhereABlockHasNoMemoryNamesTheBlock) {
  for (const char *const mode : {"mode=guard", "mode=page"}) {
    for (const char *const how : {"unmap_live", "map_live", "move_live", "replace_live"}) {
      SCOPED_TRACE(std::string(mode) + " " + how);
      Result const result = run({program("process"), how}, with(mode));
      EXPECT_EQ(result.status, 128 + SIGSEGV);
      ASSERT_EQ(result.findings.size(), 1U);
      EXPECT_EQ(result.findings[0]["bug"].text, "SEGV");
      EXPECT_EQ(result.findings[0]["detail"].text,
                "SIGSEGV: the memory of the block was unmapped, or may not be used so: munmap, mremap, mmap, mprotect");
      EXPECT_EQ(result.findings[0]["size"].number, 8192);
    }
  }
}

TEST(Process, ItsEndDoesNotWakeThreadsThatWait) {
  for (int i = 0; i < 5; i++) {
    Result const result = run({program("process"), "waiting"});
    EXPECT_EQ(result.status, 3);
    EXPECT_EQ(result.out, "output");
  }
}

TEST(Process, EndsThoughThreadsAllocateWithTheLoaderLocked) {
  EXPECT_EQ(run({program("process"), "loader"}).status, 3);
  EXPECT_EQ(run({program("process"), "loader_fork"}).status, 3);
}

TEST(Process, AsksTheSystemForNothingButMemoryInTheMiddle) {
  for (const char *const mode : {"mode=off", "mode=guard", "mode=page", "mode=sample", "mode=sample:sample_rate=1"}) {
    EXPECT_EQ(run({program("process"), "sandbox"}, with(mode)).status, 3) << mode;
  }
}

TEST(Process, LooksForNoLeaksWhereThatWouldEndIt) {
  for (const char *const mode : {"guard", "page"}) {
    Result const result = run({program("process"), "no_handlers"}, with(std::string("summary=1:mode=") + mode));
    EXPECT_EQ(result.status, 3) << mode;
    const Json &summary = result.last("summary");
    EXPECT_EQ(summary["leaks_checked"].kind, Json::kFalse) << mode;
    EXPECT_NE(summary["leaks_unchecked_because"].text.find("(seccomp)"), std::string::npos) << mode;
  }
}

// A program that leaves at once has not freed what it holds.
TEST(Process, LooksForLeaksWhereItExitsAndNotWhereItLeavesAtOnce) {
  for (const char *const how : {"return", "exit", "_exit", "quick_exit"}) {
    bool const exits = std::string(how).find('_') == std::string::npos;
    Result const result = run({program("process"), how}, with("summary=1"));
    EXPECT_EQ(result.last("summary")["leaks_checked"].kind, exits ? Json::kTrue : Json::kFalse) << how;
  }
}

// "Nothing found" and "not looked for" are not the same.
TEST(Process, SaysThatAndWhyLeaksWereNotLookedFor) {
  How how = with("");
  how.log = false;
  Result const result = run({program("process"), "no_files"}, how);
  EXPECT_EQ(result.status, 3);
  EXPECT_NE(result.err.find(": leaks were not looked for: the list of threads cannot be read (/proc)\n"),
            std::string::npos)
      << result.err;
}

TEST(Process, ChecksOnDemand) {
  EXPECT_EQ(run({program("process"), "sweep"}).out, "output0\n");
  EXPECT_EQ(run({program("process"), "sweep", "bad"}, with("halt=0")).out, "output1\n");
}

TEST(Process, RequestsThatCannotBeServedAreReportedWhereAskedTo) {
  EXPECT_EQ(run({program("process"), "rejected"}).findings.size(), 0U);
  Result const result = run({program("process"), "rejected"}, with("rejected=1:halt=0"));
  Result const sampled = run({program("process"), "rejected"}, with("rejected=1:halt=0:mode=sample"));
  for (const Result *const r : {&result, &sampled}) {
    ASSERT_EQ(r->findings.size(), 4U);
    EXPECT_EQ(r->findings[0]["bug"].text, "calloc-overflow");
    EXPECT_EQ(r->findings[1]["bug"].text, "allocation-size-too-big");
    EXPECT_EQ(r->findings[2]["bug"].text, "invalid-allocation-alignment");
    EXPECT_EQ(r->findings[3]["bug"].text, "invalid-allocation-alignment");
    EXPECT_EQ(r->findings[3]["argument"].number, sizeof(void *) / 2) << "posix_memalign wants more than a power of two";
    EXPECT_EQ(r->findings[0]["size"].number, 16) << "each of them";
    EXPECT_GT(r->findings[0]["argument"].number, 16) << "so many";
  }
}

TEST(Process, WarnsOfOptionsThatItDoesNotKnow) {
  Result const result = run({program("process"), "return"}, with("quarantin=5"));
  EXPECT_EQ(result.status, 3);
  EXPECT_NE(result.err.find("quarantin"), std::string::npos);
}

TEST(Process, UncheckedFindsNothing) {
  Result const result = run({program("process"), "return", "bad"}, with("mode=off:summary=1"));
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.findings.size(), 0U);
  EXPECT_EQ(result.last("summary")["mode"].text, "off");
}

TEST(Process, IsNotAtItsEndWhereAThreadOfCloneEnds) {
  Result const result = run({program("process"), "clone"}, with("summary=1:halt=0"));
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.last("summary")["findings"].number, 1);
}

TEST(Process, GoesOnAfterACallThatExecutesNothing) {
  Result const result = run({program("process"), "exec_of_nothing", "bad"}, with("summary=1:halt=0"));
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.out, "output2");
  EXPECT_EQ(result.findings.size(), 1U);
}

TEST(Process, TellsItsEndOnce) {
  for (const char *const how :
       {"return", "exit", "_exit", "quick_exit", "exit_group", "pthread_exit", "abort", "segv", "signal15"}) {
    Result const result = run({program("process"), how}, with("mode=guard:summary=1"));
    size_t const ends = static_cast<size_t>(std::count_if(
        result.lines.begin(), result.lines.end(), [](const Json &line) { return line["type"].text == "summary"; }));
    EXPECT_EQ(ends, 1U) << how;
  }
}

} // namespace
} // namespace ringfence_test
