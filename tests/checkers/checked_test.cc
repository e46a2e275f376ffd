#include <ringfence/checked.h>
#include <ringfence/reporter.h>
#include <ringfence/tlsf.h>

#include "tests/checkers/found_on_purpose.h"
#include "tests/checkers/recorder.h"
#include "tests/core/unwatched.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace ringfence {
namespace {

alignas(64) unsigned char arena[64 * 1024];

class Checked : public testing::Test {
protected:
  Checked() {
    EXPECT_EQ(rf_tlsf_init(&heap_, arena, sizeof arena), RF_OK);
    rf_options_default(&options_.settings);
    options_.settings.mode = RF_MODE_GUARD;
    options_.reporter = recorder_.reporter();
  }

  static std::string collector_folder(const std::string &name) {
    const char *const base = std::getenv("TEST_TMPDIR");
    return std::string(base == nullptr ? "/tmp" : base) + "/checked" + std::to_string(getpid()) + name;
  }

  // An allocator whose findings go to a log beside `folder`, and to the collector there.
  rf_allocator *init_collecting(const std::string &folder, bool halt) {
    log_ = folder + ".log";
    options_.reporter = nullptr;
    options_.settings.halt = halt;
    options_.settings.log = log_.c_str();
    options_.settings.log_length = log_.size();
    options_.settings.collector = folder.c_str();
    options_.settings.collector_length = folder.size();
    return rf_checked_init(&checked_, &heap_.base, &options_);
  }

  static void overflow(rf_allocator *a, size_t size) {
    auto *const p = static_cast<char *>(rf_alloc(a, size));
    p[size] = 0;
    rf_free(a, p);
  }

