// AWTK's macros for numbers of a kind, which are others in code with sites than without: for tests of both.
#ifndef RINGFENCE_TESTS_COMPAT_AWTK_NUMBERS_H
#define RINGFENCE_TESTS_COMPAT_AWTK_NUMBERS_H

#include "tkc/mem.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ringfence_test {

// The numbers are cleared, and their product does not wrap. The program's heap is in the buffer from then on.
inline void expect_numbers(void *buffer, uint32_t size) {
  ASSERT_EQ(RET_OK, tk_mem_init(buffer, size));
  char *used = static_cast<char *>(TKMEM_ALLOC(2000));
  ASSERT_NE(nullptr, used);
  std::fill(used, used + 2000, 0x5c);
  TKMEM_FREE(used);
  uint32_t const many = UINT32_MAX / 8 + 2; // 8 bytes more than 4 GiB
  EXPECT_EQ(nullptr, TKMEM_ZALLOCN(uint64_t, many));
  uint64_t *numbers = TKMEM_ZALLOCN(uint64_t, 100);
  ASSERT_NE(nullptr, numbers);
  EXPECT_EQ(100, std::count(numbers, numbers + 100, 0U));
  EXPECT_EQ(nullptr, TKMEM_REALLOCT(uint64_t, numbers, many));
  EXPECT_EQ(0U, numbers[99]);
  TKMEM_FREE(numbers);
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_COMPAT_AWTK_NUMBERS_H
