// Messages and exit statuses where the command cannot do as it is asked.
#include "tests/tools/elf_file.h"
#include "tests/tools/run.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace {

using namespace ringfence_test;

// The words of the command say `message` and nothing else, and exit with `status`.
void expect_refused(const std::vector<std::string> &words, int status, const std::string &message) {
  std::vector<std::string> all = words;
  all.insert(all.begin(), ringfence());
  const Result result = run(all);
  EXPECT_EQ(result.status, status);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "ringfence: " + message + "\n");
}

// ---- Commands and options ----

TEST(Command, WithoutOneItSaysWhatToTry) {
  expect_refused({}, 2, "no command given; try `ringfence check -- program`, or `ringfence help`");
}

TEST(Command, AnUnknownOneIsNamedWithTheNearest) {
  expect_refused({"chekc"}, 2, "unknown command chekc; did you mean check?");
  expect_refused({"frobnicate"}, 2, "unknown command frobnicate; `ringfence help` lists them");
  expect_refused({"./program"}, 2, "unknown command ./program; a program is checked by `ringfence check -- ./program`");
  expect_refused({"cat", "file"}, 2, "unknown command cat; a program is checked by `ringfence check -- cat`");
  expect_refused({"help", "verison"}, 2, "unknown command verison; did you mean version?");
  expect_refused({"-x"}, 2, "unknown option -x before the command; try `ringfence help`");
  expect_refused({"--chekc"}, 2, "unknown option --chekc before the command; try `ringfence help`");
}

TEST(Command, ExtraWordsAreNamed) {
  expect_refused({"version", "2"}, 2, "version takes no arguments, but got 2");
  expect_refused({"help", "check", "version"}, 2, "help takes one command, but also got version");
}

TEST(Option, AnUnknownOneIsNamedWithTheNearest) {
  expect_refused({"check", "--quarantene=1"}, 2, "unknown option --quarantene; did you mean --quarantine?");
  expect_refused({"check", "--frobnicate"}, 2, "unknown option --frobnicate; see `ringfence help check`");
  expect_refused({"check", "-x", "--", "true"}, 2, "unknown option -x; see `ringfence help check`");
}

TEST(Option, ArgumentsAreThereWhereTheyBelong) {
  expect_refused({"check", "--json"}, 2, "--json needs an argument; see `ringfence help check`");
  expect_refused({"check", "-e"}, 2, "-e needs an argument; see `ringfence help check`");
  expect_refused({"check", "--keep=yes", "true"}, 2, "--keep takes no argument");
}

TEST(Option, AModeThatTheProcessorCannotDoIsRefused) {
  for (const std::string option : {"--mode=mte", "--option=mode=mte"}) {
    expect_refused({"check", option, "true"}, 2,
                   option.substr(0, option.find('=')) +
                       ": mode=mte cannot be used here: it needs Linux on an AArch64 processor with the Memory Tagging "
                       "Extension");
  }
}

TEST(Option, BadValuesAreNamedWithTheGoodOnes) {
  expect_refused({"check", "--mode=gaurd", "true"}, 2,
                 "--mode: mode=gaurd cannot be used; allowed: off, sample, guard, page, asan, mte");
  expect_refused({"check", "--quarantine", "lots", "true"}, 2,
                 "--quarantine: quarantine=lots cannot be used; allowed: bytes, with K, M or G, or all");
  expect_refused({"check", "-e", "256", "true"}, 2, "--exitcode: exitcode=256 cannot be used; allowed: 0 to 255");
  EXPECT_EQ(run({ringfence(), "check", "--wait=86400", "--quiet", "--", ringfence(), "version"}).status, 0);
  for (const std::string seconds : {"soon", "0", "86401", "1s", "-1"}) {
    expect_refused({"check", "--wait=" + seconds, "true"}, 2,
                   "--wait=" + seconds + ": use a number of seconds, at most 86400");
  }
  expect_refused({"check", "--format=xml", "true"}, 2,
                 "--format xml: use text, json, sarif, junit, html, github or pprof");
}

