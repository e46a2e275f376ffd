/* Interception of calls with a mutex, a condition variable or their like in freed memory, in the library and in
 * programs that the drop-in is linked into. In these, calls that a shared library makes are not seen.
 *
 * The C library takes the fill of freed memory for a lock that others hold, threads that wait, or a kind of mutex that
 * there is none of: it waits for ever, or fails without a write that would be found later. So where an object begins
 * with the fill, or lies in a block on pages, it is looked at whether its block was freed; such a call is reported, and
 * fails with EINVAL.
 *
 * Complexity: loads of the heap's map and of the object's first word; for blocks on pages, a look at their state.
 * Threads and signal handlers: as the functions behind.
 */
#define _GNU_SOURCE
#include "checkers/dropin/heap/span.h"
#include "checkers/dropin/malloc/malloc_impl.h"
#include "checkers/dropin/runtime/state.h"
#include "intercept.h"
#include "intercept_files.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "checkers/page/page_store.h"
#include "checkers/shared/pattern.h"

#define MUTEXES(with)                                                                                                  \
  with(pthread_mutex_lock) with(pthread_mutex_trylock) with(pthread_mutex_timedlock) with(pthread_mutex_unlock)        \
      with(pthread_mutex_destroy)
#define CONDITIONS(with)                                                                                               \
  with(pthread_cond_signal) with(pthread_cond_broadcast) with(pthread_cond_wait) with(pthread_cond_timedwait)          \
      with(pthread_cond_destroy)
#define OTHERS(with)                                                                                                   \
  with(pthread_rwlock_rdlock) with(pthread_rwlock_wrlock) with(pthread_rwlock_tryrdlock)                               \
      with(pthread_rwlock_trywrlock) with(pthread_rwlock_timedrdlock) with(pthread_rwlock_timedwrlock)                 \
          with(pthread_rwlock_unlock) with(pthread_barrier_wait) with(pthread_barrier_destroy) with(pthread_spin_lock)

#if !RF_DROPIN_LIBRARY
#define DECLARE_BOTH(name)                                                                                             \
  __typeof__(name) __real_##name;                                                                                      \
  __typeof__(name) __wrap_##name;
MUTEXES(DECLARE_BOTH)
CONDITIONS(DECLARE_BOTH)
OTHERS(DECLARE_BOTH)
#endif

static struct { MUTEXES(DECLARE) CONDITIONS(DECLARE) OTHERS(DECLARE) } theirs;

/* Those of condition variables have an older form, for objects of another layout, which dlsym may give. */
#if RF_DROPIN_LIBRARY && (defined(__x86_64__) || defined(__i386__))
#define FIND_NEWER(name) theirs.name = (__typeof__(&(name)))newer(#name);

/* By a pointer, as rf_real calls dlsym. */
static void *newer(const char *name) {
  void *(*const volatile find)(void *handle, const char *symbol, const char *version) = dlvsym;
  return find(RTLD_NEXT, name, "GLIBC_2.3.2");
}

#else
#define FIND_NEWER FIND
#endif

void rf_intercept_sync_init(void) {
  MUTEXES(FIND)
  CONDITIONS(FIND_NEWER)
  OTHERS(FIND)
}

#define FILL (UINT32_C(0x01010101) * RF_PATTERN_FREED)

typedef uint32_t __attribute__((may_alias)) word;

/* True of most in freed blocks of the heap, and of all in blocks on pages. */
static inline bool may_be_freed(const void *object) {
  if (!rf_process.checked) {
    return false;
  }
  return rf_span_holding((uintptr_t)object) != NULL ? *(const word *)object == FILL : rf_page_may_be(object);
}

RF_COLD static bool report(const void *object, size_t size, const rf_origin *origin) {
  return rf_malloc_impl_report_stale(object, size, RF_ACCESS_WRITE, origin);
}

/* The common way ends in a jump, without a frame of its own; the other one is jumped to, and so has the same caller. */
#define SYNCHRONISES(name, parameters, arguments, object)                                                              \
  RF_COLD static int look_in_##name parameters {                                                                       \
    rf_origin const origin = RF_CALLER;                                                                                \
    if (theirs.name == NULL) {                                                                                         \
      rf_intercept_sync_init();                                                                                        \
    }                                                                                                                  \
    if (may_be_freed((const void *)(uintptr_t)(object)) &&                                                             \
        report((const void *)(uintptr_t)(object), sizeof *(object), &origin)) {                                        \
      return EINVAL;                                                                                                   \
    }                                                                                                                  \
    return theirs.name arguments;                                                                                      \
  }                                                                                                                    \
  NO_FRAME RF_EXPORT int OURS(name) parameters {                                                                       \
    if (RF_UNLIKELY(theirs.name == NULL || may_be_freed((const void *)(uintptr_t)(object)))) {                         \
      return look_in_##name arguments;                                                                                 \
    }                                                                                                                  \
    return theirs.name arguments;                                                                                      \
  }

#if defined(__clang__)
#define NO_FRAME
#else
#define NO_FRAME __attribute__((optimize("omit-frame-pointer")))
#endif

#define OF_MUTEX(name) SYNCHRONISES(name, (pthread_mutex_t * mutex), (mutex), mutex)
#define OF_CONDITION(name) SYNCHRONISES(name, (pthread_cond_t * condition), (condition), condition)
#define OF_RWLOCK(name) SYNCHRONISES(name, (pthread_rwlock_t * lock), (lock), lock)
#define OF_BARRIER(name) SYNCHRONISES(name, (pthread_barrier_t * barrier), (barrier), barrier)

OF_MUTEX(pthread_mutex_lock)
OF_MUTEX(pthread_mutex_trylock)
OF_MUTEX(pthread_mutex_unlock)
OF_MUTEX(pthread_mutex_destroy)
SYNCHRONISES(pthread_mutex_timedlock, (pthread_mutex_t *restrict mutex, const struct timespec *restrict limit),
             (mutex, limit), mutex)

OF_CONDITION(pthread_cond_signal)
OF_CONDITION(pthread_cond_broadcast)
OF_CONDITION(pthread_cond_destroy)
SYNCHRONISES(pthread_cond_wait, (pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex),
             (condition, mutex), condition)
SYNCHRONISES(pthread_cond_timedwait,
             (pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
              const struct timespec *restrict limit),
             (condition, mutex, limit), condition)

OF_RWLOCK(pthread_rwlock_rdlock)
OF_RWLOCK(pthread_rwlock_wrlock)
OF_RWLOCK(pthread_rwlock_tryrdlock)
OF_RWLOCK(pthread_rwlock_trywrlock)
OF_RWLOCK(pthread_rwlock_unlock)
SYNCHRONISES(pthread_rwlock_timedrdlock, (pthread_rwlock_t *restrict lock, const struct timespec *restrict limit),
             (lock, limit), lock)
SYNCHRONISES(pthread_rwlock_timedwrlock, (pthread_rwlock_t *restrict lock, const struct timespec *restrict limit),
             (lock, limit), lock)

OF_BARRIER(pthread_barrier_wait)
OF_BARRIER(pthread_barrier_destroy)
SYNCHRONISES(pthread_spin_lock, (pthread_spinlock_t * lock), (lock), lock)
