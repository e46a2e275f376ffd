// A process's messages to a collector: every finding once, with who, where and which build, and how each run ended.
#include "tests/dropin/run.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ringfence_test {
namespace {

struct Told {
  Result result;
  std::vector<Json> records;

  std::vector<Json> of(const std::string &kind) const {
    std::vector<Json> some;
    for (const Json &record : records) {
      if (record["record"].text == kind) {
        some.push_back(record);
      }
    }
    return some;
  }

  // Findings and repeats: each of those stands for so many.
  long long findings() const {
    long long sum = 0;
    for (const Json &record : records) {
      sum += record["record"].text == "summary" ? 0 : record["count"].number;
    }
    return sum;
  }

  long long dropped() const {
    long long sum = 0;
    for (const Json &record : records) {
      sum += record["dropped"].number;
    }
    return sum;
  }
};

class Collector : public testing::Test {
protected:
  Collector() {
    static int made;
    const char *const base = std::getenv("TEST_TMPDIR");
    folder_ = std::string(base == nullptr ? "/tmp" : base) + "/collector" + std::to_string(getpid()) + "-" +
              std::to_string(made++);
  }

  Told tell(const std::vector<std::string> &arguments, const std::string &options = "",
            const std::vector<std::pair<std::string, std::string>> &environment = {}, bool preload = true) {
    How how = with("halt=0:leaks=0:collector=" + folder_ + (options.empty() ? "" : ":" + options));
    how.environment = environment;
    how.preload = preload;
    std::vector<std::string> all = {program(preload ? "told" : "told_linked")};
    all.insert(all.end(), arguments.begin(), arguments.end());
    Told told;
    told.result = run(all, how);
    std::ifstream file(folder_ + "/spool/current");
    std::set<std::string> ids;
    for (std::string line; std::getline(file, line);) {
      if (line.empty()) {
        continue; // of a process that saw another in the middle of its write: docs/service/format.md
      }
      told.records.emplace_back();
      EXPECT_TRUE(Json::parse(line + "\n", told.records.back())) << line;
      EXPECT_EQ(told.records.back()["version"].number, 1);
      EXPECT_TRUE(ids.insert(told.records.back()["id"].text).second) << "twice: " << line;
    }
    return told;
  }

  std::string folder_;
};

std::string now() {
  char text[32];
  // Not by time(), whose clock may be some milliseconds behind.
  time_t const seconds = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  tm parts;
  (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &parts));
  return text;
}

TEST_F(Collector, IsToldWhoFoundWhatWhere) {
  std::string const before = now();
  Told const told = tell({"often", "1"}, "environment=ci:build_version=1.2:labels=team=core,\"odd\"=x",
                         {{"TEST_TARGET", "//a:b"}, {"TEST_SHARD_INDEX", "3"}, {"RINGFENCE_COMMIT", "abc123"}});
  EXPECT_EQ(told.result.status, 99);
  ASSERT_EQ(told.records.size(), 2U);
  for (const Json &record : told.records) {
    EXPECT_EQ(record["environment"].text, "ci");
    EXPECT_EQ(record["mode"].text, "guard");
    EXPECT_EQ(record["program"].text.substr(record["program"].text.rfind('/')), "/told");
    EXPECT_EQ(record["build"]["version"].text, "1.2");
    EXPECT_EQ(record["build"]["commit"].text, "abc123");
    EXPECT_EQ(record["labels"]["bazel_target"].text, "//a:b");
    EXPECT_EQ(record["labels"]["shard"].text, "3");
    EXPECT_EQ(record["labels"]["team"].text, "core");
    EXPECT_EQ(record["labels"]["\"odd\""].text, "x");
    EXPECT_NE(record["host"].text, "");
    EXPECT_EQ(record["time"].text.size(), std::string("2026-11-20T22:00:00.123456Z").size());
    EXPECT_GE(record["time"].text.substr(0, before.size()), before);
    EXPECT_LE(record["time"].text.substr(0, before.size()), now());
    EXPECT_EQ(record["time"].text.find_first_not_of("0123456789-T:.Z"), std::string::npos);
  }
  const Json &finding = told.records[0]["finding"];
  EXPECT_EQ(finding["bug"].text, "heap-buffer-overflow");
  EXPECT_EQ(finding["found"]["frames"].items.at(0)["function"].text, "spoil");
  EXPECT_EQ(told.result.findings.size(), 1U) << "the log has it, too";
  const Json &summary = told.records[1];
  EXPECT_EQ(summary["record"].text, "summary");
  EXPECT_EQ(summary["exit"].text, "status 99");
  EXPECT_EQ(summary["findings"].number, 1);
  EXPECT_GE(summary["allocations"].number, 1);
}

