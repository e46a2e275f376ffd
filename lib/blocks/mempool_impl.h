/* Headers of blocks, and functions that the parts of mempool share. Not a public header. */
#ifndef RINGFENCE_MEMPOOL_IMPL_H
#define RINGFENCE_MEMPOOL_IMPL_H

#include "lib/core/checksum.h"
#include <ringfence/mempool.h>
#include <ringfence/track.h>
#include <ringfence/watch.h>

#define HEADER sizeof(uintptr_t)
_Static_assert(sizeof(uintptr_t) == sizeof(void *), "one pointer per block");

/* One thread's wait. Everything is read and written with the pool's mutex held, but for the wait on the event. */
typedef struct rf_mempool_waiter {
  struct rf_mempool_waiter *next;
  int priority;
  bool served;      /* taken off the list, status and block are final */
  rf_status status; /* RF_OK or RF_ERR_DELETED */
  void *block;
  rf_event event;
} rf_mempool_waiter;

static inline rf_mempool *pool_of(rf_allocator *self) {
  return (rf_mempool *)(void *)self;
}

/* ---- Headers ---- */

static inline uintptr_t *header_of(const rf_mempool *pool, size_t index) {
  return (uintptr_t *)(void *)(pool->start + index * pool->stride);
}

static inline void *payload_of(const rf_mempool *pool, size_t index) {
  return pool->start + index * pool->stride + HEADER;
}

/* From the first header to the end of the last block; there is at least one. */
static inline size_t span_of(const rf_mempool *pool) {
  return (pool->num_blocks - 1) * pool->stride + HEADER + pool->block_size;
}

/* XORed onto the state of a block. Bound to the place, so that a header which was copied or shifted does not pass. */
static inline uintptr_t mask_of(const rf_mempool *pool, const void *header) {
  return rf_checksum_mask(header) ^ (uintptr_t)pool;
}

enum { WHOLE, SHORT_BY_BYTE, SHORT_BY_WORD, FREE }; /* FREE + next is the state of a free block */

_Static_assert(_Alignof(rf_mempool) > SHORT_BY_WORD,
               "the state of a block that is out leaves the pool's address readable");

/* See mempool.h. More than FREE + num_blocks is nonsense. */
static inline uintptr_t state_get(const rf_mempool *pool, size_t index) {
  const uintptr_t *const header = header_of(pool, index);
  return *header ^ mask_of(pool, header);
}

static inline void state_set(const rf_mempool *pool, size_t index, uintptr_t state) {
  uintptr_t *const header = header_of(pool, index);
  *header = state ^ mask_of(pool, header);
}

static inline bool state_is_free(const rf_mempool *pool, uintptr_t state) {
  return state >= FREE && state - FREE <= pool->num_blocks;
}

/* The pool as a watcher sees it. */
static inline rf_watched_pool view_of(const rf_mempool *pool) {
  return (rf_watched_pool){.pool = pool,
                           .name = pool->base.ops->name,
                           .start = pool->start + HEADER,
                           .stride = pool->stride,
                           .block_size = pool->block_size,
                           .num_blocks = pool->num_blocks};
}

/* ---- mempool_queue.c: waiting threads; with the mutex held ---- */

void rf_mempool_enqueue(rf_mempool *pool, rf_mempool_waiter *w);
void rf_mempool_dequeue(rf_mempool *pool, const rf_mempool_waiter *w);

/* Ends the first thread's wait. */
void rf_mempool_serve_first(rf_mempool *pool, rf_status status, void *block);

/* Ends the waits of all threads: the pool is deleted. */
void rf_mempool_dismiss_waiters(rf_mempool *pool);

/* ---- mempool_block.c: the record, alloc and free ---- */

/* Checksums of the fields that never change, and of the queue. */
size_t rf_mempool_checksum(const rf_mempool *pool);
size_t rf_mempool_queue_checksum(const rf_mempool *pool);

/* Begins every call: RF_OK with the mutex locked, RF_ERR_DELETED or RF_ERR_CORRUPT without. */
rf_status rf_mempool_enter(rf_mempool *pool);
void rf_mempool_leave(rf_mempool *pool);

/* Reports that the record is damaged. */
rf_status rf_mempool_broken(rf_mempool *pool, const rf_site *site);

/* The requested size of a block that is out. False where it is not, or what is kept in it cannot be. */
bool rf_mempool_size_get(const rf_mempool *pool, size_t index, size_t *size);

/* Finds the block that is out at `ptr`, and how many bytes of it were asked for; if there is none, says why. With the
 * mutex held. */
const char *rf_mempool_find(const rf_mempool *pool, const void *ptr, size_t *index, size_t *size, rf_status *status);

void *rf_mempool_op_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site);
rf_status rf_mempool_op_free(rf_allocator *self, void *ptr, const rf_site *site);
rf_status rf_mempool_op_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site);

/* ---- mempool_view.c: looking ---- */

size_t rf_mempool_op_usable_size(rf_allocator *self, const void *ptr);
bool rf_mempool_op_owns(rf_allocator *self, const void *ptr);
rf_status rf_mempool_op_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_mempool_op_check(rf_allocator *self, rf_fault *where);
void rf_mempool_op_stats(rf_allocator *self, rf_stats *out);

#endif /* RINGFENCE_MEMPOOL_IMPL_H */
