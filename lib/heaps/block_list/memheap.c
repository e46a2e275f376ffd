#include <ringfence/memheap.h>

#include <ringfence/track.h>
#include <string.h>

/* In the payload of a free block. */
typedef struct links {
  size_t next;
  size_t prev;
} links;

static rf_memheap *self_of(rf_allocator *allocator) {
  return (rf_memheap *)(void *)allocator;
}

static rf_status refuse(rf_memheap *heap, const rf_chain_trouble *trouble, const rf_site *site) {
  return rf_fault_refuse(&heap->base, trouble->status, trouble->what, trouble->where, site);
}

static bool damaged(const void *where, const char *what, rf_chain_trouble *trouble) {
  trouble->status = RF_ERR_CORRUPT;
  trouble->what = what;
  trouble->where = where;
  return false;
}

/* ---- Records ---- */

static size_t region_seal(const rf_memheap_region *r) {
  size_t seal = rf_chain_mix(0, (uintptr_t)r->next);
  seal = rf_chain_mix(seal, (uintptr_t)r->heap);
  seal = rf_chain_mix(seal, (uintptr_t)r->name);
  return rf_chain_mix(seal, r->chain.seal);
}

static size_t heap_seal(const rf_memheap *heap) {
  return rf_chain_mix(rf_chain_mix(0, (uintptr_t)heap->first), heap->regions);
}

/* Goes to the first region or the one after *r; sets *r to NULL at the end. Each record is sealed and vouches for the address
 * of the next. False, and *trouble, where one is damaged. */
static bool step(const rf_memheap *heap, rf_memheap_region **r, rf_chain_trouble *trouble) {
  if (*r == NULL && heap->seal != heap_seal(heap)) {
    return damaged(heap, "damaged heap record", trouble);
  }
  rf_memheap_region *const next = *r == NULL ? heap->first : (*r)->next;
  if (next != NULL && (next->seal != region_seal(next) || next->heap != heap || !rf_chain_intact(&next->chain))) {
    return damaged(next, "damaged region record", trouble);
  }
  *r = next;
  return true;
}

/* The region that holds `ptr`. */
static rf_memheap_region *find_region(const rf_memheap *heap, const void *ptr, rf_chain_trouble *trouble) {
  rf_memheap_region *r = NULL;
  do {
    if (!step(heap, &r, trouble)) {
      return NULL;
    }
  } while (r != NULL && !rf_chain_owns(&r->chain, ptr));
  if (r == NULL) {
    trouble->status = RF_ERR_BAD_POINTER;
    trouble->what = "pointer from elsewhere";
    trouble->where = ptr;
  }
  return r;
}

/* The region and the live block that starts at `ptr`; NULL, and *trouble, where there is none. */
static rf_memheap_region *find(const rf_memheap *heap, const void *ptr, rf_chain_place *place,
                               rf_chain_trouble *trouble) {
  rf_memheap_region *const r = find_region(heap, ptr, trouble);
  return r != NULL && rf_chain_find(&r->chain, ptr, place, trouble) ? r : NULL;
}

/* ---- The list of free blocks ---- */

static links *links_at(const rf_memheap_region *r, size_t at) {
  return (links *)(void *)rf_chain_payload(&r->chain, at);
}

/* An intact free block at `at`, any number. */
static bool is_free(const rf_memheap_region *r, size_t at) {
  rf_chain_block b;
  return rf_chain_read(&r->chain, at, &b) && !b.used;
}

/* Whether the free block at `at` is in the list: its neighbours there, which unlinking it changes, know it. */
static bool is_linked(const rf_memheap_region *r, size_t at) {
  const links *const l = links_at(r, at);
  bool const before =
      l->prev == RF_CHAIN_NONE ? r->free == at : is_free(r, l->prev) && links_at(r, l->prev)->next == at;
  return before && (l->next == RF_CHAIN_NONE || (is_free(r, l->next) && links_at(r, l->next)->prev == at));
}

