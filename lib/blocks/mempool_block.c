/* mempool: the record, alloc, free and resize. */
#include "mempool_impl.h"

#include <limits.h>
#include <string.h>

/* ---- The record: one checksum of what never changes, one of the queue ---- */

size_t rf_mempool_checksum(const rf_mempool *pool) {
  size_t sum = rf_checksum_begin(pool);
  sum = rf_checksum_add_address(sum, pool->start);
  sum = rf_checksum_add(sum, pool->capacity);
  sum = rf_checksum_add(sum, pool->stride);
  sum = rf_checksum_add(sum, pool->block_size);
  sum = rf_checksum_add(sum, pool->num_blocks);
  sum = rf_checksum_add(sum, pool->align);
  return rf_checksum_add_address(sum, pool->from);
}

size_t rf_mempool_queue_checksum(const rf_mempool *pool) {
  size_t sum = rf_checksum_begin(pool);
  sum = rf_checksum_add_address(sum, pool->first);
  sum = rf_checksum_add_address(sum, pool->last);
  sum = rf_checksum_add(sum, pool->waiters);
  return rf_checksum_add_address(sum, pool->emptied);
}

rf_status rf_mempool_enter(rf_mempool *pool) {
  if (pool->checksum != rf_mempool_checksum(pool)) {
    return RF_ERR_CORRUPT;
  }
  if (pool->num_blocks == 0) {
    return RF_ERR_DELETED;
  }
  rf_mutex_lock(&pool->mutex);
  if (pool->queue_checksum != rf_mempool_queue_checksum(pool)) {
    rf_mutex_unlock(&pool->mutex);
    return RF_ERR_CORRUPT;
  }
  rf_track_enter();
  return RF_OK;
}

void rf_mempool_leave(rf_mempool *pool) {
  pool->queue_checksum = rf_mempool_queue_checksum(pool);
  rf_track_leave();
  rf_mutex_unlock(&pool->mutex);
}

rf_status rf_mempool_broken(rf_mempool *pool, const rf_site *site) {
  return rf_fault_refuse(&pool->base, RF_ERR_CORRUPT, "record of the pool was overwritten", pool, site);
}

rf_mempool *rf_mempool_of(const void *block) {
  const uintptr_t *const header = (const uintptr_t *)block - 1;
  rf_track_enter();
  uintptr_t const word = *header;
  rf_track_leave();
  return (rf_mempool *)((word ^ mask_of(NULL, header)) & ~(uintptr_t)(_Alignof(rf_mempool) - 1));
}

/* ---- The requested size of a block that is out ---- */

static void size_set(const rf_mempool *pool, size_t index, size_t size) {
  unsigned char *const end = (unsigned char *)payload_of(pool, index) + pool->block_size;
  size_t const missing = pool->block_size - size;
  if (missing == 0) {
    state_set(pool, index, WHOLE);
  } else if (missing <= UCHAR_MAX) {
    end[-1] = (unsigned char)missing;
    state_set(pool, index, SHORT_BY_BYTE);
  } else {
    memcpy(end - sizeof missing, &missing, sizeof missing);
    state_set(pool, index, SHORT_BY_WORD);
  }
}

bool rf_mempool_size_get(const rf_mempool *pool, size_t index, size_t *size) {
  const unsigned char *const end = (const unsigned char *)payload_of(pool, index) + pool->block_size;
  uintptr_t const state = state_get(pool, index);
  size_t missing = 0;
  if (state == SHORT_BY_BYTE) {
    missing = end[-1];
  } else if (state == SHORT_BY_WORD && pool->block_size > UCHAR_MAX) {
    memcpy(&missing, end - sizeof missing, sizeof missing);
  }
  if (missing > pool->block_size || (state == WHOLE) != (missing == 0)) {
    return false;
  }
  *size = pool->block_size - missing;
  return state < FREE;
}

/* True where `ptr` is the start of a block, out or free; *index is then which. */
static bool index_of(const rf_mempool *pool, const void *ptr, size_t *index) {
  size_t const offset = (uintptr_t)ptr - (uintptr_t)pool->start - HEADER;
  *index = offset / pool->stride;
  return *index < pool->num_blocks && offset % pool->stride == 0;
}

/* ---- The free list; with the mutex held ---- */

static void count_out(rf_mempool *pool, size_t size) {
  pool->used++;
  pool->peak = pool->peak < pool->used ? pool->used : pool->peak;
  pool->used_bytes += size;
  pool->peak_bytes = pool->peak_bytes < pool->used_bytes ? pool->used_bytes : pool->peak_bytes;
  pool->allocations++;
}

static void count_back(rf_mempool *pool, size_t size) {
  pool->used--;
  pool->used_bytes -= size;
}

