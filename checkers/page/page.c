/* rf_page, the decorator over the page store: allocation, free, realloc, beginning and end. */
#include "page_decorator.h"

#include <string.h>

static const rf_allocator_ops page_ops;

/* ---- Findings that are not the store's ---- */

/* The guard's findings about blocks that it has are in mode guard, as these blocks are. The rest would have been found
 * by any part of this. */
static rf_action forward(rf_reporter *self, const rf_finding *f) {
  const rf_page *const page = (const rf_page *)self->context;
  rf_reporter *const to = page->options.reporter;
  rf_finding own = *f;
  if (f->block == 0) {
    own.mode = "page";
  }
  own.sequence = ++to->sequence;
  rf_action const action = to->report(to, &own);
  self->exitcode = to->exitcode;
  return action;
}

/* ---- The block of the inner allocator that stands for one of ours ---- */

/* A fault that the inner allocator raises about a call of ours is damage to itself. */
static void call_end(rf_page *page, rf_inner_call *c, const rf_origin *origin) {
  if (rf_inner_call_end(c)) {
    rf_finding f;
    begin_finding(page, &f, RF_BUG_METADATA, c->fault.ptr, origin);
    f.detail = c->fault.what != NULL ? c->fault.what : rf_status_name(c->fault.status);
    rf_report(page->options.reporter, &f);
  }
}

static void *take_once(rf_page *page, size_t size, size_t align, const rf_origin *origin) {
  rf_inner_call c;
  rf_inner_call_begin(&c);
  void *const p = page->inner->ops->alloc(page->inner, size, align, origin->site);
  call_end(page, &c, origin);
  return p;
}

/* Blocks under guard that wait in its quarantine give way. */
static void *take(rf_page *page, size_t size, size_t align, const rf_origin *origin) {
  void *const p = take_once(page, size, align, origin);
  if (p != NULL || page->guarded.quarantined == 0 || page->guarded.inner_damaged) {
    return p;
  }
  rf_guard_flush(&page->guarded, 0);
  return take_once(page, size, align, origin);
}

static void give_back(rf_page *page, void *backing, const rf_origin *origin) {
  rf_inner_call c;
  rf_inner_call_begin(&c);
  (void)page->inner->ops->free(page->inner, backing, origin->site);
  call_end(page, &c, origin);
}

/* ---- Allocation ---- */

static void *alloc_guarded(rf_page *page, size_t size, size_t align, const rf_origin *origin) {
  return rf_guard_alloc_from(&page->guarded, size, align, RF_FAMILY_MALLOC, origin);
}

/* Counts nothing. */
static void *make_block(rf_page *page, size_t size, size_t align, const rf_origin *origin) {
  void *const backing = take(page, size, align, origin);
  if (backing == NULL) {
    return NULL;
  }
  rf_page_request const request = {.size = size, .align = align, .backing = backing};
  void *const p = rf_page_store_alloc(page->store, &request, origin);
  if (p != NULL) {
    return p;
  }
  give_back(page, backing, origin);
  return alloc_guarded(page, size, align, origin);
}

static void *page_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_page *const page = page_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  void *const p = make_block(page, size, align, &origin);
  if (p == NULL) {
    page->counters.failures++;
    return NULL;
  }
  rf_count_alloc(&page->counters, size);
  return p;
}

/* ---- Free ---- */

static rf_status free_pages(rf_page *page, void *ptr, const rf_origin *origin, size_t *size) {
  rf_page_block freed;
  rf_status const status = rf_page_store_free(page->store, ptr, RF_FAMILY_MALLOC, SIZE_MAX, origin, &freed);
  if (status == RF_OK) {
    *size = freed.size;
    give_back(page, freed.backing, origin);
  }
  return status;
}

/* The reason, reported, for which a pointer that is not among pages can be no block: it is another page store's, or in
 * the memory of the inner allocator, of which the program has seen nothing yet. RF_OK where the guard is to judge. */
static rf_status refuse(rf_page *page, const void *ptr, const rf_origin *origin) {
  rf_status const status = rf_page_store_refuse_others(page->store, page->inner, ptr, origin);
  if (status != RF_OK || page->guarded.counters.allocations != 0 || !rf_owns(page->inner, ptr)) {
    return status;
  }
  rf_finding f;
  begin_finding(page, &f, RF_BUG_BAD_FREE, ptr, origin);
  f.access = RF_ACCESS_FREE;
  f.detail = "the pointer is into the memory of the allocator below";
  rf_report(page->options.reporter, &f);
  return RF_ERR_BAD_POINTER;
}

