// `ringfence check` with programs that it can check: they run as they would without it, and it says what it saw.
#include "tests/tools/run.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <elf.h>
#include <gtest/gtest.h>
#include <regex>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace ringfence_test;

bool has(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

std::string every_byte() {
  std::string bytes;
  for (int i = 0; i < 300000; i++) {
    bytes.push_back(static_cast<char>(i % 251 + i / 251 % 5));
  }
  return bytes;
}

// How many allocations the processes of a run made.
unsigned long allocations(const std::vector<std::string> &words) {
  std::vector<std::string> all = {"--continue", "--format=json", "--"};
  all.insert(all.end(), words.begin(), words.end());
  const std::string err = check(all).err;
  const std::string field = "\"allocations\":";
  size_t const at = err.rfind(field);
  EXPECT_NE(at, std::string::npos) << err;
  return at == std::string::npos ? 0 : std::stoul(err.substr(at + field.size()));
}

// ---- The program runs as it would ----

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
  EXPECT_TRUE(has(other.err, "; the program's end was not seen (as daemon() hides it) or could not be recorded"))
      << other.err;
  EXPECT_FALSE(has(other.err, "killed")) << other.err;
}

// A limit for the sizes of files, from before the command or from the program itself: nothing takes the records, and a
// person reads what comes instead. The pipe, since such a limit holds for the files in which `run` keeps outputs, too.
TEST(Status, AFindingThatNothingTakesIsATextAndNoRecord) {
  std::string const checked = "\"" + ringfence() + "\" check -- ";
  std::string const bug = "\"" + program("overflow") + "\"";
  for (const std::string &line :
       {checked + "sh -c 'ulimit -f 0; exec \"$0\"' " + bug, "ulimit -Sf 0; " + checked + bug}) {
    const Result result = run({"/bin/sh", "-c", "{ " + line + "; echo \"status $?\"; } 2>&1 | cat"});
    EXPECT_TRUE(has(result.out, "ERROR: Ringfence: heap-buffer-overflow")) << result.out;
    EXPECT_TRUE(has(result.out, " in main\n")) << result.out;
    EXPECT_FALSE(has(result.out, "{\"type\"")) << result.out;
    EXPECT_TRUE(has(result.out, "ringfence: findings that could not be recorded in 1 process: ")) << result.out;
    EXPECT_TRUE(has(result.out, "status 99\n")) << result.out;
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

// ---- Several processes ----

TEST(Children, AreChecked) {
  const Result result = check({"--", program("forks")});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "heap-buffer-overflow"));
  EXPECT_TRUE(has(result.err, "1 finding in 2 processes: ")) << result.err;
}

TEST(Children, CountWhatTheyAllocateThemselves) {
  // One block before the fork and one after it, and whatever libraries allocate when they are loaded.
  EXPECT_EQ(allocations({program("forks")}), allocations({program("overflow")}) + 1);
}

TEST(Children, EndAsTheyWouldWhereTheRunGoesOn) {
  const Result result = check({"--continue", "--exitcode=0", "--", program("forks")});
  EXPECT_EQ(result.status, 0) << "the child's status, by way of its parent";
  EXPECT_TRUE(has(result.err, "1 finding in 2 processes")) << result.err;
}

TEST(Children, ThatAShellStartsAreChecked) {
  const Result result =
      check({"--continue", "--", "sh", "-c", program("overflow") + "; " + program("overflow") + "; exit 4"});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "found 2 times, in 2 processes\n")) << result.err;
  EXPECT_TRUE(has(result.err, "1 finding, 2 times in all, in 3 processes")) << result.err;
}

TEST(Children, AreCheckedAfterExec) {
  const Result result = check({"--", program("ends"), "exec", program("overflow")});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "1 finding in 1 process: ")) << result.err;
  EXPECT_EQ(allocations({program("ends"), "exec", program("overflow")}),
            allocations({program("ends"), "status", "0"}) + allocations({program("overflow")}));
}

std::string copy_of(const std::string &name, const std::string &from, mode_t mode = 0755) {
  const std::string path = scratch(name);
  write_file(path, read_file(from), mode);
  return path;
}

