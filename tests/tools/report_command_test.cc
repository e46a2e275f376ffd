// `ringfence report`: what it reads, merges and hides, and its exit status; report_baseline_test.cc for baselines.
#include "tests/checkers/json_value.h"
#include "tests/tools/report_fixture.h"

#include <sys/time.h>

namespace ringfence_test {
namespace {

// ---- Reading ----

TEST_F(ReportCommand, PrintsFindingsToStandardOutputAndOneLineToStandardError) {
  const Result result = report({all()});
  EXPECT_EQ(result.status, 99);
  EXPECT_TRUE(has(result.out, "==4242==ERROR: Ringfence: heap-buffer-overflow on address 0x105e")) << result.out;
  EXPECT_TRUE(has(result.out, "    #0 0x401136 in close_log demo.c:21\n    #1 0x401136 in finish demo.c:30\n"));
  EXPECT_EQ(result.err, "ringfence: 3 findings\n");
}

TEST_F(ReportCommand, EndsWithAListWhereThereAreSeveral) {
  EXPECT_TRUE(has(report({all()}).out, "Findings:\n  times kind                         place\n"
                                       "      1 heap-buffer-overflow         open_log demo.c:12\n"
                                       "      1 memory-leak                  parse<\"quoted\"> src/parse & <lex>.c:77, "
                                       "4096 bytes in 2 blocks\n"
                                       "      1 double-free                  close_log demo.c:21\n"));
  EXPECT_FALSE(has(report({file("one", json(leak()))}).out, "Findings:"));
}

TEST_F(ReportCommand, ReadsStandardInput) {
  How how;
  how.input = json(leak());
  EXPECT_TRUE(has(report({"-"}, how).out, "memory-leak of 4096 byte(s) in 2 object(s)"));
}

TEST_F(ReportCommand, ReadsASerialCaptureAmongOtherText) {
  const std::string capture = "booting\r\n" + serial(ringfence::sample_finding()) + "sensor 12\n" + serial(leak());
  const Result result = report({file("uart.log", capture)});
  EXPECT_EQ(result.err, "ringfence: 2 findings\n");
  EXPECT_TRUE(has(result.out, "1 bytes after 13-byte region"));
  EXPECT_TRUE(has(result.out, "=>0x000000001050:")) << result.out;
}

TEST_F(ReportCommand, BlankLinesAreNoTextOfAnother) {
  const Result empty = report({file("empty", "")});
  const Result blank = report({file("blank", "\r\n\n \t\r\n")});
  EXPECT_EQ(blank.status, empty.status);
  EXPECT_EQ(blank.err, empty.err);
}

TEST_F(ReportCommand, ReadsOneFormAloneIfItIsTold) {
  const std::string both = file("both", "booting\n" + json(leak()) + serial(double_free()) + json(leak()));
  EXPECT_EQ(report({"--from=auto", both}).err, "ringfence: 2 findings, 3 times in all\n");
  EXPECT_EQ(report({"--from=serial", both}).err, "ringfence: 1 finding\n");
  const Result lines = report({"--from=json", both});
  EXPECT_EQ(lines.err.rfind("ringfence: 1 finding, 2 times in all; ", 0), 0U) << lines.err;
  EXPECT_TRUE(
      has(lines.err, "; " + std::to_string(1 + count(serial(double_free()), "\n")) + " lines could not be read\n"))
      << lines.err;
}

TEST_F(ReportCommand, SaysHowManyFindingsOfABoardDidNotArrive) {
  std::string capture;
  for (const uint64_t sequence : {1, 4}) {
    rf_finding f = leak();
    f.sequence = sequence;
    capture += serial(f);
  }
  const std::string uart = file("uart", capture);
  EXPECT_EQ(report({uart}).err, "ringfence: 1 finding, 2 times in all; 2 findings did not arrive\n");
  EXPECT_EQ(report({uart, file("other", serial(leak()))}).err,
            "ringfence: 1 finding, 3 times in all; 2 findings did not arrive\n")
      << "of all boards";
}

TEST_F(ReportCommand, QuietLeavesOutTheLastLine) {
  for (const std::string &text : {std::string(), json(leak())}) {
    EXPECT_EQ(report({"--quiet", file("found", text)}).err, "");
  }
}

TEST_F(ReportCommand, ReadsJsonBehindAPrefix) {
  const Result result = report({file("log", "text\nNov 20 host prog[1]: " + json(leak()) + "more\n")});
  EXPECT_EQ(result.err, "ringfence: 1 finding\n");
}

TEST_F(ReportCommand, MergesTheSameBugFromSeveralFiles) {
  rf_finding again = ringfence::sample_finding();
  again.process = 5;
  const Result result = report(
      {file("a", json(ringfence::sample_finding()) + json(ringfence::sample_finding())), file("b", serial(again))});
  EXPECT_EQ(result.err, "ringfence: 1 finding, 3 times in all\n");
  EXPECT_TRUE(has(result.out, "found 3 times, in 2 processes"));
}

TEST_F(ReportCommand, MergesWhatWasMergedBefore) {
  const std::string merged = file("merged.json");
  report({"--output", merged, file("a", json(leak()) + json(leak()))});
  EXPECT_TRUE(has(read_file(merged), R"("times":2,"processes":1})")) << read_file(merged);
  EXPECT_EQ(report({merged, merged}).err, "ringfence: 1 finding, 4 times in all\n");
}

TEST_F(ReportCommand, AddsUpWhatIsLostAtOnePlace) {
  rf_finding other = leak();
  other.size = 100;
  other.blocks = 5;
  other.process = 4243;
  const rf_site elsewhere = {"src/b.c", "build", 5};
  rf_finding third = leak();
  third.allocated.site = &elsewhere;
  const Result result = report({file("leaks", json(leak()) + json(other) + json(third))});
  EXPECT_TRUE(has(result.out, "memory-leak of 4196 byte(s) in 7 object(s)")) << result.out;
  EXPECT_TRUE(has(result.out, "src/parse & <lex>.c:77, 4196 bytes in 7 blocks\n"
                              "      1 memory-leak                  build src/b.c:5, 4096 bytes in 2 blocks\n"
                              "Lost in all: 8292 bytes in 9 blocks\n"))
      << result.out;
}

TEST_F(ReportCommand, ReadsJsonAsOtherToolsRewriteIt) {
  std::string text = json(leak());
  const Result rewritten =
      run({"python3", "-c", "import json, sys; print(json.dumps(json.loads(sys.argv[1]), sort_keys=True))", text});
  EXPECT_EQ(report({file("rewritten", rewritten.out)}).err, "ringfence: 1 finding\n");
}

// A record of a collector's spool, of the kind and with the members.
std::string spooled(const std::string &kind, const std::string &members) {
  return R"({"record":")" + kind + R"(","version":1,"pid":4242,"program":"/srv/app",)" + members + "}\n";
}

std::string spooled_finding(const std::string &id, const std::string &dropped, const rf_finding &f) {
  const std::string line = json(f);
  return spooled("finding", R"("id":")" + id + R"(","count":1,"dropped":)" + dropped + R"(,"finding":)" +
                                line.substr(0, line.size() - 1));
}

TEST_F(ReportCommand, ReadsTheSpoolOfACollector) {
  const std::string other = spooled("summary", R"("id":"a-9","findings":7,"dropped":0)") +
                            spooled("snapshot", R"("id":"a-8","snapshot":{"name":"n","sites":[]})");
  EXPECT_EQ(report({file("summaries", other)}).err, "ringfence: nothing found\n");
  const std::string first = spooled_finding("a-1", "0", leak()) + spooled_finding("a-2", "0", double_free());
  const std::string repeats = spooled("repeat", R"("id":"a-3","of":"a-1","count":8)");
  const Result result = report({"--format=json", file("one", other + first), file("two", repeats + first)});
  EXPECT_EQ(result.err, "ringfence: 2 findings, 10 times in all\n");
  EXPECT_EQ(result.status, 99);
  rf_finding nowhere = leak();
  nowhere.allocated.site = nullptr;
  const Result sarif = report({"--format=sarif", file("nowhere", spooled_finding("a-1", "0", nowhere))});
  EXPECT_TRUE(has(sarif.out, "/srv/app")) << sarif.out;
  // Repeats may come first, and alone they are findings that nobody can look at.
  EXPECT_EQ(report({file("two"), file("one")}).err, "ringfence: 2 findings, 10 times in all\n");
  const Result alone = report({file("repeats", repeats)});
  EXPECT_EQ(alone.err, "ringfence: 8 findings that could not be read\n");
  EXPECT_EQ(alone.status, 99);
}

TEST_F(ReportCommand, SaysWhatTheSpoolOfACollectorLost) {
  EXPECT_EQ(report({file("dropped", spooled_finding("a-1", "3", leak()))}).err,
            "ringfence: 1 finding; 3 findings could not be read\n");
  const std::string line = spooled_finding("a-1", "0", leak());
  EXPECT_EQ(report({file("cut", line + line.substr(0, line.size() - 9))}).err,
            "ringfence: 1 finding; 1 finding could not be read\n");
  const std::string summary = spooled("summary", R"("id":"a-9","dropped":2)");
  const Result result = report({file("summary", summary + summary.substr(0, 30))});
  EXPECT_EQ(result.err, "ringfence: 2 findings that could not be read; 1 line could not be read\n");
  EXPECT_EQ(result.status, 99);
}

TEST_F(ReportCommand, FiguresAreNeverNegative) {
  const std::string line = R"({"type":"run","version":1,"processes":1,"allocations":9223372036854775807,)"
                           R"("bytes":9223372036854775807,"peak":18446744073709551615,"mode":"guard"})"
                           "\n"
                           R"({"type":"suppression","rule":"leak:a","count":9223372036854775807,"bytes":1})"
                           "\n";
  const Result result = report({"--format=json", file("runs", line + line)});
  EXPECT_TRUE(has(result.out, R"("bytes":18446744073709551614,"peak":18446744073709551615,)")) << result.out;
  EXPECT_TRUE(has(result.out, R"("count":18446744073709551614,"bytes":2)")) << result.out;
  EXPECT_FALSE(has(result.out, ":-")) << result.out;
}

TEST_F(ReportCommand, PageHasTheDateOfItsNewestInput) {
  const std::string old = file("old", json(leak()));
  const std::string newest = file("newest", json(leak()));
  const timeval before[2] = {{999999999, 0}, {999999999, 0}};
  const timeval then[2] = {{1000000000, 0}, {1000000000, 0}};
  ASSERT_EQ(utimes(old.c_str(), before) | utimes(newest.c_str(), then), 0);
  EXPECT_TRUE(has(report({"--format=html", newest, old}).out, "2001-09-09 01:46:40 UTC"));
}

// A pipe was written just now, whatever it holds.
TEST_F(ReportCommand, PageHasNoDateOfAPipe) {
  const std::string old = file("old", json(leak()));
  const timeval then[2] = {{1000000000, 0}, {1000000000, 0}};
  ASSERT_EQ(utimes(old.c_str(), then), 0);
  const auto page = [&](const std::string &how) { return run({"sh", "-c", how, ringfence(), old}).out; };
  EXPECT_TRUE(has(page("\"$0\" report --format=html - < \"$1\""), "2001-09-09 01:46:40 UTC"));
  const std::string piped = page("cat \"$1\" | \"$0\" report --format=html -");
  EXPECT_TRUE(has(piped, "parse")) << piped;
  EXPECT_FALSE(has(piped, " UTC"));
}

TEST_F(ReportCommand, KeepsTheFiguresOfTheRunsAddedUp) {
  const std::string line = R"({"type":"run","version":1,"processes":2,"killed":1,"running":0,"unreadable":0,)"
                           R"("leaks_unchecked":0,"allocations":5,"bytes":100,"peak":40,"unlisted_leaked_blocks":0,)"
                           R"("findings":1,"times":4,"suppressed":0,"mode":"guard","duration_ns":1000,"status":3})"
                           "\n";
  const std::string one = file("one", json(leak()) + line);
  const Result result = report({"--format=json", one, one});
  EXPECT_EQ(result.err, "ringfence: 1 finding, 2 times in all; 6 only counted, after max_findings\n");
  EXPECT_EQ(report({file("again", result.out)}).err, result.err);
  EXPECT_TRUE(has(result.out, R"("processes":4,"killed":2,)")) << result.out;
  EXPECT_TRUE(has(result.out, R"("allocations":10,"bytes":200,"peak":40,)")) << result.out;
  EXPECT_TRUE(
      has(result.out, R"("findings":1,"times":8,"suppressed":0,"mode":"guard","duration_ns":2000,"status":3})"));
  EXPECT_TRUE(has(report({"--format=html", one}).out, "<b>5</b> allocations"));
}

TEST_F(ReportCommand, FindingsWithoutARecordAreThoseOfEachFile) {
  const std::string run = R"({"type":"run","version":1,"processes":1,"findings":1,"times":)";
  const std::string counted = file("counted", json(leak()) + run + "3,\"status\":0}\n");
  const std::string log = file("log", json(double_free()) + json(double_free()) + json(double_free()));
  const std::string known = file("known", "");
  EXPECT_EQ(report({"--write-baseline", known, counted, log}).status, 0);
  for (const auto &inputs : {std::pair(counted, log), std::pair(log, counted)}) {
    const Result result = report({"--baseline", known, inputs.first, inputs.second});
    EXPECT_TRUE(has(result.err, "; 2 only counted, after max_findings\n")) << result.err;
    EXPECT_EQ(result.status, 99) << "they may be new";
  }
  EXPECT_EQ(report({"--baseline", known, log, file("all", json(leak()) + run + "1,\"status\":0}\n")}).status, 0);
  const Result hidden = report({"--suppressions", file("rules", "leak:parse\n"), file("all")});
  EXPECT_EQ(hidden.err, "ringfence: nothing found; 1 suppressed\n");
}

TEST_F(ReportCommand, AProcessHasTheNameThatItsOwnFileTells) {
  const std::string start = R"({"type":"start","version":1,"pid":4242,"program":"/bin/first"})";
  const std::string one = file("one", start + "\n" + json(leak()));
  const std::string other = file("other", json(double_free()));
  const std::string xml = report({"--format=junit", one, other}).out;
  EXPECT_TRUE(has(xml, "classname=\"ringfence.first\"")) << xml;
  EXPECT_TRUE(has(xml, "classname=\"ringfence.ringfence\"")) << xml;
}

TEST_F(ReportCommand, KeepsEveryFigureOfARun) {
  const std::string line =
      R"({"type":"run","version":1,"processes":2,"killed":3,"running":4,"unreadable":5,)"
      R"("leaks_unchecked":6,"allocations":7,"bytes":8,"peak":9,"unlisted_leaked_blocks":10,)"
      R"("called_leaked_blocks":14,"unpaged_blocks":11,)"
      R"("unchecked":12,"unchecked_because":"static","unchecked_pools":"Python","findings":0,"times":0,)"
      R"("suppressed":0,"mode":"guard","duration_ns":13,"signal":11})"
      "\n";
  EXPECT_EQ(report({"--format=json", file("run", line)}).out, line);
  EXPECT_TRUE(has(report({"--format=html", file("run")}).out, "<b>Segmentation fault</b> ended the program"));
}

// A finding of `check` is not lost on the way: the command fails for this, too.
TEST_F(ReportCommand, FindingsOfARunThatHaveNoRecordAreNoSuccess) {
  const std::string begin = R"({"type":"run","version":1,"processes":1,"allocations":5,"findings":0,"times":)";
  const std::string counted = file("counted", begin + "3,\"status\":0}\n");
  const std::string unrecorded = file("unrecorded", begin + "0,\"unrecorded\":true,\"status\":99}\n");
  EXPECT_EQ(report({counted}).err, "ringfence: 3 findings without a record; 3 only counted, after max_findings\n");
  EXPECT_EQ(report({unrecorded}).err, "ringfence: findings that could not be recorded\n");
  for (const std::string &run : {counted, unrecorded}) {
    EXPECT_EQ(report({run}).status, 99) << run;
    EXPECT_EQ(report({"--exitcode=7", run}).status, 7) << run;
    EXPECT_EQ(report({"--write-baseline", file("none"), run}).status, 0) << run;
  }
  EXPECT_EQ(report({file("clean", begin + "0,\"status\":3}\n")}).status, 0);
  EXPECT_EQ(report({unrecorded, file("clean")}).status, 99) << "a later run makes nothing good";
}

// Nor where the findings that have a record are all known: what counts as new must be seen in every form.
TEST_F(ReportCommand, FurtherFindingsWithoutARecordAreSeenInEveryForm) {
  const std::string begin = R"({"type":"run","version":1,"processes":1,"findings":1,"times":)";
  const std::string counted = file("counted", json(leak()) + begin + "3,\"status\":0}\n");
  const std::string unrecorded = file("unrecorded", json(leak()) + begin + "1,\"unrecorded\":true,\"status\":99}\n");
  const std::string known = file("known");
  ASSERT_EQ(report({"--write-baseline", known, counted}).status, 0);
  for (const auto &[input, lost] : {std::pair{counted, "2 findings without a record"},
                                    std::pair{unrecorded, "further findings that could not be recorded"}}) {
    const auto written = [&, log = input](const char *form) {
      const Result result = report({"--baseline", known, form, log});
      EXPECT_EQ(result.status, 99) << form;
      return result.out;
    };
    const std::string xml = written("--format=junit");
    EXPECT_TRUE(has(xml, "errors=\"1\" skipped=\"1\"")) << xml;
    EXPECT_TRUE(has(xml, std::string("<error message=\"") + lost)) << xml;
    const std::string sarif = written("--format=sarif");
    EXPECT_TRUE(has(sarif, "\"executionSuccessful\":false")) << sarif;
    EXPECT_TRUE(has(sarif, std::string("\"text\":\"") + lost)) << sarif;
    const std::string html = written("--format=html");
    EXPECT_TRUE(has(html, "<li class=\"error\"><b>0</b> new</li>")) << html;
    EXPECT_TRUE(has(html, std::string("<p class=\"lost\">") + lost)) << html;
  }
}

// As in check: names are those of the folder that the user is in, not of the tree in which Bazel starts programs.
TEST_F(ReportCommand, TakesNamesOfTheFolderThatBazelRunWasCalledIn) {
  const std::string tree = file("x.runfiles/ringfence");
  ASSERT_EQ(run({"mkdir", "-p", tree}).status, 0);
  (void)file("found", json(leak()));
  (void)file("console", serial(leak()));
  How how;
  how.environment = {{"BUILD_WORKING_DIRECTORY", folder_}};
  how.directory = tree;
  EXPECT_EQ(report({"found"}, how).err, "ringfence: 1 finding\n");
  EXPECT_EQ(run({ringfence(), "monitor", "console"}, how).err, "ringfence: 1 finding\n");
  const Result import = run({ringfence(), "import", "--collector", file("collector"), "found"}, how);
  EXPECT_FALSE(has(import.err, "cannot read")) << import.err;
}

TEST_F(ReportCommand, WaitsForAPipe) {
  const Result result =
      run({"sh", "-c", "mkfifo \"$2\"; { sleep 0.2; cat \"$1\"; } > \"$2\" & exec \"$0\" report \"$2\"", ringfence(),
           all(), file("pipe")});
  EXPECT_EQ(result.err, "ringfence: 3 findings\n");
}

TEST_F(ReportCommand, TellsATerminalNothingButText) {
  const rf_site odd = {"f\r.c", "f\x1B]0;title\x07\x7F", 1};
  rf_finding f = leak();
  f.allocated.site = &odd;
  EXPECT_TRUE(has(report({file("odd", json(f))}).out, "in f?]0;title?? f?.c:1\n"));
  EXPECT_TRUE(has(report({"--format=github", file("odd")}).out, "%0A    f?]0;title?? f%0D.c:1\n"));
}

TEST_F(ReportCommand, SaysWhatCouldNotBeRead) {
  std::string capture = serial(ringfence::sample_finding());
  capture[60] = capture[60] == '0' ? '1' : '0';
  const Result result = report({file("uart", capture + json(leak()).substr(0, 100) + "\n")});
  EXPECT_EQ(result.err,
            "ringfence: 1 finding; 1 arrived in part; 1 finding could not be read; 1 line could not be read\n");
  EXPECT_TRUE(has(result.out, "at least 1 line of this report did not arrive")) << result.out;
}

// The disk was full, or the process was killed.
TEST_F(ReportCommand, AFindingThatIsCutOffIsNoSuccess) {
  const std::string cut = file("cut", json(leak()).substr(0, 100));
  const Result result = report({cut});
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.err, "ringfence: 1 finding that could not be read\n");
  EXPECT_EQ(report({cut, "--exitcode", "0"}).status, 0);
  EXPECT_EQ(report({cut, "--write-baseline", file("baseline")}).status, 99);
  const std::string sarif = report({cut, "--format=sarif"}).out;
  EXPECT_TRUE(has(sarif, R"("executionSuccessful":false)"));
  EXPECT_TRUE(has(sarif, R"([{"level":"error","message":{"text":"1 finding that could not be read"}}])")) << sarif;
  EXPECT_TRUE(has(report({cut, "--format=junit"}).out, R"(<error message="1 finding that could not be read")"));
  EXPECT_TRUE(has(report({cut, "--format=html"}).out, ">1 finding that could not be read.<"));
}

TEST_F(ReportCommand, NothingFoundIsASuccess) {
  const Result result = report({file("empty", "")});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "ringfence: nothing found\n");
}

