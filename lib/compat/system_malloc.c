#include <ringfence/sink.h>
#include <ringfence/system_malloc.h>

#include <stdint.h>

#if RF_SYSTEM_MALLOC != RF_SYSTEM_WRAP
#include <ringfence/port.h>
#endif
#if RF_SYSTEM_MALLOC != RF_SYSTEM_FREERTOS
#include <errno.h>
#include <string.h>
#endif

static rf_allocator *heap;
static bool with_callers;
#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
static bool marks;       /* the program has set the least that was free anew */
static size_t most_used; /* since then */
#endif

void rf_system_malloc_init(rf_allocator *allocator, bool callers) {
  heap = allocator;
  with_callers = callers;
#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
  marks = false;
#endif
}

/* The caller of the function in which this stands, as a site that is not read. */
#define CALLER site_for((uintptr_t)__builtin_return_address(0))

static const rf_site *site_for(uintptr_t caller) {
  return with_callers ? (const rf_site *)(caller | 1U) : NULL; /* NOLINT(performance-no-int-to-ptr) */
}

/* ---- What the system is told of a request that got nothing ---- */

#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS

/* Programs may have it. */
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
  return heap != NULL ? rf_alloc_at(heap, size, align, site) : NULL;
}

static void *take_zeroed(size_t count, size_t size, const rf_site *site) {
  return heap != NULL ? rf_calloc_at(heap, count, size, site) : NULL;
}

static void give(void *block, const rf_site *site) {
  if (heap != NULL) {
    (void)rf_free_at(heap, block, site);
  }
}

void rf_system_free_for(const void *caller, void *block) {
  give(block, site_for((uintptr_t)caller));
}

#if RF_SYSTEM_MALLOC != RF_SYSTEM_WRAP

/* ---- What the heap has ---- */

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

#endif

#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS

RF_SYSTEM_CALL_ void *pvPortMalloc(size_t size);
RF_SYSTEM_CALL_ void *pvPortCalloc(size_t count, size_t size);
RF_SYSTEM_CALL_ void vPortFree(void *block);
RF_SYSTEM_CALL_ void vPortInitialiseBlocks(void);
RF_SYSTEM_CALL_ void vPortHeapResetState(void);
RF_SYSTEM_CALL_ size_t xPortGetFreeHeapSize(void);
RF_SYSTEM_CALL_ size_t xPortGetMinimumEverFreeHeapSize(void);
RF_SYSTEM_CALL_ void xPortResetHeapMinimumEverFreeHeapSize(void);

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

RF_SYSTEM_CALL_ void vPortGetHeapStats(heap_stats *out);

/* HeapRegion_t of portable.h. The last of an array has no bytes. */
typedef struct heap_region {
  uint8_t *start;
  size_t size;
} heap_region;

RF_SYSTEM_CALL_ void vPortDefineHeapRegions(const heap_region *regions);

/* ---- Blocks ---- */

static void note_use(rf_allocator *bottom) {
  rf_counters counters;
  rf_counters_get(bottom, &counters);
  most_used = counters.used > most_used ? counters.used : most_used;
}

/* `count` 0: not zeroed. */
typedef struct request {
  size_t count;
  size_t size;
  size_t align;
  const rf_site *site;
  void *block;
} request;

static void serve(request *r) {
  r->block = r->count != 0 ? take_zeroed(r->count, r->size, r->site) : take(r->size, r->align, r->site);
}

/* Nobody comes in between who would free what hides the request from the count. */
static void serve_and_note(rf_allocator *bottom, void *context) {
  serve((request *)context);
  note_use(bottom);
}

static void *served(request r) {
  if (marks) {
    look_at_heap(serve_and_note, &r);
  } else {
    serve(&r);
  }
  return answer(r.block);
}

/* 0 bytes are a request that fails, as in heap_4.c. */

void *pvPortMalloc(size_t size) {
  return size != 0 ? served((request){0, size, RF_ALIGN_DEFAULT, CALLER, NULL}) : answer(NULL);
}

void *pvPortCalloc(size_t count, size_t size) {
  return count != 0 && size != 0 ? served((request){count, size, RF_ALIGN_DEFAULT, CALLER, NULL}) : answer(NULL);
}

