/* rf_guard: queries and the heap walk; other calls are refused during a walk. */
#include "guard_impl.h"

/* ---- Queries ---- */

size_t rf_guard_op_usable_size(rf_allocator *self, const void *ptr) {
  return rf_guard_is_live(guard_of(self), ptr) ? header_of(ptr)->size : 0;
}

bool rf_guard_op_owns(rf_allocator *self, const void *ptr) {
  return rf_owns(guard_of(self)->inner, ptr);
}

rf_status rf_guard_op_check(rf_allocator *self, rf_fault *where) {
  const rf_guard *const guard = guard_of(self);
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    guard_damage damage;
    if (!at.intact) {
      *where = (rf_fault){RF_ERR_CORRUPT, "the header of a block was overwritten", self, at.h, NULL};
      return RF_ERR_CORRUPT;
    }
    if (rf_guard_inspect(guard, at.h, &damage)) {
      rf_trace allocated;
      rf_guard_allocated(guard, at.h, &allocated);
      *where = (rf_fault){RF_ERR_CORRUPT, damage.detail, self, damage.area.at, allocated.site};
      return RF_ERR_CORRUPT;
    }
  }
  return rf_check(guard->inner, where);
}

static size_t less(size_t a, size_t b) {
  return a > b ? a - b : 0;
}

void rf_guard_op_stats(rf_allocator *self, rf_stats *out) {
  const rf_guard *const guard = guard_of(self);
  size_t const per_block = RF_GUARD_PREFIX + RF_GUARD_BACK_MIN;
  rf_stats_get(guard->inner, out);
  out->overhead += less(out->used, guard->counters.used);
  out->largest_free = less(out->largest_free, per_block);
  rf_count_into(&guard->counters, out);
}

void rf_guard_op_counters(rf_allocator *self, rf_counters *out) {
  *out = guard_of(self)->counters;
}

rf_allocator *rf_guard_op_inner(rf_allocator *self) {
  return guard_of(self)->inner;
}

/* ---- Walk ---- */

typedef struct walk {
  const rf_guard *guard;
  rf_walk_fn visit;
  void *context;
} walk;

/* The header in an inner block: at its start, or where one alignment above the default puts it. */
static const rf_guard_header *find_header(const rf_guard *guard, const rf_block *block) {
  const unsigned char *const start = (const unsigned char *)block->ptr;
  for (size_t align = GUARD_ALIGN; prefix_for(align) <= block->size; align *= 2) {
    const rf_guard_header *const h = header_of(start + prefix_for(align));
    bool const fits = align_of(h) == align;
    /* A former block may have left its header in the gap. */
    if (fits && intact(guard, h) && state_of(h) != STATE_RETIRED) {
      return h;
    }
  }
  return NULL;
}

static rf_block block_for_user(const rf_guard *guard, const rf_guard_header *h, size_t whole) {
  rf_trace allocated;
  rf_guard_allocated(guard, h, &allocated);
  return (rf_block){payload_of(h), h->size, whole - h->size, true, allocated.site};
}

static bool visit_inner(const rf_block *inner, void *context) {
  const walk *const w = (const walk *)context;
  if (!inner->used) {
    return w->visit(inner, w->context);
  }
  const rf_guard_header *const h = find_header(w->guard, inner);
  if (h == NULL || state_of(h) != STATE_LIVE) {
    return true; /* in quarantine or abandoned: neither the program's nor free */
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
  const rf_guard *const guard = guard_of(self);
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_REENTRY, RF_ACCESS_UNKNOWN, ptr, origin);
  rf_report(guard->options.reporter, &f);
}

static const rf_refusing_ops walked_ops = {
    .ops =
        {
            .name = "guard",
            .alloc = rf_refused_alloc,
            .free = rf_refused_free,
            .realloc = rf_refused_realloc,
            .resize = rf_refused_resize,
            .usable_size = rf_guard_op_usable_size,
            .owns = rf_guard_op_owns,
            .walk = rf_guard_op_walk,
            .check = rf_guard_op_check,
            .stats = rf_guard_op_stats,
            .inner = rf_guard_op_inner,
            .counters = rf_guard_op_counters,
        },
    .report = report_reentry,
    .status = RF_ERR_BUSY,
};

/* Another table for the time of the walk reports a visitor that calls this allocator. */
rf_status rf_guard_op_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  const rf_allocator_ops *const before = self->ops;
  self->ops = &walked_ops.ops;
  rf_status const status = walk_blocks(guard_of(self), visit, context);
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
  rf_guard_allocated(guard, h, &out->allocated);
  return true;
}

static void report_leak(rf_guard *guard, const rf_guard_header *h, const char *detail) {
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_LEAK, RF_ACCESS_UNKNOWN, payload_of(h), RF_NO_ORIGIN);
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
