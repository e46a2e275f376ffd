/* Caches as a whole: had, left, and stopped. */
#define _GNU_SOURCE
#include "cache.h"

#include "checkers/dropin/os/futex.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/uncancelled.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LEFT_KEPT 8U /* caches that are nobody's and keep what they have */
#define BARRIER 8    /* MEMBARRIER_CMD_PRIVATE_EXPEDITED, and what registers for it */
#define BARRIER_REGISTER 16

rf_stop_state rf_stop_now = {RF_STOP_LONG, 0};
size_t rf_cache_wait;

static struct {
  rf_futex lock;      /* of those who stop others */
  const void *thread; /* who does; NULL: nobody. Accessed atomically */
  unsigned depth;     /* of calls, by that thread */
} stopping;

static struct {
  rf_cache *first; /* accessed atomically, as are the next */
  uint32_t total;
  uint32_t left; /* nobody's */
} caches;

/* ---- Barriers ---- */

static bool barrier(int command) {
#if defined(SYS_membarrier)
  int const saved = errno;
  bool const done = !rf_is_forbidden(RF_CALL_MEMBARRIER) && syscall(SYS_membarrier, command, 0, 0) == 0;
  errno = saved;
  return done;
#else
  (void)command;
  return false;
#endif
}

static void nap(long ns) {
  if (!rf_is_forbidden(RF_CALL_NANOSLEEP)) {
    rf_futex_waits = true;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    rf_uncancelled_nap(ns);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    rf_futex_waits = false;
  }
}

/* If the kernel has no barrier for other threads, each runs its own, and threads about to do so are waited for. */
static void run_barrier(void) {
  if (__atomic_load_n(&rf_stop_now.fences, __ATOMIC_RELAXED) != 0) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
  } else if (!barrier(BARRIER) && !(barrier(BARRIER_REGISTER) && barrier(BARRIER))) {
    __atomic_store_n(&rf_stop_now.fences, 1, __ATOMIC_RELAXED);
    __atomic_fetch_or(&rf_stop_now.wanted, RF_STOP_LONG, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    nap(2000000);
  }
}

/* ---- Stopping ---- */

void rf_stop_wait(void) {
  while ((__atomic_load_n(&rf_stop_now.wanted, __ATOMIC_ACQUIRE) & RF_STOP_ALL) != 0) {
    rf_futex_lock(&stopping.lock);
    rf_futex_unlock(&stopping.lock);
  }
}

static const void *owner_of(const rf_cache *cache) {
  return __atomic_load_n(&cache->thread, __ATOMIC_RELAXED);
}

static void set_owner(rf_cache *cache, const void *thread) {
  __atomic_store_n(&cache->thread, thread, __ATOMIC_RELAXED);
}

static bool is_in_the_way(const rf_cache *cache) {
  return __atomic_load_n(&cache->inside, __ATOMIC_ACQUIRE) == RF_CACHE_INSIDE && owner_of(cache) != rf_stop_self();
}

static uint64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Short waits first: whoever is inside is about to leave. The clock is asked where it takes longer, since a program may
 * have a clock_gettime of its own, which allocates. */
static bool wait_for_others(unsigned ms) {
  uint64_t begin = 0;
  for (const rf_cache *c = rf_cache_first(); c != NULL; c = c->next) {
    for (unsigned tries = 0; is_in_the_way(c); tries++) {
      if (tries < 100) {
        continue;
      }
      nap(tries < 200 ? 1000 : 50000);
      if (tries < 200) {
        continue;
      }
      uint64_t const now = now_ms();
      begin = begin == 0 ? now : begin;
      if (now - begin > ms) {
        return false;
      }
    }
  }
  return true;
}

static void park(uint32_t from, uint32_t to) {
  for (rf_cache *c = rf_cache_first(); c != NULL; c = c->next) {
    if (owner_of(c) == rf_stop_self() && __atomic_load_n(&c->inside, __ATOMIC_RELAXED) == from) {
      __atomic_store_n(&c->inside, to, __ATOMIC_RELEASE);
    }
  }
}

bool rf_stopped_by_me(void) {
  return __atomic_load_n(&stopping.thread, __ATOMIC_RELAXED) == rf_stop_self();
}

/* Somebody may be stopping others meanwhile, and then waits for this thread, which changes nothing here. */
static bool get_lock(unsigned ms) {
  park(RF_CACHE_INSIDE, RF_CACHE_PARKED);
  bool const got = rf_futex_lock_within(&stopping.lock, ms);
  park(RF_CACHE_PARKED, RF_CACHE_INSIDE);
  return got;
}

