// A heap of handles under its guard, in modes guard and page, whose findings the test takes.
#ifndef RINGFENCE_TESTS_CHECKERS_HANDLE_GUARD_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_HANDLE_GUARD_FIXTURE_H

#include <ringfence/checked_handles.h>
#include <ringfence/handle.h>

#include "tests/checkers/found_on_purpose.h"
#include "tests/checkers/recorder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace ringfence {

constexpr size_t kArena = 256 * 1024;

class HandleGuardTest : public testing::TestWithParam<rf_mode> {
protected:
  HandleGuardTest() : arena_(kArena) {
    EXPECT_EQ(rf_handle_heap_init(&heap_, arena_.data(), arena_.size(), nullptr), RF_OK);
    rf_checked_options options;
    rf_options_default(&options.settings);
    options.settings.mode = GetParam();
    options.settings.quarantine = 32 * 1024;
    options.settings.leaks = RF_LEAKS_ALL;
    options.settings.sweep = true;
    options.reporter = recorder_.reporter();
    h = rf_checked_handles_init(&checked_, &heap_.base, &options);
    EXPECT_NE(h, &heap_.base);
  }
  ~HandleGuardTest() override {
    rf_checked_handles_deinit(&checked_);
    EXPECT_TRUE(recorder_.take().empty()) << "findings that the test did not take";
    EXPECT_EQ(rf_handle_check(&heap_.base, nullptr), RF_OK);
    rf_handle_usage u;
    rf_handle_usage_get(&heap_.base, &u);
    EXPECT_EQ(u.used_blocks, 0U) << "the guard gives everything back";
  }

  rf_finding take_one() {
    std::vector<rf_finding> const found = recorder_.take();
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? rf_finding{} : found.front();
  }
  void expect_silence() {
    EXPECT_EQ(rf_handle_guard_sweep(&checked_.guard), 0U);
    EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
    EXPECT_EQ(recorder_.count(), 0U);
  }
  // The sweep finds exactly one thing, check says so beforehand and is content afterwards.
  rf_finding sweep_one() {
    rf_fault where;
    EXPECT_EQ(rf_handle_check(h, &where), RF_ERR_CORRUPT);
    EXPECT_EQ(rf_handle_guard_sweep(&checked_.guard), 1U);
    EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
    return take_one();
  }
  // The bug, and how far from the start of its block.
  static void expect_bug_at(const rf_finding &f, rf_bug bug, ptrdiff_t offset) {
    EXPECT_EQ(f.bug, bug);
    EXPECT_EQ(f.offset, offset);
  }
  unsigned char *at(rf_handle handle) { return static_cast<unsigned char *>(rf_handle_address(h, handle)); }
  static bool all(const unsigned char *p, size_t n, int value) {
    return std::all_of(p, p + n, [value](unsigned char c) { return c == value; });
  }
  // Not through instrumented code: the test does what a bug would.
  __attribute__((no_sanitize_address)) static void stray(unsigned char *p, unsigned char value) {
    *const_cast<volatile unsigned char *>(p) = value;
  }
  static void damage(unsigned char *p) { stray(p, peek(p) ^ 0x41); }
  __attribute__((no_sanitize_address)) static unsigned char peek(const unsigned char *p) {
    return *const_cast<const volatile unsigned char *>(p);
  }

  std::vector<unsigned char> arena_;
  rf_handle_heap heap_;
  Recorder recorder_;
  rf_checked_handles checked_;
  rf_handles *h;
};

inline unsigned line_of(const rf_trace &trace) {
  EXPECT_NE(trace.site, nullptr);
  return trace.site != nullptr ? trace.site->line : 0;
}

#define ALLOCATE(name, size)                                                                                           \
  unsigned const name##_line = __LINE__;                                                                               \
  rf_handle const name = rf_handle_alloc(h, size)

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_HANDLE_GUARD_FIXTURE_H
