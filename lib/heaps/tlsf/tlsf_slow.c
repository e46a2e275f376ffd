#include "tlsf_slow.h"

#include "tlsf_live.h"
#include "tlsf_region.h"

/* ---- alloc with care ---- */

static void *no_room(rf_tlsf *h) {
  h->counters.failures++;
  return NULL;
}

/* The first place from `b` where a block may begin, so that the byte `lead` behind is at a multiple of `align` and the
 * bytes left before are none, or enough for a block. */
static unsigned char *fit_alignment(unsigned char *b, size_t lead, size_t align) {
  size_t gap = rf_align_gap(b + lead, align);
  while (gap != 0 && gap < MIN_BLOCK) {
    gap += align;
  }
  return b + gap;
}

/* Room for a block. */
typedef struct fit {
  unsigned char *free; /* a free block; NULL: none */
  unsigned char *b;    /* where in it the new block begins */
  bool damaged;
} fit;

static fit fit_in(const rf_tlsf_region *region, size_t search, size_t need, size_t lead, size_t align) {
  unsigned char *const b = find_fit(region, search);
  if (b == NULL) {
    return (fit){0};
  }
  if (b == region->end || !rf_tlsf_is_sound_free(region, b)) {
    return (fit){.free = b, .damaged = true};
  }
  unsigned char *const aligned = fit_alignment(b, lead, align);
  size_t const have = size_of_tag(*header_of(b));
  return (size_t)(aligned - b) <= have && have - (size_t)(aligned - b) >= need ? (fit){.free = b, .b = aligned}
                                                                               : (fit){0};
}

/* First the block that a request without alignment gets, then one that is large enough wherever it lies. */
static fit fit_region(const rf_tlsf_region *region, size_t size, size_t align) {
  size_t const lead = is_huge(size) ? HUGE_LEAD : 0;
  size_t const need = rf_tlsf_block_for(size);
  size_t padded;
  fit const found = fit_in(region, need, need, lead, align);
  if (found.free != NULL || !rf_add(need, align, &padded) || !rf_add(padded, MIN_BLOCK - GRANULE, &padded)) {
    return found;
  }
  return fit_in(region, padded, need, lead, align);
}

/* The current region, then all by address. */
static rf_tlsf_region *next_to_ask(const rf_tlsf *h, const rf_tlsf_region *asked) {
  rf_tlsf_region *const next = rf_tlsf_region_above(h, asked == h->current ? NULL : asked->origin);
  return next == h->current ? rf_tlsf_region_above(h, next->origin) : next;
}

static void *place_in(rf_tlsf *h, rf_tlsf_region *region, const fit *found, size_t size) {
  unsigned char *const e = found->free + size_of_tag(*header_of(found->free));
  rf_tlsf_remove_free_block(region, found->free);
  if (found->b != found->free) {
    rf_tlsf_insert_free_block(region, found->free, found->b);
  }
  rf_tlsf_commit_used(region, found->b, e, size, found->b != found->free);
  rf_tlsf_toggle_starts(region, found->b, size);
  rf_count_alloc(&h->counters, size);
  h->current = region;
  return found->b + (is_huge(size) ? HUGE_LEAD : 0);
}

void *rf_tlsf_alloc_slow(rf_tlsf *h, size_t size, size_t align, const rf_site *site) {
  if (!HAS_HUGE && is_huge(size)) {
    return no_room(h);
  }
  for (rf_tlsf_region *region = h->current; region != NULL; region = next_to_ask(h, region)) {
    fit const found = fit_region(region, size, align);
    if (found.damaged) {
      (void)rf_tlsf_damaged(h, found.free, site);
      break;
    }
    if (found.free != NULL) {
      return place_in(h, region, &found, size);
    }
  }
  return no_room(h);
}

/* ---- Where the common path of alloc ends ---- */

void *rf_tlsf_alloc_no_room(rf_tlsf *h, size_t size) {
  const rf_tlsf_region *const root = h->regions.region;
  bool const alone = root->child[0].region == NULL && root->child[1].region == NULL;
  return RF_LIKELY(alone) ? no_room(h) : rf_tlsf_alloc_slow(h, size, GRANULE, NULL);
}

static rf_status damaged_list(rf_tlsf *h, const rf_tlsf_region *region) {
  return rf_fault_refuse(&h->base, RF_ERR_CORRUPT, "damaged free list", region->origin, NULL);
}

void *rf_tlsf_alloc_head_corrupt(rf_tlsf *h) {
  (void)damaged_list(h, h->current);
  return no_room(h);
}

void *rf_tlsf_alloc_tail_corrupt(rf_tlsf *h, unsigned char *b) {
  (void)damaged_list(h, h->current);
  return b;
}

void *rf_tlsf_alloc_damaged(rf_tlsf *h, size_t size, size_t unused, rf_tlsf_region *region, size_t place) {
  (void)size;
  (void)unused;
  toggle_start(region, place * PLACE / GRANULE);
  (void)rf_tlsf_damaged(h, at_place(region, place), NULL);
  return no_room(h);
}

void *rf_tlsf_alloc_too_small(rf_tlsf *h, size_t size, size_t unused, rf_tlsf_region *region, size_t place) {
  (void)unused;
  toggle_start(region, place * PLACE / GRANULE);
  return rf_tlsf_alloc_no_room(h, size);
}

/* ---- Where the common path of free ends ---- */

rf_status rf_tlsf_free_refused(rf_tlsf *h, void *p, const rf_site *site) {
  rf_tlsf_live live;
  return rf_tlsf_open_live(h, p, &live, site);
}

rf_status rf_tlsf_free_tail_corrupt(rf_tlsf_region *region) {
  return damaged_list(region->heap, region);
}

rf_status rf_tlsf_free_undone(unsigned char *e, unsigned char *b, rf_tlsf_region *region) {
  rf_tlsf *const h = region->heap;
  size_t const header = *header_of(b);
  unsigned char *const own_end = b + size_of_header(header);
  rf_tlsf_live live;
  toggle_start(region, granule_in(region, b));
  h->counters.used += size_of_header(header) - slack_of_header(header);
  h->counters.blocks++;
  if (e != NULL && e != own_end) {
    rf_tlsf_insert_free_block(region, own_end, e);
  }
  rf_status const status = rf_tlsf_open_live(h, b, &live, NULL);
  if (status != RF_OK) {
    return status;
  }
  return HAS_HUGE && live.b != b ? free_opened(h, &live, NULL) : rf_tlsf_damaged(h, b, NULL);
}
