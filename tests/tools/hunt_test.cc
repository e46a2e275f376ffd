// `ringfence check --hunt`: several runs, one report; the program's output and status are those of one run.
#include "tests/tools/run.h"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace {

using namespace ringfence_test;

Result hunt(const std::vector<std::string> &words, const std::string &input = "one\ntwo\n",
            const std::vector<std::string> &options = {"--hunt"}) {
  std::vector<std::string> all = options;
  How how;
  how.input = input;
  all.insert(all.end(), {"--", program("hunted")});
  all.insert(all.end(), words.begin(), words.end());
  return check(all, how);
}

TEST(Hunt, EndsWhereTheUserEndsTheProgram) {
  for (int const number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) {
    const Result result = check({"--hunt", "--", program("ends"), "signal", std::to_string(number)});
    EXPECT_TRUE(has(result.err, "mode hunt (1 run)")) << number << result.err;
  }
}

TEST(Hunt, TakesAsLongAsItsRunsTogether) {
  std::string const file = scratch("hunt.json");
  (void)check({"--hunt=3", "--json", file, "--", "sleep", "0.2"});
  std::string const text = read_file(file);
  size_t const at = text.find("\"duration_ns\":");
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_GE(std::stoull(text.substr(at + strlen("\"duration_ns\":"))), 600000000U) << text;
  unlink(file.c_str());
}

struct Bug {
  const char *name;
  const char *kind;
  const char *access;
};

const Bug kBugs[] = {
    {"read-after", "heap-buffer-overflow", "READ"},   {"read-before", "heap-buffer-underflow", "READ"},
    {"write-after", "heap-buffer-overflow", "WRITE"}, {"write-before", "heap-buffer-underflow", "WRITE"},
    {"read-freed", "heap-use-after-free", "READ"},    {"write-freed", "heap-use-after-free", "WRITE"},
};

// One byte beyond either end, whatever the size; each once, at its line, though several runs see it.
TEST(Hunt, FindsReadsAndWritesOnBothSides) {
  std::string const text = read_file(source("tests/tools/programs/hunted.c"));
  for (const Bug &bug : kBugs) {
    for (const char *const size : {"1", "13", "16", "24", "100", "4095", "4096", "4097", "100000"}) {
      SCOPED_TRACE(std::string(bug.name) + " " + size);
      Result const result = hunt({bug.name, size});
      EXPECT_EQ(result.status, 99);
      EXPECT_EQ(result.out, "2 lines\n");
      EXPECT_EQ(count(result.err, "ERROR: "), 1U) << result.err;
      EXPECT_TRUE(has(result.err, std::string("ERROR: Ringfence: ") + bug.kind)) << result.err;
      EXPECT_TRUE(has(result.err, std::string(bug.access) + " at ")) << result.err;
      std::string const line = std::to_string(line_of(text, std::string("/* ") + bug.name + " */"));
      EXPECT_TRUE(has(result.err, "hunted.c:" + line + " in touch")) << result.err;
      EXPECT_TRUE(has(result.err, "  found by run ")) << result.err;
      EXPECT_TRUE(has(result.err, "ringfence: 1 finding in ")) << result.err;
    }
  }
}

TEST(Hunt, NamesTheRunThatFoundIt) {
  EXPECT_TRUE(has(hunt({"read-after", "13"}).err, "  found by run 2: page, align=exact\n"));
  EXPECT_TRUE(has(hunt({"read-before", "13"}).err, "  found by run 3: page, align=left\n"));
  EXPECT_TRUE(has(hunt({"read-before", "13"}, "", {"--hunt", "--format=json"}).err, R"("run":"3: page, align=left")"));
}

// A filter: the input comes once, each run has it, the output comes once.
TEST(Hunt, GivesEachRunTheInput) {
  std::string input;
  for (int i = 0; i < 30000; i++) {
    input += "line\n";
  }
  Result const result = hunt({"none", "5"}, input);
  EXPECT_EQ(result.out, "30000 lines\n");
  EXPECT_EQ(count(result.err, "done\n"), 1U);
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.said().size(), 1U) << result.err;
  EXPECT_TRUE(has(result.err, "nothing found in 3 processes")) << result.err;
}

// As after one run: neither what was read before the command nor what it did not read is lost.
TEST(Hunt, LeavesTheRestOfTheInputToItsCaller) {
  const std::string file = scratch("input");
  write_file(file, "one\ntwo\nthree\n");
  Result const result =
      run({"sh", "-c", "{ read -r a; \"$0\" check -q --hunt -- sh -c 'read -r b; echo \"$b\"'; cat; } < \"$1\"",
           ringfence(), file});
  EXPECT_EQ(result.out, "two\nthree\n") << result.err;
}

