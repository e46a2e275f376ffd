#define _GNU_SOURCE
#include "arena.h"

#include "checkers/dropin/os/pages.h"
#include "init.h"
#include "state.h"
#include "unmapped.h"

#include <assert.h>
#include <sched.h>

#define ARENAS_PER_CORE 4U
#define PATIENCE 100000U /* turns of waiting in a signal handler */

static struct {
  rf_futex lock; /* of making one */
  unsigned count;
  unsigned limit;
  rf_arena *list[RF_ARENAS_MAX];
} arenas;

/* In rf_thread.inside: the thread is inside no arena, and must not enter one. */
static rf_arena busy;
#define BUSY_ARENA (&busy)

unsigned rf_arena_count(void) {
  return __atomic_load_n(&arenas.count, __ATOMIC_ACQUIRE);
}

rf_arena *rf_arena_at(unsigned index) {
  return arenas.list[index];
}

/* ---- Making ---- */

static unsigned arena_limit(void) {
  cpu_set_t cores;
  unsigned count = 1;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) {
    count = (unsigned)CPU_COUNT(&cores);
  }
  unsigned const limit = count * ARENAS_PER_CORE;
  return limit < RF_ARENAS_MAX ? limit : RF_ARENAS_MAX;
}

static void leaving(rf_growing_heap *heap, const void *block, size_t size) {
  rf_arena *const arena = (rf_arena *)((char *)heap - offsetof(rf_arena, heap));
  if (rf_process.checked) {
    rf_unmapped_note(&arena->guard, block, size);
  }
}

static void damaged(rf_growing_heap *heap) {
  rf_arena_note_damage((rf_arena *)((char *)heap - offsetof(rf_arena, heap)));
}

/* The bare heaps' faults; those of heaps under guard become its findings. */
static bool note_fault(const rf_fault *fault) {
  unsigned const count = rf_arena_count();
  for (unsigned i = 0; i < count && fault->status == RF_ERR_CORRUPT; i++) {
    if (fault->allocator == &arenas.list[i]->heap.tlsf.base) {
      rf_arena_note_damage(arenas.list[i]);
    }
  }
  return false;
}

/* Under arenas.lock. */
static rf_arena *make(void) {
  rf_arena *const arena = rf_record_alloc(sizeof *arena);
  if (arena == NULL) {
    return NULL;
  }
  static rf_fault_filter filter = {note_fault, NULL};
  rf_fault_filter_add(&filter);
  rf_growing_heap_init(&arena->heap);
  arena->heap.leaving = leaving;
  arena->heap.damaged = damaged;
  (void)rf_guard_init(&arena->guard, &arena->heap.base, &rf_process.guard_options);
  arena->figures = rf_process.checked ? &arena->guard.counters : NULL;
  arenas.list[arenas.count] = arena;
  __atomic_store_n(&arenas.count, arenas.count + 1, __ATOMIC_RELEASE);
  return arena;
}

/* NULL where there are enough, or no memory, or somebody is at it. */
static rf_arena *make_if_below_limit(void) {
  rf_arena *made = NULL;
  if (!rf_futex_try(&arenas.lock)) {
    return NULL;
  }
  if (arenas.limit == 0) {
    arenas.limit = arena_limit();
  }
  if (arenas.count < arenas.limit) {
    made = make();
  }
  rf_futex_unlock(&arenas.lock);
  return made;
}

/* ---- Binding ---- */

/* The arena with the fewest threads; a new one before two share. */
static rf_arena *choose(void) {
  rf_arena *best = NULL;
  unsigned const count = rf_arena_count();
  for (unsigned i = 0; i < count; i++) {
    rf_arena *const arena = arenas.list[i];
    if (best == NULL ||
        __atomic_load_n(&arena->threads, __ATOMIC_RELAXED) < __atomic_load_n(&best->threads, __ATOMIC_RELAXED)) {
      best = arena;
    }
  }
  if (best == NULL || __atomic_load_n(&best->threads, __ATOMIC_RELAXED) != 0) {
    rf_arena *const made = make_if_below_limit();
    best = made != NULL ? made : best;
  }
  return best;
}

