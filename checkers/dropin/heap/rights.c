#include "rights.h"

#include "checkers/dropin/os/pages.h"

/* False where no unit of so many around it is a span's. */
static bool has_leaf(uintptr_t unit) {
  uintptr_t const index = unit >> RF_SPAN_MAP_BITS;
  return index < RF_SPAN_MAP_ENTRIES && __atomic_load_n(&rf_span_root[index], __ATOMIC_ACQUIRE) != NULL;
}

/* The first span from the unit on that has one, up to `last`; NULL: none. *unit: the one behind. */
static rf_span *next_span(uintptr_t *unit, uintptr_t last) {
  rf_span *span = NULL;
  for (; *unit <= last && span == NULL; ++*unit) {
    if (has_leaf(*unit)) {
      span = rf_span_of(*unit << RF_UNIT_SHIFT);
    } else {
      *unit |= RF_SPAN_MAP_ENTRIES - 1;
    }
  }
  return span;
}

static uintptr_t last_unit(const void *start, size_t size) {
  return ((uintptr_t)start + (size != 0 ? size - 1 : 0)) >> RF_UNIT_SHIFT;
}

static void restrict_span(rf_span *span) {
  __atomic_store_n(&span->restricted, true, __ATOMIC_RELAXED);
}

static void empty_span(rf_span *span) {
  __atomic_store_n(&span->emptied, true, __ATOMIC_RELAXED);
  restrict_span(span);
}

static void replace_span(rf_span *span) {
  __atomic_store_n(&span->replaced, true, __ATOMIC_RELAXED);
  restrict_span(span);
}

static bool mark_all(const void *start, size_t size, void (*mark)(rf_span *span)) {
  uintptr_t unit = (uintptr_t)start >> RF_UNIT_SHIFT;
  bool any = false;
  for (rf_span *span; (span = next_span(&unit, last_unit(start, size))) != NULL;) {
    mark(span);
    any = true;
  }
  return any;
}

bool rf_heap_lies_in(const void *start, size_t size) {
  uintptr_t unit = (uintptr_t)start >> RF_UNIT_SHIFT;
  return next_span(&unit, last_unit(start, size)) != NULL;
}

bool rf_heap_restricted(const void *start, size_t size) {
  return mark_all(start, size, restrict_span);
}

bool rf_heap_emptied(const void *start, size_t size) {
  return mark_all(start, size, empty_span);
}

bool rf_heap_replaced(const void *start, size_t size) {
  return mark_all(start, size, replace_span);
}

bool rf_heap_is_restricted(const void *address) {
  const rf_span *const span = rf_span_holding((uintptr_t)address);
  return span != NULL && rf_span_is_restricted(span);
}

uintptr_t rf_heap_large_end(const void *address) {
  rf_view v;
  bool const in_one = rf_view_at((uintptr_t)address, &v) && v.span->large && !rf_span_is_restricted(v.span) &&
                      rf_slot_state_of(v.slot) == RF_SLOT_LIVE && (uintptr_t)address - (uintptr_t)v.payload < v.size;
  return in_one ? (uintptr_t)v.payload + v.size : 0;
}

/* ---- Pages that were emptied ---- */

typedef struct guards {
  rf_pattern_area front;
  rf_pattern_area tail;
} guards;

static uintptr_t page_of(const unsigned char *at) {
  return (uintptr_t)at & ~(uintptr_t)(rf_pages_round(1) - 1);
}

static bool is_empty(uintptr_t page) {
  return rf_pattern_holds((const unsigned char *)page, rf_pages_round(1), 0);
}

static bool has_empty_page(const unsigned char *start, const unsigned char *end) {
  uintptr_t page = page_of(start);
  while (page < (uintptr_t)end && !is_empty(page)) {
    page += rf_pages_round(1);
  }
  return page < (uintptr_t)end;
}

/* Writes the pattern to the part of the area that lies in the page. */
static void mend(const rf_pattern_area *area, uintptr_t page) {
  uintptr_t const start = (uintptr_t)area->at > page ? (uintptr_t)area->at : page;
  uintptr_t const area_end = (uintptr_t)area->at + area->size;
  uintptr_t const page_end = page + rf_pages_round(1);
  uintptr_t const end = area_end < page_end ? area_end : page_end;
  if (start < end) {
    rf_pattern_write((unsigned char *)start, end - start, area->byte);
  }
}

static void mend_pages(const rf_pattern_area *area, const guards *all) {
  for (uintptr_t page = page_of(area->at); page < (uintptr_t)area->at + area->size; page += rf_pages_round(1)) {
    if (is_empty(page)) {
      mend(&all->front, page);
      mend(&all->tail, page);
    }
  }
}

static void mend_emptied(const rf_view *v) {
  if (__atomic_load_n(&v->span->emptied, __ATOMIC_RELAXED) && rf_heap_options_now.checked) {
    guards const all = {rf_check_own_front(v), rf_check_live_tail(v)};
    mend_pages(&all.front, &all);
    mend_pages(&all.tail, &all);
  }
}

/* ---- Frees and checks ---- */

bool rf_rights_return(const rf_view *v) {
  if (!rf_span_is_restricted(v->span)) {
    return true;
  }
  if (rf_span_is_replaced(v->span)) {
    return false;
  }
  bool const large = v->span->large;
  uintptr_t const start = large ? rf_span_start(v->span) : (uintptr_t)v->begin - RF_SPAN_FRONT;
  if (!rf_pages_open(start, large ? start + v->span->bytes : (uintptr_t)v->end)) {
    return false;
  }
  mend_emptied(v);
  if (large) {
    __atomic_store_n(&v->span->restricted, false, __ATOMIC_RELAXED);
    __atomic_store_n(&v->span->emptied, false, __ATOMIC_RELAXED);
  }
  return true;
}

static bool may_be_emptied(const rf_view *v) {
  const unsigned char *const guard = v->payload - RF_SPAN_FRONT;
  if (!__atomic_load_n(&v->span->emptied, __ATOMIC_RELAXED)) {
    return false;
  }
  return rf_slot_state_of(v->slot) != RF_SLOT_LIVE
             ? has_empty_page(guard, v->end)
             : has_empty_page(guard, v->payload) || has_empty_page(v->payload + v->size, v->end);
}

bool rf_rights_allow_check(const rf_view *v) {
  return !rf_span_is_restricted(v->span) || (rf_rights_allow_look(v) && !may_be_emptied(v));
}
