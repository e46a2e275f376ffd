// lib/port/freertos.c over a kernel of one task that this file plays.
#include <ringfence/bare.h>
#include <ringfence/port.h>

#include "tests/port/rtos/task.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>

namespace {

int g_suspended;
int g_critical;
bool g_running = true;
TickType_t g_ticks;
rf_event *g_set_at_delay; // set by "another task" at the next delay
std::string g_log;
std::function<void()> g_at_exit; // interrupts that came while they were masked
int g_exits_before;              // so many sections end before that

} // namespace

extern "C" {
void vTaskSuspendAll() {
  g_suspended++;
}
BaseType_t xTaskResumeAll() {
  g_suspended--;
  return pdFALSE;
}
void vTaskDelay(TickType_t ticks) {
  EXPECT_EQ(g_critical, 0) << "interrupts are not masked by a wait";
  g_ticks += ticks;
  if (g_set_at_delay != nullptr) {
    rf_event_set(g_set_at_delay);
    g_set_at_delay = nullptr;
  }
}
BaseType_t xTaskGetSchedulerState() {
  return g_suspended != 0 ? taskSCHEDULER_SUSPENDED : g_running ? taskSCHEDULER_RUNNING : taskSCHEDULER_NOT_STARTED;
}
TickType_t xTaskGetTickCount() {
  return g_ticks;
}
TickType_t xTaskGetTickCountFromISR() {
  return g_ticks;
}
TaskHandle_t xTaskGetCurrentTaskHandle() {
  return g_running ? reinterpret_cast<TaskHandle_t>(uintptr_t{0x20000100}) : nullptr;
}
void test_enter_critical() {
  g_critical++;
}
void test_exit_critical() {
  g_critical--;
  if (g_at_exit && g_exits_before-- == 0) {
    std::function<void()> const handler = g_at_exit;
    g_at_exit = nullptr;
    handler();
  }
}
void test_disable_interrupts() {
  std::_Exit(42);
}
void rf_bare_log(const char *text, size_t len) {
  g_log.append(text, len);
}
}

namespace ringfence {
namespace {

TEST(FreeRtos, AMutexSuspendsTheSchedulerAndNests) {
  static rf_mutex zeroed; // as static storage is
  rf_mutex made;
  EXPECT_EQ(rf_mutex_init(&made), RF_OK);
  rf_mutex_lock(&zeroed);
  rf_mutex_lock(&made);
  EXPECT_EQ(g_suspended, 2);
  rf_mutex_unlock(&made);
  rf_mutex_unlock(&zeroed);
  EXPECT_EQ(g_suspended, 0);
  rf_mutex_deinit(&made);
}

TEST(FreeRtos, AnEventIsConsumedOnceAndItsWaitEnds) {
  rf_event event;
  EXPECT_EQ(rf_event_init(&event), RF_OK);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_ERR_TIMEOUT);
  rf_event_set(&event);
  rf_event_set(&event);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_OK);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_ERR_TIMEOUT);
  TickType_t const before = g_ticks;
  EXPECT_EQ(rf_event_wait(&event, 20), RF_ERR_TIMEOUT);
  EXPECT_EQ(g_ticks - before, 20U);
  g_set_at_delay = &event;
  EXPECT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_OK);
  rf_bare_enter_interrupt(15);
  EXPECT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_ERR_TIMEOUT) << "an interrupt does not wait";
  rf_event_set(&event);
  rf_bare_leave_interrupt(0);
  EXPECT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_OK);
  g_running = false;
  EXPECT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_ERR_TIMEOUT) << "nobody could set it";
  g_running = true;
  EXPECT_EQ(g_critical, 0);
  rf_event_deinit(&event);
}

