/* Caches as a whole: had, left, and stopped. */
#define _GNU_SOURCE
#include "cache.h"

#include "checkers/dropin/os/pages.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LEFT_KEPT 8U /* caches that are nobody's and keep what they have */
#define RING_LEAST 64U
#define RING_BYTES 64U /* of a block, on average: a place of the ring for each */
#define RING_MOST ((size_t)1 << 20)
#define BARRIER 8 /* MEMBARRIER_CMD_PRIVATE_EXPEDITED, and what registers for it */
#define BARRIER_REGISTER 16

rf_stop_state rf_stop_now;
size_t rf_cache_wait;

static struct {
  rf_futex lock; /* of those who stop others */
  const void *thread;
  unsigned depth;
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
  bool const done = syscall(SYS_membarrier, command, 0, 0) == 0;
  errno = saved;
  return done;
#else
  (void)command;
  return false;
#endif
}

static void nap(long ns) {
  struct timespec const t = {0, ns};
  int const saved = errno;
  (void)nanosleep(&t, NULL);
  errno = saved;
}

/* Where the kernel has no barrier for others, each thread runs its own, and those that are about to are waited for. */
static void run_barrier(void) {
  if (rf_stop_now.fences != 0) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
  } else if (!barrier(BARRIER) && !(barrier(BARRIER_REGISTER) && barrier(BARRIER))) {
    rf_stop_now.fences = 1;
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

static bool is_in_the_way(const rf_cache *cache) {
  return __atomic_load_n(&cache->inside, __ATOMIC_ACQUIRE) == RF_CACHE_INSIDE && cache->thread != rf_stop_self();
}

/* Short waits first: whoever is inside is about to leave. */
static bool wait_for_others(unsigned ms) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t const begin = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
  for (const rf_cache *c = rf_cache_first(); c != NULL; c = c->next) {
    for (unsigned tries = 0; is_in_the_way(c); tries++) {
      if (tries < 100) {
        continue;
      }
      nap(tries < 200 ? 1000 : 50000);
      (void)clock_gettime(CLOCK_MONOTONIC, &now);
      if ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 - begin > ms) {
        return false;
      }
    }
  }
  return true;
}

static void park(uint32_t from, uint32_t to) {
  for (rf_cache *c = rf_cache_first(); c != NULL; c = c->next) {
    if (c->thread == rf_stop_self() && __atomic_load_n(&c->inside, __ATOMIC_RELAXED) == from) {
      __atomic_store_n(&c->inside, to, __ATOMIC_RELEASE);
    }
  }
}

bool rf_stopped_by_me(void) {
  return stopping.depth != 0 && rf_stop_self() == stopping.thread;
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
  stopping.thread = rf_stop_self();
  stopping.depth = 1;
  return true;
}

void rf_stop_finish(void) {
  if (--stopping.depth == 0) {
    stopping.thread = NULL;
    __atomic_fetch_and(&rf_stop_now.wanted, ~RF_STOP_ALL, __ATOMIC_RELEASE);
    rf_futex_unlock(&stopping.lock);
  }
}

void rf_stop_forget(void) {
  stopping.depth = 0;
  stopping.thread = NULL;
  stopping.lock.state = 0;
  rf_stop_now.wanted = 0;
}

/* ---- Having a cache ---- */

rf_cache *rf_cache_first(void) {
  return __atomic_load_n(&caches.first, __ATOMIC_ACQUIRE);
}

unsigned rf_cache_total(void) {
  return __atomic_load_n(&caches.total, __ATOMIC_ACQUIRE);
}

/* All together keep back no more than the quarantine's size: where there are many threads, frees wait for fewer bytes
 * in each. */
static void set_wait(void) {
  size_t const wait = rf_heap_options_now.wait;
  size_t const taken = rf_cache_total() - __atomic_load_n(&caches.left, __ATOMIC_RELAXED);
  size_t const share = rf_heap_options_now.quarantine / (taken != 0 ? taken : 1);
  rf_cache_wait = share < wait ? share : wait;
}