TEST(Service, TakesNoMoreArgumentsThanItHasRoomFor) {
  std::vector<std::string> words(257, "x");
  words[0] = "findings";
  expect_refused(words, 2, "findings takes at most 256 arguments");
}

TEST(Service, GetsAllItsArguments) {
  const Result result = run({"sh", "-c", "RINGFENCE_SERVE=/bin/echo \"$0\" findings one two three four", ringfence()});
  EXPECT_EQ(result.out, "findings one two three four\n") << result.err;
}

TEST(Service, IsFoundInPathWhereTheVariableIsEmpty) {
  const std::string folder = scratch("service");
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  write_file(folder + "/ringfence-serve", "#!/bin/sh\necho \"found $1\"\n", 0755);
  const std::string alone = scratch("alone"); // without the program of the build beside it
  write_file(alone, read_file(ringfence()), 0755);
  How how;
  how.environment = {{"RINGFENCE_SERVE", ""}, {"PATH", folder}};
  const Result result = run({alone, "status"}, how);
  EXPECT_EQ(result.out, "found status\n") << result.err;
  unlink(alone.c_str());
}

TEST(Service, SaysThatItCannotBeRun) {
  How how;
  how.environment = {{"RINGFENCE_SERVE", "/dev/null"}};
  const Result result = run({ringfence(), "status"}, how);
  EXPECT_EQ(result.status, 126);
  EXPECT_EQ(result.err, "ringfence: cannot run /dev/null: Permission denied\n");
  EXPECT_EQ(run({ringfence(), "help", "status"}, how).status, 126) << "its manual cannot be had, either";
}

TEST(Service, HasTheStreamsThatItsCallerClosedClosed) {
  How how;
  how.environment = {{"RINGFENCE_SERVE", program("streams")}};
  how.closed = {0, 2};
  const Result result = run({ringfence(), "status"}, how);
  EXPECT_EQ(result.status, 5) << "a bit for each";
  EXPECT_EQ(result.out, run({program("streams")}, how).out) << "further descriptors";
}

TEST(Option, UnknownKeysOfTheLibraryAreNamed) {
  const Result result = check({"--option", "colour=red", "true"});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.err, "ringfence: --option: colour=red cannot be used; unknown key; help=1 lists all\n");
  EXPECT_EQ(check({"--option", "sample-rate=5", "true"}).err, "ringfence: --option: sample-rate=5 cannot be used; "
                                                              "unknown key; the nearest is sample_rate; help=1 lists "
                                                              "all\n");
}

TEST(Option, KeysOfTheLibraryAreListedWhereAskedFor) {
  for (const std::vector<std::string> &words : {std::vector<std::string>{"-o", "help=1", "-m", "page"},
                                                {"-m", "page", "-o", "help=1", "--", "no-such-program"}}) {
    const Result result = check(words);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.err, "");
    EXPECT_TRUE(has(result.out, "\n  mode=page\n")) << result.out;
    EXPECT_TRUE(has(result.out, "\n  help=1\n      print this list (0, 1)\n")) << result.out;
  }
}

TEST(Option, AnAddressIsNoFolderOfACollector) {
  const std::string said = " takes a folder, not the address http://host:7117: `ringfence forward --to "
                           "http://host:7117` sends on what lies in folders\n";
  How how;
  how.environment = {{"RINGFENCE_COLLECTOR", "http://host:7117"}};
  EXPECT_EQ(check({"--", "true"}, how).status, 2);
  EXPECT_EQ(check({"--", "true"}, how).err, "ringfence: RINGFENCE_COLLECTOR" + said);
  EXPECT_EQ(check({"-o", "collector=none", "--", program("ends"), "status", "0"}, how).status, 0);
  EXPECT_EQ(check({"-o", "collector='http://host:7117'", "--", "true"}).err, "ringfence: the option collector" + said);
}

