/* Spans of slots: made, given out by batches, and given back when nothing lives in them. */
#include "check.h"
#include "checkers/dropin/os/pages.h"
#include "heap.h"

#include "lib/core/compiler.h"

/* Spans without a block that are kept for what comes next: one, and one in so many of the class. */
#define EMPTY_SHARE 4U

/* ---- Lists ---- */

static void link_giving(rf_heap *heap, rf_span *span) {
  rf_span **const list = &heap->giving[span->class_number];
  span->previous = NULL;
  span->next = *list;
  if (span->next != NULL) {
    span->next->previous = span;
  }
  *list = span;
}

static void unlink_giving(rf_heap *heap, rf_span *span) {
  *(span->previous != NULL ? &span->previous->next : &heap->giving[span->class_number]) = span->next;
  if (span->next != NULL) {
    span->next->previous = span->previous;
  }
}

/* ---- Spans ---- */

static bool has_slots(const rf_span *span) {
  return span->free_count != 0 || span->carved != span->count;
}

static bool is_empty(const rf_span *span) {
  return span->free_count == span->carved;
}

static rf_span *make_span(unsigned number, unsigned class_number) {
  rf_heap *const heap = &rf_heaps[number];
  const rf_size_class *const c = &rf_size_classes[class_number];
  rf_span *const span = rf_span_describe(number, class_number);
  bool dirty;
  if (span == NULL) {
    return NULL;
  }
  uintptr_t const start = rf_run_take(heap, c->units, &dirty, &span->segment);
  span->base = start + RF_SPAN_FRONT;
  span->magic = c->magic;
  span->slot_size = c->size;
  span->count = c->count;
  span->bytes = c->units * RF_UNIT;
  span->populated = dirty ? (uint32_t)span->bytes : 0;
  if (start != 0) {
    rf_check_front(span);
  }
  if (start == 0 || !rf_span_enter(start, span->bytes, span)) {
    if (start != 0) {
      rf_run_give(heap, span->segment, start, c->units);
    }
    rf_span_forget(span);
    return NULL;
  }
  heap->span_bytes += span->bytes;
  heap->spans[class_number]++;
  heap->empty[class_number]++;
  rf_heap_list(heap, span);
  link_giving(heap, span);
  return span;
}

static void release_span(rf_heap *heap, rf_span *span) {
  rf_heap_unlist(heap, span);
  (void)rf_span_enter(rf_span_start(span), span->bytes, NULL);
  heap->spans[span->class_number]--;
  heap->span_bytes -= span->bytes;
  rf_run_give(heap, span->segment, rf_span_start(span), span->bytes >> RF_UNIT_SHIFT);
  rf_span_forget(span);
}

/* ---- Pages ahead ---- */

#define AHEAD_SHARE 16U
#define AHEAD_FROM ((size_t)128 * 1024)
#define AHEAD_MOST RF_UNIT
#define AHEAD_SLOT_MOST ((size_t)16384) /* bytes: of larger slots programs may leave much untouched */

/* Bytes that have pages before they are needed: a share of what the class has filled, where that is much. */
static size_t ahead_of(const rf_heap *heap, const rf_span *span, size_t end) {
  size_t const filled = (heap->spans[span->class_number] - 1) * span->bytes + end;
  size_t const share = filled / AHEAD_SHARE < AHEAD_MOST ? filled / AHEAD_SHARE : AHEAD_MOST;
  return filled < AHEAD_FROM || span->slot_size > AHEAD_SLOT_MOST ? 0 : rf_pages_round(share);
}

/* A slot that ends at `end` bytes from the span's start is handed out next. It gets its pages, and so do those behind
 * it and the descriptions of these slots: by one call instead of a fault each. */
