#include "large.h"

#include "check.h"
#include "checkers/dropin/os/pages.h"

#include <ringfence/layout.h>
#include <string.h>

#define RUN_MOST 16U                 /* units of a run; more have a mapping */
#define KEPT_MOST ((size_t)32 << 20) /* bytes of one freed block that is kept */
#define WAIT_MOST ((size_t)1 << 20)  /* bytes of large blocks freed before one is used again */
#define RIPE_MOST ((size_t)1 << 18)  /* bytes kept beyond that for requests that fit, where they are runs */

/* ---- Layout ---- */

static size_t front_for(size_t align) {
  return align <= RF_SPAN_FRONT ? RF_SPAN_FRONT : align;
}

/* Bytes of a span for the block; 0 where that wraps. */
static size_t bytes_for(size_t size, size_t align) {
  size_t const front = front_for(align);
  return size > RF_SIZE_LIMIT - front - RF_TAIL_LEAST ? 0 : rf_pages_round(front + size + RF_TAIL_LEAST);
}

static size_t units_of(size_t bytes) {
  return (bytes + RF_UNIT - 1) >> RF_UNIT_SHIFT;
}

/* ---- Blocks that slots would have room for ---- */

/* Under the lock. */
static void count_as_grown(rf_heap *heap, rf_span *span, bool grown) {
  uint32_t const more = grown ? 1U : UINT32_MAX;
  if (span->grown != grown) {
    span->grown = grown;
    (void)__atomic_fetch_add(&heap->grown, more, __ATOMIC_RELAXED);
  }
}

/* ---- Spans that are kept ---- */

static void unlink_kept(rf_heap *heap, rf_span *span) {
  *(span->previous != NULL ? &span->previous->next : &heap->freed_oldest) = span->next;
  *(span->next != NULL ? &span->next->previous : &heap->freed_newest) = span->previous;
  heap->freed_bytes -= span->bytes;
}

static void link_kept(rf_heap *heap, rf_span *span) {
  span->next = NULL;
  span->previous = heap->freed_newest;
  *(span->previous != NULL ? &span->previous->next : &heap->freed_oldest) = span;
  heap->freed_newest = span;
  heap->freed_bytes += span->bytes;
}

static size_t wait_bytes(void) {
  size_t const part = rf_heap_options_now.quarantine / 4;
  return !rf_heap_options_now.checked ? 0 : part < WAIT_MOST ? part : WAIT_MOST;
}

static bool has_waited(const rf_heap *heap, const rf_span *span) {
  return heap->freed_ever - span->stamp >= wait_bytes();
}

/* Room for `bytes` without wasting more than half, or as many units as a new run would take. */
static bool fits(const rf_span *span, size_t bytes) {
  return span->bytes >= bytes && (span->bytes / 2 <= bytes || units_of(span->bytes) == units_of(bytes));
}

/* The oldest that has waited, and fits. */
static rf_span *take_kept(rf_heap *heap, size_t bytes, size_t align) {
  for (rf_span *span = heap->freed_oldest; span != NULL; span = span->next) {
    if (!has_waited(heap, span)) {
      return NULL;
    }
    if (fits(span, bytes) && (rf_span_start(span) & (align - 1)) == 0) {
      unlink_kept(heap, span);
      return span;
    }
  }
  return NULL;
}

static void drop_memory(rf_heap *heap, rf_span *span) {
  if (span->mapped) {
    heap->mapped_bytes -= span->bytes;
    rf_pages_unmap((void *)rf_span_start(span), span->bytes);
  } else {
    rf_run_give(heap, span->segment, rf_span_start(span), units_of(span->bytes));
  }
}

/* Its memory; under the lock. */
static void release(rf_heap *heap, rf_span *span) {
  uintptr_t const start = rf_span_start(span);
  (void)rf_span_enter(start, span->bytes, NULL);
  rf_heap_unlist(heap, span);
  drop_memory(heap, span);
  rf_span_forget(span);
}

/* Out of the lock, so that damage can be told. */
static void give_up(unsigned number, rf_span *span) {
  if (rf_heap_options_now.checked) {
    rf_check_retired(span);
    if (span->mapped && rf_heap_options_now.leaving != NULL) {
      rf_heap_options_now.leaving(span);
    }
  }
  if (rf_heap_lock(number)) {
    release(&rf_heaps[number], span);
    rf_heap_unlock(number);
  }
}

/* The one to give up: the oldest, while there is more than `keep`. A run that has waited goes earlier, since its units
 * serve requests of all sizes then, with the pages that they have. */
