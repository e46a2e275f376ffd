#include "tools/service/exchange/export.h"

#include "tools/ringfence/base/sinks.h"
#include "tools/service/intake/envelope.h"
#include "tools/service/intake/names.h"

#include <inttypes.h>
#include <string.h>

static const char *text_of(rf_bump_arena *arena, sqlite3_stmt *s, int column) {
  return rf_bump_arena_copy(arena, rf_store_text(s, column));
}

/* Reads finding `id`; false where its event cannot be read. */
static bool read_one(rf_store *store, rf_bump_arena *arena, int64_t id, rf_export *e) {
  sqlite3_stmt *const s = rf_store_select(
      store,
      "SELECT f.state, f.title, f.place, f.key, b.text, f.count + coalesce((SELECT sum(m.count) FROM finding m WHERE"
      " m.merged_into = f.id), 0) FROM finding f JOIN body b ON b.event = f.richest_event WHERE f.id = ?",
      "i", id);
  if (!rf_store_row(store, s)) {
    return false;
  }
  const char *const body = text_of(arena, s, 4);
  *e = (rf_export){.id = id,
                   .state = text_of(arena, s, 0),
                   .title = text_of(arena, s, 1),
                   .place = text_of(arena, s, 2),
                   .key = rf_bump_arena_print(arena, "%016" PRIx64, (uint64_t)sqlite3_column_int64(s, 3)),
                   .count = sqlite3_column_int64(s, 5)};
  rf_store_done(s);
  rf_envelope const v = rf_envelope_read(arena, body, strlen(body), rf_store_now());
  const rf_json *const root = rf_json_parse(arena, body, strlen(body));
  e->event = v.id;
  e->time = rf_json_text(root, "time", "1970-01-01T00:00:00Z");
  e->host = v.host;
  e->program = v.program;
  e->mode = v.mode;
  e->environment = v.environment;
  e->version = v.version;
  e->commit = v.commit;
  e->record = v.finding == NULL ? NULL : rf_record_read(arena, v.finding);
  if (e->record == NULL) {
    return false;
  }
  rf_names_apply(store, arena, e->record);
  rf_record_trim(e->record, NULL, false);
  e->record->times = (unsigned)(e->count > 1000000000 ? 1000000000 : e->count);
  return true;
}

bool rf_export_read(rf_store *store, rf_bump_arena *arena, const rf_findings_filter *filter, rf_export **out,
                    size_t *count) {
  rf_text_sink t;
  rf_text_sink_init(&t, arena);
  rf_query q = {store, arena, {.sink = &t.sink}};
  *out = NULL;
  *count = 0;
  if (!rf_query_findings(&q, filter)) {
    return false;
  }
  for (const rf_json *f = rf_json_list(rf_json_parse(arena, t.text, t.length), "findings"); f != NULL; f = f->next) {
    rf_export e;
    if (read_one(store, arena, rf_json_signed(f, "id", 0), &e)) {
      RF_APPENDED(arena, *out, *count) = e;
    }
  }
  return !store->failed;
}