/* No block on pages of its own: one under guard, another page store's, or nothing that may be freed. */
static rf_status free_other(rf_page *page, void *ptr, const rf_origin *origin, size_t *size) {
  rf_status const status = refuse(page, ptr, origin);
  *size = rf_usable_size(&page->guarded.base, ptr);
  return status != RF_OK ? status : rf_guard_free_from(&page->guarded, ptr, RF_FAMILY_MALLOC, SIZE_MAX, origin);
}

/* Counts nothing. */
static rf_status free_block(rf_page *page, void *ptr, const rf_origin *origin, size_t *size) {
  return has_pages(page, ptr) ? free_pages(page, ptr, origin, size) : free_other(page, ptr, origin, size);
}

static rf_status page_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_page *const page = page_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  size_t size = 0;
  rf_status const status = free_block(page, ptr, &origin, &size);
  if (status == RF_OK) {
    rf_count_free(&page->counters, size);
  }
  return status;
}

/* ---- Realloc: always elsewhere, so that stale pointers show ---- */

/* The block that stands for one of ours is made as large as that one will be; false where it cannot grow. */
static bool resize_backing(rf_page *page, void *backing, size_t size, const rf_origin *origin) {
  rf_allocator *const inner = page->inner;
  rf_status status = RF_ERR_UNSUPPORTED;
  rf_inner_call c;
  rf_inner_call_begin(&c);
  if (inner->ops->resize != NULL) {
    status = inner->ops->resize(inner, backing, size, origin->site);
  }
  call_end(page, &c, origin);
  return status == RF_OK || size <= rf_usable_size(inner, backing);
}

/* The step that can fail comes first, and can be undone. */
static rf_status resize_pages(rf_page *page, const rf_page_block *block, size_t size, const rf_origin *origin) {
  if (size <= block->size) {
    (void)resize_backing(page, block->backing, size, origin);
    return rf_page_store_resize(page->store, block->ptr, size, origin);
  }
  rf_status const status = rf_page_store_resize(page->store, block->ptr, size, origin);
  if (status == RF_OK && !resize_backing(page, block->backing, size, origin)) {
    (void)rf_page_store_resize(page->store, block->ptr, block->size, origin);
    return RF_ERR_NO_MEMORY;
  }
  return status;
}

static rf_status resize_from(rf_page *page, void *ptr, size_t size, const rf_origin *origin) {
  rf_page_block block;
  if (!has_pages(page, ptr)) {
    rf_status const status = refuse(page, ptr, origin);
    return status != RF_OK ? status : rf_resize_at(&page->guarded.base, ptr, size, origin->site);
  }
  if (!rf_page_store_find(page->store, ptr, &block)) {
    return rf_page_store_refuse(page->store, ptr, origin);
  }
  return resize_pages(page, &block, size, origin);
}

static rf_status page_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_page *const page = page_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  size_t const old_size = size_of(page, ptr);
  rf_status const status = resize_from(page, ptr, size, &origin);
  if (status == RF_OK) {
    rf_count_resize(&page->counters, old_size, size);
  }
  return status;
}

static bool is_live(rf_page *page, const void *ptr) {
  rf_page_block block;
  rf_guard_block guarded;
  return has_pages(page, ptr) ? rf_page_store_find(page->store, ptr, &block)
                              : rf_guard_describe(&page->guarded, ptr, &guarded);
}

static void *page_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_page *const page = page_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  if (!is_live(page, ptr)) {
    size_t unused;
    (void)free_block(page, ptr, &origin, &unused); /* which refuses and reports it */
    return NULL;
  }
  size_t old_size = size_of(page, ptr);
  void *const moved = make_block(page, size, align, &origin);
  if (moved != NULL) {
    memcpy(moved, ptr, old_size < size ? old_size : size);
    (void)free_block(page, ptr, &origin, &old_size);
  } else if (!rf_is_aligned(ptr, align) || resize_from(page, ptr, size, &origin) != RF_OK) {
    page->counters.failures++;
    return NULL;
  }
  rf_count_resize(&page->counters, old_size, size);
  return moved != NULL ? moved : ptr;
}

/* ---- Sweeps ---- */

static size_t sweep(rf_page *page, uint64_t budget_ns, const rf_origin *origin) {
  return rf_page_store_sweep(page->store, budget_ns, origin);
}

