/* rf_handles: the interface of heaps whose blocks are known by handle, so that the heap may move them.
 *
 *     rf_handles *const h = &heap.base;               a heap (handle.h), or a checker around one (handle_guard.h)
 *     rf_handle const text = rf_handle_alloc(h, 100);
 *     char *p = rf_handle_lock(h, text);              stays where it is from here …
 *     strcpy(p, "hello");
 *     rf_handle_unlock(h, text);                      … to here
 *     rf_handle_free(h, text);
 *
 * It is to handles what rf_allocator is to pointers: programs call the helpers below, checkers wrap one and are one,
 * and in a checked build each call carries its call site.
 *
 * Promises of every implementation:
 *  - handle 0 is no block: its address is NULL, freeing it does nothing;
 *  - the address of a block holds while it is locked, else until the next call that allocates, resizes or compacts;
 *  - a size of 0 and sizes above RF_SIZE_LIMIT (negative ones among them) give handle 0;
 *  - a handle that was freed, or never was one, is refused and reported (fault.h), never obeyed; so is an unlock of
 *    what is not locked, and a free of what is (RF_ERR_BUSY);
 *  - a failed operation leaves every block as it was.
 *
 * Threads and interrupts: single-threaded, as rf_allocator.
 */
#ifndef RINGFENCE_HANDLES_H
#define RINGFENCE_HANDLES_H

#include <ringfence/fault.h>
#include <ringfence/layout.h>
#include <ringfence/site.h>
#include <ringfence/stats.h>
#include <ringfence/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A block's name: its place in the table of blocks in the low 16 bits, above these a generation of 15 bits that counts
 * how often that place was freed. Always positive as an int32_t. A fresh heap hands out 1, 2, 3, … */
typedef uint32_t rf_handle;

#define RF_HANDLE_NULL RF_CAST(rf_handle, 0)

/* How alloc is to go about it; a set of them. */
enum {
  RF_HANDLE_NO_ZERO = 1, /* contents are indeterminate, not zero */
  RF_HANDLE_TRY = 2,     /* nobody is asked to free memory, and a failure does not count: for checkers */
  RF_HANDLE_STAY = 4     /* no block moves */
};

/* One block, or one stretch of free memory, met on a walk. */
typedef struct rf_handle_block {
  rf_handle handle;    /* RF_HANDLE_NULL: free */
  void *ptr;           /* where it is now */
  size_t size;         /* used: requested bytes; free: bytes */
  size_t overhead;     /* bytes that the block takes beyond `size` */
  unsigned locks;      /* how often it is locked */
  const rf_site *site; /* where it was allocated, in checked builds; else NULL */
} rf_handle_block;

/* Called for each block of a walk; false ends the walk. Must not call the heap that is walked. */
typedef bool (*rf_handle_walk_fn)(const rf_handle_block *block, void *context);

/* A snapshot. Bytes count as they are taken from the arena, that is with rounding; those that were asked for are in
 * `stats`. */
typedef struct rf_handle_usage {
  size_t used_bytes;
  size_t free_bytes; /* each of them can be had, in one block or in several; 0 where no handle is left to name it by */
  size_t peak_bytes; /* highest used_bytes ever */
  size_t min_free_bytes;
  size_t used_blocks;
  size_t free_blocks; /* handles left */
  size_t peak_blocks;
  size_t min_free_blocks;
  size_t largest;     /* the largest block that can be had now, after compaction where that helps */
  size_t locked;      /* blocks that are locked */
  size_t compactions; /* calls that slid blocks together */
  size_t moved_bytes; /* by all of these, and by reallocs to a hole elsewhere */
  rf_stats stats;     /* as of an rf_allocator; `overhead` has the table where that is in the arena */
} rf_handle_usage;

typedef struct rf_handles rf_handles;

