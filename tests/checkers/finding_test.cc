#include <ringfence/finding.h>
#include <ringfence/reporter.h>

extern "C" {
#include "checkers/os/host.h"
#include "checkers/shared/wrapper.h"
}

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace ringfence {
namespace {

TEST(Bug, EachHasItsOwnNameAndACwe) {
  std::set<std::string> names;
  for (unsigned i = 0; i < RF_BUG_COUNT; i++) {
    auto const bug = static_cast<rf_bug>(i);
    const char *const name = rf_bug_name(bug);
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_NE(rf_bug_cwe(bug, RF_ACCESS_WRITE), 0U) << name;
    rf_bug back = RF_BUG_COUNT;
    EXPECT_TRUE(rf_bug_from_name(name, std::strlen(name), &back));
    EXPECT_EQ(back, bug);
  }
}

TEST(Bug, OutsideTheEnumerationThereIsNone) {
  rf_bug bug = RF_BUG_LEAK;
  EXPECT_STREQ(rf_bug_name(RF_BUG_COUNT), "unknown-bug");
  EXPECT_EQ(rf_bug_cwe(RF_BUG_COUNT, RF_ACCESS_READ), 0U);
  EXPECT_FALSE(rf_bug_from_name("memory-lea", 10, &bug));
  EXPECT_FALSE(rf_bug_from_name("memory-leaks", 12, &bug));
  EXPECT_FALSE(rf_bug_from_name("", 0, &bug));
  EXPECT_EQ(bug, RF_BUG_LEAK);
}

TEST(Bug, FourAreCrashesThatNobodyExplains) {
  std::set<rf_bug> const crashes = {RF_BUG_SEGV, RF_BUG_BUS, RF_BUG_ILL, RF_BUG_FPE};
  for (unsigned i = 0; i < RF_BUG_COUNT; i++) {
    auto const bug = static_cast<rf_bug>(i);
    EXPECT_EQ(rf_bug_is_crash(bug), crashes.count(bug) != 0) << rf_bug_name(bug);
  }
}

TEST(Bug, ReadsHaveACweOfTheirOwn) {
  EXPECT_EQ(rf_bug_cwe(RF_BUG_BUFFER_OVERFLOW, RF_ACCESS_WRITE), 122U);
  EXPECT_EQ(rf_bug_cwe(RF_BUG_BUFFER_OVERFLOW, RF_ACCESS_READ), 126U);
  EXPECT_EQ(rf_bug_cwe(RF_BUG_BUFFER_UNDERFLOW, RF_ACCESS_WRITE), 124U);
  EXPECT_EQ(rf_bug_cwe(RF_BUG_BUFFER_UNDERFLOW, RF_ACCESS_READ), 127U);
  EXPECT_EQ(rf_bug_cwe(RF_BUG_USE_AFTER_FREE, RF_ACCESS_READ), 416U);
}

TEST(Finding, RelatesTheAddressToTheBlock) {
  rf_finding f = {};
  size_t distance;
  f.size = 16;
  struct {
    ptrdiff_t offset;
    const char *relation;
    size_t distance;
  } const cases[] = {{-16, "before", 16}, {-1, "before", 1}, {0, "inside", 0},
                     {15, "inside", 15},  {16, "after", 0},  {19, "after", 3}};
  for (const auto &c : cases) {
    f.offset = c.offset;
    EXPECT_STREQ(rf_finding_relation(&f, &distance), c.relation) << c.offset;
    EXPECT_EQ(distance, c.distance) << c.offset;
  }
  f.size = 0;
  f.offset = 0;
  EXPECT_STREQ(rf_finding_relation(&f, &distance), "after"); // nothing is inside a block of no bytes
  EXPECT_EQ(distance, 0U);
  f.offset = PTRDIFF_MIN;
  EXPECT_STREQ(rf_finding_relation(&f, &distance), "before");
  EXPECT_EQ(distance, static_cast<size_t>(PTRDIFF_MAX) + 1);
}

const rf_site kHere = {"a.c", "f", 1};
const rf_site kThere = {"a.c", "f", 2};

TEST(Finding, TheKeyTellsBugsApart) {
  rf_finding f = {};
  f.bug = RF_BUG_BUFFER_OVERFLOW;
  f.allocator = "tlsf";
  f.found.site = &kHere;
  f.found.depth = 4;
  for (unsigned i = 0; i < 4; i++) {
    f.found.frames[i] = 0x1000 + i;
  }
  uint64_t const key = rf_finding_key(&f);
  rf_finding same = f;
  same.address = 0x5555;
  same.size = 99;
  same.sequence = 7;
  same.found.thread = 12;
  same.found.frames[3] = 0x9999; // beyond the innermost three
  EXPECT_EQ(rf_finding_key(&same), key);
  rf_site const copy = kHere; // the same place in another translation unit's record
  same.found.site = &copy;
  EXPECT_EQ(rf_finding_key(&same), key);

  std::set<uint64_t> keys = {key};
  rf_finding other = f;
  other.bug = RF_BUG_BUFFER_UNDERFLOW;
  EXPECT_TRUE(keys.insert(rf_finding_key(&other)).second);
  other = f;
  other.allocator = "std";
  EXPECT_TRUE(keys.insert(rf_finding_key(&other)).second);
  other = f;
  other.found.site = &kThere;
  EXPECT_TRUE(keys.insert(rf_finding_key(&other)).second);
  other = f;
  other.found.frames[2]++;
  EXPECT_TRUE(keys.insert(rf_finding_key(&other)).second);
  other = f;
  other.allocated.site = &kThere;
  EXPECT_TRUE(keys.insert(rf_finding_key(&other)).second);
}

TEST(Finding, TheSummaryNamesTheAllocationOfWhatWasFoundAfterTheFact) {
  rf_finding f = {};
  f.found.site = &kHere;
  f.allocated.site = &kThere;
  for (rf_bug const bug : {RF_BUG_BUFFER_OVERFLOW, RF_BUG_BUFFER_UNDERFLOW, RF_BUG_USE_AFTER_FREE,
                           RF_BUG_USE_AFTER_MOVE, RF_BUG_LEAK, RF_BUG_METADATA}) {
    f.bug = bug;
    EXPECT_EQ(rf_finding_place(&f), &f.allocated) << rf_bug_name(bug);
  }
  for (rf_bug const bug : {RF_BUG_DOUBLE_FREE, RF_BUG_BAD_FREE, RF_BUG_DEALLOC_MISMATCH, RF_BUG_SIZE_TOO_BIG}) {
    f.bug = bug;
    EXPECT_EQ(rf_finding_place(&f), &f.found);
  }
  f.bug = RF_BUG_BUFFER_OVERFLOW;
  f.allocated.site = nullptr;
  EXPECT_EQ(rf_finding_place(&f), &f.found);
}

TEST(Finding, TheSummaryNamesTheAccessThatWasStopped) {
  rf_finding f = {};
  f.bug = RF_BUG_BUFFER_OVERFLOW;
  f.found.site = &kHere;
  f.allocated.site = &kThere;
  f.at_access = true;
  EXPECT_EQ(rf_finding_place(&f), &f.found);
}

// As at the end of a process, where the C library writes out streams.
TEST(Finding, TheSummaryNamesTheAllocationWhereTheAccessIsNobodysCall) {
  rf_finding f = {};
  f.bug = RF_BUG_USE_AFTER_FREE;
  f.at_access = true;
  EXPECT_EQ(rf_finding_place(&f), &f.found);
  f.allocated.site = &kThere;
  EXPECT_EQ(rf_finding_place(&f), &f.allocated);
  f.found.depth = 1;
  EXPECT_EQ(rf_finding_place(&f), &f.found);
  f.found.depth = 0;
  f.bug = RF_BUG_DOUBLE_FREE;
  EXPECT_EQ(rf_finding_place(&f), &f.found);
}

// ---- rf_report ----

struct Seen {
  std::vector<rf_finding> findings;
  rf_reporter *reporter = nullptr;
  int nested = 0;
  bool inside = false;
  bool overlapped = false;
};

rf_action look(rf_reporter *self, const rf_finding *f) {
  auto *const seen = static_cast<Seen *>(self->context);
  seen->overlapped = seen->overlapped || seen->inside;
  seen->inside = true;
  seen->findings.push_back(*f);
  seen->inside = false;
  return RF_ACTION_CONTINUE;
}

TEST(Report, CompletesTheFinding) {
  Seen seen;
  rf_reporter reporter = {look, &seen, 1, 0};
  for (uint64_t i = 1; i <= 3; i++) {
    rf_finding f = {};
    rf_report(&reporter, &f);
    EXPECT_EQ(seen.findings.back().sequence, i);
    EXPECT_NE(seen.findings.back().time_ns, 0U);
    EXPECT_NE(seen.findings.back().process, 0U);
    EXPECT_NE(seen.findings.back().found.thread, 0U);
  }
  rf_finding f = {};
  f.found.thread = 77;
  rf_report(&reporter, &f);
  EXPECT_EQ(seen.findings.back().found.thread, 77U);
}

// A thread that has the turn is refused it a second time.
TEST(Report, HasTheTurnAndSoHasARendering) {
  static unsigned with_turn;
  static auto const look = [] {
    if (rf_host_report_lock()) {
      rf_host_report_unlock();
    } else {
      with_turn++;
    }
  };
  auto const report = [](rf_reporter *, const rf_finding *) {
    look();
    return RF_ACTION_CONTINUE;
  };
  rf_reporter reporter = {report, nullptr, 1, 0};
  rf_finding f = {};
  rf_report(&reporter, &f);
  EXPECT_EQ(with_turn, 1U);
  rf_log_reporter log;
  rf_report_options options;
  rf_report_options_default(&options);
  rf_log_reporter_init(&log, &options);
  EXPECT_TRUE(rf_log_reporter_render(
      &log, [](void *, const rf_symbolizer *, const rf_sink *) { look(); }, nullptr));
  EXPECT_EQ(with_turn, 2U);
  look();
  EXPECT_EQ(with_turn, 2U);
}

TEST(Report, FindingsOfSeveralThreadsComeOneAfterTheOther) {
  Seen seen;
  rf_reporter reporter = {look, &seen, 1, 0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; i++) {
        rf_finding f = {};
        rf_report(&reporter, &f);
      }
    });
  }
  for (std::thread &t : threads) {
    t.join();
  }
  EXPECT_FALSE(seen.overlapped);
  ASSERT_EQ(seen.findings.size(), 200U);
  for (size_t i = 0; i < 200; i++) {
    EXPECT_EQ(seen.findings[i].sequence, i + 1);
  }
}

