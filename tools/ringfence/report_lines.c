/* The document as text for people, and as JSON lines. */
#include "tools/ringfence/document.h"

#include "tools/ringfence/call.h"

#include <inttypes.h>
#include <ringfence/report_json.h>
#include <string.h>

/* ---- Text ---- */

static const char *place_text(rf_stash *stash, const rf_record *record, rf_stack_kind kind) {
  rf_calls const calls = rf_calls_of(stash, record, kind);
  const rf_call *const top = rf_calls_top(&calls);
  return top == NULL ? "(not known)" : rf_call_text(stash, top, record->directory);
}

static const char *blocks_text(rf_stash *stash, uint64_t blocks, uint64_t bytes) {
  return rf_stash_print(stash, "%" PRIu64 " byte%s in %" PRIu64 " block%s", bytes, bytes == 1 ? "" : "s", blocks,
                        blocks == 1 ? "" : "s");
}

static const char *lost_text(rf_stash *stash, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  return f->bug == RF_BUG_LEAK ? rf_stash_print(stash, ", %s", blocks_text(stash, f->blocks, f->size)) : "";
}

static void put_lost_in_all(rf_stash *stash, const rf_document *d, const rf_sink *sink) {
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
    rf_sink_str(sink, rf_stash_print(stash, "Lost in all: %s\n", blocks_text(stash, blocks, bytes)));
  }
}

/* A table, where one would have to scroll to see all findings. */
static void put_list(rf_stash *stash, const rf_document *d, const rf_sink *sink) {
  if (d->count < 2) {
    return;
  }
  rf_sink_str(sink, "-----------------------------------------------------\n"
                    "Findings:\n  times kind                         place\n");
  for (size_t i = 0; i < d->count; i++) {
    const rf_record *const record = d->records[i];
    rf_sink_str(sink, rf_stash_print(stash, "%7u %-28s %s%s%s\n", record->times, rf_bug_name(record->finding.bug),
                                     place_text(stash, record, rf_calls_place(record)), lost_text(stash, record),
                                     record->known ? " (known)" : ""));
  }
  put_lost_in_all(stash, d, sink);
}

void rf_document_rules_text(rf_stash *stash, const rf_document *d, const rf_sink *sink) {
  static const char rule[] = "-----------------------------------------------------\n";
  if (d->rule_count == 0) {
    return;
  }
  rf_sink_str(sink, rule);
  rf_sink_str(sink, "Suppressions used:\n  count      bytes template\n");
  for (size_t i = 0; i < d->rule_count; i++) {
    rf_sink_str(sink, rf_stash_print(stash, "%7" PRIu64 " %10" PRIu64 " %s\n", d->rules[i].count, d->rules[i].bytes,
                                     d->rules[i].rule));
  }
  rf_sink_str(sink, rule);
}

static void put_row(rf_stash *stash, const rf_snapshot_row *row, bool difference, const rf_sink *sink) {
  const char *const place = place_text(stash, row->origin, RF_STACK_ALLOCATED);
  rf_sink_str(sink, difference
                        ? rf_stash_print(stash, " %+11" PRId64 " %+8" PRId64 " %s\n", row->bytes, row->blocks, place)
                        : rf_stash_print(stash, " %11" PRId64 " %8" PRId64 " %s\n", row->bytes, row->blocks, place));
}

static void put_snapshot_head(rf_stash *stash, const rf_snapshot_table *t, const rf_sink *sink) {
  const char *const of = t->allocator == NULL ? "" : rf_stash_print(stash, " of %s", t->allocator);
  rf_sink_str(sink, t->since == NULL
                        ? rf_stash_print(stash, "Snapshot \"%s\"%s: %" PRId64 " blocks, %" PRId64 " bytes live\n",
                                         t->name, of, t->blocks, t->bytes)
                        : rf_stash_print(stash, "From \"%s\" to \"%s\"%s: %+" PRId64 " blocks, %+" PRId64 " bytes\n",
                                         t->since, t->name, of, t->blocks, t->bytes));
}

static void put_snapshot(rf_stash *stash, const rf_snapshot_table *t, const rf_sink *sink) {
  put_snapshot_head(stash, t, sink);
  if (t->count != 0) {
    rf_sink_str(sink, rf_stash_print(stash, " %11s %8s call site\n", "bytes", "blocks"));
  }
  for (size_t i = 0; i < t->count; i++) {
    put_row(stash, &t->rows[i], t->since != NULL, sink);
  }
  if (t->omitted != 0) {
    rf_sink_str(sink, rf_stash_print(stash, "  and %" PRIu64 " blocks of call sites for which there was no room\n",
                                     t->omitted));
  }
}

