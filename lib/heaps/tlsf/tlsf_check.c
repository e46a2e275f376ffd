/* rf_tlsf: the full integrity pass. Safe on any damage: no pointer is followed before it is known to lead into the
 * heap's memory, and every loop ends. Records of regions are recomputed from their memory, blocks follow each other to
 * the end of the region, a list is followed only to a block that points back. */
#include "tlsf_check.h"

#include "tlsf_region.h"
#include "tlsf_walk.h"

typedef struct check {
  rf_tlsf *h;
  rf_fault *where;
  size_t live_blocks;
  size_t used;
} check;

/* Fills in the fault; always false. */
static bool damage(const check *c, const char *what, const void *at) {
  *c->where = (rf_fault){RF_ERR_CORRUPT, what, &c->h->base, at, NULL};
  return false;
}

/* ---- Regions ---- */

static bool check_tree(const check *c) {
  const void *at;
  const char *const what = rf_tlsf_regions_damage(c->h, &at);
  return what == NULL || damage(c, what, at);
}

static bool check_current(const check *c) {
  rf_tlsf_region *r = rf_tlsf_region_above(c->h, NULL);
  while (r != NULL && r != c->h->current) {
    r = rf_tlsf_region_above(c->h, r->origin);
  }
  return r != NULL || damage(c, "damaged heap record", c->h);
}

/* ---- Free blocks ---- */

static bool is_first_to_end(const rf_tlsf_region *region, size_t place) {
  size_t const first = (size_t)(region->first - region->origin) / PLACE;
  return place >= first && place < region->places && (place - first) % (GRANULE / PLACE) == 0;
}

/* Both links of the block at `b` in list `list`, and the links back to it. */
static bool is_linked(const rf_tlsf_region *region, unsigned char *b, size_t list) {
  size_t const place = (size_t)(b - region->origin) / PLACE;
  size_t const next = *next_of(b);
  size_t const prev = *prev_of(b);
  return (next == list || is_first_to_end(region, next)) && (prev == list || is_first_to_end(region, prev)) &&
         *prev_of(at_place(region, next)) == place && *next_of(at_place(region, prev)) == place;
}

/* Counts the blocks of a list. Each has been seen in check_blocks, or is none: then the counts differ. */
static bool check_list(const check *c, const rf_tlsf_region *region, size_t list, size_t *count, size_t most) {
  size_t place = *next_of(at_place(region, list));
  if ((place != list) != ((region->map >> list & 1) != 0)) {
    return damage(c, "free list and its bit differ", at_place(region, list));
  }
  for (; place != list; place = *next_of(at_place(region, place))) {
    if (!is_first_to_end(region, place) || !is_linked(region, at_place(region, place), list) || *count == most) {
      return damage(c, "damaged free list", at_place(region, list));
    }
    ++*count;
  }
  return *next_of(at_place(region, list)) != list || *prev_of(at_place(region, list)) == list ||
         damage(c, "damaged free list", at_place(region, list));
}

static bool check_lists(const check *c, const rf_tlsf_region *region, size_t free_blocks) {
  size_t const lists = rf_tlsf_list_count(region);
  size_t count = 0;
  for (size_t list = 0; list < lists; list++) {
    if (!check_list(c, region, list, &count, free_blocks)) {
      return false;
    }
  }
  if (count != free_blocks || (lists < LISTS && region->map >> lists != 0)) {
    return damage(c, "free lists and free blocks differ", region->origin);
  }
  return true;
}

/* ---- Blocks ---- */

static bool check_free_block(const check *c, const rf_tlsf_region *region, const rf_tlsf_step *step) {
  return (*foot_before(step->e) == *header_of(step->b) &&
          is_linked(region, step->b, list_of((size_t)(step->e - step->b) / GRANULE))) ||
         damage(c, "damaged free block", step->b);
}

static bool check_live_block(check *c, const rf_tlsf_step *step, bool prev_free) {
  c->live_blocks++;
  c->used += step->size;
  return (step->prev_free == prev_free && (size_t)(step->e - step->b) - rf_tlsf_block_for(step->size) < MIN_BLOCK) ||
         damage(c, "damaged block header", step->user);
}

static bool check_marks(const check *c, const rf_tlsf_region *region, size_t marks) {
  for (size_t i = 0; i <= region->granules / RF_SIZE_BITS; i++) {
    for (size_t bits = region->starts[i]; bits != 0; bits &= bits - 1) {
      marks--;
    }
  }
  return (marks == 0 && is_start(region, region->end)) || damage(c, "bitmap marks what is no block", region->starts);
}

static bool check_region(check *c, rf_tlsf_region *region) {
  size_t free_blocks = 0;
  size_t marks = 1;
  bool prev_free = false;
  rf_tlsf_step step;
  for (unsigned char *b = region->first; b != region->end; b = step.e) {
    if (!rf_tlsf_step_at(region, b, &step)) {
      return damage(c, "damaged block header", b);
    }
    bool const is_free = step.user == NULL;
    if (is_free && prev_free) {
      return damage(c, "free blocks that touch", b);
    }
    if (!(is_free ? check_free_block(c, region, &step) : check_live_block(c, &step, prev_free))) {
      return false;
    }
    free_blocks += is_free ? 1 : 0;
    marks += is_free ? 0 : step.user == b ? 1 : 2;
    prev_free = is_free;
  }
  if (*header_of(region->end) != (prev_free ? PREV_FREE : 0)) {
    return damage(c, "damaged end of region", region->end);
  }
  return check_marks(c, region, marks) && check_lists(c, region, free_blocks);
}

static bool check_counters(const check *c) {
  const rf_counters *const n = &c->h->counters;
  return (n->used == c->used && n->blocks == c->live_blocks && n->peak >= n->used && n->peak_blocks >= n->blocks &&
          n->allocations >= n->peak_blocks) ||
         damage(c, "damaged statistics", n);
}

static bool check_all(check *c) {
  if (!check_tree(c) || !check_current(c)) {
    return false;
  }
  for (rf_tlsf_region *r = rf_tlsf_region_above(c->h, NULL); r != NULL; r = rf_tlsf_region_above(c->h, r->origin)) {
    if (!check_region(c, r)) {
      return false;
    }
  }
  return check_counters(c);
}

rf_status rf_tlsf_check(rf_allocator *self, rf_fault *where) {
  check c = {.h = rf_tlsf_of(self), .where = where};
  return check_all(&c) ? RF_OK : RF_ERR_CORRUPT;
}