bool rf_stop_all(unsigned ms) {
  if (rf_stopped_by_me()) {
    stopping.depth++;
    return true;
  }
  if (!get_lock(ms)) {
    return false;
  }
  __atomic_fetch_or(&rf_stop_now.wanted, RF_STOP_ALL, __ATOMIC_SEQ_CST);
  if (!rf_one_thread()) {
    run_barrier();
    if (!wait_for_others(ms)) {
      __atomic_fetch_and(&rf_stop_now.wanted, ~RF_STOP_ALL, __ATOMIC_RELEASE);
      rf_futex_unlock(&stopping.lock);
      return false;
    }
  }
  stopping.depth = 1;
  __atomic_store_n(&stopping.thread, rf_stop_self(), __ATOMIC_RELAXED);
  return true;
}

void rf_stop_finish(void) {
  if (--stopping.depth == 0) {
    __atomic_store_n(&stopping.thread, NULL, __ATOMIC_RELAXED);
    __atomic_fetch_and(&rf_stop_now.wanted, ~RF_STOP_ALL, __ATOMIC_RELEASE);
    rf_futex_unlock(&stopping.lock);
  }
}

void rf_stop_forget(void) {
  stopping.depth = 0;
  stopping.thread = NULL;
  stopping.lock.state = 0;
  rf_stop_now.wanted &= RF_STOP_LONG;
}

/* ---- Having a cache ---- */

rf_cache *rf_cache_first(void) {
  return __atomic_load_n(&caches.first, __ATOMIC_ACQUIRE);
}

unsigned rf_cache_total(void) {
  return __atomic_load_n(&caches.total, __ATOMIC_ACQUIRE);
}

static size_t taken_caches(void) {
  return rf_cache_total() - __atomic_load_n(&caches.left, __ATOMIC_RELAXED);
}

/* All together keep back no more than the quarantine's size: where there are many threads, frees wait for fewer bytes
 * in each. Of threads that begin or end at once the last one to write looks again, so that its share is of all. */
