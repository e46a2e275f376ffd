/* memheap: regions come and go; beginning and end. */
#include "memheap_impl.h"

#include <ringfence/track.h>
#include <string.h>

/* ---- Regions ---- */

static bool overlap(const void *a, size_t a_size, const void *b, size_t b_size) {
  return (uintptr_t)a < (uintptr_t)b + b_size && (uintptr_t)b < (uintptr_t)a + a_size;
}

/* Makes `region` the one after `last` (NULL: the first), and `count` their number. */
static void set_next(rf_memheap *heap, rf_memheap_region *last, rf_memheap_region *region, size_t count) {
  if (last == NULL) {
    heap->first = region;
  } else {
    last->next = region;
    last->checksum = region_checksum(last);
  }
  heap->regions = count;
  heap->checksum = heap_checksum(heap);
}

rf_status rf_memheap_add(rf_memheap *heap, rf_memheap_region *region, const char *name, void *memory, size_t size) {
  rf_memheap_region *last = NULL;
  rf_memheap_region *r = NULL;
  rf_fault fault;
  rf_block_list blocks;
  if (heap == NULL || region == NULL || memory == NULL || size > RF_SIZE_LIMIT ||
      (uintptr_t)memory > UINTPTR_MAX - size || overlap(region, sizeof *region, memory, size)) {
    return RF_ERR_INVALID;
  }
  for (;;) {
    if (!rf_memheap_step(heap, &r, &fault)) {
      return rf_block_list_raise(&fault, &heap->base, NULL);
    }
    if (r == NULL) {
      break;
    }
    if (r == region || overlap(r->blocks.start, r->blocks.limit, memory, size)) {
      return RF_ERR_INVALID;
    }
    last = r;
  }
  if (rf_block_list_init(&blocks, memory, size, sizeof(links), NULL) != RF_OK) {
    return RF_ERR_INVALID;
  }
  memset(region, 0, sizeof *region);
  region->heap = heap;
  region->name = name;
  region->blocks = blocks;
  region->checksum = region_checksum(region);
  region->blocks.free = RF_BLOCK_NONE;
  rf_track_enter();
  rf_memheap_insert_free(&region->blocks, 0);
  rf_track_leave();
  set_next(heap, last, region, heap->regions + 1);
  return RF_OK;
}

rf_status rf_memheap_remove(rf_memheap *heap, rf_memheap_region *region) {
  rf_memheap_region *last = NULL;
  rf_memheap_region *r = NULL;
  rf_fault fault;
  if (heap == NULL || region == NULL) {
    return RF_ERR_INVALID;
  }
  for (;;) {
    if (!rf_memheap_step(heap, &r, &fault)) {
      return rf_block_list_raise(&fault, &heap->base, NULL);
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
  set_next(heap, last, region->next, heap->regions - 1);
  rf_track_enter();
  rf_block_list_deinit(&region->blocks);
  rf_track_leave();
  memset(region, 0, sizeof *region);
  return RF_OK;
}

/* ---- Init and deinit ---- */

static void memheap_deinit(rf_allocator *self) {
  rf_memheap *const heap = memheap_of(self);
  rf_memheap_region *r = rf_memheap_next(heap, NULL);
  while (r != NULL) {
    rf_memheap_region *const next = rf_memheap_next(heap, r);
    rf_block_list_deinit(&r->blocks);
    memset(r, 0, sizeof *r);
    r = next;
  }
  (void)rf_memheap_init(heap);
}

static const rf_allocator_ops memheap_ops = {
    .name = "memheap",
    .alloc = rf_memheap_op_alloc,
    .free = rf_memheap_op_free,
    .realloc = rf_memheap_op_realloc,
    .resize = rf_memheap_op_resize,
    .usable_size = rf_memheap_op_usable_size,
    .owns = rf_memheap_op_owns,
    .walk = rf_memheap_op_walk,
    .check = rf_memheap_op_check,
    .stats = rf_memheap_op_stats,
    .deinit = memheap_deinit,
    .counters = rf_memheap_op_counters,
};

rf_status rf_memheap_init(rf_memheap *heap) {
  if (heap == NULL) {
    return RF_ERR_INVALID;
  }
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_ops(&memheap_ops);
  heap->checksum = heap_checksum(heap);
  return RF_OK;
}
