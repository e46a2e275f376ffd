#include "heap.h"

rf_heap rf_heaps[RF_HEAPS_MOST];
unsigned rf_heap_count;
unsigned rf_heap_generation;
#ifndef RF_VIRTUAL_THREADS
_Thread_local uint32_t rf_heaps_held;
#endif

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