static rf_status take(rf_mempool *pool, size_t size, void **out, const rf_site *site, const void *caller) {
  size_t const index = pool->head;
  if (pool->used == pool->num_blocks) {
    return RF_ERR_NO_MEMORY;
  }
  if (index >= pool->num_blocks || pool->used > pool->num_blocks || !state_is_free(pool, state_get(pool, index))) {
    return RF_ERR_CORRUPT;
  }
  RF_WATCH_TELL(alloc, view_of(pool), payload_of(pool, index), 1, site, caller);
  pool->head = state_get(pool, index) - FREE;
  size_set(pool, index, size);
  count_out(pool, size);
  *out = payload_of(pool, index);
  rf_track_alloc(*out, size);
  return RF_OK;
}

static void put(rf_mempool *pool, size_t index, const rf_site *site, const void *caller) {
  rf_track_free(payload_of(pool, index), pool->block_size);
  state_set(pool, index, FREE + pool->head);
  pool->head = index;
  RF_WATCH_TELL(free, view_of(pool), payload_of(pool, index), 1, site, caller);
}

/* ---- alloc ---- */

static rf_status start_waiting(rf_mempool *pool, rf_mempool_waiter *w) {
  if (rf_event_init(&w->event) != RF_OK) {
    return RF_ERR_NO_MEMORY;
  }
  w->served = false;
  w->block = NULL;
  rf_mempool_enqueue(pool, w);
  pool->waiters++;
  return RF_OK;
}

/* The end of a wait: the thread was woken or gave up. With the mutex held and the queue intact. */
static void stop_waiting(rf_mempool *pool, rf_mempool_waiter *w) {
  if (!w->served) {
    rf_mempool_dequeue(pool, w);
    w->status = RF_ERR_TIMEOUT;
    pool->failures++;
  }
  if (--pool->waiters == 0 && pool->emptied != NULL) {
    rf_event_set(pool->emptied);
  }
}

/* Without the mutex. A block that arrives between the timeout and the lock is still taken. */
static rf_status wait_for_block(rf_mempool *pool, rf_mempool_waiter *w, uint32_t timeout_ms, void **out) {
  (void)rf_event_wait(&w->event, timeout_ms);
  rf_mutex_lock(&pool->mutex);
  bool const intact = pool->queue_checksum == rf_mempool_queue_checksum(pool);
  if (intact) {
    rf_track_enter();
    stop_waiting(pool, w);
    rf_mempool_leave(pool);
  } else {
    rf_mutex_unlock(&pool->mutex); /* stays broken, so nobody follows it to this record */
  }
  rf_event_deinit(&w->event);
  if (!intact && !w->served) {
    return rf_mempool_broken(pool, NULL);
  }
  *out = w->block;
  return w->status;
}

/* Takes a block, or puts `w` in the queue. With the mutex held. */
static rf_status take_or_queue(rf_mempool *pool, size_t size, bool may_wait, rf_mempool_waiter *w, void **out,
                               const rf_site *site, const void *caller) {
  rf_status status = pool->emptied != NULL ? RF_ERR_DELETED : take(pool, size, out, site, caller);
  if (status == RF_ERR_NO_MEMORY && may_wait) {
    status = start_waiting(pool, w);
  }
  pool->failures += status == RF_ERR_NO_MEMORY ? 1U : 0U;
  return status;
}

static rf_status alloc_at(rf_mempool *pool, size_t size, uint32_t timeout_ms, int priority, void **out,
                          const rf_site *site, const void *caller) {
  rf_mempool_waiter w;
  *out = NULL;
  w.priority = priority;
  rf_status status = rf_mempool_enter(pool);
  if (status != RF_OK) {
    return status == RF_ERR_CORRUPT ? rf_mempool_broken(pool, site) : status;
  }
  status = take_or_queue(pool, size, timeout_ms != 0, &w, out, site, caller);
  size_t const head = pool->head;
  rf_mempool_leave(pool);
  if (status == RF_ERR_CORRUPT) {
    const void *const at = head < pool->num_blocks ? (const void *)header_of(pool, head) : pool;
    return rf_fault_refuse(&pool->base, status, "free list was overwritten", at, site);
  }
  return status == RF_OK && *out == NULL ? wait_for_block(pool, &w, timeout_ms, out) : status;
}

rf_status rf_mempool_alloc_prio(rf_mempool *pool, uint32_t timeout_ms, int priority, void **out) {
  if (out == NULL) {
    return RF_ERR_INVALID;
  }
  if (pool == NULL || (timeout_ms != 0 && rf_port_in_interrupt())) {
    *out = NULL;
    return RF_ERR_INVALID;
  }
  return alloc_at(pool, pool->block_size, timeout_ms, priority, out, NULL, RF_WATCH_CALLER);
}

