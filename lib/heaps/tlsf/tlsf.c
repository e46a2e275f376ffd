#include "tlsf_check.h"
#include "tlsf_live.h"
#include "tlsf_region.h"
#include "tlsf_resize.h"
#include "tlsf_slow.h"
#include "tlsf_walk.h"

#include "lib/core/compiler.h"

/* The common paths, in steps. When a step fails, the call goes on in tlsf_slow.c, with the values as they are. The
 * worst case of a call is counted in instructions and has none to spare for registers that are saved and restored:
 * RF_FORGET and RF_FORGET_MEMORY keep compilers from holding on to values that are as quickly computed or read
 * again. */

/* External only for tools/bench/size.sh, which links them alone. */
void *rf_tlsf_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site);
rf_status rf_tlsf_free(rf_allocator *self, void *p, const rf_site *site);

#if !RF_TLSF_SMALL /* else tlsf_small.c has alloc and free */

/* ---- alloc ---- */

/* A request on its way through the steps. */
typedef struct request {
  rf_tlsf_region *region;
  unsigned char *origin; /* the region's */
  rf_tlsf_map map;       /* the region's */
  size_t granules;       /* of the block that it needs */
  size_t list;           /* that serves it, */
  size_t place;          /* and the first block of that list: */
  unsigned char *e;      /* its end */
  size_t rest;           /* its granules that are not needed */
} request;

/* The first list in which every block is large enough; failing that, the one before it. False: no block in either. */
RF_INLINE bool pick_list(request *r, rf_tlsf_region *region, size_t size) {
  size_t granules = granules_for(size);
  unsigned number = list_for(granules);
  RF_FORGET(granules);
  r->granules = granules;
  r->region = region;
  r->map = region->map;
  rf_tlsf_map const fitting = r->map >> number;
  if (RF_LIKELY(fitting != 0)) {
    number += first_in(fitting);
  } else if ((r->map >> --number & 1) == 0) {
    return false;
  }
  r->list = number;
  RF_FORGET(r->list);
  return true;
}

/* The first block of the list: its start is set at once, while its place is at hand. False: the list leads out of the
 * region. */
RF_INLINE bool find_head(request *r) {
  rf_tlsf_region *const region = r->region;
  r->origin = region->origin;
  r->place = *next_of(r->origin + r->list * PLACE);
  if (RF_UNLIKELY((uint32_t)r->place >= region->places)) {
    return false;
  }
  RF_FORGET_MEMORY(region->places);
  size_t *starts = region->starts;
  size_t const word = r->place * PLACE / GRANULE / RF_SIZE_BITS;
  size_t const bits = starts[word];
  RF_FORGET(starts);
  starts[word] = toggle_bit_of_word(bits, r->place * PLACE / GRANULE);
  RF_FORGET(r->place);
  return true;
}

/* The end of that block and what of it is not needed, negative where it is too small. False: it is damaged. */
RF_INLINE bool measure_head(request *r) {
  size_t const tag = *header_of(r->origin + r->place * PLACE);
  r->e = (unsigned char *)((uintptr_t)r->origin + (r->place + places_of_tag(tag)) * PLACE);
  if (RF_UNLIKELY(leaves(r->region, r->origin + r->place * PLACE, size_of_tag(tag), r->e)) ||
      RF_UNLIKELY(*foot_before(r->e) != (uint32_t)tag)) {
    return false;
  }
  r->rest = (tag >> TAG_SHIFT) - r->granules;
  return true;
}

/* Takes that block out of its list. False, and nothing changed: its link leads out of the region. */
RF_INLINE bool pop(request *r) {
  RF_FORGET(r->place);
  size_t const next = *next_of(r->origin + r->place * PLACE);
  if (RF_UNLIKELY((uint32_t)next >= r->region->places)) {
    return false;
  }
  RF_FORGET(r->origin);
  *next_of(r->origin + r->list * PLACE) = (uint32_t)next;
  *prev_of(r->origin + next * PLACE) = (uint32_t)r->list;
  if (RF_LIKELY(next == r->list)) {
    r->map = toggle_bit(r->map, r->list);
  }
  return true;
}

