#include "tools/service/intake/snapshots.h"

#include "tools/service/store/seen.h"

#include <string.h>

/* The longest text of an end, as "status 99", that is kept for snapshots to come. */
enum { HOW_MOST = 64 };

/* ---- Limits ---- */

/* The snapshot, among those that are whole or not (?2), whose neighbours in time are closest; the highest goes last. */
#define LEAST_TELLING                                                                                                  \
  "(SELECT id FROM (SELECT id, bytes = max(bytes) OVER () AS highest, lead(time) OVER w - lag(time) OVER w AS gap"     \
  " FROM snapshot WHERE process = ?1 AND whole = ?2 WINDOW w AS (ORDER BY time, id)) WHERE gap IS NOT NULL ORDER BY"   \
  " highest, gap, id LIMIT 1)"

static int64_t count_of(rf_store *store, int64_t process, int64_t whole) {
  return rf_store_number(store, 0, "SELECT count(*) FROM snapshot WHERE process = ? AND whole = ?", "ii", process,
                         whole);
}

static void thin(rf_store *store, int64_t process) {
  if (count_of(store, process, 1) > RF_SNAPSHOTS_WHOLE) {
    int64_t const id = rf_store_number(store, 0, "SELECT " LEAST_TELLING, "ii", process, INT64_C(1));
    rf_store_run(store, "DELETE FROM snapshot_body WHERE snapshot = ?", "i", id);
    rf_store_run(store, "UPDATE snapshot SET whole = 0 WHERE id = ?", "i", id);
  }
  if (count_of(store, process, 0) > RF_SNAPSHOTS_MOST - RF_SNAPSHOTS_WHOLE) {
    rf_store_run(store, "DELETE FROM snapshot WHERE id = " LEAST_TELLING, "ii", process, INT64_C(0));
  }
}

/* Returns which one: 0 where there is room for all. */
static int64_t forget_oldest(rf_store *store) {
  if (rf_store_number(store, 0, "SELECT count(*) FROM process", "") <= RF_PROCESSES_MOST) {
    return 0;
  }
  int64_t const oldest = rf_store_number(store, 0, "SELECT id FROM process ORDER BY last_seen, id LIMIT 1", "");
  rf_store_run(store, "DELETE FROM snapshot_body WHERE snapshot IN (SELECT id FROM snapshot WHERE process = ?)", "i",
               oldest);
  rf_store_run(store, "DELETE FROM snapshot WHERE process = ?", "i", oldest);
  rf_store_run(store, "DELETE FROM nameless WHERE finding = -?", "i", oldest);
  rf_store_run(store, "DELETE FROM process WHERE id = ?", "i", oldest);
  return oldest;
}

/* ---- Taking ---- */

static int64_t find(rf_store *store, const char *name) {
  return rf_store_number(store, 0, "SELECT id FROM process WHERE name = ?", "t", name);
}

/* 0 where it is none of those that are kept: it was heard of before all of them. */
static int64_t process_of(rf_store *store, const rf_envelope *e, const rf_candidate *at) {
  int64_t const id = find(store, e->process);
  if (id != 0 || store->failed) {
    return id;
  }
  rf_store_run(store,
               "INSERT INTO process(name, program, build, host, environment, mode, pid, first_seen, last_seen)"
               " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?8)",
               "tiiiiiii", e->process, at->program, at->build, at->host, at->environment, at->mode, e->pid, e->time);
  int64_t const made = sqlite3_last_insert_rowid(store->db);
  return forget_oldest(store) == made ? 0 : made;
}

/* If a process has several allocators, the list shows the figures of its last snapshot; its end may have come before
 * that. */
static void update(rf_store *store, int64_t process, const rf_envelope *e, const rf_heap_snapshot *s) {
  int64_t const peak = s->peak > s->bytes ? s->peak : s->bytes;
  bool const is_last =
      rf_store_number(store, 0, "SELECT max(time) FROM snapshot WHERE process = ?", "i", process) <= e->time;
  rf_store_run(store,
               "UPDATE process SET bytes = iif(?8, ?3, bytes), blocks = iif(?8, ?4, blocks), resident = iif(?8, ?5,"
               " resident), peak = max(peak, ?6), seconds = max(seconds, ?7), first_seen = min(first_seen, ?2),"
               " last_seen = max(last_seen, ?2), snapshots = snapshots + 1 WHERE id = ?1",
               "iiiiiidi", process, e->time, s->bytes, s->blocks, s->resident, peak, e->seconds, (int64_t)is_last);
}

