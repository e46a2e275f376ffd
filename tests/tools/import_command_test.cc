// `ringfence import`: reports of other tools, for a collector.
#include "tests/checkers/json_value.h"
#include "tests/tools/report_fixture.h"

#include <map>
#include <set>
#include <sstream>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <vector>

namespace ringfence_test {
namespace {

using ImportCommand = ReportCommand;

// The records that wait in a collector's folder.
std::vector<ringfence::Json> records_in(const std::string &folder) {
  std::istringstream spool(read_file(folder + "/spool/current"));
  std::vector<ringfence::Json> records;
  for (std::string line; std::getline(spool, line);) {
    EXPECT_TRUE(ringfence::Json::parse(line + "\n", records.emplace_back())) << line;
  }
  return records;
}

TEST_F(ImportCommand, GivesAReportToTheCollectorWithTheSameIdEachTime) {
  const std::string folder = file("collector");
  const std::string asan =
      file("asan.log", "==7==ERROR: AddressSanitizer: attempting double-free on 0x10 in thread T0:\n"
                       "    #0 0x1 in drop /src/a.c:4\n"
                       "==8==ERROR: AddressSanitizer: stack-use-after-return on address 0x2\n");
  const auto import = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {ringfence(), "import", "--collector", folder});
    return run(words);
  };
  const timeval then[2] = {{1000000000, 0}, {1000000000, 0}};
  ASSERT_EQ(utimes(asan.c_str(), then), 0);
  const Result taken =
      import({"--environment", "ci", "--build-commit", "4f2c", "--build-version", "1.2", "--program", "/bin/p", asan});
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
  EXPECT_EQ(one["build"]["version"].text, "1.2");
  EXPECT_EQ(one["build"]["tool"].text, "asan");
  EXPECT_EQ(one["time"].text, "2001-09-09T01:46:40.000000Z") << "when the report was written";
  EXPECT_EQ(one["program"].text, "/bin/p");
  EXPECT_EQ(one["mode"].text, "asan");
  EXPECT_EQ(one["finding"]["bug"].text, "double-free");
  EXPECT_EQ(other["environment"].text, "development");
  EXPECT_EQ(import({file("plain", "nothing\n")}).status, 2);
  EXPECT_EQ(import({file("missing")}).status, 2);
  EXPECT_EQ(import({}).status, 2);
  How how;
  how.environment = {{"RINGFENCE_COLLECTOR", file("other")}};
  EXPECT_EQ(run({ringfence(), "import", asan}, how).status, 0);
  EXPECT_TRUE(has(read_file(file("other") + "/spool/current"), one["id"].text));
}

// `ringfence import --collector "$DIR"` where DIR is not set made a spool where it ran, which no collector reads.
TEST_F(ImportCommand, AnEmptyNameIsNoFolder) {
  const std::string report =
      file("asan.log", "==7==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n    #0 0x1 in f /a.c:4\n");
  How how;
  how.directory = file("here");
  ASSERT_EQ(mkdir(how.directory.c_str(), 0700), 0);
  const Result refused = run({ringfence(), "import", "--collector", "", report}, how);
  EXPECT_EQ(refused.status, 2);
  EXPECT_EQ(refused.err, "ringfence: --collector has an empty name; is a variable not set?\n");
  for (const std::string none : {"", "none"}) {
    how.environment = {{"RINGFENCE_COLLECTOR", none}, {"XDG_STATE_HOME", file("state" + none)}};
    EXPECT_EQ(run({ringfence(), "import", report}, how).status, 0);
    EXPECT_TRUE(has(read_file(file("state" + none) + "/ringfence/spool/current"), R"("bug":"SEGV")")) << none;
  }
  EXPECT_TRUE(std::filesystem::is_empty(how.directory));
}

// It went to a folder that all collectors of the user look at, and said that it had been taken.
TEST_F(ImportCommand, AFolderThatCannotBeWrittenIsRefused) {
  const std::string report =
      file("asan.log",
           "==7==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n    #0 0x1 in not_there /a.c:4\n");
  const std::string place = file("place", "a file\n");
  const Result given = run({ringfence(), "import", "--collector", place, report});
  EXPECT_EQ(given.status, 2);
  EXPECT_EQ(given.err, "ringfence: cannot write to the spool of the collector\n");
  How how;
  how.environment = {{"RINGFENCE_COLLECTOR", place + "/below"}};
  EXPECT_EQ(run({ringfence(), "import", report}, how).status, 2);
}

TEST_F(ImportCommand, TakesTheOtherFilesWhereOneIsNoReport) {
  const std::string folder = file("collector");
  const std::string report = file("asan.log", "==7==ERROR: AddressSanitizer: SEGV on unknown address 0x8 (pc 0x1)\n"
                                              "    #0 0x7f01 in read (/lib/libc.so.6+0x12)\n"
                                              "    #1 0x5501 in main /src/a.c:4\n"
                                              "    #2 0x5502 in _start (/bin/prog+0x12)\n");
  const Result taken = run({ringfence(), "import", "--dir", folder, file("nowhere"), file("plain", "no\n"), report});
  EXPECT_EQ(taken.status, 2);
  EXPECT_TRUE(has(taken.err, "cannot read ")) << taken.err;
  EXPECT_TRUE(has(taken.err, "plain is no report")) << taken.err;
  EXPECT_EQ(said(taken), "1 finding taken to the collector");
  EXPECT_TRUE(has(read_file(folder + "/spool/current"), R"("program":"/bin/prog")"));
}

