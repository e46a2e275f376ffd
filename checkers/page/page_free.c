/* The page store: free and resize. */
#include "page_impl.h"

#include "checkers/os/reserve_stack.h"
#include "checkers/shared/family.h"

/* ---- Free ---- */

static bool wrong_family(const rf_page_store *store, const rf_slot *s, rf_family family, size_t size,
                         const rf_origin *origin, rf_finding *f) {
  rf_bug const bug = rf_family_mismatch((rf_family)s->family, s->size, family, size);
  if (bug == RF_BUG_COUNT) {
    return false;
  }
  rf_page_finding(store, f, bug, RF_ACCESS_FREE, (const void *)s->block, origin);
  rf_page_finding_block(store, f, s);
  rf_finding_families(f, (rf_family)s->family, family, size);
  return true;
}

/* Freed before it is closed: the handler of a fault that another thread makes meanwhile is to know. */
static void give_up(rf_page_store *store, rf_slot *s) {
  rf_page_mask mask;
  rf_slot *const to = rf_page_move_target(store, s);
  rf_slot_set_state(s, SLOT_FREED);
  bool const moved = to != NULL && rf_page_move_memory(to, s);
  if (!moved) {
    rf_page_close_freed(store, s);
  }
  if (rf_page_enter(store, &mask)) {
    rf_page_move_end(store, to, moved);
    rf_page_enqueue(store, s);
    rf_page_leave(store, &mask);
  } else {
    rf_page_enqueue_later(store, s);
  }
}

static void release(rf_page_store *store, rf_slot *s, rf_page_origin released, rf_page_block *freed) {
  *freed = rf_page_describe(s);
  s->released = released;
  give_up(store, s);
}

typedef struct freeing {
  rf_page_store *store;
  rf_slot *slot;
  rf_page_origin released;
  rf_page_block *freed;
  rf_family family;
  size_t size;
  const rf_origin *origin;
} freeing;

/* Findings take much of the stack, which may be a handler's or a coroutine's. */
static void release_and_report(void *argument) {
  const freeing *const w = (const freeing *)argument;
  rf_finding found[3];
  unsigned count = rf_page_inspect(w->store, w->slot, w->origin, found);
  count += wrong_family(w->store, w->slot, w->family, w->size, w->origin, &found[count]) ? 1 : 0;
  release(w->store, w->slot, w->released, w->freed);
  rf_page_report_each(w->store, found, count);
}

rf_status rf_page_store_free(rf_page_store *store, void *ptr, rf_family family, size_t size, const rf_origin *origin,
                             rf_page_block *freed) {
  rf_page_origin const released = rf_page_keep_freeing(store, origin);
  rf_slot *const s = rf_page_hold(store, ptr);
  if (s == NULL) {
    return rf_page_store_refuse(store, ptr, origin);
  }
  rf_page_return_rights(s);
  if (rf_page_damaged_slack(s) == NULL &&
      rf_family_mismatch((rf_family)s->family, s->size, family, size) == RF_BUG_COUNT) {
    release(store, s, released, freed);
  } else {
    freeing w = {store, s, released, freed, family, size, origin};
    rf_on_reserve_stack(release_and_report, &w);
  }
  return RF_OK;
}

typedef struct misalignment {
  const rf_page_store *store;
  const rf_slot *slot;
  size_t align;
  const rf_origin *origin;
} misalignment;

static void report_misalignment(void *argument) {
  const misalignment *const m = (const misalignment *)argument;
  rf_family const family = (rf_family)m->slot->family;
  char text[RF_ALIGNMENTS_TEXT];
  rf_finding f;
  rf_page_finding(m->store, &f, RF_BUG_DEALLOC_MISMATCH, RF_ACCESS_FREE, (const void *)m->slot->block, m->origin);
  rf_page_finding_block(m->store, &f, m->slot);
  rf_finding_families(&f, family, family, SIZE_MAX);
  f.detail = rf_alignments_text(text, (size_t)1 << m->slot->align_log2, m->align);
  rf_page_report_each(m->store, &f, 1);
}