/* Whether a block can be put before the first. */
static bool is_headed(const rf_memheap_region *r) {
  return r->free == RF_CHAIN_NONE || (is_free(r, r->free) && links_at(r, r->free)->prev == RF_CHAIN_NONE);
}

static bool damaged_links(const rf_memheap_region *r, size_t at, rf_chain_trouble *trouble) {
  const void *const where = at == RF_CHAIN_NONE ? (const void *)r : rf_chain_payload(&r->chain, at);
  return damaged(where, "damaged list of free blocks", trouble);
}

/* Whether the list can be changed around a block: its free neighbours taken out, others put in. */
static bool is_ready(const rf_memheap_region *r, const rf_chain_place *place, rf_chain_trouble *trouble) {
  if (!place->before.used && !is_linked(r, place->before.at)) {
    return damaged_links(r, place->before.at, trouble);
  }
  if (!place->after.used && !is_linked(r, place->after.at)) {
    return damaged_links(r, place->after.at, trouble);
  }
  return is_headed(r) || damaged_links(r, RF_CHAIN_NONE, trouble);
}

static void take_out(rf_memheap_region *r, size_t at) {
  links const l = *links_at(r, at);
  if (l.prev == RF_CHAIN_NONE) {
    r->free = l.next;
  } else {
    links_at(r, l.prev)->next = l.next;
  }
  if (l.next != RF_CHAIN_NONE) {
    links_at(r, l.next)->prev = l.prev;
  }
}

/* The free blocks beside a block, that behind it and, with `before`, that in front of it. */
static void take_out_neighbours(rf_memheap_region *r, const rf_chain_place *place, bool before) {
  if (before && !place->before.used) {
    take_out(r, place->before.at);
  }
  if (!place->after.used) {
    take_out(r, place->after.at);
  }
}

static void put_in(rf_memheap_region *r, size_t at) {
  links *const l = links_at(r, at);
  l->prev = RF_CHAIN_NONE;
  l->next = r->free;
  if (r->free != RF_CHAIN_NONE) {
    links_at(r, r->free)->prev = at;
  }
  r->free = at;
}

/* ---- Taking and giving back, within a region ---- */

/* The smallest free block that can hold the size, or the first that holds it with nothing to split off; RF_CHAIN_NONE where
 * none can. Headers and links passed on the way are read,
 * not verified: damage cannot lead out of the region, nor round in a circle, because each block must name the one before it.
 * False, and *trouble, for what cannot be. */
static bool search(const rf_memheap_region *r, size_t size, size_t align, size_t *best, rf_chain_trouble *trouble) {
  const rf_chain *const c = &r->chain;
  size_t least = SIZE_MAX;
  *best = RF_CHAIN_NONE;
  for (size_t at = r->free, from = RF_CHAIN_NONE; at != RF_CHAIN_NONE && least - size >= RF_ALIGN_DEFAULT;) {
    if (!rf_chain_readable(c, at) || links_at(r, at)->prev != from) {
      return damaged_links(r, from, trouble);
    }
    const rf_chain_header *const h = rf_chain_header_at(c, at);
    if ((h->tag & RF_CHAIN_USED) != 0) {
      return rf_chain_damaged(c, at, trouble);
    }
    size_t const room = h->next - at - c->header;
    if (room >= size && room < least) {
      rf_chain_run const run = {at, h->next, h->prev};
      size_t gap;
      if (rf_chain_fits(c, &run, size, align, &gap)) {
        *best = at;
        least = room;
      }
    }
    from = at;
    at = links_at(r, at)->next;
  }
  return true;
}

static void *carve(rf_memheap_region *r, const rf_chain_run *run, size_t gap, size_t size, const rf_site *site,
                   const void *from, size_t keep) {
  rf_chain_rest rest;
  void *const p = rf_chain_carve(&r->chain, run, gap, size, site, from, keep, &rest);
  if (rest.before != RF_CHAIN_NONE) {
    put_in(r, rest.before);
  }
  if (rest.after != RF_CHAIN_NONE) {
    put_in(r, rest.after);
  }
  return p;
}

