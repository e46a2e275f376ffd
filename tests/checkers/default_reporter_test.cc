// The process's own reporter and options: made once, whoever asks first.
#include <ringfence/options.h>
#include <ringfence/reporter.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>
#include <vector>

extern "C" {
#include "checkers/os/host.h"
}

static void (*first)(); // what another thread does before this one has the lock, once

// The linker puts it in front of the library's own.
extern "C" bool __real_rf_host_report_lock();
extern "C" bool __wrap_rf_host_report_lock();

extern "C" bool __wrap_rf_host_report_lock() {
  void (*const once)() = first;
  first = nullptr;
  if (once != nullptr) {
    once();
  }
  return __real_rf_host_report_lock();
}

namespace ringfence {
namespace {

// Findings that the other thread has reported by it are counted.
TEST(ProcessReporter, IsMadeOnceWhereTwoThreadsAskAtOnce) {
  auto const run = [] {
    first = [] { rf_reporter_default()->sequence = 7; };
    exit(rf_reporter_default()->sequence == 7 && first == nullptr ? 0 : 1);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

// A thread that writes a finding has the lock, and may be the first to ask for it.
TEST(ProcessReporter, IsMadeWithinAReport) {
  auto const run = [] {
    bool const locked = rf_host_report_lock();
    (void)rf_reporter_default();
    exit(locked && !rf_host_report_lock() ? 0 : 1); // it has it
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

TEST(ProcessReporter, IsOneForAllThreads) {
  std::vector<rf_reporter *> seen(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < seen.size(); t++) {
    threads.emplace_back([&, t] { seen[t] = rf_reporter_default(); });
  }
  for (std::thread &t : threads) {
    t.join();
  }
  for (rf_reporter *const r : seen) {
    EXPECT_EQ(r, rf_reporter_default());
  }
  EXPECT_EQ(rf_options_of_process()->exitcode, static_cast<unsigned>(rf_reporter_default()->exitcode));
}

} // namespace
} // namespace ringfence