// It says so to nobody, but leaves the logs of the attempts before.
TEST_F(Collector, KnowsWhichAttemptOfBazelsThisIs) {
  std::string const tests = folder_ + "/execroot/main/testlogs/a/b";
  std::string made;
  for (size_t at = 0; at != std::string::npos;) {
    at = (tests + "/test_attempts").find('/', at + 1);
    made = (tests + "/test_attempts").substr(0, at);
    (void)mkdir(made.c_str(), 0700);
  }
  std::string const inside = folder_ + "/sandbox/linux-sandbox/7/execroot/main/testlogs/a/b/test.xml";
  for (const std::string &xml : {inside, tests + "/test.xml"}) {
    (void)unlink((tests + "/test_attempts/attempt_1.log").c_str());
    auto const attempt = [&] {
      Told const told = tell({"clean"}, "", {{"TEST_TARGET", "//a:b"}, {"XML_OUTPUT_FILE", xml}});
      return told.records.empty() ? "none" : told.records.back()["labels"]["attempt"].text;
    };
    EXPECT_EQ(attempt(), "1");
    std::ofstream(tests + "/test_attempts/attempt_1.log") << "failed";
    EXPECT_EQ(attempt(), "2");
  }
}

TEST_F(Collector, IsToldOfCleanRuns) {
  Told const told = tell({"clean"});
  ASSERT_EQ(told.records.size(), 1U);
  EXPECT_EQ(told.records[0]["exit"].text, "status 5");
  EXPECT_EQ(told.records[0]["findings"].number, 0);
}

TEST_F(Collector, HearsNothingUnlessAskedFor) {
  How how = with("halt=0");
  how.environment = {{"HOME", folder_}, {"XDG_STATE_HOME", folder_}};
  EXPECT_EQ(run({program("told"), "often", "1"}, how).status, 99);
  how.options = "halt=0:collector=none";
  how.environment.emplace_back("RINGFENCE_COLLECTOR", folder_);
  EXPECT_EQ(run({program("told"), "often", "1"}, how).status, 99);
  EXPECT_NE(access(folder_.c_str(), F_OK), 0);
  how.options = "halt=0";
  EXPECT_EQ(run({program("told"), "often", "1"}, how).status, 99);
  EXPECT_EQ(access((folder_ + "/spool/current").c_str(), F_OK), 0) << "by the environment";
}

TEST_F(Collector, IsNoFolderThatIsCalledAsAnAddress) {
  std::string const before = folder_ + "-cwd";
  ASSERT_EQ(mkdir(before.c_str(), 0777), 0);
  std::vector<std::string> const command = {"/bin/sh", "-c",
                                            "cd '" + before + "' && exec '" + program("told") + "' often 1"};
  for (const char *const address : {"http://localhost:8080", "https://findings.example/collect"}) {
    How how = with("halt=0");
    how.environment.emplace_back("RINGFENCE_COLLECTOR", address);
    Result const result = run(command, how);
    EXPECT_EQ(result.status, 99) << "the finding counts all the same";
    EXPECT_NE(result.err.find("named by its folder, not by the address " + std::string(address) + ": findings are not"),
              std::string::npos)
        << result.err;
    EXPECT_EQ(rmdir((before + "/http:").c_str()), -1);
    EXPECT_EQ(errno, ENOENT);
  }
  // The colon ends the option.
  Result const result = run(command, with("halt=0:collector=http://localhost:8080"));
  EXPECT_EQ(result.status, 99);
  EXPECT_NE(result.err.find("named by its folder, not by the address http: findings are not"), std::string::npos)
      << result.err;
  EXPECT_EQ(rmdir(before.c_str()), 0) << "nothing was made there";
}

TEST_F(Collector, IsToldTheFirstOfABugAndHowOftenItCameAgain) {
  Told const told = tell({"often", "1000"}, "max_findings=5");
  EXPECT_EQ(told.findings(), 1000);
  EXPECT_EQ(told.of("finding").size(), 3U);
  EXPECT_LE(told.of("repeat").size(), 10U);
  std::vector<Json> const repeats = told.of("repeat");
  for (const Json &repeat : repeats) {
    EXPECT_EQ(repeat["of"].text, told.of("finding")[0]["id"].text);
  }
  EXPECT_EQ(told.of("summary").at(0)["findings"].number, 1000);
  EXPECT_EQ(told.dropped(), 0);
}

