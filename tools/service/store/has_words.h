/* A function of SQL for searches: whether a text has all words of a question. */
#ifndef RINGFENCE_TOOLS_SERVICE_HAS_WORDS_H
#define RINGFENCE_TOOLS_SERVICE_HAS_WORDS_H

#include <sqlite3.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Its name; its arguments are a text, and words with spaces between them. NULL has none. */
#define RF_STORE_HAS_WORDS "rf_has_words"

/* Returns the code of SQLite. */
int rf_store_add_has_words(sqlite3 *db);

#ifdef __cplusplus
}
#endif

#endif
