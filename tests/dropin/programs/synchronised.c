/* Calls with mutexes, condition variables, semaphores and their like in a block that was freed. As bugs.c; says
 * "refused" where the call fails with EINVAL, or thrd_error, and "wrong" where the good twin's call does not what the C
 * library does. */
#define _GNU_SOURCE
#include "cases.h"
#include "marks.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

typedef struct {
  char before[24];
  pthread_mutex_t mutex;
  pthread_cond_t condition;
  pthread_rwlock_t rwlock;
  pthread_barrier_t barrier;
  pthread_spinlock_t spinlock;
  mtx_t mtx;
  cnd_t cnd;
  sem_t semaphore; /* of 1 */
  sem_t none;      /* of 0 */
} shared;

static const struct timespec past = {1, 0};

static shared *make_shared(void) {
  shared *const s = (shared *)(void *)make(sizeof *s);
  pthread_mutex_init(&s->mutex, NULL);
  pthread_cond_init(&s->condition, NULL);
  pthread_rwlock_init(&s->rwlock, NULL);
  pthread_barrier_init(&s->barrier, NULL, 1);
  pthread_spin_init(&s->spinlock, PTHREAD_PROCESS_PRIVATE);
  mtx_init(&s->mtx, mtx_timed);
  cnd_init(&s->cnd);
  sem_init(&s->semaphore, 0, 1);
  sem_init(&s->none, 0, 0);
  return s;
}

/* In the good twin `before` comes first, and the call gives `result`; in the bad one it gives `failed`. */
#define CALL(name, before, call, result, failed)                                                                       \
  static void name##_after_free(void) {                                                                                \
    shared *const s = make_shared();                                                                                   \
    shared *volatile kept = s;                                                                                         \
    if (bad) {                                                                                                         \
      mark("released");                                                                                                \
      free(s);                                                                                                         \
    } else {                                                                                                           \
      before;                                                                                                          \
    }                                                                                                                  \
    mark("found");                                                                                                     \
    int const given = call;                                                                                            \
    if (bad && given == (failed)) {                                                                                    \
      puts("refused");                                                                                                 \
    }                                                                                                                  \
    if (!bad && given != (result)) {                                                                                   \
      puts("wrong");                                                                                                   \
    }                                                                                                                  \
    free(bad ? NULL : s);                                                                                              \
  }

#define USE(name, before, arguments, result) CALL(name, before, pthread_##name arguments, result, EINVAL)
#define USE_C11(name, before, arguments, result) CALL(name, before, name arguments, result, thrd_error)

/* errno where the call has failed. */
#define USE_SEMAPHORE(name, arguments, result) CALL(name, NOTHING, name arguments == 0 ? 0 : errno, result, EINVAL)

#define NOTHING (void)0

