#include "tools/service/intake/coverage.h"

#include <stdlib.h>
#include <string.h>

enum { MODULES_MOST = 256, BUILD_ID_MOST = 128 };

/* A counter of a site has the module as `finding` and the offset as `what`. Its kind is SEEN for processes that had the
 * site, and FIRST_MODE + mode for blocks that were watched in that mode. */
enum { SEEN = 0, FIRST_MODE = 1 };

static rf_counter_kind kind_of_mode(int64_t mode) {
  return (rf_counter_kind)(FIRST_MODE + mode);
}

/* ---- Modules ---- */

void rf_coverage_forget(rf_store *store, int64_t module) {
  rf_store_run(store, "DELETE FROM site_watched WHERE module = ?", "i", module);
  rf_store_run(store, "DELETE FROM site WHERE module = ?", "i", module);
  rf_store_run(store, "DELETE FROM module_usage WHERE module = ?", "i", module);
  rf_store_run(store, "DELETE FROM module WHERE id = ?", "i", module);
}

/* Once the sites of a transaction are written, which have the numbers of its modules: those may be used again. */
static void forget_oldest(rf_store *store) {
  int64_t more = rf_store_number(store, 0, "SELECT count(*) FROM module", "") - RF_COVERAGE_MODULES;
  for (; more > 0; more--) {
    rf_coverage_forget(store, rf_store_number(store, 0, "SELECT id FROM module ORDER BY last_seen LIMIT 1", ""));
  }
}

static int64_t add_module(rf_store *store, const char *name, const char *path, const char *build_id, int64_t time) {
  rf_store_run(store, "INSERT INTO module(name, path, build_id, first_seen, last_seen) VALUES(?,?,?,?,?)", "tttii",
               name, path, build_id, time, time);
  return sqlite3_last_insert_rowid(store->db);
}

/* 0 where it has no name. */
static int64_t module_of(rf_store *store, const rf_json *m, int64_t time) {
  const char *const path = rf_json_text(m, "path", "");
  const char *const build_id = rf_json_text(m, "build_id", "");
  const char *const name = build_id[0] != '\0' ? build_id : path;
  if (path[0] == '\0' || strlen(build_id) > BUILD_ID_MOST) {
    return 0;
  }
  int64_t const id = rf_store_number(store, 0, "SELECT id FROM module WHERE name = ?", "t", name);
  if (id == 0) {
    return add_module(store, name, path, build_id, time);
  }
  rf_store_run(store,
               "UPDATE module SET last_seen = max(last_seen, ?2), first_seen = min(first_seen, ?2) WHERE id = ?1", "ii",
               id, time);
  return id;
}

/* ---- Sites ---- */

/* -1 where it is no offset. */
static int64_t number_of(const rf_json *number) {
  char *end = NULL;
  if (number == NULL || number->type != RF_JSON_NUMBER) {
    return -1;
  }
  long long const value = strtoll(number->text, &end, 10);
  return *end == '\0' && value >= 0 && value <= RF_NUMBER_MOST ? value : -1;
}

/* The sites of `list` whose blocks were watched: those of "watched" are seen for the first time, those of "again" were
 * told before. Returns how many were counted. */
static int64_t take_watched(rf_counters *sites, const rf_json *list, int64_t module, const rf_candidate *c, bool seen) {
  int64_t told = 0;
  for (const rf_json *s = list; s != NULL; s = s->next) {
    int64_t const offset = s->type == RF_JSON_ARRAY ? number_of(s->first) : -1;
    int64_t const blocks = offset < 0 ? -1 : number_of(s->first->next);
    if (blocks > 0 && (seen || rf_counters_add(sites, module, (rf_counter_kind)SEEN, offset, 1, c->time)) &&
        rf_counters_add(sites, module, kind_of_mode(c->mode), offset, blocks, c->time)) {
      told++;
    }
  }
  return told;
}