void rf_page_store_expect_align(const rf_page_store *store, const void *ptr, rf_family family, size_t align,
                                const rf_origin *origin) {
  const rf_slot *const s = rf_page_live_at(store, ptr);
  size_t const kept = align < RF_ALIGN_DEFAULT ? RF_ALIGN_DEFAULT : align;
  if (s != NULL && s->family == family && (size_t)1 << s->align_log2 != kept) {
    misalignment m = {store, s, align, origin};
    rf_on_reserve_stack(report_misalignment, &m);
  }
}

/* ---- Resize ---- */

/* Gives up the open pages behind the first `pages`. */
static void close_tail(rf_page_store *store, rf_slot *s, uint32_t pages) {
  size_t const bytes = (size_t)(s->pages - pages) * rf_page_size();
  if (bytes == 0) {
    return;
  }
  rf_runs_mark(s, false);
  rf_page_close_range(s->space, rf_slot_open_end(s) - bytes, bytes);
  s->pages = pages;
  store->opened -= bytes;
  rf_runs_mark(s, true);
}

/* Opens pages behind those that are open, as far as `pages`, and keeps room for twice as many: whatever grew may grow
 * again. */
static bool open_tail(rf_page_store *store, rf_slot *s, uint32_t pages) {
  uint32_t const before = s->first - s->run;
  uint32_t const length = before + pages + rf_page_gap(pages);
  uint32_t const wish = before + 2 * pages + rf_page_gap(2 * pages);
  size_t const bytes = (size_t)(pages - s->pages) * rf_page_size();
  if (s->pages == 0 || !rf_runs_extend(store, s, length, wish) ||
      !rf_page_open_range(s->space, rf_slot_open_end(s), bytes)) {
    return false;
  }
  s->pages = pages;
  store->opened += bytes;
  rf_runs_mark(s, true);
  return true;
}

/* Sees to it that the pages are as many as the block needs at `size`; false, and nothing changed, where they cannot
 * be. */
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

bool rf_page_store_ends_as_well(const rf_page_store *store, size_t old_size, size_t size) {
  return store->options.side < RF_PAGE_EXACT || (size - old_size) % rf_page_size() == 0;
}

/* The block that rf_page_hold gave is live again afterwards. */
static rf_status resize(rf_page_store *store, rf_slot *s, size_t size) {
  size_t const old_size = s->size;
  rf_status const status = fit(store, s, size) ? RF_OK : RF_ERR_NO_MEMORY;
  if (status == RF_OK) {
    s->size = size;
    rf_page_fill_slack(s);
    if (size > old_size) {
      rf_page_fill_new(store, (unsigned char *)s->block + old_size, size - old_size);
    }
    store->requested += size; /* as for a block that moves */
    rf_count_resize(&store->counters, old_size, size);
  }
  rf_slot_set_state(s, SLOT_LIVE);
  return status;
}

typedef struct resizing {
  rf_page_store *store;
  rf_slot *slot;
  size_t size;
  const rf_origin *origin;
  rf_page_mask *mask;
  rf_status status; /* out */
} resizing;

static void resize_and_report(void *argument) {
  resizing *const w = (resizing *)argument;
  rf_finding found[2];
  unsigned const count = rf_page_inspect(w->store, w->slot, w->origin, found);
  w->status = resize(w->store, w->slot, w->size);
  rf_page_leave(w->store, w->mask);
  rf_page_report_each(w->store, found, count);
}

rf_status rf_page_store_resize(rf_page_store *store, void *ptr, size_t size, const rf_origin *origin) {
  rf_page_mask mask;
  if (!rf_page_enter(store, &mask)) {
    return RF_ERR_NO_MEMORY;
  }
  rf_slot *const s = rf_page_hold(store, ptr);
  if (s == NULL) {
    rf_page_leave(store, &mask);
    return rf_page_store_refuse(store, ptr, origin);
  }
  rf_page_return_rights(s);
  if (rf_page_damaged_slack(s) != NULL) {
    resizing w = {store, s, size, origin, &mask, RF_OK};
    rf_on_reserve_stack(resize_and_report, &w);
    return w.status;
  }
  rf_status const status = resize(store, s, size);
  rf_page_leave(store, &mask);
  return status;
}

void rf_page_store_return_rights(const rf_page_store *store, const void *ptr) {
  rf_slot *const s = rf_page_live_at(store, ptr);
  if (s != NULL) {
    rf_page_return_rights(s);
  }
}