TEST(Option, KeysOfTheCommandItselfAreRefused) {
  expect_refused({"check", "-o", "log=x", "true"}, 2, "--option log=x: use --log instead");
  expect_refused({"check", "-o", "format=text", "true"}, 2, "--option format=text: use --format instead");
  expect_refused({"check", "-o", "fill=0:log=x", "true"}, 2,
                 "--option fill=0:log=x: give one option at a time; a value with a colon stands in quotes, key='a:b'");
  expect_refused({"check", "-o", "trace='a:b':fill=0", "true"}, 2,
                 "--option trace='a:b':fill=0: give one option at a time; a value with a colon stands in quotes, "
                 "key='a:b'");
  expect_refused({"check", "--trace", "a:'\"", "true"}, 2,
                 "--trace a:'\": a name with a colon and both kinds of quotation marks cannot be given");
}

TEST(Option, StandardOutputIsNoFileForTheCommand) {
  const std::string words = " needs a file name; standard output belongs to the program";
  expect_refused({"check", "--json", "-", "true"}, 2, "--json" + words);
  expect_refused({"check", "--log=", "true"}, 2, "--log" + words);
  expect_refused({"check", "--html", "--", "true"}, 2, "--html" + words);
  expect_refused({"check", "--trace", "-", "true"}, 2, "--trace" + words);
}

TEST(Option, FilesThatCannotBeWrittenAreNamedBeforeTheRun) {
  const Result result = check({"--json", "/nonexistent/x", "--", program("ends"), "status", "9"});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "ringfence: cannot write to /nonexistent/x: No such file or directory\n");
}

// ---- Help ----

TEST(Help, ListsTheCommands) {
  for (const std::string word : {"help", "--help", "-h"}) {
    const Result result = run({ringfence(), word});
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.err, "");
    EXPECT_TRUE(has(result.out, "\n  check      run a program and find its memory bugs\n")) << result.out;
    EXPECT_TRUE(has(result.out, "\n  version "));
  }
}

TEST(Help, SaysWhereItCannotBeWritten) {
  for (const std::string words : {"help", "version", "help check", "report --help"}) {
    const Result result = run({"sh", "-c", "\"$0\" " + words + " > /dev/full", ringfence()});
    EXPECT_EQ(result.status, 2) << words;
    EXPECT_EQ(result.err, "ringfence: cannot write all to standard output\n");
  }
}

TEST(Help, IsTheSameOnEachWay) {
  for (const std::string command : {"check", "report", "help", "version"}) {
    const Result one = run({ringfence(), "help", command});
    const Result other = run({ringfence(), command, "--help"});
    EXPECT_EQ(one.status, 0);
    EXPECT_EQ(one.out, other.out);
    EXPECT_TRUE(has(one.out, "Usage: ringfence " + command)) << one.out;
  }
}

TEST(Help, DescribesEachOptionWithinEightyColumnsOrSo) {
  const Result result = run({ringfence(), "help", "check"});
  for (const char *const option :
       {"-m, --mode MODE",     "-c, --continue",     "--no-halt",       "--halt",           "--leaks WHICH",
        "--no-leaks",          "--quarantine BYTES", "--stack-depth N", "-e, --exitcode N", "-o, --option KEY=VALUE",
        "-f, --format FORMAT", "--output FILE",      "--sarif FILE",    "--junit FILE",     "--html FILE",
        "--baseline FILE",     "-j, --json FILE",    "-l, --log FILE",  "-q, --quiet",      "-v, --verbose",
        "-k, --keep",          "--library FILE",     "-h, --help"}) {
    size_t const at = result.out.find(option);
    ASSERT_NE(at, std::string::npos) << option;
    EXPECT_EQ(result.out.compare(at + std::string(option).size(), 2, "  "), 0) << option << " has no description";
  }
  size_t start = 0;
  for (size_t end = 0; (end = result.out.find('\n', start)) != std::string::npos; start = end + 1) {
    EXPECT_LE(end - start, 115u) << result.out.substr(start, end - start);
  }
}

TEST(Version, IsThatOfTheModule) {
  const std::string module = read_file("MODULE.bazel");
  for (const std::string word : {"version", "--version", "-V"}) {
    const Result result = run({ringfence(), word});
    EXPECT_EQ(result.status, 0);
    ASSERT_EQ(result.out.rfind("ringfence ", 0), 0u);
    const std::string version = result.out.substr(10, result.out.size() - 11);
    EXPECT_TRUE(has(module, "version = \"" + version + "\"")) << version;
  }
}

