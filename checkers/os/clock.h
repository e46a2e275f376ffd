/* A clock of the system in nanoseconds. Hosted systems only. Internal to checkers/ and tools/. */
#ifndef RINGFENCE_CLOCK_H
#define RINGFENCE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* 0 where the system has no such clock. Any thread, and signal handlers. */
static inline uint64_t rf_clock_ns(clockid_t clock) {
  struct timespec now = {0, 0};
  (void)clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

#endif /* RINGFENCE_CLOCK_H */
