/* rf_pool_watch: finds writes into free blocks of pools that are used by their own calls (mempool, memblocks,
 * blockgroup, and rt_mp, sys_mem_blocks, k_mem_slab over them).
 *
 *     rf_pool_watch_start(NULL);
 *     rf_memblocks_alloc(&pool, 1, &p);
 *     rf_memblocks_free(&pool, 1, &p);
 *     *(int *)p = 1;
 *     rf_memblocks_alloc(&pool, 1, &p);    heap-use-after-free
 *
 * Algorithm: a block that is freed is filled. So is the block behind one that is taken, where it was never out. A fill
 *   is compared when its block is taken, when a block beside it is freed, and when the pool ends. Damage that begins
 *   where a live block ends, and damage to the pointer of mempool between the two, is that block's overflow.
 * Not found: an overflow into a live block, since blocks of a pool have no room between them; reads; a block that is
 *   taken again before the stale pointer is used.
 * Overhead: about 200 bytes per block in memory of the system's own, none in the pool; a pool for which the system has
 *   none is not watched, which is always so on boards.
 * Threads: as the pools.
 */
#ifndef RINGFENCE_POOL_WATCH_H
#define RINGFENCE_POOL_WATCH_H

#include <ringfence/finding.h>
#include <ringfence/status.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_pool_watch_options {
  rf_reporter *reporter; /* NULL: rf_reporter_plain() */
  const char *mode;      /* of findings; a static string */
  size_t fill;           /* bytes of each free block filled and compared */
} rf_pool_watch_options;

/* Sets *options to the defaults: mode "guard", 64 KiB. */
void rf_pool_watch_options_default(rf_pool_watch_options *options);

/* From now on the pools of the process are watched; blocks that were freed earlier are not. A second call changes the
 * options. `options` NULL: the defaults. Before other threads use pools. RF_OK, or RF_ERR_UNSUPPORTED where lib was
 * built without RF_WATCH. */
rf_status rf_pool_watch_start(const rf_pool_watch_options *options);

/* Pools are no longer watched. The same. */
void rf_pool_watch_stop(void);

/* Compares all free blocks of the pools that are initialised statically and lie in the program itself: those whose
 * memory is certain to be there. Returns the number of findings. Not while other threads use pools. */
size_t rf_pool_watch_sweep(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_POOL_WATCH_H */