// ---- Programs that are not there, or are none ----

TEST(Program, MustBeNamed) {
  expect_refused({"check"}, 2, "no program given; try `ringfence check -- program arguments`");
  expect_refused({"check", "--quiet", "--"}, 2, "no program given; try `ringfence check -- program arguments`");
  expect_refused({"check", "--", ""}, 127, "the program name is empty");
}

TEST(Program, MissingOnesAreTold) {
  expect_refused({"check", "--", "no-such-program"}, 127, "program no-such-program not found in PATH");
  expect_refused({"check", "--", "./no-such-program"}, 127, "./no-such-program: No such file or directory");
}

TEST(Program, WordsThatAreNoneAreToldWithTheWayToWriteThem) {
  const std::string line = "; each argument is a word of its own, and a line for the shell goes to one: "
                           "ringfence check -- sh -c 'LINE'";
  expect_refused({"check", "--", "ls -l"}, 127, "program ls -l not found in PATH" + line);
  expect_refused({"check", "--", "./no-such-program -l"}, 127,
                 "./no-such-program -l: No such file or directory" + line);
  expect_refused({"check", "--", "true&&false"}, 127, "program true&&false not found in PATH" + line);
  expect_refused({"check", "--", "A=1", "true"}, 127,
                 "program A=1 not found in PATH; variables stand before the command: "
                 "NAME=VALUE ringfence check -- PROGRAM");
  expect_refused({"check", "--hunt", "3", "--", "true"}, 127,
                 "program 3 not found in PATH; the number of --hunt or --wait stands behind an equals sign: --hunt=N");
  expect_refused({"check", "--", "cd", "/"}, 127,
                 "program cd not found in PATH; the shell itself has this word: ringfence check -- sh -c 'LINE'");
}

TEST(Program, OneInThisDirectoryButNotInPathIsTold) {
  How how;
  how.directory = source("tests/tools/programs");
  how.environment = {{"PATH", "/usr/bin:/bin"}};
  const Result result = check({"--", "streams"}, how);
  EXPECT_EQ(result.status, 127);
  EXPECT_EQ(result.err,
            "ringfence: program streams not found in PATH; to run the one in this directory, use ./streams\n");
}

TEST(Program, DirectoriesAndDevicesAreTold) {
  expect_refused({"check", "--", "/tmp"}, 126, "/tmp is a directory, not a program");
  expect_refused({"check", "--", "/dev/null"}, 126, "/dev/null is a device, pipe or socket, not a program");
}

TEST(Program, FilesThatAreNotExecutableAreTold) {
  const std::string file = scratch("file");
  for (const std::string text : {"#!/bin/sh\n", ELFMAG}) {
    write_file(file, text);
    expect_refused({"check", "--", file}, 126, file + " is not executable (Permission denied); `chmod +x` makes it so");
  }
  for (const std::string text : {"", "#", "int main(void) { return 0; }\n"}) {
    write_file(file, text);
    expect_refused({"check", "--", file}, 126,
                   file + " is not executable, and no program: it begins neither as one (ELF) nor as a script (#!)");
  }
  unlink(file.c_str());
}

TEST(Program, WhatTheSystemCannotRunIsTold) {
  const std::string file = scratch("file");
  const std::string interpreter = scratch("interpreter");
  write_file(interpreter, "text\n"); // not executable
  write_file(file, "#!" + interpreter + "\n", 0755);
  expect_refused({"check", "--", file}, 126, "cannot run " + file + ": Permission denied");
  unlink(file.c_str());
  unlink(interpreter.c_str());
}

// ---- Programs that the library cannot get into ----

class Obstacle : public testing::Test {
protected:
  Obstacle() : path_(scratch("program")) {
    elf_.is64 = sizeof(void *) == 8;
    elf_.machine = elf_.is64 ? EM_X86_64 : EM_386;
    elf_.interpreter = elf_.is64 ? "/lib64/ld-linux-x86-64.so.2" : "/lib/ld-linux.so.2";
  }
  ~Obstacle() override { unlink(path_.c_str()); }

