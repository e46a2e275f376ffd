// rf_sample where no unwinder tells which calls are under way: the stack nearby is searched for the one that was noted.
#include "tests/checkers/heaps.h"
#include "tests/checkers/page_fixture.h"
#include "tests/checkers/recorder.h"
#include "tests/checkers/with_frame_pointer.h"

#include <ringfence/sample.h>

#include <gtest/gtest.h>

#include <vector>

extern "C" {
unsigned __wrap_rf_host_unwind(uintptr_t *frames, unsigned max);
}

static unsigned times_asked;

unsigned __wrap_rf_host_unwind(uintptr_t * /*frames*/, unsigned /*max*/) {
  times_asked++;
  return 0;
}

namespace ringfence {
namespace {

// Leaves nothing of ended calls on the stack.
__attribute__((noinline)) void clear_below() {
  volatile unsigned char bytes[16384];
  for (volatile unsigned char &b : bytes) {
    b = 0;
  }
}

TEST(SampleUnwound, AMisuseOfTheInnerAllocatorIsNotThatOfACallThatHasEnded) {
  std::vector<unsigned char> arena(size_t{8} << 20);
  TlsfHeap heap(arena.data(), arena.size());
  Recorder recorder;
  rf_sample_options options;
  rf_sample_options_default(&options);
  options.rate = 1 << 20;
  options.reporter = recorder.reporter();
  rf_sample sample;
  ASSERT_EQ(rf_sample_init(&sample, heap.allocator(), &options), RF_OK);
  unsigned faults = 0;
  rf_fault_handler_set([](const rf_fault *, void *context) { ++*static_cast<unsigned *>(context); }, &faults);
  void *const p = rf_alloc(heap.allocator(), 100);
  EXPECT_EQ(rf_free(heap.allocator(), p), RF_OK);
  rf_free(&sample.base, rf_alloc(&sample.base, 5000)); // noted, and over
  clear_below();
  times_asked = 0;
  EXPECT_EQ(rf_realloc(heap.allocator(), p, 200), nullptr); // by another way than the call before
  EXPECT_EQ(times_asked, 1U) << "whether the noted call is under way";
  EXPECT_EQ(faults, 1U) << "it is the program's own";
  EXPECT_EQ(recorder.count(), 0U);
  void *const q = rf_alloc(&sample.base, 100);
  rf_free(&sample.base, q);
  EXPECT_EQ(rf_free(&sample.base, q), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(recorder.take().size(), 1U) << "that of a call that is under way is found";
  EXPECT_EQ(faults, 1U);
  rf_fault_handler_set(nullptr, nullptr);
  sample.base.ops->deinit(&sample.base);
}

#if defined(__x86_64__)

TEST(SampleUnwound, AFaultOfCodeWithoutFramePointersIsToldWhateverItsRegisterForThemHolds) {
  std::vector<unsigned char> arena(size_t{8} << 20);
  TlsfHeap heap(arena.data(), arena.size());
  FaultRecorder recorder;
  rf_page_options options;
  rf_page_options_default(&options);
  options.reporter = recorder.reporter();
  rf_page page;
  ASSERT_EQ(rf_page_init(&page, heap.allocator(), &options), RF_OK);
  auto *const p = static_cast<unsigned char *>(rf_alloc(&page.base, 5000));
  auto *const q = static_cast<unsigned char *>(rf_alloc(&page.base, 5000));
  rf_free(&page.base, p);
  rf_free(&page.base, q);
  with_frame_pointer(q - past_page(q), touch_byte, reinterpret_cast<uintptr_t>(p), 0, 0, 0);
  std::vector<rf_finding> const found = recorder.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].address, reinterpret_cast<uintptr_t>(p)) << "and no other page was touched by the report";
  EXPECT_EQ(found[0].found.depth, 1U);
  page.base.ops->deinit(&page.base);
}

#endif

} // namespace
} // namespace ringfence
