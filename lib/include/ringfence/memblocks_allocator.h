/* memblocks as an rf_allocator: requests in bytes, served by a block or by a run of adjacent blocks.
 *
 *     RF_MEMBLOCKS_DEFINE(pool, 64, 256, 64);
 *     static size_t sizes[256];
 *     rf_memblocks_allocator heap;
 *     rf_memblocks_allocator_init(&heap, &pool, sizes);
 *     void *p = rf_alloc(&heap.base, 200);                            four adjacent blocks
 *
 * So checkers, conformance, fuzzers and traces serve memblocks too, and still no byte of the buffer is touched.
 *
 * Algorithm: first fit of a contiguous run; the requested size is kept in a table outside, at the run's first block.
 * Memory: one size_t per block, beyond the pool's own bit.
 * Complexity: alloc O(words of the bitmap + free runs + run), free O(run), grow and shrink in place the same.
 * Alignment: any; costs nothing up to that of the buffer and block size.
 * Threads and interrupts: as the pool.
 * alloc returns NULL iff no run of free blocks, starting at a multiple of the alignment, is long enough.
 */
#ifndef RINGFENCE_MEMBLOCKS_ALLOCATOR_H
#define RINGFENCE_MEMBLOCKS_ALLOCATOR_H

#include <ringfence/adapter.h>
#include <ringfence/memblocks.h>

#ifdef __cplusplus
extern "C" {
#endif

/* &adapter.base is the allocator. */
typedef rf_adapter rf_memblocks_allocator;

/* Serves requests from `blocks`, which may be used directly at the same time, each block given back the way it was
 * taken. `sizes` has blocks->num_blocks elements (cleared here); both are the caller's and outlive the adapter. RF_OK,
 * or RF_ERR_INVALID for NULL. Then use &adapter->base; rf_deinit on it ends the pool as well. */
rf_status rf_memblocks_allocator_init(rf_memblocks_allocator *adapter, rf_memblocks *blocks, size_t *sizes);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_MEMBLOCKS_ALLOCATOR_H */
