/* Sentry's envelopes: https://develop.sentry.dev/sdk/data-model/envelopes/ */
#include "tools/service/exchange/curl.h"
#include "tools/service/exchange/export.h"

#include "checkers/report/fnv.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/model/bug_info.h"
#include "tools/ringfence/model/frame_view.h"

#include <inttypes.h>
#include <string.h>

static const char *event_id(rf_bump_arena *arena, const rf_export *e) {
  return rf_bump_arena_print(arena, "%016" PRIx64 "%016" PRIx64, rf_fnv_text(RF_FNV_START, e->event),
                             rf_fnv_text(~RF_FNV_START, e->event));
}

static void put_frame(rf_json_writer *w, rf_bump_arena *arena, const rf_frame_view *f) {
  rf_json_open(w, NULL, "{");
  rf_json_put_text(w, "function", f->function);
  rf_json_put_text(w, "filename", f->file);
  rf_json_put_text(w, "abs_path", f->file);
  if (f->line != 0) {
    rf_json_put_number(w, "lineno", (int64_t)f->line);
  }
  if (f->address != 0) {
    rf_json_put_text(w, "instruction_addr", rf_bump_arena_print(arena, "0x%" PRIx64, f->address));
  }
  rf_json_put_text(w, "package", f->module);
  rf_json_put_bool(w, "in_app", !f->runtime && !f->system_header);
  rf_json_close(w, "}");
}

/* The outermost call first. */
static void put_stack(rf_json_writer *w, rf_bump_arena *arena, const rf_stack_view *view) {
  rf_json_open(w, "stacktrace", "{");
  rf_json_open(w, "frames", "[");
  for (size_t i = view->count; i > 0; i--) {
    put_frame(w, arena, &view->list[i - 1]);
  }
  rf_json_close(w, "]}");
}

static void put_exception(rf_json_writer *w, rf_bump_arena *arena, const rf_export *e, rf_stack_kind kind,
                          const char *type, const char *value) {
  rf_stack_view const view = rf_stack_view_of(arena, e->record, kind);
  if (view.count == 0) {
    return;
  }
  rf_json_open(w, NULL, "{");
  rf_json_put_text(w, "type", type);
  rf_json_put_text(w, "value", value);
  rf_json_open(w, "mechanism", "{");
  rf_json_put_text(w, "type", "ringfence");
  rf_json_put_bool(w, "handled", false);
  rf_json_close(w, "}");
  put_stack(w, arena, &view);
  rf_json_close(w, "}");
}

static void put_event(rf_json_writer *w, rf_bump_arena *arena, const rf_export *e) {
  const char *const bug = rf_bug_name(e->record->finding.bug);
  const char *const release = e->version[0] != '\0' ? e->version : e->commit;
  rf_json_open(w, NULL, "{");
  rf_json_put_text(w, "event_id", event_id(arena, e));
  rf_json_put_text(w, "timestamp", e->time);
  rf_json_put_text(w, "platform", "native");
  rf_json_put_text(w, "level", "error");
  rf_json_put_text(w, "logger", "ringfence");
  rf_json_put_text(w, "server_name", e->host[0] == '\0' ? NULL : e->host);
  rf_json_put_text(w, "release", release[0] == '\0' ? NULL : release);
  rf_json_put_text(w, "environment", e->environment);
  rf_json_put_text(w, "culprit", e->place);
  rf_json_open(w, "fingerprint", "[");
  rf_json_put_text(w, NULL, e->key);
  rf_json_close(w, "]");
  rf_json_open(w, "tags", "{");
  rf_json_put_text(w, "bug", bug);
  rf_json_put_text(w, "mode", e->mode);
  rf_json_put_text(w, "allocator", e->record->finding.allocator);
  rf_json_close(w, "}");
  rf_json_open(w, "extra", "{");
  rf_json_put_number(w, "finding", e->id);
  rf_json_put_number(w, "count", e->count);
  rf_json_put_text(w, "state", e->state);
  rf_json_put_text(w, "program", e->program);
  rf_json_put_text(w, "commit", e->commit);
  rf_json_close(w, "}");
  /* The last one is what the event is about. */
  rf_json_open(w, "exception", "{");
  rf_json_open(w, "values", "[");
  put_exception(w, arena, e, RF_STACK_RELEASED, "freed here", "the block's free");
  put_exception(w, arena, e, RF_STACK_ALLOCATED, "allocated here", "the block's allocation");
  put_exception(w, arena, e, RF_STACK_FOUND, bug, e->title);
  rf_json_close(w, "]}");
  rf_json_close(w, "}");
}

const char *rf_export_sentry(rf_bump_arena *arena, const rf_export *e) {
  rf_text_sink event;
  rf_text_sink_init(&event, arena);
  rf_json_writer w = {.sink = &event.sink};
  put_event(&w, arena, e);
  return rf_bump_arena_print(arena,
                             "{\"event_id\":\"%s\",\"sdk\":{\"name\":\"ringfence\",\"version\":\"1\"}}\n"
                             "{\"type\":\"event\",\"content_type\":\"application/json\",\"length\":%zu}\n%s\n",
                             event_id(arena, e), event.length, event.text);
}

bool rf_export_dsn(rf_bump_arena *arena, const char *dsn, const char **url, const char **header) {
  const char *const colon = strstr(dsn, "://");
  const char *const key = colon == NULL ? NULL : colon + 3;
  const char *const at = key == NULL ? NULL : strchr(key, '@');
  const char *const slash = at == NULL ? NULL : strrchr(at, '/');
  if (slash == NULL || slash == at + 1 || at == key || slash[1] == '\0' || !rf_is_web_address(dsn)) {
    return false;
  }
  size_t const key_length = strcspn(key, ":@"); /* an old DSN has a secret behind the key */
  *url = rf_bump_arena_print(arena, "%.*s%.*s/api/%s/envelope/", (int)(key - dsn), dsn, (int)(slash - at - 1), at + 1,
                             slash + 1);
  *header =
      rf_bump_arena_print(arena, "X-Sentry-Auth: Sentry sentry_version=7, sentry_client=ringfence/1, sentry_key=%.*s",
                          (int)key_length, key);
  return true;
}
