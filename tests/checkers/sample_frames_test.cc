// Stacks of sampled blocks where the program has no frame pointers, and rf_sample's own operations have none.
#include "tests/checkers/sample_fixture.h"
#include "tests/checkers/with_frame_pointer.h"

#if defined(__x86_64__)

#include <algorithm>

// sample_slow_paths.c
extern "C" {
void *slow_sample_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site);
rf_status slow_sample_free(rf_allocator *self, void *ptr, const rf_site *site);
void *slow_sample_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site);
}

namespace ringfence {
namespace {

template <typename Function> void (*as_call(Function *function))() {
  return reinterpret_cast<void (*)()>(function);
}

class SampleFrames : public Sample {
protected:
  SampleFrames() : stacks_(size_t{1} << 20) {
    EXPECT_EQ(rf_stack_depot_init(&depot_, stacks_.data(), stacks_.size()), RF_OK);
    options_.depot = &depot_;
    options_.stack_depth = RF_TRACE_DEPTH;
    start(1);
  }

  ~SampleFrames() override { end(); }

  uintptr_t allocate(const void *frame) {
    return with_frame_pointer(frame, as_call(slow_sample_alloc), reinterpret_cast<uintptr_t>(a()), 100, 8, 0);
  }

  uintptr_t reallocate(const void *frame, uintptr_t p) {
    return with_frame_pointer(frame, as_call(slow_sample_realloc), reinterpret_cast<uintptr_t>(a()), p, 5000, 8);
  }

  void release(const void *frame, uintptr_t p) {
    with_frame_pointer(frame, as_call(slow_sample_free), reinterpret_cast<uintptr_t>(a()), p, 0, 0);
  }

  // The start of a closed page: a read of it is a finding.
  const void *closed_page() {
    uintptr_t const p = allocate(nullptr);
    release(nullptr, p);
    return reinterpret_cast<const void *>(p & ~(page_size() - 1));
  }

  // A block that was allocated, moved and freed with `frame` in the register, and freed once more.
  rf_finding double_free(const void *frame) {
    uintptr_t const p = reallocate(frame, allocate(frame));
    release(frame, p);
    EXPECT_EQ(recorder_.count(), 0U) << "nothing is wrong so far";
    release(frame, p);
    return take_one();
  }

  std::vector<unsigned char> stacks_;
  rf_stack_depot depot_ = {};
};

void expect_same(const rf_trace &trace, const rf_trace &expected) {
  EXPECT_GT(trace.depth, 3U);
  ASSERT_EQ(trace.depth, expected.depth);
  EXPECT_TRUE(std::equal(trace.frames, trace.frames + trace.depth, expected.frames));
}

TEST_F(SampleFrames, AreThoseOfTheProgramWhateverItHasInTheRegisterForFramePointers) {
  uintptr_t const local[4] = {1, 2, 3, 4};
  const auto *const low = reinterpret_cast<const void *>(uintptr_t{64}); // NOLINT(performance-no-int-to-ptr)
  const void *const values[] = {nullptr, closed_page(), low, local, &arena_[4096], &arena_[4097]};
  rf_finding first = {};
  for (const void *const value : values) {
    rf_finding const found = double_free(value);
    ASSERT_EQ(found.bug, RF_BUG_DOUBLE_FREE);
    first = value == values[0] ? found : first;
    expect_same(found.allocated, first.allocated);
    expect_same(found.released, first.released);
    expect_same(found.found, first.found);
  }
}

} // namespace
} // namespace ringfence

#endif
