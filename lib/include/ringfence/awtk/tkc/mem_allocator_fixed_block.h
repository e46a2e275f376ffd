/* AWTK: blocks of one size, from memory of tk_alloc, which grows by as much again when all are taken: rf_memblocks.
 *
 * Threads and interrupts: none; put a lock around it.
 */
#ifndef RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_FIXED_BLOCK_H
#define RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_FIXED_BLOCK_H

#include <ringfence/awtk/tkc/mem_allocator.h>

BEGIN_C_DECLS

/* Blocks of `size` bytes, the first `num` of them set aside at once (0: none). Ended by mem_allocator_destroy. NULL for
 * size 0, and where there is no memory. Its alloc gives NULL for more than `size` bytes; its realloc gives `ptr` where
 * that is one of its blocks and the size fits and is not 0, else NULL; the block stays. */
mem_allocator_t *mem_allocator_fixed_block_create(uint32_t size, uint32_t num);

/* The size it was created with; 0 for what is none. */
uint32_t mem_allocator_fixed_block_size(mem_allocator_t *allocator);

END_C_DECLS

#endif /* RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_FIXED_BLOCK_H */
