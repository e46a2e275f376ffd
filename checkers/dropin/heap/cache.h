/* Caches: what a thread allocates from and frees to, without a lock.
 *
 * A cache has a bin for each class: a ring of slots, those that may be given out first, then freed blocks that wait,
 * oldest first. Time is counted in bytes freed, in ages (RF_AGES of them are what a block waits for at least): with
 * each age the blocks that have waited long enough may be given out, still filled; they are compared when they are, or
 * looked at by a sweep. Slots that nobody asked for during an age go back to the heaps, all but a few.
 *
 *     ring: | first: slots to give out | ripe: blocks that wait | end
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

#include "checkers/os/stack_predict.h"
#include "heap.h"

#include <ringfence/allocator.h>

typedef struct rf_cache rf_cache;

typedef enum rf_cache_presence {
  RF_CACHE_OUTSIDE,
  RF_CACHE_INSIDE,
  RF_CACHE_PARKED /* inside, and waiting to stop others: changes nothing */
} rf_cache_presence;

#define RF_AGES 8U
#define RF_BIN_LARGE RF_CLASSES /* large blocks for which the lock could not be had */
#define RF_BINS (RF_CLASSES + 1)

/* The numbers go on beyond the ring's places, and wrap. */
typedef struct rf_bin {
  rf_slot_place *ring;
  uint32_t mask; /* places of the ring, a power of two, less one; also where it has none */
  uint32_t first;
  uint32_t ripe;
  uint32_t end;
  uint32_t slot_size;
  uint32_t weight; /* bytes that a block counts as: its slot and RF_WEIGHT_BESIDE */
} rf_bin;

/* Cost of a freed block beside its slot, in bytes: its description, its place, and as much again for free places. */
#define RF_WEIGHT_BESIDE 48U

#define RF_RING_LEAST_LOG2 5U
#define RF_RING_MOST_LOG2 20U

struct rf_cache {
  uint32_t inside; /* rf_cache_presence; accessed atomically */
  rf_stack_predictor predictor;
  uint64_t stamp;     /* the second half of a new block's description, but for its size and family */
  ptrdiff_t age_left; /* bytes to free until the next age */
  /* Counted where it happened: sums over all caches mean something, one alone may be below 0. */
  ptrdiff_t room;       /* below 0: rf_cache_count_more is due; live bytes are mark - room */
  ptrdiff_t block_room; /* the same of blocks: peak_blocks - block_room of them are live */
  size_t allocations;
  uint64_t requested; /* bytes ever asked for and given */
  size_t mark;        /* the live bytes at which there is more to count */
  size_t peak;        /* of live bytes, exact where there is one cache, as is the next */
  size_t peak_blocks;
  size_t counted; /* of the live bytes, what is in the process's sum */
  size_t failures;
  const void *thread; /* of the thread that has it: the address of something of its own; accessed atomically */
  rf_cache *next;     /* in the list of all; never changes */
  unsigned heap;      /* the number of its own */
  unsigned age;
  uint64_t random; /* of the order of slots, where there is a seed; 0: not begun */
  uint32_t taken;  /* a thread has it; accessed atomically */
  uint32_t place;  /* among all, from 1 on, by when they were made; never changes */
  uint16_t number; /* the thread's */
  bool stuck;      /* full, and the thread that it was lent to cannot have the lock of a heap; accessed atomically */
  rf_bin none;     /* never has a slot: stands before the first class for requests of no bytes (fast.h) */
  rf_bin bins[RF_BINS];
  rf_slot_place *spare_rings[RF_RING_MOST_LOG2 + 1]; /* by the logarithm of their places: each begins with the next */
  uint32_t marks[RF_AGES][RF_CLASSES];               /* the ends of the bins when the last ages began */
};

_Static_assert(offsetof(rf_cache, bins) == offsetof(rf_cache, none) + sizeof(rf_bin), "side by side");

/* Bytes of freed blocks that wait in a cache: the options', less where there are many threads. Accessed atomically. */
extern size_t rf_cache_wait __attribute__((visibility("hidden")));

static inline size_t rf_cache_wait_now(void) {
  return __atomic_load_n(&rf_cache_wait, __ATOMIC_RELAXED);
}

/* ---- Having one ---- */

/* One that is nobody's, or a new one; NULL where there is no memory. `heap`: the number of its own, where it is new. */
rf_cache *rf_cache_take(unsigned heap);

