/* The handle heap: finding holes, and sliding blocks together so that there are some.
 *
 * A segment is what lies between two locked blocks, or between one and an end of the arena: blocks slide within it and
 * keep their order. All free memory of a segment can be made one hole, so the largest size there is can be told
 * beforehand.
 */
#include "handle_impl.h"

#include <ringfence/track.h>

#include <string.h>

/* ---- Gaps ---- */

bool rf_handle_fits(const rf_handle_heap *heap, size_t start, size_t end, size_t extent, size_t align, size_t *at) {
  size_t const skip = rf_align_gap(rf_handle_at(heap, start), align);
  if (end - start < skip || end - start - skip < extent) {
    return false;
  }
  *at = start + skip;
  return true;
}

void rf_handle_hole_behind(rf_handle_heap *heap, size_t index) {
  rf_handle_entry e;
  rf_handle_entry packed;
  if (index == 0 || heap->packed == 0 || !rf_handle_load(heap, index, &e) ||
      !rf_handle_load(heap, heap->packed, &packed)) {
    heap->packed = 0;
  } else if (e.offset < packed.offset) {
    heap->packed = index;
  }
}

/* The gap from which on a search need look. */
static bool first_gap(rf_handle_heap *heap, rf_handle_gap *gap) {
  if (!rf_handle_gap_after(heap, heap->packed, gap)) {
    return false;
  }
  while (gap->start == gap->end && gap->after != 0) {
    heap->packed = gap->after;
    if (!rf_handle_next_gap(heap, gap)) {
      return false;
    }
  }
  return true;
}

rf_status rf_handle_find_gap(rf_handle_heap *heap, size_t extent, size_t align, rf_handle_gap *gap, size_t *at) {
  bool sound = first_gap(heap, gap);
  while (sound && !rf_handle_fits(heap, gap->start, gap->end, extent, align, at)) {
    if (gap->after == 0) {
      return RF_ERR_NO_MEMORY;
    }
    sound = rf_handle_next_gap(heap, gap);
  }
  return sound ? RF_OK : RF_ERR_CORRUPT;
}

/* ---- Sliding ---- */

/* Moves the block behind the gap to `offset`, which leaves no other block's bytes in the way. */
static void move_to(rf_handle_heap *heap, size_t index, rf_handle_entry *e, size_t offset) {
  size_t const extent = rf_handle_extent(heap, e->size);
  size_t const from = e->offset;
  size_t const distance = from > offset ? from - offset : offset - from;
  size_t const left = distance < extent ? distance : extent; /* bytes that it does not cover any more */
  rf_track_copy(rf_handle_at(heap, offset), rf_handle_at(heap, from), extent);
  rf_track_fill(rf_handle_at(heap, from > offset ? from + extent - left : from), RF_HANDLE_FILL_FREE, left);
  rf_track_resize(rf_handle_at(heap, from), extent, rf_handle_at(heap, offset), e->size);
  e->offset = offset;
  rf_handle_store(heap, index, e);
  heap->moved += extent;
}

/* The block behind the gap to its start; the gap is then on its other side. */
static bool slide_down(rf_handle_heap *heap, rf_handle_gap *gap) {
  if (gap->end != gap->start) {
    move_to(heap, gap->after, &gap->after_entry, gap->start);
    gap->end = gap->start;
  }
  return rf_handle_next_gap(heap, gap);
}

/* The block before the gap to its end. */
static bool slide_up(rf_handle_heap *heap, rf_handle_gap *gap) {
  rf_handle_entry e;
  if (!rf_handle_load(heap, gap->before, &e)) {
    return false;
  }
  if (gap->end != gap->start) {
    move_to(heap, gap->before, &e, gap->end - rf_handle_extent(heap, e.size));
  }
  return rf_handle_gap_after(heap, e.prev, gap);
}

static bool ends_segment(const rf_handle_gap *gap) {
  return gap->after == 0 || gap->after_entry.locks != 0;
}

/* A segment. */
typedef struct segment {
  rf_handle_gap first;
  rf_handle_gap last;
  size_t free;
} segment;

/* The segment whose first gap is `first`, which may already be part of the way. */
static bool measure(const rf_handle_heap *heap, const rf_handle_gap *first, segment *out) {
  out->first = *first;
  out->last = *first;
  out->free = first->end - first->start;
  while (!ends_segment(&out->last)) {
    if (!rf_handle_next_gap(heap, &out->last)) {
      return false;
    }
    out->free += out->last.end - out->last.start;
  }
  return true;
}