size_t rf_page_sweep(rf_page *page) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  size_t const found = sweep(page, 0, &origin);
  return found + rf_guard_sweep(&page->guarded);
}

size_t rf_page_sweep_step(rf_page *page, uint64_t budget_ns) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  uint64_t const half = budget_ns / 2;
  size_t const found = sweep(page, half != 0 ? half : 1, &origin);
  return found + rf_guard_sweep_step(&page->guarded, half);
}

/* ---- Beginning and end ---- */

static void init_guarded(rf_page *page) {
  rf_guard_options guarded = page->options.guarded;
  page->reporter = (rf_reporter){forward, page, page->options.reporter->exitcode, 0};
  guarded.reporter = &page->reporter;
  guarded.leaks_at_deinit = page->options.leaks_at_deinit;
  guarded.sweep_at_deinit = page->options.sweep_at_deinit;
  (void)rf_guard_init(&page->guarded, page->inner, &guarded);
}

rf_status rf_page_init(rf_page *page, rf_allocator *inner, const rf_page_options *options) {
  if (page == NULL || inner == NULL) {
    return RF_ERR_INVALID;
  }
  if (rf_page_store_why_not() != NULL) {
    return RF_ERR_UNSUPPORTED;
  }
  memset(page, 0, sizeof *page);
  page->inner = inner;
  if (options != NULL) {
    page->options = *options;
  } else {
    rf_page_options_default(&page->options);
  }
  if (page->options.reporter == NULL) {
    page->options.reporter = rf_reporter_plain();
  }
  rf_page_store_options const store = {
      .allocator = inner->ops->name,
      .mode = "page",
      .reporter = page->options.reporter,
      .depot = page->options.depot,
      .stack_depth = page->options.stack_depth,
      .side = page->options.side,
      .quarantine = page->options.quarantine,
      .memory = page->options.memory,
      .seed = page->options.seed,
      .fill_alloc = page->options.fill_alloc,
      .fallback = "further ones are checked as in mode guard",
      .owner = &page->base,
  };
  page->store = rf_page_store_open(&store);
  if (page->store == NULL) {
    return RF_ERR_NO_MEMORY;
  }
  rf_page_fork_register();
  init_guarded(page);
  page->base.ops = &page_ops;
  return RF_OK;
}

/* ---- After the end ---- */

static void report_ended(rf_allocator *self, const void *ptr, const rf_origin *origin) {
  report_refused(self, RF_BUG_ENDED, ptr, origin);
}

static void ended_stats(rf_allocator *self, rf_stats *out) {
  memset(out, 0, sizeof *out);
  rf_count_into(&page_of(self)->counters, out);
}

static const rf_refusing_ops ended_ops = {
    .ops =
        {
            .name = "page",
            .alloc = rf_refused_alloc,
            .free = rf_refused_free,
            .realloc = rf_refused_realloc,
            .stats = ended_stats,
            .inner = rf_page_inner,
        },
    .report = report_ended,
    .status = RF_ERR_DELETED,
};

/* ---- The end ---- */

typedef struct ending {
  rf_page *page;
  const rf_origin *origin;
} ending;

static bool report_leak(const rf_page_block *block, void *context) {
  const ending *const e = (const ending *)context;
  (void)rf_page_store_report_leak(e->page->store, block->ptr, NULL);
  return true;
}

static bool give_back_backing(const rf_page_block *block, void *context) {
  const ending *const e = (const ending *)context;
  give_back(e->page, block->backing, e->origin);
  return true;
}

static void page_deinit(rf_allocator *self) {
  rf_page *const page = page_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  ending e = {page, &origin};
  if (page->options.sweep_at_deinit) {
    (void)sweep(page, 0, &origin);
  }
  if (page->options.leaks_at_deinit) {
    rf_page_store_each(page->store, report_leak, &e);
  }
  page->guarded.base.ops->deinit(&page->guarded.base);
  rf_page_store_each(page->store, give_back_backing, &e);
  rf_page_store_close(page->store);
  page->base.ops = &ended_ops.ops;
}

static const rf_allocator_ops page_ops = {
    .name = "page",
    .alloc = page_alloc,
    .free = page_free,
    .realloc = page_realloc,
    .resize = page_resize,
    .usable_size = rf_page_usable_size,
    .owns = rf_page_owns,
    .walk = rf_page_walk,
    .check = rf_page_check,
    .stats = rf_page_stats,
    .reject = rf_page_reject,
    .inner = rf_page_inner,
    .deinit = page_deinit,
    .counters = rf_page_counters,
};
