#include "tools/service/life/site_frames.h"

#include <string.h>

enum { AT_ONCE = 1000 };

typedef struct row {
  int64_t module;
  rf_frame *frame;
} row;

bool rf_frames_of_sites(rf_store *store, rf_bump_arena *arena, rf_frames *all) {
  row *rows = NULL;
  size_t count = 0;
  sqlite3_stmt *const s = rf_store_select(store,
                                          "SELECT s.module, s.offset, m.path, m.build_id FROM site s JOIN module m ON"
                                          " m.id = s.module WHERE s.named = 0 ORDER BY s.module, s.offset LIMIT ?",
                                          "i", (int64_t)AT_ONCE);
  while (rf_store_row(store, s)) {
    rf_frame *const f = (rf_frame *)rf_bump_arena_alloc(arena, sizeof *f);
    const char *const build_id = rf_store_text(s, 3);
    f->offset = (uint64_t)sqlite3_column_int64(s, 1);
    f->module = rf_bump_arena_copy(arena, rf_store_text(s, 2));
    f->build_id = build_id[0] == '\0' ? NULL : rf_bump_arena_copy(arena, build_id);
    RF_APPENDED(arena, rows, count) = (row){sqlite3_column_int64(s, 0), f};
  }
  if (count == 0) {
    return false;
  }
  rf_store_begin(store);
  for (size_t i = 0; i < count; i++) {
    (void)rf_frames_add(store, arena, rows[i].frame, all);
    rf_store_run(store, "UPDATE site SET named = 1 WHERE module = ? AND offset = ?", "ii", rows[i].module,
                 (int64_t)rows[i].frame->offset);
  }
  return rf_store_commit(store);
}

void rf_frames_renew_sites(rf_store *store, const char *build_id) {
  rf_store_run(store,
               "UPDATE site SET named = 0 WHERE module IN (SELECT id FROM module WHERE name = ?1 AND build_id = ?1)",
               "t", build_id);
}
