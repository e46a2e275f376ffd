/* The heap of k_malloc, in a source of its own: one that the program configures takes its place. */
#define RINGFENCE_ZEPHYR_SYSTEM_HEAP
#include <ringfence/zephyr/kheap.h>

K_HEAP_DEFINE(_system_heap, K_HEAP_MEM_POOL_SIZE);
