/* Adapters: what memblocks, blockgroup and handles have in common as an rf_allocator. An adapter verifies its record
 * and the target's, locks, counts and reports; the target finds, allocates and frees. Private to lib. */
#ifndef RINGFENCE_CORE_ADAPTER_H
#define RINGFENCE_CORE_ADAPTER_H

#include "lib/core/verdict.h"
#include <ringfence/adapter.h>
#include <ringfence/port.h>

/* A live block. */
typedef struct rf_adapter_block {
  void *ptr;
  size_t size;  /* requested */
  size_t room;  /* usable */
  size_t index; /* the target's own name for it, */
  void *pool;   /* and the part of the target that it lies in */
} rf_adapter_block;

/* Filled in by a target. All calls but intact and mutex come with both records verified, and under the mutex. */
typedef struct rf_adapter_ops {
  rf_allocator_ops base; /* RF_ADAPTER_BASE(name) */

  /* Whether the records of the target are undamaged: nothing in them was followed yet. */
  bool (*intact)(const rf_adapter *a);

  /* Optional: NULL. The mutex around each call; NULL: none. */
  rf_mutex *(*mutex)(const rf_adapter *a);

  /* RF_OK, RF_ERR_NO_MEMORY, or RF_ERR_CORRUPT with the place in out->ptr, which is then reported. */
  rf_status (*alloc)(rf_adapter *a, size_t size, size_t align, rf_adapter_block *out, const rf_site *site);
  /* The live block that starts at `ptr`. */
  rf_verdict (*find)(rf_adapter *a, const void *ptr, rf_adapter_block *out);
  rf_verdict (*free)(rf_adapter *a, const rf_adapter_block *block);
  /* In place: RF_OK, RF_ERR_NO_MEMORY, RF_ERR_CORRUPT. */
  rf_status (*resize)(rf_adapter *a, const rf_adapter_block *block, size_t size);
  /* Tells the tracker that all of the block's room may be used. */
  void (*reveal)(const rf_adapter *a, const rf_adapter_block *block);

  bool (*owns)(const rf_adapter *a, const void *ptr);
  rf_status (*walk)(rf_adapter *a, rf_walk_fn visit, void *context);
  /* The first contradiction in target and table, and where; NULL: none. */
  const char *(*damage)(rf_adapter *a, const void **at);
  /* Fills capacity, free_bytes and largest_free. */
  void (*stats)(rf_adapter *a, rf_stats *out);
  void (*deinit)(rf_adapter *a);

  /* Optional. Called without the mutex. */
  void (*on_alloc)(rf_adapter *a, const rf_adapter_block *block);
  void (*on_free)(rf_adapter *a, const rf_adapter_block *block);
} rf_adapter_ops;

#define RF_ADAPTER_BASE(title)                                                                                         \
  {                                                                                                                    \
    .name = (title), .alloc = rf_adapter_alloc, .free = rf_adapter_free, .resize = rf_adapter_resize,                  \
    .usable_size = rf_adapter_usable_size, .owns = rf_adapter_owns, .walk = rf_adapter_walk,                           \
    .check = rf_adapter_check, .stats = rf_adapter_stats, .deinit = rf_adapter_deinit, .counters = rf_adapter_counters \
  }

void *rf_adapter_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site);
rf_status rf_adapter_free(rf_allocator *self, void *ptr, const rf_site *site);
rf_status rf_adapter_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site);
size_t rf_adapter_usable_size(rf_allocator *self, const void *ptr);
bool rf_adapter_owns(rf_allocator *self, const void *ptr);
rf_status rf_adapter_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_adapter_check(rf_allocator *self, rf_fault *where);
void rf_adapter_stats(rf_allocator *self, rf_stats *out);
void rf_adapter_deinit(rf_allocator *self);
void rf_adapter_counters(rf_allocator *self, rf_counters *out);

/* Makes an adapter; `sizes` is the target's to clear. */
void rf_adapter_init(rf_adapter *a, const rf_adapter_ops *ops, void *target, size_t *sizes);

#endif /* RINGFENCE_CORE_ADAPTER_H */
