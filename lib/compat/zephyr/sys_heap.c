#define RINGFENCE_ZEPHYR_IMPL
#include <errno.h>
#include <ringfence/dump.h>
#include <ringfence/layout.h>
#include <ringfence/zephyr/spinlock.h>
#include <ringfence/zephyr/sys/heap_listener.h>
#include <ringfence/zephyr/sys/sys_heap.h>
#include <string.h>

#include "../shared.h"
#include "lib/core/compiler.h"

/* The default alignment of a block. */
#define ALIGN 8

static rf_zephyr_wrap_fn the_wrap;
static void *the_wrap_context;

void rf_zephyr_wrap_set(rf_zephyr_wrap_fn wrap, void *context) {
  the_wrap = wrap;
  the_wrap_context = context;
}

rf_allocator *rf_zephyr_allocator(struct sys_heap *heap) {
  return heap->heap != NULL ? heap->calls : NULL;
}

/* ---- Making it ---- */

/* The lock is the last, and stays: others may be about to take it. */
static void init(struct sys_heap *heap, void *mem, size_t bytes) {
  memset(heap, 0, offsetof(struct sys_heap, lock));
  heap->init_mem = mem;
  heap->init_bytes = bytes;
  if (rf_zephyr_chunk_heap_init(&heap->chunks, mem, bytes) != RF_OK) {
    return;
  }
  heap->heap = (struct z_heap *)(void *)heap;
  heap->calls = the_wrap != NULL ? the_wrap(&heap->chunks.base, heap, the_wrap_context) : &heap->chunks.base;
  (void)sys_heap_array_save(heap);
}

void sys_heap_init(struct sys_heap *heap, void *mem, size_t bytes) {
  heap->lock = NULL;
  init(heap, mem, bytes);
}

/* One of K_HEAP_DEFINE is made at its first use, by whichever call. NULL where its memory is too small. */
static rf_allocator *made(struct sys_heap *heap) {
  if (RF_UNLIKELY(heap->heap == NULL) && heap->init_mem != NULL) {
    init(heap, heap->init_mem, heap->init_bytes);
  }
  return rf_zephyr_allocator(heap);
}

/* ---- Blocks ---- */

/* An alignment that is no power of two is passed on unchanged, to be rejected there. */
static size_t at_least_words(size_t align) {
  return align == 0 || (align < ALIGN && rf_is_pow2(align)) ? ALIGN : align;
}

/* Tells the listeners of a new block. */
static void announce(struct sys_heap *heap, void *p) {
  size_t const used = rf_compat_counters(heap->calls, &heap->chunks.counters).used;
  heap->peak = MAX(heap->peak, used);
  if (rf_zephyr_has_listeners()) {
    heap_listener_notify_alloc(HEAP_ID_FROM_POINTER(heap), p, rf_usable_size(heap->calls, p));
  }
}

void *rf_zephyr_alloc_at(struct sys_heap *heap, size_t align, size_t bytes, const rf_site *site) {
  rf_allocator *const calls = made(heap);
  if (calls == NULL || bytes == 0) {
    return NULL;
  }
  void *const p = rf_alloc_at(calls, bytes, at_least_words(align), heap->site != NULL ? heap->site : site);
  if (p != NULL) {
    announce(heap, p);
  }
  return p;
}

void rf_zephyr_free_at(struct sys_heap *heap, void *mem, const rf_site *site) {
  rf_allocator *const calls = made(heap);
  if (mem == NULL) {
    return;
  }
  if (calls == NULL) {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "the heap has no memory", mem, site);
    return;
  }
  size_t const bytes = rf_zephyr_has_listeners() ? rf_usable_size(calls, mem) : 0;
  if (rf_free_at(calls, mem, site) == RF_OK) {
    heap_listener_notify_free(HEAP_ID_FROM_POINTER(heap), mem, bytes);
  }
}

void *rf_zephyr_realloc_at(struct sys_heap *heap, void *ptr, size_t align, size_t bytes, const rf_site *site) {
  if (ptr == NULL) {
    return rf_zephyr_alloc_at(heap, align, bytes, site);
  }
  rf_allocator *const calls = made(heap);
  if (calls == NULL || bytes == 0) {
    rf_zephyr_free_at(heap, ptr, site);
    return NULL;
  }
  size_t const before = rf_zephyr_has_listeners() ? rf_usable_size(calls, ptr) : 0;
  void *const p = rf_realloc_at(calls, ptr, bytes, at_least_words(align), site);
  if (p != NULL) {
    announce(heap, p);
    heap_listener_notify_free(HEAP_ID_FROM_POINTER(heap), ptr, before);
  }
  return p;
}

/* Whether nobody is to be told of a call: no checker is around the heap, and no listener is registered. */
RF_INLINE bool is_bare(const struct sys_heap *heap) {
  return heap->calls == &heap->chunks.base && RF_LIKELY(!rf_zephyr_has_listeners());
}

void *sys_heap_alloc(struct sys_heap *heap, size_t bytes) {
  if (RF_LIKELY(is_bare(heap)) && RF_LIKELY(bytes - 1 < RF_SIZE_LIMIT)) {
    return heap->chunks.base.ops->alloc(&heap->chunks.base, bytes, ALIGN, NULL);
  }
  return rf_zephyr_alloc_at(heap, 0, bytes, NULL);
}