TEST_F(ReportCommand, ImageNamesTheAddressesOfATargetWithoutFiles) {
  const std::string subject = program("overflow");
  const Result nm = run({"sh", "-c", "nm \"$1\" | grep ' T main$'", "sh", subject});
  rf_finding f = leak();
  f.allocated.site = nullptr;
  f.allocated.depth = 1;
  f.allocated.frames[0] = static_cast<uintptr_t>(std::stoull(nm.out, nullptr, 16)) + 4;
  ringfence::TextSink out;
  rf_report_serial(&f, nullptr, out.sink());
  const Result result = report({"--image", subject, file("uart", out.text())});
  EXPECT_TRUE(has(result.out, " in main ")) << result.out;
  EXPECT_FALSE(has(report({file("uart", out.text())}).out, " in main"));
}

// ---- Errors ----

TEST_F(ReportCommand, RefusesWhatItCannotDo) {
  const std::string good = all();
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{}, "no file given; try `ringfence report FILE...`, with - for standard input"},
      {{"--format", "xml", good}, "--format xml: use text, json, sarif, junit, html, github or pprof"},
      {{"--from", "uart", good}, "--from uart: use auto, json or serial"},
      {{"--exitcode", "256", good}, "--exitcode 256: use a number from 0 to 255"},
      {{"--fromat", "json", good}, "unknown option --fromat; did you mean --format?"},
      {{"-x", good}, "unknown option -x; see `ringfence help report`"},
      {{"--write-baseline", "-", good}, "--write-baseline needs a file name; standard output is for the report"},
      {{"--quiet=1", good}, "--quiet takes no argument"},
      {{good, "--baseline"}, "--baseline needs an argument; see `ringfence help report`"},
      {{"/nonexistent"}, "cannot read /nonexistent: No such file or directory"},
      {{"/tmp"}, "cannot read /tmp: Is a directory"},
      {{"--image", "/nonexistent", good}, "cannot read the image /nonexistent: No such file or directory"},
      {{"--image", "/dev/null", good}, "--image /dev/null: use the ELF file that the firmware was made of"},
      {{"--output", file("x.pdf"), good},
       "--output " + file("x.pdf") +
           ": the name does not say the format; use --format, or a name that ends in .txt, .json, .sarif, .xml, "
           ".html or .pb.gz"},
      {{file("plain", "just text\n")}, file("plain") + ": no findings in it: neither JSON lines nor #RF: lines"},
      {{"--baseline", file("plain"), good},
       file("plain") + " is not a baseline: it does not begin with \"# Ringfence baseline, version 5\""},
      {{"--baseline", file("odd", "# Ringfence baseline, version 1\nxyz\n"), good},
       file("odd") + ":2: not a line of a baseline: xyz"},
      {{"--baseline", file("many", "# Ringfence baseline, version 1\n0123456789abcdef 18446744073709551616 x\n"), good},
       file("many") + ":2: not a line of a baseline: 0123456789abcdef 18446744073709551616 x"},
      {{"--baseline", file("zero", std::string("# Ringfence baseline, version 1\n#\0\n", 35)), good},
       file("zero") + ":2: contains a NUL byte"},
      {{"--baseline", "/tmp", good}, "cannot read the baseline /tmp: Is a directory"},
      {{"--suppressions", "/tmp", good}, "cannot read the suppressions /tmp: Is a directory"},
      {{"--suppressions", "/nonexistent", good},
       "cannot read the suppressions /nonexistent: No such file or directory"},
      {{"--suppressions", file("rules", "leak:ok\nleek:x\n"), good},
       file("rules") +
           ":2: leek:x: unknown kind of finding; use leak, heap-buffer-overflow, double-free and the like, or *"},
  };
  for (const auto &[words, message] : cases) {
    const Result result = report(words);
    EXPECT_EQ(result.status, 2) << message;
    EXPECT_EQ(result.err, "ringfence: " + message + "\n");
    EXPECT_EQ(result.out, "") << message;
  }
}

