/* slab: the heap's own record, and which stretch a page belongs to. */
#include "slab_impl.h"

size_t rf_slab_checksum(const rf_slab *h) {
  size_t sum = rf_checksum_begin(h->records); /* not of the record, which init copies */
  sum = rf_checksum_add_address(sum, h->pages);
  sum = rf_checksum_add(sum, h->size);
  sum = rf_checksum_add(sum, h->count);
  sum = rf_checksum_add(sum, h->page_shift);
  sum = rf_checksum_add(sum, h->zone_least);
  sum = rf_checksum_add(sum, h->zone_budget);
  sum = rf_checksum_add(sum, h->classes);
  return rf_checksum_add(sum, h->path_shift);
}

rf_status rf_slab_damaged(rf_slab *h, const void *at, const rf_site *site) {
  return rf_fault_refuse(&h->base, RF_ERR_CORRUPT, "heap data overwritten", at, site);
}

record *rf_slab_owner_at(const rf_slab *h, uint32_t i) {
  record *const r = i < h->count ? &h->records[i] : NULL;
  bool const begins = r != NULL && is_intact(r) && (kind_of(r) == FREE || kind_of(r) == RUN || kind_of(r) == ZONE);
  return begins && length_of(r) != 0 && length_of(r) <= h->count - i ? r : NULL;
}

record *rf_slab_page_owner(const rf_slab *h, uint32_t i, uint32_t *first) {
  record *r = rf_slab_owner_at(h, 0);
  for (*first = 0; r != NULL && i - *first >= length_of(r);) {
    *first += length_of(r);
    r = rf_slab_owner_at(h, *first);
  }
  return r;
}