  // The first line is `what`, behind the program's path; the second one, if any, has `advice` in it.
  void expect(int status, const std::string &what, const std::string &advice = "", mode_t mode = 0755) {
    write_file(path_, elf_.bytes(), mode);
    const Result result = check({"--", path_});
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_EQ(result.out, "");
    ASSERT_EQ(result.said().size(), advice.empty() ? 1u : 2u) << result.err;
    EXPECT_EQ(result.said()[0], path_ + what);
    if (!advice.empty()) {
      EXPECT_TRUE(has(result.said()[1], advice)) << result.err;
    }
  }

  ElfFile elf_;
  std::string path_;
};

TEST_F(Obstacle, StaticProgram) {
  elf_.interpreter.clear();
  expect(2, " is statically linked: it has no dynamic loader, which would load libringfence.so",
         "`pkg-config --libs ringfence-malloc`, CMake's ringfence::malloc, Bazel's malloc = "
         "\"@ringfence//checkers/dropin:malloc\"");
}

TEST_F(Obstacle, SharedLibrary) {
  elf_.interpreter.clear();
  elf_.entry = 0;
  expect(126, " is a shared library, not a program", "check a program that loads it");
}

// In a folder of its own, in which there is no library for other programs (--config=i386, --config=musl).
class ObstacleAlone : public Obstacle {
protected:
  ObstacleAlone() : folder_(scratch("alone")), library_(folder_ + "/libringfence.so") {
    const std::string own = ringfence();
    EXPECT_EQ(mkdir(folder_.c_str(), 0755), 0);
    write_file(library_, read_file(own.substr(0, own.rfind("tools/")) + "checkers/dropin/libringfence.so"));
    setenv("RINGFENCE_LIB", library_.c_str(), 1);
  }
  ~ObstacleAlone() override {
    unsetenv("RINGFENCE_LIB");
    unlink(library_.c_str());
    rmdir(folder_.c_str());
  }

  std::string folder_;

private:
  std::string library_;
};

TEST_F(ObstacleAlone, OtherWidth) {
  elf_.is64 = !elf_.is64;
  elf_.machine = elf_.is64 ? EM_X86_64 : EM_386;
  // The loader must exist: a missing one is another obstacle.
  const std::string program = elf_.is64 ? "64" : "32";
  const std::string library = elf_.is64 ? "32" : "64";
  expect(2, " is a " + program + "-bit program, and libringfence.so is built for " + library + " bits", "--library");
}

// x32: the library for i386, which --config=i386 adds, is none for it.
TEST_F(ObstacleAlone, AnAbiThatHasNoLibrary) {
  elf_.is64 = false;
  elf_.machine = EM_X86_64;
  expect(2, " is a 32-bit program of another ABI than i386 (x32, for one), for which there is no library",
         "build it for 64 bits");
}

TEST_F(ObstacleAlone, OtherLibc) {
  for (const auto &[name, advice] : {std::pair<const char *, const char *>{"ld-musl-x86_64.so.1", "--config=musl"},
                                     {"ld-uClibc.so.0", "build it against glibc"}}) {
    elf_.interpreter = folder_ + "/" + name;
    write_file(elf_.interpreter, "");
    const bool has_library = elf_.is64 || advice[0] == 'b';
    expect(2, " is linked to another C library than libringfence.so (its loader is " + elf_.interpreter + ")",
           has_library ? advice : "build it against glibc");
    unlink(elf_.interpreter.c_str());
  }
}

TEST_F(Obstacle, OtherMachine) {
  elf_.machine = elf_.is64 ? EM_AARCH64 : EM_ARM;
  expect(126, elf_.is64 ? " is a program for ARM64" : " is a program for ARM (32 bit)");
}

TEST_F(Obstacle, SetuidProgram) {
  write_file(path_, elf_.bytes());
  struct statvfs mount = {};
  ASSERT_EQ(statvfs(path_.c_str(), &mount), 0);
  if (chown(path_.c_str(), 65534, 65534) != 0 || (mount.f_flag & ST_NOSUID) != 0) {
    GTEST_SKIP() << "no file can be made setuid here; inspect_test covers the rest";
  }
  expect(2, " is setuid or setgid: it runs with privileges that differ from yours, so the loader ignores LD_PRELOAD",
         "check a copy", 04755);
}

