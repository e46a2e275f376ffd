/* rf_tlsf: regions, in a treap by address (Seidel and Aragon, Randomized search trees, 1996). The priority is a hash of
 * the address, so that the tree's shape, and the O(log n) path to a region, do not depend on the order of
 * insertions. */
#include "tlsf_region.h"

#include "lib/core/checksum.h"

#include <string.h>

rf_tlsf_region *rf_tlsf_region_above(const rf_tlsf *h, const void *p) {
  rf_tlsf_region *lowest = NULL;
  rf_tlsf_region *region = h->regions.region;
  while (region != NULL) {
    bool const above = (uintptr_t)region->origin > (uintptr_t)p;
    lowest = above ? region : lowest;
    region = RF_TLSF_SMALL ? NULL : region->child[above ? 0 : 1].region;
  }
  return lowest;
}

size_t rf_tlsf_list_count(const rf_tlsf_region *region) {
  return list_of((size_t)(region->end - region->first) / GRANULE) + 1;
}

size_t rf_tlsf_region_checksum(const rf_tlsf_region *region) {
  size_t const sum = rf_checksum_add_address(rf_checksum_begin(region), region->memory);
  return rf_checksum_add_address(rf_checksum_add(sum, region->size), region->whole);
}

/* ---- The tree ---- */

static void set_link(rf_tlsf_link *link, rf_tlsf_region *region) {
  link->region = region;
  link->inverse = ~(uintptr_t)region;
}

static uintptr_t priority(const rf_tlsf_region *region) {
  uintptr_t const mixed = rf_checksum_spread((uintptr_t)region->origin);
  return mixed ^ mixed >> (RF_SIZE_BITS / 2);
}

static rf_tlsf_link *link_toward(rf_tlsf_region *from, const rf_tlsf_region *region) {
  return &from->child[(uintptr_t)region->origin > (uintptr_t)from->origin];
}

static void insert_into_tree(rf_tlsf *h, rf_tlsf_region *region) {
  rf_tlsf_link *at = &h->regions;
  while (at->region != NULL && priority(at->region) >= priority(region)) {
    at = link_toward(at->region, region);
  }
  rf_tlsf_region *rest = at->region;
  rf_tlsf_link *side[2] = {&region->child[0], &region->child[1]};
  set_link(at, region);
  while (rest != NULL) {
    bool const above = (uintptr_t)rest->origin > (uintptr_t)region->origin;
    set_link(side[above], rest);
    side[above] = &rest->child[!above];
    rest = side[above]->region;
  }
  set_link(side[0], NULL);
  set_link(side[1], NULL);
}

static void remove_from_tree(rf_tlsf *h, const rf_tlsf_region *region) {
  rf_tlsf_link *at = &h->regions;
  while (at->region != region) {
    at = link_toward(at->region, region);
  }
  rf_tlsf_region *below = region->child[0].region;
  rf_tlsf_region *above = region->child[1].region;
  while (below != NULL && above != NULL) {
    bool const take_below = priority(below) >= priority(above);
    rf_tlsf_region **const taken = take_below ? &below : &above;
    set_link(at, *taken);
    at = &(*taken)->child[take_below ? 1 : 0];
    *taken = at->region;
  }
  set_link(at, below != NULL ? below : above);
}

/* ---- Layout: [record,] bitmap, lists, blocks ---- */

/* False where no block fits behind `count` lists. */
static bool lay_out(rf_tlsf_region *region, uintptr_t at, uintptr_t limit, size_t count) {
  region->starts = (size_t *)at;
  at += ((limit - at) / GRANULE / RF_SIZE_BITS + 1) * sizeof(size_t);
  uintptr_t const origin = at + (-at & (GRANULE - 1));
  uintptr_t const lists_end = origin + count * PLACE + HEADER;
  uintptr_t const first = lists_end + (-lists_end & (GRANULE - 1));
  if (first >= limit || limit - first < MIN_BLOCK) {
    return false;
  }
  region->origin = (unsigned char *)origin;
  region->first = (unsigned char *)first;
  region->granules = (limit - origin) / GRANULE;
  region->end = region->origin + region->granules * GRANULE;
  region->places = (uint32_t)((size_t)(region->end - region->origin) / PLACE);
  return true;
}

