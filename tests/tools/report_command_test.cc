// `ringfence report`: what it reads, merges, hides and writes.
#include "tests/checkers/json_value.h"
#include "tests/checkers/sample_finding.h"
#include "tests/tools/run.h"

#include <ringfence/report_json.h>
#include <ringfence/report_serial.h>

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sstream>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

namespace ringfence_test {
namespace {

bool has(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

size_t count(const std::string &text, const std::string &part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) {
    found++;
  }
  return found;
}

std::string json(const rf_finding &f) {
  ringfence::TextSink out;
  rf_report_json(&f, &ringfence::kSampleSymbolizer, out.sink());
  return out.text();
}

std::string serial(const rf_finding &f) {
  ringfence::TextSink out;
  rf_report_serial(&f, &ringfence::kSampleSymbolizer, out.sink());
  return out.text();
}

const rf_site kLeakSite = {"src/parse & <lex>.c", "parse<\"quoted\">", 77};

rf_finding leak() {
  rf_finding f = {};
  f.bug = RF_BUG_LEAK;
  f.cwe = 401;
  f.block = 0x2000;
  f.size = 4096;
  f.blocks = 2;
  f.allocator = "tlsf";
  f.mode = "guard";
  f.sequence = 2;
  f.process = 4242;
  f.allocated.site = &kLeakSite;
  return f;
}

rf_finding double_free() {
  rf_finding f = ringfence::sample_finding();
  f.bug = RF_BUG_DOUBLE_FREE;
  f.cwe = 415;
  f.access = RF_ACCESS_FREE;
  f.freed = true;
  f.offset = 0;
  f.address = f.block;
  f.window_size = 0;
  f.sequence = 3;
  f.released = f.found;
  return f;
}

class ReportCommand : public testing::Test {
protected:
  ReportCommand() { EXPECT_EQ(run({"mkdir", "-p", folder_}).status, 0); }
  ~ReportCommand() override { run({"rm", "-r", folder_}); }

  std::string file(const std::string &name) { return folder_ + "/" + name; }
  std::string file(const std::string &name, const std::string &text) {
    write_file(file(name), text);
    return file(name);
  }
  std::string all() { return file("all.json", json(ringfence::sample_finding()) + json(leak()) + json(double_free())); }
  static Result report(std::vector<std::string> words, const How &how = {}) {
    words.insert(words.begin(), {ringfence(), "report"});
    return run(words, how);
  }
  static std::string said(const Result &result) { return result.said().empty() ? "" : result.said().back(); }

  std::string folder_ = scratch("files");
};

// ---- Reports of other tools ----

TEST_F(ReportCommand, ImportGivesAReportToTheCollectorWithTheSameIdEachTime) {
  const std::string folder = file("collector");
  const std::string asan =
      file("asan.log", "==7==ERROR: AddressSanitizer: attempting double-free on 0x10 in thread T0:\n"
                       "    #0 0x1 in drop /src/a.c:4\n"
                       "==8==ERROR: AddressSanitizer: stack-buffer-overflow on address 0x2\n");
  const auto import = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {ringfence(), "import", "--collector", folder});
    return run(words);
  };
  const Result taken = import({"--environment", "ci", "--build-commit", "4f2c", "--program", "/bin/p", asan});
  EXPECT_EQ(taken.status, 0) << taken.err;
  EXPECT_EQ(taken.err, "ringfence: 1 finding taken to the collector; 1 error of other kinds left out\n");
  EXPECT_EQ(import({asan}).status, 0);
  const std::string spool = read_file(folder + "/spool/current");
  const std::string first = spool.substr(0, spool.find('\n') + 1);
  const std::string second = spool.substr(first.size());
  ringfence::Json one;
  ringfence::Json other;
  ASSERT_TRUE(ringfence::Json::parse(first, one)) << first;
  ASSERT_TRUE(ringfence::Json::parse(second, other)) << second;
  EXPECT_EQ(one["id"].text, other["id"].text);
  EXPECT_EQ(one["record"].text, "finding");
  EXPECT_EQ(one["environment"].text, "ci");
  EXPECT_EQ(one["build"]["commit"].text, "4f2c");
  EXPECT_EQ(one["program"].text, "/bin/p");
  EXPECT_EQ(one["mode"].text, "asan");
  EXPECT_EQ(one["finding"]["bug"].text, "double-free");
  EXPECT_EQ(other["environment"].text, "development");
  EXPECT_EQ(import({file("plain", "nothing\n")}).status, 2);
  EXPECT_EQ(import({file("missing")}).status, 2);
  EXPECT_EQ(import({}).status, 2);
}

TEST_F(ReportCommand, ImportTakesTheOtherFilesWhereOneIsNoReport) {
  const std::string folder = file("collector");
  const std::string report = file("asan.log", "==7==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
                                              "    #0 0x7f01 in read (/lib/libc.so.6+0x12)\n"
                                              "    #1 0x5501 in main /src/a.c:4\n"
                                              "    #2 0x5502 in _start (/bin/prog+0x12)\n");
  const Result taken =
      run({ringfence(), "import", "--collector", folder, file("nowhere"), file("plain", "no\n"), report});
  EXPECT_EQ(taken.status, 2);
  EXPECT_TRUE(has(taken.err, "cannot read ")) << taken.err;
  EXPECT_TRUE(has(taken.err, "plain is no report")) << taken.err;
  EXPECT_EQ(said(taken), "1 finding taken to the collector");
  EXPECT_TRUE(has(read_file(folder + "/spool/current"), R"("program":"/bin/prog")"));
}

TEST_F(ReportCommand, ImportTakesAFolderOfLibFuzzers) {
  const std::string folder = file("collector");
  const std::string crashes = file("crashes");
  const std::string report = "==7==ERROR: AddressSanitizer: attempting double-free on 0x10 in thread T0:\n"
                             "    #0 0x1 in drop /src/a.c:4\n";
  ASSERT_EQ(mkdir(crashes.c_str(), 0700), 0);
  (void)file("crashes/fuzz-0.log", report + "artifact_prefix='./'; Test unit written to ./crash-11\n");
  (void)file("crashes/notes", "nothing\n");
  (void)file("crashes/crash-22", "input");
  (void)file("crashes/timeout-33", "slow");
  // It says what a fuzzer says of one input, of the others nothing.
  const std::string fuzzer =
      file("fuzzer", "#!/bin/sh\nread -r line <\"$2\"\n[ \"$line\" = slow ] || echo '" + report + "' >&2\nexit 77\n");
  ASSERT_EQ(chmod(fuzzer.c_str(), 0700), 0);
  const auto import = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {ringfence(), "import", "--collector", folder});
    return run(words);
  };
  EXPECT_EQ(import({crashes}).err, "ringfence: 1 finding taken to the collector\n"
                                   "ringfence: 2 inputs of a fuzzer left out: --run FUZZER makes their reports\n");
  for (int i = 0; i < 2; i++) {
    EXPECT_EQ(import({"--run", fuzzer, crashes}).err, "ringfence: 2 findings taken to the collector\n"
                                                      "ringfence: 1 input gave no report of a finding\n");
  }
  std::istringstream spool(read_file(folder + "/spool/current"));
  std::map<std::string, std::string> inputs;
  for (std::string line; std::getline(spool, line);) {
    ringfence::Json record;
    ASSERT_TRUE(ringfence::Json::parse(line + "\n", record)) << line;
    inputs[record["id"].text] = record["labels"]["input"].text;
  }
  std::set<std::string> names;
  for (const auto &[id, input] : inputs) {
    names.insert(input);
  }
  EXPECT_EQ(inputs.size(), 2U) << "the same ids each time";
  EXPECT_EQ(names, (std::set<std::string>{"crash-11", "crash-22"}));
  EXPECT_EQ(import({"--run", "/nowhere/fuzzer", crashes}).status, 2);
}

