#include "tools/ringfence/document.h"

#include "tools/ringfence/call.h"
#include "tools/ringfence/fingerprint.h"
#include "tools/ringfence/merge.h"
#include "tools/ringfence/read.h"
#include "tools/ringfence/say.h"
#include "tools/ringfence/symbolize.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Suppressions ---- */

static void say_line(void *context, const char *text, size_t length) {
  (void)context;
  (void)fwrite(text, 1, length, stderr);
}

bool rf_document_suppressions(rf_suppressions *all, rf_stash *stash, const char *path) {
  rf_sink const warnings = {say_line, NULL};
  size_t length = 0;
  const char *const text = rf_read_file(stash, path, &length);
  if (text == NULL) {
    rf_say("cannot read the suppressions %s: %s", path, strerror(errno));
    return false;
  }
  size_t const capacity = all->count + rf_suppressions_count(text, length);
  rf_suppression *const rules = (rf_suppression *)rf_stash_array(stash, capacity + 1, sizeof *rules);
  for (size_t i = 0; i < all->count; i++) {
    rules[i] = all->rules[i];
  }
  all->rules = rules;
  all->capacity = capacity;
  return rf_suppressions_parse(all, text, length, path, &warnings) == 0;
}

const char *rf_document_rule(rf_stash *stash, const rf_suppression *rule) {
  const char *const kind = rule->any ? "*" : rule->bug == RF_BUG_LEAK ? "leak" : rf_bug_name(rule->bug);
  return rf_stash_print(stash, "%s:%.*s", kind, (int)rule->length, rule->pattern);
}

