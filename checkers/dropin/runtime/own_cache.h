/* The heap as threads use it: each has a cache of its own (checkers/dropin/heap/cache.h), given to it when it first
 * allocates and left to others when it ends.
 *
 * A signal handler may allocate and free while its own thread is inside its cache: it is lent another one, and never
 * waits for a lock that its own thread may hold; rather than that an allocation gives NULL.
 */
#ifndef RINGFENCE_DROPIN_OWN_CACHE_H
#define RINGFENCE_DROPIN_OWN_CACHE_H

#include "checkers/dropin/heap/cache.h"
#include "checkers/dropin/heap/walk.h"
#include "thread.h"

/* ---- Entering and leaving. Between the two the cache is the caller's. ---- */

rf_cache *rf_enter_slow(void);
void rf_leave_slow(rf_cache *cache);

/* The thread's own; NULL where it has none, is inside it, or others are being stopped. */
static inline rf_cache *rf_enter_own(void) {
  rf_cache *const cache = rf_current_thread.cache;
  if (__builtin_expect(cache != NULL && cache->inside == RF_CACHE_OUTSIDE, 1)) {
    if (__builtin_expect(rf_cache_enter(cache), 1)) {
      return cache;
    }
    rf_cache_exit(cache);
  }
  return NULL;
}

/* NULL only where there is no memory for it, or in a signal handler that interrupted the making of the first one. */
static inline rf_cache *rf_enter(void) {
  rf_cache *const cache = rf_enter_own();
  return __builtin_expect(cache != NULL, 1) ? cache : rf_enter_slow();
}

static inline void rf_leave(rf_cache *cache) {
  if (__builtin_expect(cache != rf_current_thread.cache, 0)) {
    rf_leave_slow(cache);
    return;
  }
  rf_cache_exit(cache);
}

/* True where this thread was interrupted inside the heap. */
bool rf_is_inside(void);

/* Has `job` done by the next thread that is about to enter the heap. Async-signal-safe. */
void rf_post_job(void (*job)(void));
void rf_forget_job(void);

/* Stops all others within `ms` milliseconds; false where that could not be, or where this thread is inside. */
bool rf_lock_all(unsigned ms);
void rf_unlock_all(void);

/* The same, and the locks of blocks on pages of their own. */
bool rf_lock_blocks(unsigned ms);
void rf_unlock_blocks(void);

/* Around fork, with signals blocked: no other thread is inside the heap when memory is copied. False, and nothing is
 * locked, where one was inside for `ms` milliseconds: a handler of a signal may have interrupted it, and wait for a
 * lock that the caller has. */
bool rf_own_cache_fork_prepare(unsigned ms);
void rf_own_cache_fork_parent(void);

typedef enum rf_fork_kind {
  RF_FORK_OF_ONE,  /* the parent had one thread: all live blocks are the child's */
  RF_FORK_OF_MANY, /* the parent had several threads, which may have held what lives now */
  /* Several threads, and a signal handler forked that had interrupted its own thread inside the heap: nobody knows
   * which live blocks are the child's. */
  RF_FORK_INSIDE
} rf_fork_kind;

rf_fork_kind rf_own_cache_fork_child(void);

#endif /* RINGFENCE_DROPIN_OWN_CACHE_H */
