#define _GNU_SOURCE
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <ringfence/port.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkers/os/host.h"

#define PATH_BYTES 512
#define KEPT_FROM 1000 /* programs number their own files from below */

static struct {
  int file; /* a descriptor of the log; 0 or less: none */
  struct stat identity;
  int standard_error; /* a copy of it; 0 or less: none */
} kept;

bool rf_output_path(const char *text, size_t length, rf_sink_buffer *path) {
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '%' && i + 1 < length && text[i + 1] == 'p') {
      rf_sink_uint(&path->sink, (uint64_t)getpid());
      i++;
    } else {
      rf_sink_char(&path->sink, text[i]);
    }
  }
  return path->length + 1 < path->capacity;
}

/* A process that changes its root folder or its user can no longer open the file, so one that runs under the command keeps
 * it open. */
static void keep(int file) {
  struct rlimit limit;
  int from = KEPT_FROM;
  if (!rf_process.options.summary || kept.file > 0 || fstat(file, &kept.identity) != 0) {
    return;
  }
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= KEPT_FROM) {
    from = (int)limit.rlim_cur / 2;
  }
  kept.file = fcntl(file, F_DUPFD_CLOEXEC, from);
}

/* The program may have closed it, and opened another file in its place. */
static bool is_kept(void) {
  struct stat file;
  return kept.file > 0 && fstat(kept.file, &file) == 0 && file.st_dev == kept.identity.st_dev &&
         file.st_ino == kept.identity.st_ino;
}

/* A descriptor of the log, to be closed; -1 where there is none. A child that cannot open its own has its parent's. */
static int open_log(void) {
  char path[PATH_BYTES];
  rf_sink_buffer expanded;
  rf_sink_buffer_init(&expanded, path, sizeof path);
  if (rf_process.options.log == NULL ||
      !rf_output_path(rf_process.options.log, rf_process.options.log_length, &expanded)) {
    return -1;
  }
  int const file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
  if (file >= 0) {
    keep(file);
    return file;
  }
  return is_kept() ? fcntl(kept.file, F_DUPFD_CLOEXEC, 0) : -1;
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
  if (kept.standard_error <= 0) {
    kept.standard_error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  }
  errno = saved;
}

void rf_output_restore_standard_error(void) {
  int const saved = errno;
  if (kept.standard_error > 0 && fcntl(STDERR_FILENO, F_GETFD) < 0) {
    (void)dup2(kept.standard_error, STDERR_FILENO);
  }
  errno = saved;
}
