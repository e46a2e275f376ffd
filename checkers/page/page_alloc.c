/* The page store: allocation. */
#include "page_impl.h"

#include <string.h>

#include "checkers/os/seen_sites.h"
#include "lib/core/random.h"

/* ---- The plan ---- */

/* The place of a block in its run, as far as it is known before there is a run. */
typedef struct plan {
  uint32_t pages;  /* to open */
  uint32_t length; /* of the run */
  size_t align;    /* of the first open page */
  size_t offset;   /* of the block from there */
  rf_space_kind kind;
} plan;

/* An even chance. */
static bool draw(rf_page_store *store) {
  return rf_random_next(&store->lot) >> 63 != 0;
}

static bool goes_left(rf_page_store *store) {
  if (store->options.side == RF_PAGE_BOTH && store->options.seed != 0) {
    return draw(store);
  }
  if (store->options.side == RF_PAGE_BOTH) {
    store->last_left = !store->last_left;
    return store->last_left;
  }
  return store->options.side == RF_PAGE_LEFT;
}

/* Attributes that the program asked for by name are kept. */
static size_t alignment(const rf_page_store *store, const rf_page_request *request) {
  size_t const align = request->align;
  if (align > RF_ALIGN_DEFAULT || store->options.side < RF_PAGE_EXACT) {
    return align;
  }
  size_t const of_size = request->size & (0 - request->size);
  size_t const least = store->options.side == RF_PAGE_EXACT && of_size != 0 ? of_size : 1;
  return least < align ? least : align;
}

/* Blocks that fill a page lie elsewhere: a program may give back the memory of a page that is all its own. */
static rf_space_kind kind_for(const rf_page_store *store, const rf_page_request *request, const plan *p) {
  bool const moves = store->moving && request->size < rf_page_size() && p->pages == 1 &&
                     p->length == 1 + rf_page_gap(1) && request->like == NULL;
  return moves ? SPACE_MOVING : rf_runs_kind(store, p->pages);
}

static bool make_plan(rf_page_store *store, const rf_page_request *request, plan *out) {
  size_t const page = rf_page_size();
  size_t const size = request->size;
  size_t const align = alignment(store, request);
  size_t const room = request->room / page;
  size_t const before = request->like != NULL ? (uintptr_t)request->like & (page - 1) : 0;
  size_t const pages = (before + size) / page + ((before + size) % page != 0 ? 1 : 0);
  size_t const extra = align > page ? align / page - 1 : 0;
  if (size > RF_PAGE_LARGEST || extra > RF_PAGE_LARGEST / page || room > RF_PAGE_LARGEST / page) {
    return false;
  }
  out->pages = (uint32_t)pages;
  out->length = (uint32_t)((pages != 0 ? pages : 1) + extra + room) + rf_page_gap((uint32_t)(pages + room));
  out->align = align > page ? align : page;
  out->kind = kind_for(store, request, out);
  if (request->like != NULL) {
    out->offset = before;
    return true;
  }
  out->offset = goes_left(store) || align > page || size == 0 ? 0 : (pages * page - size) & ~(align - 1);
  return true;
}

/* ---- The run and its pages ---- */

/* Its pages can be opened again where they are. */
static bool serves_again(const rf_slot *s, const plan *p) {
  return s->first == s->run && s->pages == p->pages && s->length == p->length && p->align == rf_page_size();
}

/* A run, by giving up freed blocks if need be. */
static rf_slot *take_run(rf_page_store *store, const plan *p) {
  rf_slot *const ready = p->kind == SPACE_MOVING ? rf_page_ready_run(store) : NULL;
  if (ready != NULL) {
    return ready;
  }
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
  rf_slot *s = rf_runs_take(store, p->kind, p->length);
  while (s == NULL && store->oldest != NULL) {
    rf_page_evict_oldest(store);
    s = rf_runs_take(store, p->kind, p->length);
  }
  return s;
}

static void place(rf_slot *s, const plan *p) {
  uintptr_t const start = s->space->start + (uintptr_t)s->run * rf_page_size();
  uintptr_t const aligned = (start + (p->align - 1)) & ~(uintptr_t)(p->align - 1);
  s->first = s->run + (uint32_t)((aligned - start) / rf_page_size());
  s->pages = p->pages;
  s->block = aligned + p->offset;
}

