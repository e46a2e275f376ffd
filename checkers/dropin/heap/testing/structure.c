#include "structure.h"

#include "checkers/dropin/heap/cache.h"

#include <string.h>

/* The sums over the parts of one heap. */
typedef struct sums {
  size_t segment_bytes;
  size_t used_units;
  size_t dirty_free;
  size_t empty_segments; /* without pages */
  size_t run_units;
  size_t span_bytes;
  size_t mapped_bytes;
  size_t large_bytes;
  uint32_t spans[RF_CLASSES];
  uint32_t giving[RF_CLASSES];
  uint32_t empty[RF_CLASSES];
} sums;

/* Slots of each class over all heaps and caches: handed out, and where they are. */
typedef struct slot_sums {
  size_t carved[RF_CLASSES];
  size_t known[RF_CLASSES];
  size_t spans; /* of all kinds */
} slot_sums;

static size_t count_bits(uint64_t bits) {
  return (size_t)__builtin_popcountll(bits);
}

/* ---- Segments ---- */

static uint64_t units_of(const rf_segment *s) {
  return s->units == 64 ? UINT64_MAX : ((uint64_t)1 << s->units) - 1;
}

static const char *check_segment(const rf_segment *s, bool full) {
  uint64_t const all = units_of(s);
  if (s->units == 0 || s->units > 64 || s->start % RF_UNIT != 0) {
    return "a segment of no or too many units";
  }
  if ((s->used | all) != UINT64_MAX || s->free_units != 64 - count_bits(s->used)) {
    return "a segment's free units do not add up";
  }
  if ((s->free_units == 0) != full) {
    return "a segment in the wrong list";
  }
  return (s->dirty & ~all) != 0 || (s->used & all & ~s->dirty) != 0 ? "a unit in use that is not dirty" : NULL;
}

static const char *check_segments(const rf_segment *first, bool full, sums *sum, const void **where) {
  const rf_segment *previous = NULL;
  for (const rf_segment *s = first; s != NULL; previous = s, s = s->next) {
    *where = s;
    if (s->previous != previous) {
      return "segments are not linked both ways";
    }
    const char *const flaw = check_segment(s, full);
    if (flaw != NULL) {
      return flaw;
    }
    sum->segment_bytes += s->units * RF_UNIT;
    sum->used_units += s->units - s->free_units;
    sum->dirty_free += count_bits(s->dirty & ~s->used);
    sum->empty_segments += s->free_units == s->units && s->dirty == 0 ? 1 : 0;
  }
  return NULL;
}

/* ---- Spans ---- */

static bool is_in_page_map(const rf_span *span) {
  uintptr_t const start = rf_span_start(span);
  for (size_t at = 0; at < span->bytes; at += RF_UNIT) {
    if (rf_span_of(start + at) != span) {
      return false;
    }
  }
  return rf_span_of(start + span->bytes - 1) == span && rf_span_above(start) == span;
}

static bool has_its_units(const rf_span *span) {
  const rf_segment *const s = span->segment;
  uintptr_t const start = rf_span_start(span);
  if (s == NULL || start < s->start || start - s->start + span->bytes > s->units * RF_UNIT) {
    return false;
  }
  for (size_t i = (start - s->start) / RF_UNIT; i < (start - s->start + span->bytes) / RF_UNIT; i++) {
    if ((s->used >> i & 1) == 0) {
      return false;
    }
  }
  return true;
}

/* Slots are handed out for the first time in order, some tens at once: where one is written too early, it is one of
 * these. */
#define LOOKED_AHEAD 128U

static bool are_new(const rf_span *span) {
  uint32_t const ahead = span->carved + LOOKED_AHEAD;
  for (uint32_t i = span->carved; i <= span->count && i < ahead; i++) {
    if (rf_slot_state_of(&span->slots[i]) != RF_SLOT_NEW) {
      return false;
    }
  }
  return rf_slot_state_of(&span->slots[span->count]) == RF_SLOT_NEW;
}

