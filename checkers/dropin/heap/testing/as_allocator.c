#include "as_allocator.h"

#include "configure.h"
#include "structure.h"

#include <string.h>

static rf_allocator self;
static rf_cache *cache;
static rf_counters before; /* what the cache had counted when this one began */
static size_t failures;

static rf_origin here(void) {
  return (rf_origin){NULL, (uintptr_t)__builtin_return_address(0), NULL};
}

static void *op_alloc(rf_allocator *a, size_t size, size_t align, const rf_site *site) {
  rf_origin const origin = here();
  rf_block_request const request = {.size = size, .align = align};
  (void)a;
  (void)site;
  (void)rf_cache_enter(cache);
  bool const plain = align <= RF_ALIGN_DEFAULT;
  void *const p =
      plain ? rf_cache_malloc(cache, size, RF_FAMILY_MALLOC, &origin) : rf_cache_alloc(cache, &request, &origin);
  rf_cache_exit(cache);
  failures += p == NULL ? 1 : 0;
  return p;
}

static rf_status op_free(rf_allocator *a, void *ptr, const rf_site *site) {
  rf_origin const origin = here();
  rf_view view;
  (void)a;
  (void)site;
  (void)rf_cache_enter(cache);
  bool const was = rf_view_at((uintptr_t)ptr, &view) && view.payload == ptr;
  bool const done = rf_cache_free(cache, ptr, RF_FAMILY_MALLOC, SIZE_MAX, &origin);
  rf_cache_exit(cache);
  return done ? RF_OK : was ? RF_ERR_NOT_ALLOCATED : RF_ERR_BAD_POINTER;
}

static void *op_realloc(rf_allocator *a, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_origin const origin = here();
  rf_view view;
  (void)site;
  (void)rf_cache_enter(cache);
  bool const live = rf_heap_live(ptr, &view);
  void *const p = align <= RF_ALIGN_DEFAULT || !live ? rf_cache_realloc(cache, ptr, size, &origin) : NULL;
  rf_cache_exit(cache);
  failures += p == NULL && live && align <= RF_ALIGN_DEFAULT ? 1 : 0;
  return p != NULL || !live || align <= RF_ALIGN_DEFAULT ? p : rf_realloc_move(a, ptr, view.size, size, align, site);
}

static size_t op_usable_size(rf_allocator *a, const void *ptr) {
  rf_view view;
  (void)a;
  return rf_heap_live(ptr, &view) ? view.size : 0;
}

static bool op_owns(rf_allocator *a, const void *ptr) {
  (void)a;
  return rf_span_of((uintptr_t)ptr) != NULL;
}

typedef struct walk {
  rf_walk_fn visit;
  void *context;
} walk;

static bool put_live(const rf_view *view, void *context) {
  const walk *const w = context;
  size_t const all = (size_t)(view->end - view->begin);
  rf_block const block = {view->payload, view->size, all - view->size, true, NULL};
  return w->visit(&block, w->context);
}

static rf_status op_walk(rf_allocator *a, rf_walk_fn visit, void *context) {
  walk w = {visit, context};
  (void)a;
  rf_heap_walk(put_live, &w);
  return RF_OK;
}

static rf_status op_check(rf_allocator *a, rf_fault *where) {
  const void *at = NULL;
  const char *const flaw = rf_heap_structure_flaw(&at);
  if (flaw == NULL) {
    return RF_OK;
  }
  *where = (rf_fault){RF_ERR_CORRUPT, flaw, a, at, NULL};
  return RF_ERR_CORRUPT;
}

static void op_counters(rf_allocator *a, rf_counters *out) {
  rf_cache_figures figures;
  (void)a;
  rf_cache_figures_of_all(&figures);
  *out = figures.counters;
  out->allocations -= before.allocations;
  out->failures = failures;
}

static void op_stats(rf_allocator *a, rf_stats *out) {
  rf_counters counters;
  memset(out, 0, sizeof *out); /* of memory it has from the system nothing is promised */
  op_counters(a, &counters);
  rf_count_into(&counters, out);
}

/* ---- Beginning and end ---- */

static bool free_one(const rf_view *view, void *context) {
  rf_origin const origin = here();
  (void)context;
  (void)rf_cache_free(cache, view->payload, rf_slot_family(view->slot), SIZE_MAX, &origin);
  return true;
}

static void op_deinit(rf_allocator *a) {
  rf_counters counters;
  (void)rf_cache_enter(cache);
  rf_heap_walk(free_one, NULL);
  rf_cache_flush(cache);
  cache->peak = 0;
  cache->block_room -= (ptrdiff_t)cache->peak_blocks;
  cache->peak_blocks = 0;
  rf_cache_count_more(cache);
  rf_cache_exit(cache);
  failures = 0;
  before.allocations = 0;
  op_counters(a, &counters);
  before = counters;
}

static void refused(rf_status status, const void *ptr, const rf_origin *origin) {
  (void)origin;
  (void)rf_fault_refuse(&self, status, NULL, ptr, NULL);
}

static const rf_allocator_ops ops = {
    .name = "dropin_heap",
    .alloc = op_alloc,
    .free = op_free,
    .realloc = op_realloc,
    .usable_size = op_usable_size,
    .owns = op_owns,
    .walk = op_walk,
    .check = op_check,
    .stats = op_stats,
    .counters = op_counters,
    .deinit = op_deinit,
};

rf_allocator *rf_heap_as_allocator(const rf_guard_options *g) {
  configure(g, refused);
  if (cache == NULL) {
    cache = rf_cache_take(0);
  }
  self.ops = &ops;
  return &self;
}

void rf_heap_as_allocator_narrow(void) {
  rf_heap_options_now.wide = false;
}

size_t rf_heap_as_allocator_sweep(void) {
  rf_origin const origin = here();
  return rf_heap_sweep(&origin);
}

void rf_heap_as_allocator_lock(void) {
  (void)rf_heap_lock(0);
}

void rf_heap_as_allocator_unlock(void) {
  rf_heap_unlock(0);
}