  std::string log_;
  rf_tlsf heap_;
  rf_checked checked_;
  rf_checked_options options_ = {};
  Recorder recorder_;
};

TEST_F(Checked, ModeOffIsTheAllocatorItself) {
  options_.settings.mode = RF_MODE_OFF;
  EXPECT_EQ(rf_checked_init(&checked_, &heap_.base, &options_), &heap_.base);
  rf_checked_deinit(&checked_);
}

TEST_F(Checked, NullIsRefused) {
  EXPECT_EQ(rf_checked_init(nullptr, &heap_.base, &options_), &heap_.base);
  EXPECT_EQ(rf_checked_init(&checked_, nullptr, &options_), nullptr);
}

TEST_F(Checked, ModeGuardFindsAnOverflow) {
  rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
  ASSERT_NE(a, &heap_.base);
  EXPECT_EQ(rf_inner(a), &heap_.base);
  auto *const p = static_cast<char *>(rf_alloc(a, 13));
  p[13] = 0;
  rf_free(a, p);
  ASSERT_EQ(recorder_.count(), 1U);
  EXPECT_EQ(recorder_.findings()[0].bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(recorder_.findings()[0].offset, 13);
  rf_checked_deinit(&checked_);
  rf_checked_deinit(&checked_); // a second one does nothing
  EXPECT_EQ(recorder_.count(), 1U);
}

// Mode asan, or the next best thing and a line that says why.
TEST_F(Checked, ModeAsanIsWatchedWhereThereIsAWatcher) {
  options_.settings.mode = RF_MODE_ASAN;
  testing::internal::CaptureStderr();
  rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
  std::string const said = testing::internal::GetCapturedStderr();
  ASSERT_NE(a, &heap_.base);
  if (rf_asan_watcher() != nullptr) {
    EXPECT_EQ(said, "");
    EXPECT_EQ(checked_.mode, RF_MODE_ASAN);
    EXPECT_TRUE(checked_.guard.options.watched);
  } else {
    EXPECT_NE(
        said.find("ringfence: mode asan is not available (it needs a build with AddressSanitizer); using mode guard"),
        std::string::npos)
        << said;
    EXPECT_EQ(checked_.mode, RF_MODE_GUARD);
    EXPECT_FALSE(checked_.guard.options.watched);
  }
  rf_free(a, rf_alloc(a, 13));
  rf_checked_deinit(&checked_);
  EXPECT_EQ(recorder_.count(), 0U);
}

// On processors with tags: tools/try_aarch64.sh.
TEST_F(Checked, ModeMteIsGuardWhereThereAreNoTags) {
  EXPECT_EQ(rf_mte_init(nullptr, &heap_.base, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_mte_init(&checked_.guard, nullptr, nullptr), RF_ERR_INVALID);
  options_.settings.mode = RF_MODE_MTE;
  testing::internal::CaptureStderr();
  rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
  std::string const said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("ringfence: mode mte is not available (it needs Linux on an AArch64 processor with the "
                      "Memory Tagging Extension); using mode guard"),
            std::string::npos)
      << said;
  EXPECT_EQ(checked_.mode, RF_MODE_GUARD);
  rf_free(a, rf_alloc(a, 13));
  rf_checked_deinit(&checked_);
  EXPECT_EQ(recorder_.count(), 0U);
}

TEST_F(Checked, EachSettingReachesTheGuard) {
  options_.settings.quarantine = 1111;
  options_.settings.fill = 22;
  options_.settings.fill_alloc = 33;
  options_.settings.move_below = 44;
  options_.settings.stack_depth = 5;
  options_.settings.leaks = RF_LEAKS_NONE;
  options_.settings.sweep = false;
  rf_checked_init(&checked_, &heap_.base, &options_);
  rf_guard_options const &o = checked_.guard.options;
  EXPECT_EQ(o.quarantine, 1111U);
  EXPECT_EQ(o.fill_free, 22U);
  EXPECT_EQ(o.fill_alloc, 33U);
  EXPECT_EQ(o.move_below, 44U);
  EXPECT_EQ(o.stack_depth, 5U);
  EXPECT_NE(o.depot, nullptr);
  EXPECT_FALSE(o.leaks_at_deinit);
  EXPECT_FALSE(o.sweep_at_deinit);
  rf_checked_deinit(&checked_);
}

TEST_F(Checked, EachSettingReachesThePageChecker) {
  options_.settings.mode = RF_MODE_PAGE;
  options_.settings.align = RF_PAGE_LEFT;
  options_.settings.closed = 5 << 20;
  options_.settings.fill_alloc = 33;
  options_.settings.stack_depth = 5;
  options_.settings.quarantine = 1111;
  options_.settings.leaks = RF_LEAKS_NONE;
  options_.settings.sweep = false;
  rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
  EXPECT_EQ(checked_.mode, RF_MODE_PAGE);
  EXPECT_EQ(checked_.status, RF_OK);
  EXPECT_EQ(a, &checked_.page.base);
  EXPECT_EQ(rf_inner(a), &heap_.base);
  rf_page_options const &o = checked_.page.options;
  EXPECT_EQ(o.side, RF_PAGE_LEFT);
  EXPECT_EQ(o.quarantine, size_t{5} << 20);
  EXPECT_EQ(o.fill_alloc, 33U);
  EXPECT_EQ(o.stack_depth, 5U);
  EXPECT_NE(o.depot, nullptr);
  EXPECT_EQ(o.guarded.quarantine, 1111U);
  EXPECT_EQ(o.guarded.stack_depth, 5U);
  EXPECT_EQ(o.guarded.depot, o.depot) << "blocks without pages keep their stacks, too";
  EXPECT_FALSE(o.leaks_at_deinit);
  EXPECT_FALSE(o.sweep_at_deinit);
  rf_checked_deinit(&checked_);
}

TEST_F(Checked, EachSettingReachesTheSampler) {
  options_.settings.mode = RF_MODE_SAMPLE;
  options_.settings.sample_rate = 7;
  options_.settings.sample_slots = 8;
  options_.settings.sample_seed = 9;
  options_.settings.align = RF_PAGE_RIGHT;
  rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
  EXPECT_EQ(checked_.mode, RF_MODE_SAMPLE);
  EXPECT_EQ(a, &checked_.sample.base);
  rf_sample_options const &o = checked_.sample.options;
  EXPECT_EQ(o.rate, 7U);
  EXPECT_EQ(o.slots, 8U);
  EXPECT_EQ(o.seed, 9U);
  EXPECT_EQ(o.side, RF_PAGE_RIGHT);
  EXPECT_EQ(o.stack_depth, 16U) << "as docs/checkers/sample.md says";
  EXPECT_NE(o.depot, nullptr);
  rf_checked_deinit(&checked_);
}

TEST_F(Checked, AModeThatCannotBeHadIsReplacedAndSaysWhy) {
  options_.settings.mode = RF_MODE_SAMPLE;
  options_.settings.sample_slots = 0; // what no option can say
  testing::internal::CaptureStderr();
  EXPECT_EQ(rf_checked_init(&checked_, &heap_.base, &options_), &heap_.base);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("mode sample is not available"), std::string::npos);
  EXPECT_EQ(checked_.mode, RF_MODE_OFF);
  EXPECT_EQ(checked_.status, RF_ERR_INVALID);
}

TEST_F(Checked, ASweepFindsDamageInEachMode) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_GUARD, RF_MODE_PAGE}) {
    for (uint32_t const budget : {0U, 100000U}) {
      options_.settings.mode = mode;
      options_.settings.sample_rate = 1;
      options_.settings.align = RF_PAGE_LEFT;
      rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
      auto *const p = static_cast<char *>(rf_alloc(a, 13));
      EXPECT_EQ(rf_checked_sweep(&checked_, budget), 0U);
      p[13] = 0;
      EXPECT_EQ(rf_checked_sweep(&checked_, budget), 1U) << rf_mode_name(mode);
      EXPECT_EQ(recorder_.take().size(), 1U);
      rf_free(a, p);
      rf_checked_deinit(&checked_);
    }
  }
  EXPECT_EQ(rf_checked_sweep(&checked_, 0), 0U); // it was ended
  EXPECT_EQ(recorder_.count(), 0U);
}

