/* The store of findings: one SQLite database, one writer, any number of readers.
 *
 * Files: DIR/ringfence.db, with -wal and -shm beside it while it is open.
 * Durability: write-ahead log, synchronous=FULL: what rf_store_commit reported as done survives a loss of power.
 * Versions: PRAGMA user_version; rf_store_open migrates an older database and refuses a newer one.
 * Errors: sticky. The first failed statement sets `error`; later statements do nothing until rf_store_commit or
 * rf_store_rollback, so that callers check once for each transaction.
 * Threads: one at a time.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_STORE_H
#define RINGFENCE_TOOLS_SERVICE_STORE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_DAY_MS = 86400000 };

enum { RF_STORE_STATEMENTS = 512, RF_STORE_ERROR = 240, RF_STORE_BUSY_MS = 10000 };

/* A prepared statement, found again by the address of its text. */
typedef struct rf_store_entry {
  const char *sql;
  sqlite3_stmt *statement;
} rf_store_entry;

typedef struct rf_store {
  sqlite3 *db;
  bool failed;
  int code;                   /* of SQLite, for the first failure */
  int wait_ms;                /* rf_store_wait */
  char error[RF_STORE_ERROR]; /* a sentence for the user; empty unless failed */
  rf_store_entry entries[RF_STORE_STATEMENTS];
} rf_store;

typedef enum rf_store_access {
  RF_STORE_READ,
  RF_STORE_WRITE,
  RF_STORE_CREATE,
  RF_STORE_READ_OLDER, /* also one that an older Ringfence has left, and that was not migrated yet */
  RF_STORE_COPY        /* the same, to write a copy of it */
} rf_store_access;

/* The outcome of a change that a user asked for. */
typedef enum rf_store_outcome {
  RF_STORE_DONE,
  RF_STORE_REFUSED, /* what it says, or what is in the store, does not allow it */
  RF_STORE_FAILED   /* the store did: the same may be done later */
} rf_store_outcome;

/* Opens `path`; CREATE also makes and migrates it. On failure returns false with store->error set; the store is closed
 * then. */
bool rf_store_open(rf_store *store, const char *path, rf_store_access access);
void rf_store_close(rf_store *store);

/* The version of its schema; that of this program is rf_store_schema_version (schema.h). */
int64_t rf_store_version(rf_store *store);

/* One transaction, of the writer. rf_store_commit returns false with `error` set, and has rolled back, where any
 * statement since rf_store_begin failed or the commit itself does. */
void rf_store_begin(rf_store *store);
bool rf_store_commit(rf_store *store);
void rf_store_rollback(rf_store *store);

/* True where another program holds the lock for writing after so many milliseconds. Readers need no lock. Outside of a
 * transaction. */
bool rf_store_is_held(rf_store *store, int wait_ms);

/* From now on a transaction waits that long for one that another program is within, and then fails. A store that was
 * opened waits RF_STORE_BUSY_MS. */
void rf_store_wait(rf_store *store, int most_ms);

/* Runs one statement to its end. `sql` is a string literal, prepared once. `types` has a letter for each value that
 * follows: i int64_t, d double, t const char * (NULL: null), s const char * and its size_t, b const void * and size_t,
 * n null. */
void rf_store_run(rf_store *store, const char *sql, const char *types, ...);

/* The same with `count` numbers. */
void rf_store_run_numbers(rf_store *store, const char *sql, const int64_t *numbers, size_t count);

/* The same for a statement with rows: step with rf_store_row, which returns false at the end and resets it.
 * A caller that stops before the end calls rf_store_done. NULL after a failure; rf_store_row takes that. */
sqlite3_stmt *rf_store_select(rf_store *store, const char *sql, const char *types, ...);
bool rf_store_row(rf_store *store, sqlite3_stmt *statement);
void rf_store_done(sqlite3_stmt *statement);

/* The first column of the first row; `fallback` where there is none. */
int64_t rf_store_number(rf_store *store, int64_t fallback, const char *sql, const char *types, ...);

/* A column as text, "" for null; valid until the next row. */
const char *rf_store_text(sqlite3_stmt *statement, int column);

/* Notes a failure of SQLite, unless one is noted already. */
void rf_store_fail(rf_store *store, int code, const char *doing);

/* Milliseconds since 1970. */
int64_t rf_store_now(void);

/* Milliseconds of a clock that does not step, for waits; it means nothing to another process. */
int64_t rf_store_steady(void);

#ifdef __cplusplus
}
#endif

#endif
