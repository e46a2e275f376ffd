#define RINGFENCE_ZEPHYR_IMPL
#include <errno.h>
#include <ringfence/fault.h>
#include <ringfence/layout.h>
#include <ringfence/track.h>
#include <ringfence/watch.h>
#include <ringfence/zephyr/mem_slab.h>
#include <string.h>

/* Zephyr's own, of programs that have them: who is running, and how urgent that is (the lower the number the more). */
struct k_thread;
struct k_thread *k_current_get(void);
int k_thread_priority_get(struct k_thread *thread);
#pragma weak k_current_get
#pragma weak k_thread_priority_get

static int own_priority(void) {
  return k_current_get != NULL && k_thread_priority_get != NULL ? k_thread_priority_get(k_current_get()) : 0;
}

/* A thread that waits. All with the slab's lock held, but for the wait on the event. */
typedef struct rf_zephyr_slab_waiter {
  struct rf_zephyr_slab_waiter *next;
  int priority;
  char *block; /* NULL: still in the list */
  rf_event event;
} waiter;

/* ---- Blocks ---- */

static char *block_at(const struct k_mem_slab *slab, uint32_t index) {
  return slab->buffer + index * slab->info.block_size;
}

static size_t bytes_of(const struct k_mem_slab *slab) {
  return slab->info.num_blocks * slab->info.block_size;
}

static bool holds(const struct k_mem_slab *slab, const void *ptr) {
  return (uintptr_t)ptr - (uintptr_t)slab->buffer < bytes_of(slab);
}

/* False where no block begins at `ptr`. */
static bool index_of(const struct k_mem_slab *slab, const void *ptr, uint32_t *index) {
  uintptr_t const offset = (uintptr_t)ptr - (uintptr_t)slab->buffer;
  if (!holds(slab, ptr) || offset % slab->info.block_size != 0) {
    return false;
  }
  *index = (uint32_t)(offset / slab->info.block_size);
  return true;
}

/* The slab as a watcher sees it. */
static rf_watched_pool view_of(const struct k_mem_slab *slab) {
  return (rf_watched_pool){.pool = slab,
                           .name = "mem_slab",
                           .start = (unsigned char *)slab->buffer,
                           .stride = slab->info.block_size,
                           .block_size = slab->info.block_size,
                           .num_blocks = slab->info.num_blocks,
                           .links = sizeof(uintptr_t)};
}

/* ---- Links: see mem_slab.h ---- */

#define NO_LINK UINTPTR_MAX /* of a block that is out */

static uintptr_t mask_of(const struct k_mem_slab *slab, const void *block) {
  return ((uintptr_t)block ^ (uintptr_t)slab) * (uintptr_t)0x9E3779B97F4A7C15U;
}

static uintptr_t link_get(const struct k_mem_slab *slab, const void *block) {
  uintptr_t word;
  memcpy(&word, block, sizeof word);
  return word ^ mask_of(slab, block);
}

static void link_set(const struct k_mem_slab *slab, void *block, uintptr_t link) {
  uintptr_t const word = link ^ mask_of(slab, block);
  memcpy(block, &word, sizeof word);
}

/* Whether `link` can be one: of blocks that have been out. */
static bool is_link(const struct k_mem_slab *slab, uintptr_t link) {
  return link <= slab->fresh;
}

static char *linked(const struct k_mem_slab *slab, uintptr_t link) {
  return link != 0 ? block_at(slab, (uint32_t)(link - 1)) : NULL;
}

/* The first word of `block` is a link. The list is followed no further than there are free blocks in it, or to one that
 * was overwritten: the link of `block` alone tells then. */
static bool is_in_list(const struct k_mem_slab *slab, const void *block) {
  const char *at = slab->free_list;
  for (uint32_t left = slab->fresh - slab->info.num_used; at != NULL && left != 0; left--) {
    uintptr_t const link = link_get(slab, at);
    if (at == block || !is_link(slab, link)) {
      return true;
    }
    at = linked(slab, link);
  }
  return false;
}

/* ---- Taking and giving back; with the lock held ---- */