/* Best fit, counted for the region. NULL: no room, or, with trouble->what set, damage. */
static void *take_from(rf_memheap_region *r, size_t size, size_t align, const rf_site *site,
                       rf_chain_trouble *trouble) {
  rf_chain_place found;
  size_t at;
  size_t gap;
  if (!search(r, size, align, &at, trouble) ||
      (at != RF_CHAIN_NONE && !rf_chain_read_place(&r->chain, at, &found, trouble))) {
    return NULL;
  }
  if (at == RF_CHAIN_NONE) {
    r->counters.failures++;
    return NULL;
  }
  if (!is_linked(r, at) || !is_headed(r)) {
    (void)damaged_links(r, at, trouble);
    return NULL;
  }
  rf_chain_run const run = rf_chain_run_of(&found.block);
  (void)rf_chain_fits(&r->chain, &run, size, align, &gap);
  take_out(r, at);
  rf_count_alloc(&r->counters, size);
  return carve(r, &run, gap, size, site, NULL, 0);
}

/* From the first region that can. Damage is reported, and ends the search: nothing is known of what lies behind it. */
static void *take(rf_memheap *heap, size_t size, size_t align, const rf_site *site) {
  rf_chain_trouble trouble = {RF_OK, NULL, NULL};
  rf_memheap_region *r = NULL;
  void *p = NULL;
  while (p == NULL && trouble.what == NULL && step(heap, &r, &trouble) && r != NULL) {
    p = take_from(r, size, align, site, &trouble);
  }
  if (trouble.what != NULL) {
    (void)refuse(heap, &trouble, site);
  }
  return p;
}

/* The list is ready; counted for the region. */
static void give_back(rf_memheap_region *r, const rf_chain_place *place) {
  rf_chain_run const run = rf_chain_run_around(place, true);
  take_out_neighbours(r, place, true);
  rf_count_free(&r->counters, rf_chain_size(&r->chain, &place->block));
  rf_chain_release(&r->chain, &run);
  put_in(r, run.at);
}

/* ---- Operations ---- */

static void *memheap_alloc(rf_allocator *allocator, size_t size, size_t align, const rf_site *site) {
  rf_memheap *const heap = self_of(allocator);
  void *const p = take(heap, size, align, site);
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_alloc(&heap->counters, size);
  }
  return p;
}

static rf_status memheap_free(rf_allocator *allocator, void *ptr, const rf_site *site) {
  rf_memheap *const heap = self_of(allocator);
  rf_chain_place place;
  rf_chain_trouble trouble;
  rf_memheap_region *const r = find(heap, ptr, &place, &trouble);
  if (r == NULL || !is_ready(r, &place, &trouble)) {
    return refuse(heap, &trouble, site);
  }
  rf_count_free(&heap->counters, rf_chain_size(&r->chain, &place.block));
  give_back(r, &place);
  return RF_OK;
}

/* Resizes the block into the memory behind it, where that is free. */
static bool stretch(rf_memheap_region *r, const rf_chain_place *place, size_t size, size_t align, const rf_site *site) {
  size_t gap;
  rf_chain_run const run = rf_chain_run_around(place, false);
  if (!rf_chain_fits(&r->chain, &run, size, align, &gap) || gap != 0) {
    return false;
  }
  take_out_neighbours(r, place, false);
  rf_count_resize(&r->counters, rf_chain_size(&r->chain, &place->block), size);
  (void)carve(r, &run, 0, size, site, NULL, 0);
  return true;
}

/* All that the owner may have written, not only what was requested: rf_usable_size told how much that is. */
static size_t bytes_to_keep(const rf_memheap_region *r, const rf_chain_block *b, size_t new_size) {
  size_t const room = rf_chain_room(&r->chain, b);
  return room < new_size ? room : new_size;
}