void *sys_heap_aligned_alloc(struct sys_heap *heap, size_t align, size_t bytes) {
  return rf_zephyr_alloc_at(heap, align, bytes, NULL);
}

void *sys_heap_noalign_alloc(struct sys_heap *heap, size_t align, size_t bytes) {
  (void)align;
  return rf_zephyr_alloc_at(heap, 0, bytes, NULL);
}

void *sys_heap_realloc(struct sys_heap *heap, void *ptr, size_t bytes) {
  return rf_zephyr_realloc_at(heap, ptr, 0, bytes, NULL);
}

void *sys_heap_aligned_realloc(struct sys_heap *heap, void *ptr, size_t align, size_t bytes) {
  return rf_zephyr_realloc_at(heap, ptr, align, bytes, NULL);
}

void sys_heap_free(struct sys_heap *heap, void *mem) {
  if (RF_LIKELY(is_bare(heap)) && RF_LIKELY(mem != NULL)) {
    (void)heap->chunks.base.ops->free(&heap->chunks.base, mem, NULL);
  } else {
    rf_zephyr_free_at(heap, mem, NULL);
  }
}

/* ---- Looking at it ---- */

/* Other threads and interrupts may be in calls of the k_heap, which hold its lock; so may a listener's or a checker's
 * caller. True where the lock was taken. */
static bool enter(struct sys_heap *heap) {
  struct k_spinlock *const lock = heap->lock;
  if (lock == NULL || __atomic_load_n(&lock->holder, __ATOMIC_RELAXED) == rf_port_thread_id()) {
    return false;
  }
  (void)k_spin_lock(lock);
  return true;
}

static void leave(struct sys_heap *heap, bool entered) {
  k_spinlock_key_t const key = {0};
  if (entered) {
    k_spin_unlock(heap->lock, key);
  }
}

size_t sys_heap_usable_size(struct sys_heap *heap, void *mem) {
  bool const entered = enter(heap);
  rf_allocator *const calls = rf_zephyr_allocator(heap);
  size_t const size = calls != NULL ? rf_usable_size(calls, mem) : 0;
  leave(heap, entered);
  return size;
}

bool sys_heap_validate(struct sys_heap *heap) {
  bool const entered = enter(heap);
  rf_allocator *const calls = rf_zephyr_allocator(heap);
  bool const sound = calls == NULL || rf_check(calls, NULL) == RF_OK;
  leave(heap, entered);
  return sound;
}

void sys_heap_print_info(struct sys_heap *heap, bool dump_chunks) {
  rf_dump_options const options = {true, true, dump_chunks ? SIZE_MAX : 0, 80};
  bool const entered = enter(heap);
  if (rf_zephyr_allocator(heap) != NULL) {
    (void)rf_dump(rf_zephyr_allocator(heap), &RF_COMPAT_LOG, &options); /* damage is printed, too */
  }
  leave(heap, entered);
}

/* The largest block of a heap that is not initialised yet. */
static size_t room(const struct sys_heap *heap) {
  size_t const gap = rf_align_gap(heap->init_mem, ALIGN);
  size_t const bytes = heap->init_bytes > gap ? ROUND_DOWN(heap->init_bytes - gap, ALIGN) : 0;
  return heap->init_mem != NULL && bytes > ALIGN ? bytes - ALIGN : 0;
}

int sys_heap_runtime_stats_get(struct sys_heap *heap, struct sys_memory_stats *stats) {
  if (heap == NULL || stats == NULL) {
    return -EINVAL;
  }
  rf_stats s = {0};
  bool const entered = enter(heap);
  s.free_bytes = room(heap);
  if (heap->heap != NULL) {
    rf_stats_get(heap->calls, &s);
  }
  stats->free_bytes = s.free_bytes;
  stats->allocated_bytes = s.used;
  stats->max_allocated_bytes = heap->calls == &heap->chunks.base ? heap->chunks.counters.peak : heap->peak;
  leave(heap, entered);
  return 0;
}

int sys_heap_runtime_stats_reset_max(struct sys_heap *heap) {
  if (heap == NULL) {
    return -EINVAL;
  }
  bool const entered = enter(heap);
  heap->peak = heap->heap != NULL ? rf_compat_counters(heap->calls, &heap->chunks.counters).used : 0;
  heap->chunks.counters.peak = heap->chunks.counters.used;
  leave(heap, entered);
  return 0;
}

/* ---- All heaps ---- */

static rf_mutex array_lock; /* zeroed, which is initialised */
static struct sys_heap *heaps[SYS_HEAP_ARRAY_SIZE];
static int heap_count;

int sys_heap_array_save(struct sys_heap *heap) {
  if (heap == NULL) {
    return -EINVAL;
  }
  rf_mutex_lock(&array_lock);
  int i = 0;
  while (i < heap_count && heaps[i] != heap) {
    i++;
  }
  int const answer = i < SYS_HEAP_ARRAY_SIZE ? 0 : -EINVAL;
  if (answer == 0) {
    heaps[i] = heap;
    heap_count = i == heap_count ? i + 1 : heap_count;
  }
  rf_mutex_unlock(&array_lock);
  return answer;
}

int sys_heap_array_get(struct sys_heap ***heap) {
  if (heap == NULL) {
    return -EINVAL;
  }
  rf_mutex_lock(&array_lock);
  *heap = heaps;
  int const count = heap_count;
  rf_mutex_unlock(&array_lock);
  return count;
}
