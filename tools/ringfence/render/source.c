#include "tools/ringfence/render/source.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/read_file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LONGEST_LINE = 240, LARGEST_FILE = 4 << 20 };

struct rf_source_file {
  const char *text; /* NULL: not to be shown */
  size_t length;
  int64_t changed;
};

/* ---- Files ---- */

static bool is_private(const rf_sources *sources, const char *found) {
  char folder[PATH_MAX];
  return sources->without != NULL &&
         (realpath(sources->without, folder) == NULL || rf_path_behind(found, folder) != NULL);
}

/* The file's own path where it is to be shown, whatever links and dots the record's path has. Keys and passwords lie in
 * hidden files and folders. */
static bool find_inside(const rf_sources *sources, rf_bump_arena *arena, const char *path, char found[PATH_MAX]) {
  char folder[PATH_MAX];
  if (sources->directory == NULL || realpath(sources->directory, folder) == NULL) {
    return false;
  }
  path = rf_path_seen_from(sources->directory, path);
  const char *const whole = path[0] == '/' ? path : rf_bump_arena_print(arena, "%s/%s", folder, path);
  const char *const inside = realpath(whole, found) == NULL ? NULL : rf_path_behind(found, folder);
  return inside != NULL && strstr(inside, "/.") == NULL && !is_private(sources, found);
}

static rf_source_file read_source(const rf_sources *sources, rf_bump_arena *arena, const char *path) {
  char found[PATH_MAX];
  struct stat status;
  rf_source_file file = {NULL, 0, 0};
  if (find_inside(sources, arena, path, found) && stat(found, &status) == 0 && S_ISREG(status.st_mode) &&
      status.st_size <= LARGEST_FILE) {
    file.changed = (int64_t)status.st_mtime;
    file.text = rf_read_file(arena, found, &file.length);
  }
  return file;
}

static const rf_source_file *find_source(rf_sources *sources, const char *path) {
  size_t const known = sources->paths.count;
  size_t const index = rf_string_table_index(&sources->paths, sources->arena, path);
  size_t count = known;
  if (index == known) {
    RF_APPENDED(sources->arena, sources->files, count) = read_source(sources, sources->arena, path);
  }
  return &sources->files[index];
}

static bool is_as_it_was(const rf_sources *sources, const rf_source_file *file, const rf_frame_view *call) {
  struct stat module;
  bool const older_than_module =
      call->module == NULL || (stat(call->module, &module) == 0 && file->changed <= (int64_t)module.st_mtime);
  return older_than_module && (sources->before == 0 || file->changed <= sources->before);
}

/* ---- Lines ---- */

static const char *line_of(rf_bump_arena *arena, const rf_source_file *file, unsigned number) {
  const char *at = file->text;
  const char *const end = file->text + file->length;
  for (unsigned i = 1; i < number && at != NULL; i++) {
    at = (const char *)memchr(at, '\n', (size_t)(end - at));
    at = at == NULL ? NULL : at + 1;
  }
  if (at == NULL || at == end) {
    return NULL;
  }
  const char *const feed = (const char *)memchr(at, '\n', (size_t)(end - at));
  size_t length = (size_t)((feed == NULL ? end : feed) - at);
  length -= length != 0 && at[length - 1] == '\r';
  return length > LONGEST_LINE || memchr(at, '\0', length) != NULL ? NULL : rf_bump_arena_text(arena, at, length);
}

const char *rf_source_text(rf_sources *sources, rf_bump_arena *arena, const rf_frame_view *call) {
  if (call->file == NULL || call->line == 0) {
    return NULL;
  }
  const rf_source_file *const file = find_source(sources, call->file);
  return file->text == NULL || !is_as_it_was(sources, file, call) ? NULL : line_of(arena, file, call->line);
}
