/* Paths of the user's directory, the program and the library. */
#ifndef RINGFENCE_TOOLS_BASE_PATHS_H
#define RINGFENCE_TOOLS_BASE_PATHS_H

#include "checkers/os/base_name.h"
#include "checkers/os/library_kind.h"
#include "tools/ringfence/base/arena.h"

#include <stdbool.h>
#include <string.h>

/* Changes to the user's directory where `bazel run` started the command: that starts programs in their runfiles tree
 * and names the user's directory in BUILD_WORKING_DIRECTORY. Otherwise does nothing. */
void rf_paths_enter(void);

/* The file that execvp would run for `name`: `name` itself where it has a slash, else the first executable of that
 * name in PATH. NULL, with *status set to the exit status, after a message where there is none. */
const char *rf_paths_program(rf_bump_arena *arena, const char *name, int *status);

/* True where `text` begins with `start`, which is not empty: its first character tells most apart without a call. */
static inline bool rf_begins_with(const char *text, const char *start) {
  return text[0] == start[0] && strncmp(text, start, strlen(start)) == 0;
}

/* The rest of `path` behind `folder`, from its slash on; NULL where `path` does not lie in it. Both are compared as
 * they are written, and `folder` has no slash at its end unless it is the root. */
static inline const char *rf_path_behind(const char *path, const char *folder) {
  bool const root = strcmp(folder, "/") == 0;
  size_t const length = root ? 0 : strlen(folder);
  return strncmp(path, folder, length) == 0 && path[length] == '/' ? path + length : NULL;
}

/* True where `text` ends with `end`. */
bool rf_ends_with(const char *text, const char *end);

/* The order of two names, for qsort of an array of them. */
int rf_by_name(const void *a, const void *b);

/* Whether what `named_by` names as collector, `length` bytes, may be a folder; false after a message where it is the
 * address of a web server: processes would make a folder of that name. */
bool rf_collector_is_folder(const char *named_by, const char *value, size_t length);

/* A variable of the environment; `fallback` where it is not set, or empty. */
const char *rf_env_or(const char *name, const char *fallback);

/* The first executable file called `name` in PATH, or NULL. */
const char *rf_paths_in_path(rf_bump_arena *arena, const char *name);

/* The absolute path of libringfence.so: `given` (of --library) or RINGFENCE_LIB, else beside the command, in ../lib,
 * or where Bazel builds it. NULL after a message. */
const char *rf_paths_library(rf_bump_arena *arena, const char *given);

/* The kind of programs that a library is for; RF_LIBRARY_NONE where it cannot be read. */
rf_library_kind rf_paths_kind(rf_bump_arena *arena, const char *library);

/* The library for programs of another kind that lies beside this one; NULL where there is none. */
const char *rf_paths_beside(rf_bump_arena *arena, const char *library, rf_library_kind kind);

/* The folder of the running executable, without a slash at the end; NULL where it cannot be found. */
const char *rf_paths_self(rf_bump_arena *arena);

#endif /* RINGFENCE_TOOLS_BASE_PATHS_H */