USE(mutex_lock, NOTHING, (&kept->mutex), 0)
USE(mutex_trylock, pthread_mutex_lock(&s->mutex), (&kept->mutex), EBUSY)
USE(mutex_timedlock, pthread_mutex_lock(&s->mutex), (&kept->mutex, &past), ETIMEDOUT)
USE(mutex_clocklock, pthread_mutex_lock(&s->mutex), (&kept->mutex, CLOCK_MONOTONIC, &past), ETIMEDOUT)
USE(mutex_unlock, pthread_mutex_lock(&s->mutex), (&kept->mutex), 0)
USE(mutex_destroy, NOTHING, (&kept->mutex), 0)
USE(cond_signal, NOTHING, (&kept->condition), 0)
USE(cond_broadcast, NOTHING, (&kept->condition), 0)
USE(cond_timedwait, pthread_mutex_lock(&s->mutex), (&kept->condition, &kept->mutex, &past), ETIMEDOUT)
USE(cond_clockwait, pthread_mutex_lock(&s->mutex), (&kept->condition, &kept->mutex, CLOCK_MONOTONIC, &past), ETIMEDOUT)
USE(cond_destroy, NOTHING, (&kept->condition), 0)
USE(rwlock_rdlock, NOTHING, (&kept->rwlock), 0)
USE(rwlock_wrlock, NOTHING, (&kept->rwlock), 0)
USE(rwlock_tryrdlock, pthread_rwlock_wrlock(&s->rwlock), (&kept->rwlock), EBUSY)
USE(rwlock_trywrlock, pthread_rwlock_rdlock(&s->rwlock), (&kept->rwlock), EBUSY)
USE(rwlock_timedrdlock, NOTHING, (&kept->rwlock, &past), 0)
USE(rwlock_timedwrlock, pthread_rwlock_rdlock(&s->rwlock), (&kept->rwlock, &past), ETIMEDOUT)
USE(rwlock_clockrdlock, NOTHING, (&kept->rwlock, CLOCK_MONOTONIC, &past), 0)
USE(rwlock_clockwrlock, pthread_rwlock_rdlock(&s->rwlock), (&kept->rwlock, CLOCK_MONOTONIC, &past), ETIMEDOUT)
USE(rwlock_destroy, NOTHING, (&kept->rwlock), 0)
USE(rwlock_unlock, pthread_rwlock_wrlock(&s->rwlock), (&kept->rwlock), 0)
USE(barrier_wait, NOTHING, (&kept->barrier), PTHREAD_BARRIER_SERIAL_THREAD)
USE(barrier_destroy, NOTHING, (&kept->barrier), 0)
USE(spin_lock, NOTHING, (&kept->spinlock), 0)
USE(spin_trylock, pthread_spin_lock(&s->spinlock), (&kept->spinlock), EBUSY)
USE(spin_unlock, pthread_spin_lock(&s->spinlock), (&kept->spinlock), 0)
USE(spin_destroy, NOTHING, (&kept->spinlock), 0)

static int value;

USE_SEMAPHORE(sem_wait, (&kept->semaphore), 0)
USE_SEMAPHORE(sem_trywait, (&kept->none), EAGAIN)
USE_SEMAPHORE(sem_timedwait, (&kept->none, &past), ETIMEDOUT)
USE_SEMAPHORE(sem_clockwait, (&kept->none, CLOCK_MONOTONIC, &past), ETIMEDOUT)
USE_SEMAPHORE(sem_post, (&kept->semaphore), 0)
USE_SEMAPHORE(sem_getvalue, (&kept->semaphore, &value), 0)
USE_SEMAPHORE(sem_destroy, (&kept->semaphore), 0)

USE_C11(mtx_lock, NOTHING, (&kept->mtx), thrd_success)
USE_C11(mtx_trylock, mtx_lock(&s->mtx), (&kept->mtx), thrd_busy)
USE_C11(mtx_timedlock, mtx_lock(&s->mtx), (&kept->mtx, &past), thrd_timedout)
USE_C11(mtx_unlock, mtx_lock(&s->mtx), (&kept->mtx), thrd_success)
USE_C11(cnd_signal, NOTHING, (&kept->cnd), thrd_success)
USE_C11(cnd_broadcast, NOTHING, (&kept->cnd), thrd_success)
USE_C11(cnd_timedwait, mtx_lock(&s->mtx), (&kept->cnd, &kept->mtx, &past), thrd_timedout)
/* These give nothing. */
CALL(mtx_destroy, NOTHING, (mtx_destroy(&kept->mtx), 0), 0, 0)
CALL(cnd_destroy, NOTHING, (cnd_destroy(&kept->cnd), 0), 0, 0)

/* A thread that the good twin wakes. */
static shared *waking;

static void *wake(void *unused) {
  pthread_mutex_lock(&waking->mutex);
  pthread_cond_signal(&waking->condition);
  pthread_mutex_unlock(&waking->mutex);
  return unused;
}

static void begin_to_wake(shared *s) {
  pthread_t thread;
  waking = s;
  pthread_mutex_lock(&s->mutex);
  if (pthread_create(&thread, NULL, wake, NULL) == 0) {
    pthread_detach(thread);
  }
}

