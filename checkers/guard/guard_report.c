/* rf_guard: making findings. */
#include "guard_impl.h"

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

void rf_guard_finding_block(const rf_guard *guard, rf_finding *f, const rf_guard_header *h) {
  uint32_t allocated_by = 0;
  uint32_t released_by = 0;
#if RF_GUARD_THREADS
  allocated_by = h->allocated_by;
  released_by = h->released_by;
#endif
  f->block = (uintptr_t)payload_of(h);
  f->size = h->size;
  f->blocks = 1;
  f->freed = state_of(h) != STATE_LIVE;
  f->offset = (ptrdiff_t)(f->address - f->block);
  rf_guard_trace(guard, allocated_kind_of(h), h->allocated, allocated_by, &f->allocated);
  if (f->freed) {
    rf_guard_trace(guard, released_kind_of(h), h->u.released, released_by, &f->released);
  }
}

/* ---- The window ---- */

#define ROW 16U

/* Sets the window to what of the rows around `at` lies in [low, high). */
static void place_window(rf_finding *f, uintptr_t low, uintptr_t high, uintptr_t at) {
  uintptr_t const row = at & ~(uintptr_t)(ROW - 1);
  uintptr_t const wanted = row - ROW;
  uintptr_t const start = wanted < low || wanted > row ? low : wanted;
  uintptr_t const room = high - start;
  f->window_address = start;
  f->window_size = room < RF_WINDOW ? (unsigned)room : RF_WINDOW;
  read_anywhere(f->window, (const void *)start, f->window_size);
  memcpy(f->expected, f->window, f->window_size);
}

static void classify(rf_finding *f, unsigned i, rf_byte_class usual, int expected) {
  bool const bad = expected >= 0 && f->window[i] != expected;
  f->window_class[i] = (unsigned char)(bad ? RF_BYTE_BAD : usual);
  if (bad) {
    f->expected[i] = (unsigned char)expected;
  }
}

static void classify_payload(const rf_guard *guard, rf_finding *f, unsigned i, const rf_guard_header *h,
                             size_t offset) {
  bool const filled = state_of(h) == STATE_FREED && offset < fill_of(guard, h);
  classify(f, i, filled ? RF_BYTE_FREED : RF_BYTE_USER, filled ? RF_FILL_FREE : -1);
}

void rf_guard_finding_window(const rf_guard *guard, rf_finding *f, const rf_guard_header *h, const unsigned char *at) {
  uintptr_t const payload = (uintptr_t)payload_of(h);
  place_window(f, (uintptr_t)block_of(h), (uintptr_t)end_of(h), (uintptr_t)at);
  for (unsigned i = 0; i < f->window_size; i++) {
    uintptr_t const address = f->window_address + i;
    if (address < (uintptr_t)front_of(h)) {
      classify(f, i, RF_BYTE_HEADER, -1);
    } else if (address < payload || address >= payload + h->size) {
      classify(f, i, RF_BYTE_GUARD, RF_FILL_GUARD);
    } else {
      classify_payload(guard, f, i, h, address - payload);
    }
  }
}

void rf_guard_finding_header(rf_finding *f, const rf_guard_header *h) {
  uintptr_t const front = (uintptr_t)front_of(h);
  uintptr_t const payload = (uintptr_t)payload_of(h);
  place_window(f, (uintptr_t)h, payload, (uintptr_t)h);
  for (unsigned i = 0; i < f->window_size; i++) {
    bool const is_guard = f->window_address + i >= front;
    classify(f, i, is_guard ? RF_BYTE_GUARD : RF_BYTE_HEADER, is_guard ? RF_FILL_GUARD : -1);
  }
}

/* ---- Families ---- */

const char *rf_family_allocation(rf_family family) {
  static const char *const names[] = {"malloc", "operator new",
                                      "operator new[]", [RF_FAMILY_NEW_ALIGNED] = "operator new(std::align_val_t)",
                                      "operator new[](std::align_val_t)"};
  return names[family];
}

const char *rf_family_deallocation(rf_family family) {
  static const char *const names[] = {
      "free", "operator delete", "operator delete[]", [RF_FAMILY_NEW_ALIGNED] = "operator delete(std::align_val_t)",
      "operator delete[](std::align_val_t)"};
  return names[family];
}
