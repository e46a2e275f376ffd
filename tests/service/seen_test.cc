// Ids of events that were taken in (tools/service/store/seen.c).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

extern "C" {
#include "tools/service/store/seen.h"
}

namespace {

class Seen : public testing::Test {
protected:
  Seen() { EXPECT_TRUE(rf_store_open(&store_, ":memory:", RF_STORE_CREATE)); }
  ~Seen() override {
    rf_seen_free(&seen_);
    rf_store_close(&store_);
  }

  static uint64_t hash_of(int64_t number) { return rf_seen_hash(std::to_string(number).c_str()); }

  // One transaction with the next `count` ids, as the intake makes it.
  void take(int64_t count) {
    rf_store_begin(&store_);
    for (int64_t i = 0; i < count; i++) {
      ASSERT_TRUE(rf_seen_add(&seen_, hash_of(taken_++), 1));
    }
    rf_seen_write(&seen_, &store_);
    ASSERT_TRUE(rf_store_commit(&store_)) << store_.error;
    rf_seen_settle(&seen_, true);
    if (seen_.used > RF_SEEN_MOST) {
      ASSERT_TRUE(rf_seen_load(&seen_, &store_));
      ASSERT_LE(seen_.used, size_t{RF_SEEN_MOST}) << "else each transaction would read all of them again";
    }
  }

  bool is_known(int64_t number) const {
    int64_t finding = 0;
    return rf_seen_find(&seen_, hash_of(number), &finding) && finding == 1;
  }

  // How many ids are known, of the last ones, without a gap.
  int64_t known_last() const {
    int64_t known = 0;
    while (known < taken_ && is_known(taken_ - 1 - known)) {
      known++;
    }
    return known;
  }

  rf_store store_ = {};
  rf_seen seen_ = {};
  int64_t taken_ = 0;
};

constexpr int64_t kPromised = 262144; // docs/service/README.md

TEST_F(Seen, TheLastIdsAreKnownHoweverManyCameTogether) {
  for (int i = 0; i < 8; i++) {
    take(RF_SEEN_MOST / 8 - 8); // as from a file that is imported
  }
  for (int i = 0; i < 200; i++) {
    take(1); // as from processes that report now and then
  }
  EXPECT_GE(known_last(), kPromised);
}

TEST_F(Seen, ThoseThatCameEarlierAreForgotten) {
  take(1000);
  for (int i = 0; i < 20; i++) {
    take(kPromised / 16);
    ASSERT_TRUE(is_known(std::max(INT64_C(0), taken_ - kPromised))) << taken_;
  }
  EXPECT_FALSE(is_known(0));
  int64_t const known = known_last();
  EXPECT_GE(known, kPromised);
  EXPECT_LE(known, kPromised + kPromised / 4);
  ASSERT_TRUE(rf_seen_load(&seen_, &store_));
  EXPECT_EQ(known_last(), known) << "a collector that starts anew";
}

// No failure of SQLite's, which may end the transaction by itself.
TEST_F(Seen, WhatWasTakenBackIsNotKnownNorWrittenByTheNextTransaction) {
  take(1);
  rf_store_begin(&store_);
  ASSERT_TRUE(rf_seen_add(&seen_, hash_of(100), 1));
  rf_seen_write(&seen_, &store_);
  rf_store_fail(&store_, SQLITE_NOMEM, "counting");
  ASSERT_FALSE(rf_store_commit(&store_));
  rf_seen_settle(&seen_, false);
  EXPECT_FALSE(is_known(100));
  take(1);
  for (int i = 0; i < 2; i++) {
    EXPECT_TRUE(is_known(0) && is_known(1));
    EXPECT_FALSE(is_known(100));
    ASSERT_TRUE(rf_seen_load(&seen_, &store_));
  }
}

} // namespace
