// The default reporter closes its descriptors and gives its lock back after a report.
#include <ringfence/reporter.h>

#include "checkers/os/host.h"
#include "checkers/report/collector.h"
#include "tests/checkers/folder_entries.h"
#include "tests/checkers/sample_finding.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

namespace ringfence {
namespace {

TEST(ReporterKeeps, NoDescriptorOfAnArtifact) {
  std::string const folder = testing::TempDir() + "/one_artifact." + std::to_string(getpid());
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  setenv("TEST_UNDECLARED_OUTPUTS_DIR", folder.c_str(), 1);
  rf_report_options options;
  rf_report_options_default(&options);
  options.halt = false;
  rf_log_reporter reporter;
  rf_log_reporter_init(&reporter, &options);
  size_t const before = open_descriptors();
  testing::internal::CaptureStderr();
  rf_finding f = sample_finding();
  rf_report(&reporter.base, &f);
  (void)testing::internal::GetCapturedStderr();
  unsetenv("TEST_UNDECLARED_OUTPUTS_DIR");
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(std::remove((folder + "/ringfence-" + std::to_string(getpid()) + ".jsonl").c_str()), 0);
  EXPECT_EQ(rmdir(folder.c_str()), 0);
}

TEST(ReporterKeeps, NoLockAfterARecordForTheCollector) {
  (void)rf_log_reporter_collect_record(
      "snapshot", [](rf_sink_buffer *, const rf_symbolizer *, void *) { return true; }, nullptr);
  bool had = false;
  std::thread([&had] {
    had = rf_host_report_lock();
    if (had) {
      rf_host_report_unlock();
    }
  }).join();
  EXPECT_TRUE(had);
}

} // namespace
} // namespace ringfence
