// The line at the end of a run.
#include "tests/core/text_sink.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/render/document.h"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>
#include <string>

namespace {

class Report : public testing::Test {
protected:
  Report() {
    totals_.processes = 1;
    totals_.allocations = 3;
    totals_.bytes = 2048;
    totals_.peak = 100;
    totals_.mode = "guard";
    totals_.elapsed_ns = 1234567890;
  }
  ~Report() override { rf_bump_arena_free(&arena_); }

  std::string text() {
    std::string out;
    const rf_sink sink = ringfence::sink_to(&out);
    rf_totals_text(&arena_, &totals_, &sink);
    return out;
  }
  std::string list(const rf_run &run) {
    std::string out;
    const rf_sink sink = ringfence::sink_to(&out);
    rf_processes_text(&arena_, &run, &sink);
    return out;
  }
  std::string bytes(uint64_t count) { return rf_bytes_text(&arena_, count); }

  rf_totals totals_ = {};

private:
  rf_bump_arena arena_ = {nullptr};
};

TEST_F(Report, SaysWhatWasCheckedAndThatNothingWasFound) {
  EXPECT_EQ(
      text(),
      "ringfence: nothing found in 1 process: 3 allocations of 2.0 KiB in all, peak 100 bytes, mode guard, 1.23 s\n");
}

TEST_F(Report, CountsWhatModesOffAndSampleLookAt) {
  totals_.handed_on = true;
  totals_.mode = "sample";
  EXPECT_EQ(text(), "ringfence: nothing found in 1 process: 3 allocations of 2.0 KiB sampled, peak 100 bytes, mode "
                    "sample, 1.23 s\n");
  totals_.allocations = 0;
  EXPECT_EQ(text(), "ringfence: nothing found in 1 process: no allocation sampled, mode sample, 1.23 s\n");
  totals_.mode = "off";
  EXPECT_EQ(text(), "ringfence: nothing found in 1 process: allocations not counted, mode off, 1.23 s\n");
  totals_.allocations = 1; // the loader's, before the mode was known
  EXPECT_EQ(text(), "ringfence: nothing found in 1 process: allocations not counted, mode off, 1.23 s\n");
  rf_process process = {};
  process.ended = process.handed_on = true;
  process.program = "/bin/p";
  rf_run run = {};
  run.processes = &process;
  run.process_count = 1;
  run.mode = "off";
  EXPECT_EQ(list(run), "ringfence: process 0, /bin/p: allocations not counted\n");
  run.mode = nullptr;
  EXPECT_EQ(list(run), "ringfence: process 0, /bin/p: no allocation sampled\n");
}

TEST_F(Report, SaysWhosePoolsWereNotChecked) {
  totals_.pools = "Python";
  EXPECT_TRUE(
      text().find("1.23 s; small blocks from Python's own pools not checked (--no-pools has it use malloc)\n") !=
      std::string::npos)
      << text();
}

TEST_F(Report, SaysThatFindingsWereNotRecorded) {
  totals_.unrecorded = true;
  EXPECT_EQ(text().rfind("ringfence: findings that could not be recorded in 1 process: ", 0), 0u) << text();
}

TEST_F(Report, SaysThatFurtherFindingsWereNotRecorded) {
  totals_.unrecorded = true;
  totals_.findings = 1;
  totals_.times = 1;
  EXPECT_EQ(text().rfind("ringfence: 1 finding in 1 process: ", 0), 0u) << text();
  EXPECT_NE(text().find("; further findings that could not be recorded\n"), std::string::npos) << text();
}

TEST_F(Report, CountsOneAsOne) {
  totals_.processes = 2;
  totals_.allocations = 1;
  totals_.findings = 1;
  totals_.times = 1;
  EXPECT_EQ(text().rfind("ringfence: 1 finding in 2 processes: 1 allocation of ", 0), 0u) << text();
}

TEST_F(Report, SaysHowManyFindingsWereOnlyCounted) {
  totals_.findings = 3;
  totals_.times = 100;
  totals_.uncounted = 97;
  EXPECT_EQ(text().rfind("ringfence: 3 findings, 100 times in all, in 1 process: ", 0), 0u) << text();
  EXPECT_NE(text().find("; 97 only counted, after max_findings\n"), std::string::npos) << text();
}

TEST_F(Report, KeepsLostBlocksThatItDoesNotListToItself) {
  totals_.unlisted = 4;
  EXPECT_EQ(text().find("lost"), std::string::npos) << text();
}

TEST_F(Report, SaysHowManyBlocksWereLostInLibrariesThatTheProgramCalled) {
  totals_.unlisted = 4;
  totals_.called = 3;
  EXPECT_NE(text().find("; 3 lost in libraries of the system that the program called (--leaks=all lists them)\n"),
            std::string::npos)
      << text();
  totals_.called = 1;
  EXPECT_NE(text().find("; 1 lost in libraries of the system that the program called (--leaks=all lists it)\n"),
            std::string::npos)
      << text();
}

TEST_F(Report, SaysHowManyLostBlocksItDoesNotListWhereAskedForDetails) {
  totals_.verbose = true;
  totals_.unlisted = 4;
  EXPECT_NE(text().find("; 4 lost by code of the system or without names (--leaks=all lists them)\n"),
            std::string::npos)
      << text();
  totals_.unlisted = 1;
  EXPECT_NE(text().find("; 1 lost by code of the system or without names (--leaks=all lists it)\n"), std::string::npos)
      << text();
}

TEST_F(Report, FiguresAreNotKnownWhereNoProcessToldAny) {
  totals_.unsummed = 1;
  EXPECT_NE(text().find(": 3 allocations of 2.0 KiB in all, "), std::string::npos) << "of a program that it ran before";
  totals_.allocations = 0;
  EXPECT_NE(text().find(" in 1 process: allocations not known, mode guard"), std::string::npos) << text();
  totals_.processes = 2;
  EXPECT_NE(text().find(": 0 allocations of "), std::string::npos) << "the other one told";
}

TEST_F(Report, AProcessThatStillRunsWasNotKilled) {
  rf_process processes[3] = {};
  processes[0].ended = true;
  processes[1].running = true;
  rf_run run = {};
  run.processes = processes;
  run.process_count = 3;
  rf_document document = {};
  EXPECT_EQ(rf_totals_of(&run, &document, 0, 0).killed, 1U);
}

// One that was killed has counted nothing; one that goes on behind max_findings counts more than there are records of.
TEST_F(Report, AsManyTimesAreToldAsRecordsOrProcessesTell) {
  rf_process process = {};
  rf_run run = {};
  run.processes = &process;
  run.process_count = 1;
  rf_document document = {};
  document.count = 1;
  document.times = 3;
  for (const auto &[counted, times, uncounted] : {std::array{0U, 3U, 0U}, {2U, 3U, 0U}, {3U, 3U, 0U}, {5U, 5U, 2U}}) {
    process.findings = counted;
    rf_totals const totals = rf_totals_of(&run, &document, 0, 0);
    EXPECT_EQ(totals.times, times) << counted;
    EXPECT_EQ(totals.uncounted, uncounted) << counted;
  }
}

TEST_F(Report, CountsRepetitions) {
  totals_.findings = 2;
  totals_.times = 5;
  EXPECT_EQ(text().rfind("ringfence: 2 findings, 5 times in all, in 1 process: ", 0), 0u) << text();
}

TEST_F(Report, CountsWhatWasSuppressed) {
  totals_.suppressed = 3;
  EXPECT_NE(text().find("ringfence: nothing found in 1 process: "), std::string::npos) << text();
  EXPECT_NE(text().find("; 3 suppressed\n"), std::string::npos) << text();
}

TEST_F(Report, NeverSaysNothingWhereRecordsAreMissing) {
  totals_.times = 5;
  EXPECT_EQ(text().rfind("ringfence: 5 findings without a record, in 1 process: ", 0), 0u) << text();
}

TEST_F(Report, MentionsWhatItCouldNotSee) {
  totals_.killed = 2;
  totals_.running = 1;
  totals_.folder = "/tmp/x";
  totals_.damaged = 1;
  totals_.leaks_unchecked = 1;
  totals_.because = "no memory";
  totals_.wait_status = 11;
  const std::string line = text();
  EXPECT_NE(line.find("; ended by signal 11 (Segmentation fault)"), std::string::npos) << line;
  EXPECT_NE(line.find("; 2 processes were killed or ended unseen; 1 still running, its records are in /tmp/x"),
            std::string::npos)
      << line;
  EXPECT_NE(line.find("; leaks not looked for in 1 process (no memory)"), std::string::npos) << line;
  EXPECT_NE(line.find("; 1 record of the processes could not be read (is the disk full?)"), std::string::npos) << line;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << "it stays one line";
}

TEST_F(Report, MentionsWhichBlocksItCouldNotCheck) {
  totals_.unpaged = 1;
  totals_.blocks_unchecked = 1;
  totals_.blocks_because = "a thread holds the lock";
  EXPECT_NE(text().find("; 1 block got no pages and was checked as in mode guard; not all blocks checked at the end of "
                        "1 process (a thread holds the lock)\n"),
            std::string::npos)
      << text();
  totals_.unpaged = 2;
  totals_.blocks_unchecked = 2;
  EXPECT_NE(text().find("; 2 blocks got no pages and were checked as in mode guard; not all blocks checked at the end "
                        "of 2 processes ("),
            std::string::npos)
      << text();
}

TEST_F(Report, CountsBytesInTheUnitThatFits) {
  EXPECT_EQ(bytes(0), "0 bytes");
  EXPECT_EQ(bytes(0), "0 bytes");
  EXPECT_EQ(bytes(1), "1 byte");
  EXPECT_EQ(bytes(1023), "1023 bytes");
  EXPECT_EQ(bytes(1024), "1.0 KiB");
  EXPECT_EQ(bytes(1536), "1.5 KiB");
  EXPECT_EQ(bytes(1048575), "1.0 MiB") << "and not 1024.0 KiB";
  EXPECT_EQ(bytes(UINT64_C(5) << 40), "5.0 TiB");
  EXPECT_EQ(bytes(UINT64_MAX), "16777216.0 TiB");
}

TEST_F(Report, ListsProcesses) {
  rf_process processes[4] = {};
  processes[0].id = 7;
  processes[0].program = "/bin/a";
  processes[0].allocations = 1;
  processes[0].ended = true;
  processes[1].id = 8;
  processes[1].program = "/bin/b";
  processes[1].unlisted = 4;
  processes[1].ended = true;
  processes[2].id = 9;
  processes[3].id = 10;
  processes[3].running = true;
  rf_run run = {};
  run.processes = processes;
  run.process_count = 4;
  EXPECT_EQ(list(run), "ringfence: process 7, /bin/a: 1 allocation of 0 bytes in all, peak 0 bytes\n"
                       "ringfence: process 8, /bin/b: 0 allocations of 0 bytes in all, peak 0 bytes, 4 lost by code "
                       "of the system or without names (--leaks=all lists them)\n"
                       "ringfence: process 9, unknown program: killed\n"
                       "ringfence: process 10, unknown program: still running\n");
}

TEST_F(Report, NamesOfProgramsSteerNoTerminal) {
  rf_process process = {};
  process.program = "/bin/\033]0;a\007";
  rf_unchecked unchecked = {8, "\033[31mb", "static", 0};
  rf_run run = {};
  run.processes = &process;
  run.process_count = 1;
  run.unchecked = &unchecked;
  run.unchecked_count = 1;
  EXPECT_EQ(list(run), "ringfence: process 0, /bin/?]0;a?: killed\n"
                       "ringfence: process 8, ?[31mb: not checked: static\n");
  totals_.mode = "\033[31mguard";
  EXPECT_NE(text().find(", mode ?[31mguard, "), std::string::npos) << text();
}

TEST(Totals, AddUpTheProcesses) {
  rf_process processes[2] = {};
  processes[0].allocations = 1;
  processes[0].bytes = 10;
  processes[0].peak = 30;
  processes[0].ended = true;
  processes[1].allocations = 2;
  processes[1].bytes = 20;
  processes[1].peak = 7;
  processes[1].findings = 4;
  processes[1].leaks_unchecked = "no memory";
  processes[1].blocks_unchecked = "no room";
  rf_run run = {};
  run.processes = processes;
  run.process_count = 2;
  run.record_count = 3;
  rf_document document = {};
  document.count = 1;
  document.times = run.record_count;
  const rf_totals totals = rf_totals_of(&run, &document, 0, 0);
  EXPECT_EQ(totals.processes, 2u);
  EXPECT_EQ(totals.killed, 1u);
  EXPECT_EQ(totals.leaks_unchecked, 1u);
  EXPECT_STREQ(totals.because, "no memory");
  EXPECT_EQ(totals.blocks_unchecked, 1u);
  EXPECT_STREQ(totals.blocks_because, "no room");
  EXPECT_EQ(totals.allocations, 3u);
  EXPECT_EQ(totals.bytes, 30u);
  EXPECT_EQ(totals.peak, 30u) << "they did not all run at once";
  EXPECT_EQ(totals.findings, 1u);
  EXPECT_EQ(totals.times, 4u) << "what was only counted counts";
}

TEST(Totals, TellTheFirstReasonOfSeveralProcesses) {
  rf_process processes[3] = {};
  processes[0].leaks_unchecked = "no memory";
  processes[0].blocks_unchecked = "no room";
  processes[1].leaks_unchecked = "a thread could not be stopped";
  processes[1].blocks_unchecked = "there was no time";
  rf_run run = {};
  run.processes = processes;
  run.process_count = 3;
  rf_document const document = {};
  const rf_totals totals = rf_totals_of(&run, &document, 0, 0);
  EXPECT_EQ(totals.leaks_unchecked, 2u);
  EXPECT_STREQ(totals.because, "no memory");
  EXPECT_EQ(totals.blocks_unchecked, 2u);
  EXPECT_STREQ(totals.blocks_because, "no room");
}

// The processes do not know of a rule for a source file.
TEST(Totals, WhatTheCommandAloneSuppressesIsNotMissing) {
  rf_process process = {};
  process.ended = true;
  process.findings = 5;
  rf_run run = {};
  run.processes = &process;
  run.process_count = 1;
  rf_record hidden = {};
  hidden.times = 2;
  rf_record *list[] = {&hidden};
  rf_document document = {};
  document.count = 1;
  document.times = 3;
  document.hidden = list;
  document.hidden_count = 1;
  document.hidden_times = 2;
  const rf_totals totals = rf_totals_of(&run, &document, 0, 0);
  EXPECT_EQ(totals.times, 3u);
  EXPECT_EQ(totals.uncounted, 0u);
  EXPECT_EQ(totals.suppressed, 2u);
}

} // namespace
