#include "tools/service/query/query.h"

#include "tools/ringfence/base/words.h"
#include "tools/service/intake/builds.h"

#include <inttypes.h>
#include <math.h>

int64_t rf_query_limit(int64_t wanted, int64_t standard) {
  int64_t const limit = wanted <= 0 ? standard : wanted;
  return limit > RF_LIST_MOST ? RF_LIST_MOST : limit;
}

void rf_query_put_time(rf_query *q, const char *name, int64_t ms) {
  const char *const seconds = ms <= 0 ? NULL : rf_time_text(q->arena, ms / 1000, "%Y-%m-%dT%H:%M:%S");
  rf_json_put_text_or_null(
      &q->w, name, seconds == NULL ? NULL : rf_bump_arena_print(q->arena, "%s.%03dZ", seconds, (int)(ms % 1000)));
}

void rf_query_put_real(rf_query *q, const char *name, double value) {
  rf_json_put_raw(&q->w, name, isfinite(value) ? rf_bump_arena_print(q->arena, "%.3f", value) : "null");
}

int64_t rf_query_first_day(int days) {
  return rf_store_now() / RF_DAY_MS - days + 1;
}

void rf_query_put_days(rf_query *q, const char *name, sqlite3_stmt *s, int days) {
  int64_t counts[RF_TREND_DAYS_LONG] = {0};
  int64_t const first = rf_query_first_day(days);
  while (rf_store_row(q->store, s)) {
    int64_t const day = sqlite3_column_int64(s, 0) - first;
    if (day >= 0 && day < days) {
      counts[day] += sqlite3_column_int64(s, 1);
    }
  }
  rf_json_open(&q->w, name, "[");
  for (int i = 0; i < days; i++) {
    rf_json_put_number(&q->w, NULL, counts[i]);
  }
  rf_json_close(&q->w, "]");
}

void rf_query_put_trend(rf_query *q, const char *name, int64_t finding, int days) {
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      "SELECT what, count FROM counter WHERE kind = 1 AND what >= ?2 AND finding = ?1 UNION ALL SELECT c.what,"
      " c.count FROM finding f JOIN counter c ON c.finding = f.id AND c.kind = 1 AND c.what >= ?2 WHERE f.merged_into"
      " = ?1",
      "ii", finding, rf_query_first_day(days));
  rf_query_put_days(q, name, s, days);
}

int64_t rf_query_root(rf_store *store, int64_t id) {
  return rf_store_number(store, 0, "SELECT coalesce(merged_into, id) FROM finding WHERE id = ?", "i", id);
}

/* ---- Fixed with a number ---- */

/* The fix of finding ?1, and whether build b has it. */
#define WITH_FIX                                                                                                       \
  "WITH fix AS (SELECT f.fixed_at, (SELECT ordered_at FROM build WHERE id = f.fixed_build) AS ordered, f.fixed_build," \
  " f.fixed_in, f.fixed_after FROM finding f WHERE f.id = ?1)"
#define HAS_FIX                                                                                                        \
  "CASE WHEN fix.ordered IS NOT NULL THEN (b.ordered_at, b.id) >= (fix.ordered, fix.fixed_build)"                      \
  " WHEN fix.fixed_in IS NOT NULL THEN 0 ELSE " RF_BUILD_IS_NEXT("b", "fix") " END"

/* Process-hours of the programs in which the finding was seen, in builds before the fix and in those that have it. */
static bool hours(rf_query *q, int64_t finding, double *before, double *after) {
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      WITH_FIX
      ", part AS (SELECT u.seconds, " HAS_FIX
      " AS fixed FROM usage u JOIN build b ON b.id = u.build, fix WHERE u.program IN (SELECT what FROM counter WHERE"
      " kind = 5 AND finding IN (SELECT id FROM finding WHERE id = ?1 OR merged_into = ?1))) SELECT total(CASE WHEN"
      " fixed THEN 0 ELSE seconds END), total(CASE WHEN fixed THEN seconds ELSE 0 END) FROM part",
      "i", finding);
  bool const there = rf_store_row(q->store, s);
  *before = there ? sqlite3_column_double(s, 0) / 3600 : 0;
  *after = there ? sqlite3_column_double(s, 1) / 3600 : 0;
  rf_store_done(s);
  return there;
}

/* Events in builds that have the fix, and in those before it. */
static void split_count(rf_query *q, int64_t finding, int64_t *before, int64_t *after) {
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      WITH_FIX
      ", part AS (SELECT c.count, " HAS_FIX " AS fixed FROM counter c JOIN build b ON b.id = c.what, fix WHERE c.kind "
      "= 2 AND c.finding IN (SELECT id FROM finding WHERE"
      " id = ?1 OR merged_into = ?1)) SELECT sum(CASE WHEN fixed THEN 0 ELSE count END), sum(CASE WHEN fixed THEN"
      " count ELSE 0 END) FROM part",
      "i", finding);
  bool const there = rf_store_row(q->store, s);
  *before = there ? sqlite3_column_int64(s, 0) : 0;
  *after = there ? sqlite3_column_int64(s, 1) : 0;
  rf_store_done(s);
}

void rf_query_put_expectation(rf_query *q, int64_t finding) {
  double before = 0;
  double after = 0;
  int64_t seen_before = 0;
  int64_t seen_after = 0;
  bool const fixed = rf_store_number(q->store, 0, "SELECT fixed_at FROM finding WHERE id = ?", "i", finding) != 0;
  if (!fixed || !hours(q, finding, &before, &after)) {
    return;
  }
  split_count(q, finding, &seen_before, &seen_after);
  rf_json_open(&q->w, "since_fix", "{");
  rf_query_put_real(q, "hours_before", before);
  rf_json_put_number(&q->w, "events_before", seen_before);
  rf_query_put_real(q, "hours_after", after);
  rf_json_put_number(&q->w, "events_after", seen_after);
  rf_query_put_real(q, "expected", before > 0 ? (double)seen_before / before * after : (double)NAN);
  rf_json_close(&q->w, "}");
}
