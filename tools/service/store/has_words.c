#include "tools/service/store/has_words.h"

#include <stdbool.h>
#include <string.h>

static bool has_all(const char *text, size_t length, const char *words) {
  for (words += strspn(words, " "); *words != '\0'; words += strspn(words, " ")) {
    size_t const word = strcspn(words, " ");
    if (memmem(text, length, words, word) == NULL) {
      return false;
    }
    words += word;
  }
  return true;
}

static void answer(sqlite3_context *context, int count, sqlite3_value **values) {
  const char *const text = (const char *)sqlite3_value_text(values[0]);
  const char *const words = (const char *)sqlite3_value_text(values[1]);
  (void)count;
  sqlite3_result_int(context,
                     text != NULL && words != NULL && has_all(text, (size_t)sqlite3_value_bytes(values[0]), words));
}

int rf_store_add_has_words(sqlite3 *db) {
  return sqlite3_create_function_v2(db, RF_STORE_HAS_WORDS, 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, answer, NULL,
                                    NULL, NULL);
}
