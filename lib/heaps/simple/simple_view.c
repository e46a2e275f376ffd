/* simple: blocks are walked, checked and counted. */
#include "simple_impl.h"

#include <string.h>

rf_status rf_simple_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  const rf_simple *const heap = simple_of(self);
  block b;
  if (!is_intact(heap)) {
    return RF_ERR_CORRUPT;
  }
  for (size_t cell = 0; cell < heap->cells; cell += b.span) {
    if (!rf_simple_read(heap, cell, &b)) {
      return RF_ERR_CORRUPT;
    }
    size_t const size = size_of(heap, &b);
    rf_block const seen = {
        payload_at(heap, cell), size, heap->header + room_of(heap, cell, b.span) - size, b.used, NULL,
    };
    if (!visit(&seen, context)) {
      break;
    }
  }
  return RF_OK;
}

static rf_status damaged(rf_simple *heap, const void *at, const char *what, rf_fault *where) {
  rf_fault const fault = {RF_ERR_CORRUPT, what, &heap->base, at, NULL};
  *where = fault;
  return RF_ERR_CORRUPT;
}

/* Sums over all blocks, to be compared with the counters. */
typedef struct sums {
  size_t used;
  size_t blocks;
  size_t free_blocks;
} sums;

static bool add_up(const rf_simple *heap, const sums *found) {
  const rf_counters *const counted = &heap->counters;
  return found->used == counted->used && found->blocks == counted->blocks && found->free_blocks == heap->free_blocks &&
         counted->peak >= found->used && counted->peak_blocks >= found->blocks &&
         counted->allocations >= counted->peak_blocks;
}

rf_status rf_simple_check(rf_allocator *self, rf_fault *where) {
  rf_simple *const heap = simple_of(self);
  sums found = {0, 0, 0};
  bool hint_seen = heap->first_free == heap->cells;
  block b = {0, 0, 0, true};
  if (!is_intact(heap)) {
    return damaged(heap, heap, "damaged heap record", where);
  }
  for (size_t cell = 0; cell < heap->cells; cell += b.span) {
    bool const after_free = !b.used;
    if (!rf_simple_read(heap, cell, &b)) {
      return damaged(heap, header_at(heap, cell), "damaged block header", where);
    }
    if (after_free && !b.used) {
      return damaged(heap, header_at(heap, cell), "two free blocks side by side", where);
    }
    if (!b.used && cell < heap->first_free) {
      return damaged(heap, header_at(heap, cell), "free block where none should be", where);
    }
    hint_seen = hint_seen || cell == heap->first_free;
    found.used += b.used ? size_of(heap, &b) : 0;
    found.blocks += b.used ? 1 : 0;
    found.free_blocks += b.used ? 0 : 1;
  }
  return hint_seen && add_up(heap, &found)
             ? RF_OK
             : damaged(heap, heap->start, "blocks do not add up to what was counted", where);
}

static bool add_free(const rf_block *b, void *context) {
  rf_stats *const out = (rf_stats *)context;
  if (!b->used) {
    out->free_bytes += b->size;
    out->largest_free = out->largest_free < b->size ? b->size : out->largest_free;
  }
  return true;
}

void rf_simple_stats(rf_allocator *self, rf_stats *out) {
  const rf_simple *const heap = simple_of(self);
  memset(out, 0, sizeof *out);
  if (!is_intact(heap)) {
    return;
  }
  rf_count_into(&heap->counters, out);
  out->capacity = (size_t)(heap->end - heap->start);
  (void)rf_simple_walk(self, add_free, out);
  out->overhead = out->capacity - out->used - out->free_bytes;
}
