#include "tools/service/life/rekey.h"

#include "tools/ringfence/model/identity.h"
#include "tools/service/intake/describe.h"
#include "tools/service/intake/names.h"
#include "tools/service/intake/split.h"
#include "tools/service/life/decision.h"

#include <string.h>

/* The richest event of a finding. */
typedef struct event {
  rf_record *record; /* NULL: there is none, or it cannot be read */
  const char *program;
  rf_candidate at;
} event;

static event read_richest(rf_store *store, rf_bump_arena *arena, int64_t finding) {
  event e = {.record = NULL};
  sqlite3_stmt *const s = rf_store_select(
      store,
      "SELECT b.text, n.text, e.program, e.build, e.environment, e.mode FROM finding f JOIN event e ON e.id ="
      " f.richest_event JOIN body b ON b.event = e.id JOIN name n ON n.id = e.program WHERE f.id = ?",
      "i", finding);
  if (rf_store_row(store, s)) {
    const char *const text = rf_bump_arena_copy(arena, rf_store_text(s, 0));
    e.program = rf_bump_arena_copy(arena, rf_store_text(s, 1));
    e.at = (rf_candidate){.program = sqlite3_column_int64(s, 2),
                          .build = sqlite3_column_int64(s, 3),
                          .environment = sqlite3_column_int64(s, 4),
                          .mode = sqlite3_column_int64(s, 5)};
    rf_store_done(s);
    e.record = rf_record_read(arena, rf_json_member(rf_json_parse(arena, text, strlen(text)), "finding"));
  }
  return e;
}

/* ---- Names that are missing ---- */

static bool has_line(const rf_frame *f) {
  return f->source_count != 0 && f->sources[0].file != NULL;
}

static void note_nameless(rf_store *store, int64_t finding, const rf_record *record) {
  const rf_frame *f = NULL;
  rf_store_run(store, "DELETE FROM nameless WHERE finding = ?", "i", finding);
  for (unsigned i = 0; (f = rf_record_frame(record, i)) != NULL; i++) {
    if (f->build_id != NULL && f->build_id[0] != '\0' && f->module != NULL && !has_line(f)) {
      rf_store_run(store, "INSERT OR IGNORE INTO nameless(build_id, finding, module) VALUES(?,?,?)", "tit", f->build_id,
                   finding, f->module);
    }
  }
}

/* ---- Keys ---- */

/* The key of a piece of a finding that was split by a rule; 0 where the rule is gone, or there was none. */
static int64_t key_of_piece(rf_store *store, int64_t whole, const rf_event_keys *keys, const rf_candidate *at) {
  int64_t const rule = rf_store_number(store, 0, "SELECT split_by FROM finding WHERE id = ?", "i", whole);
  return rule == RF_SPLIT_NONE ? 0 : rf_split_key(keys->group, rule, rf_split_value(rule, keys, at));
}

/* Has events with this value stay with the finding, if it is split; and those with the value before, which processes
 * go on to send. */
static void stay(rf_store *store, int64_t finding, const rf_event_keys *keys, const rf_candidate *at) {
  int64_t const rule = rf_store_number(store, 0, "SELECT split_by FROM finding WHERE id = ?", "i", finding);
  int64_t const group = rf_store_number(store, 0, "SELECT key FROM finding WHERE id = ?", "i", finding);
  int64_t const before = rf_store_number(store, 0, "SELECT split_stay FROM finding WHERE id = ?", "i", finding);
  int64_t const now = rf_split_value(rule, keys, at);
  if (rule != RF_SPLIT_NONE && now != before) {
    rf_store_run(store, "UPDATE finding SET split_stay = ? WHERE id = ?", "ii", now, finding);
    rf_store_run(store, "INSERT OR IGNORE INTO key(key, finding) VALUES(?, ?)", "ii", rf_split_key(group, rule, before),
                 finding);
  }
}

/* Names change keys: functions take the place of offsets. The old key stays an alias, since processes go on to send
 * offsets. */
static void key_again(rf_store *store, int64_t id, rf_event_keys keys, const rf_candidate *at) {
  int64_t const whole = rf_store_number(store, 0, "SELECT split_from FROM finding WHERE id = ?", "i", id);
  keys.group = whole == 0 ? keys.group : key_of_piece(store, whole, &keys, at);
  if (keys.group == 0) {
    return;
  }
  stay(store, id, &keys, at);
  rf_store_run(
      store,
      "UPDATE finding SET key = ?2, algorithm = ?3, access_key = ?4, allocation_key = ?5, free_key = ?6 WHERE id = ?1",
      "iiiiii", id, keys.group, keys.algorithm, keys.access, keys.allocation, keys.release);
  rf_store_run(store, "INSERT OR IGNORE INTO key(key, finding) VALUES(?, ?)", "ii", keys.group, id);
  int64_t const owner = rf_store_number(
      store, id, "SELECT coalesce(f.merged_into, f.id) FROM key k JOIN finding f ON f.id = k.finding WHERE k.key = ?",
      "i", keys.group);
  if (owner != id &&
      rf_store_number(store, 1, "SELECT merged_into IS NOT NULL FROM finding WHERE id = ?", "i", id) == 0) {
    rf_decision_join(store, owner, id);
  }
}

static void rekey(rf_store *store, rf_bump_arena *arena, int64_t finding) {
  event const e = read_richest(store, arena, finding);
  if (e.record == NULL) {
    return;
  }
  rf_names_apply(store, arena, e.record);
  rf_record_trim(e.record, NULL, false);
  note_nameless(store, finding, e.record);
  key_again(store, finding, rf_event_keys_of(arena, e.record), &e.at);
  rf_batch_finding f = {.id = finding};
  rf_describe(arena, arena, e.record, e.program, &f);
  rf_store_run(store, "UPDATE finding SET title = ?, place = ? WHERE id = ?", "tti", f.title, f.place, f.id);
  rf_store_run(store, "UPDATE words SET text = ? WHERE finding = ?", "ti", f.search, f.id);
}

void rf_rekey_all(rf_store *store, rf_bump_arena *arena, sqlite3_stmt *rows) {
  int64_t *list = NULL;
  size_t count = 0;
  while (rf_store_row(store, rows)) {
    RF_APPENDED(arena, list, count) = sqlite3_column_int64(rows, 0);
  }
  for (size_t i = 0; i < count; i++) {
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    rekey(store, arena, list[i]);
    rf_bump_arena_reset(arena, mark);
  }
}

static int64_t count_older(rf_store *store) {
  return rf_store_number(store, 0, "SELECT count(*) FROM finding WHERE algorithm < ?", "i",
                         (int64_t)RF_IDENTITY_VERSION);
}

void rf_rekey_older(rf_store *store) {
  rf_bump_arena arena = {NULL};
  rf_store_begin(store);
  int64_t const before = count_older(store);
  rf_rekey_all(store, &arena,
               rf_store_select(store, "SELECT id FROM finding WHERE algorithm < ?", "i", (int64_t)RF_IDENTITY_VERSION));
  /* Earlier versions lost names with a file of symbols that came in: frames without any are looked up once more. One
   * finding whose event cannot be read stays older, and has nothing looked up with each start. */
  if (count_older(store) < before) {
    rf_store_run(store, "DELETE FROM meta WHERE key IN ('named', 'named_snapshots')", "");
  }
  (void)rf_store_commit(store);
  rf_bump_arena_free(&arena);
}
