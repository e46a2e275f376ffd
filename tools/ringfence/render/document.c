#include "tools/ringfence/render/document.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/read_file.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/model/fingerprint.h"
#include "tools/ringfence/model/frame_view.h"
#include "tools/ringfence/model/merge.h"
#include "tools/ringfence/symbols/image_site.h"
#include "tools/ringfence/symbols/symbolize.h"

#include <errno.h>
#include <inttypes.h>
#include <ringfence/layout.h>
#include <stdio.h>
#include <string.h>

/* ---- Suppressions ---- */

bool rf_document_suppressions(rf_suppressions *all, rf_bump_arena *arena, const char *path) {
  rf_sink const warnings = rf_file_sink(stderr);
  size_t length = 0;
  const char *const text = rf_read_file(arena, path, &length);
  if (text == NULL) {
    rf_diag("cannot read the suppressions %s: %s", path, strerror(errno));
    return false;
  }
  size_t const capacity = all->count + rf_suppressions_count(text, length);
  rf_suppression *const rules = (rf_suppression *)rf_bump_arena_array(arena, capacity + 1, sizeof *rules);
  for (size_t i = 0; i < all->count; i++) {
    rules[i] = all->rules[i];
  }
  all->rules = rules;
  all->capacity = capacity;
  return rf_suppressions_parse(all, text, length, path, &warnings) == 0;
}

const char *rf_document_rule(rf_bump_arena *arena, const rf_suppression *rule) {
  const char *const kind = rule->any ? "*" : rule->bug == RF_BUG_LEAK ? "leak" : rf_bug_name(rule->bug);
  return rf_bump_arena_print(arena, "%s:%.*s", kind, (int)rule->length, rule->pattern);
}

static bool is_fingerprint(const rf_suppression *rule, const char *fingerprint) {
  static const char key[] = "fingerprint=";
  return rule->length == strlen(key) + strlen(fingerprint) && memcmp(rule->pattern, key, strlen(key)) == 0 &&
         memcmp(rule->pattern + strlen(key), fingerprint, strlen(fingerprint)) == 0;
}

/* A rule may name a bug by its fingerprint: "*:fingerprint=0123456789abcdef". Processes know no fingerprints. */
static rf_suppression *match_fingerprint(const rf_record *record, const rf_suppressions *all) {
  for (size_t i = 0; i < all->count; i++) {
    rf_suppression *const rule = &all->rules[i];
    if ((rule->any || rule->bug == record->finding.bug) &&
        (is_fingerprint(rule, record->fingerprint) || is_fingerprint(rule, record->earlier[1]) ||
         is_fingerprint(rule, record->earlier[2]))) {
      return rule;
    }
  }
  return NULL;
}

/* Moves the records that a rule hides to the end of the list. Returns how many come before them. */
static size_t suppress(rf_bump_arena *arena, rf_run *run, const rf_document_options *options) {
  rf_record **const hidden = (rf_record **)rf_bump_arena_array(arena, run->record_count + 1, sizeof(rf_record *));
  size_t hidden_count = 0;
  size_t kept = 0;
  for (size_t i = 0; i < run->record_count; i++) {
    rf_record *const record = run->records[i];
    rf_symbolizer const symbolizer = rf_record_symbolizer(record);
    rf_suppression *rule = rf_suppressions_match(&options->suppressions, &record->finding, &symbolizer);
    if (rule == NULL) {
      rule = match_fingerprint(record, &options->suppressions);
    }
    if (rule == NULL) {
      run->records[kept++] = record;
      continue;
    }
    record->suppressed_by = rf_document_rule(arena, rule);
    rf_run_add_rule(run, arena, record->suppressed_by, record->times,
                    record->finding.bug == RF_BUG_LEAK ? record->finding.size : 0);
    hidden[hidden_count++] = record;
  }
  for (size_t i = 0; i < hidden_count; i++) {
    run->records[kept + i] = hidden[i];
  }
  return kept;
}

/* ---- Names ---- */

typedef struct frame_list {
  rf_bump_arena *arena;
  rf_frame **frames;
  size_t count;
} frame_list;