rf_status rf_handle_compact_for(rf_handle_heap *heap, size_t extent, size_t align, rf_handle_gap *gap, size_t *at) {
  segment s;
  bool sound = first_gap(heap, gap) && measure(heap, gap, &s);
  while (sound && !rf_handle_fits(heap, s.last.end - s.free, s.last.end, extent, align, at)) {
    if (s.last.after == 0) {
      return RF_ERR_NO_MEMORY;
    }
    sound = rf_handle_next_gap(heap, &s.last) && measure(heap, &s.last, &s);
  }
  if (!sound) {
    return RF_ERR_CORRUPT;
  }
  *gap = s.first;
  heap->compactions++;
  while (!rf_handle_fits(heap, gap->start, gap->end, extent, align, at)) {
    if (!slide_down(heap, gap)) {
      return RF_ERR_CORRUPT;
    }
  }
  return RF_OK;
}

/* The segment that block `index`, not locked, lies in. */
static bool segment_of(rf_handle_heap *heap, size_t index, segment *out) {
  rf_handle_gap gap;
  if (!rf_handle_gap_after(heap, 0, &gap)) {
    return false;
  }
  out->first = gap;
  while (gap.after != index) {
    if (gap.after == 0) {
      return false;
    }
    bool const ends = ends_segment(&gap);
    if (!rf_handle_next_gap(heap, &gap)) {
      return false;
    }
    out->first = ends ? gap : out->first;
  }
  gap = out->first;
  return measure(heap, &gap, out);
}

rf_status rf_handle_gather(rf_handle_heap *heap, size_t index, size_t extent) {
  segment s;
  rf_handle_entry e;
  rf_handle_gap gap;
  if (!rf_handle_load(heap, index, &e) || !segment_of(heap, index, &s)) {
    return RF_ERR_CORRUPT;
  }
  size_t const needed = extent - rf_handle_extent(heap, e.size);
  if (s.free < needed) {
    return RF_ERR_NO_MEMORY;
  }
  heap->compactions++;
  rf_handle_hole_behind(heap, s.first.before);
  for (gap = s.first; gap.before != index;) {
    if (!slide_down(heap, &gap)) {
      return RF_ERR_CORRUPT;
    }
  }
  if (gap.end - gap.start >= needed) {
    return RF_OK;
  }
  bool sound = rf_handle_gap_after(heap, s.last.before, &gap);
  while (sound && gap.before != index) {
    sound = slide_up(heap, &gap);
  }
  return sound ? RF_OK : RF_ERR_CORRUPT;
}

rf_status rf_handle_slide_all(rf_handle_heap *heap, size_t most, size_t *moved) {
  rf_handle_gap gap;
  *moved = 0;
  bool sound = first_gap(heap, &gap);
  while (sound && gap.after != 0) {
    size_t const extent = rf_handle_extent(heap, gap.after_entry.size);
    bool const stays = gap.after_entry.locks != 0 || extent > most || gap.start == gap.end;
    if (!stays && extent > most - *moved) {
      break;
    }
    *moved += stays ? 0 : extent;
    sound = stays ? rf_handle_next_gap(heap, &gap) : slide_down(heap, &gap);
  }
  heap->compactions += *moved != 0 ? 1 : 0;
  return sound ? RF_OK : RF_ERR_CORRUPT;
}

/* ---- The largest size ---- */

static size_t room(const rf_handle_heap *heap, size_t start, size_t end, size_t align) {
  size_t const skip = rf_align_gap(rf_handle_at(heap, start), align);
  return end - start > skip ? end - start - skip : 0;
}

size_t rf_handle_largest(const rf_handle_heap *heap, size_t align) {
  rf_handle_gap gap;
  size_t gathered = 0; /* of the segment so far */
  size_t largest = 0;
  bool sound = rf_handle_gap_after(heap, 0, &gap);
  while (sound) {
    size_t const as_it_is = room(heap, gap.start, gap.end, align);
    gathered += gap.end - gap.start;
    size_t const slid = ends_segment(&gap) ? room(heap, gap.end - gathered, gap.end, align) : 0;
    size_t const best = as_it_is > slid ? as_it_is : slid;
    largest = largest > best ? largest : best;
    gathered = ends_segment(&gap) ? 0 : gathered;
    if (gap.after == 0) {
      return largest;
    }
    sound = rf_handle_next_gap(heap, &gap);
  }
  return 0;
}
