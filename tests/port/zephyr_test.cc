// lib/port/zephyr.c over a kernel of one thread that this file plays.
#include <ringfence/port.h>

#include "tests/port/rtos/zephyr/kernel.h"
#include "tests/port/rtos/zephyr/sys/printk.h"

#include <gtest/gtest.h>

#include <cstdarg>
#include <cstdio>
#include <string>

namespace {

bool g_in_interrupt;
int g_key;
int64_t g_ticks;
int64_t g_waited; // of the last k_sem_take
std::string g_log;

} // namespace

extern "C" {
k_spinlock_key_t k_spin_lock(struct k_spinlock *lock) {
  EXPECT_EQ(lock->locked, 0U);
  lock->locked = 1;
  return {++g_key};
}
void k_spin_unlock(struct k_spinlock *lock, k_spinlock_key_t key) {
  EXPECT_EQ(key.key, g_key) << "each lock's own key";
  g_key--;
  lock->locked = 0;
}
int k_sem_init(struct k_sem *sem, unsigned initial_count, unsigned limit) {
  *sem = {initial_count, limit};
  return limit == 0 ? -22 : 0;
}
void k_sem_give(struct k_sem *sem) {
  sem->count += sem->count < sem->limit ? 1 : 0;
}
int k_sem_take(struct k_sem *sem, k_timeout_t timeout) {
  g_waited = timeout.ticks;
  if (sem->count == 0) {
    return -11;
  }
  sem->count--;
  return 0;
}
bool k_is_in_isr() {
  return g_in_interrupt;
}
int64_t k_uptime_ticks() {
  return g_ticks;
}
uint64_t k_ticks_to_ns_floor64(uint64_t ticks) {
  return ticks * 100000;
}
k_tid_t k_current_get() {
  return reinterpret_cast<k_tid_t>(uintptr_t{0x20000200});
}
void k_panic() {}
void printk(const char *format, ...) {
  char text[64];
  va_list list;
  va_start(list, format);
  (void)std::vsnprintf(text, sizeof text, format, list);
  va_end(list);
  g_log += text;
}
}

namespace ringfence {
namespace {

TEST(Zephyr, MutexesAreSpinlocksEachWithItsKey) {
  static rf_mutex zeroed;
  rf_mutex made;
  EXPECT_EQ(rf_mutex_init(&made), RF_OK);
  rf_mutex_lock(&zeroed);
  rf_mutex_lock(&made);
  rf_mutex_unlock(&made);
  rf_mutex_unlock(&zeroed);
  EXPECT_EQ(g_key, 0);
  rf_mutex_deinit(&made);
}

TEST(Zephyr, AnEventIsASemaphoreOfOne) {
  rf_event event;
  EXPECT_EQ(rf_event_init(&event), RF_OK);
  EXPECT_EQ(rf_event_wait(&event, 30), RF_ERR_TIMEOUT);
  EXPECT_EQ(g_waited, 30);
  rf_event_set(&event);
  rf_event_set(&event);
  EXPECT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_OK);
  EXPECT_EQ(g_waited, -1);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_ERR_TIMEOUT);
  g_in_interrupt = true;
  EXPECT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_ERR_TIMEOUT);
  EXPECT_EQ(g_waited, 0) << "an interrupt does not wait";
  g_in_interrupt = false;
  rf_event_deinit(&event);
}

TEST(Zephyr, ClockNumbersAndLog) {
  EXPECT_NE(rf_port_now_ns(), 0U);
  uint64_t const before = rf_port_now_ns();
  g_ticks += 7;
  EXPECT_EQ(rf_port_now_ns() - before, 700000U);
  uint32_t const thread = rf_port_thread_id();
  g_in_interrupt = true;
  EXPECT_TRUE(rf_port_in_interrupt());
  EXPECT_NE(rf_port_thread_id(), thread);
  g_in_interrupt = false;
  rf_port_log("words", 4);
  EXPECT_EQ(g_log, "word");
}

} // namespace
} // namespace ringfence
