#include <ringfence/smallmem.h>

#include <ringfence/track.h>
#include <string.h>

static rf_smallmem *self_of(rf_allocator *allocator) {
  return (rf_smallmem *)(void *)allocator;
}

static rf_status refuse(rf_smallmem *heap, const rf_chain_trouble *trouble, const rf_site *site) {
  return rf_fault_refuse(&heap->base, trouble->status, trouble->what, trouble->where, site);
}

/* ---- First fit ---- */

/* The first free block that can hold the size, and its neighbours. Headers passed on the way are read, not verified: a
 * damaged one cannot lead out of the arena or backwards, and the block that is chosen is verified with its neighbours.
 * NULL in trouble->what: there is none. */
static bool search(const rf_smallmem *heap, size_t size, size_t align, rf_chain_place *found, size_t *gap,
                   rf_chain_trouble *trouble) {
  const rf_chain *const c = &heap->chain;
  trouble->what = NULL;
  for (size_t at = heap->lowest, next; at != c->limit; at = next) {
    const rf_chain_header *const h = rf_chain_readable(c, at) ? rf_chain_header_at(c, at) : NULL;
    if (h == NULL || h->next <= at) {
      (void)rf_chain_damaged(c, at, trouble);
      return false;
    }
    next = h->next;
    if ((h->tag & RF_CHAIN_USED) == 0 && next - at >= c->header && size <= next - at - c->header) {
      if (!rf_chain_read_place(c, at, found, trouble)) {
        return false;
      }
      rf_chain_run const run = rf_chain_run_of(&found->block);
      if (rf_chain_fits(c, &run, size, align, gap)) {
        return true;
      }
    }
  }
  return false;
}

/* Takes the run for a block. */
static void *carve(rf_smallmem *heap, const rf_chain_run *run, size_t gap, size_t size, const rf_site *site,
                   const void *from, size_t keep) {
  rf_chain_rest rest;
  void *const p = rf_chain_carve(&heap->chain, run, gap, size, site, from, keep, &rest);
  size_t const first_free = rest.before != RF_CHAIN_NONE ? rest.before : rest.after;
  if (first_free != RF_CHAIN_NONE && first_free < heap->lowest) {
    heap->lowest = first_free;
  } else if (heap->lowest >= run->at && heap->lowest < run->next) {
    heap->lowest = first_free != RF_CHAIN_NONE ? first_free : run->next;
  }
  return p;
}

static void release(rf_smallmem *heap, const rf_chain_run *run) {
  rf_chain_release(&heap->chain, run);
  if (heap->lowest > run->at) {
    heap->lowest = run->at;
  }
}

/* First fit, uncounted; damage is reported. */
static void *take(rf_smallmem *heap, size_t size, size_t align, const rf_site *site) {
  rf_chain_place found;
  rf_chain_trouble trouble;
  size_t gap;
  if (!search(heap, size, align, &found, &gap, &trouble)) {
    if (trouble.what != NULL) {
      (void)refuse(heap, &trouble, site);
    }
    return NULL;
  }
  rf_chain_run const run = rf_chain_run_of(&found.block);
  return carve(heap, &run, gap, size, site, NULL, 0);
}

/* ---- Operations ---- */

static void *smallmem_alloc(rf_allocator *allocator, size_t size, size_t align, const rf_site *site) {
  rf_smallmem *const heap = self_of(allocator);
  rf_chain_trouble const trouble = {RF_ERR_CORRUPT, "damaged heap record", heap};
  void *p = NULL;
  if (!rf_chain_intact(&heap->chain)) {
    (void)refuse(heap, &trouble, site);
  } else {
    p = take(heap, size, align, site);
  }
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_alloc(&heap->counters, size);
  }
  return p;
}

static rf_status smallmem_free(rf_allocator *allocator, void *ptr, const rf_site *site) {
  rf_smallmem *const heap = self_of(allocator);
  rf_chain_place place;
  rf_chain_trouble trouble;
  if (!rf_chain_find(&heap->chain, ptr, &place, &trouble)) {
    return refuse(heap, &trouble, site);
  }
  rf_chain_run const run = rf_chain_run_around(&place, true);
  rf_count_free(&heap->counters, rf_chain_size(&heap->chain, &place.block));
  release(heap, &run);
  return RF_OK;
}

