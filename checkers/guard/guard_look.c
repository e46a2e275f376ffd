/* rf_guard: what may be asked of blocks, and a walk over them, during which nothing else may be. */
#include "guard_impl.h"

static rf_guard *self_of(rf_allocator *self) {
  return (rf_guard *)self;
}

/* ---- Operations that look ---- */

size_t rf_guard_usable_size(rf_allocator *self, const void *ptr) {
  return rf_guard_is_live(self_of(self), ptr) ? header_of(ptr)->size : 0;
}

bool rf_guard_owns(rf_allocator *self, const void *ptr) {
  return rf_owns(self_of(self)->inner, ptr);
}

rf_status rf_guard_check(rf_allocator *self, rf_fault *where) {
  const rf_guard *const guard = self_of(self);
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    guard_damage damage;
    if (!at.intact) {
      *where = (rf_fault){RF_ERR_CORRUPT, "the header of a block was overwritten", self, at.h, NULL};
      return RF_ERR_CORRUPT;
    }
    if (rf_guard_inspect(guard, at.h, &damage)) {
      rf_trace allocated;
      rf_guard_trace(guard, allocated_kind_of(at.h), at.h->allocated, 0, &allocated);
      *where = (rf_fault){RF_ERR_CORRUPT, damage.detail, self, damage.at, allocated.site};
      return RF_ERR_CORRUPT;
    }
  }
  return rf_check(guard->inner, where);
}

static size_t less(size_t a, size_t b) {
  return a > b ? a - b : 0;
}

void rf_guard_stats(rf_allocator *self, rf_stats *out) {
  const rf_guard *const guard = self_of(self);
  size_t const per_block = RF_GUARD_PREFIX + RF_GUARD_BACK_MIN;
  rf_stats_get(guard->inner, out);
  out->overhead += less(out->used, guard->counters.used);
  out->largest_free = less(out->largest_free, per_block);
  rf_count_into(&guard->counters, out);
}

void rf_guard_counters(rf_allocator *self, rf_counters *out) {
  *out = self_of(self)->counters;
}

rf_allocator *rf_guard_inner(rf_allocator *self) {
  return self_of(self)->inner;
}

/* ---- Walk ---- */

typedef struct walk {
  const rf_guard *guard;
  rf_walk_fn visit;
  void *context;
} walk;

/* The header in an inner block: it stands at the block's start but for aligned blocks, where each alignment has one place. */
static const rf_guard_header *find_header(const rf_guard *guard, const rf_block *block) {
  const unsigned char *const start = (const unsigned char *)block->ptr;
  for (size_t align = GUARD_ALIGN; prefix_for(align) <= block->size; align *= 2) {
    const rf_guard_header *const h = header_of(start + prefix_for(align));
    bool const fits = align_of(h) == align;
    /* A block that was here before may have left its header in the gap. */
    if (fits && intact(guard, h) && state_of(h) != STATE_RETIRED) {
      return h;
    }
  }
  return NULL;
}

static rf_block block_for_user(const rf_guard *guard, const rf_guard_header *h, size_t whole) {
  rf_trace allocated;
  rf_guard_trace(guard, allocated_kind_of(h), h->allocated, 0, &allocated);
  return (rf_block){payload_of(h), h->size, whole - h->size, true, allocated.site};
}

static bool visit_inner(const rf_block *inner, void *context) {
  const walk *const w = (const walk *)context;
  if (!inner->used) {
    return w->visit(inner, w->context);
  }
  const rf_guard_header *const h = find_header(w->guard, inner);
  if (h == NULL || state_of(h) != STATE_LIVE) {
    return true; /* in quarantine, or condemned: neither the program's nor to be had */
  }
  rf_block const block = block_for_user(w->guard, h, inner->size + inner->overhead);
  return w->visit(&block, w->context);
}

static rf_status walk_blocks(const rf_guard *guard, rf_walk_fn visit, void *context) {
  walk w = {guard, visit, context};
  rf_status const status = rf_walk(guard->inner, visit_inner, &w);
  if (status != RF_ERR_UNSUPPORTED) {
    return status;
  }
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL && !at.freed; rf_guard_next(guard, &at)) {
    if (at.intact) {
      rf_block const block = block_for_user(guard, at.h, total_of(at.h));
      if (!visit(&block, context)) {
        break;
      }
    }
  }
  return RF_OK;
}

/* ---- During a walk ---- */

static void report_reentry(rf_allocator *self, const void *ptr, const rf_origin *origin) {
  const rf_guard *const guard = self_of(self);
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_REENTRY, RF_ACCESS_UNKNOWN, ptr, origin);
  rf_report(guard->options.reporter, &f);
}

static void *walked_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  (void)size;
  (void)align;
  report_reentry(self, NULL, &origin);
  return NULL;
}

static rf_status walked_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  report_reentry(self, ptr, &origin);
  return RF_ERR_BUSY;
}

static void *walked_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  (void)size;
  (void)align;
  report_reentry(self, ptr, &origin);
  return NULL;
}

static rf_status walked_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  (void)size;
  report_reentry(self, ptr, &origin);
  return RF_ERR_BUSY;
}

const rf_allocator_ops rf_guard_walked_ops = {
    .name = "guard",
    .alloc = walked_alloc,
    .free = walked_free,
    .realloc = walked_realloc,
    .resize = walked_resize,
    .usable_size = rf_guard_usable_size,
    .owns = rf_guard_owns,
    .walk = rf_guard_walk,
    .check = rf_guard_check,
    .stats = rf_guard_stats,
    .inner = rf_guard_inner,
    .counters = rf_guard_counters,
};

/* A visitor that calls what is being walked is found: the operations are others for as long as the walk lasts. */
rf_status rf_guard_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  const rf_allocator_ops *const before = self->ops;
  self->ops = &rf_guard_walked_ops;
  rf_status const status = walk_blocks(self_of(self), visit, context);
  self->ops = before;
  return status;
}

/* ---- Live blocks ---- */

bool rf_guard_describe(rf_guard *guard, const void *ptr, rf_guard_block *out) {
  if (!rf_guard_is_live(guard, ptr)) {
    return false;
  }
  const rf_guard_header *const h = header_of(ptr);
  out->ptr = payload_of(h);
  out->size = h->size;
  out->family = family_of(h);
#if RF_GUARD_THREADS
  rf_guard_trace(guard, allocated_kind_of(h), h->allocated, h->allocated_by, &out->allocated);
#else
  rf_guard_trace(guard, allocated_kind_of(h), h->allocated, 0, &out->allocated);
#endif
  return true;
}

static const rf_origin nowhere;

static void report_leak(rf_guard *guard, const rf_guard_header *h, const char *detail) {
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_LEAK, RF_ACCESS_UNKNOWN, payload_of(h), &nowhere);
  rf_guard_finding_block(guard, &f, h);
  f.detail = detail;
  rf_report(guard->options.reporter, &f);
}

bool rf_guard_report_leak(rf_guard *guard, const void *ptr, const char *detail) {
  if (!rf_guard_is_live(guard, ptr)) {
    return false;
  }
  report_leak(guard, header_of(ptr), detail);
  return true;
}

size_t rf_guard_report_live(rf_guard *guard) {
  size_t count = 0;
  rf_track_enter();
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL && !at.freed; rf_guard_next(guard, &at)) {
    if (at.intact) {
      report_leak(guard, at.h, NULL);
      count++;
    }
  }
  rf_track_leave();
  return count;
}
