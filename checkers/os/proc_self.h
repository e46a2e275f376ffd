/* Files of /proc about this process. Internal to checkers/.
 *
 * /proc/self is the first thread's: once that has ended, while others go on, its files are empty. Then those of the
 * calling thread are taken, which are the same; kernels before Linux 3.17 have none. Not before: tracers that answer
 * for files (PRoot) know /proc/self, and open the other ones as their own.
 */
#ifndef RINGFENCE_PROC_SELF_H
#define RINGFENCE_PROC_SELF_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

#define RF_PROC_THREAD "/proc/thread-self/"
#define RF_PROC_PROCESS "/proc/self/"

/* The link to the program's file is missing once the first thread has ended. */
static inline bool rf_first_thread_ended(void) {
  char some;
  return readlink(RF_PROC_PROCESS "exe", &some, 1) != 1;
}

/* The path of the folder or file `name` of this process, a literal. */
#define RF_PROC_PATH(name) (rf_first_thread_ended() ? RF_PROC_THREAD name : RF_PROC_PROCESS name)

/* As readlink, of the program's file. */
static inline ssize_t rf_read_program_link(char *out, size_t room) {
  ssize_t const length = readlink(RF_PROC_PROCESS "exe", out, room);
  return length >= 0 ? length : readlink(RF_PROC_THREAD "exe", out, room);
}

/* The name by which that link is there, to be opened. */
static inline const char *rf_program_link(void) {
  return RF_PROC_PATH("exe");
}

#endif /* RINGFENCE_PROC_SELF_H */
