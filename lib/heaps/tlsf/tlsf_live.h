/* rf_tlsf: from a pointer of the program to its block. */
#ifndef RINGFENCE_TLSF_LIVE_H
#define RINGFENCE_TLSF_LIVE_H

#include "lib/core/verdict.h"
#include "tlsf_block.h"

/* Fills *out for the live block that the program knows as `p`, where the verdict is RF_POINTER_OK. */
rf_verdict rf_tlsf_find_live(const rf_tlsf *h, const void *p, rf_tlsf_live *out);

/* The same; a verdict against the pointer is reported. */
rf_status rf_tlsf_open_live(rf_tlsf *h, void *p, rf_tlsf_live *out, const rf_site *site);

/* Reports damage at `p`. */
rf_status rf_tlsf_damaged(rf_tlsf *h, const void *p, const rf_site *site);

/* Makes the block free, and one with its free neighbours. With nothing changed, where one of these is damaged: reports
 * it. */
static inline rf_status free_opened(rf_tlsf *h, const rf_tlsf_live *live, const rf_site *site) {
  rf_tlsf_region *const region = live->region;
  size_t const behind = rf_tlsf_free_size(region, live->e);
  unsigned char *const b = live->prev_free ? rf_tlsf_free_before(region, live->b) : live->b;
  if (behind == SIZE_MAX || b == NULL) {
    return rf_tlsf_damaged(h, b == NULL ? live->b : live->e, site);
  }
  if (behind != 0) {
    rf_tlsf_remove_free_block(region, live->e);
  }
  if (b != live->b) {
    rf_tlsf_remove_free_block(region, b);
  }
  rf_tlsf_toggle_starts(region, live->b, live->size);
  rf_count_free(&h->counters, live->size);
  rf_tlsf_insert_free_block(region, b, live->e + behind);
  return RF_OK;
}

#endif /* RINGFENCE_TLSF_LIVE_H */
