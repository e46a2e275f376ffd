// The end of a process while another thread makes a record for the collector.
#include "checkers/report/collector.h"

#include <ringfence/reporter.h>

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

namespace {

std::atomic<bool> within{false};
std::atomic<bool> kept{false};

// Takes its time, as a large snapshot does.
bool write_slowly(rf_sink_buffer *line, const rf_symbolizer *, void *) {
  within = true;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  rf_sink_str(&line->sink, "{}");
  return true;
}

// Does not return before the test has seen what it wants to.
bool write_until_released(rf_sink_buffer *line, const rf_symbolizer *, void *) {
  within = true;
  while (kept) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  rf_sink_str(&line->sink, "{}");
  return true;
}

rf_collector_options telling_into(const std::string &folder) {
  rf_collector_options options = {};
  options.folder = {folder.data(), folder.size()};
  options.mode = "guard";
  options.first = 1;
  return options;
}

std::string all_of(const std::filesystem::path &folder) {
  std::string text;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(folder)) {
    std::ifstream file(entry.path());
    if (entry.is_regular_file()) {
      text.append(std::istreambuf_iterator<char>(file), {});
    }
  }
  return text;
}

std::thread record_by(rf_collector_writer write) {
  within = false;
  std::thread other([write] { EXPECT_TRUE(rf_collector_record("snapshot", nullptr, write, nullptr)); });
  while (!within) {
    std::this_thread::yield();
  }
  return other;
}

// In a child, since a process has one collector. The finding is beyond max_findings, and the first to ask for modules.
TEST(CollectorFrames, OfAFindingThatIsNotPrintedHaveTheirModule) {
  std::string folder = ::testing::TempDir() + "collector_frames_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  pid_t const child = fork();
  if (child == 0) {
    rf_collector_options const options = telling_into(folder);
    rf_report_options report;
    rf_report_options_default(&report);
    report.max_findings = 1;
    report.halt = false;
    rf_log_reporter reporter;
    rf_log_reporter_init(&reporter, &report);
    rf_finding finding = {};
    finding.bug = RF_BUG_DOUBLE_FREE;
    finding.sequence = 2;
    finding.found.depth = 1;
    finding.found.frames[0] = reinterpret_cast<uintptr_t>(&write_slowly) + 1;
    bool const begun = rf_collector_begin(&options);
    _exit(begun && rf_log_reporter_put(&reporter, &finding) == RF_ACTION_CONTINUE ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::string const told = all_of(folder);
  EXPECT_NE(told.find("\"module\":\""), std::string::npos) << told;
  std::filesystem::remove_all(folder);
}

// A process that the first finding ends has no other end.
TEST(CollectorEnd, TellsHowAFindingEndsTheProcess) {
  for (bool const aborts : {false, true}) {
    std::string folder = ::testing::TempDir() + "collector_end_XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    pid_t const child = fork();
    if (child == 0) {
      rf_collector_options const options = telling_into(folder);
      static rf_log_reporter reporter;
      rf_report_options report;
      rf_report_options_default(&report);
      report.abort = aborts;
      report.exitcode = 99;
      rf_log_reporter_init(&reporter, &report);
      rf_finding finding = {};
      finding.bug = RF_BUG_DOUBLE_FREE;
      finding.sequence = 1;
      bool const begun = rf_collector_begin(&options);
      _exit(begun && reporter.base.report(&reporter.base, &finding) == RF_ACTION_HALT ? 0 : 1);
    }
    int status = 1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    std::string const told = all_of(folder);
    std::string const end = aborts ? "signal " + std::to_string(SIGABRT) : "status 99";
    EXPECT_NE(told.find("\"exit\":\"" + end + "\""), std::string::npos) << told;
    EXPECT_EQ(told.find("\"continued\""), std::string::npos) << told;
    std::filesystem::remove_all(folder);
  }
}

// One process has one collector, so its story is one test.
TEST(CollectorEnd, WaitsForTheRecordOfAnotherThreadButNotForEver) {
  std::string folder = ::testing::TempDir() + "collector_end_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  rf_collector_options options = {};
  options.folder = {folder.data(), folder.size()};
  options.mode = "guard";
  options.first = 1;
  ASSERT_TRUE(rf_collector_begin(&options));

  kept = true;
  std::thread stuck = record_by(write_until_released);
  rf_collector_run const given_up = {1, 0, 0, 0, 0, nullptr, nullptr, "status", 11, false};
  EXPECT_FALSE(rf_collector_end(&given_up));
  kept = false;
  stuck.join();
  EXPECT_EQ(all_of(folder).find("status 11"), std::string::npos);

  std::thread slow = record_by(write_slowly);
  rf_collector_run const run = {2001234567, 0, 0, 0, 0, nullptr, nullptr, "status", 12, true};
  EXPECT_TRUE(rf_collector_end(&run));
  slow.join();
  std::string const told = all_of(folder);
  EXPECT_NE(told.find("\"seconds\":2.001234,"), std::string::npos) << told;
  EXPECT_NE(told.find("\"exit\":\"status 12\",\"continued\":true"), std::string::npos) << told;
  EXPECT_LT(told.find("\"record\":\"snapshot\""), told.find("\"record\":\"summary\"")) << told;
  std::filesystem::remove_all(folder);
}

} // namespace
