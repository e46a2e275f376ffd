/* The page store: allocation. */
#include "page_impl.h"

#include <string.h>

/* ---- The plan ---- */

/* Where a block will lie: what is to be found out before there is a run for it. */
typedef struct plan {
  uint32_t pages;  /* to open */
  uint32_t length; /* of the run */
  size_t align;    /* of the first open page */
  size_t offset;   /* of the block from there */
} plan;

static bool goes_left(rf_page_store *store) {
  if (store->options.side == RF_PAGE_BOTH) {
    store->last_left = !store->last_left;
    return store->last_left;
  }
  return store->options.side == RF_PAGE_LEFT;
}

static bool make_plan(rf_page_store *store, const rf_page_request *request, plan *out) {
  size_t const page = rf_page_size();
  size_t const size = request->size;
  size_t const align = request->align;
  size_t const room = request->room / page;
  size_t const before = request->like != NULL ? (uintptr_t)request->like & (page - 1) : 0;
  size_t const pages = (before + size) / page + ((before + size) % page != 0 ? 1 : 0);
  size_t const extra = align > page ? align / page - 1 : 0;
  if (size > RF_PAGE_LARGEST || extra > RF_PAGE_LARGEST / page || room > RF_PAGE_LARGEST / page) {
    return false;
  }
  out->pages = (uint32_t)pages;
  out->length = (uint32_t)((pages != 0 ? pages : 1) + extra + room) + rf_page_gap((uint32_t)pages);
  out->align = align > page ? align : page;
  if (request->like != NULL) {
    out->offset = before;
    return true;
  }
  out->offset = goes_left(store) || align > page || size == 0 ? 0 : (pages * page - size) & ~(align - 1);
  return true;
}

/* ---- The run and its pages ---- */

/* Its pages, which were kept, can be opened again as they are. */
static bool serves_again(const rf_slot *s, const plan *p) {
  return s->kept && s->first == s->run && s->pages == p->pages && s->length == p->length && p->align == rf_page_size();
}

/* A run, by giving up freed blocks if need be. */
static rf_slot *take_run(rf_page_store *store, const plan *p) {
  if (store->options.slots != 0 && store->taken >= store->options.slots) {
    if (store->oldest == NULL) {
      return NULL;
    }
    if (serves_again(store->oldest, p)) {
      rf_slot *const again = rf_page_unqueue_oldest(store);
      rf_slot_set_state(again, SLOT_MAKING);
      return again;
    }
    rf_page_evict_oldest(store);
  }
  rf_slot *s = rf_runs_take(store, p->length);
  while (s == NULL && store->oldest != NULL) {
    rf_page_evict_oldest(store);
    s = rf_runs_take(store, p->length);
  }
  return s;
}

static bool open_pages(rf_page_store *store, rf_slot *s) {
  if (s->pages == 0) {
    return true;
  }
  if (!s->kept && !rf_page_mapping_begin()) {
    rf_page_mappings_report_full(store);
    return false;
  }
  if (!rf_page_open((void *)rf_slot_open_start(s), (size_t)s->pages * rf_page_size())) {
    rf_page_drop(s);
    rf_page_mappings_report_full(store);
    return false;
  }
  return true;
}

static void place(rf_slot *s, const plan *p) {
  uintptr_t const start = s->space->start + (uintptr_t)s->run * rf_page_size();
  uintptr_t const aligned = (start + (p->align - 1)) & ~(uintptr_t)(p->align - 1);
  s->first = s->run + (uint32_t)((aligned - start) / rf_page_size());
  s->pages = p->pages;
  s->block = aligned + p->offset;
}

/* Under the lock. */
static rf_slot *make_block(rf_page_store *store, const rf_page_request *request) {
  plan p;
  if (!make_plan(store, request, &p)) {
    return NULL;
  }
  rf_slot *const s = take_run(store, &p);
  if (s == NULL) {
    return NULL;
  }
  place(s, &p);
  if (!open_pages(store, s)) {
    rf_runs_give(store, s);
    return NULL;
  }
  s->size = request->size;
  store->taken++;
  store->opened += (size_t)s->pages * rf_page_size();
  return s;
}

/* ---- The block ---- */

void *rf_page_store_alloc(rf_page_store *store, const rf_page_request *request, const rf_origin *origin) {
  size_t const size = request->size;
  rf_page_mask mask;
  if (store->options.largest != 0 && size > store->options.largest) {
    return NULL;
  }
  rf_page_watch();
  rf_page_origin const allocated = rf_page_keep_origin(store, origin);
  rf_page_store_lock(store, &mask);
  rf_slot *const s = make_block(store, request);
  if (s != NULL) {
    s->family = (uint8_t)request->family;
    s->backing = request->backing;
    s->serial = store->counters.allocations;
    s->allocated = allocated;
    s->released = (rf_page_origin){NULL, 0, 0, 0};
    rf_page_fill_slack(s);
    if (!request->zeroed) {
      rf_page_fill_new(store, (unsigned char *)s->block, size);
    } else if (s->kept) {
      memset((void *)s->block, 0, size);
    }
    s->kept = false;
    rf_count_alloc(&store->counters, size);
    store->requested += size;
    rf_runs_mark(s, true);
    rf_slot_set_state(s, SLOT_LIVE);
    rf_backing_add(store, s);
  }
  void *const block = s != NULL ? (void *)s->block : NULL;
  rf_page_store_unlock(store, &mask);
  return block;
}
