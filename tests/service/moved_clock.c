/* Preloaded: both clocks are ahead by the seconds that the file RF_MOVED has, which a test changes while it runs; with
 * "=" before them the steady clock stands still there. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *out) {
  const char *const path = getenv("RF_MOVED");
  char text[32] = "";
  int const status = (int)syscall(SYS_clock_gettime, clock, out);
  int const file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    (void)!read(file, text, sizeof text - 1);
    (void)close(file);
    if (text[0] == '=' && clock == CLOCK_MONOTONIC) {
      *out = (struct timespec){.tv_sec = strtoll(text + 1, NULL, 10)};
    }
    out->tv_sec += strtoll(text, NULL, 10); /* 0 of "=" */
  }
  return status;
}
