// The usual reporter: where findings go, in what form, how many, and that nothing stops it.
#include <ringfence/options.h>
#include <ringfence/reporter.h>

#include "tests/checkers/folder_entries.h"
#include "tests/checkers/found_on_purpose.h"
#include "tests/checkers/json_value.h"
#include "tests/checkers/sample_finding.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace ringfence {
namespace {

class Reporter : public testing::Test {
protected:
  Reporter() : path_(testing::TempDir() + "/reporter_test." + std::to_string(getpid())) {
    rf_report_options_default(&options_);
    options_.halt = false;
    options_.format = RF_FORMAT_JSON;
    log_to(path_);
    std::remove(path_.c_str());
  }

  ~Reporter() override { std::remove(path_.c_str()); }

  void log_to(const std::string &path) {
    log_ = path;
    options_.log = log_.c_str();
    options_.log_length = log_.size();
  }

  static rf_action report(rf_log_reporter &reporter) {
    rf_finding f = sample_finding();
    rf_report(&reporter.base, &f);
    return reporter.base.report(&reporter.base, &f);
  }

  static std::vector<std::string> lines_of(const std::string &path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
      lines.push_back(line);
    }
    return lines;
  }

  // One finding, by way of rf_report.
  static void find(rf_log_reporter &reporter) {
    rf_finding f = sample_finding();
    rf_report(&reporter.base, &f);
  }

  std::string path_;
  std::string log_;
  rf_report_options options_;
  rf_log_reporter reporter_;
};

TEST_F(Reporter, AppendsALineForEachFinding) {
  rf_log_reporter_init(&reporter_, &options_);
  find(reporter_);
  find(reporter_);
  std::vector<std::string> const lines = lines_of(path_);
  ASSERT_EQ(lines.size(), 2U);
  for (size_t i = 0; i < 2; i++) {
    Json j;
    ASSERT_TRUE(Json::parse(lines[i] + "\n", j));
    EXPECT_EQ(j["bug"].text, "heap-buffer-overflow");
    EXPECT_EQ(j["sequence"].number, static_cast<long long>(i + 1));
    EXPECT_EQ(j["pid"].number, getpid());
  }
}

TEST_F(Reporter, NothingFoundIsNoFile) {
  rf_log_reporter_init(&reporter_, &options_);
  EXPECT_NE(access(path_.c_str(), F_OK), 0);
}

TEST_F(Reporter, TextGoesToTheFileToo) {
  options_.format = RF_FORMAT_TEXT;
  rf_log_reporter_init(&reporter_, &options_);
  find(reporter_);
  std::vector<std::string> const lines = lines_of(path_);
  ASSERT_GT(lines.size(), 5U);
  EXPECT_EQ(lines.back(), "SUMMARY: Ringfence: heap-buffer-overflow demo.c:12 in open_log");
}

TEST_F(Reporter, AnswersAsTheOptionsSay) {
  rf_log_reporter_init(&reporter_, &options_);
  EXPECT_EQ(report(reporter_), RF_ACTION_CONTINUE);
  options_.halt = true;
  options_.exitcode = 41;
  rf_log_reporter_init(&reporter_, &options_);
  EXPECT_EQ(reporter_.base.exitcode, 41);
  rf_finding f = sample_finding();
  EXPECT_EQ(reporter_.base.report(&reporter_.base, &f), RF_ACTION_HALT);
}

TEST_F(Reporter, AfterMaxFindingsItCountsOnly) {
  options_.max_findings = 3;
  rf_log_reporter_init(&reporter_, &options_);
  testing::internal::CaptureStderr();
  for (int i = 0; i < 10; i++) {
    find(reporter_);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "ringfence: max_findings reached; further findings are counted only\n");
  EXPECT_EQ(lines_of(path_).size(), 3U);
  EXPECT_EQ(reporter_.base.sequence, 10U);
}

// Only people read that it was reached; a program that reads serial lines does not.
TEST_F(Reporter, MaxFindingsIsSaidBesideALogOfSerialLines) {
  options_.format = RF_FORMAT_SERIAL;
  options_.max_findings = 1;
  rf_log_reporter_init(&reporter_, &options_);
  testing::internal::CaptureStderr();
  find(reporter_);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "ringfence: max_findings reached; further findings are counted only\n");
  for (const std::string &line : lines_of(path_)) {
    EXPECT_EQ(line.find("max_findings"), std::string::npos) << line;
  }
}

