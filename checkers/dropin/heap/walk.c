#include "walk.h"

#include "cache.h"
#include "rights.h"

#include <ringfence/port.h>
#include <string.h>

#define SLOTS_AT_ONCE 64U /* between two looks at the clock */

static unsigned used_slots(const rf_span *span) {
  return span->large ? 1 : span->carved;
}

bool rf_heap_live(const void *ptr, rf_view *out) {
  return rf_view_at((uintptr_t)ptr, out) && out->payload == ptr && rf_slot_state_of(out->slot) == RF_SLOT_LIVE;
}

static rf_span *after(const rf_span *span) {
  return rf_span_above(rf_span_start(span) + span->bytes);
}

void rf_heap_walk(bool (*visit)(const rf_view *view, void *context), void *context) {
  for (rf_span *span = rf_span_above(0); span != NULL; span = after(span)) {
    for (unsigned i = 0; i < used_slots(span); i++) {
      if (rf_slot_state_of(&span->slots[i]) != RF_SLOT_LIVE) {
        continue;
      }
      rf_view const v = rf_view_of(span, i);
      if (!visit(&v, context)) {
        return;
      }
    }
  }
}

/* ---- Sweeps ---- */

static size_t check_slot(rf_span *span, unsigned index, const rf_origin *origin) {
  if (rf_slot_state_of(&span->slots[index]) == RF_SLOT_NEW ||
      (!rf_span_is_restricted(span) && rf_check_plain_intact(span, index))) {
    return 0;
  }
  rf_view const v = rf_view_of(span, index);
  return !rf_rights_allow_check(&v) || rf_check_intact(&v) ? 0 : rf_check_report(&v, origin);
}

static size_t check_span(rf_span *span, const rf_origin *origin) {
  size_t count = 0;
  for (unsigned i = 0; i < used_slots(span); i++) {
    count += check_slot(span, i, origin);
  }
  return count;
}

size_t rf_heap_sweep(const rf_origin *origin) {
  size_t count = 0;
  for (rf_span *span = rf_span_above(0); span != NULL; span = after(span)) {
    count += check_span(span, origin);
  }
  return count;
}

/* From the newest slot on. False: late. */
static bool check_backwards(rf_span *span, uint64_t end_ns, const rf_origin *origin, size_t *count) {
  for (unsigned i = used_slots(span); i-- != 0;) {
    *count += check_slot(span, i, origin);
    if (i % SLOTS_AT_ONCE == 0 && rf_port_now_ns() >= end_ns) {
      return false;
    }
  }
  return true;
}

size_t rf_heap_sweep_newest(uint64_t budget_ns, const rf_origin *origin) {
  uint64_t const end = rf_port_now_ns() + budget_ns;
  size_t count = 0;
  for (unsigned heap = 0; heap < rf_heap_count; heap++) {
    for (rf_span *span = rf_heaps[heap].newest; span != NULL; span = span->older) {
      if (!check_backwards(span, end, origin, &count)) {
        return count;
      }
    }
  }
  return count;
}

size_t rf_heap_sweep_step(uint64_t budget_ns, const rf_origin *origin) {
  static uintptr_t at; /* where the last step stopped */
  uint64_t const begin = rf_port_now_ns();
  size_t count = 0;
  for (rf_span *span = rf_span_above(at); span != NULL; span = rf_span_above(at)) {
    unsigned i = at > span->base ? rf_span_index(span, at) : 0;
    for (; i < used_slots(span); i++) {
      count += check_slot(span, i, origin);
      at = span->base + ((size_t)i + 1) * span->slot_size;
      if ((i + 1) % SLOTS_AT_ONCE == 0 && rf_port_now_ns() - begin >= budget_ns) {
        return count;
      }
    }
    at = rf_span_start(span) + span->bytes;
    if (rf_port_now_ns() - begin >= budget_ns) {
      return count;
    }
  }
  at = 0;
  return count;
}

/* ---- Memory ---- */

