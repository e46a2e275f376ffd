#include "tools/service/http/base_path.h"

#include <stdbool.h>
#include <string.h>

static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

/* "." and ".." are other paths for browsers. */
static bool is_name(const char *name, size_t length) {
  bool const dots = strspn(name, ".") >= length && length <= 2;
  return length != 0 && !dots && strspn(name, plain) >= length;
}

/* The first name in each path that this program answers. */
static bool is_ours(const char *name, size_t length) {
  static const char *const ours[] = {"api",      "buildid", "builds",    "coverage",  "favicon.svg",
                                     "finding",  "process", "processes", "script.js", "sign-in",
                                     "sign-out", "status",  "steering",  "style.css"};
  for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
    if (strlen(ours[i]) == length && strncmp(ours[i], name, length) == 0) {
      return true;
    }
  }
  return false;
}

const char *rf_base_path_read(rf_bump_arena *arena, const char *text, const char **why) {
  size_t length = strlen(text);
  if (text[0] != '/') {
    *why = "use a path that begins with /, as in /ringfence";
    return NULL;
  }
  if (length > RF_BASE_PATH_MOST) {
    *why = rf_bump_arena_print(arena, "use at most %d characters", RF_BASE_PATH_MOST);
    return NULL;
  }
  length -= text[length - 1] == '/';
  for (size_t at = 0; at < length;) {
    const char *const name = text + at + 1;
    size_t const name_length = strcspn(name, "/");
    if (!is_name(name, name_length)) {
      *why = "use names of letters, digits and - . _ ~ with one / between, as in /tools/ringfence";
      return NULL;
    }
    if (at == 0 && is_ours(name, name_length)) {
      *why =
          rf_bump_arena_print(arena, "use another: paths of the page itself begin with /%.*s", (int)name_length, name);
      return NULL;
    }
    at += name_length + 1;
  }
  return rf_bump_arena_text(arena, text, length);
}

const char *rf_base_path_behind(const char *base, const char *path) {
  size_t const length = strlen(base);
  if (length == 0 || strncmp(path, base, length) != 0 || (path[length] != '/' && path[length] != '\0')) {
    return path;
  }
  return path[length] == '\0' ? "/" : path + length;
}