TEST_F(Reporter, AFindingThatEndsTheProgramIsTheLastWithoutAWordOfOthers) {
  options_.halt = true;
  options_.max_findings = 1;
  rf_log_reporter_init(&reporter_, &options_);
  rf_finding f = sample_finding();
  f.sequence = 1;
  testing::internal::CaptureStderr();
  EXPECT_EQ(reporter_.base.report(&reporter_.base, &f), RF_ACTION_HALT);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(Reporter, ZeroMaxFindingsIsNoLimit) {
  options_.max_findings = 0;
  rf_log_reporter_init(&reporter_, &options_);
  for (int i = 0; i < 10; i++) {
    find(reporter_);
  }
  EXPECT_EQ(lines_of(path_).size(), 10U);
}

TEST_F(Reporter, SuppressedFindingsUseUpNoneOfMaxFindings) {
  std::string const rules = path_ + ".rules";
  std::ofstream(rules) << "double-free:*\n";
  options_.max_findings = 2;
  options_.suppressions = rules.c_str();
  options_.suppressions_length = rules.size();
  rf_log_reporter_init(&reporter_, &options_);
  for (int i = 0; i < 5; i++) {
    rf_finding f = sample_finding();
    f.bug = RF_BUG_DOUBLE_FREE;
    rf_report(&reporter_.base, &f);
  }
  find(reporter_);
  find(reporter_);
  std::vector<std::string> const lines = lines_of(path_);
  std::remove(rules.c_str());
  ASSERT_EQ(lines.size(), 2U);
  for (size_t i = 0; i < 2; i++) {
    Json j;
    ASSERT_TRUE(Json::parse(lines[i] + "\n", j));
    EXPECT_EQ(j["sequence"].number, static_cast<long long>(i + 1));
  }
}

TEST_F(Reporter, SuppressedLeaksCountTheirBytesAndOtherFindingsNone) {
  std::string const rules = path_ + ".rules";
  std::ofstream(rules) << "double-free:*\nleak:*\n";
  options_.suppressions = rules.c_str();
  options_.suppressions_length = rules.size();
  rf_log_reporter_init(&reporter_, &options_);
  for (rf_bug const bug : {RF_BUG_DOUBLE_FREE, RF_BUG_LEAK, RF_BUG_LEAK}) {
    rf_finding f = sample_finding();
    f.bug = bug;
    f.size = 100;
    rf_report(&reporter_.base, &f);
  }
  std::remove(rules.c_str());
  ASSERT_EQ(reporter_.suppressions.count, 2U);
  EXPECT_EQ(reporter_.suppressions.rules[0].used, 1U);
  EXPECT_EQ(reporter_.suppressions.rules[0].bytes, 0U);
  EXPECT_EQ(reporter_.suppressions.rules[1].used, 2U);
  EXPECT_EQ(reporter_.suppressions.rules[1].bytes, 200U);
}

TEST_F(Reporter, PercentPIsTheProcess) {
  log_to(path_ + ".%p.log");
  rf_log_reporter_init(&reporter_, &options_);
  find(reporter_);
  std::string const expected = path_ + "." + std::to_string(getpid()) + ".log";
  EXPECT_EQ(lines_of(expected).size(), 1U);
  std::remove(expected.c_str());
}

TEST_F(Reporter, AChildWritesToItsOwnFileWherePercentPAsksForIt) {
  log_to(path_ + ".%p.log");
  rf_log_reporter_init(&reporter_, &options_);
  find(reporter_);
  pid_t const child = fork();
  if (child == 0) {
    find(reporter_);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  for (pid_t const pid : {getpid(), child}) {
    std::string const path = path_ + "." + std::to_string(pid) + ".log";
    EXPECT_EQ(lines_of(path).size(), 1U) << path;
    std::remove(path.c_str());
  }
}

TEST_F(Reporter, SeveralProcessesShareAFile) {
  constexpr size_t kProcesses = 4;
  constexpr size_t kEach = 50;
  rf_log_reporter_init(&reporter_, &options_);
  std::vector<pid_t> children;
  for (size_t i = 0; i < kProcesses; i++) {
    pid_t const child = fork();
    if (child == 0) {
      for (size_t k = 0; k < kEach; k++) {
        find(reporter_);
      }
      _exit(0);
    }
    children.push_back(child);
  }
  for (pid_t const child : children) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
  }
  std::vector<std::string> const lines = lines_of(path_);
  EXPECT_EQ(lines.size(), kProcesses * kEach);
  for (const std::string &line : lines) {
    Json j;
    ASSERT_TRUE(Json::parse(line + "\n", j)) << line;
  }
}

TEST_F(Reporter, SeveralThreadsShareAFile) {
  rf_log_reporter_init(&reporter_, &options_);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; i++) {
        find(reporter_);
      }
    });
  }
  for (std::thread &t : threads) {
    t.join();
  }
  std::vector<std::string> const lines = lines_of(path_);
  EXPECT_EQ(lines.size(), 100U);
  for (const std::string &line : lines) {
    Json j;
    ASSERT_TRUE(Json::parse(line + "\n", j)) << line;
  }
}