// A little at a time are swept those on pages only.
TEST_F(Checked, AStepOfASweepComesToBlocksUnderGuard) {
  options_.settings.mode = RF_MODE_PAGE;
  options_.settings.page_memory = 1;
  rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
  auto *const p = static_cast<char *>(rf_alloc(a, 13));
  p[13] = 0;
  EXPECT_EQ(rf_checked_sweep(&checked_, 100000), 1U);
  EXPECT_EQ(rf_checked_sweep(&checked_, 0), 0U);
  EXPECT_EQ(recorder_.take().size(), 1U);
  rf_free(a, p);
  rf_checked_deinit(&checked_);
}

TEST_F(Checked, TheStatusIsThatOfTheLastBeginning) {
  checked_.status = RF_ERR_CORRUPT;
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_GUARD}) {
    options_.settings.mode = mode;
    (void)rf_checked_init(&checked_, &heap_.base, &options_);
    EXPECT_EQ(checked_.status, RF_OK) << rf_mode_name(mode);
    rf_checked_deinit(&checked_);
    checked_.status = RF_ERR_CORRUPT;
  }
}

// Regions of a heap are taken back only where no block is in them, and freed blocks wait there.
TEST_F(Checked, AfterAFlushTheHeapBelowIsEmpty) {
  static unsigned char region[20000];
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_SAMPLE, RF_MODE_GUARD, RF_MODE_PAGE}) {
    options_.settings.mode = mode;
    options_.settings.page_memory = 1; // and so most blocks have no pages
    ASSERT_EQ(rf_tlsf_add_region(&heap_, region, sizeof region), RF_OK);
    rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
    std::vector<void *> blocks;
    for (void *p = rf_alloc(a, 300); p != nullptr; p = rf_alloc(a, 300)) {
      blocks.push_back(p);
    }
    for (void *const p : blocks) {
      EXPECT_EQ(rf_free(a, p), RF_OK);
    }
    bool const keeps = mode == RF_MODE_GUARD || mode == RF_MODE_PAGE;
    EXPECT_EQ(rf_tlsf_remove_region(&heap_, region), keeps ? RF_ERR_BUSY : RF_OK) << rf_mode_name(mode);
    rf_checked_flush(&checked_);
    EXPECT_EQ(keeps ? rf_tlsf_remove_region(&heap_, region) : RF_OK, RF_OK) << rf_mode_name(mode);
    rf_checked_deinit(&checked_);
  }
  rf_checked_flush(&checked_); // it was ended
}