// Whether the line says that there is no site or nothing of it: only the frame that it has.
TEST_F(ReportCommand, ImportTakesTheCallsOfASnapshotAsTheyAre) {
  for (const std::string site : {"\"site\":null,", ""}) {
    const std::string folder = file("collector" + std::to_string(site.size()));
    const std::string lines =
        file("lines", R"({"type":"snapshot","version":1,"pid":1,"name":"start","blocks":3,"bytes":300,"sites":[)"
                      R"({"blocks":3,"bytes":300,"allocated":{"thread":0,)" +
                          site + R"("frames":[{"pc":4096,"module":"/srv/a","offset":16}]}}]})" + "\n");
    EXPECT_EQ(run({ringfence(), "import", "--collector", folder, lines}).status, 0);
    const std::string spool = read_file(folder + "/spool/current");
    EXPECT_TRUE(has(spool, R"("sites":[[300,3,[[{"path":"/srv/a"},"0x10"]]]])")) << spool;
  }
}

TEST_F(ReportCommand, ImportNamesTheInputOfAReportAtThatReportAlone) {
  const std::string report = "==7==ERROR: AddressSanitizer: attempting double-free on 0x10 in thread T0:\n"
                             "    #0 0x1 in drop /src/a.c:4\n";
  const std::string folder = file("collector");
  EXPECT_EQ(run({ringfence(), "import", "--collector", folder,
                 file("one", report + "artifact_prefix='./'; Test unit written to ./crash-11\n"), file("two", report)})
                .status,
            0);
  std::istringstream spool(read_file(folder + "/spool/current"));
  std::string inputs;
  for (std::string line; std::getline(spool, line);) {
    ringfence::Json record;
    ASSERT_TRUE(ringfence::Json::parse(line + "\n", record)) << line;
    inputs += "[" + record["labels"]["input"].text + "]";
  }
  EXPECT_EQ(inputs, "[crash-11][]");
}

TEST_F(ReportCommand, ImportTellsTheSameInputOfTwoFuzzersApart) {
  const std::string folder = file("collector");
  ASSERT_EQ(mkdir(file("crashes").c_str(), 0700), 0);
  (void)file("crashes/crash-22", "input");
  for (const std::string name : {"one", "two"}) {
    const std::string fuzzer =
        file(name, "#!/bin/sh\necho '==7==ERROR: AddressSanitizer: attempting double-free on 0x10'\n"
                   "echo '    #0 0x1 in drop /src/a.c:4'\n");
    ASSERT_EQ(chmod(fuzzer.c_str(), 0700), 0);
    EXPECT_EQ(run({ringfence(), "import", "--collector", folder, "--run", fuzzer, file("crashes")}).status, 0);
  }
  std::istringstream spool(read_file(folder + "/spool/current"));
  std::set<std::string> ids;
  for (std::string line; std::getline(spool, line);) {
    ringfence::Json record;
    ASSERT_TRUE(ringfence::Json::parse(line + "\n", record)) << line;
    ids.insert(record["id"].text);
  }
  EXPECT_EQ(ids.size(), 2U);
}

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
  EXPECT_TRUE(has(result.out, R"("processes":4,"killed":2,)")) << result.out;
  EXPECT_TRUE(has(result.out, R"("allocations":10,"bytes":200,"peak":40,)")) << result.out;
  EXPECT_TRUE(
      has(result.out, R"("findings":1,"times":8,"suppressed":0,"mode":"guard","duration_ns":2000,"status":3})"));
  EXPECT_TRUE(has(report({"--format=html", one}).out, "<b>5</b> allocations"));
}

TEST_F(ReportCommand, KeepsEveryFigureOfARun) {
  const std::string line = R"({"type":"run","version":1,"processes":2,"killed":3,"running":4,"unreadable":5,)"
                           R"("leaks_unchecked":6,"allocations":7,"bytes":8,"peak":9,"unlisted_leaked_blocks":10,)"
                           R"("unpaged_blocks":11,"unchecked":12,"unchecked_because":"static","findings":0,"times":0,)"
                           R"("suppressed":0,"mode":"guard","duration_ns":13,"signal":11})"
                           "\n";
  EXPECT_EQ(report({"--format=json", file("run", line)}).out, line);
  EXPECT_TRUE(has(report({"--format=html", file("run")}).out, "<b>Segmentation fault</b> ended the program"));
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
}

TEST_F(ReportCommand, SaysWhatCouldNotBeRead) {
  std::string capture = serial(ringfence::sample_finding());
  capture[60] = capture[60] == '0' ? '1' : '0';
  const Result result = report({file("uart", capture + json(leak()).substr(0, 100) + "\n")});
  EXPECT_EQ(result.err, "ringfence: 1 finding; 1 arrived in part; 2 lines could not be read\n");
  EXPECT_TRUE(has(result.out, "at least 1 line of this report did not arrive")) << result.out;
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
      {{"--output", file("x.pdf"), good},
       "--output " + file("x.pdf") +
           ": the name does not say the format; use --format, or a name that ends in .txt, .json, .sarif, .xml, "
           ".html or .pb.gz"},
      {{file("plain", "just text\n")}, file("plain") + ": no findings in it: neither JSON lines nor #RF: lines"},
      {{"--baseline", file("plain"), good},
       file("plain") + " is not a baseline: it does not begin with \"# Ringfence baseline, version 4\""},
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
  EXPECT_TRUE(has(result.err, "cannot write all to /dev/full: ")) << result.err;
}

// ---- Exit status, baseline, suppressions ----

TEST_F(ReportCommand, TheExitStatusIsAnOption) {
  EXPECT_EQ(report({"-e", "7", all()}).status, 7);
  EXPECT_EQ(report({"--exitcode=0", all()}).status, 0);
}

TEST_F(ReportCommand, ABaselineLetsOnlyNewFindingsCount) {
  const std::string known = file("known.txt");
  const Result written = report({"--write-baseline", known, file("old", json(leak()) + json(double_free()))});
  EXPECT_EQ(written.status, 0);
  const Result same = report({"--baseline", known, file("again", json(double_free()) + json(leak()))});
  EXPECT_EQ(same.status, 0);
  EXPECT_EQ(same.err, "ringfence: 2 findings; 0 new, 2 in the baseline\n");
  EXPECT_TRUE(has(same.out, "double-free                  close_log demo.c:21 (known)\n")) << same.out;
  const Result more = report({"--baseline", known, all()});
  EXPECT_EQ(more.status, 99);
  EXPECT_EQ(more.err, "ringfence: 3 findings; 1 new, 2 in the baseline\n");
  const Result fewer = report({"--baseline", known, file("one", json(leak()))});
  EXPECT_EQ(fewer.status, 0);
  EXPECT_EQ(fewer.err, "ringfence: 1 finding; 0 new, 1 in the baseline; 1 of the baseline not found\n");
}

TEST_F(ReportCommand, KnownFindingsAreListedButNotShownInFull) {
  const std::string known = file("known.txt");
  report({"--write-baseline", known, file("old", json(leak()))});
  const std::string old = file("old");
  const Result brief = report({"--baseline", known, old});
  EXPECT_FALSE(has(brief.out, "ERROR: Ringfence: memory-leak")) << brief.out;
  EXPECT_TRUE(has(brief.out, "4096 bytes in 2 blocks (known)\n")) << brief.out;
  EXPECT_TRUE(has(report({"--verbose", "--baseline", known, old}).out, "  known: in the baseline\n"));
  EXPECT_EQ(count(report({"-f", "json", "--baseline", known, all()}).out, "\"known\":true"), 1U);
  EXPECT_EQ(report({"--quiet", "--baseline", known, old}).out, "");
  const std::string quiet = report({"--quiet", "--baseline", known, all()}).out;
  EXPECT_TRUE(has(quiet, "ERROR: Ringfence: double-free")) << quiet;
  EXPECT_FALSE(has(quiet, "memory-leak")) << quiet;
}

