/* rf_tlsf with RF_TLSF_SMALL: alloc and free in little code, made of the steps that other operations take, too. */
#include "tlsf_live.h"

#if RF_TLSF_SMALL

/* External only for tools/bench/size.sh, which links them alone. */
void *rf_tlsf_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site);
rf_status rf_tlsf_free(rf_allocator *self, void *p, const rf_site *site);

/* A sound free block of `need` bytes or more; NULL where there is none, or it is damaged, which is reported. */
static unsigned char *find_sound(rf_tlsf *h, size_t need, const rf_site *site) {
  unsigned char *const b = find_fit(&h->main, need);
  if (b != NULL && (b == h->main.end || !rf_tlsf_is_sound_free(&h->main, b))) {
    (void)rf_tlsf_damaged(h, b, site);
    return NULL;
  }
  return b != NULL && size_of_tag(*header_of(b)) >= need ? b : NULL;
}

void *rf_tlsf_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_tlsf *const h = rf_tlsf_of(self);
  bool const served = !is_huge(size) && align <= GRANULE;
  unsigned char *const b = served ? find_sound(h, rf_tlsf_block_for(size), site) : NULL;
  if (b == NULL) {
    h->counters.failures++;
    return NULL;
  }
  unsigned char *const e = b + size_of_tag(*header_of(b));
  rf_tlsf_remove_free_block(&h->main, b);
  rf_tlsf_commit_used(&h->main, b, e, size, false);
  rf_tlsf_toggle_starts(&h->main, b, size);
  rf_count_alloc(&h->counters, size);
  return b;
}

rf_status rf_tlsf_free(rf_allocator *self, void *p, const rf_site *site) {
  rf_tlsf *const h = rf_tlsf_of(self);
  rf_tlsf_live live;
  rf_status const status = rf_tlsf_open_live(h, p, &live, site);
  return status == RF_OK ? free_opened(h, &live, site) : status;
}

#endif /* RF_TLSF_SMALL */
