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

void rf_futex_lock_slow(rf_futex *lock) {
  if (spin(lock)) {
    return;
  }
  while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE) != 0) {
    sleep_on(lock, NULL);
  }
}

bool rf_futex_lock_within(rf_futex *lock, unsigned ms) {
  struct timespec const millisecond = {0, 1000000};
  if (rf_futex_try(lock)) {
    return true;
  }
  for (unsigned waited = 0; waited < ms; waited++) {
    if (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE) == 0) {
      return true;
    }
    rf_futex_waits = true;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    sleep_on(lock, &millisecond);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    rf_futex_waits = false;
  }
  return false;
}

void rf_futex_wake(rf_futex *lock) {
  futex(lock, FUTEX_WAKE_PRIVATE, 1, NULL);
}
