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

TEST(BareDefaultsTest, HandlersTellThatTheyServeAnInterrupt) {
  unsigned const in_main = rf_bare_enter_interrupt(7);
  EXPECT_EQ(in_main, 0U);
  EXPECT_TRUE(rf_port_in_interrupt());
  EXPECT_EQ(rf_port_thread_id(), 8U);
  unsigned const in_timer = rf_bare_enter_interrupt(11); // another one interrupts it
  EXPECT_EQ(in_timer, 7U);
  EXPECT_EQ(rf_bare_exception(), 11U);
  rf_bare_leave_interrupt(in_timer);
  EXPECT_EQ(rf_bare_exception(), 7U);
  rf_bare_leave_interrupt(in_main);
  EXPECT_FALSE(rf_port_in_interrupt());
  EXPECT_EQ(rf_port_thread_id(), 1U);
}

TEST(BareDefaultsTest, NothingCanBeWaitedForInAnInterrupt) {
  rf_event event;
  ASSERT_EQ(rf_event_init(&event), RF_OK);
  unsigned const before = rf_bare_enter_interrupt(3);
  EXPECT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_ERR_TIMEOUT);
  rf_bare_leave_interrupt(before);
}

TEST(BareDefaultsTest, ThereIsNoClockAndNoConsole) {
  EXPECT_EQ(rf_port_now_ns(), 0U);
  rf_port_log("nowhere", 7);
  EXPECT_EQ(rf_port_thread_id(), 1U);
  EXPECT_FALSE(rf_port_in_interrupt());
}

} // namespace
