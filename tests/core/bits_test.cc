#include <ringfence/bits.h>

#include <gtest/gtest.h>

namespace {

TEST(BitsTest, FindsASingleBitFromBothEnds) {
  for (unsigned i = 0; i < RF_SIZE_BITS; i++) {
    size_t const bit = static_cast<size_t>(1) << i;
    EXPECT_EQ(rf_ctz(bit), i);
    EXPECT_EQ(rf_log2(bit), i);
  }
}

TEST(BitsTest, FindsTheLowestAndTheHighestOfMany) {
  for (unsigned low = 0; low < RF_SIZE_BITS; low++) {
    for (unsigned high = low; high < RF_SIZE_BITS; high++) {
      size_t const both = static_cast<size_t>(1) << low | static_cast<size_t>(1) << high;
      EXPECT_EQ(rf_ctz(both), low);
      EXPECT_EQ(rf_log2(both), high);
    }
  }
  EXPECT_EQ(rf_ctz(static_cast<size_t>(-1)), 0U);
  EXPECT_EQ(rf_log2(static_cast<size_t>(-1)), RF_SIZE_BITS - 1);
}

TEST(BitsTest, Log2RoundsDown) {
  EXPECT_EQ(rf_log2(7), 2U);
  EXPECT_EQ(rf_log2(8), 3U);
  EXPECT_EQ(rf_log2(9), 3U);
}

} // namespace
