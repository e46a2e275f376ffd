#include <ringfence/layout.h>

#include <gtest/gtest.h>

namespace {

TEST(LayoutTest, PowersOfTwo) {
  EXPECT_FALSE(rf_is_pow2(0));
  EXPECT_TRUE(rf_is_pow2(1));
  EXPECT_TRUE(rf_is_pow2(2));
  EXPECT_FALSE(rf_is_pow2(3));
  EXPECT_TRUE(rf_is_pow2(4096));
  EXPECT_TRUE(rf_is_pow2(SIZE_MAX / 2 + 1));
  EXPECT_FALSE(rf_is_pow2(SIZE_MAX));
}

TEST(LayoutTest, ASumThatFitsIsGiven) {
  size_t sum = 7;
  EXPECT_TRUE(rf_add(2, 3, &sum));
  EXPECT_EQ(sum, 5U);
  EXPECT_TRUE(rf_add(SIZE_MAX - 3, 3, &sum));
  EXPECT_EQ(sum, SIZE_MAX);
  EXPECT_TRUE(rf_add(0, SIZE_MAX, &sum));
  EXPECT_EQ(sum, SIZE_MAX);
}

TEST(LayoutTest, ASumThatWrapsIsRefusedAndTouchesNothing) {
  size_t sum = 7;
  EXPECT_FALSE(rf_add(SIZE_MAX - 3, 4, &sum));
  EXPECT_FALSE(rf_add(1, SIZE_MAX, &sum));
  EXPECT_FALSE(rf_add(SIZE_MAX, SIZE_MAX, &sum));
  EXPECT_EQ(sum, 7U);
}

TEST(LayoutTest, AProductThatFitsIsGiven) {
  size_t product = 7;
  EXPECT_TRUE(rf_mul(6, 7, &product));
  EXPECT_EQ(product, 42U);
  EXPECT_TRUE(rf_mul(0, SIZE_MAX, &product));
  EXPECT_EQ(product, 0U);
  EXPECT_TRUE(rf_mul(SIZE_MAX, 0, &product));
  EXPECT_EQ(product, 0U);
  EXPECT_TRUE(rf_mul(SIZE_MAX / 2, 2, &product));
  EXPECT_EQ(product, SIZE_MAX - 1);
}

TEST(LayoutTest, AProductThatWrapsIsRefusedAndTouchesNothing) {
  size_t product = 7;
  EXPECT_FALSE(rf_mul(SIZE_MAX / 2 + 1, 2, &product));
  EXPECT_FALSE(rf_mul(2, SIZE_MAX / 2 + 1, &product));
  EXPECT_FALSE(rf_mul(SIZE_MAX, SIZE_MAX, &product));
  EXPECT_FALSE(rf_mul(size_t{1} << (sizeof(size_t) * 4), size_t{1} << (sizeof(size_t) * 4), &product));
  EXPECT_EQ(product, 7U);
}

TEST(LayoutTest, RoundsUpToTheNextMultiple) {
  size_t rounded = 0;
  for (size_t n = 0; n < 100; n++) {
    EXPECT_TRUE(rf_round_up(n, 8, &rounded));
    EXPECT_EQ(rounded, (n + 7) / 8 * 8);
  }
  EXPECT_TRUE(rf_round_up(SIZE_MAX - 15, 16, &rounded));
  EXPECT_EQ(rounded, SIZE_MAX - 15);
}

TEST(LayoutTest, RoundingUpThatWrapsIsRefusedAndTouchesNothing) {
  size_t rounded = 7;
  EXPECT_FALSE(rf_round_up(SIZE_MAX, 2, &rounded));
  EXPECT_FALSE(rf_round_up(SIZE_MAX - 14, 16, &rounded));
  EXPECT_FALSE(rf_round_up(SIZE_MAX / 2 + 2, SIZE_MAX / 2 + 1, &rounded));
  EXPECT_EQ(rounded, 7U);
  EXPECT_TRUE(rf_round_up(SIZE_MAX, 1, &rounded));
  EXPECT_EQ(rounded, SIZE_MAX);
}

TEST(LayoutTest, RoundsDown) {
  EXPECT_EQ(rf_round_down(0, 16), 0U);
  EXPECT_EQ(rf_round_down(15, 16), 0U);
  EXPECT_EQ(rf_round_down(16, 16), 16U);
  EXPECT_EQ(rf_round_down(SIZE_MAX, 4096), SIZE_MAX - 4095);
  EXPECT_EQ(rf_round_down(13, 1), 13U);
}

TEST(LayoutTest, TheGapLeadsToTheNextMultiple) {
  alignas(64) const char bytes[128] = {};
  for (size_t i = 0; i < 64; i++) {
    EXPECT_EQ(rf_align_gap(bytes + i, 64), (64 - i) % 64);
    EXPECT_EQ(rf_align_gap(bytes + i, 1), 0U);
    EXPECT_EQ(rf_is_aligned(bytes + i, 64), i == 0);
    EXPECT_TRUE(rf_is_aligned(bytes + i + rf_align_gap(bytes + i, 16), 16));
  }
}

TEST(LayoutTest, TheDefaultAlignmentServesEveryType) {
  EXPECT_TRUE(rf_is_pow2(RF_ALIGN_DEFAULT));
  EXPECT_GE(RF_ALIGN_DEFAULT, alignof(long double));
  EXPECT_GE(RF_ALIGN_DEFAULT, alignof(long long));
  EXPECT_GE(RF_ALIGN_DEFAULT, alignof(void *));
}

TEST(LayoutTest, TheLimitIsWhatPointerDifferencesExpress) {
  EXPECT_EQ(RF_SIZE_LIMIT, SIZE_MAX / 2);
}

} // namespace
