// The reporter of the process (checkers/dropin/runtime/process_reporter.c): what is left out, who is told, what is
// counted, and when the process ends. The reporter that writes, the output and the table of sites are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/checked/mode_options.h"
#include "checkers/dropin/os/cxx_runtime.h"
#include "checkers/dropin/runtime/output.h"
#include "checkers/dropin/runtime/process_reporter.h"
#include "checkers/dropin/runtime/site_choice.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/host.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/report/collector.h"
#include <ringfence/dropin.h>
}
#undef _Static_assert

#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <pthread.h>
#include <string>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

constexpr uintptr_t kPrivate = 0x9000; // code of a module with a C++ runtime of its own

struct World {
  Calls calls;
  rf_finding put = {};
  rf_action action = RF_ACTION_CONTINUE;
  bool suppresses = false;
  bool lost = false; // the log does not take it
  bool snapshot_done = true;
  uintptr_t near = 0; // the first frame of the last site
  pid_t process = 77;
  bool cancellable = false; // while a finding is told
  std::string told;
};

World world;

void call(const char *what) {
  int before = 0;
  world.calls.emplace_back(what);
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  world.cancellable = world.cancellable || before == PTHREAD_CANCEL_ENABLE;
  (void)pthread_setcancelstate(before, nullptr);
  errno = 99;
}

} // namespace

extern "C" {

rf_process_state rf_process;

pid_t rf_process_now() {
  return world.process;
}
void rf_output_open() {
  call("open");
}
void rf_output_close() {
  call("close");
}
void rf_output_mark_loss() {
  call("mark loss");
}
void rf_site_found_near(const rf_trace *allocated) {
  call("near");
  world.near = allocated->frames[0];
}
bool __wrap_rf_cxx_runtime_is_private(uintptr_t address) {
  return address == kPrivate;
}
bool __wrap_rf_log_reporter_suppresses(rf_log_reporter *reporter, const rf_finding *) {
  EXPECT_EQ(reporter, &rf_process.log);
  return world.suppresses;
}
rf_action __wrap_rf_log_reporter_put(rf_log_reporter *reporter, const rf_finding *f) {
  EXPECT_EQ(reporter, &rf_process.log);
  call("put");
  world.put = *f;
  reporter->lost = reporter->lost || world.lost;
  return world.action;
}
void __wrap_rf_log_reporter_collect(const rf_finding *) {
  call("collect");
}
size_t __wrap_rf_reporter_text(const rf_finding *, char *out, size_t room) {
  std::strcpy(out, "a finding");
  return room == 16384 ? 9 : 1;
}
void __wrap_rf_on_reserve_stack(rf_reserve_work work, void *argument) {
  call("reserve stack");
  work(argument);
}
bool __wrap_rf_log_reporter_snapshot(rf_log_reporter *reporter, const rf_snapshot *snapshot,
                                     const rf_snapshot *before) {
  EXPECT_EQ(reporter, &rf_process.log);
  EXPECT_NE(snapshot, before);
  call("snapshot");
  return world.snapshot_done;
}
}

namespace ringfence_test {
namespace {

const Calls kTold = {"reserve stack", "open", "put", "close", "near"};

void halting() {
  call("halting");
}

class ProcessReporter : public testing::Test {
protected:
  ProcessReporter() {
    world = World();
    rf_process = {};
    rf_process.id = 77;
    rf_options_default(&rf_process.options);
    rf_process.options.mode = RF_MODE_GUARD;
    rf_process.options.exitcode = 21;
    rf_process_reporter = {};
    __ringfence_on_finding(nullptr, nullptr);
    rf_process_reporter_init();
    rf_process_reporter.sequence = 5;
    f.bug = RF_BUG_DOUBLE_FREE;
    f.mode = "inner";
    f.block = 1;
    f.found = trace({0x100});
    f.allocated = trace({0x200});
    f.released = trace({0x300});
  }
  ~ProcessReporter() override { __ringfence_on_finding(nullptr, nullptr); }

  static rf_trace trace(std::initializer_list<uintptr_t> frames) {
    rf_trace t = {};
    for (uintptr_t const each : frames) {
      t.frames[t.depth++] = each;
    }
    return t;
  }

  rf_action report() {
    world.calls.clear();
    errno = 12;
    rf_action const action = rf_process_reporter.report(&rf_process_reporter, &f);
    EXPECT_EQ(errno, 12);
    EXPECT_FALSE(world.cancellable);
    int before = 0;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
    EXPECT_EQ(before, PTHREAD_CANCEL_ENABLE) << "afterwards the thread may be cancelled again";
    return action;
  }

