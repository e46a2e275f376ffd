/* Builds, activity, the store's own state. */
#include "tools/service/query/query.h"

#include "tools/service/intake/spool.h"
#include "tools/service/store/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { BUILDS_LISTED = 200 };

/* Builds, the newest first; findings whose first event was in each; members of merged findings that were seen in it,
 * and how many findings these add; use of programs. One pass over each table, however many builds there are. */
#define CHOSEN "chosen AS MATERIALIZED (SELECT * FROM build ORDER BY ordered_at DESC, id DESC LIMIT ?1 OFFSET ?2)"
#define FRESH                                                                                                          \
  "fresh AS MATERIALIZED (SELECT first_build, count(*) AS n FROM finding WHERE merged_into IS NULL GROUP BY "          \
  "first_build)"
#define ROOT_WAS_SEEN                                                                                                  \
  "EXISTS (SELECT 1 FROM counter r WHERE r.finding = m.merged_into AND r.kind = 2 AND r.what = k.what)"
#define PARTS                                                                                                          \
  "parts AS MATERIALIZED (SELECT k.what, count(*) AS n, count(DISTINCT CASE WHEN " ROOT_WAS_SEEN                       \
  " THEN NULL ELSE m.merged_into END) AS roots FROM finding m CROSS JOIN counter k WHERE m.merged_into > 0 AND"        \
  " k.finding = m.id AND k.kind = 2 GROUP BY k.what)"
#define USED                                                                                                           \
  "used AS MATERIALIZED (SELECT build, total(seconds) AS seconds, total(processes) AS processes FROM usage GROUP BY"   \
  " build)"
/* SQLite takes the index counter_what where its condition is named as it stands. */
#define SEEN_IN                                                                                                        \
  "(SELECT count(*) FROM counter k WHERE k.kind = 2 AND k.kind IN (2, 4) AND k.what = b.id AND k.finding > 0)"

bool rf_query_builds(rf_query *q, int64_t limit, int64_t offset) {
  static const char sql[] =
      "WITH " CHOSEN ", " FRESH ", " PARTS ", " USED
      " SELECT b.name, b.version, b.revision, b.build_id, b.ordered_at, b.given = 0, coalesce(c.count, 0),"
      " coalesce(c.first_seen, b.first_seen), coalesce(c.last_seen, b.last_seen), coalesce(fresh.n, 0), " SEEN_IN
      " - coalesce(parts.n, 0) + coalesce(parts.roots, 0), coalesce(used.seconds, 0.0), coalesce(used.processes, 0.0)"
      " FROM chosen b LEFT JOIN counter c ON c.finding = 0 AND c.kind = 2 AND c.what = b.id LEFT JOIN fresh ON"
      " fresh.first_build = b.id LEFT JOIN parts ON parts.what = b.id LEFT JOIN used ON used.build = b.id"
      " ORDER BY b.ordered_at DESC, b.id DESC";
  int64_t const most = rf_query_limit(limit, BUILDS_LISTED);
  rf_json_open(&q->w, NULL, "{");
  rf_query_put_rows(q, "builds", rf_store_select(q->store, sql, "ii", most, offset),
                    "name version commit build_id ordered_at@ order_guessed? events# first_seen@ last_seen@"
                    " new_findings# findings# hours~ processes#");
  rf_json_put_number(&q->w, "total", rf_store_number(q->store, 0, "SELECT count(*) FROM build", ""));
  rf_json_put_number(&q->w, "offset", offset);
  rf_json_put_number(&q->w, "limit", most);
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}

bool rf_query_activity(rf_query *q, int64_t after, int64_t limit) {
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      "SELECT a.id, a.time, a.finding, a.kind, a.environment, a.text, f.bug, f.title, f.place FROM activity a LEFT"
      " JOIN finding f ON f.id = a.finding WHERE a.id > ? ORDER BY a.id LIMIT ?",
      "ii", after, rf_query_limit(limit, 100));
  rf_json_open(&q->w, NULL, "{");
  rf_query_put_rows(q, "activity", s, "id# time@ finding# kind* environment* text* bug* title* place*");
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}

/* ---- Status ---- */

static void put_losses(rf_query *q) {
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      "SELECT n.text, c.count, c.last_seen FROM counter c JOIN name n ON n.id = c.what WHERE c.finding = 0 AND c.kind"
      " = 10 ORDER BY c.count DESC",
      "");
  rf_query_put_rows(q, "losses", s, "what count# last_seen@");
}

static int64_t file_size(rf_query *q, const char *directory, const char *name) {
  struct stat st;
  return stat(rf_bump_arena_print(q->arena, "%s/%s", directory, name), &st) == 0 ? (int64_t)st.st_size : 0;
}

static void put_space(rf_query *q, const char *directory) {
  struct statvfs disk;
  rf_json_put_text(&q->w, "directory", directory);
  rf_json_put_number(&q->w, "database_bytes",
                     file_size(q, directory, "ringfence.db") + file_size(q, directory, "ringfence.db-wal"));
  rf_json_put_number(&q->w, "waiting_bytes", (int64_t)rf_spool_waiting(directory));
  if (statvfs(directory, &disk) == 0) {
    rf_json_put_number(&q->w, "free_bytes", (int64_t)(disk.f_bavail * disk.f_frsize));
  }
}

bool rf_query_status(rf_query *q, const char *directory) {
  static const struct {
    const char *name;
    const char *sql;
  } sums[] = {
      {"findings", "SELECT count(*) FROM finding WHERE merged_into IS NULL"},
      {"events", "SELECT coalesce(sum(count), 0) FROM counter WHERE finding = 0 AND kind = 1"},
      {"events_kept", "SELECT count(*) FROM event"},
      {"builds", "SELECT count(*) FROM build"},
      {"processes", "SELECT coalesce(sum(processes), 0) FROM usage"},
      {"crash_loops", "SELECT count(*) FROM crash_loop"},
      {"alerts_waiting", "SELECT count(*) FROM activity WHERE alert = 1"},
      {"forward_waiting", "SELECT count(*) FROM outgoing"},
      {"repeats_waiting", "SELECT coalesce(sum(count), 0) FROM orphan"},
  };
  rf_json_open(&q->w, NULL, "{");
  for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
    rf_json_put_number(&q->w, sums[i].name, rf_store_number(q->store, 0, sums[i].sql, ""));
  }
  rf_query_put_real(q, "hours", (double)rf_store_number(q->store, 0, "SELECT total(seconds) FROM usage", "") / 3600);
  rf_json_put_number(&q->w, "schema", rf_store_schema_version());
  if (directory != NULL) {
    put_space(q, directory);
  }
  put_losses(q);
  rf_query_put_missing(q, 10);
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}