/* Resizes the block into it and the free memory on both sides of it. */
static void *slide(rf_memheap_region *r, const rf_chain_place *place, size_t size, size_t align, const rf_site *site) {
  size_t gap;
  rf_chain_run const run = rf_chain_run_around(place, true);
  if (!rf_chain_fits(&r->chain, &run, size, align, &gap)) {
    return NULL;
  }
  take_out_neighbours(r, place, true);
  rf_count_resize(&r->counters, rf_chain_size(&r->chain, &place->block), size);
  return carve(r, &run, gap, size, site, rf_chain_payload(&r->chain, place->block.at),
               bytes_to_keep(r, &place->block, size));
}

/* To where an allocation would be served. The block's neighbours cannot have changed: had a free one been large enough, the
 * block would have grown into it. Their places in the list of free blocks may have. */
static void *move(rf_memheap *heap, rf_memheap_region *r, const rf_chain_place *place, size_t size, size_t align,
                  const rf_site *site) {
  void *const moved = take(heap, size, align, site);
  if (moved != NULL) {
    rf_track_copy(moved, rf_chain_payload(&r->chain, place->block.at), bytes_to_keep(r, &place->block, size));
    give_back(r, place);
  }
  return moved;
}

static void *memheap_realloc(rf_allocator *allocator, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_memheap *const heap = self_of(allocator);
  rf_chain_place place;
  rf_chain_trouble trouble;
  rf_memheap_region *const r = find(heap, ptr, &place, &trouble);
  if (r == NULL || !is_ready(r, &place, &trouble)) {
    (void)refuse(heap, &trouble, site);
    return NULL;
  }
  void *p = stretch(r, &place, size, align, site) ? ptr : slide(r, &place, size, align, site);
  if (p == NULL) {
    p = move(heap, r, &place, size, align, site);
  }
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_resize(&heap->counters, rf_chain_size(&r->chain, &place.block), size);
  }
  return p;
}

static rf_status memheap_resize(rf_allocator *allocator, void *ptr, size_t size, const rf_site *site) {
  rf_memheap *const heap = self_of(allocator);
  rf_chain_place place;
  rf_chain_trouble trouble;
  rf_memheap_region *const r = find(heap, ptr, &place, &trouble);
  if (r == NULL || !is_ready(r, &place, &trouble)) {
    return refuse(heap, &trouble, site);
  }
  if (!stretch(r, &place, size, 1, site)) {
    return RF_ERR_NO_MEMORY;
  }
  rf_count_resize(&heap->counters, rf_chain_size(&r->chain, &place.block), size);
  return RF_OK;
}

static size_t memheap_usable_size(rf_allocator *allocator, const void *ptr) {
  rf_chain_place place;
  rf_chain_trouble unused;
  const rf_memheap_region *const r = find(self_of(allocator), ptr, &place, &unused);
  return r != NULL ? rf_chain_room(&r->chain, &place.block) : 0;
}

static bool memheap_owns(rf_allocator *allocator, const void *ptr) {
  return rf_memheap_region_of(self_of(allocator), ptr) != NULL;
}

static rf_status memheap_walk(rf_allocator *allocator, rf_walk_fn visit, void *context) {
  const rf_memheap *const heap = self_of(allocator);
  rf_memheap_region *r = NULL;
  rf_chain_trouble unused;
  rf_status status = RF_OK;
  bool more = true;
  do {
    if (!step(heap, &r, &unused)) {
      return RF_ERR_CORRUPT;
    }
    if (r != NULL) {
      status = rf_chain_walk(&r->chain, visit, context, &more);
    }
  } while (r != NULL && status == RF_OK && more);
  return status;
}

/* ---- Integrity ---- */

static bool check_list(const rf_memheap_region *r, size_t free_blocks, rf_chain_trouble *trouble) {
  size_t seen = 0;
  size_t from = RF_CHAIN_NONE;
  for (size_t at = r->free; at != RF_CHAIN_NONE && seen <= free_blocks; at = links_at(r, at)->next) {
    if (!is_free(r, at) || links_at(r, at)->prev != from) {
      return damaged_links(r, from, trouble);
    }
    from = at;
    seen++;
  }
  return seen == free_blocks || damaged_links(r, from, trouble);
}

