#include "tools/service/http/answers.h"

#include <stdlib.h>
#include <string.h>

static int64_t version_of(rf_store *store) {
  return rf_store_number(store, 0, "PRAGMA data_version", "");
}

static void drop(rf_answer *a) {
  if (a->key != NULL) {
    MHD_destroy_response(a->response);
    free(a->key);
  }
  *a = (rf_answer){.key = NULL};
}

const rf_answer *rf_answers_find(rf_answers *all, rf_store *store, const char *key) {
  for (size_t i = 0; i < RF_ANSWERS; i++) {
    const rf_answer *const a = &all->list[i];
    if (a->key != NULL && strcmp(a->key, key) == 0 && rf_store_steady() - a->made < RF_ANSWER_MS &&
        a->written == sqlite3_total_changes(store->db) && a->version == version_of(store)) {
      return a;
    }
  }
  return NULL;
}

bool rf_answers_keep(rf_answers *all, rf_store *store, const char *key, struct MHD_Response *response, size_t length) {
  char *const copy = length > RF_ANSWER_MOST ? NULL : strdup(key);
  if (copy == NULL) {
    return false;
  }
  rf_answer *const a = &all->list[all->next];
  all->next = (all->next + 1) % RF_ANSWERS;
  drop(a);
  *a = (rf_answer){copy, response, length, rf_store_steady(), version_of(store), sqlite3_total_changes(store->db)};
  return true;
}

void rf_answers_free(rf_answers *all) {
  for (size_t i = 0; i < RF_ANSWERS; i++) {
    drop(&all->list[i]);
  }
}