TEST_F(ReportCommand, ABaselineHoldsThoughLinesMove) {
  const std::string known = file("known.txt");
  report({"--write-baseline", known, file("old", json(leak()))});
  const rf_site moved = {"src/parse & <lex>.c", "parse<\"quoted\">", 99};
  rf_finding f = leak();
  f.allocated.site = &moved;
  EXPECT_EQ(report({"--baseline", known, file("new", json(f))}).status, 0);
  const rf_site renamed = {"src/parse & <lex>.c", "parse2", 77};
  f.allocated.site = &renamed;
  EXPECT_EQ(report({"--baseline", known, file("new", json(f))}).status, 99);
}

// A finding with one frame, as JSON.
std::string framed(const std::string &fields) {
  return R"({"type":"finding","bug":"memory-leak","size":1,"blocks":1,"allocated":{"frames":[{"pc":"0x401000",)" +
         fields + "}]}}\n";
}

TEST_F(ReportCommand, AFingerprintDoesNotDependOnTheFolderOfTheModule) {
  const std::string known = file("known.txt");
  report({"--write-baseline", known, file("old", framed(R"("module":"/build/1/prog","offset":"0x1000")"))});
  const std::string moved = file("new", framed(R"("module":"/build/2/prog","offset":"0x1000")"));
  EXPECT_EQ(report({"--baseline", known, moved}).status, 0);
  const std::string other = file("other", framed(R"("module":"/build/2/library","offset":"0x1000")"));
  EXPECT_EQ(report({"--baseline", known, other}).status, 99);
}

TEST_F(ReportCommand, ABaselineCountsFindingsOfOneFingerprint) {
  const rf_site other = {"src/parse & <lex>.c", "parse<\"quoted\">", 99};
  rf_finding second = leak();
  second.allocated.site = &other;
  const std::string known = file("known.txt");
  report({"--write-baseline", known, file("old", json(leak()))});
  EXPECT_EQ(report({"--baseline", known, file("two", json(leak()) + json(second))}).status, 99);
  report({"--write-baseline", known, file("two", json(leak()) + json(second))});
  EXPECT_EQ(report({"--baseline", known, file("two", json(leak()) + json(second))}).status, 0);
  EXPECT_TRUE(has(read_file(known), " 2:4 memory-leak parse<\"quoted\"> src/parse & <lex>.c\n")) << read_file(known);
}

// A wrapper of malloc is the place of many leaks: one that is known must not hide others.
TEST_F(ReportCommand, ABaselineCountsTheBlocksOfALeak) {
  const std::string known = file("known.txt");
  report({"--write-baseline", known, file("old", json(leak()))});
  EXPECT_TRUE(has(read_file(known), " 1:2 memory-leak ")) << read_file(known);
  rf_finding grown = leak();
  grown.blocks = 3;
  const Result more = report({"--baseline", known, file("grown", json(grown))});
  EXPECT_EQ(more.status, 99);
  EXPECT_TRUE(has(more.out, "  grown: the baseline has 2 blocks of it\n")) << more.out;
  EXPECT_TRUE(has(report({"-f", "json", "--baseline", known, file("grown")}).out, R"("known_blocks":2)"));
  EXPECT_TRUE(has(report({"-f", "sarif", "--baseline", known, file("grown")}).out, R"("baselineState":"updated")"));
  rf_finding shrunk = leak();
  shrunk.blocks = 1;
  EXPECT_EQ(report({"--baseline", known, file("shrunk", json(shrunk))}).status, 0);
}

TEST_F(ReportCommand, ALeakWithoutACountIsOneBlockInABaseline) {
  rf_finding one = leak();
  one.blocks = 0;
  report({"--write-baseline", file("known.txt"), file("leak", json(one))});
  EXPECT_TRUE(has(read_file(file("known.txt")), " 1:1 memory-leak ")) << read_file(file("known.txt"));
}

TEST_F(ReportCommand, ABaselineThatCannotBeReadOrWrittenIsSaid) {
  const std::string start = "# Ringfence baseline, version 4: known\n0123456789abcdef ";
  for (const std::string wrong : {"1234567890", "0", "1:0", "1:1234567890", "1x", "-1", ""}) {
    EXPECT_EQ(report({"--baseline", file("bad.txt", start + wrong + "\n"), all()}).status, 2) << wrong;
  }
  EXPECT_EQ(report({"--baseline", file("good.txt", start + "123456789:123456789 x\n"), all()}).status, 99);
  EXPECT_EQ(report({"--baseline", file("later.txt", "# Ringfence baseline, version 5: known\n"), all()}).status, 2);
  const Result full = report({"--write-baseline", "/dev/full", all()});
  EXPECT_EQ(full.status, 2);
  EXPECT_TRUE(has(full.err, "cannot write all to /dev/full")) << full.err;
}

// Their fingerprints were others, and those of version 1 had no blocks.
TEST_F(ReportCommand, BaselinesOfOlderVersionsHold) {
  const std::string leak = framed(R"("module":"/build/prog","offset":"0x1000")");
  const std::string other = framed(R"("module":"/build/prog","offset":"0x2000")");
  const std::string start = "# Ringfence baseline, version ";
  const std::string v1 = file("v1.txt", start + "1: known\n4dfce12ecf33e17a 1 memory-leak (prog+0x1000)\n");
  const std::string v2 = file("v2.txt", start + "2: known\n4dfce12ecf33e17a 1:1 memory-leak (prog+0x1000)\n");
  const std::string twice = file("twice", leak + leak);
  EXPECT_EQ(report({"--baseline", v1, file("leak", leak)}).status, 0);
  EXPECT_EQ(report({"--baseline", v2, file("leak")}).status, 0);
  EXPECT_EQ(report({"--baseline", v1, twice}).status, 0) << "of any number of blocks";
  EXPECT_EQ(report({"--baseline", v2, twice}).status, 99);
  EXPECT_EQ(report({"--baseline", v2, file("other", other)}).status, 99);
  const Result newer = report({"--baseline", file("v5.txt", start + "5: known\n"), file("leak")});
  EXPECT_EQ(newer.status, 2);
  EXPECT_TRUE(has(newer.err, "v5.txt is a baseline of version 5; this program reads up to 4")) << newer.err;
}

// Its fingerprints, and suppressions of that time, were of another version of the identity.
TEST_F(ReportCommand, ABaselineOfVersion3Holds) {
  const std::string leak = file("leak", framed(R"("module":"/build/prog","function":"main")"));
  const std::string other = file("other", framed(R"("module":"/build/other","function":"main")"));
  const std::string v3 =
      file("v3.txt", "# Ringfence baseline, version 3: known\nb1044235d9f8a4c3 1:1 memory-leak main\n");
  const std::string hide = file("hide", "*:fingerprint=b1044235d9f8a4c3\n");
  EXPECT_EQ(report({"--baseline", v3, leak}).status, 0);
  EXPECT_EQ(report({"--suppressions", hide, leak}).status, 0);
  report({"--write-baseline", file("v4.txt"), leak});
  EXPECT_TRUE(has(read_file(file("v4.txt")), "\n4027dc04994fcd5e 1:1 memory-leak main")) << read_file(file("v4.txt"));
  EXPECT_EQ(report({"--baseline", file("v4.txt"), leak}).status, 0);
  EXPECT_EQ(report({"--baseline", file("v4.txt"), other}).status, 99);
}