/* The operations of an implementation, none of them NULL. `handle` is never RF_HANDLE_NULL. */
typedef struct rf_handles_ops {
  const char *name; /* "handle": a static string */
  rf_handle (*alloc)(rf_handles *self, size_t size, unsigned flags, const rf_site *site);
  rf_status (*free)(rf_handles *self, rf_handle handle, const rf_site *site);
  rf_status (*resize)(rf_handles *self, rf_handle handle, size_t size, const rf_site *site);
  void *(*address)(rf_handles *self, rf_handle handle, const rf_site *site);
  void *(*lock)(rf_handles *self, rf_handle handle, const rf_site *site);
  rf_status (*unlock)(rf_handles *self, rf_handle handle, const rf_site *site);
  size_t (*size)(rf_handles *self, rf_handle handle, const rf_site *site);
  rf_handle (*find)(rf_handles *self, const void *ptr);
  size_t (*compact)(rf_handles *self, size_t most, const rf_site *site);
  rf_status (*swap)(rf_handles *self, rf_handle one, rf_handle other);
  rf_status (*walk)(rf_handles *self, rf_handle_walk_fn visit, void *context);
  rf_status (*check)(rf_handles *self, rf_fault *where);
  void (*usage)(rf_handles *self, rf_handle_usage *out);
  size_t (*align)(const rf_handles *self);
  rf_handles *(*inner)(rf_handles *self);
  void (*deinit)(rf_handles *self);
} rf_handles_ops;

/* Embedded first in each concrete type. */
struct rf_handles {
  const rf_handles_ops *ops;
};

/* ---- The calls a program makes ---- */

/* A new zeroed block of `size` bytes; RF_HANDLE_NULL for size 0, sizes above RF_SIZE_LIMIT, and where there is no
 * memory or no handle, even after compaction. */
#define rf_handle_alloc(handles, size) rf_handle_alloc_at((handles), (size), 0, RF_HERE)

/* The same, its contents indeterminate. */
#define rf_handle_alloc_raw(handles, size) rf_handle_alloc_at((handles), (size), RF_HANDLE_NO_ZERO, RF_HERE)

/* Gives a block back. RF_OK, also for RF_HANDLE_NULL; RF_ERR_NOT_ALLOCATED: freed before; RF_ERR_INVALID: never was a
 * handle; RF_ERR_BUSY: locked. Refusals are reported. */
#define rf_handle_free(handles, handle) rf_handle_free_at((handles), (handle), RF_HERE)

/* The same, and *handle becomes RF_HANDLE_NULL where the block is gone. */
#define rf_handle_free_ptr(handles, handle) rf_handle_free_ptr_at((handles), (handle), RF_HERE)

/* Gives the block another size, its handle and the contents up to the smaller size kept, what is new zeroed. It may
 * move unless it is locked. RF_OK; RF_ERR_NO_MEMORY, or RF_ERR_BUSY where it is locked and cannot grow where it is (not
 * reported); RF_ERR_INVALID for sizes that alloc refuses; bad handles as rf_handle_free, RF_HANDLE_NULL
 * RF_ERR_INVALID. */
#define rf_handle_realloc(handles, handle, size) rf_handle_realloc_at((handles), (handle), (size), RF_HERE)

/* The block's address; NULL for RF_HANDLE_NULL and a handle that is refused. Good until the next call that allocates,
 * resizes or compacts. */
#define rf_handle_address(handles, handle) rf_handle_address_at((handles), (handle), RF_HERE)

/* The same, and the block stays there until it is unlocked as often as it was locked (at most RF_HANDLE_MOST_LOCKS
 * times: then NULL, reported). */
#define rf_handle_lock(handles, handle) rf_handle_lock_at((handles), (handle), RF_HERE)

/* Takes one lock back. RF_OK; RF_ERR_INVALID where the block is not locked, reported; bad handles as rf_handle_free. */
#define rf_handle_unlock(handles, handle) rf_handle_unlock_at((handles), (handle), RF_HERE)

#define RF_HANDLE_MOST_LOCKS 254U

/* The bytes that were asked for; 0 for RF_HANDLE_NULL and what is refused. */
#define rf_handle_size(handles, handle) rf_handle_size_at((handles), (handle), RF_HERE)

/* Slides blocks that are not locked down into the holes below them, moving `most` bytes at most: larger blocks stay
 * where they are, as if locked. SIZE_MAX: all. Returns how many bytes were moved; 0: nothing is left to do within the
 * bound. */
