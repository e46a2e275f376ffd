/* The handle heap: another size for a block, where it is or elsewhere. */
#include "handle_impl.h"

#include <ringfence/track.h>

#include <string.h>

/* The block at `index` has `size` bytes now, its extent as the gap behind it allows. */
static void set_size(rf_handle_heap *heap, size_t index, rf_handle_entry *e, size_t size) {
  size_t const old_extent = rf_handle_extent(heap, e->size);
  size_t const extent = rf_handle_extent(heap, size);
  rf_count_resize(&heap->counters, e->size, size);
  heap->occupied = heap->occupied - old_extent + extent;
  heap->peak_occupied = heap->peak_occupied < heap->occupied ? heap->occupied : heap->peak_occupied;
  e->size = size;
  rf_handle_store(heap, index, e);
  if (extent < old_extent) {
    rf_track_fill(rf_handle_at(heap, e->offset + extent), RF_HANDLE_FILL_FREE, old_extent - extent);
    rf_handle_hole_behind(heap, index);
  }
  unsigned char *const p = rf_handle_at(heap, e->offset);
  rf_track_resize(p, old_extent, p, size);
}

rf_status rf_handle_resize_here(rf_handle_heap *heap, size_t index, size_t size) {
  rf_handle_gap gap;
  rf_handle_entry e;
  if (!rf_handle_load(heap, index, &e) || !rf_handle_gap_after(heap, index, &gap)) {
    return RF_ERR_CORRUPT;
  }
  if (size > heap->size || rf_handle_extent(heap, size) > gap.end - e.offset) {
    return RF_ERR_NO_MEMORY;
  }
  set_size(heap, index, &e, size);
  rf_handle_update_checksum(heap);
  return RF_OK;
}

/* To a gap elsewhere, in which it may grow. It is not the one behind the block, which would have grown into that. */
static rf_status move_into(rf_handle_heap *heap, size_t index, const rf_handle_gap *gap, size_t at) {
  rf_handle_entry e;
  if (!rf_handle_load(heap, index, &e)) {
    return RF_ERR_CORRUPT;
  }
  size_t const extent = rf_handle_extent(heap, e.size);
  size_t const after = gap->after == index ? e.next : gap->after;
  if (!rf_handle_are_neighbours(heap, gap->before, gap->after) || !rf_handle_unlink(heap, index)) {
    return RF_ERR_CORRUPT;
  }
  if (heap->packed == index) {
    heap->packed = e.prev;
  } else {
    rf_handle_hole_behind(heap, e.prev);
  }
  rf_track_copy(rf_handle_at(heap, at), rf_handle_at(heap, e.offset), extent);
  rf_track_fill(rf_handle_at(heap, e.offset), RF_HANDLE_FILL_FREE, extent);
  rf_track_resize(rf_handle_at(heap, e.offset), extent, rf_handle_at(heap, at), e.size);
  e.offset = at;
  rf_handle_store(heap, index, &e);
  rf_handle_link(heap, gap->before, index, after);
  heap->moved += extent;
  return RF_OK;
}

/* Grows a block that may move, by the cheapest way there is. */
static rf_status try_grow(rf_handle_heap *heap, size_t index, size_t size) {
  rf_handle_gap gap;
  size_t at;
  size_t const extent = rf_handle_extent(heap, size);
  rf_status status = rf_handle_resize_here(heap, index, size);
  if (status != RF_ERR_NO_MEMORY) {
    return status;
  }
  status = rf_handle_find_gap(heap, extent, heap->align, &gap, &at);
  if (status == RF_ERR_NO_MEMORY) {
    status = rf_handle_gather(heap, index, extent);
    if (status == RF_OK) {
      return rf_handle_resize_here(heap, index, size);
    }
  }
  if (status == RF_ERR_NO_MEMORY) {
    status = rf_handle_compact_for(heap, extent, heap->align, &gap, &at);
  }
  if (status == RF_OK) {
    status = move_into(heap, index, &gap, at);
  }
  return status == RF_OK ? rf_handle_resize_here(heap, index, size) : status;
}

/* *old_size is what the block had when it was given the other size. */
static rf_status grow(rf_handle_heap *heap, rf_handle handle, size_t index, size_t size, size_t *old_size) {
  rf_status status;
  rf_handle_entry e;
  unsigned attempt = 0;
  if (size > heap->size) { /* nobody can help */
    return rf_handle_load(heap, index, &e) && e.locks != 0 ? RF_ERR_BUSY : RF_ERR_NO_MEMORY;
  }
  do {
    /* The callback may have locked the block, given it another size, or freed it. */
    status = rf_handle_resolve(heap, handle, &index, &e);
    if (status != RF_OK) {
      return status;
    }
    *old_size = e.size;
    status = e.locks == 0 ? try_grow(heap, index, size) : rf_handle_resize_here(heap, index, size);
    attempt++;
  } while (status == RF_ERR_NO_MEMORY && rf_handle_ask(heap, attempt, size));
  return status == RF_ERR_NO_MEMORY && e.locks != 0 ? RF_ERR_BUSY : status;
}

rf_status rf_handle_heap_resize(rf_handles *self, rf_handle handle, size_t size, const rf_site *site) {
  rf_handle_heap *const heap = handle_heap_of(self);
  size_t index;
  rf_handle_entry e;
  rf_status status = rf_handle_known(heap, handle, &index, &e, site);
  if (status != RF_OK) {
    return status;
  }
  if (size == 0 || size > RF_SIZE_LIMIT) {
    return RF_ERR_INVALID;
  }
  size_t old_size = 0;
  status = grow(heap, handle, index, size, &old_size);
  rf_handle_update_checksum(heap);
  if (status == RF_ERR_CORRUPT) {
    return rf_handle_refuse_damaged(heap, site);
  }
  if (status == RF_OK && size > old_size && rf_handle_load(heap, index, &e)) {
    memset(rf_handle_at(heap, e.offset) + old_size, 0, size - old_size);
  }
  return status;
}