// Its frames do not count where findings are compared; a bug may be suppressed by its fingerprint.
TEST_F(ReportCommand, SkippedFramesMakeNoDifferenceToTheFingerprint) {
  const auto allocated = [](const std::string &names) {
    return R"({"type":"finding","bug":"memory-leak","size":1,"blocks":1,"allocated":{"frames":[)" + names + "]}}\n";
  };
  const std::string plain = file("plain", allocated(R"({"pc":"0x1","function":"make"})"));
  const std::string wrapped =
      file("wrapped", allocated(R"({"pc":"0x2","function":"my_alloc"},{"pc":"0x1","function":"make"})"));
  const std::string rules = file("rules", "function:^my_alloc$\n");
  const std::string known = file("known.txt");
  report({"--write-baseline", known, plain});
  EXPECT_EQ(report({"--baseline", known, wrapped}).status, 99);
  EXPECT_EQ(report({"--skip-frames", rules, "--baseline", known, wrapped}).status, 0);
  const std::string text = read_file(known);
  const std::string fingerprint = text.substr(text.find("\n", text.find("\n") + 1) + 1, 16);
  const std::string hide = file("hide", "*:fingerprint=" + fingerprint + "\n");
  EXPECT_EQ(report({"--suppressions", hide, plain}).status, 0);
  EXPECT_EQ(report({"--suppressions", hide, wrapped}).status, 99);
  const Result wrong = report({"--skip-frames", file("wrong", "# x\nmy_alloc\n"), plain});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_TRUE(has(wrong.err, "wrong:2: no rule; use function:PATTERN or module:PATTERN")) << wrong.err;
}

TEST_F(ReportCommand, LinesOfOneFingerprintAddUpInABaseline) {
  const rf_site other = {"src/parse & <lex>.c", "parse<\"quoted\">", 99};
  rf_finding second = leak();
  second.allocated.site = &other;
  report({"--write-baseline", file("one"), file("old", json(leak()))});
  const std::string line =
      read_file(file("one")).substr(read_file(file("one")).rfind('\n', read_file(file("one")).size() - 2) + 1);
  const std::string twice = file("two", read_file(file("one")) + line);
  EXPECT_EQ(report({"--baseline", twice, file("both", json(leak()) + json(second))}).status, 0);
}

TEST_F(ReportCommand, ABaselineHasOneLineForANameWithSeveral) {
  const rf_site odd = {"a\nb.c", "f\n0123456789abcdef 1 x", 1};
  rf_finding f = leak();
  f.allocated.site = &odd;
  report({"--write-baseline", file("odd"), file("one", json(f))});
  EXPECT_EQ(count(read_file(file("odd")), "\n"), 3U) << read_file(file("odd"));
  EXPECT_EQ(report({"--baseline", file("odd"), file("one", json(f))}).status, 0);
}

TEST_F(ReportCommand, TheSameFindingsMakeTheSameBaselineInAnyOrder) {
  report({"--write-baseline", file("a"), file("1", json(leak()) + json(double_free()))});
  report({"--write-baseline", file("b"), file("2", json(double_free()) + json(leak()))});
  EXPECT_EQ(read_file(file("a")), read_file(file("b")));
}