/* rf_count_alloc, with jumps: peaks are passed rarely. */
RF_INLINE void count_alloc(rf_counters *c, size_t size) {
  size_t const used = c->used + size;
  c->used = used;
  if (RF_LIKELY(used > c->peak)) {
    c->peak = used;
  }
  size_t const blocks = c->blocks + 1;
  c->blocks = blocks;
  if (RF_LIKELY(blocks > c->peak_blocks)) {
    c->peak_blocks = blocks;
  }
  c->allocations++;
}

/* Makes the block live, and a free block of what it does not need. */
RF_INLINE void *split(rf_tlsf *h, request *r, size_t size) {
  RF_FORGET(r->place);
  unsigned char *const b = r->origin + r->place * PLACE;
  *header_of(b) = live_header(r->granules, size);
  if (RF_LIKELY(r->rest >= MIN_BLOCK / GRANULE)) {
    size_t const place = r->place + r->granules * (GRANULE / PLACE);
    if (RF_UNLIKELY(!insert_free(r->region, r->origin, r->map, r->origin + place * PLACE, r->e, r->rest, place))) {
      r->region->map = r->map;
      return rf_tlsf_alloc_tail_corrupt(h, b);
    }
    return b;
  }
  r->region->map = r->map;
  *header_of(b) += (uint32_t)(r->rest << SIZE_SHIFT) + (uint32_t)(r->rest * GRANULE << SLACK_SHIFT);
  *header_of(r->e) &= ~(uint32_t)PREV_FREE;
  return b;
}

void *rf_tlsf_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_tlsf *const h = rf_tlsf_of(self);
  request r;
  if (RF_UNLIKELY(is_huge(size)) || RF_UNLIKELY(align > GRANULE)) {
    return rf_tlsf_alloc_slow(h, size, align, site);
  }
  if (!pick_list(&r, h->current, size)) {
    return rf_tlsf_alloc_no_room(h, size);
  }
  if (RF_UNLIKELY(!find_head(&r))) {
    return rf_tlsf_alloc_head_corrupt(h);
  }
  if (RF_UNLIKELY(!measure_head(&r))) {
    return rf_tlsf_alloc_damaged(h, size, 0, r.region, r.place);
  }
  if (RF_UNLIKELY((ptrdiff_t)r.rest < 0)) {
    return rf_tlsf_alloc_too_small(h, size, 0, r.region, r.place);
  }
  if (RF_UNLIKELY(!pop(&r))) {
    return rf_tlsf_alloc_damaged(h, size, 0, r.region, r.place);
  }
  count_alloc(&h->counters, size);
  return split(h, &r, size);
}

/* ---- free ---- */

/* A block on its way back. */
typedef struct freed {
  rf_tlsf_region *region;
  unsigned char *origin; /* the region's */
  rf_tlsf_map map;       /* the region's */
  size_t granule;        /* where the block begins */
  size_t header;         /* what the block's header was */
  unsigned char *b;      /* the free block that it becomes part of: [b, e) */
  unsigned char *e;
} freed;

/* The region that `p` is in. False: there is none. */
RF_INLINE bool find_region(freed *f, rf_tlsf_region *region, const void *p) {
  f->region = region;
  f->origin = region->origin;
  f->granule = granules_behind(f->origin, p);
  while (RF_UNLIKELY(f->granule >= f->region->granules)) {
    f->region = toward(f->region, p);
    if (f->region == NULL) {
      return false;
    }
    f->origin = f->region->origin;
    f->granule = granules_behind(f->origin, p);
  }
  return true;
}

/* The block is no longer live. False, and nothing changed: no live block begins there. */
RF_INLINE bool clear_start(freed *f) {
  rf_tlsf_region *const region = f->region;
  size_t *starts = region->starts;
  size_t const word = f->granule / RF_SIZE_BITS;
  size_t const bits = starts[word];
  if (RF_UNLIKELY((bits >> f->granule % RF_SIZE_BITS & 1) == 0)) {
    return false;
  }
  RF_FORGET_MEMORY(region->starts);
  RF_FORGET(starts);
  starts[word] = toggle_bit_of_word(bits, f->granule);
  return true;
}

/* Counts the block as free and finds its end. False: its size is damaged. */
RF_INLINE bool read_block(freed *f, rf_counters *c, void *p) {
  f->b = (unsigned char *)p;
  f->header = *header_of(f->b);
  size_t const size = size_of_header(f->header);
  f->e = f->b + size;
  size_t change = (uint8_t)f->header; /* slack_of_header, with which gcc 12 makes an instruction more */
  change = (change >> SLACK_SHIFT) - size;
  c->used += change;
  c->blocks--;
  return !RF_UNLIKELY(leaves(f->region, f->b, size, f->e));
}