rf_status rf_mempool_alloc(rf_mempool *pool, uint32_t timeout_ms, void **out) {
  return rf_mempool_alloc_prio(pool, timeout_ms, 0, out);
}

/* ---- free ---- */

const char *rf_mempool_find(const rf_mempool *pool, const void *ptr, size_t *index, size_t *size, rf_status *status) {
  *status = RF_ERR_BAD_POINTER;
  if (!index_of(pool, ptr, index)) {
    return "not a block of this pool";
  }
  if (state_is_free(pool, state_get(pool, *index))) {
    *status = RF_ERR_NOT_ALLOCATED;
    return "double free";
  }
  if (!rf_mempool_size_get(pool, *index, size) || pool->used == 0) {
    *status = RF_ERR_CORRUPT;
    return "header or end of the block was overwritten";
  }
  *status = RF_OK;
  return NULL;
}

static const char *give_back(rf_mempool *pool, const void *block, rf_status *status, const rf_site *site,
                             const void *caller) {
  size_t index;
  size_t size;
  const char *const what = rf_mempool_find(pool, block, &index, &size, status);
  if (what != NULL) {
    return what;
  }
  count_back(pool, size);
  if (pool->first != NULL) {
    rf_track_free(payload_of(pool, index), pool->block_size);
    RF_WATCH_TELL(free, view_of(pool), payload_of(pool, index), 1, site, caller);
    RF_WATCH_TELL(alloc, view_of(pool), payload_of(pool, index), 1, site, caller);
    size_set(pool, index, pool->block_size);
    count_out(pool, pool->block_size);
    rf_track_alloc(payload_of(pool, index), pool->block_size);
    rf_mempool_serve_first(pool, RF_OK, payload_of(pool, index));
  } else {
    put(pool, index, site, caller);
  }
  return NULL;
}

rf_status rf_mempool_free_at(rf_mempool *pool, void *block, const rf_site *site) {
  if (block == NULL) {
    return RF_OK;
  }
  rf_status status = rf_mempool_enter(pool);
  if (status != RF_OK) {
    return status == RF_ERR_CORRUPT
               ? rf_mempool_broken(pool, site)
               : rf_fault_refuse(&pool->base, RF_ERR_BAD_POINTER, "free after deinit", block, site);
  }
  const char *const what = give_back(pool, block, &status, site, RF_WATCH_CALLER);
  rf_mempool_leave(pool);
  return what == NULL ? RF_OK : rf_fault_refuse(&pool->base, status, what, block, site);
}

/* ---- As an rf_allocator ---- */

void *rf_mempool_op_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_mempool *const pool = pool_of(self);
  void *block = NULL;
  if (size <= pool->block_size && align <= pool->align) {
    (void)alloc_at(pool, size, 0, 0, &block, site, RF_WATCH_CALLER);
    return block;
  }
  rf_status const status = rf_mempool_enter(pool);
  if (status == RF_OK) {
    pool->failures++;
    rf_mempool_leave(pool);
  } else if (status == RF_ERR_CORRUPT) {
    (void)rf_mempool_broken(pool, site);
  }
  return NULL;
}

rf_status rf_mempool_op_free(rf_allocator *self, void *ptr, const rf_site *site) {
  return rf_mempool_free_at(pool_of(self), ptr, site);
}

/* In the block at hand. With the mutex held. */
static rf_status resize_block(rf_mempool *pool, size_t index, size_t old_size, size_t size) {
  if (size > pool->block_size) {
    return RF_ERR_NO_MEMORY;
  }
  size_set(pool, index, size);
  rf_track_resize(payload_of(pool, index), pool->block_size, payload_of(pool, index), size);
  pool->used_bytes += size - old_size;
  pool->peak_bytes = pool->peak_bytes < pool->used_bytes ? pool->used_bytes : pool->peak_bytes;
  return RF_OK;
}

rf_status rf_mempool_op_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_mempool *const pool = pool_of(self);
  size_t index;
  size_t old_size;
  rf_status status = rf_mempool_enter(pool);
  if (status != RF_OK) {
    return status == RF_ERR_CORRUPT ? rf_mempool_broken(pool, site)
                                    : rf_fault_refuse(self, RF_ERR_BAD_POINTER, "resize after deinit", ptr, site);
  }
  const char *const what = rf_mempool_find(pool, ptr, &index, &old_size, &status);
  if (what == NULL) {
    status = resize_block(pool, index, old_size, size);
  }
  rf_mempool_leave(pool);
  return what == NULL ? status : rf_fault_refuse(self, status, what, ptr, site);
}
