/* The page store: blocks by address, and pointers that start no live block. */
#include "page_impl.h"

/* ---- Live blocks ---- */

rf_slot *rf_page_live_at(const rf_page_store *store, const void *ptr) {
  rf_slot *const s = rf_runs_slot(store, (uintptr_t)ptr);
  return s != NULL && s->block == (uintptr_t)ptr && rf_slot_is_live(s) ? s : NULL;
}

rf_slot *rf_page_hold(const rf_page_store *store, const void *ptr) {
  rf_slot *const s = rf_runs_slot(store, (uintptr_t)ptr);
  if (s == NULL || s->block != (uintptr_t)ptr) {
    return NULL;
  }
  for (unsigned times = 0; !rf_slot_take(s, SLOT_HELD); times++) {
    rf_slot_state const state = rf_slot_state_of(s); /* once: a sweep may begin or end at any moment */
    if (state != SLOT_SWEPT && state != SLOT_LIVE) {
      return NULL;
    }
    rf_page_give_way(times);
  }
  return s;
}

rf_page_block rf_page_describe(const rf_slot *s) {
  return (rf_page_block){(void *)s->block, s->size, (rf_family)s->family, s->serial, s->backing, s->allocated.site};
}

bool rf_page_store_find(rf_page_store *store, const void *ptr, rf_page_block *out) {
  const rf_slot *const s = rf_page_live_at(store, ptr);
  if (s != NULL) {
    *out = rf_page_describe(s);
  }
  return s != NULL;
}

bool rf_page_store_is_freed(const rf_page_store *store, const void *ptr) {
  const rf_slot *const s = rf_runs_slot(store, (uintptr_t)ptr);
  return s != NULL && s->block == (uintptr_t)ptr && rf_slot_state_of(s) == SLOT_FREED;
}

bool rf_page_store_backed_by(rf_page_store *store, const void *ptr, rf_page_block *out) {
  rf_page_backing const table = rf_page_store_backing(store);
  const rf_slot *s = NULL;
  rf_page_mask mask;
  if (rf_page_may_be_backing(&table, ptr)) {
    rf_page_store_lock(store, &mask);
    s = rf_backing_find(store, ptr);
    if (s != NULL) {
      *out = rf_page_describe(s);
    }
    rf_page_store_unlock(store, &mask);
  }
  return s != NULL;
}

void rf_page_store_set_backing(rf_page_store *store, const void *ptr, void *backing) {
  rf_page_mask mask;
  rf_page_store_lock(store, &mask);
  rf_slot *const s = rf_page_live_at(store, ptr);
  if (s != NULL) {
    void *const before = s->backing;
    s->backing = backing;
    rf_backing_remove(store, before);
    rf_backing_add(store, s);
  }
  rf_page_store_unlock(store, &mask);
}

bool rf_page_store_allocated(rf_page_store *store, const void *ptr, rf_trace *out) {
  const rf_slot *const s = rf_page_live_at(store, ptr);
  if (s != NULL) {
    rf_page_trace(store, &s->allocated, out);
  }
  return s != NULL;
}

bool rf_page_store_report_leak(rf_page_store *store, const void *ptr, const char *detail) {
  rf_page_mask mask;
  rf_finding f;
  rf_page_store_lock(store, &mask);
  const rf_slot *const s = rf_page_live_at(store, ptr);
  if (s != NULL) {
    rf_page_finding(store, &f, RF_BUG_LEAK, RF_ACCESS_UNKNOWN, ptr, RF_NO_ORIGIN);
    rf_page_finding_block(store, &f, s);
    f.detail = detail;
  }
  rf_page_store_unlock(store, &mask);
  if (s != NULL) {
    rf_report(store->options.reporter, &f);
  }
  return s != NULL;
}

/* ---- Bad frees ---- */

/* Makes the finding on a pointer that starts no live block. */
static rf_status classify_bad_free(const rf_page_store *store, const void *ptr, const rf_origin *origin,
                                   rf_finding *f) {
  const rf_slot *s = rf_runs_slot(store, (uintptr_t)ptr);
  if (s == NULL) {
    s = rf_runs_nearest(store, (uintptr_t)ptr, 2 * rf_page_gap(UINT32_MAX));
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
  rf_page_store_lock(store, &mask);
  rf_status const status = classify_bad_free(store, ptr, origin, &f);
  rf_page_store_unlock(store, &mask);
  rf_report(store->options.reporter, &f);
  return status;
}

static bool is_among(rf_allocator *allocator, const void *owner) {
  while (allocator != NULL && (const void *)allocator != owner) {
    allocator = rf_inner(allocator);
  }
  return allocator != NULL;
}

rf_status rf_page_store_refuse_others(const rf_page_store *store, rf_allocator *below, const void *ptr,
                                      const rf_origin *origin) {
  rf_finding f;
  for (const rf_page_store *other = rf_page_stores(); other != NULL; other = other->other) {
    const rf_slot *const s =
        other != store && rf_page_store_in_use(other) && !other->ended ? rf_page_live_at(other, ptr) : NULL;
    if (s != NULL && !is_among(below, __atomic_load_n(&other->owner, __ATOMIC_RELAXED))) {
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