TEST_F(Reporter, AFileThatCannotBeOpenedIsSaidAndStandardErrorTakesItsPlace) {
  log_to("/nowhere/at/all");
  rf_log_reporter_init(&reporter_, &options_);
  testing::internal::CaptureStderr();
  find(reporter_);
  find(reporter_);
  std::string const text = testing::internal::GetCapturedStderr();
  std::string const said = "ringfence: cannot append to /nowhere/at/all; findings go to standard error\n";
  EXPECT_EQ(text.find(said + "===="), 0U) << text; // as text, which a person reads
  EXPECT_EQ(text.find(said, 1), std::string::npos) << "said once";
  EXPECT_EQ(text.find("{\"type\""), std::string::npos) << text;
}

TEST_F(Reporter, AChildTriesOnceMoreToOpenWhatItsParentCouldNot) {
  log_to("/nowhere/at/all");
  rf_log_reporter_init(&reporter_, &options_);
  testing::internal::CaptureStderr();
  rf_log_reporter_write(&reporter_, "1\n", 2);
  pid_t const child = fork();
  if (child == 0) {
    rf_log_reporter_write(&reporter_, "2\n", 2);
    rf_log_reporter_write(&reporter_, "3\n", 2);
    _exit(0);
  }
  int status = 1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  std::string const said = "ringfence: cannot append to /nowhere/at/all; findings go to standard error\n";
  EXPECT_EQ(testing::internal::GetCapturedStderr(), said + "1\n" + said + "2\n3\n");
}

TEST_F(Reporter, APathThatIsTooLongIsSaid) {
  log_to(std::string(2000, 'x'));
  rf_log_reporter_init(&reporter_, &options_);
  testing::internal::CaptureStderr();
  find(reporter_);
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("ringfence: cannot append to xxx"), 0U);
}

TEST_F(Reporter, AFullDiskIsSurvivedAndStandardErrorTakesIt) {
  log_to("/dev/full");
  rf_log_reporter_init(&reporter_, &options_);
  testing::internal::CaptureStderr();
  find(reporter_);
  std::string const text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("===="), 0U) << text;
  EXPECT_NE(text.find("\nSUMMARY: Ringfence: "), std::string::npos) << text;
  EXPECT_EQ(text.find("{\"type\""), std::string::npos) << "a person reads it: " << text;
  EXPECT_TRUE(reporter_.lost) << "for who made the reporter";
}

TEST_F(Reporter, AFileThatTakesNoMoreIsClosed) {
  size_t const before = open_descriptors();
  log_to("/dev/full");
  rf_log_reporter_init(&reporter_, &options_);
  testing::internal::CaptureStderr();
  find(reporter_);
  (void)testing::internal::GetCapturedStderr();
  EXPECT_EQ(open_descriptors(), before);
}

// The beginning of a path that is too long is no path.
TEST_F(Reporter, AnArtifactIsInItsFolderOrNowhere) {
  std::string const top = testing::TempDir() + "/artifacts." + std::to_string(getpid());
  ASSERT_EQ(mkdir(top.c_str(), 0700), 0);
  for (size_t const length : {size_t{300}, size_t{505}}) {
    std::string folder = top + (((length - top.size()) % 2) != 0 ? "/" : "");
    while (folder.size() < length) {
      folder += "/.";
    }
    setenv("TEST_UNDECLARED_OUTPUTS_DIR", folder.c_str(), 1);
    rf_report_options_default(&options_);
    options_.halt = false;
    rf_log_reporter_init(&reporter_, &options_);
    testing::internal::CaptureStderr();
    find(reporter_);
    (void)testing::internal::GetCapturedStderr();
    unsetenv("TEST_UNDECLARED_OUTPUTS_DIR");
    std::string const name = top + "/ringfence-" + std::to_string(getpid()) + ".jsonl";
    EXPECT_EQ(std::remove(name.c_str()) == 0, length == 300);
    EXPECT_EQ(rmdir(top.c_str()), 0) << "nothing else is in it";
    ASSERT_EQ(mkdir(top.c_str(), 0700), 0);
  }
  EXPECT_EQ(rmdir(top.c_str()), 0);
}

TEST_F(Reporter, AFindingInALogIsNoArtifact) {
  std::string const folder = testing::TempDir() + "/no_artifacts." + std::to_string(getpid());
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  rf_log_reporter_init(&reporter_, &options_);
  setenv("TEST_UNDECLARED_OUTPUTS_DIR", folder.c_str(), 1);
  find(reporter_);
  unsetenv("TEST_UNDECLARED_OUTPUTS_DIR");
  EXPECT_EQ(lines_of(path_).size(), 1U);
  EXPECT_EQ(rmdir(folder.c_str()), 0) << "nothing is in it";
}