void rf_document_snapshots_text(rf_stash *stash, const rf_document *d, const rf_sink *sink) {
  for (size_t i = 0; i < d->snapshot_count; i++) {
    put_snapshot(stash, d->snapshots[i], sink);
  }
}

/* Names come from files that others wrote, and a terminal obeys control characters. */
static void put_without_controls(void *context, const char *text, size_t length) {
  const rf_sink *const sink = (const rf_sink *)context;
  size_t start = 0;
  for (size_t i = 0; i < length; i++) {
    unsigned char const c = (unsigned char)text[i];
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
      rf_sink_mem(sink, text + start, i - start);
      rf_sink_char(sink, '?');
      start = i + 1;
    }
  }
  rf_sink_mem(sink, text + start, length - start);
}

void rf_document_text(rf_stash *stash, const rf_document *d, const rf_sink *sink) {
  rf_sink const clean = {put_without_controls, (void *)(uintptr_t)sink};
  for (size_t i = 0; i < d->count; i++) {
    rf_report_record_text(d->records[i], &clean);
  }
  rf_document_snapshots_text(stash, d, &clean);
  put_list(stash, d, &clean);
  rf_document_rules_text(stash, d, &clean);
}

/* ---- JSON lines ---- */

static void put_number(const rf_sink *sink, const char *name, int64_t value) {
  rf_sink_str(sink, ",\"");
  rf_sink_str(sink, name);
  rf_sink_str(sink, "\":");
  rf_sink_int(sink, value);
}

static void put_text(const rf_sink *sink, const char *name, const char *value) {
  if (value != NULL) {
    rf_sink_str(sink, ",\"");
    rf_sink_str(sink, name);
    rf_sink_str(sink, "\":");
    rf_json_string(value, sink);
  }
}

static void snapshot_json(const rf_snapshot_table *t, const rf_sink *sink) {
  rf_sink_str(sink, "{\"type\":\"snapshot\"");
  put_number(sink, "version", RF_JSON_VERSION);
  put_number(sink, "pid", t->process);
  put_number(sink, "time_ns", (int64_t)t->time_ns);
  put_text(sink, "name", t->name);
  put_text(sink, "since", t->since);
  put_text(sink, "allocator", t->allocator);
  put_number(sink, "blocks", t->blocks);
  put_number(sink, "bytes", t->bytes);
  put_number(sink, "omitted_blocks", (int64_t)t->omitted);
  rf_sink_str(sink, ",\"sites\":[");
  for (size_t i = 0; i < t->count; i++) {
    rf_symbolizer const symbolizer = rf_record_symbolizer(t->rows[i].origin);
    rf_sink_str(sink, i == 0 ? "{\"blocks\":" : ",{\"blocks\":");
    rf_sink_int(sink, t->rows[i].blocks);
    put_number(sink, "bytes", t->rows[i].bytes);
    rf_report_json_trace("allocated", &t->rows[i].origin->finding.allocated, &symbolizer, sink);
    rf_sink_str(sink, "}");
  }
  rf_sink_str(sink, "]}\n");
}

void rf_document_json(rf_stash *stash, const rf_document *d, const rf_sink *sink) {
  (void)stash;
  for (size_t i = 0; i < d->count; i++) {
    const char *const directory = d->records[i]->directory;
    d->records[i]->directory = NULL; /* programs want whole paths */
    rf_report_record_json(d->records[i], sink);
    d->records[i]->directory = directory;
  }
  for (size_t i = 0; i < d->snapshot_count; i++) {
    snapshot_json(d->snapshots[i], sink);
  }
  for (size_t i = 0; i < d->rule_count; i++) {
    rf_sink_str(sink, "{\"type\":\"suppression\"");
    put_number(sink, "version", RF_JSON_VERSION);
    put_text(sink, "rule", d->rules[i].rule);
    put_number(sink, "count", (int64_t)d->rules[i].count);
    put_number(sink, "bytes", (int64_t)d->rules[i].bytes);
    rf_sink_str(sink, "}\n");
  }
  if (d->totals != NULL) {
    rf_report_totals_json(d->totals, sink);
  }
}