// The first in full, then the 2nd and 4th, then one after a second.
TEST_F(Collector, LosesNoMoreThanASecondToSigkill) {
  Told const told = tell({"killed"}, "collector_first=1");
  EXPECT_EQ(told.of("summary").size(), 0U);
  EXPECT_GE(told.findings(), 6);
  EXPECT_EQ(told.of("repeat").size(), 3U);
}

TEST_F(Collector, IsToldAllOfThemWhereAskedTo) {
  EXPECT_EQ(tell({"often", "20"}, "collector_first=0").of("finding").size(), 20U);
}

TEST_F(Collector, LeavesNoDescriptorOpen) {
  Told const told = tell({"descriptors", "3"});
  EXPECT_EQ(told.findings(), 3);
  EXPECT_EQ(told.result.out, run_bare({program("told"), "descriptors", "0"}).out);
}

TEST_F(Collector, IsToldByAProgramThatHasUsedUpItsDescriptors) {
  Told const told = tell({"used_descriptors", "3"});
  EXPECT_EQ(told.findings(), 3);
  EXPECT_EQ(told.of("summary").size(), 1U);
}

TEST_F(Collector, LosesNoneOfSeveralThreads) {
  EXPECT_EQ(tell({"threads", "100"}).findings(), 400);
}

TEST_F(Collector, KnowsAChildFromItsParent) {
  Told const told = tell({"forks", "5"}, "collector_first=1");
  EXPECT_EQ(told.findings(), 6);
  ASSERT_EQ(told.of("finding").size(), 2U);
  EXPECT_NE(told.of("finding")[0]["pid"].number, told.of("finding")[1]["pid"].number);
  ASSERT_EQ(told.of("summary").size(), 2U);
  EXPECT_EQ(told.of("summary")[0]["findings"].number, 5) << "of the child";
  EXPECT_EQ(told.of("summary")[1]["findings"].number, 1);
}

TEST_F(Collector, IsToldOfEachProgramOfAProcess) {
  Told const told = tell({"exec", "1"});
  ASSERT_EQ(told.of("summary").size(), 2U);
  EXPECT_EQ(told.of("summary")[0]["exit"].text, "exec");
  EXPECT_EQ(told.of("summary")[0]["findings"].number, 1) << "told once, by the exec that succeeds";
  EXPECT_GE(told.of("summary")[0]["allocations"].number, 1);
  EXPECT_EQ(told.of("summary")[1]["exit"].text, "status 5");
  EXPECT_EQ(told.of("summary")[0]["pid"].number, told.of("summary")[1]["pid"].number);
}

TEST_F(Collector, IsToldOfSignals) {
  Told const term = tell({"term", "2"});
  EXPECT_EQ(term.result.status, 128 + SIGTERM);
  EXPECT_EQ(term.of("summary").at(0)["exit"].text, "signal " + std::to_string(SIGTERM));
  folder_ += "-segv";
  Told const segv = tell({"segv"});
  EXPECT_EQ(segv.result.status, 128 + SIGSEGV);
  EXPECT_EQ(segv.of("finding").at(0)["finding"]["bug"].text, "SEGV");
  EXPECT_EQ(segv.of("summary").at(0)["exit"].text, "signal " + std::to_string(SIGSEGV));
}

TEST_F(Collector, IsToldWhereAFindingHaltsTheProcess) {
  Told const told = tell({"often", "5"}, "halt=1:exitcode=33");
  EXPECT_EQ(told.result.status, 33);
  EXPECT_EQ(told.findings(), 1);
  EXPECT_EQ(told.of("summary").at(0)["exit"].text, "status 33");
}

TEST_F(Collector, IsToldWhateverTheProgramDoesToItself) {
  for (const char *const how : {"handler", "wipe", "closed"}) {
    folder_ += how;
    Told const told = tell({how, "2"});
    EXPECT_EQ(told.findings(), 2) << how;
    EXPECT_EQ(told.of("summary").size(), 1U) << how;
  }
}

TEST_F(Collector, IsToldByProgramsWithTheLibraryLinkedIn) {
  Told const told = tell({"often", "2"}, "", {}, false);
  EXPECT_EQ(told.findings(), 2);
  EXPECT_EQ(told.of("summary").size(), 1U);
}

