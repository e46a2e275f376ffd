/* Preloaded: the time of day stands still at RF_CLOCK, in seconds since 1970: answers are the same each time. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *out) {
  const char *const seconds = getenv("RF_CLOCK");
  if (clock == CLOCK_REALTIME && seconds != NULL) {
    *out = (struct timespec){.tv_sec = strtoll(seconds, NULL, 10)};
    return 0;
  }
  return (int)syscall(SYS_clock_gettime, clock, out);
}
