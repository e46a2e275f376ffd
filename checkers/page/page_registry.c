/* The page store: all stores of the process, and their locks. */
#define _GNU_SOURCE /* pthread_atfork */
#include "page_impl.h"

#include <pthread.h>

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

static __thread unsigned locks_held __attribute__((tls_model("initial-exec")));
static rf_page_mask mask_of_all;

void rf_page_store_lock(rf_page_store *store, rf_page_mask *mask) {
  mask->nested = locks_held != 0;
  if (!mask->nested) {
    rf_page_lock(&store->lock, mask);
    locks_held = 1;
  }
  if (__atomic_load_n(&store->reopened_count, __ATOMIC_RELAXED) != 0) {
    rf_page_reclose(store);
  }
}

void rf_page_store_unlock(rf_page_store *store, const rf_page_mask *mask) {
  if (!mask->nested) {
    locks_held = 0;
    rf_page_unlock(&store->lock, mask);
  }
}

void rf_page_lock_all(void) {
  rf_page_lock(&registry_lock, &mask_of_all);
  for (rf_page_store *s = rf_page_stores(); s != NULL; s = s->other) {
    rf_mutex_lock(&s->lock);
  }
  locks_held = 1;
}

void rf_page_unlock_all(void) {
  rf_page_mask const mask = mask_of_all;
  locks_held = 0;
  for (rf_page_store *s = rf_page_stores(); s != NULL; s = s->other) {
    rf_mutex_unlock(&s->lock);
  }
  rf_page_unlock(&registry_lock, &mask);
}

static void register_fork(void) {
  (void)pthread_atfork(rf_page_lock_all, rf_page_unlock_all, rf_page_unlock_all);
}

void rf_page_fork_register(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, register_fork);
}
