/* Arenas: how the drop-in serves threads without one lock for all.
 *
 * An arena is lock -> guard -> heap. Each thread is bound to one and allocates from it; a block is freed to the arena
 * that it came from, found by its address, whichever thread frees it. A thread that meets another one in its arena
 * moves to one that is not busy, so threads spread out as far as they collide. There are at most four per core, made
 * when needed.
 *
 * A signal handler may allocate and free while its own thread is inside an arena: it is then served by another arena,
 * and a free that would have to wait for its own thread is noted, to be done by whoever enters that arena next. It
 * never waits for a lock that its own thread may hold; rather than that it gets NULL.
 */
#ifndef RINGFENCE_DROPIN_ARENA_H
#define RINGFENCE_DROPIN_ARENA_H

#include "checkers/dropin/heap/growing_heap.h"
#include "pending.h"
#include "thread.h"

#include <ringfence/guard.h>

#define RF_ARENAS_MAX 64U

typedef struct rf_arena rf_arena;

/* Work that waits for an arena, done with the arena entered. */
typedef void (*rf_arena_job)(rf_arena *arena);

struct rf_arena {
  rf_futex lock;
  uint32_t pending_count; /* of frees, the job and `damaged`; accessed atomically, as are these */
  uint32_t damaged;       /* 1: the heap was found damaged, and is to recover */
  uint32_t threads;       /* bound to it; accessed atomically */
  uint64_t requested;     /* bytes ever asked for and given */
  void *inherited;        /* a block made at fork: live blocks older than it may be of threads that are gone; or NULL */
  size_t counted;         /* live bytes as the process's sum has them */
  const rf_counters *figures; /* guard's, of the program's blocks; NULL: nothing is checked, the bare heap has them */
  rf_guard guard;
  rf_growing_heap heap;
  rf_arena_job job; /* NULL: none */
  rf_pending pending;
};

/* ---- Entering and leaving. Between the two the arena is the caller's. ---- */

rf_arena *rf_arena_enter_slow(void);
bool rf_arena_enter_owner_slow(rf_arena *arena);
void rf_arena_leave_slow(rf_arena *arena);
void rf_arena_do_pending(rf_arena *arena);

static inline void rf_arena_entered(rf_arena *arena) {
  if (__builtin_expect(__atomic_load_n(&arena->pending_count, __ATOMIC_RELAXED) != 0, 0)) {
    rf_arena_do_pending(arena);
  }
}

/* The thread's own, where it is free and the thread in none; else NULL. */
static inline rf_arena *rf_arena_enter_own(void) {
  rf_arena *const arena = rf_current_thread.arena;
  if (__builtin_expect(arena != NULL && rf_current_thread.inside == NULL, 1)) {
    rf_current_thread.inside = arena;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__builtin_expect(rf_futex_try(&arena->lock), 1)) {
      rf_arena_entered(arena);
      return arena;
    }
    rf_current_thread.inside = NULL;
  }
  return NULL;
}

/* An arena to allocate from; NULL only where there is no memory for the first one, or in a signal handler that
 * interrupted the making of it. */
static inline rf_arena *rf_arena_enter(void) {
  rf_arena *const arena = rf_arena_enter_own();
  return __builtin_expect(arena != NULL, 1) ? arena : rf_arena_enter_slow();
}

/* The arena that owns a block. False where this thread, interrupted by a signal, holds its lock. */
static inline bool rf_arena_enter_owner(rf_arena *arena) {
  if (__builtin_expect(rf_current_thread.inside != NULL, 0)) {
    return rf_arena_enter_owner_slow(arena);
  }
  rf_current_thread.inside = arena;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_futex_lock(&arena->lock);
  rf_arena_entered(arena);
  return true;
}

/* After rf_arena_enter_own, or where rf_current_thread.inside is this one. */
static inline void rf_arena_leave_own(rf_arena *arena) {
  rf_futex_unlock(&arena->lock);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_current_thread.inside = NULL;
}