// "secret!!" is the program's; the byte behind it was written over a guard.
TEST_F(Collector, IsToldMemoryAsFarAsTheOptionAllows) {
  struct Row {
    const char *options;
    const char *windows;
    bool block;
    bool guards;
  };
  static const Row rows[] = {
      {"windows=whole", "whole", true, true},
      {"windows=guards", "guards", false, true},
      {"windows=none", "none", false, false},
      {"environment=ci", "whole", true, true},
      {"environment=production", "guards", false, true},
      {"environment=production:windows=whole", "whole", true, true},
      {"mode=sample:sample_rate=1", "guards", false, true},
  };
  std::string const folder = folder_;
  for (const Row &row : rows) {
    folder_ = folder + std::to_string(&row - rows);
    Told const told = tell({"often", "1"}, row.options);
    ASSERT_GE(told.of("finding").size(), 1U) << row.options;
    Json const record = told.of("finding")[0];
    EXPECT_EQ(record["windows"].text, row.windows) << row.options;
    std::string const bytes = record["finding"]["window"]["bytes"].text;
    EXPECT_EQ(bytes.find("736563726574") != std::string::npos, row.block) << row.options << " " << bytes;
    EXPECT_EQ(bytes.find("78") != std::string::npos, row.guards) << row.options << " " << bytes;
  }
}

// A collector that hangs: it took the file's lock and never gives it back.
TEST_F(Collector, ThatHangsCostsNothingAndLosesNothing) {
  Told const before = tell({"clean"});
  int const held = open((folder_ + "/spool/current").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(flock(held, LOCK_EX | LOCK_NB), 0);
  Told const told = tell({"often", "1"});
  EXPECT_EQ(told.result.status, 99);
  EXPECT_EQ(told.records.size(), before.records.size()) << "the rest is in segments";
  (void)close(held);
}

std::set<std::string> names_of(const Json &object) {
  std::set<std::string> names;
  for (const auto &member : object.members) {
    names.insert(member.first);
  }
  return names;
}

// The records of docs/service/format.md, one of each kind.
TEST_F(Collector, IsToldWhatThePageShows) {
  std::vector<std::pair<std::string, std::string>> const environment = {
      {"RINGFENCE_COMMIT", "4f2c9a1"}, {"TEST_TARGET", "//a"}, {"TEST_SHARD_INDEX", "2"}};
  (void)tell({"snapshots", "1"}, "build_version=1:labels=team=core", environment);
  Told const told = tell({"often", "17"}, "collector_first=1:build_version=1:labels=team=core", environment);
  std::ifstream page("docs/service/format.md");
  std::set<std::string> kinds;
  for (std::string line; std::getline(page, line);) {
    Json sample;
    if (line.compare(0, 10, "{\"record\":") != 0) {
      continue;
    }
    ASSERT_TRUE(Json::parse(line + "\n", sample)) << line;
    std::string const kind = sample["record"].text;
    kinds.insert(kind);
    ASSERT_FALSE(told.of(kind).empty()) << kind;
    Json const record = told.of(kind)[0];
    EXPECT_EQ(names_of(record), names_of(sample)) << kind;
    EXPECT_EQ(names_of(record["build"]), names_of(sample["build"]));
    EXPECT_EQ(names_of(record["finding"]), names_of(sample["finding"]));
    EXPECT_EQ(names_of(record["snapshot"]), names_of(sample["snapshot"]));
    EXPECT_EQ(record["version"].number, sample["version"].number);
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"finding", "repeat", "snapshot", "summary"}));
}

// ---- Snapshots ----

long long sum_of(const Json &rows, size_t column) {
  long long sum = 0;
  for (const Json &row : rows.items) {
    sum += row.items.at(column).number;
  }
  return sum;
}

