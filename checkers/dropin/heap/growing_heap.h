/* rf_growing_heap: the heap under each arena of the drop-in: tlsf over regions from the system, that grows as needed
 * and gives back what stays empty.
 *
 * - Blocks below RF_BIG_BLOCK come from tlsf. The first region has 8 MiB (32 bit: 1 MiB), each new one is half as
 * large as the heap so far, from 1 to 64 MiB, so that there are few; where the system refuses (RLIMIT_AS,
 * RLIMIT_DATA), smaller ones are tried, down to what the request needs. A region in which nothing lives any more goes
 * back, but for the first and unless no more than 4 MiB and a quarter of the heap are empty: blocks that come and go
 * at an edge must not map and unmap each time. - Bigger blocks have a region each. A few freed ones are kept, with
 * their pages, for the next request of about that size: a loop over malloc and free of a megabyte costs no page
 * faults. Growing is in place where address space allows; a block that must move is given room above, so that growing
 * step by step copies little.
 *
 *     tlsf region:  | tlsf's tables | block | block | ... |            big region:  | block | rest of its last page |
 *
 * - A tlsf that was found damaged is abandoned when its owner says so (rf_growing_heap_recover): new blocks come from a
 * new tlsf in new regions, and the old regions go back as soon as nothing lives in them.
 *
 * Complexity: alloc, free, resize O(1) but for system calls and at most RF_KEPT_REGIONS steps over kept regions.
 * Overhead: tlsf's; big blocks are rounded up to pages, and take address space up to a multiple of 1 MiB.
 * Alignment: any power of two.
 * Threads and interrupts: not synchronised (the arena's lock is outside); calls the system, so not from interrupts.
 * Returns NULL iff the system has no memory for it.
 */
#ifndef RINGFENCE_DROPIN_GROWING_HEAP_H
#define RINGFENCE_DROPIN_GROWING_HEAP_H

#include "checkers/dropin/os/region.h"

#include <ringfence/allocator.h>
#include <ringfence/tlsf.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_BIG_BLOCK ((size_t)512 * 1024)
#define RF_KEPT_REGIONS 8U
#define RF_KEPT_BYTES ((size_t)32 << 20)

/* The caller's storage, its fields the heap's own. Must not move while it has regions: they point to it. */
typedef struct rf_growing_heap rf_growing_heap;
struct rf_growing_heap {
  rf_allocator base;
  rf_tlsf tlsf;
  rf_region *first;   /* tlsf's first region, which stays to the end; NULL: none yet */
  rf_region *recent;  /* served the last request, and may be gone by now; NULL: none yet */
  bool growing;       /* set around a realloc that grows: a big block that moves gets room above */
  size_t next_size;   /* of the next region for tlsf */
  size_t heap_bytes;  /* mapped for tlsf */
  size_t empty_bytes; /* of these, in regions without blocks */
  rf_region *big;     /* big blocks in use and abandoned regions, newest first */
  size_t big_bytes;   /* mapped for them */
  size_t big_used;    /* requested of their blocks, as are the next two */
  size_t big_blocks;
  size_t big_allocations; /* ever */
  size_t peak;            /* of all blocks, as far as there were big ones; tlsf has it as far as there were none */
  size_t peak_blocks;
  size_t failures;
  rf_region *kept; /* big regions kept for reuse, newest first */
  rf_region *kept_last;
  size_t kept_bytes;
  unsigned kept_count;

  /* Told of what was a big block, still readable, before its memory goes back to the system; NULL: nobody. */
  void (*leaving)(rf_growing_heap *heap, const void *block, size_t size);

  /* Told that the tlsf was found damaged by a check, where rf_growing_heap_recover may not be called yet; NULL:
   * nobody. */
  void (*damaged)(rf_growing_heap *heap);
};

/* Makes an empty heap; maps nothing yet. Its deinit gives all memory back, blocks still live included. */
void rf_growing_heap_init(rf_growing_heap *heap);

/* True where the block that `p` lies in is known to be all zero but for what its owner wrote: a big one that was never
 * used before. */
bool rf_growing_heap_is_fresh(const rf_growing_heap *heap, const void *p);

/* `size` bytes, below RF_BIG_BLOCK, at RF_ALIGN_DEFAULT, from the regions that there are; NULL: ask the allocator. */
void *rf_growing_heap_quick_alloc(rf_growing_heap *heap, size_t size);

/* Frees what is no big block and lies in `region`, as rf_region_find found it before the heap was the caller's. False:
 * nothing was done, ask the allocator. */
bool rf_growing_heap_quick_free(rf_growing_heap *heap, rf_region *region, void *ptr);

/* Abandons the tlsf where its check finds damage, which is to be reported before. True where it did: what was refused
 * may be tried again. O(blocks). */
bool rf_growing_heap_recover(rf_growing_heap *heap);

/* Counters of all blocks. */
rf_counters rf_growing_heap_counters(const rf_growing_heap *heap);

/* `used` of these counters. */
static inline size_t rf_growing_heap_used(const rf_growing_heap *heap) {
  return heap->big_used + heap->tlsf.counters.used;
}

/* Gives back what is kept for reuse: bytes released. */
size_t rf_growing_heap_trim(rf_growing_heap *heap);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_DROPIN_GROWING_HEAP_H */
