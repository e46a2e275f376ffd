// AWTK's memory management with what it prints and the faults that it reports.
#ifndef RINGFENCE_TESTS_COMPAT_AWTK_FIXTURE_H
#define RINGFENCE_TESTS_COMPAT_AWTK_FIXTURE_H

#include "tkc/mem.h"
#include "tkc/mem_allocator.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/core/recorder.h"

namespace ringfence_test {

class Awtk : public ::testing::Test {
protected:
  ringfence::testing::FaultRecorder faults_;

  void SetUp() override { rf_awtk_output(&sink); }
  void TearDown() override {
    rf_awtk_mem_deinit();
    rf_awtk_wrap_set(nullptr, nullptr);
    tk_mem_set_on_out_of_memory(nullptr, nullptr);
    rf_awtk_output(nullptr);
    EXPECT_TRUE(faults_.faults().empty());
  }

  rf_status fault() { return faults_.take(); }

  static void write(void *context, const char *text, size_t len) {
    static_cast<Awtk *>(context)->output.append(text, len);
  }

  std::string output;
  rf_sink sink = {write, this};
  alignas(16) char buffer[200 * 1024];
};

inline void *alloc(mem_allocator_t *allocator, uint32_t size) {
  return mem_allocator_alloc(allocator, size, __FUNCTION__, __LINE__);
}

inline void *realloc_to(mem_allocator_t *allocator, void *ptr, uint32_t size) {
  return mem_allocator_realloc(allocator, ptr, size, __FUNCTION__, __LINE__);
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_COMPAT_AWTK_FIXTURE_H
