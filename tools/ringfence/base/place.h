/* Where things are: the user's directory, the program, the library. */
#ifndef RINGFENCE_TOOL_PLACE_H
#define RINGFENCE_TOOL_PLACE_H

#include "tools/ringfence/base/stash.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Goes to the directory that the user is in. `bazel run` starts programs in their runfiles tree and names the user's
 * directory in BUILD_WORKING_DIRECTORY; started in any other way, this does nothing. */
void rf_place_enter(void);

/* The file that execvp would run for `name`: as it is where it has a slash, else the first executable of that name in
 * PATH. NULL after a message where there is none, with *status the status to exit with. */
const char *rf_place_program(rf_stash *stash, const char *name, int *status);

/* The first file called `name` in PATH that may be executed, or NULL. */
const char *rf_place_in_path(rf_stash *stash, const char *name);

/* libringfence.so, as an absolute path: `given` (of --library) or RINGFENCE_LIB, else where the command is installed:
 * beside it, in ../lib, or where Bazel builds it. NULL after a message. */
const char *rf_place_library(rf_stash *stash, const char *given);

/* The folder that holds the executable that is running, without a slash at the end; NULL where it cannot be found. */
const char *rf_place_self(rf_stash *stash);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_PLACE_H */
