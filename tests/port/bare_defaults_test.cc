// bare.c on a board that defines nothing.
#include <ringfence/bare.h>
#include <ringfence/port.h>

#include <gtest/gtest.h>

namespace {

TEST(BareDefaultsTest, LocksNestWithoutInterrupts) {
  rf_mutex mutex;
  ASSERT_EQ(rf_mutex_init(&mutex), RF_OK);
  rf_mutex_lock(&mutex);
  rf_mutex_lock(&mutex);
  rf_mutex_unlock(&mutex);
  rf_mutex_unlock(&mutex);
  rf_mutex_deinit(&mutex);
  EXPECT_EQ(rf_bare_exception(), 0U);
}

TEST(BareDefaultsTest, NoWaitHangs) {
  rf_event event;
  ASSERT_EQ(rf_event_init(&event), RF_OK);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_ERR_TIMEOUT);
  EXPECT_EQ(rf_event_wait(&event, 1000000), RF_ERR_TIMEOUT);
  rf_event_set(&event);
  EXPECT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_OK);
}

TEST(BareDefaultsTest, ThereIsNoClockAndNoConsole) {
  EXPECT_EQ(rf_port_now_ns(), 0U);
  rf_port_log("nowhere", 7);
  EXPECT_EQ(rf_port_thread_id(), 1U);
  EXPECT_FALSE(rf_port_in_interrupt());
}

} // namespace