TEST(Children, ThatAreThisCommandAreGivenItsOptionsWithoutAWarning) {
  const Result result = check({"--", ringfence(), "check", "--", program("overflow")});
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.err.find("is ignored"), std::string::npos) << result.err;
  EXPECT_TRUE(has(result.err, "ERROR: Ringfence: heap-buffer-overflow")) << result.err;
}

TEST(Children, ThatAreStaticAreCounted) {
  for (const char *how : {"exec", "spawn"}) {
    const Result result = check({"--", program("ends"), how, program("static"), "status", "3"});
    EXPECT_EQ(result.status, 3) << how;
    EXPECT_TRUE(has(result.err, "nothing found in 1 process: ")) << result.err;
    EXPECT_TRUE(has(result.err, "; 1 program not checked (1 static)\n")) << how << result.err;
  }
}

TEST(Children, ThatCannotWriteTheirRecordsAreCounted) {
  const Result result = check({"--strict", "-c", "--", program("ends"), "shut", program("overflow")});
  EXPECT_EQ(result.status, 2) << "strict";
  EXPECT_TRUE(has(result.err, "; 1 program not checked (1 without access to the records)\n")) << result.err;
  const Result failed = check({"--strict", "-c", "--", program("ends"), "shut", "/nonexistent"});
  EXPECT_EQ(failed.status, 1);
  EXPECT_FALSE(has(failed.err, "not checked")) << failed.err;
}

TEST(Children, ThatHaveTheCheckedMallocLinkedInAreNotCounted) {
  for (const char *how : {"exec", "spawn"}) {
    const Result result = check({"--", program("ends"), how, program("linked_in_static"), "without"});
    EXPECT_EQ(result.status, 0) << how;
    EXPECT_FALSE(has(result.err, "not checked")) << how << result.err;
  }
}

TEST(Children, ThatHaveAMallocOfTheirOwnAreCounted) {
  const Result result = check({"--strict", "--", program("ends"), "spawn", source("tests/dropin/programs/own_malloc")});
  EXPECT_EQ(result.status, 2) << "strict";
  EXPECT_TRUE(has(result.err, "; 1 program not checked (1 with a malloc of its own)\n")) << result.err;
}

TEST(Children, ThatAScriptOrAShellStartsAreCountedByReason) {
  const std::string script = scratch("script");
  write_file(script, "#!" + program("static") + " status\n", 0755);
  const Result result =
      check({"-v", "--", "sh", "-c", program("ends") + " bare /bin/true; env -i /bin/true; " + script + "; :"});
  EXPECT_EQ(result.status, 0);
  EXPECT_TRUE(has(result.err, "; 3 programs not checked (")) << result.err;
  EXPECT_TRUE(has(result.err, "2 without LD_PRELOAD")) << result.err;
  EXPECT_TRUE(has(result.err, "1 static")) << result.err;
  EXPECT_TRUE(has(result.err, ", " + program("static") + ": not checked: static\n")) << result.err;
  unlink(script.c_str());
}

TEST(Children, OfAShellWithoutTheEnvironmentAreCounted) {
  const Result result = check({"--", program("ends"), "cleared", "exit 3"});
  EXPECT_EQ(result.status, 3);
  EXPECT_TRUE(has(result.err, "; 1 program not checked (1 without LD_PRELOAD)\n")) << result.err;
}

TEST(Children, AreLookedAtByTheDescriptorZeroAsWell) {
  const Result result = check({"--", "sh", "-c", "exec 0<&-; env -i /bin/true"});
  EXPECT_EQ(result.status, 0);
  EXPECT_TRUE(has(result.err, "; 1 program not checked (1 without LD_PRELOAD)\n")) << result.err;
}

TEST(Children, ThatAreSetuidAreCounted) {
  const std::string file = copy_of("other", program("ends"));
  if (getuid() != 0 || chown(file.c_str(), 65534, static_cast<gid_t>(-1)) != 0 || chmod(file.c_str(), 04755) != 0) {
    GTEST_SKIP() << "needs root, to make a program of another user";
  }
  const Result result = check({"--", program("ends"), "exec", file, "status", "0"});
  if (has(result.err, "in 1 process: ") && !has(result.err, "not checked")) {
    GTEST_SKIP() << "setuid has no effect here";
  }
  EXPECT_TRUE(has(result.err, "; 1 program not checked (1 setuid or setgid)\n")) << result.err;
  unlink(file.c_str());
}

