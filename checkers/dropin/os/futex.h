/* A lock of one word for the drop-in: uncontended it costs one compare-exchange and one exchange, and in a process of
 * one thread two plain stores. Not recursive. Zero-initialised is unlocked.
 *
 * Not rf_mutex of the port: that one may not be set back in a forked child, and costs a call.
 */
#ifndef RINGFENCE_DROPIN_FUTEX_H
#define RINGFENCE_DROPIN_FUTEX_H

#include "lib/core/compiler.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct rf_futex {
  uint32_t state; /* 0 free, 1 held, 2 held and somebody may wait */
} rf_futex;

/* glibc's promise that there is one thread only (2.32 and later; absent, atomics are used always). It ends before a
 * second thread starts, and never comes while a lock is held. */
extern char __libc_single_threaded __attribute__((weak));

static inline bool rf_one_thread(void) {
  return &__libc_single_threaded != 0 && __libc_single_threaded;
}

/* Waits for the lock: spins briefly, then sleeps. */
void rf_futex_lock_slow(rf_futex *lock);

/* Waits at most `ms` milliseconds; false where the lock could not be had. For the moment of exit, when a thread may
 * have died inside. */
bool rf_futex_lock_within(rf_futex *lock, unsigned ms);

/* The calling thread sleeps in rf_futex_lock_within, or until all others are stopped (heap/stop.c): for signal handlers
 * that interrupt it. It may hold locks of the C library's meanwhile, and must not be kept from going on. */
extern RF_THREAD_LOCAL bool rf_futex_waits __attribute__((visibility("hidden")));

void rf_futex_wake(rf_futex *lock);

static inline bool rf_futex_try(rf_futex *lock) {
  if (rf_one_thread()) {
    if (lock->state != 0) {
      return false;
    }
    lock->state = 1;
    return true;
  }
  uint32_t expected = 0;
  return __atomic_compare_exchange_n(&lock->state, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void rf_futex_lock(rf_futex *lock) {
  if (!rf_futex_try(lock)) {
    rf_futex_lock_slow(lock);
  }
}

static inline void rf_futex_unlock(rf_futex *lock) {
  if (rf_one_thread()) {
    lock->state = 0;
  } else if (__atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE) == 2) {
    rf_futex_wake(lock);
  }
}

#endif /* RINGFENCE_DROPIN_FUTEX_H */
