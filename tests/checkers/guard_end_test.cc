// Findings of guard at its end, over each allocator: leaks, and damage to blocks that were never freed.
#include "tests/checkers/guard_bugs_fixture.h"

namespace ringfence {
namespace {

// ---- Leaks ----

TEST_P(GuardBugs, WhatIsLiveAtDeinitIsALeakIfToldSo) {
  options_.leaks_at_deinit = true;
  make(options_);
  unsigned const allocated = __LINE__ + 1;
  void *const p = rf_alloc(a(), 77);
  void *const q = rf_alloc(a(), 5);
  rf_free(a(), q);
  end();
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_LEAK, p, 77, 0);
  EXPECT_EQ(f.cwe, 401U);
  EXPECT_EQ(f.blocks, 1U);
  expect_site(f.allocated, allocated, __func__);
}

TEST_P(GuardBugs, WhatIsLiveAtDeinitIsNoLeakIfNotToldSo) {
  ASSERT_NE(rf_alloc(a(), 77), nullptr);
  end();
  EXPECT_EQ(recorder_.count(), 0U);
}

TEST_P(GuardBugs, ABlockReportedAsLeakedStaysLive) {
  void *const p = rf_alloc(a(), 77);
  EXPECT_TRUE(rf_guard_report_leak(&guard_, p, "nothing points to it"));
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_LEAK, p, 77, 0);
  EXPECT_STREQ(f.detail, "nothing points to it");
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_FALSE(rf_guard_report_leak(&guard_, p, nullptr));
  expect_silence();
}

// ---- At the end, and after it ----

TEST_P(GuardBugs, DamageToABlockThatIsNeverFreedIsFoundAtDeinit) {
  unsigned char *const p = bytes(rf_alloc(a(), 30));
  unsigned char *const q = bytes(rf_alloc(a(), 30));
  unsigned char *const r = bytes(rf_alloc(a(), 30));
  p[30] = 0;
  q[-1] = 0;
  rf_free(a(), r);
  r[2] = 0;
  end();
  std::vector<rf_finding> const found = take();
  ASSERT_EQ(found.size(), 3U);
  expect_block(found[0], RF_BUG_BUFFER_UNDERFLOW, q, 30, -1);
  expect_block(found[1], RF_BUG_BUFFER_OVERFLOW, p, 30, 30);
  expect_block(found[2], RF_BUG_USE_AFTER_FREE, r, 30, 2);
}

INSTANTIATE_TEST_SUITE_P(Over, GuardBugs, testing::ValuesIn(kHeaps), heap_name);

} // namespace
} // namespace ringfence
