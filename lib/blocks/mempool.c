#include <ringfence/mempool.h>

#include "lib/core/checksum.h"
#include <limits.h>
#include <ringfence/track.h>
#include <ringfence/watch.h>
#include <string.h>

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
} waiter;

static rf_mempool *pool_of(rf_allocator *self) {
  return (rf_mempool *)(void *)self;
}

/* ---- The record: one checksum of what never changes, one of the queue ---- */

static size_t pool_checksum(const rf_mempool *pool) {
  size_t sum = rf_checksum_begin(pool);
  sum = rf_checksum_add_address(sum, pool->start);
  sum = rf_checksum_add(sum, pool->capacity);
  sum = rf_checksum_add(sum, pool->stride);
  sum = rf_checksum_add(sum, pool->block_size);
  sum = rf_checksum_add(sum, pool->num_blocks);
  sum = rf_checksum_add(sum, pool->align);
  return rf_checksum_add_address(sum, pool->from);
}

static size_t queue_checksum_of(const rf_mempool *pool) {
  size_t sum = rf_checksum_begin(pool);
  sum = rf_checksum_add_address(sum, pool->first);
  sum = rf_checksum_add_address(sum, pool->last);
  sum = rf_checksum_add(sum, pool->waiters);
  return rf_checksum_add_address(sum, pool->emptied);
}

/* Begins every call: RF_OK with the mutex locked, RF_ERR_DELETED or RF_ERR_CORRUPT without. */
static rf_status enter(rf_mempool *pool) {
  if (pool->checksum != pool_checksum(pool)) {
    return RF_ERR_CORRUPT;
  }
  if (pool->num_blocks == 0) {
    return RF_ERR_DELETED;
  }
  rf_mutex_lock(&pool->mutex);
  if (pool->queue_checksum != queue_checksum_of(pool)) {
    rf_mutex_unlock(&pool->mutex);
    return RF_ERR_CORRUPT;
  }
  rf_track_enter();
  return RF_OK;
}

static void leave(rf_mempool *pool) {
  pool->queue_checksum = queue_checksum_of(pool);
  rf_track_leave();
  rf_mutex_unlock(&pool->mutex);
}

static rf_status broken(rf_mempool *pool, const rf_site *site) {
  return rf_fault_refuse(&pool->base, RF_ERR_CORRUPT, "record of the pool was overwritten", pool, site);
}

/* ---- Headers ---- */

static uintptr_t *header_of(const rf_mempool *pool, size_t index) {
  return (uintptr_t *)(void *)(pool->start + index * pool->stride);
}

static void *payload_of(const rf_mempool *pool, size_t index) {
  return pool->start + index * pool->stride + HEADER;
}

/* From the first header to the end of the last block; there is at least one. */
static size_t span_of(const rf_mempool *pool) {
  return (pool->num_blocks - 1) * pool->stride + HEADER + pool->block_size;
}

/* XORed onto the state of a block. Bound to the place, so that a header which was copied or shifted does not pass. */
static uintptr_t mask_of(const rf_mempool *pool, const void *header) {
  return rf_checksum_mask(header) ^ (uintptr_t)pool;
}

enum { WHOLE, SHORT_BY_BYTE, SHORT_BY_WORD, FREE }; /* FREE + next is the state of a free block */

_Static_assert(_Alignof(rf_mempool) > SHORT_BY_WORD,
               "the state of a block that is out leaves the pool's address readable");

/* See mempool.h. More than FREE + num_blocks is nonsense. */
static uintptr_t state_get(const rf_mempool *pool, size_t index) {
  const uintptr_t *const header = header_of(pool, index);
  return *header ^ mask_of(pool, header);
}

static void state_set(const rf_mempool *pool, size_t index, uintptr_t state) {
  uintptr_t *const header = header_of(pool, index);
  *header = state ^ mask_of(pool, header);
}

