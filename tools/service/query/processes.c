/* Processes with snapshots of memory, and one of them. */
#include "tools/service/query/query.h"

#include "tools/service/intake/snapshots.h"

#include <inttypes.h>

/* ---- The list ---- */

#define PROCESS_COLUMNS                                                                                                \
  "p.id, n.text, b.name, b.version, h.text, m.text, e.text, p.pid, p.first_seen, p.last_seen, p.seconds, p.bytes,"     \
  " p.blocks, p.peak, p.resident, p.snapshots, p.ended FROM process p JOIN name n ON n.id = p.program JOIN name h ON"  \
  " h.id = p.host JOIN name m ON m.id = p.mode JOIN name e ON e.id = p.environment JOIN build b ON b.id = p.build"

static void put_process(rf_query *q, sqlite3_stmt *s) {
  rf_query_put_columns(q, s, 0, "id# program build version host mode environment pid# first_seen@ last_seen@");
  rf_query_put_real(q, "seconds", sqlite3_column_double(s, 10));
  rf_query_put_columns(q, s, 10, "hours~ bytes# blocks# peak# resident# snapshot_count# ended");
}

/* Bytes that were live in the last snapshots, oldest first. */
static void put_trend(rf_query *q, int64_t process) {
  sqlite3_stmt *const s = rf_store_select(q->store,
                                          "SELECT bytes FROM (SELECT bytes, time, id FROM snapshot WHERE process = ?"
                                          " ORDER BY time DESC, id DESC LIMIT ?) ORDER BY time, id",
                                          "ii", process, (int64_t)RF_TREND_DAYS);
  rf_json_open(&q->w, "trend", "[");
  while (rf_store_row(q->store, s)) {
    rf_json_put_number(&q->w, NULL, sqlite3_column_int64(s, 0));
  }
  rf_json_close(&q->w, "]");
}

/* The highest peak of each day, today last; 0 where nothing ended. */
static void put_peaks(rf_query *q, int64_t program, int64_t mode, int64_t environment) {
  int64_t peaks[RF_TREND_DAYS] = {0};
  int64_t const first = rf_store_now() / RF_DAY_MS - RF_TREND_DAYS + 1;
  sqlite3_stmt *const s = rf_store_select(
      q->store, "SELECT day, peak FROM usage WHERE program = ? AND mode = ? AND environment = ? AND day >= ?", "iiii",
      program, mode, environment, first);
  while (rf_store_row(q->store, s)) {
    int64_t const day = sqlite3_column_int64(s, 0) - first;
    int64_t const peak = sqlite3_column_int64(s, 1);
    if (day >= 0 && day < RF_TREND_DAYS && peak > peaks[day]) {
      peaks[day] = peak;
    }
  }
  rf_json_open(&q->w, "peaks", "[");
  for (int i = 0; i < RF_TREND_DAYS; i++) {
    rf_json_put_number(&q->w, NULL, peaks[i]);
  }
  rf_json_close(&q->w, "]");
}

/* Over all builds; the build with the highest peak is named. */
static void put_programs(rf_query *q) {
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      "SELECT p.text, (SELECT b.name FROM usage o JOIN build b ON b.id = o.build WHERE o.program = u.program AND "
      "o.mode ="
      " u.mode AND o.environment = u.environment ORDER BY o.peak DESC, o.day DESC LIMIT 1), m.text, e.text,"
      " max(u.peak), sum(u.processes), sum(u.seconds), max(u.day) * 86400000, u.program, u.mode, u.environment FROM"
      " usage u JOIN name p ON p.id = u.program JOIN name m ON m.id = u.mode JOIN name e ON e.id = u.environment WHERE"
      " u.peak > 0 GROUP BY u.program, u.mode, u.environment ORDER BY max(u.day) DESC, max(u.peak) DESC LIMIT 100",
      "");
  rf_json_open(&q->w, "programs", "[");
  while (rf_store_row(q->store, s)) {
    rf_json_open(&q->w, NULL, "{");
    rf_query_put_columns(q, s, 0, "program build mode environment peak# processes# hours~ last_day@");
    put_peaks(q, sqlite3_column_int64(s, 8), sqlite3_column_int64(s, 9), sqlite3_column_int64(s, 10));
    rf_json_close(&q->w, "}");
  }
  rf_json_close(&q->w, "]");
}

#define CHOSEN                                                                                                         \
  " WHERE (?1 IS NULL OR instr(n.text, ?1) > 0) AND (?2 IS NULL OR h.text = ?2) AND (?3 IS NULL OR e.text = ?3)"

