/* The heap under each arena of the drop-in: tlsf over regions from the system, that grows as needed and gives back what
 * stays empty.
 *
 *  - Blocks below RF_BIG_BLOCK come from tlsf. Its regions double in size, from 1 to 64 MiB, so that there are few; where the
 *    system refuses (RLIMIT_AS) smaller ones are tried, down to what the request needs. A region in which nothing lives
 *    any more goes back once half of the heap is empty, so that alternating alloc and free at an edge does not map and
 *    unmap each time.
 *  - Bigger blocks have a region each. A few freed ones are kept, with their pages, for the next request of about that
 *    size: a loop over malloc and free of a megabyte costs no page faults. Growing is in place where address space
 *    allows; a block that must move is given room above, so that growing step by step copies little.
 *
 * Complexity: O(1) but for system calls and at most RF_KEPT_REGIONS steps over kept regions. Overhead: tlsf's; for big blocks
 * the rest of a page. Alignment: any power of two. Threads: not synchronised (the arena's lock is outside).
 * Returns NULL iff the system has no memory for it, or the arena is asked for more than RF_SIZE_LIMIT.
 */
#ifndef RINGFENCE_DROPIN_SYSHEAP_H
#define RINGFENCE_DROPIN_SYSHEAP_H

#include "region.h"

#include <ringfence/allocator.h>
#include <ringfence/tlsf.h>

#define RF_BIG_BLOCK ((size_t)512 * 1024)
#define RF_KEPT_REGIONS 8U
#define RF_KEPT_BYTES ((size_t)32 << 20)

typedef struct rf_sysheap {
  rf_allocator base;
  rf_tlsf tlsf;
  bool started; /* tlsf has its first region, which stays for good */
  bool growing; /* set around a realloc that grows: a big block that moves gets room above */
  rf_region *first;
  size_t next_size;   /* of the next region */
  size_t heap_bytes;  /* mapped for tlsf */
  size_t empty_bytes; /* of these, in regions without blocks */
  size_t big_bytes;   /* mapped for big blocks in use */
  rf_region *big;     /* big blocks in use, newest first */
  rf_region *kept;    /* big regions kept for reuse, newest first */
  rf_region *kept_last;
  size_t kept_bytes;
  unsigned kept_count;
  size_t live_bytes; /* bytes of blocks in use, as tlsf and the big regions hold them */
  size_t blocks;
} rf_sysheap;

/* Makes an empty heap; maps nothing yet. */
void rf_sysheap_init(rf_sysheap *heap);

/* True where the block at `block` (as alloc gave it) is known to be all zero: a big one never used before. */
bool rf_sysheap_is_fresh(const rf_sysheap *heap, const void *block);

/* Gives back what is kept for reuse: bytes released. */
size_t rf_sysheap_trim(rf_sysheap *heap);

#endif /* RINGFENCE_DROPIN_SYSHEAP_H */