/* The free slots are handed out ones, each told once, and no block; those never handed out are nothing. */
static bool has_sound_slots(const rf_span *span, slot_sums *slots) {
  static unsigned char seen[RF_UNIT];
  memset(seen, 0, span->carved);
  for (uint32_t i = 0; i < span->free_count; i++) {
    unsigned const index = span->free[i];
    if (index >= span->carved || seen[index]++ != 0 || rf_slot_state_of(&span->slots[index]) == RF_SLOT_LIVE) {
      return false;
    }
  }
  size_t live = 0;
  for (uint32_t i = 0; i < span->carved; i++) {
    live += rf_slot_state_of(&span->slots[i]) == RF_SLOT_LIVE ? 1 : 0;
  }
  slots->known[span->class_number] += live;
  slots->carved[span->class_number] += span->carved;
  slots->known[span->class_number] += span->free_count;
  return are_new(span);
}

static const char *check_small(const rf_span *span, sums *sum, slot_sums *slots) {
  const rf_size_class *const c = &rf_size_classes[span->class_number];
  if (span->class_number >= RF_CLASSES || span->slot_size != c->size || span->count != c->count ||
      span->magic != c->magic || span->bytes != c->units * RF_UNIT || span->mapped) {
    return "a span that is not of its class";
  }
  if (span->free_count > span->carved || span->carved > span->count || !has_sound_slots(span, slots)) {
    return "slots of a span do not add up";
  }
  sum->span_bytes += span->bytes;
  sum->spans[span->class_number]++;
  sum->giving[span->class_number] += span->free_count != 0 || span->carved != span->count ? 1 : 0;
  sum->empty[span->class_number] += span->free_count == span->carved ? 1 : 0;
  return NULL;
}

static const char *check_spans(const rf_heap *heap, sums *sum, slot_sums *slots, const void **where) {
  const rf_span *newer = NULL;
  for (const rf_span *span = heap->newest; span != NULL; newer = span, span = span->older) {
    *where = span;
    if (span->newer != newer || &rf_heaps[span->heap] != heap) {
      return "spans are not linked both ways";
    }
    if (!is_in_page_map(span)) {
      return "a span that its addresses do not lead to";
    }
    if (!span->mapped && !has_its_units(span)) {
      return "a span on units that are not in use";
    }
    const char *const flaw = span->large ? NULL : check_small(span, sum, slots);
    if (flaw != NULL) {
      return flaw;
    }
    slots->spans++;
    sum->run_units += span->mapped ? 0 : span->bytes / RF_UNIT;
    sum->mapped_bytes += span->mapped ? span->bytes : 0;
    sum->large_bytes += span->large ? span->bytes : 0;
  }
  return NULL;
}

static const char *check_giving(const rf_heap *heap, const sums *sum, const void **where) {
  for (unsigned i = 0; i < RF_CLASSES; i++) {
    const rf_span *previous = NULL;
    uint32_t count = 0;
    for (const rf_span *span = heap->giving[i]; span != NULL; previous = span, span = span->next, count++) {
      *where = span;
      if (span->previous != previous || span->class_number != i ||
          (span->free_count == 0 && span->carved == span->count)) {
        return "a span that gives nothing, or in the wrong list";
      }
    }
    if (count != sum->giving[i] || heap->spans[i] != sum->spans[i] || heap->empty[i] != sum->empty[i]) {
      return "spans of a class do not add up";
    }
  }
  return NULL;
}

/* Large blocks that were freed, the oldest first. */
static const char *check_kept(const rf_heap *heap, sums *sum, const void **where) {
  const rf_span *previous = NULL;
  size_t bytes = 0;
  for (const rf_span *span = heap->freed_oldest; span != NULL; previous = span, span = span->next) {
    *where = span;
    if (span->previous != previous || !span->large || rf_slot_state_of(span->slots) != RF_SLOT_FREED ||
        span->stamp > heap->freed_ever || (previous != NULL && span->stamp < previous->stamp)) {
      return "freed large blocks are not in order";
    }
    bytes += span->bytes;
  }
  sum->large_bytes -= bytes;
  return heap->freed_newest != previous || heap->freed_bytes != bytes ? "freed large blocks do not add up" : NULL;
}

