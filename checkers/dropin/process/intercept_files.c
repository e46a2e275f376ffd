/* Interception of calls after which findings would not reach their file. Only in the library.
 *
 * Standard error is the file that the process began with, or that it put there by dup2 or freopen. Any other file with
 * that number came there by chance, because the program had closed standard error, and holds the program's data. */
#define _GNU_SOURCE
#include "checkers/dropin/runtime/output.h"
#include "intercept.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Standard error ---- */

static int placed(int descriptor) {
  if (descriptor == STDERR_FILENO) {
    rf_output_set_standard_error();
  }
  return descriptor;
}

/* By the system's own calls: after fork, the loader may not be asked for the C library's. */
RF_EXPORT int dup(int fd) {
  return placed((int)syscall(SYS_dup, fd));
}

RF_EXPORT int dup3(int fd, int fd2, int flags) {
  return placed((int)syscall(SYS_dup3, fd, fd2, flags));
}

RF_EXPORT int dup2(int fd, int fd2) {
  if (fd == fd2) {
    return fcntl(fd, F_GETFL) < 0 ? -1 : fd2;
  }
  return dup3(fd, fd2, 0);
}

static FILE *reopened(FILE *stream) {
  if (stream != NULL) {
    (void)placed(fileno(stream));
  }
  return stream;
}

RF_EXPORT FILE *freopen(const char *filename, const char *modes, FILE *stream) {
  return reopened(THEIRS(freopen)(filename, modes, stream));
}

RF_EXPORT FILE *freopen64(const char *filename, const char *modes, FILE *stream) {
  return reopened(THEIRS(freopen64)(filename, modes, stream));
}

/* ---- Rights: the log may not be opened any more ---- */

RF_EXPORT int chroot(const char *path) {
  rf_output_keep_log();
  return THEIRS(chroot)(path);
}

RF_EXPORT int setuid(uid_t uid) {
  rf_output_keep_log();
  return THEIRS(setuid)(uid);
}

RF_EXPORT int seteuid(uid_t uid) {
  rf_output_keep_log();
  return THEIRS(seteuid)(uid);
}

RF_EXPORT int setreuid(uid_t ruid, uid_t euid) {
  rf_output_keep_log();
  return THEIRS(setreuid)(ruid, euid);
}

RF_EXPORT int setresuid(uid_t ruid, uid_t euid, uid_t suid) {
  rf_output_keep_log();
  return THEIRS(setresuid)(ruid, euid, suid);
}

RF_EXPORT int unshare(int flags) {
  rf_output_keep_log();
  return THEIRS(unshare)(flags);
}
