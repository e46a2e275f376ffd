#include "tools/service/life/decision.h"

#include <inttypes.h>
#include <stdio.h>

void rf_decision_note(rf_store *store, int64_t finding, const char *kind, const char *text) {
  rf_store_run(store, "INSERT INTO activity(time, finding, kind, environment, text) VALUES(?,?,?,'',?)", "iitt",
               rf_store_now(), finding, kind, text);
}

bool rf_decision_refuse(char message[RF_TRIAGE_MESSAGE], const char *why) {
  (void)snprintf(message, RF_TRIAGE_MESSAGE, "%s", why);
  return false;
}

void rf_decision_renew(rf_store *store, int64_t finding) {
  rf_store_run(store,
               "WITH own AS (SELECT what, first_seen, last_seen FROM counter WHERE kind = 2 AND finding IN"
               " (SELECT id FROM finding WHERE id = ?1 OR merged_into = ?1))"
               " UPDATE finding SET first_seen = (SELECT min(first_seen) FROM own),"
               " last_seen = (SELECT max(last_seen) FROM own),"
               " first_build = (SELECT what FROM own ORDER BY first_seen, what LIMIT 1)"
               " WHERE id = ?1 AND EXISTS (SELECT 1 FROM own)",
               "i", finding);
}

void rf_decision_join(rf_store *store, int64_t id, int64_t other) {
  char text[64];
  /* merged_via lets a split give them back. */
  rf_store_run(store, "UPDATE finding SET merged_into = ?1, merged_via = ?2 WHERE merged_into = ?2", "ii", id, other);
  rf_store_run(store, "UPDATE finding SET merged_into = ?1, merged_via = NULL WHERE id = ?2", "ii", id, other);
  rf_decision_renew(store, id);
  (void)snprintf(text, sizeof text, "finding %" PRId64, other);
  rf_decision_note(store, id, "merged", text);
}
