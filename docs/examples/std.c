#include <ringfence/default.h>

/* Written once for both: on a host RF_HAS_STD_MALLOC is 1 and the arena is not needed. */
static unsigned char arena[RF_HAS_STD_MALLOC ? 1 : 16 * 1024];

int main(void) {
  rf_default_heap heap;
  if (rf_default_heap_init(&heap, arena, sizeof arena) != RF_OK) {
    return 1;
  }
  rf_allocator *const a = &heap.base;
  void *const page = rf_aligned_alloc(a, 4096, 1000);
  rf_stats stats;
  rf_stats_get(a, &stats);
  rf_free(a, page);
  return stats.used == 1000 && stats.blocks == 1 ? 0 : 1;
}
