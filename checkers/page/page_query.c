/* rf_page, the decorator: queries, requests that were turned away, the walk and checks. */
#include "page_decorator.h"

size_t rf_page_usable_size(rf_allocator *self, const void *ptr) {
  return size_of(page_of(self), ptr);
}

bool rf_page_owns(rf_allocator *self, const void *ptr) {
  rf_page *const page = page_of(self);
  return has_pages(page, ptr) || rf_owns(page->inner, ptr);
}

rf_status rf_page_check(rf_allocator *self, rf_fault *where) {
  rf_page *const page = page_of(self);
  if (rf_page_store_damaged(page->store, where)) {
    where->allocator = self;
    return RF_ERR_CORRUPT;
  }
  return rf_check(&page->guarded.base, where);
}

void rf_page_stats(rf_allocator *self, rf_stats *out) {
  const rf_page *const page = page_of(self);
  size_t const own = page->counters.used;
  rf_stats_get(page->inner, out);
  out->overhead += out->used > own ? out->used - own : 0;
  rf_count_into(&page->counters, out);
}

void rf_page_counters(rf_allocator *self, rf_counters *out) {
  *out = page_of(self)->counters;
}

void rf_page_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  rf_guard_reject_from(&page_of(self)->guarded, why, size, detail, &origin);
}

rf_allocator *rf_page_inner(rf_allocator *self) {
  return page_of(self)->inner;
}

/* ---- Walk ---- */

typedef struct walk {
  rf_walk_fn visit;
  void *context;
  bool more;
} walk;

static bool visit_pages(const rf_page_block *b, void *context) {
  walk *const w = (walk *)context;
  rf_block const block = {b->ptr, b->size, 0, true, b->site};
  w->more = w->visit(&block, w->context);
  return w->more;
}

static void report_reentry(rf_allocator *self, const void *ptr, const rf_origin *origin) {
  report_refused(self, RF_BUG_REENTRY, ptr, origin);
}

static const rf_refusing_ops walked_ops = {
    .ops =
        {
            .name = "page",
            .alloc = rf_refused_alloc,
            .free = rf_refused_free,
            .realloc = rf_refused_realloc,
            .resize = rf_refused_resize,
            .usable_size = rf_page_usable_size,
            .owns = rf_page_owns,
            .walk = rf_page_walk,
            .check = rf_page_check,
            .stats = rf_page_stats,
            .reject = rf_page_reject,
            .inner = rf_page_inner,
            .counters = rf_page_counters,
        },
    .report = report_reentry,
    .status = RF_ERR_BUSY,
};

/* Blocks on pages come first, then those under guard and free memory, which are the inner allocator's; each part in
 * address order. A visitor that calls this allocator is reported: its table is another one meanwhile. */
rf_status rf_page_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_page *const page = page_of(self);
  const rf_allocator_ops *const before = self->ops;
  walk w = {visit, context, true};
  rf_status status = RF_OK;
  self->ops = &walked_ops.ops;
  rf_page_store_each(page->store, visit_pages, &w);
  if (w.more) {
    status = rf_walk(&page->guarded.base, visit, context);
  }
  self->ops = before;
  return status;
}
