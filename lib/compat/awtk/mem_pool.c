/* mem_pool_t: an rf_memblocks in the buffer that it manages. */
#include "impl.h"

uint32_t mem_pool_get_bits_size(uint32_t block_nr) {
  return (block_nr / 32 + 2) & ~(uint32_t)1;
}

/* How blocks of that size are aligned. */
static size_t align_of(size_t block_size) {
  size_t const divisor = block_size & (~block_size + 1);
  return tk_min(divisor, RF_ALIGN_DEFAULT);
}

/* The offset of the first block, behind the header at a multiple of the blocks' alignment. */
static size_t offset_of_blocks(uint32_t block_size, uint32_t block_nr) {
  size_t const end = sizeof(mem_pool_t) + RF_MEMBLOCKS_WORDS(block_nr) * sizeof(size_t);
  return (end + align_of(block_size) - 1) & ~(align_of(block_size) - 1);
}

/* From a multiple of RF_ALIGN_DEFAULT on. */
static uint64_t size_when_aligned(uint32_t block_size, uint32_t block_nr) {
  return (uint64_t)block_size * block_nr + offset_of_blocks(block_size, block_nr);
}

uint32_t mem_pool_get_min_size(uint32_t block_size, uint32_t block_nr) {
  uint64_t const most = size_when_aligned(block_size, block_nr) + RF_ALIGN_DEFAULT - 1;
  return most <= UINT32_MAX ? (uint32_t)most : 0;
}

mem_pool_t *mem_pool_init(uint8_t *addr, uint32_t size, uint32_t block_size, uint32_t block_nr) {
  size_t const gap = rf_align_gap(addr, RF_ALIGN_DEFAULT);
  if (addr == NULL || block_size == 0 || block_nr == 0 || size_when_aligned(block_size, block_nr) + gap > size) {
    return NULL;
  }
  mem_pool_t *const pool = (mem_pool_t *)(void *)(addr + gap);
  memset(pool, 0, sizeof *pool);
  size_t *const bits = (size_t *)(void *)(pool + 1);
  pool->block_size = block_size;
  pool->block_nr = block_nr;
  pool->bits_size = mem_pool_get_bits_size(block_nr);
  pool->bits = (uint32_t *)(void *)bits;
  pool->start = (uint8_t *)pool + offset_of_blocks(block_size, block_nr);
  (void)rf_memblocks_init(&pool->blocks, pool->start, block_size, block_nr, bits); /* the arguments are good */
  pool->blocks.quiet = true; /* mem_pool_put answers, and that is all it does */
  return pool;
}

void *mem_pool_get(mem_pool_t *pool) {
  void *block = NULL;
  if (pool == NULL || rf_memblocks_alloc(&pool->blocks, 1, &block) != RF_OK) {
    return NULL;
  }
  pool->used = (uint32_t)pool->blocks.used;
  return block;
}

ret_t mem_pool_put(mem_pool_t *pool, void *ptr) {
  if (pool == NULL || rf_memblocks_free(&pool->blocks, 1, &ptr) != RF_OK) {
    return RET_NOT_FOUND;
  }
  pool->used = (uint32_t)pool->blocks.used;
  return RET_OK;
}

ret_t mem_pool_put_index(mem_pool_t *pool, uint32_t index) {
  return pool != NULL && index < pool->block_nr &&
                 mem_pool_put(pool, pool->start + (size_t)index * pool->block_size) == RET_OK
             ? RET_OK
             : RET_FAIL;
}

int32_t mem_pool_get_index(mem_pool_t *pool, void *ptr) {
  size_t const offset = pool != NULL ? (uintptr_t)ptr - (uintptr_t)pool->start : SIZE_MAX;
  if (pool == NULL || offset >= (size_t)pool->block_size * pool->block_nr || offset % pool->block_size != 0) {
    return -1;
  }
  return (int32_t)(offset / pool->block_size);
}

int32_t mem_pool_get_free_index(mem_pool_t *pool) {
  return mem_pool_get_index(pool, mem_pool_get(pool));
}

bool_t mem_pool_match_size(mem_pool_t *pool, uint32_t size) {
  return pool != NULL && size >= pool->min_block_size && size <= pool->block_size;
}
