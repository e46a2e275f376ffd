/* rf_allocator: the one interface. Every heap, block pool, decorator and checker is one, and takes one.
 *
 *     static unsigned char arena[64 * 1024];
 *     rf_tlsf heap;
 *     rf_tlsf_init(&heap, arena, sizeof arena);
 *     char *p = rf_alloc(&heap.base, 13);
 *     rf_free(&heap.base, p);
 *
 * Callers own all storage: the struct, the arena. There is no hidden malloc, and no state of the process but what a
 * program or a checker installs: the handler of faults (fault.h), who hears of pools (watch.h).
 *
 * Promises of every allocator, tested by the conformance suite:
 *  - alloc(0) gives a block that must be freed, of as many bytes as rf_usable_size says, which may be 0 and under guard
 *    is; free(NULL) does nothing;
 *  - realloc(NULL, n) allocates; realloc(p, 0) frees and gives NULL; a realloc that fails leaves the old block intact;
 *  - sizes above RF_SIZE_LIMIT, n * size that wraps, an alignment that is no power of two: NULL, and nothing changed;
 *  - payloads are aligned to RF_ALIGN_DEFAULT unless the caller asks for less or more;
 *  - a foreign, interior, misaligned or repeated free is refused and reported (fault.h), never obeyed;
 *  - a failed operation changes no statistic but `failures` (well-formed requests answered with NULL) and, where memory
 *    was kept back and is given back for a second try (the quarantine of checkers), what is free and overhead.
 *
 * Threads and interrupts: an allocator is single-threaded unless its header says otherwise; rf_lock makes any of them
 * shared.
 */
#ifndef RINGFENCE_ALLOCATOR_H
#define RINGFENCE_ALLOCATOR_H

#include <ringfence/fault.h>
#include <ringfence/layout.h>
#include <ringfence/site.h>
#include <ringfence/stats.h>
#include <ringfence/status.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_allocator rf_allocator;

/* One block met on a walk. */
typedef struct rf_block {
  void *ptr;           /* start of the payload */
  size_t size;         /* used: requested bytes; free: bytes that could be requested here */
  size_t overhead;     /* bytes of the arena that the block takes beyond `size` */
  bool used;           /* false: free */
  const rf_site *site; /* where it was allocated, in checked builds; else NULL */
} rf_block;

/* Called for each block of a walk; false ends the walk. Must not call the allocator that is walked. */
typedef bool (*rf_walk_fn)(const rf_block *block, void *context);

/* Why the helpers rejected a request without calling the allocator. */
typedef enum rf_reject {
  RF_REJECT_SIZE,     /* a size above RF_SIZE_LIMIT: negative, or near the wrap */
  RF_REJECT_OVERFLOW, /* count * size wraps */
  RF_REJECT_ALIGN,    /* an alignment that is no power of two */
} rf_reject;

/* The operations of an implementation. The helpers below check arguments before they call an operation: `self` and
 * `ptr` are not NULL, `align` is a power of two, realloc's and resize's `size` is not 0, no size exceeds RF_SIZE_LIMIT.
 * Operations marked optional may be NULL. */
typedef struct rf_allocator_ops {
  const char *name; /* "tlsf": a static string */

  /* `size` bytes (0 allowed) at a multiple of `align`, or NULL. */
  void *(*alloc)(rf_allocator *self, size_t size, size_t align, const rf_site *site);

  /* Gives `ptr` back, or refuses it: RF_ERR_BAD_POINTER, RF_ERR_NOT_ALLOCATED, RF_ERR_CORRUPT, by rf_fault_refuse. */
  rf_status (*free)(rf_allocator *self, void *ptr, const rf_site *site);

  /* Optional; the helper answers with resize, then alloc + copy + free, for which usable_size must be there. As C's
   * realloc, the result aligned to `align`; NULL leaves the old block as it was. A bad `ptr` is refused as free refuses
   * it, and gives NULL. */
  void *(*realloc)(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site);

  /* Optional: never in place. Grows or shrinks without moving: RF_OK, or RF_ERR_NO_MEMORY with the block unchanged, or
   * as free for a bad `ptr`. A failed resize does not count as a failure in stats. */
  rf_status (*resize)(rf_allocator *self, void *ptr, size_t size, const rf_site *site);

  /* Optional: 0. Bytes that the owner of `ptr` may use, at least the requested size; 0 where `ptr` is no live block.
   * realloc keeps all of them. */
  size_t (*usable_size)(rf_allocator *self, const void *ptr);

  /* Optional: unknown, false. True where `ptr` lies in memory that this allocator manages, used or not. */
  bool (*owns)(rf_allocator *self, const void *ptr);

  /* Optional: RF_ERR_UNSUPPORTED. Every block, used and free, in address order (region by region). RF_ERR_CORRUPT where
   * damage ends it; raises no fault. */
  rf_status (*walk)(rf_allocator *self, rf_walk_fn visit, void *context);

  /* Optional: RF_OK. Full integrity pass over everything the allocator relies on. RF_OK or RF_ERR_CORRUPT with *where
   * filled (never NULL here). Raises no fault, never crashes or loops on any damage. */
  rf_status (*check)(rf_allocator *self, rf_fault *where);

  /* Fills all of *out. */
  void (*stats)(rf_allocator *self, rf_stats *out);

  /* Optional. Called for each request that the helpers rejected, for checkers to report; decorators pass it on to the
   * inner allocator. `detail` is the count or the alignment. The request gives NULL whatever this does. */
  void (*reject)(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site);

  /* Optional: none. The allocator that a decorator or checker wraps. */
  rf_allocator *(*inner)(rf_allocator *self);

  /* Optional: nothing to do. Ends the allocator (not the one it wraps); a second call does nothing. */
  void (*deinit)(rf_allocator *self);

  /* Optional: taken from stats. Only the fields of rf_counters, for heaps whose stats visits each free block. */
  void (*counters)(rf_allocator *self, rf_counters *out);
} rf_allocator_ops;

