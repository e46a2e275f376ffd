/* The page store: all stores of the process, and their locks. */
#define _GNU_SOURCE /* pthread_atfork */
#include "page_impl.h"

#include <pthread.h>

#include "checkers/os/stack_walk.h"
#include "lib/core/compiler.h"

static rf_page_store *all_stores; /* accessed atomically; stores are added and never removed */
static rf_mutex registry_lock;    /* of making and ending them */

rf_page_store *rf_page_stores(void) {
  return __atomic_load_n(&all_stores, __ATOMIC_ACQUIRE);
}

void rf_page_registry_add(rf_page_store *store) {
  store->other = all_stores;
  __atomic_store_n(&all_stores, store, __ATOMIC_RELEASE);
}

void rf_page_registry_lock(rf_page_mask *mask) {
  rf_page_lock(&registry_lock, mask);
}

void rf_page_registry_unlock(const rf_page_mask *mask) {
  rf_page_unlock(&registry_lock, mask);
}

bool rf_page_store_has_owner(const void *owner) {
  const rf_page_store *s = rf_page_stores();
  while (s != NULL && __atomic_load_n(&s->owner, __ATOMIC_RELAXED) != owner) {
    s = s->other;
  }
  return s != NULL;
}

/* ---- Locks ----
 *
 * A thread that has all locks, or that died with one and now looks at the blocks for the last time, takes none. */

typedef struct locks {
  const rf_page_store *inside; /* whose lock is held, or about to be taken; NULL: none */
  bool all;
} locks;

#define TRIES 400U /* to get a lock, most of them 50 microseconds apart */

static RF_THREAD_LOCAL locks held;
static rf_page_mask mask_of_all;

static void begin(rf_page_store *store) {
  if (__atomic_load_n(&store->reopened_count, __ATOMIC_RELAXED) != 0) {
    rf_page_reclose(store);
  }
  if (__atomic_load_n(&store->waiting, __ATOMIC_RELAXED) != NULL) {
    rf_page_enqueue_waiting(store);
  }
  if (store->moving && !rf_page_mover_works()) {
    rf_page_stop_moving(store);
  }
}

void rf_page_store_lock_as_it_is(rf_page_store *store, rf_page_mask *mask) {
  mask->nested = held.inside != NULL || held.all;
  if (!mask->nested) {
    rf_page_lock(&store->lock, mask);
    held.inside = store;
  }
}

void rf_page_store_lock(rf_page_store *store, rf_page_mask *mask) {
  rf_page_store_lock_as_it_is(store, mask);
  if (!mask->nested) {
    begin(store);
  }
}

void rf_page_store_unlock(rf_page_store *store, const rf_page_mask *mask) {
  if (!mask->nested) {
    held.inside = NULL;
    rf_page_unlock(&store->lock, mask);
  }
}

/* A store with backing blocks is asked for them by threads that have no block at stake, and so under the lock. */
bool rf_page_enter(rf_page_store *store, rf_page_mask *mask) {
  if (held.inside != NULL) {
    return false;
  }
  if (store->options.backing || held.all) {
    rf_page_store_lock(store, mask);
    return true;
  }
  held.inside = store;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_mutex_lock(&store->lock);
  begin(store);
  return true;
}

void rf_page_leave(rf_page_store *store, const rf_page_mask *mask) {
  if (store->options.backing || held.all) {
    rf_page_store_unlock(store, mask);
    return;
  }
  rf_mutex_unlock(&store->lock);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  held.inside = NULL;
}

/* A thread that forks in a signal handler may have interrupted itself with the lock of a store, and keeps that. */
void rf_page_lock_all(void) {
  rf_page_lock(&registry_lock, &mask_of_all);
  for (rf_page_store *s = rf_page_stores(); s != NULL; s = s->other) {
    if (s != held.inside) {
      rf_mutex_lock(&s->lock);
    }
  }
  held.all = true;
}

/* Those of stores before `end`; NULL: of all. */
static void unlock_until(const rf_page_store *end) {
  rf_page_mask const mask = mask_of_all;
  for (rf_page_store *s = rf_page_stores(); s != end; s = s->other) {
    if (s != held.inside) {
      rf_mutex_unlock(&s->lock);
    }
  }
  rf_page_unlock(&registry_lock, &mask);
}

bool rf_page_try_lock_all(void) {
  if (!rf_page_try_lock(&registry_lock, &mask_of_all, TRIES)) {
    return false;
  }
  for (rf_page_store *s = rf_page_stores(); s != NULL; s = s->other) {
    if (s != held.inside && !rf_page_try(&s->lock, TRIES)) {
      unlock_until(s);
      return false;
    }
  }
  held.all = true;
  return true;
}

void rf_page_unlock_all(void) {
  held.all = false;
  unlock_until(NULL);
}

/* ---- Memory that moves ---- */

static void stop_moving(void) {
  for (rf_page_store *store = rf_page_stores(); store != NULL; store = store->other) {
    if (rf_page_store_in_use(store)) {
      rf_page_stop_moving(store);
    }
  }
  rf_page_mover_end();
}

/* A signal handler that interrupted this thread with a lock leaves the rest to the next who takes it. */
void rf_page_store_settle(void) {
  if (!rf_page_mover_works()) {
    return;
  }
  if (held.inside != NULL) {
    rf_page_mover_end();
    return;
  }
  rf_page_lock_all();
  stop_moving();
  rf_page_unlock_all();
}

/* The descriptor is the parent's. */
static void inherit_moving(void) {
  if (!rf_page_mover_works()) {
    return;
  }
  bool works = rf_page_mover_renew();
  for (const rf_page_store *store = rf_page_stores(); store != NULL && works; store = store->other) {
    works = !rf_page_store_in_use(store) || rf_page_register_again(store);
  }
  if (!works) {
    stop_moving();
  }
}

void rf_page_unlock_all_in_child(void) {
  inherit_moving();
  rf_page_unlock_all();
}

static void register_fork(void) {
  (void)pthread_atfork(rf_page_lock_all, rf_page_unlock_all, rf_page_unlock_all_in_child);
}

void rf_page_fork_register(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, register_fork);
}

const uintptr_t rf_page_debugger[] = {
    1,
    (uintptr_t)rf_stack_depot_debugger,
    (uintptr_t)&all_stores,
    offsetof(rf_page_store, other),
    offsetof(rf_page_store, spaces),
    offsetof(rf_page_store, options.depot),
    offsetof(rf_space, next),
    offsetof(rf_space, start),
    offsetof(rf_space, pages),
    offsetof(rf_space, owner),
    offsetof(rf_space, slots),
    sizeof(rf_slot),
    offsetof(rf_slot, state),
    offsetof(rf_slot, block),
    offsetof(rf_slot, size),
    offsetof(rf_slot, family),
    offsetof(rf_slot, allocated),
    offsetof(rf_slot, released),
    offsetof(rf_page_origin, caller),
    offsetof(rf_page_origin, stack),
    offsetof(rf_page_origin, thread),
    SLOT_LIVE,
    SLOT_FREED,
};
