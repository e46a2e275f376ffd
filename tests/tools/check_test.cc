// `ringfence check` with programs that it can check: they run as they would without it, and it says what it saw.
#include "tests/tools/run.h"

#include <csignal>
#include <gtest/gtest.h>
#include <regex>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace ringfence_test;

std::string every_byte() {
  std::string bytes;
  for (int i = 0; i < 300000; i++) {
    bytes.push_back(static_cast<char>(i % 251 + i / 251 % 5));
  }
  return bytes;
}

TEST(Streams, PassThroughUnchanged) {
  How how;
  how.input = every_byte();
  const Result result = check({"--", program("copy"), "an argument", "--help", "*"}, how);
  EXPECT_EQ(result.status, 0);
  EXPECT_TRUE(result.out == how.input) << "every byte, in order";
  EXPECT_EQ(result.err.rfind("[an argument][--help][*]ringfence: nothing found in 1 process: ", 0), 0u) << result.err;
}

// And no other is open that would not be without the command.
TEST(Streams, ThoseThatAreClosedStayClosed) {
  for (const std::vector<int> &closed : {std::vector<int>{}, {0}, {1}, {2}, {0, 1}, {0, 1, 2}}) {
    How how;
    how.closed = closed;
    int expected = 0;
    for (int const fd : closed) {
      expected |= 1 << fd;
    }
    const Result checked = check({"--", program("streams")}, how);
    EXPECT_EQ(checked.status, expected);
    EXPECT_EQ(checked.out, run({program("streams")}, how).out) << "other descriptors";
  }
}

TEST(Streams, AFindingIsNotLostWhenStandardErrorIsClosed) {
  How how;
  how.closed = {2};
  const std::string log = scratch("log");
  EXPECT_EQ(check({"--log", log, "--", program("overflow")}, how).status, 99);
  EXPECT_TRUE(has(read_file(log), "heap-buffer-overflow"));
  unlink(log.c_str());
}

TEST(Status, IsTheProgramsOwn) {
  for (int const status : {0, 1, 2, 77, 126, 127, 255}) {
    EXPECT_EQ(check({"--", program("ends"), "status", std::to_string(status)}).status, status);
  }
}

TEST(Status, ASignalThatEndsTheProgramEndsTheCommand) {
  for (int const signal : {SIGTERM, SIGSEGV, SIGKILL, SIGABRT, SIGUSR2}) {
    const Result result = check({"--", program("ends"), "signal", std::to_string(signal)});
    EXPECT_EQ(result.signal, signal);
    EXPECT_TRUE(has(result.err, "; ended by signal " + std::to_string(signal) + " (")) << result.err;
    EXPECT_FALSE(has(result.err, "killed;")) << "not twice: " << result.err;
  }
}

TEST(Status, FiguresThatAreNotKnownAreNotTold) {
  const Result killed = check({"--", program("ends"), "signal", "9"});
  EXPECT_TRUE(has(killed.err, "nothing found in 1 process: allocations not known, mode ")) << killed.err;
  const Result ended = check({"--", program("ends"), "signal", "15"});
  std::regex const known("nothing found in 1 process: [1-9] allocations? of ");
  EXPECT_TRUE(std::regex_search(ended.err, known)) << ended.err;
  EXPECT_EQ(ended.signal, SIGTERM);
}

TEST(Status, AfterAFindingIsTheExitCode) {
  EXPECT_EQ(check({"--exitcode=42", "--", program("overflow")}).status, 42);
  EXPECT_EQ(check({"-e", "3", "--continue", "--", program("repeats")}).status, 3);
}

