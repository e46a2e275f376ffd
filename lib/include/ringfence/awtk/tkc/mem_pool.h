/* AWTK: equal blocks in a buffer: rf_memblocks.
 *
 *     | mem_pool_t | bits | block | block | …
 *
 * Threads and interrupts: none.
 */
#ifndef RINGFENCE_AWTK_TKC_MEM_POOL_H
#define RINGFENCE_AWTK_TKC_MEM_POOL_H

#include <ringfence/awtk/tkc/types_def.h>
#include <ringfence/memblocks.h>

BEGIN_C_DECLS

/* Read freely, change by calls only. */
typedef struct _mem_pool_t {
  uint32_t block_size;
  uint32_t bits_size; /* words of 32 bits that the original would have */
  uint32_t block_nr;
  uint32_t min_block_size;
  uint32_t used;
  uint32_t *bits; /* 1: taken */
  uint8_t *start;
  /* Ours. */
  rf_memblocks blocks;
} mem_pool_t;

#define TK_SET_BIT(v, n) ((v) |= 1UL << (n))
#define TK_CLEAR_BIT(v, n) ((v) &= ~(1UL << (n)))
#define TK_TOGGLE_BIT(v, n) ((v) ^= (1UL << (n)))
#define TK_TEST_BIT(v, n) (((v) >> (n)) & 1U)

/* Bytes that a pool needs, at any address; 0 where there can be none so large. */
uint32_t mem_pool_get_min_size(uint32_t block_size, uint32_t block_nr);
uint32_t mem_pool_get_bits_size(uint32_t block_nr);

/* A pool in the `size` bytes at `addr`, the caller's. NULL for a null pointer, a size or number of 0, or too few bytes.
 * Blocks are aligned to the largest power of two that divides their size, up to RF_ALIGN_DEFAULT. */
mem_pool_t *mem_pool_init(uint8_t *addr, uint32_t size, uint32_t block_size, uint32_t block_nr);

/* A block, the lowest free one; NULL where all are taken. */
void *mem_pool_get(mem_pool_t *pool);

/* Gives a block back: RET_OK; RET_NOT_FOUND for what is not a block of it, or is free. */
ret_t mem_pool_put(mem_pool_t *pool, void *ptr);
/* The same by its number. RET_FAIL where that is free, or there is none. */
ret_t mem_pool_put_index(mem_pool_t *pool, uint32_t index);

/* The number of the block at `ptr`, taken or free; -1 for what is none. */
int32_t mem_pool_get_index(mem_pool_t *pool, void *ptr);
/* The number of a block, which is taken thereby; -1 where all are. */
int32_t mem_pool_get_free_index(mem_pool_t *pool);

/* Whether a request of that size is for this pool. */
bool_t mem_pool_match_size(mem_pool_t *pool, uint32_t size);

END_C_DECLS

#endif /* RINGFENCE_AWTK_TKC_MEM_POOL_H */
