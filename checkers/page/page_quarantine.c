/* The page store: freed blocks wait in quarantine, their pages closed. */
#include "page_impl.h"

void rf_page_drop(rf_slot *s) {
  rf_page_close((void *)rf_slot_open_start(s), (size_t)s->pages * rf_page_size());
  rf_page_mapping_end();
  s->kept = false;
}

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

void rf_page_close_freed(rf_page_store *store, rf_slot *s) {
  size_t const size = (size_t)s->pages * rf_page_size();
  if (store->options.keeps_pages && s->pages == 1) {
    s->kept = true;
    rf_page_shut((void *)rf_slot_open_start(s), size);
  } else if (s->pages != 0) {
    rf_page_drop(s);
  }
  store->opened -= size;
}

void rf_page_enqueue(rf_page_store *store, rf_slot *s) {
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