// Such a loader refuses a library that needs glibc, and with it the program.
TEST(Children, OfMuslStartWithoutTheLibrary) {
  const std::string loader = "/lib64/ld-linux-x86-64.so.2";
  const std::string folder = scratch("musl");
  std::string bytes = read_file("/usr/bin/env");
  size_t const at = bytes.find(loader);
  if (at == std::string::npos || mkdir(folder.c_str(), 0700) != 0) {
    GTEST_SKIP() << "no program with a loader to rename";
  }
  std::string name = "ld-musl.so";
  name.resize(loader.size(), '\0');
  write_file(folder + "/renamed", bytes.replace(at, loader.size(), name), 0755);
  ASSERT_EQ(symlink(loader.c_str(), (folder + "/ld-musl.so").c_str()), 0);
  How how;
  how.directory = folder;
  const std::string alone = folder + "/libringfence.so"; // a build may have one for musl beside the other
  const std::string own = ringfence();
  write_file(alone, read_file(own.substr(0, own.rfind("tools/")) + "checkers/dropin/libringfence.so"));
  how.environment = {{"LD_PRELOAD", "libm.so.6"}, {"RINGFENCE_LIB", alone}};
  for (const char *start : {"exec", "spawn"}) {
    const Result result = check({"--", program("ends"), start, folder + "/renamed"}, how);
    EXPECT_EQ(result.status, 0);
    EXPECT_TRUE(has(result.out, "LD_PRELOAD=:libm.so.6\n")) << result.out;
    EXPECT_TRUE(has(result.err, "; 1 program not checked (1 with musl)\n")) << result.err;
  }
  unlink(alone.c_str());
  unlink((folder + "/renamed").c_str());
  unlink((folder + "/ld-musl.so").c_str());
  rmdir(folder.c_str());
}

// A 32-bit program that exits with 0.
std::string narrow_program() {
  static const unsigned char code[] = {0xB8, 1, 0, 0, 0, 0x31, 0xDB, 0xCD, 0x80}; // mov eax, 1; xor ebx, ebx; int 0x80
  constexpr uint32_t base = 0x8048000;
  constexpr uint32_t size = sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr) + sizeof code;
  Elf32_Ehdr header{};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS32;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = EM_386;
  header.e_version = EV_CURRENT;
  header.e_entry = base + size - sizeof code;
  header.e_phoff = header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf32_Phdr);
  header.e_phnum = 1;
  const Elf32_Phdr segment = {PT_LOAD, 0, base, base, size, size, PF_R | PF_X, 4096};
  return std::string(reinterpret_cast<const char *>(&header), sizeof header) +
         std::string(reinterpret_cast<const char *>(&segment), sizeof segment) +
         std::string(reinterpret_cast<const char *>(code), sizeof code);
}

TEST(Children, OfAnotherWidthAreCounted) {
  const std::string file = scratch("narrow");
  write_file(file, narrow_program(), 0755);
  const Result alone = run({"/usr/bin/timeout", "-s", "KILL", "2", file});
  if (alone.status != 0) {
    unlink(file.c_str());
    GTEST_SKIP() << "this system does not run 32-bit programs";
  }
  const Result result = check({"--", program("ends"), "exec", file});
  unlink(file.c_str());
  EXPECT_EQ(result.status, 0);
  // It is static as well, which counts where the library for its width is there (--config=i386).
  EXPECT_TRUE(has(result.err, "; 1 program not checked (1 32-bit)\n") ||
              has(result.err, "; 1 program not checked (1 static)\n"))
      << result.err;
}

TEST(Children, ThatCannotBeExecutedAreNotCounted) {
  const std::string file = scratch("damaged");
  std::string bytes = narrow_program();
  bytes.resize(sizeof(Elf32_Ehdr));
  write_file(file, bytes, 0755);
  const Result result = check({"--", program("ends"), "exec", file});
  EXPECT_EQ(result.status, 1);
  EXPECT_FALSE(has(result.err, "not checked")) << result.err;
  unlink(file.c_str());
}

