// Mode asan over every allocator of lib/: what AddressSanitizer stops is a finding of the right kind, block and place.
#include "tests/checkers/recorder.h"

#include <ringfence/asan.h>
#include <ringfence/reporter.h>
#include <ringfence/track.h>

#include <gtest/gtest.h>

#if RF_TRACK_ASAN

#include "tests/checkers/asan_fixture.h"

#include <cstring>
#include <memory>
#include <vector>

namespace ringfence {
namespace {

class Mode : public OverSubject {
protected:
  Mode() {
    rf_guard_options_default(&options_);
    options_.quarantine = 16 * 1024;
    options_.reporter = recorder_.reporter();
    EXPECT_EQ(rf_asan_init(&guard_, inner_, &options_), RF_OK);
  }

  ~Mode() override {
    rf_check(a(), nullptr);
    guard_.base.ops->deinit(&guard_.base);
    EXPECT_EQ(recorder_.count(), 0U) << "findings that no test took";
  }

  rf_allocator *a() { return &guard_.base; }

  // A block that must be found with this line as the place of its allocation.
  unsigned char *block(size_t size) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    line_ = __LINE__ - 1;
    EXPECT_NE(p, nullptr);
    size_ = size;
    start_ = p;
    return p;
  }

  void expect(rf_bug bug, rf_access access, std::ptrdiff_t offset, size_t access_size = 1) {
    std::vector<rf_finding> const found = recorder_.take();
    ASSERT_EQ(found.size(), 1U);
    rf_finding const &f = found[0];
    EXPECT_STREQ(rf_bug_name(f.bug), rf_bug_name(bug));
    EXPECT_EQ(f.cwe, bug == RF_BUG_BAD_FREE ? 761 : rf_bug_cwe(bug, access));
    EXPECT_EQ(f.access, access);
    EXPECT_EQ(f.offset, offset);
    EXPECT_EQ(f.size, size_);
    EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(start_));
    EXPECT_EQ(f.address, f.block + static_cast<uintptr_t>(offset));
    EXPECT_STREQ(f.mode, "asan");
    ASSERT_NE(f.allocated.site, nullptr);
    EXPECT_EQ(f.allocated.site->line, line_);
    EXPECT_GT(f.found.depth, 0U);
    if (access != RF_ACCESS_FREE) {
      EXPECT_EQ(f.access_size, access_size);
    }
  }

  rf_guard guard_;
  rf_guard_options options_;
  Recorder recorder_;
  unsigned line_ = 0;
  size_t size_ = 0;
  unsigned char *start_ = nullptr;
};

