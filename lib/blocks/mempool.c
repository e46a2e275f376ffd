/* mempool: beginning and end, and the table of operations. */
#include "mempool_impl.h"

#include <string.h>

static void link_all(rf_mempool *pool) {
  for (size_t i = 0; i < pool->num_blocks; i++) {
    state_set(pool, i, FREE + (i + 1));
  }
}

static const rf_allocator_ops mempool_ops;

/* The distance of two blocks; false where the arguments can make no pool. */
static bool stride_for(size_t block_size, size_t align, size_t *stride) {
  if (block_size == 0 || block_size > RF_SIZE_LIMIT || !rf_is_pow2(align) || align > RF_SIZE_LIMIT) {
    return false;
  }
  return rf_round_up(block_size + HEADER, align, stride);
}

static size_t at_least_pointer(size_t align) {
  return align < sizeof(void *) && rf_is_pow2(align) ? sizeof(void *) : align;
}

rf_status rf_mempool_init(rf_mempool *pool, void *buffer, size_t size, size_t block_size, size_t align) {
  size_t const used_align = at_least_pointer(align);
  size_t stride;
  if (pool == NULL || buffer == NULL || size > RF_SIZE_LIMIT || (uintptr_t)buffer > UINTPTR_MAX - size ||
      !stride_for(block_size, used_align, &stride)) {
    return RF_ERR_INVALID;
  }
  size_t const gap = rf_align_gap((unsigned char *)buffer + HEADER, used_align);
  if (size < gap || size - gap < HEADER + block_size) {
    return RF_ERR_NO_MEMORY;
  }
  memset(pool, 0, sizeof *pool);
  if (rf_mutex_init(&pool->mutex) != RF_OK) {
    return RF_ERR_NO_MEMORY;
  }
  pool->base.ops = &mempool_ops;
  pool->start = (unsigned char *)buffer + gap;
  pool->capacity = size;
  pool->stride = stride;
  pool->block_size = block_size;
  pool->num_blocks = (size - gap - HEADER - block_size) / stride + 1; /* the last one needs no padding */
  pool->align = used_align;
  pool->checksum = rf_mempool_checksum(pool);
  pool->queue_checksum = rf_mempool_queue_checksum(pool);
  link_all(pool);
  rf_track_arena(pool->start, span_of(pool));
  RF_WATCH_TELL(begin, view_of(pool), NULL, 0, NULL, NULL);
  return RF_OK;
}

rf_status rf_mempool_create_at(rf_allocator *from, size_t num_blocks, size_t block_size, size_t align, rf_mempool **out,
                               const rf_site *site) {
  size_t const block_align = at_least_pointer(align);
  size_t const pool_align = block_align > _Alignof(rf_mempool) ? block_align : _Alignof(rf_mempool);
  size_t stride;
  size_t offset; /* of block 0's header */
  size_t total;
  if (from == NULL || out == NULL || num_blocks == 0 || !stride_for(block_size, block_align, &stride) ||
      !rf_round_up(sizeof(rf_mempool) + HEADER, block_align, &offset) || !rf_mul(stride, num_blocks - 1, &total) ||
      !rf_add(total, offset + block_size, &total)) {
    return RF_ERR_INVALID;
  }
  offset -= HEADER;
  unsigned char *const memory = (unsigned char *)rf_alloc_at(from, total, pool_align, site);
  if (memory == NULL) {
    return RF_ERR_NO_MEMORY;
  }
  rf_mempool *const pool = (rf_mempool *)(void *)memory;
  rf_status const status = rf_mempool_init(pool, memory + offset, total - offset, block_size, block_align);
  if (status != RF_OK) {
    (void)rf_free_at(from, memory, site);
    return status;
  }
  pool->from = from;
  pool->checksum = rf_mempool_checksum(pool);
  *out = pool;
  return RF_OK;
}

/* Waits until the threads that were waiting have let go of the pool. With the mutex held, which is free while it waits.
 */
static rf_status see_waiters_off(rf_mempool *pool) {
  rf_event emptied;
  if (pool->waiters == 0) {
    return RF_OK;
  }
  if (rf_event_init(&emptied) != RF_OK) {
    return RF_ERR_NO_MEMORY;
  }
  pool->emptied = &emptied;
  rf_mempool_dismiss_waiters(pool);
  rf_mempool_leave(pool);
  (void)rf_event_wait(&emptied, RF_WAIT_FOREVER);
  rf_mutex_lock(&pool->mutex); /* whoever set the event has left by now */
  rf_track_enter();
  rf_event_deinit(&emptied);
  return RF_OK;
}

rf_status rf_mempool_deinit(rf_mempool *pool) {
  if (pool == NULL) {
    return RF_ERR_INVALID;
  }
  rf_status const entered = rf_mempool_enter(pool);
  if (entered != RF_OK) {
    return entered == RF_ERR_DELETED ? RF_OK : rf_mempool_broken(pool, NULL);
  }
  rf_status const status = see_waiters_off(pool);
  rf_mempool_leave(pool);
  if (status == RF_OK) {
    rf_mutex_deinit(&pool->mutex);
    rf_track_arena_end(pool->start, span_of(pool));
    RF_WATCH_TELL(end, view_of(pool), NULL, 0, NULL, RF_WATCH_CALLER);
    pool->num_blocks = 0;
    pool->capacity = 0;
    pool->checksum = rf_mempool_checksum(pool);
  }
  return status;
}

rf_status rf_mempool_delete_at(rf_mempool *pool, const rf_site *site) {
  if (pool == NULL) {
    return RF_ERR_INVALID;
  }
  if (pool->checksum != rf_mempool_checksum(pool)) {
    return rf_mempool_broken(pool, site);
  }
  rf_allocator *const from = pool->from;
  if (from == NULL) {
    return RF_ERR_INVALID;
  }
  rf_status const status = rf_mempool_deinit(pool);
  return status == RF_OK ? rf_free_at(from, pool, site) : status;
}

/* ---- As an rf_allocator ---- */

static void mempool_deinit(rf_allocator *self) {
  (void)rf_mempool_deinit(pool_of(self));
}

static const rf_allocator_ops mempool_ops = {
    .name = "mempool",
    .alloc = rf_mempool_op_alloc,
    .free = rf_mempool_op_free,
    .resize = rf_mempool_op_resize,
    .usable_size = rf_mempool_op_usable_size,
    .owns = rf_mempool_op_owns,
    .walk = rf_mempool_op_walk,
    .check = rf_mempool_op_check,
    .stats = rf_mempool_op_stats,
    .deinit = mempool_deinit,
};
