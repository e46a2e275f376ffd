#include "tools/ringfence/model/run.h"

#include "tests/tools/run.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

class Collect : public testing::Test {
protected:
  Collect() : folder_(ringfence_test::scratch("folder")) { mkdir(folder_.c_str(), 0700); }
  ~Collect() override {
    rf_bump_arena_free(&arena_);
    for (const std::string &file : files_) {
      unlink(file.c_str());
    }
    rmdir(folder_.c_str());
  }

  void file(const std::string &name, const std::string &text) {
    files_.push_back(folder_ + "/" + name);
    ringfence_test::write_file(files_.back(), text);
  }
  // And no descriptor is left open.
  rf_run collect() {
    int const lowest_free = dup(STDERR_FILENO);
    close(lowest_free);
    rf_run const run = rf_run_read(&arena_, folder_.c_str());
    int const then = dup(STDERR_FILENO);
    EXPECT_EQ(then, lowest_free);
    close(then);
    return run;
  }

private:
  std::string folder_;
  std::vector<std::string> files_;
  rf_bump_arena arena_ = {nullptr};
};

const std::string kStart = R"({"type":"start","pid":7,"program":"/bin/a","mode":"guard"})"
                           "\n";

std::string summary(int allocations, int peak) {
  return R"({"type":"summary","pid":7,"program":"/bin/b","mode":"guard","allocations":)" + std::to_string(allocations) +
         R"(,"bytes":100,"peak":)" + std::to_string(peak) + R"(,"findings":1,"unpaged_blocks":2})" + "\n";
}

std::string finding(const std::string &pid, const std::string &time) {
  return R"({"type":"finding","bug":"double-free","pid":)" + pid + R"(,"time_ns":)" + time + "}\n";
}

TEST_F(Collect, AnEmptyFolderHasNothing) {
  const rf_run run = collect();
  EXPECT_EQ(run.process_count + run.record_count + run.damaged, 0u);
  EXPECT_EQ(run.mode, nullptr);
}

TEST_F(Collect, ReadsTheFiguresOfAProcess) {
  file("7", kStart + summary(3, 50));
  const rf_run run = collect();
  ASSERT_EQ(run.process_count, 1u);
  EXPECT_EQ(run.processes[0].id, 7u);
  EXPECT_STREQ(run.processes[0].program, "/bin/b");
  EXPECT_EQ(run.processes[0].allocations, 3u);
  EXPECT_EQ(run.processes[0].bytes, 100u);
  EXPECT_EQ(run.processes[0].peak, 50u);
  EXPECT_EQ(run.processes[0].findings, 1u);
  EXPECT_TRUE(run.processes[0].ended);
  EXPECT_STREQ(run.mode, "guard");
}

TEST_F(Collect, ReadsWhatBecameOfTheLastChecks) {
  file("7", R"({"type":"summary","pid":7,"unlisted_leaked_blocks":4,"called_leaked_blocks":3,)"
            R"("leaks_unchecked_because":"a reason","blocks_unchecked_because":"another","handed_on":true})"
            "\n");
  const rf_run run = collect();
  EXPECT_EQ(run.processes[0].unlisted, 4u);
  EXPECT_EQ(run.processes[0].called, 3u);
  EXPECT_STREQ(run.processes[0].leaks_unchecked, "a reason");
  EXPECT_STREQ(run.processes[0].blocks_unchecked, "another");
  EXPECT_TRUE(run.processes[0].handed_on);
}

// The process looked again: what it says last counts.
TEST_F(Collect, LostBlocksAreThoseOfTheLastSummary) {
  file("7", R"({"type":"summary","pid":7,"unlisted_leaked_blocks":4,"called_leaked_blocks":3})"
            "\n"
            R"({"type":"summary","pid":7,"unlisted_leaked_blocks":2,"called_leaked_blocks":1})"
            "\n");
  const rf_run run = collect();
  EXPECT_EQ(run.processes[0].unlisted, 2u);
  EXPECT_EQ(run.processes[0].called, 1u);
}

std::string unchecked(int pid, const std::string &because, int time) {
  return R"({"type":"unchecked","pid":)" + std::to_string(pid) + R"(,"program":"/bin/a","because":")" + because +
         R"(","time_ns":)" + std::to_string(time) + "}\n";
}

