/* Between these two calls the thread is not cancelled. Files are read and written under locks by calls that are
 * cancellation points: a cancelled thread would never unlock. */
#ifndef RINGFENCE_CHECKERS_UNCANCELLED_H
#define RINGFENCE_CHECKERS_UNCANCELLED_H

#include <errno.h>
#include <pthread.h>
#include <time.h>

/* Returns the argument of rf_uncancelled_end. Nests. */
static inline int rf_uncancelled_begin(void) {
  int before = PTHREAD_CANCEL_ENABLE;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  return before;
}

static inline void rf_uncancelled_end(int before) {
  (void)pthread_setcancelstate(before, &before);
}

/* Waits less than a second, and is no point of cancellation. Keeps errno. */
static inline void rf_uncancelled_nap(long ns) {
  struct timespec const pause = {0, ns};
  int const saved_errno = errno;
  int const cancellation = rf_uncancelled_begin();
  (void)nanosleep(&pause, NULL);
  rf_uncancelled_end(cancellation);
  errno = saved_errno;
}

#endif /* RINGFENCE_CHECKERS_UNCANCELLED_H */
