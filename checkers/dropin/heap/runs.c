#define _GNU_SOURCE
/* Runs of units in segments. First fit, among units that were written before if there are such: these have pages, which
 * are neither asked of the system nor given back as long as no more of them are free than a bound. */
#include "checkers/dropin/os/pages.h"
#include "checkers/os/forbidden_calls.h"
#include "heap.h"

#define SEGMENT_UNITS 64U
#define DIRTY_KEPT 96U /* units of free runs that keep their pages, at least */

static uint64_t mask_of(size_t first, size_t count) {
  return (count == 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1) << first;
}

/* ---- Segments ---- */

static void link_segment(rf_segment **list, rf_segment *s) {
  s->previous = NULL;
  s->next = *list;
  if (s->next != NULL) {
    s->next->previous = s;
  }
  *list = s;
}

static void unlink_segment(rf_segment **list, rf_segment *s) {
  *(s->previous != NULL ? &s->previous->next : list) = s->next;
  if (s->next != NULL) {
    s->next->previous = s->previous;
  }
}

/* If address space is scarce, a segment leaves room for what is needed to find its runs. */
static uintptr_t map_units(size_t *units, size_t least) {
  for (size_t n = *units;; n = n / 2 > least ? n / 2 : least) {
    void *memory = rf_pages_map(n * RF_UNIT, RF_UNIT, 0);
    if (memory != NULL && n > least && !rf_span_make_room((uintptr_t)memory, n * RF_UNIT)) {
      rf_pages_unmap(memory, n * RF_UNIT);
      memory = NULL;
    }
    if (memory != NULL || n <= least) {
      *units = n;
      return (uintptr_t)memory;
    }
  }
}

static rf_segment *new_segment(rf_heap *heap, size_t least) {
  size_t units = SEGMENT_UNITS;
  rf_segment *const s = heap->unused != NULL ? heap->unused : rf_record_alloc(sizeof *s);
  if (s == NULL) {
    return NULL;
  }
  heap->unused = heap->unused != NULL ? s->next : NULL;
  uintptr_t const start = map_units(&units, least);
  if (start == 0) {
    s->next = heap->unused;
    heap->unused = s;
    return NULL;
  }
  *s = (rf_segment){.start = start, .units = (uint32_t)units, .free_units = (uint32_t)units};
  s->used = ~mask_of(0, units);
  link_segment(&heap->segments, s);
  heap->segment_bytes += units * RF_UNIT;
  return s;
}

static bool is_empty(const rf_segment *s) {
  return s->free_units == s->units;
}

/* False for the only empty segment, which stays for later runs. */
static bool release_segment(rf_heap *heap, rf_segment *s) {
  const rf_segment *other = heap->segments;
  while (other != NULL && (other == s || !is_empty(other))) {
    other = other->next;
  }
  if (other == NULL) {
    return false;
  }
  unlink_segment(&heap->segments, s);
  heap->segment_bytes -= s->units * RF_UNIT;
  heap->dirty_free -= (size_t)__builtin_popcountll(s->dirty);
  rf_pages_unmap((void *)s->start, s->units * RF_UNIT);
  s->next = heap->unused;
  heap->unused = s;
  return true;
}

/* ---- Runs ---- */

/* The first of `count` adjacent units among `free`; 64 where there are none. */
static unsigned find_run(uint64_t free, size_t count) {
  for (size_t have = 1; have < count && free != 0;) {
    size_t const step = count - have < have ? count - have : have;
    free &= free >> step;
    have += step;
  }
  return free == 0 ? 64 : (unsigned)__builtin_ctzll(free);
}

/* The segment of the first free run of `units`, which begins at unit *first; NULL where there is none. `dirty`: of
 * units alone that were written before. */
static rf_segment *find_segment(const rf_heap *heap, size_t units, bool dirty, unsigned *first) {
  rf_segment *s = heap->segments;
  for (; s != NULL; s = s->next) {
    uint64_t const free = dirty ? s->dirty & ~s->used : ~s->used;
    *first = s->free_units >= units ? find_run(free, units) : 64;
    if (*first != 64) {
      break;
    }
  }
  return s;
}

static void take(rf_heap *heap, rf_segment *s, size_t first, size_t units) {
  uint64_t const mask = mask_of(first, units);
  heap->dirty_free -= (size_t)__builtin_popcountll(s->dirty & mask);
  heap->used_units += units;
  s->used |= mask;
  s->dirty |= mask;
  s->free_units -= (uint32_t)units;
  if (s->free_units == 0) {
    unlink_segment(&heap->segments, s);
    link_segment(&heap->full, s);
  }
}

uintptr_t rf_run_take(rf_heap *heap, size_t units, bool *dirty, rf_segment **segment) {
  unsigned first = 0;
  rf_segment *s = heap->dirty_free >= units ? find_segment(heap, units, true, &first) : NULL;
  if (s == NULL) {
    s = find_segment(heap, units, false, &first);
  }
  if (s == NULL) {
    s = new_segment(heap, units);
    first = 0;
  }
  if (s == NULL) {
    return 0;
  }
  *segment = s;
  *dirty = (s->dirty & mask_of(first, units)) != 0;
  take(heap, s, first, units);
  return s->start + first * RF_UNIT;
}

static void give_back_pages(rf_heap *heap, rf_segment *s) {
  if (rf_is_forbidden(RF_CALL_MADVISE)) {
    return;
  }
  uint64_t idle = s->dirty & ~s->used;
  s->dirty &= s->used;
  heap->dirty_free -= (size_t)__builtin_popcountll(idle);
  while (idle != 0) {
    unsigned const first = (unsigned)__builtin_ctzll(idle);
    uint64_t const above = ~(idle >> first);
    unsigned const count = above == 0 ? 64 - first : (unsigned)__builtin_ctzll(above);
    rf_pages_empty(s->start + first * RF_UNIT, s->start + (first + count) * RF_UNIT);
    idle &= ~mask_of(first, count);
  }
}

size_t rf_run_trim(rf_heap *heap, size_t keep) {
  size_t const before = heap->dirty_free;
  rf_segment *next;
  for (rf_segment *s = heap->segments; s != NULL && heap->dirty_free > keep; s = next) {
    next = s->next;
    if (!is_empty(s) || !release_segment(heap, s)) {
      give_back_pages(heap, s);
    }
  }
  return (before - heap->dirty_free) * RF_UNIT;
}

void rf_run_give(rf_heap *heap, rf_segment *s, uintptr_t start, size_t units) {
  uint64_t const mask = mask_of((start - s->start) >> RF_UNIT_SHIFT, units);
  if (s->free_units == 0) {
    unlink_segment(&heap->full, s);
    link_segment(&heap->segments, s);
  }
  s->used &= ~mask;
  s->free_units += (uint32_t)units;
  heap->used_units -= units;
  heap->dirty_free += units;
  size_t const bound = heap->used_units / 8 > DIRTY_KEPT ? heap->used_units / 8 : DIRTY_KEPT;
  if (heap->dirty_free > bound) {
    (void)rf_run_trim(heap, bound / 2);
  }
}

bool rf_run_extend(rf_heap *heap, rf_segment *s, uintptr_t start, size_t units, size_t more) {
  size_t const behind = ((start - s->start) >> RF_UNIT_SHIFT) + units;
  if (behind + more > s->units || (s->used & mask_of(behind, more)) != 0) {
    return false;
  }
  take(heap, s, behind, more);
  return true;
}
