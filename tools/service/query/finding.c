/* One finding, whole. */
#include "tools/service/query/query.h"

#include "checkers/report/utf8.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/service/intake/split.h"
#include "tools/service/intake/window.h"
#include "tools/service/store/counters.h"

#include <inttypes.h>
#include <string.h>

enum { NAMES_LISTED = 20 };

/* ?1 is a finding: all whose events count for it. */
#define MEMBERS "(SELECT id FROM finding WHERE id = ?1 OR merged_into = ?1)"

static void put_key(rf_query *q, const char *name, int64_t key) {
  rf_json_put_text(&q->w, name, key == 0 ? NULL : rf_bump_arena_print(q->arena, "%016" PRIx64, (uint64_t)key));
}

/* ---- The row ---- */

/* A finding that became part of another one has the state of that one. */
static bool put_row(rf_query *q, int64_t id) {
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      "SELECT f.bug, f.level, f.title, f.place, r.state, r.fixed_in, r.because, f.first_seen, f.last_seen,"
      " r.fixed_at, (SELECT sum(count) FROM finding WHERE id IN " MEMBERS
      "), (SELECT sum(damaged) FROM finding WHERE id IN " MEMBERS
      "), (SELECT sum(one_bit) FROM finding WHERE id IN " MEMBERS "), fb.name, lb.name, f.algorithm, f.key, "
      "f.access_key, f.allocation_key, f.free_key, f.merged_into, f.split_by, f.split_from, f.split_left, "
      "f.split_wanted, r.first_seen FROM finding f JOIN finding r ON r.id = coalesce(f.merged_into, f.id) JOIN build "
      "fb ON fb.id = f.first_build"
      " JOIN build lb ON lb.id = f.last_build WHERE f.id = ?1",
      "i", id);
  if (!rf_store_row(q->store, s)) {
    return false;
  }
  rf_json_put_number(&q->w, "id", id);
  if (sqlite3_column_int64(s, 20) != 0) {
    rf_json_put_number(&q->w, "merged_into", sqlite3_column_int64(s, 20));
  }
  rf_query_put_columns(q, s, 0, "bug* level* title* place* state* fixed_in* because*");
  rf_json_put_bool(&q->w, "new",
                   sqlite3_column_int64(s, 25) >= rf_store_now() - RF_NEW_MS &&
                       strcmp(rf_store_text(s, 4), "open") == 0);
  rf_query_put_columns(q, s, 7,
                       "first_seen@ last_seen@ fixed_at@ count# damaged# one_bit# first_build last_build algorithm#");
  put_key(q, "key", sqlite3_column_int64(s, 16));
  put_key(q, "access_key", sqlite3_column_int64(s, 17));
  put_key(q, "allocation_key", sqlite3_column_int64(s, 18));
  put_key(q, "free_key", sqlite3_column_int64(s, 19));
  rf_json_put_text(&q->w, "split_by", rf_split_name(sqlite3_column_int64(s, 21)));
  if (sqlite3_column_int64(s, 22) != 0) {
    rf_json_put_number(&q->w, "split_from", sqlite3_column_int64(s, 22));
  }
  if (sqlite3_column_int64(s, 23) != 0) {
    rf_json_put_number(&q->w, "split_left", sqlite3_column_int64(s, 23));
    rf_json_put_raw(&q->w, "split_wanted",
                    sqlite3_column_int64(s, 24) < 0
                        ? "null"
                        : rf_bump_arena_print(q->arena, "%" PRId64, (int64_t)sqlite3_column_int64(s, 24)));
  }
  rf_store_done(s);
  return true;
}

/* ---- Counters ---- */

typedef struct counted {
  const char *name;
  rf_counter_kind kind;
} counted;

static const counted names[] = {
    {"programs", RF_COUNT_PROGRAM}, {"hosts", RF_COUNT_HOST},   {"environments", RF_COUNT_ENVIRONMENT},
    {"modes", RF_COUNT_MODE},       {"labels", RF_COUNT_LABEL}, {"one_bit_hosts", RF_COUNT_ONE_BIT_HOST}};

enum { NAMES = sizeof names / sizeof names[0] };

static void put_names(rf_query *q, const counted *n, int64_t id, int64_t limit) {
  sqlite3_stmt *const s =
      rf_store_select(q->store,
                      "SELECT n.text, sum(c.count), min(c.first_seen),"
                      " max(c.last_seen) FROM counter c JOIN name n ON"
                      " n.id = c.what WHERE c.kind = ?2 AND c.finding IN " MEMBERS " GROUP BY c.what ORDER BY 2 DESC "
                      "LIMIT ?3",
                      "iii", id, (int64_t)n->kind, limit);
  rf_query_put_rows(q, n->name, s, "name count# first_seen@ last_seen@");
}