/* Returns how many of its sites were told. */
static int64_t take_sites(rf_counters *sites, const rf_json *m, int64_t module, const rf_candidate *c) {
  (void)take_watched(sites, rf_json_list(m, "again"), module, c, true);
  int64_t told = take_watched(sites, rf_json_list(m, "watched"), module, c, false);
  for (const rf_json *s = rf_json_list(m, "unwatched"); s != NULL; s = s->next) {
    int64_t const offset = number_of(s);
    if (offset >= 0 && rf_counters_add(sites, module, (rf_counter_kind)SEEN, offset, 1, c->time)) {
      told++;
    }
  }
  return told;
}

int64_t rf_coverage_take(rf_store *store, rf_counters *sites, const rf_envelope *e, const rf_candidate *c) {
  int64_t left_out = 0;
  unsigned modules = 0;
  for (const rf_json *m = e->sites == NULL ? NULL : e->sites->first; m != NULL && modules < MODULES_MOST; m = m->next) {
    int64_t const module = module_of(store, m, e->time);
    int64_t const count = (int64_t)(rf_json_unsigned(m, "sites", 0) & UINT32_MAX);
    if (module != 0) {
      int64_t const told = take_sites(sites, m, module, c);
      left_out += count > told ? count - told : 0;
      rf_store_run(store,
                   "INSERT INTO module_usage(module, program, mode, processes, seconds) VALUES(?1,?2,?3,?5,?4) ON"
                   " CONFLICT(module, program, mode) DO UPDATE SET processes = processes + ?5, seconds = seconds + ?4",
                   "iiidi", module, c->program, c->mode, e->seconds, (int64_t)!rf_json_bool(m, "continued", false));
      modules++;
    }
  }
  return left_out;
}

/* ---- Writing ---- */

/* The site's row is there. False where the module has too many. */
static bool add_site(rf_store *store, const rf_counter *c) {
  if (rf_store_number(store, 0, "SELECT 1 FROM site WHERE module = ? AND offset = ?", "ii", c->finding, c->what) != 0) {
    return true;
  }
  if (rf_store_number(store, RF_COVERAGE_SITES, "SELECT sites FROM module WHERE id = ?", "i", c->finding) >=
      RF_COVERAGE_SITES) {
    return false;
  }
  rf_store_run(store, "INSERT INTO site(module, offset) VALUES(?, ?)", "ii", c->finding, c->what);
  rf_store_run(store, "UPDATE module SET sites = sites + 1 WHERE id = ?", "i", c->finding);
  return true;
}

static void add_watched(rf_store *store, const rf_counter *c) {
  if (rf_store_number(store, 0, "SELECT blocks FROM site WHERE module = ? AND offset = ?", "ii", c->finding, c->what) ==
      0) {
    rf_store_run(store, "UPDATE module SET watched = watched + 1 WHERE id = ?", "i", c->finding);
  }
  rf_store_run(store,
               "UPDATE site SET blocks = blocks + ?3, last_watched = max(last_watched, ?4) WHERE module = ?1 AND offset"
               " = ?2",
               "iiii", c->finding, c->what, c->count, c->last_seen);
  rf_store_run(store,
               "INSERT INTO site_watched(module, offset, mode, blocks, last_seen) VALUES(?1,?2,?3,?4,?5) ON"
               " CONFLICT(module, offset, mode) DO UPDATE SET blocks = blocks + ?4, last_seen = max(last_seen, ?5)",
               "iiiii", c->finding, c->what, (int64_t)c->kind - FIRST_MODE, c->count, c->last_seen);
}

void rf_coverage_write(rf_counters *sites, rf_store *store) {
  for (size_t i = 0; i < sites->slot_count && sites->used != 0; i++) {
    const rf_counter *const c = &sites->slots[i];
    if (c->count == 0 || !add_site(store, c)) {
      continue;
    }
    if (c->kind != (rf_counter_kind)SEEN) {
      add_watched(store, c);
    } else {
      rf_store_run(store,
                   "UPDATE site SET processes = processes + ?3, last_seen = max(last_seen, ?4) WHERE module = ?1 AND"
                   " offset = ?2",
                   "iiii", c->finding, c->what, c->count, c->last_seen);
    }
  }
  rf_counters_clear(sites);
  forget_oldest(store);
}