/* True where `bytes` more may be open. */
static bool has_memory(rf_page_store *store, size_t bytes) {
  bool const scarce = store->options.seed != 0 && store->opened > store->memory / 2;
  return store->opened + bytes <= store->memory && !(scarce && draw(store));
}

/* Under the lock. */
static rf_slot *make_block(rf_page_store *store, const rf_page_request *request) {
  plan p;
  if (!make_plan(store, request, &p) || !has_memory(store, (size_t)p.pages * rf_page_size())) {
    return NULL;
  }
  rf_slot *const s = take_run(store, &p);
  if (s == NULL) {
    return NULL;
  }
  place(s, &p);
  s->size = request->size;
  s->serial = store->counters.allocations;
  store->taken++;
  store->opened += (size_t)s->pages * rf_page_size();
  store->requested += s->size;
  rf_count_alloc(&store->counters, s->size);
  rf_runs_mark(s, true);
  return s;
}

/* Its pages could not be opened. */
static void take_back(rf_page_store *store, rf_slot *s) {
  rf_page_mask mask;
  bool const entered = rf_page_enter(store, &mask);
  if (rf_page_takes_mappings(s)) {
    rf_page_mappings_report_full(store);
  }
  if (!entered) {
    return; /* a run is lost: a signal handler got into the way */
  }
  rf_count_free(&store->counters, s->size);
  store->counters.allocations--;
  store->requested -= s->size;
  store->opened -= (size_t)s->pages * rf_page_size();
  store->taken--;
  rf_runs_mark(s, false);
  rf_runs_give(store, s);
  rf_page_leave(store, &mask);
}

static rf_slot *obtain(rf_page_store *store, const rf_page_request *request) {
  rf_page_mask mask;
  rf_slot *s = NULL;
  if (rf_page_enter(store, &mask)) {
    s = make_block(store, request);
    rf_page_leave(store, &mask);
  }
  if (s != NULL && !rf_page_open_slot(s)) {
    take_back(store, s);
    s = NULL;
  }
  if (s == NULL) {
    __atomic_fetch_add(&store->declined, 1, __ATOMIC_RELAXED);
  }
  return s;
}

static void enter_backing(rf_page_store *store, const rf_slot *s) {
  rf_page_mask mask;
  if (s->backing != NULL && store->options.backing) {
    rf_page_store_lock(store, &mask);
    rf_backing_add(store, s);
    rf_page_store_unlock(store, &mask);
  }
}

/* ---- The block ---- */

/* A page that a use of a freed block opened is closed by the next who takes the lock, but not by one who has all. */
static bool is_zero(rf_page_store *store, const rf_slot *s) {
  return rf_page_is_clean(s) && __atomic_load_n(&store->reopened_count, __ATOMIC_ACQUIRE) == 0;
}

void *rf_page_store_alloc(rf_page_store *store, const rf_page_request *request, const rf_origin *origin) {
  size_t const size = request->size;
  if (store->options.largest != 0 && size > store->options.largest) {
    return NULL;
  }
  rf_page_watch(store->options.watches_seldom);
  rf_page_origin const allocated = rf_page_keep_origin(store, origin);
  rf_slot *const s = obtain(store, request);
  if (s == NULL) {
    return NULL;
  }
  s->family = (uint8_t)request->family;
  s->align_log2 = (uint8_t)__builtin_ctzll(request->align > RF_ALIGN_DEFAULT ? request->align : RF_ALIGN_DEFAULT);
  s->backing = request->backing;
  s->allocated = allocated;
  s->released = (rf_page_origin){NULL, 0, 0, 0};
  if (!s->filled) {
    rf_page_fill_slack(s);
  }
  s->filled = false;
  if (!request->zeroed) {
    rf_page_fill_new(store, (unsigned char *)s->block, size);
  } else if (!is_zero(store, s)) {
    memset((void *)s->block, 0, size);
  }
  s->kept = false;
  void *const block = (void *)s->block;
  rf_slot_set_state(s, SLOT_LIVE);
  enter_backing(store, s);
  rf_seen_sites_watch(origin->caller);
  return block;
}