static void put_builds(rf_query *q, int64_t id, int64_t limit) {
  sqlite3_stmt *const s = rf_store_select(q->store,
                                          "SELECT b.name, sum(c.count), min(c.first_seen),"
                                          " max(c.last_seen), b.version, b.given = 0 FROM counter c"
                                          " JOIN build b ON b.id = c.what WHERE c.kind = 2 AND"
                                          " c.finding IN " MEMBERS " GROUP BY b.id ORDER BY b.ordered_at DESC LIMIT "
                                          "?2",
                                          "ii", id, limit);
  rf_query_put_rows(q, "builds", s, "name count# first_seen@ last_seen@ version order_guessed?");
}

static void put_total(rf_query *q, const char *name, const char *sql, int64_t id) {
  rf_json_put_number(&q->w, name, rf_store_number(q->store, 0, sql, "i", id));
}

/* How many there are of each, beyond those that are listed. */
static void put_totals(rf_query *q, int64_t id) {
  static const char sql[] = "SELECT count(DISTINCT what) FROM counter WHERE kind = ?2 AND finding IN " MEMBERS;
  rf_json_open(&q->w, "totals", "{");
  put_total(q, "builds", "SELECT count(DISTINCT what) FROM counter WHERE kind = 2 AND finding IN " MEMBERS, id);
  for (size_t i = 0; i < NAMES; i++) {
    rf_json_put_number(&q->w, names[i].name, rf_store_number(q->store, 0, sql, "ii", id, (int64_t)names[i].kind));
  }
  put_total(q, "merged", "SELECT count(*) FROM finding WHERE merged_into = ?1", id);
  put_total(q, "events", "SELECT count(*) FROM event WHERE finding IN " MEMBERS, id);
  rf_json_close(&q->w, "}");
}

static void put_written(rf_query *q, int64_t id) {
  sqlite3_stmt *const s = rf_store_select(q->store,
                                          "SELECT what, sum(count) FROM counter WHERE kind = 8 AND finding IN " MEMBERS
                                          " GROUP BY what ORDER BY 2 DESC, 1 "
                                          "LIMIT 128",
                                          "i", id);
  rf_json_open(&q->w, "written", "[");
  while (rf_store_row(q->store, s)) {
    rf_written const w = rf_written_unpack(sqlite3_column_int64(s, 0));
    rf_json_open(&q->w, NULL, "{");
    rf_json_put_number(&q->w, "offset", w.offset);
    rf_json_put_number(&q->w, "expected", w.expected);
    rf_json_put_number(&q->w, "value", w.value);
    rf_json_put_number(&q->w, "count", sqlite3_column_int64(s, 1));
    rf_json_close(&q->w, "}");
  }
  rf_json_close(&q->w, "]");
}

/* ---- Lists ---- */

static void put_related(rf_query *q, int64_t id) {
  static const char sql[] =
      "WITH f AS (SELECT access_key AS a, allocation_key AS l, free_key AS r FROM finding WHERE id = ?1), near AS"
      " (SELECT o.id FROM f CROSS JOIN finding o WHERE o.access_key = f.a AND f.a <> 0 UNION SELECT o.id FROM f CROSS"
      " JOIN finding o WHERE o.allocation_key = f.l AND f.l <> 0 UNION SELECT o.id FROM f CROSS JOIN finding o WHERE"
      " o.free_key = f.r AND f.r <> 0) SELECT o.id, o.bug, o.title, o.place, o.state, (f.a <> 0 AND o.access_key ="
      " f.a), (f.l <> 0 AND o.allocation_key = f.l), (f.r <> 0 AND o.free_key = f.r) FROM near CROSS JOIN finding o"
      " ON o.id = near.id CROSS JOIN f WHERE o.merged_into IS NULL AND o.id <> ?1 ORDER BY o.last_seen DESC LIMIT 10";
  rf_query_put_rows(q, "related", rf_store_select(q->store, sql, "i", id),
                    "id# bug title place state same_access? same_allocation? same_free?");
}

static void put_merged(rf_query *q, int64_t id) {
  sqlite3_stmt *const s =
      rf_store_select(q->store, "SELECT id, title, place, count FROM finding WHERE merged_into = ? LIMIT 50", "i", id);
  rf_query_put_rows(q, "merged", s, "id# title place count#");
}

static void put_activity(rf_query *q, int64_t id) {
  sqlite3_stmt *const s = rf_store_select(
      q->store, "SELECT time, kind, environment, text FROM activity WHERE finding = ? ORDER BY id DESC LIMIT 30", "i",
      id);
  rf_query_put_rows(q, "activity", s, "time@ kind environment text");
}

static void put_crash_loops(rf_query *q, int64_t id) {
  sqlite3_stmt *const s = rf_store_select(q->store,
                                          "SELECT n.text, l.began, l.last, l.processes FROM"
                                          " crash_loop l JOIN name n ON n.id = l.program WHERE"
                                          " l.finding IN " MEMBERS " ORDER BY l.last DESC LIMIT 10",
                                          "i", id);
  rf_query_put_rows(q, "crash_loops", s, "program began@ last@ processes#");
}

/* ---- Events ---- */

