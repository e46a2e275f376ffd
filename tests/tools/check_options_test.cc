// The options of `ringfence check`, each by what it changes, and where it finds its library and a place for its files.
#include "tests/tools/run.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace ringfence_test;

TEST(Options, QuietSaysNothingOfNothing) {
  EXPECT_EQ(check({"--quiet", "--", program("overflow"), "without"}).err, "");
  EXPECT_TRUE(has(check({"-q", "--", program("overflow")}).err, "ringfence: 1 finding"));
  for (const char *const format : {"--format=sarif", "--format=json", "--format=html", "--format=github"}) {
    EXPECT_EQ(check({"-q", format, "--", program("overflow"), "without"}).err, "") << format;
    EXPECT_NE(check({"-q", format, "--", program("overflow")}).err, "") << format;
  }
}

const char *const kPools[][2] = {{"PYTHONMALLOC", "malloc"}, {"USE_ZEND_ALLOC", "0"},
                                 {"USE_TRACKED_ALLOC", "1"}, {"G_SLICE", "always-malloc"},
                                 {"GLIBCXX_FORCE_NEW", "1"}, {"NSS_DISABLE_ARENA_FREE_LIST", "1"}};

TEST(Options, WithoutPoolsProgramsAreToldToUseMalloc) {
  How how;
  for (const auto &[name, value] : kPools) {
    how.without.emplace_back(name);
  }
  const std::vector<std::string> words = {"--", "env"};
  const std::string with = check(words, how).out;
  const std::string without = check({"--no-pools", "--", "env"}, how).out;
  for (const auto &[name, value] : kPools) {
    EXPECT_FALSE(has("\n" + with, "\n" + std::string(name) + "=")) << with;
    EXPECT_TRUE(has("\n" + without, "\n" + std::string(name) + "=" + value + "\n")) << without;
  }
  how.without = {"USE_ZEND_ALLOC"};
  how.environment = {{"PYTHONMALLOC", "debug"}, {"G_SLICE", ""}};
  const std::string theirs = "\n" + check({"--no-pools", "--", "env"}, how).out;
  EXPECT_TRUE(has(theirs, "\nPYTHONMALLOC=debug\n")) << "as the user has it";
  EXPECT_TRUE(has(theirs, "\nG_SLICE=\n"));
  EXPECT_EQ(count(theirs, "\nPYTHONMALLOC="), 1U);
  EXPECT_TRUE(has(theirs, "\nUSE_ZEND_ALLOC=0\n"));
}

// By their names: a program that is called so.
TEST(Options, SaysWhoseBlocksFromPoolsWereNotChecked) {
  const Removed folder(scratch("pools"));
  ASSERT_EQ(mkdir(scratch("pools").c_str(), 0755), 0);
  How how;
  how.without = {"PYTHONMALLOC", "USE_ZEND_ALLOC"};
  const std::pair<const char *, const char *> named[] = {
      {"python3.11", "Python"}, {"php8.2", "PHP"}, {"php-fpm8.2", "PHP"}, {"perl", ""}};
  for (const auto &[name, whose] : named) {
    SCOPED_TRACE(name);
    const std::string path = scratch("pools") + "/" + name;
    const std::string hint = "; small blocks from " + std::string(whose) + "'s own pools not checked (--no-pools";
    std::filesystem::copy_file(program("overflow"), path);
    const auto says = [&](const std::vector<std::string> &options, const How &with) {
      std::vector<std::string> words = options;
      words.insert(words.end(), {"--", path, "without"});
      return has(check(words, with).err, hint);
    };
    const bool known = whose[0] != '\0';
    EXPECT_EQ(says({}, how), known);
    EXPECT_EQ(says({"--mode=page"}, how), known);
    EXPECT_FALSE(says({"--no-pools"}, how));
    EXPECT_FALSE(says({"--mode=sample"}, how));
    EXPECT_FALSE(says({"--mode=off"}, how));
    How off = how;
    off.environment = {{"PYTHONMALLOC", "malloc_debug"}, {"USE_ZEND_ALLOC", "0"}};
    EXPECT_FALSE(says({}, off));
    off.environment = {{"PYTHONMALLOC", "pymalloc"}, {"USE_ZEND_ALLOC", "1"}};
    EXPECT_EQ(says({}, off), known);
  }
  const std::string json = scratch("json");
  const Removed file(json);
  EXPECT_EQ(check({"--json", json, "--", scratch("pools") + "/php8.2", "without"}, how).status, 0);
  EXPECT_TRUE(has(read_file(json), R"("unchecked_pools":"PHP")")) << read_file(json);
  EXPECT_EQ(check({"--json", json, "--", scratch("pools") + "/perl", "without"}, how).status, 0);
  EXPECT_FALSE(has(read_file(json), "unchecked_pools"));
  const Result report = run({ringfence(), "report", json});
  EXPECT_FALSE(has(report.err + report.out, "own pools"));
}

