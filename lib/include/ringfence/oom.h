/* oom: when the allocator below is out of memory, asks the program to give some back, and tries again.
 *
 * Source: AWTK's mem_allocator_oom. A request that the inner allocator answers with NULL calls the registered callbacks
 * (context, attempt, bytes needed), oldest first; where at least one says that it freed something the request is tried
 * again, up to the limit of attempts. When all refuse, or the limit is reached, the answer is NULL.
 *
 * Overhead: none per block. Complexity: that of the inner allocator; callbacks cost only on failure. Alignment: the
 * inner allocator's.
 *
 * Threads: as safe as the inner allocator. Put it outside the lock (program -> oom -> lock -> heap): callbacks then run
 * with the lock free and may use the heap; several threads may be in callbacks at once. Interrupts: as the inner
 * allocator, and the callbacks must be fit for it.
 *
 * Re-entry: a callback may allocate and free through this very allocator. A request that fails inside a callback is
 * answered with NULL at once, without calling callbacks again.
 *
 * Returns NULL iff the inner allocator does so and no retry succeeded, or the request comes from within a callback of
 * the same thread. A realloc is tried again only while the inner allocator still knows the old block.
 */
#ifndef RINGFENCE_OOM_H
#define RINGFENCE_OOM_H

#include <ringfence/allocator.h>
#include <ringfence/port.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Asked to free memory. `attempt` counts 1, 2, … within one request; `needed` is the request's size in bytes. True:
 * some memory was given back, try again. False: nothing left to give. */
typedef bool (*rf_oom_fn)(void *context, unsigned attempt, size_t needed);

/* A registration. Storage is the caller's and must last until it is removed or the decorator ends. */
typedef struct rf_oom_callback {
  rf_oom_fn fn;
  void *context;
  struct rf_oom_callback *next;
} rf_oom_callback;

struct rf_oom_rescue;

typedef struct rf_oom {
  rf_allocator base;
  rf_allocator *inner;
  rf_oom_callback *callbacks;    /* oldest first */
  struct rf_oom_rescue *rescues; /* requests that are in callbacks now, one per thread */
  rf_mutex mutex;                /* guards the two lists and the counts, never held while a callback runs */
  unsigned attempts;             /* limit per request */
  size_t rescued;
  size_t given_up;
  size_t failures; /* requests answered with NULL; those that inner failed on the way do not count */
  bool ready;
} rf_oom;

/* Attempts per request unless told otherwise. */
#define RF_OOM_ATTEMPTS 3

/* Wraps `inner`, which must outlive the decorator. `attempts` limits the retries per request; 0 takes RF_OOM_ATTEMPTS.
 * RF_OK; RF_ERR_INVALID for NULL arguments; RF_ERR_NO_MEMORY where the system refuses a mutex. Then use &oom->base. */
rf_status rf_oom_init(rf_oom *oom, rf_allocator *inner, unsigned attempts);

/* Registers `fn` with its context, in `callback`'s storage. RF_OK; RF_ERR_INVALID for NULL; RF_ERR_BUSY where this
 * storage is registered already. From threads, and from within callbacks; not from interrupts on hosted systems. */
rf_status rf_oom_add(rf_oom *oom, rf_oom_callback *callback, rf_oom_fn fn, void *context);

/* Takes a registration back. RF_OK, or RF_ERR_INVALID where it is not registered. A callback may remove itself; another
 * thread may still be inside it when this returns. */
rf_status rf_oom_remove(rf_oom *oom, rf_oom_callback *callback);

typedef struct rf_oom_stats {
  size_t rescued;  /* requests that succeeded after at least one retry */
  size_t given_up; /* requests that still failed */
} rf_oom_stats;

/* Copies the counts to *out. From threads. */
void rf_oom_stats_get(rf_oom *oom, rf_oom_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_OOM_H */
