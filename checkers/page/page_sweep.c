/* The page store: walks over all blocks, sweeps, figures. */
#include "page_impl.h"

#include "lib/core/compiler.h"

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

/* The first live block above `address`, looked for from `from` on if that is still what it was; NULL where there is
 * none. Under the lock. */
static const rf_slot *live_above(const rf_page_store *store, const rf_slot *from, uintptr_t address) {
  bool const known = from != NULL && rf_slot_is_live(from) && from->block == address;
  const rf_space *space = known ? from->space : space_after(store, NULL);
  const rf_slot *s = known ? from : space != NULL ? space->lowest : NULL;
  while (space != NULL) {
    for (; s != NULL; s = s->after) {
      if (rf_slot_is_live(s) && s->block > address) {
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
  rf_page_block block = {NULL, 0, RF_FAMILY_MALLOC, 0, NULL, NULL};
  do {
    rf_page_mask mask;
    rf_page_store_lock(store, &mask);
    s = live_above(store, s, (uintptr_t)block.ptr);
    if (s != NULL) {
      block = rf_page_describe(s);
    }
    rf_page_store_unlock(store, &mask);
  } while (s != NULL && visit(&block, context));
}

/* ---- Sweep ---- */

#define SWEEP_AT_ONCE 16U /* slots looked at under one lock */

typedef struct sweep {
  rf_page_store *store;
  const rf_origin *origin;
  bool anew; /* from the beginning: under the lock, since another thread may sweep as well */
  rf_finding found[2];
  unsigned count;
} sweep;

/* The next slot that may be live, from where the sweep stands, the newest ones first: where there is little time, as in
 * a child of fork, these are the likeliest to have been written to. NULL at the end of all, and the sweep stands at the
 * beginning again. Under the lock. */
static rf_slot *next_slot(rf_page_store *store) {
  if (store->sweep_space == NULL) {
    store->sweep_space = store->spaces;
    store->sweep_at = UINT32_MAX;
  }
  while (store->sweep_space != NULL) {
    uint32_t const used = store->sweep_space->used;
    store->sweep_at = store->sweep_at < used ? store->sweep_at : used;
    if (store->sweep_at != 0) {
      return &store->sweep_space->slots[--store->sweep_at];
    }
    store->sweep_space = store->sweep_space->next;
    store->sweep_at = UINT32_MAX;
  }
  return NULL;
}

/* Up to the first damage, or some slots. False at the end of all. */
static bool sweep_some(sweep *w) {
  rf_page_mask mask;
  bool more = true;
  w->count = 0;
  rf_page_store_lock(w->store, &mask);
  if (w->anew) {
    w->store->sweep_space = NULL;
    w->anew = false;
  }
  for (unsigned i = 0; i < SWEEP_AT_ONCE && more && w->count == 0; i++) {
    rf_slot *const s = next_slot(w->store);
    more = s != NULL;
    if (more && rf_slot_take(s, SLOT_SWEPT)) {
      w->count = rf_page_inspect(w->store, s, w->origin, w->found);
      rf_slot_set_state(s, SLOT_LIVE);
    }
  }
  rf_page_store_unlock(w->store, &mask);
  return more;
}

size_t rf_page_store_sweep(rf_page_store *store, uint64_t budget_ns, const rf_origin *origin) {
  uint64_t const begin = rf_port_now_ns();
  size_t total = 0;
  bool more;
  sweep w;
  w.store = store;
  w.origin = origin;
  w.anew = budget_ns == 0;
  do {
    more = sweep_some(&w);
    rf_page_report_each(store, w.found, w.count);
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
  rf_slot *const s = rf_page_live_at(w->store, block->ptr);
  const unsigned char *at = NULL;
  if (s != NULL && rf_slot_take(s, SLOT_SWEPT)) {
    at = rf_page_damaged_slack(s);
    rf_slot_set_state(s, SLOT_LIVE);
  }
  if (at == NULL) {
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

RF_NO_SANITIZE void rf_page_store_figures_unlocked(const rf_page_store *store, rf_page_figures *out) {
  *out = (rf_page_figures){store->counters,    store->requested, store->opened,  store->closed_blocks,
                           store->quarantined, store->reserved,  store->declined};
}

void rf_page_store_figures(rf_page_store *store, rf_page_figures *out) {
  rf_page_mask mask;
  rf_page_store_lock(store, &mask);
  rf_page_store_figures_unlocked(store, out);
  rf_page_store_unlock(store, &mask);
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
