/* Each AWTK allocator as an rf_allocator, and the vtable that all of ours have. */
#include "impl.h"

#include <ringfence/dump.h>

#include "../shared.h"

/* ---- As an rf_allocator: to the work, and what AWTK shows of it brought up to date ---- */

static rf_awtk_view *view_of(rf_allocator *allocator) {
  return (rf_awtk_view *)(void *)allocator;
}

static void publish(const rf_awtk_view *view) {
  if (view->publish != NULL) {
    view->publish(view->self);
  }
}

static void *view_alloc(rf_allocator *allocator, size_t size, size_t align, const rf_site *site) {
  void *const p = rf_alloc_at(view_of(allocator)->calls, size, align, site);
  publish(view_of(allocator));
  return p;
}

static rf_status view_free(rf_allocator *allocator, void *ptr, const rf_site *site) {
  rf_status const status = rf_free_at(view_of(allocator)->calls, ptr, site);
  publish(view_of(allocator));
  return status;
}

static void *view_realloc(rf_allocator *allocator, void *ptr, size_t size, size_t align, const rf_site *site) {
  void *const p = rf_realloc_at(view_of(allocator)->calls, ptr, size, align, site);
  publish(view_of(allocator));
  return p;
}

static rf_status view_resize(rf_allocator *allocator, void *ptr, size_t size, const rf_site *site) {
  rf_status const status = rf_resize_at(view_of(allocator)->calls, ptr, size, site);
  publish(view_of(allocator));
  return status;
}

static size_t view_usable_size(rf_allocator *allocator, const void *ptr) {
  return rf_usable_size(view_of(allocator)->calls, ptr);
}

static bool view_owns(rf_allocator *allocator, const void *ptr) {
  return rf_owns(view_of(allocator)->calls, ptr);
}

static rf_status view_walk(rf_allocator *allocator, rf_walk_fn visit, void *context) {
  return rf_walk(view_of(allocator)->calls, visit, context);
}

static rf_status view_check(rf_allocator *allocator, rf_fault *where) {
  return rf_check(view_of(allocator)->calls, where);
}

/* In full, also where the allocator below is brief with the one that asks. */
static void full_stats(const rf_awtk_view *view, rf_stats *out) {
  rf_awtk_view *const below = rf_awtk_view_of(view->impl);
  bool const brief = below != NULL && below->brief;
  if (brief) {
    below->brief = false;
  }
  rf_stats_get(view->calls, out);
  if (brief) {
    below->brief = true;
  }
}

static void view_stats(rf_allocator *allocator, rf_stats *out) {
  const rf_awtk_view *const view = view_of(allocator);
  if (view->brief) {
    memset(out, 0, sizeof *out);
    rf_count_into(view->counters, out);
  } else {
    full_stats(view, out);
  }
}

static void view_reject(rf_allocator *allocator, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  (void)rf_reject_at(view_of(allocator)->calls, why, size, detail, site);
}

static rf_allocator *view_inner(rf_allocator *allocator) {
  return view_of(allocator)->calls;
}

static const rf_allocator_ops VIEW_OPS = {
    .name = "mem_allocator",
    .alloc = view_alloc,
    .free = view_free,
    .realloc = view_realloc,
    .resize = view_resize,
    .usable_size = view_usable_size,
    .owns = view_owns,
    .walk = view_walk,
    .check = view_check,
    .stats = view_stats,
    .reject = view_reject,
    .inner = view_inner,
};

/* ---- As AWTK calls it ---- */

/* The one size that is never served, passed on as one that no allocator can. */
static size_t size_asked(uint32_t size) {
  return size == UINT32_MAX ? RF_SIZE_LIMIT : size;
}

/* AWTK's callers rely on RF_ALIGN_DEFAULT, and on word alignment for blocks smaller than that. */
static size_t align_for(size_t size) {
  size_t const word = sizeof(uint64_t) < RF_ALIGN_DEFAULT ? sizeof(uint64_t) : RF_ALIGN_DEFAULT;
  return size < RF_ALIGN_DEFAULT ? word : RF_ALIGN_DEFAULT;
}

void *rf_awtk_alloc(mem_allocator_t *allocator, uint32_t size, const rf_site *site) {
  return rf_alloc_at(&allocator->view->base, size_asked(size), align_for(size), site);
}

