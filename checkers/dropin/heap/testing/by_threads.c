#include "by_threads.h"

#include "configure.h"

#define MOST 5 /* threads, and whoever runs outside of them */
#define SWEEP_MS 10

static rf_cache *own[MOST];
static unsigned heaps_in_use;

static rf_origin here(void) {
  return (rf_origin){NULL, (uintptr_t)__builtin_return_address(0), NULL};
}

/* As checkers/dropin/runtime/own_cache.h. */
static rf_cache *enter(unsigned thread) {
  while (!rf_cache_enter(own[thread])) {
    rf_cache_exit(own[thread]);
    rf_stop_wait();
  }
  return own[thread];
}

/* As rf_span_of, which the harness would look at. */
__attribute__((no_sanitize_thread)) bool rf_dropin_threads_has(const volatile void *at) {
  uintptr_t const unit = (uintptr_t)at >> RF_UNIT_SHIFT;
  const rf_span_leaf *const leaf = rf_span_root[unit >> RF_SPAN_MAP_BITS];
  return leaf != NULL && leaf->entries[unit & (RF_SPAN_MAP_ENTRIES - 1)] != NULL;
}

static void refused(rf_status status, const void *ptr, const rf_origin *origin) {
  (void)status;
  (void)ptr;
  (void)origin;
}

void rf_dropin_threads_options(const rf_guard_options *g, unsigned heaps) {
  configure(g, refused);
  heaps_in_use = heaps;
}

/* The cache may be one that another thread has left. */
void rf_dropin_threads_begin(unsigned thread) {
  own[thread] = rf_cache_take(thread % heaps_in_use);
  own[thread]->heap = thread % heaps_in_use;
}

void rf_dropin_threads_end(unsigned thread) {
  rf_cache *const cache = enter(thread);
  if (rf_cache_is_one_too_many()) {
    rf_cache_flush(cache);
  }
  own[thread] = NULL;
  rf_cache_leave(cache);
}

void *rf_dropin_threads_alloc(unsigned thread, size_t size, size_t align, bool zeroed) {
  rf_origin const origin = here();
  rf_block_request const request = {.size = size, .align = align, .zeroed = zeroed};
  rf_cache *const cache = enter(thread);
  bool const plain = align <= RF_ALIGN_DEFAULT && !zeroed;
  void *const p =
      plain ? rf_cache_malloc(cache, size, RF_FAMILY_MALLOC, &origin) : rf_cache_alloc(cache, &request, &origin);
  rf_cache_exit(cache);
  return p;
}

bool rf_dropin_threads_free(unsigned thread, void *ptr) {
  rf_origin const origin = here();
  rf_cache *const cache = enter(thread);
  bool const done = rf_cache_free(cache, ptr, RF_FAMILY_MALLOC, SIZE_MAX, &origin);
  rf_cache_exit(cache);
  return done;
}

void *rf_dropin_threads_realloc(unsigned thread, void *ptr, size_t size) {
  rf_origin const origin = here();
  rf_cache *const cache = enter(thread);
  void *const p = rf_cache_realloc(cache, ptr, size, &origin);
  rf_cache_exit(cache);
  return p;
}

size_t rf_dropin_threads_size(unsigned thread, const void *ptr) {
  rf_view view;
  rf_cache *const cache = enter(thread);
  size_t const size = rf_heap_live(ptr, &view) ? view.size : 0;
  rf_cache_exit(cache);
  return size;
}

void rf_dropin_threads_flush(unsigned thread) {
  rf_cache *const cache = enter(thread);
  rf_cache_flush(cache);
  rf_cache_exit(cache);
}

size_t rf_dropin_threads_sweep(void) {
  rf_origin const origin = here();
  if (!rf_heap_options_now.checked || !rf_stop_all(SWEEP_MS)) {
    return 0;
  }
  size_t const found = rf_heap_sweep(&origin);
  rf_stop_finish();
  return found;
}

rf_counters rf_dropin_threads_counters(void) {
  rf_cache_figures figures;
  rf_cache_figures_of_all(&figures);
  return figures.counters;
}
