/* The heap of the drop-in: slots by size class in spans, described out of line; each thread has a cache (cache.h).
 *
 * There are a few heaps, each with a lock, so that threads seldom meet in one: caches take slots from their own heap
 * and give them back to the one that each came from, by batches. A signal handler that interrupted its own thread with
 * a heap's lock held is served by another heap.
 *
 * Memory: runs of units from segments of 4 MiB; blocks above 1 MiB have a mapping each. Free runs keep their pages up
 * to a bound; segments without a run go back.
 */
#ifndef RINGFENCE_DROPIN_HEAP_H
#define RINGFENCE_DROPIN_HEAP_H

#include "checkers/dropin/os/futex.h"
#include "span.h"

#include <ringfence/finding.h>
#include <ringfence/guard.h>
#include <ringfence/stack.h>

#include "lib/core/compiler.h"

#define RF_HEAPS_MOST 8U
#define RF_FILL_LEAST ((size_t)16)
#define RF_HEAPS_LEAST 4U /* for handlers of signals that interrupt each other */

/* Fixed at the process's beginning, or set anew before the program runs. */
typedef struct rf_heap_options {
  bool checked;          /* guard bytes, fills, quarantine; false: refusals alone */
  size_t quarantine;     /* bytes */
  size_t wait;           /* bytes that are freed in a thread while a block of its waits */
  size_t fill_alloc;     /* bytes of a new block */
  size_t fill_free;      /* bytes of a freed one: 0, or RF_FILL_LEAST and more */
  size_t move_below;     /* bytes: smaller blocks move at each realloc */
  uint32_t order_seed;   /* of the order in which slots are given out; 0: as they lie in memory, and by age */
  unsigned stack_depth;  /* 0: callers alone */
  rf_stack_depot *depot; /* NULL: nothing is known of calls */
  rf_reporter *reporter;
  void (*refused)(rf_status status, const void *ptr, const rf_origin *origin); /* a free, where nothing is checked */
  void (*leaving)(const rf_span *span);                   /* a large block's memory goes back to the system */
  bool (*left)(const void *ptr, const rf_origin *origin); /* reports a free where such a block was: false: none was */
  size_t fast_most; /* set by rf_heap_configure, as is the next: bytes of the largest block that fast.h serves, or 0 */
  bool wide;        /* the processor can do what is in wide.c */
} rf_heap_options;

extern rf_heap_options rf_heap_options_now __attribute__((visibility("hidden")));

#if defined(__x86_64__)
#define RF_HAS_WIDE 1 /* wide.c is there */
#else
#define RF_HAS_WIDE 0
#endif

#define RF_FAST_LEAST ((size_t)64)          /* bytes; where fewer are filled, fast.h serves nothing */
#define RF_FAST_MOST (4096 - RF_TAIL_LEAST) /* the most that it can be */

typedef struct rf_segment rf_segment;
struct rf_segment {
  uintptr_t start;
  uint32_t units; /* up to 64 */
  uint32_t free_units;
  uint64_t used;  /* a bit for each unit, as in the next */
  uint64_t dirty; /* written since it was mapped or given back */
  rf_segment *next;
  rf_segment *previous;
};

/* Memory for descriptions. */
typedef struct rf_meta_chunk {
  uintptr_t next;
  uintptr_t end;
  rf_span *recycled[RF_CLASSES + 1];
} rf_meta_chunk;

typedef struct rf_heap {
  rf_futex lock;
  rf_span *giving[RF_CLASSES]; /* spans with slots to give */
  uint32_t spans[RF_CLASSES];  /* how many there are, */
  uint32_t empty[RF_CLASSES];  /* and without a slot that is out */
  rf_span *newest;             /* of all spans */
  rf_span *freed_oldest;       /* large ones that were freed and are kept */
  rf_span *freed_newest;
  size_t freed_bytes;
  uint64_t freed_ever;  /* bytes of large blocks */
  size_t large_bytes;   /* mapped for live ones */
  uint32_t grown;       /* live ones that slots would have room for; accessed atomically */
  size_t span_bytes;    /* mapped for small ones */
  rf_segment *segments; /* with free units */
  rf_segment *full;
  rf_segment *unused; /* descriptors */
  size_t segment_bytes;
  size_t mapped_bytes; /* of large blocks with a mapping each */
  size_t dirty_free;   /* units */
  size_t used_units;
  rf_meta_chunk meta;
} rf_heap;

