/* AWTK: the interface of its allocators. Ours are rf_allocators behind it; yours, with a vtable of your own, may stand
 * under any decorator of ours.
 *
 * Threads and interrupts: as the allocator; none unless there is a lock.
 */
#ifndef RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_H
#define RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_H

#include <ringfence/allocator.h>
#include <ringfence/awtk/tkc/types_def.h>

BEGIN_C_DECLS

struct _mem_allocator_t;
typedef struct _mem_allocator_t mem_allocator_t;

typedef void *(*mem_allocator_alloc_t)(mem_allocator_t *allocator, uint32_t size, const char *func, uint32_t line);
typedef void *(*mem_allocator_realloc_t)(mem_allocator_t *allocator, void *ptr, uint32_t size, const char *func,
                                         uint32_t line);
typedef void (*mem_allocator_free_t)(mem_allocator_t *allocator, void *ptr);
typedef ret_t (*mem_allocator_dump_t)(mem_allocator_t *allocator);
typedef ret_t (*mem_allocator_destroy_t)(mem_allocator_t *allocator);

typedef struct _mem_allocator_vtable_t {
  mem_allocator_alloc_t alloc;
  mem_allocator_realloc_t realloc;
  mem_allocator_free_t free;
  mem_allocator_dump_t dump;
  mem_allocator_destroy_t destroy;
} mem_allocator_vtable_t;

struct rf_awtk_view;

struct _mem_allocator_t {
  const mem_allocator_vtable_t *vt; /* NULL once it is destroyed */
  struct rf_awtk_view *view;        /* of ours; not looked at where the vtable is yours */
};

#define MEM_ALLOCATOR(allocator) ((mem_allocator_t *)(allocator))

/* `size` bytes, 0 allowed; NULL where there is no memory or no allocator. 0xffffffff bytes are never served: how
 * programs try their out-of-memory callback. `func` and `line` say who asked; the string must last as long as the
 * program. */
static inline void *mem_allocator_alloc(mem_allocator_t *allocator, uint32_t size, const char *func, uint32_t line) {
  return allocator != NULL && allocator->vt != NULL && allocator->vt->alloc != NULL
             ? allocator->vt->alloc(allocator, size, func, line)
             : NULL;
}

/* Resizes: NULL allocates, failure gives NULL and keeps the block. Size 0 leaves a block, as AWTK's heaps do; over std
 * it frees and gives NULL, as realloc does. */
static inline void *mem_allocator_realloc(mem_allocator_t *allocator, void *ptr, uint32_t size, const char *func,
                                          uint32_t line) {
  return allocator != NULL && allocator->vt != NULL && allocator->vt->realloc != NULL
             ? allocator->vt->realloc(allocator, ptr, size, func, line)
             : NULL;
}

/* Gives a block back. NULL does nothing; what is no live block is refused and reported (fault.h). */
static inline void mem_allocator_free(mem_allocator_t *allocator, void *ptr) {
  if (allocator != NULL && allocator->vt != NULL && allocator->vt->free != NULL) {
    allocator->vt->free(allocator, ptr);
  }
}

/* Prints figures, a histogram of sizes and a map, for debug each live block too, to rf_awtk_output. RET_OK;
 * RET_BAD_PARAMS for no allocator. */
static inline ret_t mem_allocator_dump(mem_allocator_t *allocator) {
  return allocator != NULL && allocator->vt != NULL && allocator->vt->dump != NULL ? allocator->vt->dump(allocator)
                                                                                   : RET_BAD_PARAMS;
}

/* Ends the allocator and then what it wraps, down to the heap; blocks still live are gone. RET_OK; RET_BAD_PARAMS for
 * no allocator, or one that has ended. */
static inline ret_t mem_allocator_destroy(mem_allocator_t *allocator) {
  return allocator != NULL && allocator->vt != NULL && allocator->vt->destroy != NULL
             ? allocator->vt->destroy(allocator)
             : RET_BAD_PARAMS;
}

#define MEM_ALLOCATOR_ALLOC(allocator, size) mem_allocator_alloc((allocator), (size), __func__, __LINE__)
#define MEM_ALLOCATOR_REALLOC(allocator, ptr, size)                                                                    \
  mem_allocator_realloc((allocator), (ptr), (size), __func__, __LINE__)
#define MEM_ALLOCATOR_FREE(allocator, ptr) mem_allocator_free((allocator), (ptr))

/* ---- Additions ---- */

/* One of ours as an rf_allocator, for rf_check, rf_walk, rf_stats_get or a checker around it; NULL for one of yours. */
rf_allocator *rf_awtk_allocator(mem_allocator_t *allocator);

/* Sets the sink of dumps and lists of leaks, which stays the caller's; NULL: the port's log. */
void rf_awtk_output(const rf_sink *sink);

/* How an allocator of ours is seen as an rf_allocator, by decorators above it. Its fields are the library's own. */
typedef struct rf_awtk_view {
  rf_allocator base;
  rf_allocator *calls;                    /* the work is done there */
  mem_allocator_t *self;                  /* whose view this is */
  mem_allocator_t *impl;                  /* what it wraps; NULL: a heap */
  void (*publish)(mem_allocator_t *self); /* brings the fields that AWTK shows up to date; NULL: none */
  const rf_counters *counters;            /* of the work; NULL: only its statistics tell */
  bool brief;                             /* statistics are the counters, for a pool that asks at each call */
  void (*at_end)(mem_allocator_t *self);  /* called before it ends; NULL: nothing */
  bool zero_frees;                        /* a realloc to 0 bytes is a free */
} rf_awtk_view;

/* Every block of an rf_allocator, or of a mem_allocator_t of yours, in a list: see ledger.c. The library's own. */
typedef struct rf_awtk_ledger {
  rf_allocator base;
  rf_allocator *inner;         /* either this */
  mem_allocator_t *impl;       /* or this is below */
  struct rf_awtk_entry *first; /* the newest block */
  rf_counters counters;
} rf_awtk_ledger;

/* Any rf_allocator, a checker for example, as an AWTK allocator. The caller's storage. */
typedef struct rf_awtk_mem_allocator {
  mem_allocator_t allocator;
  rf_awtk_view view;
} rf_awtk_mem_allocator;

/* Destroying it ends `allocator` by rf_deinit. NULL for NULL. */
mem_allocator_t *rf_awtk_mem_allocator_init(rf_awtk_mem_allocator *self, rf_allocator *allocator);

END_C_DECLS

#endif /* RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_H */
