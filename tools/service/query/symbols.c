/* The symbols that are there, and those that are missing. */
#include "tools/service/query/query.h"

enum { MISSING_MOST = 200 };

void rf_query_put_missing(rf_query *q, int64_t most) {
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      "SELECT n.build_id, min(n.module), count(DISTINCT coalesce(f.merged_into, f.id)), count(p.id),"
      " max(coalesce(f.last_seen, p.last_seen)) FROM nameless n LEFT JOIN finding f ON f.id = n.finding LEFT JOIN "
      "process p ON p.id"
      " = -n.finding WHERE n.finding <> 0 AND NOT EXISTS (SELECT 1 FROM symbol_file s WHERE s.build_id = n.build_id "
      "AND s.kind ="
      " 'debuginfo') GROUP BY n.build_id ORDER BY 3 DESC, 4 DESC, 5 DESC LIMIT ?",
      "i", most);
  rf_query_put_rows(q, "missing", s, "build_id module findings# processes# last_seen@");
}

bool rf_query_symbols(rf_query *q) {
  rf_json_open(&q->w, NULL, "{");
  rf_query_put_missing(q, MISSING_MOST);
  rf_json_put_number(&q->w, "waiting",
                     rf_store_number(q->store, 0,
                                     "SELECT count(*) FROM body WHERE event > coalesce((SELECT value FROM meta WHERE"
                                     " key = 'named'), 0)",
                                     ""));
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      "SELECT build_id, kind, name, bytes, time FROM symbol_file WHERE kind <> 'asked' ORDER BY time DESC,"
      " build_id, kind LIMIT 1000",
      "");
  rf_query_put_rows(q, "files", s, "build_id kind name bytes# time@");
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}