static void set_used(struct k_mem_slab *slab, uint32_t used) {
  __atomic_store_n(&slab->info.num_used, used, __ATOMIC_RELAXED);
  if (slab->info.max_used < used) {
    __atomic_store_n(&slab->info.max_used, used, __ATOMIC_RELAXED);
  }
}

static int pop_block(struct k_mem_slab *slab, void **mem, const void *caller) {
  char *const listed = slab->free_list;
  if (slab->fresh == 0 && RF_TRACK) {
    rf_track_arena(slab->buffer, bytes_of(slab)); /* no init has run for static ones */
  }
  if (RF_WATCH && slab->fresh == 0) {
    RF_WATCH_TELL(begin_static, view_of(slab), NULL, 0, NULL, NULL);
  }
  if (listed != NULL) {
    uintptr_t const link = link_get(slab, listed);
    if (!is_link(slab, link)) {
      return -EFAULT;
    }
    slab->free_list = linked(slab, link);
    *mem = listed;
  } else if (slab->fresh < slab->info.num_blocks) {
    *mem = block_at(slab, slab->fresh++);
  } else {
    return -ENOMEM;
  }
  RF_WATCH_TELL(alloc, view_of(slab), *mem, 1, NULL, caller);
  link_set(slab, *mem, NO_LINK);
  set_used(slab, slab->info.num_used + 1);
  rf_track_alloc(*mem, slab->info.block_size);
  return 0;
}

static void push_block(struct k_mem_slab *slab, char *block, const rf_site *site, const void *caller) {
  rf_track_free(block, slab->info.block_size);
  link_set(slab, block,
           slab->free_list != NULL ? 1 + (uintptr_t)(slab->free_list - slab->buffer) / slab->info.block_size : 0);
  RF_WATCH_TELL(free, view_of(slab), block, 1, site, caller);
  slab->free_list = block;
  set_used(slab, slab->info.num_used - 1);
}

/* NULL where the block is out. */
static const char *reject_reason(const struct k_mem_slab *slab, const void *block, rf_status *status) {
  uint32_t index;
  *status = RF_ERR_BAD_POINTER;
  if (!index_of(slab, block, &index)) {
    return "not a block of this slab";
  }
  *status = RF_ERR_NOT_ALLOCATED;
  if (index >= slab->fresh) {
    return "free of a block that was never out";
  }
  return is_link(slab, link_get(slab, block)) && is_in_list(slab, block) ? "double free" : NULL;
}

/* ---- Waiting; with the lock held ---- */

/* Behind all that are as urgent. */
static void enqueue(struct k_mem_slab *slab, waiter *w) {
  waiter **link = &slab->waiters;
  while (*link != NULL && (*link)->priority <= w->priority) {
    link = &(*link)->next;
  }
  w->next = *link;
  *link = w;
}

static void dequeue(struct k_mem_slab *slab, const waiter *w) {
  waiter **link = &slab->waiters;
  while (*link != w) {
    link = &(*link)->next;
  }
  *link = w->next;
}

/* The event is set inside the lock, which the thread takes before it lets go of the event: it cannot vanish
 * meanwhile. */
static void serve_first(struct k_mem_slab *slab, char *block, const rf_site *site, const void *caller) {
  waiter *const w = slab->waiters;
  dequeue(slab, w);
  w->block = block;
  rf_track_free(block, slab->info.block_size);
  RF_WATCH_TELL(free, view_of(slab), block, 1, site, caller);
  RF_WATCH_TELL(alloc, view_of(slab), block, 1, site, caller);
  link_set(slab, block, NO_LINK);
  rf_track_alloc(block, slab->info.block_size);
  rf_event_set(&w->event);
}

/* Leaves the lock while it waits. A block that arrives between the timeout and the lock is still taken. */
static int wait_for_block(struct k_mem_slab *slab, void **mem, k_timeout_t timeout) {
  waiter w;
  w.priority = own_priority();
  w.block = NULL;
  if (rf_event_init(&w.event) != RF_OK) {
    return -ENOMEM;
  }
  enqueue(slab, &w);
  rf_mutex_unlock(&slab->lock.mutex);
  (void)rf_event_wait(&w.event, rf_zephyr_wait_ms(timeout));
  rf_mutex_lock(&slab->lock.mutex);
  if (w.block == NULL) {
    dequeue(slab, &w);
  }
  rf_event_deinit(&w.event);
  *mem = w.block;
  return w.block != NULL ? 0 : -EAGAIN;
}

