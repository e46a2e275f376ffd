// Zephyr's arrays of bits.
#include <gtest/gtest.h>
#include <zephyr/sys/bitarray.h>

namespace {

SYS_BITARRAY_DEFINE(defined, 70);
SYS_BITARRAY_DEFINE_STATIC(defined_static, 70);

class ZephyrBitarray : public ::testing::Test {
protected:
  ~ZephyrBitarray() override {
    sys_bitarray_clear_region(&defined, 70, 0);
    sys_bitarray_clear_region(&defined_static, 70, 0);
  }
};

TEST_F(ZephyrBitarray, BitsAreSetClearedAndTested) {
  EXPECT_EQ(70U, defined.num_bits);
  EXPECT_EQ(3U, defined.num_bundles);
  int value = -1;
  EXPECT_EQ(0, sys_bitarray_set_bit(&defined, 69));
  EXPECT_EQ(0, sys_bitarray_test_bit(&defined, 69, &value));
  EXPECT_EQ(1, value);
  EXPECT_EQ(32U, defined.bundles[2]);
  EXPECT_EQ(0, sys_bitarray_test_and_clear_bit(&defined, 69, &value));
  EXPECT_EQ(1, value);
  EXPECT_EQ(0, sys_bitarray_test_and_set_bit(&defined, 69, &value));
  EXPECT_EQ(0, value);
  EXPECT_EQ(0, sys_bitarray_clear_bit(&defined, 69));
  EXPECT_EQ(0, sys_bitarray_test_bit(&defined, 69, &value));
  EXPECT_EQ(0, value);
}

TEST_F(ZephyrBitarray, BadArgumentsAreRefused) {
  int value;
  size_t place;
  EXPECT_EQ(-EINVAL, sys_bitarray_set_bit(&defined, 70));
  EXPECT_EQ(-EINVAL, sys_bitarray_clear_bit(nullptr, 0));
  EXPECT_EQ(-EINVAL, sys_bitarray_test_bit(&defined, 70, &value));
  EXPECT_EQ(-EINVAL, sys_bitarray_test_bit(&defined, 0, nullptr));
  EXPECT_EQ(-EINVAL, sys_bitarray_test_and_set_bit(&defined, 0, nullptr));
  EXPECT_EQ(-EINVAL, sys_bitarray_test_and_set_bit(&defined, 70, &value));
  EXPECT_EQ(-EINVAL, sys_bitarray_test_and_clear_bit(nullptr, 0, &value));
  EXPECT_EQ(-EINVAL, sys_bitarray_alloc(&defined, 1, nullptr));
  EXPECT_EQ(-EINVAL, sys_bitarray_free(&defined, 2, 69));
  EXPECT_EQ(-EINVAL, sys_bitarray_popcount_region(&defined, 1, 0, nullptr));
  EXPECT_EQ(-EINVAL, sys_bitarray_find_nth_set(&defined, 1, 1, 0, nullptr));
  EXPECT_EQ(-EINVAL, sys_bitarray_alloc(&defined, 0, &place));
  EXPECT_EQ(-EINVAL, sys_bitarray_alloc(&defined, 71, &place));
  EXPECT_EQ(-EINVAL, sys_bitarray_set_region(&defined, 2, 69));
  EXPECT_EQ(-EINVAL, sys_bitarray_set_region(&defined, 1, SIZE_MAX));
  EXPECT_EQ(-EINVAL, sys_bitarray_xor(&defined, nullptr, 1, 0));
  EXPECT_EQ(-EINVAL, sys_bitarray_find_nth_set(&defined, 0, 10, 0, &place));
  EXPECT_FALSE(sys_bitarray_is_region_set(&defined, 0, 0));
  EXPECT_FALSE(sys_bitarray_is_region_cleared(&defined, 71, 0));
}

TEST_F(ZephyrBitarray, RegionsAreAllocatedLowestFirst) {
  size_t place = 99;
  EXPECT_EQ(0, sys_bitarray_set_bit(&defined, 3));
  EXPECT_EQ(0, sys_bitarray_alloc(&defined, 40, &place));
  EXPECT_EQ(4U, place);
  EXPECT_EQ(0, sys_bitarray_alloc(&defined, 3, &place));
  EXPECT_EQ(0U, place);
  EXPECT_EQ(-ENOSPC, sys_bitarray_alloc(&defined, 27, &place));
  EXPECT_EQ(0U, place) << "stays as it was";
  EXPECT_EQ(0, sys_bitarray_alloc(&defined, 26, &place));
  EXPECT_EQ(44U, place);
  EXPECT_EQ(0, sys_bitarray_free(&defined, 40, 4));
  EXPECT_EQ(-EFAULT, sys_bitarray_free(&defined, 2, 43));
  EXPECT_TRUE(sys_bitarray_is_region_cleared(&defined, 40, 4));
  EXPECT_TRUE(sys_bitarray_is_region_set(&defined, 26, 44));
}

TEST_F(ZephyrBitarray, RegionsAreSetAndClearedOnlyFromTheOtherState) {
  EXPECT_EQ(0, sys_bitarray_test_and_set_region(&defined, 40, 20, true));
  EXPECT_EQ(-EEXIST, sys_bitarray_test_and_set_region(&defined, 2, 59, true));
  EXPECT_EQ(-EEXIST, sys_bitarray_test_and_set_region(&defined, 2, 59, false));
  EXPECT_EQ(0, sys_bitarray_test_and_set_region(&defined, 40, 20, false));
  EXPECT_TRUE(sys_bitarray_is_region_cleared(&defined, 70, 0));
}

TEST_F(ZephyrBitarray, OnesAreCountedAndFound) {
  size_t count = 0;
  size_t place = 0;
  EXPECT_EQ(0, sys_bitarray_set_region(&defined, 34, 30));
  EXPECT_EQ(0, sys_bitarray_popcount_region(&defined, 40, 0, &count));
  EXPECT_EQ(10U, count);
  EXPECT_EQ(0, sys_bitarray_find_nth_set(&defined, 34, 70, 0, &place));
  EXPECT_EQ(63U, place);
  EXPECT_EQ(1, sys_bitarray_find_nth_set(&defined, 35, 70, 0, &place));
  EXPECT_EQ(0, sys_bitarray_find_nth_set(&defined, 34, 34, 30, &place)); // all of the region
  EXPECT_EQ(63U, place);
  EXPECT_EQ(0, sys_bitarray_find_nth_set(&defined, 3, 10, 25, &place));
  EXPECT_EQ(32U, place);
  EXPECT_EQ(1, sys_bitarray_find_nth_set(&defined, 6, 10, 25, &place)); // it lies behind the region
  EXPECT_EQ(1, sys_bitarray_find_nth_set(&defined, 11, 10, 35, &place)) << "no ten bits have it";
  EXPECT_EQ(1, sys_bitarray_find_nth_set(&defined, SIZE_MAX, 70, 0, &place));
  EXPECT_EQ(32U, place) << "stays as it was";
}

TEST(ZephyrBitarrayBundles, AreAsManyAsTheBitsNeed) {
  SYS_BITARRAY_DEFINE_STATIC(one, 1);
  SYS_BITARRAY_DEFINE_STATIC(whole, 64);
  SYS_BITARRAY_DEFINE_STATIC(more, 65);
  EXPECT_EQ(1U, one.num_bundles);
  EXPECT_EQ(2U, whole.num_bundles);
  EXPECT_EQ(3U, more.num_bundles);
}

TEST_F(ZephyrBitarray, OneIsXoredWithAnother) {
  sys_bitarray_set_region(&defined, 40, 0);
  sys_bitarray_set_region(&defined_static, 40, 20);
  EXPECT_EQ(0, sys_bitarray_xor(&defined, &defined_static, 30, 25));
  EXPECT_TRUE(sys_bitarray_is_region_set(&defined, 25, 0));
  EXPECT_TRUE(sys_bitarray_is_region_cleared(&defined, 15, 25));
  EXPECT_TRUE(sys_bitarray_is_region_set(&defined, 15, 40));
  EXPECT_TRUE(sys_bitarray_is_region_cleared(&defined, 15, 55));
  EXPECT_EQ(0, sys_bitarray_xor(&defined_static, &defined, 70, 0)); // whichever of the two lies lower
  EXPECT_TRUE(sys_bitarray_is_region_set(&defined_static, 20, 0));
  EXPECT_TRUE(sys_bitarray_is_region_cleared(&defined_static, 5, 20));
  EXPECT_TRUE(sys_bitarray_is_region_set(&defined_static, 15, 25));
  EXPECT_TRUE(sys_bitarray_is_region_cleared(&defined_static, 15, 40));
  EXPECT_TRUE(sys_bitarray_is_region_set(&defined_static, 5, 55));
  EXPECT_TRUE(sys_bitarray_is_region_set(&defined, 25, 0));
  EXPECT_EQ(0, sys_bitarray_xor(&defined, &defined, 70, 0));
  EXPECT_TRUE(sys_bitarray_is_region_cleared(&defined, 70, 0));
}

TEST_F(ZephyrBitarray, NoRegionThatOneOfTheTwoLacksIsXored) {
  SYS_BITARRAY_DEFINE_STATIC(shorter, 40);
  EXPECT_EQ(-EINVAL, sys_bitarray_xor(&defined, &shorter, 41, 0));
  EXPECT_EQ(-EINVAL, sys_bitarray_xor(&shorter, &defined, 1, 40));
  EXPECT_EQ(-EINVAL, sys_bitarray_xor(&defined, &defined_static, 1, 70));
}

TEST_F(ZephyrBitarray, ArraysOfDifferentSizesAreNotXored) {
  SYS_BITARRAY_DEFINE_STATIC(shorter, 40);
  sys_bitarray_set_region(&shorter, 40, 0);
  EXPECT_EQ(-EINVAL, sys_bitarray_xor(&defined, &shorter, 40, 0)); // although both have the region
  EXPECT_TRUE(sys_bitarray_is_region_cleared(&defined, 70, 0));
  EXPECT_EQ(-EINVAL, sys_bitarray_xor(&shorter, &defined, 1, 0));
  EXPECT_TRUE(sys_bitarray_is_region_set(&shorter, 40, 0));
}

} // namespace