static void *call_alloc(mem_allocator_t *allocator, uint32_t size, const char *func, uint32_t line) {
  return rf_awtk_alloc(allocator, size, rf_awtk_site(func, line));
}

void *rf_awtk_realloc(mem_allocator_t *allocator, void *ptr, uint32_t size, const rf_site *site) {
  rf_awtk_view *const view = allocator->view;
  size_t const asked = size == 0 && !view->zero_frees ? 1 : size_asked(size);
  return rf_realloc_at(&view->base, ptr, asked, align_for(asked), site);
}

static void *call_realloc(mem_allocator_t *allocator, void *ptr, uint32_t size, const char *func, uint32_t line) {
  return rf_awtk_realloc(allocator, ptr, size, rf_awtk_site(func, line));
}

static void call_free(mem_allocator_t *allocator, void *ptr) {
  (void)rf_free_at(&allocator->view->base, ptr, NULL);
}

static ret_t call_dump(mem_allocator_t *allocator) {
  rf_dump_options const options = {.histogram = true, .map = true, .live_blocks = SIZE_MAX, .width = 80};
  (void)rf_dump(&allocator->view->base, rf_awtk_sink(), &options); /* where there is no walk, the figures are printed */
  if (rf_awtk_sites_full()) {
    rf_sink_str(rf_awtk_sink(), "  there are more different callers than are kept\n");
  }
  return RET_OK;
}

/* The work, and what it consists of, but not what it wraps. */
static void end_down_to(rf_allocator *calls, const rf_allocator *below) {
  while (calls != NULL && calls != below) {
    rf_allocator *const inner = rf_inner(calls);
    if (calls->ops->deinit != NULL) {
      calls->ops->deinit(calls);
    }
    calls = inner;
  }
}

static ret_t call_destroy(mem_allocator_t *allocator) {
  rf_awtk_view *const view = allocator->view;
  if (view->at_end != NULL) {
    view->at_end(allocator);
  }
  allocator->vt = NULL;
  allocator->view = NULL;
  if (view->impl == NULL) {
    rf_deinit(view->calls);
    return RET_OK;
  }
  end_down_to(view->calls, rf_awtk_allocator(view->impl));
  return mem_allocator_destroy(view->impl);
}

static const mem_allocator_vtable_t VTABLE = {call_alloc, call_realloc, call_free, call_dump, call_destroy};

mem_allocator_t *rf_awtk_view_init(mem_allocator_t *allocator, rf_awtk_view *view, rf_allocator *calls,
                                   mem_allocator_t *impl, void (*publish_to)(mem_allocator_t *self)) {
  allocator->vt = &VTABLE;
  allocator->view = view;
  view->base.ops = &VIEW_OPS;
  view->calls = calls;
  view->self = allocator;
  view->impl = impl;
  view->publish = publish_to;
  view->counters = NULL;
  view->brief = false;
  view->at_end = NULL;
  view->zero_frees = rf_awtk_view_of(impl) != NULL && impl->view->zero_frees;
  publish(view);
  return allocator;
}

rf_awtk_view *rf_awtk_view_of(mem_allocator_t *allocator) {
  return allocator != NULL && allocator->vt == &VTABLE ? allocator->view : NULL;
}

rf_allocator *rf_awtk_allocator(mem_allocator_t *allocator) {
  rf_awtk_view *const view = rf_awtk_view_of(allocator);
  return view != NULL ? &view->base : NULL;
}

rf_allocator *rf_awtk_below(mem_allocator_t *impl, rf_awtk_ledger *ledger) {
  rf_allocator *const ours = rf_awtk_allocator(impl);
  if (ours != NULL) {
    return ours;
  }
  rf_awtk_ledger_init(ledger, NULL, impl);
  return &ledger->base;
}

mem_allocator_t *rf_awtk_mem_allocator_init(rf_awtk_mem_allocator *self, rf_allocator *allocator) {
  return self != NULL && allocator != NULL ? rf_awtk_view_init(&self->allocator, &self->view, allocator, NULL, NULL)
                                           : NULL;
}

/* ---- Output ---- */

static const rf_sink *the_output = &RF_COMPAT_LOG;

const rf_sink *rf_awtk_sink(void) {
  return the_output;
}

void rf_awtk_output(const rf_sink *sink) {
  the_output = sink != NULL ? sink : &RF_COMPAT_LOG;
}
