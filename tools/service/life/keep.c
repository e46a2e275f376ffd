#include "tools/service/life/keep.h"

#include "tools/service/intake/coverage.h"

/* Modules that a step forgets, with their call sites: each may have thousands. */
enum { OLD_MODULES_MOST = 5 };

static int64_t used_bytes(rf_store *store) {
  int64_t const pages = rf_store_number(store, 0, "PRAGMA page_count", "");
  int64_t const unused = rf_store_number(store, 0, "PRAGMA freelist_count", "");
  return (pages - unused) * rf_store_number(store, 0, "PRAGMA page_size", "");
}

#define OLD_MIDDLE                                                                                                     \
  "(SELECT e.id FROM event e JOIN finding f ON f.id = e.finding WHERE e.middle = 1 AND e.time < ? AND e.id NOT IN "    \
  "(f.first_event, f.last_event, f.richest_event) ORDER BY e.time LIMIT 500)"

/* Their figures stay. */
#define OLD_SNAPSHOTS "(SELECT id FROM snapshot WHERE whole = 1 AND time < ? ORDER BY time LIMIT 50)"

/* The module that nobody ran for the longest time. */
#define OLD_MODULE "SELECT id FROM module WHERE last_seen < ? ORDER BY last_seen LIMIT 1"

static int64_t forget_modules(rf_store *store, int64_t before) {
  int64_t forgotten = 0;
  for (; forgotten < OLD_MODULES_MOST; forgotten++) {
    int64_t const module = rf_store_number(store, 0, OLD_MODULE, "i", before);
    if (module == 0) {
      break;
    }
    rf_coverage_forget(store, module);
  }
  return forgotten;
}

int64_t rf_keep_step(rf_store *store, const rf_keep *keep) {
  bool const large = keep->bytes != 0 && used_bytes(store) > keep->bytes;
  int64_t const now = rf_store_now();
  /* If it is too large, also those of a clock that was ahead and has been set back. */
  int64_t const before = large ? INT64_MAX : now - keep->days * RF_DAY_MS;
  int64_t const forgotten = keep->days == 0 ? 0 : now - keep->days * RF_DAY_MS;
  if (!large && keep->days == 0) {
    return 0;
  }
  if (rf_store_number(store, 0, "SELECT count(*) FROM " OLD_MIDDLE, "i", before) == 0 &&
      rf_store_number(store, 0, "SELECT count(*) FROM " OLD_SNAPSHOTS, "i", before) == 0 &&
      rf_store_number(store, 0, OLD_MODULE, "i", forgotten) == 0) {
    return 0;
  }
  rf_store_begin(store);
  rf_store_run(store, "DELETE FROM body WHERE event IN " OLD_MIDDLE, "i", before);
  rf_store_run(store, "DELETE FROM event WHERE id IN " OLD_MIDDLE, "i", before);
  int64_t deleted = sqlite3_changes(store->db);
  rf_store_run(store, "DELETE FROM snapshot_body WHERE snapshot IN " OLD_SNAPSHOTS, "i", before);
  rf_store_run(store, "UPDATE snapshot SET whole = 0 WHERE id IN " OLD_SNAPSHOTS, "i", before);
  deleted += sqlite3_changes(store->db);
  deleted += forget_modules(store, forgotten);
  if (!rf_store_commit(store)) {
    return -1;
  }
  rf_store_run(store, "PRAGMA incremental_vacuum(500)", "");
  return deleted;
}
