/* Interception of calls with a mutex, a condition variable, a semaphore or their like in freed memory, in the library
 * and in programs that the drop-in is linked into. In these, calls that a shared library makes are not seen.
 *
 * The C library takes the fill of freed memory for a lock that others hold, threads that wait, or a kind of mutex that
 * there is none of: it waits for ever, or fails without a write that would be found later. Taken for the value of a
 * semaphore, it lets each call go on. So each call first looks whether the object's block was freed; such a call is
 * reported, and fails with EINVAL, or thrd_error: functions of C11 call those of POSIX inside the C library.
 *
 * Complexity: loads of the heap's map and of the block's state.
 * Threads and signal handlers: as the functions behind.
 */
#define _GNU_SOURCE
#include "checkers/dropin/malloc/malloc_impl.h"
#include "checkers/dropin/runtime/state.h"
#include "intercept.h"
#include "intercept_files.h"
#include "intercept_freed.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <threads.h>

#define MUTEXES(with)                                                                                                  \
  with(pthread_mutex_lock) with(pthread_mutex_trylock) with(pthread_mutex_timedlock) with(pthread_mutex_clocklock)     \
      with(pthread_mutex_unlock) with(pthread_mutex_destroy)
#define CONDITIONS(with)                                                                                               \
  with(pthread_cond_signal) with(pthread_cond_broadcast) with(pthread_cond_wait) with(pthread_cond_timedwait)          \
      with(pthread_cond_destroy)
#define OTHERS(with)                                                                                                   \
  with(pthread_cond_clockwait) with(pthread_rwlock_rdlock) with(pthread_rwlock_wrlock) with(pthread_rwlock_tryrdlock)  \
      with(pthread_rwlock_trywrlock) with(pthread_rwlock_timedrdlock) with(pthread_rwlock_timedwrlock)                 \
          with(pthread_rwlock_clockrdlock) with(pthread_rwlock_clockwrlock) with(pthread_rwlock_unlock)                \
              with(pthread_rwlock_destroy) with(pthread_barrier_wait) with(pthread_barrier_destroy)                    \
                  with(pthread_spin_lock) with(pthread_spin_trylock) with(pthread_spin_unlock)                         \
                      with(pthread_spin_destroy)
#define SEMAPHORES(with) with(sem_wait) with(sem_trywait) with(sem_post) with(sem_getvalue) with(sem_destroy)
#define TIMED_SEMAPHORES(with) with(sem_timedwait) with(sem_clockwait)
#define OF_C11(with)                                                                                                   \
  with(mtx_lock) with(mtx_trylock) with(mtx_timedlock) with(mtx_unlock) with(mtx_destroy) with(cnd_signal)             \
      with(cnd_broadcast) with(cnd_wait) with(cnd_timedwait) with(cnd_destroy)

MUTEXES(DECLARE_LINKED)
CONDITIONS(DECLARE_LINKED)
OTHERS(DECLARE_LINKED)
SEMAPHORES(DECLARE_LINKED)
TIMED_SEMAPHORES(DECLARE_LINKED)
OF_C11(DECLARE_LINKED)

static struct {
  MUTEXES(DECLARE)
  CONDITIONS(DECLARE)
  OTHERS(DECLARE)
  SEMAPHORES(DECLARE)
  TIMED_SEMAPHORES(DECLARE)
  OF_C11(DECLARE)
} theirs;

/* Those of condition variables, and of semaphores on i386, have an older form, for objects of another layout, which
 * dlsym may give. */
#if RF_DROPIN_LIBRARY && (defined(__x86_64__) || defined(__i386__))
#define FIND_NEWER(name) theirs.name = (__typeof__(&(name)))newer(#name, "GLIBC_2.3.2");

/* By a pointer, as rf_real calls dlsym. */
static void *newer(const char *name, const char *version) {
  void *(*const volatile find)(void *handle, const char *symbol, const char *version) = dlvsym;
  return find(RTLD_NEXT, name, version);
}

#else
#define FIND_NEWER FIND
#endif
#if RF_DROPIN_LIBRARY && defined(__i386__)
#define FIND_SEMAPHORE(name) theirs.name = (__typeof__(&(name)))newer(#name, "GLIBC_2.1");
#else
#define FIND_SEMAPHORE FIND
#endif

void rf_intercept_sync_init(void) {
  MUTEXES(FIND)
  OTHERS(FIND)
  TIMED_SEMAPHORES(FIND)
  OF_C11(FIND)
  CONDITIONS(FIND_NEWER)
  SEMAPHORES(FIND_SEMAPHORE)
}

static void find_theirs(void) {
  if (theirs.pthread_mutex_lock == NULL) {
    rf_intercept_sync_init();
  }
}

/* Tells of it. */
static bool is_freed(const void *object, size_t size, rf_access access, const rf_origin *origin) {
  return rf_may_be_freed(object) && rf_malloc_impl_report_stale(object, size, access, origin);
}

#define IS_FREED_FOR(access) is_freed((const void *)(uintptr_t)object, sizeof *object, (access), &origin)
#define IS_FREED IS_FREED_FOR(RF_ACCESS_WRITE)