/* Moves the records that a rule hides to the end of the list. Returns how many come before them. */
static size_t suppress(rf_stash *stash, rf_run *run, const rf_suppressions *all) {
  rf_record **const hidden = (rf_record **)rf_stash_array(stash, run->record_count + 1, sizeof(rf_record *));
  size_t hidden_count = 0;
  size_t kept = 0;
  for (size_t i = 0; i < run->record_count; i++) {
    rf_record *const record = run->records[i];
    rf_symbolizer const symbolizer = rf_record_symbolizer(record);
    rf_suppression *const rule = rf_suppressions_match(all, &record->finding, &symbolizer);
    if (rule == NULL) {
      run->records[kept++] = record;
      continue;
    }
    record->suppressed_by = rf_document_rule(stash, rule);
    rf_collect_rule(run, stash, record->suppressed_by, record->times,
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
  rf_stash *stash;
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
    list->frames = (rf_frame **)rf_stash_grow(list->stash, list->frames, list->count, sizeof(rf_frame *));
    list->frames[list->count++] = frame;
  }
}

static void name_frames(rf_stash *stash, const rf_run *run, const rf_document_wishes *wishes) {
  frame_list list = {stash, NULL, 0};
  for (size_t i = 0; i < run->record_count; i++) {
    add_frames(&list, &run->records[i]->found, wishes->image);
    add_frames(&list, &run->records[i]->allocated, wishes->image);
    add_frames(&list, &run->records[i]->released, wishes->image);
  }
  for (size_t i = 0; i < run->snapshot_count; i++) {
    for (size_t k = 0; k < run->snapshots[i]->count; k++) {
      add_frames(&list, &run->snapshots[i]->rows[k].origin->allocated, wishes->image);
    }
  }
  if (wishes->symbolize) {
    rf_symbolize(stash, list.frames, list.count);
  }
}

static void trim(const rf_run *run, const rf_document_wishes *wishes) {
  for (size_t i = 0; i < run->record_count; i++) {
    run->records[i]->directory = wishes->directory;
    rf_record_trim(run->records[i], wishes->library, wishes->whole);
  }
  for (size_t i = 0; i < run->snapshot_count; i++) {
    for (size_t k = 0; k < run->snapshots[i]->count; k++) {
      run->snapshots[i]->rows[k].origin->directory = wishes->directory;
      rf_record_trim(run->snapshots[i]->rows[k].origin, wishes->library, wishes->whole);
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

/* What is known can wait. */
static void put_new_first(rf_stash *stash, rf_document *d) {
  rf_record **const before = (rf_record **)rf_stash_array(stash, d->count + 1, sizeof(rf_record *));
  size_t fresh = 0;
  size_t known = d->count - d->known;
  for (size_t i = 0; i < d->count; i++) {
    before[i] = d->records[i];
  }
  for (size_t i = 0; i < d->count; i++) {
    d->records[before[i]->known ? known++ : fresh++] = before[i];
  }
}

void rf_document_make(rf_document *out, rf_stash *stash, rf_run *run, const rf_document_wishes *wishes) {
  *out = (rf_document){.directory = wishes->directory, .baseline = wishes->baseline, .began = run->written};
  out->sources = (rf_sources *)rf_stash_alloc(stash, sizeof *out->sources);
  out->sources->directory = wishes->symbolize ? wishes->directory : NULL;
  out->sources->before = run->written;
  name_frames(stash, run, wishes);
  trim(run, wishes);
  size_t const kept = suppress(stash, run, &wishes->suppressions);
  out->records = run->records;
  out->hidden = run->record_count == 0 ? NULL : run->records + kept;
  out->count = rf_merge(stash, out->records, kept);
  out->hidden_count = rf_merge(stash, out->hidden, run->record_count - kept);
  out->times = times_of(out->records, out->count);
  for (size_t i = 0; i < run->rule_count; i++) {
    out->hidden_times += run->rules[i].count;
  }
  out->rules = run->rules;
  out->rule_count = run->rule_count;
  out->snapshot_count = run->snapshot_count;
  out->snapshots = rf_snapshot_tables_compare(stash, run->snapshots, &out->snapshot_count);
  rf_fingerprint_all(stash, out->records, out->count);
  rf_fingerprint_all(stash, out->hidden, out->hidden_count);
  if (wishes->baseline != NULL) {
    out->known = rf_baseline_apply(wishes->baseline, out->records, out->count);
    put_new_first(stash, out);
  }
}

size_t rf_document_new(const rf_document *d) {
  return d->count - d->known;
}

/* ---- Titles ---- */

static const char *bytes_text(rf_stash *stash, size_t count) {
  return rf_stash_print(stash, "%zu byte%s", count, count == 1 ? "" : "s");
}

static const char *where_text(rf_stash *stash, const rf_finding *f) {
  size_t distance = 0;
  const char *const relation = rf_finding_relation(f, &distance);
  const char *const article = f->freed ? "freed " : "";
  if (relation[0] == 'i') {
    return rf_stash_print(stash, "%s into a %s%zu-byte block", bytes_text(stash, distance), article, f->size);
  }
  return rf_stash_print(stash, "%s %s a %s%zu-byte block", bytes_text(stash, distance), relation, article, f->size);
}

static const char *damage_title(rf_stash *stash, const rf_finding *f) {
  const char *const done = f->access == RF_ACCESS_READ ? "read" : f->access == RF_ACCESS_WRITE ? "written" : "touched";
  const char *const size = f->access_size == 0 ? "memory" : bytes_text(stash, f->access_size);
  return f->block == 0 ? rf_stash_print(stash, "%s %s", size, done)
                       : rf_stash_print(stash, "%s %s, %s", size, done, where_text(stash, f));
}

const char *rf_document_title(rf_stash *stash, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  switch (f->bug) {
  case RF_BUG_BUFFER_OVERFLOW:
  case RF_BUG_BUFFER_UNDERFLOW:
  case RF_BUG_USE_AFTER_FREE:
    return damage_title(stash, f);
  case RF_BUG_LEAK:
    return rf_stash_print(stash, "%s lost in %zu block%s", bytes_text(stash, f->size), f->blocks,
                          f->blocks == 1 ? "" : "s");
  case RF_BUG_DOUBLE_FREE:
    return rf_stash_print(stash, "a %zu-byte block was freed again", f->size);
  case RF_BUG_DEALLOC_MISMATCH:
    return f->allocation == NULL || f->deallocation == NULL
               ? "freed by another call than it was allocated for"
               : rf_stash_print(stash, "allocated by %s, freed by %s", f->allocation, f->deallocation);
  case RF_BUG_SIZE_MISMATCH:
    return rf_stash_print(stash, "a %zu-byte block was deleted as one of %s", f->size, bytes_text(stash, f->argument));
  case RF_BUG_CALLOC_OVERFLOW:
    return rf_stash_print(stash, "%zu * %zu does not fit a size", f->argument, f->size);
  case RF_BUG_SIZE_TOO_BIG:
    return rf_stash_print(stash, "%s were asked for", bytes_text(stash, f->size));
  case RF_BUG_BAD_ALIGNMENT:
    return rf_stash_print(stash, "alignment %zu is no power of two", f->argument);
  default:
    return f->detail != NULL ? f->detail
           : f->block != 0   ? where_text(stash, f)
                             : rf_stash_print(stash, "at 0x%" PRIxPTR, f->address);
  }
}