static void add_frames(frame_list *list, const rf_stack *stack, const char *image) {
  for (unsigned i = 0; i < stack->count; i++) {
    rf_frame *const frame = &stack->frames[i];
    if (frame->module == NULL && image != NULL) {
      frame->module = image;
      frame->offset = frame->address;
    }
    RF_APPENDED(list->arena, list->frames, list->count) = frame;
  }
}

static void name_frames(rf_bump_arena *arena, const rf_run *run, const rf_document_options *options) {
  frame_list list = {arena, NULL, 0};
  for (size_t i = 0; i < run->record_count; i++) {
    add_frames(&list, &run->records[i]->found, options->image);
    add_frames(&list, &run->records[i]->allocated, options->image);
    add_frames(&list, &run->records[i]->released, options->image);
  }
  for (size_t i = 0; i < run->snapshot_count; i++) {
    for (size_t k = 0; k < run->snapshots[i]->count; k++) {
      add_frames(&list, &run->snapshots[i]->rows[k].origin->allocated, options->image);
    }
  }
  rf_image_sites(arena, run->records, run->record_count, options->image);
  if (options->symbolize) {
    rf_symbolize(arena, list.frames, list.count);
  }
}

static void trim(const rf_run *run, const rf_document_options *options) {
  for (size_t i = 0; i < run->record_count; i++) {
    run->records[i]->directory = options->directory;
    rf_record_trim(run->records[i], options->library, options->whole);
  }
  for (size_t i = 0; i < run->snapshot_count; i++) {
    for (size_t k = 0; k < run->snapshots[i]->count; k++) {
      run->snapshots[i]->rows[k].origin->directory = options->directory;
      rf_record_trim(run->snapshots[i]->rows[k].origin, options->library, options->whole);
    }
  }
}

/* ---- Making ---- */

static uint64_t times_of(rf_record *const *records, size_t count) {
  uint64_t times = 0;
  for (size_t i = 0; i < count; i++) {
    times += records[i]->times;
  }
  return times;
}

/* New findings matter more than known ones. */
static void put_new_first(rf_bump_arena *arena, rf_document *d) {
  rf_record **const before = (rf_record **)rf_bump_arena_array(arena, d->count + 1, sizeof(rf_record *));
  size_t fresh = 0;
  size_t known = d->count - d->known;
  for (size_t i = 0; i < d->count; i++) {
    before[i] = d->records[i];
  }
  for (size_t i = 0; i < d->count; i++) {
    d->records[before[i]->known ? known++ : fresh++] = before[i];
  }
}

void rf_document_make(rf_document *out, rf_bump_arena *arena, rf_run *run, const rf_document_options *options) {
  *out = (rf_document){.directory = options->directory,
                       .baseline = options->baseline,
                       .unread = run->unread,
                       .began = run->written,
                       .whole = options->whole,
                       .quiet = options->quiet};
  out->sources = (rf_sources *)rf_bump_arena_alloc(arena, sizeof *out->sources);
  out->sources->arena = arena;
  out->sources->directory = options->symbolize ? options->directory : NULL;
  out->sources->before = run->written;
  name_frames(arena, run, options);
  trim(run, options);
  rf_fingerprint_all(arena, run->records, run->record_count, &options->skipped);
  size_t const kept = suppress(arena, run, options);
  out->records = run->records;
  out->hidden = run->record_count == 0 ? NULL : run->records + kept;
  out->count = rf_merge(out->records, kept);
  out->hidden_count = rf_merge(out->hidden, run->record_count - kept);
  out->times = times_of(out->records, out->count);
  for (size_t i = 0; i < run->rule_count; i++) {
    out->hidden_times += run->rules[i].count;
  }
  out->rules = run->rules;
  out->rule_count = run->rule_count;
  out->snapshot_count = run->snapshot_count;
  out->snapshots = rf_snapshot_tables_compare(arena, run->snapshots, &out->snapshot_count);
  rf_fingerprint_all(arena, out->records, out->count, &options->skipped);
  rf_fingerprint_all(arena, out->hidden, out->hidden_count, &options->skipped);
  if (options->baseline != NULL) {
    out->known = rf_baseline_apply(options->baseline, out->records, out->count);
    put_new_first(arena, out);
  }
}

