// Under AddressSanitizer every allocator of lib/, bare or in mode asan, lets the program touch its blocks and nothing
// else: to the byte, and at the access. Built with -fsanitize-recover=address, so that the test goes on after each
// error.
#include "tests/checkers/recorder.h"
#include "tests/conformance/subjects/subjects.h"

#include <ringfence/asan.h>
#include <ringfence/reporter.h>
#include <ringfence/slab.h>
#include <ringfence/track.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#if RF_TRACK_ASAN

extern "C" {
void __asan_set_error_report_callback(void (*callback)(const char *));
void *__asan_get_report_address(void);
int __asan_get_report_access_type(void);
size_t __asan_get_report_access_size(void);
int __asan_address_is_poisoned(void const volatile *address);
void *__asan_region_is_poisoned(void *start, size_t size);
// One report for each error, without names, which take long to find.
const char *__asan_default_options(void) {
  return "halt_on_error=0:suppress_equal_pcs=0:symbolize=0";
}
}

namespace ringfence {
namespace {

struct Named {
  const rf_conformance_subject *subject;
};

std::ostream &operator<<(std::ostream &out, const Named &named) {
  return out << named.subject->name;
}

#define RF_NAMED(name) {rf_##name##_subject()},
const Named kAll[] = {RF_SUBJECTS(RF_NAMED)};

std::string name_of(const testing::TestParamInfo<Named> &info) {
  return info.param.subject->name;
}

// ---- Accesses ----

__attribute__((noinline)) unsigned char read_byte(const unsigned char *p) {
  return *static_cast<const volatile unsigned char *>(p);
}

__attribute__((noinline)) uint64_t read_word(const unsigned char *p) {
  return *reinterpret_cast<const volatile uint64_t *>(p);
}

__attribute__((noinline)) void copy_bytes(const unsigned char *p, size_t count) {
  unsigned char copy[64];
  std::memcpy(copy, p, count);
  asm volatile("" : : "r"(copy) : "memory"); // the copy is wanted
}

// Reads without AddressSanitizer's checks.
__attribute__((noinline, no_sanitize("address"))) unsigned char see_byte(const unsigned char *p) {
  return *static_cast<const volatile unsigned char *>(p);
}

// Leaves the byte as it is: the write is carried out, though it was an error.
__attribute__((noinline)) void write_byte(unsigned char *p) {
  unsigned char const there = see_byte(p);
  *static_cast<volatile unsigned char *>(p) = there;
}

bool is_denied(const unsigned char *p) {
  return __asan_address_is_poisoned(p) != 0;
}

class OverSubject : public testing::TestWithParam<Named> {
protected:
  OverSubject()
      : subject_(*GetParam().subject), state_(subject_.state_size / sizeof(std::max_align_t) + 1), arena_(64 * 1024) {
    inner_ = subject_.make(state_.data(), arena_.data(), arena_.size());
  }

  ~OverSubject() override {
    if (inner_ != nullptr) {
      rf_deinit(inner_);
    }
    __asan_set_error_report_callback(nullptr);
  }

  static unsigned char *bytes(void *p) { return static_cast<unsigned char *>(p); }

  rf_conformance_subject const &subject_;
  std::vector<std::max_align_t> state_;
  std::vector<unsigned char> arena_;
  rf_allocator *inner_;
};

// ---- Bare allocators ----

struct Report {
  const void *address;
  bool write;
  size_t size;
};

std::vector<Report> reports;

class Bare : public OverSubject {
protected:
  Bare() {
    reports.clear();
    __asan_set_error_report_callback([](const char *) {
      reports.push_back(
          {__asan_get_report_address(), __asan_get_report_access_type() != 0, __asan_get_report_access_size()});
    });
  }

  // A block between two free ones, where the allocator has order.
  unsigned char *alone(size_t size) {
    void *const before = rf_alloc(inner_, size);
    unsigned char *const p = bytes(rf_alloc(inner_, size));
    void *const behind = rf_alloc(inner_, size);
    EXPECT_EQ(rf_free(inner_, before), RF_OK);
    EXPECT_EQ(rf_free(inner_, behind), RF_OK);
    EXPECT_NE(p, nullptr);
    return p;
  }

  static void expect_exactly(const unsigned char *p, size_t size) {
    for (size_t i = 0; i < size; i++) {
      ASSERT_FALSE(is_denied(p + i)) << "byte " << i << " of " << size;
    }
    for (size_t i = size; i < size + 16; i++) {
      ASSERT_TRUE(is_denied(p + i)) << i - size << " bytes behind a block of " << size;
    }
    for (size_t i = 1; i <= 4; i++) {
      ASSERT_TRUE(is_denied(p - i)) << i << " bytes before a block of " << size;
    }
  }

