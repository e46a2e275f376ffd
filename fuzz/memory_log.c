#include "memory_log.h"

#include "checkers/os/host.h"

#include "memory_text.h"

/* No descriptor of the process. */
#define NUMBER 0x4C4F47

int __wrap_rf_host_open(const char *path);
bool __wrap_rf_host_write(int fd, const char *data, size_t size);
void __wrap_rf_host_close(int fd);
uint64_t __wrap_rf_host_file(int fd);

bool __real_rf_host_write(int fd, const char *data, size_t size);

static memory_text text;

int __wrap_rf_host_open(const char *path) {
  (void)path;
  return NUMBER;
}

bool __wrap_rf_host_write(int fd, const char *data, size_t size) {
  if (fd != NUMBER) {
    return __real_rf_host_write(fd, data, size);
  }
  memory_text_append(&text, data, size);
  return true;
}

void __wrap_rf_host_close(int fd) {
  (void)fd;
}

uint64_t __wrap_rf_host_file(int fd) {
  return fd == NUMBER ? NUMBER : 0;
}

const char *rf_memory_log_take(size_t *size) {
  *size = text.length;
  text.length = 0;
  return text.bytes;
}
