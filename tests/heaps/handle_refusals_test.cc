// Sizes and handles that a handle heap refuses, and how long it tells a stale handle apart.
#include "tests/heaps/handle_fixture.h"

namespace {

using HandleRefusals = ringfence::testing::Handle;

TEST_F(HandleRefusals, Size0AndNegativeSizesAreRefused) {
  rf_handle const a = rf_handle_alloc(h, 10);
  for (size_t const size : {size_t{0}, SIZE_MAX, SIZE_MAX - 3, static_cast<size_t>(-100), RF_SIZE_LIMIT + 1}) {
    EXPECT_EQ(rf_handle_alloc(h, size), RF_HANDLE_NULL);
    EXPECT_EQ(rf_handle_realloc(h, a, size), RF_ERR_INVALID);
  }
  EXPECT_EQ(usage().stats.failures, 0U);
  EXPECT_EQ(rf_handle_alloc(h, RF_SIZE_LIMIT), RF_HANDLE_NULL);
  EXPECT_EQ(usage().stats.failures, 1U);
  EXPECT_EQ(rf_handle_realloc(h, a, RF_SIZE_LIMIT), RF_ERR_NO_MEMORY);
}

TEST_F(HandleRefusals, AStaleHandleIsRefusedByEveryCall) {
  rf_handle const old = rf_handle_alloc(h, 10);
  rf_handle_free(h, old);
  for (int reused = 0; reused < 2; reused++) {
    EXPECT_EQ(rf_handle_free(h, old), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_address(h, old), nullptr);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_lock(h, old), nullptr);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_unlock(h, old), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_size(h, old), 0U);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_realloc(h, old, 20), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(rf_handle_alloc(h, 10) & 0xFFFF, (old & 0xFFFF) + static_cast<unsigned>(reused))
        << "the place is used again";
  }
}

TEST_F(HandleRefusals, AStaleHandleIsToldApartForManyThousandsOfGenerations) {
  rf_handle const old = rf_handle_alloc(h, 10);
  rf_handle_free(h, old);
  for (int i = 0; i < 32766; i++) {
    rf_handle const a = rf_handle_alloc(h, 10);
    ASSERT_GT(static_cast<int32_t>(a), 0);
    ASSERT_NE(a, old);
    rf_handle_free(h, a);
  }
  EXPECT_EQ(rf_handle_free(h, old), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(faults.take(), RF_ERR_NOT_ALLOCATED);
}

TEST_F(HandleRefusals, WhatNeverWasOneIsRefused) {
  fill({10});
  for (rf_handle const bad : {2U, 200U, 0xFFFFU, 0x10000U, 0x10001U, 0x80000001U, 0xFFFFFFFFU}) {
    EXPECT_EQ(rf_handle_free(h, bad), RF_ERR_INVALID) << bad;
    EXPECT_EQ(faults.take(), RF_ERR_INVALID);
    EXPECT_EQ(rf_handle_address(h, bad), nullptr);
    EXPECT_EQ(faults.take(), RF_ERR_INVALID);
  }
}

TEST_F(HandleRefusals, OfAnotherHeapMayBeRefusedAndNeverDoesDamage) {
  alignas(8) unsigned char other_arena[1000];
  rf_handle_heap other;
  ASSERT_EQ(rf_handle_heap_init(&other, other_arena, sizeof other_arena, nullptr), RF_OK);
  rf_handle const a = rf_handle_alloc(&other.base, 10);
  EXPECT_EQ(rf_handle_free(h, a), RF_ERR_INVALID);
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
  EXPECT_EQ(rf_handle_free(&other.base, a), RF_OK);
}

TEST_F(HandleRefusals, APlaceServesOnWhenItsGenerationsBeginAgain) {
  make_apart(100);
  rf_handle const first = rf_handle_alloc(h, 10);
  ASSERT_EQ(rf_handle_free(h, first), RF_OK);
  size_t frees = 1;
  rf_handle again = rf_handle_alloc(h, 10);
  for (; again != first && frees <= 0x10000; frees++) {
    ASSERT_EQ(again & 0xFFFFU, first & 0xFFFFU);
    ASSERT_EQ(rf_handle_free(h, again), RF_OK) << frees;
    again = rf_handle_alloc(h, 10);
  }
  EXPECT_EQ(frees, 0x8000U) << "fifteen bits";
}

} // namespace