TEST_F(Collect, AProcessThatIsNotCheckedIsCountedOnceForItsLastReason) {
  file("7", unchecked(7, "under a tool", 20) + unchecked(7, "static", 10) + unchecked(8, "static", 10) +
                unchecked(9, "static", 10) + unchecked(9, "setuid", 10));
  const rf_run run = collect();
  EXPECT_EQ(run.unchecked_count, 3u);
  EXPECT_STREQ(run.unchecked_because, "1 under a tool, 1 static, 1 setuid");
  file("7", unchecked(7, "static", 20) + unchecked(8, "setuid", 10) + unchecked(9, "static", 10));
  EXPECT_STREQ(collect().unchecked_because, "2 static, 1 setuid");
}

TEST_F(Collect, AProcessThatBeginsLaterIsCheckedAfterAll) {
  const std::string start = R"({"type":"start","pid":7,"program":"/bin/a","time_ns":20})"
                            "\n";
  file("7", unchecked(7, "static", 20) + start);
  EXPECT_EQ(collect().unchecked_count, 0u);
  file("7", start + unchecked(7, "static", 21));
  EXPECT_EQ(collect().unchecked_count, 1u);
}

TEST_F(Collect, KeepsTheCallSitesOfEachFinding) {
  const auto stack = [](const std::string &name, const std::string &file) {
    return ",\"" + name + R"(":{"site":{"file":")" + file + R"(","function":"f_)" + file + R"(","line":3}})";
  };
  const std::string line = R"({"type":"finding","bug":"double-free","pid":7)" + stack("found", "found.c") +
                           stack("allocated", "allocated.c") + stack("released", "released.c") + "}\n";
  const std::string other =
      R"({"type":"finding","bug":"double-free","pid":7,"time_ns":1)" + stack("found", "x") + "}\n";
  file("7", line + other);
  const rf_run run = collect();
  ASSERT_EQ(run.record_count, 2u);
  const rf_finding &f = run.records[0]->finding;
  for (const auto &[trace, name] :
       {std::pair{&f.found, "found.c"}, {&f.allocated, "allocated.c"}, {&f.released, "released.c"}}) {
    ASSERT_NE(trace->site, nullptr) << name;
    EXPECT_STREQ(trace->site->file, name);
    EXPECT_EQ(trace->site->function, std::string("f_") + name);
    EXPECT_EQ(trace->site->line, 3u);
  }
}

TEST_F(Collect, KeepsTheTextsOfEachFinding) {
  static const char *const names[] = {"allocator", "mode", "detail", "allocation", "deallocation"};
  std::string lines;
  for (const std::string which : {"1", "2"}) {
    lines += R"({"type":"finding","bug":"double-free","pid":7,"time_ns":)" + which;
    for (const std::string name : names) {
      lines += ",\"" + name + "\":\"" + name + " " + which + "\"";
    }
    lines += "}\n";
  }
  file("7", lines);
  const rf_run run = collect();
  ASSERT_EQ(run.record_count, 2u);
  for (size_t i = 0; i < 2; i++) {
    const rf_finding &f = run.records[i]->finding;
    const char *const texts[] = {f.allocator, f.mode, f.detail, f.allocation, f.deallocation};
    for (size_t k = 0; k < 5; k++) {
      EXPECT_EQ(texts[k], names[k] + std::string(" ") + std::to_string(i + 1));
    }
  }
}

TEST_F(Collect, AddsUpTheProgramsOfAProcess) {
  file("7", kStart + summary(3, 50) + kStart + summary(4, 20));
  const rf_run run = collect();
  ASSERT_EQ(run.process_count, 1u);
  EXPECT_EQ(run.processes[0].allocations, 7u);
  EXPECT_EQ(run.processes[0].peak, 50u);
}

TEST_F(Collect, ASummaryWithoutANewStartReplacesTheOneBefore) {
  file("7", kStart + summary(3, 50) + summary(5, 60));
  const rf_run run = collect();
  EXPECT_EQ(run.processes[0].allocations, 5u);
  EXPECT_EQ(run.processes[0].bytes, 100u);
  EXPECT_EQ(run.processes[0].findings, 1u);
  EXPECT_EQ(run.processes[0].unpaged, 2u);
}

