/* Preloaded: no process can be started. */
#include <errno.h>
#include <unistd.h>

pid_t fork(void) {
  errno = EAGAIN;
  return -1;
}
