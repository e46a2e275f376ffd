/* Where things are: the user's directory, the program, the library. */
#ifndef RINGFENCE_TOOLS_BASE_PATHS_H
#define RINGFENCE_TOOLS_BASE_PATHS_H

#include "tools/ringfence/base/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Goes to the directory that the user is in. `bazel run` starts programs in their runfiles tree and names the user's
 * directory in BUILD_WORKING_DIRECTORY; started in any other way, this does nothing. */
void rf_paths_enter(void);

/* The file that execvp would run for `name`: as it is where it has a slash, else the first executable of that name in
 * PATH. NULL after a message where there is none, with *status the status to exit with. */
const char *rf_paths_program(rf_bump_arena *arena, const char *name, int *status);

/* The first file called `name` in PATH that may be executed, or NULL. */
const char *rf_paths_in_path(rf_bump_arena *arena, const char *name);

/* libringfence.so, as an absolute path: `given` (of --library) or RINGFENCE_LIB, else where the command is installed:
 * beside it, in ../lib, or where Bazel builds it. NULL after a message. */
const char *rf_paths_library(rf_bump_arena *arena, const char *given);

/* The folder that holds the executable that is running, without a slash at the end; NULL where it cannot be found. */
const char *rf_paths_self(rf_bump_arena *arena);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_BASE_PATHS_H */
