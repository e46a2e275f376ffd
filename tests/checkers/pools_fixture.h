// A pool that is watched, with a reporter that records.
#ifndef RINGFENCE_TESTS_CHECKERS_POOLS_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_POOLS_FIXTURE_H

#include <ringfence/checked_pools.h>
#include <ringfence/memblocks.h>
#include <ringfence/pool_watch.h>
#include <ringfence/watch.h>

#include <gtest/gtest.h>

#include <vector>

namespace ringfence {

constexpr size_t kSize = 64;
constexpr size_t kCount = 8;

inline rf_checked_options guard_options(rf_reporter *reporter) {
  rf_checked_options options = {};
  rf_options_default(&options.settings);
  options.settings.mode = RF_MODE_GUARD;
  options.reporter = reporter;
  return options;
}

// A block of the pool that was taken and given back.
inline unsigned char *freed_block(rf_memblocks *pool) {
  void *p = nullptr;
  EXPECT_EQ(rf_memblocks_alloc(pool, 1, &p), RF_OK);
  EXPECT_EQ(rf_memblocks_free(pool, 1, &p), RF_OK);
  return static_cast<unsigned char *>(p);
}

class Pools : public testing::Test {
protected:
  Pools() {
    rf_checked_options const options = guard_options(&reporter_);
    EXPECT_EQ(rf_checked_pools_init(&options), RF_MODE_GUARD);
    EXPECT_EQ(rf_memblocks_init(&blocks_, buffer_, kSize, kCount, bitmap_), RF_OK);
  }
  ~Pools() override {
    rf_memblocks_deinit(&blocks_);
    rf_pool_watch_stop();
  }

  unsigned char *take() {
    void *p = nullptr;
    EXPECT_EQ(rf_memblocks_alloc(&blocks_, 1, &p), RF_OK);
    return static_cast<unsigned char *>(p);
  }
  void give(void *p) { EXPECT_EQ(rf_memblocks_free(&blocks_, 1, &p), RF_OK); }

  // The only finding.
  rf_finding found() {
    EXPECT_EQ(findings_.size(), 1U);
    return findings_.empty() ? rf_finding{} : findings_[0];
  }
  void expect_found(rf_bug bug, const void *block, size_t size, ptrdiff_t offset) {
    rf_finding const f = found();
    EXPECT_STREQ(rf_bug_name(f.bug), rf_bug_name(bug));
    EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(block));
    EXPECT_EQ(f.size, size);
    EXPECT_EQ(f.offset, offset);
  }

  static rf_action keep(rf_reporter *self, const rf_finding *f) {
    static_cast<Pools *>(self->context)->findings_.push_back(*f);
    return RF_ACTION_CONTINUE;
  }

  std::vector<rf_finding> findings_;
  rf_reporter reporter_ = {keep, this, RF_EXITCODE_DEFAULT, 0};
  alignas(16) unsigned char buffer_[kSize * kCount] = {};
  size_t bitmap_[RF_MEMBLOCKS_WORDS(kCount)] = {};
  rf_memblocks blocks_ = {};
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_POOLS_FIXTURE_H
