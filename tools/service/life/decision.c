#include "tools/service/life/decision.h"

#include "tools/service/intake/builds.h"
#include "tools/service/intake/renew.h"

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

/* True if finding `id` is fixed and `other` was seen, in that decision's millisecond or later, in a build that has the
 * fix: one too many that is open again costs a look, one too few hides a bug that came back. */
static bool brings_back(rf_store *store, int64_t id, int64_t other) {
  sqlite3_stmt *const s =
      rf_store_select(store,
                      "SELECT c.what FROM finding f, counter c WHERE f.id = ?1 AND f.state = 'fixed' AND c.kind = 2 AND"
                      " (c.last_seen >= f.fixed_at OR c.what > f.fixed_after) AND c.finding IN (SELECT id FROM finding "
                      "WHERE id = ?2 OR merged_into = ?2)",
                      "ii", id, other);
  bool back = false;
  while (rf_store_row(store, s)) {
    back = back || rf_build_has_fix(store, id, sqlite3_column_int64(s, 0));
  }
  return back;
}

/* An alert of the part that waits would say that it is new: it is not, but it may have come back, or be new in that
 * environment. To be called while the part is none yet. */
static void join_alerts(rf_store *store, int64_t id, int64_t other, bool back) {
  if (back) {
    rf_store_run(store, "UPDATE activity SET finding = ?1, kind = 'reopened' WHERE finding = ?2 AND alert = 1", "ii",
                 id, other);
    return;
  }
  rf_store_run(store,
               "UPDATE activity SET finding = ?1 WHERE finding = ?2 AND alert = 1 AND (SELECT state FROM finding WHERE"
               " id = ?1) = 'open' AND environment NOT IN (SELECT n.text FROM counter c JOIN name n ON n.id = c.what"
               " WHERE c.kind = 4 AND c.finding IN (SELECT id FROM finding WHERE id = ?1 OR merged_into = ?1))",
               "ii", id, other);
  rf_store_run(store, "UPDATE activity SET alert = 0 WHERE finding = ? AND alert = 1", "i", other);
}

void rf_decision_join(rf_store *store, int64_t id, int64_t other) {
  char text[64];
  bool const back = brings_back(store, id, other);
  join_alerts(store, id, other, back);
  /* merged_via lets a split give them back. */
  rf_store_run(store, "UPDATE finding SET merged_into = ?1, merged_via = ?2 WHERE merged_into = ?2", "ii", id, other);
  rf_store_run(store, "UPDATE finding SET merged_into = ?1, merged_via = NULL WHERE id = ?2", "ii", id, other);
  rf_renew(store, id);
  (void)snprintf(text, sizeof text, "finding %" PRId64, other);
  rf_decision_note(store, id, "merged", text);
  if (back) {
    rf_store_run(store, "UPDATE finding SET state = 'reopened' WHERE id = ?", "i", id);
    rf_decision_note(store, id, "reopened", text);
  }
}