/* All that the owner may have written, not only what was requested: rf_usable_size told how much that is. */
static size_t bytes_to_keep(const rf_smallmem *heap, const rf_chain_block *b, size_t new_size) {
  size_t const room = rf_chain_room(&heap->chain, b);
  return room < new_size ? room : new_size;
}

/* Takes another block, copies, gives the old one back. Its neighbours cannot have changed: had a free one been large
 * enough, the block would have grown into it. */
static void *move_elsewhere(rf_smallmem *heap, const rf_chain_place *place, size_t size, size_t align,
                            const rf_site *site) {
  void *const moved = take(heap, size, align, site);
  if (moved != NULL) {
    rf_chain_run const old = rf_chain_run_around(place, true);
    rf_track_copy(moved, rf_chain_payload(&heap->chain, place->block.at), bytes_to_keep(heap, &place->block, size));
    release(heap, &old);
  }
  return moved;
}

/* Resizes the block, moving it only as far as necessary. NULL, with nothing changed, where it cannot be. */
static void *reshape(rf_smallmem *heap, const rf_chain_place *place, size_t size, size_t align, const rf_site *site) {
  const rf_chain *const c = &heap->chain;
  size_t gap;
  rf_chain_run const right = rf_chain_run_around(place, false);
  if (rf_chain_fits(c, &right, size, align, &gap) && gap == 0) {
    return carve(heap, &right, 0, size, site, NULL, 0);
  }
  rf_chain_run const both = rf_chain_run_around(place, true);
  if (!rf_chain_fits(c, &both, size, align, &gap)) {
    return move_elsewhere(heap, place, size, align, site);
  }
  return carve(heap, &both, gap, size, site, rf_chain_payload(c, place->block.at),
               bytes_to_keep(heap, &place->block, size));
}

static void *smallmem_realloc(rf_allocator *allocator, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_smallmem *const heap = self_of(allocator);
  rf_chain_place place;
  rf_chain_trouble trouble;
  if (!rf_chain_find(&heap->chain, ptr, &place, &trouble)) {
    (void)refuse(heap, &trouble, site);
    return NULL;
  }
  void *const p = reshape(heap, &place, size, align, site);
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_resize(&heap->counters, rf_chain_size(&heap->chain, &place.block), size);
  }
  return p;
}

static rf_status smallmem_resize(rf_allocator *allocator, void *ptr, size_t size, const rf_site *site) {
  rf_smallmem *const heap = self_of(allocator);
  rf_chain_place place;
  rf_chain_trouble trouble;
  size_t gap;
  if (!rf_chain_find(&heap->chain, ptr, &place, &trouble)) {
    return refuse(heap, &trouble, site);
  }
  rf_chain_run const right = rf_chain_run_around(&place, false);
  if (!rf_chain_fits(&heap->chain, &right, size, 1, &gap)) {
    return RF_ERR_NO_MEMORY;
  }
  rf_count_resize(&heap->counters, rf_chain_size(&heap->chain, &place.block), size);
  (void)carve(heap, &right, 0, size, site, NULL, 0);
  return RF_OK;
}

static size_t smallmem_usable_size(rf_allocator *allocator, const void *ptr) {
  const rf_smallmem *const heap = self_of(allocator);
  rf_chain_place place;
  rf_chain_trouble unused;
  return rf_chain_find(&heap->chain, ptr, &place, &unused) ? rf_chain_room(&heap->chain, &place.block) : 0;
}

static bool smallmem_owns(rf_allocator *allocator, const void *ptr) {
  return rf_chain_owns(&self_of(allocator)->chain, ptr);
}

static rf_status smallmem_walk(rf_allocator *allocator, rf_walk_fn visit, void *context) {
  bool more;
  return rf_chain_walk(&self_of(allocator)->chain, visit, context, &more);
}

static bool lowest_is_right(const rf_smallmem *heap, const rf_chain_sums *sums) {
  rf_chain_block b;
  return heap->lowest <= sums->lowest_free &&
         (heap->lowest == heap->chain.limit || rf_chain_read(&heap->chain, heap->lowest, &b));
}