TEST(Status, TheExitCodeWithoutARecordIsNotTakenForNothingFound) {
  const Result lost = check({"--quiet", "--", program("ends"), "unseen", "99"});
  EXPECT_EQ(lost.status, 99);
  EXPECT_TRUE(has(lost.err, "ringfence: findings that could not be recorded in 1 process: ")) << lost.err;
  const std::string xml = check({"--format=junit", "--", program("ends"), "unseen", "99"}).err;
  EXPECT_TRUE(has(xml, "tests=\"1\" failures=\"0\" errors=\"1\"")) << xml;
  EXPECT_TRUE(has(xml, "<error message=\"findings that could not be recorded\"")) << xml;
  EXPECT_FALSE(has(xml, "no findings")) << xml;
  const std::string sarif = check({"--format=sarif", "--", program("ends"), "unseen", "99"}).err;
  EXPECT_TRUE(has(sarif, "\"executionSuccessful\":false")) << sarif;
  EXPECT_TRUE(has(sarif, "\"text\":\"findings that could not be recorded\"")) << sarif;
  const Result other = check({"--", program("ends"), "unseen", "7"});
  EXPECT_EQ(other.status, 7);
  EXPECT_TRUE(
      has(other.err, "; the program's end was not seen (daemon() and Go's runtime hide it) or could not be recorded"))
      << other.err;
  EXPECT_FALSE(has(other.err, "killed")) << other.err;
}

// A limit for the sizes of files, from before the command or from the program itself: nothing takes the records, and a
// person reads what comes instead. The pipe, since such a limit holds for the files in which `run` keeps outputs, too.
TEST(Status, AFindingThatNothingTakesIsATextAndNoRecord) {
  std::string const checked = "\"" + ringfence() + "\" check -- ";
  std::string const bug = "\"" + program("overflow") + "\"";
  for (bool const soft : {false, true}) {
    const std::string line =
        soft ? "ulimit -Sf 0; " + checked + bug : checked + "sh -c 'ulimit -f 0; exec \"$0\"' " + bug;
    const Result result = run({"/bin/sh", "-c", "{ " + line + "; echo \"status $?\"; } 2>&1 | cat"});
    EXPECT_TRUE(has(result.out, "ERROR: Ringfence: heap-buffer-overflow")) << result.out;
    EXPECT_TRUE(has(result.out, soft ? "programs/overflow.c:" : " in main\n")) << result.out;
    EXPECT_FALSE(has(result.out, "{\"type\"")) << result.out;
    EXPECT_TRUE(has(result.out, soft ? "ringfence: 1 finding in 1 process: "
                                     : "ringfence: findings that could not be recorded in 1 process: "))
        << result.out;
    EXPECT_TRUE(has(result.out, "status 99\n")) << result.out;
  }
}

// It is told of by the name of an empty file, which takes neither room nor a descriptor.
TEST(Status, AFindingThatNothingTakesCountsWhateverTheProgramMakesOfIt) {
  std::string const bug = "\"" + program("overflow") + "\"";
  std::string const json = scratch("lost.json");
  struct {
    std::vector<std::string> options;
    std::string line;
  } const each[] = {
      {{"--mode=guard"}, "ulimit -f 0; " + bug + " | cat; true"},
      {{"--mode=page"}, "ulimit -f 0; " + bug + " | cat; true"},
      {{"--mode=page", "--continue"},
       "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; ulimit -n 4; exec " + bug}, // the page store's is the last descriptor
  };
  for (auto const &one : each) {
    SCOPED_TRACE(one.line);
    std::vector<std::string> arguments = one.options;
    arguments.insert(arguments.end(), {"--json=" + json, "--", "sh", "-c", one.line});
    const Result result = check(arguments);
    EXPECT_EQ(result.status, 99);
    EXPECT_TRUE(has(result.err, "ringfence: findings that could not be recorded in ")) << result.err;
    EXPECT_TRUE(has(read_file(json), "\"unrecorded\":true")) << read_file(json);
  }
}

TEST(Status, ExitCodeZeroLeavesTheProgramsOwn) {
  EXPECT_EQ(check({"--exitcode=0", "--continue", "--", program("repeats")}).status, 5);
}

TEST(Status, TheExitCodeMayComeFromTheEnvironment) {
  How how;
  how.environment = {{"RINGFENCE_OPTIONS", "exitcode=41"}};
  EXPECT_EQ(check({"--", program("overflow")}, how).status, 41);
  EXPECT_EQ(check({"--exitcode=42", "--", program("overflow")}, how).status, 42) << "the command line comes after it";
}

TEST(Signals, AreHandedToTheProgram) {
  How how;
  how.signal_to_send = SIGTERM;
  const Result result = check({"--", program("ends"), "wait"}, how);
  EXPECT_EQ(result.out, "ready\n");
  EXPECT_EQ(result.status, 7) << "what its handler exits with: " << result.err;
  EXPECT_EQ(result.said().size(), 1u) << result.err;
}