static rf_span *unlink_surplus(rf_heap *heap, size_t keep) {
  rf_span *const span = heap->freed_oldest;
  bool const waits = heap->freed_bytes <= wait_bytes() + RIPE_MOST || span->mapped || !has_waited(heap, span);
  if (heap->freed_bytes <= keep && waits) {
    return NULL;
  }
  unlink_kept(heap, span);
  return span;
}

/* Gives up what is more than is to be kept; the lock is free in between, and where it might not be had once more,
 * nothing is given up. Returns the bytes. */
static size_t trim_to(unsigned number, size_t keep) {
  rf_heap *const heap = &rf_heaps[number];
  size_t released = 0;
  while (!rf_heaps_interrupted() && rf_heap_lock(number)) {
    rf_span *const span = unlink_surplus(heap, keep);
    rf_heap_unlock(number);
    if (span == NULL) {
      break;
    }
    released += span->bytes;
    give_up(number, span);
  }
  return released;
}

bool rf_large_keep(rf_span *span) {
  unsigned const number = span->heap;
  rf_heap *const heap = &rf_heaps[number];
  size_t const bytes = span->bytes;
  size_t const least = rf_heap_options_now.quarantine;
  bool const kept = bytes <= KEPT_MOST || rf_heaps_interrupted();
  if (!rf_heap_lock(number)) {
    return false;
  }
  heap->large_bytes -= bytes;
  count_as_grown(heap, span, false);
  heap->freed_ever += bytes;
  span->stamp = heap->freed_ever - bytes;
  span->fresh = false;
  if (kept) {
    link_kept(heap, span);
  }
  rf_heap_unlock(number);
  if (kept) {
    (void)trim_to(number, bytes > least && bytes <= KEPT_MOST ? bytes : least);
  } else {
    give_up(number, span);
  }
  return true;
}

size_t rf_large_trim(void) {
  size_t released = 0;
  for (unsigned i = 0; i < rf_heap_count; i++) {
    released += trim_to(i, 0);
    if (rf_heap_lock(i)) {
      released += rf_run_trim(&rf_heaps[i], 0);
      rf_heap_unlock(i);
    }
  }
  return released;
}

/* ---- New ones ---- */

/* Memory of its own, or a run; false where the system has none. */
static bool get_memory(rf_heap *heap, rf_span *span, size_t bytes, const rf_block_request *r) {
  bool dirty = false;
  uintptr_t start;
  if (units_of(bytes) <= RUN_MOST && r->align <= RF_UNIT) {
    start = rf_run_take(heap, units_of(bytes), &dirty, &span->segment);
    span->bytes = units_of(bytes) * RF_UNIT;
  } else {
    size_t const room = r->growing && sizeof(size_t) > 4 ? bytes : 0;
    start = (uintptr_t)rf_pages_map(bytes, r->align > RF_UNIT ? r->align : RF_UNIT, room);
    span->bytes = bytes;
    span->mapped = true;
    heap->mapped_bytes += start != 0 ? bytes : 0;
  }
  span->base = start + RF_SPAN_FRONT;
  span->fresh = !dirty;
  return start != 0;
}

static rf_span *make(unsigned number, size_t bytes, const rf_block_request *r) {
  rf_heap *const heap = &rf_heaps[number];
  rf_span *const span = rf_span_describe(number, RF_CLASSES);
  if (span == NULL) {
    return NULL;
  }
  span->large = true;
  span->count = 1;
  if (!get_memory(heap, span, bytes, r)) {
    rf_span_forget(span);
    return NULL;
  }
  if (!rf_span_enter(rf_span_start(span), span->bytes, span)) {
    drop_memory(heap, span);
    rf_span_forget(span);
    return NULL;
  }
  rf_heap_list(heap, span);
  return span;
}

static rf_span *find_or_make(unsigned number, size_t bytes, const rf_block_request *r, bool *used_before) {
  rf_heap *const heap = &rf_heaps[number];
  size_t const align = r->align > RF_UNIT ? r->align : 1;
  if (!rf_heap_lock(number)) {
    return NULL;
  }
  bool const with_room = r->growing && units_of(bytes) > RUN_MOST; /* above a new mapping alone */
  rf_span *span = with_room ? NULL : take_kept(heap, bytes, align);
  *used_before = span != NULL;
  if (span == NULL) {
    span = make(number, bytes, r);
  }
  if (span != NULL) {
    heap->large_bytes += span->bytes;
    count_as_grown(heap, span, r->size <= RF_SLOT_MOST - RF_TAIL_LEAST && r->align <= RF_ALIGN_DEFAULT);
  }
  rf_heap_unlock(number);
  return span;
}