const char *rf_document_lost(rf_bump_arena *arena, const rf_document *d) {
  const char *const lost = rf_totals_lost(arena, d->totals);
  return lost == NULL && d->unread != 0
             ? rf_bump_arena_print(arena, "%s that could not be read", rf_counted(arena, d->unread, "finding"))
             : lost;
}

size_t rf_document_new(const rf_document *d) {
  return d->count - d->known;
}

/* ---- Titles ---- */

/* "a 16-byte block", "an 8-byte block": eight, eleven, eighteen and thousands of these begin with a vowel. */
static const char *block_text(rf_bump_arena *arena, size_t size) {
  size_t first = size;
  while (first >= 1000) {
    first /= 1000;
  }
  bool const vowel = first == 8 || first == 11 || first == 18 || first / 10 == 8 || first / 100 == 8;
  return rf_bump_arena_print(arena, "%s %zu-byte block", vowel ? "an" : "a", size);
}

static const char *where_text(rf_bump_arena *arena, const rf_finding *f) {
  size_t distance = 0;
  const char *const relation = rf_finding_relation(f, &distance);
  const char *const block =
      f->freed ? rf_bump_arena_print(arena, "a freed %zu-byte block", f->size) : block_text(arena, f->size);
  return rf_bump_arena_print(arena, "%s %s %s", rf_counted(arena, distance, "byte"),
                             relation[0] == 'i' ? "into" : relation, block);
}

static const char *damage_title(rf_bump_arena *arena, const rf_finding *f) {
  const char *const done = f->access == RF_ACCESS_READ ? "read" : f->access == RF_ACCESS_WRITE ? "written" : "touched";
  const char *const size = f->access_size == 0 ? "memory" : rf_counted(arena, f->access_size, "byte");
  return f->block == 0 ? rf_bump_arena_print(arena, "%s %s", size, done)
                       : rf_bump_arena_print(arena, "%s %s, %s", size, done, where_text(arena, f));
}

const char *rf_document_title(rf_bump_arena *arena, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  switch (f->bug) {
  case RF_BUG_BUFFER_OVERFLOW:
  case RF_BUG_BUFFER_UNDERFLOW:
  case RF_BUG_USE_AFTER_FREE:
    return damage_title(arena, f);
  case RF_BUG_LEAK:
    return rf_bump_arena_print(arena, "%s lost in %s", rf_counted(arena, f->size, "byte"),
                               rf_counted(arena, f->blocks, "block"));
  case RF_BUG_DOUBLE_FREE:
    return rf_bump_arena_print(arena, "%s was freed again", block_text(arena, f->size));
  case RF_BUG_DEALLOC_MISMATCH:
    return f->allocation == NULL || f->deallocation == NULL
               ? "freed by another call than it was allocated for"
               : rf_bump_arena_print(arena, "allocated by %s, freed by %s", f->allocation, f->deallocation);
  case RF_BUG_SIZE_MISMATCH:
    return rf_bump_arena_print(arena, "%s was deleted as one of %s", block_text(arena, f->size),
                               rf_counted(arena, f->argument, "byte"));
  case RF_BUG_CALLOC_OVERFLOW:
    return rf_bump_arena_print(arena, "%zu * %zu does not fit a size", f->argument, f->size);
  case RF_BUG_SIZE_TOO_BIG:
    return rf_bump_arena_print(arena, "%s were asked for", rf_counted(arena, f->size, "byte"));
  case RF_BUG_BAD_ALIGNMENT:
    return rf_bump_arena_print(arena, "alignment %zu is no %s", f->argument,
                               rf_is_pow2(f->argument) ? "multiple of a pointer's size" : "power of two");
  default:
    return f->detail != NULL ? f->detail
           : f->block != 0   ? where_text(arena, f)
                             : rf_bump_arena_print(arena, "at 0x%" PRIxPTR, f->address);
  }
}
