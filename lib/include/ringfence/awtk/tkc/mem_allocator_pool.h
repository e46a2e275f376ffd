/* AWTK: pools of small blocks in front of any allocator, against fragmentation: rf_pool. A class that is full spills to
 * the next, then to the allocator below.
 *
 * Threads and interrupts: none; put a lock around it.
 */
#ifndef RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_POOL_H
#define RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_POOL_H

#include <ringfence/awtk/tkc/mem_allocator.h>
#include <ringfence/awtk/tkc/mem_pool.h>
#include <ringfence/pool.h>

BEGIN_C_DECLS

#define TK_MEM_POOLS_NR 5

/* The caller's storage. pools[i]->block_size, ->block_nr and ->used are kept up to date by each call; blocks are to be
 * had by the allocator only, not by mem_pool_get. */
typedef struct _mem_allocator_pool_t {
  mem_allocator_t allocator;
  mem_allocator_t *impl;
  mem_pool_t *pools[TK_MEM_POOLS_NR];
  /* Ours. */
  mem_pool_t figures[TK_MEM_POOLS_NR];
  rf_awtk_view view;
  rf_awtk_ledger below;
  rf_pool pool;
} mem_allocator_pool_t;

#define MEM_ALLOCATOR_POOL(allocator) ((mem_allocator_pool_t *)(void *)(allocator))

/* Sets so many blocks of 8, 16, 32, 48 and 64 bytes aside, from `impl`, and wraps it. NULL for NULL, and where `impl`
 * has no memory for them, which is then as it was. */
mem_allocator_t *mem_allocator_pool_init(mem_allocator_pool_t *pool, mem_allocator_t *impl, uint32_t pool8_nr,
                                         uint32_t pool16_nr, uint32_t pool32_nr, uint32_t pool48_nr,
                                         uint32_t pool64_nr);

END_C_DECLS

#endif /* RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_POOL_H */