void vPortFree(void *block) {
  give(block, CALLER);
}

void *rf_system_malloc_for(const void *caller, size_t size, size_t align) {
  return served((request){0, size, align, site_for((uintptr_t)caller), NULL});
}

/* Blocks live on: who restarts the scheduler has what was there before. */

void vPortInitialiseBlocks(void) {}

void vPortHeapResetState(void) {}

/* Programs may have it. */
#pragma weak rf_system_malloc_region

void vPortDefineHeapRegions(const heap_region *regions) {
  for (; rf_system_malloc_region != NULL && regions->size != 0; regions++) {
    rf_system_malloc_region(regions->start, regions->size);
  }
}

/* ---- Figures ---- */

static size_t least_free(const rf_stats *stats) {
  return left(stats, marks ? most_used : stats->peak);
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
  return least_free(&stats);
}

static void mark_anew(rf_allocator *bottom, void *context) {
  (void)context;
  marks = true;
  most_used = 0;
  note_use(bottom);
}

void xPortResetHeapMinimumEverFreeHeapSize(void) {
  look_at_heap(mark_anew, NULL);
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
  out->least_ever = least_free(&stats);
  out->allocations = stats.allocations;
  out->frees = stats.allocations - stats.blocks;
  (void)rf_walk(bottom, count_free, out);
}

void vPortGetHeapStats(heap_stats *out) {
  *out = (heap_stats){0};
  look_at_heap(count_all, out);
}

#else

void *rf_system_malloc_for(const void *caller, size_t size, size_t align) {
  return answer(take(size, align, site_for((uintptr_t)caller)));
}

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

RF_SYSTEM_CALL_ void *NAME(malloc)(REENT size_t size);
RF_SYSTEM_CALL_ void NAME(free)(REENT void *block);
RF_SYSTEM_CALL_ void *NAME(calloc)(REENT size_t count, size_t size);
RF_SYSTEM_CALL_ void *NAME(realloc)(REENT void *block, size_t size);
RF_SYSTEM_CALL_ void *NAME(memalign)(REENT size_t align, size_t size);

void *NAME(malloc)(REENT size_t size) {
  UNUSED_REENT;
  return answer(take(size, RF_ALIGN_DEFAULT, CALLER));
}

void NAME(free)(REENT void *block) {
  UNUSED_REENT;
  give(block, CALLER);
}

void *NAME(calloc)(REENT size_t count, size_t size) {
  UNUSED_REENT;
  return answer(take_zeroed(count, size, CALLER));
}

void *NAME(realloc)(REENT void *block, size_t size) {
  UNUSED_REENT;
  return resize(block, size, CALLER);
}

void *NAME(memalign)(REENT size_t align, size_t size) {
  UNUSED_REENT;
  return answer(take(size, align, CALLER));
}

#if RF_SYSTEM_MALLOC == RF_SYSTEM_NEWLIB && defined(_NEWLIB_VERSION)

/* newlib's own call those above, and are what these take for their caller on cores where a call is no jump (Cortex-M0).
 * Weak: a program that has such functions keeps them. */
#define WEAK_CALL RF_SYSTEM_CALL_ __attribute__((weak))

WEAK_CALL void *malloc(size_t size);
WEAK_CALL void free(void *block);
WEAK_CALL void *calloc(size_t count, size_t size);
WEAK_CALL void *realloc(void *block, size_t size);
WEAK_CALL void *memalign(size_t align, size_t size);

void *malloc(size_t size) {
  return answer(take(size, RF_ALIGN_DEFAULT, CALLER));
}

void free(void *block) {
  give(block, CALLER);
}

void *calloc(size_t count, size_t size) {
  return answer(take_zeroed(count, size, CALLER));
}

void *realloc(void *block, size_t size) {
  return resize(block, size, CALLER);
}

void *memalign(size_t align, size_t size) {
  return answer(take(size, align, CALLER));
}

#endif

static size_t usable_size(const void *block) {
  return heap != NULL ? rf_usable_size(heap, block) : 0;
}

#if RF_SYSTEM_MALLOC == RF_SYSTEM_NEWLIB

