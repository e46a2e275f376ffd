/* Columns and rows of statements, as JSON. */
#include "tools/service/query/query.h"

#include <stdio.h>
#include <string.h>

static void put_column(rf_query *q, sqlite3_stmt *s, int column, const char *name, char kind) {
  switch (kind) {
  case '#':
    rf_json_put_number(&q->w, name, sqlite3_column_int64(s, column));
    break;
  case '@':
    rf_query_put_time(q, name, sqlite3_column_int64(s, column));
    break;
  case '~':
    rf_query_put_real(q, name, sqlite3_column_double(s, column) / 3600);
    break;
  case '?':
    rf_json_put_bool(&q->w, name, sqlite3_column_int64(s, column) != 0);
    break;
  case '*':
    rf_json_put_text(&q->w, name, (const char *)sqlite3_column_text(s, column));
    break;
  default:
    rf_json_put_text(&q->w, name, rf_store_text(s, column));
  }
}

void rf_query_put_columns(rf_query *q, sqlite3_stmt *s, int first, const char *columns) {
  char name[32];
  for (const char *at = columns; *at != '\0'; first++) {
    size_t const length = strcspn(at, " ");
    char mark = at[length - 1];
    if (strchr("#@~?*", mark) == NULL) {
      mark = '\0';
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)(length - (mark != '\0')), at);
    put_column(q, s, first, name, mark);
    at += length;
    at += *at == ' ';
  }
}

void rf_query_put_rows(rf_query *q, const char *name, sqlite3_stmt *s, const char *columns) {
  rf_json_open(&q->w, name, "[");
  while (rf_store_row(q->store, s)) {
    rf_json_open(&q->w, NULL, "{");
    rf_query_put_columns(q, s, 0, columns);
    rf_json_close(&q->w, "}");
  }
  rf_json_close(&q->w, "]");
}

void rf_query_put_texts(rf_query *q, const char *name, sqlite3_stmt *s) {
  rf_json_open(&q->w, name, "[");
  while (rf_store_row(q->store, s)) {
    rf_json_put_text(&q->w, NULL, rf_store_text(s, 0));
  }
  rf_json_close(&q->w, "]");
}
