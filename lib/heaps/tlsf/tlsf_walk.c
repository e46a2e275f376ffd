/* rf_tlsf: walks over all blocks, whose headers may be damaged, as the records of their regions may be. */
#include "tlsf_walk.h"

#include "tlsf_region.h"

bool rf_tlsf_step_at(rf_tlsf_region *region, unsigned char *b, rf_tlsf_step *out) {
  uint32_t const header = *header_of(b);
  if ((header & FREE) != 0) {
    size_t const size = size_of_tag(header);
    *out = (rf_tlsf_step){b, b + size, NULL, size - HEADER, false};
    return size >= MIN_BLOCK && size <= (size_t)(region->end - b);
  }
  bool const huge = is_huge_header(header) && (size_t)(region->end - b) > HUGE_LEAD;
  unsigned char *const user = huge ? b + HUGE_LEAD : b;
  rf_tlsf_live live;
  if (!is_start(region, b) || !is_start(region, user) || !rf_tlsf_read_live(region, user, &live) || live.b != b) {
    return false;
  }
  *out = (rf_tlsf_step){b, live.e, user, live.size, live.prev_free};
  return true;
}

/* False where `visit` ended the walk or, then with *status set, where a block is damaged. */
static bool walk_region(rf_tlsf_region *region, rf_walk_fn visit, void *context, rf_status *status) {
  rf_tlsf_step step;
  for (unsigned char *b = region->first; b != region->end; b = step.e) {
    if (!rf_tlsf_step_at(region, b, &step)) {
      *status = RF_ERR_CORRUPT;
      return false;
    }
    bool const used = step.user != NULL;
    rf_block const block = {used ? step.user : b, step.size, (size_t)(step.e - b) - step.size, used, NULL};
    if (!visit(&block, context)) {
      return false;
    }
  }
  return true;
}

rf_status rf_tlsf_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  const rf_tlsf *const h = rf_tlsf_of(self);
  const void *at;
  rf_status status = RF_OK;
  if (rf_tlsf_regions_damage(h, &at) != NULL) {
    return RF_ERR_CORRUPT;
  }
  rf_tlsf_region *region = rf_tlsf_region_above(h, NULL);
  while (region != NULL && walk_region(region, visit, context, &status)) {
    region = rf_tlsf_region_above(h, region->origin);
  }
  return status;
}

/* The largest size that the region serves: that of the first block of its highest list. */
static size_t largest_request(const rf_tlsf_region *region) {
  if (region->map == 0) {
    return 0;
  }
  size_t const list = last_in(region->map);
  if (list >= rf_tlsf_list_count(region)) {
    return 0;
  }
  uint32_t const place = *next_of(at_place(region, list));
  if (place >= region->places) {
    return 0;
  }
  size_t const size = size_of_tag(*header_of(at_place(region, place))) - HEADER;
  if (!is_huge(size)) {
    return size;
  }
  return HAS_HUGE && is_huge(size - HUGE_LEAD) ? size - HUGE_LEAD : RF_TLSF_MAX_PLAIN - MIN_BLOCK;
}

static bool add_free(const rf_block *block, void *context) {
  *(size_t *)context += block->used ? 0 : block->size;
  return true;
}

void rf_tlsf_stats(rf_allocator *self, rf_stats *out) {
  const rf_tlsf *const h = rf_tlsf_of(self);
  const void *at;
  *out = (rf_stats){0};
  if (rf_tlsf_regions_damage(h, &at) != NULL) {
    return;
  }
  rf_count_into(&h->counters, out);
  for (rf_tlsf_region *r = rf_tlsf_region_above(h, NULL); r != NULL; r = rf_tlsf_region_above(h, r->origin)) {
    size_t const largest = largest_request(r);
    out->capacity += r->size;
    out->largest_free = largest > out->largest_free ? largest : out->largest_free;
  }
  (void)rf_tlsf_walk(self, add_free, &out->free_bytes);
  out->overhead = out->capacity - out->used - out->free_bytes;
}
