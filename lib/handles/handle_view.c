/* The handle heap: walk, check, figures. */
#include "handle_view.h"

#include "handle_impl.h"

#include <string.h>

/* ---- Walk ---- */

static bool show_hole(const rf_handle_heap *heap, const rf_handle_gap *gap, rf_handle_walk_fn visit, void *context) {
  rf_handle_block const hole = {RF_HANDLE_NULL, rf_handle_at(heap, gap->start), gap->end - gap->start, 0, 0, NULL};
  return gap->start == gap->end || visit(&hole, context);
}

static bool show_block(const rf_handle_heap *heap, const rf_handle_gap *gap, rf_handle_walk_fn visit, void *context) {
  const rf_handle_entry *const e = &gap->after_entry;
  rf_handle_block block;
  block.handle = (rf_handle)(e->generation << 16 | gap->after);
  block.ptr = rf_handle_at(heap, e->offset);
  block.size = e->size;
  block.overhead = rf_handle_extent(heap, e->size) - e->size;
  block.locks = e->locks;
  block.site = NULL;
  return visit(&block, context);
}

rf_status rf_handle_heap_walk(rf_handles *self, rf_handle_walk_fn visit, void *context) {
  rf_handle_heap *const heap = (rf_handle_heap *)self;
  rf_handle_gap gap;
  if (!rf_handle_intact(heap) || !rf_handle_gap_after(heap, 0, &gap)) {
    return RF_ERR_CORRUPT;
  }
  while (show_hole(heap, &gap, visit, context) && gap.after != 0 && show_block(heap, &gap, visit, context)) {
    if (!rf_handle_next_gap(heap, &gap)) {
      return RF_ERR_CORRUPT;
    }
  }
  return RF_OK;
}

/* ---- Check ---- */

/* Totals of the list. */
typedef struct sums {
  size_t used;
  size_t occupied;
  size_t blocks;
  size_t locked;
  bool packed_met; /* the block that heap->packed names, and no hole before */
} sums;

static const char *add_up_list(const rf_handle_heap *heap, sums *s) {
  rf_handle_gap gap;
  bool holes = false;
  memset(s, 0, sizeof *s);
  s->packed_met = heap->packed == 0;
  bool sound = rf_handle_gap_after(heap, 0, &gap);
  while (sound && gap.after != 0) {
    holes = holes || gap.start != gap.end;
    s->packed_met = s->packed_met || (gap.after == heap->packed && !holes);
    s->used += gap.after_entry.size;
    s->occupied += rf_handle_extent(heap, gap.after_entry.size);
    s->locked += gap.after_entry.locks != 0 ? 1 : 0;
    s->blocks++;
    sound = rf_handle_next_gap(heap, &gap);
  }
  return sound ? NULL : "the list of blocks contradicts itself";
}

static const char *add_up_table(const rf_handle_heap *heap, const sums *s, const void **at) {
  size_t live = 0;
  size_t lowest = heap->blocks + 1;
  for (size_t i = 0; i <= heap->blocks; i++) {
    rf_handle_entry e;
    *at = heap->table + i * rf_handle_stride(heap);
    if (!rf_handle_load(heap, i, &e)) {
      return "a place of the table was overwritten";
    }
    live += i != 0 && e.live ? 1 : 0;
    lowest = !e.live && i < lowest ? i : lowest;
  }
  *at = heap;
  return live != s->blocks || lowest < heap->lowest ? "table and list disagree" : NULL;
}

static const char *compare(const rf_handle_heap *heap, const sums *s) {
  const rf_counters *const c = &heap->counters;
  bool const sums_agree = s->used == c->used && s->blocks == c->blocks && s->occupied == heap->occupied &&
                          s->locked == heap->locked && s->packed_met;
  bool const peaks_agree = c->peak >= c->used && c->peak_blocks >= c->blocks && heap->peak_occupied >= heap->occupied;
  return sums_agree && peaks_agree ? NULL : "blocks and figures disagree";
}

const char *rf_handle_damage(const rf_handle_heap *heap, const void **at) {
  sums s;
  *at = heap;
  if (!rf_handle_intact(heap) || heap->state_checksum != rf_handle_state_checksum(heap)) {
    return "the heap's record was overwritten";
  }
  if (heap->blocks == 0) {
    return NULL; /* ended */
  }
  const char *const in_table = add_up_list(heap, &s);
  const char *const what = add_up_table(heap, &s, at);
  if (what != NULL || in_table != NULL) {
    return what != NULL ? what : in_table;
  }
  return compare(heap, &s);
}

rf_status rf_handle_heap_check(rf_handles *self, rf_fault *where) {
  const void *at;
  const char *const what = rf_handle_damage((const rf_handle_heap *)self, &at);
  if (what == NULL) {
    return RF_OK;
  }
  rf_fault const fault = {RF_ERR_CORRUPT, what, NULL, at, NULL};
  *where = fault;
  return RF_ERR_CORRUPT;
}

/* ---- Figures ---- */

static void fill_stats(const rf_handle_heap *heap, size_t largest, rf_stats *out) {
  rf_count_into(&heap->counters, out);
  out->capacity = heap->capacity;
  out->free_bytes = heap->size - heap->occupied;
  out->largest_free = largest;
  out->overhead = out->capacity - out->free_bytes - out->used;
}

void rf_handle_heap_usage(rf_handles *self, rf_handle_usage *out) {
  const rf_handle_heap *const heap = (const rf_handle_heap *)self;
  memset(out, 0, sizeof *out);
  if (!rf_handle_intact(heap) || heap->blocks == 0) {
    return;
  }
  bool const named = heap->counters.blocks < heap->blocks;
  out->used_bytes = heap->occupied;
  out->free_bytes = named ? heap->size - heap->occupied : 0;
  out->peak_bytes = heap->peak_occupied;
  out->min_free_bytes = heap->size - heap->peak_occupied;
  out->used_blocks = heap->counters.blocks;
  out->free_blocks = heap->blocks - heap->counters.blocks;
  out->peak_blocks = heap->counters.peak_blocks;
  out->min_free_blocks = heap->blocks - heap->counters.peak_blocks;
  out->largest = named ? rf_handle_largest(heap, heap->align) : 0;
  out->locked = heap->locked;
  out->compactions = heap->compactions;
  out->moved_bytes = heap->moved;
  fill_stats(heap, out->largest, &out->stats);
}