/* ---- Caches ---- */

static const char *check_bin(const rf_bin *bin, unsigned number, slot_sums *slots, const void **where) {
  uint32_t const held = bin->end - bin->first;
  if (held > bin->mask + 1 || bin->ripe - bin->first > held) {
    return "a bin with more than its ring";
  }
  for (uint32_t i = bin->first; i != bin->end; i++) {
    rf_slot_place const place = bin->ring[i & bin->mask];
    const rf_span *const span = rf_span_of((uintptr_t)place.begin);
    *where = place.begin;
    if (span == NULL || span->large || span->class_number != number || rf_slot_state_of(place.slot) == RF_SLOT_LIVE ||
        (uintptr_t)place.begin != span->base + (size_t)(place.slot - span->slots) * span->slot_size) {
      return "a slot in the wrong bin";
    }
  }
  slots->known[number] += held;
  return NULL;
}

static const char *check_caches(slot_sums *slots, const void **where) {
  for (const rf_cache *cache = rf_cache_first(); cache != NULL; cache = cache->next) {
    for (unsigned i = 0; i < RF_CLASSES; i++) {
      const char *const flaw = check_bin(&cache->bins[i], i, slots, where);
      if (flaw != NULL) {
        return flaw;
      }
    }
  }
  *where = rf_cache_first();
  return memcmp(slots->carved, slots->known, sizeof slots->known) != 0 ? "a slot is nowhere, or twice" : NULL;
}

/* ---- Everything ---- */

/* Spans that addresses lead to: those that are listed, and no other. */
static size_t count_in_page_map(void) {
  size_t count = 0;
  for (const rf_span *span = rf_span_above(0); span != NULL; span = rf_span_above(rf_span_start(span) + span->bytes)) {
    count++;
  }
  return count;
}

static const char *check_sums(const rf_heap *heap, const sums *sum) {
  if (heap->segment_bytes != sum->segment_bytes || heap->used_units != sum->used_units ||
      heap->dirty_free != sum->dirty_free || sum->run_units != sum->used_units) {
    return "units do not add up";
  }
  if (heap->span_bytes != sum->span_bytes || heap->mapped_bytes != sum->mapped_bytes ||
      heap->large_bytes != sum->large_bytes) {
    return "bytes of spans do not add up";
  }
  if (sum->empty_segments > 1) {
    return "two segments without a run or pages";
  }
  size_t const share = heap->used_units / 8;
  return sum->dirty_free > (share > 96 ? share : 96) ? "too many free units keep their pages" : NULL;
}

static const char *check_heap(const rf_heap *heap, slot_sums *slots, const void **where) {
  sums sum;
  memset(&sum, 0, sizeof sum);
  const char *flaw = check_segments(heap->segments, false, &sum, where);
  flaw = flaw != NULL ? flaw : check_segments(heap->full, true, &sum, where);
  flaw = flaw != NULL ? flaw : check_spans(heap, &sum, slots, where);
  flaw = flaw != NULL ? flaw : check_giving(heap, &sum, where);
  flaw = flaw != NULL ? flaw : check_kept(heap, &sum, where);
  if (flaw == NULL) {
    *where = heap;
    flaw = check_sums(heap, &sum);
  }
  return flaw;
}

const char *rf_heap_structure_flaw(const void **where) {
  static slot_sums slots;
  memset(&slots, 0, sizeof slots);
  for (unsigned i = 0; i < rf_heap_count; i++) {
    const char *const flaw = check_heap(&rf_heaps[i], &slots, where);
    if (flaw != NULL) {
      return flaw;
    }
  }
  const char *const flaw = check_caches(&slots, where);
  return flaw == NULL && count_in_page_map() != slots.spans ? "an address leads to a span that is none" : flaw;
}