TEST_F(ReportCommand, SuppressionsHideAndAreListed) {
  const std::string rules = file("rules", "# known\nleak:lex>.c\ndouble-free:*\n*:nothing\n");
  const Result result = report({"--suppressions", rules, all()});
  EXPECT_EQ(result.err, "ringfence: 1 finding; 2 suppressed\n");
  EXPECT_FALSE(has(result.out, "memory-leak"));
  EXPECT_TRUE(has(result.out, "Suppressions used:\n  count      bytes template\n"
                              "      1       4096 leak:lex>.c\n      1          0 double-free:*\n"))
      << result.out;
  EXPECT_EQ(report({"--suppressions", file("every", "*:*\n"), all()}).status, 0);
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

// ---- Writing ----

TEST_F(ReportCommand, AFileThatCannotBeWrittenIsAFailureWhateverComesAfterIt) {
  EXPECT_EQ(report({"--output", "/nowhere/r.json", "--output", file("r.txt"), all()}).status, 2);
  EXPECT_TRUE(has(read_file(file("r.txt")), "SUMMARY: Ringfence: ")) << "the others are written";
}

TEST_F(ReportCommand, AFormDoesNotDependOnThoseBeforeIt) {
  const std::string found = file("found", framed(R"("function":"f","file":"/src/x/a.c","line":3)"));
  report({"--source-root=/src/x", "--output", file("alone.txt"), found});
  report({"--source-root=/src/x", "--output", file("r.json"), "--output", file("second.txt"), found});
  EXPECT_TRUE(has(read_file(file("alone.txt")), " a.c:3")) << read_file(file("alone.txt"));
  EXPECT_EQ(read_file(file("second.txt")), read_file(file("alone.txt")));
  EXPECT_TRUE(has(read_file(file("r.json")), R"("file":"/src/x/a.c")")) << "programs want whole paths";
}

TEST_F(ReportCommand, TheSourceRootMayClimbAboveAllFolders) {
  EXPECT_EQ(report({"--source-root=/../..", all()}).status, 99);
}

TEST_F(ReportCommand, ThePageCallsTheMainThreadZero) {
  rf_finding f = ringfence::sample_finding();
  f.found.thread = f.process;
  f.allocated.thread = f.process + 7;
  const std::string page = report({"--format=html", file("f", json(f))}).out;
  EXPECT_TRUE(has(page, "Found here - thread 0</h3>")) << page;
  EXPECT_TRUE(has(page, "Allocated - thread " + std::to_string(f.process + 7) + "</h3>")) << page;
}

TEST_F(ReportCommand, WritesEveryFormatByTheNameOfTheFile) {
  std::vector<std::string> words;
  const std::pair<const char *, const char *> starts[] = {
      {"r.txt", "====="},  {"r.json", "{\"type\":"}, {"r.jsonl", "{\"type\":"},  {"r.sarif", "{\n\"$schema\""},
      {"r.xml", "<?xml "}, {"r.html", "<!DOCTYPE"},  {"r.sarif.json", "{\n\"$s"}};
  for (const auto &[name, start] : starts) {
    words.insert(words.end(), {"--output", file(name)});
  }
  words.push_back(all());
  const Result result = report(words);
  EXPECT_EQ(result.out, "");
  for (const auto &[name, start] : starts) {
    EXPECT_EQ(read_file(file(name)).rfind(start, 0), 0U) << name;
  }
}

TEST_F(ReportCommand, FormatSaysOtherwise) {
  report({"--format=sarif", "--output", file("r.json"), all()});
  EXPECT_TRUE(has(read_file(file("r.json")), "\"version\":\"2.1.0\""));
  EXPECT_EQ(report({"-f", "junit", all()}).out.rfind("<?xml ", 0), 0U);
}

TEST_F(ReportCommand, JsonKeepsWhatItRead) {
  const std::string out = report({"--verbose", "--format", "json", all()}).out;
  EXPECT_EQ(count(out, "\n"), 3U);
  const std::string sample = json(ringfence::sample_finding());
  EXPECT_EQ(out.rfind(sample.substr(0, sample.size() - 2), 0), 0U) << out;
  EXPECT_TRUE(has(out, R"(,"fingerprint":")"));
}

const char kOdd[] = "leak:nothing";

TEST_F(ReportCommand, SarifKeepsTheRulesOfTheStandard) {
  const std::string known = file("known.txt");
  const std::string rules = file("rules", std::string("double-free:*\n") + kOdd + "\n");
  report({"--write-baseline", known, file("old", json(leak()))});
  for (const std::vector<std::string> &words :
       {std::vector<std::string>{all()}, {file("none", "")}, {"--baseline", known, "--suppressions", rules, all()}}) {
    std::vector<std::string> whole = {"--quiet", "--output", file("r.sarif")};
    whole.insert(whole.end(), words.begin(), words.end());
    report(whole);
    const Result result = run({"python3", source("tests/tools/sarif_rules.py"), file("r.sarif")});
    EXPECT_EQ(result.status, 0) << result.out << result.err;
  }
  const std::string sarif = read_file(file("r.sarif"));
  EXPECT_EQ(count(sarif, "\"ruleId\":"), 3U);
  EXPECT_EQ(count(sarif, "\"baselineState\":\"unchanged\""), 1U);
  EXPECT_EQ(count(sarif, "\"justification\":\"rule double-free:*\""), 1U);
  EXPECT_TRUE(has(sarif, "\"uri\":\"src/parse%20%26%20%3Clex%3E.c\"")) << sarif;
  EXPECT_TRUE(has(sarif, "\"startLine\":77"));
  EXPECT_TRUE(has(sarif, "\"external/cwe/cwe-401\""));
  EXPECT_TRUE(has(sarif, "\"text\":\"allocated here\""));
}

TEST_F(ReportCommand, SarifTellsTheLifeOfABlock) {
  const std::string found = file(
      "found",
      R"({"type":"finding","bug":"double-free","cwe":415,"access":"free","pid":7,"address":"0x1010","block":"0x1000",)"
      R"("offset":16,"size":24,"found":{"thread":3,"site":{"file":"a.c","line":3,"function":"again"}},)"
      R"("allocated":{"thread":1,"site":{"file":"a.c","line":1,"function":"make"}},)"
      R"("released":{"thread":2,"site":{"file":"b.c","line":2,"function":"end"}}})"
      "\n"
      R"({"type":"finding","bug":"memory-leak","cwe":401,"pid":7,"size":8,"blocks":1,)"
      R"("found":{"thread":1,"site":{"file":"main.c","line":9,"function":"main"}},)"
      R"("allocated":{"thread":1,"site":{"file":"a.c","line":5,"function":"lose"}}})"
      "\n");
  const std::string sarif = report({"-q", "-f", "sarif", found}).out;
  size_t at = 0;
  for (const char *next :
       {R"("id":"415","helpUri")", R"("id":"401","helpUri")", R"("ruleId":"double-free")", R"("text":"allocated here")",
        R"("threadId":1)", R"("text":"freed here before")", R"("threadId":2)", R"("text":"freed here")",
        R"("threadId":3)", R"("codeFlows")", R"("text":"allocated here"}},"executionOrder":1})",
        R"("text":"freed here before"}},"executionOrder":2})", R"("text":"freed here"}},"executionOrder":3})",
        R"("address":"0x1010","block":"0x1000","offset":16,"size":24,"processes":1)", R"("ruleId":"memory-leak")",
        R"("threadId":1)", R"("relatedLocations":[{"id":1,)", R"("address":"0x0","size":8,"processes":1)"}) {
    at = sarif.find(next, at);
    ASSERT_NE(at, std::string::npos) << next << " is not where it belongs in " << sarif;
  }
  EXPECT_EQ(count(sarif, "\"id\":\"415\",\"helpUri\""), 1U);
  EXPECT_EQ(count(sarif, "\"threadId\""), 4U);
  EXPECT_EQ(count(sarif, "\"codeFlows\""), 1U);
  EXPECT_FALSE(has(sarif, "main.c")) << "the place where leaks were counted";
}

// In `text`, which is changed, each `from` is `to`.
void replace_all(std::string &text, const std::string &from, const std::string &to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// A leak that grew, reads and writes beyond a block without a source, a known double free, a hidden bad free: all that
// is written of them, letter by letter. Where a change is meant, take the new text over.
TEST_F(ReportCommand, SarifIsWhatCodeHostsWereGivenBefore) {
  const std::string found = read_file(source("tests/tools/golden/findings.jsonl"));
  file("findings.jsonl", found);
  file("rules", "bad-free:hidden\n");
  std::string first = found.substr(0, found.find('\n', found.find("memory-leak")) + 1);
  replace_all(first, R"("size":16,"blocks":2)", R"("size":8,"blocks":1)");
  file("first", first);
  EXPECT_EQ(run({"mkdir", file("src")}).status, 0);
  file("src/a b.c", "one\n\tfree(p); \"x\"\nagain();\nfour\nlose();\n");
  How here;
  here.directory = folder_;
  report({"-q", "--write-baseline", "known", "first"}, here);
  const Result result =
      report({"-q", "-f", "sarif", "--baseline", "known", "--suppressions", "rules", "findings.jsonl"}, here);
  std::string expected = read_file(source("tests/tools/golden/report.sarif"));
  const auto line_of = [&](const std::vector<std::string> &words) {
    const std::string text = run(words, here).out;
    return text.substr(0, text.find('\n'));
  };
  replace_all(expected, "@FOLDER@", line_of({"pwd", "-P"}));
  replace_all(expected, "@VERSION@", line_of({ringfence(), "--version"}).substr(strlen("ringfence ")));
  EXPECT_EQ(result.out, expected);
}

TEST_F(ReportCommand, SarifOfManyFindingsIsSmall) {
  std::string many;
  for (unsigned i = 0; i < 100; i++) {
    rf_finding f = double_free();
    const rf_site place = {"src/parse.c", "parse", i + 1};
    f.found.site = &place;
    f.allocated.site = &place;
    many += json(f);
  }
  report({"--quiet", "--output", file("r.sarif"), file("many", many)});
  EXPECT_EQ(run({"python3", source("tests/tools/sarif_rules.py"), file("r.sarif")}).status, 0);
  EXPECT_LT(read_file(file("r.sarif")).size(), 100 * 2600U);
}

// Each finding of a process of its own, so that what is looked up by process or by place shows.
TEST_F(ReportCommand, TheTimeForManyFindingsGrowsAsTheirNumber) {
  const std::string script =
      "import sys\n"
      "for i in range(int(sys.argv[1])):\n"
      "  print('{\"type\":\"finding\",\"bug\":\"memory-leak\",\"pid\":%d,\"size\":1,\"blocks\":1,'\n"
      "        '\"allocated\":{\"site\":{\"file\":\"a.c\",\"line\":%d,\"function\":\"f\"}}}' % (i, i))\n";
  const auto seconds = [&](const std::string &count) {
    const std::string input = file(count, run({"python3", "-c", script, count}).out);
    const Result result =
        run({"bash", "-c", "TIMEFORMAT=%U; time \"$0\" report \"$1\" > /dev/null", ringfence(), input});
    EXPECT_TRUE(has(result.err, "ringfence: " + count + " findings\n")) << result.err;
    return std::stod(result.err.substr(result.err.find('\n') + 1));
  };
  EXPECT_LT(seconds("60000"), 30 * seconds("6000") + 0.5) << "quadratic would be 100 times as long";
}

TEST_F(ReportCommand, TheRulesOfTheStandardFindWhatBreaksThem) {
  report({"--quiet", "--output", file("r.sarif"), all()});
  const std::string good = read_file(file("r.sarif"));
  const std::pair<const char *, const char *> faults[] = {
      {"\"version\":\"2.1.0\"", "\"version\":\"2.0.0\""},
      {"\"ruleIndex\":1", "\"ruleIndex\":9"},
      {"\"level\":\"error\"", "\"level\":\"fatal\""},
      {"\"startLine\":77", "\"startLine\":0"},
      {"\"startLine\":77", "\"starLine\":77"},
      {"\"occurrenceCount\":1", "\"occurrenceCount\":\"1\""},
      {"\"executionSuccessful\"", "\"executionOk\""},
      {"\"helpUri\":\"https://cwe.mitre.org/data/definitions/122.html\"", "\"helpUri\":\"no page\""},
      {"\"locations\":[", "\"locations\":[],\"codeFlows\":["},
      {"\"automationDetails\":{", "\"automationDetails\":{\"name\":\"\","},
      {" in 2 blocks.", " in 2 blocks"},
      {"\"fullName\"", "\"organization\""},
      {"primaryLocationLineHash", "\", \""},
      {"\"artifactLocation\":{\"index\":0}", "\"artifactLocation\":{\"index\":99}"},
      {"\"logicalLocations\":[{\"index\":0}]", "\"logicalLocations\":[{\"index\":99}]"},
      {"\"informationUri\":\"https://registry", "\"helpUri\":\"https://registry"},
      {"\"uriBaseId\":\"SRCROOT\"", "\"uriBaseId\":\"ROOT\""},
  };
  for (const auto &[from, to] : faults) {
    std::string bad = good;
    ASSERT_NE(bad.find(from), std::string::npos) << from;
    bad.replace(bad.find(from), std::string(from).size(), to);
    EXPECT_EQ(run({"python3", source("tests/tools/sarif_rules.py"), file("bad.sarif", bad)}).status, 1) << to;
  }
}

TEST_F(ReportCommand, JunitIsReadByAParser) {
  report({"--quiet", "--output", file("r.xml"), "--suppressions", file("rules", "double-free:*\n"), all()});
  const Result result = run({"python3", "-c", R"(
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot().find('testsuite')
cases = suite.findall('testcase')
print(suite.get('tests'), suite.get('failures'), suite.get('errors'), suite.get('skipped'), len(cases))
print(len(suite.findall('testcase/failure')), len(suite.findall('testcase/skipped')))
print(cases[1].find('failure').get('type'), cases[1].find('failure').get('message'))
print('in parse<"quoted"> src/parse & <lex>.c:77' in cases[1].find('failure').text)
)",
                             file("r.xml")});
  EXPECT_EQ(result.out, "3 2 0 1 3\n2 1\nmemory-leak 4096 bytes lost in 2 blocks\nTrue\n") << result.err;
}

// The requirements of the schemas of Ant and of Jenkins.
TEST_F(ReportCommand, JunitHasWhatItsReadersAskFor) {
  report({"--quiet", "--output", file("r.xml"), "--suppressions", file("rules", "double-free:*\n"), all()});
  const Result result = run({"python3", "-c", R"(
import re, sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
suite = root[0]
order = [e.tag for e in suite]
print(root.tag, root.attrib, len(root), suite.tag)
print(order[0], set(order[1:-2]), order[-2:])
print([n for n in ('name', 'id', 'package', 'hostname', 'tests', 'failures', 'errors', 'skipped') if not suite.get(n)])
print(bool(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d', suite.get('timestamp'))), float(suite.get('time')))
for case in suite.findall('testcase'):
    print(sorted(case.attrib), float(case.get('time')), [(e.tag, sorted(e.attrib)) for e in case])
print(sorted(set(a for e in suite.iter('property') for a in e.attrib)))
print('double-free:*' in suite.find('system-out').text)
)",
                             file("r.xml")});
  EXPECT_EQ(result.out, "testsuites {} 1 testsuite\n"
                        "properties {'testcase'} ['system-out', 'system-err']\n[]\nTrue 0.0\n"
                        "['classname', 'name', 'time'] 0.0 [('failure', ['message', 'type'])]\n"
                        "['classname', 'name', 'time'] 0.0 [('failure', ['message', 'type'])]\n"
                        "['classname', 'name', 'time'] 0.0 [('skipped', ['message'])]\n"
                        "['name', 'value']\nTrue\n")
      << result.err;
}

TEST_F(ReportCommand, JunitCountsKnownAndSuppressedCasesAsSkipped) {
  const std::string known = file("known.txt");
  report({"--quiet", "--write-baseline", known, file("old", json(leak()))});
  const std::string xml =
      report({"--format=junit", "--baseline", known, "--suppressions", file("rules", "double-free:*\n"), all()}).out;
  EXPECT_TRUE(has(xml, "tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"2\"")) << xml;
  EXPECT_EQ(count(xml, "<skipped "), 2U);
}

TEST_F(ReportCommand, JunitHasAsManyCasesAsItSays) {
  const std::string rules = file("rules", "double-free:*\n");
  for (const std::string &text : {json(leak()), json(double_free()), json(leak()) + json(double_free())}) {
    const std::string xml = report({"--format=junit", "--suppressions", rules, file("in", text)}).out;
    EXPECT_TRUE(has(xml, "tests=\"" + std::to_string(count(xml, "<testcase ")) + "\"")) << xml;
    EXPECT_FALSE(has(xml, "no findings")) << xml;
  }
}

TEST_F(ReportCommand, JunitOfNothingIsOneCaseThatPasses) {
  const std::string xml = report({"--format=junit", file("none", "")}).out;
  EXPECT_TRUE(has(xml, "tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\"")) << xml;
  EXPECT_EQ(count(xml, "<testcase "), 1U);
}

TEST_F(ReportCommand, JunitHoldsWhatXmlCannot) {
  const std::string control = "a\x01\x7f\xff\xef\xbf\xbf]]>&";
  const rf_site odd = {"f.c", control.c_str(), 1};
  rf_finding f = leak();
  f.allocated.site = &odd;
  for (const std::string format : {"junit", "html"}) {
    const std::string xml = file("r", report({"--format", format, file("odd", json(f))}).out);
    const Result result = run({"python3", "-c", "import sys, xml.etree.ElementTree as t; t.parse(sys.argv[1])", xml});
    EXPECT_EQ(result.status, 0) << result.err;
  }
}

TEST_F(ReportCommand, ThePageIsWellFormedAndNeedsNoNetwork) {
  report({"--quiet", "--output", file("r.html"), all()});
  const Result result = run({"python3", "-c", R"(
import sys, xml.etree.ElementTree as tree
X = '{http://www.w3.org/1999/xhtml}'
root = tree.parse(sys.argv[1]).getroot()
loads = [e.tag for e in root.iter() if e.get('src') or (e.tag == X + 'link')]
findings = [e for e in root.iter(X + 'details')]
ids = [e.get('id') for e in root.iter() if e.get('id')]
inputs = [e for e in root.iter() if e.tag in (X + 'input', X + 'select') and e.get('id') != 'order']
labels = [e for e in inputs if not e.get('aria-label')]
targets = [e.get('href')[1:] for e in root.iter(X + 'a')]
print(loads, len(findings), len(ids) == len(set(ids)), labels, all(t in ids for t in targets))
bad = [e for e in root.iter(X + 'td') if e.get('class') == 'bad']
print(root.get('lang'), len(list(root.iter(X + 'h1'))), len(bad))
)",
                             file("r.html")});
  EXPECT_EQ(result.out, "[] 3 True [] True\nen 1 2\n") << result.err;
  const std::string page = read_file(file("r.html"));
  EXPECT_TRUE(has(page, "default-src 'none'"));
  EXPECT_FALSE(has(page, "http://") && count(page, "http://") != 1) << "the name of the XML namespace alone";
  EXPECT_FALSE(has(page, "https://"));
  EXPECT_TRUE(has(page, "title=\"0x105e: overwritten, expected fd\">00</td>")) << page;
}

TEST_F(ReportCommand, ThePageHasTheFactsThatAreKnown) {
  const std::string page = report({"--format=html", file("leak", json(leak()))}).out;
  for (const char *const each :
       {"<dt>Block</dt><dd class=\"mono\">0x2000, ", "<dt>Mode</dt><dd class=\"mono\">guard<",
        "<dt>Allocator</dt><dd class=\"mono\">tlsf<", "<dt>Process</dt><dd class=\"mono\">4242<",
        "<dt>Fingerprint</dt><dd class=\"mono\">"}) {
    EXPECT_TRUE(has(page, each)) << each << page;
  }
  EXPECT_EQ(count(page, "<dt>"), 5U) << page;
}

TEST_F(ReportCommand, ThePageShowsWhatTurnsTheDirectionOfText) {
  const rf_site odd = {"f.c", "safe\xE2\x80\xAE\x1B[31m<script>alert(1)</script>", 1};
  rf_finding f = leak();
  f.allocated.site = &odd;
  const std::string page = report({"--format=html", file("odd", json(f))}).out;
  EXPECT_FALSE(has(page, "\xE2\x80\xAE"));
  EXPECT_TRUE(has(page, "safe\\u202E\xEF\xBF\xBD[31m&lt;script&gt;alert(1)&lt;/script&gt;")) << page;
}

TEST_F(ReportCommand, LinesOfSourceAreShownWhereTheyAreTheOnesThatRan) {
  file("a.c", "int x;\n  p = malloc(n) < \"1\";\n");
  const rf_site place = {"a.c", "fill", 2};
  rf_finding f = leak();
  f.allocated.site = &place;
  const std::string found = file("found", json(f));
  const std::string line = "<code class=\"line\">p = malloc(n) &lt; &quot;1&quot;;</code>";
  EXPECT_TRUE(has(report({"--format=html", "--source-root", folder_, found}).out, line));
  const std::string sarif = report({"--format=sarif", "--source-root", folder_, found}).out;
  EXPECT_TRUE(has(sarif, R"("text":"  p = malloc(n) < \"1\";")")) << sarif;
  EXPECT_FALSE(has(report({"--no-symbols", "--format=html", "--source-root", folder_, found}).out, line));
  run({"touch", "-d", "1 hour", file("a.c")});
  EXPECT_FALSE(has(report({"--format=html", "--source-root", folder_, found}).out, line)) << "it changed since";
}

TEST_F(ReportCommand, ASourceOfTheSecondInWhichItsModuleWasMadeIsTheOneThatRan) {
  file("a.c", "int x;\n  p = malloc(n);\n");
  const std::string module = file("module", "no ELF");
  const std::string found =
      file("found", R"({"type":"finding","bug":"memory-leak","size":1,"blocks":1,"allocated":{"frames":[{"pc":4096,)"
                    R"("module":")" +
                        module + R"(","offset":16,"function":"fill","file":"a.c","line":2}]}})" + "\n");
  for (const time_t changed : {999999999, 1000000000, 1000000001}) {
    const timeval made[2] = {{1000000000, 0}, {1000000000, 0}};
    const timeval source[2] = {{changed, 0}, {changed, 0}};
    ASSERT_EQ(utimes(module.c_str(), made) | utimes(file("a.c").c_str(), source), 0);
    const std::string page = report({"--format=html", "--source-root", folder_, found}).out;
    EXPECT_EQ(has(page, "p = malloc(n);"), changed <= 1000000000) << changed;
  }
}