rf_status rf_tlsf_plan(rf_tlsf_region *region, void *memory, size_t size, size_t lead) {
  uintptr_t const at = (uintptr_t)memory + rf_align_gap(memory, sizeof(size_t)) + lead;
  uintptr_t const limit = (uintptr_t)memory + size;
  region->memory = memory;
  region->size = size;
  for (size_t count = 1; at < limit && lay_out(region, at, limit, count); count++) {
    if (rf_tlsf_list_count(region) <= count) {
      return RF_OK;
    }
  }
  return RF_ERR_NO_MEMORY;
}

/* ---- Damage ---- */

static bool is_sound_record(const rf_tlsf *h, const rf_tlsf_region *region) {
  rf_tlsf_region planned;
  size_t const lead = region == &h->main ? 0 : sizeof planned;
  return region->heap == h && (RF_TLSF_SMALL || region->checksum == rf_tlsf_region_checksum(region)) &&
         rf_tlsf_plan(&planned, region->memory, region->size, lead) == RF_OK && region->origin == planned.origin &&
         region->granules == planned.granules && region->starts == planned.starts && region->first == planned.first &&
         region->end == planned.end && region->places == planned.places;
}

/* The part of the tree behind `link`, all of it between the addresses `low` and `high`: no link leads back up. */
static const char *tree_damage(const rf_tlsf *h, const rf_tlsf_link *link, uintptr_t low, uintptr_t high,
                               const void **at) {
  const rf_tlsf_region *const region = link->region;
  *at = link;
  if (link->inverse != ~(uintptr_t)region) {
    return "damaged list of regions";
  }
  if (region == NULL) {
    return NULL;
  }
  if (!is_sound_record(h, region)) {
    *at = region;
    return "damaged region record";
  }
  uintptr_t const origin = (uintptr_t)region->origin;
  if (origin <= low || origin >= high) {
    return "damaged list of regions";
  }
  if (RF_TLSF_SMALL) {
    return NULL;
  }
  const char *const what = tree_damage(h, &region->child[0], low, origin, at);
  return what != NULL ? what : tree_damage(h, &region->child[1], origin, high, at);
}

const char *rf_tlsf_regions_damage(const rf_tlsf *h, const void **at) {
  return tree_damage(h, &h->regions, 0, UINTPTR_MAX, at);
}

/* ---- Opening ---- */

static void open_region(rf_tlsf *h, rf_tlsf_region *region, void *whole) {
  region->heap = h;
  region->whole = whole;
  region->checksum = RF_TLSF_SMALL ? 0 : rf_tlsf_region_checksum(region);
  region->map = 0;
  rf_track_arena_end(region->memory, region->size); /* a former heap without deinit may have left it poisoned */
  memset(region->starts, 0, (region->granules / RF_SIZE_BITS + 1) * sizeof(size_t));
  toggle_start(region, region->granules);
  for (uint32_t list = 0; list < rf_tlsf_list_count(region); list++) {
    *next_of(at_place(region, list)) = list;
    *prev_of(at_place(region, list)) = list;
  }
  *header_of(region->end) = 0;
  rf_tlsf_insert_free_block(region, region->first, region->end);
  rf_track_arena(region->memory, region->size);
}

/* Opens the memory behind the first `done` of `size` bytes at `memory`, in pieces of at most a region. A rest too small
 * for a block is not used. */
static void open_rest(rf_tlsf *h, unsigned char *memory, size_t size, size_t done) {
  while (size != done) {
    rf_tlsf_region region;
    size_t const piece = size - done < RF_TLSF_MAX_REGION ? size - done : RF_TLSF_MAX_REGION;
    if (rf_tlsf_plan(&region, memory + done, piece, sizeof region) != RF_OK) {
      return;
    }
    rf_tlsf_region *const record = (rf_tlsf_region *)(void *)((unsigned char *)region.starts - sizeof region);
    *record = region;
    open_region(h, record, memory);
    insert_into_tree(h, record);
    done += piece;
  }
}

