#include "tools/ringfence/model/merge.h"

#include <stdlib.h>
#include <string.h>

enum { PLACE_FRAMES = 3 };

/* The C++ library's templates are compiled into the program. All functions inlined at the frame must be the
 * library's. */
static bool is_of_cxx_headers(const rf_frame *frame) {
  for (size_t i = 0; i < frame->source_count; i++) {
    const char *const file = frame->sources[i].file;
    if (file == NULL || (strstr(file, "/include/c++/") == NULL && strstr(file, "/c++/v1/") == NULL)) {
      return false;
    }
  }
  return frame->source_count != 0;
}

bool rf_is_runtime_frame(const rf_frame *frame) {
  return is_of_cxx_headers(frame) ||
         rf_frame_is_runtime(frame->module, frame->source_count == 0 ? frame->function : frame->sources[0].function);
}

/* ---- Places ---- */

static const rf_stack *place_of(const rf_record *record) {
  const rf_trace *const place = rf_finding_place(&record->finding);
  return place == &record->finding.allocated ? &record->allocated : &record->found;
}

static bool is_known(const rf_frame *frame) {
  for (size_t i = 0; i < frame->source_count; i++) {
    const rf_source *const source = &frame->sources[i];
    if (source->function == NULL || source->file == NULL || source->line == 0) {
      return false;
    }
  }
  return frame->source_count != 0;
}

/* By lines, those of inlined functions included: two calls on one line are one place. */
static const char *frame_key(rf_bump_arena *arena, const char *key, const rf_frame *frame) {
  if (!is_known(frame)) {
    bool const mapped = frame->module != NULL;
    return rf_bump_arena_print(arena, "%s|%s+%llx", key, mapped ? frame->module : "",
                               (unsigned long long)(mapped ? frame->offset : frame->address));
  }
  for (size_t i = 0; i < frame->source_count; i++) {
    const rf_source *const source = &frame->sources[i];
    key = rf_bump_arena_print(arena, "%s|%s@%s:%u", key, source->function, source->file, source->line);
  }
  return key;
}

/* Equal for equal places in every process: addresses differ between processes; lines, modules and offsets do not. */
static const char *key_of(rf_bump_arena *arena, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  const rf_site *const site = rf_finding_place(f)->site;
  const rf_stack *const stack = place_of(record);
  const char *key = rf_bump_arena_print(arena, "%s|%s", rf_bug_name(f->bug), f->allocator != NULL ? f->allocator : "");
  if (site != NULL) {
    key = rf_bump_arena_print(arena, "%s|%s:%u", key, site->file, site->line);
  }
  unsigned taken = 0;
  for (unsigned i = 0; i < stack->count && taken < PLACE_FRAMES; i++) {
    const rf_frame *const frame = &stack->frames[i];
    /* An address in no module is no return address: code without frame pointers left another word each time. */
    bool const stray = frame->module == NULL && taken != 0;
    if (!stray && !rf_is_runtime_frame(frame)) {
      key = frame_key(arena, key, frame);
      taken++;
    }
  }
  return key;
}

/* ---- Merging ---- */

typedef struct entry {
  const char *key;
  rf_record *record;
  size_t order;
} entry;

static int by_key(const void *a, const void *b) {
  const entry *const left = (const entry *)a;
  const entry *const right = (const entry *)b;
  int const order = strcmp(left->key, right->key);
  return order != 0 ? order : (left->order > right->order) - (left->order < right->order);
}

static int by_order(const void *a, const void *b) {
  const entry *const left = (const entry *)a;
  const entry *const right = (const entry *)b;
  return (left->order > right->order) - (left->order < right->order);
}

static int by_process(const void *a, const void *b) {
  uint32_t const left = *(const uint32_t *)a;
  uint32_t const right = *(const uint32_t *)b;
  return (left > right) - (left < right);
}

static unsigned count_processes(rf_bump_arena *arena, const entry *entries, size_t count) {
  uint32_t *const ids = (uint32_t *)rf_bump_arena_array(arena, count, sizeof *ids);
  for (size_t i = 0; i < count; i++) {
    ids[i] = entries[i].record->finding.process;
  }
  qsort(ids, count, sizeof *ids, by_process);
  unsigned distinct = 1;
  for (size_t i = 1; i < count; i++) {
    distinct += ids[i] != ids[i - 1];
  }
  /* A record that was merged before stands for several processes but names one. */
  for (size_t i = 0; i < count; i++) {
    unsigned const processes = entries[i].record->processes;
    distinct += processes > 1 ? processes - 1 : 0;
  }
  return distinct;
}

static unsigned count_times(const entry *entries, size_t count) {
  unsigned times = 0;
  for (size_t i = 0; i < count; i++) {
    times += entries[i].record->times > 1 ? entries[i].record->times : 1;
  }
  return times;
}

/* Blocks and bytes of leaks of one place add up. */
static void add_lost(const entry *entries, size_t count) {
  rf_finding *const f = &entries[0].record->finding;
  for (size_t i = 1; i < count && f->bug == RF_BUG_LEAK; i++) {
    f->size += entries[i].record->finding.size;
    f->blocks += entries[i].record->finding.blocks;
  }
}

size_t rf_merge(rf_bump_arena *arena, rf_record **records, size_t count) {
  entry *const entries = (entry *)rf_bump_arena_array(arena, count + 1, sizeof *entries);
  for (size_t i = 0; i < count; i++) {
    entries[i] = (entry){key_of(arena, records[i]), records[i], i};
  }
  qsort(entries, count, sizeof *entries, by_key);
  size_t kept = 0;
  for (size_t start = 0, i = 1; i <= count; i++) {
    if (i == count || strcmp(entries[i].key, entries[start].key) != 0) {
      entry const first = entries[start];
      unsigned const times = count_times(entries + start, i - start);
      first.record->processes = count_processes(arena, entries + start, i - start);
      first.record->times = times;
      add_lost(entries + start, i - start);
      entries[kept++] = first;
      start = i;
    }
  }
  qsort(entries, kept, sizeof *entries, by_order);
  for (size_t i = 0; i < kept; i++) {
    records[i] = entries[i].record;
  }
  return kept;
}
