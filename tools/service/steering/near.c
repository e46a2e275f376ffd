#include "tools/service/steering/near.h"

#include "checkers/report/policy.h"
#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/base/json.h"
#include "tools/service/steering/rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { AT_ONCE = 32 };

/* NEW: among the findings that were seen last, as many as a policy has sites, those whose site is not known for the
 * build that had them last. OVER: sites whose findings are no longer open. */
#define OPEN "(f.merged_into IS NULL AND f.state IN ('open', 'reopened'))"
#define NEW                                                                                                            \
  "FROM (SELECT * FROM finding f WHERE " OPEN " AND f.last_event IS NOT NULL ORDER BY f.last_seen DESC LIMIT 256) f"   \
  " LEFT JOIN steer_site s ON s.finding = f.id WHERE s.finding IS NULL OR s.build <> f.last_build OR s.raised = 0"
#define OVER "FROM steer_site s JOIN finding f ON f.id = s.finding WHERE s.raised = 1 AND NOT " OPEN

typedef struct near_site {
  int64_t finding;
  int64_t build;
  uint64_t build_key;
  uint32_t key; /* 0: the finding has no allocation, or no program with a build-id */
  bool raised;  /* in another build */
  char title[160];
} near_site;

static uint32_t key_of(const rf_json *finding) {
  const rf_json *const frames = rf_json_member(rf_json_member(finding, "allocated"), "frames");
  uintptr_t pcs[RF_POLICY_SITE_DEPTH];
  unsigned depth = 0;
  for (const rf_json *f = frames == NULL ? NULL : frames->first; f != NULL && depth < RF_POLICY_SITE_DEPTH;
       f = f->next) {
    pcs[depth++] = (uintptr_t)rf_json_unsigned(f, "pc", 0);
  }
  return depth == 0 ? 0 : rf_policy_site_key(pcs, depth);
}

static void read_site(rf_bump_arena *arena, sqlite3_stmt *s, near_site *out) {
  const char *const text = rf_store_text(s, 2);
  const rf_json *const record = rf_json_parse(arena, text, strlen(text));
  const rf_json *const build = rf_json_member(record, "build");
  out->finding = sqlite3_column_int64(s, 0);
  out->build = sqlite3_column_int64(s, 1);
  out->build_key = rf_policy_build_key(rf_json_text(build, "build_id", ""));
  out->key = out->build_key == 0 ? 0 : key_of(rf_json_member(record, "finding"));
  out->raised = sqlite3_column_int64(s, 4) != 0;
  (void)snprintf(out->title, sizeof out->title, "%s", rf_store_text(s, 3));
}

static void raise_site(rf_store *store, const near_site *n) {
  char because[256];
  rf_store_run(store,
               "INSERT INTO steer_site(finding, build, build_key, site_key, raised) VALUES(?1,?2,?3,?4,1) ON"
               " CONFLICT(finding) DO UPDATE SET build = ?2, build_key = ?3, site_key = ?4, raised = 1",
               "iiii", n->finding, n->build, (int64_t)n->build_key, (int64_t)n->key);
  if (n->key != 0 && !n->raised) {
    (void)snprintf(because, sizeof because, "finding %" PRId64 " is open: %s", n->finding, n->title);
    rf_steer_note(store, 0, n->finding, "call site raised", because);
  }
}

static void raise_new(rf_store *store) {
  near_site some[AT_ONCE];
  rf_bump_arena arena = {NULL};
  unsigned count = 0;
  sqlite3_stmt *const s = rf_store_select(
      store,
      "SELECT f.id, f.last_build, (SELECT text FROM body WHERE event = f.last_event), f.title, coalesce(s.raised,"
      " 0) " NEW " LIMIT 32",
      "");
  while (count < AT_ONCE && rf_store_row(store, s)) {
    read_site(&arena, s, &some[count++]);
  }
  if (count == AT_ONCE) {
    rf_store_done(s);
  }
  for (unsigned i = 0; i < count; i++) {
    raise_site(store, &some[i]);
  }
  rf_bump_arena_free(&arena);
}

static void lower_old(rf_store *store) {
  rf_store_run(store,
               "INSERT INTO steer_step(time, rule, finding, done, because) SELECT ?, 0, s.finding, 'call site no longer"
               " raised', 'finding ' || s.finding || ' is ' || CASE WHEN f.merged_into IS NULL THEN f.state ELSE 'part"
               " of ' || f.merged_into END " OVER " AND s.site_key <> 0",
               "i", rf_store_now());
  rf_store_run(store, "UPDATE steer_site SET raised = 0 WHERE finding IN (SELECT s.finding " OVER ")", "");
}

bool rf_steer_near_is_due(rf_store *store) {
  return rf_store_number(store, 0, "SELECT 1 " NEW " LIMIT 1", "") != 0 ||
         rf_store_number(store, 0, "SELECT 1 " OVER " LIMIT 1", "") != 0;
}

void rf_steer_near_step(rf_store *store) {
  raise_new(store);
  lower_old(store);
}
