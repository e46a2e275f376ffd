#include "rights.h"

#include "checkers/dropin/os/pages.h"
#include "checkers/os/host.h"

/* False where no unit of so many around it is a span's. */
static bool has_leaf(uintptr_t unit) {
  uintptr_t const index = unit >> RF_SPAN_MAP_BITS;
  return index < RF_SPAN_MAP_ENTRIES && __atomic_load_n(&rf_span_root[index], __ATOMIC_ACQUIRE) != NULL;
}

bool rf_heap_restricted(const void *start, size_t size) {
  bool any = false;
  uintptr_t const first = (uintptr_t)start >> RF_UNIT_SHIFT;
  uintptr_t const last = size != 0 ? ((uintptr_t)start + size - 1) >> RF_UNIT_SHIFT : first;
  for (uintptr_t unit = first; unit <= last; unit++) {
    if (!has_leaf(unit)) {
      unit |= RF_SPAN_MAP_ENTRIES - 1;
      continue;
    }
    rf_span *const span = rf_span_of(unit << RF_UNIT_SHIFT);
    if (span != NULL) {
      __atomic_store_n(&span->restricted, true, __ATOMIC_RELAXED);
      any = true;
    }
  }
  return any;
}

bool rf_rights_return(const rf_view *v) {
  if (!rf_span_is_restricted(v->span)) {
    return true;
  }
  if (!v->span->large) {
    return rf_pages_open((uintptr_t)v->begin - RF_SPAN_FRONT, (uintptr_t)v->end);
  }
  uintptr_t const start = rf_span_start(v->span);
  bool const opened = rf_pages_open(start, start + v->span->bytes);
  if (opened) {
    __atomic_store_n(&v->span->restricted, false, __ATOMIC_RELAXED);
  }
  return opened;
}

bool rf_rights_allow_check(const rf_view *v) {
  if (!rf_span_is_restricted(v->span)) {
    return true;
  }
  unsigned char *const guard = v->payload - RF_SPAN_FRONT;
  if (rf_slot_state_of(v->slot) != RF_SLOT_LIVE) {
    return rf_host_readable(guard, (size_t)(v->end - guard));
  }
  return rf_host_readable(guard, (size_t)(v->payload - guard)) &&
         rf_host_readable(v->payload + v->size, (size_t)(v->end - (v->payload + v->size)));
}