static rf_status smallmem_check(rf_allocator *allocator, rf_fault *where) {
  rf_smallmem *const heap = self_of(allocator);
  const rf_counters *const counted = &heap->counters;
  rf_chain_sums sums;
  rf_chain_trouble trouble = {RF_OK, NULL, NULL};
  if (rf_chain_check(&heap->chain, &sums, &trouble)) {
    trouble.where = heap;
    if (!lowest_is_right(heap, &sums)) {
      trouble.what = "free memory where none should be";
    } else if (sums.used != counted->used || sums.blocks != counted->blocks || counted->peak < counted->used ||
               counted->peak_blocks < counted->blocks || counted->allocations < counted->peak_blocks) {
      trouble.what = "blocks do not add up to what was counted";
    } else {
      return RF_OK;
    }
  }
  rf_fault const fault = {RF_ERR_CORRUPT, trouble.what, &heap->base, trouble.where, NULL};
  *where = fault;
  return RF_ERR_CORRUPT;
}

static void smallmem_stats(rf_allocator *allocator, rf_stats *out) {
  const rf_smallmem *const heap = self_of(allocator);
  rf_chain_sums sums;
  rf_chain_trouble unused;
  memset(out, 0, sizeof *out);
  rf_count_into(&heap->counters, out);
  (void)rf_chain_check(&heap->chain, &sums, &unused);
  out->capacity = heap->chain.limit;
  out->free_bytes = sums.free_bytes;
  out->largest_free = sums.largest_free;
  out->overhead = out->capacity - out->used - out->free_bytes;
}

static void smallmem_counters(rf_allocator *allocator, rf_counters *out) {
  *out = self_of(allocator)->counters;
}

static void smallmem_deinit(rf_allocator *allocator) {
  rf_smallmem *const heap = self_of(allocator);
  rf_counters const none = {0, 0, 0, 0, 0, 0};
  rf_chain_deinit(&heap->chain);
  heap->lowest = 0;
  heap->counters = none;
}

static const rf_allocator_ops SMALLMEM_OPS = {
    .name = "smallmem",
    .alloc = smallmem_alloc,
    .free = smallmem_free,
    .realloc = smallmem_realloc,
    .resize = smallmem_resize,
    .usable_size = smallmem_usable_size,
    .owns = smallmem_owns,
    .walk = smallmem_walk,
    .check = smallmem_check,
    .stats = smallmem_stats,
    .deinit = smallmem_deinit,
    .counters = smallmem_counters,
};

rf_status rf_smallmem_init_owned(rf_smallmem *heap, void *arena, size_t size, rf_owner_fn owner_of) {
  rf_chain chain;
  if (heap == NULL || rf_chain_init(&chain, arena, size, 1, owner_of) != RF_OK) {
    return RF_ERR_INVALID;
  }
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_ops(&SMALLMEM_OPS);
  heap->chain = chain;
  return RF_OK;
}

rf_status rf_smallmem_init(rf_smallmem *heap, void *arena, size_t size) {
  return rf_smallmem_init_owned(heap, arena, size, NULL);
}

/* ---- Owners ---- */

uintptr_t rf_smallmem_owner(const rf_smallmem *heap, const void *ptr) {
  rf_chain_place place;
  rf_chain_trouble unused;
  rf_track_enter();
  uintptr_t const owner = rf_chain_find(&heap->chain, ptr, &place, &unused) ? place.block.owner : 0;
  rf_track_leave();
  return owner;
}

rf_status rf_smallmem_set_owner(rf_smallmem *heap, void *ptr, uintptr_t owner) {
  rf_chain_place place;
  rf_chain_trouble trouble;
  if (heap->chain.owner_of == NULL) {
    return RF_ERR_UNSUPPORTED;
  }
  rf_track_enter();
  bool const found = rf_chain_find(&heap->chain, ptr, &place, &trouble);
  if (found) {
    rf_chain_set_owner(&heap->chain, &place.block, owner);
  }
  rf_track_leave();
  return found ? RF_OK : refuse(heap, &trouble, NULL);
}
