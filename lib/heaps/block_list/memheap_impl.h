/* Steps that the sources of memheap share. Not a public header. */
#ifndef RINGFENCE_MEMHEAP_IMPL_H
#define RINGFENCE_MEMHEAP_IMPL_H

#include "block_list_impl.h"
#include <ringfence/memheap.h>

/* In the payload of a free block. */
typedef struct links {
  size_t next;
  size_t prev;
} links;

static inline links *links_at(const rf_block_list *list, size_t at) {
  return (links *)(void *)rf_block_list_payload(list, at);
}

static inline rf_memheap *memheap_of(rf_allocator *self) {
  return (rf_memheap *)(void *)self;
}

/* ---- The records ---- */

/* The checksum of a region's record without its counters. */
static inline size_t region_checksum(const rf_memheap_region *r) {
  size_t sum = rf_checksum_begin(r);
  sum = rf_checksum_add_address(sum, r->next);
  sum = rf_checksum_add_address(sum, r->heap);
  sum = rf_checksum_add_address(sum, r->name);
  return rf_checksum_add(sum, r->blocks.checksum);
}

/* The checksum of the heap's list of regions. */
static inline size_t heap_checksum(const rf_memheap *heap) {
  return rf_checksum_add(rf_checksum_begin(heap->first), heap->regions);
}

/* ---- memheap_block.c: records, lists of free blocks, alloc and free ---- */

/* Goes to the first region or the one after *r; sets *r to NULL at the end. Each record vouches for the address of the
 * next. False, and *fault, where one is damaged. */
bool rf_memheap_step(const rf_memheap *heap, rf_memheap_region **r, rf_fault *fault);

/* The region that holds `ptr`; NULL, and *fault, where there is none. */
rf_memheap_region *rf_memheap_find_region(const rf_memheap *heap, const void *ptr, rf_fault *fault);

/* The region and the live block that starts at `ptr`; NULL, and *fault, where there is none. */
rf_memheap_region *rf_memheap_find(const rf_memheap *heap, const void *ptr, rf_block_neighbours *near, rf_fault *fault);

/* Whether there is an intact free block at `at`, any number. */
bool rf_memheap_is_free(const rf_block_list *list, size_t at);

/* Puts the free block at `at` first in the list of free blocks. */
void rf_memheap_insert_free(rf_block_list *list, size_t at);

/* Fills *fault: the links of the block at `at` are damaged, or the list's own (RF_BLOCK_NONE). Returns false. */
bool rf_memheap_damaged_links(const rf_block_list *list, size_t at, rf_fault *fault);

void *rf_memheap_op_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site);
rf_status rf_memheap_op_free(rf_allocator *self, void *ptr, const rf_site *site);
void *rf_memheap_op_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site);
rf_status rf_memheap_op_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site);

/* ---- memheap_view.c: looking ---- */

size_t rf_memheap_op_usable_size(rf_allocator *self, const void *ptr);
bool rf_memheap_op_owns(rf_allocator *self, const void *ptr);
rf_status rf_memheap_op_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_memheap_op_check(rf_allocator *self, rf_fault *where);
void rf_memheap_op_stats(rf_allocator *self, rf_stats *out);
void rf_memheap_op_counters(rf_allocator *self, rf_counters *out);

#endif /* RINGFENCE_MEMHEAP_IMPL_H */
