/* rf_tlsf: the default heap. Two-level segregated fit, O(1), over one arena or several.
 *
 *     static unsigned char arena[64 * 1024];
 *     rf_tlsf heap;
 *     rf_tlsf_init(&heap, arena, sizeof arena);
 *     char *p = rf_alloc(&heap.base, 13);
 *     rf_free(&heap.base, p);
 *
 * Threads and interrupts: not synchronised; rf_lock makes it shared.
 */
#ifndef RINGFENCE_TLSF_H
#define RINGFENCE_TLSF_H

#include <ringfence/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_tlsf_region rf_tlsf_region;
typedef struct rf_tlsf_block rf_tlsf_block;

/* One stretch of memory. The first one's record is in the heap, those of regions added later at their beginning. */
struct rf_tlsf_region {
  rf_tlsf_region *next; /* by address */
  void *mem;            /* as the caller gave it */
  size_t size;          /* as the caller gave it */
  unsigned char *first; /* payload of the first block */
  size_t granules;      /* from `first` to the payload that would follow the last block */
  size_t *starts;       /* bit i: a used block's payload begins at granule i */
};

typedef struct rf_tlsf {
  rf_allocator base;
  rf_tlsf_region *regions;
  rf_tlsf_block **lists; /* in the first arena: free blocks by size class */
  size_t map;            /* bit i: lists[i] has a block */
  unsigned classes;      /* number of lists */
  unsigned shift;        /* log2 of classes per power of two */
  rf_tlsf_region main;
  rf_counters counters;
} rf_tlsf;

/* Makes a heap of `size` bytes at `arena`. The arena stays the caller's, needs no alignment (what is before the first
 * aligned address is not used) and must outlive the heap. RF_OK; RF_ERR_INVALID for NULL; RF_ERR_NO_MEMORY where the
 * arena is too small for one block. */
rf_status rf_tlsf_init(rf_tlsf *heap, void *arena, size_t size);

/* The same for a heap to which larger regions will be added: size classes are laid out for blocks of up to `largest`
 * bytes, at a few bytes of the arena for each doubling. */
rf_status rf_tlsf_init_for(rf_tlsf *heap, void *arena, size_t size, size_t largest);

/* Adds `size` bytes at `memory`, which stay the caller's and must not overlap a region of the heap. Neighbouring regions
 * are not merged. RF_OK; RF_ERR_INVALID for NULL or an overlap; RF_ERR_NO_MEMORY where it is too small for one block. */
rf_status rf_tlsf_add_region(rf_tlsf *heap, void *memory, size_t size);

/* Takes the region that was added as `memory` out of the heap. RF_OK; RF_ERR_BUSY while a block in it is live;
 * RF_ERR_INVALID where there is no such region, or it is the first one, which leaves with rf_deinit only. */
rf_status rf_tlsf_remove_region(rf_tlsf *heap, void *memory);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TLSF_H */
