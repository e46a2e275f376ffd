/* The document as text for people. */
#include "tools/ringfence/render/document.h"

#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/model/frame_view.h"

#include <inttypes.h>
#include <ringfence/report_text.h>
#include <string.h>

static const char *place_text(rf_bump_arena *arena, const rf_record *record, rf_stack_kind kind) {
  rf_stack_view const view = rf_stack_view_of(arena, record, kind);
  const rf_frame_view *const top = rf_stack_view_top(&view);
  return top == NULL ? "(not known)" : rf_frame_view_text(arena, top, record->directory);
}

static const char *blocks_text(rf_bump_arena *arena, uint64_t blocks, uint64_t bytes) {
  return rf_bump_arena_print(arena, "%s in %s", rf_counted(arena, bytes, "byte"), rf_counted(arena, blocks, "block"));
}

static const char *lost_text(rf_bump_arena *arena, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  return f->bug == RF_BUG_LEAK ? rf_bump_arena_print(arena, ", %s", blocks_text(arena, f->blocks, f->size)) : "";
}

static void put_lost_in_all(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  size_t leaks = 0;
  for (size_t i = 0; i < d->count; i++) {
    const rf_finding *const f = &d->records[i]->finding;
    if (f->bug == RF_BUG_LEAK) {
      blocks += f->blocks;
      bytes += f->size;
      leaks++;
    }
  }
  if (leaks > 1) {
    rf_sink_str(sink, rf_bump_arena_print(arena, "Lost in all: %s\n", blocks_text(arena, blocks, bytes)));
  }
}

/* A list at the end: the details of several findings scroll away, and known ones have none. */
static void put_list(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  bool const all_told = d->count < 2 && (d->known == 0 || d->whole);
  if (all_told || (d->quiet && rf_document_new(d) == 0)) {
    return;
  }
  rf_sink_str(sink, "-----------------------------------------------------\n"
                    "Findings:\n  times kind                         place\n");
  for (size_t i = 0; i < d->count; i++) {
    const rf_record *const record = d->records[i];
    if (record->known && d->quiet) {
      continue;
    }
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    rf_sink_str(sink, rf_bump_arena_print(arena, "%7u %-28s %s%s%s\n", record->times, rf_bug_name(record->finding.bug),
                                          place_text(arena, record, rf_stack_view_blamed(record)),
                                          lost_text(arena, record), record->known ? " (known)" : ""));
    rf_bump_arena_reset(arena, mark);
  }
  put_lost_in_all(arena, d, sink);
}

void rf_document_rules_text(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  static const char rule[] = "-----------------------------------------------------\n";
  if (d->rule_count == 0) {
    return;
  }
  rf_sink_str(sink, rule);
  rf_sink_str(sink, "Suppressions used:\n  count      bytes template\n");
  for (size_t i = 0; i < d->rule_count; i++) {
    rf_sink_str(sink, rf_bump_arena_print(arena, "%7" PRIu64 " %10" PRIu64 " %s\n", d->rules[i].count,
                                          d->rules[i].bytes, d->rules[i].rule));
  }
  rf_sink_str(sink, rule);
}

static void put_row(rf_bump_arena *arena, const rf_snapshot_row *row, bool difference, const rf_sink *sink) {
  const char *const place = place_text(arena, row->origin, RF_STACK_ALLOCATED);
  rf_sink_str(sink,
              difference
                  ? rf_bump_arena_print(arena, " %+11" PRId64 " %+8" PRId64 " %s\n", row->bytes, row->blocks, place)
                  : rf_bump_arena_print(arena, " %11" PRId64 " %8" PRId64 " %s\n", row->bytes, row->blocks, place));
}

static void put_snapshot_head(rf_bump_arena *arena, const rf_snapshot_table *t, const rf_sink *sink) {
  const char *const of = t->allocator == NULL ? "" : rf_bump_arena_print(arena, " of %s", t->allocator);
  rf_sink_str(sink, t->since == NULL ? rf_bump_arena_print(arena, "Snapshot \"%s\"%s: %s live\n", t->name, of,
                                                           rf_snapshot_table_sums(arena, t))
                                     : rf_bump_arena_print(arena, "From \"%s\" to \"%s\"%s: %s\n", t->since, t->name,
                                                           of, rf_snapshot_table_sums(arena, t)));
}

/* Rows of a table; further ones are summed up. */
enum { ROWS_MOST = 50 };

