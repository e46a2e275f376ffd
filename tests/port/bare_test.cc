// bare.c on a board that this file plays: a core with an interrupt mask, a clock, a console.
#include <ringfence/bare.h>
#include <ringfence/port.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>

namespace {

struct Board {
  bool masked = false;
  unsigned exception = 0;
  uint64_t now = 0;
  std::string console;
  std::function<void()> idle = [] {};
  std::function<void()> at_unmask; // interrupts that came while they were masked
  bool exit_when_masked = false;
} board;

} // namespace

extern "C" {

uintptr_t rf_bare_irq_save(void) {
  if (board.exit_when_masked) {
    std::exit(42);
  }
  bool const was_masked = board.masked;
  board.masked = true;
  return was_masked ? 1 : 0;
}

void rf_bare_irq_restore(uintptr_t saved) {
  board.masked = saved != 0;
  if (!board.masked && board.at_unmask) {
    std::function<void()> const handler = board.at_unmask;
    board.at_unmask = nullptr;
    handler();
  }
}

unsigned rf_bare_exception(void) {
  return board.exception;
}

uint64_t rf_bare_now_ns(void) {
  return board.now;
}

void rf_bare_idle(void) {
  board.idle();
}

void rf_bare_log(const char *text, size_t len) {
  board.console.append(text, len);
}
}

namespace {

constexpr uint64_t kMillisecond = 1000000;

class BareTest : public testing::Test {
protected:
  BareTest() {
    board = Board();
    EXPECT_EQ(rf_event_init(&event), RF_OK);
  }
  ~BareTest() override { rf_event_deinit(&event); }
  rf_event event;
};

// ---- Mutex ----

TEST_F(BareTest, ALockMasksInterrupts) {
  rf_mutex mutex;
  ASSERT_EQ(rf_mutex_init(&mutex), RF_OK);
  EXPECT_FALSE(board.masked);
  rf_mutex_lock(&mutex);
  EXPECT_TRUE(board.masked);
  rf_mutex_unlock(&mutex);
  EXPECT_FALSE(board.masked);
  rf_mutex_deinit(&mutex);
}

TEST_F(BareTest, LocksNestAndMayBeReleasedInAnyOrder) {
  rf_mutex first;
  rf_mutex second;
  rf_mutex_init(&first);
  rf_mutex_init(&second);
  for (bool const in_order : {true, false}) {
    rf_mutex_lock(&first);
    rf_mutex_lock(&second);
    rf_mutex_unlock(in_order ? &second : &first);
    EXPECT_TRUE(board.masked);
    rf_mutex_unlock(in_order ? &first : &second);
    EXPECT_FALSE(board.masked);
  }
}

TEST_F(BareTest, WhatWasMaskedBeforeStaysMasked) {
  rf_mutex mutex;
  rf_mutex_init(&mutex);
  board.masked = true;
  rf_mutex_lock(&mutex);
  rf_mutex_unlock(&mutex);
  EXPECT_TRUE(board.masked);
}

// ---- Event ----

TEST_F(BareTest, AnEventIsConsumedByTheWait) {
  EXPECT_EQ(rf_event_wait(&event, 0), RF_ERR_TIMEOUT);
  rf_event_set(&event);
  rf_event_set(&event);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_OK);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_ERR_TIMEOUT);
  EXPECT_FALSE(board.masked);
}

// An interrupt that comes as soon as they are let in is neither lost nor taken twice.
TEST_F(BareTest, AnEventIsReadAndWrittenWithInterruptsMasked) {
  board.now = kMillisecond;
  board.idle = [] { board.now += kMillisecond; };
  board.at_unmask = [this] { rf_event_set(&event); };
  EXPECT_EQ(rf_event_wait(&event, 5), RF_OK);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_ERR_TIMEOUT);
  rf_event_set(&event);
  board.at_unmask = [this] { rf_event_set(&event); };
  EXPECT_EQ(rf_event_wait(&event, 5), RF_OK);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_OK) << "set again meanwhile";
  rf_status found = RF_ERR_INVALID;
  board.at_unmask = [this, &found] { found = rf_event_wait(&event, 0); };
  rf_event_set(&event);
  EXPECT_EQ(found, RF_OK);
}

TEST_F(BareTest, AnInterruptEndsAWaitForEver) {
  int idled = 0;
  board.idle = [&] {
    EXPECT_FALSE(board.masked) << "or the interrupt would never come";
    if (++idled == 5) {
      rf_event_set(&event);
    }
  };
  EXPECT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_OK);
  EXPECT_EQ(idled, 5);
}

TEST_F(BareTest, ABoundedWaitEndsByTheClock) {
  board.now = 1;
  board.idle = [] { board.now += kMillisecond; };
  EXPECT_EQ(rf_event_wait(&event, 7), RF_ERR_TIMEOUT);
  EXPECT_EQ(board.now, 1 + 7 * kMillisecond);
}

// In nanoseconds, five seconds are more than 32 bits hold.
TEST_F(BareTest, ABoundedWaitOfManySecondsLastsAsLong) {
  for (uint32_t const timeout_ms : {4295U, 5000U, 86400000U, RF_WAIT_FOREVER - 1}) {
    board.now = 1;
    board.idle = [timeout_ms] { board.now += uint64_t{timeout_ms} * kMillisecond / 8; };
    EXPECT_EQ(rf_event_wait(&event, timeout_ms), RF_ERR_TIMEOUT);
    EXPECT_EQ(board.now, 1 + uint64_t{timeout_ms} * kMillisecond) << timeout_ms;
  }
}

TEST_F(BareTest, ABoundedWaitSeesTheEventInTime) {
  board.now = 1;
  board.idle = [this] {
    board.now += kMillisecond;
    if (board.now > 3 * kMillisecond) {
      rf_event_set(&event);
    }
  };
  EXPECT_EQ(rf_event_wait(&event, 7), RF_OK);
}

TEST_F(BareTest, WithoutAClockABoundedWaitLooksOnceAndGivesUp) {
  board.idle = [] { FAIL() << "would wait for ever"; };
  EXPECT_EQ(rf_event_wait(&event, 1000), RF_ERR_TIMEOUT);
  rf_event_set(&event);
  EXPECT_EQ(rf_event_wait(&event, 1000), RF_OK);
}

TEST_F(BareTest, AnInterruptNeverWaits) {
  board.now = 1;
  board.exception = 20;
  board.idle = [] { FAIL() << "in an interrupt"; };
  EXPECT_EQ(rf_event_wait(&event, 1000), RF_ERR_TIMEOUT);
  EXPECT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_ERR_TIMEOUT);
}

// ---- The rest ----

TEST_F(BareTest, TheThreadIsTheActiveException) {
  EXPECT_EQ(rf_port_thread_id(), 1U);
  EXPECT_FALSE(rf_port_in_interrupt());
  board.exception = 15;
  EXPECT_EQ(rf_port_thread_id(), 16U);
  EXPECT_TRUE(rf_port_in_interrupt());
}

TEST_F(BareTest, TheClockAndTheConsoleAreTheBoards) {
  board.now = 4711;
  EXPECT_EQ(rf_port_now_ns(), 4711U);
  rf_port_log("ring", 4);
  EXPECT_EQ(board.console, "ring");
}

TEST_F(BareTest, APanicMasksInterruptsFirst) {
  board.exit_when_masked = true;
  EXPECT_EXIT(rf_port_panic(), testing::ExitedWithCode(42), "");
}

} // namespace