TEST_F(ReportCommand, TheSourceRootMayBeRelativeAndEndWithSlashes) {
  const std::string found = file("found", framed(R"("function":"fill","file":"/work/project/src/a.c","line":2)"));
  for (const std::string root : {"/work/project", "/work/project//", "/work/./other/../project/"}) {
    EXPECT_TRUE(has(report({"--source-root", root, found}).out, " src/a.c:2 in fill\n")) << root;
  }
  How how;
  how.directory = "/tmp";
  EXPECT_TRUE(has(report({"--source-root", "../work/project/", found}, how).out, " src/a.c:2 in fill\n"));
  EXPECT_TRUE(has(report({"-f", "sarif", "--source-root", "/work/project/", found}).out,
                  R"("artifactLocation":{"uri":"src/a.c","uriBaseId":"SRCROOT"})"));
}

// Not of the C++ library, of a library without lines, or of a header of the system.
TEST_F(ReportCommand, TheSummaryNamesTheFrameOfTheProgram) {
  for (const char *const inner :
       {R"("module":"p","function":"allocate","file":"/usr/include/c++/12/bits/new_allocator.h","line":137)",
        R"("module":"/usr/lib/libglib-2.0.so.0","offset":16,"function":"g_strdup")",
        R"("module":"p","function":"g_strdup_inline","file":"/usr/include/glib-2.0/glib/gstrfuncs.h","line":321)"}) {
    const std::string found = file(
        "found", std::string(R"({"type":"finding","bug":"memory-leak","size":1,"blocks":1,"allocated":{"frames":[)"
                             R"({"pc":"0x1",)") +
                     inner + R"(},{"pc":"0x2","module":"p","function":"main","file":"main.cc","line":5}]}})" + "\n");
    EXPECT_TRUE(has(report({found}).out, "SUMMARY: Ringfence: memory-leak main.cc:5 in main\n")) << report({found}).out;
  }
}

