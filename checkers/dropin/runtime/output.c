#define _GNU_SOURCE
#include "output.h"

#include "checkers/dropin/os/kept_file.h"
#include "lib/core/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <ringfence/port.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkers/os/above_standard.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/modules.h"
#include "checkers/os/pid_path.h"
#include "checkers/os/same_file.h"
#include "checkers/os/soft_limit.h"
#include "checkers/os/uncancelled.h"

#define PATH_BYTES 512

static rf_kept_file kept_log;
static int copy_of_standard_error; /* 0 or less: none */

/* ---- Standard error ---- */

static struct {
  bool known;
  struct stat file; /* zero: it was closed */
} standard_error;

void rf_output_set_standard_error(void) {
  int const saved = errno;
  if (rf_process_now() != rf_process.id) {
    return; /* a child of vfork, whose descriptors are its own */
  }
  standard_error.file = (struct stat){0};
  (void)fstat(STDERR_FILENO, &standard_error.file);
  standard_error.known = rf_process.library;
  errno = saved;
}

/* Terminals and /dev/null hold no data. */
static bool is_standard_error(void) {
  struct stat file;
  return !standard_error.known || rf_is_forbidden(RF_CALL_OPEN) || fstat(STDERR_FILENO, &file) != 0 ||
         S_ISCHR(file.st_mode) || rf_is_same_file(&file, &standard_error.file);
}

void rf_output_say(const char *text, size_t size) {
  int const saved = errno;
  if (is_standard_error()) {
    rf_port_log(text, size);
  }
  errno = saved;
}

/* ---- The log ---- */

/* Not the one that is kept, in a sandbox. */
static void close_log(int file) {
  if (!rf_is_forbidden(RF_CALL_OPEN)) {
    (void)close(file);
  }
}

static bool find_log(char path[PATH_BYTES]) {
  rf_sink_buffer expanded;
  rf_sink_buffer_init(&expanded, path, PATH_BYTES);
  return rf_process.options.log != NULL &&
         rf_pid_path(rf_process.options.log, rf_process.options.log_length, &expanded);
}

/* A child that cannot open its own has its parent's. */
static int open_within_limit(void) {
  if (rf_is_forbidden(RF_CALL_OPEN)) {
    return kept_log.descriptor > 0 ? kept_log.descriptor : -1;
  }
  char path[PATH_BYTES];
  if (rf_process.options.log == NULL && !is_standard_error()) {
    return open("/dev/null", O_WRONLY | O_CLOEXEC);
  }
  if (!find_log(path)) {
    return -1;
  }
  int const file = rf_above_standard(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666));
  return file < 0 && rf_kept_file_is_there(&kept_log) ? fcntl(kept_log.descriptor, F_DUPFD_CLOEXEC, 0) : file;
}

/* A descriptor of the log, to be closed; -1 where there is none. Where the program has used up its own, it is one above
 * the soft limit, which stays as it was. Keeps errno. */
static int open_log(void) {
  int const saved = errno;
  rf_soft_limit descriptors = {.files = false};
  errno = 0;
  int file = open_within_limit();
  if (file < 0 && errno == EMFILE && rf_soft_limit_raise(&descriptors)) {
    file = open_within_limit();
    rf_soft_limit_lower(&descriptors);
  }
  errno = saved;
  return file;
}

void rf_output_keep_log(void) {
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin(); /* setuid and its like are no points of cancellation */
  rf_modules_keep_program();
  int const file = rf_process.options.summary && kept_log.descriptor <= 0 ? open_log() : -1;
  if (file >= 0) {
    rf_kept_file_keep(&kept_log, file);
    (void)close(file);
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
}

/* By another program that the process becomes: open knows of Landlock, access of the rights that exec takes away. The
 * log of a child is yet to be made, in the same folder. */
static bool can_be_opened(char *path) {
  int const file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
  char *const slash = strrchr(path, '/');
  if (file >= 0) {
    (void)close(file);
    return access(path, W_OK) == 0;
  }
  if (errno != ENOENT || slash == NULL) {
    return errno != EACCES && errno != EPERM && errno != EROFS;
  }
  *slash = '\0';
  return access(path, W_OK | X_OK) == 0;
}

RF_COLD bool rf_output_log_is_lost(void) {
  int const saved = errno;
  char path[PATH_BYTES];
  bool const lost =
      !rf_is_forbidden(RF_CALL_OPEN) && rf_kept_file_is_there(&kept_log) && find_log(path) && !can_be_opened(path);
  errno = saved;
  return lost;
}

/* Another command among the programs has our options before its own: it reports by itself. */
RF_COLD bool rf_output_shares_log(const char *options) {
  char path[PATH_BYTES];
  const rf_options *const own = &rf_process.options;
  if (!own->summary || !find_log(path)) {
    return true;
  }
  const char *const log =
      options == NULL ? NULL : (const char *)memmem(options, strlen(options), own->log, own->log_length);
  if (log == NULL) {
    return false;
  }
  const char *const behind = log + own->log_length;
  const char *const end = behind + (*behind == '\'' || *behind == '"');
  return *end == ':' || *end == '\0';
}

RF_COLD void rf_output_write(const char *text, size_t size) {
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin();
  if (rf_process.options.log == NULL) {
    rf_output_say(text, size);
  } else {
    int const file = open_log();
    if (file >= 0) {
      (void)rf_host_write(file, text, size);
      close_log(file);
    }
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
}

RF_COLD void rf_output_mark_loss(void) {
  static const char suffix[] = ".lost";
  int const saved = errno;
  char path[PATH_BYTES + sizeof suffix];
  if (rf_process.options.summary && !rf_is_forbidden(RF_CALL_MARK) && find_log(path)) {
    memcpy(path + strlen(path), suffix, sizeof suffix);
    (void)syscall(SYS_mknodat, AT_FDCWD, path, S_IFREG | S_IRUSR | S_IWUSR, 0);
  }
  errno = saved;
}

RF_COLD void rf_output_open(void) {
  rf_process.log.fd = open_log();
  rf_process.log.file = 0; /* opened just now */
  rf_process.log.opened_by = rf_process.log.fd >= 0 ? (uint32_t)rf_process_now() : 0;
}

RF_COLD void rf_output_close(void) {
  rf_log_reporter *const log = &rf_process.log;
  if (log->fd >= 0) {
    close_log(log->fd);
  }
  log->fd = -1;
  log->opened_by = 0;
}

void rf_output_keep_standard_error(void) {
  int const saved = errno;
  if (copy_of_standard_error <= 0) {
    copy_of_standard_error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  }
  errno = saved;
}

void rf_output_restore_standard_error(void) {
  int const saved = errno;
  if (copy_of_standard_error > 0 && fcntl(STDERR_FILENO, F_GETFD) < 0) {
    (void)dup2(copy_of_standard_error, STDERR_FILENO);
  }
  errno = saved;
}
