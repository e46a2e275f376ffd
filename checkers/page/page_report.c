/* The page store: making findings, and the slack. */
#include "page_impl.h"

#include <string.h>

#include "checkers/shared/fill.h"
#include "checkers/shared/wrapper.h"

/* ---- Origins ---- */

rf_page_origin rf_page_keep_origin(const rf_page_store *store, const rf_origin *origin) {
  rf_page_origin kept = {origin->site, origin->caller, 0, rf_port_thread_id()};
  unsigned const wanted = store->options.stack_depth < RF_TRACE_DEPTH ? store->options.stack_depth : RF_TRACE_DEPTH;
  if (wanted != 0 && store->options.depot != NULL) {
    uintptr_t frames[RF_TRACE_DEPTH];
    unsigned const depth = rf_stack_capture(origin, frames, wanted);
    kept.stack = depth != 0 ? rf_stack_depot_put(store->options.depot, frames, depth) : 0;
  }
  return kept;
}

void rf_page_trace(const rf_page_store *store, const rf_page_origin *origin, rf_trace *out) {
  memset(out, 0, sizeof *out);
  out->site = origin->site;
  out->thread = origin->thread;
  if (origin->stack != 0) {
    out->depth = rf_stack_depot_get(store->options.depot, origin->stack, out->frames, RF_TRACE_DEPTH);
  }
  if (out->depth == 0 && origin->caller != 0) {
    out->frames[0] = origin->caller;
    out->depth = 1;
  }
}

/* ---- Findings ---- */

void rf_page_finding(const rf_page_store *store, rf_finding *f, rf_bug bug, rf_access access, const void *address,
                     const rf_origin *origin) {
  rf_finding_begin(f, bug, access, address, store->options.allocator, store->options.mode, origin);
}

void rf_page_finding_block(const rf_page_store *store, rf_finding *f, const rf_slot *s) {
  f->block = s->block;
  f->size = s->size;
  f->blocks = 1;
  f->freed = rf_slot_state_of(s) == SLOT_FREED;
  f->offset = (ptrdiff_t)(f->address - f->block);
  rf_page_trace(store, &s->allocated, &f->allocated);
  if (f->freed) {
    rf_page_trace(store, &s->released, &f->released);
  }
}

/* ---- Slack ---- */

typedef struct slack {
  unsigned char *at;
  size_t size;
} slack;

static slack slack_before(const rf_slot *s) {
  uintptr_t const start = rf_slot_open_start(s);
  return (slack){(unsigned char *)start, s->pages != 0 ? s->block - start : 0};
}

static slack slack_after(const rf_slot *s) {
  uintptr_t const end = s->block + s->size;
  return (slack){(unsigned char *)end, s->pages != 0 ? rf_slot_open_end(s) - end : 0};
}

void rf_page_fill_slack(const rf_slot *s) {
  slack const before = slack_before(s);
  slack const after = slack_after(s);
  memset(before.at, RF_FILL_GUARD, before.size);
  memset(after.at, RF_FILL_GUARD, after.size);
}

/* ---- The window ---- */

#define ROW 16U

/* What of the rows around `at` lies in the open pages. */
static void show(rf_finding *f, const rf_slot *s, const unsigned char *at) {
  uintptr_t const low = rf_slot_open_start(s);
  uintptr_t const high = rf_slot_open_end(s);
  uintptr_t const row = (uintptr_t)at & ~(uintptr_t)(ROW - 1);
  uintptr_t const start = row - low < ROW ? low : row - ROW;
  f->window_address = start;
  f->window_size = high - start < RF_WINDOW ? (unsigned)(high - start) : RF_WINDOW;
  memcpy(f->window, (const void *)start, f->window_size);
  memcpy(f->expected, f->window, f->window_size);
  for (unsigned i = 0; i < f->window_size; i++) {
    bool const user = start + i - s->block < s->size;
    bool const bad = !user && f->window[i] != RF_FILL_GUARD;
    f->window_class[i] = (unsigned char)(user ? RF_BYTE_USER : bad ? RF_BYTE_BAD : RF_BYTE_GUARD);
    f->expected[i] = bad ? RF_FILL_GUARD : f->expected[i];
  }
}

/* ---- Looking ---- */

static bool look_at(const rf_page_store *store, const rf_slot *s, slack where, rf_bug bug, const rf_origin *origin,
                    rf_finding *f) {
  size_t first;
  if (rf_filled(where.at, where.size, RF_FILL_GUARD)) {
    return false;
  }
  size_t const count = rf_disturbed(where.at, where.size, RF_FILL_GUARD, &first);
  rf_page_finding(store, f, bug, RF_ACCESS_WRITE, where.at + first, origin);
  rf_page_finding_block(store, f, s);
  show(f, s, where.at + first);
  f->access_size = count;
  f->detail = bug == RF_BUG_BUFFER_OVERFLOW ? "slack bytes after the block were overwritten"
                                            : "slack bytes before the block were overwritten";
  memset(where.at + first, RF_FILL_GUARD, count);
  return true;
}

unsigned rf_page_look(const rf_page_store *store, const rf_slot *s, const rf_origin *origin, rf_finding found[2]) {
  unsigned count = 0;
  count += look_at(store, s, slack_before(s), RF_BUG_BUFFER_UNDERFLOW, origin, &found[count]) ? 1 : 0;
  count += look_at(store, s, slack_after(s), RF_BUG_BUFFER_OVERFLOW, origin, &found[count]) ? 1 : 0;
  return count;
}

bool rf_page_disturbed(const rf_slot *s, const unsigned char **at) {
  slack const both[] = {slack_before(s), slack_after(s)};
  for (unsigned i = 0; i < 2; i++) {
    size_t first;
    if (rf_disturbed(both[i].at, both[i].size, RF_FILL_GUARD, &first) != 0) {
      *at = both[i].at + first;
      return true;
    }
  }
  return false;
}
