/* adapter: the record of an rf_allocator that serves requests from pools or handles. rf_memblocks_allocator,
 * rf_blockgroup_allocator and rf_handle_allocator are such adapters. */
#ifndef RINGFENCE_ADAPTER_H
#define RINGFENCE_ADAPTER_H

#include <ringfence/allocator.h>

/* The caller's storage, its fields the adapter's own. */
typedef struct rf_adapter {
  rf_allocator base;
  void *target; /* what it serves from */
  size_t
      *sizes; /* [i]: 1 + requested size of the allocation that starts at block i, 0: none does; NULL: no such table */
  rf_counters counters;
  size_t checksum; /* of target and sizes */
} rf_adapter;

#endif /* RINGFENCE_ADAPTER_H */