/* Embedded first in each concrete type, so that &heap.base converts both ways. */
struct rf_allocator {
  const rf_allocator_ops *ops;
};

/* ---- The calls a program makes. In a checked build each records its call site; the code is the same in both, C++
 * before C++20 that names a call in decltype, sizeof or noexcept apart (site.h). A C function that calls them
 * and is inline is static inline, too, as rf_alloc_at is: clang warns of others (-Wstatic-in-inline). ---- */

/* `size` bytes aligned to RF_ALIGN_DEFAULT, contents indeterminate; NULL where the allocator cannot. The caller owns
 * the block until rf_free. */
#define rf_alloc(allocator, size) rf_alloc_at((allocator), (size), RF_ALIGN_DEFAULT, RF_HERE)

/* `size` bytes at a multiple of `align`, a power of two; size need not be a multiple of it. Freed by rf_free. */
#define rf_aligned_alloc(allocator, align, size) rf_alloc_at((allocator), (size), (align), RF_HERE)

/* `count` * `size` zeroed bytes; NULL also where the product wraps. */
#define rf_calloc(allocator, count, size) rf_calloc_at((allocator), (count), (size), RF_HERE)

/* Resizes as C's realloc does: NULL `ptr` allocates, size 0 frees and gives NULL, failure gives NULL and keeps `ptr`.
 * The result is aligned to RF_ALIGN_DEFAULT. */
#define rf_realloc(allocator, ptr, size) rf_realloc_at((allocator), (ptr), (size), RF_ALIGN_DEFAULT, RF_HERE)

/* Resizes without moving. RF_OK; RF_ERR_NO_MEMORY, RF_ERR_INVALID (size 0 or too large, NULL `ptr`) or
 * RF_ERR_UNSUPPORTED leave the block as it was. A `ptr` that is no live block is refused as by rf_free. */
#define rf_resize(allocator, ptr, size) rf_resize_at((allocator), (ptr), (size), RF_HERE)

/* Gives `ptr` back. NULL does nothing. RF_OK, or the fault for which it was refused, after the fault handler ran. */
#define rf_free(allocator, ptr) rf_free_at((allocator), (ptr), RF_HERE)

/* A copy of the NUL-terminated `text` in a new block; NULL where there is no memory. */
#define rf_strdup(allocator, text) rf_strdup_at((allocator), (text), RF_HERE)

/* Bytes the owner of `ptr` may use; 0 for NULL and for what is not a live block. */
size_t rf_usable_size(rf_allocator *allocator, const void *ptr);

/* True where `ptr` lies in memory that the allocator manages; false for NULL and where it cannot tell. */
bool rf_owns(rf_allocator *allocator, const void *ptr);

/* Visits every block, used and free, in address order. RF_OK also where the visitor ended it; RF_ERR_UNSUPPORTED;
 * RF_ERR_CORRUPT where damage ended it. */
rf_status rf_walk(rf_allocator *allocator, rf_walk_fn visit, void *context);

/* Full integrity pass, down through decorators. RF_OK, or RF_ERR_CORRUPT with *where (NULL allowed) filled. Raises no
 * fault: the caller may. */
rf_status rf_check(rf_allocator *allocator, rf_fault *where);

/* A snapshot of the statistics, all of *out filled. */
void rf_stats_get(rf_allocator *allocator, rf_stats *out);

/* The statistics that are counted at each call: O(1) on our allocators. Fills all of *out. */
void rf_counters_get(rf_allocator *allocator, rf_counters *out);

/* The allocator under a decorator or checker; NULL under a heap. */
rf_allocator *rf_inner(rf_allocator *allocator);

/* Ends `allocator` and then what it wraps, down to the heap. Storage stays the caller's. Blocks still live are gone. */
void rf_deinit(rf_allocator *allocator);

/* ---- The same with the call site as an argument: for wrappers that pass their own caller's site on. ---- */

void *rf_calloc_at(rf_allocator *allocator, size_t count, size_t size, const rf_site *site);
void *rf_realloc_at(rf_allocator *allocator, void *ptr, size_t size, size_t align, const rf_site *site);
rf_status rf_resize_at(rf_allocator *allocator, void *ptr, size_t size, const rf_site *site);
char *rf_strdup_at(rf_allocator *allocator, const char *text, const rf_site *site);

/* alloc + copy + free, for allocators whose realloc cannot do better at this moment: what rf_realloc_at does where
 * `realloc` is NULL and resize did not succeed. `old_size` is how many bytes of `ptr` to keep at most. */
void *rf_realloc_move(rf_allocator *allocator, void *ptr, size_t old_size, size_t size, size_t align,
                      const rf_site *site);

/* Passes a rejected request to the allocator's `reject`; always NULL. For wrappers that check arguments themselves.
 */
void *rf_reject_at(rf_allocator *allocator, rf_reject why, size_t size, size_t detail, const rf_site *site);

static inline void *rf_alloc_at(rf_allocator *allocator, size_t size, size_t align, const rf_site *site) {
  if (size > RF_SIZE_LIMIT) {
    return rf_reject_at(allocator, RF_REJECT_SIZE, size, align, site);
  }
  if (!rf_is_pow2(align)) {
    return rf_reject_at(allocator, RF_REJECT_ALIGN, size, align, site);
  }
  return allocator->ops->alloc(allocator, size, align, site);
}

static inline rf_status rf_free_at(rf_allocator *allocator, void *ptr, const rf_site *site) {
  return ptr == RF_NULL ? RF_OK : allocator->ops->free(allocator, ptr, site);
}

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ALLOCATOR_H */
