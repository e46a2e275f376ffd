#include <ringfence/handle_allocator.h>

#include "handle_impl.h"
#include "lib/core/adapter.h"

#include <ringfence/track.h>

#include <string.h>

static rf_handle_heap *heap_of(const rf_adapter *a) {
  return (rf_handle_heap *)a->target;
}

static bool heap_intact(const rf_adapter *a) {
  return rf_handle_intact(heap_of(a));
}

static rf_status heap_alloc(rf_adapter *a, size_t size, size_t align, rf_adapter_block *out, const rf_site *site) {
  (void)site;
  rf_handle_entry e;
  rf_status const status = rf_handle_take(heap_of(a), size, align, 0, HANDLE_HELD, &out->index);
  if (status != RF_OK || !rf_handle_load(heap_of(a), out->index, &e)) {
    return status != RF_OK ? status : RF_ERR_CORRUPT;
  }
  out->ptr = rf_handle_at(heap_of(a), e.offset);
  rf_track_alloc(out->ptr, size);
  return RF_OK;
}

/* ---- A pointer ---- */

static bool inside_of_data(const rf_handle_heap *heap, const void *ptr) {
  return (uintptr_t)ptr - (uintptr_t)heap->data < heap->size;
}

/* An address in the arena that starts no block. */
static rf_verdict explain(const rf_handle_heap *heap, const void *ptr) {
  size_t const offset = (size_t)((uintptr_t)ptr - (uintptr_t)heap->data);
  rf_handle_gap gap;
  bool sound = rf_handle_gap_after(heap, 0, &gap);
  while (sound && gap.after != 0 && gap.end <= offset) {
    sound = rf_handle_next_gap(heap, &gap);
  }
  if (!sound) {
    return RF_POINTER_CORRUPT;
  }
  return offset < gap.start ? RF_POINTER_INTERIOR : RF_POINTER_FREE;
}

static rf_verdict heap_find(rf_adapter *a, const void *ptr, rf_adapter_block *out) {
  rf_handle_heap *const heap = heap_of(a);
  rf_handle_entry e;
  if (!inside_of_data(heap, ptr)) {
    return RF_POINTER_FOREIGN;
  }
  if (!rf_is_aligned(ptr, heap->align)) {
    return RF_POINTER_MISALIGNED;
  }
  out->index = rf_handle_find_index(heap, ptr);
  if (out->index == 0) {
    return explain(heap, ptr);
  }
  if (!rf_handle_load(heap, out->index, &e) || e.locks != HANDLE_HELD) {
    return RF_POINTER_NO_BLOCK; /* a handle's */
  }
  out->ptr = rf_handle_at(heap, e.offset);
  out->size = e.size;
  out->room = rf_handle_extent(heap, e.size);
  return RF_POINTER_OK;
}

static rf_verdict heap_free(rf_adapter *a, const rf_adapter_block *block) {
  return rf_handle_drop(heap_of(a), block->index) == RF_OK ? RF_POINTER_OK : RF_POINTER_CORRUPT;
}

static rf_status heap_resize(rf_adapter *a, const rf_adapter_block *block, size_t size) {
  return rf_handle_resize_here(heap_of(a), block->index, size);
}

static void heap_reveal(const rf_adapter *a, const rf_adapter_block *block) {
  (void)a;
  rf_track_reveal(block->ptr, block->room);
}

static bool heap_owns(const rf_adapter *a, const void *ptr) {
  return inside_of_data(heap_of(a), ptr);
}

/* ---- Queries and the walk ---- */

typedef struct visit {
  rf_walk_fn fn;
  void *context;
} visit;

/* The part of a hole that can be requested: from a multiple of the default alignment on. */
static rf_block free_part(const rf_handle_block *hole) {
  size_t const gap = rf_align_gap(hole->ptr, RF_ALIGN_DEFAULT);
  bool const any = gap < hole->size;
  size_t const skip = any ? gap : hole->size;
  rf_block const b = {(unsigned char *)hole->ptr + (any ? skip : 0), hole->size - skip, skip, false, NULL};
  return b;
}

static bool pass_on(const rf_handle_block *block, void *context) {
  const visit *const v = (const visit *)context;
  rf_block const used = {block->ptr, block->size, block->overhead, true, NULL};
  rf_block const b = block->handle != RF_HANDLE_NULL ? used : free_part(block);
  return v->fn(&b, v->context);
}

static bool add_free(const rf_handle_block *block, void *sum) {
  *(size_t *)sum += block->handle == RF_HANDLE_NULL ? free_part(block).size : 0;
  return true;
}

static rf_status heap_walk(rf_adapter *a, rf_walk_fn fn, void *context) {
  visit v = {fn, context};
  return rf_handle_walk(&heap_of(a)->base, pass_on, &v);
}

static const char *heap_damage(rf_adapter *a, const void **at) {
  const rf_counters *const own = &a->counters;
  const rf_counters *const all = &heap_of(a)->counters;
  const char *const what = rf_handle_damage(heap_of(a), at);
  bool const counted =
      own->used <= all->used && own->blocks <= all->blocks && own->used <= own->peak && own->blocks <= own->peak_blocks;
  return what == NULL && !counted ? "blocks and figures disagree" : what;
}

static void heap_stats(rf_adapter *a, rf_stats *out) {
  rf_handle_heap *const heap = heap_of(a);
  out->capacity = heap->capacity;
  (void)rf_handle_walk(&heap->base, add_free, &out->free_bytes);
  out->largest_free = heap->counters.blocks < heap->blocks ? rf_handle_largest(heap, RF_ALIGN_DEFAULT) : 0;
}

static void heap_deinit(rf_adapter *a) {
  rf_handle_deinit(&heap_of(a)->base);
}

static const rf_adapter_ops handle_allocator_ops = {
    .base = RF_ADAPTER_BASE("handle"),
    .intact = heap_intact,
    .alloc = heap_alloc,
    .find = heap_find,
    .free = heap_free,
    .resize = heap_resize,
    .reveal = heap_reveal,
    .owns = heap_owns,
    .walk = heap_walk,
    .damage = heap_damage,
    .stats = heap_stats,
    .deinit = heap_deinit,
};

rf_status rf_handle_allocator_init(rf_handle_allocator *adapter, rf_handle_heap *heap) {
  if (adapter == NULL || heap == NULL || !rf_handle_intact(heap) || heap->blocks == 0) {
    return RF_ERR_INVALID;
  }
  rf_adapter_init(adapter, &handle_allocator_ops, heap, NULL);
  return RF_OK;
}