rf_action report_again(rf_reporter *self, const rf_finding *f) {
  auto *const seen = static_cast<Seen *>(self->context);
  if (seen->nested++ < 2) {
    rf_finding inner = *f;
    rf_report(self, &inner);
  }
  seen->findings.push_back(*f);
  return RF_ACTION_CONTINUE;
}

TEST(Report, AFindingWithinAReportDoesNotWaitForItself) {
  Seen seen;
  rf_reporter reporter = {report_again, &seen, 1, 0};
  rf_finding f = {};
  rf_report(&reporter, &f);
  EXPECT_EQ(seen.findings.size(), 3U);
  EXPECT_EQ(reporter.sequence, 3U);
  rf_report(&reporter, &f); // and the turn was given back
  EXPECT_EQ(seen.findings.size(), 4U);
}

rf_action stop(rf_reporter *, const rf_finding *) {
  return RF_ACTION_HALT;
}

TEST(ReportDeathTest, HaltEndsTheProcessWithTheExitCode) {
  rf_reporter reporter = {stop, nullptr, 57, 0};
  rf_finding f = {};
  EXPECT_EXIT(rf_report(&reporter, &f), testing::ExitedWithCode(57), "");
}

// ---- The plain reporter ----

TEST(PlainReporterDeathTest, SaysWhatWasFoundAndHalts) {
  static rf_finding f = {};
  f.bug = RF_BUG_BUFFER_OVERFLOW;
  f.access = RF_ACCESS_WRITE;
  f.access_size = 2;
  f.address = 0x1015;
  f.block = 0x1000;
  f.size = 20;
  f.offset = 21;
  f.found.site = &kHere;
  f.found.thread = 9;
  f.allocated.frames[0] = 0x4001;
  f.allocated.frames[1] = 0x5001;
  f.allocated.depth = 2;
  EXPECT_EXIT(rf_report(rf_reporter_plain(), &f), testing::ExitedWithCode(RF_EXITCODE_DEFAULT),
              "==[0-9]+==ERROR: Ringfence: heap-buffer-overflow on address 0x1015\n"
              "WRITE of size 2 at 0x1015 by thread T9\n"
              "  1 bytes after 20-byte region at 0x1000\n"
              "  found: [a-z_]+ [a-z_.]+:[0-9]+\n"
              "  allocated: 0x4001 0x5001\n$");
}

