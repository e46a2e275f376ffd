/* The page store: making findings. */
#include "page_slack.h"

#include <string.h>

#include "checkers/shared/pattern.h"
#include "checkers/shared/window.h"

/* ---- Origins ---- */

static rf_page_origin keep_origin(const rf_page_store *store, const rf_origin *origin,
                                  uint32_t (*put)(rf_stack_depot *, const rf_origin *, unsigned)) {
  rf_page_origin kept = {origin->site, origin->caller, 0, rf_port_thread_id()};
  unsigned const wanted = store->options.stack_depth < RF_TRACE_DEPTH ? store->options.stack_depth : RF_TRACE_DEPTH;
  if (wanted != 0 && store->options.depot != NULL) {
    kept.stack = put(store->options.depot, origin, wanted);
  }
  return kept;
}

rf_page_origin rf_page_keep_origin(const rf_page_store *store, const rf_origin *origin) {
  return keep_origin(store, origin, rf_stack_depot_put_from);
}

rf_page_origin rf_page_keep_freeing(const rf_page_store *store, const rf_origin *origin) {
  return keep_origin(store, origin, rf_stack_depot_put_free_from);
}

void rf_page_trace(const rf_page_store *store, const rf_page_origin *origin, rf_trace *out) {
  rf_trace_of_call(out, origin->site, origin->caller, origin->thread);
  if (origin->stack != 0) {
    out->depth = rf_stack_depot_get(store->options.depot, origin->stack, out->frames, RF_TRACE_DEPTH);
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

void rf_page_store_tell_of(const rf_page_store *store, const void *ptr, rf_finding *f) {
  const rf_slot *const s = rf_runs_slot(store, (uintptr_t)ptr);
  bool const is_block = s != NULL && (rf_slot_is_live(s) || rf_slot_state_of(s) == SLOT_FREED);
  if (is_block && ((uintptr_t)ptr == s->block || (uintptr_t)ptr - s->block < s->size)) {
    rf_page_finding_block(store, f, s);
  }
}

void rf_page_tell_of(const void *ptr, rf_finding *f) {
  for (const rf_page_store *store = rf_page_stores(); store != NULL; store = store->other) {
    if (rf_page_store_in_use(store)) {
      rf_page_store_tell_of(store, ptr, f);
    }
  }
}

void rf_page_report_each(const rf_page_store *store, rf_finding *found, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    rf_report(store->options.reporter, &found[i]);
  }
}

void rf_page_fill_new(const rf_page_store *store, unsigned char *at, size_t size) {
  memset(at, RF_PATTERN_NEW, size < store->options.fill_alloc ? size : store->options.fill_alloc);
}

/* ---- Damage ---- */

static rf_byte_class class_of(const void *context, uintptr_t address, int *expected) {
  const rf_slot *const s = (const rf_slot *)context;
  if (address - s->block < s->size) {
    return RF_BYTE_USER;
  }
  *expected = RF_PATTERN_REDZONE;
  return RF_BYTE_GUARD;
}

static bool inspect(const rf_page_store *store, const rf_slot *s, rf_pattern_area slack, rf_bug bug,
                    const rf_origin *origin, rf_finding *f) {
  rf_pattern_area damage;
  if (!rf_pattern_damage(&slack, &damage)) {
    return false;
  }
  rf_page_finding(store, f, bug, RF_ACCESS_WRITE, damage.at, origin);
  rf_page_finding_block(store, f, s);
  rf_finding_window(f, rf_slot_open_start(s), rf_slot_open_end(s), (uintptr_t)damage.at, class_of, s);
  f->access_size = damage.size;
  f->detail = bug == RF_BUG_BUFFER_OVERFLOW ? "slack bytes after the block were overwritten"
                                            : "slack bytes before the block were overwritten";
  memset(damage.at, damage.byte, damage.size);
  return true;
}

unsigned rf_page_inspect(const rf_page_store *store, const rf_slot *s, const rf_origin *origin, rf_finding found[2]) {
  unsigned count = 0;
  if (rf_page_can_be_read(s)) {
    count += inspect(store, s, rf_page_slack_before(s), RF_BUG_BUFFER_UNDERFLOW, origin, &found[count]) ? 1 : 0;
    count += inspect(store, s, rf_page_slack_after(s), RF_BUG_BUFFER_OVERFLOW, origin, &found[count]) ? 1 : 0;
  }
  return count;
}

const unsigned char *rf_page_damaged_slack(const rf_slot *s) {
  rf_pattern_area const before = rf_page_slack_before(s);
  rf_pattern_area const after = rf_page_slack_after(s);
  rf_pattern_area damage;
  if (!rf_page_can_be_read(s)) {
    return NULL;
  }
  return rf_pattern_damage(&before, &damage) || rf_pattern_damage(&after, &damage) ? damage.at : NULL;
}
