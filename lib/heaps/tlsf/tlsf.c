#include "tlsf_block.h"

/* The common paths. What they find out of order they hand on as it is (tlsf_apart.c), without a look at what it is. */

void *rf_tlsf_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_tlsf *const h = (rf_tlsf *)self;
  if (RF_UNLIKELY(is_huge(size)) || RF_UNLIKELY(align > GRANULE)) {
    return rf_tlsf_alloc_apart(h, size, align, site);
  }

  /* The first list in which every block is large enough; failing that, the one before it. */
  size_t granules = granules_for(size);
  unsigned number = list_for(granules);
  RF_FORGET(granules);
  rf_tlsf_region *const region = h->current;
  uint64_t map = region->map;
  uint64_t const fitting = map >> number;
  if (RF_LIKELY(fitting != 0)) {
    number += first_in(fitting);
  } else if ((map >> --number & 1) == 0) {
    return rf_tlsf_alloc_elsewhere(h, size);
  }

  /* Its first block: marked as live at once, while its place is at hand. */
  size_t list = number;
  RF_FORGET(list);
  unsigned char *origin = region->origin;
  size_t place = *next_of(origin + list * PLACE);
  if (RF_UNLIKELY((uint32_t)place >= region->places)) {
    return rf_tlsf_alloc_astray(h);
  }
  RF_FORGET_MEMORY(region->places);
  size_t *starts = region->starts;
  size_t const word = place * PLACE / GRANULE / RF_SIZE_BITS;
  size_t const marks = starts[word];
  RF_FORGET(starts);
  starts[word] = turn_bit_of_word(marks, place * PLACE / GRANULE);
  RF_FORGET(place);
  size_t const tag = *header_of(origin + place * PLACE);
  unsigned char *const e = (unsigned char *)((uintptr_t)origin + (place + places_of_tag(tag)) * PLACE);
  if (RF_UNLIKELY(leaves(region, origin + place * PLACE, size_of_tag(tag), e)) ||
      RF_UNLIKELY(*foot_before(e) != (uint32_t)tag)) {
    return rf_tlsf_alloc_damaged(h, size, 0, region, place);
  }
  size_t const rest = (tag >> TAG_SHIFT) - granules;
  if (RF_UNLIKELY((ptrdiff_t)rest < 0)) {
    return rf_tlsf_alloc_larger(h, size, 0, region, place);
  }
  RF_FORGET(place);
  size_t const next = *next_of(origin + place * PLACE);
  if (RF_UNLIKELY((uint32_t)next >= region->places)) {
    return rf_tlsf_alloc_damaged(h, size, 0, region, place);
  }
  RF_FORGET(origin);
  *next_of(origin + list * PLACE) = (uint32_t)next;
  *prev_of(origin + next * PLACE) = (uint32_t)list;
  if (RF_LIKELY(next == list)) {
    map = turn_bit(map, list);
  }

  /* rf_count_alloc, with jumps: peaks are passed rarely. */
  size_t const used = h->counters.used + size;
  h->counters.used = used;
  if (RF_LIKELY(used > h->counters.peak)) {
    h->counters.peak = used;
  }
  size_t const blocks = h->counters.blocks + 1;
  h->counters.blocks = blocks;
  if (RF_LIKELY(blocks > h->counters.peak_blocks)) {
    h->counters.peak_blocks = blocks;
  }
  h->counters.allocations++;

  RF_FORGET(place);
  unsigned char *b = origin + place * PLACE;
  *header_of(b) = live_header(granules, size);
  if (RF_LIKELY(rest >= MIN_BLOCK / GRANULE)) {
    place += granules * (GRANULE / PLACE);
    if (RF_UNLIKELY(!file_block(region, origin, map, origin + place * PLACE, e, rest, place))) {
      region->map = map;
      return rf_tlsf_alloc_alone(h, b);
    }
    return b;
  }
  region->map = map;
  *header_of(b) += (uint32_t)(rest << SIZE_SHIFT) + (uint32_t)(rest * GRANULE << SLACK_SHIFT);
  *header_of(e) &= ~(uint32_t)PREV_FREE;
  return b;
}

