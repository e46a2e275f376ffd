// Findings when little works any more: the process ends as told, what can be said is said, and nothing hangs.
#include "tests/dropin/run.h"

#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace ringfence_test {
namespace {

const std::string kBug = "ERROR: Ringfence: heap-buffer-overflow";

bool has(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

// As text on standard error.
Result plain(const std::string &situation, const std::string &options = "") {
  How how = with(options);
  how.log = false;
  return run({"timeout", "60", program("hardship"), situation}, how);
}

// The same, through a shell that takes something away first: "$0" is the program.
Result shell(const std::string &line, const std::string &situation, const std::string &options = "") {
  How how = with(options);
  how.log = false;
  return run({"timeout", "60", "sh", "-c", line, program("hardship"), situation}, how);
}

TEST(Hardship, NoneAtAll) {
  Result const result = plain("plainly");
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, kBug)) << result.err;
  EXPECT_EQ(plain("plainly", "halt=0").out, "output\n");
}

// Functions of the C library's that the program has made its own, and that allocate.
TEST(Hardship, CallsOfTheSystemAreTheProgramsOwnAndAllocate) {
  for (const char *const mode : {"mode=off", "mode=sample", "mode=guard", "mode=page"}) {
    Result const result = run({"timeout", "-s", "KILL", "60", program("own_calls")}, with(mode));
    EXPECT_EQ(result.out, "ok\n") << mode;
    EXPECT_EQ(result.status, 0) << mode << result.err;
  }
}

TEST(Hardship, StandardErrorIsClosedFromTheStart) {
  Result const result = shell("exec \"$0\" \"$1\" 2>&-", "plainly");
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.out, "") << "nothing goes where it does not belong";
}

TEST(Hardship, StandardErrorIsClosedByTheProgram) {
  EXPECT_EQ(plain("no_stderr").status, 99);
  EXPECT_EQ(plain("other_stderr").status, 99);
}

TEST(Hardship, StandardErrorIsAFullDisk) {
  EXPECT_EQ(shell("exec \"$0\" \"$1\" 2>/dev/full", "plainly").status, 99);
  for (const char *const format : {"format=json", "format=serial", "format=text"}) {
    EXPECT_EQ(shell("exec \"$0\" \"$1\" 2>/dev/full", "plainly", format).status, 99) << format;
  }
}

TEST(Hardship, TheReaderOfStandardErrorIsGone) {
  EXPECT_EQ(plain("no_reader").status, 99) << "not ended by SIGPIPE";
  EXPECT_EQ(plain("no_reader", "halt=0").out, "output\n");
}

TEST(Hardship, TheLogIsAFullDisk) {
  for (const char *const format : {"json", "text", "serial"}) {
    Result const result = plain("plainly", std::string("log=/dev/full:format=") + format);
    EXPECT_EQ(result.status, 99) << format;
    EXPECT_TRUE(has(result.err, "heap-buffer-overflow") || has(result.err, "#RF:")) << result.err;
  }
}

TEST(Hardship, TheLogCannotBeOpened) {
  Result const result = plain("plainly", "log=/nonexistent/folder/log");
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "cannot append to /nonexistent/folder/log")) << result.err;
  EXPECT_TRUE(has(result.err, kBug)) << result.err;
}

TEST(Hardship, ThereAreNoDescriptors) {
  Result const result = plain("no_descriptors", "log=" + testing::TempDir() + "/never");
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, kBug)) << result.err;
}

TEST(Hardship, TheProgramHasUsedUpItsDescriptors) {
  Result const result = run({program("hardship"), "used_descriptors"}, with("summary=1"));
  EXPECT_EQ(result.status, 99);
  ASSERT_EQ(result.findings.size(), 1U) << result.err;
  EXPECT_EQ(result.findings[0]["bug"].text, "heap-buffer-overflow");
  EXPECT_EQ(result.last("summary")["findings"].number, 1) << "and the end";
}

TEST(Hardship, TheFolderForTestsOutputsCannotBeWritten) {
  How how;
  how.log = false;
  how.environment = {{"TEST_UNDECLARED_OUTPUTS_DIR", "/proc/nowhere"}};
  Result const result = run({program("hardship"), "plainly"}, how);
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, kBug)) << result.err;
}

