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

void rf_decision_join(rf_store *store, int64_t id, int64_t other) {
  char text[64];
  /* merged_via lets a split give them back. */
  rf_store_run(store, "UPDATE finding SET merged_into = ?1, merged_via = ?2 WHERE merged_into = ?2", "ii", id, other);
  rf_store_run(store, "UPDATE finding SET merged_into = ?1, merged_via = NULL WHERE id = ?2", "ii", id, other);
  rf_store_run(
      store,
      "UPDATE finding SET last_seen = max(last_seen, (SELECT last_seen FROM finding WHERE id = ?2)), first_seen ="
      " min(first_seen, (SELECT first_seen FROM finding WHERE id = ?2)) WHERE id = ?1",
      "ii", id, other);
  (void)snprintf(text, sizeof text, "finding %" PRId64, other);
  rf_decision_note(store, id, "merged", text);
}
