// The records of alerts that failed: the place of each, and the time of the next try. The test stands in for the
// alert's child.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <unistd.h>

extern "C" {
#include "tools/service/life/alerts.h"
}

namespace {

constexpr int64_t kMinute = 60000;
constexpr int64_t kNow = 1000000;

int64_t now;

} // namespace

// The linker puts this in front of the store's.
extern "C" {
int64_t __wrap_rf_store_steady(void);

int64_t __wrap_rf_store_steady(void) {
  return now;
}
}

namespace {

class AlertFailures : public testing::Test {
protected:
  AlertFailures() { now = kNow; }

  // An alert that is being told fails.
  void fail(int64_t activity) {
    alerts_.activity = activity;
    alerts_.child = fork();
    if (alerts_.child == 0) {
      _exit(1);
    }
    testing::internal::CaptureStderr();
    while (alerts_.child > 0) {
      rf_alerts_step(&alerts_, nullptr);
    }
    std::string const said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("an alert failed: the command\n"), std::string::npos) << said;
  }

  // As many as there are places; those are tried in any order.
  void fill() {
    for (size_t i = 0; i < RF_ALERTS_FAILED; i++) {
      alerts_.failed[i] = {static_cast<int64_t>(i + 1), kNow + 1000 + static_cast<int64_t>(i * 37 % RF_ALERTS_FAILED),
                           2};
    }
  }

  // The alert of this place has these figures; no other has changed.
  void expect_only_at(size_t place, const rf_alerts &before, int64_t activity, int failures, int64_t pause) {
    for (size_t i = 0; i < RF_ALERTS_FAILED; i++) {
      SCOPED_TRACE(i);
      const rf_alert_failed &f = alerts_.failed[i];
      EXPECT_EQ(f.activity, i == place ? activity : before.failed[i].activity);
      EXPECT_EQ(f.failures, i == place ? failures : before.failed[i].failures);
      EXPECT_EQ(f.next_try, i == place ? kNow + pause : before.failed[i].next_try);
    }
  }

  rf_alerts alerts_ = {};
};

TEST_F(AlertFailures, OneMoreHasAFreePlaceWhereverItIs) {
  for (size_t const place : {size_t{0}, size_t{30}, size_t{RF_ALERTS_FAILED - 1}}) {
    fill();
    alerts_.failed[place] = {};
    rf_alerts const before = alerts_;
    fail(999);
    expect_only_at(place, before, 999, 1, kMinute);
  }
}

TEST_F(AlertFailures, WhereThereIsNoPlaceTheOneThatCouldBeTriedLongestGivesItsOwn) {
  for (size_t const place : {size_t{0}, size_t{30}, size_t{RF_ALERTS_FAILED - 1}}) {
    fill();
    alerts_.failed[place].next_try = kNow + 500;
    rf_alerts const before = alerts_;
    fail(999);
    expect_only_at(place, before, 999, 1, kMinute);
  }
}

TEST_F(AlertFailures, OneThatHasAPlaceCountsOnThere) {
  for (size_t const place : {size_t{0}, size_t{30}, size_t{RF_ALERTS_FAILED - 1}}) {
    fill();
    rf_alerts const before = alerts_;
    fail(static_cast<int64_t>(place + 1));
    expect_only_at(place, before, static_cast<int64_t>(place + 1), 3, 4 * kMinute);
  }
}

TEST_F(AlertFailures, EachIsTriedAfterLongerPauses) {
  for (int const minutes : {1, 2, 4, 8}) {
    fail(5);
    EXPECT_EQ(alerts_.failed[0].activity, 5);
    EXPECT_EQ(alerts_.failed[0].next_try, kNow + minutes * kMinute);
  }
}

TEST_F(AlertFailures, AfterThreeInARowNobodySeemsToBeThere) {
  int64_t activity = 1;
  for (int const minutes : {0, 0, 1, 2, 4, 8, 8, 8}) {
    fail(activity++);
    EXPECT_EQ(alerts_.next_try, minutes == 0 ? 0 : kNow + minutes * kMinute) << activity;
  }
}

} // namespace
