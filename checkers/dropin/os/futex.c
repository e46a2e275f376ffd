#define _GNU_SOURCE
#include "futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPINS 100

RF_THREAD_LOCAL bool rf_futex_waits;

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("" ::: "memory");
#endif
}

static bool spin(rf_futex *lock) {
  for (int i = 0; i < SPINS; i++) {
    if (__atomic_load_n(&lock->state, __ATOMIC_RELAXED) == 0 && rf_futex_try(lock)) {
      return true;
    }
    relax();
  }
  return false;
}

/* free() must not change errno, so nothing here may. */
static void futex(rf_futex *lock, int operation, uint32_t value, const struct timespec *limit) {
  int const saved = errno;
  (void)syscall(SYS_futex, &lock->state, operation, value, limit, NULL, 0);
  errno = saved;
}

static void sleep_on(rf_futex *lock, const struct timespec *limit) {
  futex(lock, FUTEX_WAIT_PRIVATE, 2, limit);
}

/* Has the lock, or leaves word that somebody waits for it. */
static bool take(rf_futex *lock) {
  return __atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE) == 0;
}

void rf_futex_lock_slow(rf_futex *lock) {
  if (spin(lock)) {
    return;
  }
  while (!take(lock)) {
    sleep_on(lock, NULL);
  }
}

static void sleep_shortly(rf_futex *lock) {
  struct timespec const millisecond = {0, 1000000};
  rf_futex_waits = true;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  sleep_on(lock, &millisecond);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_futex_waits = false;
}

/* An unlock wakes one thread, which may be this one at the end of its time: it takes the lock then, since the others
 * that wait would sleep for ever. */
bool rf_futex_lock_within(rf_futex *lock, unsigned ms) {
  bool has = rf_futex_try(lock) || (ms != 0 && take(lock));
  for (unsigned waited = 0; !has && waited < ms; waited++) {
    sleep_shortly(lock);
    has = take(lock);
  }
  return has;
}

void rf_futex_wake(rf_futex *lock) {
  futex(lock, FUTEX_WAKE_PRIVATE, 1, NULL);
}
