#define _GNU_SOURCE
#include "output.h"

#include "checkers/dropin/os/kept_file.h"

#include <errno.h>
#include <fcntl.h>
#include <ringfence/port.h>
#include <unistd.h>

#include "checkers/os/pid_path.h"

#define PATH_BYTES 512

/* The log: a process that changes its root folder or its user can no longer open it, so one that runs under the command
 * keeps it open. */
static rf_kept_file kept;

static int standard_error; /* a copy of it; 0 or less: none */

/* A descriptor of the log, to be closed; -1 where there is none. A child that cannot open its own has its parent's. */
static int open_log(void) {
  char path[PATH_BYTES];
  rf_sink_buffer expanded;
  rf_sink_buffer_init(&expanded, path, sizeof path);
  if (rf_process.options.log == NULL ||
      !rf_pid_path(rf_process.options.log, rf_process.options.log_length, &expanded)) {
    return -1;
  }
  int const file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
  if (file < 0) {
    return rf_kept_file_is_there(&kept) ? fcntl(kept.descriptor, F_DUPFD_CLOEXEC, 0) : -1;
  }
  if (rf_process.options.summary && kept.descriptor <= 0) {
    rf_kept_file_keep(&kept, file);
  }
  return file;
}

void rf_output_write(const char *text, size_t size) {
  int const saved = errno;
  if (rf_process.options.log == NULL) {
    rf_port_log(text, size);
  } else {
    int const file = open_log();
    if (file >= 0) {
      (void)rf_host_write(file, text, size);
      (void)close(file);
    }
  }
  errno = saved;
}

void rf_output_open(void) {
  rf_process.log.fd = open_log();
  rf_process.log.opened_by = rf_process.log.fd >= 0 ? (uint32_t)getpid() : 0;
}

void rf_output_close(void) {
  rf_log_reporter *const log = &rf_process.log;
  if (log->fd >= 0) {
    (void)close(log->fd);
  }
  log->fd = -1;
  log->opened_by = 0;
}

void rf_output_keep_standard_error(void) {
  int const saved = errno;
  if (standard_error <= 0) {
    standard_error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  }
  errno = saved;
}

void rf_output_restore_standard_error(void) {
  int const saved = errno;
  if (standard_error > 0 && fcntl(STDERR_FILENO, F_GETFD) < 0) {
    (void)dup2(standard_error, STDERR_FILENO);
  }
  errno = saved;
}