TEST_F(Reporter, WriteGoesWhereFindingsGo) {
  rf_log_reporter_init(&reporter_, &options_);
  rf_log_reporter_write(&reporter_, "hello\n", 6);
  EXPECT_EQ(lines_of(path_), std::vector<std::string>{"hello"});
}

TEST_F(Reporter, AClosedOneOpensItsFileForEachText) {
  rf_log_reporter_init(&reporter_, &options_);
  rf_log_reporter_close(&reporter_);
  EXPECT_NE(access(path_.c_str(), F_OK), 0);
  find(reporter_);
  rf_log_reporter_write(&reporter_, "hello\n", 6);
  EXPECT_EQ(reporter_.fd, -1);
  EXPECT_EQ(lines_of(path_).size(), 2U);
}

// Programs close all descriptors, and open files of their own, which get the same numbers.
TEST_F(Reporter, AFileOfTheProgramsThatHasTheLogsNumberIsLeftAlone) {
  rf_log_reporter_init(&reporter_, &options_);
  rf_log_reporter_write(&reporter_, "1\n", 2);
  int const number = reporter_.fd;
  std::string const other = path_ + ".other";
  int const opened = open(other.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(dup2(opened, number), number);
  rf_log_reporter_write(&reporter_, "2\n", 2);
  EXPECT_NE(reporter_.fd, number);
  EXPECT_EQ(lines_of(path_), (std::vector<std::string>{"1", "2"}));
  EXPECT_TRUE(lines_of(other).empty());
  EXPECT_EQ(close(number), 0) << "it was not closed either";
  close(opened);
  unlink(other.c_str());
}

TEST_F(Reporter, AClosedOneWarnsOnceOfAFileThatCannotBeOpened) {
  log_to("/nowhere/at/all");
  rf_log_reporter_init(&reporter_, &options_);
  testing::internal::CaptureStderr();
  rf_log_reporter_write(&reporter_, "1\n", 2);
  rf_log_reporter_close(&reporter_);
  rf_log_reporter_write(&reporter_, "2\n", 2);
  rf_log_reporter_write(&reporter_, "3\n", 2);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "ringfence: cannot append to /nowhere/at/all; findings go to standard error\n1\n2\n3\n");
}

// ---- Ends that must come whatever is wrong ----

void halt_with(const char *log, void (*prepare)()) {
  static rf_log_reporter reporter;
  rf_report_options options;
  rf_report_options_default(&options);
  options.exitcode = 44;
  options.log = log;
  options.log_length = log != nullptr ? std::strlen(log) : 0;
  prepare();
  rf_log_reporter_init(&reporter, &options);
  rf_finding f = sample_finding();
  rf_report(&reporter.base, &f);
}

TEST(ReporterDeathTest, AClosedStandardErrorDoesNotHinderTheExit) {
  EXPECT_EXIT(halt_with(nullptr, [] { close(STDERR_FILENO); }), testing::ExitedWithCode(44), "");
}

TEST(ReporterDeathTest, APipeWithoutAReaderDoesNotHinderTheExit) {
  EXPECT_EXIT(halt_with(nullptr,
                        [] {
                          int ends[2];
                          if (pipe(ends) == 0) {
                            dup2(ends[1], STDERR_FILENO);
                            close(ends[0]);
                            close(ends[1]);
                          }
                        }),
              testing::ExitedWithCode(44), "");
}

TEST(ReporterDeathTest, AFullLogDoesNotHinderTheExit) {
  EXPECT_EXIT(halt_with("/dev/full", [] {}), testing::ExitedWithCode(44), "SUMMARY");
}

TEST(ReporterDeathTest, NoFileDescriptorsLeftDoNotHinderTheExit) {
  EXPECT_EXIT(halt_with("/tmp/never_opened",
                        [] {
                          rlimit const none = {0, 0};
                          setrlimit(RLIMIT_NOFILE, &none);
                        }),
              testing::ExitedWithCode(44), "cannot append[^$]*SUMMARY");
}

rf_log_reporter *interrupted;

void find_in_a_handler(int) {
  rf_finding f = sample_finding();
  f.bug = RF_BUG_DOUBLE_FREE;
  rf_report(&interrupted->base, &f);
}

TEST(ReporterDeathTest, AFindingInASignalHandlerIsReported) {
  EXPECT_EXIT(
      {
        static rf_log_reporter reporter;
        rf_report_options options;
        rf_report_options_default(&options);
        rf_log_reporter_init(&reporter, &options);
        interrupted = &reporter;
        std::signal(SIGUSR1, find_in_a_handler);
        std::raise(SIGUSR1);
        std::exit(1);
      },
      testing::ExitedWithCode(99), "double-free");
}

} // namespace
} // namespace ringfence