TEST_F(ReportCommand, StandardOutputMayBeOneOfSeveral) {
  const Result result = report({"-o", "-", "-o", file("r.sarif"), all()});
  EXPECT_TRUE(has(result.out, "==4242==ERROR: Ringfence: heap-buffer-overflow"));
  EXPECT_TRUE(has(read_file(file("r.sarif")), "\"ruleId\":\"memory-leak\""));
  EXPECT_EQ(report({"-f", "sarif", "-o", "-", all()}).out, read_file(file("r.sarif")));
}

TEST_F(ReportCommand, AStreamThatIsClosedIsSaid) {
  How how;
  how.closed = {0};
  const Result in = report({"-"}, how);
  EXPECT_EQ(in.status, 2);
  EXPECT_EQ(in.err, "ringfence: cannot read standard input: Bad file descriptor\n");
  how.closed = {1};
  const Result out = report({all()}, how);
  EXPECT_EQ(out.status, 2);
  EXPECT_TRUE(has(out.err, "cannot write all to standard output: Bad file descriptor\n")) << out.err;
  how.closed = {1, 2};
  EXPECT_EQ(report({"-o", file("r.txt"), all()}, how).status, 99) << "nothing goes there";
  EXPECT_TRUE(has(read_file(file("r.txt")), "SUMMARY: Ringfence: double-free"));
}

