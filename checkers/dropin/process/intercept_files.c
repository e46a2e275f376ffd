/* Interception of calls after which findings would not reach their file. Only in the library.
 *
 * Standard error is the file that the process began with, or that it put there by dup2 or freopen. Any other file with
 * that number came there by chance, because the program had closed standard error, and holds the program's data. */
#define _GNU_SOURCE
#include "intercept_files.h"
#include "checkers/dropin/runtime/output.h"
#include "checkers/page/page_store.h"
#include "intercept.h"
#include "lifecycle.h"
#include "stream_buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EACH(with)                                                                                                     \
  with(fclose) with(freopen) with(chroot) with(setuid) with(seteuid) with(setreuid) with(setresuid) with(unshare)

THEIRS_BY(rf_intercept_files_init, fclose)

/* ---- Standard error ---- */

static int placed(int descriptor) {
  if (descriptor == STDERR_FILENO) {
    rf_output_set_standard_error();
  }
  return descriptor;
}

RF_EXPORT int dup(int fd) {
  return placed((int)syscall(SYS_dup, fd));
}

/* The program takes the number of our own descriptor. */
static int yield(int descriptor) {
  if (rf_page_store_keeps_descriptor(descriptor)) {
    rf_page_store_settle();
  }
  return descriptor;
}

RF_EXPORT int dup3(int fd, int fd2, int flags) {
  return placed((int)syscall(SYS_dup3, fd, yield(fd2), flags));
}

RF_EXPORT int dup2(int fd, int fd2) {
  if (fd == fd2) {
    return fcntl(fd, F_GETFL) < 0 ? -1 : fd2;
  }
#ifdef SYS_dup2
  return placed((int)syscall(SYS_dup2, fd, yield(fd2)));
#else
  return dup3(fd, fd2, 0);
#endif
}

/* A function of its own: newer C libraries declare that the stream of freopen is never NULL. */
void rf_intercept_reopening(FILE *stream, const rf_origin *origin) {
  if (stream != NULL) {
    rf_stream_buffer_look(stream, origin);
  }
}

FILE *rf_intercept_reopened(FILE *stream) {
  if (stream != NULL) {
    (void)placed(fileno(stream));
  }
  return stream;
}

RF_EXPORT FILE *freopen(const char *filename, const char *modes, FILE *stream) {
  rf_origin const origin = RF_CALLER;
  find_theirs();
  rf_intercept_reopening(stream, &origin);
  return rf_intercept_reopened(theirs.freopen(filename, modes, stream));
}

RF_EXPORT int fclose(FILE *stream) {
  rf_origin const origin = RF_CALLER;
  find_theirs();
  return rf_process_closes(stream, &origin) ? theirs.fclose(stream) : EOF;
}

/* ---- Rights: the log may not be opened any more ---- */

#define KEEPS_LOG(name, parameters, arguments)                                                                         \
  RF_EXPORT int name parameters {                                                                                      \
    find_theirs();                                                                                                     \
    rf_output_keep_log();                                                                                              \
    return theirs.name arguments;                                                                                      \
  }

KEEPS_LOG(chroot, (const char *path), (path))
KEEPS_LOG(setuid, (uid_t uid), (uid))
KEEPS_LOG(seteuid, (uid_t uid), (uid))
KEEPS_LOG(setreuid, (uid_t ruid, uid_t euid), (ruid, euid))
KEEPS_LOG(setresuid, (uid_t ruid, uid_t euid, uid_t suid), (ruid, euid, suid))
KEEPS_LOG(unshare, (int flags), (flags))
