#include "tools/ringfence/symbols/garbled_path.h"

#include <dirent.h>
#include <stdbool.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

enum { REPLACEMENT = sizeof replacement - 1 };

static bool is_replacement(const char *at) {
  return strncmp(at, replacement, REPLACEMENT) == 0;
}

/* U+FFFD stands for itself or for one byte above 0x7F. */
static bool matches(const char *name, const char *pattern, size_t length) {
  const char *const end = pattern + length;
  while (pattern < end) {
    bool const any = is_replacement(pattern) && !is_replacement(name);
    if (any ? (unsigned char)*name < 0x80 : *name != *pattern) {
      return false;
    }
    name++;
    pattern += any ? REPLACEMENT : 1;
  }
  return *name == '\0';
}

/* The name of an entry of `folder` that matches; NULL where none does. */
static const char *find_entry(rf_bump_arena *arena, const char *folder, const char *pattern, size_t length) {
  const char *found = NULL;
  DIR *const list = opendir(folder[0] == '\0' ? "/" : folder);
  if (list == NULL) {
    return NULL;
  }
  for (const struct dirent *entry = readdir(list); entry != NULL && found == NULL; entry = readdir(list)) {
    if (matches(entry->d_name, pattern, length)) {
      found = rf_bump_arena_copy(arena, entry->d_name);
    }
  }
  (void)closedir(list);
  return found;
}

const char *rf_garbled_path_find(rf_bump_arena *arena, const char *path) {
  const char *out = "";
  if (path[0] != '/' || strstr(path, replacement) == NULL) {
    return path;
  }
  for (const char *at = path; *at != '\0';) {
    size_t const length = strcspn(++at, "/");
    const char *const part = rf_bump_arena_text(arena, at, length);
    const char *const name = strstr(part, replacement) == NULL ? part : find_entry(arena, out, at, length);
    if (name == NULL) {
      return path;
    }
    out = rf_bump_arena_print(arena, "%s/%s", out, name);
    at += length;
  }
  return out;
}