TEST(Options, ATraceMayHaveAColonInItsPath) {
  const std::string folder = scratch("a:b");
  ASSERT_EQ(mkdir(folder.c_str(), 0755), 0);
  const std::string trace = folder + "/it's";
  EXPECT_EQ(check({"--trace", trace, "--", program("overflow"), "without"}).status, 0);
  EXPECT_EQ(unlink(trace.c_str()), 0);
  const std::string other = folder + "/t";
  EXPECT_EQ(check({"-o", "trace='" + other + "'", "--", program("overflow"), "without"}).status, 0);
  EXPECT_EQ(unlink(other.c_str()), 0);
  EXPECT_EQ(rmdir(folder.c_str()), 0);
}

TEST(Options, VerboseListsProcessesAndShowsWholeStacks) {
  const Result result = check({"--verbose", "--", program("overflow")});
  EXPECT_TRUE(has(result.err, "ringfence: library: " + source("checkers/dropin/libringfence.so") + ", with "));
  EXPECT_TRUE(has(result.err, ", " + program("overflow") + ": ")) << result.err;
  EXPECT_TRUE(has(result.err, "__libc_start")) << result.err;
  EXPECT_FALSE(has(check({"--", program("overflow")}).err, "__libc_start"));
}

TEST(Options, LogTakesThePlaceOfStandardError) {
  const std::string log = scratch("log");
  const Result result = check({"--log", log, "--", program("overflow")});
  EXPECT_EQ(result.err, "");
  EXPECT_TRUE(has(read_file(log), "heap-buffer-overflow"));
  EXPECT_TRUE(has(read_file(log), "ringfence: 1 finding in 1 process"));
  unlink(log.c_str());
}

TEST(Options, JsonWritesFindingsAndSummaryForPrograms) {
  const std::string file = scratch("json");
  const Result result = check({"--continue", "--json", file, "--", program("repeats")});
  const std::string json = read_file(file);
  EXPECT_TRUE(has(result.err, "SUMMARY: Ringfence: heap-buffer-overflow")) << "the text is printed as well";
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 3) << json;
  EXPECT_TRUE(has(json, R"("bug":"heap-buffer-overflow","cwe":122)")) << json;
  EXPECT_TRUE(has(json, R"("function":"spoil","file":")")) << json;
  EXPECT_TRUE(has(json, R"("times":3,"processes":1})")) << json;
  EXPECT_TRUE(has(json, R"({"type":"run","version":1,"processes":1,"killed":0,"running":0,"unreadable":0,)")) << json;
  EXPECT_TRUE(has(json, R"("leaks_unchecked":0,"allocations":)")) << json;
  EXPECT_TRUE(has(json, R"("findings":2,"times":4,"suppressed":0,"mode":"guard","duration_ns":)")) << json;
  EXPECT_TRUE(has(json, R"("status":5})")) << json;
  unlink(file.c_str());
}

