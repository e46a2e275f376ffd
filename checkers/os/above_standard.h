/* Descriptors beyond those of the standard streams. The kernel gives the lowest number: where a standard stream is
 * closed, that one's, to which the program may write. */
#ifndef RINGFENCE_CHECKERS_ABOVE_STANDARD_H
#define RINGFENCE_CHECKERS_ABOVE_STANDARD_H

#include <fcntl.h>
#include <unistd.h>

/* `fd`, or, where it is a standard stream's, a copy beyond those, and `fd` is closed; -1 where it is -1, or no
 * descriptor is left. */
static inline int rf_above_standard(int fd) {
  if (fd < 0 || fd > STDERR_FILENO) {
    return fd;
  }
  int const other = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  (void)close(fd);
  return other;
}

#endif /* RINGFENCE_CHECKERS_ABOVE_STANDARD_H */