/* The same for good, for a thread that has none: where the thread ended untold whose address it has (by a system call
 * of its own, or it came to the heap behind its last destructor), that one's. */
rf_cache *rf_cache_bind(unsigned heap);

/* It is the thread's of this number (threads.h), or the generation of new blocks has changed. */
void rf_cache_set_number(rf_cache *cache, uint16_t number);

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

#define RF_STOP_ALL 1U  /* nobody may enter */
#define RF_STOP_JOB 2U  /* whoever enters next has something to do before (own_cache.h) */
#define RF_STOP_LONG 4U /* nobody stops; but requests do not go the shortest way (malloc_impl.c) */

typedef struct rf_stop_state {
  uint32_t wanted; /* a sum of these; accessed atomically */
  uint32_t fences; /* there is no membarrier: who enters runs a barrier of its own; accessed atomically */
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

/* Enters; false: something is wanted before. The acquire is for the changes of a thread that had stopped all others. */
static inline bool rf_cache_enter(rf_cache *cache) {
  __atomic_store_n(&cache->inside, RF_CACHE_INSIDE, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  if (__builtin_expect(__atomic_load_n(&rf_stop_now.fences, __ATOMIC_RELAXED) != 0, 0)) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
  }
  return __builtin_expect((__atomic_load_n(&rf_stop_now.wanted, __ATOMIC_ACQUIRE) & ~RF_STOP_LONG) == 0, 1);
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
  bool growing; /* a block that may grow again: where there is room above */
  size_t kept;  /* bytes at its start that the caller writes at once, so that nothing else does */
} rf_block_request;

/* NULL where there is no memory. */
void *rf_cache_alloc(rf_cache *cache, const rf_block_request *request, const rf_origin *origin);

/* The number of the caller's stack; 0 where none is kept. `frees`: 0, or RF_FREES (checkers/os/stack_guess.h) where it
 * frees. Lock-free, as is the depot. */
uint32_t rf_cache_keep(rf_cache *cache, const rf_origin *origin, unsigned frees);

/* The common one: `size` bytes at RF_ALIGN_DEFAULT. */
void *rf_cache_malloc(rf_cache *cache, size_t size, rf_family family, const rf_origin *origin);

/* The same where the way of fast.h was tried, or need not be. `stack`: the caller's, as rf_cache_keep. */
void *rf_cache_malloc_slowly(rf_cache *cache, size_t size, rf_family family, const rf_origin *origin, uint32_t stack);

/* The same, zeroed, of a size that fast.h serves. */
void *rf_cache_zalloc_slowly(rf_cache *cache, size_t size, const rf_origin *origin, uint32_t stack);

/* `size`: what a sized delete believes, SIZE_MAX where nothing is said. False where no live block starts at `ptr`,
 * which was reported. */
bool rf_cache_free(rf_cache *cache, void *ptr, rf_family family, size_t size, const rf_origin *origin);
bool rf_cache_free_slowly(rf_cache *cache, void *ptr, rf_family family, size_t size, const rf_origin *origin);

/* NULL where there is no memory, and where no live block starts at `ptr`. `size` is not 0. */
void *rf_cache_realloc(rf_cache *cache, void *ptr, size_t size, const rf_origin *origin);

/* ---- Figures ---- */

typedef struct rf_cache_figures {
  rf_counters counters; /* the peak is exact with one cache, else within RF_PEAK_STEP for each */
  uint64_t requested;   /* bytes ever asked for and given */
  size_t waiting;       /* bytes of freed blocks that wait */
} rf_cache_figures;

/* Sums over all caches; at a moment if all are stopped. */
void rf_cache_figures_of_all(rf_cache_figures *out);

#define RF_PEAK_STEP ((size_t)64 * 1024)

/* Live bytes, and blocks, as this cache counted them. */
static inline size_t rf_cache_used(const rf_cache *cache) {
  return cache->mark - (size_t)cache->room;
}

static inline size_t rf_cache_blocks(const rf_cache *cache) {
  return cache->peak_blocks - (size_t)cache->block_room;
}

/* True where the peaks, or the process's sum, are to be brought up to date: there are more live bytes or blocks. */
static inline bool rf_cache_has_more(const rf_cache *cache) {
  return __builtin_expect((cache->room | cache->block_room) < 0, 0);
}

/* Brings them up to date. */
void rf_cache_count_more(rf_cache *cache);

#endif /* RINGFENCE_DROPIN_CACHE_H */