extern rf_heap rf_heaps[RF_HEAPS_MOST] __attribute__((visibility("hidden")));
extern unsigned rf_heap_count __attribute__((visibility("hidden")));

/* The generation of new blocks: the number of forks of a process with several threads. */
extern unsigned rf_heap_generation __attribute__((visibility("hidden")));

/* The part of a guard's options that concerns this heap, without hooks; NULL: nothing is checked. */
rf_heap_options rf_heap_options_of(const rf_guard_options *guard);

/* Before the program runs, or where no block is live. */
void rf_heap_configure(const rf_heap_options *options);

/* Once, before the first cache. `cores` decides how many heaps there are. */
void rf_heap_init(unsigned cores);

/* How blocks are described, for tools/gdb/ringfence.py: the process may stand anywhere, and may be a core, and there
 * need be no debug information. The first number changes with the meaning of the rest. */
extern const uintptr_t rf_heap_debugger[] __attribute__((visibility("hidden")));

/* ---- Locks: a thread knows which it holds, so that its signal handlers do not wait for them ---- */

#ifdef RF_VIRTUAL_THREADS /* fuzz/threads.h: one real thread stands for several */
uint32_t *rf_virtual_heaps_held(void);
#define rf_heaps_held (*rf_virtual_heaps_held())
#else
extern RF_THREAD_LOCAL uint32_t rf_heaps_held __attribute__((visibility("hidden")));
#endif

/* True for a handler of a signal that interrupted its own thread with a heap's lock held, or waited for. Whoever has
 * another lock may be interrupted as well, and its handler wait for this one: so locks are not waited for any longer
 * than a moment. */
static inline bool rf_heaps_interrupted(void) {
  return rf_heaps_held != 0;
}

/* The same for such a handler. */
bool rf_heap_lock_interrupted(unsigned number);

/* False where this thread holds it, interrupted, or holds another and this one cannot be had. */
static inline bool rf_heap_lock(unsigned number) {
  if (RF_UNLIKELY(rf_heaps_interrupted())) {
    return rf_heap_lock_interrupted(number);
  }
  rf_heaps_held = 1U << number;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_futex_lock(&rf_heaps[number].lock);
  return true;
}

static inline void rf_heap_unlock(unsigned number) {
  rf_futex_unlock(&rf_heaps[number].lock);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_heaps_held &= ~(1U << number);
}

/* ---- Runs of units (runs.c); all under the heap's lock ---- */

/* 0 where the system has no memory. *dirty: the pages were written before. */
uintptr_t rf_run_take(rf_heap *heap, size_t units, bool *dirty, rf_segment **segment);
void rf_run_give(rf_heap *heap, rf_segment *segment, uintptr_t start, size_t units);

/* Makes a run longer where the units behind it are free. */
bool rf_run_extend(rf_heap *heap, rf_segment *segment, uintptr_t start, size_t units, size_t more);

/* Gives pages of free runs back until `keep` units of them are dirty. Returns the bytes. */
size_t rf_run_trim(rf_heap *heap, size_t keep);

/* ---- Slots (slots.c) ---- */

/* Takes up to `count` slots of a class for a cache, from heap `number`; 0 where there is no memory, or its lock cannot
 * be had. */
unsigned rf_slots_take(unsigned number, unsigned class_number, rf_slot_place *places, unsigned count);

/* Gives slots back to the heaps that they are of. False, and *count is what is left at `places`, where the lock of one
 * cannot be had. */
bool rf_slots_give(rf_slot_place *places, unsigned *count);

/* ---- The list of all spans; under the lock ---- */

void rf_heap_list(rf_heap *heap, rf_span *span);
void rf_heap_unlist(rf_heap *heap, rf_span *span);

#endif /* RINGFENCE_DROPIN_HEAP_H */
