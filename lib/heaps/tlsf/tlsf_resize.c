/* rf_tlsf: changing the size of a block, where it is or into the free memory before it. */
#include "tlsf_resize.h"

#include "tlsf_live.h"

#include <string.h>

/* In place, into the free block behind. A huge block stays huge and a plain one plain, since their payloads lie at
 * different distances from b. */
static rf_status resize_live(rf_tlsf *h, const rf_tlsf_live *live, size_t size, const rf_site *site) {
  size_t const have = (size_t)(live->e - live->b);
  size_t const need = rf_tlsf_block_for(size);
  size_t const behind = rf_tlsf_free_size(live->region, live->e);
  if (behind == SIZE_MAX) {
    return rf_tlsf_damaged(h, live->e, site);
  }
  if (is_huge(size) != is_huge(live->size) || need > have + behind) {
    return RF_ERR_NO_MEMORY;
  }
  if (behind != 0) {
    rf_tlsf_remove_free_block(live->region, live->e);
  }
  rf_tlsf_commit_used(live->region, live->b, live->e + behind, size, live->prev_free);
  rf_count_resize(&h->counters, live->size, size);
  return RF_OK;
}

rf_status rf_tlsf_resize(rf_allocator *self, void *p, size_t size, const rf_site *site) {
  rf_tlsf *const h = rf_tlsf_of(self);
  rf_tlsf_live live;
  rf_status const status = rf_tlsf_open_live(h, p, &live, site);
  return status == RF_OK ? resize_live(h, &live, size, site) : status;
}

/* The bytes that a move keeps: all that the owner may have used. */
static size_t bytes_to_keep(const rf_tlsf_live *live, size_t size) {
  size_t const usable = (size_t)(live->e - live->user) - HEADER;
  return usable < size ? usable : size;
}

/* Moves down into the free block before, with the one behind. NULL, with nothing changed, where these are too small. */
static void *slide_down(rf_tlsf *h, const rf_tlsf_live *live, size_t size, size_t align) {
  rf_tlsf_region *const region = live->region;
  if (!live->prev_free || is_huge(size) || is_huge(live->size)) {
    return NULL;
  }
  unsigned char *const b = rf_tlsf_free_before(region, live->b);
  size_t const behind = rf_tlsf_free_size(region, live->e);
  if (b == NULL || behind == SIZE_MAX || !rf_is_aligned(b, align) ||
      (size_t)(live->e - b) + behind < rf_tlsf_block_for(size)) {
    return NULL;
  }
  rf_tlsf_remove_free_block(region, b);
  if (behind != 0) {
    rf_tlsf_remove_free_block(region, live->e);
  }
  rf_tlsf_toggle_starts(region, live->b, live->size);
  rf_track_copy(b, live->user, bytes_to_keep(live, size));
  rf_tlsf_commit_used(region, b, live->e + behind, size, false);
  rf_tlsf_toggle_starts(region, b, size);
  rf_count_resize(&h->counters, live->size, size);
  return b;
}

void *rf_tlsf_realloc(rf_allocator *self, void *p, size_t size, size_t align, const rf_site *site) {
  rf_tlsf *const h = rf_tlsf_of(self);
  rf_tlsf_live live;
  if (rf_tlsf_open_live(h, p, &live, site) != RF_OK) {
    return NULL;
  }
  if (rf_is_aligned(p, align)) {
    rf_status const status = resize_live(h, &live, size, site);
    if (status != RF_ERR_NO_MEMORY) {
      return status == RF_OK ? p : NULL;
    }
  }
  void *const slid = slide_down(h, &live, size, align);
  return slid != NULL ? slid : rf_realloc_move(self, p, bytes_to_keep(&live, size), size, align, site);
}
