/* rf_tlsf: where the common paths end early. The order of arguments leaves values where those paths have them. */
#ifndef RINGFENCE_TLSF_SLOW_H
#define RINGFENCE_TLSF_SLOW_H

#include "tlsf_layout.h"

/* ---- alloc ---- */

/* For any request, with care: alignments above the granule, huge blocks, other regions than the current one. */
void *rf_tlsf_alloc_slow(rf_tlsf *h, size_t size, size_t align, const rf_site *site);

/* The current region has no room. */
void *rf_tlsf_alloc_no_room(rf_tlsf *h, size_t size);

/* A list of the current region leads out of it: the list that was to serve, or that for what `b` does not need. */
void *rf_tlsf_alloc_head_corrupt(rf_tlsf *h);
void *rf_tlsf_alloc_tail_corrupt(rf_tlsf *h, unsigned char *b);

/* The block at `place`, whose start is set already, is too small, or damaged. */
void *rf_tlsf_alloc_too_small(rf_tlsf *h, size_t size, size_t unused, rf_tlsf_region *region, size_t place);
void *rf_tlsf_alloc_damaged(rf_tlsf *h, size_t size, size_t unused, rf_tlsf_region *region, size_t place);

/* ---- free ---- */

/* No live block begins at `p`. */
rf_status rf_tlsf_free_refused(rf_tlsf *h, void *p, const rf_site *site);

/* The block at `b`, already cleared and counted as free, is huge, or the block or a neighbour is damaged. If `e` is not
 * NULL, it is the end of the block behind, already taken out of its list where it is not the end of the block
 * itself. */
rf_status rf_tlsf_free_undone(unsigned char *e, unsigned char *b, rf_tlsf_region *region);

/* A list of the region leads out of it: the freed block is in no list. */
rf_status rf_tlsf_free_tail_corrupt(rf_tlsf_region *region);

#endif /* RINGFENCE_TLSF_SLOW_H */