bool rf_query_processes(rf_query *q, const rf_processes_filter *f) {
  sqlite3_stmt *const s = rf_store_select(
      q->store, "SELECT " PROCESS_COLUMNS CHOSEN " ORDER BY p.last_seen DESC, p.id DESC LIMIT ?4 OFFSET ?5", "tttii",
      f->program, f->host, f->environment, rf_query_limit(f->limit, 100), f->offset);
  rf_json_open(&q->w, NULL, "{");
  rf_json_open(&q->w, "processes", "[");
  while (rf_store_row(q->store, s)) {
    rf_json_open(&q->w, NULL, "{");
    put_process(q, s);
    put_trend(q, sqlite3_column_int64(s, 0));
    rf_json_close(&q->w, "}");
  }
  rf_json_close(&q->w, "]");
  rf_json_put_number(
      &q->w, "total",
      rf_store_number(q->store, 0,
                      "SELECT count(*) FROM process p JOIN name n ON n.id = p.program JOIN name h ON h.id"
                      " = p.host JOIN name e ON e.id = p.environment" CHOSEN,
                      "ttt", f->program, f->host, f->environment));
  put_programs(q);
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}

/* ---- One ---- */

#define SNAPSHOT_COLUMNS "SELECT id, time, name, allocator, blocks, bytes, resident, whole, process FROM snapshot "

static const char snapshot_columns[] = "id# time@ name allocator blocks# bytes# resident# whole? process#";

static void put_snapshots(rf_query *q, int64_t process) {
  sqlite3_stmt *const s =
      rf_store_select(q->store, SNAPSHOT_COLUMNS "WHERE process = ? ORDER BY time, id", "i", process);
  rf_query_put_rows(q, "snapshots", s, snapshot_columns);
}

static void put_head(rf_query *q, const char *name, int64_t snapshot) {
  sqlite3_stmt *const s = rf_store_select(q->store, SNAPSHOT_COLUMNS "WHERE id = ?", "i", snapshot);
  rf_json_open(&q->w, name, "{");
  if (rf_store_row(q->store, s)) {
    rf_query_put_columns(q, s, 0, snapshot_columns);
    rf_store_done(s);
  }
}

static void put_shown(rf_query *q, rf_heap_snapshot *shown, int64_t snapshot, int64_t against) {
  const rf_heap_snapshot *const earlier = against == 0 ? NULL : rf_snapshots_read(q->store, q->arena, against);
  put_head(q, "snapshot", snapshot);
  rf_json_put_number(&q->w, "omitted_blocks", shown->omitted_blocks);
  rf_json_put_number(&q->w, "omitted_bytes", shown->omitted_bytes);
  if (earlier != NULL) {
    put_head(q, "against", against);
    rf_json_put_number(&q->w, "omitted_bytes", earlier->omitted_bytes);
    rf_json_close(&q->w, "}");
    rf_heap_snapshot_since(q->arena, earlier, shown);
  }
  rf_query_put_heap(q, shown, earlier != NULL);
  rf_json_close(&q->w, "}");
}

static bool refuse(rf_query *q, const char *what, int64_t id) {
  rf_json_open(&q->w, NULL, "{");
  rf_json_put_text(&q->w, "error", rf_bump_arena_print(q->arena, "there is no %s %" PRId64, what, id));
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}

static bool is_whole(rf_query *q, int64_t snapshot) {
  return rf_store_number(q->store, 0, "SELECT 1 FROM snapshot_body WHERE snapshot = ?", "i", snapshot) != 0;
}

bool rf_query_process(rf_query *q, int64_t id, int64_t snapshot, int64_t against) {
  static const char whole[] = "whole snapshot";
  int64_t const last = rf_store_number(
      q->store, 0, "SELECT id FROM snapshot WHERE process = ? AND whole = 1 ORDER BY time DESC, id DESC LIMIT 1", "i",
      id);
  int64_t const chosen = snapshot == 0 ? last : snapshot;
  int64_t const owner = rf_store_number(q->store, 0, "SELECT process FROM snapshot WHERE id = ?", "i", chosen);
  if (rf_store_number(q->store, 0, "SELECT 1 FROM process WHERE id = ?", "i", id) == 0) {
    return refuse(q, "process", id);
  }
  if (chosen != 0 && (owner != id || !is_whole(q, chosen))) {
    return refuse(q, whole, chosen);
  }
  if (against != 0 && !is_whole(q, against)) {
    return refuse(q, whole, against);
  }
  rf_heap_snapshot *const shown = chosen == 0 ? NULL : rf_snapshots_read(q->store, q->arena, chosen);
  sqlite3_stmt *const s = rf_store_select(q->store, "SELECT " PROCESS_COLUMNS " WHERE p.id = ?", "i", id);
  rf_json_open(&q->w, NULL, "{");
  if (rf_store_row(q->store, s)) {
    put_process(q, s);
    rf_store_done(s);
  }
  put_snapshots(q, id);
  if (shown != NULL) {
    put_shown(q, shown, chosen, against);
  }
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}
