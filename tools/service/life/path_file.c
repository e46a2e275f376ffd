#include "tools/service/life/path_file.h"

#include "tools/service/intake/names.h"

#include <inttypes.h>
#include <sys/stat.h>

/* The part of its state that changes with the file; NULL if it is gone. */
static const char *mark_of(rf_bump_arena *arena, const char *path) {
  struct stat st;
  return stat(path, &st) != 0
             ? NULL
             : rf_bump_arena_print(arena, "%" PRIu64 " %" PRId64 " %" PRId64 ".%09ld", (uint64_t)st.st_ino,
                                   (int64_t)st.st_size, (int64_t)st.st_mtim.tv_sec, (long)st.st_mtim.tv_nsec);
}

bool rf_path_file_has_changed(rf_store *store, rf_bump_arena *arena, const rf_frame *frame) {
  const char *const mark = rf_names_by_path(frame) && frame->module != NULL ? mark_of(arena, frame->module) : NULL;
  return mark != NULL && rf_store_number(store, 0, "SELECT value = ?2 FROM meta WHERE key = 'file:' || ?1", "tt",
                                         frame->module, mark) == 0;
}

void rf_path_file_note(rf_store *store, rf_bump_arena *arena, const char *path) {
  const char *const mark = mark_of(arena, path);
  if (mark != NULL) {
    rf_store_run(store, "INSERT OR REPLACE INTO meta(key, value) VALUES('file:' || ?, ?)", "tt", path, mark);
  }
}
