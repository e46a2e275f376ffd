// A guard over each of the allocators, with a reporter that records.
#ifndef RINGFENCE_TESTS_CHECKERS_GUARD_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_GUARD_FIXTURE_H

#include "tests/checkers/heaps.h"
#include "tests/checkers/recorder.h"

#include <ringfence/guard.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace ringfence {

class GuardTest : public testing::TestWithParam<HeapKind> {
protected:
  GuardTest() : arena_(kArenaSize), heap_(GetParam().make(arena_.data(), arena_.size())) {
    rf_guard_options options;
    rf_guard_options_default(&options);
    options.quarantine = 64 * 1024;
    options.fill_free = SIZE_MAX;
    make(options);
  }

  ~GuardTest() override {
    end();
    EXPECT_EQ(recorder_.count(), 0U) << "findings that no test took: " << rf_bug_name(first_left());
  }

  // Starts anew with other options; the reporter is always the recorder.
  void make(rf_guard_options options) {
    end();
    options.reporter = recorder_.reporter();
    options_ = options;
    ASSERT_EQ(rf_guard_init(&guard_, heap_->allocator(), &options), RF_OK);
    made_ = true;
  }

  void end() {
    if (made_) {
      guard_.base.ops->deinit(&guard_.base);
      made_ = false;
    }
  }

  rf_allocator *a() { return &guard_.base; }
  static unsigned char *bytes(void *p) { return static_cast<unsigned char *>(p); }

  std::vector<rf_finding> take() { return recorder_.take(); }

  // The one finding since the last look.
  rf_finding take_one() {
    std::vector<rf_finding> const found = recorder_.take();
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? rf_finding{} : found.front();
  }

  static bool filled(const unsigned char *p, size_t size, int byte) {
    return std::all_of(p, p + size, [byte](unsigned char b) { return b == byte; });
  }

  rf_stats stats() {
    rf_stats s;
    rf_stats_get(a(), &s);
    return s;
  }

  void expect_silence() {
    EXPECT_EQ(rf_guard_sweep(&guard_), 0U);
    rf_fault where;
    EXPECT_EQ(rf_check(a(), &where), RF_OK);
    EXPECT_EQ(recorder_.count(), 0U);
  }

  static constexpr size_t kArenaSize = 512 * 1024;

  std::vector<unsigned char> arena_;
  std::unique_ptr<Heap> heap_;
  Recorder recorder_;
  rf_guard guard_ = {};
  rf_guard_options options_ = {};
  bool made_ = false;

private:
  rf_bug first_left() const { return recorder_.count() != 0 ? recorder_.findings().front().bug : RF_BUG_COUNT; }
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_GUARD_FIXTURE_H