static void put_rest(rf_bump_arena *arena, const rf_snapshot_table *t, size_t from, const rf_sink *sink) {
  int64_t bytes = 0;
  for (size_t i = from; i < t->count; i++) {
    bytes += t->rows[i].bytes;
  }
  const char *const sites = rf_counted(arena, t->count - from, "call site");
  rf_sink_str(sink, t->since != NULL ? rf_bump_arena_print(arena, " %+11" PRId64 "          %s more\n", bytes, sites)
                                     : rf_bump_arena_print(arena, " %11" PRId64 "          %s more\n", bytes, sites));
}

static void put_rows(rf_bump_arena *arena, const rf_snapshot_table *t, const rf_sink *sink) {
  size_t const shown = t->count > ROWS_MOST + 1 ? ROWS_MOST : t->count;
  for (size_t i = 0; i < shown; i++) {
    put_row(arena, &t->rows[i], t->since != NULL, sink);
  }
  if (shown != t->count) {
    put_rest(arena, t, shown, sink);
  }
}

static void put_snapshot(rf_bump_arena *arena, const rf_snapshot_table *t, const rf_sink *sink) {
  put_snapshot_head(arena, t, sink);
  if (t->count != 0) {
    rf_sink_str(sink, rf_bump_arena_print(arena, " %11s %8s call site\n", "bytes", "blocks"));
  }
  put_rows(arena, t, sink);
  if (t->omitted != 0) {
    rf_sink_str(sink, rf_bump_arena_print(arena, "  and %s of call sites that did not fit\n",
                                          rf_counted(arena, t->omitted, "block")));
  }
}

void rf_document_snapshots_text(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  for (size_t i = 0; i < d->snapshot_count; i++) {
    put_snapshot(arena, d->snapshots[i], sink);
  }
}

/* The library's summary knows no source files when it chooses the frame: here frames of the C++ library's headers do
 * not count. NULL where the library's is as good. */
static const char *summary_text(rf_bump_arena *arena, const rf_record *record) {
  rf_stack_view const view = rf_stack_view_of(arena, record, rf_stack_view_blamed(record));
  const rf_frame_view *const top = rf_stack_view_top(&view);
  bool const better =
      top != NULL && top->file != NULL && top->function != NULL && rf_finding_place(&record->finding)->site == NULL;
  if (!better) {
    return NULL;
  }
  const char *const line = top->line == 0 ? "" : rf_bump_arena_print(arena, ":%u", top->line);
  return rf_bump_arena_print(arena, "SUMMARY: Ringfence: %s %s%s in %s\n", rf_bug_name(record->finding.bug),
                             rf_path_seen_from(record->directory, top->file), line, top->function);
}

/* The start of the last line of `text`. */
static size_t last_line(const rf_text_sink *text) {
  size_t at = text->length == 0 ? 0 : text->length - 1;
  while (at > 0 && text->text[at - 1] != '\n') {
    at--;
  }
  return at;
}

void rf_record_text(rf_bump_arena *arena, rf_record *record, const rf_sink *sink) {
  rf_symbolizer const symbolizer = rf_record_symbolizer(record);
  const char *const summary = summary_text(arena, record);
  rf_text_sink text;
  rf_text_sink_init(&text, arena);
  rf_report_text(&record->finding, &symbolizer, &text.sink);
  rf_sink_mem(sink, text.text, summary == NULL ? text.length : last_line(&text));
  rf_sink_str(sink, summary == NULL ? "" : summary);
  if (record->times > 1) {
    rf_sink_str(sink, "  found ");
    rf_sink_uint(sink, record->times);
    rf_sink_str(sink, " times, in ");
    rf_sink_uint(sink, record->processes);
    rf_sink_str(sink, record->processes == 1 ? " process\n" : " processes\n");
  }
  if (record->run != NULL) {
    rf_sink_str(sink, rf_bump_arena_print(arena, "  found by run %s\n", record->run));
  }
  rf_sink_str(sink, record->known ? "  known: in the baseline\n" : "");
  if (record->known_blocks != 0) {
    rf_sink_str(sink, rf_bump_arena_print(arena, "  grown: the baseline has %s of it\n",
                                          rf_counted(arena, record->known_blocks, "block")));
  }
}

void rf_document_text(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  rf_sink const clean = rf_clean_sink(sink);
  for (size_t i = 0; i < d->count; i++) {
    if (d->records[i]->known && !d->whole) {
      continue; /* the list has it */
    }
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    rf_record_text(arena, d->records[i], &clean);
    rf_bump_arena_reset(arena, mark);
  }
  rf_document_snapshots_text(arena, d, &clean);
  put_list(arena, d, &clean);
  rf_document_rules_text(arena, d, &clean);
}