TEST_F(ReportCommand, AReaderWhoLeavesEarlyDoesNotHang) {
  const Result result = run({"sh", "-c", "timeout 60 \"$0\" report -q -f html \"$1\" | head -c 5", ringfence(), all()});
  EXPECT_EQ(result.out, "<!DOC");
}

TEST_F(ReportCommand, AFullDiskIsSaid) {
  const Result result = report({"--format", "html", "--output", "/dev/full", all()});
  EXPECT_EQ(result.status, 2);
  EXPECT_TRUE(has(result.err, "cannot write all to /dev/full: No space left on device\n")) << result.err;
  const Result standard = run({"sh", "-c", "\"$0\" report -f html \"$1\" > /dev/full", ringfence(), all()});
  EXPECT_EQ(standard.status, 2);
  EXPECT_TRUE(has(standard.err, "cannot write all to standard output: No space left on device\n")) << standard.err;
}

// ---- Exit status, suppressions ----

TEST_F(ReportCommand, TheExitStatusIsAnOption) {
  EXPECT_EQ(report({"-e", "7", all()}).status, 7);
  EXPECT_EQ(report({"--exitcode=0", all()}).status, 0);
  EXPECT_EQ(report({"--exitcode=255", all()}).status, 255);
}

TEST_F(ReportCommand, SuppressionsHideAndAreListed) {
  const std::string rules = file("rules", "# known\nleak:lex>.c\ndouble-free:*\n*:nothing\n");
  const Result result = report({"--suppressions", rules, all()});
  EXPECT_EQ(result.err, "ringfence: 1 finding; 2 suppressed\n");
  EXPECT_FALSE(has(result.out, "memory-leak"));
  EXPECT_TRUE(has(result.out, "Suppressions used:\n  count      bytes template\n"
                              "      1       4096 leak:lex>.c\n      1          0 double-free:*\n"))
      << result.out;
  const Result none = report({"--suppressions", file("every", "*:*\n"), all()});
  EXPECT_EQ(none.status, 0);
  EXPECT_EQ(none.err, "ringfence: nothing found; 3 suppressed\n");
}

