/* memheap: regions and blocks are looked up, walked, checked and counted. */
#include "memheap_impl.h"

#include <string.h>

/* ---- Regions ---- */

rf_memheap_region *rf_memheap_next(const rf_memheap *heap, const rf_memheap_region *region) {
  rf_memheap_region *r = (rf_memheap_region *)(uintptr_t)region;
  rf_fault unused;
  return rf_memheap_step(heap, &r, &unused) ? r : NULL;
}

rf_memheap_region *rf_memheap_region_of(const rf_memheap *heap, const void *ptr) {
  rf_fault unused;
  return rf_memheap_find_region(heap, ptr, &unused);
}

const char *rf_memheap_region_name(const rf_memheap_region *region) {
  return region->name != NULL ? region->name : "";
}

/* ---- Blocks ---- */

size_t rf_memheap_op_usable_size(rf_allocator *self, const void *ptr) {
  rf_block_neighbours near;
  rf_fault unused;
  const rf_memheap_region *const r = rf_memheap_find(memheap_of(self), ptr, &near, &unused);
  return r != NULL ? rf_block_list_room(&r->blocks, &near.block) : 0;
}

bool rf_memheap_op_owns(rf_allocator *self, const void *ptr) {
  return rf_memheap_region_of(memheap_of(self), ptr) != NULL;
}

rf_status rf_memheap_op_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  const rf_memheap *const heap = memheap_of(self);
  rf_memheap_region *r = NULL;
  rf_fault unused;
  rf_status status = RF_OK;
  bool more = true;
  do {
    if (!rf_memheap_step(heap, &r, &unused)) {
      return RF_ERR_CORRUPT;
    }
    if (r != NULL) {
      status = rf_block_list_walk(&r->blocks, visit, context, &more);
    }
  } while (r != NULL && status == RF_OK && more);
  return status;
}

/* ---- Integrity ---- */

static bool check_list(const rf_block_list *list, size_t free_blocks, rf_fault *fault) {
  size_t seen = 0;
  size_t from = RF_BLOCK_NONE;
  for (size_t at = list->free; at != RF_BLOCK_NONE && seen <= free_blocks; at = links_at(list, at)->next) {
    if (!rf_memheap_is_free(list, at) || links_at(list, at)->prev != from) {
      return rf_memheap_damaged_links(list, from, fault);
    }
    from = at;
    seen++;
  }
  return seen == free_blocks || rf_memheap_damaged_links(list, from, fault);
}

static bool adds_up(const rf_counters *counted, size_t used, size_t blocks, const void *where, rf_fault *fault) {
  return rf_block_list_adds_up(counted, used, blocks) ||
         rf_block_list_corrupt("blocks do not add up to what was counted", where, fault);
}

static bool check_all(const rf_memheap *heap, rf_fault *fault) {
  rf_block_sums sums;
  rf_memheap_region *r = NULL;
  size_t used = 0;
  size_t blocks = 0;
  for (;;) {
    if (!rf_memheap_step(heap, &r, fault)) {
      return false;
    }
    if (r == NULL) {
      return adds_up(&heap->counters, used, blocks, heap, fault);
    }
    if (!rf_block_list_check(&r->blocks, &sums, fault) || !check_list(&r->blocks, sums.free_blocks, fault) ||
        !adds_up(&r->counters, sums.used, sums.blocks, r, fault)) {
      return false;
    }
    used += sums.used;
    blocks += sums.blocks;
  }
}

rf_status rf_memheap_op_check(rf_allocator *self, rf_fault *where) {
  where->allocator = self;
  where->site = NULL;
  return check_all(memheap_of(self), where) ? RF_OK : RF_ERR_CORRUPT;
}

/* ---- Statistics ---- */

void rf_memheap_region_stats(const rf_memheap_region *region, rf_stats *out) {
  rf_block_list_stats(&region->blocks, &region->counters, out);
}

void rf_memheap_op_stats(rf_allocator *self, rf_stats *out) {
  const rf_memheap *const heap = memheap_of(self);
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

void rf_memheap_op_counters(rf_allocator *self, rf_counters *out) {
  *out = memheap_of(self)->counters;
}
