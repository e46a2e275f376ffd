#include "tools/service/intake/renew.h"

/* The first build is that of the earliest event or, where its place in the order is known, the earliest of those whose
 * places are. */
static void renew(rf_store *store, int64_t finding) {
  rf_store_run(
      store,
      "WITH own AS MATERIALIZED (SELECT what, min(c.first_seen) AS first_seen, max(c.last_seen) AS"
      " last_seen, b.given, b.ordered_at FROM counter c JOIN build b ON b.id = c.what WHERE c.kind = 2 AND"
      " c.finding IN (SELECT id FROM finding WHERE id = ?1 OR merged_into = ?1) GROUP BY what),"
      " earliest AS (SELECT what, given FROM own ORDER BY first_seen, what LIMIT 1)"
      " UPDATE finding SET first_seen = (SELECT min(first_seen) FROM own),"
      " last_seen = (SELECT max(last_seen) FROM own),"
      " first_build = coalesce((SELECT what FROM own WHERE given = 1 AND (SELECT given FROM earliest) = 1 ORDER"
      " BY ordered_at, what LIMIT 1), (SELECT what FROM earliest)),"
      " last_build = (SELECT what FROM own ORDER BY last_seen DESC, what DESC LIMIT 1)"
      " WHERE id = ?1 AND EXISTS (SELECT 1 FROM own)",
      "i", finding);
}

void rf_renew(rf_store *store, int64_t finding) {
  int64_t const whole = rf_store_number(store, 0, "SELECT merged_into FROM finding WHERE id = ?", "i", finding);
  renew(store, finding);
  if (whole != 0) {
    renew(store, whole);
  }
}

void rf_renew_build(rf_store *store, int64_t build) {
  /* SQLite takes the index counter_what where its condition is named as it stands. */
  sqlite3_stmt *const s = rf_store_select(
      store, "SELECT finding FROM counter WHERE kind = 2 AND kind IN (2, 4) AND what = ? AND finding > 0", "i", build);
  while (rf_store_row(store, s)) {
    rf_renew(store, sqlite3_column_int64(s, 0));
  }
}
