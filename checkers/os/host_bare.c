/* The host of targets without an operating system: one core, no processes, no map of memory. */
#include "host.h"

#include <ringfence/port.h>

_Noreturn void rf_host_exit(int code) {
  (void)code;
  rf_port_panic();
}

_Noreturn void rf_host_abort(void) {
  rf_port_panic();
}

uint32_t rf_host_process(void) {
  return 0;
}

/* An interrupt that finds a bug while main code reports one must not wait for it. */
static bool report_locked;

bool rf_host_report_lock(void) {
  bool const free_now = !report_locked;
  report_locked = true;
  return free_now;
}

void rf_host_report_unlock(void) {
  report_locked = false;
}

void rf_host_report_lock_reset(void) {
  rf_host_report_unlock();
}

bool rf_host_claim(bool *flag, unsigned patience_ms) {
  (void)patience_ms;
  return !__atomic_exchange_n(flag, true, __ATOMIC_ACQUIRE);
}

bool rf_host_readable(const void *p, size_t size) {
  (void)p;
  (void)size;
  return true;
}

bool rf_host_stack(const void *frame, uintptr_t *low, uintptr_t *high) {
  (void)frame;
  (void)low;
  (void)high;
  return false;
}

unsigned rf_host_unwind(uintptr_t *frames, unsigned max) {
  (void)frames;
  (void)max;
  return 0;
}

const char *rf_host_describe_address(const void *p) {
  (void)p;
  return NULL;
}

bool rf_host_is_allocated_memory(const void *p) {
  (void)p;
  return false;
}

void *rf_host_map(size_t size) {
  (void)size;
  return NULL;
}

const char *rf_host_environment(void) {
  return NULL;
}

int rf_host_open(const char *path) {
  (void)path;
  return -1;
}

bool rf_host_write(int fd, const char *data, size_t size) {
  (void)fd;
  rf_port_log(data, size);
  return true;
}

void rf_host_close(int fd) {
  (void)fd;
}

uint64_t rf_host_file(int fd) {
  (void)fd;
  return 0;
}

const char *rf_host_read_file(const char *path, size_t *length) {
  (void)path;
  (void)length;
  return NULL;
}

const char *rf_host_artifacts(void) {
  return NULL;
}

/* Without a source of randomness the clock and a count must do: this is against accidents, not attacks. */
uintptr_t rf_host_secret(void) {
  static uint32_t count;
  uint64_t const mixed = (rf_port_now_ns() + ++count) * 0x9E3779B97F4A7C15U;
  return (uintptr_t)(mixed ^ mixed >> 32);
}
