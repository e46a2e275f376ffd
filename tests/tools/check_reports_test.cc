// Reports of `ringfence check` beside its text: other forms, suppressions, baselines, outputs of tests.
#include "tests/tools/run.h"

#include <csignal>
#include <cstdio>
#include <ctime>
#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

class CheckReports : public testing::Test {
protected:
  CheckReports() { EXPECT_EQ(run({"mkdir", "-p", folder_}).status, 0); }
  ~CheckReports() override { run({"rm", "-r", folder_}); }

  std::string file(const std::string &name) { return folder_ + "/" + name; }
  std::string file(const std::string &name, const std::string &text) {
    write_file(file(name), text);
    return file(name);
  }

  std::string folder_ = scratch("files");
};

TEST_F(CheckReports, FormatIsOfWhatIsPrinted) {
  EXPECT_EQ(check({"--format=sarif", "--", program("overflow")}).err.rfind("{\n\"$schema\"", 0), 0U);
  EXPECT_EQ(check({"--format=junit", "--", program("overflow")}).err.rfind("<?xml ", 0), 0U);
  EXPECT_EQ(check({"--format=html", "--", program("overflow")}).err.rfind("<!DOCTYPE html>", 0), 0U);
}

TEST_F(CheckReports, OutputsAreWrittenBesideTheText) {
  const Result result = check(
      {"--output", file("r.sarif"), "--output", file("r.html"), "--output", file("r.xml"), "--", program("overflow")});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "SUMMARY: Ringfence: heap-buffer-overflow")) << result.err;
  const std::string sarif = read_file(file("r.sarif"));
  EXPECT_TRUE(has(sarif, "\"commandLine\":\"" + program("overflow") + "\"")) << sarif;
  EXPECT_TRUE(has(sarif, "\"exitCode\":99"));
  EXPECT_TRUE(has(sarif, "\"uri\":\"tests/tools/programs/overflow.c\"")) << sarif;
  EXPECT_EQ(run({"python3", source("tests/tools/sarif_rules.py"), file("r.sarif")}).status, 0);
  const std::string page = read_file(file("r.html"));
  EXPECT_TRUE(has(page, "overflow</code>"));
  EXPECT_TRUE(has(page, "<span class=\"where\">tests/tools/programs/overflow.c:")) << page;
  EXPECT_TRUE(has(page, "</b> at the peak</li>")) << page;
  EXPECT_FALSE(has(page, "<b></b>")) << page;
  char host[256] = "";
  ASSERT_EQ(gethostname(host, sizeof host - 1), 0);
  EXPECT_TRUE(has(read_file(file("r.xml")), "hostname=\"" + std::string(host) + "\"")) << read_file(file("r.xml"));
  EXPECT_TRUE(has(read_file(file("r.xml")), "classname=\"ringfence.overflow\"")) << read_file(file("r.xml"));
}

// Milliseconds of the day of a time of SARIF behind `name`; -1 where there is none.
long time_in(const std::string &sarif, const std::string &name) {
  const std::string mark = "\"" + name + "\":\"";
  const size_t at = sarif.find(mark);
  int hour = 0;
  int minute = 0;
  int second = 0;
  int rest = 0;
  char zone = ' ';
  const bool whole = at != std::string::npos &&
                     sscanf(sarif.c_str() + at + mark.size(), "%*4d-%*2d-%*2dT%2d:%2d:%2d.%3d%c\"", &hour, &minute,
                            &second, &rest, &zone) == 5 &&
                     zone == 'Z';
  return whole ? ((hour * 60L + minute) * 60 + second) * 1000 + rest : -1;
}

TEST_F(CheckReports, SarifTellsHowTheProgramRanAndEnded) {
  const long before = time(nullptr) % 86400 * 1000;
  const Result killed = check({"-q", "--sarif", file("killed"), "--", "sh", "-c", "sleep 0.3; kill -TERM $$"});
  EXPECT_EQ(killed.signal, SIGTERM);
  std::string sarif = read_file(file("killed"));
  EXPECT_TRUE(has(sarif, R"("automationDetails":{)"
                         "\n"
                         R"("id":"ringfence/sh/")"))
      << sarif;
  EXPECT_TRUE(has(sarif, R"("executionSuccessful":true)")) << sarif;
  EXPECT_TRUE(has(sarif, R"("exitSignalNumber":15,"exitSignalName":"Terminated","workingDirectory")")) << sarif;
  EXPECT_FALSE(has(sarif, "exitCode")) << sarif;
  EXPECT_TRUE(has(sarif, R"("commandLine":"sh -c sleep 0.3; kill -TERM $$")")) << sarif;
  const long began = time_in(sarif, "startTimeUtc");
  const long day = 24L * 60 * 60 * 1000;
  ASSERT_GE(began, 0) << sarif;
  ASSERT_GE(time_in(sarif, "endTimeUtc"), 0) << sarif;
  const long lasted = (time_in(sarif, "endTimeUtc") - began + day) % day;
  EXPECT_GE(lasted, 300);
  EXPECT_LT(lasted, 60000);
  EXPECT_LT((began - before + day) % day, 60000);
  check({"-q", "--sarif", file("left"), "--", "sh", "-c", "exit 3"});
  sarif = read_file(file("left"));
  EXPECT_TRUE(has(sarif, R"("exitCode":3)")) << sarif;
  EXPECT_FALSE(has(sarif, "exitSignal")) << sarif;
}