TEST_P(Mode, NothingIsSaidOfACorrectProgram) {
  std::vector<unsigned char *> blocks;
  for (size_t i = 0; i < 60; i++) {
    size_t const size = i * 7 % 90;
    unsigned char *p = bytes(rf_alloc(a(), size));
    ASSERT_NE(p, nullptr);
    std::memset(p, 1, size);
    if (i % 3 == 0) {
      p = bytes(rf_realloc(a(), p, size + 9));
      ASSERT_NE(p, nullptr);
      std::memset(p, 2, size + 9);
    }
    blocks.push_back(p);
    if (i % 2 == 0) {
      EXPECT_EQ(rf_free(a(), blocks[i / 2]), RF_OK);
      blocks[i / 2] = nullptr;
    }
  }
  rf_guard_sweep(&guard_);
  for (unsigned char *const p : blocks) {
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
  EXPECT_EQ(rf_check(a(), nullptr), RF_OK);
}

TEST_P(Mode, ReadsAndWritesBehindABlock) {
  for (size_t const size : {1, 8, 13, 40}) {
    unsigned char *const p = block(size);
    for (std::ptrdiff_t const distance : {0, 1, 7, 15}) {
      auto const at = static_cast<std::ptrdiff_t>(size) + distance;
      read_byte(p + at);
      expect(RF_BUG_BUFFER_OVERFLOW, RF_ACCESS_READ, at);
      write_byte(p + at);
      expect(RF_BUG_BUFFER_OVERFLOW, RF_ACCESS_WRITE, at);
    }
    read_byte(p + size - 1);
    write_byte(p + size - 1);
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
}

// The report names the address where the bounds are crossed, not the start of the access.
TEST_P(Mode, AnAccessThatBeginsInABlockAndEndsBehindIt) {
  unsigned char *const p = block(13);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 8, 0U);
  read_word(p + 8);
  expect(RF_BUG_BUFFER_OVERFLOW, RF_ACCESS_READ, 13, 8);
  copy_bytes(p, 20);
  expect(RF_BUG_BUFFER_OVERFLOW, RF_ACCESS_READ, 13, 20);
  copy_bytes(p, 13);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  copy_bytes(p, 20);
  expect(RF_BUG_USE_AFTER_FREE, RF_ACCESS_READ, 0, 20);
}

TEST_P(Mode, ReadsAndWritesBeforeABlock) {
  unsigned char *const p = block(13);
  // The last two are in the block's header.
  for (std::ptrdiff_t const at : {-1, -5, -16, -17, -40}) {
    read_byte(p + at);
    expect(RF_BUG_BUFFER_UNDERFLOW, RF_ACCESS_READ, at);
    write_byte(p + at);
    expect(RF_BUG_BUFFER_UNDERFLOW, RF_ACCESS_WRITE, at);
  }
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_P(Mode, UseAfterFree) {
  unsigned char *const p = block(40);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  for (std::ptrdiff_t const at : {0, 20, 39}) {
    read_byte(p + at);
    expect(RF_BUG_USE_AFTER_FREE, RF_ACCESS_READ, at);
    write_byte(p + at);
    expect(RF_BUG_USE_AFTER_FREE, RF_ACCESS_WRITE, at);
  }
}

TEST_P(Mode, UseAfterReallocMovedTheBlock) {
  unsigned char *const p = block(40);
  unsigned char *const q = bytes(rf_realloc(a(), p, 80));
  ASSERT_NE(q, p);
  read_byte(p + 3);
  expect(RF_BUG_USE_AFTER_FREE, RF_ACCESS_READ, 3);
  EXPECT_EQ(rf_free(a(), q), RF_OK);
}

TEST_P(Mode, DoubleFreeInteriorFreeAndForeignFree) {
  unsigned char *const p = block(40);
  EXPECT_NE(rf_free(a(), p + 16), RF_OK);
  expect(RF_BUG_BAD_FREE, RF_ACCESS_FREE, 16);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_NE(rf_free(a(), p), RF_OK);
  expect(RF_BUG_DOUBLE_FREE, RF_ACCESS_FREE, 0);
  alignas(64) unsigned char local[256] = {};
  EXPECT_NE(rf_free(a(), local + 128), RF_OK);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_BAD_FREE);
}

TEST_P(Mode, AShrunkBlockEndsWhereItWasCut) {
  unsigned char *p = block(40);
  if (rf_resize(a(), p, 21) == RF_OK) {
    size_ = 21;
    read_byte(p + 20);
    read_byte(p + 21);
    expect(RF_BUG_BUFFER_OVERFLOW, RF_ACCESS_READ, 21);
    EXPECT_EQ(rf_resize(a(), p, 39), RF_OK);
    size_ = 39;
    read_byte(p + 38);
    read_byte(p + 39);
    expect(RF_BUG_BUFFER_OVERFLOW, RF_ACCESS_READ, 39);
  }
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_P(Mode, ALeakIsFoundAtTheEnd) {
  guard_.options.leaks_at_deinit = true;
  block(13);
  guard_.base.ops->deinit(&guard_.base);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_LEAK);
  ASSERT_NE(found[0].allocated.site, nullptr);
  EXPECT_EQ(found[0].allocated.site->line, line_);
  recorder_.take();
  EXPECT_EQ(rf_asan_init(&guard_, inner_, &options_), RF_OK);
}

// The write is not seen by AddressSanitizer, and is found afterwards.
TEST_P(Mode, WhatUninstrumentedCodeOverwritesIsFoundAsGuardFindsIt) {
  unsigned char *const p = block(13);
  [](unsigned char *at) __attribute__((noinline, no_sanitize("address"))) {
    *static_cast<volatile unsigned char *>(at) = 0x41;
  }
  (p + 14);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  expect(RF_BUG_BUFFER_OVERFLOW, RF_ACCESS_WRITE, 14);
}

INSTANTIATE_TEST_SUITE_P(Asan, Mode, testing::ValuesIn(kAll), name_of);

// ---- The user's view ----

using ModeDeath = Mode;

TEST_P(ModeDeath, TheProgramEndsWithTheExitCodeAndBothReports) {
  rf_report_options settings;
  rf_report_options_default(&settings);
  rf_log_reporter log;
  rf_log_reporter_init(&log, &settings);
  guard_.options.reporter = &log.base;
  unsigned char *const p = block(13);
  EXPECT_EXIT(read_byte(p + 13), testing::ExitedWithCode(RF_EXITCODE_DEFAULT),
              "AddressSanitizer: use-after-poison.*Ringfence: heap-buffer-overflow on address.*READ of size 1 at"
              ".*mode asan.*0 bytes after 13-byte region.*allocated by thread.*asan_test.cc");
  EXPECT_EXIT(rf_free(a(), p + 8), testing::ExitedWithCode(RF_EXITCODE_DEFAULT), "bad-free on address");
  guard_.options.reporter = recorder_.reporter();
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

const Named kSome[] = {{rf_tlsf_subject()}, {rf_mempool_subject()}};
INSTANTIATE_TEST_SUITE_P(Asan, ModeDeath, testing::ValuesIn(kSome), name_of);

// An error that is none of ours stays AddressSanitizer's alone.
TEST(AsanElsewhere, IsNoFinding) {
  rf_conformance_subject const &subject = *rf_tlsf_subject();
  std::vector<std::max_align_t> state(subject.state_size / sizeof(std::max_align_t) + 1);
  std::vector<unsigned char> arena(4096);
  rf_allocator *const inner = subject.make(state.data(), arena.data(), arena.size());
  Recorder recorder;
  rf_guard guard;
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.reporter = recorder.reporter();
  ASSERT_EQ(rf_asan_init(&guard, inner, &options), RF_OK);
  auto const other = std::make_unique<unsigned char[]>(100000);
  read_byte(other.get() + 100000);
  EXPECT_EQ(recorder.count(), 0U);
  read_byte(arena.data() + 4000); // free memory, and nothing near
  ASSERT_EQ(recorder.count(), 1U);
  EXPECT_EQ(recorder.findings()[0].bug, RF_BUG_METADATA);
  guard.base.ops->deinit(&guard.base);
  rf_deinit(inner);
  __asan_set_error_report_callback(nullptr);
}

} // namespace
} // namespace ringfence

#else

TEST(Asan, NeedsABuildWithAddressSanitizer) {
  rf_guard guard;
  rf_allocator any = {nullptr};
  EXPECT_EQ(rf_asan_watcher(), nullptr);
  EXPECT_EQ(rf_asan_init(&guard, &any, nullptr), RF_ERR_UNSUPPORTED);
}

#endif