TEST_F(ImportCommand, TakesAFolderOfLibFuzzers) {
  const std::string folder = file("collector");
  const std::string crashes = file("crashes");
  const std::string report = "==7==ERROR: AddressSanitizer: attempting double-free on 0x10 in thread T0:\n"
                             "    #0 0x1 in drop /src/a.c:4\n";
  ASSERT_EQ(mkdir(crashes.c_str(), 0700), 0);
  (void)file("crashes/fuzz-0.log", report + "artifact_prefix='./'; Test unit written to ./crash-11\n");
  (void)file("crashes/notes", "nothing\n");
  (void)file("crashes/crash-22", "input");
  (void)file("crashes/timeout-33", "slow");
  (void)file("crashes/slow-unit-44", "slow");
  (void)file("crashes/oom-55", "slow");
  (void)file("crashes/leak-66", "slow");
  // It says what a fuzzer says of one input, of the others nothing.
  const std::string fuzzer =
      file("fuzzer", "#!/bin/sh\nread -r line <\"$2\"\n[ \"$line\" = slow ] || echo '" + report + "' >&2\nexit 77\n");
  ASSERT_EQ(chmod(fuzzer.c_str(), 0700), 0);
  const auto import = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {ringfence(), "import", "--collector", folder});
    return run(words);
  };
  EXPECT_EQ(import({crashes}).err, "ringfence: 1 finding taken to the collector\n"
                                   "ringfence: 5 inputs of a fuzzer left out: --run FUZZER makes their reports\n");
  for (int i = 0; i < 2; i++) {
    EXPECT_EQ(import({"--run", fuzzer, crashes}).err, "ringfence: 2 findings taken to the collector\n"
                                                      "ringfence: 4 inputs gave no report of a finding\n");
  }
  std::map<std::string, std::string> inputs;
  for (const ringfence::Json &record : records_in(folder)) {
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

// A link to a file of /proc that no process can read from its start.
TEST_F(ImportCommand, SaysWhichFilesOfAFolderItCannotRead) {
  const std::string folder = file("reports");
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  (void)file("reports/asan.log", "==7==ERROR: AddressSanitizer: attempting double-free on 0x10 in thread T0:\n"
                                 "    #0 0x1 in drop /src/a.c:4\n");
  for (const std::string name : {"crash-1", "z.log"}) {
    ASSERT_EQ(symlink("/proc/self/mem", (folder + "/" + name).c_str()), 0);
  }
  const Result taken = run({ringfence(), "import", "--collector", file("collector"), folder});
  EXPECT_EQ(taken.status, 2);
  EXPECT_EQ(taken.err, "ringfence: cannot read " + folder + "/crash-1: Input/output error\nringfence: cannot read " +
                           folder + "/z.log: Input/output error\nringfence: 1 finding taken to the collector\n");
}

// Whether the line says that there is no site or nothing of it: only the frame that it has.
TEST_F(ImportCommand, TakesTheCallsOfASnapshotAsTheyAre) {
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

// Code that was made at run time, or a board's.
TEST_F(ImportCommand, ACallInNoModuleIsByItsAddress) {
  const std::string folder = file("collector");
  const std::string lines =
      file("lines", R"({"type":"snapshot","pid":1,"name":"start","blocks":3,"bytes":300,"sites":[)"
                    R"({"blocks":3,"bytes":300,"allocated":{"frames":[{"pc":4096}]}}]})"
                    "\n");
  EXPECT_EQ(run({ringfence(), "import", "--collector", folder, lines}).status, 0);
  const std::string spool = read_file(folder + "/spool/current");
  EXPECT_TRUE(has(spool, "\"0x1000\"")) << spool;
}

TEST_F(ImportCommand, ASnapshotIsOfTheProgramOfItsProcess) {
  const std::string folder = file("collector");
  std::string lines;
  for (const std::string pid : {"1", "2", "3"}) {
    lines += R"({"type":"start","version":1,"pid":)" + pid + R"(,"program":"/bin/prog)" + pid + "\"}\n";
  }
  lines += R"({"type":"snapshot","version":1,"pid":2,"name":"start","blocks":0,"bytes":0,"sites":[]})"
           "\n";
  EXPECT_EQ(run({ringfence(), "import", "--collector", folder, file("lines", lines)}).status, 0);
  const std::string spool = read_file(folder + "/spool/current");
  EXPECT_TRUE(has(spool, R"("program":"/bin/prog2")")) << spool;
  EXPECT_EQ(run({ringfence(), "import", "--collector", file("named"), "--program", "/srv/p", file("lines")}).status, 0);
  EXPECT_TRUE(has(read_file(file("named") + "/spool/current"), R"("program":"/srv/p")"));
}

TEST_F(ImportCommand, SnapshotsOfOneFileAreTold) {
  const std::string folder = file("collector");
  std::string lines;
  for (const std::string name : {"start", "middle", "end"}) {
    lines +=
        R"({"type":"snapshot","version":1,"pid":2,"name":")" + name + R"(","blocks":0,"bytes":0,"sites":[]})" + "\n";
  }
  EXPECT_EQ(run({ringfence(), "import", "--collector", folder, file("lines", lines)}).status, 0);
  std::set<std::string> ids;
  for (const ringfence::Json &record : records_in(folder)) {
    ids.insert(record["id"].text);
  }
  EXPECT_EQ(ids.size(), 3U) << "records of one id count once";
}

TEST_F(ImportCommand, NamesTheInputOfAReportAtThatReportAlone) {
  const std::string report = "==7==ERROR: AddressSanitizer: attempting double-free on 0x10 in thread T0:\n"
                             "    #0 0x1 in drop /src/a.c:4\n";
  const std::string folder = file("collector");
  EXPECT_EQ(run({ringfence(), "import", "--collector", folder,
                 file("one", report + "artifact_prefix='./'; Test unit written to ./crash-11\n"), file("two", report)})
                .status,
            0);
  std::string inputs;
  for (const ringfence::Json &record : records_in(folder)) {
    inputs += "[" + record["labels"]["input"].text + "]";
  }
  EXPECT_EQ(inputs, "[crash-11][]");
}

// A collector works differences out.
TEST_F(ImportCommand, TakesNoDifferencesOfSnapshots) {
  const std::string folder = file("collector");
  const std::string lines = file("lines", R"({"type":"snapshot","pid":1,"name":"end","since":"start","sites":[]})"
                                          "\n"
                                          R"({"type":"snapshot","pid":1,"name":"end","sites":[]})"
                                          "\n");
  const Result taken = run({ringfence(), "import", "--collector", folder, lines});
  EXPECT_EQ(taken.status, 0);
  EXPECT_EQ(taken.err, "ringfence: 1 snapshot taken to the collector\n");
}

TEST_F(ImportCommand, AFuzzerOfTheCurrentFolderNeedsNoSlash) {
  (void)file("fuzzer", "#!/bin/sh\necho '==7==ERROR: AddressSanitizer: attempting double-free on 0x10'\n"
                       "echo '    #0 0x1 in drop /src/a.c:4'\n");
  ASSERT_EQ(chmod(file("fuzzer").c_str(), 0700), 0);
  ASSERT_EQ(mkdir(file("crashes").c_str(), 0700), 0);
  (void)file("crashes/crash-22", "input");
  How how;
  how.directory = file(".");
  const Result taken =
      run({ringfence(), "import", "--collector", file("collector"), "--run", "fuzzer", "crashes"}, how);
  EXPECT_EQ(taken.status, 0);
  EXPECT_EQ(taken.err, "ringfence: 1 finding taken to the collector\n");
}

TEST_F(ImportCommand, TellsTheSameInputOfTwoFuzzersApart) {
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
  std::set<std::string> ids;
  for (const ringfence::Json &record : records_in(folder)) {
    ids.insert(record["id"].text);
  }
  EXPECT_EQ(ids.size(), 2U);
}

TEST_F(ImportCommand, OneFuzzerIsTheSameByEachOfItsPaths) {
  const std::string folder = file("collector");
  ASSERT_EQ(mkdir(file("crashes").c_str(), 0700), 0);
  (void)file("crashes/crash-22", "input");
  const std::string fuzzer =
      file("fuzzer", "#!/bin/sh\necho '==7==ERROR: AddressSanitizer: attempting double-free on 0x10'\n"
                     "echo '    #0 0x1 in drop /src/a.c:4'\n");
  ASSERT_EQ(chmod(fuzzer.c_str(), 0700), 0);
  How how;
  how.directory = file(".");
  for (const std::string &path : {fuzzer, std::string("./fuzzer"), std::string("fuzzer")}) {
    EXPECT_EQ(run({ringfence(), "import", "--collector", folder, "--run", path, "crashes"}, how).status, 0) << path;
  }
  std::set<std::string> ids;
  for (const ringfence::Json &record : records_in(folder)) {
    ids.insert(record["id"].text);
  }
  EXPECT_EQ(ids.size(), 1U);
}

TEST_F(ImportCommand, SaysHowManySnapshotsAndFindingsItTook) {
  const std::string report = file("report", "==7==ERROR: AddressSanitizer: attempting double-free on 0x10\n"
                                            "    #0 0x1 in drop /src/a.c:4\n");
  const std::string lines = file("lines", R"({"type":"snapshot","pid":1,"name":"end","sites":[]})"
                                          "\n");
  const Result taken = run({ringfence(), "import", "--collector", file("collector"), lines, report});
  EXPECT_EQ(taken.status, 0);
  EXPECT_EQ(taken.err, "ringfence: 1 snapshot taken to the collector\n"
                       "ringfence: 1 finding taken to the collector\n");
}

} // namespace
} // namespace ringfence_test