TEST_F(CheckReports, GithubIsAnAnnotationAfterTheText) {
  const Result result = check({"--format=github", "--write-baseline", file("known"), "--", program("overflow")});
  const size_t at = result.err.find("\n::error file=tests/tools/programs/overflow.c,line=");
  EXPECT_TRUE(has(result.err, "SUMMARY: Ringfence: heap-buffer-overflow")) << result.err;
  ASSERT_NE(at, std::string::npos) << result.err;
  const std::string line = result.err.substr(at + 1);
  EXPECT_EQ(line.find('\n'), line.size() - 1) << "one line: " << line;
  EXPECT_TRUE(has(line, ",title=Ringfence%3A heap-buffer-overflow::1 byte written, ")) << line;
  EXPECT_TRUE(has(line, "%0Aallocated in%0A    ")) << line;
  EXPECT_TRUE(
      has(check({"--format=github", "--baseline", file("known"), "--", program("overflow")}).err, "\n::notice "));
  EXPECT_FALSE(has(check({"--format=github", "--", program("copy")}).err, "::"));
}

TEST_F(CheckReports, GithubsOwnLettersAreEscaped) {
  check({"--json", file("found"), "--", program("overflow")});
  std::string json = read_file(file("found"));
  const std::string name = "overflow.c\"";
  for (size_t at = json.find(name); at != std::string::npos; at = json.find(name, at + 1)) {
    json.replace(at, name.size(), "a,b:c%.c\"");
  }
  const Result result = run({ringfence(), "report", "--no-symbols", "--format=github", file("odd", json)});
  EXPECT_TRUE(has(result.out, "/a%2Cb%3Ac%25.c,line=")) << result.out;
  EXPECT_TRUE(has(result.out, "/a,b:c%25.c:")) << "in the message a comma and a colon stay: " << result.out;
}

TEST_F(CheckReports, ColoursAreForTerminalsOrThoseWhoAsk) {
  const std::string red = "\033[1;31m";
  const std::string command = ringfence() + " check -- " + program("overflow");
  EXPECT_FALSE(has(check({"--", program("overflow")}).err, "\033["));
  EXPECT_TRUE(has(check({"--color=always", "--", program("overflow")}).err, "\n" + red + "=="));
  EXPECT_EQ(check({"--color=blue", "--", "true"}).err, "ringfence: --color blue: use auto, always or never\n");
  if (run({"sh", "-c", "command -v script"}).status != 0) {
    GTEST_SKIP() << "no script(1) to make a terminal";
  }
  const auto on_terminal = [&](const std::string &words) {
    How how;
    how.environment = {{"TERM", "xterm"}};
    how.without = {"NO_COLOR"};
    return run({"script", "-qec", words, "/dev/null"}, how).out;
  };
  EXPECT_TRUE(has(on_terminal(command), red + "=="));
  EXPECT_TRUE(has(on_terminal("NO_COLOR= " + command), red + "==")) << "empty counts as not set";
  EXPECT_FALSE(has(on_terminal("NO_COLOR=1 " + command), "\033["));
  EXPECT_FALSE(has(on_terminal("TERM=dumb " + command), "\033["));
  EXPECT_FALSE(has(on_terminal(ringfence() + " check --color=never -- " + program("overflow")), "\033["));
}

TEST_F(CheckReports, ErrorExitcodeIsExitcode) {
  EXPECT_EQ(check({"--error-exitcode=7", "--", program("overflow")}).status, 7);
  check({"--json", file("found"), "--", program("overflow")});
  EXPECT_EQ(run({ringfence(), "report", "--error-exitcode", "8", file("found")}).status, 8);
}