USE(cond_wait, begin_to_wake(s), (&kept->condition, &kept->mutex), 0)

static void *wake_c11(void *unused) {
  mtx_lock(&waking->mtx);
  cnd_signal(&waking->cnd);
  mtx_unlock(&waking->mtx);
  return unused;
}

static void begin_to_wake_c11(shared *s) {
  pthread_t thread;
  waking = s;
  mtx_lock(&s->mtx);
  if (pthread_create(&thread, NULL, wake_c11, NULL) == 0) {
    pthread_detach(thread);
  }
}

USE_C11(cnd_wait, begin_to_wake_c11(s), (&kept->cnd, &kept->mtx), thrd_success)

/* Further into a large block than a free fills. */
static void far_in_a_large_block(void) {
  char *const block = make((size_t)1 << 20);
  pthread_mutex_t *volatile const far = (pthread_mutex_t *)(void *)(block + ((size_t)1 << 19));
  pthread_mutex_init(far, NULL);
  if (bad) {
    mark("released");
    free(block);
  }
  mark("found");
  int const given = pthread_mutex_lock(far);
  puts(given == EINVAL ? "refused" : given == 0 ? "locked" : "wrong");
  free(bad ? NULL : block);
}

/* Bytes of the program's own may look like the fill. */
static void a_lock_that_looks_freed(void) {
  pthread_mutex_t *const mutex = malloc(sizeof *mutex);
  memset(mutex, 0xCC, sizeof *mutex);
  printf("%d\n", pthread_mutex_trylock(mutex));
  free(mutex);
}

int main(int argc, char **argv) {
  static const test_case cases[] = {
      CASE(mutex_lock_after_free),         CASE(mutex_trylock_after_free),      CASE(mutex_timedlock_after_free),
      CASE(mutex_unlock_after_free),       CASE(mutex_destroy_after_free),      CASE(cond_signal_after_free),
      CASE(cond_broadcast_after_free),     CASE(cond_timedwait_after_free),     CASE(cond_destroy_after_free),
      CASE(cond_wait_after_free),          CASE(rwlock_rdlock_after_free),      CASE(rwlock_wrlock_after_free),
      CASE(rwlock_tryrdlock_after_free),   CASE(rwlock_trywrlock_after_free),   CASE(rwlock_timedrdlock_after_free),
      CASE(rwlock_timedwrlock_after_free), CASE(rwlock_unlock_after_free),      CASE(barrier_wait_after_free),
      CASE(barrier_destroy_after_free),    CASE(spin_lock_after_free),          CASE(mutex_clocklock_after_free),
      CASE(cond_clockwait_after_free),     CASE(rwlock_clockrdlock_after_free), CASE(rwlock_clockwrlock_after_free),
      CASE(rwlock_destroy_after_free),     CASE(mtx_lock_after_free),           CASE(mtx_trylock_after_free),
      CASE(mtx_timedlock_after_free),      CASE(mtx_unlock_after_free),         CASE(mtx_destroy_after_free),
      CASE(cnd_signal_after_free),         CASE(cnd_broadcast_after_free),      CASE(cnd_wait_after_free),
      CASE(cnd_timedwait_after_free),      CASE(cnd_destroy_after_free),        CASE(spin_trylock_after_free),
      CASE(spin_unlock_after_free),        CASE(spin_destroy_after_free),       CASE(sem_wait_after_free),
      CASE(sem_trywait_after_free),        CASE(sem_timedwait_after_free),      CASE(sem_clockwait_after_free),
      CASE(sem_post_after_free),           CASE(sem_getvalue_after_free),       CASE(sem_destroy_after_free),
      CASE(far_in_a_large_block),          CASE(a_lock_that_looks_freed),
  };
  return run_case(cases, sizeof cases / sizeof cases[0], argc, argv);
}
