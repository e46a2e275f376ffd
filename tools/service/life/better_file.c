#include "tools/service/life/better_file.h"

#include <stdio.h>
#include <unistd.h>

/* Rows of nameless with finding 0 are the file that was asked last. */
#define LINES "instr(text, '\"file\":') > 0"

static bool is_named(const char *text) {
  return text != NULL && text[0] != '\0';
}

bool rf_better_file_is_new(rf_store *store, const rf_frame *frame) {
  return is_named(frame->build_id) && frame->module != NULL &&
         rf_store_number(store, 1, "SELECT " LINES " FROM symbol WHERE build_id = ? AND offset = ?", "ti",
                         frame->build_id, (int64_t)frame->offset) == 0 &&
         rf_store_number(store, 0, "SELECT 1 FROM nameless WHERE build_id = ? AND module = ? LIMIT 1", "tt",
                         frame->build_id, frame->module) == 0;
}

void rf_better_file_note(rf_store *store, const char *build_id, const char *path, bool lines) {
  if (!is_named(build_id) || !is_named(path)) {
    return;
  }
  if (!lines) {
    rf_store_run(store, "INSERT OR REPLACE INTO nameless(build_id, finding, module) VALUES(?, 0, ?)", "tt", build_id,
                 path);
  } else if (rf_store_number(store, 0, "SELECT 1 FROM symbol WHERE build_id = ? AND " LINES " LIMIT 1", "t",
                             build_id) == 0) {
    rf_store_run(store, "INSERT OR REPLACE INTO meta(key, value) VALUES('better:' || ?, ?)", "tt", build_id, path);
  }
}

void rf_better_file_done(rf_store *store, const char *build_id) {
  rf_store_run(store, "DELETE FROM meta WHERE key = 'better:' || ?", "t", build_id);
}

bool rf_better_file_next(rf_store *store, char *build_id, char *path, size_t room) {
  sqlite3_stmt *const s = rf_store_select(
      store, "SELECT substr(key, 8), value FROM meta WHERE key > 'better:' AND key < 'better;' LIMIT 1", "");
  if (!rf_store_row(store, s)) {
    return false;
  }
  bool const fits = (size_t)snprintf(build_id, room, "%s", rf_store_text(s, 0)) < room &&
                    (size_t)snprintf(path, room, "%s", rf_store_text(s, 1)) < room;
  rf_store_done(s);
  if (!fits || access(path, R_OK) != 0) {
    rf_store_begin(store);
    rf_better_file_done(store, build_id);
    (void)rf_store_commit(store);
    return false;
  }
  return true;
}