static bool each_segment(const rf_segment *list, rf_range_fn visit, void *context) {
  bool all = true;
  for (; list != NULL; list = list->next) {
    all = visit(list->start, list->start + list->units * RF_UNIT, context) && all;
  }
  return all;
}

bool rf_heap_each_range(rf_range_fn visit, void *context) {
  bool all = true;
  for (unsigned i = 0; i < rf_heap_count; i++) {
    all = each_segment(rf_heaps[i].segments, visit, context) && all;
    all = each_segment(rf_heaps[i].full, visit, context) && all;
    for (const rf_span *span = rf_heaps[i].newest; span != NULL; span = span->older) {
      uintptr_t const start = rf_span_start(span);
      all = (!span->mapped || visit(start, start + span->bytes, context)) && all;
    }
  }
  return all;
}

rf_heap_bytes rf_heap_bytes_now(void) {
  rf_heap_bytes sum = {0, 0, 0};
  for (unsigned i = 0; i < rf_heap_count; i++) {
    sum.mapped += rf_heaps[i].segment_bytes + rf_heaps[i].mapped_bytes;
    sum.large += rf_heaps[i].large_bytes;
    sum.freed += rf_heaps[i].freed_bytes;
  }
  return sum;
}

/* ---- As an allocator ---- */

static bool put_slot(const rf_view *v, rf_walk_fn visit, void *context) {
  bool const live = rf_slot_state_of(v->slot) == RF_SLOT_LIVE;
  size_t const all = (size_t)(v->end - v->begin);
  size_t const size = live ? v->size : all - RF_TAIL_LEAST;
  rf_block const block = {v->payload, size, all - size, live, NULL};
  return visit(&block, context);
}

static bool put_span(rf_span *span, rf_walk_fn visit, void *context) {
  for (unsigned i = 0; i < used_slots(span); i++) {
    rf_view const v = rf_view_of(span, i);
    if (!put_slot(&v, visit, context)) {
      return false;
    }
  }
  if (span->large || span->carved == span->count) {
    return true;
  }
  size_t const room = (span->count - span->carved) * (size_t)span->slot_size;
  rf_block const rest = {(void *)(span->base + span->carved * (size_t)span->slot_size), room, RF_SPAN_FRONT, false,
                         NULL};
  return visit(&rest, context);
}

static rf_status walk_all(rf_allocator *self, rf_walk_fn visit, void *context) {
  (void)self;
  for (rf_span *span = rf_span_above(0); span != NULL && put_span(span, visit, context); span = after(span)) {
  }
  return RF_OK;
}

static void count_all(rf_allocator *self, rf_counters *out) {
  rf_cache_figures figures;
  (void)self;
  rf_cache_figures_of_all(&figures);
  *out = figures.counters;
}

static bool measure(const rf_block *block, void *context) {
  rf_stats *const stats = context;
  stats->overhead += block->overhead;
  if (!block->used) {
    stats->free_bytes += block->size;
    stats->largest_free = block->size > stats->largest_free ? block->size : stats->largest_free;
  }
  return true;
}

static void all_stats(rf_allocator *self, rf_stats *out) {
  rf_counters counters;
  memset(out, 0, sizeof *out);
  count_all(self, &counters);
  rf_count_into(&counters, out);
  out->capacity = rf_heap_bytes_now().mapped;
  (void)walk_all(self, measure, out);
}

static rf_allocator bare;
static rf_allocator checked;

static rf_allocator *below(rf_allocator *self) {
  return self == &checked ? &bare : NULL;
}

static const rf_allocator_ops bare_ops = {
    .name = "malloc", .walk = walk_all, .stats = all_stats, .counters = count_all};
static const rf_allocator_ops checked_ops = {
    .name = "guard", .walk = walk_all, .stats = all_stats, .counters = count_all, .inner = below};
static rf_allocator bare = {&bare_ops};
static rf_allocator checked = {&checked_ops};

rf_allocator *rf_heap_allocator(void) {
  return rf_heap_options_now.checked ? &checked : &bare;
}
