/* OpenTelemetry's logs in JSON: https://opentelemetry.io/docs/specs/otlp/ */
#include "tools/service/exchange/export.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/model/bug_info.h"
#include "tools/ringfence/model/frame_view.h"
#include "tools/ringfence/render/document.h"
#include "tools/service/intake/envelope.h"

#include <inttypes.h>
#include <string.h>

enum { SEVERITY_ERROR = 17 };

static void put_text(rf_json_writer *w, const char *key, const char *value) {
  if (value == NULL || value[0] == '\0') {
    return;
  }
  rf_json_open(w, NULL, "{");
  rf_json_put_text(w, "key", key);
  rf_json_open(w, "value", "{");
  rf_json_put_text(w, "stringValue", value);
  rf_json_close(w, "}}");
}

/* 64-bit numbers are strings there. */
static void put_number(rf_json_writer *w, rf_bump_arena *arena, const char *key, int64_t value) {
  rf_json_open(w, NULL, "{");
  rf_json_put_text(w, "key", key);
  rf_json_open(w, "value", "{");
  rf_json_put_text(w, "intValue", rf_bump_arena_print(arena, "%" PRId64, value));
  rf_json_close(w, "}}");
}

static void put_resource(rf_json_writer *w, const rf_export *e) {
  rf_json_open(w, "resource", "{");
  rf_json_open(w, "attributes", "[");
  put_text(w, "service.name", e->program[0] == '\0' ? "unknown_service" : rf_base_name(e->program));
  put_text(w, "service.version", e->version);
  put_text(w, "host.name", e->host);
  put_text(w, "deployment.environment.name", e->environment);
  put_text(w, "process.executable.path", e->program);
  put_text(w, "vcs.ref.head.revision", e->commit);
  rf_json_close(w, "]}");
}

static void put_attributes(rf_json_writer *w, rf_bump_arena *arena, const rf_export *e) {
  rf_text_sink report;
  rf_text_sink_init(&report, arena);
  rf_record_text(arena, e->record, &report.sink);
  rf_stack_view const view = rf_stack_view_of(arena, e->record, rf_stack_view_blamed(e->record));
  const rf_frame_view *const top = rf_stack_view_top(&view);
  rf_json_open(w, "attributes", "[");
  put_text(w, "exception.type", rf_bug_name(e->record->finding.bug));
  put_text(w, "exception.message", e->title);
  put_text(w, "exception.stacktrace", report.text);
  put_text(w, "code.function.name", top == NULL ? NULL : top->function);
  put_text(w, "code.file.path", top == NULL ? NULL : top->file);
  if (top != NULL && top->line != 0) {
    put_number(w, arena, "code.line.number", (int64_t)top->line);
  }
  put_number(w, arena, "ringfence.finding", e->id);
  put_number(w, arena, "ringfence.count", e->count);
  put_text(w, "ringfence.key", e->key);
  put_text(w, "ringfence.state", e->state);
  put_text(w, "ringfence.mode", e->mode);
  put_text(w, "log.record.uid", e->event);
  rf_json_close(w, "]");
}

static void put_record(rf_json_writer *w, rf_bump_arena *arena, const rf_export *e) {
  int64_t const time = rf_time_read(e->time);
  rf_json_open(w, NULL, "{");
  rf_json_put_text(w, "timeUnixNano", rf_bump_arena_print(arena, "%" PRId64 "000000", time < 0 ? 0 : time));
  rf_json_put_text(w, "observedTimeUnixNano", rf_bump_arena_print(arena, "%" PRId64 "000000", rf_store_now()));
  rf_json_put_number(w, "severityNumber", SEVERITY_ERROR);
  rf_json_put_text(w, "severityText", "ERROR");
  rf_json_put_text(w, "eventName", "ringfence.finding");
  rf_json_open(w, "body", "{");
  rf_json_put_text(w, "stringValue",
                   rf_bump_arena_print(arena, "%s: %s at %s", rf_bug_name(e->record->finding.bug), e->title, e->place));
  rf_json_close(w, "}");
  put_attributes(w, arena, e);
  rf_json_close(w, "}");
}

const char *rf_export_otlp(rf_bump_arena *arena, const rf_export *all, size_t count) {
  rf_text_sink t;
  rf_text_sink_init(&t, arena);
  rf_json_writer w = {.sink = &t.sink};
  rf_json_open(&w, NULL, "{");
  rf_json_open(&w, "resourceLogs", "[");
  for (size_t i = 0; i < count; i++) {
    rf_json_open(&w, NULL, "{");
    put_resource(&w, &all[i]);
    rf_json_open(&w, "scopeLogs", "[{");
    rf_json_open(&w, "scope", "{");
    rf_json_put_text(&w, "name", "ringfence");
    rf_json_close(&w, "}");
    rf_json_open(&w, "logRecords", "[");
    put_record(&w, arena, &all[i]);
    rf_json_close(&w, "]}]}");
  }
  rf_json_close(&w, "]}");
  return t.text;
}
