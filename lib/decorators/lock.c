#include <ringfence/lock.h>

#include <ringfence/system.h>
#include <string.h>

#include "lib/core/compiler.h"

static rf_lock *lock_of(rf_allocator *self) {
  return (rf_lock *)(void *)self;
}

/* A fault handler may read the site. An odd one is a caller's address (system_malloc.h). */
static rf_status refuse(rf_lock *lock, rf_status status, const char *what, const void *ptr, const rf_site *site) {
  return rf_fault_refuse(&lock->base, status, what, ptr, ((uintptr_t)site & 1U) == 0 ? site : NULL);
}

/* ---- Signals ----
 *
 * A handler may interrupt this thread while it is about to take a mutex or to give it back, when the holder tells
 * nothing. The thread's own record does: the locks at whose mutex it is, innermost first. There are several where a
 * handler uses another lock. Not where locks keep interrupts out: one that came just before may use the heap. */

typedef struct passage {
  const rf_lock *lock;
  uint32_t thread;
  const struct passage *outer;
} passage;

/* Those of fuzz/threads.h are one real thread. */
#if RF_HAS_SYSTEM && __STDC_HOSTED__ && !defined(__ZEPHYR__) && !defined(RF_VIRTUAL_THREADS)

static RF_THREAD_LOCAL const passage *innermost;

static inline bool is_at_mutex(const rf_lock *lock, uint32_t me) {
  const passage *p = innermost;
  while (RF_UNLIKELY(p != NULL) && (p->lock != lock || p->thread != me)) {
    p = p->outer;
  }
  return p != NULL;
}

static inline void begin_passage(passage *p, const rf_lock *lock, uint32_t me) {
  *p = (passage){lock, me, innermost};
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  innermost = p;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void end_passage(const passage *p) {
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  innermost = p->outer;
}

#else

static inline bool is_at_mutex(const rf_lock *lock, uint32_t me) {
  (void)lock;
  (void)me;
  return false;
}

static inline void begin_passage(passage *p, const rf_lock *lock, uint32_t me) {
  (void)p;
  (void)lock;
  (void)me;
}

static inline void end_passage(const passage *p) {
  (void)p;
}

#endif

/* ---- Operations ---- */

/* Waits for the lock. Anything but RF_OK: it was not taken, for a reason that was reported. */
static rf_status enter(rf_lock *lock, const void *ptr, const rf_site *site) {
  uint32_t const me = rf_port_thread_id();
  passage here;
  if (lock->inner == NULL) {
    return refuse(lock, RF_ERR_DELETED, "used after deinit", ptr, site);
  }
  /* Only this thread can have put its own number there, so what other threads do to it meanwhile does not matter. */
  if (__atomic_load_n(&lock->holder, __ATOMIC_RELAXED) == me || is_at_mutex(lock, me)) {
    return refuse(lock, RF_ERR_BUSY, "called from within itself", ptr, site);
  }
  begin_passage(&here, lock, me);
  rf_mutex_lock(&lock->mutex);
  __atomic_store_n(&lock->holder, me, __ATOMIC_RELAXED);
  end_passage(&here);
  return RF_OK;
}

static void leave(rf_lock *lock) {
  passage here;
  begin_passage(&here, lock, lock->holder); /* which is this thread: no other one writes it now */
  __atomic_store_n(&lock->holder, 0, __ATOMIC_RELAXED);
  rf_mutex_unlock(&lock->mutex);
  end_passage(&here);
}

static void *lock_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_lock *const lock = lock_of(self);
  if (enter(lock, NULL, site) != RF_OK) {
    return NULL;
  }
  void *const p = rf_alloc_at(lock->inner, size, align, site);
  leave(lock);
  return p;
}

static rf_status lock_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_lock *const lock = lock_of(self);
  rf_status status = enter(lock, ptr, site);
  if (status == RF_OK) {
    status = rf_free_at(lock->inner, ptr, site);
    leave(lock);
  }
  return status;
}

static void *lock_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_lock *const lock = lock_of(self);
  if (enter(lock, ptr, site) != RF_OK) {
    return NULL;
  }
  void *const p = rf_realloc_at(lock->inner, ptr, size, align, site);
  leave(lock);
  return p;
}

static rf_status lock_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_lock *const lock = lock_of(self);
  rf_status status = enter(lock, ptr, site);
  if (status == RF_OK) {
    status = rf_resize_at(lock->inner, ptr, size, site);
    leave(lock);
  }
  return status;
}

static size_t lock_usable_size(rf_allocator *self, const void *ptr) {
  rf_lock *const lock = lock_of(self);
  if (enter(lock, ptr, NULL) != RF_OK) {
    return 0;
  }
  size_t const size = rf_usable_size(lock->inner, ptr);
  leave(lock);
  return size;
}

static bool lock_owns(rf_allocator *self, const void *ptr) {
  rf_lock *const lock = lock_of(self);
  if (enter(lock, ptr, NULL) != RF_OK) {
    return false;
  }
  bool const owns = rf_owns(lock->inner, ptr);
  leave(lock);
  return owns;
}

static rf_status lock_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_lock *const lock = lock_of(self);
  rf_status status = enter(lock, NULL, NULL);
  if (status == RF_OK) {
    status = rf_walk(lock->inner, visit, context);
    leave(lock);
  }
  return status;
}

static rf_status lock_check(rf_allocator *self, rf_fault *where) {
  rf_lock *const lock = lock_of(self);
  rf_status status = enter(lock, NULL, NULL);
  if (status == RF_OK) {
    status = rf_check(lock->inner, where);
    leave(lock);
  }
  return status;
}

static void lock_stats(rf_allocator *self, rf_stats *out) {
  rf_lock *const lock = lock_of(self);
  if (enter(lock, NULL, NULL) != RF_OK) {
    memset(out, 0, sizeof *out);
    return;
  }
  rf_stats_get(lock->inner, out);
  leave(lock);
}

static void lock_counters(rf_allocator *self, rf_counters *out) {
  rf_lock *const lock = lock_of(self);
  if (enter(lock, NULL, NULL) != RF_OK) {
    memset(out, 0, sizeof *out);
    return;
  }
  rf_counters_get(lock->inner, out);
  leave(lock);
}

static void lock_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  rf_lock *const lock = lock_of(self);
  if (enter(lock, NULL, site) == RF_OK) {
    (void)rf_reject_at(lock->inner, why, size, detail, site);
    leave(lock);
  }
}

static rf_allocator *lock_inner(rf_allocator *self) {
  return lock_of(self)->inner;
}

static void lock_deinit(rf_allocator *self) {
  rf_lock *const lock = lock_of(self);
  if (lock->inner != NULL) {
    lock->inner = NULL;
    rf_mutex_deinit(&lock->mutex);
  }
}

static const rf_allocator_ops lock_ops = {
    .name = "lock",
    .alloc = lock_alloc,
    .free = lock_free,
    .realloc = lock_realloc,
    .resize = lock_resize,
    .usable_size = lock_usable_size,
    .owns = lock_owns,
    .walk = lock_walk,
    .check = lock_check,
    .stats = lock_stats,
    .reject = lock_reject,
    .inner = lock_inner,
    .deinit = lock_deinit,
    .counters = lock_counters,
};

rf_status rf_lock_init(rf_lock *lock, rf_allocator *inner) {
  if (lock == NULL || inner == NULL) {
    return RF_ERR_INVALID;
  }
  rf_status const status = rf_mutex_init(&lock->mutex);
  if (status == RF_OK) {
    lock->base.ops = &lock_ops;
    lock->inner = inner;
    lock->holder = 0;
  }
  return status;
}
