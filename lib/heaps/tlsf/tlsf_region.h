/* rf_tlsf: the tree of regions, and the layout of each. */
#ifndef RINGFENCE_TLSF_REGION_H
#define RINGFENCE_TLSF_REGION_H

#include "tlsf_block.h"

/* The region in whose blocks `p` lies, whatever its alignment; NULL where there is none. */
static inline rf_tlsf_region *region_of(const rf_tlsf *h, const void *p) {
  rf_tlsf_region *region = h->regions.region;
  while (region != NULL && (uintptr_t)p - (uintptr_t)region->first >= (size_t)(region->end - region->first)) {
    region = toward(region, p);
  }
  return region;
}

/* The first region that begins above address `p`; NULL where there is none. */
rf_tlsf_region *rf_tlsf_region_above(const rf_tlsf *h, const void *p);

/* Lists of a region: those that its sizes need. */
size_t rf_tlsf_list_count(const rf_tlsf_region *region);

/* The value that a region's `checksum` should have. */
size_t rf_tlsf_region_checksum(const rf_tlsf_region *region);

/* Fills in what a region's record has from its memory alone: all but `map`, `heap`, `whole` and the links of the tree.
 * The first `lead` aligned bytes are kept free for the record itself. RF_OK; RF_ERR_NO_MEMORY where no block fits. */
rf_status rf_tlsf_plan(rf_tlsf_region *region, void *memory, size_t size, size_t lead);

/* The first damage to the tree of regions or to a record in it, in words, with its place in *at; NULL where all may be
 * followed. Ends on any damage. */
const char *rf_tlsf_regions_damage(const rf_tlsf *h, const void **at);

/* rf_tlsf_init, with the operations as an argument. */
rf_status rf_tlsf_open(rf_tlsf *heap, const rf_allocator_ops *ops, void *arena, size_t size);

#endif /* RINGFENCE_TLSF_REGION_H */
