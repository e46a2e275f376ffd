#include "checkers/shared/fill.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace ringfence {
namespace {

constexpr unsigned char kByte = 0xCC;
constexpr size_t kMost = 150;

TEST(Filled, EverySizeAtEveryPlaceIsSeenToItsLastByte) {
  for (size_t start = 0; start < 9; start++) {
    for (size_t size = 0; size < kMost; size++) {
      // What is around it must not count.
      std::vector<unsigned char> memory(kMost + 32, 0x11);
      std::fill_n(memory.begin() + static_cast<ptrdiff_t>(start), size, kByte);
      ASSERT_TRUE(rf_filled(memory.data() + start, size, kByte)) << start << " " << size;
      for (size_t i = 0; i < size; i++) {
        for (int const bit : {0x01, 0x80}) {
          memory[start + i] ^= static_cast<unsigned char>(bit);
          ASSERT_FALSE(rf_filled(memory.data() + start, size, kByte)) << start << " " << size << " " << i;
          memory[start + i] ^= static_cast<unsigned char>(bit);
        }
      }
    }
  }
}

TEST(Fill, WritesExactlyWhatItIsTold) {
  for (size_t start = 0; start < 9; start++) {
    for (size_t size = 0; size < kMost; size++) {
      std::vector<unsigned char> memory(kMost + 32, 0x11);
      rf_fill(memory.data() + start, size, kByte);
      for (size_t i = 0; i < memory.size(); i++) {
        ASSERT_EQ(memory[i], i >= start && i < start + size ? kByte : 0x11) << start << " " << size << " " << i;
      }
    }
  }
}

TEST(Disturbed, IsFromTheFirstToTheLastOtherByte) {
  std::vector<unsigned char> memory(20, kByte);
  size_t first = 99;
  EXPECT_EQ(rf_disturbed(memory.data(), 20, kByte, &first), 0U);
  memory[3] = 0;
  EXPECT_EQ(rf_disturbed(memory.data(), 20, kByte, &first), 1U);
  EXPECT_EQ(first, 3U);
  memory[11] = 0;
  EXPECT_EQ(rf_disturbed(memory.data(), 20, kByte, &first), 9U);
  EXPECT_EQ(first, 3U);
  memory[0] = memory[19] = 0;
  EXPECT_EQ(rf_disturbed(memory.data(), 20, kByte, &first), 20U);
  EXPECT_EQ(first, 0U);
  EXPECT_EQ(rf_disturbed(memory.data(), 0, kByte, &first), 0U);
}

} // namespace
} // namespace ringfence
