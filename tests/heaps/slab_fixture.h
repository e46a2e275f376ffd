// slab over an arena of its own.
#ifndef RINGFENCE_TESTS_HEAPS_SLAB_FIXTURE_H
#define RINGFENCE_TESTS_HEAPS_SLAB_FIXTURE_H

#include <ringfence/slab.h>

#include "tests/heaps/support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <new>

namespace ringfence::testing {

constexpr size_t kG = RF_ALIGN_DEFAULT;
constexpr size_t kMiB = size_t{1} << 20;

// A heap whose end is a test of it.
class Heap {
public:
  explicit Heap(size_t size, size_t page = 0)
      : arena_(static_cast<unsigned char *>(::operator new (size, std::align_val_t{4096}))), a(&heap.base) {
    EXPECT_EQ(RF_OK, page == 0 ? rf_slab_init(&heap, arena_.get(), size)
                               : rf_slab_init_paged(&heap, arena_.get(), size, page));
    before_ = stats(a);
  }
  ~Heap() {
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    rf_deinit(a);
  }
  Heap(const Heap &) = delete;
  Heap &operator=(const Heap &) = delete;

  unsigned char *alloc(size_t size, size_t align = kG) {
    auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(a, align, size));
    EXPECT_NE(nullptr, p);
    return p;
  }
  void expect_as_after_init() {
    rf_stats const now = stats(a);
    EXPECT_EQ(before_.largest_free, now.largest_free);
    EXPECT_EQ(before_.free_bytes, now.free_bytes);
    EXPECT_EQ(before_.overhead, now.overhead);
    EXPECT_EQ(0U, now.blocks);
    EXPECT_EQ(1U, walk(a).size());
  }
  size_t kept() const {
    return static_cast<size_t>(
        std::count_if(heap.reserve, heap.reserve + RF_SLAB_RESERVE, [](uint32_t page) { return page != UINT32_MAX; }));
  }

private:
  struct Delete {
    void operator()(unsigned char *p) const { ::operator delete (p, std::align_val_t{4096}); }
  };
  std::unique_ptr<unsigned char, Delete> arena_;
  rf_stats before_ = {};

public:
  rf_slab heap;
  rf_allocator *a;
};

} // namespace ringfence::testing

#endif // RINGFENCE_TESTS_HEAPS_SLAB_FIXTURE_H