TEST_F(ReportCommand, ARuleByFingerprintHidesItsKindAlone) {
  const std::string found = report({"-f", "json", file("f", json(double_free()))}).out;
  const std::string key = R"("fingerprint":")";
  const std::string print = found.substr(found.find(key) + key.size(), 16);
  for (const auto &[kind, status] : {std::pair{"double-free", 0}, {"*", 0}, {"heap-buffer-overflow", 99}}) {
    const std::string rules = file("rules", std::string(kind) + ":fingerprint=" + print + "\n");
    EXPECT_EQ(report({"--suppressions", rules, file("f")}).status, status) << kind;
  }
}

} // namespace
TEST_F(ReportCommand, ASourceOfTheSecondInWhichItsReportWasWrittenIsTheOneThatRan) {
  file("a.c", "int x;\n  p = malloc(n);\n");
  const rf_site place = {"a.c", "fill", 2};
  rf_finding f = leak();
  f.allocated.site = &place;
  const std::string found = file("found", json(f));
  for (const time_t changed : {999999999, 1000000000, 1000000001}) {
    const timeval written[2] = {{1000000000, 0}, {1000000000, 0}};
    const timeval source[2] = {{changed, 0}, {changed, 0}};
    ASSERT_EQ(utimes(found.c_str(), written) | utimes(file("a.c").c_str(), source), 0);
    const std::string page = report({"--format=html", "--source-root", folder_, found}).out;
    EXPECT_EQ(has(page, "p = malloc(n);"), changed <= 1000000000) << changed;
  }
}

} // namespace ringfence_test