/* struct mallinfo of newlib's malloc.h, field by field. */
typedef struct heap_info {
  size_t all;
  size_t free_blocks;
  size_t small_blocks;
  size_t mapped_blocks;
  size_t mapped;
  size_t most;
  size_t small_free;
  size_t taken;
  size_t left;
  size_t trimmable;
} heap_info;

/* newlib's own would read a header that is not there, and bring newlib's heap: malloc would be there twice. */
RF_SYSTEM_CALL_ size_t _malloc_usable_size_r(struct _reent *reent, void *block);
RF_SYSTEM_CALL_ heap_info _mallinfo_r(struct _reent *reent);
RF_SYSTEM_CALL_ void _malloc_stats_r(struct _reent *reent);
RF_SYSTEM_CALL_ int _mallopt_r(struct _reent *reent, int option, int value);
RF_SYSTEM_CALL_ int _malloc_trim_r(struct _reent *reent, size_t pad);

size_t _malloc_usable_size_r(struct _reent *reent, void *block) {
  UNUSED_REENT;
  return usable_size(block);
}

static bool count_free(const rf_block *block, void *context) {
  ((heap_info *)context)->free_blocks += block->used ? 0 : 1;
  return true;
}

static void count_all(rf_allocator *bottom, void *context) {
  heap_info *const out = (heap_info *)context;
  rf_stats stats;
  rf_stats_get(bottom, &stats);
  out->all = stats.capacity;
  out->left = left(&stats, stats.used);
  out->taken = out->all - out->left;
  (void)rf_walk(bottom, count_free, out);
}

heap_info _mallinfo_r(struct _reent *reent) {
  heap_info info = {0};
  UNUSED_REENT;
  look_at_heap(count_all, &info);
  return info;
}

static void write_figure(const char *what, size_t bytes) {
  char line[48];
  rf_sink_buffer out;
  rf_sink_buffer_init(&out, line, sizeof line);
  rf_sink_str(&out.sink, what);
  rf_sink_uint(&out.sink, bytes);
  rf_sink_str(&out.sink, "\n");
  rf_port_log(line, out.length);
}

void _malloc_stats_r(struct _reent *reent) {
  heap_info const info = _mallinfo_r(reent);
  write_figure("system bytes = ", info.all);
  write_figure("in use bytes = ", info.taken);
}

/* Nothing is to be set, and nothing is given back to the system. */

int _mallopt_r(struct _reent *reent, int option, int value) {
  UNUSED_REENT;
  (void)option;
  (void)value;
  return 0;
}

int _malloc_trim_r(struct _reent *reent, size_t pad) {
  UNUSED_REENT;
  (void)pad;
  return 0;
}

#else

/* Other functions whose memory ends in free: it would be the C library's. */
RF_SYSTEM_CALL_ void *__wrap_aligned_alloc(size_t align, size_t size);
RF_SYSTEM_CALL_ int __wrap_posix_memalign(void **block, size_t align, size_t size);
RF_SYSTEM_CALL_ size_t __wrap_malloc_usable_size(void *block);
RF_SYSTEM_CALL_ char *__wrap_strdup(const char *text);
RF_SYSTEM_CALL_ char *__wrap_strndup(const char *text, size_t length);

void *__wrap_aligned_alloc(size_t align, size_t size) {
  return answer(take(size, align, CALLER));
}

int __wrap_posix_memalign(void **block, size_t align, size_t size) {
  if (!rf_is_pow2(align) || align < sizeof(void *)) {
    return EINVAL;
  }
  void *const p = take(size, align, CALLER);
  if (p == NULL) {
    return ENOMEM;
  }
  *block = p;
  return 0;
}

size_t __wrap_malloc_usable_size(void *block) {
  return usable_size(block);
}

char *__wrap_strdup(const char *text) {
  return (char *)answer(heap != NULL ? rf_strdup_at(heap, text, CALLER) : NULL);
}

char *__wrap_strndup(const char *text, size_t length) {
  size_t end = 0;
  while (end < length && text[end] != '\0') {
    end++;
  }
  char *const copy = (char *)take(end + 1, RF_ALIGN_DEFAULT, CALLER);
  if (copy != NULL) {
    memcpy(copy, text, end);
    copy[end] = '\0';
  }
  return (char *)answer(copy);
}

#endif

#endif