TEST_F(Collector, IsToldWhatIsLiveByCallSite) {
  Told const told = tell({"snapshots", "64"});
  std::vector<Json> const snapshots = told.of("snapshot");
  ASSERT_EQ(snapshots.size(), 2U);
  const Json &before = snapshots[0]["snapshot"];
  const Json &after = snapshots[1]["snapshot"];
  EXPECT_EQ(before["name"].text, "before");
  EXPECT_EQ(after["allocator"].text, "malloc");
  EXPECT_EQ(after["blocks"].number - before["blocks"].number, 69);
  EXPECT_EQ(after["bytes"].number - before["bytes"].number, 6500 + (1 << 20));
  EXPECT_EQ(after["omitted_bytes"].number, 0);
  EXPECT_GE(after["peak"].number, 2 << 20);
  EXPECT_GE(after["resident"].number, 1 << 20);
  for (const Json &snapshot : {before, after}) {
    EXPECT_EQ(sum_of(snapshot["sites"], 0), snapshot["bytes"].number);
    EXPECT_EQ(sum_of(snapshot["sites"], 1), snapshot["blocks"].number);
    EXPECT_EQ(sum_of(snapshot["sizes"], 1), snapshot["blocks"].number);
    EXPECT_EQ(sum_of(snapshot["sizes"], 2), snapshot["bytes"].number);
    long long live = 0;
    for (const Json &part : snapshot["map"]["parts"].items) {
      for (const Json &cell : part.items.at(1).items) {
        EXPECT_LE(cell.number, snapshot["map"]["cell"].number);
        live += cell.number;
      }
    }
    EXPECT_EQ(live, snapshot["bytes"].number);
  }
  const Json &largest = after["sites"].items.at(0);
  EXPECT_EQ(largest.items.at(0).number, 1 << 20);
  const Json &frame = largest.items.at(2).items.at(0);
  EXPECT_NE(frame.items.at(0)["path"].text.find("told"), std::string::npos);
  EXPECT_EQ(frame.items.at(1).text.substr(0, 2), "0x");
}

// Those of equal bytes by their blocks.
TEST_F(Collector, IsToldOfCallSitesInTheOrderOfTheirSize) {
  std::vector<Json> const snapshots = tell({"snapshots", "1"}).of("snapshot");
  ASSERT_EQ(snapshots.size(), 2U);
  std::vector<std::pair<long long, long long>> sizes;
  for (const Json &site : snapshots[1]["snapshot"]["sites"].items) {
    sizes.emplace_back(site.items.at(0).number, site.items.at(1).number);
  }
  EXPECT_TRUE(std::is_sorted(sizes.begin(), sizes.end(), std::greater<>()));
  EXPECT_EQ(std::count(sizes.begin(), sizes.end(), std::make_pair(100LL, 4LL)), 1);
  EXPECT_GE(std::count(sizes.begin(), sizes.end(), std::make_pair(100LL, 1LL)), 1);
}

TEST_F(Collector, IsToldOfTheLargestSitesWhereNotAllFit) {
  Told const told = tell({"snapshots", "4000"}, "stack_depth=32");
  std::vector<Json> const snapshots = told.of("snapshot");
  ASSERT_EQ(snapshots.size(), 2U);
  const Json &after = snapshots[1]["snapshot"];
  EXPECT_GT(after["omitted_blocks"].number, 0);
  EXPECT_GT(after["sites"].items.size(), 300U);
  EXPECT_EQ(sum_of(after["sites"], 0) + after["omitted_bytes"].number, after["bytes"].number);
  EXPECT_EQ(sum_of(after["sites"], 1) + after["omitted_blocks"].number, after["blocks"].number);
  EXPECT_EQ(after["sites"].items.at(0).items.at(0).number, 1 << 20);
}

// More than the cells of its table: they become larger.
TEST_F(Collector, IsToldOfALargeHeapByLargerCells) {
  Told const told = tell({"large"}, "fill_alloc=0");
  ASSERT_EQ(told.of("snapshot").size(), 1U);
  Json const snapshot = told.of("snapshot")[0]["snapshot"];
  long long cells = 0;
  long long live = 0;
  for (const Json &part : snapshot["map"]["parts"].items) {
    for (const Json &cell : part.items.at(1).items) {
      cells += cell.number != 0;
      live += cell.number;
      EXPECT_LE(cell.number, snapshot["map"]["cell"].number);
    }
  }
  EXPECT_GE(snapshot["bytes"].number, 600LL << 20);
  EXPECT_EQ(live, snapshot["bytes"].number);
  EXPECT_GT(cells, 300);
  EXPECT_LE(cells, 1024);
}

TEST_F(Collector, IsToldNoRegularSnapshotBeforeItsTime) {
  EXPECT_EQ(tell({"snapshots", "4000"}, "snapshot_every=3600").of("snapshot").size(), 2U) << "those that it asks for";
}

TEST_F(Collector, IsToldNoSnapshotsOfModesWithoutThem) {
  EXPECT_TRUE(tell({"snapshots", "1"}, "mode=sample").of("snapshot").empty());
}

} // namespace
} // namespace ringfence_test
