/* The page store: opening and closing a store. */
#include "page_impl.h"

#include <string.h>

#define ENDED_KEPT 4U /* closed stores whose address space stays closed */

static uint64_t ended_count;

/* The unused store, or the one that ended first where enough others have ended since; NULL where there is none. */
static rf_page_store *find_reusable(void) {
  rf_page_store *oldest = NULL;
  unsigned ended = 0;
  for (rf_page_store *s = rf_page_stores(); s != NULL; s = s->other) {
    if (!rf_page_store_in_use(s)) {
      return s;
    }
    if (s->ended) {
      ended++;
      oldest = oldest == NULL || s->ended_at < oldest->ended_at ? s : oldest;
    }
  }
  return ended > ENDED_KEPT ? oldest : NULL;
}

/* Gives back the address space of an ended store. */
static void release_spaces(rf_page_store *store) {
  rf_space *space = store->spaces;
  __atomic_store_n(&store->in_use, 0, __ATOMIC_RELEASE);
  __atomic_store_n(&store->spaces, NULL, __ATOMIC_RELEASE);
  rf_backing_end(store);
  while (space != NULL) {
    rf_space *const next = space->next;
    rf_page_release((void *)space->start, (size_t)space->pages * rf_page_size());
    rf_page_release(space, space->record_bytes);
    space = next;
  }
}

/* Everything but the list and the lock as new. */
static void reset(rf_page_store *store, const rf_page_store_options *options) {
  rf_page_store *const other = store->other;
  rf_mutex const same = store->lock;
  memset(store, 0, sizeof *store);
  store->other = other;
  store->lock = same;
  store->options = *options;
  /* Not when it is needed: the program may be in a sandbox by then, where opening a file ends it. */
  store->memory = options->slots != 0 ? SIZE_MAX : options->memory != 0 ? options->memory : rf_page_memory_share();
  store->lot = options->seed;
}

/* A store that is used again, or a new one; NULL where there is no memory. */
static rf_page_store *obtain(const rf_page_store_options *options) {
  rf_page_store *store = find_reusable();
  if (store != NULL) {
    release_spaces(store);
  } else {
    store = (rf_page_store *)rf_page_records(sizeof *store);
    if (store == NULL) {
      return NULL;
    }
    if (rf_mutex_init(&store->lock) != RF_OK) {
      rf_page_release(store, sizeof *store);
      return NULL;
    }
    rf_page_registry_add(store);
  }
  reset(store, options);
  return store;
}

rf_page_store *rf_page_store_open(const rf_page_store_options *options) {
  rf_page_mask mask;
  if (rf_page_size() == 0) {
    return NULL;
  }
  rf_page_registry_lock(&mask);
  rf_page_store *const store = obtain(options);
  rf_page_mappings_plan(options->slots);
  if (store != NULL) {
    store->moving = options->moves_pages && rf_page_mappings_are_free() && rf_page_mover_begin();
  }
  bool const ready = store != NULL && (!options->backing || rf_backing_begin(store));
  if (ready) {
    __atomic_store_n(&store->owner, options->owner, __ATOMIC_RELAXED);
    __atomic_store_n(&store->in_use, 1, __ATOMIC_RELEASE);
  }
  rf_page_registry_unlock(&mask);
  if (!ready) {
    return NULL;
  }
  rf_page_watch(false);
  return store;
}

void rf_page_store_watch(const rf_page_store *store) {
  if (store != NULL) {
    rf_page_watch(false);
  }
}

bool rf_page_store_reserve(rf_page_store *store) {
  rf_page_mask mask;
  rf_page_store_lock(store, &mask);
  bool const reserved = rf_runs_reserve(store);
  rf_page_store_unlock(store, &mask);
  return reserved;
}

/* Every block is gone: one call for each space. */
static void close_all(rf_page_store *store, const rf_page_origin *origin) {
  store->moving = false;
  for (rf_space *space = store->spaces; space != NULL; space = space->next) {
    space->marks = false;
    __atomic_store_n(&space->moving, false, __ATOMIC_RELEASE);
    __atomic_store_n(&space->armed, 0, __ATOMIC_RELEASE);
    rf_page_close((void *)space->start, (size_t)space->pages * rf_page_size());
    for (rf_slot *s = space->lowest; s != NULL; s = s->after) {
      if (s->counted) {
        rf_page_mapping_end();
      }
      s->counted = false;
      s->kept = false;
      if (rf_slot_is_live(s)) {
        s->released = *origin;
        rf_slot_set_state(s, SLOT_FREED);
      }
    }
  }
}

void rf_page_store_close(rf_page_store *store) {
  rf_page_mask stores_mask;
  rf_page_mask mask;
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  rf_page_origin const kept = rf_page_keep_freeing(store, &origin);
  rf_page_registry_lock(&stores_mask);
  rf_page_store_lock(store, &mask);
  close_all(store, &kept);
  __atomic_store_n(&store->owner, NULL, __ATOMIC_RELAXED);
  store->ended = true;
  store->ended_at = ++ended_count;
  rf_page_store_unlock(store, &mask);
  rf_page_registry_unlock(&stores_mask);
}

bool rf_page_store_owns(const rf_page_store *store, const void *ptr) {
  return rf_runs_space(store, (uintptr_t)ptr) != NULL;
}
