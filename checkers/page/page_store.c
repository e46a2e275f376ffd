/* The page store: blocks. */
#include "page_impl.h"

#include <string.h>

#include "checkers/guard/guard_impl.h" /* names of families */

/* ---- All stores ---- */

#define ENDED_KEPT 4U

static rf_page_store *all_stores; /* accessed atomically; stores are added and never removed */
static rf_mutex stores_lock;      /* of making and ending them */
static uint64_t ended_count;

rf_page_store *rf_page_stores(void) {
  return __atomic_load_n(&all_stores, __ATOMIC_ACQUIRE);
}

static bool in_use(const rf_page_store *store) {
  return __atomic_load_n(&store->in_use, __ATOMIC_ACQUIRE) != 0;
}

/* ---- Locking: nothing to do for the thread that has all locks, or that died with one and now looks at the blocks for the
 * last time ---- */

static __thread unsigned locks_held __attribute__((tls_model("initial-exec")));
static rf_page_mask mask_of_all;

static void lock(rf_page_store *store, rf_page_mask *mask) {
  mask->nested = locks_held != 0;
  if (!mask->nested) {
    rf_page_lock(&store->lock, mask);
    locks_held = 1;
  }
  if (__atomic_load_n(&store->reopened_count, __ATOMIC_RELAXED) != 0) {
    rf_page_reclose(store);
  }
}

static void unlock(rf_page_store *store, const rf_page_mask *mask) {
  if (!mask->nested) {
    locks_held = 0;
    rf_page_unlock(&store->lock, mask);
  }
}

void rf_page_lock_all(void) {
  rf_page_lock(&stores_lock, &mask_of_all);
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
  rf_page_unlock(&stores_lock, &mask);
}

/* ---- The kernel's limit of mappings ----
 *
 * An open block is a mapping, and so is the gap behind it. An eighth of the limit is left to the program. */

static size_t blocks_allowed; /* over all stores; accessed atomically, as is the next */
static size_t blocks_open;

static void plan_mappings(void) {
  size_t const limit = rf_page_map_limit();
  size_t const others = rf_page_map_count() + limit / 8;
  size_t const spare = limit > others ? limit - others : 0;
  size_t const open = __atomic_load_n(&blocks_open, __ATOMIC_RELAXED);
  __atomic_store_n(&blocks_allowed, limit == SIZE_MAX ? SIZE_MAX : spare / 2 + open, __ATOMIC_RELAXED);
}

static void say_full(const rf_page_store *store) {
  static uint32_t said;
  char text[256];
  rf_sink_buffer line;
  if (__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED) != 0) {
    return;
  }
  rf_sink_buffer_init(&line, text, sizeof text);
  rf_sink_str(&line.sink, "ringfence: the kernel's limit of mappings (vm.max_map_count) is near with ");
  rf_sink_uint(&line.sink, __atomic_load_n(&blocks_open, __ATOMIC_RELAXED));
  rf_sink_str(&line.sink, " blocks on pages of their own; for now, ");
  rf_sink_str(&line.sink, store->options.otherwise);
  rf_sink_str(&line.sink, "\n");
  rf_port_log(line.data, line.length);
}

/* ---- Making and ending ---- */

/* The store that ended first, its address space given back, where enough others have ended since. */
static rf_page_store *reclaim(void) {
  rf_page_store *oldest = NULL;
  unsigned ended = 0;
  for (rf_page_store *s = rf_page_stores(); s != NULL; s = s->other) {
    if (!in_use(s)) {
      return s;
    }
    if (s->ended) {
      ended++;
      oldest = oldest == NULL || s->ended_at < oldest->ended_at ? s : oldest;
    }
  }
  if (ended <= ENDED_KEPT) {
    return NULL;
  }
  __atomic_store_n(&oldest->in_use, 0, __ATOMIC_RELEASE);
  rf_space *space = oldest->spaces;
  __atomic_store_n(&oldest->spaces, NULL, __ATOMIC_RELEASE);
  rf_companions_end(oldest);
  while (space != NULL) {
    rf_space *const next = space->next;
    rf_page_release((void *)space->start, (size_t)space->pages * rf_page_size());
    rf_page_release(space, space->record_bytes);
    space = next;
  }
  return oldest;
}

