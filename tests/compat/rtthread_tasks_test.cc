// The owners of RT-Thread's blocks where no variable belongs to a thread, as in firmware, over a port that this file
// plays: tasks of one core.
#include <ringfence/port.h>
#include <ringfence/rtthread.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace {

uint32_t g_task = 1;

} // namespace

extern "C" {
// Declared in impl.h, which is C.
uintptr_t rf_rt_owner(const rf_site *site);

void rf_mutex_lock(rf_mutex *mutex) {
  (void)mutex;
}
void rf_mutex_unlock(rf_mutex *mutex) {
  (void)mutex;
}
uint32_t rf_port_thread_id() {
  return g_task;
}
uint64_t rf_port_now_ns() {
  return 0;
}
void rf_port_log(const char *text, size_t len) {
  (void)text;
  (void)len;
}
void rf_port_panic() {
  std::abort();
}
}

namespace {

// The letters of an owner, as memtrace prints them.
std::string owner_of_task(uint32_t task) {
  g_task = task;
  uintptr_t const word = rf_rt_owner(nullptr);
  return std::string(reinterpret_cast<const char *>(&word), sizeof word).c_str();
}

std::string number(char digit) {
  return "#" + std::string(sizeof(uintptr_t) - 2, '0') + digit;
}

TEST(RtThreadTasks, EachOwnsItsBlocksByItsOwnNumber) {
  EXPECT_EQ(number('1'), owner_of_task(1));
  EXPECT_EQ(number('2'), owner_of_task(2));
  EXPECT_EQ(number('1'), owner_of_task(1));
}

TEST(RtThreadTasks, HaveOneNameUntilItIsTakenBack) {
  rf_rt_thread_name("gui");
  EXPECT_EQ("gui", owner_of_task(1));
  EXPECT_EQ("gui", owner_of_task(2));
  rf_rt_thread_name(nullptr);
  EXPECT_EQ(number('2'), owner_of_task(2));
  EXPECT_EQ(number('3'), owner_of_task(3));
}

} // namespace