TEST(Children, ThatAreNotCheckedAreAFailureWithStrict) {
  const Result strict = check({"--strict", "-q", "--", program("ends"), "exec", program("static"), "status", "0"});
  EXPECT_EQ(strict.status, 2);
  EXPECT_TRUE(has(strict.err, "; 1 program not checked (1 static)\n")) << strict.err;
  EXPECT_EQ(check({"--strict", "--", program("ends"), "exec", program("static"), "status", "3"}).status, 3);
  EXPECT_EQ(check({"--strict", "--", program("ends"), "status", "0"}).status, 0);
}

// Only their parent knows which it was.
TEST(Children, ThatWereKilledOrEndedUnseenAreMentioned) {
  for (const char *const end : {" signal 9", " unseen 0"}) {
    const Result result = check({"--", "sh", "-c", program("ends") + end + "; exit 3"});
    EXPECT_EQ(result.status, 3);
    EXPECT_TRUE(has(result.err, "; 1 process was killed or ended unseen")) << result.err;
  }
}

TEST(Children, ThatOutliveTheProgramAreMentionedAndCanStillSayWhatTheyFind) {
  // The child waits until it can read from this.
  const std::string pipe = scratch("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const Result result = check({"--", "sh", "-c", "(read go; " + program("overflow") + ") < " + pipe + " & exit 3"});
  EXPECT_EQ(result.status, 3);
  const std::string words = "; 1 still running, its records are in ";
  ASSERT_TRUE(has(result.err, words)) << result.err;
  std::string folder = result.err.substr(result.err.find(words) + words.size());
  folder.resize(folder.find('\n'));
  write_file(pipe, "go\n");
  std::string records;
  while (!has(records, "heap-buffer-overflow")) {
    records = run({"sh", "-c", "cat \"$1\"/*", "sh", folder}).out;
  }
  run({"rm", "-r", folder, pipe});
}

class Daemon : public testing::Test {
protected:
  Daemon() { EXPECT_EQ(mkfifo(pipe_.c_str(), 0600), 0); }
  ~Daemon() override { unlink(pipe_.c_str()); }

  const std::string pipe_ = scratch("pipe");
};

TEST_F(Daemon, IsWaitedForWhereAskedTo) {
  const Result result = run({"sh", "-c", "(sleep 0.5; : > \"$1\") & \"$0\" check --wait -- \"$2\" \"$1\"; exit $?",
                             ringfence(), pipe_, program("daemon")});
  EXPECT_EQ(result.status, 99) << result.err;
  EXPECT_TRUE(has(result.err, "ringfence: 1 finding in 2 processes: ")) << result.err;
  EXPECT_FALSE(has(result.err, "still running")) << result.err;
}

// The command has the children of a shell that became it.
TEST_F(Daemon, IsWaitedForThoughOtherChildrenEnd) {
  const Result result =
      run({"sh", "-c", "(sleep 0.2) & (sleep 0.6; : > \"$1\") & exec \"$0\" check --wait -- \"$2\" \"$1\"", ringfence(),
           pipe_, program("daemon")});
  EXPECT_EQ(result.status, 99) << result.err;
  EXPECT_TRUE(has(result.err, "ringfence: 1 finding in 2 processes: ")) << result.err;
  EXPECT_FALSE(has(result.err, "still running")) << result.err;
}

TEST_F(Daemon, IsWaitedForNoLongerThanAsked) {
  const auto began = std::chrono::steady_clock::now();
  const Result result = check({"--wait=1", "--", program("daemon"), pipe_});
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - began;
  EXPECT_EQ(result.status, 0);
  EXPECT_GE(waited.count(), 1);
  const std::string words = "; 1 still running, its records are in ";
  ASSERT_TRUE(has(result.err, words)) << result.err;
  EXPECT_FALSE(has(result.err, "killed")) << result.err;
  std::string folder = result.err.substr(result.err.find(words) + words.size());
  folder.resize(folder.find('\n'));
  write_file(pipe_, "");
  while (!has(run({"sh", "-c", "cat \"$1\"/*", "sh", folder}).out, "heap-buffer-overflow")) {
  }
  run({"rm", "-r", folder});
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
