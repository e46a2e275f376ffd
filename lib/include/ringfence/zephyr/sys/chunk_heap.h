/* The heap behind a sys_heap, with the layout and the speed of Zephyr's. Part of <zephyr/sys/sys_heap.h>.
 *
 * Algorithm: segregated free lists by powers of two, as Zephyr's lib/heap documents: a request looks at the first
 *   RF_ZEPHYR_ALLOC_LOOPS chunks of its own list and then takes the first chunk of the next list that has one. The rest
 *   of a chunk is split off; a free merges with both neighbours.
 *
 *     start, a multiple of 8
 *       | header | payload ........ | header | payload ... | header | payload ........................ | end
 *       |<---- chunk: size * 8 bytes ---->|
 *
 *     header:  | size 30 | state 2 | left 30 | slack 2 |     sizes in units of 8 bytes
 *     state:   0 for a free chunk; else, with slack, the bytes of the payload that were not requested (0 to 8):
 *              (state - 1) * 4 + slack
 *     left:    size of the chunk before; 0 for the first
 *     payload of a free chunk: | previous in list | next in list |      as units from the start, in a ring
 *
 * Complexity: alloc, free, resize, usable_size, owns O(1); walk, check, stats O(chunks).
 * Overhead: 8 bytes a block and its size rounded up to 8. A remainder of 8 bytes stays free without being usable.
 * Alignment: 8; larger ones as requested, the chunk before staying free. Memory beyond 8 GiB is not used.
 * Threads and interrupts: none.
 * Returns NULL iff none of the chunks looked at is large enough (a chunk deeper in the request's own list may be), or a
 *   damaged chunk is met, which is reported. A free or resize is refused where header and neighbours do not agree. */
#ifndef RINGFENCE_ZEPHYR_SYS_CHUNK_HEAP_H
#define RINGFENCE_ZEPHYR_SYS_CHUNK_HEAP_H

#include <ringfence/allocator.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As CONFIG_SYS_HEAP_ALLOC_LOOPS, at its default. */
#define RF_ZEPHYR_ALLOC_LOOPS 3

#define RF_ZEPHYR_LISTS 30

/* The caller's storage, its fields the heap's own. */
typedef struct rf_zephyr_chunk_heap {
  rf_allocator base;
  unsigned char *start;
  size_t end;                      /* units */
  size_t last;                     /* of them */
  uint32_t lists;                  /* bit n: list n has a chunk */
  uint32_t first[RF_ZEPHYR_LISTS]; /* a chunk of 2^n to 2^(n + 1) - 1 units; UINT32_MAX where there is none */
  rf_counters counters;
} rf_zephyr_chunk_heap;

/* Makes a heap of the `size` bytes at `memory`, both the caller's until rf_deinit. RF_OK, or RF_ERR_INVALID for a NULL
 * argument, and where no block of 8 bytes fits. */
rf_status rf_zephyr_chunk_heap_init(rf_zephyr_chunk_heap *heap, void *memory, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_CHUNK_HEAP_H */
