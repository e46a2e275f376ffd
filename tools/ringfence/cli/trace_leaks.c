#include "tools/ringfence/cli/trace_leaks.h"

#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/model/frame_view.h"
#include "tools/ringfence/symbols/symbolize.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct group {
  const trace_site *site;
  size_t blocks;
  size_t bytes;
} group;

/* ---- Counting ---- */

static int by_bytes(const void *a, const void *b) {
  const group *const left = (const group *)a;
  const group *const right = (const group *)b;
  int const order = (left->bytes < right->bytes) - (left->bytes > right->bytes);
  return order != 0 ? order : (left->site > right->site) - (left->site < right->site);
}

/* One group for each site of the trace, those with most bytes first. */
static group *count(rf_bump_arena *arena, const trace *t) {
  group *const groups = (group *)rf_bump_arena_array(arena, t->site_count, sizeof *groups);
  const trace_op **const last = (const trace_op **)rf_bump_arena_array(arena, t->ids + 1, sizeof(const trace_op *));
  for (size_t i = 0; i < t->count; i++) {
    last[t->ops[i].id] = t->ops[i].kind == TRACE_FREE ? NULL : &t->ops[i];
  }
  for (size_t id = 0; id < t->ids; id++) {
    if (last[id] != NULL) {
      groups[last[id]->site].blocks++;
      groups[last[id]->site].bytes += last[id]->size;
    }
  }
  for (size_t i = 0; i < t->site_count; i++) {
    groups[i].site = &t->sites[i];
  }
  qsort(groups, t->site_count, sizeof *groups, by_bytes);
  return groups;
}

/* ---- Names ---- */

static rf_frame frame_of(const trace *t, uint64_t address) {
  rf_frame frame = {.address = address};
  for (size_t i = 0; i < t->module_count; i++) {
    const trace_module *const m = &t->modules[i];
    if (address > m->start && address <= m->end) {
      frame.module = m->path;
      frame.build_id = m->build_id[0] != '\0' ? m->build_id : NULL;
      frame.offset = address - m->bias;
    }
  }
  return frame;
}

/* The call site as the program told it; NULL where it did not. */
static const rf_site *site_of(rf_bump_arena *arena, const trace_site *from) {
  if (from->file[0] == '\0') {
    return NULL;
  }
  rf_site *const site = (rf_site *)rf_bump_arena_alloc(arena, sizeof *site);
  *site = (rf_site){from->file, from->function, from->line};
  return site;
}

rf_record *rf_trace_origins(rf_bump_arena *arena, const trace *t, const bool *wanted) {
  rf_record *const records = (rf_record *)rf_bump_arena_array(arena, t->site_count, sizeof *records);
  rf_frame **all = NULL;
  size_t count = 0;
  for (size_t i = 0; i < t->site_count; i++) {
    const trace_site *const from = &t->sites[i];
    rf_stack *const stack = &records[i].allocated;
    if (!wanted[i]) {
      continue;
    }
    stack->frames = (rf_frame *)rf_bump_arena_array(arena, from->depth + 1U, sizeof(rf_frame));
    stack->count = from->depth;
    records[i].finding.allocated.site = site_of(arena, from);
    for (unsigned d = 0; d < from->depth; d++) {
      stack->frames[d] = frame_of(t, from->frames[d]);
      RF_APPENDED(arena, all, count) = &stack->frames[d];
    }
  }
  rf_symbolize(arena, all, count);
  for (size_t i = 0; i < t->site_count; i++) {
    rf_record_trim(&records[i], NULL, false);
  }
  return records;
}

/* ---- Printing ---- */

static void print_group(rf_bump_arena *arena, const group *g, const rf_record *record) {
  rf_stack_view const view = rf_stack_view_of(arena, record, RF_STACK_ALLOCATED);
  (void)printf("    %s in %s\n", rf_counted(arena, g->bytes, "byte"), rf_counted(arena, g->blocks, "block"));
  for (size_t i = 0; i < view.count; i++) {
    rf_print_clean("      #%zu %s\n", i, rf_frame_view_text(arena, &view.list[i], NULL));
  }
  if (view.count == 0) {
    (void)printf("      (call site not recorded)\n");
  }
}

void rf_trace_leaks_print(rf_bump_arena *arena, const trace *t, size_t most) {
  group *const groups = count(arena, t);
  group sum = {0};
  group rest = {0};
  size_t used = 0;
  for (size_t i = 0; i < t->site_count; i++) {
    used += groups[i].blocks != 0 ? 1 : 0;
    sum.blocks += groups[i].blocks;
    sum.bytes += groups[i].bytes;
  }
  size_t shown = 0;
  for (size_t i = 0; i < t->site_count; i++) {
    if (groups[i].blocks != 0 && shown < most) {
      group const g = groups[i];
      groups[shown++] = g;
    } else {
      rest.blocks += groups[i].blocks;
      rest.bytes += groups[i].bytes;
    }
  }
  (void)printf("  live at the end: %s in %s, from %s\n", rf_counted(arena, sum.bytes, "byte"),
               rf_counted(arena, sum.blocks, "block"), rf_counted(arena, used, "call site"));
  bool *const wanted = (bool *)rf_bump_arena_array(arena, t->site_count, sizeof *wanted);
  for (size_t i = 0; i < shown; i++) {
    wanted[groups[i].site - t->sites] = true;
  }
  const rf_record *const records = rf_trace_origins(arena, t, wanted);
  for (size_t i = 0; i < shown; i++) {
    print_group(arena, &groups[i], &records[groups[i].site - t->sites]);
  }
  if (used > shown) {
    (void)printf("    %s in %s from %s more (--top)\n", rf_counted(arena, rest.bytes, "byte"),
                 rf_counted(arena, rest.blocks, "block"), rf_counted(arena, used - shown, "call site"));
  }
}
