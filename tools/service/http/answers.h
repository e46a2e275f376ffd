/* Answers to what was asked just now: while the store stays as it is, hundreds who ask for one list cost one.
 *
 * Algorithm: a few answers, the oldest replaced first. One counts for a second, since pages tell how long ago something
 * was, and as long as nobody has written to the database.
 * Overhead: RF_ANSWERS answers of RF_ANSWER_MOST bytes at most.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_ANSWERS_H
#define RINGFENCE_TOOLS_SERVICE_ANSWERS_H

#include "tools/service/store/store.h"

#include <microhttpd.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_ANSWERS = 6, RF_ANSWER_MOST = 1 << 20, RF_ANSWER_MS = 1000 };

typedef struct rf_answer {
  char *key; /* NULL: none */
  struct MHD_Response *response;
  size_t length;
  int64_t made;
  int64_t version; /* of the data, as SQLite counts commits of others */
  int64_t written; /* rows, by this process */
} rf_answer;

/* Starts as zeros. */
typedef struct rf_answers {
  rf_answer list[RF_ANSWERS];
  size_t next;
} rf_answers;

/* The answer to `key` that still counts; NULL where there is none. */
const rf_answer *rf_answers_find(rf_answers *all, rf_store *store, const char *key);

/* Keeps the answer, which was made just now, with a reference to it. False: it is too large, or there is no memory. */
bool rf_answers_keep(rf_answers *all, rf_store *store, const char *key, struct MHD_Response *response, size_t length);

void rf_answers_free(rf_answers *all);

#ifdef __cplusplus
}
#endif

#endif
