/* rf_guard: findings. */
#include "guard_impl.h"

#include "checkers/shared/window.h"

void rf_guard_finding(const rf_guard *guard, rf_finding *f, rf_bug bug, rf_access access, const void *address,
                      const rf_origin *origin) {
  rf_finding_begin(f, bug, access, address, guard->inner->ops->name, mode_of(guard), origin);
}

void rf_guard_trace(const rf_guard *guard, origin_kind kind, uintptr_t origin, uint32_t thread, rf_trace *out) {
  memset(out, 0, sizeof *out);
  out->thread = thread;
  switch (kind) {
  case ORIGIN_SITE:
    out->site = (const rf_site *)origin;
    return;
  case ORIGIN_CALLER:
    out->frames[0] = origin;
    out->depth = 1;
    return;
  case ORIGIN_STACK:
    out->depth = rf_stack_depot_get(guard->options.depot, (uint32_t)origin, out->frames, RF_TRACE_DEPTH);
    return;
  case ORIGIN_SITE_AND_STACK:
    break;
  }
  uintptr_t words[1 + RF_TRACE_DEPTH];
  unsigned const count = rf_stack_depot_get(guard->options.depot, (uint32_t)origin, words, 1 + RF_TRACE_DEPTH);
  if (count != 0) {
    out->site = (const rf_site *)words[0];
    out->depth = count - 1;
    memcpy(out->frames, words + 1, (count - 1) * sizeof words[0]);
  }
}

static uint32_t allocated_by(const rf_guard_header *h) {
#if RF_GUARD_THREADS
  return h->allocated_by;
#else
  (void)h;
  return 0;
#endif
}

static uint32_t released_by(const rf_guard_header *h) {
#if RF_GUARD_THREADS
  return h->released_by;
#else
  (void)h;
  return 0;
#endif
}

void rf_guard_allocated(const rf_guard *guard, const rf_guard_header *h, rf_trace *out) {
  rf_guard_trace(guard, allocated_kind_of(h), h->allocated, allocated_by(h), out);
}

void rf_guard_finding_block(const rf_guard *guard, rf_finding *f, const rf_guard_header *h) {
  f->block = (uintptr_t)payload_of(h);
  f->size = h->size;
  f->blocks = 1;
  f->freed = state_of(h) != STATE_LIVE;
  f->offset = (ptrdiff_t)(f->address - f->block);
  rf_guard_allocated(guard, h, &f->allocated);
  if (f->freed) {
    rf_guard_trace(guard, released_kind_of(h), h->u.released, released_by(h), &f->released);
  }
}

uint32_t rf_guard_put_stack_and_site(rf_guard *guard, const rf_origin *origin, bool frees) {
  uintptr_t frames[1 + RF_TRACE_DEPTH];
  unsigned const wanted = guard->options.stack_depth < RF_TRACE_DEPTH ? guard->options.stack_depth : RF_TRACE_DEPTH;
  frames[0] = (uintptr_t)origin->site;
  unsigned const depth = rf_stack_capture(origin, frames + 1, wanted);
  return depth == 0 ? 0 : rf_stack_depot_put_sited(guard->options.depot, frames, 1 + depth, frees);
}

/* ---- The window ---- */

typedef struct shown {
  const rf_guard *guard;
  const rf_guard_header *h;
} shown;

static rf_byte_class class_in_block(const void *context, uintptr_t address, int *expected) {
  const shown *const s = (const shown *)context;
  uintptr_t const payload = (uintptr_t)payload_of(s->h);
  if (address < (uintptr_t)front_redzone_of(s->h)) {
    return RF_BYTE_HEADER;
  }
  if (address - payload >= s->h->size) {
    *expected = RF_PATTERN_REDZONE;
    return RF_BYTE_GUARD;
  }
  if (state_of(s->h) == STATE_FREED && address - payload < fill_of(s->guard, s->h)) {
    *expected = RF_PATTERN_FREED;
    return RF_BYTE_FREED;
  }
  return RF_BYTE_USER;
}

void rf_guard_finding_window(const rf_guard *guard, rf_finding *f, const rf_guard_header *h, const unsigned char *at) {
  shown const s = {guard, h};
  rf_finding_window(f, (uintptr_t)block_of(h), (uintptr_t)end_of(h), (uintptr_t)at, class_in_block, &s);
}

static rf_byte_class class_in_header(const void *context, uintptr_t address, int *expected) {
  const rf_guard_header *const h = (const rf_guard_header *)context;
  bool const redzone = address >= (uintptr_t)front_redzone_of(h);
  *expected = redzone ? RF_PATTERN_REDZONE : -1;
  return redzone ? RF_BYTE_GUARD : RF_BYTE_HEADER;
}

void rf_guard_finding_header(rf_finding *f, const rf_guard_header *h) {
  rf_finding_window(f, (uintptr_t)h, (uintptr_t)payload_of(h), (uintptr_t)h, class_in_header, h);
}