// Faults that follow a refusal in one call are its consequence.
TEST(InnerCall, KeepsTheFirstOfItsFaults) {
  rf_inner_call call;
  rf_inner_call_begin(&call);
  EXPECT_FALSE(rf_inner_call_end(&call));
  rf_inner_call_begin(&call);
  (void)rf_fault_refuse(nullptr, RF_ERR_NOT_ALLOCATED, "the first", &call, nullptr);
  (void)rf_fault_refuse(nullptr, RF_ERR_CORRUPT, "the second", nullptr, nullptr);
  EXPECT_TRUE(rf_inner_call_end(&call));
  EXPECT_EQ(call.fault.status, RF_ERR_NOT_ALLOCATED);
  EXPECT_STREQ(call.fault.what, "the first");
  EXPECT_EQ(call.fault.ptr, &call);
}

TEST(PlainReporterDeathTest, TheFirstThreadHasTheNumberNought) {
  static rf_finding f = {};
  f.bug = RF_BUG_USE_AFTER_FREE;
  f.access = RF_ACCESS_READ;
  f.address = 0x1000;
  f.found.thread = static_cast<uint32_t>(getpid());
  auto const report = [] {
    f.found.thread = static_cast<uint32_t>(getpid());
    (void)rf_report(rf_reporter_plain(), &f);
  };
  EXPECT_EXIT(report(), testing::ExitedWithCode(RF_EXITCODE_DEFAULT), "\nREAD at 0x1000 by thread T0\n$");
}

TEST(PlainReporterDeathTest, LeavesOutWhatIsNotKnown) {
  static rf_finding f = {};
  f.bug = RF_BUG_DOUBLE_FREE;
  f.address = 0x1000;
  EXPECT_EXIT(rf_report(rf_reporter_plain(), &f), testing::ExitedWithCode(RF_EXITCODE_DEFAULT),
              "==[0-9]+==ERROR: Ringfence: double-free on address 0x1000\n$");
}

} // namespace
} // namespace ringfence