/* The roles of events among those of the finding and its parts. */
#define FIRST "(SELECT id FROM event WHERE finding IN " MEMBERS " ORDER BY time, id LIMIT 1)"
#define LAST "(SELECT id FROM event WHERE finding IN " MEMBERS " ORDER BY time DESC, id DESC LIMIT 1)"
#define RICHEST                                                                                                        \
  "(SELECT richest_event FROM finding WHERE id IN " MEMBERS                                                            \
  " ORDER BY richest DESC, id = ?1 DESC, richest_event LIMIT 1)"

/* If there are more than 40, those with a role come before later ones, and the one asked for before all. */
#define EVENTS_SHOWN                                                                                                   \
  "SELECT e.id FROM event e JOIN finding f ON f.id = e.finding WHERE e.finding IN " MEMBERS                            \
  " ORDER BY e.id = ?2 DESC, e.id IN (" FIRST ", " LAST ", " RICHEST                                                   \
  ") DESC, e.id IN (f.first_event, f.last_event, f.richest_event) DESC, e.finding = ?1 DESC,"                          \
  " e.time DESC LIMIT 40"

/* *shown is then the event to show: the one asked for, or else the finding's own richest, as its title is of that. */
static void put_events(rf_query *q, int64_t id, int64_t *shown) {
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      "SELECT e.id, e.time, b.name, p.text, h.text, n.text, m.text, e.pid,"
      " e.count, e.id = " FIRST ", e.id = " LAST ", e.id = " RICHEST
      ", e.finding = ?1 AND e.id = f.richest_event FROM event e JOIN finding f ON f.id ="
      " e.finding JOIN build b ON b.id = e.build JOIN name p ON p.id ="
      " e.program JOIN name h ON h.id = e.host JOIN name n ON n.id ="
      " e.environment JOIN name m ON m.id = e.mode WHERE e.id IN (" EVENTS_SHOWN ") ORDER BY e.time DESC, e.id DESC",
      "ii", id, *shown);
  int64_t own = 0;
  rf_json_open(&q->w, "events", "[");
  while (rf_store_row(q->store, s)) {
    int64_t const event = sqlite3_column_int64(s, 0);
    own = own == 0 || sqlite3_column_int(s, 12) != 0 ? event : own;
    rf_json_open(&q->w, NULL, "{");
    rf_query_put_columns(q, s, 0, "id# time@ build program host environment mode pid# count# first? last? richest?");
    rf_json_close(&q->w, "}");
  }
  rf_json_close(&q->w, "]");
  *shown = *shown != 0 ? *shown : own;
}

/* A record is kept as it came, and JSON is UTF-8: bytes that are none become U+FFFD. */
static const char *as_utf8(rf_bump_arena *arena, const char *text) {
  rf_text_sink t;
  rf_text_sink_init(&t, arena);
  for (const char *at = text; *at != '\0';) {
    unsigned const length = rf_utf8_length((const unsigned char *)at);
    rf_sink_mem(&t.sink, length != 0 ? at : "\xEF\xBF\xBD", length != 0 ? length : 3);
    at += length != 0 ? length : 1;
  }
  return t.text;
}

static void put_record(rf_query *q, int64_t event) {
  sqlite3_stmt *const s = rf_store_select(q->store, "SELECT text FROM body WHERE event = ?", "i", event);
  rf_json_put_number(&q->w, "event", event);
  if (rf_store_row(q->store, s)) {
    rf_json_put_raw(&q->w, "record", as_utf8(q->arena, rf_store_text(s, 0)));
    rf_store_done(s);
  }
}

static bool has_event(rf_query *q, int64_t id, int64_t event) {
  return rf_store_number(q->store, 0, "SELECT 1 FROM event WHERE id = ?2 AND finding IN " MEMBERS, "ii", id, event) !=
         0;
}

bool rf_query_finding(rf_query *q, int64_t id, int64_t event, int64_t limit) {
  rf_json_open(&q->w, NULL, "{");
  if (event != 0 && !has_event(q, id, event)) {
    rf_json_put_text(&q->w, "error",
                     rf_bump_arena_print(q->arena, "finding %" PRId64 " keeps no event %" PRId64, id, event));
    rf_json_close(&q->w, "}");
    return !q->store->failed;
  }
  if (!put_row(q, id)) {
    rf_json_put_text(&q->w, "error", rf_bump_arena_print(q->arena, "there is no finding %" PRId64, id));
    rf_json_close(&q->w, "}");
    return !q->store->failed;
  }
  rf_query_put_trend(q, "trend", id, RF_TREND_DAYS_LONG);
  int64_t const most = rf_query_limit(limit, NAMES_LISTED);
  put_builds(q, id, most);
  for (size_t i = 0; i < NAMES; i++) {
    put_names(q, &names[i], id, most);
  }
  put_totals(q, id);
  put_written(q, id);
  rf_query_put_expectation(q, rf_query_root(q->store, id));
  put_merged(q, id);
  put_related(q, id);
  put_crash_loops(q, id);
  put_activity(q, id);
  put_events(q, id, &event);
  put_record(q, event);
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}