// A microsecond is enough for a few blocks, a tenth of a second for the others.
TEST_F(Checked, ASweepTakesNoMoreTimeThanItsBudget) {
  static unsigned char large[4 * 1024 * 1024];
  ASSERT_EQ(rf_tlsf_init(&heap_, large, sizeof large), RF_OK);
  options_.settings.leaks = RF_LEAKS_NONE;
  rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
  for (int i = 0; i < 16000; i++) {
    ASSERT_NE(rf_alloc(a, 16), nullptr);
  }
  EXPECT_EQ(rf_checked_sweep(&checked_, 1), 0U);
  EXPECT_NE(checked_.guard.swept, nullptr) << "some are left";
  EXPECT_EQ(rf_checked_sweep(&checked_, 100000), 0U);
  EXPECT_EQ(checked_.guard.swept, nullptr);
  rf_checked_deinit(&checked_);
}

TEST_F(Checked, StacksAreTakenWhenAskedFor) {
  options_.settings.stack_depth = 8;
  rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
  void *const p = rf_alloc(a, 13);
  rf_free(a, p);
  rf_free(a, p);
  ASSERT_EQ(recorder_.count(), 1U);
  EXPECT_GE(recorder_.findings()[0].allocated.depth, 1U);
  EXPECT_GE(recorder_.findings()[0].released.depth, 1U);
  rf_checked_deinit(&checked_);
}

TEST_F(Checked, LeaksAreReportedAtDeinitUnlessSwitchedOff) {
  for (rf_leaks const leaks : {RF_LEAKS_NONE, RF_LEAKS_LOST, RF_LEAKS_ALL, RF_LEAKS_REACHABLE}) {
    options_.settings.leaks = leaks;
    rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
    ASSERT_NE(rf_alloc(a, 10), nullptr);
    rf_checked_deinit(&checked_);
    EXPECT_EQ(recorder_.take().size(), leaks == RF_LEAKS_NONE ? 0U : 1U);
  }
}

TEST_F(Checked, TheSweepAtDeinitCanBeSwitchedOff) {
  options_.settings.leaks = RF_LEAKS_NONE;
  for (bool const sweep : {false, true}) {
    options_.settings.sweep = sweep;
    rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
    auto *const p = static_cast<char *>(rf_alloc(a, 10));
    p[10] = 0;
    rf_checked_deinit(&checked_);
    EXPECT_EQ(recorder_.take().size(), sweep ? 1U : 0U);
  }
}

// ---- With the options of the process: each in a process of its own, since they are read once ----

void run_example(const char *environment, void (*program)(rf_allocator *)) {
  Unwatched const unwatched; // the allocator below would stop some of them
  setenv("RINGFENCE_OPTIONS", environment, 1);
  rf_tlsf heap;
  rf_checked checked;
  rf_tlsf_init(&heap, arena, sizeof arena);
  rf_allocator *const a = rf_checked_init(&checked, &heap.base, nullptr);
  program(a);
  rf_checked_deinit(&checked);
  std::exit(0);
}

