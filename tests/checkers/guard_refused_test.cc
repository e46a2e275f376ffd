// Requests that guard turns away over each allocator, because of their arguments or because it has ended.
#include "tests/checkers/guard_bugs_fixture.h"

namespace ringfence {
namespace {

// ---- Requests that were turned away ----

TEST_P(GuardBugs, ANegativeSizeIsReported) {
  unsigned const where = __LINE__ + 1;
  EXPECT_EQ(rf_alloc(a(), static_cast<size_t>(-3)), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_SIZE_TOO_BIG);
  EXPECT_EQ(f.cwe, 190U);
  EXPECT_EQ(f.size, static_cast<size_t>(-3));
  EXPECT_EQ(f.block, 0U);
  expect_site(f.found, where, __func__);
  void *const p = rf_alloc(a(), 10);
  EXPECT_EQ(rf_realloc(a(), p, static_cast<size_t>(-3)), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_SIZE_TOO_BIG);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_P(GuardBugs, ACallocThatWrapsIsReported) {
  EXPECT_EQ(rf_calloc(a(), SIZE_MAX / 2, 3), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_CALLOC_OVERFLOW);
  EXPECT_EQ(f.cwe, 190U);
  EXPECT_EQ(f.argument, SIZE_MAX / 2);
  EXPECT_EQ(f.size, 3U);
}

TEST_P(GuardBugs, AnAlignmentThatIsNoPowerOfTwoIsReported) {
  EXPECT_EQ(rf_aligned_alloc(a(), 24, 100), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BAD_ALIGNMENT);
  EXPECT_EQ(f.argument, 24U);
  EXPECT_EQ(f.size, 100U);
}

TEST_P(GuardBugs, ARequestThatIsOnlyTooLargeNowIsNoBug) {
  EXPECT_EQ(rf_alloc(a(), RF_SIZE_LIMIT), nullptr);
  EXPECT_EQ(rf_aligned_alloc(a(), RF_SIZE_LIMIT / 2 + 1, 1), nullptr);
  expect_silence();
}

TEST_P(GuardBugs, UseAfterDeinitIsReportedAndRefused) {
  void *const p = rf_alloc(a(), 30);
  end();
  EXPECT_EQ(rf_alloc(a(), 1), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_DELETED);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_realloc(a(), p, 60), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_usable_size(a(), p), 0U);
}

INSTANTIATE_TEST_SUITE_P(Over, GuardBugs, testing::ValuesIn(kHeaps), heap_name);

} // namespace
} // namespace ringfence