  rf_finding f = {};
};

TEST_F(ProcessReporter, MarksThatAFindingWasNotTaken) {
  world.lost = true;
  (void)report();
  EXPECT_EQ(world.calls, (Calls{"reserve stack", "open", "put", "close", "mark loss", "near"}));
  f.bug = RF_BUG_SEGV;
  (void)report();
  EXPECT_EQ(world.calls, kTold) << "the status tells of a crash";
  world.lost = false;
  f.bug = RF_BUG_DOUBLE_FREE;
  (void)report();
  EXPECT_EQ(world.calls, kTold) << "this one was";
}

TEST_F(ProcessReporter, PutsAFindingOutAndCountsIt) {
  EXPECT_EQ(rf_process_reporter.exitcode, 21);
  EXPECT_EQ(report(), RF_ACTION_CONTINUE);
  EXPECT_EQ(world.calls, kTold);
  EXPECT_EQ(rf_process.findings, 1U);
  EXPECT_EQ(rf_process_reporter.sequence, 5U);
  EXPECT_EQ(world.near, 0x200U) << "where the block was allocated";
  EXPECT_FALSE(rf_process.ended);
}

TEST_F(ProcessReporter, EndsTheProcessAfterTheLastWork) {
  world.action = RF_ACTION_HALT;
  EXPECT_EQ(report(), RF_ACTION_HALT);
  EXPECT_TRUE(rf_process.ended);
  rf_process.ended = false;
  rf_process.halting = halting;
  EXPECT_EQ(report(), RF_ACTION_HALT);
  EXPECT_EQ(world.calls, (Calls{"reserve stack", "open", "put", "close", "halting", "near"}));
}

TEST_F(ProcessReporter, AtTheEndAllIsReported) {
  world.action = RF_ACTION_HALT;
  rf_process.ending = true;
  rf_process.halting = halting;
  EXPECT_EQ(report(), RF_ACTION_CONTINUE);
  EXPECT_EQ(world.calls, kTold);
  EXPECT_FALSE(rf_process.ended);
  EXPECT_EQ(rf_process.findings, 1U);
}

TEST_F(ProcessReporter, ASuppressedFindingIsAsIfThereWereNone) {
  world.suppresses = true;
  EXPECT_EQ(report(), RF_ACTION_CONTINUE);
  EXPECT_EQ(world.calls, Calls());
  EXPECT_EQ(rf_process.findings, 0U);
  EXPECT_EQ(rf_process_reporter.sequence, 4U) << "the next finding has its number";
}

// ---- C++ runtimes of their own ----

class ProcessReporterMismatch : public ProcessReporter {
protected:
  // True where the finding is told.
  bool tells(const char *allocation, const char *deallocation, uintptr_t allocated, uintptr_t found) {
    f.bug = RF_BUG_DEALLOC_MISMATCH;
    f.allocation = allocation;
    f.deallocation = deallocation;
    f.allocated = trace({allocated});
    f.found = trace({found});
    (void)report();
    return world.calls == kTold;
  }
};

TEST_F(ProcessReporterMismatch, OfAModuleWithARuntimeOfItsOwnIsNone) {
  EXPECT_FALSE(tells("operator new", "free", 1, kPrivate)) << "its delete goes by free";
  EXPECT_FALSE(tells("malloc", "operator delete", kPrivate, 1)) << "its new goes by malloc";
  EXPECT_TRUE(tells("operator new", "free", kPrivate, 1));
  EXPECT_TRUE(tells("malloc", "operator delete", 1, kPrivate));
}

TEST_F(ProcessReporterMismatch, OfTwoOperatorsIsOneEverywhere) {
  EXPECT_TRUE(tells("operator new", "operator delete[]", kPrivate, kPrivate));
  EXPECT_TRUE(tells("malloc", "munmap", kPrivate, kPrivate));
  EXPECT_TRUE(tells(nullptr, nullptr, kPrivate, kPrivate));
}

TEST_F(ProcessReporterMismatch, WithoutAStackIsOne) {
  f.bug = RF_BUG_DEALLOC_MISMATCH;
  f.allocation = "operator new";
  f.deallocation = "free";
  f.found = trace({kPrivate});
  f.found.depth = 0;
  (void)report();
  EXPECT_EQ(world.calls, kTold);
}

TEST_F(ProcessReporterMismatch, AnotherErrorThereIsOne) {
  f.allocation = "operator new";
  f.deallocation = "free";
  f.found = trace({kPrivate});
  (void)report();
  EXPECT_EQ(world.calls, kTold);
}

// ---- The program's callback ----

void on_finding(const char *text, size_t length, void *context) {
  call("callback");
  world.told = std::string(text, length) + (context == &world ? " with its context" : "");
}

TEST_F(ProcessReporter, TheProgramsCallbackIsToldInPlaceOfTheLog) {
  EXPECT_FALSE(rf_process_reports_to_program());
  __ringfence_on_finding(on_finding, &world);
  EXPECT_TRUE(rf_process_reports_to_program());
  world.action = RF_ACTION_HALT;
  EXPECT_EQ(report(), RF_ACTION_CONTINUE);
  EXPECT_EQ(world.calls, (Calls{"collect", "callback"}));
  EXPECT_EQ(world.told, "a finding with its context");
  EXPECT_EQ(rf_process.findings, 0U);
}

TEST_F(ProcessReporter, AChildIsOnItsOwn) {
  __ringfence_on_finding(on_finding, &world);
  rf_process.forked = true;
  EXPECT_FALSE(rf_process_reports_to_program());
  (void)report();
  EXPECT_EQ(world.calls, kTold);
  rf_process.forked = false;
  world.process = 78; // of vfork
  EXPECT_FALSE(rf_process_reports_to_program());
  (void)report();
  EXPECT_EQ(world.calls, kTold);
}

TEST_F(ProcessReporter, AChildOfVforkEndsAndLeavesItsParentAsItWas) {
  rf_process.halting = halting;
  rf_process_reporter.sequence = 5;
  rf_process.findings = 2;
  world.action = RF_ACTION_HALT;
  world.process = 78;
  ASSERT_TRUE(rf_host_report_lock());
  EXPECT_EQ(report(), RF_ACTION_HALT);
  EXPECT_EQ(world.calls, (Calls{"reserve stack", "open", "put", "close", "halting", "near"}));
  EXPECT_FALSE(rf_process.ended);
  EXPECT_EQ(rf_process.findings, 2U);
  EXPECT_EQ(rf_process_reporter.sequence, 4U) << "rf_report has counted it";
  EXPECT_TRUE(rf_host_report_lock()) << "it is nobody's";
  rf_host_report_unlock();
}

// ---- What is changed in it ----

TEST_F(ProcessReporter, FramesOfOurEntryAreInNoStack) {
  rf_process.entry_start = 0x1000;
  rf_process.entry_end = 0x1100;
  f.found = trace({0x100, 0x1000, 0x1001, 0x1100, 0x1101});
  f.allocated = trace({0x1050, 0x200});
  f.released = trace({0x300, 0x1050});
  (void)report();
  EXPECT_EQ(world.put.found.depth, 3U);
  EXPECT_EQ(world.put.found.frames[1], 0x1000U);
  EXPECT_EQ(world.put.found.frames[2], 0x1101U);
  EXPECT_EQ(world.put.allocated.depth, 1U);
  EXPECT_EQ(world.put.allocated.frames[0], 0x200U);
  EXPECT_EQ(world.put.released.depth, 1U);
  EXPECT_EQ(world.put.released.frames[0], 0x300U);
}

TEST_F(ProcessReporter, TheModeIsThatOfWhoNoticedIt) {
  struct {
    rf_mode mode;
    uintptr_t block;
    const char *name;
  } const cases[] = {
      {RF_MODE_GUARD, 0, "inner"}, {RF_MODE_GUARD, 1, "inner"}, {RF_MODE_PAGE, 0, "page"},
      {RF_MODE_PAGE, 1, "inner"},  {RF_MODE_MTE, 0, "mte"},     {RF_MODE_MTE, 1, "mte"},
  };
  for (auto const &each : cases) {
    rf_process.options.mode = each.mode;
    f.block = each.block;
    (void)report();
    EXPECT_STREQ(world.put.mode, each.name) << each.mode << " " << each.block;
  }
}

TEST_F(ProcessReporter, ASnapshotGoesWhereFindingsGo) {
  static rf_snapshot now;
  static rf_snapshot then;
  EXPECT_TRUE(rf_process_report_snapshot(&now, &then));
  EXPECT_EQ(world.calls, (Calls{"open", "snapshot", "close"}));
  world.snapshot_done = false;
  EXPECT_FALSE(rf_process_report_snapshot(&now, nullptr));
}

} // namespace
} // namespace ringfence_test
