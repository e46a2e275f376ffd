/* A key of the threads' values that takes none of the first numbers. A program may ask for the value of a key that it
 * has not made yet, which is mostly number 0, set it, or delete it: the C library refuses that. Were the key ours, the
 * program would get our value, or end our threads' notices. */
#ifndef RINGFENCE_CHECKERS_OWN_KEY_H
#define RINGFENCE_CHECKERS_OWN_KEY_H

#include <pthread.h>
#include <stdbool.h>

#define RF_INNER_KEYS 32U /* of a thread, whose values glibc stores without allocating */

/* Makes the last inner key that is free, any other one where none is. False: there are no keys left. */
static inline bool rf_own_key_create(pthread_key_t *key, void (*ended)(void *)) {
  pthread_key_t made[RF_INNER_KEYS];
  unsigned count = 0;
  while (count < RF_INNER_KEYS && pthread_key_create(&made[count], ended) == 0) {
    count++;
    if (made[count - 1] >= RF_INNER_KEYS - 1) {
      break;
    }
  }
  if (count == 0) {
    return false;
  }
  unsigned kept = count - 1;
  if (kept > 0 && made[kept] >= RF_INNER_KEYS) {
    kept--;
  }
  for (unsigned i = 0; i < count; i++) {
    if (i != kept) {
      (void)pthread_key_delete(made[i]);
    }
  }
  *key = made[kept];
  return true;
}

#endif /* RINGFENCE_CHECKERS_OWN_KEY_H */
