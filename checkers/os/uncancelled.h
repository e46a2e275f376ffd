/* Files are read and written where locks are held, and most calls that do this are cancellation points: a thread that was
 * cancelled there would take the lock with it. Between the two calls it is not. */
#ifndef RINGFENCE_CHECKERS_UNCANCELLED_H
#define RINGFENCE_CHECKERS_UNCANCELLED_H

#include <pthread.h>

/* Returns what rf_uncancelled_end wants. Nests. */
static inline int rf_uncancelled_begin(void) {
  int before = PTHREAD_CANCEL_ENABLE;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  return before;
}

static inline void rf_uncancelled_end(int before) {
  (void)pthread_setcancelstate(before, &before);
}

#endif /* RINGFENCE_CHECKERS_UNCANCELLED_H */