/* ---- Calls ---- */

int k_mem_slab_init(struct k_mem_slab *slab, void *buffer, size_t block_size, uint32_t num_blocks) {
  size_t bytes;
  if (slab == NULL || buffer == NULL || block_size == 0 || num_blocks == 0 || !rf_mul(block_size, num_blocks, &bytes) ||
      bytes > RF_SIZE_LIMIT || (uintptr_t)buffer > UINTPTR_MAX - bytes ||
      ((uintptr_t)buffer | block_size) % sizeof(void *) != 0) {
    return -EINVAL;
  }
  memset(slab, 0, sizeof *slab);
  (void)rf_mutex_init(&slab->lock.mutex); /* zeroed memory is one where the system refuses */
  slab->buffer = (char *)buffer;
  slab->info.block_size = block_size;
  slab->info.num_blocks = num_blocks;
  rf_track_arena(buffer, bytes);
  RF_WATCH_TELL(begin, view_of(slab), NULL, 0, NULL, NULL);
  return 0;
}

int k_mem_slab_alloc(struct k_mem_slab *slab, void **mem, k_timeout_t timeout) {
  *mem = NULL;
  rf_mutex_lock(&slab->lock.mutex);
  rf_track_enter();
  int status = pop_block(slab, mem, RF_WATCH_CALLER);
  const void *const at = slab->free_list;
  rf_track_leave();
  if (status == -ENOMEM && timeout.ticks != 0 && !rf_port_in_interrupt()) {
    status = wait_for_block(slab, mem, timeout);
  }
  rf_mutex_unlock(&slab->lock.mutex);
  if (status == -EFAULT) {
    (void)rf_fault_refuse(NULL, RF_ERR_CORRUPT, "mem_slab: free block was overwritten", at, NULL);
  }
  return status;
}

static void free_block(struct k_mem_slab *slab, void *block, const rf_site *site, const void *caller) {
  rf_status status;
  rf_mutex_lock(&slab->lock.mutex);
  rf_track_enter();
  const char *const what = reject_reason(slab, block, &status);
  if (what == NULL && slab->waiters != NULL) {
    serve_first(slab, (char *)block, site, caller);
  } else if (what == NULL) {
    push_block(slab, (char *)block, site, caller);
  }
  rf_track_leave();
  rf_mutex_unlock(&slab->lock.mutex);
  if (what != NULL) {
    (void)rf_fault_refuse(NULL, status, what, block, site);
  }
}

void rf_zephyr_slab_free_at(struct k_mem_slab *slab, void *mem, bool by_address, const rf_site *site) {
  void *const block = by_address && mem != NULL && !holds(slab, mem) ? *(void **)mem : mem;
  if (block != NULL) {
    free_block(slab, block, site, RF_WATCH_CALLER);
  }
}

void k_mem_slab_free(struct k_mem_slab *slab, void *mem) {
  rf_zephyr_slab_free_at(slab, mem, false, NULL);
}

int k_mem_slab_runtime_stats_get(struct k_mem_slab *slab, struct sys_memory_stats *stats) {
  if (slab == NULL || stats == NULL) {
    return -EINVAL;
  }
  rf_mutex_lock(&slab->lock.mutex);
  stats->allocated_bytes = slab->info.num_used * slab->info.block_size;
  stats->free_bytes = bytes_of(slab) - stats->allocated_bytes;
  stats->max_allocated_bytes = slab->info.max_used * slab->info.block_size;
  rf_mutex_unlock(&slab->lock.mutex);
  return 0;
}

int k_mem_slab_runtime_stats_reset_max(struct k_mem_slab *slab) {
  if (slab == NULL) {
    return -EINVAL;
  }
  rf_mutex_lock(&slab->lock.mutex);
  __atomic_store_n(&slab->info.max_used, slab->info.num_used, __ATOMIC_RELAXED);
  rf_mutex_unlock(&slab->lock.mutex);
  return 0;
}