TEST_F(Collect, WithoutASummaryItHasNotEnded) {
  file("7", kStart + summary(3, 50) + kStart);
  EXPECT_FALSE(collect().processes[0].ended);
}

TEST_F(Collect, SortsFindingsOfAllProcessesByTime) {
  file("7", finding("7", "30") + finding("7", "50"));
  file("8", finding("8", "40"));
  const rf_run run = collect();
  ASSERT_EQ(run.record_count, 3u);
  EXPECT_EQ(run.process_count, 2u);
  EXPECT_EQ(run.records[0]->finding.time_ns, 30u);
  EXPECT_EQ(run.records[1]->finding.process, 8u);
  EXPECT_EQ(run.records[2]->finding.time_ns, 50u);
}

TEST_F(Collect, SortsFindingsOfOneTimeByTheirNumber) {
  const auto numbered = [](const std::string &number) {
    return R"({"type":"finding","bug":"double-free","pid":7,"time_ns":30,"sequence":)" + number + "}\n";
  };
  file("7", numbered("3") + numbered("1") + numbered("2"));
  const rf_run run = collect();
  ASSERT_EQ(run.record_count, 3u);
  for (size_t i = 0; i < 3; i++) {
    EXPECT_EQ(run.records[i]->finding.sequence, i + 1);
  }
}

TEST_F(Collect, CountsWhatCannotBeRead) {
  file("7", kStart + "rubbish\n" + R"({"type":"finding","bug":"unheard-of","pid":7})" + "\n" + R"({"type":"summ)");
  const rf_run run = collect();
  EXPECT_EQ(run.process_count, 1u);
  EXPECT_EQ(run.damaged, 3u);
  EXPECT_EQ(run.unread, 1u);
}

TEST_F(Collect, FindsWhatFollowsALineThatBreaksOff) {
  const std::string whole = R"({"type":"finding","bug":"double-free","pid":7,"sequence":)";
  file("7", R"({"type":"finding","bug":"leak","program":"a{\"type\":\"b)" + kStart + R"({"type":"fin)" + whole +
                "1}\n" + whole + whole + "2}\n" + whole);
  const rf_run run = collect();
  EXPECT_EQ(run.process_count, 1u);
  EXPECT_EQ(run.record_count, 2u);
  EXPECT_EQ(run.damaged, 4u);
  EXPECT_EQ(run.unread, 3u) << "of one it is not known what it was";
}

TEST_F(Collect, CountsProcessesThatCouldNotRecordAFinding) {
  file("7", kStart);
  file("7.lost", "");
  file("8.lost", "");
  file("9.json", "");
  const rf_run run = collect();
  EXPECT_EQ(run.lost, 2u);
  EXPECT_EQ(run.process_count, 3u);
  EXPECT_EQ(run.damaged, 0u);
}

TEST_F(Collect, LooksAtFilesOfProcessesOnly) {
  file("libringfence.so", "rubbish");
  file("probe", "rubbish");
  EXPECT_EQ(collect().damaged, 0u);
}

// Of a collector's spool.
TEST(Spooled, TimesThatAreTooManyStayTheMost) {
  rf_bump_arena arena = {nullptr};
  rf_run run{};
  const std::string count = R"("count":4294967290)";
  const std::string finding = R"({"record":"finding","id":"a-1",)" + count +
                              R"(,"dropped":0,"finding":{"type":"finding","bug":"double-free"}})";
  const std::string repeat = R"({"record":"repeat","id":"a-2","of":"a-1",)" + count + "}";
  for (const std::string &line : {repeat, finding, repeat}) {
    ASSERT_TRUE(rf_run_is_spooled(line.data(), line.size()));
    rf_run_add_spooled(&run, &arena, line.data(), line.size());
  }
  ASSERT_EQ(run.record_count, 1U);
  EXPECT_EQ(run.records[0]->times, UINT32_MAX);
  rf_bump_arena_free(&arena);
}

} // namespace
