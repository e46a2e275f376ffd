#define _GNU_SOURCE
#include "own_cache.h"

#include "checkers/dropin/heap/threads.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/held_signals.h"
#include "checkers/os/uncancelled.h"
#include "checkers/page/page_store.h"
#include "init.h"
#include "state.h"
#include "tag_pause.h"

#include <ringfence/port.h>
#include <signal.h>

#define FORK_MS 10U

/* ---- Binding ---- */

static uint32_t threads; /* that were bound; accessed atomically */

static void leave(rf_cache *cache) {
  if (rf_cache_is_one_too_many()) {
    rf_cache_flush(cache);
  }
  rf_cache_leave(cache);
}

static void unbind(void) {
  rf_cache *const cache = rf_current_thread.cache != NULL ? rf_enter() : NULL;
  if (cache != NULL) {
    rf_current_thread.cache = NULL;
    uint64_t const checks = rf_tag_pause();
    leave(cache);
    rf_tag_resume(checks);
  }
}

/* The cache is this thread's, for now or for good. */
static rf_cache *named(rf_cache *cache) {
  if (cache != NULL) {
    rf_cache_set_number(cache, rf_thread_number(rf_thread_id()));
  }
  return cache;
}

static bool bind(void) {
  rf_current_thread.binding = true;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_process_init();
  unsigned const number = __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED);
  rf_cache *const cache = named(rf_cache_bind(number % rf_heap_count));
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_current_thread.cache = cache;
  rf_current_thread.binding = false;
  if (cache != NULL) {
    rf_thread_begin(unbind);
  }
  return cache != NULL;
}

/* ---- Entering ---- */

/* Enters unless others are stopped by another thread; it has no choice where it was interrupted inside: they wait for
 * that. */
static bool may_enter(rf_cache *cache, bool interrupted) {
  return rf_cache_enter(cache) || interrupted ||
         (__atomic_load_n(&rf_stop_now.wanted, __ATOMIC_ACQUIRE) & RF_STOP_ALL) == 0 || rf_stopped_by_me();
}

static void enter(rf_cache *cache, bool interrupted) {
  while (!may_enter(cache, interrupted)) {
    rf_cache_exit(cache);
    rf_stop_wait();
  }
}

/* Takes a cache for a thread that has none of its own, or is inside it. */
static rf_cache *borrow(bool interrupted) {
  unsigned const number = __atomic_load_n(&threads, __ATOMIC_RELAXED);
  rf_cache *const cache = rf_process.ready ? named(rf_cache_take(number % rf_heap_count)) : NULL;
  if (cache != NULL) {
    enter(cache, interrupted);
  }
  return cache;
}

static void (*posted)(void); /* accessed atomically */

/* Once, by whoever comes first. */
static void do_job(void) {
  void (*const job)(void) = __atomic_exchange_n(&posted, NULL, __ATOMIC_ACQ_REL);
  __atomic_fetch_and(&rf_stop_now.wanted, ~RF_STOP_JOB, __ATOMIC_RELAXED);
  if (job != NULL) {
    job();
  }
}

bool rf_is_inside(void) {
  const rf_cache *const cache = rf_current_thread.cache;
  return rf_current_thread.binding || rf_current_thread.stopping ||
         (cache != NULL && cache->inside != RF_CACHE_OUTSIDE);
}

rf_cache *rf_enter_slow(void) {
  if (rf_is_inside()) {
    return borrow(true);
  }
  if ((__atomic_load_n(&rf_stop_now.wanted, __ATOMIC_RELAXED) & RF_STOP_JOB) != 0) {
    do_job();
  }
  if (rf_current_thread.cache == NULL && (rf_current_thread.ended || !bind())) {
    return rf_current_thread.ended ? borrow(false) : NULL;
  }
  enter(rf_current_thread.cache, false);
  return rf_current_thread.cache;
}

void rf_leave_slow(rf_cache *cache) {
  leave(cache);
}

void rf_post_job(void (*job)(void)) {
  __atomic_store_n(&posted, job, __ATOMIC_RELEASE);
  __atomic_fetch_or(&rf_stop_now.wanted, RF_STOP_JOB, __ATOMIC_RELEASE);
}

