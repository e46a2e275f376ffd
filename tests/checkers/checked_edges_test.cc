// rf_checked_init and its like say these things once: the mode that cannot be had, the mode of handles, call sites for
// a collector.
#include <ringfence/checked.h>
#include <ringfence/checked_handles.h>
#include <ringfence/handle.h>
#include <ringfence/tlsf.h>

#include "tests/checkers/found_on_purpose.h"
#include "tests/checkers/recorder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace ringfence {
namespace {

class CheckedEdges : public testing::Test {
protected:
  CheckedEdges() : arena_(size_t{128} << 10) {
    EXPECT_EQ(rf_tlsf_init(&heap_, arena_.data(), arena_.size()), RF_OK);
    rf_options_default(&options_.settings);
    options_.settings.mode = RF_MODE_GUARD;
    options_.settings.leaks = RF_LEAKS_NONE;
    options_.reporter = recorder_.reporter();
  }

  std::vector<unsigned char> arena_;
  rf_tlsf heap_;
  rf_checked checked_;
  rf_checked_options options_ = {};
  Recorder recorder_;
};

size_t times(const std::string &text, const std::string &part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) {
    count++;
  }
  return count;
}

TEST_F(CheckedEdges, AModeThatCannotBeHadIsSaidSoOnce) {
  for (rf_mode const mode : {RF_MODE_ASAN, RF_MODE_MTE}) {
    options_.settings.mode = mode;
    testing::internal::CaptureStderr();
    rf_mode in_force = mode;
    for (int i = 0; i < 2; i++) {
      (void)rf_checked_init(&checked_, &heap_.base, &options_);
      in_force = checked_.mode;
      rf_checked_deinit(&checked_);
      ASSERT_EQ(rf_tlsf_init(&heap_, arena_.data(), arena_.size()), RF_OK);
    }
    EXPECT_EQ(times(testing::internal::GetCapturedStderr(), "is not available"), in_force == mode ? 0U : 1U)
        << rf_mode_name(mode);
  }
}

TEST_F(CheckedEdges, OptionsOfTheProgramThatAreNotAllowedAreNamed) {
  options_.settings.mode = RF_MODE_SAMPLE;
  options_.settings.sample_rate = 0;
  testing::internal::CaptureStderr();
  EXPECT_EQ(rf_checked_init(&checked_, &heap_.base, &options_), &heap_.base);
  std::string const said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(checked_.status, RF_ERR_INVALID);
  EXPECT_NE(said.find("mode sample is not available (its sample_rate or sample_slots is not allowed); using mode off"),
            std::string::npos)
      << said;
}

TEST_F(CheckedEdges, HandlesHaveTheModeThatWasAskedFor) {
  for (rf_mode const mode : {RF_MODE_GUARD, RF_MODE_PAGE, RF_MODE_ASAN, RF_MODE_MTE, RF_MODE_SAMPLE}) {
    rf_handle_heap heap;
    rf_checked_handles checked;
    ASSERT_EQ(rf_handle_heap_init(&heap, arena_.data(), arena_.size(), nullptr), RF_OK);
    options_.settings.mode = mode;
    (void)rf_checked_handles_init(&checked, &heap.base, &options_);
    EXPECT_EQ(checked.mode, mode == RF_MODE_SAMPLE ? RF_MODE_OFF : mode);
    rf_checked_handles_deinit(&checked);
    EXPECT_EQ(checked.mode, RF_MODE_OFF);
  }
}

TEST_F(CheckedEdges, HelpAndVerbosityAreObeyedForHandlesToo) {
  rf_handle_heap heap;
  rf_checked_handles checked;
  ASSERT_EQ(rf_handle_heap_init(&heap, arena_.data(), arena_.size(), nullptr), RF_OK);
  options_.settings.help = true;
  options_.settings.verbosity = 1;
  testing::internal::CaptureStderr();
  (void)rf_checked_handles_init(&checked, &heap.base, &options_);
  rf_checked_handles_deinit(&checked);
  std::string const said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(times(said, "\n  max_findings="), 1U);
  EXPECT_EQ(times(said, "ringfence: checking handle: mode guard, "), 1U);
}

// ---- Call sites ----

