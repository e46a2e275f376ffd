/* The handle heap's table: places of six shapes, each with a checksum of one byte. */
#include "handle_impl.h"

#include <string.h>

/* ---- Numbers of one to eight bytes ---- */

static size_t get(const unsigned char *p, size_t width) {
  uint16_t two;
  uint32_t four;
  uint64_t eight;
  switch (width) {
  case 1:
    return *p;
  case 2:
    memcpy(&two, p, sizeof two);
    return two;
  case 4:
    memcpy(&four, p, sizeof four);
    return four;
  default:
    memcpy(&eight, p, sizeof eight);
    return (size_t)eight;
  }
}

static void put(unsigned char *p, size_t width, size_t value) {
  uint16_t const two = (uint16_t)value;
  uint32_t const four = (uint32_t)value;
  uint64_t const eight = value;
  switch (width) {
  case 1:
    *p = (unsigned char)value;
    break;
  case 2:
    memcpy(p, &two, sizeof two);
    break;
  case 4:
    memcpy(p, &four, sizeof four);
    break;
  default:
    memcpy(p, &eight, sizeof eight);
  }
}

/* ---- One place ---- */

#define LIVE_BIT 0x8000U

size_t rf_handle_stride(const rf_handle_heap *heap) {
  return 2 * heap->offset_width + 2 * heap->index_width + 4;
}

/* The fields of one table entry. */
typedef struct places {
  unsigned char *offset;
  unsigned char *size;
  unsigned char *next;
  unsigned char *prev;
  unsigned char *state;
  unsigned char *locks;
  unsigned char *checksum;
} places;

static places places_of(const rf_handle_heap *heap, size_t index) {
  unsigned char *const p = heap->table + index * rf_handle_stride(heap);
  places f;
  f.offset = p;
  f.size = f.offset + heap->offset_width;
  f.next = f.size + heap->offset_width;
  f.prev = f.next + heap->index_width;
  f.state = f.prev + heap->index_width;
  f.locks = f.state + 2;
  f.checksum = f.locks + 1;
  return f;
}

static unsigned char checksum_of(const places *f, size_t index) {
  return rf_checksum_bytes(index, f->offset, (size_t)(f->checksum - f->offset));
}

static bool plausible(const rf_handle_heap *heap, size_t index, const rf_handle_entry *e) {
  if (!e->live) {
    return index != 0 && e->offset == 0 && e->size == 0 && e->next == 0 && e->prev == 0 && e->locks == 0;
  }
  if (e->next > heap->blocks || e->prev > heap->blocks || e->offset > heap->size || e->size > heap->size) {
    return false;
  }
  size_t const extent = index != 0 ? rf_handle_extent(heap, e->size) : 0;
  return (e->offset & (heap->align - 1)) == 0 && extent <= heap->size - e->offset;
}

bool rf_handle_load(const rf_handle_heap *heap, size_t index, rf_handle_entry *out) {
  if (index > heap->blocks || heap->blocks == 0) {
    return false; /* ended, in the second case */
  }
  places const f = places_of(heap, index);
  if (*f.checksum != checksum_of(&f, index)) {
    return false;
  }
  size_t const state = get(f.state, 2);
  out->offset = get(f.offset, heap->offset_width);
  out->size = get(f.size, heap->offset_width);
  out->next = get(f.next, heap->index_width);
  out->prev = get(f.prev, heap->index_width);
  out->generation = (unsigned)(state & (LIVE_BIT - 1));
  out->live = (state & LIVE_BIT) != 0;
  out->locks = *f.locks;
  return plausible(heap, index, out);
}

void rf_handle_store(rf_handle_heap *heap, size_t index, const rf_handle_entry *entry) {
  places const f = places_of(heap, index);
  put(f.offset, heap->offset_width, entry->offset);
  put(f.size, heap->offset_width, entry->size);
  put(f.next, heap->index_width, entry->next);
  put(f.prev, heap->index_width, entry->prev);
  put(f.state, 2, entry->generation | (entry->live ? LIVE_BIT : 0));
  *f.locks = (unsigned char)entry->locks;
  *f.checksum = checksum_of(&f, index);
}

/* ---- The list ---- */

static void set_next(rf_handle_heap *heap, size_t index, size_t next) {
  rf_handle_entry e;
  if (rf_handle_load(heap, index, &e)) {
    e.next = next;
    rf_handle_store(heap, index, &e);
  }
}

