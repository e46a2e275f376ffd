// `ringfence check` with programs of several processes: which are checked, which cannot be, and which it waits for.
#include "tests/tools/run.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <elf.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace ringfence_test;

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

// The symbolizers of the inner one.
TEST(Children, ThatHelpThisCommandAreNotCounted) {
  const Result result = check({"--strict", "-c", "--", ringfence(), "check", "-e", "0", "--", program("leak")});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(has(result.err, " in main tests/tools/programs/leak.c:")) << result.err;
  EXPECT_FALSE(has(result.err, "not checked")) << result.err;
  EXPECT_FALSE(has(result.err, "killed")) << result.err;
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
  const std::string why = "; 1 program not checked (1 without access to the records)\n";
  const Result result = check({"--strict", "-c", "--", program("ends"), "shut", "/bin/true"});
  EXPECT_EQ(result.status, 2) << "strict";
  EXPECT_TRUE(has(result.err, why)) << result.err;
  const Result found = check({"-c", "--", program("ends"), "shut", program("overflow")});
  EXPECT_EQ(found.status, 99) << "a file beside its records tells that something was found";
  EXPECT_TRUE(has(found.err, "ringfence: findings that could not be recorded in 1 process: ")) << found.err;
  EXPECT_TRUE(has(found.err, why)) << found.err;
  const Result failed = check({"--strict", "-c", "--", program("ends"), "shut", "/nonexistent"});
  EXPECT_EQ(failed.status, 1);
  EXPECT_FALSE(has(failed.err, "not checked")) << failed.err;
}

// As after chroot: the loader would say on standard error that it does not find the library.
TEST(Children, ThatDoNotFindTheLibraryStartWithoutIt) {
  const std::string folder = scratch("gone");
  const std::string library = folder + "/libringfence.so";
  for (const std::string &remove : {"rm " + library, "rm -r " + folder + " && : > " + folder}) {
    mkdir(folder.c_str(), 0700);
    write_file(library, read_file(source("checkers/dropin/libringfence.so")), 0755);
    const std::string script = remove + " && " + program("overflow") + "; exec " + program("overflow");
    const Result result = check({"--library", library, "--", "/bin/sh", "-c", script});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_TRUE(has(result.err, "; 2 programs not checked (2 without the library)\n")) << result.err;
    EXPECT_FALSE(has(result.err, "preload")) << result.err;
  }
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

TEST(Children, WithOptionsOfTheirOwnAreCounted) {
  for (const char *const how : {"RINGFENCE_OPTIONS=quarantine=16M ", "unset RINGFENCE_OPTIONS; "}) {
    const Result result = check({"--strict", "--", "sh", "-c", how + program("overflow") + "; exit 0"});
    EXPECT_EQ(result.status, 2) << how;
    EXPECT_TRUE(has(result.err, "; 1 program not checked (1 without the command's options)\n")) << result.err;
  }
  const Result result = check(
      {"--", "sh", "-c", "RINGFENCE_OPTIONS=$RINGFENCE_OPTIONS:quarantine=16M " + program("overflow") + "; exit 0"});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "ringfence: 1 finding in ")) << result.err;
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

// A process that was killed is there until the kernel has put it away.
TEST(Children, ThatWereKilledDoNotRunOn) {
  for (unsigned i = 0; i < 8; i++) {
    const Result result = check({"--", "sh", "-c", "sleep 100 & kill -9 $!; kill -9 $$"});
    EXPECT_EQ(result.signal, SIGKILL);
    EXPECT_FALSE(has(result.err, "still running")) << result.err;
  }
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
  EXPECT_LT(waited.count(), 20) << "seconds, on a busy machine, too";
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

// The program itself may take the first signals, as long as it has not ended.
TEST_F(Daemon, IsWaitedForUntilASignalAsksForTheEnd) {
  const Result result = run({"sh", "-c",
                             "\"$0\" check --wait -- \"$2\" \"$1\" & exec 3> \"$1\"; i=0\n"
                             "while [ $i -lt 400 ] && kill $! 2> /dev/null; do i=$((i + 1)); sleep 0.05; done\n"
                             "test $i -lt 400 || kill -9 $!; wait $!; exec 3>&-",
                             ringfence(), pipe_, program("daemon")});
  const std::string words = "; 1 still running, its records are in ";
  ASSERT_TRUE(has(result.err, words)) << result.err;
  std::string folder = result.err.substr(result.err.find(words) + words.size());
  folder.resize(folder.find('\n'));
  while (!has(run({"sh", "-c", "cat \"$1\"/*", "sh", folder}).out, "heap-buffer-overflow")) {
  }
  run({"rm", "-r", folder});
}

} // namespace