static void rebind(rf_arena *arena) {
  if (rf_current_thread.arena != NULL && !rf_current_thread.ended) {
    __atomic_fetch_sub(&rf_current_thread.arena->threads, 1, __ATOMIC_RELAXED);
  }
  rf_current_thread.arena = arena;
  if (!rf_current_thread.ended) {
    __atomic_fetch_add(&arena->threads, 1, __ATOMIC_RELAXED);
  }
}

static void unbind(void) {
  __atomic_fetch_sub(&rf_current_thread.arena->threads, 1, __ATOMIC_RELAXED);
}

static bool bind(void) {
  rf_current_thread.inside = BUSY_ARENA;
  rf_process_init();
  rf_arena *const arena = choose();
  if (arena != NULL) {
    rebind(arena);
  }
  rf_current_thread.inside = NULL;
  if (arena != NULL) {
    rf_thread_begin(unbind);
  }
  return arena != NULL;
}

/* ---- Entering ---- */

/* Any arena whose lock is free. */
static rf_arena *try_all(void) {
  unsigned const count = rf_arena_count();
  for (unsigned i = 0; i < count; i++) {
    rf_arena *const arena = arenas.list[i];
    if (rf_futex_try(&arena->lock)) {
      return arena;
    }
  }
  return NULL;
}

/* From a signal handler, this thread being inside an arena: never waits for a lock that may be its own. */
static rf_arena *enter_again(void) {
  if (rf_current_thread.holds_all) {
    return rf_current_thread.arena != NULL ? rf_current_thread.arena : arenas.list[0];
  }
  rf_arena *arena = try_all();
  if (arena == NULL) {
    arena = make_if_below_limit();
    if (arena != NULL && !rf_futex_try(&arena->lock)) {
      arena = NULL;
    }
  }
  for (unsigned i = 0; arena == NULL && i < PATIENCE; i++) { /* other threads hold the others, and will let go */
    (void)sched_yield();
    arena = try_all();
  }
  if (arena != NULL) {
    rf_arena_entered(arena);
  }
  return arena;
}

static void enter_bound(rf_arena *arena) {
  rf_current_thread.inside = arena;
  rf_futex_lock(&arena->lock);
  rf_arena_entered(arena);
}

rf_arena *rf_arena_enter_slow(void) {
  if (rf_current_thread.inside != NULL) {
    return enter_again();
  }
  if (rf_current_thread.arena == NULL) {
    if (!bind()) {
      return NULL;
    }
  } else {
    rf_arena *const free = try_all();
    if (free != NULL) {
      rebind(free);
      rf_current_thread.inside = free;
      rf_arena_entered(free);
      return free;
    }
  }
  enter_bound(rf_current_thread.arena);
  return rf_current_thread.arena;
}

bool rf_arena_enter_owner_slow(rf_arena *arena) {
  if (rf_current_thread.holds_all) {
    return true;
  }
  if (rf_current_thread.inside == arena) {
    return rf_futex_try(&arena->lock);
  }
  if (rf_current_thread.inside == BUSY_ARENA) {
    rf_futex_lock(&arena->lock);
    return true;
  }
  return rf_futex_try(&arena->lock);
}

void rf_arena_leave_slow(rf_arena *arena) {
  if (!rf_current_thread.holds_all) {
    rf_futex_unlock(&arena->lock);
  }
}

/* ---- Frees and jobs that wait ---- */

bool rf_arena_defer(rf_arena *arena, const rf_pending_free *free) {
  if (!rf_pending_put(&arena->pending, free)) {
    return false;
  }
  __atomic_fetch_add(&arena->pending_count, 1, __ATOMIC_RELEASE);
  return true;
}

