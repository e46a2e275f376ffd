#include "tools/service/store/has_words.h"
#include "tools/service/store/schema.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool execute(rf_store *store, const char *sql) {
  int const code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
  if (code != SQLITE_OK) {
    rf_store_fail(store, code, "opening");
  }
  return code == SQLITE_OK;
}

int64_t rf_store_version(rf_store *store) {
  return rf_store_number(store, 0, "PRAGMA user_version", "");
}

static bool reads(rf_store_access access) {
  return access == RF_STORE_READ || access == RF_STORE_READ_OLDER;
}

static bool set_up(rf_store *store, rf_store_access access) {
  rf_store_wait(store, RF_STORE_BUSY_MS);
  (void)sqlite3_extended_result_codes(store->db, 1);
  if (reads(access)) {
    return execute(store, "PRAGMA query_only=1; PRAGMA cache_size=-4000; SELECT count(*) FROM sqlite_schema;");
  }
  /* One that is refused is not written to: the first of these changes its header. */
  if (access == RF_STORE_CREATE &&
      !(rf_store_knows_version(store) && execute(store, "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;"))) {
    return false;
  }
  return execute(store, "PRAGMA synchronous=FULL; PRAGMA cache_size=-8000; PRAGMA journal_size_limit=33554432;"
                        "PRAGMA wal_autocheckpoint=4000; PRAGMA trusted_schema=0;");
}

static bool check_version(rf_store *store, rf_store_access access) {
  int64_t const version = rf_store_version(store);
  bool const takes_older = access == RF_STORE_READ_OLDER || access == RF_STORE_COPY;
  bool const older = version > 0 && version < rf_store_schema_version();
  if (store->failed || version == rf_store_schema_version() || (older && takes_older)) {
    return !store->failed;
  }
  store->failed = true;
  (void)snprintf(store->error, sizeof store->error,
                 version > rf_store_schema_version()
                     ? "the database is of a newer Ringfence (schema %d, this one knows %d)"
                     : "the database is of an older Ringfence (schema %d, this one knows %d): to migrate it, which"
                       " cannot be undone, end the older `ringfence serve` if it runs, and start this one",
                 (int)version, rf_store_schema_version());
  return false;
}

static bool open_by(rf_store *store, const char *path, int flags, rf_store_access access) {
  *store = (rf_store){.db = NULL};
  /* No thread but this one; both are refused, without harm, once SQLite runs. */
  (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
  (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  int code = sqlite3_open_v2(path, &store->db, flags, NULL);
  code = code == SQLITE_OK ? rf_store_add_has_words(store->db) : code;
  if (code != SQLITE_OK) {
    rf_store_fail(store, code, path);
  }
  bool const open = code == SQLITE_OK && set_up(store, access) &&
                    (access == RF_STORE_CREATE ? rf_store_migrate(store) : check_version(store, access));
  if (!open) {
    rf_store_close(store);
  }
  return open;
}

/* ---- Stores that nobody can write ---- */

/* Commits that are in the log beside the database alone: a reader who cannot open it would miss them. */
static bool has_log(const char *path) {
  char log[4096];
  struct stat st;
  int const length = snprintf(log, sizeof log, "%s-wal", path);
  return length < 0 || (size_t)length >= sizeof log || (stat(log, &st) == 0 && st.st_size != 0);
}

/* As a URI; false where there is no room. */
static bool put_immutable(char *out, size_t room, const char *path) {
  static const char digits[] = "0123456789ABCDEF";
  static const char begin[] = "file:";
  static const char end[] = "?immutable=1";
  size_t at = sizeof begin - 1;
  memcpy(out, begin, at);
  for (; *path != '\0' && at + 3 + sizeof end < room; path++) {
    bool const plain = strchr("%?#", *path) == NULL;
    out[at++] = (char)(plain ? *path : '%');
    if (!plain) {
      out[at++] = digits[(unsigned char)*path >> 4];
      out[at++] = digits[*path & 15];
    }
  }
  memcpy(out + at, end, sizeof end);
  return *path == '\0';
}

bool rf_store_open(rf_store *store, const char *path, rf_store_access access) {
  char uri[4096];
  int const flags = SQLITE_OPEN_READWRITE | (access == RF_STORE_CREATE ? SQLITE_OPEN_CREATE : 0);
  if (open_by(store, path, flags, access)) {
    return true;
  }
  int const code = store->code & 0xFF;
  /* A full disk has room for the index's name, but not for its pages. */
  bool const refused = code == SQLITE_CANTOPEN || code == SQLITE_READONLY || code == SQLITE_PERM ||
                       code == SQLITE_IOERR || code == SQLITE_FULL;
  return (reads(access) || access == RF_STORE_COPY) && refused && !has_log(path) &&
         put_immutable(uri, sizeof uri, path) && open_by(store, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, access);
}
