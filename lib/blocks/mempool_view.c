/* mempool: figures, the walk and checks. */
#include "mempool_impl.h"

#include <string.h>

void rf_mempool_info_get(rf_mempool *pool, rf_mempool_info *out) {
  memset(out, 0, sizeof *out);
  if (rf_mempool_enter(pool) != RF_OK) {
    return;
  }
  out->num_blocks = pool->num_blocks;
  out->block_size = pool->block_size;
  out->free_blocks = pool->num_blocks - pool->used;
  out->peak_blocks = pool->peak;
  for (const rf_mempool_waiter *w = pool->first; w != NULL; w = w->next) {
    out->waiters++;
  }
  rf_mempool_leave(pool);
}

/* ---- As an rf_allocator ---- */

size_t rf_mempool_op_usable_size(rf_allocator *self, const void *ptr) {
  rf_mempool *const pool = pool_of(self);
  size_t index;
  size_t size = 0;
  rf_status status = rf_mempool_enter(pool);
  if (status != RF_OK) {
    return 0;
  }
  if (rf_mempool_find(pool, ptr, &index, &size, &status) != NULL) {
    size = 0;
  }
  rf_mempool_leave(pool);
  return size;
}

bool rf_mempool_op_owns(rf_allocator *self, const void *ptr) {
  const rf_mempool *const pool = pool_of(self);
  if (pool->checksum != rf_mempool_checksum(pool) || pool->num_blocks == 0) {
    return false;
  }
  return (uintptr_t)ptr - (uintptr_t)pool->start < span_of(pool);
}

static void describe(const rf_mempool *pool, size_t index, rf_block *out) {
  bool const last = index + 1 == pool->num_blocks;
  out->ptr = payload_of(pool, index);
  out->used = !state_is_free(pool, state_get(pool, index));
  out->size = pool->block_size;
  (void)rf_mempool_size_get(pool, index, &out->size);
  out->overhead = (last ? HEADER + pool->block_size : pool->stride) - out->size;
  out->site = NULL;
}

rf_status rf_mempool_op_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_mempool *const pool = pool_of(self);
  rf_status const status = rf_mempool_enter(pool);
  bool more = true;
  if (status != RF_OK) {
    return status == RF_ERR_DELETED ? RF_OK : status;
  }
  for (size_t i = 0; i < pool->num_blocks && more; i++) {
    rf_block block;
    describe(pool, i, &block);
    more = visit(&block, context);
  }
  rf_mempool_leave(pool);
  return RF_OK;
}

/* The first contradiction in the headers, or NULL; *at is the place. */
static const char *damaged_header(const rf_mempool *pool, const void **at) {
  size_t used = 0;
  size_t bytes = 0;
  for (size_t i = 0; i < pool->num_blocks; i++) {
    size_t size;
    *at = header_of(pool, i);
    if (state_is_free(pool, state_get(pool, i))) {
      continue;
    }
    if (!rf_mempool_size_get(pool, i, &size)) {
      return "header or end of a block was overwritten";
    }
    used++;
    bytes += size;
  }
  *at = pool;
  if (used != pool->used || pool->peak < used || pool->peak > pool->num_blocks) {
    return "headers and counts disagree";
  }
  return bytes != pool->used_bytes || pool->peak_bytes < bytes ? "sizes and counts disagree" : NULL;
}

/* The same of the list, which is followed for as many steps as there are free blocks and no further: a loop does not
 * hold it. */
static const char *damaged_list(const rf_mempool *pool, const void **at) {
  size_t index = pool->head;
  *at = pool;
  for (size_t left = pool->num_blocks - pool->used; left != 0; left--) {
    if (index >= pool->num_blocks || !state_is_free(pool, state_get(pool, index))) {
      return "free list leads to a block that is not free";
    }
    *at = header_of(pool, index);
    index = state_get(pool, index) - FREE;
  }
  return index != pool->num_blocks ? "free list does not end" : NULL;
}

/* The first damage of the pool, or NULL. */
static const char *damage(rf_mempool *pool, const void **at) {
  rf_status const status = rf_mempool_enter(pool);
  *at = pool;
  if (status != RF_OK) {
    return status == RF_ERR_DELETED ? NULL : "record of the pool was overwritten";
  }
  const char *what = damaged_header(pool, at);
  if (what == NULL) {
    what = damaged_list(pool, at);
  }
  rf_mempool_leave(pool);
  return what;
}

rf_status rf_mempool_op_check(rf_allocator *self, rf_fault *where) {
  const void *at;
  const char *const what = damage(pool_of(self), &at);
  if (what == NULL) {
    return RF_OK;
  }
  rf_fault const fault = {RF_ERR_CORRUPT, what, self, at, NULL};
  *where = fault;
  return RF_ERR_CORRUPT;
}

void rf_mempool_op_stats(rf_allocator *self, rf_stats *out) {
  rf_mempool *const pool = pool_of(self);
  memset(out, 0, sizeof *out);
  if (rf_mempool_enter(pool) != RF_OK) {
    return;
  }
  out->capacity = pool->capacity;
  out->used = pool->used_bytes;
  out->peak = pool->peak_bytes;
  out->blocks = pool->used;
  out->peak_blocks = pool->peak;
  out->free_bytes = (pool->num_blocks - pool->used) * pool->block_size;
  out->largest_free = pool->used < pool->num_blocks ? pool->block_size : 0;
  out->allocations = pool->allocations;
  out->failures = pool->failures;
  out->overhead = out->capacity - out->used - out->free_bytes;
  rf_mempool_leave(pool);
}