TEST_F(CheckReports, EachFormatHasAnOptionOfItsOwn) {
  const Result result = check({"--sarif", file("a"), "--junit", file("b"), "--html", file("c.sarif"), "--format=json",
                               "--", program("overflow")});
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.err.rfind("{\"type\":\"finding\"", 0), 0U) << result.err;
  EXPECT_EQ(read_file(file("a")).rfind("{\n\"$schema\"", 0), 0U);
  EXPECT_EQ(read_file(file("b")).rfind("<?xml ", 0), 0U);
  EXPECT_EQ(read_file(file("c.sarif")).rfind("<!DOCTYPE html>", 0), 0U);
  EXPECT_EQ(check({"--html", "-", "--", "true"}).err,
            "ringfence: --html needs a file name; standard output belongs to the program\n");
}

TEST_F(CheckReports, FormatIsOfTheOutputWhereThereIsOne) {
  const Result result = check({"--format=junit", "--output", file("report"), "--", program("overflow")});
  EXPECT_TRUE(has(result.err, "SUMMARY: Ringfence")) << "text";
  EXPECT_EQ(read_file(file("report")).rfind("<?xml ", 0), 0U);
  const Result both = check({"--sarif", file("a"), "--format=junit", "--output", file("b"), "--", program("overflow")});
  EXPECT_EQ(read_file(file("a")).rfind("{\n\"$schema\"", 0), 0U) << both.err;
  EXPECT_EQ(read_file(file("b")).rfind("<?xml ", 0), 0U) << "behind an option that has its format";
}

TEST_F(CheckReports, AnOutputThatCannotBeWrittenStopsBeforeTheRun) {
  const Result result = check({"--output", "/nonexistent/r.xml", "--", "sh", "-c", "echo ran"});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(has(result.err, "cannot write to /nonexistent/r.xml")) << result.err;
  EXPECT_EQ(check({"--output", file("r.pdf"), "--", "true"}).status, 2);
  EXPECT_EQ(check({"--sarif", file("a"), "--output", file("r.pdf"), "--", "true"}).status, 2);
  EXPECT_EQ(check({"--output", "-", "--", "true"}).status, 2);
}

TEST_F(CheckReports, ATraceThatCannotBeWrittenStopsBeforeTheRun) {
  for (const char *const path : {"/nonexistent/t.rft", "/nonexistent/t.%p", "/"}) {
    const Result result = check({"--trace", path, "--", "sh", "-c", "echo ran"});
    EXPECT_EQ(result.status, 2) << path;
    EXPECT_EQ(result.out, "") << path;
    EXPECT_TRUE(has(result.err, std::string("cannot write to ") + path)) << result.err;
  }
  EXPECT_EQ(check({"--trace", "/dev/null", "--", "true"}).status, 0);
  EXPECT_EQ(check({"--trace", file("t.%p"), "--", "true"}).status, 0);
}

TEST_F(CheckReports, ARuleForAFunctionHidesAndDoesNotEndTheProgram) {
  const std::string rules = file("rules", "heap-buffer-overflow:^spoil$\nheap-buffer-overflow:repeats\n");
  const Result result = check({"--suppressions", rules, "--", program("repeats")});
  EXPECT_EQ(result.status, 5) << "the program's own" << result.err;
  EXPECT_TRUE(has(result.err, "; 4 suppressed\n")) << result.err;
  EXPECT_TRUE(has(result.err, "      3          0 heap-buffer-overflow:^spoil$\n"
                              "      1          0 heap-buffer-overflow:repeats\n"))
      << result.err;
}

TEST_F(CheckReports, ARuleForASourceFileHidesAfterTheRun) {
  const std::string rules = file("rules", "*:programs/repeats.c\n");
  const Result result = check({"--continue", "--suppressions", rules, "--", program("repeats")});
  EXPECT_EQ(result.status, 5);
  EXPECT_TRUE(has(result.err, "ringfence: nothing found in 1 process: ")) << result.err;
  const Result halted = check({"--suppressions", rules, "--", program("repeats")});
  EXPECT_EQ(halted.status, 99);
  EXPECT_TRUE(has(halted.err, "--continue avoids that")) << halted.err;
}

TEST_F(CheckReports, OtherFindingsStillCount) {
  const std::string rules = file("rules", "heap-buffer-overflow:^spoil$\n");
  const Result result = check({"--continue", "--suppressions", rules, "--", program("repeats")});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "ringfence: 1 finding in 1 process: ")) << result.err;
}

TEST_F(CheckReports, WrongSuppressionsStopBeforeTheRun) {
  const Result result = check({"--suppressions", file("rules", "nonsense\n"), "--", "sh", "-c", "echo ran"});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(has(result.err, ":1: nonsense: no colon; a rule is KIND:PATTERN")) << result.err;
}

