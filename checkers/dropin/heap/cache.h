/* Caches: what a thread allocates from and frees to, without a lock.
 *
 * A cache holds slots of each class to give out, and a ring of freed blocks that wait, oldest first: a block that has
 * waited long enough goes to the slots to give out, still filled, and is compared when it is given out, or looked at by
 * a sweep. What is more than a class's share goes back to the heaps, by batches.
 *
 * Blocks are freed into the cache of the thread that frees, whoever allocated them. A cache belongs to one thread at a
 * time; one that is nobody's keeps what it has for the next.
 *
 * Stopping: a thread is inside its cache while it changes anything of the heap. Another one that must see all of it
 * whole (sweeps, walks, forks, the explanation of damage) stops all: nobody enters any more, and it waits until
 * nobody is inside. To enter costs a store and a load, no atomic operation: who stops others has the kernel run a
 * barrier on all processors (membarrier).
 */
#ifndef RINGFENCE_DROPIN_CACHE_H
#define RINGFENCE_DROPIN_CACHE_H

#include "heap.h"

#include <ringfence/allocator.h>

typedef struct rf_cache rf_cache;

typedef enum rf_cache_presence {
  RF_CACHE_OUTSIDE,
  RF_CACHE_INSIDE,
  RF_CACHE_PARKED /* inside, and waiting to stop others: changes nothing */
} rf_cache_presence;

/* A freed block that waits. */
typedef struct rf_waiting {
  uint64_t place; /* where its slot begins, the class above RF_RING_CLASS */
  rf_slot *slot;
} rf_waiting;

struct rf_cache {
  uint32_t inside;    /* rf_cache_presence; accessed atomically, as is the next */
  uint32_t taken;     /* a thread has it */
  const void *thread; /* of that one: the address of something of its own */
  rf_cache *next;     /* in the list of all; never changes */
  unsigned heap;      /* the number of its own */
  uint16_t number;    /* the thread's */
  bool stuck;         /* the lock of a heap is held by the thread that it was lent to: full */
  /* Counted where it happened: sums over all caches mean something, one alone may wrap below 0. */
  size_t allocations;
  size_t frees;
  uint64_t requested; /* bytes ever asked for and given, */
  uint64_t returned;  /* and given back */
  size_t peak;        /* of live bytes, exact where there is one cache, as is the next */
  size_t peak_blocks;
  size_t failures;
  size_t counted; /* of the live bytes, what is in the process's sum */
  rf_waiting *ring;
  uint32_t ring_mask;
  uint32_t ring_first;
  uint32_t ring_count;
  size_t ring_bytes;
  uint16_t count[RF_CLASSES]; /* slots to give out */
  rf_slot_place slots[RF_CACHE_SLOTS];
};

static inline size_t rf_cache_used(const rf_cache *cache) {
  return (size_t)(cache->requested - cache->returned);
}

#define RF_RING_CLASS 56U
#define RF_RING_LARGE 255U /* for the class: a large block */

/* Bytes of freed blocks that wait in a cache: the options', less where there are many threads. */
extern size_t rf_cache_wait __attribute__((visibility("hidden")));

/* ---- Having one ---- */

/* One that is nobody's, or a new one; NULL where there is no memory. `heap`: the number of its own, where it is new. */
rf_cache *rf_cache_take(unsigned heap);

/* It is nobody's from now on, and keeps what it has for the next thread. */
void rf_cache_leave(rf_cache *cache);

/* True where so many are nobody's that one more had better be flushed before. */
bool rf_cache_is_one_too_many(void);

/* In the child of a fork: takes over what other threads had. */
void rf_cache_inherit(void);

/* All of them, newest first. */
rf_cache *rf_cache_first(void);

/* How many there are, and how many are taken. */
unsigned rf_cache_total(void);

/* Gives back to the heaps all that it holds: what waits does not any more. Inside it, or with all stopped. */
void rf_cache_flush(rf_cache *cache);

/* ---- Stopping ---- */

#define RF_STOP_ALL 1U /* nobody may enter */
#define RF_STOP_JOB 2U /* whoever enters next has something to do before (own_cache.h) */

typedef struct rf_stop_state {
  uint32_t wanted; /* a sum of these; accessed atomically */
  uint32_t fences; /* there is no membarrier: who enters runs a barrier of its own */
} rf_stop_state;

extern rf_stop_state rf_stop_now __attribute__((visibility("hidden")));

/* Differs from thread to thread. */
static inline const void *rf_stop_self(void) {
  return &rf_heaps_held;
}

/* Waits, outside, until nobody stops others. */
void rf_stop_wait(void);

/* Stops all other threads within `ms` milliseconds; false where that could not be, and nothing is stopped. The
 * caller may be inside caches of its own. Nests. */
bool rf_stop_all(unsigned ms);
void rf_stop_finish(void);

/* True between the two, for the thread that called. */
bool rf_stopped_by_me(void);

/* In the child of a fork: no other thread is there. */
void rf_stop_forget(void);

/* Enters; false: something is wanted before. */
static inline bool rf_cache_enter(rf_cache *cache) {
  __atomic_store_n(&cache->inside, RF_CACHE_INSIDE, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  if (__builtin_expect(rf_stop_now.fences != 0, 0)) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
  }
  return __builtin_expect(__atomic_load_n(&rf_stop_now.wanted, __ATOMIC_RELAXED) == 0, 1);
}

static inline void rf_cache_exit(rf_cache *cache) {
  __atomic_store_n(&cache->inside, RF_CACHE_OUTSIDE, __ATOMIC_RELEASE);
}

/* ---- Blocks; all inside the cache. Findings go to the reporter of the options. ---- */

typedef struct rf_block_request {
  size_t size;
  size_t align;
  rf_family family;
  bool zeroed;
  bool growing; /* a large block that may grow again: with room above */
} rf_block_request;

/* NULL where there is no memory. */
void *rf_cache_alloc(rf_cache *cache, const rf_block_request *request, const rf_origin *origin);

/* The common one: `size` bytes at RF_ALIGN_DEFAULT. */
void *rf_cache_malloc(rf_cache *cache, size_t size, rf_family family, const rf_origin *origin);

/* `size`: what a sized delete believes, SIZE_MAX where nothing is said. False where no live block starts at `ptr`,
 * which was reported. */
bool rf_cache_free(rf_cache *cache, void *ptr, rf_family family, size_t size, const rf_origin *origin);

/* NULL where there is no memory, and where no live block starts at `ptr`. `size` is not 0. */
void *rf_cache_realloc(rf_cache *cache, void *ptr, size_t size, const rf_origin *origin);

/* ---- Figures ---- */

typedef struct rf_cache_figures {
  rf_counters counters; /* the peak is exact with one cache, else within RF_PEAK_STEP for each */
  uint64_t requested;   /* bytes ever asked for and given */
  size_t waiting;       /* bytes of freed blocks in rings */
} rf_cache_figures;

/* Sums over all caches; at a moment if all are stopped. */
void rf_cache_figures_of_all(rf_cache_figures *out);

#define RF_PEAK_STEP ((size_t)64 * 1024)

/* Adds what changed to the process's sum. */
void rf_cache_count_live(rf_cache *cache);

static inline void rf_cache_counted(rf_cache *cache) {
  if (__builtin_expect(rf_cache_used(cache) - cache->counted + RF_PEAK_STEP > 2 * RF_PEAK_STEP, 0)) {
    rf_cache_count_live(cache);
  }
}

#endif /* RINGFENCE_DROPIN_CACHE_H */