static void set_prev(rf_handle_heap *heap, size_t index, size_t prev) {
  rf_handle_entry e;
  if (rf_handle_load(heap, index, &e)) {
    e.prev = prev;
    rf_handle_store(heap, index, &e);
  }
}

bool rf_handle_are_neighbours(const rf_handle_heap *heap, size_t before, size_t after) {
  rf_handle_entry e;
  return rf_handle_load(heap, before, &e) && e.next == after && rf_handle_load(heap, after, &e) && e.prev == before;
}

void rf_handle_link(rf_handle_heap *heap, size_t before, size_t index, size_t after) {
  set_next(heap, index, after);
  set_prev(heap, index, before);
  set_next(heap, before, index);
  set_prev(heap, after, index);
}

bool rf_handle_is_linked(const rf_handle_heap *heap, size_t index, const rf_handle_entry *e) {
  rf_handle_entry before;
  rf_handle_entry after;
  return rf_handle_load(heap, e->prev, &before) && before.next == index && rf_handle_load(heap, e->next, &after) &&
         after.prev == index;
}

bool rf_handle_unlink(rf_handle_heap *heap, size_t index) {
  rf_handle_entry e;
  if (!rf_handle_load(heap, index, &e) || !rf_handle_is_linked(heap, index, &e)) {
    return false;
  }
  set_next(heap, e.prev, e.next);
  set_prev(heap, e.next, e.prev);
  return true;
}

/* Fills in what follows `gap->before`, which ends at `gap->start`. */
static bool look_behind(const rf_handle_heap *heap, size_t next, rf_handle_gap *gap) {
  gap->after = next;
  if (next == 0) {
    gap->end = heap->size;
    return true;
  }
  if (!rf_handle_load(heap, next, &gap->after_entry)) {
    return false;
  }
  gap->end = gap->after_entry.offset;
  return gap->after_entry.live && gap->after_entry.prev == gap->before && gap->end >= gap->start;
}

bool rf_handle_gap_after(const rf_handle_heap *heap, size_t before, rf_handle_gap *gap) {
  rf_handle_entry e;
  if (!rf_handle_load(heap, before, &e) || !e.live) {
    return false;
  }
  gap->before = before;
  gap->start = before != 0 ? e.offset + rf_handle_extent(heap, e.size) : 0;
  return look_behind(heap, e.next, gap);
}

bool rf_handle_next_gap(const rf_handle_heap *heap, rf_handle_gap *gap) {
  gap->before = gap->after;
  gap->start = gap->end + rf_handle_extent(heap, gap->after_entry.size);
  return look_behind(heap, gap->after_entry.next, gap);
}

/* ---- The record ---- */

size_t rf_handle_record_checksum(const rf_handle_heap *heap) {
  size_t sum = rf_checksum_begin(heap);
  sum = rf_checksum_add_address(sum, heap->data);
  sum = rf_checksum_add(sum, heap->size);
  sum = rf_checksum_add_address(sum, heap->table);
  sum = rf_checksum_add(sum, heap->blocks);
  sum = rf_checksum_add(sum, heap->capacity);
  sum = rf_checksum_add(sum, heap->align);
  sum = rf_checksum_add(sum, heap->offset_width);
  sum = rf_checksum_add(sum, heap->index_width);
  sum = rf_checksum_add(sum, (size_t)(uintptr_t)heap->on_short);
  return rf_checksum_add_address(sum, heap->short_context);
}

size_t rf_handle_state_checksum(const rf_handle_heap *heap) {
  size_t sum = rf_checksum_begin(&heap->state_checksum);
  sum = rf_checksum_add(sum, heap->occupied);
  sum = rf_checksum_add(sum, heap->peak_occupied);
  sum = rf_checksum_add(sum, heap->lowest);
  sum = rf_checksum_add(sum, heap->packed);
  sum = rf_checksum_add(sum, heap->recent);
  sum = rf_checksum_add(sum, heap->locked);
  sum = rf_checksum_add(sum, heap->compactions);
  sum = rf_checksum_add(sum, heap->moved);
  sum = rf_checksum_add(sum, heap->asking);
  sum = rf_checksum_add(sum, heap->counters.used);
  sum = rf_checksum_add(sum, heap->counters.peak);
  sum = rf_checksum_add(sum, heap->counters.blocks);
  sum = rf_checksum_add(sum, heap->counters.peak_blocks);
  sum = rf_checksum_add(sum, heap->counters.allocations);
  return rf_checksum_add(sum, heap->counters.failures);
}
