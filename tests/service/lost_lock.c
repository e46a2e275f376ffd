/* Preloaded: while the file RF_LOST is there, another program takes the lock for writing of the database between two
 * requests for it: the first is granted, further ones are not. Waits for it take no time then; the file gets a byte for
 * each millisecond of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WRITE_LOCK = 120 }; /* its byte in the log's index: SQLite's file format, 2.3.3 */

static unsigned requests;

static int is_lost(void) {
  const char *const path = getenv("RF_LOST");
  int const lost = path != NULL && access(path, F_OK) == 0;
  requests = lost ? requests : 0;
  return lost;
}

static int call(int fd, int command, void *argument) {
  const struct flock *const lock = (const struct flock *)argument;
  if (command == F_SETLK && lock->l_type == F_WRLCK && lock->l_start == WRITE_LOCK && is_lost() && ++requests > 1) {
    errno = EAGAIN;
    return -1;
  }
  return (int)syscall(SYS_fcntl, fd, command, argument);
}

int fcntl(int fd, int command, ...) {
  va_list more;
  va_start(more, command);
  void *const argument = va_arg(more, void *);
  va_end(more);
  return call(fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
  va_list more;
  va_start(more, command);
  void *const argument = va_arg(more, void *);
  va_end(more);
  return call(fd, command, argument);
}

static int wait_for(const struct timespec *time, struct timespec *left) {
  if (!is_lost()) {
    return (int)syscall(SYS_nanosleep, time, left);
  }
  static const char bytes[10000];
  size_t const ms = (size_t)time->tv_sec * 1000 + (size_t)time->tv_nsec / 1000000;
  int const fd = open(getenv("RF_LOST"), O_WRONLY | O_APPEND | O_CLOEXEC);
  ssize_t const written = fd < 0 ? 0 : write(fd, bytes, ms < sizeof bytes ? ms : sizeof bytes);
  (void)close(fd);
  return written < 0 ? -1 : 0;
}

int usleep(useconds_t us) {
  struct timespec const time = {us / 1000000, (long)(us % 1000000) * 1000};
  return wait_for(&time, NULL);
}

int nanosleep(const struct timespec *time, struct timespec *left) {
  return wait_for(time, left);
}
