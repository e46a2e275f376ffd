/* Zephyr: bytes in use, as its memory allocators tell them. */
#ifndef RINGFENCE_ZEPHYR_SYS_MEM_STATS_H
#define RINGFENCE_ZEPHYR_SYS_MEM_STATS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sys_memory_stats {
  size_t free_bytes;
  size_t allocated_bytes;
  size_t max_allocated_bytes;
};

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_MEM_STATS_H */
