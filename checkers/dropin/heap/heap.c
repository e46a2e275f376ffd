#include "heap.h"

#include "cache.h"

#define WAIT_MOST ((size_t)512 * 1024) /* longer blocks wait only where the quarantine is eight times as large */

rf_heap_options rf_heap_options_now;
rf_heap rf_heaps[RF_HEAPS_MOST];
unsigned rf_heap_count;
unsigned rf_heap_generation;
#ifndef RF_VIRTUAL_THREADS
_Thread_local uint32_t rf_heaps_held;
#endif

rf_heap_options rf_heap_options_of(const rf_guard_options *guard) {
  if (guard == NULL) {
    return (rf_heap_options){.checked = false};
  }
  size_t const half = guard->quarantine / 2 < WAIT_MOST ? guard->quarantine / 2 : WAIT_MOST;
  return (rf_heap_options){
      .checked = true,
      .quarantine = guard->quarantine,
      .wait = half > guard->quarantine / 8 ? half : guard->quarantine / 8,
      .fill_alloc = guard->fill_alloc,
      .fill_free = guard->fill_free != 0 && guard->fill_free < RF_FILL_LEAST ? RF_FILL_LEAST : guard->fill_free,
      .move_below = guard->move_below,
      .stack_depth = guard->depot != NULL ? guard->stack_depth : 0,
      .depot = guard->depot,
      .reporter = guard->reporter,
  };
}

void rf_heap_configure(const rf_heap_options *options) {
  rf_heap_options_now = *options;
  rf_cache_wait = options->wait;
}

void rf_heap_init(unsigned cores) {
  unsigned const wanted = cores > RF_HEAPS_LEAST ? cores : RF_HEAPS_LEAST;
  rf_size_classes_init();
  rf_heap_count = wanted < RF_HEAPS_MOST ? wanted : RF_HEAPS_MOST;
}

void rf_heap_list(rf_heap *heap, rf_span *span) {
  span->newer = NULL;
  span->older = heap->newest;
  if (span->older != NULL) {
    span->older->newer = span;
  }
  heap->newest = span;
}

void rf_heap_unlist(rf_heap *heap, rf_span *span) {
  *(span->newer != NULL ? &span->newer->older : &heap->newest) = span->older;
  if (span->older != NULL) {
    span->older->newer = span->newer;
  }
}
