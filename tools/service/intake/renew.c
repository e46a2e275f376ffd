#include "tools/service/intake/renew.h"

static void renew(rf_store *store, int64_t finding) {
  rf_store_run(store,
               "WITH own AS MATERIALIZED (SELECT what, min(first_seen) AS first_seen, max(last_seen) AS last_seen FROM"
               " counter WHERE kind = 2 AND finding IN (SELECT id FROM finding WHERE id = ?1 OR merged_into = ?1) GROUP"
               " BY what)"
               " UPDATE finding SET first_seen = (SELECT min(first_seen) FROM own),"
               " last_seen = (SELECT max(last_seen) FROM own),"
               " first_build = (SELECT what FROM own ORDER BY first_seen, what LIMIT 1),"
               " last_build = (SELECT what FROM own ORDER BY last_seen DESC, what DESC LIMIT 1)"
               " WHERE id = ?1 AND EXISTS (SELECT 1 FROM own)",
               "i", finding);
}

void rf_renew(rf_store *store, int64_t finding) {
  int64_t const whole = rf_store_number(store, 0, "SELECT merged_into FROM finding WHERE id = ?", "i", finding);
  renew(store, finding);
  if (whole != 0) {
    renew(store, whole);
  }
}