/* Everything but the list and the lock as new. */
static void reset(rf_page_store *store, const rf_page_store_options *options) {
  rf_page_store *const other = store->other;
  rf_mutex const same = store->lock;
  memset(store, 0, sizeof *store);
  store->other = other;
  store->lock = same;
  store->options = *options;
}

rf_page_store *rf_page_store_open(const rf_page_store_options *options) {
  rf_page_mask mask;
  if (rf_page_size() == 0) {
    return NULL;
  }
  rf_page_lock(&stores_lock, &mask);
  rf_page_store *store = reclaim();
  bool const is_new = store == NULL;
  if (is_new) {
    store = (rf_page_store *)rf_page_records(sizeof *store);
  }
  if (store != NULL && is_new && rf_mutex_init(&store->lock) != RF_OK) {
    rf_page_release(store, sizeof *store);
    store = NULL;
  }
  if (store != NULL) {
    reset(store, options);
    plan_mappings();
  }
  bool const ready = store != NULL && (!options->companions || rf_companions_begin(store));
  if (ready) {
    __atomic_store_n(&store->owner, options->owner, __ATOMIC_RELAXED);
    __atomic_store_n(&store->in_use, 1, __ATOMIC_RELEASE);
  }
  if (store != NULL && is_new) {
    store->other = all_stores;
    __atomic_store_n(&all_stores, store, __ATOMIC_RELEASE);
  }
  rf_page_unlock(&stores_lock, &mask);
  if (!ready) {
    return NULL;
  }
  rf_page_watch();
  return store;
}

bool rf_page_store_reserve(rf_page_store *store) {
  rf_page_mask mask;
  lock(store, &mask);
  bool const reserved = rf_runs_reserve(store);
  unlock(store, &mask);
  return reserved;
}

/* Every block is gone: one call for each space. */
static void close_all(rf_page_store *store, const rf_page_origin *origin) {
  for (rf_space *space = store->spaces; space != NULL; space = space->next) {
    rf_page_close((void *)space->start, (size_t)space->pages * rf_page_size());
    for (rf_slot *s = space->lowest; s != NULL; s = s->after) {
      bool const live = rf_slot_state_of(s) == SLOT_LIVE;
      __atomic_fetch_sub(&blocks_open, s->kept || (live && s->pages != 0) ? 1 : 0, __ATOMIC_RELAXED);
      s->kept = false;
      if (live) {
        s->released = *origin;
        rf_slot_set_state(s, SLOT_FREED);
      }
    }
  }
}

void rf_page_store_close(rf_page_store *store) {
  rf_page_mask stores_mask;
  rf_page_mask mask;
  rf_origin const origin = {NULL, (uintptr_t)__builtin_return_address(0), __builtin_frame_address(0)};
  rf_page_origin const kept = rf_page_keep_origin(store, &origin);
  rf_page_lock(&stores_lock, &stores_mask);
  lock(store, &mask);
  close_all(store, &kept);
  __atomic_store_n(&store->owner, NULL, __ATOMIC_RELAXED);
  store->ended = true;
  store->ended_at = ++ended_count;
  unlock(store, &mask);
  rf_page_unlock(&stores_lock, &stores_mask);
}

bool rf_page_store_owns(const rf_page_store *store, const void *ptr) {
  return rf_runs_space(store, (uintptr_t)ptr) != NULL;
}

bool rf_page_store_is_of(const void *owner) {
  const rf_page_store *s = rf_page_stores();
  while (s != NULL && __atomic_load_n(&s->owner, __ATOMIC_RELAXED) != owner) {
    s = s->other;
  }
  return s != NULL;
}

/* ---- Pages that a fault opened ---- */

static bool is_open_by_right(const rf_page_store *store, uintptr_t page) {
  const rf_slot *const s = rf_runs_slot(store, page);
  return s != NULL && rf_slot_state_of(s) == SLOT_LIVE && page >= rf_slot_open_start(s) && page < rf_slot_open_end(s);
}