TEST_F(ReportCommand, NoLinesAreShownOfFilesElsewhere) {
  run({"mkdir", file("inside")});
  run({"ln", "-s", "../secret", file("inside/link")});
  file("secret", "secret\n");
  const std::string whole = file("secret");
  for (const char *const path :
       {whole.c_str(), "../secret", "link", "inside/../../secret", "/proc/self/cwd/../secret"}) {
    const rf_site place = {path, "fill", 1};
    rf_finding f = leak();
    f.allocated.site = &place;
    const Result result = report({"--format=html", "--source-root", file("inside"), file("found", json(f))});
    EXPECT_FALSE(has(result.out, "<code class=\"line\">")) << path;
  }
}

TEST_F(ReportCommand, ThePageShowsNoMoreThanABrowserBears) {
  std::string many;
  for (unsigned i = 0; i < 1003; i++) {
    const rf_site place = {"f.c", "f", i + 1};
    rf_finding f = leak();
    f.allocated.site = &place;
    many += json(f);
  }
  const Result page = report({"--format=html", file("many", many)});
  EXPECT_EQ(page.err, "ringfence: 1003 findings\n");
  EXPECT_EQ(count(page.out, "<details "), 1000U);
  EXPECT_TRUE(has(page.out, "The first 1000 findings; 3 more are left out."));
  EXPECT_EQ(count(report({"--format=junit", file("many")}).out, "<testcase "), 1003U);
}

TEST_F(ReportCommand, ThePageOfNothingSaysSo) {
  EXPECT_TRUE(has(report({"--format=html", file("none", "")}).out, "Nothing was found."));
}

// ---- Snapshots ----

// Call sites of a snapshot, as JSON.
std::string row(unsigned blocks, unsigned bytes, const std::string &file, unsigned line, const std::string &function) {
  return R"({"blocks":)" + std::to_string(blocks) + R"(,"bytes":)" + std::to_string(bytes) +
         R"(,"allocated":{"thread":0,"site":{"file":")" + file + R"(","line":)" + std::to_string(line) +
         R"(,"function":")" + function + R"("},"frames":[]}})";
}

std::string snapshot(const std::string &fields, const std::string &rows) {
  return R"({"type":"snapshot","version":1,"pid":1,"allocator":"tlsf",)" + fields + R"(,"sites":[)" + rows + "]}\n";
}

const std::string kSnapshots = snapshot(R"("time_ns":5,"name":"start","blocks":4,"bytes":400,"omitted_blocks":0)",
                                        row(3, 300, "a.c", 10, "parse") + "," + row(1, 100, "b.c", 20, "load")) +
                               snapshot(R"("time_ns":6,"name":"later","blocks":9,"bytes":1300,"omitted_blocks":2)",
                                        row(3, 300, "a.c", 10, "parse") + "," + row(6, 1000, "c.c", 30, "keep"));