TEST(Signals, ThatEndTheProgramLeaveNoFilesBehind) {
  const std::string folder = scratch("tmp");
  How how;
  how.environment = {{"TMPDIR", folder}};
  for (int signal : {SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGXCPU}) {
    mkdir(folder.c_str(), 0700);
    how.signal_to_send = signal;
    EXPECT_EQ(check({"--", program("ends"), "wait"}, how).signal, signal);
    EXPECT_EQ(rmdir(folder.c_str()), 0) << "it is not empty after signal " << signal;
  }
}

TEST(Signals, AnAlarmThatIsDueIsTheProgramsStill) {
  const std::string folder = scratch("tmp");
  mkdir(folder.c_str(), 0700);
  How how;
  how.environment = {{"TMPDIR", folder}};
  EXPECT_EQ(run({program("ends"), "alarmed", ringfence(), "check", "--", program("ends"), "wait"}, how).signal,
            SIGALRM);
  EXPECT_EQ(rmdir(folder.c_str()), 0) << "it is not empty";
}

// The command ignores the signal of a file that is too large, for itself.
TEST(Signals, AreIgnoredByTheProgramAsByItsCaller) {
  const std::string bare = run({"grep", "SigIgn", "/proc/self/status"}).out;
  EXPECT_EQ(bare.rfind("SigIgn:", 0), 0U) << bare;
  EXPECT_EQ(check({"--", "grep", "SigIgn", "/proc/self/status"}).out, bare);
}

// The program let the signal through, and the command does so for itself.
TEST(Signals, ThatTheCallerBlocksEndTheCommandAsTheProgram) {
  const auto with = [](const std::string &how, const std::string &then) {
    return "import os, signal, sys\nsignal.pthread_sigmask(signal." + how + ", {signal.SIGTERM})\n" + then;
  };
  const Result result =
      run({"python3", "-c", with("SIG_BLOCK", "os.execv(sys.argv[1], sys.argv[1:])"), ringfence(), "check", "-q", "--",
           "python3", "-c", with("SIG_UNBLOCK", "os.kill(os.getpid(), signal.SIGTERM)")});
  EXPECT_EQ(result.signal, SIGTERM) << result.status << result.err;
}

// One that the program left is not written over by one of the command.
TEST(Signals, LeaveNoCoreOfTheCommand) {
  const std::string folder = scratch("cores");
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  const std::string dumps = "import os, resource, signal, sys\n"
                            "hard = resource.getrlimit(resource.RLIMIT_CORE)[1]\n"
                            "resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))\n"
                            "os.chdir(sys.argv[1])\n"
                            "child = os.fork()\n"
                            "if child == 0: os.execv(sys.argv[2], sys.argv[2:])\n"
                            "status = os.waitpid(child, 0)[1]\n"
                            "print(os.WTERMSIG(status), os.WCOREDUMP(status))\n";
  const Result result =
      run({"python3", "-c", dumps, folder, ringfence(), "check", "-q", "-o", "halt=0", "--", program("crash"), "null"});
  EXPECT_EQ(result.out, "11 False\n") << result.err;
  run({"rm", "-r", folder});
}

// While SIGCHLD is ignored the system keeps no status to wait for.
TEST(Signals, ThatTheCallerIgnoresLoseNoStatus) {
  const std::string ignore = "import os, signal, sys\n"
                             "for number in (signal.SIGCHLD, signal.SIGPIPE): signal.signal(number, signal.SIG_IGN)\n"
                             "os.execvp(sys.argv[1], sys.argv[1:])\n";
  const auto ignoring = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"python3", "-c", ignore});
    return run(words);
  };
  EXPECT_EQ(ignoring({ringfence(), "check", "--", program("ends"), "status", "9"}).status, 9);
  const std::string bare = ignoring({"grep", "SigIgn", "/proc/self/status"}).out;
  EXPECT_EQ(ignoring({ringfence(), "check", "--", "grep", "SigIgn", "/proc/self/status"}).out, bare);
  EXPECT_NE(bare.find("11000\n"), std::string::npos) << bare;
}

TEST(Program, IsFoundInPath) {
  How how;
  how.environment = {{"PATH", "/nonexistent:" + source("tests/tools/programs")}};
  EXPECT_EQ(check({"--", "ends", "status", "9"}, how).status, 9);
}