void rf_page_reclose(rf_page_store *store) {
  uint32_t const count = __atomic_exchange_n(&store->reopened_count, 0, __ATOMIC_ACQ_REL);
  for (uint32_t i = 0; i < count && i < RF_PAGE_REOPENED; i++) {
    uintptr_t const page = store->reopened[i];
    if (!is_open_by_right(store, page)) {
      rf_page_close((void *)page, rf_page_size());
    }
  }
}

/* ---- Allocation ---- */

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
  size_t const pages = size / page + (size % page != 0 ? 1 : 0);
  size_t const extra = align > page ? align / page - 1 : 0;
  if (size > RF_PAGE_LARGEST || extra > RF_PAGE_LARGEST / page || room > RF_PAGE_LARGEST / page) {
    return false;
  }
  out->pages = (uint32_t)pages;
  out->length = (uint32_t)((pages != 0 ? pages : 1) + extra + room) + rf_page_gap((uint32_t)pages);
  out->align = align > page ? align : page;
  out->offset = goes_left(store) || align > page || size == 0 ? 0 : (pages * page - size) & ~(align - 1);
  return true;
}

/* One more of the mappings that are allowed; given back by open_ends. */
static bool open_begins(void) {
  size_t const open = __atomic_add_fetch(&blocks_open, 1, __ATOMIC_RELAXED);
  if (open <= __atomic_load_n(&blocks_allowed, __ATOMIC_RELAXED)) {
    return true;
  }
  __atomic_fetch_sub(&blocks_open, 1, __ATOMIC_RELAXED);
  return false;
}

static void open_ends(void) {
  __atomic_fetch_sub(&blocks_open, 1, __ATOMIC_RELAXED);
}

static void drop_pages(rf_slot *s) {
  rf_page_close((void *)rf_slot_open_start(s), (size_t)s->pages * rf_page_size());
  open_ends();
  s->kept = false;
}

/* The block that has been in quarantine longest is no more; its run is whoever's calls this. */
static rf_slot *unqueue_oldest(rf_page_store *store) {
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

static void evict_oldest(rf_page_store *store) {
  rf_slot *const s = unqueue_oldest(store);
  if (s->kept) {
    drop_pages(s);
  }
  rf_runs_give(store, s);
}

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
      rf_slot *const again = unqueue_oldest(store);
      rf_slot_set_state(again, SLOT_MAKING);
      return again;
    }
    evict_oldest(store);
  }
  rf_slot *s = rf_runs_take(store, p->length);
  while (s == NULL && store->oldest != NULL) {
    evict_oldest(store);
    s = rf_runs_take(store, p->length);
  }
  return s;
}

