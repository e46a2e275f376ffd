#include "tools/service/steering/query.h"

static void put_rules(rf_query *q) {
  static const char *const kinds[] = {"", "options", "sweep", "snapshot"};
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      "SELECT id, kind, time, program, build, environment, options, because, reached, last_reached FROM steer WHERE"
      " ended = 0 ORDER BY id",
      "");
  rf_json_open(&q->w, "rules", "[");
  while (rf_store_row(q->store, s)) {
    int64_t const kind = sqlite3_column_int64(s, 1);
    rf_json_open(&q->w, NULL, "{");
    rf_json_put_number(&q->w, "rule", sqlite3_column_int64(s, 0));
    rf_json_put_text(&q->w, "kind", kind > 0 && kind < 4 ? kinds[kind] : "");
    rf_query_put_columns(q, s, 2, "since@ program build environment options because reached#");
    if (sqlite3_column_int64(s, 9) != 0) {
      rf_query_put_time(q, "last_reached", sqlite3_column_int64(s, 9));
    }
    rf_json_close(&q->w, "}");
  }
  rf_json_close(&q->w, "]");
}

static void put_sites(rf_query *q) {
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      "SELECT s.finding, f.title, b.name FROM steer_site s JOIN finding f ON f.id = s.finding LEFT JOIN build b ON b.id"
      " = s.build WHERE s.raised = 1 AND s.site_key <> 0 ORDER BY f.last_seen DESC, s.finding LIMIT 256",
      "");
  rf_query_put_rows(q, "sites", s, "finding# title build");
}

static void put_steps(rf_query *q, int64_t limit) {
  sqlite3_stmt *const s = rf_store_select(
      q->store, "SELECT time, rule, finding, done, because FROM steer_step ORDER BY id DESC LIMIT ?", "i", limit);
  rf_query_put_rows(q, "steps", s, "time@ rule# finding# done because");
}

bool rf_query_steering(rf_query *q, int64_t limit) {
  rf_json_open(&q->w, NULL, "{");
  put_rules(q);
  put_sites(q);
  put_steps(q, limit > 0 ? limit : RF_STEER_STEPS_SHOWN);
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}
