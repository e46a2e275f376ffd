#include "tools/service/intake/builds.h"

#include "tools/service/intake/renew.h"

#include <string.h>

enum { SHORTEST_REVISION = 7 };

static int64_t find(rf_store *store, const char *name) {
  return rf_store_number(store, 0, "SELECT id FROM build WHERE name = ?", "t", name);
}

#define HEXADECIMAL(text) "length(" text ") >= 7 AND " text " NOT GLOB '*[^0-9a-fA-F]*'"
#define BEGINS_WITH(text, start) "substr(lower(" text "), 1, length(" start ")) = lower(" start ")"

/* The only row of the statement; 0: none, RF_BUILD_AMBIGUOUS: several. */
static int64_t only(rf_store *store, sqlite3_stmt *s) {
  int64_t id = 0;
  while (rf_store_row(store, s)) {
    id = id == 0 ? sqlite3_column_int64(s, 0) : RF_BUILD_AMBIGUOUS;
  }
  return id;
}

/* The build that has a start of `text` as its revision, and shares it with no other. */
static int64_t find_start(rf_store *store, const char *text) {
  return only(store,
              rf_store_select(
                  store,
                  "SELECT id FROM build b WHERE " HEXADECIMAL("?1") " AND " HEXADECIMAL("revision") " AND " BEGINS_WITH(
                      "?1", "revision") " AND NOT EXISTS (SELECT 1"
                                        " FROM build o WHERE o.id <> b.id AND " BEGINS_WITH("o.revision",
                                                                                            "b.revision") ") LIMIT 2",
                  "t", text));
}

/* The build whose revision is a longer or a shorter form of this one. */
static int64_t find_shortened(rf_store *store, const char *revision) {
  int64_t const longer =
      strlen(revision) < SHORTEST_REVISION
          ? 0
          : only(store, rf_store_select(store,
                                        "SELECT id FROM build WHERE " HEXADECIMAL("?1") " AND " HEXADECIMAL(
                                            "revision") " AND " BEGINS_WITH("revision", "?1") " LIMIT 2",
                                        "t", revision));
  return longer != 0 ? longer : find_start(store, revision);
}

/* A build's name: its commit, else its version, else its build-id. */
static const char *name_of(const char *version, const char *revision, const char *build_id) {
  const char *const name = revision[0] != '\0' ? revision : version[0] != '\0' ? version : build_id;
  return name[0] == '\0' ? "(unknown)" : name;
}

/* Fixes that wait for the build, by the beginning of a commit or a build-id, too. */
static void tie_fixes(rf_store *store, int64_t id, const char *version, const char *revision, const char *build_id) {
  rf_store_run(store,
               "UPDATE finding SET fixed_build = ?1 WHERE state = 'fixed' AND fixed_build IS NULL AND fixed_in IS NOT"
               " NULL AND (fixed_in IN (?2, ?3, ?4) OR (length(fixed_in) >= 7 AND lower(fixed_in) IN"
               " (substr(lower(?3), 1, length(fixed_in)), substr(lower(?4), 1, length(fixed_in)))) OR (" HEXADECIMAL(
                   "?3") " AND " HEXADECIMAL("fixed_in") " AND " BEGINS_WITH("fixed_in", "?3") "))",
               "ittt", id, version, revision, build_id);
}

/* Programs of one commit have a build-id each; CI may tell of the commit before any of them runs. */
static void tell_more(rf_store *store, int64_t id, const char *version, const char *revision, const char *build_id) {
  if (rf_store_number(store, 0, "SELECT 1 FROM build WHERE id = ? AND version = ? AND build_id = ?", "itt", id, version,
                      build_id) == 0) {
    rf_store_run(store,
                 "UPDATE build SET version = CASE WHEN version = '' THEN ?2 ELSE version END, build_id = CASE WHEN"
                 " build_id = '' THEN ?3 ELSE build_id END WHERE id = ?1 AND (version = '' OR build_id = '')",
                 "itt", id, version, build_id);
    tie_fixes(store, id, version, revision, build_id);
  }
}

/* The build is known by a part of its revision: from now on by the longer one. */
static void lengthen(rf_store *store, int64_t id, const char *version, const char *revision, const char *build_id) {
  if (rf_store_number(store, 0, "SELECT 1 FROM build WHERE id = ? AND length(revision) < length(?)", "it", id,
                      revision) != 0) {
    rf_store_run(store, "UPDATE build SET revision = ?2, name = ?2 WHERE id = ?1", "it", id, revision);
    tie_fixes(store, id, version, revision, build_id);
  }
}

static int64_t insert(rf_store *store, const char *version, const char *revision, const char *build_id, int64_t time,
                      bool given) {
  rf_store_run(store,
               "INSERT INTO build(name, version, revision, build_id, ordered_at, given, first_seen, last_seen)"
               " VALUES(?1,?2,?3,?4,?5,?6,?7,?7)",
               "ttttiii", name_of(version, revision, build_id), version, revision, build_id, time, (int64_t)given,
               given ? rf_store_now() : time);
  int64_t const id = sqlite3_last_insert_rowid(store->db);
  tie_fixes(store, id, version, revision, build_id);
  return id;
}

int64_t rf_build_of(rf_store *store, const char *version, const char *revision, const char *build_id, int64_t time) {
  int64_t id = find(store, name_of(version, revision, build_id));
  if (id == 0) {
    id = find_shortened(store, revision);
    if (id <= 0 && !store->failed) { /* one that fits two is neither */
      return insert(store, version, revision, build_id, time, false);
    }
    lengthen(store, id, version, revision, build_id);
  }
  tell_more(store, id, version, revision, build_id);
  return id;
}

int64_t rf_build_given(rf_store *store, const char *version, const char *revision, int64_t time) {
  int64_t id = find(store, name_of(version, revision, ""));
  if (id == 0) {
    id = find_shortened(store, revision);
    if (id <= 0) {
      return id < 0 ? id : insert(store, version, revision, "", time, true);
    }
    lengthen(store, id, version, revision, "");
  }
  rf_store_run(
      store,
      "UPDATE build SET ordered_at = ?2, given = 1, version = CASE WHEN ?3 = '' THEN version ELSE ?3 END WHERE id ="
      " ?1",
      "iit", id, time, version);
  rf_renew_build(store, id);
  tie_fixes(store, id, version, revision, "");
  return id;
}

int64_t rf_build_named(rf_store *store, const char *text) {
  if (text[0] == '\0') {
    return 0; /* what a build does not say is no name of it */
  }
  int64_t const exact = rf_store_number(
      store, 0,
      "SELECT id FROM build WHERE ?1 IN (name, version, build_id) ORDER BY name = ?1 DESC, ordered_at DESC,"
      " id DESC",
      "t", text);
  if (exact != 0 || strlen(text) < SHORTEST_REVISION) {
    return exact;
  }
  int64_t const begun =
      only(store, rf_store_select(store,
                                  "SELECT id FROM build WHERE " BEGINS_WITH("revision", "?1") " OR " BEGINS_WITH(
                                      "build_id", "?1") " LIMIT 2",
                                  "t", text));
  return begun != 0 ? begun : find_start(store, text);
}

bool rf_build_has_fix(rf_store *store, int64_t finding, int64_t build) {
  return rf_store_number(store, 0,
                         "SELECT " RF_BUILD_HAS_FIX("b", "f") " FROM finding f, build b WHERE f.id = ? AND b.id = ?",
                         "ii", finding, build) != 0;
}
