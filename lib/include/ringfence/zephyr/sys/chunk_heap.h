/* The heap behind a sys_heap, with the layout and the speed of Zephyr's. Part of <zephyr/sys/sys_heap.h>.
 *
 * Algorithm: segregated free lists, two for each power of two: a request looks at the first chunk of its own list and
 *   then takes the first chunk of the next list that has one. The rest of a chunk is split off; a free merges with both
 *   neighbours.
 *
 *     start, a multiple of 8
 *       | header | payload ........ | header | payload ... | header | payload ........................ | end
 *       |<---- chunk: size * 8 bytes ---->|
 *
 *     header:  | size 28 | state 4 | left 32 |     sizes in units of 8 bytes
 *     state:   0 for a free chunk; else one more than the bytes of the payload that were not requested (0 to 8)
 *     left:    size of the chunk before; 0 for the first
 *     payload of a free chunk: | previous in list | next in list |      as units from the start. Before the first comes
 *              the complement of the list's number, behind the last UINT32_MAX
 *
 * Complexity: alloc, free, resize, usable_size, owns O(1); walk, check, stats O(chunks).
 * Overhead: 8 bytes a block and its size rounded up to 8. A remainder of 8 bytes stays free without being usable.
 * Alignment: 8; larger ones as requested, the chunk before staying free. Memory beyond 2 GiB is not used.
 * Threads and interrupts: none.
 * Returns NULL iff no list of larger chunks has one and the first chunk of the request's own list is too small (another
 *   of them may do), or a damaged chunk is met, which is reported. A free or resize is refused where header and
 *   neighbours do not agree.
 */
#ifndef RINGFENCE_ZEPHYR_SYS_CHUNK_HEAP_H
#define RINGFENCE_ZEPHYR_SYS_CHUNK_HEAP_H

#include <ringfence/allocator.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Free lists: for chunks of 2 units, of 3, of 4 and 5, of 6 and 7, of 8 to 11, and so on. */
#define RF_ZEPHYR_LISTS 54

/* The caller's storage, its fields the heap's own. */
typedef struct rf_zephyr_chunk_heap {
  rf_allocator base;
  unsigned char *start;
  size_t end;                      /* units */
  size_t last;                     /* of them */
  uint64_t lists;                  /* bit n: list n has a chunk */
  uint32_t first[RF_ZEPHYR_LISTS]; /* chunk of each list; UINT32_MAX where there is none */
  rf_counters counters;
} rf_zephyr_chunk_heap;

/* Initialises one that is not made yet. */
#define RF_ZEPHYR_NO_CHUNKS                                                                                            \
  {                                                                                                                    \
    {NULL}, NULL, 0, 0, 0, {0}, {                                                                                      \
      0, 0, 0, 0, 0, 0                                                                                                 \
    }                                                                                                                  \
  }

/* Makes a heap of the `size` bytes at `memory`, both the caller's until rf_deinit. RF_OK, or RF_ERR_INVALID for a NULL
 * argument, and where no block of 8 bytes fits. */
rf_status rf_zephyr_chunk_heap_init(rf_zephyr_chunk_heap *heap, void *memory, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_CHUNK_HEAP_H */