static bool is_memory(const void *memory, size_t size) {
  return memory != NULL && size <= RF_SIZE_LIMIT && (uintptr_t)memory <= UINTPTR_MAX - size;
}

rf_status rf_tlsf_open(rf_tlsf *heap, const rf_allocator_ops *ops, void *arena, size_t size) {
  rf_tlsf_region region;
  size_t const piece = size < RF_TLSF_MAX_REGION ? size : RF_TLSF_MAX_REGION;
  if (heap == NULL || !is_memory(arena, size)) {
    return RF_ERR_INVALID;
  }
  rf_status const status = rf_tlsf_plan(&region, arena, piece, 0);
  if (status != RF_OK) {
    return status;
  }
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_ops(ops);
  heap->main = region;
  heap->current = &heap->main;
  set_link(&heap->regions, &heap->main);
  if (!RF_TLSF_SMALL) {
    set_link(&heap->main.child[0], NULL);
    set_link(&heap->main.child[1], NULL);
  }
  open_region(heap, &heap->main, arena);
  if (sizeof(size_t) == 8 && !RF_TLSF_SMALL) { /* on 32 bit it was one piece */
    open_rest(heap, (unsigned char *)arena, size, piece);
  }
  return RF_OK;
}

rf_status rf_tlsf_add_region(rf_tlsf *heap, void *memory, size_t size) {
  rf_tlsf_region region;
  uintptr_t const begin = (uintptr_t)memory;
  if (heap == NULL || !is_memory(memory, size)) {
    return RF_ERR_INVALID;
  }
  if (RF_TLSF_SMALL) {
    return RF_ERR_UNSUPPORTED;
  }
  for (rf_tlsf_region *r = rf_tlsf_region_above(heap, NULL); r != NULL; r = rf_tlsf_region_above(heap, r->origin)) {
    if (begin < (uintptr_t)r->memory + r->size && (uintptr_t)r->memory < begin + size) {
      return RF_ERR_INVALID;
    }
  }
  rf_status const status =
      rf_tlsf_plan(&region, memory, size < RF_TLSF_MAX_REGION ? size : RF_TLSF_MAX_REGION, sizeof region);
  if (status == RF_OK) {
    rf_track_enter(); /* records of regions are in their memory */
    open_rest(heap, (unsigned char *)memory, size, 0);
    rf_track_leave();
  }
  return status;
}

/* ---- Removing ---- */

/* The next piece of memory that was cut into several regions; NULL behind the last. */
static rf_tlsf_region *piece_after(const rf_tlsf *h, const rf_tlsf_region *region) {
  rf_tlsf_region *const next = rf_tlsf_region_above(h, region->origin);
  return next != NULL && next->whole == region->whole ? next : NULL;
}

static bool is_empty(const rf_tlsf_region *region) {
  return (*header_of(region->first) & FREE) != 0 &&
         region->first + size_of_tag(*header_of(region->first)) == region->end;
}

static rf_status remove_region(rf_tlsf *heap, void *memory) {
  rf_tlsf_region *region = RF_TLSF_SMALL ? NULL : rf_tlsf_region_above(heap, memory);
  if (memory == NULL || region == NULL || region->memory != memory || region->whole != memory ||
      region == &heap->main) {
    return RF_ERR_INVALID;
  }
  for (rf_tlsf_region *r = region; r != NULL; r = piece_after(heap, r)) {
    if (!is_empty(r)) {
      return RF_ERR_BUSY;
    }
  }
  while (region != NULL) {
    rf_tlsf_region *const next = piece_after(heap, region);
    remove_from_tree(heap, region);
    rf_track_arena_end(region->memory, region->size);
    region = next;
  }
  heap->current = &heap->main;
  return RF_OK;
}

rf_status rf_tlsf_remove_region(rf_tlsf *heap, void *memory) {
  rf_track_enter();
  rf_status const status = remove_region(heap, memory);
  rf_track_leave();
  return status;
}