// The operation itself, since the functions around it are the places that call it where they are not inlined.
__attribute__((noinline)) void *allocate_here(rf_allocator *a) {
  void *const p = a->ops->alloc(a, 20, RF_ALIGN_DEFAULT, nullptr);
  asm volatile("" : : "r"(p) : "memory");
  return p;
}

__attribute__((noinline)) void *allocate_there(rf_allocator *a) {
  void *const p = a->ops->alloc(a, 30, RF_ALIGN_DEFAULT, nullptr);
  asm volatile("" : : "r"(p) : "memory");
  return p;
}

// The call sites that each process told a collector of at its end, by its id.
std::map<std::string, std::string> sites_in(const std::string &folder) {
  const std::string begin = R"("unwatched":[)";
  std::map<std::string, std::string> of;
  std::ifstream file(folder + "/spool/current");
  for (std::string line; std::getline(file, line);) {
    size_t const pid = line.find(R"("pid":)");
    size_t const sites = line.find(begin);
    if (pid != std::string::npos && sites != std::string::npos) {
      of[line.substr(pid, line.find(',', pid) - pid)] = line.substr(sites, line.find(']', sites) - sites);
    }
  }
  return of;
}

TEST_F(CheckedEdges, ACollectorIsToldOfTheCallSitesOfEachProcess) {
  const char *const base = std::getenv("TEST_TMPDIR");
  std::string const folder = std::string(base == nullptr ? "/tmp" : base) + "/edges" + std::to_string(getpid());
  options_.reporter = nullptr;
  options_.settings.stack_depth = 8;
  options_.settings.collector = folder.c_str();
  options_.settings.collector_length = folder.size();
  pid_t const child = fork();
  if (child == 0) {
    rf_allocator *const a = rf_checked_init(&checked_, &heap_.base, &options_);
    (void)rf_free(a, allocate_here(a));
    pid_t const its_own = fork();
    if (its_own == 0) {
      (void)rf_free(a, allocate_there(a));
    }
    (void)waitpid(its_own, nullptr, 0);
    std::exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  std::map<std::string, std::string> const of = sites_in(folder);
  ASSERT_EQ(of.size(), 2U);
  const std::string &first = of.begin()->second;
  const std::string &second = of.rbegin()->second;
  EXPECT_EQ(first.find(','), std::string::npos) << first;
  EXPECT_EQ(second.find(','), std::string::npos) << second;
  EXPECT_NE(first, second);
}

TEST_F(CheckedEdges, ACollectorThatASecondAllocatorNamesIsToldOfCallSitesToo) {
  const char *const base = std::getenv("TEST_TMPDIR");
  std::string const folder = std::string(base == nullptr ? "/tmp" : base) + "/second" + std::to_string(getpid());
  std::vector<unsigned char> arena(size_t{64} << 10);
  rf_tlsf heap;
  ASSERT_EQ(rf_tlsf_init(&heap, arena.data(), arena.size()), RF_OK);
  options_.settings.stack_depth = 8;
  pid_t const child = fork();
  if (child == 0) {
    rf_checked second;
    (void)allocate_here(rf_checked_init(&checked_, &heap_.base, &options_));
    options_.reporter = nullptr;
    options_.settings.collector = folder.c_str();
    options_.settings.collector_length = folder.size();
    (void)allocate_there(rf_checked_init(&second, &heap.base, &options_));
    std::exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(sites_in(folder).size(), 1U);
}

// With the options of the process, which are read once.
TEST_F(CheckedEdges, ACollectorThatTheEnvironmentNamesIsToldOfTheRun) {
  const char *const base = std::getenv("TEST_TMPDIR");
  std::string const folder = std::string(base == nullptr ? "/tmp" : base) + "/named" + std::to_string(getpid());
  pid_t const child = fork();
  if (child == 0) {
    setenv("RINGFENCE_OPTIONS", ("mode=guard:collector=" + folder).c_str(), 1);
    (void)rf_checked_init(&checked_, &heap_.base, nullptr);
    std::exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  std::ifstream file(folder + "/spool/current");
  std::string line;
  ASSERT_TRUE(std::getline(file, line));
  EXPECT_NE(line.find(R"("record":"summary")"), std::string::npos) << line;
}

} // namespace
} // namespace ringfence
