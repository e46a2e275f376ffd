/* Files of /proc about this process. Internal to checkers/.
 *
 * /proc/self is the first thread's: once that has ended, while others go on, its files are empty. So those of the
 * calling thread are taken, which are the same; kernels before Linux 3.17 have none.
 */
#ifndef RINGFENCE_PROC_SELF_H
#define RINGFENCE_PROC_SELF_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

#define RF_PROC_THREAD "/proc/thread-self/"
#define RF_PROC_PROCESS "/proc/self/"

static inline int rf_open_either(const char *path, const char *other, int flags) {
  int const file = open(path, flags);
  return file >= 0 || errno != ENOENT ? file : open(other, flags);
}

/* As open, of the file `name`, a literal. */
#define RF_OPEN_PROC_SELF(name, flags) rf_open_either(RF_PROC_THREAD name, RF_PROC_PROCESS name, flags)

/* As readlink, of the program's file. That of the first thread fails once it has ended; before, under Valgrind, it is
 * the one that names the program. */
static inline ssize_t rf_read_program_link(char *out, size_t room) {
  ssize_t const length = readlink(RF_PROC_PROCESS "exe", out, room);
  return length >= 0 ? length : readlink(RF_PROC_THREAD "exe", out, room);
}

/* The name by which that link is there, to be opened. */
static inline const char *rf_program_link(void) {
  char some;
  return readlink(RF_PROC_PROCESS "exe", &some, 1) == 1 ? RF_PROC_PROCESS "exe" : RF_PROC_THREAD "exe";
}

#endif /* RINGFENCE_PROC_SELF_H */