rf_status rf_tlsf_free(rf_allocator *self, void *p, const rf_site *site) {
  rf_tlsf *const h = (rf_tlsf *)self;
  rf_tlsf_region *region = h->regions.region;
  unsigned char *origin = region->origin;
  size_t granule = granules_behind(origin, p);
  while (RF_UNLIKELY(granule >= region->granules)) {
    region = toward(region, p);
    if (region == NULL) {
      return rf_tlsf_free_apart(h, p, site);
    }
    origin = region->origin;
    granule = granules_behind(origin, p);
  }

  /* Not marked: no block begins here. Else it is no longer live. */
  size_t *starts = region->starts;
  size_t const word = granule / RF_SIZE_BITS;
  size_t const marks = starts[word];
  if (RF_UNLIKELY((marks >> granule % RF_SIZE_BITS & 1) == 0)) {
    return rf_tlsf_free_apart(h, p, site);
  }
  RF_FORGET_MEMORY(region->starts);
  RF_FORGET(starts);
  starts[word] = turn_bit_of_word(marks, granule);
  unsigned char *b = (unsigned char *)p;
  size_t const header = *header_of(b);
  size_t const size = size_of_header(header);
  unsigned char *e = b + size;
  size_t change = (uint8_t)header; /* slack_of_header, with which gcc 12 makes an instruction more */
  change = (change >> SLACK_SHIFT) - size;
  h->counters.used += change;
  h->counters.blocks--;

  /* The block behind. */
  if (RF_UNLIKELY(leaves(region, b, size, e))) {
    return rf_tlsf_free_again(NULL, b, region);
  }
  RF_FORGET_MEMORY(region->end);
  uint64_t map = region->map;
  size_t behind = *header_of(e);
  RF_FORGET(behind);
  if (RF_LIKELY((behind & FREE) != 0)) {
    unsigned char *const absorbed = e;
    e += size_of_tag(behind);
    if (RF_UNLIKELY(leaves(region, absorbed, size_of_tag(behind), e))) {
      return rf_tlsf_free_again(NULL, b, region);
    }
    if (RF_UNLIKELY(*foot_before(e) != (uint32_t)behind) || RF_UNLIKELY(!unfile(region, origin, &map, absorbed))) {
      return rf_tlsf_free_again(NULL, b, region);
    }
  } else if (RF_UNLIKELY(!is_marked(region, e))) {
    return rf_tlsf_free_again(NULL, b, region);
  }

  /* The block before. */
  if ((header & PREV_FREE) != 0) {
    size_t const tag = *foot_before(b);
    size_t const minus = -tag;
    unsigned char *const before =
        (unsigned char *)((uintptr_t)b + minus * (GRANULE >> TAG_SHIFT) + (GRANULE >> TAG_SHIFT));
    bool const wrapped = sizeof(void *) == 4 && before >= b; /* a damaged tag, on 32 bit only: no tag reaches 2^36 */
    if (RF_UNLIKELY(before < region->first) || RF_UNLIKELY(wrapped) ||
        RF_UNLIKELY(*header_of(before) != (uint32_t)tag) || RF_UNLIKELY(!unfile(region, origin, &map, before))) {
      return rf_tlsf_free_again(e, b, region);
    }
    b = before;
  }
  *header_of(e) |= PREV_FREE;
  if (RF_UNLIKELY(!file_block(region, origin, map, b, e, (size_t)(e - b) / GRANULE, (size_t)(b - origin) / PLACE))) {
    region->map = map;
    return rf_tlsf_free_alone(region);
  }
  return RF_OK;
}

/* Of a plain block in the region that served the last request: who asks has most often just got it. */
static size_t usable_at_hand(const rf_tlsf_region *region, const unsigned char *p) {
  if (granules_behind(region->origin, p) >= region->granules || p < region->first || !is_marked(region, p)) {
    return 0;
  }
  uint32_t const header = *header_of((unsigned char *)(uintptr_t)p);
  size_t const size = size_of_header(header);
  size_t const slack = slack_of_header(header);
  bool const plain = (header & FREE) == 0 && size >= MIN_BLOCK && slack >= HEADER && slack <= size;
  return plain && size <= (size_t)(region->end - p) ? size - HEADER : 0;
}

static size_t tlsf_usable_size(rf_allocator *self, const void *p) {
  rf_tlsf_live live;
  size_t const usable = usable_at_hand(((const rf_tlsf *)self)->current, p);
  if (RF_LIKELY(usable != 0)) {
    return usable;
  }
  return rf_tlsf_find_live((rf_tlsf *)self, p, &live) == RF_OK ? (size_t)(live.e - live.user) - HEADER : 0;
}

static bool tlsf_owns(rf_allocator *self, const void *p) {
  return rf_tlsf_region_of((rf_tlsf *)self, p) != NULL;
}

/* ---- After deinit, nothing of the arena is looked at ---- */

static void *closed_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  (void)self;
  (void)size;
  (void)align;
  (void)site;
  return NULL;
}

static rf_status closed_free(rf_allocator *self, void *p, const rf_site *site) {
  return rf_fault_refuse(self, RF_ERR_BAD_POINTER, "heap has ended", p, site);
}

static void closed_stats(rf_allocator *self, rf_stats *out) {
  (void)self;
  *out = (rf_stats){0};
}

static const rf_allocator_ops closed_ops = {
    .name = "tlsf",
    .alloc = closed_alloc,
    .free = closed_free,
    .stats = closed_stats,
};

static void tlsf_counters(rf_allocator *self, rf_counters *out) {
  *out = ((rf_tlsf *)self)->counters;
}

static void tlsf_deinit(rf_allocator *self) {
  const rf_tlsf *const h = (const rf_tlsf *)self;
  for (rf_tlsf_region *r = RF_TRACK ? rf_tlsf_region_above(h, NULL) : NULL; r != NULL;
       r = rf_tlsf_region_above(h, r->origin)) {
    rf_track_arena_end(r->memory, r->size);
  }
  self->ops = &closed_ops;
}

static const rf_allocator_ops tlsf_ops = {
    .name = "tlsf",
    .alloc = rf_tlsf_alloc,
    .free = rf_tlsf_free,
    .realloc = rf_tlsf_realloc,
    .resize = rf_tlsf_resize,
    .usable_size = tlsf_usable_size,
    .owns = tlsf_owns,
    .walk = rf_tlsf_walk,
    .check = rf_tlsf_check,
    .stats = rf_tlsf_stats,
    .deinit = tlsf_deinit,
    .counters = tlsf_counters,
};

rf_status rf_tlsf_init(rf_tlsf *heap, void *arena, size_t size) {
  return rf_tlsf_open(heap, &tlsf_ops, arena, size);
}