static bool state_is_free(const rf_mempool *pool, uintptr_t state) {
  return state >= FREE && state - FREE <= pool->num_blocks;
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

/* False where the block is not out, or what is kept in it cannot be. */
static bool size_get(const rf_mempool *pool, size_t index, size_t *size) {
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

/* The pool as a watcher sees it. */
static rf_watched_pool view_of(const rf_mempool *pool) {
  return (rf_watched_pool){.pool = pool,
                           .name = pool->base.ops->name,
                           .start = pool->start + HEADER,
                           .stride = pool->stride,
                           .block_size = pool->block_size,
                           .num_blocks = pool->num_blocks};
}

/* ---- Life ---- */

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
  pool->checksum = pool_checksum(pool);
  pool->queue_checksum = queue_checksum_of(pool);
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
  pool->checksum = pool_checksum(pool);
  *out = pool;
  return RF_OK;
}

static void dismiss_waiters(rf_mempool *pool);

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
  dismiss_waiters(pool);
  leave(pool);
  (void)rf_event_wait(&emptied, RF_WAIT_FOREVER);
  rf_mutex_lock(&pool->mutex); /* whoever set the event has left by now */
  rf_track_enter();
  rf_event_deinit(&emptied);
  return RF_OK;
}

rf_status rf_mempool_deinit(rf_mempool *pool) {
  rf_status const entered = enter(pool);
  if (entered != RF_OK) {
    return entered == RF_ERR_DELETED ? RF_OK : broken(pool, NULL);
  }
  rf_status const status = see_waiters_off(pool);
  leave(pool);
  if (status == RF_OK) {
    rf_mutex_deinit(&pool->mutex);
    rf_track_arena_end(pool->start, span_of(pool));
    RF_WATCH_TELL(end, view_of(pool), NULL, 0, NULL, RF_WATCH_CALLER);
    pool->num_blocks = 0;
    pool->capacity = 0;
    pool->checksum = pool_checksum(pool);
  }
  return status;
}