TEST_F(CheckReports, ABaselineLetsOnlyNewFindingsCount) {
  const std::string known = file("known.txt");
  const Result written = check({"--write-baseline", known, "--", program("repeats")});
  EXPECT_EQ(written.status, 5) << "the program's own" << written.err;
  EXPECT_TRUE(has(read_file(known), " heap-buffer-overflow spoil ")) << read_file(known);
  const Result same = check({"--baseline", known, "--output", file("r.sarif"), "--", program("repeats")});
  EXPECT_EQ(same.status, 5) << "the program went on" << same.err;
  EXPECT_TRUE(has(same.err, "; 0 new, 2 in the baseline\n")) << same.err;
  EXPECT_TRUE(has(read_file(file("r.sarif")), "\"baselineState\":\"unchanged\""));
  EXPECT_FALSE(has(same.err, "ERROR: Ringfence")) << "known ones are listed only: " << same.err;
  EXPECT_EQ(check({"--quiet", "--baseline", known, "--", program("repeats")}).err, "");
  const Result other = check({"--baseline", known, "--json", file("r.json"), "--", program("double_free")});
  EXPECT_EQ(other.status, 99) << other.err;
  EXPECT_TRUE(has(other.err, "; 1 new, 0 in the baseline; 2 of the baseline not found\n")) << other.err;
  EXPECT_TRUE(has(read_file(file("r.json")), R"("known":0,"not_met":2,)")) << read_file(file("r.json"));
  EXPECT_EQ(run({ringfence(), "report", "--quiet", "--baseline", known, file("r.json")}).status, 99);
}

// The two differ in nothing but who called the wrapper of malloc, and the program has no frame pointers.
TEST_F(CheckReports, ABaselineHidesNoOtherLeakThroughTheSameWrapper) {
  const std::string known = file("known.txt");
  const std::string wrapper = source("tests/dropin/programs/xmalloc");
  EXPECT_EQ(check({"--write-baseline", known, "--", wrapper, "one"}).status, 0);
  const Result both = check({"--baseline", known, "--", wrapper});
  EXPECT_EQ(both.status, 99) << both.err;
  EXPECT_TRUE(has(both.err, "; 1 new, 1 in the baseline\n")) << both.err;
}

TEST_F(CheckReports, WithABaselineNothingEndsTheProgramUnlessAskedTo) {
  const std::string known = file("known.txt");
  check({"--write-baseline", known, "--", program("repeats")});
  const Result halted = check({"--halt", "--baseline", known, "--", program("repeats")});
  EXPECT_EQ(halted.status, 99);
  EXPECT_TRUE(has(halted.err, "ended at a finding that is in the baseline; without --halt it would continue"))
      << halted.err;
}

TEST_F(CheckReports, FindingsThatAreOnlyCountedMayBeNew) {
  const std::string known = file("known.txt");
  const Result written = check({"-o", "max_findings=1", "--write-baseline", known, "--", program("repeats")});
  EXPECT_TRUE(has(written.err, "; 3 only counted, after max_findings\n")) << written.err;
  EXPECT_TRUE(has(written.err, "findings beyond max_findings are not in " + known)) << written.err;
  EXPECT_EQ(check({"-o", "max_findings=1", "--baseline", known, "--", program("repeats")}).status, 99);
}

TEST_F(CheckReports, ABaselineStaysUntilThereIsANewOne) {
  const std::string known = file("known.txt", "kept\n");
  const Result result = check({"--write-baseline", known, "--", "cat", known});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "kept\n");
}

