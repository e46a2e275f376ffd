#include "tlsf_live.h"

#include "tlsf_region.h"

/* True where granule `g`, whose bit is clear, is in a free block. Looks back for the live block before it, a word of
 * the bitmap at a time. Used for reports of faults only. */
static bool is_in_free_block(rf_tlsf_region *region, size_t g) {
  size_t word = g / RF_SIZE_BITS;
  size_t bits = region->starts[word] & (((size_t)1 << g % RF_SIZE_BITS) - 1);
  while (bits == 0 && word != 0) {
    bits = region->starts[--word];
  }
  if (bits == 0) {
    return true;
  }
  rf_tlsf_live before;
  unsigned char *const user = region->origin + (word * RF_SIZE_BITS + rf_log2(bits)) * GRANULE;
  return rf_tlsf_read_live(region, user, &before) && granule_in(region, before.e) <= g;
}

rf_verdict rf_tlsf_find_live(const rf_tlsf *h, const void *p, rf_tlsf_live *out) {
  rf_tlsf_region *const region = region_of(h, p);
  if (region == NULL) {
    return RF_POINTER_FOREIGN;
  }
  size_t const granule = granule_in(region, p);
  if (granule >= region->granules) {
    return RF_POINTER_MISALIGNED;
  }
  unsigned char *const user = region->origin + granule * GRANULE;
  if (!is_start(region, user)) {
    return is_in_free_block(region, granule) ? RF_POINTER_FREE : RF_POINTER_INTERIOR;
  }
  if (is_huge_header(*header_of(user))) {
    return RF_POINTER_NO_BLOCK;
  }
  return rf_tlsf_read_live(region, user, out) ? RF_POINTER_OK : RF_POINTER_CORRUPT;
}

rf_status rf_tlsf_open_live(rf_tlsf *h, void *p, rf_tlsf_live *out, const rf_site *site) {
  return rf_verdict_refuse(&h->base, rf_tlsf_find_live(h, p, out), p, site);
}

rf_status rf_tlsf_damaged(rf_tlsf *h, const void *p, const rf_site *site) {
  return rf_verdict_refuse(&h->base, RF_POINTER_CORRUPT, p, site);
}
