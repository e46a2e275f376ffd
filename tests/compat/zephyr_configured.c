/* A program that says how large the heap of k_malloc is to be, and looks at it as code in the wild does: as a
 * sys_heap. */
#define CONFIG_HEAP_MEM_POOL_SIZE 1016
#include "zephyr_configured.h"

#include <zephyr/kernel.h>

extern struct sys_heap _system_heap;

static size_t free_bytes(void) {
  struct sys_memory_stats stats;
  if (sys_heap_runtime_stats_get(&_system_heap, &stats) != 0) {
    return 0;
  }
  return stats.free_bytes;
}

int configured(void) {
  size_t const before = free_bytes();
  void *const p = k_malloc(1000);
  if (before != K_HEAP_MEM_POOL_SIZE || p == NULL || k_malloc(1000) != NULL) {
    return -1;
  }
  k_free(p);
  return free_bytes() == before ? 0 : -1;
}
