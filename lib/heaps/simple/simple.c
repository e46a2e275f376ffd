#include "simple_impl.h"

#include <string.h>

static bool simple_owns(rf_allocator *self, const void *ptr) {
  const rf_simple *const heap = simple_of(self);
  return (uintptr_t)ptr >= (uintptr_t)heap->start && (uintptr_t)ptr < (uintptr_t)heap->end;
}

static void simple_counters(rf_allocator *self, rf_counters *out) {
  *out = simple_of(self)->counters;
}

/* An ended heap has no cells: it serves nothing and owns nothing. */
static void simple_deinit(rf_allocator *self) {
  rf_simple *const heap = simple_of(self);
  const rf_allocator_ops *const ops = heap->base.ops;
  if (RF_TRACK && is_intact(heap)) {
    rf_track_arena_end(heap->start, (size_t)(heap->end - heap->start));
  }
  memset(heap, 0, sizeof *heap);
  heap->base.ops = ops;
  heap->checksum = rf_simple_checksum(heap);
}

static const rf_allocator_ops simple_ops = {
    .name = "simple",
    .alloc = rf_simple_alloc,
    .free = rf_simple_free,
    .realloc = rf_simple_realloc,
    .resize = rf_simple_resize,
    .usable_size = rf_simple_usable_size,
    .owns = simple_owns,
    .walk = rf_simple_walk,
    .check = rf_simple_check,
    .stats = rf_simple_stats,
    .deinit = simple_deinit,
    .counters = simple_counters,
};

/* ---- Init ---- */

/* A cell holds a header and as much again, so that a block of one cell has a payload. */
static unsigned shift_for(unsigned header) {
  size_t const least = header > 4 ? 16 : 8;
  unsigned shift = 3;
  while ((size_t)1 << shift < RF_ALIGN_DEFAULT || (size_t)1 << shift < least) {
    shift++;
  }
  return shift;
}

/* True where headers of that many bytes can count the cells of `size` bytes, with the one that is cut short. */
static bool header_suits(unsigned header, size_t size) {
  return (uint64_t)(size >> shift_for(header)) + 1 < UINT64_C(1) << (8 * header - CHECK_BITS - SPAN_SHIFT);
}

static unsigned header_for(size_t size) {
  return header_suits(3, size) ? 3 : header_suits(4, size) ? 4 : 8;
}

static rf_status init(rf_simple *heap, void *arena, size_t size, unsigned header) {
  unsigned const shift = shift_for(header);
  size_t const skip = rf_align_gap((unsigned char *)arena + header, (size_t)1 << shift);
  if (size <= skip || size - skip <= header) {
    return RF_ERR_INVALID;
  }
  size_t const rest = (size - skip) & (((size_t)1 << shift) - 1);
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_ops(&simple_ops);
  heap->header = header;
  heap->shift = shift;
  heap->start = (unsigned char *)arena + skip;
  heap->end = (unsigned char *)arena + size;
  /* A last cell that has no room for a payload belongs to the block before it. */
  heap->cells = ((size - skip) >> shift) + (rest > header ? 1 : 0);
  heap->checksum = rf_simple_checksum(heap);
  region const all = {0, heap->cells, 0};
  rf_simple_release(heap, &all);
  rf_track_arena(heap->start, (size_t)(heap->end - heap->start));
  return RF_OK;
}

static bool valid(const rf_simple *heap, const void *arena, size_t size) {
  return heap != NULL && arena != NULL && size <= RF_SIZE_LIMIT && (uintptr_t)arena <= UINTPTR_MAX - size;
}

rf_status rf_simple_init(rf_simple *heap, void *arena, size_t size) {
  return valid(heap, arena, size) ? init(heap, arena, size, header_for(size)) : RF_ERR_INVALID;
}