static bool adds_up(const rf_counters *counted, size_t used, size_t blocks) {
  return used == counted->used && blocks == counted->blocks && counted->peak >= used &&
         counted->peak_blocks >= blocks && counted->allocations >= counted->peak_blocks;
}

static bool check_region(const rf_memheap_region *r, rf_chain_sums *sums, rf_chain_trouble *trouble) {
  if (!rf_chain_check(&r->chain, sums, trouble) || !check_list(r, sums->free_blocks, trouble)) {
    return false;
  }
  return adds_up(&r->counters, sums->used, sums->blocks) ||
         damaged(r, "blocks do not add up to what was counted", trouble);
}

static bool check_all(const rf_memheap *heap, rf_chain_trouble *trouble) {
  rf_chain_sums sums;
  rf_memheap_region *r = NULL;
  size_t used = 0;
  size_t blocks = 0;
  for (;;) {
    if (!step(heap, &r, trouble)) {
      return false;
    }
    if (r == NULL) {
      return adds_up(&heap->counters, used, blocks) ||
             damaged(heap, "blocks do not add up to what was counted", trouble);
    }
    if (!check_region(r, &sums, trouble)) {
      return false;
    }
    used += sums.used;
    blocks += sums.blocks;
  }
}

static rf_status memheap_check(rf_allocator *allocator, rf_fault *where) {
  rf_chain_trouble trouble;
  if (check_all(self_of(allocator), &trouble)) {
    return RF_OK;
  }
  rf_fault const fault = {trouble.status, trouble.what, allocator, trouble.where, NULL};
  *where = fault;
  return RF_ERR_CORRUPT;
}

/* ---- Statistics ---- */

void rf_memheap_region_stats(const rf_memheap_region *region, rf_stats *out) {
  rf_chain_sums sums;
  rf_chain_trouble unused;
  memset(out, 0, sizeof *out);
  rf_count_into(&region->counters, out);
  (void)rf_chain_check(&region->chain, &sums, &unused);
  out->capacity = region->chain.limit;
  out->free_bytes = sums.free_bytes;
  out->largest_free = sums.largest_free;
  out->overhead = out->capacity - out->used - out->free_bytes;
}

static void memheap_stats(rf_allocator *allocator, rf_stats *out) {
  const rf_memheap *const heap = self_of(allocator);
  memset(out, 0, sizeof *out);
  rf_count_into(&heap->counters, out);
  for (const rf_memheap_region *r = rf_memheap_next(heap, NULL); r != NULL; r = rf_memheap_next(heap, r)) {
    rf_stats part;
    rf_memheap_region_stats(r, &part);
    out->capacity += part.capacity;
    out->free_bytes += part.free_bytes;
    out->largest_free = out->largest_free < part.largest_free ? part.largest_free : out->largest_free;
    out->overhead += part.overhead;
  }
}

static void memheap_counters(rf_allocator *allocator, rf_counters *out) {
  *out = self_of(allocator)->counters;
}

/* ---- Regions ---- */

rf_memheap_region *rf_memheap_next(const rf_memheap *heap, const rf_memheap_region *region) {
  rf_memheap_region *r = (rf_memheap_region *)(uintptr_t)region;
  rf_chain_trouble unused;
  return step(heap, &r, &unused) ? r : NULL;
}

rf_memheap_region *rf_memheap_region_of(const rf_memheap *heap, const void *ptr) {
  rf_chain_trouble unused;
  return find_region(heap, ptr, &unused);
}

const char *rf_memheap_region_name(const rf_memheap_region *region) {
  return region->name != NULL ? region->name : "";
}

static bool overlap(const void *a, size_t a_size, const void *b, size_t b_size) {
  return (uintptr_t)a < (uintptr_t)b + b_size && (uintptr_t)b < (uintptr_t)a + a_size;
}

