/* Between these two calls the thread is not cancelled. Files are read and written under locks by calls that are
 * cancellation points: a cancelled thread would never unlock. */
#ifndef RINGFENCE_CHECKERS_UNCANCELLED_H
#define RINGFENCE_CHECKERS_UNCANCELLED_H

#include <pthread.h>

/* Returns the argument of rf_uncancelled_end. Nests. */
static inline int rf_uncancelled_begin(void) {
  int before = PTHREAD_CANCEL_ENABLE;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  return before;
}

static inline void rf_uncancelled_end(int before) {
  (void)pthread_setcancelstate(before, &before);
}

#endif /* RINGFENCE_CHECKERS_UNCANCELLED_H */