void overflow(rf_allocator *a) {
  auto *const p = static_cast<char *>(rf_alloc(a, 13));
  p[13] = 0;
  rf_free(a, p);
}

void correct(rf_allocator *a) {
  auto *const p = static_cast<char *>(rf_alloc(a, 13));
  p[12] = 0;
  rf_free(a, p);
}

void leak(rf_allocator *a) {
  (void)rf_alloc(a, 13);
}

TEST(CheckedDeathTest, TheExampleOfTheDesignWorksAsWritten) {
  EXPECT_EXIT(run_example("mode=guard", overflow), testing::ExitedWithCode(99),
              "ERROR: Ringfence: heap-buffer-overflow on address 0x[^$]*WRITE of size 1 at 0x[^$]*"
              "0 bytes after 13-byte region[^$]*allocated by thread T0 here:[^$]*"
              "SUMMARY: Ringfence: heap-buffer-overflow .*checked_test.cc:[0-9]* in overflow");
  EXPECT_EXIT(run_example("mode=guard", correct), testing::ExitedWithCode(0), "^$");
  EXPECT_EXIT(run_example("mode=off", overflow), testing::ExitedWithCode(0), "^$");
}

void run_with_settings() {
  rf_tlsf heap;
  rf_checked checked;
  rf_checked_options options = {};
  setenv("RINGFENCE_OPTIONS", "mode=off:exitcode=1:format=text", 1); // does not count
  rf_options_default(&options.settings);
  options.settings.mode = RF_MODE_GUARD;
  options.settings.exitcode = 61;
  options.settings.format = RF_FORMAT_JSON;
  rf_tlsf_init(&heap, arena, sizeof arena);
  overflow(rf_checked_init(&checked, &heap.base, &options));
}

TEST(CheckedDeathTest, SettingsWithoutAReporterMakeOne) {
  EXPECT_EXIT(run_with_settings(), testing::ExitedWithCode(61), "\"bug\":\"heap-buffer-overflow\"");
}

TEST(CheckedDeathTest, HaltAndExitcodeAreObeyed) {
  EXPECT_EXIT(run_example("mode=guard:exitcode=23", overflow), testing::ExitedWithCode(23), "SUMMARY");
  EXPECT_EXIT(run_example("mode=guard:halt=0:exitcode=23", overflow), testing::ExitedWithCode(0), "SUMMARY");
}

// As by a program that changes its folder or its root.
void overflow_when_the_rules_are_gone(rf_allocator *a) {
  (void)std::remove(std::getenv("CHECKED_RULES"));
  overflow(a);
}

TEST(CheckedDeathTest, SuppressionsAreReadAtTheStart) {
  std::string const rules = testing::TempDir() + "/checked_rules" + std::to_string(getpid());
  std::ofstream(rules) << "heap-buffer-overflow:overflow\n";
  setenv("CHECKED_RULES", rules.c_str(), 1);
  EXPECT_EXIT(run_example(("mode=guard:suppressions=" + rules).c_str(), overflow_when_the_rules_are_gone),
              testing::ExitedWithCode(0), "");
  unsetenv("CHECKED_RULES");
}

TEST(CheckedDeathTest, AbortEndsTheProcessByItsSignal) {
  EXPECT_EXIT(run_example("mode=guard:abort=1:exitcode=23", overflow), testing::KilledBySignal(SIGABRT), "SUMMARY");
}

TEST(CheckedDeathTest, LeaksEndTheProcessToo) {
  EXPECT_EXIT(run_example("mode=guard", leak), testing::ExitedWithCode(99), "memory-leak of 13 byte.*1 object");
  EXPECT_EXIT(run_example("mode=guard:leaks=0", leak), testing::ExitedWithCode(0), "^$");
}

TEST(CheckedDeathTest, FindingsCanBeJson) {
  EXPECT_EXIT(run_example("mode=guard:format=json", overflow), testing::ExitedWithCode(99),
              "^\\{\"type\":\"finding\",\"version\":1,.*\"bug\":\"heap-buffer-overflow\".*\\}\n$");
}