TEST_F(CheckReports, ABaselineThatCannotBeUsedStopsBeforeTheRun) {
  for (const std::vector<std::string> &words : {std::vector<std::string>{"--baseline", "/nonexistent/b"},
                                                {"--baseline", file("plain", "text\n")},
                                                {"--write-baseline", "/nonexistent/b"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--", "sh", "-c", "echo ran"});
    const Result result = check(all);
    EXPECT_EQ(result.status, 2) << words[0];
    EXPECT_EQ(result.out, "") << words[0];
    EXPECT_TRUE(has(result.err, words[1])) << result.err;
  }
}

TEST_F(CheckReports, SnapshotsArePartOfTheReport) {
  const Result result = check({"-o", "snapshot_signal=SIGUSR2", "--format=json", "--", "python3", "-c",
                               "import os, signal; os.kill(os.getpid(), signal.SIGUSR2)"});
  EXPECT_TRUE(has(result.err, R"("name":"signal 1","allocator":"malloc")")) << result.err;
}

TEST_F(CheckReports, FindingsLandWhereBazelCollectsWhatATestLeavesBehind) {
  How how;
  how.environment = {{"TEST_UNDECLARED_OUTPUTS_DIR", folder_}};
  check({"--", program("overflow"), "without"}, how);
  EXPECT_EQ(run({"ls", folder_}).out, "") << "nothing was found";
  check({"--", program("overflow")}, how);
  const std::string listed = run({"sh", "-c", "ls \"$1\" | sed 's/[0-9][0-9]*/N/'", "sh", folder_}).out;
  EXPECT_EQ(listed, "ringfence-N.html\nringfence-N.jsonl\nringfence-N.sarif\nringfence-N.xml\n");
}

TEST_F(CheckReports, AFolderForArtifactsThatIsNotThereIsPassedOver) {
  How how;
  how.environment = {{"TEST_UNDECLARED_OUTPUTS_DIR", file("nowhere")}};
  const Result result = check({"--", program("overflow")}, how);
  EXPECT_EQ(result.status, 99);
  EXPECT_FALSE(has(result.err, "nowhere")) << result.err;
}

TEST_F(CheckReports, SoDoFindingsThatARuleHides) {
  const std::string rules = file("rules", "*:programs/overflow.c\n");
  ASSERT_EQ(run({"mkdir", file("left")}).status, 0);
  How how;
  how.environment = {{"TEST_UNDECLARED_OUTPUTS_DIR", file("left")}};
  check({"-c", "--suppressions", rules, "--", program("overflow")}, how);
  const std::string left = run({"sh", "-c", "cat \"$1\"/ringfence-*.sarif", "sh", file("left")}).out;
  EXPECT_TRUE(has(left, R"("justification":"rule *:programs/overflow.c")")) << left;
}

// The status tells of the finding that is shown.
TEST_F(CheckReports, AHiddenFindingBesideOneThatIsShownNeedsNoAdvice) {
  const std::string rules = file("rules", "*:programs/overflow.c\n");
  const Result result =
      check({"--suppressions", rules, "--", "sh", "-c", program("overflow") + "; " + program("double_free")});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.err, "; 1 suppressed")) << result.err;
  EXPECT_FALSE(has(result.err, "that only a rule for a source file")) << result.err;
}

// A process knows neither source files nor fingerprints.
TEST_F(CheckReports, AProgramThatEndedAtAHiddenFindingNeedsAdvice) {
  check({"--json", file("found"), "--", program("overflow")});
  const std::string found = read_file(file("found"));
  const std::string key = "\"fingerprint\":\"";
  const std::string fingerprint = found.substr(found.find(key) + key.size(), 16);
  for (const std::string &rule : {std::string("*:programs/overflow.c"), "*:fingerprint=" + fingerprint}) {
    const Result result = check({"--suppressions", file("rules", rule + "\n"), "--", program("overflow")});
    EXPECT_EQ(result.status, 99);
    EXPECT_TRUE(has(result.err, "; 1 suppressed\nringfence: a process ended at a finding that only a rule for a source "
                                "file or a fingerprint suppresses; --continue avoids that\n"))
        << result.err;
  }
}

TEST_F(CheckReports, SoDoSnapshots) {
  How how;
  how.environment = {{"TEST_UNDECLARED_OUTPUTS_DIR", folder_}};
  check({"-o", "snapshot_signal=SIGUSR2", "--", "python3", "-c",
         "import os, signal; os.kill(os.getpid(), signal.SIGUSR2)"},
        how);
  const std::string left = run({"sh", "-c", "cat \"$1\"/ringfence-*.jsonl", "sh", folder_}).out;
  EXPECT_TRUE(has(left, R"("name":"signal 1")")) << left;
}

TEST_F(CheckReports, SoDoThoseOfTheLibraryAlone) {
  How how;
  how.environment = {{"TEST_UNDECLARED_OUTPUTS_DIR", folder_},
                     {"LD_PRELOAD", source("checkers/dropin/libringfence.so")}};
  const Result result = run({program("overflow")}, how);
  EXPECT_TRUE(has(result.err, "ERROR: Ringfence: heap-buffer-overflow")) << "the text is printed as well";
  const std::string left = run({"sh", "-c", "cat \"$1\"/ringfence-*.jsonl", "sh", folder_}).out;
  EXPECT_TRUE(has(left, R"({"type":"finding")")) << left;
  EXPECT_EQ(run({ringfence(), "report", "-q", file("copy", left)}).status, 99);
}

} // namespace
} // namespace ringfence_test