// An interrupt at the first moment at which it is let in finds the call done, in a task and in an interrupt.
TEST(FreeRtos, AnEventIsReadAndWrittenInOneCriticalSection) {
  for (bool const in_interrupt : {false, true}) {
    rf_event event;
    rf_status found = RF_ERR_INVALID;
    EXPECT_EQ(rf_event_init(&event), RF_OK);
    rf_bare_leave_interrupt(in_interrupt ? 15 : 0);
    g_exits_before = 0;
    g_at_exit = [&] { found = rf_event_wait(&event, 0); };
    rf_event_set(&event);
    EXPECT_EQ(found, RF_OK) << in_interrupt;
    EXPECT_EQ(rf_event_wait(&event, 0), RF_ERR_TIMEOUT);
    rf_event_set(&event);
    g_exits_before = 1; // the clock's
    g_at_exit = [&] { rf_event_set(&event); };
    EXPECT_EQ(rf_event_wait(&event, 0), RF_OK);
    EXPECT_EQ(rf_event_wait(&event, 0), RF_OK) << "set again meanwhile";
    rf_bare_leave_interrupt(0);
    rf_event_deinit(&event);
  }
}

TEST(FreeRtos, TheClockGoesForwardAcrossItsCountersEnd) {
  g_ticks = UINT32_MAX - 1;
  uint64_t const before = rf_port_now_ns();
  g_ticks += 3;
  EXPECT_EQ(rf_port_now_ns() - before, 3000000U);
  rf_bare_enter_interrupt(15);
  g_ticks++;
  EXPECT_EQ(rf_port_now_ns() - before, 4000000U);
  EXPECT_EQ(rf_port_now_ns() % 1000000, 1U) << "0 ticks are not 0, which would mean that there is no clock";
  rf_bare_leave_interrupt(0);
}

TEST(FreeRtos, EveryContextHasANumber) {
  uint32_t const task = rf_port_thread_id();
  rf_bare_enter_interrupt(15);
  EXPECT_TRUE(rf_port_in_interrupt());
  uint32_t const interrupt = rf_port_thread_id();
  rf_bare_leave_interrupt(0);
  g_running = false;
  uint32_t const start = rf_port_thread_id();
  g_running = true;
  EXPECT_NE(task, interrupt);
  EXPECT_NE(task, start);
  EXPECT_NE(start, 0U);
}

// A task is back a tick after the event was set, and no wait is cut short by a product that wraps.
TEST(FreeRtos, AWaitLastsAsLongAsItSaysAndNoLonger) {
  rf_event event;
  EXPECT_EQ(rf_event_init(&event), RF_OK);
  for (uint32_t const wait_ms : {4294U, 4295U, 10000U}) {
    TickType_t const before = g_ticks;
    EXPECT_EQ(rf_event_wait(&event, wait_ms), RF_ERR_TIMEOUT);
    EXPECT_EQ(g_ticks - before, wait_ms);
  }
  TickType_t const before = g_ticks;
  g_set_at_delay = &event;
  EXPECT_EQ(rf_event_wait(&event, 1000), RF_OK);
  EXPECT_EQ(g_ticks - before, 1U);
  rf_event_deinit(&event);
}

// No other task runs while one holds a mutex.
TEST(FreeRtos, NobodyWaitsWithAMutex) {
  rf_mutex mutex;
  rf_event event;
  EXPECT_EQ(rf_mutex_init(&mutex), RF_OK);
  EXPECT_EQ(rf_event_init(&event), RF_OK);
  TickType_t const before = g_ticks;
  rf_mutex_lock(&mutex);
  EXPECT_EQ(rf_event_wait(&event, 1000), RF_ERR_TIMEOUT);
  rf_mutex_unlock(&mutex);
  EXPECT_EQ(g_ticks, before);
}

TEST(FreeRtosDeathTest, APanicMasksInterrupts) {
  EXPECT_EXIT(rf_port_panic(), testing::ExitedWithCode(42), "");
}

TEST(FreeRtos, TheLogIsTheBoards) {
  rf_port_log("words", 4);
  EXPECT_EQ(g_log, "word");
}

} // namespace
} // namespace ringfence