TEST(Hunt, StopsWhenNothingIsNewOrAfterSoManyRuns) {
  EXPECT_TRUE(has(hunt({"none", "5"}).err, "mode hunt (3 runs)"));
  EXPECT_TRUE(has(hunt({"read-after", "5"}).err, "mode hunt (4 runs)"));
  EXPECT_TRUE(has(hunt({"read-after", "5"}, "", {"--hunt=3"}).err, "mode hunt (3 runs)"));
}

TEST(Hunt, RefusesATerminal) {
  How how;
  how.terminal = true;
  Result const result = check({"--hunt", "--", program("hunted"), "none", "5"}, how);
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(has(result.err, "with the same input")) << result.err;
}

TEST(Hunt, RefusesWhatItChoosesItself) {
  for (const std::vector<std::string> &options :
       std::vector<std::vector<std::string>>{{"--hunt", "--mode=page"},
                                             {"--halt", "--hunt"},
                                             {"--hunt", "--option", "align=left"},
                                             {"--hunt", "--option", "page_time=25"},
                                             {"--hunt=2"},
                                             {"--hunt=1001"},
                                             {"--hunt=x"},
                                             {"--hunt", "--trace", "x"}}) {
    Result const result = hunt({"none", "5"}, "", options);
    EXPECT_EQ(result.status, 2) << options[0] << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST(Hunt, MayTakeAThousandRuns) {
  EXPECT_EQ(check({"--hunt=1000", "--", "/nonexistent"}).status, 127);
}

TEST(Hunt, SaysThatARunCrashedElsewhere) {
  Result const result = hunt({"crash", "13"});
  EXPECT_TRUE(has(result.err, ": it crashed elsewhere than on a closed page\n")) << result.err;
}

// The first run takes the input away; the others do something else, which is said.
TEST(Hunt, SaysThatAProgramThatDeletesItsInputDiffers) {
  const std::string input = scratch("input");
  write_file(input, "one\n");
  Result const result = hunt({"none", "5", input}, "");
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.out, "1 lines\n");
  EXPECT_TRUE(has(result.err, "run 2 (page, align=exact) is not counted")) << result.err;
  EXPECT_TRUE(has(result.err, "run 3 (page, align=right): exit status 4 instead of exit status 3")) << result.err;
  EXPECT_TRUE(has(result.err, "run 4 (page, align=left): exit status 4 instead of exit status 3")) << result.err;
}

TEST(Hunt, GivesEachRunAFolderForTemporaryFiles) {
  const std::string folder = scratch("folder");
  ASSERT_EQ(mkdir(folder.c_str(), 0755), 0);
  How how;
  how.environment = {{"TMPDIR", folder}};
  Result const result = check({"--hunt", "--", program("hunted"), "temporary", "16"}, how);
  EXPECT_EQ(result.out, "not there\n0 lines\n");
  EXPECT_EQ(result.said().size(), 1U) << result.err;
  EXPECT_EQ(rmdir(folder.c_str()), 0) << "something is left in it";
}

// Its block ends with the page: the system stops there, and where malloc's alignment leaves room it does not.
TEST(Hunt, SaysHowToSeeWhatChangedTheOutput) {
  Result const result = hunt({"put-out-after", "20"});
  EXPECT_TRUE(has(result.err, "run 2 (page, align=exact) is not counted, with 1 finding")) << result.err;
  EXPECT_TRUE(has(result.err, "see them by ringfence check --mode page --option align=exact")) << result.err;
  Result const shown =
      check({"--mode", "page", "--option", "align=exact", "--", program("hunted"), "put-out-after", "20"});
  EXPECT_EQ(shown.status, 99);
  EXPECT_TRUE(has(shown.err, "heap-buffer-overflow")) << shown.err;
}

// The call comes short there, which the program puts out.
TEST(Hunt, KeepsOfARunThatDiffersWhatTheFirstFoundToo) {
  std::string const text = read_file(source("tests/tools/programs/hunted.c"));
  Result const result = hunt({"take-in-after", "20"});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.out, "21 bytes\n")) << result.out;
  EXPECT_TRUE(has(result.err, "run 2 (page, align=exact) is not counted, with 1 finding")) << result.err;
  EXPECT_TRUE(has(result.err, "kept, since run 1 found the same: 1 finding")) << result.err;
  EXPECT_FALSE(has(result.err, "see them by")) << result.err;
  EXPECT_EQ(count(result.err, "ERROR: "), 1U) << result.err;
  std::string const line = std::to_string(line_of(text, "/* take-in-after */"));
  EXPECT_TRUE(has(result.err, "hunted.c:" + line + " in touch")) << result.err;
  EXPECT_TRUE(has(result.err, "  found by run 2: page, align=exact\n")) << result.err;
}