/* Merges with the block behind, if that is free. False: it is damaged. */
RF_INLINE bool coalesce_next(freed *f) {
  RF_FORGET_MEMORY(f->region->end);
  f->map = f->region->map;
  size_t behind = *header_of(f->e);
  RF_FORGET(behind);
  if (RF_LIKELY((behind & FREE) != 0)) {
    unsigned char *const next = f->e;
    f->e += size_of_tag(behind);
    return !RF_UNLIKELY(leaves(f->region, next, size_of_tag(behind), f->e)) &&
           !RF_UNLIKELY(*foot_before(f->e) != (uint32_t)behind) && remove_free(f->region, f->origin, &f->map, next);
  }
  bool const sound = is_start(f->region, f->e);
  RF_FORGET(f->e);
  return sound;
}

/* Merges with the block before, if that is free. False: it is damaged. */
RF_INLINE bool coalesce_prev(freed *f) {
  if ((f->header & PREV_FREE) == 0) {
    return true;
  }
  size_t const tag = *foot_before(f->b);
  size_t const minus = -tag;
  unsigned char *const before =
      (unsigned char *)((uintptr_t)f->b + minus * (GRANULE >> TAG_SHIFT) + (GRANULE >> TAG_SHIFT));
  bool const wrapped = sizeof(void *) == 4 && before >= f->b; /* a damaged tag, on 32 bit only: no tag reaches 2^36 */
  if (RF_UNLIKELY(before < f->region->first) || RF_UNLIKELY(wrapped) ||
      RF_UNLIKELY(*header_of(before) != (uint32_t)tag) ||
      RF_UNLIKELY(!remove_free(f->region, f->origin, &f->map, before))) {
    return false;
  }
  f->b = before;
  return true;
}

/* Inserts the free block. */
RF_INLINE rf_status insert(const freed *f) {
  *header_of(f->e) |= PREV_FREE;
  if (RF_UNLIKELY(!insert_free(f->region, f->origin, f->map, f->b, f->e, (size_t)(f->e - f->b) / GRANULE,
                               (size_t)(f->b - f->origin) / PLACE))) {
    f->region->map = f->map;
    return rf_tlsf_free_tail_corrupt(f->region);
  }
  return RF_OK;
}

rf_status rf_tlsf_free(rf_allocator *self, void *p, const rf_site *site) {
  rf_tlsf *const h = rf_tlsf_of(self);
  freed f;
  if (RF_UNLIKELY(!find_region(&f, h->regions.region, p)) || RF_UNLIKELY(!clear_start(&f))) {
    return rf_tlsf_free_refused(h, p, site);
  }
  if (RF_UNLIKELY(!read_block(&f, &h->counters, p)) || RF_UNLIKELY(!coalesce_next(&f))) {
    return rf_tlsf_free_undone(NULL, f.b, f.region);
  }
  if (RF_UNLIKELY(!coalesce_prev(&f))) {
    return rf_tlsf_free_undone(f.e, f.b, f.region);
  }
  return insert(&f);
}

#endif /* !RF_TLSF_SMALL */

/* Usable bytes of a plain block in the region of the last request, where most blocks of this question are; else 0. */
static size_t usable_at_hand(const rf_tlsf_region *region, const unsigned char *p) {
  if (granules_behind(region->origin, p) >= region->granules || p < region->first || !is_start(region, p)) {
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
  size_t const usable = usable_at_hand((rf_tlsf_of(self))->current, p);
  if (RF_LIKELY(usable != 0)) {
    return usable;
  }
  return rf_tlsf_find_live(rf_tlsf_of(self), p, &live) == RF_POINTER_OK ? (size_t)(live.e - live.user) - HEADER : 0;
}

static bool tlsf_owns(rf_allocator *self, const void *p) {
  return region_of(rf_tlsf_of(self), p) != NULL;
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
  *out = (rf_tlsf_of(self))->counters;
}

static void tlsf_deinit(rf_allocator *self) {
  const rf_tlsf *const h = rf_tlsf_of(self);
  const void *at;
  bool const told = RF_TRACK && rf_tlsf_regions_damage(h, &at) == NULL;
  for (rf_tlsf_region *r = told ? rf_tlsf_region_above(h, NULL) : NULL; r != NULL;
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