TEST(Options, JsonIsReadByOthers) {
  const std::string file = scratch("json");
  check({"--json", file, "--", program("overflow")});
  const Result result =
      run({"python3", "-c", "import json,sys\nprint(len([json.loads(l) for l in open(sys.argv[1])]))", file});
  EXPECT_EQ(result.out, "2\n") << result.err;
  unlink(file.c_str());
}

TEST(Options, FormatJsonPrintsThatOnly) {
  const Result result = check({"--format=json", "--", program("overflow"), "without"});
  EXPECT_EQ(result.err.rfind(R"({"type":"run",)", 0), 0u) << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
}

TEST(Options, KeepLeavesTheRecords) {
  const Result result = check({"--keep", "--", program("overflow"), "without"});
  ASSERT_EQ(result.said().size(), 2u) << result.err;
  const std::string words = "the records of the processes are in ";
  ASSERT_EQ(result.said()[0].rfind(words, 0), 0u);
  const std::string folder = result.said()[0].substr(words.size());
  const Result listed = run({"sh", "-c", "cat \"$1\"/*; rm -r \"$1\"", "sh", folder});
  EXPECT_TRUE(has(listed.out, R"({"type":"start")")) << listed.out;
}

TEST(Options, WithoutKeepNothingIsLeft) {
  const std::string folder = scratch("tmp");
  mkdir(folder.c_str(), 0700);
  How how;
  how.environment = {{"TMPDIR", folder}};
  check({"--", program("forks")}, how);
  EXPECT_EQ(rmdir(folder.c_str()), 0) << "it is not empty";
}

TEST(Options, LeaksCanBeLeftOut) {
  EXPECT_EQ(check({"--no-leaks", "--", program("leak")}).status, 0);
  EXPECT_EQ(check({"--leaks=0", "--", program("leak")}).status, 0);
  EXPECT_EQ(check({"--leaks=all", "--", program("leak")}).status, 99);
}

TEST(Options, ModeOffChecksNothing) {
  const Result result = check({"--mode=off", "--", program("overflow")});
  EXPECT_EQ(result.status, 0);
  EXPECT_TRUE(has(result.err, "mode off")) << result.err;
}

TEST(Options, QuarantineZeroGivesFreedBlocksOutAtOnce) {
  EXPECT_EQ(check({"--", program("use_after_free"), "of", "another"}).status, 99);
  EXPECT_EQ(check({"--quarantine=0", "--", program("use_after_free")}).status, 99);
  EXPECT_EQ(check({"--quarantine=0", "--", program("use_after_free"), "of", "another"}).status, 0);
}

TEST(Options, StackDepthLimitsStacks) {
  const std::string deep = check({"--no-halt", "--", program("repeats")}).err;
  const std::string flat = check({"--no-halt", "--stack-depth=1", "--", program("repeats")}).err;
  const std::string caller = "allocated by thread T0 here:\n    #0 ";
  auto const frames = [&](const std::string &text) {
    const std::string from = text.substr(text.find(caller) + caller.size());
    return has(from.substr(0, from.find("Bytes as found")), "#1 ") ? 2 : 1;
  };
  EXPECT_EQ(frames(deep), 2) << deep;
  EXPECT_EQ(frames(flat), 1) << flat;
}

TEST(Options, OptionPassesAnyKeyOn) {
  EXPECT_EQ(check({"-o", "sweep=0", "--option", "leaks=0", "--", program("use_after_free")}).status, 0);
}

TEST(Options, LibraryMayBeNamed) {
  for (const char *const name : {"with space and:colon.so", "with-$LIB.so"}) { // which the loader would replace
    const std::string copy = scratch(name);
    write_file(copy, read_file(source("checkers/dropin/libringfence.so")), 0755);
    EXPECT_EQ(check({"--library", copy, "--", program("overflow")}).status, 99) << name;
    How how;
    how.environment = {{"RINGFENCE_LIB", copy}};
    EXPECT_EQ(check({"--", program("overflow")}, how).status, 99) << name;
    unlink(copy.c_str());
  }
  How empty;
  How wrong;
  wrong.environment = {{"RINGFENCE_LIB", "/nonexistent.so"}};
  EXPECT_EQ(check({"--library", source("checkers/dropin/libringfence.so"), "--", program("overflow")}, wrong).status,
            99)
      << "the option comes first";
  empty.environment = {{"RINGFENCE_LIB", ""}};
  EXPECT_EQ(check({"--", program("overflow")}, empty).status, 99) << "as if it were not set";
}

