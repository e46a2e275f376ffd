#include "tools/service/life/site_frames.h"

#include <string.h>

enum { AT_ONCE = 1000 };

typedef struct rf_looked_site {
  int64_t module;
  int64_t offset;
} rf_looked_site;

void rf_frames_forget_sites(rf_looked_sites *sites) {
  rf_bump_arena_free(&sites->arena);
  *sites = (rf_looked_sites){.list = NULL};
}

bool rf_frames_of_sites(rf_store *store, rf_bump_arena *arena, rf_looked_sites *sites, rf_frames *all) {
  rf_frame **frames = NULL;
  size_t count = 0;
  sqlite3_stmt *const s = rf_store_select(store,
                                          "SELECT s.module, s.offset, m.path, m.build_id FROM site s JOIN module m ON"
                                          " m.id = s.module WHERE s.named = 0 ORDER BY s.module, s.offset LIMIT ?",
                                          "i", (int64_t)AT_ONCE);
  rf_frames_forget_sites(sites);
  while (rf_store_row(store, s)) {
    rf_frame *const f = (rf_frame *)rf_bump_arena_alloc(arena, sizeof *f);
    const char *const build_id = rf_store_text(s, 3);
    rf_looked_site const site = {sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1)};
    f->offset = (uint64_t)site.offset;
    f->module = rf_bump_arena_copy(arena, rf_store_text(s, 2));
    f->build_id = build_id[0] == '\0' ? NULL : rf_bump_arena_copy(arena, build_id);
    RF_APPENDED(arena, frames, count) = f;
    RF_APPENDED(&sites->arena, sites->list, sites->count) = site;
  }
  for (size_t i = 0; i < count; i++) {
    (void)rf_frames_add(store, arena, frames[i], all);
  }
  return count != 0 && !store->failed;
}

void rf_frames_end_sites(rf_store *store, rf_looked_sites *sites) {
  for (size_t i = 0; i < sites->count; i++) {
    rf_store_run(store, "UPDATE site SET named = 1 WHERE module = ? AND offset = ?", "ii", sites->list[i].module,
                 sites->list[i].offset);
  }
  rf_frames_forget_sites(sites);
}

void rf_frames_renew_sites(rf_store *store, const char *build_id) {
  rf_store_run(store,
               "UPDATE site SET named = 0 WHERE module IN (SELECT id FROM module WHERE name = ?1 AND build_id = ?1)",
               "t", build_id);
}