/* ---- Ends ---- */

static void end(rf_store *store, const char *process, const char *how, double seconds, int64_t peak, int64_t time) {
  rf_store_run(store,
               "UPDATE process SET ended = ?2, seconds = max(seconds, ?3), peak = max(peak, ?4), last_seen ="
               " max(last_seen, ?5) WHERE name = ?1",
               "ttdii", process, how, seconds, peak, time);
}

/* Segments are read in any order: the end may have come before the first snapshot. */
static void end_new(rf_store *store, rf_bump_arena *arena, const rf_envelope *e) {
  int64_t const name = (int64_t)rf_seen_hash(e->process);
  sqlite3_stmt *const s =
      rf_store_select(store, "SELECT how, seconds, peak, time FROM ended WHERE name = ?", "i", name);
  if (!rf_store_row(store, s)) {
    return;
  }
  const char *const how = rf_bump_arena_copy(arena, rf_store_text(s, 0));
  double const seconds = sqlite3_column_double(s, 1);
  int64_t const peak = sqlite3_column_int64(s, 2);
  int64_t const time = sqlite3_column_int64(s, 3);
  rf_store_done(s);
  end(store, e->process, how, seconds, peak, time);
  rf_store_run(store, "DELETE FROM ended WHERE name = ?", "i", name);
}

/* Names of processes that their records' ids do not tell may come again. */
static void keep_end(rf_store *store, const rf_envelope *e) {
  if (strchr(e->id, '-') == NULL || strlen(e->exit) > HOW_MOST) {
    return;
  }
  rf_store_run(store, "INSERT OR REPLACE INTO ended(name, time, how, seconds, peak) VALUES(?,?,?,?,?)", "iitdi",
               (int64_t)rf_seen_hash(e->process), e->time, e->exit, e->seconds, e->peak);
  rf_store_run(store, "DELETE FROM ended WHERE id <= (SELECT max(id) FROM ended) - ?", "i", (int64_t)RF_ENDS_MOST);
}

void rf_snapshots_end(rf_store *store, const rf_envelope *e) {
  if (find(store, e->process) != 0) {
    end(store, e->process, e->exit, e->seconds, e->peak, e->time);
  } else {
    keep_end(store, e);
  }
}

/* ---- Snapshots ---- */

bool rf_snapshots_take(rf_store *store, rf_bump_arena *arena, const rf_envelope *e, const rf_candidate *at,
                       const char *line, size_t length) {
  const rf_heap_snapshot *const s = rf_heap_snapshot_read(arena, e->snapshot);
  if (s == NULL) {
    return false;
  }
  bool const is_new = find(store, e->process) == 0;
  int64_t const process = process_of(store, e, at);
  if (process == 0) {
    return true;
  }
  update(store, process, e, s);
  if (is_new) {
    end_new(store, arena, e);
  }
  /* The number of one that was forgotten is not used again: its names were looked up. */
  rf_store_run(store,
               "INSERT INTO snapshot(process, time, name, allocator, blocks, bytes, resident, whole, id)"
               " SELECT ?,?,?,?,?,?,?,1, 1 + max(coalesce((SELECT max(id) FROM snapshot), 0), coalesce((SELECT value"
               " FROM meta WHERE key = 'named_snapshots'), 0))",
               "iittiii", process, e->time, s->name, s->allocator, s->blocks, s->bytes, s->resident);
  rf_store_run(store, "INSERT INTO snapshot_body(snapshot, text) VALUES(?,?)", "is",
               (int64_t)sqlite3_last_insert_rowid(store->db), line, length);
  thin(store, process);
  return true;
}

/* ---- Reading ---- */

rf_heap_snapshot *rf_snapshots_read(rf_store *store, rf_bump_arena *arena, int64_t snapshot) {
  sqlite3_stmt *const s = rf_store_select(store, "SELECT text FROM snapshot_body WHERE snapshot = ?", "i", snapshot);
  if (!rf_store_row(store, s)) {
    return NULL;
  }
  const char *const text = rf_bump_arena_copy(arena, rf_store_text(s, 0));
  rf_store_done(s);
  return rf_heap_snapshot_read(arena, rf_json_member(rf_json_parse(arena, text, strlen(text)), "snapshot"));
}
