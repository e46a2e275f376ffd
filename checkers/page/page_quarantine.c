/* The page store: freed blocks wait in quarantine, their pages closed. */
#include "page_impl.h"

/* The block that has been in quarantine longest is no more; its run is whoever's calls this. */
rf_slot *rf_page_unqueue_oldest(rf_page_store *store) {
  rf_slot *const s = store->oldest;
  store->oldest = s->next;
  if (store->oldest != NULL) {
    store->oldest->previous = NULL;
  } else {
    store->newest = NULL;
  }
  store->quarantined -= (size_t)s->length * rf_page_size();
  store->closed_blocks--;
  store->taken--;
  rf_runs_mark(s, false);
  return s;
}

void rf_page_evict_oldest(rf_page_store *store) {
  rf_slot *const s = rf_page_unqueue_oldest(store);
  if (s->kept) {
    rf_page_drop(s);
  }
  rf_runs_give(store, s);
}

void rf_page_enqueue(rf_page_store *store, rf_slot *s) {
  rf_backing_remove(store, s->backing);
  rf_count_free(&store->counters, s->size);
  store->opened -= (size_t)s->pages * rf_page_size();
  s->next = NULL;
  s->previous = store->newest;
  if (store->newest != NULL) {
    store->newest->next = s;
  } else {
    store->oldest = s;
  }
  store->newest = s;
  store->closed_blocks++;
  store->quarantined += (size_t)s->length * rf_page_size();
  /* The newest one stays, however large, where any does: it is what is used by mistake next. */
  const rf_slot *const stays = store->options.quarantine != 0 ? s : NULL;
  while (store->quarantined > store->options.quarantine && store->oldest != stays) {
    rf_page_evict_oldest(store);
  }
}

/* ---- From signal handlers: a list that grows at its head, and is taken as a whole ---- */

void rf_page_enqueue_later(rf_page_store *store, rf_slot *s) {
  s->next = __atomic_load_n(&store->waiting, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&store->waiting, &s->next, s, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
  }
}

void rf_page_enqueue_waiting(rf_page_store *store) {
  rf_slot *last = __atomic_exchange_n(&store->waiting, NULL, __ATOMIC_ACQUIRE);
  rf_slot *first = NULL;
  while (last != NULL) {
    rf_slot *const next = last->next;
    last->next = first;
    first = last;
    last = next;
  }
  while (first != NULL) {
    rf_slot *const next = first->next;
    rf_page_enqueue(store, first);
    first = next;
  }
}