void rf_forget_job(void) {
  if (__atomic_load_n(&posted, __ATOMIC_RELAXED) != NULL) {
    __atomic_store_n(&posted, NULL, __ATOMIC_RELAXED);
  }
  if ((__atomic_load_n(&rf_stop_now.wanted, __ATOMIC_RELAXED) & RF_STOP_JOB) != 0) {
    __atomic_fetch_and(&rf_stop_now.wanted, ~RF_STOP_JOB, __ATOMIC_RELAXED);
  }
}

/* ---- All of it ---- */

/* State of the thread that stopped the others. */
static uint64_t checks; /* it reads blocks, in mode mte whatever their tags */
static sigset_t before;

/* A handler that allocated meanwhile might wait for pages, which a thread has whose own handler waits for the heap. */
bool rf_lock_all(unsigned ms) {
  sigset_t was;
  if (rf_is_inside() || rf_stopped_by_me()) {
    return false;
  }
  rf_signals_hold_back(&was);
  rf_current_thread.stopping = true;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  bool const done = rf_stop_all(ms);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_current_thread.stopping = false;
  if (done) {
    checks = rf_tag_pause();
    before = was;
  } else {
    rf_signals_let_through(&was);
  }
  return done;
}

void rf_unlock_all(void) {
  sigset_t const was = before;
  rf_tag_resume(checks);
  rf_current_thread.stopping = true;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_stop_finish();
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_current_thread.stopping = false;
  rf_signals_let_through(&was);
}

#define PAGES_MS 20U      /* of rf_page_try_lock_all */
#define PAUSE_NS 1000000L /* in which others go on */

/* A thread with the lock of pages may be interrupted by a handler that waits for the heap. */
bool rf_lock_blocks(unsigned ms) {
  for (unsigned waited = 0; waited <= ms && rf_lock_all(ms); waited += PAGES_MS) {
    if (rf_page_try_lock_all()) {
      return true;
    }
    rf_unlock_all();
    if (!rf_is_forbidden(RF_CALL_NANOSLEEP)) {
      rf_uncancelled_nap(PAUSE_NS);
    }
  }
  return false;
}

void rf_unlock_blocks(void) {
  rf_page_unlock_all();
  rf_unlock_all();
}

/* ---- Forks ----
 *
 * A signal handler may fork while its own thread is inside the heap. The locks of this thread then stay held, in the
 * child as well, whose copy of the thread goes on where it was interrupted; others leave soon. With one thread
 * only, nobody else can be inside. */

static RF_THREAD_LOCAL struct {
  bool alone;   /* one thread: nothing is locked */
  bool inside;  /* when it was interrupted */
  bool ends;    /* locked: no thread notes its end */
  bool stopped; /* all others are */
} forking;

bool rf_own_cache_fork_prepare(unsigned ms) {
  forking.alone = rf_one_thread();
  forking.inside = rf_is_inside();
  if (forking.alone) {
    return true;
  }
  unsigned const each = forking.inside ? FORK_MS : ms;
  forking.ends = rf_thread_lock(each);
  forking.stopped = rf_stop_all(each);
  if (forking.inside || (forking.stopped && (forking.ends || rf_thread_notes_end()))) {
    return true;
  }
  rf_own_cache_fork_parent();
  return false;
}

void rf_own_cache_fork_parent(void) {
  if (forking.alone) {
    return;
  }
  if (forking.stopped) {
    rf_stop_finish();
  }
  if (forking.ends) {
    rf_thread_unlock();
  }
}

/* Pointers in registers of threads that the child does not have are lost, which is no leak of the child's: it leaks
 * only what it allocates itself. */
static rf_fork_kind mark_inherited(void) {
  if (forking.inside || rf_heap_generation + 1 == RF_TRAITS_GENERATIONS) {
    return RF_FORK_INSIDE;
  }
  rf_heap_generation++;
  return RF_FORK_OF_MANY;
}

rf_fork_kind rf_own_cache_fork_child(void) {
  rf_fork_kind kind = RF_FORK_OF_ONE;
  if (!forking.alone) {
    rf_stop_forget();
    rf_cache_inherit();
    kind = mark_inherited();
  }
  if (rf_current_thread.cache != NULL) {
    rf_cache_set_number(rf_current_thread.cache, rf_thread_number(rf_port_thread_id()));
  }
  rf_thread_fork_child();
  return kind;
}