rf_status rf_mempool_delete_at(rf_mempool *pool, const rf_site *site) {
  if (pool->checksum != pool_checksum(pool)) {
    return broken(pool, site);
  }
  rf_allocator *const from = pool->from;
  if (from == NULL) {
    return RF_ERR_INVALID;
  }
  rf_status const status = rf_mempool_deinit(pool);
  return status == RF_OK ? rf_free_at(from, pool, site) : status;
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

/* ---- Waiting threads; with the mutex held ---- */

static void enqueue(rf_mempool *pool, waiter *w) {
  waiter **link = &pool->first;
  if (pool->last != NULL && pool->last->priority >= w->priority) {
    link = &pool->last->next;
  }
  while (*link != NULL && (*link)->priority >= w->priority) {
    link = &(*link)->next;
  }
  w->next = *link;
  *link = w;
  if (w->next == NULL) {
    pool->last = w;
  }
}

static void dequeue(rf_mempool *pool, const waiter *w) {
  waiter *before = NULL;
  waiter **link = &pool->first;
  while (*link != w) {
    before = *link;
    link = &before->next;
  }
  *link = w->next;
  if (pool->last == w) {
    pool->last = before;
  }
}

/* Ends the first thread's wait. The event is set with the mutex held, and the thread locks the mutex before it lets go
 * of the event: so it cannot vanish while it is being set. */
static void serve_first(rf_mempool *pool, rf_status status, void *block) {
  waiter *const w = pool->first;
  dequeue(pool, w);
  w->served = true;
  w->status = status;
  w->block = block;
  rf_event_set(&w->event);
}

static void dismiss_waiters(rf_mempool *pool) {
  while (pool->first != NULL) {
    serve_first(pool, RF_ERR_DELETED, NULL);
  }
}

/* ---- alloc ---- */

static rf_status start_waiting(rf_mempool *pool, waiter *w) {
  if (rf_event_init(&w->event) != RF_OK) {
    return RF_ERR_NO_MEMORY;
  }
  w->served = false;
  w->block = NULL;
  enqueue(pool, w);
  pool->waiters++;
  return RF_OK;
}

/* The end of a wait: the thread was woken or gave up. With the mutex held and the queue intact. */
static void stop_waiting(rf_mempool *pool, waiter *w) {
  if (!w->served) {
    dequeue(pool, w);
    w->status = RF_ERR_TIMEOUT;
    pool->failures++;
  }
  if (--pool->waiters == 0 && pool->emptied != NULL) {
    rf_event_set(pool->emptied);
  }
}

/* Without the mutex. A block that arrives between the timeout and the lock is still taken. */
static rf_status wait_for_block(rf_mempool *pool, waiter *w, uint32_t timeout_ms, void **out) {
  (void)rf_event_wait(&w->event, timeout_ms);
  rf_mutex_lock(&pool->mutex);
  bool const intact = pool->queue_checksum == queue_checksum_of(pool);
  if (intact) {
    rf_track_enter();
    stop_waiting(pool, w);
    leave(pool);
  } else {
    rf_mutex_unlock(&pool->mutex); /* stays broken, so nobody follows it to this record */
  }
  rf_event_deinit(&w->event);
  if (!intact && !w->served) {
    return broken(pool, NULL);
  }
  *out = w->block;
  return w->status;
}

/* Takes a block, or puts `w` in the queue. With the mutex held. */
static rf_status take_or_queue(rf_mempool *pool, size_t size, bool may_wait, waiter *w, void **out, const rf_site *site,
                               const void *caller) {
  rf_status status = pool->emptied != NULL ? RF_ERR_DELETED : take(pool, size, out, site, caller);
  if (status == RF_ERR_NO_MEMORY && may_wait) {
    status = start_waiting(pool, w);
  }
  pool->failures += status == RF_ERR_NO_MEMORY ? 1U : 0U;
  return status;
}

static rf_status alloc_at(rf_mempool *pool, size_t size, uint32_t timeout_ms, int priority, void **out,
                          const rf_site *site, const void *caller) {
  waiter w;
  *out = NULL;
  w.priority = priority;
  rf_status status = enter(pool);
  if (status != RF_OK) {
    return status == RF_ERR_CORRUPT ? broken(pool, site) : status;
  }
  status = take_or_queue(pool, size, timeout_ms != 0, &w, out, site, caller);
  size_t const head = pool->head;
  leave(pool);
  if (status == RF_ERR_CORRUPT) {
    const void *const at = head < pool->num_blocks ? (const void *)header_of(pool, head) : pool;
    return rf_fault_refuse(&pool->base, status, "free list was overwritten", at, site);
  }
  return status == RF_OK && *out == NULL ? wait_for_block(pool, &w, timeout_ms, out) : status;
}

rf_status rf_mempool_alloc_prio(rf_mempool *pool, uint32_t timeout_ms, int priority, void **out) {
  if (pool == NULL || out == NULL) {
    return RF_ERR_INVALID;
  }
  if (timeout_ms != 0 && rf_port_in_interrupt()) {
    *out = NULL;
    return RF_ERR_INVALID;
  }
  return alloc_at(pool, pool->block_size, timeout_ms, priority, out, NULL, RF_WATCH_CALLER);
}

rf_status rf_mempool_alloc(rf_mempool *pool, uint32_t timeout_ms, void **out) {
  return rf_mempool_alloc_prio(pool, timeout_ms, 0, out);
}

/* ---- free ---- */

/* Finds the block that is out at `ptr`, and how many bytes of it were asked for; if there is none, says why. With the
 * mutex held. */
static const char *find(const rf_mempool *pool, const void *ptr, size_t *index, size_t *size, rf_status *status) {
  *status = RF_ERR_BAD_POINTER;
  if (!index_of(pool, ptr, index)) {
    return "not a block of this pool";
  }
  if (state_is_free(pool, state_get(pool, *index))) {
    *status = RF_ERR_NOT_ALLOCATED;
    return "double free";
  }
  if (!size_get(pool, *index, size) || pool->used == 0) {
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
  const char *const what = find(pool, block, &index, &size, status);
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
    serve_first(pool, RF_OK, payload_of(pool, index));
  } else {
    put(pool, index, site, caller);
  }
  return NULL;
}

rf_status rf_mempool_free_at(rf_mempool *pool, void *block, const rf_site *site) {
  if (block == NULL) {
    return RF_OK;
  }
  rf_status status = enter(pool);
  if (status != RF_OK) {
    return status == RF_ERR_CORRUPT
               ? broken(pool, site)
               : rf_fault_refuse(&pool->base, RF_ERR_BAD_POINTER, "free after deinit", block, site);
  }
  const char *const what = give_back(pool, block, &status, site, RF_WATCH_CALLER);
  leave(pool);
  return what == NULL ? RF_OK : rf_fault_refuse(&pool->base, status, what, block, site);
}

/* ---- Looking ---- */

void rf_mempool_info_get(rf_mempool *pool, rf_mempool_info *out) {
  memset(out, 0, sizeof *out);
  if (enter(pool) != RF_OK) {
    return;
  }
  out->num_blocks = pool->num_blocks;
  out->block_size = pool->block_size;
  out->free_blocks = pool->num_blocks - pool->used;
  out->peak_blocks = pool->peak;
  for (const waiter *w = pool->first; w != NULL; w = w->next) {
    out->waiters++;
  }
  leave(pool);
}

/* ---- As an rf_allocator ---- */

static void *mempool_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_mempool *const pool = pool_of(self);
  void *block = NULL;
  if (size <= pool->block_size && align <= pool->align) {
    (void)alloc_at(pool, size, 0, 0, &block, site, RF_WATCH_CALLER);
    return block;
  }
  rf_status const status = enter(pool);
  if (status == RF_OK) {
    pool->failures++;
    leave(pool);
  } else if (status == RF_ERR_CORRUPT) {
    (void)broken(pool, site);
  }
  return NULL;
}