TEST(CheckedDeathTest, ABadOptionIsAWarningAndTheRestApplies) {
  EXPECT_EXIT(run_example("mode=guard:quarantine=lots:exitcode=5", overflow), testing::ExitedWithCode(5),
              "RINGFENCE_OPTIONS: quarantine=lots is ignored; allowed: bytes[^$]*SUMMARY");
}

TEST(CheckedDeathTest, HelpAndVerbosityAreObeyed) {
  EXPECT_EXIT(run_example("mode=guard:help=1", correct), testing::ExitedWithCode(0), "quarantine=[^$]*bytes of freed");
  EXPECT_EXIT(run_example("mode=guard:verbosity=1:quarantine=12345", correct), testing::ExitedWithCode(0),
              "ringfence: checking tlsf: mode guard, quarantine 12345");
  EXPECT_EXIT(run_example("mode=off:verbosity=1", correct), testing::ExitedWithCode(0),
              "ringfence: checking tlsf: mode off");
}

// A collector hears of programs with allocators of their own, too: those that go on, and those that a finding ends.
TEST_F(Checked, ACollectorIsToldOfTheFindingAndOfTheRun) {
  for (bool const halt : {false, true}) {
    std::string const folder = collector_folder(halt ? "halt" : "on");
    pid_t const child = fork();
    if (child == 0) {
      overflow(init_collecting(folder, halt), 13);
      std::exit(0);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), halt ? RF_EXITCODE_DEFAULT : 0);
    std::ifstream file(folder + "/spool/current");
    std::string finding;
    std::string summary;
    ASSERT_TRUE(std::getline(file, finding) && std::getline(file, summary)) << halt;
    EXPECT_NE(finding.find(R"("bug":"heap-buffer-overflow")"), std::string::npos) << finding;
    EXPECT_NE(summary.find(R"("record":"summary")"), std::string::npos) << summary;
    EXPECT_NE(summary.find(R"("findings":1)"), std::string::npos) << summary;
    EXPECT_NE(summary.find(halt ? R"("exit":"status 99")" : R"("exit":"unknown")"), std::string::npos) << summary;
    EXPECT_FALSE(std::getline(file, summary)) << summary;
  }
}

TEST_F(Checked, ACollectorKnowsAChildOfForkFromItsParent) {
  std::string const folder = collector_folder("fork");
  pid_t const child = fork();
  if (child == 0) {
    rf_allocator *const a = init_collecting(folder, false);
    overflow(a, 13);
    pid_t const its_own = fork();
    overflow(a, its_own == 0 ? 21 : 34);
    (void)waitpid(its_own, nullptr, 0);
    std::exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  std::ifstream file(folder + "/spool/current");
  std::map<std::string, std::string> of; // what each process told, by its id
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) {
      continue; // of a process that saw the other in the middle of its write: docs/service/format.md
    }
    size_t const at = line.find(R"("pid":)");
    ASSERT_NE(at, std::string::npos) << line;
    of[line.substr(at, line.find(',', at) - at)] += line;
  }
  std::string const parent = R"("pid":)" + std::to_string(child);
  ASSERT_EQ(of.size(), 2U);
  ASSERT_EQ(of.count(parent), 1U);
  for (auto const &[pid, text] : of) {
    bool const is_parent = pid == parent;
    EXPECT_EQ(text.find(R"("size":13)") != std::string::npos, is_parent) << text;
    EXPECT_EQ(text.find(R"("size":21)") != std::string::npos, !is_parent) << text;
    EXPECT_EQ(text.find(R"("size":34)") != std::string::npos, is_parent) << text;
    EXPECT_NE(text.find(is_parent ? R"("findings":2)" : R"("findings":1)"), std::string::npos) << text;
  }
}

} // namespace
} // namespace ringfence