/* A function whose first parameter is `object`; one that gives nothing. */
#define SYNCHRONISES(failed, name, parameters, arguments)                                                              \
  UNLESS_FREED(int, failed, name, parameters, arguments, object, IS_FREED)
#define ENDS(type, name) DONE_UNLESS_FREED(name, (type * object), (object), IS_FREED)

/* With the object alone; with a time, and the clock that it is of. */
#define OF(type, name) SYNCHRONISES(EINVAL, name, (type * object), (object))
#define UNTIL(type, name)                                                                                              \
  SYNCHRONISES(EINVAL, name, (type *restrict object, const struct timespec *restrict limit), (object, limit))
#define UNTIL_CLOCK(type, name)                                                                                        \
  SYNCHRONISES(EINVAL, name, (type *restrict object, clockid_t clock, const struct timespec *restrict limit),          \
               (object, clock, limit))

OF(pthread_mutex_t, pthread_mutex_lock)
OF(pthread_mutex_t, pthread_mutex_trylock)
UNTIL(pthread_mutex_t, pthread_mutex_timedlock)
UNTIL_CLOCK(pthread_mutex_t, pthread_mutex_clocklock)
OF(pthread_mutex_t, pthread_mutex_unlock)
OF(pthread_mutex_t, pthread_mutex_destroy)

OF(pthread_cond_t, pthread_cond_signal)
OF(pthread_cond_t, pthread_cond_broadcast)
OF(pthread_cond_t, pthread_cond_destroy)
SYNCHRONISES(EINVAL, pthread_cond_wait, (pthread_cond_t *restrict object, pthread_mutex_t *restrict mutex),
             (object, mutex))
SYNCHRONISES(EINVAL, pthread_cond_timedwait,
             (pthread_cond_t *restrict object, pthread_mutex_t *restrict mutex, const struct timespec *restrict limit),
             (object, mutex, limit))
SYNCHRONISES(EINVAL, pthread_cond_clockwait,
             (pthread_cond_t *restrict object, pthread_mutex_t *restrict mutex, clockid_t clock,
              const struct timespec *restrict limit),
             (object, mutex, clock, limit))

OF(pthread_rwlock_t, pthread_rwlock_rdlock)
OF(pthread_rwlock_t, pthread_rwlock_wrlock)
OF(pthread_rwlock_t, pthread_rwlock_tryrdlock)
OF(pthread_rwlock_t, pthread_rwlock_trywrlock)
UNTIL(pthread_rwlock_t, pthread_rwlock_timedrdlock)
UNTIL(pthread_rwlock_t, pthread_rwlock_timedwrlock)
UNTIL_CLOCK(pthread_rwlock_t, pthread_rwlock_clockrdlock)
UNTIL_CLOCK(pthread_rwlock_t, pthread_rwlock_clockwrlock)
OF(pthread_rwlock_t, pthread_rwlock_unlock)
OF(pthread_rwlock_t, pthread_rwlock_destroy)

OF(pthread_barrier_t, pthread_barrier_wait)
OF(pthread_barrier_t, pthread_barrier_destroy)
OF(pthread_spinlock_t, pthread_spin_lock)
OF(pthread_spinlock_t, pthread_spin_trylock)
OF(pthread_spinlock_t, pthread_spin_unlock)
OF(pthread_spinlock_t, pthread_spin_destroy)

/* ---- Semaphores ---- */

#define NOT_COUNTED (errno = EINVAL, -1)
#define COUNTS(name, parameters, arguments) SYNCHRONISES(NOT_COUNTED, name, parameters, arguments)

COUNTS(sem_wait, (sem_t * object), (object))
COUNTS(sem_trywait, (sem_t * object), (object))
COUNTS(sem_post, (sem_t * object), (object))
COUNTS(sem_destroy, (sem_t * object), (object))
UNLESS_FREED(int, NOT_COUNTED, sem_getvalue, (sem_t *restrict object, int *restrict value), (object, value), object,
             IS_FREED_FOR(RF_ACCESS_READ))
COUNTS(sem_timedwait, (sem_t *restrict object, const struct timespec *restrict limit), (object, limit))
COUNTS(sem_clockwait, (sem_t *restrict object, clockid_t clock, const struct timespec *restrict limit),
       (object, clock, limit))

/* ---- C11 ---- */

#define OF_TYPE(type, name) SYNCHRONISES(thrd_error, name, (type * object), (object))

OF_TYPE(mtx_t, mtx_lock)
OF_TYPE(mtx_t, mtx_trylock)
OF_TYPE(mtx_t, mtx_unlock)
SYNCHRONISES(thrd_error, mtx_timedlock, (mtx_t *restrict object, const struct timespec *restrict limit),
             (object, limit))
ENDS(mtx_t, mtx_destroy)

OF_TYPE(cnd_t, cnd_signal)
OF_TYPE(cnd_t, cnd_broadcast)
SYNCHRONISES(thrd_error, cnd_wait, (cnd_t * object, mtx_t *mutex), (object, mutex))
SYNCHRONISES(thrd_error, cnd_timedwait,
             (cnd_t *restrict object, mtx_t *restrict mutex, const struct timespec *restrict limit),
             (object, mutex, limit))
ENDS(cnd_t, cnd_destroy)
