// rf_sample over an allocator of the program's own, which stands in front of a heap that nobody else knows of, and
// takes more from it than it is asked for.
#include "tests/checkers/page_fixture.h"

#include <ringfence/sample.h>

namespace ringfence {
namespace {

constexpr size_t kStep = 64; // bytes

struct Front {
  rf_allocator base;
  rf_allocator *heap;
};

rf_allocator *heap_of(rf_allocator *self) {
  return reinterpret_cast<Front *>(self)->heap;
}

void *front_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  return rf_alloc_at(heap_of(self), (size + kStep - 1) / kStep * kStep, align, site);
}

rf_status front_free(rf_allocator *self, void *ptr, const rf_site *site) {
  return rf_free_at(heap_of(self), ptr, site);
}

rf_status front_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  return rf_walk(heap_of(self), visit, context);
}

class SampleFront : public testing::Test {
protected:
  SampleFront() : arena_(size_t{1} << 20), heap_(arena_.data(), arena_.size()) {
    ops_.name = "front";
    ops_.alloc = front_alloc;
    ops_.free = front_free;
    ops_.walk = front_walk;
    front_ = {{&ops_}, heap_.allocator()};
  }

  ~SampleFront() override {
    rf_deinit(&sample_.base);
    EXPECT_EQ(recorder_.count(), 0U) << "findings that no test took";
  }

  void start(unsigned rate) {
    rf_sample_options options;
    rf_sample_options_default(&options);
    options.rate = rate;
    options.seed = 1;
    options.reporter = recorder_.reporter();
    ASSERT_EQ(rf_sample_init(&sample_, &front_.base, &options), RF_OK);
  }

  std::vector<unsigned char> arena_;
  TlsfHeap heap_;
  rf_allocator_ops ops_ = {};
  Front front_ = {};
  FaultRecorder recorder_;
  rf_sample sample_ = {};
};

// The fault names the heap, which rf_inner does not lead to.
TEST_F(SampleFront, WhatTheHeapBehindRefusesIsAFinding) {
  start(1 << 20);
  void *const p = rf_alloc(&sample_.base, 100);
  EXPECT_EQ(rf_free(&sample_.base, p), RF_OK);
  EXPECT_EQ(rf_free(&sample_.base, p), RF_ERR_NOT_ALLOCATED);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_DOUBLE_FREE);
}

struct Sums {
  size_t used;
  size_t all;
};

bool add(const rf_block *block, void *context) {
  auto *const sums = static_cast<Sums *>(context);
  sums->used += block->used ? block->size : 0;
  sums->all += block->size + block->overhead;
  return true;
}

TEST_F(SampleFront, AWalkCountsWhatWasNotAskedForAsOverhead) {
  start(1);
  void *const p = rf_alloc(&sample_.base, 100);
  ASSERT_TRUE(rf_sample_has(&sample_, p));
  Sums shown = {0, 0};
  Sums below = {0, 0};
  EXPECT_EQ(rf_walk(&sample_.base, add, &shown), RF_OK);
  EXPECT_EQ(rf_walk(&front_.base, add, &below), RF_OK);
  EXPECT_EQ(below.used, 2 * kStep);
  EXPECT_EQ(shown.used, 100U);
  EXPECT_EQ(shown.all, below.all);
  EXPECT_EQ(rf_free(&sample_.base, p), RF_OK);
}

} // namespace
} // namespace ringfence
