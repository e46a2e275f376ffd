#include "tools/service/life/snapshot_frames.h"

#include "tools/service/intake/names.h"
#include "tools/service/intake/snapshots.h"
#include "tools/service/life/better_file.h"
#include "tools/service/life/path_file.h"

#include <string.h>

enum { AT_ONCE = 8, OF_BUILD = 64, FRAMES_OF_BUILD = 100000, BUILDS_NOTED = 1000 };

bool rf_frames_add(rf_store *store, rf_bump_arena *arena, rf_frame *frame, rf_frames *all) {
  if (frame->module == NULL || frame->source_count != 0) {
    return false;
  }
  if (!rf_names_known(store, arena, frame) || rf_better_file_is_new(store, frame) ||
      rf_path_file_has_changed(store, arena, frame)) {
    RF_APPENDED(arena, all->list, all->count) = frame;
  }
  return true;
}

typedef struct numbers {
  int64_t *list;
  size_t count;
} numbers;

static numbers read_numbers(rf_store *store, rf_bump_arena *arena, sqlite3_stmt *s) {
  numbers all = {NULL, 0};
  while (rf_store_row(store, s)) {
    RF_APPENDED(arena, all.list, all.count) = sqlite3_column_int64(s, 0);
  }
  return all;
}

static void add_snapshot(rf_store *store, rf_bump_arena *arena, int64_t snapshot, rf_frames *all) {
  const rf_heap_snapshot *const s = rf_snapshots_read(store, arena, snapshot);
  for (size_t i = 0; s != NULL && i < s->frame_count; i++) {
    (void)rf_frames_add(store, arena, &s->frames[i], all);
  }
}

int64_t rf_frames_of_snapshots(rf_store *store, rf_bump_arena *arena, int64_t after, rf_frames *all) {
  numbers const some = read_numbers(
      store, arena,
      rf_store_select(store, "SELECT snapshot FROM snapshot_body WHERE snapshot > ? ORDER BY snapshot LIMIT ?", "ii",
                      after, (int64_t)AT_ONCE));
  for (size_t i = 0; i < some.count; i++) {
    add_snapshot(store, arena, some.list[i], all);
  }
  return some.count == 0 ? after : some.list[some.count - 1];
}

void rf_frames_of_build(rf_store *store, rf_bump_arena *arena, const char *build_id, rf_frames *all) {
  sqlite3_stmt *const s = rf_store_select(
      store,
      "SELECT s.offset, coalesce((SELECT min(module) FROM nameless WHERE build_id = ?1 AND finding <> 0), s.build_id)"
      " FROM symbol s WHERE s.build_id = ?1 LIMIT ?2",
      "ti", build_id, (int64_t)FRAMES_OF_BUILD);
  while (rf_store_row(store, s)) {
    rf_frame *const f = (rf_frame *)rf_bump_arena_alloc(arena, sizeof *f);
    f->build_id = build_id;
    f->offset = (uint64_t)sqlite3_column_int64(s, 0);
    f->module = rf_bump_arena_copy(arena, rf_store_text(s, 1));
    RF_APPENDED(arena, all->list, all->count) = f;
  }
}

/* ---- Lines that are missing ---- */

/* The newest first. */
static numbers snapshots_of_build(rf_store *store, rf_bump_arena *arena, const char *build_id) {
  return read_numbers(store, arena,
                      rf_store_select(store,
                                      "SELECT b.snapshot FROM nameless n JOIN snapshot s ON s.process = -n.finding JOIN"
                                      " snapshot_body b ON b.snapshot = s.id WHERE n.build_id = ? AND n.finding < 0"
                                      " ORDER BY b.snapshot DESC LIMIT ?",
                                      "ti", build_id, (int64_t)OF_BUILD));
}

static bool has_line(rf_store *store, rf_bump_arena *arena, rf_frame *f) {
  rf_names_frame(store, arena, f);
  return f->source_count != 0 && f->sources[0].file != NULL;
}

static void note(rf_store *store, rf_bump_arena *arena, int64_t snapshot) {
  int64_t const process = rf_store_number(store, 0, "SELECT process FROM snapshot WHERE id = ?", "i", snapshot);
  const rf_heap_snapshot *const s = rf_snapshots_read(store, arena, snapshot);
  const char *last = NULL;
  for (size_t i = 0, noted = 0; s != NULL && i < s->frame_count && noted < BUILDS_NOTED; i++) {
    rf_frame *const f = &s->frames[i];
    if (f->build_id != NULL && f->module != NULL && f->build_id != last && !has_line(store, arena, f)) {
      last = f->build_id;
      noted++;
      rf_store_run(store, "INSERT OR IGNORE INTO nameless(build_id, finding, module) VALUES(?,?,?)", "tit", f->build_id,
                   -process, f->module);
    }
  }
}

static void note_all(rf_store *store, rf_bump_arena *arena, numbers some) {
  for (size_t i = 0; i < some.count; i++) {
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    note(store, arena, some.list[i]);
    rf_bump_arena_reset(arena, mark);
  }
}

void rf_frames_note(rf_store *store, rf_bump_arena *arena, int64_t after, int64_t upto) {
  note_all(
      store, arena,
      read_numbers(store, arena,
                   rf_store_select(store, "SELECT snapshot FROM snapshot_body WHERE snapshot > ? AND snapshot <= ?",
                                   "ii", after, upto)));
}

void rf_frames_note_build(rf_store *store, rf_bump_arena *arena, const char *build_id) {
  numbers const some = snapshots_of_build(store, arena, build_id);
  rf_store_run(store, "DELETE FROM nameless WHERE build_id = ? AND finding < 0", "t", build_id);
  note_all(store, arena, some);
}
