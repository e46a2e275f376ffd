/* The schema, as a list of steps: step N brings version N to N + 1. A released step is never changed. */
#include "tools/service/store/schema.h"

#include <stdio.h>

/* Counters stand beside the events, so that no page counts rows. `counter.kind` is rf_counter_kind of counters.h,
 * `counter.what` a row of `name`, a build, a day, or a packed value; finding 0 is the sum over all. Bodies have a table
 * of their own, so that lists never read them. */
static const char *const steps[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;CREATE TABLE name(id INTEGER PRIMARY KEY, kind"
    " INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE(kind, text));CREATE TABLE build(id INTEGER PRIMARY KEY, name TEXT"
    " NOT NULL UNIQUE, version TEXT NOT NULL, revision TEXT NOT NULL, build_id TEXT NOT NULL, ordered_at INTEGER NOT"
    " NULL, given INTEGER NOT NULL DEFAULT 0, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL);CREATE TABLE"
    " finding(id INTEGER PRIMARY KEY, key INTEGER NOT NULL, algorithm INTEGER NOT NULL, access_key INTEGER NOT NULL,"
    " allocation_key INTEGER NOT NULL, free_key INTEGER NOT NULL, bug TEXT NOT NULL, level TEXT NOT NULL, title TEXT"
    " NOT NULL, place TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'open', fixed_in TEXT, fixed_build INTEGER, fixed_at"
    " INTEGER, because TEXT, merged_into INTEGER, merged_via INTEGER, first_seen INTEGER NOT NULL, last_seen INTEGER"
    " NOT NULL, first_build INTEGER NOT NULL, last_build INTEGER NOT NULL, count INTEGER NOT NULL, damaged INTEGER NOT"
    " NULL DEFAULT 0, one_bit INTEGER NOT NULL DEFAULT 0, first_event INTEGER, last_event INTEGER, richest_event"
    " INTEGER, richest INTEGER NOT NULL DEFAULT 0);"
    /* All keys by which a finding was ever known: with names of functions, and without. */
    "CREATE TABLE key(key INTEGER PRIMARY KEY, finding INTEGER NOT NULL);CREATE TABLE words(finding INTEGER PRIMARY"
    " KEY, text TEXT NOT NULL);CREATE INDEX finding_state ON finding(merged_into, state, last_seen,"
    " first_seen);CREATE INDEX finding_access ON finding(access_key);CREATE INDEX finding_allocation ON"
    " finding(allocation_key);CREATE INDEX finding_free ON finding(free_key);CREATE TABLE event(id INTEGER PRIMARY"
    " KEY, finding INTEGER NOT NULL, time INTEGER NOT NULL, build INTEGER NOT NULL, program INTEGER NOT NULL, host"
    " INTEGER NOT NULL, environment INTEGER NOT NULL, mode INTEGER NOT NULL, pid INTEGER NOT NULL, count INTEGER NOT"
    " NULL, middle INTEGER NOT NULL, record TEXT NOT NULL);CREATE INDEX event_finding ON event(finding, time);CREATE"
    " INDEX event_middle ON event(middle, time);CREATE TABLE body(event INTEGER PRIMARY KEY, text TEXT NOT"
    " NULL);CREATE TABLE counter(finding INTEGER NOT NULL, kind INTEGER NOT NULL, what INTEGER NOT NULL, count"
    " INTEGER NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, PRIMARY KEY(finding, kind, what))"
    " WITHOUT ROWID;CREATE INDEX counter_what ON counter(kind, what, finding) WHERE kind IN (2, 4);CREATE TABLE"
    " usage(program INTEGER NOT NULL, build INTEGER NOT NULL, mode INTEGER NOT NULL, environment INTEGER NOT NULL,"
    " day INTEGER NOT NULL, processes INTEGER NOT NULL, seconds REAL NOT NULL, allocations INTEGER NOT NULL, findings"
    " INTEGER NOT NULL, dropped INTEGER NOT NULL, killed INTEGER NOT NULL, PRIMARY KEY(program, build, mode,"
    " environment, day)) WITHOUT ROWID;CREATE TABLE seen(batch INTEGER PRIMARY KEY, ids BLOB NOT NULL);CREATE TABLE"
    " segment(name TEXT PRIMARY KEY, taken INTEGER NOT NULL) WITHOUT ROWID;CREATE TABLE other(id INTEGER PRIMARY KEY,"
    " time INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);CREATE TABLE activity(id INTEGER PRIMARY KEY,"
    " time INTEGER NOT NULL, finding INTEGER NOT NULL, kind TEXT NOT NULL, environment TEXT NOT NULL, text TEXT NOT"
    " NULL, alert INTEGER NOT NULL DEFAULT 0);CREATE INDEX activity_finding ON activity(finding, id);CREATE INDEX"
    " activity_alert ON activity(alert) WHERE alert = 1;CREATE TABLE crash_loop(finding INTEGER NOT NULL, program"
    " INTEGER NOT NULL, began INTEGER NOT NULL, last INTEGER NOT NULL, processes INTEGER NOT NULL, PRIMARY"
    " KEY(finding, program, began)) WITHOUT ROWID;",

    /* Functions and lines of return addresses, found while the program's file was there. */
    "CREATE TABLE symbol(build_id TEXT NOT NULL, offset INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY(build_id,"
    " offset)) WITHOUT ROWID;",

    /* Findings that were split: the rule by which (rf_split_rule), the value whose events stay, and of each piece the
     * finding that it was made of. Files of symbols that were uploaded or fetched (fetched: also where nobody had it),
     * and the findings whose events have frames of a build-id without lines. symbol_file.looked: 1 where its names were
     * asked for, 2 while they are. */
    "ALTER TABLE finding ADD COLUMN split_by INTEGER NOT NULL DEFAULT 0;ALTER TABLE finding ADD COLUMN split_stay"
    " INTEGER NOT NULL DEFAULT 0;ALTER TABLE finding ADD COLUMN split_from INTEGER;CREATE INDEX finding_split ON"
    " finding(split_from) WHERE split_from IS NOT NULL;CREATE TABLE symbol_file(build_id TEXT NOT NULL, kind TEXT NOT"
    " NULL, name TEXT NOT NULL, bytes INTEGER NOT NULL, time INTEGER NOT NULL, looked INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY(build_id, kind)) WITHOUT ROWID;CREATE TABLE nameless(build_id TEXT NOT NULL, finding INTEGER NOT"
    " NULL, module TEXT NOT NULL, asked INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(build_id, finding)) WITHOUT ROWID;"
    "CREATE INDEX nameless_finding ON nameless(finding);",

    /* Processes of which snapshots of memory came, by the part of their ids that they have in common; the snapshots,
     * and those that are kept whole. nameless.finding is the negative number of a process where snapshots lack lines.
     * The highest peak of a program's runs. For a finding that was split by a rule: events that stayed because only
     * their counts are kept, and how many of these the rule would have moved (-1: not known). */
    "CREATE TABLE process(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, program INTEGER NOT NULL, build INTEGER"
    " NOT NULL, host INTEGER NOT NULL, environment INTEGER NOT NULL, mode INTEGER NOT NULL, pid INTEGER NOT NULL,"
    " first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, seconds REAL NOT NULL DEFAULT 0, bytes INTEGER NOT NULL"
    " DEFAULT 0, blocks INTEGER NOT NULL DEFAULT 0, peak INTEGER NOT NULL DEFAULT 0, resident INTEGER NOT NULL DEFAULT"
    " 0, snapshots INTEGER NOT NULL DEFAULT 0, ended TEXT NOT NULL DEFAULT '');CREATE INDEX process_last ON"
    " process(last_seen);CREATE TABLE snapshot(id INTEGER PRIMARY KEY, process INTEGER NOT NULL, time INTEGER NOT NULL,"
    " name TEXT NOT NULL, allocator TEXT NOT NULL, blocks INTEGER NOT NULL, bytes INTEGER NOT NULL, resident INTEGER"
    " NOT NULL, whole INTEGER NOT NULL);CREATE INDEX snapshot_process ON snapshot(process, whole, time);CREATE INDEX"
    " snapshot_old ON snapshot(time) WHERE whole = 1;CREATE TABLE snapshot_body(snapshot INTEGER PRIMARY KEY, text "
    "TEXT NOT NULL);ALTER TABLE usage ADD COLUMN peak INTEGER NOT NULL"
    " DEFAULT 0;ALTER TABLE finding ADD COLUMN split_left INTEGER NOT NULL DEFAULT 0;ALTER TABLE finding ADD COLUMN"
    " split_wanted INTEGER NOT NULL DEFAULT 0;",

    /* Steering: rules (kind is rf_policy_kind; ended 0: it holds), steps with their reasons, and the call sites near
     * findings. */
    "CREATE TABLE steer(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind INTEGER NOT NULL, program TEXT NOT NULL,"
    " build TEXT NOT NULL, environment TEXT NOT NULL, options TEXT NOT NULL, because TEXT NOT NULL, ended INTEGER NOT"
    " NULL DEFAULT 0, reached INTEGER NOT NULL DEFAULT 0, last_reached INTEGER NOT NULL DEFAULT 0);CREATE INDEX"
    " steer_holds ON steer(id) WHERE ended = 0;CREATE TABLE steer_step(id INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
    " rule INTEGER NOT NULL, finding INTEGER NOT NULL, done TEXT NOT NULL, because TEXT NOT NULL);CREATE TABLE"
    " steer_site(finding INTEGER PRIMARY KEY, build INTEGER NOT NULL, build_key INTEGER NOT NULL, site_key INTEGER NOT"
    " NULL, raised INTEGER NOT NULL);",

    /* Coverage: modules whose calls allocate (name: the build-id, else the path), how long processes of each mode ran
     * with calls of theirs, and the call sites. module.sites and .watched count the rows of site, and those with blocks
     * that were watched; site_watched counts such blocks by mode. site.named 0: its line is to be looked up. */
    "CREATE TABLE module(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, path TEXT NOT NULL, build_id TEXT NOT NULL,"
    " first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, sites INTEGER NOT NULL DEFAULT 0, watched INTEGER NOT"
    " NULL DEFAULT 0);CREATE INDEX module_last ON module(last_seen);CREATE TABLE module_usage(module INTEGER NOT NULL,"
    " program INTEGER NOT NULL, mode INTEGER NOT NULL, processes INTEGER NOT NULL, seconds REAL NOT NULL, PRIMARY"
    " KEY(module, program, mode)) WITHOUT ROWID;CREATE TABLE site(module INTEGER NOT NULL, offset INTEGER NOT NULL,"
    " processes INTEGER NOT NULL DEFAULT 0, last_seen INTEGER NOT NULL DEFAULT 0, blocks INTEGER NOT NULL DEFAULT 0,"
    " last_watched INTEGER NOT NULL DEFAULT 0, named INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(module, offset)) WITHOUT"
    " ROWID;CREATE INDEX site_named ON site(module, offset) WHERE named = 0;CREATE TABLE site_watched(module INTEGER"
    " NOT NULL, offset INTEGER NOT NULL, mode INTEGER NOT NULL, blocks INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
    " PRIMARY KEY(module, offset, mode)) WITHOUT ROWID;",

    /* Records that wait to be sent on to another collector; a number is never used again. */
    "CREATE TABLE outgoing(id INTEGER PRIMARY KEY AUTOINCREMENT, bytes INTEGER NOT NULL, text TEXT NOT NULL);CREATE"
    " INDEX outgoing_bytes ON outgoing(bytes);",

    /* Fixes that wait for their build: looked for with each build-id that comes. */
    "CREATE INDEX finding_waits ON finding(fixed_in) WHERE state = 'fixed' AND fixed_build IS NULL AND fixed_in IS NOT"
    " NULL;",

    /* Captures of serial lines: the bytes that were read when losses were counted, their checksum, and these losses. */
    "CREATE TABLE serial_file(number INTEGER PRIMARY KEY, time INTEGER NOT NULL, bytes INTEGER NOT NULL, sum INTEGER"
    " NOT NULL, damaged INTEGER NOT NULL, incomplete INTEGER NOT NULL, missing INTEGER NOT NULL);",

    /* How many times a capture was truncated, and begun anew. */
    "ALTER TABLE serial_file ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;",

    /* Repeats that wait for their finding: record is the hash of its id. */
    "CREATE TABLE orphan(id INTEGER PRIMARY KEY, record INTEGER NOT NULL, day INTEGER NOT NULL, time INTEGER NOT NULL,"
    " arrived INTEGER NOT NULL, count INTEGER NOT NULL, text TEXT NOT NULL);CREATE UNIQUE INDEX orphan_record ON"
    " orphan(record, day);",

    /* Ends of processes of which no snapshot has come so far: name is the hash of theirs. */
    "CREATE TABLE ended(id INTEGER PRIMARY KEY, name INTEGER NOT NULL UNIQUE, time INTEGER NOT NULL, how TEXT NOT NULL,"
    " seconds REAL NOT NULL, peak INTEGER NOT NULL);",

    /* The last build that was known when a finding was fixed: a fix in the next build is in those behind it. */
    "ALTER TABLE finding ADD COLUMN fixed_after INTEGER NOT NULL DEFAULT 0;UPDATE finding SET fixed_after ="
    " coalesce((SELECT max(b.id) FROM build b WHERE b.first_seen <= finding.fixed_at), 0) WHERE fixed_at IS NOT NULL;",
};

enum { STEPS = sizeof steps / sizeof steps[0] };

int rf_store_schema_version(void) {
  return STEPS;
}

/* Its tables are not those of its version. */
static void refuse(rf_store *store, int version) {
  store->failed = true;
  store->code = SQLITE_CORRUPT;
  (void)snprintf(store->error, sizeof store->error,
                 "the database is damaged, or another program's: it has no schema %d (%s); move it away and restore a"
                 " backup (serve --backup), or start anew",
                 version, sqlite3_errmsg(store->db));
}

static bool apply(rf_store *store, int version) {
  char set[48];
  (void)snprintf(set, sizeof set, "PRAGMA user_version=%d; COMMIT;", version + 1);
  const char *const parts[] = {"BEGIN IMMEDIATE;", steps[version], set};
  for (int i = 0; i < 3; i++) {
    int const code = sqlite3_exec(store->db, parts[i], NULL, NULL, NULL);
    if (code != SQLITE_OK) {
      if (code == SQLITE_ERROR) {
        refuse(store, version);
      }
      rf_store_fail(store, code, "migrating");
      (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
      return false;
    }
  }
  return true;
}

bool rf_store_knows_version(rf_store *store) {
  int64_t const version = rf_store_number(store, 0, "PRAGMA user_version", "");
  if (!store->failed && (version > STEPS || version < 0)) {
    store->failed = true;
    (void)snprintf(store->error, sizeof store->error,
                   "the database is of a newer Ringfence (schema %d, this one knows %d)", (int)version, STEPS);
  }
  return !store->failed;
}

bool rf_store_migrate(rf_store *store) {
  int64_t const version = rf_store_number(store, 0, "PRAGMA user_version", "");
  if (!rf_store_knows_version(store)) {
    return false;
  }
  for (int at = (int)version; at < STEPS; at++) {
    if (!apply(store, at)) {
      return false;
    }
  }
  return true;
}