bool rf_arena_post(rf_arena *arena, rf_arena_job job) {
  rf_arena_job none = NULL;
  if (!__atomic_compare_exchange_n(&arena->job, &none, job, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    return false;
  }
  __atomic_fetch_add(&arena->pending_count, 1, __ATOMIC_RELEASE);
  return true;
}

/* NULL where none waits. */
static rf_arena_job take_job(rf_arena *arena) {
  rf_arena_job const job = __atomic_exchange_n(&arena->job, NULL, __ATOMIC_ACQ_REL);
  if (job != NULL) {
    __atomic_fetch_sub(&arena->pending_count, 1, __ATOMIC_RELAXED);
  }
  return job;
}

void rf_arena_forget_job(rf_arena *arena) {
  (void)take_job(arena);
}

void rf_arena_note_damage(rf_arena *arena) {
  if (__atomic_exchange_n(&arena->damaged, 1, __ATOMIC_ACQ_REL) == 0) {
    __atomic_fetch_add(&arena->pending_count, 1, __ATOMIC_RELEASE);
  }
}

bool rf_arena_recover(rf_arena *arena) {
  if (__atomic_exchange_n(&arena->damaged, 0, __ATOMIC_ACQ_REL) == 0) {
    return false;
  }
  __atomic_fetch_sub(&arena->pending_count, 1, __ATOMIC_RELAXED);
  bool const recovered = rf_growing_heap_recover(&arena->heap);
  if (rf_process.checked) {
    (void)rf_guard_recheck(&arena->guard);
  }
  return recovered;
}

static void do_free(rf_arena *arena, const rf_pending_free *free) {
  rf_origin const origin = {NULL, free->caller, NULL};
  if (rf_process.checked) {
    (void)rf_guard_free_from(&arena->guard, free->ptr, free->family, free->size, &origin);
  } else {
    (void)rf_free_at(&arena->heap.base, free->ptr, NULL);
  }
}

void rf_arena_do_pending(rf_arena *arena) {
  (void)rf_arena_recover(arena);
  rf_arena_job const job = take_job(arena);
  if (job != NULL) {
    job(arena);
  }
  rf_pending_free free;
  uint32_t at = 0;
  rf_pending_rewind(&arena->pending);
  while (__atomic_load_n(&arena->pending_count, __ATOMIC_RELAXED) != 0 &&
         rf_pending_take(&arena->pending, &at, &free)) {
    __atomic_fetch_sub(&arena->pending_count, 1, __ATOMIC_RELAXED);
    do_free(arena, &free);
  }
}

/* ---- The peak ---- */

static size_t live_sum; /* accessed atomically, as is the next */
static size_t live_peak;

void rf_arena_count_live(rf_arena *arena) {
  size_t const used = rf_arena_used(arena);
  size_t const sum = __atomic_add_fetch(&live_sum, used - arena->counted, __ATOMIC_RELAXED);
  size_t peak = __atomic_load_n(&live_peak, __ATOMIC_RELAXED);
  arena->counted = used;
  while (sum > peak && !__atomic_compare_exchange_n(&live_peak, &peak, sum, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

size_t rf_arena_peak(void) {
  unsigned const count = rf_arena_count();
  size_t used = 0;
  for (unsigned i = 0; i < count; i++) {
    used += rf_arena_used(arenas.list[i]);
  }
  if (count == 1) {
    return rf_arena_figures(arenas.list[0]).peak;
  }
  return used > live_peak ? used : live_peak;
}

/* ---- All of them ---- */

static void unlock_first(unsigned count) {
  while (count > 0) {
    rf_futex_unlock(&arenas.list[--count]->lock);
  }
}

bool rf_arena_lock_all(unsigned ms) {
  if (rf_current_thread.inside != NULL || !rf_futex_lock_within(&arenas.lock, ms)) {
    return false;
  }
  rf_current_thread.inside = BUSY_ARENA;
  for (unsigned i = 0; i < arenas.count; i++) {
    if (!rf_futex_lock_within(&arenas.list[i]->lock, ms)) {
      unlock_first(i);
      rf_futex_unlock(&arenas.lock);
      rf_current_thread.inside = NULL;
      return false;
    }
  }
  rf_current_thread.holds_all = true;
  return true;
}

void rf_arena_unlock_all(void) {
  rf_current_thread.holds_all = false;
  unlock_first(arenas.count);
  rf_futex_unlock(&arenas.lock);
  rf_current_thread.inside = NULL;
}

/* ---- Forks ----
 *
 * A signal handler may fork while its own thread is inside an arena. The locks of this thread then stay held, in the
 * child as well, whose copy of the thread goes on where it was interrupted; a lock that another thread holds comes free
 * soon. Where there is one thread only, nobody else can hold any. */

#define FORK_MS 10U

static _Thread_local struct {
  bool alone;      /* one thread: no lock is taken */
  bool inside;     /* of an arena, when it was interrupted */
  bool list;       /* locked: the list of threads; */
  bool making;     /* arenas.lock; */
  bool regions;    /* those of regions; */
  uint64_t arenas; /* and of arenas, a bit for each */
} forking __attribute__((tls_model("initial-exec")));

static_assert(RF_ARENAS_MAX <= 64, "a bit for each arena");

static bool lock_for_fork(rf_futex *lock) {
  if (forking.inside) {
    return rf_futex_lock_within(lock, FORK_MS);
  }
  rf_futex_lock(lock);
  return true;
}

void rf_arena_fork_prepare(void) {
  forking.alone = rf_one_thread();
  forking.inside = rf_current_thread.inside != NULL;
  forking.arenas = 0;
  if (forking.alone) {
    return;
  }
  unsigned const ms = forking.inside ? FORK_MS : UINT32_MAX;
  forking.list = rf_thread_lock(ms);
  forking.making = lock_for_fork(&arenas.lock);
  if (!forking.inside) {
    rf_current_thread.inside = BUSY_ARENA;
  }
  for (unsigned i = 0; i < arenas.count; i++) {
    forking.arenas |= (uint64_t)lock_for_fork(&arenas.list[i]->lock) << i;
  }
  rf_current_thread.holds_all = !forking.inside;
  forking.regions = rf_region_fork_prepare(ms);
}

static void give_back_regions(void) {
  if (forking.regions) {
    rf_region_fork_done();
  }
}

/* In a child nobody waits any more, whatever is noted. */
static void give_back_lock(rf_futex *lock, bool child) {
  if (child) {
    lock->state = 1;
  }
  rf_futex_unlock(lock);
}

/* Everything else that was taken. */
static void give_back(bool child) {
  if (!forking.inside) {
    rf_current_thread.holds_all = false;
  }
  for (unsigned i = 0; i < arenas.count; i++) {
    if ((forking.arenas >> i & 1) != 0) {
      give_back_lock(&arenas.list[i]->lock, child);
    }
  }
  if (forking.making) {
    give_back_lock(&arenas.lock, child);
  }
  if (!forking.inside) {
    rf_current_thread.inside = NULL;
  }
}

void rf_arena_fork_parent(void) {
  if (forking.alone) {
    return;
  }
  give_back_regions();
  give_back(false);
  if (forking.list) {
    rf_thread_unlock();
  }
}

/* Pointers in registers of threads that the child does not have are lost, which is no leak of the child's: it leaks
 * only what it allocates itself. The live blocks are in order of age, so a block made now tells the two apart. */
static void mark_inherited(void) {
  for (unsigned i = 0; i < arenas.count; i++) {
    rf_arena *const arena = arenas.list[i];
    arena->inherited = rf_guard_alloc_from(&arena->guard, 0, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, NULL);
  }
}

rf_fork_kind rf_arena_fork_child(void) {
  for (unsigned i = 0; i < arenas.count; i++) {
    arenas.list[i]->threads = 0;
  }
  if (rf_current_thread.arena != NULL && !rf_current_thread.ended) {
    rf_current_thread.arena->threads = 1;
  }
  if (!forking.alone) {
    give_back_regions();
    if (rf_process.checked && !forking.inside) {
      mark_inherited();
    }
    give_back(true);
  }
  if (forking.alone || forking.list) {
    rf_thread_fork_child();
  }
  return forking.alone ? RF_FORK_OF_ONE : forking.inside ? RF_FORK_INSIDE : RF_FORK_OF_MANY;
}