static bool make_ring(rf_cache *cache) {
  size_t places = RING_LEAST;
  while (places < rf_cache_wait / RING_BYTES && places < RING_MOST) {
    places *= 2;
  }
  cache->ring = rf_record_alloc(places * sizeof cache->ring[0]);
  cache->ring_mask = (uint32_t)places - 1;
  return cache->ring != NULL;
}

static rf_cache *make(unsigned heap) {
  rf_cache *const cache = rf_record_alloc(sizeof *cache);
  if (cache == NULL || !make_ring(cache)) {
    return NULL;
  }
  cache->taken = 1;
  cache->thread = rf_stop_self();
  cache->heap = heap;
  cache->next = rf_cache_first();
  while (!__atomic_compare_exchange_n(&caches.first, &cache->next, cache, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
  }
  if (__atomic_add_fetch(&caches.total, 1, __ATOMIC_RELEASE) == 2) {
    (void)barrier(BARRIER_REGISTER);
  }
  return cache;
}

static bool claim(rf_cache *cache) {
  uint32_t free = 0;
  if (cache->stuck ||
      !__atomic_compare_exchange_n(&cache->taken, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
    return false;
  }
  __atomic_fetch_sub(&caches.left, 1, __ATOMIC_RELAXED);
  cache->thread = rf_stop_self();
  return true;
}

rf_cache *rf_cache_take(unsigned heap) {
  rf_cache *cache = __atomic_load_n(&caches.left, __ATOMIC_RELAXED) != 0 ? rf_cache_first() : NULL;
  while (cache != NULL && !claim(cache)) {
    cache = cache->next;
  }
  set_wait();
  return cache != NULL ? cache : make(heap);
}

bool rf_cache_is_one_too_many(void) {
  return __atomic_load_n(&caches.left, __ATOMIC_RELAXED) >= LEFT_KEPT;
}

void rf_cache_leave(rf_cache *cache) {
  __atomic_fetch_add(&caches.left, 1, __ATOMIC_RELAXED);
  cache->thread = NULL;
  __atomic_store_n(&cache->inside, RF_CACHE_OUTSIDE, __ATOMIC_RELEASE);
  __atomic_store_n(&cache->taken, 0, __ATOMIC_RELEASE);
  set_wait();
}

/* Other threads do not exist here: their caches have no owner. */
void rf_cache_inherit(void) {
  uint32_t left = 0;
  for (rf_cache *c = rf_cache_first(); c != NULL; c = c->next) {
    if (c->taken != 0 && c->thread != rf_stop_self()) {
      c->thread = NULL;
      c->inside = RF_CACHE_OUTSIDE;
      c->taken = 0;
    }
    left += c->taken == 0 ? 1 : 0;
  }
  caches.left = left;
  for (unsigned i = 0; i < rf_heap_count; i++) {
    rf_heaps[i].lock.state = (rf_heaps_held >> i & 1U) != 0 ? 1 : 0;
  }
  set_wait();
}

/* ---- The process's sum of live bytes ---- */

static size_t live_sum; /* accessed atomically, as is the next */
static size_t live_peak;

void rf_cache_count_live(rf_cache *cache) {
  size_t const sum = __atomic_add_fetch(&live_sum, rf_cache_used(cache) - cache->counted, __ATOMIC_RELAXED);
  size_t peak = __atomic_load_n(&live_peak, __ATOMIC_RELAXED);
  cache->counted = rf_cache_used(cache);
  while (sum > peak && !__atomic_compare_exchange_n(&live_peak, &peak, sum, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

static void add(rf_cache_figures *sum, const rf_cache *c) {
  sum->counters.used += rf_cache_used(c);
  sum->counters.blocks += c->allocations - c->frees;
  sum->counters.allocations += c->allocations;
  sum->counters.failures += c->failures;
  sum->requested += c->requested;
  sum->waiting += c->ring_bytes;
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
