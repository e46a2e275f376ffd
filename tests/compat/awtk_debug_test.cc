// The program's heap with ENABLE_MEM_LEAK_CHECK, in code that records where it calls.
#include "awtk_numbers.h"

#include "tkc/mem.h"
#include "tkc/mem_allocator.h"

#include <gtest/gtest.h>

#include <string>

namespace {

class AwtkDebug : public ::testing::Test {
protected:
  void SetUp() override { rf_awtk_output(&sink); }
  void TearDown() override {
    rf_awtk_mem_deinit();
    rf_awtk_output(nullptr);
  }

  static void write(void *context, const char *text, size_t len) {
    static_cast<AwtkDebug *>(context)->output.append(text, len);
  }

  // Whether the output names the call on this line of this file, in the function that runs.
  bool names(int line) const {
    return output.find("awtk_debug_test.cc:" + std::to_string(line) + " in TestBody") != std::string::npos;
  }

  std::string output;
  rf_sink sink = {write, this};
  alignas(16) char buffer[64 * 1024];
};

TEST_F(AwtkDebug, ADumpNamesTheCallOfEachBlock) {
  ASSERT_EQ(RET_OK, tk_mem_init(buffer, sizeof buffer));
  ASSERT_EQ(RET_OK, tk_mem_init_stage2());
  int const line = __LINE__;
  void *one = TKMEM_ALLOC(100);
  uint32_t *two = TKMEM_ZALLOC(uint32_t);
  uint32_t *three = TKMEM_ZALLOCN(uint32_t, 10);
  void *four = TKMEM_CALLOC(3, 5);
  three = TKMEM_REALLOCT(uint32_t, three, 30);
  four = TKMEM_REALLOC(four, 200);
  tk_mem_dump();
  EXPECT_TRUE(names(line + 1)) << output;
  EXPECT_TRUE(names(line + 2));
  EXPECT_TRUE(names(line + 5));
  EXPECT_TRUE(names(line + 6));
  TKMEM_FREE(one);
  TKMEM_FREE(two);
  TKMEM_FREE(three);
  TKMEM_FREE(four);
  EXPECT_EQ(nullptr, one);
  EXPECT_EQ(nullptr, four);
  output.clear();
  rf_awtk_mem_deinit();
  EXPECT_EQ("", output);
}

TEST_F(AwtkDebug, NumbersOfAKindAreClearedAndTheirProductDoesNotWrap) {
  ringfence_test::expect_numbers(buffer, sizeof buffer);
}

TEST_F(AwtkDebug, WhatWasNotFreedIsListedAtTheEndOverMallocToo) {
  int const line = __LINE__;
  void *const leaked = TKMEM_ALLOC(100);
  ASSERT_NE(nullptr, leaked);
  rf_awtk_mem_deinit();
  EXPECT_EQ(0U, output.find("leaked: ")) << output;
  EXPECT_TRUE(names(line + 1));
}

} // namespace
