// GoAhead's allocator: code of all three generations of names, opening and closing, what is refused, statistics, a
// checker.
#include "goahead_app.h"

#include "goahead.h"

#include <gtest/gtest.h>
#include <ringfence/guard.h>
#include <ringfence/tlsf.h>

#include <climits>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/core/recorder.h"

namespace {

class GoAhead : public ::testing::Test {
protected:
  ringfence::testing::FaultRecorder faults_;

  void TearDown() override {
    EXPECT_EQ(nullptr, rf_goahead_allocator());
    rf_goahead_malloc_set(nullptr);
    websSetMemNotifier(nullptr);
  }

  rf_status fault() { return faults_.take(); }

  alignas(16) char buffer[8192];
};

// ---- As written for the originals ----

TEST_F(GoAhead, CodeWithTheShortNamesRuns) {
  EXPECT_EQ(0, short_names());
}

TEST_F(GoAhead, CodeWithTheNamesOfVersion3Runs) {
  EXPECT_EQ(0, walloc_names());
}

TEST_F(GoAhead, CodeWithTheNamesOfVersion2Runs) {
  EXPECT_EQ(0, balloc_names());
  EXPECT_EQ(0, balloc_names_without_places());
  EXPECT_EQ(0, uemf_names());
}

TEST_F(GoAhead, CodeWithTheNamesOfVersion30Runs) {
  EXPECT_EQ(0, galloc_names());
}

// ---- Opening and closing ----

TEST_F(GoAhead, OpensAreCountedAndTheFirstOpenersFlagsStay) {
  ASSERT_EQ(0, openAlloc(buffer, sizeof buffer, 0));
  EXPECT_EQ(0, openAlloc(nullptr, 0, USE_MALLOC));
  EXPECT_EQ(0, openAlloc(nullptr, -1, USE_MALLOC));
  EXPECT_EQ(nullptr, walloc(70000));
  closeAlloc();
  closeAlloc();
  void *const p = walloc(10);
  EXPECT_NE(nullptr, p);
  wfree(p);
  closeAlloc();
  EXPECT_EQ(nullptr, rf_goahead_allocator());
}

// That a buffer is the program's is known without a flag, and says nothing about malloc.
TEST_F(GoAhead, FlagsAreLookedAtOneByOne) {
  ASSERT_EQ(0, wopenAlloc(buffer, sizeof buffer, WEBS_USER_BUF));
  EXPECT_EQ(nullptr, walloc(70000));
  wcloseAlloc();
  ASSERT_EQ(0, wopenAlloc(buffer, sizeof buffer, WEBS_USER_BUF | WEBS_USE_MALLOC));
  void *const p = walloc(70000);
  EXPECT_NE(nullptr, p);
  wfree(p);
  wcloseAlloc();
}

TEST_F(GoAhead, AFirstAllocationOpensByDefaultWithoutMalloc) {
  void *const p = walloc(10);
  ASSERT_NE(nullptr, p);
  EXPECT_EQ(nullptr, walloc(70000));
  wfree(p);
  wcloseAlloc();
}

TEST_F(GoAhead, ACloseTooManyDoesNothing) {
  wcloseAlloc();
  ASSERT_EQ(0, wopenAlloc(buffer, sizeof buffer, 0));
  wcloseAlloc();
  wcloseAlloc();
  EXPECT_EQ(0, wopenAlloc(buffer, sizeof buffer, 0));
  EXPECT_NE(nullptr, rf_goahead_allocator());
  wcloseAlloc();
}

TEST_F(GoAhead, AnOpenThatCannotBeGivesMinusOneAndCountsNothing) {
  EXPECT_EQ(-1, wopenAlloc(buffer, -1, 0));
  EXPECT_EQ(-1, wopenAlloc(buffer, 8, 0));
  EXPECT_EQ(-1, wopenAlloc(buffer, 0, 0));
  EXPECT_EQ(-1, wopenAlloc(nullptr, 8, 0));
  EXPECT_EQ(-1, wopenAlloc(nullptr, -64, WEBS_USE_MALLOC));
  EXPECT_EQ(nullptr, rf_goahead_allocator());
}

TEST_F(GoAhead, AnOpenThatCannotBeGivesItsMemoryBack) {
  rf_tlsf heap;
  ASSERT_EQ(RF_OK, rf_tlsf_init(&heap, buffer, sizeof buffer));
  rf_goahead_malloc_set(&heap.base);
  EXPECT_EQ(-1, wopenAlloc(nullptr, 8, 0));
  EXPECT_EQ(-1, wopenAlloc(nullptr, 8, WEBS_USE_MALLOC));
  rf_stats s;
  rf_stats_get(&heap.base, &s);
  EXPECT_EQ(2U, s.allocations);
  EXPECT_EQ(0U, s.blocks);
}

TEST_F(GoAhead, TheBufferGoesBackToTheAllocatorThatItCameFrom) {
  alignas(16) static unsigned char arenas[2][1 << 16];
  rf_tlsf heaps[2];
  rf_stats s;
  for (int i = 0; i < 2; i++) {
    ASSERT_EQ(RF_OK, rf_tlsf_init(&heaps[i], arenas[i], sizeof arenas[i]));
  }
  rf_goahead_malloc_set(&heaps[0].base);
  ASSERT_EQ(0, wopenAlloc(nullptr, 4096, 0));
  rf_goahead_malloc_set(&heaps[1].base);
  wcloseAlloc();
  rf_stats_get(&heaps[0].base, &s);
  EXPECT_EQ(1U, s.allocations);
  EXPECT_EQ(0U, s.blocks);
}

TEST_F(GoAhead, EverythingMallocedIsGivenBackAtTheLastCloseAndLeaksAreListed) {
  alignas(16) static unsigned char arena[1 << 19];
  rf_tlsf heap;
  ASSERT_EQ(RF_OK, rf_tlsf_init(&heap, arena, sizeof arena));
  rf_goahead_malloc_set(&heap.base);
  ASSERT_EQ(0, wopenAlloc(nullptr, 4096, WEBS_USE_MALLOC));
  for (int i = 0; i < 10; i++) {
    ASSERT_NE(nullptr, walloc(2000));
  }
  ASSERT_NE(nullptr, walloc(100000));
  testing::internal::CaptureStderr();
  wcloseAlloc();
  std::string const text = testing::internal::GetCapturedStderr();
  EXPECT_NE(std::string::npos, text.find("live: 100000 bytes at 0x")) << text;
  rf_stats s;
  rf_stats_get(&heap.base, &s);
  EXPECT_EQ(0U, s.blocks);
}

TEST_F(GoAhead, SizesAtWhichTheOriginalWrapsAreNotServed) {
  static ssize failed;
  websSetMemNotifier([](ssize size) { failed = size; });
  ASSERT_EQ(0, wopenAlloc(buffer, sizeof buffer, WEBS_USE_MALLOC));
  EXPECT_EQ(nullptr, walloc(INT_MAX));
  EXPECT_EQ(INT_MAX, failed);
  EXPECT_EQ(nullptr, walloc(RF_GOAHEAD_LARGEST + 1));
  EXPECT_EQ(RF_GOAHEAD_LARGEST + 1, failed);
  void *const p = walloc(10);
  EXPECT_EQ(nullptr, wrealloc(p, INT_MAX));
  EXPECT_EQ(INT_MAX, failed);
  EXPECT_EQ(nullptr, wrealloc(p, RF_GOAHEAD_LARGEST + 1));
  EXPECT_EQ(RF_GOAHEAD_LARGEST + 1, failed);
  wfree(p);
  wcloseAlloc();
}

TEST_F(GoAhead, WhereMallocHasNoMemoryAnOpenFailsAndASmallerOneMaySucceed) {
  alignas(16) unsigned char arena[4096];
  rf_tlsf heap;
  ASSERT_EQ(RF_OK, rf_tlsf_init(&heap, arena, sizeof arena));
  rf_goahead_malloc_set(&heap.base);
  EXPECT_EQ(-1, wopenAlloc(nullptr, 0, 0));
  EXPECT_EQ(nullptr, walloc(1));
  EXPECT_EQ(0, wopenAlloc(nullptr, 2048, 0));
  wcloseAlloc();
}

TEST_F(GoAhead, EachOfManyOpensIsCounted) {
  for (int i = 0; i < 300; i++) {
    ASSERT_EQ(0, wopenAlloc(buffer, sizeof buffer, 0));
  }
  for (int i = 0; i < 300; i++) {
    EXPECT_NE(nullptr, rf_goahead_allocator()) << i;
    wcloseAlloc();
  }
}

// Whether blocks are listed depends on what the heap was opened with, not on what the next one is to have.
TEST_F(GoAhead, LeaksAreListedWhereNothingIsAroundTheHeap) {
  ASSERT_EQ(0, wopenAlloc(buffer, sizeof buffer, 0));
  ASSERT_NE(nullptr, walloc(100));
  rf_goahead_wrap_set([](rf_allocator *heap, void *) { return heap; }, nullptr);
  for (int i = 0; i < 2; i++) {
    testing::internal::CaptureStderr();
    wcloseAlloc();
    EXPECT_NE(std::string::npos, testing::internal::GetCapturedStderr().find("live: 100 bytes")) << i;
    if (i == 0) {
      ASSERT_EQ(0, wopenAlloc(buffer, sizeof buffer, 0));
      ASSERT_NE(nullptr, walloc(100));
    }
  }
  rf_goahead_wrap_set(nullptr, nullptr);
}

// ---- Blocks ----

ssize the_notified;

std::vector<size_t> the_sizes;

// malloc is asked for the largest size, and not for more; whoever is told of it is told the whole size.
TEST_F(GoAhead, TheLargestSizeIsStillAskedFor) {
  rf_tlsf heap;
  ASSERT_EQ(RF_OK, rf_tlsf_init(&heap, buffer, sizeof buffer));
  rf_allocator_ops ops = *heap.base.ops;
  ops.alloc = [](rf_allocator *, size_t size, size_t, const rf_site *) {
    the_sizes.push_back(size);
    return static_cast<void *>(nullptr);
  };
  heap.base.ops = &ops;
  rf_goahead_malloc_set(&heap.base);
  websSetMemNotifier([](ssize size) { the_notified = size; });
  alignas(16) static char own[4096];
  ASSERT_EQ(0, wopenAlloc(own, sizeof own, WEBS_USE_MALLOC));
  the_sizes.clear();
  EXPECT_EQ(nullptr, walloc(RF_GOAHEAD_LARGEST));
  ASSERT_EQ(1U, the_sizes.size());
  EXPECT_LE(static_cast<size_t>(RF_GOAHEAD_LARGEST), the_sizes[0]);
  EXPECT_EQ(RF_GOAHEAD_LARGEST, the_notified);
  ssize const larger = sizeof(ssize) > 4 ? PTRDIFF_MAX / 4 : RF_GOAHEAD_LARGEST + 1;
  EXPECT_EQ(nullptr, walloc(larger));
  EXPECT_EQ(larger, the_notified);
  EXPECT_EQ(1U, the_sizes.size());
  wcloseAlloc();
}

TEST_F(GoAhead, TheNotifierIsToldTheSizeThatFailed) {
  websSetMemNotifier([](ssize size) { the_notified = size; });
  ASSERT_EQ(0, wopenAlloc(buffer, sizeof buffer, 0));
  void *const p = walloc(10);
  EXPECT_EQ(nullptr, walloc(65537));
  EXPECT_EQ(65537, the_notified);
  EXPECT_EQ(nullptr, wrealloc(p, 65538));
  EXPECT_EQ(65538, the_notified);
  EXPECT_EQ(nullptr, walloc(-5));
  EXPECT_EQ(65538, the_notified);
  EXPECT_EQ(nullptr, wdup(buffer, SIZE_MAX));
  wfree(p);
  wcloseAlloc();
}

TEST_F(GoAhead, ABadFreeIsRefusedOfMallocedBlocksToo) {
  ASSERT_EQ(0, wopenAlloc(nullptr, 0, WEBS_USE_MALLOC));
  auto *const p = static_cast<char *>(walloc(100));
  auto *const keep = static_cast<char *>(walloc(100));
  auto *const q = static_cast<char *>(walloc(100000));
  wfree(p + 4);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  wfree(buffer);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  wfree(p);
  wfree(p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  wfree(q);
  wfree(q);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  EXPECT_EQ(nullptr, wrealloc(q, 5));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  wfree(keep);
  wcloseAlloc();
  wfree(keep);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  EXPECT_EQ(nullptr, wrealloc(keep, 5));
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
}

TEST_F(GoAhead, WvalidReportsWhatIsNoLiveBlock) {
  ASSERT_EQ(0, wopenAlloc(buffer, sizeof buffer, WEBS_USE_MALLOC));
  auto *const p = static_cast<char *>(walloc(0));
  auto *const q = static_cast<char *>(walloc(100000));
  wvalid(p);
  wvalid(q);
  EXPECT_EQ(RF_OK, fault());
  wvalid(q + 8);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  wfree(p);
  wvalid(p);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  wfree(q);
  wcloseAlloc();
  wvalid(p);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
}

// ---- Statistics ----

std::string the_text;

void collect(int handle, char *fmt, ...) {
  char line[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(line, sizeof line, fmt, args);
  va_end(args);
  the_text += line;
  EXPECT_EQ(7, handle);
}

TEST_F(GoAhead, StatisticsAreWrittenByTheCallersFunction) {
  static const rf_site here = {"page.c", "render", 40};
  the_text.clear();
  bstats(7, collect);
  EXPECT_EQ("", the_text);
  ASSERT_EQ(0, bopen(buffer, sizeof buffer, 0));
  void *const p = rf_goahead_alloc_at(100, &here);
  bstats(7, collect);
  EXPECT_NE(std::string::npos, the_text.find("    128       1       0\n")) << the_text;
  EXPECT_NE(std::string::npos, the_text.find("      1     100     100            1  page.c:40\n")) << the_text;
  testing::internal::CaptureStderr();
  bstats(7, nullptr);
  EXPECT_EQ(the_text, testing::internal::GetCapturedStderr());
  wfree(p);
  bclose();
}

// ---- With a checker around the heap ----

std::vector<std::string> the_findings;

rf_action note(rf_reporter *, const rf_finding *f) {
  the_findings.push_back(rf_bug_name(f->bug));
  return RF_ACTION_CONTINUE;
}

rf_guard the_guard;
rf_reporter the_reporter;

rf_allocator *wrap(rf_allocator *heap, void *) {
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.reporter = &the_reporter;
  return rf_guard_init(&the_guard, heap, &options) == RF_OK ? &the_guard.base : heap;
}

TEST_F(GoAhead, AWriteBeyondABlockIsFoundOnceAGuardIsAround) {
  the_findings.clear();
  the_reporter = {note, nullptr, RF_EXITCODE_DEFAULT, 0};
  rf_goahead_wrap_set(wrap, nullptr);
  ASSERT_EQ(0, openAlloc(buffer, sizeof buffer, 0));
  auto *const p = static_cast<char *>(alloc(13));
  ASSERT_NE(nullptr, p);
  p[13] = 'x';
  wfree(p);
  closeAlloc();
  rf_goahead_wrap_set(nullptr, nullptr);
  ASSERT_EQ(1U, the_findings.size());
  EXPECT_NE(std::string::npos, the_findings[0].find("overflow")) << the_findings[0];
}

TEST_F(GoAhead, TheNumbersAreThoseOfTheOriginals) {
  EXPECT_EQ(WEBS_USE_MALLOC, 1);
  EXPECT_EQ(WEBS_USER_BUF, 2);
  EXPECT_EQ(WEBS_DEFAULT_MEM, 65536);
  EXPECT_EQ(WEBS_MAX_CLASS, 13);
  EXPECT_EQ(WEBS_SHIFT, 4);
  EXPECT_EQ(WEBS_ROUND, 15);
  EXPECT_EQ(WEBS_MALLOCED, 0x80000000U);
  EXPECT_EQ(WEBS_FILL_CHAR, 0x77);
  EXPECT_EQ(WEBS_FILL_WORD, 0x77777777);
  EXPECT_EQ(WEBS_INTEGRITY, 0x08124000);
  EXPECT_EQ(WEBS_INTEGRITY_MASK, 0x0FFFF000);
  EXPECT_EQ(WEBS_MAX_FILES, 512);
  EXPECT_EQ(WEBS_MAX_BLOCKS, 65536);
  EXPECT_EQ(RF_GOAHEAD_LARGEST, 1073741824);
}

} // namespace