static inline void rf_arena_leave(rf_arena *arena) {
  if (__builtin_expect(rf_current_thread.inside != arena, 0)) {
    rf_arena_leave_slow(arena);
    return;
  }
  rf_arena_leave_own(arena);
}

/* The arena that a region is of, or NULL. */
static inline rf_arena *rf_arena_of_region(const rf_region *region) {
  rf_growing_heap *const heap = region != NULL ? __atomic_load_n(&region->heap, __ATOMIC_ACQUIRE) : NULL;
  return heap != NULL ? (rf_arena *)((char *)heap - offsetof(rf_arena, heap)) : NULL;
}

/* The arena that `ptr` lies in, or NULL. Lock-free; never looks at the memory. */
static inline rf_arena *rf_arena_of(const void *ptr) {
  return rf_arena_of_region(rf_region_find((uintptr_t)ptr));
}

/* Notes a free that could not be done; false only where the system has no memory. Async-signal-safe. */
bool rf_arena_defer(rf_arena *arena, const rf_pending_free *free);

/* Has `job` done by the next thread that enters the arena; false where another one waits. Async-signal-safe. */
bool rf_arena_post(rf_arena *arena, rf_arena_job job);

/* The heap was found damaged. What is under way still reports it; the next thread that enters the arena has the heap
 * recover. Async-signal-safe. */
void rf_arena_note_damage(rf_arena *arena);

/* The same at once, with the arena entered, for what was refused. True: it may be tried again. */
bool rf_arena_recover(rf_arena *arena);

/* In the child of a fork: drops the job that waits, if there is one. */
void rf_arena_forget_job(rf_arena *arena);

/* ---- The process's peak of live bytes: each arena adds to a common sum in steps, so that threads need not share a
 * counter. Exact with one arena, else within RF_PEAK_STEP per arena. ---- */

#define RF_PEAK_STEP ((size_t)32 * 1024)

void rf_arena_count_live(rf_arena *arena);

/* Counters of the program's blocks. */
static inline rf_counters rf_arena_figures(const rf_arena *arena) {
  return arena->figures != NULL ? *arena->figures : rf_growing_heap_counters(&arena->heap);
}

static inline size_t rf_arena_used(const rf_arena *arena) {
  return arena->figures != NULL ? arena->figures->used : rf_growing_heap_used(&arena->heap);
}

/* To be called with the arena entered, after each change. */
static inline void rf_arena_counted(rf_arena *arena) {
  if (__builtin_expect(rf_arena_used(arena) - arena->counted + RF_PEAK_STEP > 2 * RF_PEAK_STEP, 0)) {
    rf_arena_count_live(arena);
  }
}

size_t rf_arena_peak(void);

/* ---- All of them ---- */

/* The arenas made so far: index 0 … count-1 are valid for ever. */
unsigned rf_arena_count(void);
rf_arena *rf_arena_at(unsigned index);

/* Takes all locks, waiting at most `ms` milliseconds for each; false, with none held, where one could not be had. From
 * then on the calling thread may enter any arena at once. */
bool rf_arena_lock_all(unsigned ms);
void rf_arena_unlock_all(void);

/* Around fork, with signals blocked: no other thread is inside an arena when memory is copied. */
void rf_arena_fork_prepare(void);
void rf_arena_fork_parent(void);

typedef enum rf_fork_kind {
  RF_FORK_OF_ONE,  /* the parent had one thread: all live blocks are the child's */
  RF_FORK_OF_MANY, /* the parent had several threads, which may have held what lives now */
  /* Several threads, and a signal handler forked that had interrupted its own thread inside an arena: nobody knows
   * which live blocks are the child's. */
  RF_FORK_INSIDE
} rf_fork_kind;

rf_fork_kind rf_arena_fork_child(void);

#endif /* RINGFENCE_DROPIN_ARENA_H */