static rf_status mempool_free(rf_allocator *self, void *ptr, const rf_site *site) {
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

static rf_status mempool_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_mempool *const pool = pool_of(self);
  size_t index;
  size_t old_size;
  rf_status status = enter(pool);
  if (status != RF_OK) {
    return status == RF_ERR_CORRUPT ? broken(pool, site)
                                    : rf_fault_refuse(self, RF_ERR_BAD_POINTER, "resize after deinit", ptr, site);
  }
  const char *const what = find(pool, ptr, &index, &old_size, &status);
  if (what == NULL) {
    status = resize_block(pool, index, old_size, size);
  }
  leave(pool);
  return what == NULL ? status : rf_fault_refuse(self, status, what, ptr, site);
}

static size_t mempool_usable_size(rf_allocator *self, const void *ptr) {
  rf_mempool *const pool = pool_of(self);
  size_t index;
  size_t size = 0;
  rf_status status = enter(pool);
  if (status != RF_OK) {
    return 0;
  }
  if (find(pool, ptr, &index, &size, &status) != NULL) {
    size = 0;
  }
  leave(pool);
  return size;
}

static bool mempool_owns(rf_allocator *self, const void *ptr) {
  const rf_mempool *const pool = pool_of(self);
  if (pool->checksum != pool_checksum(pool) || pool->num_blocks == 0) {
    return false;
  }
  return (uintptr_t)ptr - (uintptr_t)pool->start < span_of(pool);
}

static void describe(const rf_mempool *pool, size_t index, rf_block *out) {
  bool const last = index + 1 == pool->num_blocks;
  out->ptr = payload_of(pool, index);
  out->used = !state_is_free(pool, state_get(pool, index));
  out->size = pool->block_size;
  (void)size_get(pool, index, &out->size);
  out->overhead = (last ? HEADER + pool->block_size : pool->stride) - out->size;
  out->site = NULL;
}

static rf_status mempool_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_mempool *const pool = pool_of(self);
  rf_status const status = enter(pool);
  bool more = true;
  if (status != RF_OK) {
    return status == RF_ERR_DELETED ? RF_OK : status;
  }
  for (size_t i = 0; i < pool->num_blocks && more; i++) {
    rf_block block;
    describe(pool, i, &block);
    more = visit(&block, context);
  }
  leave(pool);
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
    if (!size_get(pool, i, &size)) {
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
  rf_status const status = enter(pool);
  *at = pool;
  if (status != RF_OK) {
    return status == RF_ERR_DELETED ? NULL : "record of the pool was overwritten";
  }
  const char *what = damaged_header(pool, at);
  if (what == NULL) {
    what = damaged_list(pool, at);
  }
  leave(pool);
  return what;
}

static rf_status mempool_check(rf_allocator *self, rf_fault *where) {
  const void *at;
  const char *const what = damage(pool_of(self), &at);
  if (what == NULL) {
    return RF_OK;
  }
  rf_fault const fault = {RF_ERR_CORRUPT, what, self, at, NULL};
  *where = fault;
  return RF_ERR_CORRUPT;
}

static void mempool_stats(rf_allocator *self, rf_stats *out) {
  rf_mempool *const pool = pool_of(self);
  memset(out, 0, sizeof *out);
  if (enter(pool) != RF_OK) {
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
  leave(pool);
}

static void mempool_deinit(rf_allocator *self) {
  (void)rf_mempool_deinit(pool_of(self));
}

static const rf_allocator_ops mempool_ops = {
    .name = "mempool",
    .alloc = mempool_alloc,
    .free = mempool_free,
    .resize = mempool_resize,
    .usable_size = mempool_usable_size,
    .owns = mempool_owns,
    .walk = mempool_walk,
    .check = mempool_check,
    .stats = mempool_stats,
    .deinit = mempool_deinit,
};
