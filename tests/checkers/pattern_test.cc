#include "checkers/shared/pattern.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace ringfence {
namespace {

constexpr unsigned char kByte = 0xCC;
constexpr size_t kMost = 150;

TEST(Holds, EverySizeAtEveryPlaceIsSeenToItsLastByte) {
  for (size_t start = 0; start < 9; start++) {
    for (size_t size = 0; size < kMost; size++) {
      // The bytes around it must not count.
      std::vector<unsigned char> memory(kMost + 32, 0x11);
      std::fill_n(memory.begin() + static_cast<ptrdiff_t>(start), size, kByte);
      ASSERT_TRUE(rf_pattern_holds(memory.data() + start, size, kByte)) << start << " " << size;
      for (size_t i = 0; i < size; i++) {
        for (int const bit : {0x01, 0x80}) {
          memory[start + i] ^= static_cast<unsigned char>(bit);
          ASSERT_FALSE(rf_pattern_holds(memory.data() + start, size, kByte)) << start << " " << size << " " << i;
          memory[start + i] ^= static_cast<unsigned char>(bit);
        }
      }
    }
  }
}

TEST(Write, WritesExactlyWhatItIsTold) {
  for (size_t start = 0; start < 9; start++) {
    for (size_t size = 0; size < kMost; size++) {
      std::vector<unsigned char> memory(kMost + 32, 0x11);
      rf_pattern_write(memory.data() + start, size, kByte);
      for (size_t i = 0; i < memory.size(); i++) {
        ASSERT_EQ(memory[i], i >= start && i < start + size ? kByte : 0x11) << start << " " << size << " " << i;
      }
    }
  }
}

TEST(Damage, IsFromTheFirstToTheLastOtherByte) {
  std::vector<unsigned char> memory(20, kByte);
  rf_pattern_area const area = {memory.data(), memory.size(), kByte};
  rf_pattern_area damage = {};
  EXPECT_FALSE(rf_pattern_damage(&area, &damage));
  memory[3] = 0;
  ASSERT_TRUE(rf_pattern_damage(&area, &damage));
  EXPECT_EQ(damage.at, memory.data() + 3);
  EXPECT_EQ(damage.size, 1U);
  memory[11] = 0;
  ASSERT_TRUE(rf_pattern_damage(&area, &damage));
  EXPECT_EQ(damage.at, memory.data() + 3);
  EXPECT_EQ(damage.size, 9U);
  memory[0] = memory[19] = 0;
  ASSERT_TRUE(rf_pattern_damage(&area, &damage));
  EXPECT_EQ(damage.at, memory.data());
  EXPECT_EQ(damage.size, 20U);
  rf_pattern_area const none = {memory.data(), 0, kByte};
  EXPECT_FALSE(rf_pattern_damage(&none, &damage));
}

} // namespace
} // namespace ringfence
