#include <ringfence/system_malloc.h>

#include <stdint.h>

#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
#include <ringfence/port.h>
#else
#include <errno.h>
#endif

static rf_allocator *heap;
static bool with_callers;

void rf_system_malloc_init(rf_allocator *allocator, bool callers) {
  heap = allocator;
  with_callers = callers;
}

/* The caller of the function in which this stands, as a site that is not read. */
#define CALLER site_for((uintptr_t)__builtin_return_address(0))

static const rf_site *site_for(uintptr_t caller) {
  return with_callers ? (const rf_site *)(caller | 1U) : NULL; /* NOLINT(performance-no-int-to-ptr) */
}

/* ---- What the system is told of a request that got nothing ---- */

#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS

/* Of programs that have it. */
void vApplicationMallocFailedHook(void) __attribute__((weak));

static void tell_failure(void) {
  if (vApplicationMallocFailedHook != NULL) {
    vApplicationMallocFailedHook();
  }
}

#else

static void tell_failure(void) {
  errno = ENOMEM;
}

#endif

/* The answer to a request. */
static void *answer(void *block) {
  if (block == NULL) {
    tell_failure();
  }
  return block;
}

/* ---- Requests ---- */

static void *take(size_t size, size_t align, const rf_site *site) {
  return answer(heap != NULL ? rf_alloc_at(heap, size, align, site) : NULL);
}

static void *take_zeroed(size_t count, size_t size, const rf_site *site) {
  return answer(heap != NULL ? rf_calloc_at(heap, count, size, site) : NULL);
}

static void give(void *block, const rf_site *site) {
  if (heap != NULL) {
    (void)rf_free_at(heap, block, site);
  }
}

#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS

void *pvPortMalloc(size_t size);
void *pvPortCalloc(size_t count, size_t size);
void vPortFree(void *block);
size_t xPortGetFreeHeapSize(void);
size_t xPortGetMinimumEverFreeHeapSize(void);

/* HeapStats_t of FreeRTOS's portable.h, field by field. */
typedef struct heap_stats {
  size_t available;
  size_t largest_free;
  size_t smallest_free;
  size_t free_blocks;
  size_t least_ever;
  size_t allocations;
  size_t frees;
} heap_stats;

void vPortGetHeapStats(heap_stats *out);

/* 0 bytes are a request that fails, as in heap_4.c. */

void *pvPortMalloc(size_t size) {
  return size != 0 ? take(size, RF_ALIGN_DEFAULT, CALLER) : answer(NULL);
}

void *pvPortCalloc(size_t count, size_t size) {
  return count != 0 && size != 0 ? take_zeroed(count, size, CALLER) : answer(NULL);
}

void vPortFree(void *block) {
  give(block, CALLER);
}

/* Calls look(heap, out) for the heap below all decorators, and passes a lock among these by. Over a port for one core
 * any mutex keeps everybody else out; not so an interrupt, which nobody comes in between. */
static void look_at_heap(void (*look)(rf_allocator *bottom, void *out), void *out) {
  static rf_mutex alone; /* zeroed, which is initialised */
  bool const lock = !rf_port_in_interrupt();
  rf_allocator *a = heap;
  while (a != NULL && rf_inner(a) != NULL) {
    a = rf_inner(a);
  }
  if (lock) {
    rf_mutex_lock(&alone);
  }
  if (a != NULL) {
    look(a, out);
  }
  if (lock) {
    rf_mutex_unlock(&alone);
  }
}

static size_t left(const rf_stats *stats, size_t used) {
  return stats->capacity > used + stats->overhead ? stats->capacity - used - stats->overhead : 0;
}

static void count_bytes(rf_allocator *bottom, void *out) {
  rf_stats_get(bottom, (rf_stats *)out);
}

size_t xPortGetFreeHeapSize(void) {
  rf_stats stats = {0};
  look_at_heap(count_bytes, &stats);
  return left(&stats, stats.used);
}

size_t xPortGetMinimumEverFreeHeapSize(void) {
  rf_stats stats = {0};
  look_at_heap(count_bytes, &stats);
  return left(&stats, stats.peak);
}

static bool count_free(const rf_block *block, void *context) {
  heap_stats *const out = (heap_stats *)context;
  if (!block->used) {
    out->smallest_free = out->free_blocks == 0 || block->size < out->smallest_free ? block->size : out->smallest_free;
    out->largest_free = block->size > out->largest_free ? block->size : out->largest_free;
    out->free_blocks++;
  }
  return true;
}

static void count_all(rf_allocator *bottom, void *context) {
  heap_stats *const out = (heap_stats *)context;
  rf_stats stats;
  rf_stats_get(bottom, &stats);
  out->available = left(&stats, stats.used);
  out->least_ever = left(&stats, stats.peak);
  out->allocations = stats.allocations;
  out->frees = stats.allocations - stats.blocks;
  (void)rf_walk(bottom, count_free, out);
}

void vPortGetHeapStats(heap_stats *out) {
  *out = (heap_stats){0};
  look_at_heap(count_all, out);
}

#else

static void *resize(void *block, size_t size, const rf_site *site) {
  void *const p = heap != NULL ? rf_realloc_at(heap, block, size, RF_ALIGN_DEFAULT, site) : NULL;
  return block != NULL && size == 0 ? p : answer(p); /* 0 bytes free the block */
}

#if RF_SYSTEM_MALLOC == RF_SYSTEM_NEWLIB
struct _reent;
#define NAME(name) _##name##_r
#define REENT struct _reent *reent,
#define UNUSED_REENT (void)reent
#else
#define NAME(name) __wrap_##name
#define REENT
#define UNUSED_REENT (void)0
#endif

void *NAME(malloc)(REENT size_t size);
void NAME(free)(REENT void *block);
void *NAME(calloc)(REENT size_t count, size_t size);
void *NAME(realloc)(REENT void *block, size_t size);
void *NAME(memalign)(REENT size_t align, size_t size);

void *NAME(malloc)(REENT size_t size) {
  UNUSED_REENT;
  return take(size, RF_ALIGN_DEFAULT, CALLER);
}

void NAME(free)(REENT void *block) {
  UNUSED_REENT;
  give(block, CALLER);
}

void *NAME(calloc)(REENT size_t count, size_t size) {
  UNUSED_REENT;
  return take_zeroed(count, size, CALLER);
}

void *NAME(realloc)(REENT void *block, size_t size) {
  UNUSED_REENT;
  return resize(block, size, CALLER);
}

void *NAME(memalign)(REENT size_t align, size_t size) {
  UNUSED_REENT;
  return take(size, align, CALLER);
}

#if RF_SYSTEM_MALLOC == RF_SYSTEM_NEWLIB

/* newlib's own would read a header that is not there. */
size_t _malloc_usable_size_r(struct _reent *reent, void *block);

size_t _malloc_usable_size_r(struct _reent *reent, void *block) {
  UNUSED_REENT;
  return heap != NULL ? rf_usable_size(heap, block) : 0;
}

#endif

#endif