TEST(Program, IsFoundRelativeToTheUsersDirectory) {
  How how;
  how.directory = source("tests/tools");
  EXPECT_EQ(check({"--", "programs/ends", "status", "9"}, how).status, 9);
  EXPECT_EQ(check({"--", "./programs/../programs/ends", "status", "9"}, how).status, 9);
}

TEST(Program, RunsInTheDirectoryThatBazelRunWasCalledIn) {
  const std::string folder = scratch("here");
  const std::string tree = scratch("x.runfiles");
  mkdir(folder.c_str(), 0700);
  mkdir(tree.c_str(), 0700);
  mkdir((tree + "/ringfence").c_str(), 0700);
  write_file(folder + "/some.txt", "hello");
  How how;
  how.environment = {{"BUILD_WORKING_DIRECTORY", folder}};
  how.directory = tree + "/ringfence";
  EXPECT_EQ(check({"--", "cat", "some.txt"}, how).out, "hello");
  // Elsewhere the variable is a leftover.
  how.directory = folder;
  how.environment = {{"BUILD_WORKING_DIRECTORY", "/"}};
  EXPECT_EQ(check({"--", "cat", "some.txt"}, how).out, "hello");
  unlink((folder + "/some.txt").c_str());
}

TEST(Program, MayBeAScript) {
  const std::string script = scratch("script");
  write_file(script, "#!/bin/sh\necho \"$0 $1\"\nexit 6\n", 0755);
  const Result result = check({"--", script, "word"});
  EXPECT_EQ(result.out, script + " word\n");
  EXPECT_EQ(result.status, 6);
  EXPECT_TRUE(has(result.err, "nothing found in 1 process")) << result.err;
  unlink(script.c_str());
}

TEST(Program, MayBeAScriptWithoutAFirstLine) {
  const std::string script = scratch("script");
  write_file(script, "echo \"$1\"\nexit 6\n", 0755);
  const Result result = check({"--", script, "word"});
  EXPECT_EQ(result.out, "word\n");
  EXPECT_EQ(result.status, 6);
  unlink(script.c_str());
}

TEST(Program, NeedsNoDashesBeforeIt) {
  EXPECT_EQ(check({program("ends"), "status", "9"}).status, 9);
  EXPECT_EQ(check({"-q", program("copy"), "-v"}).err, "[-v]") << "options behind the program are the program's";
}

TEST(Program, MayHaveTheCheckedMallocLinkedIn) {
  for (const std::string name : {"linked_in", "linked_in_static"}) {
    const Result result = check({"--", program(name)});
    EXPECT_EQ(result.status, 99) << name;
    EXPECT_TRUE(has(result.err, "in main tests/tools/programs/overflow.c:")) << result.err;
    EXPECT_TRUE(has(result.err, "ringfence: 1 finding in 1 process: ")) << result.err;
    EXPECT_EQ(check({"--", program(name), "without"}).status, 0) << name;
  }
}

TEST(Environment, IsTheUsersPlusTwoVariables) {
  How how;
  how.environment = {{"KEPT", "as it is"},
                     {"RINGFENCE_OPTIONS", "quarantine=1K"},
                     {"RINGFENCE_OPTIONS_MINE", "kept"},
                     {"LD_PRELOAD_MINE", "kept"}};
  how.without = {"LD_PRELOAD"};
  const Result result = check({"--stack-depth=3", "--", "env"}, how);
  EXPECT_TRUE(has(result.out, "KEPT=as it is\n"));
  EXPECT_TRUE(has(result.out, "RINGFENCE_OPTIONS_MINE=kept\n")) << result.out;
  EXPECT_TRUE(has(result.out, "LD_PRELOAD_MINE=kept\n")) << result.out;
  EXPECT_TRUE(has(result.out, "LD_PRELOAD=" + source("checkers/dropin/libringfence.so") + "\n")) << result.out;
  EXPECT_TRUE(has(result.out, "RINGFENCE_OPTIONS=rejected=1:quarantine=1K:stack_depth=3:")) << result.out;
}

TEST(Environment, KeepsWhatTheUserPreloads) {
  How how;
  how.environment = {{"LD_PRELOAD", "libm.so.6"}};
  const Result result = check({"--", "env"}, how);
  EXPECT_TRUE(has(result.out, "libringfence.so:libm.so.6\n")) << result.out;
  EXPECT_TRUE(has(result.err, "nothing found in 1 process")) << result.err;
}

