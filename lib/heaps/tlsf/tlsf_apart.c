/* rf_tlsf: where the common paths of tlsf.c end early. Other regions, alignment, refusals, damage. */
#include "tlsf_block.h"

/* ---- alloc ---- */

static void *no_room(rf_tlsf *h) {
  h->counters.failures++;
  return NULL;
}

/* Whether the block that the common path would find in this region is large enough. */
static bool can_serve(const rf_tlsf_region *region, size_t granules) {
  size_t list = list_for(granules);
  uint64_t const fitting = region->map >> list;
  if (fitting != 0) {
    list += first_in(fitting);
  } else if ((region->map >> --list & 1) == 0) {
    return false;
  }
  uint32_t const place = *next_of(at_place(region, list));
  return place < region->places && size_of_tag(*header_of(at_place(region, place))) >= granules * GRANULE;
}

static void *ask_others(rf_tlsf *h, size_t size) {
  for (rf_tlsf_region *r = rf_tlsf_region_above(h, NULL); r != NULL; r = rf_tlsf_region_above(h, r->origin)) {
    if (r != h->current && can_serve(r, granules_for(size))) {
      h->current = r;
      return rf_tlsf_alloc(&h->base, size, GRANULE, NULL);
    }
  }
  return no_room(h);
}

void *rf_tlsf_alloc_elsewhere(rf_tlsf *h, size_t size) {
  const rf_tlsf_region *const root = h->regions.region;
  bool const alone = root->child[0].region == NULL && root->child[1].region == NULL;
  return RF_LIKELY(alone) ? no_room(h) : ask_others(h, size);
}

static rf_status damaged_list(rf_tlsf *h, const rf_tlsf_region *region) {
  return rf_fault_refuse(&h->base, RF_ERR_CORRUPT, "damaged free list", region->origin, NULL);
}

void *rf_tlsf_alloc_astray(rf_tlsf *h) {
  (void)damaged_list(h, h->current);
  return no_room(h);
}

void *rf_tlsf_alloc_alone(rf_tlsf *h, unsigned char *b) {
  (void)damaged_list(h, h->current);
  return b;
}

void *rf_tlsf_alloc_damaged(rf_tlsf *h, size_t size, size_t unused, rf_tlsf_region *region, size_t place) {
  (void)size;
  (void)unused;
  turn_mark(region, place * PLACE / GRANULE);
  (void)rf_tlsf_damaged(h, at_place(region, place), NULL);
  return no_room(h);
}

void *rf_tlsf_alloc_larger(rf_tlsf *h, size_t size, size_t unused, rf_tlsf_region *region, size_t place) {
  (void)unused;
  turn_mark(region, place * PLACE / GRANULE);
  return rf_tlsf_alloc_elsewhere(h, size);
}

unsigned char *rf_tlsf_fit_alignment(unsigned char *b, size_t lead, size_t align) {
  size_t gap = rf_align_gap(b + lead, align);
  while (gap != 0 && gap < MIN_BLOCK) {
    gap += align;
  }
  return b + gap;
}

/* Cuts the live block at `p`, just made, down to `size` bytes at a multiple of `align`. */
static void *align_within(rf_tlsf *h, unsigned char *p, size_t size, size_t align) {
  rf_tlsf_region *const region = h->current;
  unsigned char *const b = rf_tlsf_fit_alignment(p, 0, align);
  unsigned char *e = p + size_of_header(*header_of(p));
  if ((*header_of(e) & FREE) != 0) { /* what the block was cut from */
    size_t const behind = size_of_tag(*header_of(e));
    rf_tlsf_unfile(region, e);
    e += behind;
  }
  turn_mark(region, granule_in(region, p));
  if (b != p) {
    rf_tlsf_file(region, p, b);
  }
  rf_tlsf_settle(region, b, e, size, b != p);
  turn_mark(region, granule_in(region, b));
  return b;
}

/* With luck the common path gives what is asked for; else so much that it lies somewhere within. */
static void *alloc_aligned(rf_tlsf *h, size_t size, size_t padded, size_t align, const rf_site *site) {
  rf_counters const before = h->counters;
  unsigned char *p = (unsigned char *)rf_tlsf_alloc(&h->base, size, GRANULE, site);
  if (p == NULL || rf_is_aligned(p, align)) {
    return p;
  }
  (void)rf_tlsf_free(&h->base, p, site);
  p = (unsigned char *)rf_tlsf_alloc(&h->base, padded, GRANULE, site);
  h->counters = before;
  if (p == NULL) {
    return no_room(h);
  }
  rf_count_alloc(&h->counters, size);
  return align_within(h, p, size, align);
}

void *rf_tlsf_alloc_apart(rf_tlsf *h, size_t size, size_t align, const rf_site *site) {
  size_t padded;
  if (rf_add(size, align, &padded) && rf_add(padded, MIN_BLOCK, &padded) && padded <= MAX_PLAIN - MIN_BLOCK) {
    return alloc_aligned(h, size, padded, align, site);
  }
  return HAS_HUGE ? rf_tlsf_alloc_huge(h, size, align, site) : no_room(h);
}

/* ---- free ---- */

rf_status rf_tlsf_free_apart(rf_tlsf *h, void *p, const rf_site *site) {
  rf_tlsf_live live;
  return rf_tlsf_open_live(h, p, &live, site);
}

rf_status rf_tlsf_free_alone(rf_tlsf_region *region) {
  return damaged_list(region->heap, region);
}

rf_status rf_tlsf_free_again(unsigned char *e, unsigned char *b, rf_tlsf_region *region) {
  rf_tlsf *const h = region->heap;
  size_t const header = *header_of(b);
  unsigned char *const own_end = b + size_of_header(header);
  rf_tlsf_live live;
  turn_mark(region, granule_in(region, b));
  h->counters.used += size_of_header(header) - slack_of_header(header);
  h->counters.blocks++;
  if (e != NULL && e != own_end) {
    rf_tlsf_file(region, own_end, e);
  }
  rf_status const status = rf_tlsf_open_live(h, b, &live, NULL);
  if (status != RF_OK) {
    return status;
  }
  return HAS_HUGE && live.b != b ? rf_tlsf_free_huge(h, &live) : rf_tlsf_damaged(h, b, NULL);
}