// Wherever the window begins and ends: sixteen cells and the text in every row, a cell with a class for each byte.
TEST_F(ReportCommand, ThePageShowsBytesInWholeRows) {
  for (unsigned const start : {0U, 1U, 15U}) {
    for (unsigned const size : {1U, 10U, 16U, 17U, 33U}) {
      rf_finding f = ringfence::sample_finding();
      f.window_address = f.window_address / 16 * 16 + start;
      f.window_size = size;
      const std::string page = report({"--format=html", file("f.json", json(f))}).out;
      size_t const begin = page.find("<th scope=\"col\">address</th>");
      ASSERT_NE(begin, std::string::npos) << page;
      const std::string table = page.substr(begin, page.find("</table>", begin) - begin);
      size_t const rows = (start + size + 15) / 16;
      EXPECT_EQ(count(table, "<th scope=\"row\">"), rows) << start << ", " << size;
      EXPECT_EQ(count(table, "<td"), rows * 17) << table;
      EXPECT_EQ(count(table, "<td></td>"), rows * 16 - size) << table;
    }
  }
}

TEST_F(ReportCommand, SnapshotsAreTablesWithTheirDifference) {
  const Result result = report({file("s.json", kSnapshots)});
  EXPECT_EQ(result.status, 0) << "they are no findings";
  EXPECT_EQ(result.out, "Snapshot \"start\" of tlsf: 4 blocks, 400 bytes live\n"
                        "       bytes   blocks call site\n"
                        "         300        3 parse a.c:10\n"
                        "         100        1 load b.c:20\n"
                        "Snapshot \"later\" of tlsf: 9 blocks, 1300 bytes live\n"
                        "       bytes   blocks call site\n"
                        "        1000        6 keep c.c:30\n"
                        "         300        3 parse a.c:10\n"
                        "  and 2 blocks of call sites that did not fit\n"
                        "From \"start\" to \"later\" of tlsf: +5 blocks, +900 bytes\n"
                        "       bytes   blocks call site\n"
                        "       +1000       +6 keep c.c:30\n"
                        "        -100       -1 load b.c:20\n"
                        "  and 2 blocks of call sites that did not fit\n");
}

TEST_F(ReportCommand, PlacesInSnapshotsAreSeenFromTheSourceRoot) {
  std::string lines;
  for (const char *const name : {R"("name":"one")", R"("name":"two")"}) {
    lines += snapshot(std::string(R"("time_ns":5,"blocks":1,"bytes":9,"omitted_blocks":0,)") + name,
                      R"({"blocks":1,"bytes":9,"allocated":{"thread":0,"frames":[{"pc":"0x1","module":"p",)"
                      R"("function":"keep","file":"/work/src/a.c","line":3}]}})");
  }
  const std::string out = report({"--source-root", "/work", file("s.json", lines)}).out;
  EXPECT_EQ(count(out, " keep src/a.c:3\n"), 2U) << out;
}

// On a terminal the largest are enough; the other forms have all.
TEST_F(ReportCommand, LongTablesOfSnapshotsAreShort) {
  for (unsigned const rows : {50U, 51U, 52U, 1000U}) {
    std::string sites;
    std::string fewer;
    for (unsigned i = 0; i < rows; i++) {
      sites += (i == 0 ? "" : ",") + row(1, 10000 - i, "a.c", 1 + i, "f");
      fewer += (i == 0 ? "" : ",") + row(1, i % 2 == 0 ? 20000 + i : 9, "a.c", 1 + i, "f");
    }
    const std::string text = snapshot(R"("time_ns":5,"name":"one","blocks":1,"bytes":1,"omitted_blocks":0)", sites) +
                             snapshot(R"("time_ns":6,"name":"two","blocks":1,"bytes":1,"omitted_blocks":0)", fewer);
    const std::string out = report({file("s.json", text)}).out;
    const std::string one = out.substr(0, out.find("Snapshot \"two\""));
    const std::string difference = out.substr(out.find("From \"one\""));
    EXPECT_EQ(count(one, " f a.c:"), rows <= 51 ? rows : 50U) << one;
    EXPECT_EQ(has(one, "call sites more"), rows > 51) << one;
    EXPECT_EQ(count(difference, " f a.c:"), rows <= 51 ? rows : 50U) << difference;
    EXPECT_EQ(count(report({"--format=json", file("s.json", text)}).out, "\"file\":\"a.c\""), 3 * rows);
    if (rows == 1000) {
      EXPECT_TRUE(has(one, "    9001725          950 call sites more\n")) << one;
      EXPECT_TRUE(has(difference, " call sites more\n")) << difference;
    }
  }
}

// In a difference, a call site of one snapshot is that of another only where all of it is equal.
TEST_F(ReportCommand, SnapshotsTellCallSitesApart) {
  auto const frame = [](const std::string &module, const std::string &offset) {
    return R"({"blocks":1,"bytes":8,"allocated":{"thread":0,"site":null,"frames":[{"pc":4096,"module":")" + module +
           R"(","offset":")" + offset + R"("}]}})";
  };
  const std::string head = R"("blocks":1,"bytes":8,"omitted_blocks":0)";
  const std::pair<std::string, std::string> pairs[] = {
      {row(1, 8, "a.c", 10, "f"), row(1, 8, "a.c", 11, "f")}, {row(1, 8, "a.c", 10, "f"), row(1, 8, "b.c", 10, "f")},
      {row(1, 8, "a.c", 10, "f"), row(1, 8, "a.c", 10, "g")}, {frame("/bin/p", "0x10"), frame("/bin/p", "0x20")},
      {frame("/bin/p", "0x10"), frame("/bin/q", "0x10")},     {row(1, 8, "a.c", 10, "f"), frame("/bin/q", "0x10")},
  };
  for (const auto &pair : pairs) {
    for (bool const same : {true, false}) {
      const std::string text = snapshot(R"("time_ns":5,"name":"one",)" + head, pair.first) +
                               snapshot(R"("time_ns":6,"name":"two",)" + head, same ? pair.first : pair.second);
      const std::string out = report({file("s.json", text)}).out;
      EXPECT_EQ(has(out, "        -8       -1 "), !same) << out;
      EXPECT_EQ(has(out, "        +8       +1 "), !same) << out;
    }
  }
}

TEST_F(ReportCommand, ImportTakesSnapshotsButNotTheirDifferences) {
  EXPECT_EQ(run({ringfence(), "import", "--collector", file("collector"),
                 file("lines", report({"-f", "json", file("s.json", kSnapshots)}).out)})
                .err,
            "ringfence: 2 snapshots taken to the collector\n");
}

TEST_F(ReportCommand, SnapshotsSurviveConversion) {
  const std::string once = file("once.json");
  report({"--quiet", "--output", once, file("s.json", kSnapshots)});
  EXPECT_EQ(report({once}).out, report({file("s.json")}).out);
}

// The calls of the C library that lead to main are no callers.
TEST_F(ReportCommand, ThePageShowsTheCallersOfASite) {
  std::string frames;
  for (const char *const name : {"malloc", "take", "first", "second", "third", "fourth", "main"}) {
    frames += std::string(frames.empty() ? "" : ",") + R"({"pc":4096,"function":")" + name + R"("})";
  }
  const std::string site = R"({"blocks":3,"bytes":300,"allocated":{"thread":0,"frames":[)" + frames + "]}}";
  const std::string fields = R"("time_ns":5,"name":"start","blocks":3,"bytes":300,"omitted_blocks":0)";
  const std::string page = report({"--format=html", file("s.json", snapshot(fields, site))}).out;
  EXPECT_TRUE(has(page, "take<br/><span class=\"chain\">from first, second, third</span>")) << page;
}

TEST_F(ReportCommand, ThePageShowsSnapshots) {
  const std::string page = report({"--format=html", file("s.json", kSnapshots)}).out;
  EXPECT_TRUE(has(page, "Snapshot \"later\"")) << page;
  EXPECT_TRUE(has(page, "From \"start\" to \"later\": allocated since and not freed"));
  EXPECT_TRUE(has(page, "<td class=\"number grow\" data-value=\"1000\">+1000"));
}

} // namespace
} // namespace ringfence_test