TEST(Installed, TheLibraryIsFoundBesideTheCommandAndInLib) {
  const std::string root = scratch("root");
  mkdir(root.c_str(), 0700);
  for (const std::string folder : {"bin", "lib"}) {
    mkdir((root + "/" + folder).c_str(), 0700);
  }
  const std::string command = root + "/bin/ringfence";
  write_file(command, read_file(ringfence()), 0755);
  for (const std::string name : {"/bin/libringfence.so", "/lib/libringfence.so", "/lib/libringfence.so.0"}) {
    const std::string library = root + name;
    EXPECT_EQ(run({command, "check", "--", program("overflow")}).status, 2) << "there is none yet";
    write_file(library, read_file(source("checkers/dropin/libringfence.so")), 0755);
    EXPECT_EQ(run({command, "check", "--", program("overflow")}).status, 99) << name;
    unlink(library.c_str());
  }
  run({"rm", "-r", root});
}

// ---- Odd surroundings ----

TEST(Temporary, AnOddTmpdirIsPassedOver) {
  for (const char *const odd : {"/nonexistent", "relative", "/tmp/with:colon", "", "/dev/null"}) {
    How how;
    how.environment = {{"TMPDIR", odd}};
    EXPECT_EQ(check({"--", program("overflow")}, how).status, 99) << odd;
  }
}

// As parts of options, or of lists of libraries, such names would mean something else.
TEST(Temporary, AFolderWithAnOddNameIsPassedOver) {
  for (const char *const odd : {"with:colon", "with space", "with'quote", "with\"quote", "with\\backslash", "with%p"}) {
    const std::string folder = scratch(odd);
    ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
    How how;
    how.environment = {{"TMPDIR", folder}};
    const Result result = check({"--", program("overflow")}, how);
    EXPECT_TRUE(has(result.err, "ringfence: 1 finding in 1 process: ")) << odd << result.err;
    EXPECT_EQ(rmdir(folder.c_str()), 0) << odd;
  }
}

TEST(Temporary, IsNoFolderRelativeToTheUsers) {
  How how;
  how.directory = scratch("here");
  ASSERT_EQ(mkdir(how.directory.c_str(), 0700), 0);
  ASSERT_EQ(mkdir((how.directory + "/relative").c_str(), 0700), 0);
  how.environment = {{"TMPDIR", "relative"}};
  const Result result = check({"--keep", "--", program("overflow")}, how);
  EXPECT_TRUE(has(result.err, "the records of the processes are in /tmp/ringfence-")) << result.err;
}

TEST(Temporary, IsNotLeftWhereItCannotBeWritten) {
  const std::string folder = scratch("limited");
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  const Result result = run({"sh", "-c", "ulimit -f 0; TMPDIR=$1 exec \"$0\" check -- true", ringfence(), folder});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(rmdir(folder.c_str()), 0) << "it is not empty";
}

// Some of what is written fits into it.
TEST(Temporary, ALimitForSizesOfFilesIsNamed) {
  if (run({"sh", "-c", "ulimit -f 1; ulimit -f unlimited"}).status == 0) {
    GTEST_SKIP() << "this user may raise the limit";
  }
  for (const char *const blocks : {"0", "1"}) {
    const Result result = run({"sh", "-c", "(ulimit -f $1; \"$0\" check -- true) 2>&1 | cat", ringfence(), blocks});
    EXPECT_EQ(result.out, "ringfence: cannot write records: the limit for sizes of files (ulimit -f) is too low\n");
  }
}