TEST(Hardship, SuppressionsCannotBeRead) {
  Result const result = plain("plainly", "suppressions=/nonexistent");
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "ringfence: cannot read the suppressions /nonexistent; nothing is suppressed"))
      << result.err;
  EXPECT_TRUE(has(result.err, kBug));
}

TEST(Hardship, ThereIsNoMemoryLeft) {
  How how;
  how.log = false;
  how.address_space = size_t{256} * 1024 * 1024;
  Result const result = run({"timeout", "60", program("hardship"), "no_memory"}, how);
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, kBug)) << result.err;
}

// A segment that takes all that there is would leave none for the table that finds its blocks.
TEST(Hardship, WhatRunsInLittleMemoryRunsInMore) {
  int runs_from = 0;
  for (int limit = 12500; limit <= 16000; limit += 500) {
    std::string const command = "ulimit -v " + std::to_string(limit) + "; exec \"$0\" \"$1\"";
    bool const runs = shell(command, "come_and_go", "mode=guard").status == 3;
    EXPECT_TRUE(runs || runs_from == 0) << "in " << runs_from << " KiB, but not in " << limit;
    runs_from = runs && runs_from == 0 ? limit : runs_from;
  }
  EXPECT_NE(runs_from, 0);
}

// A program that would run without us runs, and is not blamed.
TEST(Hardship, ThereIsLittleMemoryFromTheStart) {
  for (const char *const limit : {"ulimit -v 16000", "ulimit -v 24000", "ulimit -v 60000", "ulimit -d 20000"}) {
    for (const char *const mode :
         {"mode=off", "mode=sample:sample_rate=1", "mode=guard", "mode=guard:watch=1", "mode=page"}) {
      Result const result = shell(std::string(limit) + "; exec \"$0\" \"$1\"", "come_and_go", mode);
      EXPECT_EQ(result.status, 3) << limit << " " << mode << result.err;
      EXPECT_EQ(result.out, "output\n") << limit << " " << mode;
    }
  }
}

// Closed address space for blocks on pages must leave the program what it needs. What guard takes is enough.
TEST(Hardship, ALimitOfAddressSpaceLeavesRoomForBlocksThatGetNoPages) {
  for (const char *const limit : {"24000", "60000", "140000", "300000"}) {
    for (const char *const mode :
         {"mode=guard", "mode=page", "mode=page:page_close=markers", "mode=page:page_close=rights"}) {
      std::string const command = std::string("ulimit -v ") + limit + "; exec \"$0\" \"$1\"";
      Result const result = shell(command, "keep_all", mode);
      EXPECT_EQ(result.status, 3) << limit << " " << mode << result.err;
      EXPECT_EQ(result.out, "output\n") << limit << " " << mode;
    }
  }
}

TEST(Hardship, TheProgramLetsItselfHaveLittleMemory) {
  for (const char *const how : {"little_data", "little_space"}) {
    for (const char *const mode : {"mode=off", "mode=sample", "mode=guard", "mode=page", "mode=page:page_close=markers",
                                   "mode=page:page_close=rights"}) {
      Result const result = plain(how, mode);
      EXPECT_EQ(result.status, 3) << how << " " << mode << result.err;
      EXPECT_EQ(result.out, "output\n") << how << " " << mode;
    }
  }
}

TEST(Hardship, SignalHandlersFindWhileMallocIsInterrupted) {
  Result const result = plain("handler", "halt=0:leaks=0");
  EXPECT_EQ(result.out, "output\n") << "it hung, or died";
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "ERROR: Ringfence: bad-free")) << result.err;
  EXPECT_EQ(plain("handler").status, 99);
}

TEST(Hardship, TheHeapIsInRuins) {
  for (const char *const options :
       {"", "halt=0", "halt=0:quarantine=0", "halt=0:format=json", "halt=0:format=serial"}) {
    Result const result = plain("ruins", options);
    EXPECT_EQ(result.status, 99) << options << result.err;
    EXPECT_TRUE(has(result.err, "Ringfence: ") || has(result.err, "\"finding\"") || has(result.err, "#RF:"));
  }
}

