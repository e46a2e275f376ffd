/* The document as JSON lines (docs/reports.md). */
#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/render/document.h"

#include <ringfence/report_json.h>
#include <string.h>

/* The library writes the finding; the members that the command adds go before its last bracket. */
static void put_record(rf_bump_arena *arena, rf_record *record, const rf_sink *sink) {
  static const char end[] = "}\n";
  const char *const directory = record->directory;
  rf_symbolizer const symbolizer = rf_record_symbolizer(record);
  rf_text_sink text;
  rf_text_sink_init(&text, arena);
  record->directory = NULL; /* programs want whole paths */
  rf_report_json(&record->finding, &symbolizer, &text.sink);
  record->directory = directory;
  if (text.length < strlen(end)) {
    return;
  }
  rf_json_writer w = {.sink = sink, .depth = 1, .more = true};
  rf_sink_mem(sink, text.text, text.length - strlen(end));
  rf_json_put_text(&w, "fingerprint", record->fingerprint);
  if (record->known) {
    rf_json_put_bool(&w, "known", true);
  }
  if (record->known_blocks != 0) {
    rf_json_put_unsigned(&w, "known_blocks", record->known_blocks);
  }
  if (record->run != NULL) {
    rf_json_put_text(&w, "run", record->run);
  }
  rf_json_put_number(&w, "times", record->times);
  rf_json_put_number(&w, "processes", record->processes);
  rf_sink_str(sink, end);
}

static void put_snapshot(const rf_snapshot_table *t, const rf_sink *sink) {
  rf_json_writer w = {.sink = sink};
  rf_json_open(&w, NULL, "{");
  rf_json_put_text(&w, "type", "snapshot");
  rf_json_put_number(&w, "version", RF_JSON_VERSION);
  rf_json_put_number(&w, "pid", t->process);
  rf_json_put_unsigned(&w, "time_ns", t->time_ns);
  rf_json_put_text(&w, "name", t->name);
  rf_json_put_text(&w, "since", t->since);
  rf_json_put_text(&w, "allocator", t->allocator);
  rf_json_put_number(&w, "blocks", t->blocks);
  rf_json_put_number(&w, "bytes", t->bytes);
  rf_json_put_unsigned(&w, "omitted_blocks", t->omitted);
  rf_json_open(&w, "sites", "[");
  for (size_t i = 0; i < t->count; i++) {
    rf_symbolizer const symbolizer = rf_record_symbolizer(t->rows[i].origin);
    rf_json_open(&w, NULL, "{");
    rf_json_put_number(&w, "blocks", t->rows[i].blocks);
    rf_json_put_number(&w, "bytes", t->rows[i].bytes);
    rf_report_json_trace("allocated", &t->rows[i].origin->finding.allocated, &symbolizer, sink);
    rf_json_close(&w, "}");
  }
  rf_json_close(&w, "]}");
  rf_sink_char(sink, '\n');
}

static void put_rule(const rf_used_rule *rule, const rf_sink *sink) {
  rf_json_writer w = {.sink = sink};
  rf_json_open(&w, NULL, "{");
  rf_json_put_text(&w, "type", "suppression");
  rf_json_put_number(&w, "version", RF_JSON_VERSION);
  rf_json_put_text(&w, "rule", rule->rule);
  rf_json_put_unsigned(&w, "count", rule->count);
  rf_json_put_unsigned(&w, "bytes", rule->bytes);
  rf_json_close(&w, "}");
  rf_sink_char(sink, '\n');
}

void rf_document_json(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  for (size_t i = 0; i < d->count; i++) {
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    put_record(arena, d->records[i], sink);
    rf_bump_arena_reset(arena, mark);
  }
  for (size_t i = 0; i < d->snapshot_count; i++) {
    put_snapshot(d->snapshots[i], sink);
  }
  for (size_t i = 0; i < d->rule_count; i++) {
    put_rule(&d->rules[i], sink);
  }
  if (d->totals != NULL) {
    rf_totals_json(d->totals, sink);
  }
}