static bool open_pages(rf_page_store *store, rf_slot *s) {
  if (s->pages == 0) {
    return true;
  }
  if (!s->kept && !open_begins()) {
    say_full(store);
    return false;
  }
  if (!rf_page_open((void *)rf_slot_open_start(s), (size_t)s->pages * rf_page_size())) {
    drop_pages(s);
    say_full(store);
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

static void fill_new(const rf_page_store *store, unsigned char *at, size_t size) {
  memset(at, RF_FILL_ALLOC, size < store->options.fill_alloc ? size : store->options.fill_alloc);
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

static void note_companion(rf_page_store *store, const rf_slot *s) {
  if (s->companion != NULL && store->tags != NULL) {
    rf_companions_add(store, s);
  }
}

/* Of a block that is not live any more, or has another one. */
static void forget_companion(rf_page_store *store, const void *companion) {
  if (companion != NULL && store->tags != NULL) {
    rf_companions_remove(store, companion);
  }
}

void *rf_page_store_alloc(rf_page_store *store, const rf_page_request *request, const rf_origin *origin) {
  size_t const size = request->size;
  rf_page_mask mask;
  if (store->options.largest != 0 && size > store->options.largest) {
    return NULL;
  }
  rf_page_watch();
  rf_page_origin const allocated = rf_page_keep_origin(store, origin);
  lock(store, &mask);
  rf_slot *const s = make_block(store, request);
  if (s != NULL) {
    s->family = (uint8_t)request->family;
    s->companion = request->companion;
    s->serial = store->counters.allocations;
    s->allocated = allocated;
    s->released = (rf_page_origin){NULL, 0, 0, 0};
    rf_page_fill_slack(s);
    if (!request->zeroed) {
      fill_new(store, (unsigned char *)s->block, size);
    } else if (s->kept) {
      memset((void *)s->block, 0, size);
    }
    s->kept = false;
    rf_count_alloc(&store->counters, size);
    store->requested += size;
    rf_runs_mark(s, true);
    rf_slot_set_state(s, SLOT_LIVE);
    note_companion(store, s);
  }
  void *const block = s != NULL ? (void *)s->block : NULL;
  unlock(store, &mask);
  return block;
}

/* ---- Looking at a pointer. Under the lock. ---- */

static rf_slot *live_at(const rf_page_store *store, const void *ptr) {
  rf_slot *const s = rf_runs_slot(store, (uintptr_t)ptr);
  return s != NULL && s->block == (uintptr_t)ptr && rf_slot_state_of(s) == SLOT_LIVE ? s : NULL;
}

/* Makes the finding on a pointer that starts no live block. */
static rf_status judge(const rf_page_store *store, const void *ptr, const rf_origin *origin, rf_finding *f) {
  const rf_slot *s = rf_runs_slot(store, (uintptr_t)ptr);
  if (s == NULL) {
    s = rf_runs_nearest(store, (uintptr_t)ptr);
  }
  bool const again = s != NULL && s->block == (uintptr_t)ptr;
  rf_page_finding(store, f, again ? RF_BUG_DOUBLE_FREE : RF_BUG_BAD_FREE, RF_ACCESS_FREE, ptr, origin);
  if (s == NULL) {
    f->detail = "no block is there, or any more";
    return RF_ERR_BAD_POINTER;
  }
  rf_page_finding_block(store, f, s);
  if (again) {
    return RF_ERR_NOT_ALLOCATED;
  }
  bool const inside = f->offset >= 0 && (size_t)f->offset < f->size;
  f->cwe = inside ? 761 : f->cwe;
  f->detail = inside ? "the pointer is inside a block" : "the pointer is beside a block";
  return RF_ERR_BAD_POINTER;
}

rf_status rf_page_store_refuse(rf_page_store *store, void *ptr, const rf_origin *origin) {
  rf_page_mask mask;
  rf_finding f;
  lock(store, &mask);
  rf_status const status = judge(store, ptr, origin, &f);
  unlock(store, &mask);
  rf_report(store->options.reporter, &f);
  return status;
}

rf_status rf_page_store_refuse_others(const rf_page_store *store, const void *ptr, const rf_origin *origin) {
  rf_finding f;
  for (const rf_page_store *other = rf_page_stores(); other != NULL; other = other->other) {
    const rf_slot *const s = other != store && in_use(other) && !other->ended ? live_at(other, ptr) : NULL;
    if (s != NULL) {
      rf_page_finding(store, &f, RF_BUG_DEALLOC_MISMATCH, RF_ACCESS_FREE, ptr, origin);
      rf_page_finding_block(other, &f, s);
      f.allocation = other->options.allocator;
      f.deallocation = store->options.allocator;
      f.detail = "the block belongs to another allocator";
      rf_report(store->options.reporter, &f);
      return RF_ERR_BAD_POINTER;
    }
  }
  return RF_OK;
}

static rf_page_block describe(const rf_slot *s) {
  return (rf_page_block){(void *)s->block, s->size, (rf_family)s->family, s->serial, s->companion};
}

bool rf_page_store_find(rf_page_store *store, const void *ptr, rf_page_block *out) {
  rf_page_mask mask;
  lock(store, &mask);
  const rf_slot *const s = live_at(store, ptr);
  if (s != NULL) {
    *out = describe(s);
  }
  unlock(store, &mask);
  return s != NULL;
}

bool rf_page_store_companion(rf_page_store *store, const void *ptr, rf_page_block *out) {
  rf_page_companions const table = rf_page_store_companions(store);
  const rf_slot *s = NULL;
  rf_page_mask mask;
  if (rf_page_may_be_companion(&table, ptr)) {
    lock(store, &mask);
    s = rf_companions_find(store, ptr);
    if (s != NULL) {
      *out = describe(s);
    }
    unlock(store, &mask);
  }
  return s != NULL;
}

void rf_page_store_set_companion(rf_page_store *store, const void *ptr, void *companion) {
  rf_page_mask mask;
  lock(store, &mask);
  rf_slot *const s = live_at(store, ptr);
  if (s != NULL) {
    void *const before = s->companion;
    s->companion = companion;
    forget_companion(store, before);
    note_companion(store, s);
  }
  unlock(store, &mask);
}

/* ---- Free ---- */

static void close_pages(rf_page_store *store, rf_slot *s) {
  size_t const size = (size_t)s->pages * rf_page_size();
  if (store->options.keeps_pages && s->pages == 1) {
    s->kept = true;
    rf_page_shut((void *)rf_slot_open_start(s), size);
  } else if (s->pages != 0) {
    drop_pages(s);
  }
  store->opened -= size;
}

static void enqueue(rf_page_store *store, rf_slot *s) {
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
    evict_oldest(store);
  }
}

/* A program frees what it allocated, in the same way. True and *f where it did not. */
static bool wrong_family(const rf_page_store *store, const rf_slot *s, rf_family family, size_t size,
                         const rf_origin *origin, rf_finding *f) {
  bool const other_family = s->family != (uint8_t)family;
  if (!other_family && (size == SIZE_MAX || size == s->size)) {
    return false;
  }
  rf_page_finding(store, f, other_family ? RF_BUG_DEALLOC_MISMATCH : RF_BUG_SIZE_MISMATCH, RF_ACCESS_FREE,
                  (const void *)s->block, origin);
  rf_page_finding_block(store, f, s);
  f->allocation = rf_family_allocation((rf_family)s->family);
  f->deallocation = rf_family_deallocation(family);
  f->argument = other_family ? 0 : size;
  return true;
}

static void report_each(const rf_page_store *store, rf_finding *found, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    rf_report(store->options.reporter, &found[i]);
  }
}

rf_status rf_page_store_free(rf_page_store *store, void *ptr, rf_family family, size_t size, const rf_origin *origin,
                             rf_page_block *freed) {
  rf_page_mask mask;
  rf_finding found[3];
  rf_status status = RF_OK;
  unsigned count = 0;
  rf_page_origin const released = rf_page_keep_origin(store, origin);
  lock(store, &mask);
  rf_slot *const s = live_at(store, ptr);
  if (s == NULL) {
    status = judge(store, ptr, origin, &found[count++]);
  } else {
    count = rf_page_look(store, s, origin, found);
    count += wrong_family(store, s, family, size, origin, &found[count]) ? 1 : 0;
    *freed = describe(s);
    s->released = released;
    rf_slot_set_state(s, SLOT_FREED);
    forget_companion(store, s->companion);
    close_pages(store, s);
    rf_count_free(&store->counters, s->size);
    enqueue(store, s);
  }
  unlock(store, &mask);
  report_each(store, found, count);
  return status;
}

/* ---- Resize ---- */

/* Gives up the open pages behind the first `pages`. */
static void close_tail(rf_page_store *store, rf_slot *s, uint32_t pages) {
  size_t const bytes = (size_t)(s->pages - pages) * rf_page_size();
  if (bytes == 0) {
    return;
  }
  rf_runs_mark(s, false);
  rf_page_close((void *)(rf_slot_open_end(s) - bytes), bytes);
  s->pages = pages;
  store->opened -= bytes;
  rf_runs_mark(s, true);
}

/* Opens pages behind those that are open, as far as `pages`. */
static bool open_tail(rf_page_store *store, rf_slot *s, uint32_t pages) {
  uint32_t const before = s->first - s->run;
  uint32_t const length = before + pages + rf_page_gap(pages);
  size_t const bytes = (size_t)(pages - s->pages) * rf_page_size();
  if (s->pages == 0 || !rf_runs_extend(store, s, length, length + pages) ||
      !rf_page_open((void *)rf_slot_open_end(s), bytes)) {
    return false;
  }
  s->pages = pages;
  store->opened += bytes;
  rf_runs_mark(s, true);
  return true;
}

/* Sees to it that the pages are as many as the block needs at `size`; false, and nothing changed, where they cannot be. */
static bool fit(rf_page_store *store, rf_slot *s, size_t size) {
  size_t const page = rf_page_size();
  size_t const end = s->block - rf_slot_open_start(s) + size;
  size_t const pages = end / page + (end % page != 0 ? 1 : 0);
  if (size > RF_PAGE_LARGEST || s->pages == 0) {
    return false;
  }
  if (pages > s->pages) {
    return open_tail(store, s, (uint32_t)pages);
  }
  close_tail(store, s, (uint32_t)pages);
  return true;
}

rf_status rf_page_store_resize(rf_page_store *store, void *ptr, size_t size, const rf_origin *origin) {
  rf_page_mask mask;
  rf_finding found[2];
  rf_status status = RF_OK;
  unsigned count = 0;
  lock(store, &mask);
  rf_slot *const s = live_at(store, ptr);
  if (s == NULL) {
    status = judge(store, ptr, origin, &found[count++]);
  } else {
    count = rf_page_look(store, s, origin, found);
    status = fit(store, s, size) ? RF_OK : RF_ERR_NO_MEMORY;
  }
  if (status == RF_OK) {
    size_t const old_size = s->size;
    s->size = size;
    rf_page_fill_slack(s);
    if (size > old_size) {
      fill_new(store, (unsigned char *)s->block + old_size, size - old_size);
    }
    rf_count_resize(&store->counters, old_size, size);
  }
  unlock(store, &mask);
  report_each(store, found, count);
  return status;
}

/* ---- All blocks ---- */

/* The space that follows `last` by address; the first for NULL. */
static const rf_space *space_after(const rf_page_store *store, const rf_space *last) {
  const rf_space *best = NULL;
  for (const rf_space *s = store->spaces; s != NULL; s = s->next) {
    bool const after = last == NULL || s->start > last->start;
    best = after && (best == NULL || s->start < best->start) ? s : best;
  }
  return best;
}

/* The first live block above `address`, looked for from `from` on if that is still what it was; NULL where there is none. Under
 * the lock. */
static const rf_slot *live_above(const rf_page_store *store, const rf_slot *from, uintptr_t address) {
  bool const known = from != NULL && rf_slot_state_of(from) == SLOT_LIVE && from->block == address;
  const rf_space *space = known ? from->space : space_after(store, NULL);
  const rf_slot *s = known ? from : space != NULL ? space->lowest : NULL;
  while (space != NULL) {
    for (; s != NULL; s = s->after) {
      if (rf_slot_state_of(s) == SLOT_LIVE && s->block > address) {
        return s;
      }
    }
    space = space_after(store, space);
    s = space != NULL ? space->lowest : NULL;
  }
  return NULL;
}

void rf_page_store_each(rf_page_store *store, bool (*visit)(const rf_page_block *block, void *context), void *context) {
  const rf_slot *s = NULL;
  rf_page_block block = {NULL, 0, RF_FAMILY_MALLOC, 0, NULL};
  do {
    rf_page_mask mask;
    lock(store, &mask);
    s = live_above(store, s, (uintptr_t)block.ptr);
    if (s != NULL) {
      block = describe(s);
    }
    unlock(store, &mask);
  } while (s != NULL && visit(&block, context));
}

bool rf_page_store_allocated(rf_page_store *store, const void *ptr, rf_trace *out) {
  rf_page_mask mask;
  lock(store, &mask);
  const rf_slot *const s = live_at(store, ptr);
  if (s != NULL) {
    rf_page_trace(store, &s->allocated, out);
  }
  unlock(store, &mask);
  return s != NULL;
}

bool rf_page_store_report_leak(rf_page_store *store, const void *ptr, const char *detail) {
  static const rf_origin nowhere;
  rf_page_mask mask;
  rf_finding f;
  lock(store, &mask);
  const rf_slot *const s = live_at(store, ptr);
  if (s != NULL) {
    rf_page_finding(store, &f, RF_BUG_LEAK, RF_ACCESS_UNKNOWN, ptr, &nowhere);
    rf_page_finding_block(store, &f, s);
    f.detail = detail;
  }
  unlock(store, &mask);
  if (s != NULL) {
    rf_report(store->options.reporter, &f);
  }
  return s != NULL;
}

/* ---- Sweep ---- */

#define SWEEP_AT_ONCE 16U /* slots looked at under one lock */

typedef struct sweep {
  rf_page_store *store;
  const rf_origin *origin;
  rf_finding found[2];
  unsigned count;
} sweep;

/* The next slot that may be live, from where the sweep stands; NULL at the end of all, and the sweep stands at the beginning
 * again. Under the lock. */
static rf_slot *next_slot(rf_page_store *store) {
  if (store->sweep_space == NULL) {
    store->sweep_space = store->spaces;
    store->sweep_at = 0;
  }
  while (store->sweep_space != NULL) {
    if (store->sweep_at < store->sweep_space->used) {
      return &store->sweep_space->slots[store->sweep_at++];
    }
    store->sweep_space = store->sweep_space->next;
    store->sweep_at = 0;
  }
  return NULL;
}

/* Up to the first damage, or some slots. False at the end of all. */
static bool sweep_some(sweep *w) {
  rf_page_mask mask;
  bool more = true;
  w->count = 0;
  lock(w->store, &mask);
  for (unsigned i = 0; i < SWEEP_AT_ONCE && more && w->count == 0; i++) {
    const rf_slot *const s = next_slot(w->store);
    more = s != NULL;
    if (more && rf_slot_state_of(s) == SLOT_LIVE) {
      w->count = rf_page_look(w->store, s, w->origin, w->found);
    }
  }
  unlock(w->store, &mask);
  return more;
}

size_t rf_page_store_sweep(rf_page_store *store, uint64_t budget_ns, const rf_origin *origin) {
  uint64_t const begin = rf_port_now_ns();
  size_t total = 0;
  bool more;
  sweep w;
  w.store = store;
  w.origin = origin;
  if (budget_ns == 0) {
    store->sweep_space = NULL;
  }
  do {
    more = sweep_some(&w);
    report_each(store, w.found, w.count);
    total += w.count;
  } while (more && (budget_ns == 0 || rf_port_now_ns() - begin < budget_ns));
  return total;
}

typedef struct search {
  const rf_page_store *store;
  rf_fault *where;
  bool found;
} search;

static bool find_damage(const rf_page_block *block, void *context) {
  search *const w = (search *)context;
  const rf_slot *const s = live_at(w->store, block->ptr);
  const unsigned char *at;
  if (s == NULL || !rf_page_disturbed(s, &at)) {
    return true;
  }
  bool const before = (uintptr_t)at < s->block;
  const char *const what =
      before ? "slack bytes before the block were overwritten" : "slack bytes after the block were overwritten";
  *w->where = (rf_fault){RF_ERR_CORRUPT, what, NULL, at, s->allocated.site};
  w->found = true;
  return false;
}

bool rf_page_store_damaged(rf_page_store *store, rf_fault *where) {
  search w = {store, where, false};
  rf_page_store_each(store, find_damage, &w);
  return w.found;
}

/* ---- Figures ---- */

void rf_page_store_figures(rf_page_store *store, rf_page_figures *out) {
  rf_page_mask mask;
  lock(store, &mask);
  *out = (rf_page_figures){store->counters,      store->requested,   store->opened,
                           store->closed_blocks, store->quarantined, store->reserved};
  unlock(store, &mask);
}

static const rf_space *space_number(const rf_page_store *store, unsigned index) {
  const rf_space *s = __atomic_load_n(&store->spaces, __ATOMIC_ACQUIRE);
  for (; s != NULL && index != 0; index--) {
    s = s->next;
  }
  return s;
}

bool rf_page_store_space(const rf_page_store *store, unsigned index, uintptr_t *start, uintptr_t *end) {
  const rf_space *const s = space_number(store, index);
  if (s != NULL) {
    *start = s->start;
    *end = s->start + (uintptr_t)s->pages * rf_page_size();
  }
  return s != NULL;
}

/* The store itself, then the records of each space. */
bool rf_page_store_own_memory(const rf_page_store *store, unsigned index, uintptr_t *start, uintptr_t *end) {
  if (index == 0) {
    *start = (uintptr_t)store;
    *end = (uintptr_t)(store + 1);
    return true;
  }
  const rf_space *const s = space_number(store, index - 1);
  if (s != NULL) {
    *start = (uintptr_t)s;
    *end = (uintptr_t)s + s->record_bytes;
  }
  return s != NULL;
}