TEST(Hardship, TheHeapIsNoise) {
  for (const char *const options : {"", "halt=0", "halt=0:quarantine=0"}) {
    EXPECT_EQ(plain("noise", options).status, 99) << options;
  }
}

TEST(Hardship, TheStackIsUsedUp) {
  EXPECT_EQ(plain("no_stack").status, 128 + SIGSEGV);
}

TEST(Hardship, ManyThreadsFindAtOnce) {
  Result const result = plain("threads", "halt=0:leaks=0");
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.out, "output\n");
  size_t whole = 0;
  for (size_t at = result.err.find(kBug); at != std::string::npos; at = result.err.find(kBug, at + 1)) {
    whole++;
  }
  EXPECT_EQ(whole, 160U);
  EXPECT_EQ(plain("threads").status, 99);
}

TEST(Hardship, OtherThreadsGoOnWorking) {
  EXPECT_EQ(plain("others").status, 99);
}

TEST(Hardship, TooManyFindingsAreCounted) {
  Result const result = run({program("hardship"), "often"}, with("halt=0:summary=1:leaks=0"));
  EXPECT_EQ(result.out, "output\n");
  EXPECT_EQ(result.findings.size(), 1000U);
  EXPECT_EQ(result.last("summary")["findings"].number, 20000);
  EXPECT_TRUE(has(result.err, "max_findings reached")) << result.err;
}

// ---- Places for findings that are small, or shared ----

TEST(Hardship, TheLogIsAsLargeAsFilesMayBe) {
  for (const char *const format : {"json", "text", "serial"}) {
    const std::string log = testing::TempDir() + "/limited_" + std::to_string(getpid());
    Result const result = shell("(ulimit -f 0; \"$0\" \"$1\"; echo status $?) 2>&1 | cat", "plainly",
                                "format=" + std::string(format) + ":log=" + log);
    EXPECT_TRUE(has(result.out, "status 99\n")) << "not ended by SIGXFSZ" << result.out;
    EXPECT_TRUE(has(result.out, "heap-buffer-overflow") || has(result.out, "#RF:")) << result.out;
    unlink(log.c_str());
  }
}

// A limit that the program could raise itself does not hold for the log.
TEST(Hardship, TheLogIsLargerThanTheSoftLimitOfFiles) {
  for (const char *const limit : {"ulimit -S -f 0", "ulimit -S -f 1"}) {
    const std::string log = testing::TempDir() + "/soft_" + std::to_string(getpid());
    Result const result = shell("(" + std::string(limit) + "; \"$0\" \"$1\"; echo status $?; ulimit -f) 2>&1 | cat",
                                "plainly", "format=json:summary=1:log=" + log);
    EXPECT_TRUE(has(result.out, std::string("status 99\n") + limit[std::string(limit).size() - 1])) << result.out;
    EXPECT_FALSE(has(result.out, "heap-buffer-overflow")) << "it is in the log" << result.out;
    std::ifstream file(log);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    EXPECT_TRUE(has(text, "heap-buffer-overflow")) << limit << text;
    EXPECT_TRUE(has(text, R"("type":"start")")) << limit << text;
    EXPECT_TRUE(!text.empty() && text.back() == '\n') << limit << text;
    unlink(log.c_str());
  }
}

TEST(Hardship, ProcessesShareALog) {
  const std::string log = testing::TempDir() + "/shared_" + std::to_string(getpid());
  Result const result = shell("for i in 1 2 3 4 5 6; do \"$0\" \"$1\" >/dev/null & done; wait", "threads",
                              "halt=0:leaks=0:format=json:log=" + log);
  if (sizeof(void *) == 8) { // a 32-bit library cannot go into the shell, and the loader says so
    EXPECT_EQ(result.err, "");
  }
  std::ifstream file(log);
  size_t findings = 0;
  for (std::string line; std::getline(file, line);) {
    Json parsed;
    findings += Json::parse(line + "\n", parsed) && parsed["type"].text == "finding" ? 1 : 0;
  }
  EXPECT_EQ(findings, 6U * 160U) << "each line is whole";
  unlink(log.c_str());
}

// ---- Snapshots ----

