/* The heap of k_malloc in programs that do not configure its size: by itself, so that one that does brings its own. */
#include <ringfence/zephyr/kheap.h>

K_HEAP_DEFINE(_system_heap, RF_ZEPHYR_POOL_SIZE);
