/* blockgroup as an rf_allocator: each request is served by the member with the smallest blocks that hold it, and by the
 * next larger where that one is full. A handful of pools thus makes a heap that cannot fragment.
 *
 * Algorithm: best fit over the members; what is chosen is by size, not by the group's choice function.
 * Memory: one size_t per block for the requested size, outside the blocks.
 * Complexity: alloc O(members² + words of the bitmaps), free O(members).
 * Alignment: up to what blocks of the members have (buffer and block size).
 * Threads: single-threaded; put rf_lock around it. The members may be used directly at the same time.
 * alloc returns NULL iff no member has a free block of that size at that alignment.
 */
#ifndef RINGFENCE_BLOCKGROUP_ALLOCATOR_H
#define RINGFENCE_BLOCKGROUP_ALLOCATOR_H

#include <ringfence/adapter.h>
#include <ringfence/blockgroup.h>

#ifdef __cplusplus
extern "C" {
#endif

/* &adapter.base is the allocator. */
typedef rf_adapter rf_blockgroup_allocator;

/* Serves requests from the members that `group` has now and keeps. `sizes` has as many elements as they have blocks in
 * sum (cleared here); both are the caller's and outlive the adapter. RF_OK, or RF_ERR_INVALID for NULL. Then use
 * &adapter->base; rf_deinit on it ends the group, not its pools. */
rf_status rf_blockgroup_allocator_init(rf_blockgroup_allocator *adapter, rf_blockgroup *group, size_t *sizes);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_BLOCKGROUP_ALLOCATOR_H */
