/* Watching: pools of equal blocks tell a checker, if there is one, of every block that is taken and given back.
 *
 * A heap is wrapped by its checker, which sees each call. The calls of a pool (rf_mempool_alloc, sys_mem_blocks_free)
 * are its own and cannot be wrapped; so the pool tells. The checker fills blocks that are free, and finds what was
 * written to them.
 *
 *     static rf_watched_pool view_of(const my_pool *p);
 *     RF_WATCH_TELL(alloc, view_of(p), block, 1, site, RF_WATCH_CALLER);     under the pool's lock
 *
 * Cost: without a checker one load and one branch per call. RF_WATCH=0 compiles the calls to nothing: the default for
 * freestanding code, and where AddressSanitizer or Valgrind are told instead (track.h).
 * Threads: calls on one pool are ordered by its lock.
 */
#ifndef RINGFENCE_WATCH_H
#define RINGFENCE_WATCH_H

#include <ringfence/site.h>
#include <ringfence/track.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef RF_WATCH
#define RF_WATCH (__STDC_HOSTED__ && !RF_TRACK)
#endif

/* A pool, as it tells of itself with each call. */
typedef struct rf_watched_pool {
  const void *pool;     /* its record, by which it is known */
  const char *name;     /* "mempool": a static string */
  unsigned char *start; /* block 0 */
  size_t stride;        /* from one block to the next */
  size_t block_size;
  size_t num_blocks;
  size_t links;   /* bytes at the start of a free block that the pool itself writes */
  bool may_claim; /* a block that was never out may hold what its owner is to claim: its zeros stay zeros */
} rf_watched_pool;

/* `count` blocks in a row from `first` on; `caller` is a return address into the program. */
typedef void (*rf_watch_fn)(const rf_watched_pool *pool, void *first, size_t count, const rf_site *site,
                            const void *caller);

typedef struct rf_watcher {
  /* A pool begins, maybe where another one was: by a call, or by the first use of one that is initialised statically.
   * These and `end`, when the memory is the caller's again: first NULL, count 0. */
  rf_watch_fn begin;
  rf_watch_fn begin_static;
  rf_watch_fn end;
  rf_watch_fn alloc; /* taken, but not the program's yet, and the pool's own words as they were while it was free */
  rf_watch_fn claim; /* taken with what is in them */
  rf_watch_fn free;  /* given back, the pool's own words written, and not to be taken yet */
} rf_watcher;

/* Accessed atomically; NULL: nobody watches. */
extern const rf_watcher *rf_watcher_of_process;

/* The address to which the calling function returns. */
#define RF_WATCH_CALLER __builtin_return_address(0)

/* Calls `event` of the watcher, and evaluates the arguments, only where there is one. */
#if RF_WATCH
#define RF_WATCH_TELL(event, view, first, count, site, caller)                                                         \
  do {                                                                                                                 \
    const rf_watcher *const watcher_ = __atomic_load_n(&rf_watcher_of_process, __ATOMIC_ACQUIRE);                      \
    if (__builtin_expect(watcher_ != NULL, 0)) {                                                                       \
      rf_watched_pool const view_ = (view);                                                                            \
      watcher_->event(&view_, (first), (count), (site), (caller));                                                     \
    }                                                                                                                  \
  } while (false)
#else
#define RF_WATCH_TELL(event, view, first, count, site, caller)                                                         \
  do {                                                                                                                 \
    if (false) {                                                                                                       \
      (void)(view);                                                                                                    \
      (void)(site);                                                                                                    \
      (void)(caller);                                                                                                  \
    }                                                                                                                  \
  } while (false)
#endif

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_WATCH_H */