TEST_F(Obstacle, Sanitizer) {
  elf_.dynamic_symbols = {{"__asan_init", 0, 0, false}};
  expect(2, " is built with AddressSanitizer, which brings its own malloc", "for what AddressSanitizer finds");
}

TEST_F(Obstacle, OwnMalloc) {
  elf_.dynamic_symbols = {{"malloc", 0x1000, 8}};
  expect(2, " defines malloc itself, so it would not use the malloc of libringfence.so",
         "or with the checked one: `pkg-config --libs ringfence-malloc`, CMake's ringfence::malloc, Bazel's malloc = "
         "\"@ringfence//checkers/dropin:malloc\"");
}

TEST_F(Obstacle, MissingLoader) {
  elf_.interpreter = "/nonexistent/ld-linux.so.9";
  expect(126, " needs the loader /nonexistent/ld-linux.so.9, which is not on this system");
}

TEST_F(Obstacle, ObjectFile) {
  elf_.type = ET_REL;
  expect(126, " is an ELF file but not a program");
}

TEST_F(Obstacle, OfAScriptIsThatOfItsInterpreter) {
  elf_.interpreter.clear();
  write_file(path_, elf_.bytes(), 0755);
  const std::string script = scratch("script");
  write_file(script, "#!" + path_ + "\n", 0755);
  const Result result = check({"--", script});
  EXPECT_EQ(result.status, 2);
  ASSERT_EQ(result.said().size(), 3u) << result.err;
  EXPECT_EQ(result.said()[0], script + " is a script that " + path_ + " runs");
  EXPECT_EQ(result.said()[1],
            path_ + " is statically linked: it has no dynamic loader, which would load libringfence.so");
  unlink(script.c_str());
}

TEST(Script, MissingInterpreter) {
  const std::string script = scratch("script");
  write_file(script, "#!/nonexistent/python\n", 0755);
  expect_refused({"check", "--", script}, 126,
                 script + " is a script that /nonexistent/python runs, which is not on this system");
  unlink(script.c_str());
}

TEST(Script, LinesThatEndAsOnWindowsAreTold) {
  const std::string script = scratch("script");
  write_file(script, "#!/bin/sh\r\n", 0755);
  const Result result = check({"--", script});
  EXPECT_EQ(result.status, 126);
  EXPECT_EQ(result.err, "ringfence: " + script +
                            " is a script whose first line ends with a carriage return, as on Windows: there is no "
                            "program /bin/sh with one behind its name\n"
                            "ringfence: take it out of each line: sed -i 's/\\r$//' FILE\n");
  unlink(script.c_str());
}

// ---- The library ----

TEST(Library, OneThatIsNotThereIsNamed) {
  expect_refused({"check", "--library", "/nonexistent.so", "true"}, 2,
                 "cannot read the library /nonexistent.so that --library names");
  How how;
  how.environment = {{"RINGFENCE_LIB", "/nonexistent.so"}};
  EXPECT_EQ(check({"true"}, how).err, "ringfence: cannot read the library /nonexistent.so that RINGFENCE_LIB names\n");
}

TEST(Library, OneThatIsNoLibraryIsNamed) {
  const std::string file = scratch("file");
  write_file(file, "text");
  const Result result = check({"--library", file, "true"});
  EXPECT_EQ(result.status, 2);
  EXPECT_TRUE(has(result.err, ", which --library names, is not a library\n")) << result.err;
  unlink(file.c_str());
}

TEST(Library, OneThatDoesNotReportIsNotTakenForSilence) {
  // Any library will load; this one is not ours.
  const Result result = check({"--library", "/proc/self/exe", "--", program("ends"), "status", "0"});
  EXPECT_EQ(result.status, 2);
  EXPECT_TRUE(has(result.err, "nothing was checked: libringfence.so was not loaded into ")) << result.err;
}

} // namespace
