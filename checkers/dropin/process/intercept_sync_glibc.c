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

MUTEXES(DECLARE_LINKED)
CONDITIONS(DECLARE_LINKED)
OTHERS(DECLARE_LINKED)

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

/* A function whose first parameter is `object`. The common way ends in a jump, without a frame of its own; the other
 * one is jumped to, and so has the same caller. */
#define SYNCHRONISES(name, parameters, arguments)                                                                      \
  RF_COLD static int look_in_##name parameters {                                                                       \
    rf_origin const origin = RF_CALLER;                                                                                \
    if (theirs.name == NULL) {                                                                                         \
      rf_intercept_sync_init();                                                                                        \
    }                                                                                                                  \
    if (may_be_freed((const void *)(uintptr_t)object) &&                                                               \
        rf_malloc_impl_report_stale((const void *)(uintptr_t)object, sizeof *object, RF_ACCESS_WRITE, &origin)) {      \
      return EINVAL;                                                                                                   \
    }                                                                                                                  \
    return theirs.name arguments;                                                                                      \
  }                                                                                                                    \
  NO_FRAME RF_EXPORT int OURS(name) parameters {                                                                       \
    if (RF_UNLIKELY(theirs.name == NULL || may_be_freed((const void *)(uintptr_t)object))) {                           \
      return look_in_##name arguments;                                                                                 \
    }                                                                                                                  \
    return theirs.name arguments;                                                                                      \
  }

#if defined(__clang__)
#define NO_FRAME
#else
#define NO_FRAME __attribute__((optimize("omit-frame-pointer")))
#endif

/* With the object alone, and with a time. */
#define OF(type, name) SYNCHRONISES(name, (type * object), (object))
#define UNTIL(type, name)                                                                                              \
  SYNCHRONISES(name, (type *restrict object, const struct timespec *restrict limit), (object, limit))

OF(pthread_mutex_t, pthread_mutex_lock)
OF(pthread_mutex_t, pthread_mutex_trylock)
UNTIL(pthread_mutex_t, pthread_mutex_timedlock)
OF(pthread_mutex_t, pthread_mutex_unlock)
OF(pthread_mutex_t, pthread_mutex_destroy)

OF(pthread_cond_t, pthread_cond_signal)
OF(pthread_cond_t, pthread_cond_broadcast)
OF(pthread_cond_t, pthread_cond_destroy)
SYNCHRONISES(pthread_cond_wait, (pthread_cond_t *restrict object, pthread_mutex_t *restrict mutex), (object, mutex))
SYNCHRONISES(pthread_cond_timedwait,
             (pthread_cond_t *restrict object, pthread_mutex_t *restrict mutex, const struct timespec *restrict limit),
             (object, mutex, limit))

OF(pthread_rwlock_t, pthread_rwlock_rdlock)
OF(pthread_rwlock_t, pthread_rwlock_wrlock)
OF(pthread_rwlock_t, pthread_rwlock_tryrdlock)
OF(pthread_rwlock_t, pthread_rwlock_trywrlock)
UNTIL(pthread_rwlock_t, pthread_rwlock_timedrdlock)
UNTIL(pthread_rwlock_t, pthread_rwlock_timedwrlock)
OF(pthread_rwlock_t, pthread_rwlock_unlock)

OF(pthread_barrier_t, pthread_barrier_wait)
OF(pthread_barrier_t, pthread_barrier_destroy)
OF(pthread_spinlock_t, pthread_spin_lock)