/* A handler that cannot have one heap's lock takes it from another. */
static rf_span *find_anywhere(unsigned number, size_t bytes, const rf_block_request *r, bool *used_before) {
  rf_span *span = find_or_make(number, bytes, r, used_before);
  for (unsigned i = 1; span == NULL && rf_heaps_interrupted() && i < rf_heap_count; i++) {
    span = find_or_make((number + i) % rf_heap_count, bytes, r, used_before);
  }
  return span;
}

rf_span *rf_large_take(unsigned number, const rf_block_request *r, const rf_origin *origin, bool *fresh) {
  size_t const bytes = bytes_for(r->size, r->align);
  bool used_before = false;
  if (bytes == 0 || r->align > RF_SIZE_LIMIT / 4) {
    return NULL;
  }
  rf_span *span = find_anywhere(number, bytes, r, &used_before);
  if (span == NULL && rf_large_trim() != 0) {
    span = find_anywhere(number, bytes, r, &used_before);
  }
  if (span == NULL) {
    return NULL;
  }
  if (used_before && rf_heap_options_now.checked) {
    rf_view const view = rf_view_of(span, 0);
    if (!rf_check_intact(&view)) {
      (void)rf_check_report(&view, origin);
    }
  }
  span->size = r->size;
  *fresh = span->fresh;
  rf_check_front(span);
  return span;
}

/* ---- Other sizes ---- */

static bool extend_run(rf_heap *heap, rf_span *span, size_t bytes) {
  size_t const units = units_of(span->bytes);
  size_t const more = units_of(bytes) - units;
  uintptr_t const behind = rf_span_start(span) + span->bytes;
  if (!rf_run_extend(heap, span->segment, rf_span_start(span), units, more)) {
    return false;
  }
  if (!rf_span_enter(behind, more * RF_UNIT, span)) {
    rf_run_give(heap, span->segment, behind, more);
    return false;
  }
  span->bytes += more * RF_UNIT;
  return true;
}

static bool extend_mapping(rf_span *span, size_t bytes) {
  uintptr_t const start = rf_span_start(span);
  if (!rf_pages_extend((void *)start, span->bytes, bytes)) {
    return false;
  }
  if (!rf_span_enter(start, bytes, span)) {
    rf_pages_unmap((void *)(start + span->bytes), bytes - span->bytes);
    return false;
  }
  span->bytes = bytes;
  return true;
}

/* Units that no longer begin in the span leave the page map. */
static void trim_mapping(rf_span *span, size_t bytes) {
  uintptr_t const start = rf_span_start(span);
  size_t const units = units_of(bytes);
  if (units < units_of(span->bytes)) {
    (void)rf_span_enter(start + units * RF_UNIT, span->bytes - units * RF_UNIT, NULL);
  }
  rf_pages_unmap((void *)(start + bytes), span->bytes - bytes);
  span->bytes = bytes;
}

static bool change_memory(rf_heap *heap, rf_span *span, size_t bytes) {
  if (bytes > span->bytes) {
    bool const fits = !span->mapped && units_of(bytes) <= RUN_MOST;
    return span->mapped ? extend_mapping(span, bytes) : fits && extend_run(heap, span, bytes);
  }
  if (span->mapped && span->bytes - bytes >= span->bytes / 2) {
    trim_mapping(span, bytes);
  }
  return true;
}

bool rf_large_resize(rf_span *span, size_t size) {
  size_t const before = span->bytes;
  size_t const old_size = span->size;
  size_t const bytes = bytes_for(size, rf_slot_align(span->slots));
  bool const moves = !span->mapped && bytes < before / 2 && units_of(bytes) < units_of(before);
  if (bytes == 0 || moves || !rf_heap_lock(span->heap)) {
    return false;
  }
  bool const done = change_memory(&rf_heaps[span->heap], span, bytes);
  if (done) {
    rf_heaps[span->heap].large_bytes += span->bytes - before;
    rf_heaps[span->heap].mapped_bytes += span->mapped ? span->bytes - before : 0;
    count_as_grown(&rf_heaps[span->heap], span, span->grown && size <= RF_SLOT_MOST - RF_TAIL_LEAST);
  }
  rf_heap_unlock(span->heap);
  if (!done) {
    return false;
  }
  span->size = size;
  if (rf_heap_options_now.checked) {
    rf_view const view = rf_view_of(span, 0);
    size_t const most = rf_heap_options_now.fill_alloc;
    if (size > old_size) {
      rf_pattern_write(view.payload + old_size, size - old_size < most ? size - old_size : most, RF_PATTERN_NEW);
    }
    rf_pattern_write(view.payload + size, (size_t)(view.end - view.payload) - size, RF_PATTERN_REDZONE);
  }
  return true;
}

void rf_large_move(void *to, void *from, size_t size) {
  rf_pages_move(to, from, size);
}
