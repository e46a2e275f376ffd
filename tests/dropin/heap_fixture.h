// The heap of the drop-in as an allocator, with a reporter that records.
#ifndef RINGFENCE_TESTS_DROPIN_HEAP_FIXTURE_H
#define RINGFENCE_TESTS_DROPIN_HEAP_FIXTURE_H

#include "checkers/dropin/heap/testing/as_allocator.h"
#include "tests/checkers/recorder.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

namespace ringfence {

inline const size_t kSizes[] = {0, 1, 15, 16, 17, 40, 100, 240, 241, 1000, 5000, 30000, 32752, 32753, 100000, 2000000};

class DropinHeap : public testing::Test {
protected:
  DropinHeap() {
    rf_guard_options_default(&options_);
    options_.reporter = recorder_.reporter();
    heap_ = rf_heap_as_allocator(&options_);
  }

  ~DropinHeap() override { rf_deinit(heap_); }

  unsigned char *make(size_t size, size_t align = 16) {
    auto *const p = static_cast<unsigned char *>(rf_alloc_at(heap_, size, align, nullptr));
    EXPECT_NE(p, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % align, 0U);
    memset(p, 1, size);
    return p;
  }

  // By their addresses: some lie side by side.
  std::vector<unsigned char *> make_sorted(size_t count, size_t size) {
    std::vector<unsigned char *> blocks(count);
    std::generate(blocks.begin(), blocks.end(), [&] { return make(size); });
    std::sort(blocks.begin(), blocks.end());
    return blocks;
  }

  void expect_one(rf_bug bug, const unsigned char *block, size_t size, ptrdiff_t offset, size_t bytes,
                  const char *detail) {
    std::vector<rf_finding> const found = recorder_.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].bug, bug);
    EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(block));
    EXPECT_EQ(found[0].size, size);
    EXPECT_EQ(found[0].offset, offset);
    EXPECT_EQ(found[0].access_size, bytes);
    EXPECT_STREQ(found[0].detail, detail);
  }

  // Nothing is left of it, and a second look finds nothing.
  void expect_mended() {
    EXPECT_EQ(rf_heap_as_allocator_sweep(), 0U);
    EXPECT_EQ(recorder_.count(), 0U);
  }

  Recorder recorder_;
  rf_guard_options options_{};
  rf_allocator *heap_ = nullptr;
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_DROPIN_HEAP_FIXTURE_H
