// lib/port for virtual threads; linked in place of posix.c.
#include "threads_port.h"

#include <ringfence/port.h>

#include <cstdlib>
#include <unistd.h>

namespace {

using ringfence::fuzz::Threads;
using ringfence::fuzz::threads_fail;

// Words of an event: set, and a mark while it is one.
constexpr size_t kSet = 0;
constexpr size_t kAlive = 1;
constexpr uint64_t kMark = 0x52464556454E5431;

void demand_alive(const rf_event *event) {
  if (event->opaque[kAlive] != kMark) {
    threads_fail("the event %p has ended, or never began", static_cast<const void *>(event));
  }
}

} // namespace

rf_status rf_mutex_init(rf_mutex *mutex) {
  mutex->opaque[0] = 0;
  return RF_OK;
}

void rf_mutex_deinit(rf_mutex *mutex) {
  if (mutex->opaque[0] != 0) {
    threads_fail("the lock %p ends while it is held", static_cast<void *>(mutex));
  }
}

void rf_mutex_lock(rf_mutex *mutex) {
  ringfence::fuzz::virtual_lock(mutex->opaque, Threads::current());
}

void rf_mutex_unlock(rf_mutex *mutex) {
  ringfence::fuzz::virtual_unlock(mutex->opaque, Threads::current());
}

rf_status rf_event_init(rf_event *event) {
  event->opaque[kSet] = 0;
  event->opaque[kAlive] = kMark;
  return RF_OK;
}

void rf_event_deinit(rf_event *event) {
  demand_alive(event);
  event->opaque[kAlive] = 0;
}

void rf_event_set(rf_event *event) {
  demand_alive(event);
  ringfence::fuzz::virtual_set(&event->opaque[kSet]);
}

rf_status rf_event_wait(rf_event *event, uint32_t timeout_ms) {
  demand_alive(event);
  bool const timed = timeout_ms != RF_WAIT_FOREVER;
  return ringfence::fuzz::virtual_wait(&event->opaque[kSet], timeout_ms != 0, timed) ? RF_OK : RF_ERR_TIMEOUT;
}

uint64_t rf_port_now_ns() {
  static uint64_t now;
  return ++now;
}

#if defined(__linux__)
// Set before each switch to a thread, as far as a harness registers it by Threads::own.
__thread uint32_t rf_port_known_id __attribute__((tls_model("initial-exec")));
#endif

uint32_t rf_port_thread_id() {
  return Threads::current() + 1;
}

bool rf_port_in_interrupt() {
  return false;
}

void rf_port_log(const char *text, size_t len) {
  (void)!write(STDERR_FILENO, text, len);
}

void rf_port_panic() {
  abort();
}