// The command raises its own, to write records.
TEST(Temporary, TheProgramHasTheLimitForSizesOfFilesThatItsCallerSet) {
  const Result result =
      run({"sh", "-c", "(ulimit -S -f 1; \"$0\" check -q -- sh -c 'ulimit -S -f') 2>&1 | cat", ringfence()});
  EXPECT_EQ(result.out, "1\n");
}

TEST(Temporary, AFullDiskIsPassedOver) {
  How how;
  how.environment = {{"TMPDIR", "/dev/full"}};
  EXPECT_EQ(check({"--", program("overflow")}, how).status, 99);
}

TEST(Outputs, AFullDiskIsSaid) {
  const Result result = check({"--log", "/dev/full", "--", program("overflow")});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "cannot write all to /dev/full: ")) << result.err;
}

// Opening such a name again would cut off the file behind it, and write over what the program writes.
void expect_kept(const std::string &option) {
  const std::string file = scratch("shared");
  write_file(file, "prior\n");
  const std::string words = "\"$0\" check -f text \"$1\" -- sh -c 'echo said; \"$1\"' sh \"$2\" >>\"$3\" 2>&1 5>&1";
  const Result result = run({"sh", "-c", words, ringfence(), option, program("overflow"), file});
  const std::string text = read_file(file);
  EXPECT_EQ(text.rfind("prior\nsaid\n", 0), 0u) << option << text;
  EXPECT_TRUE(has(text, "heap-buffer-overflow")) << option << text;
  EXPECT_EQ(result.status, option.rfind("--write-baseline=", 0) == 0 ? 0 : 99) << option << text;
  EXPECT_EQ(unlink(file.c_str()), 0);
}

TEST(Outputs, ADescriptorsFileKeepsWhatIsInIt) {
  const std::string link = scratch("link");
  ASSERT_EQ(symlink("/dev/stderr", link.c_str()), 0);
  for (const std::string option : {"--log=", "--json=", "--sarif=", "--output=", "--write-baseline="}) {
    expect_kept(option + "/dev/stderr");
  }
  for (const char *const path : {"/dev/fd/2", "/dev/../dev/fd/5", "/proc/self/fd/5", "/proc/thread-self/fd/2"}) {
    expect_kept("--json=" + std::string(path));
  }
  expect_kept("--log=" + link);
  EXPECT_EQ(unlink(link.c_str()), 0);
}

TEST(Outputs, ADescriptorThatIsTheCommandsOwnIsNone) {
  const std::string log = scratch("log");
  How how;
  how.closed = {3, 4, 5, 6, 7, 8, 9};
  for (const std::string path : {"/dev/fd/3", "/proc/self/fd/4", "/dev/fd/99999999999"}) {
    const Result result = check({"--log", log, "--json", path, "--", program("overflow")}, how);
    EXPECT_EQ(result.status, 2) << path;
    EXPECT_TRUE(has(result.err, "cannot write to " + path + ": ")) << result.err;
  }
  unlink(log.c_str());
}

TEST(Outputs, ATraceNeedsAFileOfItsOwn) {
  const std::string file = scratch("shared");
  write_file(file, "prior\n");
  const std::string words = "exec \"$0\" check --trace /dev/stdout -- \"$1\" >>\"$2\"";
  const Result result = run({"sh", "-c", words, ringfence(), program("overflow"), file});
  EXPECT_EQ(result.status, 2);
  EXPECT_TRUE(has(result.err, "ringfence: --trace /dev/stdout: a trace needs a file of its own\n")) << result.err;
  EXPECT_EQ(read_file(file), "prior\n");
  EXPECT_EQ(unlink(file.c_str()), 0);
}

TEST(Outputs, ATraceThatCannotBeWrittenIsSaidBeforeTheRun) {
  const Result result = check({"--trace", "/nowhere/run.%p", "--", "echo", "ran"});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "ringfence: cannot write to /nowhere/run.%p: No such file or directory\n");
}

} // namespace