TEST(Hardship, ASnapshotComesAfterAFinding) {
  Result const result = plain("snapshot", "halt=0");
  EXPECT_TRUE(has(result.err, "ringfence: snapshot \"amid it all\" of malloc: ")) << result.err;
  Result const json = run({program("hardship"), "snapshot"}, with("halt=0"));
  EXPECT_EQ(json.last("snapshot")["name"].text, "amid it all");
  EXPECT_EQ(json.last("snapshot")["allocator"].text, "malloc");
}

TEST(Hardship, SnapshotsBySignalComeThoughMallocIsInterrupted) {
  Result const result =
      run({"timeout", "60", program("hardship"), "snapshot_signals"}, with("snapshot_signal=SIGUSR2"));
  EXPECT_EQ(result.status, 3) << result.err;
  size_t taken = 0;
  for (const Json &line : result.lines) {
    taken += line["type"].text == "snapshot" ? 1 : 0;
  }
  EXPECT_GE(taken, 1U);
  EXPECT_LE(taken, 40U);
  EXPECT_EQ(result.out, "output\n");
}

TEST(Hardship, SnapshotsCountBlocksOnPagesAsWell) {
  for (const char *const mode : {"guard", "page"}) {
    Result const result = run({program("hardship"), "kept"}, with(std::string("mode=") + mode));
    long long blocks = 0;
    for (const Json &site : result.last("snapshot")["sites"].items) {
      blocks += site["bytes"].number == 7 * 1234 ? site["blocks"].number : 0;
    }
    EXPECT_EQ(blocks, 7) << mode;
  }
}

// ---- Suppressions, by the library alone ----

class Suppressed : public testing::Test {
protected:
  std::string rules(const std::string &text) {
    std::string const path = testing::TempDir() + "/rules_" + std::to_string(getpid());
    std::ofstream(path) << text;
    return path;
  }
};

TEST_F(Suppressed, AFindingByAFunctionEndsNothingAndIsListed) {
  Result const result = plain("plainly", "suppressions=" + rules("heap-buffer-overflow:^damage$\n"));
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.out, "output\n");
  EXPECT_FALSE(has(result.err, "ERROR: Ringfence"));
  EXPECT_TRUE(has(result.err, "Suppressions used:\n  count      bytes template\n"
                              "      1          0 heap-buffer-overflow:^damage$\n"))
      << result.err;
}

TEST_F(Suppressed, AFindingByAModule) {
  EXPECT_EQ(plain("plainly", "suppressions=" + rules("*:/hardship$\n")).status, 3);
  EXPECT_EQ(plain("plainly", "suppressions=" + rules("*:/other$\n")).status, 99);
  EXPECT_EQ(plain("plainly", "suppressions=" + rules("leak:*\n")).status, 99);
}

TEST_F(Suppressed, ForTheCommandTheListIsJson) {
  Result const result = run({program("hardship"), "plainly"}, with("summary=1:suppressions=" + rules("*:damage\n")));
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.findings.size(), 0U);
  EXPECT_EQ(result.last("suppression")["rule"].text, "*:damage");
  EXPECT_EQ(result.last("suppression")["count"].number, 1);
  EXPECT_EQ(result.last("summary")["findings"].number, 0);
}

TEST_F(Suppressed, AWrongLineIsSaidAndTheRestHolds) {
  Result const result = plain("plainly", "suppressions=" + rules("# fine\nwrong\n*:damage\n"));
  EXPECT_EQ(result.status, 3);
  EXPECT_TRUE(has(result.err, ":2: wrong: no colon; a rule is KIND:PATTERN\n")) << result.err;
}

TEST(Hardship, SignalHandlersThatForkAmidAllocationsAndForksGoOn) {
  for (const char *const mode : {"mode=guard", "mode=sample:sample_rate=1", "mode=page"}) {
    for (const char *const situation : {"forking_handlers", "forking_handlers_threads"}) {
      EXPECT_EQ(plain(situation, mode).status, 3) << mode << " " << situation;
    }
  }
}

TEST(Hardship, ForksAmongThreadsThatReadAndFlushStreamsGoOn) {
  for (const char *const mode : {"mode=guard", "mode=sample:sample_rate=100", "mode=page"}) {
    EXPECT_EQ(plain("streams", mode).status, 3) << mode;
  }
}

} // namespace
} // namespace ringfence_test