// A run that fails for its alignment says nothing about the program.
TEST(Hunt, RepeatsARunThatMindsTheAlignment) {
  for (const char *const what : {"aligned", "crash"}) {
    Result const result = hunt({what, "13"});
    EXPECT_EQ(result.status, 3) << result.err;
    EXPECT_TRUE(has(result.err, "run 2 (page, align=exact) is not counted, with ")) << result.err;
    EXPECT_TRUE(has(result.err, "and repeated with malloc's alignment")) << result.err;
    EXPECT_TRUE(has(result.err, "ringfence: nothing found in 3 processes")) << result.err;
    EXPECT_TRUE(has(result.err, "mode hunt (4 runs)")) << result.err;
  }
}

TEST(Hunt, ARepeatedRunIsOneOfThoseThatTheUserAllows) {
  std::string const left_out = "--hunt=3 leaves no run with blocks at the beginning of their pages";
  Result const three = hunt({"aligned", "13"}, "", {"--hunt=3"});
  EXPECT_TRUE(has(three.err, "mode hunt (3 runs)")) << three.err;
  EXPECT_TRUE(has(three.err, "ringfence: " + left_out + "\n")) << three.err;
  Result const enough = hunt({"aligned", "13"}, "", {"--hunt=4"});
  EXPECT_TRUE(has(enough.err, "mode hunt (4 runs)")) << enough.err;
  EXPECT_FALSE(has(enough.err, "leaves no run")) << enough.err;
  Result const unrepeated = hunt({"none", "13"}, "", {"--hunt=3"});
  EXPECT_FALSE(has(unrepeated.err, "leaves no run")) << unrepeated.err;
}

// Each run has a line that is no record among those of its processes.
TEST(Hunt, CountsWhatCouldNotBeReadInAllRuns) {
  Result const result = check({"--hunt", "--", "/bin/sh", "-c", "echo { >\"$TMPDIR/../1\""});
  EXPECT_TRUE(has(result.err, "; 3 records of the processes could not be read")) << result.err;
}

// A file beside the records of a process of run 3 tells of it.
TEST(Hunt, SaysThatALaterRunCouldNotRecordAFinding) {
  const std::string line = R"(case $TMPDIR in */run-3/tmp) : >"$TMPDIR/../1.lost";; esac)";
  Result const result = check({"--hunt", "--", "/bin/sh", "-c", line});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "ringfence: findings that could not be recorded in ")) << result.err;
}

// As long as the run before found something new.
TEST(Hunt, DrawsOtherEndsInEachRun) {
  const std::string line = "case $TMPDIR in */run-3/tmp) \"$0\";; */run-4/tmp) \"$1\";; esac; :";
  Result const result =
      check({"--hunt=5", "--verbose", "--", "/bin/sh", "-c", line, program("overflow"), program("double_free")});
  EXPECT_TRUE(has(result.err, "mode hunt (5 runs)")) << result.err;
  EXPECT_EQ(count(result.err, ":page_seed="), 2U) << result.err;
  EXPECT_TRUE(has(result.err, ":page_seed=1:") && has(result.err, ":page_seed=2:")) << result.err;
}

TEST(Hunt, ShowsOutputThatDiffers) {
  Result const result = hunt({"process", "13"});
  EXPECT_EQ(count(result.out, "process "), 1U) << result.out;
  EXPECT_EQ(result.status, 3);
  EXPECT_TRUE(has(result.err, "standard output differs from byte ")) << result.err;
}

TEST(Hunt, KeepsTheBaselineAndTheSuppressions) {
  const std::string baseline = scratch("baseline");
  EXPECT_EQ(hunt({"read-after", "13"}, "", {"--hunt", "--write-baseline", baseline}).status, 3);
  Result const known = hunt({"read-after", "13"}, "", {"--hunt", "--baseline", baseline});
  EXPECT_EQ(known.status, 3) << known.err;
  EXPECT_TRUE(has(known.err, "0 new, 1 in the baseline")) << known.err;
  EXPECT_EQ(unlink(baseline.c_str()), 0);
}

} // namespace