/* Makes `region` what comes after `last` (NULL: the first). */
static void set_next(rf_memheap *heap, rf_memheap_region *last, rf_memheap_region *region) {
  if (last == NULL) {
    heap->first = region;
  } else {
    last->next = region;
    last->seal = region_seal(last);
  }
}

rf_status rf_memheap_add(rf_memheap *heap, rf_memheap_region *region, const char *name, void *memory, size_t size) {
  rf_memheap_region *last = NULL;
  rf_memheap_region *r = NULL;
  rf_chain_trouble trouble;
  rf_chain chain;
  if (heap == NULL || region == NULL || memory == NULL || size > RF_SIZE_LIMIT ||
      (uintptr_t)memory > UINTPTR_MAX - size || overlap(region, sizeof *region, memory, size)) {
    return RF_ERR_INVALID;
  }
  for (;;) {
    if (!step(heap, &r, &trouble)) {
      return refuse(heap, &trouble, NULL);
    }
    if (r == NULL) {
      break;
    }
    if (r == region || overlap(r->chain.start, r->chain.limit, memory, size)) {
      return RF_ERR_INVALID;
    }
    last = r;
  }
  if (rf_chain_init(&chain, memory, size, sizeof(links), NULL) != RF_OK) {
    return RF_ERR_INVALID;
  }
  memset(region, 0, sizeof *region);
  region->heap = heap;
  region->name = name;
  region->chain = chain;
  region->seal = region_seal(region);
  region->free = RF_CHAIN_NONE;
  rf_track_enter();
  put_in(region, 0);
  rf_track_leave();
  set_next(heap, last, region);
  heap->regions++;
  heap->seal = heap_seal(heap);
  return RF_OK;
}

rf_status rf_memheap_remove(rf_memheap *heap, rf_memheap_region *region) {
  rf_memheap_region *last = NULL;
  rf_memheap_region *r = NULL;
  rf_chain_trouble trouble;
  if (heap == NULL || region == NULL) {
    return RF_ERR_INVALID;
  }
  for (;;) {
    if (!step(heap, &r, &trouble)) {
      return refuse(heap, &trouble, NULL);
    }
    if (r == NULL) {
      return RF_ERR_INVALID;
    }
    if (r == region) {
      break;
    }
    last = r;
  }
  if (region->counters.blocks != 0) {
    return RF_ERR_BUSY;
  }
  set_next(heap, last, region->next);
  heap->regions--;
  heap->seal = heap_seal(heap);
  rf_track_enter();
  rf_chain_deinit(&region->chain);
  rf_track_leave();
  memset(region, 0, sizeof *region);
  return RF_OK;
}

/* ---- Beginning and end ---- */

static void memheap_deinit(rf_allocator *allocator) {
  rf_memheap *const heap = self_of(allocator);
  rf_memheap_region *r = rf_memheap_next(heap, NULL);
  while (r != NULL) {
    rf_memheap_region *const next = rf_memheap_next(heap, r);
    rf_chain_deinit(&r->chain);
    memset(r, 0, sizeof *r);
    r = next;
  }
  (void)rf_memheap_init(heap);
}

static const rf_allocator_ops MEMHEAP_OPS = {
    .name = "memheap",
    .alloc = memheap_alloc,
    .free = memheap_free,
    .realloc = memheap_realloc,
    .resize = memheap_resize,
    .usable_size = memheap_usable_size,
    .owns = memheap_owns,
    .walk = memheap_walk,
    .check = memheap_check,
    .stats = memheap_stats,
    .deinit = memheap_deinit,
    .counters = memheap_counters,
};

rf_status rf_memheap_init(rf_memheap *heap) {
  if (heap == NULL) {
    return RF_ERR_INVALID;
  }
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_ops(&MEMHEAP_OPS);
  heap->seal = heap_seal(heap);
  return RF_OK;
}
