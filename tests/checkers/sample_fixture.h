// rf_sample over an allocator, with a reporter that records.
#ifndef RINGFENCE_TESTS_CHECKERS_SAMPLE_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_SAMPLE_FIXTURE_H

#include "tests/checkers/page_fixture.h"

#include <ringfence/sample.h>

#include <vector>

namespace ringfence {

class Sample : public testing::Test {
protected:
  Sample() : arena_(size_t{8} << 20), heap_(arena_.data(), arena_.size()) {
    rf_sample_options_default(&options_);
    options_.seed = 1;
    start(1);
  }

  ~Sample() override {
    end();
    EXPECT_EQ(recorder_.count(), 0U) << "findings that no test took";
  }

  void start(unsigned rate) {
    end();
    options_.rate = rate;
    options_.reporter = recorder_.reporter();
    ASSERT_EQ(rf_sample_init(&sample_, heap_.allocator(), &options_), RF_OK);
    made_ = true;
  }

  void end() {
    if (made_) {
      sample_.base.ops->deinit(&sample_.base);
      made_ = false;
    }
  }

  rf_finding take_one() {
    std::vector<rf_finding> const found = recorder_.take();
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? rf_finding{} : found.front();
  }

  rf_allocator *a() { return &sample_.base; }

  std::vector<unsigned char> arena_;
  TlsfHeap heap_;
  FaultRecorder recorder_;
  rf_sample sample_ = {};
  rf_sample_options options_ = {};
  bool made_ = false;
};

// The stand-ins of sampled blocks, as the heap below has them.
inline std::vector<void *> used_blocks(rf_allocator *heap) {
  std::vector<void *> found;
  auto const note = [](const rf_block *block, void *context) {
    if (block->used) {
      static_cast<std::vector<void *> *>(context)->push_back(block->ptr);
    }
    return true;
  };
  EXPECT_EQ(rf_walk(heap, note, &found), RF_OK);
  return found;
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_SAMPLE_FIXTURE_H