#define rf_handle_compact(handles, most) rf_handle_compact_at((handles), (most), RF_HERE)

/* The handle of the block that starts at `ptr`; RF_HANDLE_NULL where none does. */
static inline rf_handle rf_handle_find(rf_handles *handles, const void *ptr) {
  return ptr != RF_NULL ? handles->ops->find(handles, ptr) : RF_HANDLE_NULL;
}

/* The two handles trade their blocks. RF_OK; bad handles, reported, as rf_handle_free. */
static inline rf_status rf_handle_swap(rf_handles *handles, rf_handle one, rf_handle other) {
  return handles->ops->swap(handles, one, other);
}

/* Visits every block and every hole in address order. RF_OK also where the visitor ended it; RF_ERR_CORRUPT where
 * damage did. */
static inline rf_status rf_handle_walk(rf_handles *handles, rf_handle_walk_fn visit, void *context) {
  return handles->ops->walk(handles, visit, context);
}

/* Full integrity pass. RF_OK, or RF_ERR_CORRUPT with *where (NULL allowed) filled. Reports to nobody. */
static inline rf_status rf_handle_check(rf_handles *handles, rf_fault *where) {
  rf_fault unwanted;
  return handles->ops->check(handles, where != RF_NULL ? where : &unwanted);
}

/* A snapshot, all of *out filled. */
static inline void rf_handle_usage_get(rf_handles *handles, rf_handle_usage *out) {
  handles->ops->usage(handles, out);
}

/* The alignment of every block, in bytes. */
static inline size_t rf_handle_align(const rf_handles *handles) {
  return handles->ops->align(handles);
}

/* Ends `handles` and what it wraps, down to the heap. Storage stays the caller's; every later call fails. Blocks still
 * live are gone. A second call does nothing. */
static inline void rf_handle_deinit(rf_handles *handles) {
  while (handles != RF_NULL) {
    rf_handles *const inner = handles->ops->inner(handles);
    handles->ops->deinit(handles);
    handles = inner;
  }
}

/* ---- The same with the call site as an argument ---- */

static inline rf_handle rf_handle_alloc_at(rf_handles *handles, size_t size, unsigned flags, const rf_site *site) {
  return handles->ops->alloc(handles, size, flags, site);
}

static inline rf_status rf_handle_free_at(rf_handles *handles, rf_handle handle, const rf_site *site) {
  return handle != RF_HANDLE_NULL ? handles->ops->free(handles, handle, site) : RF_OK;
}

static inline rf_status rf_handle_free_ptr_at(rf_handles *handles, rf_handle *handle, const rf_site *site) {
  rf_status const status = rf_handle_free_at(handles, *handle, site);
  if (status == RF_OK) {
    *handle = RF_HANDLE_NULL;
  }
  return status;
}

static inline rf_status rf_handle_realloc_at(rf_handles *handles, rf_handle handle, size_t size, const rf_site *site) {
  return handle != RF_HANDLE_NULL ? handles->ops->resize(handles, handle, size, site) : RF_ERR_INVALID;
}

static inline void *rf_handle_address_at(rf_handles *handles, rf_handle handle, const rf_site *site) {
  return handle != RF_HANDLE_NULL ? handles->ops->address(handles, handle, site) : RF_NULL;
}

static inline void *rf_handle_lock_at(rf_handles *handles, rf_handle handle, const rf_site *site) {
  return handle != RF_HANDLE_NULL ? handles->ops->lock(handles, handle, site) : RF_NULL;
}

static inline rf_status rf_handle_unlock_at(rf_handles *handles, rf_handle handle, const rf_site *site) {
  return handle != RF_HANDLE_NULL ? handles->ops->unlock(handles, handle, site) : RF_OK;
}

static inline size_t rf_handle_size_at(rf_handles *handles, rf_handle handle, const rf_site *site) {
  return handle != RF_HANDLE_NULL ? handles->ops->size(handles, handle, site) : 0;
}

static inline size_t rf_handle_compact_at(rf_handles *handles, size_t most, const rf_site *site) {
  return handles->ops->compact(handles, most, site);
}

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_HANDLES_H */
