/* rf_tlsf: blocks whose size does not fit a header, or would not while they are aligned. Only on 64 bit. */
#include "tlsf_block.h"

#if SIZE_MAX > UINT32_MAX

/* The free block that the region has for `need` bytes, its links and tags unseen; NULL where there is none. */
static unsigned char *find_fit(const rf_tlsf_region *region, size_t need) {
  if (need > (size_t)(region->end - region->first)) {
    return NULL;
  }
  size_t list = list_for(need / GRANULE);
  uint64_t const fitting = list < LISTS ? region->map >> list : 0;
  if (fitting != 0) {
    list += first_in(fitting);
  } else if ((region->map >> --list & 1) == 0) {
    return NULL;
  }
  uint32_t const place = *next_of(at_place(region, list));
  return place < region->places ? at_place(region, place) : region->end;
}

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
  unsigned char *const aligned = rf_tlsf_fit_alignment(b, lead, align);
  size_t const have = size_of_tag(*header_of(b));
  return (size_t)(aligned - b) <= have && have - (size_t)(aligned - b) >= need ? (fit){.free = b, .b = aligned}
                                                                               : (fit){0};
}

/* First what fits with luck, then what is large enough wherever it lies. */
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
  rf_tlsf_unfile(region, found->free);
  if (found->b != found->free) {
    rf_tlsf_file(region, found->free, found->b);
  }
  rf_tlsf_settle(region, found->b, e, size, found->b != found->free);
  rf_tlsf_turn_marks(region, found->b, size);
  rf_count_alloc(&h->counters, size);
  h->current = region;
  return found->b + (is_huge(size) ? HUGE_LEAD : 0);
}

void *rf_tlsf_alloc_huge(rf_tlsf *h, size_t size, size_t align, const rf_site *site) {
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
  h->counters.failures++;
  return NULL;
}

rf_status rf_tlsf_free_huge(rf_tlsf *h, const rf_tlsf_live *live) {
  rf_tlsf_region *const region = live->region;
  size_t const behind = rf_tlsf_free_size(region, live->e);
  unsigned char *const b = live->prev_free ? rf_tlsf_free_before(region, live->b) : live->b;
  if (behind == SIZE_MAX || b == NULL) {
    return rf_tlsf_damaged(h, b == NULL ? live->b : live->e, NULL);
  }
  if (behind != 0) {
    rf_tlsf_unfile(region, live->e);
  }
  if (b != live->b) {
    rf_tlsf_unfile(region, b);
  }
  rf_tlsf_turn_marks(region, live->b, live->size);
  rf_count_free(&h->counters, live->size);
  rf_tlsf_file(region, b, live->e + behind);
  return RF_OK;
}

#endif
