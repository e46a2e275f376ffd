#include "tools/service/intake/orphans.h"

#include "tools/service/store/seen.h"

static int64_t hash_of(const char *id) {
  return (int64_t)rf_seen_hash(id);
}

static int64_t rows_of(rf_orphans *orphans, rf_store *store) {
  if (!orphans->counted) {
    *orphans = (rf_orphans){true, rf_store_number(store, 0, "SELECT count(*) FROM orphan", "")};
  }
  return orphans->rows;
}

/* Rows are numbered in the order in which they came. */
int64_t rf_orphans_drop(rf_store *store) {
  int64_t const count = rf_store_number(store, 0, "SELECT count FROM orphan ORDER BY id LIMIT 1", "");
  rf_store_run(store, "DELETE FROM orphan WHERE id = (SELECT min(id) FROM orphan)", "");
  return count;
}

int64_t rf_orphans_keep(rf_orphans *orphans, rf_store *store, const rf_envelope *e, const char *line, size_t length) {
  if (e->of[0] == '\0' || length > RF_ORPHAN_BYTES) {
    return e->count;
  }
  int64_t const record = hash_of(e->of);
  int64_t const day = e->time / RF_DAY_MS;
  int64_t const row =
      rf_store_number(store, 0, "SELECT id FROM orphan WHERE record = ? AND day = ?", "ii", record, day);
  if (row != 0) {
    rf_store_run(store, "UPDATE orphan SET time = max(time, ?2), count = min(count + ?3, ?4) WHERE id = ?1", "iiii",
                 row, e->time, e->count, RF_NUMBER_MOST);
    return 0;
  }
  int64_t const lost = rows_of(orphans, store) >= RF_ORPHANS_MOST ? rf_orphans_drop(store) : 0;
  orphans->rows += lost == 0;
  rf_store_run(store, "INSERT INTO orphan(record, day, time, arrived, count, text) VALUES(?,?,?,?,?,?)", "iiiiis",
               record, day, e->time, rf_store_now(), e->count, line, length);
  return lost;
}

bool rf_orphans_take(rf_orphans *orphans, rf_store *store, rf_bump_arena *arena, const char *id, rf_envelope *e) {
  if (id[0] == '\0' || rows_of(orphans, store) == 0) {
    return false;
  }
  sqlite3_stmt *const s = rf_store_select(
      store, "SELECT id, time, count, text FROM orphan WHERE record = ? ORDER BY day LIMIT 1", "i", hash_of(id));
  if (!rf_store_row(store, s)) {
    return false;
  }
  int64_t const row = sqlite3_column_int64(s, 0);
  int64_t const time = sqlite3_column_int64(s, 1);
  int64_t const count = sqlite3_column_int64(s, 2);
  size_t const length = (size_t)sqlite3_column_bytes(s, 3);
  const char *const text = rf_bump_arena_text(arena, rf_store_text(s, 3), length);
  rf_store_done(s);
  rf_store_run(store, "DELETE FROM orphan WHERE id = ?", "i", row);
  orphans->rows--;
  *e = rf_envelope_read(arena, text, length, rf_store_now());
  e->time = time;
  e->count = count;
  return true;
}

/* One that came in later than now was dated by a clock that has been set back since. */
bool rf_orphans_are_due(rf_store *store, int64_t now) {
  int64_t const arrived = rf_store_number(store, now, "SELECT arrived FROM orphan ORDER BY id LIMIT 1", "");
  return arrived < now - RF_ORPHAN_MS || arrived > now + RF_ORPHAN_MS;
}