TEST(Environment, WithoutHomeOrPath) {
  How how;
  how.without = {"HOME", "PATH", "TMPDIR"};
  EXPECT_EQ(check({"--", program("ends"), "status", "9"}, how).status, 9);
}

TEST(Environment, AnOpenQuotationMarkInTheOptionsDoesNotHideFindings) {
  How how;
  how.environment = {{"RINGFENCE_OPTIONS", "log='x"}};
  const Result result = check({"--", program("overflow")}, how);
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "heap-buffer-overflow"));
  EXPECT_TRUE(has(result.err, "RINGFENCE_OPTIONS is ignored")) << result.err;
}

TEST(Environment, OptionsThatAreNotUnderstoodAreWarnedOfOnce) {
  How how;
  how.environment = {{"RINGFENCE_OPTIONS", "quarantin=4:exitcode=41:halt=5"}};
  const Result result = check({"-q", "--", "sh", "-c", "/bin/true; " + program("overflow")}, how);
  EXPECT_EQ(result.status, 41) << "the others apply";
  EXPECT_EQ(result.err.rfind("ringfence: RINGFENCE_OPTIONS: quarantin=4 is ignored; unknown key; the nearest is "
                             "quarantine; help=1 lists all\n"
                             "ringfence: RINGFENCE_OPTIONS: halt=5 is ignored; allowed: 0, 1\n",
                             0),
            0U)
      << result.err;
  EXPECT_EQ(result.err.find("is ignored", result.err.find("halt=5 is ignored") + 10), std::string::npos) << result.err;
}

// Neither the command nor the program dies of the signal that comes with such a limit.
TEST(Check, LivesWithALimitForTheSizeOfFiles) {
  const auto limited_to = [](const std::string &blocks) {
    return run(
        {"/bin/sh", "-c", "ulimit -f " + blocks + "; exec \"$0\" check -- \"$1\"", ringfence(), program("overflow")});
  };
  const Result enough = limited_to("8");
  EXPECT_EQ(enough.signal, 0);
  EXPECT_EQ(enough.status, 99) << enough.err;
  const Result none = limited_to("0");
  EXPECT_EQ(none.signal, 0);
  EXPECT_EQ(none.status, 2) << "there is nowhere to keep records; nor can it say so, where standard error is a file";
}

TEST(Check, PrintsTheKeysWhereTheOptionsAskForHelp) {
  How how;
  how.environment = {{"RINGFENCE_OPTIONS", "help=1"}};
  const Result result = check({"--", "/bin/true"}, how);
  EXPECT_EQ(result.status, 0);
  EXPECT_TRUE(has(result.err, "quarantine=")) << result.err;
}

TEST(Check, PrintsTheKeysWithTheValuesThatProgramsHave) {
  How how;
  for (const bool test : {true, false}) { // which watches no blocks
    how.environment = {{"TEST_TARGET", "//a:test"}};
    how.without = {"RINGFENCE_OPTIONS"};
    if (!test) {
      how.environment.clear();
      how.without.push_back("TEST_TARGET");
    }
    const Result told = check({"-o", "help=1"}, how);
    const Result had = check({"--", "sh", "-c", "RINGFENCE_OPTIONS=rejected=1:help=1 exec /bin/true"}, how);
    EXPECT_TRUE(has(had.err, told.out)) << told.out << had.err;
    EXPECT_EQ(has(told.out, "watch=0\n"), test);
  }
}

TEST(Duplicates, AreMergedAndCounted) {
  const Result result = check({"--continue", "--", program("repeats")});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "found 3 times, in 1 process\n")) << result.err;
  EXPECT_TRUE(has(result.err, "2 findings, 4 times in all, in 1 process")) << result.err;
}

TEST(Halt, EndsTheProgramAtTheFirstFinding) {
  const Result result = check({"--", program("repeats")});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "ringfence: 1 finding in 1 process: ")) << result.err;
  EXPECT_FALSE(has(result.err, "found 3 times")) << result.err;
  EXPECT_TRUE(has(check({"--continue", "--halt", "--", program("repeats")}).err, "1 finding in"))
      << "the last one counts";
}

} // namespace