  static void expect_stopped(const unsigned char *p, bool write) {
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_EQ(reports[0].address, p);
    EXPECT_EQ(reports[0].write, write);
    EXPECT_EQ(reports[0].size, 1U);
    reports.clear();
  }
};

TEST_P(Bare, ABlockIsOpenToTheByteAndNothingElse) {
  for (size_t const size : {1, 3, 7, 8, 9, 13, 16, 24, 31, 40}) {
    unsigned char *const p = alone(size);
    expect_exactly(p, size);
    EXPECT_EQ(rf_free(inner_, p), RF_OK);
  }
}

TEST_P(Bare, WhatIsOutsideIsStoppedAtTheAccess) {
  unsigned char *const p = alone(13);
  read_byte(p);
  read_byte(p + 12);
  write_byte(p + 12);
  EXPECT_TRUE(reports.empty());
  read_byte(p + 13);
  expect_stopped(p + 13, false);
  write_byte(p + 13);
  expect_stopped(p + 13, true);
  read_byte(p - 1);
  expect_stopped(p - 1, false);
  write_byte(p - 1);
  expect_stopped(p - 1, true);
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
}

TEST_P(Bare, AFreedBlockIsStoppedAtTheAccess) {
  unsigned char *const p = alone(13);
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
  read_byte(p);
  expect_stopped(p, false);
  write_byte(p + 12);
  expect_stopped(p + 12, true);
}

TEST_P(Bare, ABlockOfNoBytesHasNone) {
  unsigned char *const p = alone(0);
  EXPECT_TRUE(is_denied(p));
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
}

TEST_P(Bare, AReallocMovesTheBounds) {
  unsigned char *p = alone(13);
  std::memset(p, 0x5A, 13);
  for (size_t const size : {29, 100, 61, 60, 5, 90}) {
    unsigned char *const q = bytes(rf_realloc(inner_, p, size));
    ASSERT_NE(q, nullptr);
    expect_exactly(q, size);
    for (size_t i = 0; i < 5; i++) {
      EXPECT_EQ(read_byte(q + i), 0x5A);
    }
    if (q > p + 13 || q + size < p) {
      EXPECT_TRUE(is_denied(p)) << "the old place";
    }
    std::memset(q, 0x5A, size);
    p = q;
  }
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
  EXPECT_TRUE(reports.empty());
}

TEST_P(Bare, AResizeMovesTheBounds) {
  unsigned char *const p = alone(40);
  if (rf_resize(inner_, p, 21) == RF_OK) {
    expect_exactly(p, 21);
    if (rf_resize(inner_, p, 37) == RF_OK) {
      expect_exactly(p, 37);
    }
  }
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
}

TEST_P(Bare, WhoeverAsksHowMuchThereIsMayUseIt) {
  unsigned char *const p = alone(13);
  size_t const usable = rf_usable_size(inner_, p);
  ASSERT_GE(usable, 13U);
  std::memset(p, 1, usable);
  EXPECT_TRUE(reports.empty());
  EXPECT_TRUE(is_denied(p + usable));
  unsigned char *const q = bytes(rf_realloc(inner_, p, 200));
  ASSERT_NE(q, nullptr);
  EXPECT_FALSE(is_denied(q + 199));
  EXPECT_TRUE(is_denied(q + 200));
  EXPECT_EQ(rf_free(inner_, q), RF_OK);
}

TEST_P(Bare, ARefusedFreeLeavesTheBlockOpen) {
  rf_fault_handler_set([](const rf_fault *, void *) {}, nullptr);
  unsigned char *const p = alone(40);
  EXPECT_NE(rf_free(inner_, p + 16), RF_OK);
  EXPECT_NE(rf_free(inner_, p + 1), RF_OK);
  expect_exactly(p, 40);
  EXPECT_EQ(rf_free(inner_, p), RF_OK);
  rf_fault_handler_set(nullptr, nullptr);
}

TEST_P(Bare, AfterItsEndTheArenaIsTheCallersAgain) {
  rf_alloc(inner_, 13);
  rf_free(inner_, rf_alloc(inner_, 20));
  rf_deinit(inner_);
  inner_ = nullptr;
  EXPECT_EQ(__asan_region_is_poisoned(arena_.data(), arena_.size()), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Asan, Bare, testing::ValuesIn(kAll), name_of);

// ---- Mode asan ----

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

TEST(AsanPages, OfASlabAreOpenUntilTheyAreFreed) {
  alignas(RF_SLAB_LARGEST_PAGE) static unsigned char arena[16 * RF_SLAB_LARGEST_PAGE];
  rf_slab heap;
  ASSERT_EQ(rf_slab_init(&heap, arena, sizeof arena), RF_OK);
  size_t const size = rf_slab_page_size(&heap);
  auto *const p = static_cast<unsigned char *>(rf_slab_alloc_pages(&heap, 3, nullptr));
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(__asan_region_is_poisoned(p, 3 * size), nullptr);
  ASSERT_EQ(rf_slab_free_pages(&heap, p + 2 * size, 1, nullptr), RF_OK);
  EXPECT_EQ(__asan_region_is_poisoned(p, 2 * size), nullptr);
  EXPECT_TRUE(__asan_address_is_poisoned(p + 2 * size));
  EXPECT_TRUE(__asan_address_is_poisoned(p + 3 * size - 1));
  ASSERT_EQ(rf_slab_free_pages(&heap, p, 2, nullptr), RF_OK);
  EXPECT_TRUE(__asan_address_is_poisoned(p));
  rf_deinit(&heap.base);
}

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
