#include "tools/service/store/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t rf_store_now(void) {
  struct timespec t = {0, 0};
  (void)clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t rf_store_steady(void) {
  struct timespec t = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- Failures ---- */

static const char *advice_for(int code) {
  switch (code & 0xFF) {
  case SQLITE_FULL:
    return "no space left for the database: free some, or lower --max-size";
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return "the database is damaged: move ringfence.db away and restore a backup (serve --backup), or start anew";
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return "the database is held by another process";
  case SQLITE_READONLY:
  case SQLITE_CANTOPEN:
  case SQLITE_PERM:
    return "the database cannot be opened or written: check its folder and owner";
  case SQLITE_IOERR:
    return "the disk under the database failed to read or write (it may be full)";
  default:
    return NULL;
  }
}

void rf_store_fail(rf_store *store, int code, const char *doing) {
  if (store->failed) {
    return;
  }
  const char *const advice = advice_for(code);
  store->failed = true;
  store->code = code;
  if (advice != NULL) {
    (void)snprintf(store->error, sizeof store->error, "%s (%s)", advice, sqlite3_errstr(code));
  } else {
    const char *const text = store->db != NULL ? sqlite3_errmsg(store->db) : sqlite3_errstr(code);
    (void)snprintf(store->error, sizeof store->error, "%s (%s)", text, doing);
  }
}

void rf_store_close(rf_store *store) {
  for (size_t i = 0; i < RF_STORE_STATEMENTS; i++) {
    (void)sqlite3_finalize(store->entries[i].statement);
    store->entries[i] = (rf_store_entry){NULL, NULL};
  }
  (void)sqlite3_close(store->db);
  store->db = NULL;
}

/* ---- Statements ---- */

static sqlite3_stmt *prepared(rf_store *store, const char *sql) {
  size_t slot = ((uintptr_t)sql >> 3) % RF_STORE_STATEMENTS;
  for (size_t i = 0; i < RF_STORE_STATEMENTS; i++, slot = (slot + 1) % RF_STORE_STATEMENTS) {
    rf_store_entry *const e = &store->entries[slot];
    if (e->sql == sql) {
      return e->statement;
    }
    if (e->sql == NULL) {
      int const code = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &e->statement, NULL);
      if (code != SQLITE_OK) {
        rf_store_fail(store, code, sql);
        return NULL;
      }
      e->sql = sql;
      return e->statement;
    }
  }
  rf_store_fail(store, SQLITE_NOMEM, "too many statements");
  return NULL;
}

/* `copy` is SQLITE_STATIC where the statement runs to its end before the caller goes on. */
static int bind_one(sqlite3_stmt *s, int at, char type, va_list *values, sqlite3_destructor_type copy) {
  switch (type) {
  case 'i':
    return sqlite3_bind_int64(s, at, va_arg(*values, int64_t));
  case 'd':
    return sqlite3_bind_double(s, at, va_arg(*values, double));
  case 't':
    return sqlite3_bind_text(s, at, va_arg(*values, const char *), -1, copy);
  case 's': {
    const char *const text = va_arg(*values, const char *);
    return sqlite3_bind_text64(s, at, text, va_arg(*values, size_t), copy, SQLITE_UTF8);
  }
  case 'b': {
    const void *const bytes = va_arg(*values, const void *);
    return sqlite3_bind_blob64(s, at, bytes, va_arg(*values, size_t), copy);
  }
  default:
    return sqlite3_bind_null(s, at);
  }
}

static sqlite3_stmt *bind_all(rf_store *store, const char *sql, const char *types, va_list *values,
                              sqlite3_destructor_type copy) {
  sqlite3_stmt *const s = store->failed ? NULL : prepared(store, sql);
  if (s == NULL) {
    return NULL;
  }
  for (int i = 0; types[i] != '\0'; i++) {
    int const code = bind_one(s, i + 1, types[i], values, copy);
    if (code != SQLITE_OK) {
      rf_store_fail(store, code, sql);
      return NULL;
    }
  }
  return s;
}

bool rf_store_row(rf_store *store, sqlite3_stmt *statement) {
  if (statement == NULL || store->failed) {
    return false;
  }
  int const code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    return true;
  }
  if (code != SQLITE_DONE) {
    rf_store_fail(store, code, "a statement");
  }
  rf_store_done(statement);
  return false;
}

void rf_store_done(sqlite3_stmt *statement) {
  if (statement != NULL) {
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
  }
}

void rf_store_run(rf_store *store, const char *sql, const char *types, ...) {
  va_list values;
  va_start(values, types);
  sqlite3_stmt *const s = bind_all(store, sql, types, &values, SQLITE_STATIC);
  va_end(values);
  while (rf_store_row(store, s)) {
  }
}

void rf_store_run_numbers(rf_store *store, const char *sql, const int64_t *numbers, size_t count) {
  sqlite3_stmt *const s = store->failed ? NULL : prepared(store, sql);
  for (size_t i = 0; i < count && s != NULL; i++) {
    int const code = sqlite3_bind_int64(s, (int)i + 1, numbers[i]);
    if (code != SQLITE_OK) {
      rf_store_fail(store, code, sql);
      return;
    }
  }
  while (rf_store_row(store, s)) {
  }
}

sqlite3_stmt *rf_store_select(rf_store *store, const char *sql, const char *types, ...) {
  va_list values;
  va_start(values, types);
  sqlite3_stmt *const s = bind_all(store, sql, types, &values, SQLITE_TRANSIENT);
  va_end(values);
  return s;
}

int64_t rf_store_number(rf_store *store, int64_t fallback, const char *sql, const char *types, ...) {
  va_list values;
  va_start(values, types);
  sqlite3_stmt *const s = bind_all(store, sql, types, &values, SQLITE_STATIC);
  va_end(values);
  int64_t result = fallback;
  if (rf_store_row(store, s)) {
    result = sqlite3_column_type(s, 0) == SQLITE_NULL ? fallback : sqlite3_column_int64(s, 0);
    rf_store_done(s);
  }
  return result;
}

const char *rf_store_text(sqlite3_stmt *statement, int column) {
  const char *const text = (const char *)sqlite3_column_text(statement, column);
  return text == NULL ? "" : text;
}

/* ---- Transactions ---- */

void rf_store_begin(rf_store *store) {
  store->failed = false;
  store->error[0] = '\0';
  rf_store_run(store, "BEGIN IMMEDIATE", "");
}

void rf_store_rollback(rf_store *store) {
  if (sqlite3_get_autocommit(store->db) == 0) {
    (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
  }
}

bool rf_store_commit(rf_store *store) {
  rf_store_run(store, "COMMIT", "");
  if (!store->failed) {
    return true;
  }
  rf_store_rollback(store);
  store->failed = false; /* the message stays; the next transaction starts afresh */
  return false;
}

bool rf_store_is_held(rf_store *store, int wait_ms) {
  if (sqlite3_get_autocommit(store->db) == 0) {
    return false;
  }
  (void)sqlite3_busy_timeout(store->db, wait_ms);
  int const code = sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
  (void)sqlite3_busy_timeout(store->db, store->wait_ms);
  rf_store_rollback(store);
  return (code & 0xFF) == SQLITE_BUSY;
}

void rf_store_wait(rf_store *store, int most_ms) {
  store->wait_ms = most_ms;
  (void)sqlite3_busy_timeout(store->db, most_ms);
}