static void set_wait(void) {
  size_t const wait = rf_heap_options_now.wait;
  size_t taken;
  do {
    taken = taken_caches();
    size_t const share = rf_heap_options_now.quarantine / (taken != 0 ? taken : 1);
    __atomic_store_n(&rf_cache_wait, share < wait ? share : wait, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
  } while (taken != taken_caches());
}

_Static_assert(RF_ALIGN_DEFAULT == 1U << RF_DEFAULT_ALIGN_LOG2, "slots begin at multiples of it");

void rf_cache_set_number(rf_cache *cache, uint16_t number) {
  uint16_t const traits = rf_traits(RF_SLOT_LIVE, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, rf_heap_generation);
  _Static_assert(RF_FAMILY_MALLOC == 0, "any family can be added");
  cache->number = number;
  cache->stamp = (uint64_t)number << RF_WORD_ALLOCATED_BY | (uint64_t)traits << RF_WORD_TRAITS;
}

static void init_bins(rf_cache *cache) {
  for (unsigned i = 0; i < RF_BINS; i++) {
    rf_bin *const bin = &cache->bins[i];
    uint32_t const size = i < RF_CLASSES ? rf_size_classes[i].size : 0;
    bin->mask = UINT32_MAX;
    bin->slot_size = size;
    bin->weight = size + RF_WEIGHT_BESIDE;
  }
}

static rf_cache *make(unsigned heap) {
  rf_cache *const cache = rf_record_alloc(sizeof *cache);
  if (cache == NULL) {
    return NULL;
  }
  init_bins(cache);
  rf_cache_set_number(cache, 0);
  cache->taken = 1;
  set_owner(cache, rf_stop_self());
  cache->heap = heap;
  cache->place = __atomic_add_fetch(&caches.total, 1, __ATOMIC_RELEASE);
  cache->next = rf_cache_first();
  while (!__atomic_compare_exchange_n(&caches.first, &cache->next, cache, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
  }
  if (cache->place == 2) {
    (void)barrier(BARRIER_REGISTER);
    __atomic_store_n(&rf_stack_wrong_borne, RF_WRONG_BORNE_SHARED, __ATOMIC_RELEASE);
  }
  return cache;
}

/* One that is stuck serves again when no lock is in the way. */
static bool serves(const rf_cache *cache) {
  return !__atomic_load_n(&cache->stuck, __ATOMIC_RELAXED) || !rf_heaps_interrupted();
}

static bool claim(rf_cache *cache) {
  uint32_t free = 0;
  if (!serves(cache) ||
      !__atomic_compare_exchange_n(&cache->taken, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
    return false;
  }
  __atomic_fetch_sub(&caches.left, 1, __ATOMIC_RELAXED);
  __atomic_store_n(&cache->stuck, false, __ATOMIC_RELAXED);
  set_owner(cache, rf_stop_self());
  return true;
}

rf_cache *rf_cache_take(unsigned heap) {
  rf_cache *cache = __atomic_load_n(&caches.left, __ATOMIC_RELAXED) != 0 ? rf_cache_first() : NULL;
  while (cache != NULL && !claim(cache)) {
    cache = cache->next;
  }
  if (cache == NULL) {
    cache = make(heap);
  }
  set_wait();
  return cache;
}

/* The cache that was bound last, by the address of its thread: two threads at once have two addresses, which may lie
 * any power of two apart. */
#define OWNERS_LOG2 8U
static rf_cache *bound[1U << OWNERS_LOG2]; /* accessed atomically */

static rf_cache **place_of(const void *thread) {
  uint32_t const page = (uint32_t)((uintptr_t)thread >> 12);
  return &bound[page * 0x9E3779B1U >> (32 - OWNERS_LOG2)];
}

/* One that its thread was inside of is not whole. */
static bool is_left_behind(const rf_cache *cache) {
  return cache != NULL && owner_of(cache) == rf_stop_self() &&
         __atomic_load_n(&cache->inside, __ATOMIC_ACQUIRE) == RF_CACHE_OUTSIDE && serves(cache);
}

rf_cache *rf_cache_bind(unsigned heap) {
  rf_cache **const place = place_of(rf_stop_self());
  rf_cache *const last = __atomic_load_n(place, __ATOMIC_ACQUIRE);
  if (is_left_behind(last)) {
    return last;
  }
  rf_cache *const cache = rf_cache_take(heap);
  __atomic_store_n(place, cache, __ATOMIC_RELEASE);
  return cache;
}

bool rf_cache_is_one_too_many(void) {
  return __atomic_load_n(&caches.left, __ATOMIC_RELAXED) >= LEFT_KEPT;
}

void rf_cache_leave(rf_cache *cache) {
  __atomic_fetch_add(&caches.left, 1, __ATOMIC_RELAXED);
  set_owner(cache, NULL);
  __atomic_store_n(&cache->inside, RF_CACHE_OUTSIDE, __ATOMIC_RELEASE);
  __atomic_store_n(&cache->taken, 0, __ATOMIC_RELEASE);
  set_wait();
}

/* Other threads do not exist here: their caches have no owner. */
void rf_cache_inherit(void) {
  uint32_t left = 0;
  for (rf_cache *c = rf_cache_first(); c != NULL; c = c->next) {
    if (c->taken != 0 && owner_of(c) != rf_stop_self()) {
      set_owner(c, NULL);
      c->inside = RF_CACHE_OUTSIDE;
      c->taken = 0;
    }
    left += c->taken == 0 ? 1 : 0;
  }
  caches.left = left;
  for (unsigned i = 0; i < rf_heap_count; i++) {
    bool const held = (rf_heaps_held >> i & 1U) != 0 && rf_heaps[i].lock.state != 0; /* or it waited for it */
    rf_heaps[i].lock.state = held ? 1 : 0;
  }
  set_wait();
}

/* ---- The process's sum of live bytes ---- */

/* Accessed atomically, as is the next. Below 0 while what was freed is in the sum and what was allocated is not yet. */
static size_t live_sum;
static size_t live_peak;

static void add_to_sum(rf_cache *cache, size_t used) {
  size_t const sum = __atomic_add_fetch(&live_sum, used - cache->counted, __ATOMIC_RELAXED);
  size_t peak = __atomic_load_n(&live_peak, __ATOMIC_RELAXED);
  cache->counted = used;
  while ((ptrdiff_t)(sum - peak) > 0 &&
         !__atomic_compare_exchange_n(&live_peak, &peak, sum, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

void rf_cache_count_more(rf_cache *cache) {
  size_t const used = rf_cache_used(cache);
  if ((ptrdiff_t)(used - cache->peak) > 0) {
    cache->peak = used;
  }
  if (cache->block_room < 0) {
    cache->peak_blocks -= (size_t)cache->block_room;
    cache->block_room = 0;
  }
  if (used - cache->counted + RF_PEAK_STEP > 2 * RF_PEAK_STEP) {
    add_to_sum(cache, used);
  }
  size_t const next = cache->counted + RF_PEAK_STEP;
  cache->mark = (ptrdiff_t)(cache->peak - next) < 0 ? cache->peak : next;
  cache->room = (ptrdiff_t)(cache->mark - used);
}

static void add(rf_cache_figures *sum, const rf_cache *c) {
  sum->counters.used += rf_cache_used(c);
  sum->counters.blocks += rf_cache_blocks(c);
  sum->counters.allocations += c->allocations;
  sum->counters.failures += c->failures;
  sum->requested += c->requested;
  for (unsigned i = 0; i < RF_CLASSES; i++) {
    sum->waiting += (size_t)(c->bins[i].end - c->bins[i].ripe) * c->bins[i].slot_size;
  }
}

void rf_cache_figures_of_all(rf_cache_figures *out) {
  const rf_cache *const first = rf_cache_first();
  *out = (rf_cache_figures){.requested = 0};
  for (const rf_cache *c = first; c != NULL; c = c->next) {
    add(out, c);
  }
  bool const one = first != NULL && first->next == NULL;
  size_t const peak = one ? first->peak : __atomic_load_n(&live_peak, __ATOMIC_RELAXED);
  out->counters.peak = peak > out->counters.used ? peak : out->counters.used;
  out->counters.peak_blocks = one ? first->peak_blocks : out->counters.blocks;
}
