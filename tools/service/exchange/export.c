#include "tools/service/exchange/export.h"

#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/words.h"
#include "tools/service/intake/envelope.h"
#include "tools/service/intake/names.h"

#include <inttypes.h>
#include <string.h>

static const char *text_of(rf_bump_arena *arena, sqlite3_stmt *s, int column) {
  return rf_bump_arena_copy(arena, rf_store_text(s, column));
}

/* As the record has it, but for one of a clock that is wrong: then when it came in, as the store has it. */
static const char *time_of(rf_bump_arena *arena, const rf_json *record, int64_t stored) {
  const char *const told = rf_json_text(record, "time", "");
  const char *const seconds = rf_time_text(arena, stored / 1000, "%Y-%m-%dT%H:%M:%S");
  return rf_time_read(told) == stored || seconds == NULL
             ? told
             : rf_bump_arena_print(arena, "%s.%03dZ", seconds, (int)(stored % 1000));
}

/* Reads finding `id`; false where its event cannot be read. */
static bool read_one(rf_store *store, rf_bump_arena *arena, int64_t id, rf_export *e) {
  sqlite3_stmt *const s = rf_store_select(
      store,
      "SELECT f.state, f.title, f.place, f.key, b.text, f.count + coalesce((SELECT sum(m.count) FROM finding m WHERE"
      " m.merged_into = f.id), 0), e.time FROM finding f JOIN event e ON e.id = f.richest_event JOIN body b"
      " ON b.event = e.id WHERE f.id = ?",
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
  int64_t const time = sqlite3_column_int64(s, 6);
  rf_store_done(s);
  rf_envelope const v = rf_envelope_read(arena, body, strlen(body), rf_store_now());
  const rf_json *const root = rf_json_parse(arena, body, strlen(body));
  e->event = v.id;
  e->time = time_of(arena, root, time);
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

/* Reads the ids of one page of the list; false at its end. */
static bool next_ids(rf_store *store, rf_bump_arena *arena, const rf_findings_filter *page, int64_t **ids,
                     size_t *count) {
  rf_bump_arena scratch = {NULL};
  rf_text_sink t;
  rf_text_sink_init(&t, &scratch);
  rf_query q = {store, &scratch, {.sink = &t.sink}};
  size_t const before = *count;
  if (rf_query_findings(&q, page)) {
    const rf_json *f = rf_json_list(rf_json_parse(&scratch, t.text, t.length), "findings");
    for (; f != NULL; f = f->next) {
      RF_APPENDED(arena, *ids, *count) = rf_json_signed(f, "id", 0);
    }
  }
  rf_bump_arena_free(&scratch);
  return !store->failed && *count - before == (size_t)page->limit;
}

bool rf_export_list(rf_store *store, rf_bump_arena *arena, const rf_findings_filter *filter, int64_t **ids,
                    size_t *count) {
  rf_findings_filter page = *filter;
  int64_t left = filter->limit > 0 ? filter->limit : INT64_MAX;
  *ids = NULL;
  *count = 0;
  rf_store_run(store, "BEGIN", ""); /* all pages show the same state */
  do {
    page.limit = left < RF_LIST_MOST ? left : RF_LIST_MOST;
    page.offset = filter->offset + (int64_t)*count;
    left -= page.limit;
  } while (next_ids(store, arena, &page, ids, count) && left > 0);
  rf_store_rollback(store);
  return !store->failed;
}

bool rf_export_read(rf_store *store, rf_bump_arena *arena, const int64_t *ids, size_t id_count, rf_export **out,
                    size_t *count) {
  *out = NULL;
  *count = 0;
  for (size_t i = 0; i < id_count; i++) {
    rf_export e;
    if (read_one(store, arena, ids[i], &e)) {
      RF_APPENDED(arena, *out, *count) = e;
    }
  }
  return !store->failed;
}