RF_RARE static void populate(const rf_heap *heap, rf_span *span, unsigned index, size_t end) {
  size_t const ahead = ahead_of(heap, span, end);
  size_t const wanted = rf_pages_round(end) + ahead;
  size_t const to = wanted < span->bytes ? wanted : span->bytes;
  size_t const slots = (to - span->populated) / span->slot_size;
  size_t const left = span->count - index;
  if (ahead != 0) {
    rf_pages_populate(rf_span_start(span) + span->populated, rf_span_start(span) + to);
    rf_pages_populate((uintptr_t)&span->slots[index], (uintptr_t)&span->slots[index + (slots < left ? slots : left)]);
  }
  span->populated = (uint32_t)to;
}

/* ---- Taking ---- */

/* The next slot that was never handed out. */
static unsigned carve(rf_span *span) {
  unsigned const index = span->carved++;
  size_t const end = RF_SPAN_FRONT + (size_t)span->carved * span->slot_size;
  if (end > span->populated) {
    populate(&rf_heaps[span->heap], span, index, end);
  }
  rf_check_carved(span, index);
  return index;
}

static unsigned take_from(rf_span *span, rf_slot_place *places, unsigned count) {
  unsigned got = 0;
  while (got < count && has_slots(span)) {
    unsigned const index = span->free_count != 0 ? span->free[--span->free_count] : carve(span);
    places[got++] = (rf_slot_place){(void *)(span->base + (size_t)index * span->slot_size), &span->slots[index]};
  }
  return got;
}

unsigned rf_slots_take(unsigned number, unsigned class_number, rf_slot_place *places, unsigned count) {
  rf_heap *const heap = &rf_heaps[number];
  unsigned got = 0;
  if (!rf_heap_lock(number)) {
    return 0;
  }
  while (got < count) {
    rf_span *span = heap->giving[class_number];
    if (span == NULL && got == 0) {
      span = make_span(number, class_number);
    }
    if (span == NULL) {
      break;
    }
    heap->empty[class_number] -= is_empty(span) ? 1 : 0;
    got += take_from(span, places + got, count - got);
    if (!has_slots(span)) {
      unlink_giving(heap, span);
    }
  }
  rf_heap_unlock(number);
  return got;
}

/* ---- Giving back ---- */

/* Out of the lock: what was written into the freed blocks is told before their memory serves others. */
RF_RARE static void retire(unsigned number, rf_span *span) {
  rf_check_retired(span);
  if (rf_heap_lock(number)) {
    release_span(&rf_heaps[number], span);
    rf_heap_unlock(number);
  }
}

/* The span, where it is to be retired; it is then in no list of those that give. */
static rf_span *give_one(rf_heap *heap, rf_span *span, const void *slot, bool may_retire) {
  bool const gave = has_slots(span);
  if (span->free_count >= span->carved) {
    return NULL; /* freed twice by two threads at once, which the free did not see */
  }
  span->free[span->free_count++] = (uint16_t)rf_span_index(span, (uintptr_t)slot);
  if (!gave) {
    link_giving(heap, span);
  }
  if (!is_empty(span)) {
    return NULL;
  }
  bool const kept = heap->empty[span->class_number] < 1 + heap->spans[span->class_number] / EMPTY_SHARE;
  if (kept || !may_retire) {
    heap->empty[span->class_number]++;
    return NULL;
  }
  unlink_giving(heap, span);
  return span;
}

bool rf_slots_give(rf_slot_place *places, unsigned *count) {
  bool const may_retire = !rf_heaps_interrupted(); /* who is may not have the lock once more */
  while (*count != 0) {
    unsigned const number = rf_span_of((uintptr_t)places[*count - 1].begin)->heap;
    rf_span *empty = NULL;
    if (!rf_heap_lock(number)) {
      return false;
    }
    while (*count != 0 && empty == NULL) {
      const void *const slot = places[*count - 1].begin;
      rf_span *const span = rf_span_of((uintptr_t)slot);
      if (span->heap != number) {
        break;
      }
      empty = give_one(&rf_heaps[number], span, slot, may_retire);
      --*count;
    }
    rf_heap_unlock(number);
    if (empty != NULL) {
      retire(number, empty);
    }
  }
  return true;
}
